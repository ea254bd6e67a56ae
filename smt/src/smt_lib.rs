//! Solvers in processes of their own: SMT-LIB text over a pipe.
use crate::backend::{Backend, SolverError, Verdict};
use crate::term::{Arena, Term};
use answers::{parse_steps, parse_values};
use dialect::Dialect;
use process::{Answer, Process};
use script::{LOGIC, Script};
use std::path::Path;
use std::time::{Duration, Instant};

mod answers;
mod dialect;
mod process;
mod script;
#[cfg(test)]
mod tests;

/// Asks a solver that counts its steps for their number.
const STEPS: &str = "(get-info :rlimit)\n";

/// The time in which a solver has to report its name and version, and to answer the first query, which has no
/// assertions.
const START: Duration = Duration::from_secs(10);

/// After this number of consecutive queries without an answer or model in time, the solver counts as silent. A solver
/// that exceeds its bound only in one query answers the next, since it was restarted.
const SILENCE: u32 = 3;
/// Maximum number of restarts, consecutive or not.
const REPLACEMENTS: u64 = 20;

/// The beginning of an answer that is an error.
const ERROR: &str = "(error";

/// The output of `program --version`.
///
/// # Errors
/// See [`Process::output`].
pub fn version(program: &str) -> Result<String, SolverError> {
    Process::output(program, &["--version"], START)
}

/// Starts `program` as a reader of SMT-LIB.
fn start(program: &str) -> Result<Process, SolverError> {
    // cvc5 reads from a pipe without being told to.
    let is_cvc5 = Path::new(program).file_name().is_some_and(|name| name.to_string_lossy().contains("cvc5"));
    Process::start(program, if is_cvc5 { &["--lang=smt2", "--incremental"] } else { &["-in", "-smt2"] })
}

/// A solver process that reads SMT-LIB, with a stack of assertions.
pub struct SmtLib {
    program: String,
    process: Process,
    dialect: Dialect,
    script: Script,
    limit: u32,
    /// Upper bound of `limit`.
    most: u32,
    /// Whether it fails fast: its bound is on time, even if it counts steps.
    fail_fast: bool,
    /// The last query.
    question: String,
    /// Time limit for the first answer of a process.
    beginning: Duration,
    /// Deadline of the current answer.
    until: Instant,
    /// Number of consecutive queries that were not answered in time.
    late: u32,
    /// The process printed something unexpected, so its next output might belong to that.
    out_of_step: bool,
    /// Number of processes that exceeded their bound and were replaced.
    replaced: u64,
    /// Number of steps so far, if they are counted.
    steps: u64,
    /// The part of `steps` that the current process made.
    made: u64,
}

impl SmtLib {
    /// Starts `program`, with a bound on each query: milliseconds, or the number of steps that take about as long.
    pub fn start(program: &str, timeout_ms: u32) -> Result<SmtLib, SolverError> {
        SmtLib::start_within(program, timeout_ms, START)
    }

    /// As [`start`](SmtLib::start), with `beginning` instead of [`START`].
    fn start_within(program: &str, timeout_ms: u32, beginning: Duration) -> Result<SmtLib, SolverError> {
        let mut process = start(program)?;
        process.send("(get-info :name)\n(get-info :version)\n".to_string());
        let until = Instant::now() + beginning;
        let mut says = || match process.line(until)? {
            Answer::Line(line) if line.starts_with(ERROR) => Err(SolverError::Refused(program.to_string(), line)),
            Answer::Line(line) => Ok(line),
            Answer::Late => Err(SolverError::Silent(program.to_string(), beginning)),
        };
        let dialect = Dialect::of(&says()?, &says()?);
        let mut solver = SmtLib {
            program: program.to_string(),
            process,
            dialect,
            script: Script::default(),
            limit: timeout_ms,
            most: timeout_ms,
            fail_fast: false,
            question: String::new(),
            beginning,
            until,
            late: 0,
            out_of_step: false,
            replaced: 0,
            steps: 0,
            made: 0,
        };
        solver.begin();
        Ok(solver)
    }

    /// Sends what every process gets first: options, bound and logic.
    fn begin(&mut self) {
        self.script.text.push_str(self.dialect.options());
        self.script.text.push_str(&self.dialect.bound(self.limit));
        self.script.text.push_str(LOGIC);
    }

    /// Replaces the process by a new one that gets the same text.
    fn replace(&mut self) -> Result<(), SolverError> {
        self.process = start(&self.program)?;
        self.replaced += 1;
        self.made = 0;
        self.out_of_step = false;
        self.script.text.clear();
        self.begin();
        self.script.again();
        Ok(())
    }
}

impl Backend for SmtLib {
    fn limit(&mut self, milliseconds: u32) {
        let milliseconds = milliseconds.min(self.most);
        if self.limit != milliseconds {
            self.limit = milliseconds;
            self.script.text.push_str(&self.dialect.bound(milliseconds));
        }
    }

    fn fail_fast(&mut self) {
        self.fail_fast = true;
    }

    fn push(&mut self) {
        self.script.push();
    }

    fn pop(&mut self, scopes: usize) {
        self.script.pop(scopes);
    }

    fn assert(&mut self, arena: &Arena, term: Term) {
        self.script.assert(arena, term);
    }

    fn check(&mut self, arena: &Arena, extra: &[Term]) -> Result<Verdict, SolverError> {
        let literals: Vec<String> = extra.iter().map(|&term| self.script.guard(arena, term)).collect();
        self.question = if literals.is_empty() {
            "(check-sat)\n".to_string()
        } else {
            format!("(check-sat-assuming ({}))\n", literals.join(" "))
        };
        let steps = if self.dialect == Dialect::Steps { STEPS } else { "" };
        let Some(answer) = self.ask(&format!("{}{steps}", self.question))? else { return Ok(Verdict::Unknown) };
        if self.dialect == Dialect::Steps
            && let Some(made) = self.line()?
        {
            let made = parse_steps(&made).ok_or_else(|| self.nonsense(made))?;
            self.steps += made.saturating_sub(self.made);
            self.made = made;
        }
        match answer.as_str() {
            // Its model may be requested next.
            "sat" => Ok(Verdict::Sat),
            "unsat" => {
                self.late = 0;
                Ok(Verdict::Unsat)
            }
            "unknown" | "timeout" => {
                self.late = 0;
                Ok(Verdict::Unknown)
            }
            _ => Err(self.nonsense(answer)),
        }
    }

    fn model(&mut self) -> Result<Option<Vec<(Term, i128)>>, SolverError> {
        if self.script.leaves().is_empty() {
            return Ok(Some(Vec::new()));
        }
        let names: Vec<&str> = self.script.leaves().iter().map(|&leaf| self.script.name(leaf)).collect();
        let question = format!("(get-value ({}))\n", names.join(" "));
        let Some(mut answer) = self.ask(&question)? else { return Ok(None) };
        let open = |text: &str| text.matches('(').count() as i64 - text.matches(')').count() as i64;
        let mut depth = open(&answer);
        while depth > 0 {
            let Some(line) = self.line()? else { return Ok(None) };
            depth += open(&line);
            answer.push(' ');
            answer.push_str(&line);
        }
        match parse_values(&answer) {
            Some(values) if values.len() == self.script.leaves().len() => {
                self.late = 0;
                Ok(Some(self.script.leaves().iter().copied().zip(values).collect()))
            }
            _ => Err(self.nonsense(answer)),
        }
    }

    fn probe(&mut self) -> Result<(), SolverError> {
        self.script.text.push_str("(check-sat)\n");
        self.process.send(std::mem::take(&mut self.script.text));
        self.until = Instant::now() + self.beginning;
        match self.process.line(self.until)? {
            Answer::Line(line) if line == "sat" => Ok(()),
            Answer::Line(line) if line.starts_with(ERROR) => Err(self.refused(line)),
            Answer::Line(line) => Err(self.nonsense(line)),
            Answer::Late => Err(SolverError::Silent(self.program.clone(), self.beginning)),
        }
    }

    fn script(&self) -> Option<String> {
        Some(self.script.whole(self.dialect.options().to_string() + LOGIC) + &self.question)
    }

    fn replaced(&self) -> u64 {
        self.replaced
    }

    fn steps(&self) -> u64 {
        self.steps
    }
}

impl SmtLib {
    /// Sends the pending text and then `question`. Returns the first line of the answer, or `None` if it does not come
    /// in time.
    fn ask(&mut self, question: &str) -> Result<Option<String>, SolverError> {
        if self.out_of_step {
            self.replace()?;
        }
        self.script.text.push_str(question);
        self.process.send(std::mem::take(&mut self.script.text));
        self.until = Instant::now() + self.dialect.patience(self.limit, self.fail_fast);
        self.line()
    }

    /// The next line of the answer. If it does not come in time, replaces the process and returns `None`.
    fn line(&mut self) -> Result<Option<String>, SolverError> {
        match self.process.line(self.until) {
            Ok(Answer::Line(line)) if line.starts_with(ERROR) => Err(self.refused(line)),
            Ok(Answer::Line(line)) => Ok(Some(line)),
            Ok(Answer::Late) => {
                self.late += 1;
                // When failing fast, the bound is so short that silence says nothing about the solver.
                if (self.late >= SILENCE || self.replaced >= REPLACEMENTS) && !self.fail_fast {
                    self.out_of_step = true;
                    let patience = self.dialect.patience(self.limit, self.fail_fast);
                    return Err(SolverError::Silent(self.program.clone(), patience));
                }
                self.replace()?;
                Ok(None)
            }
            Err(error) => {
                self.out_of_step = true;
                Err(error)
            }
        }
    }

    /// The error for an answer that is an error and begins with `line`.
    fn refused(&mut self, mut line: String) -> SolverError {
        self.out_of_step = true;
        // The error's text may span several lines; a quote in it is doubled.
        while line.matches('"').count() % 2 == 1
            && let Ok(Answer::Line(more)) = self.process.line(self.until)
        {
            line.push(' ');
            line.push_str(&more);
        }
        SolverError::Refused(self.program.clone(), line)
    }

    /// The error for output that is not an answer.
    fn nonsense(&mut self, answer: String) -> SolverError {
        self.out_of_step = true;
        SolverError::Nonsense(self.program.clone(), answer)
    }
}
