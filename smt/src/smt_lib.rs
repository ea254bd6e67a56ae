//! Solvers in processes of their own: SMT-LIB text over a pipe.
use crate::backend::{Backend, SolverError, Verdict};
use crate::term::{Arena, Name, Node, Range, Term};
use process::{Answer, Process};
use rustc_hash::{FxHashMap, FxHashSet};
use std::fmt::{Arguments, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

mod process;
#[cfg(test)]
mod tests;

/// The assertions of a scope; closing the scope removes them.
#[derive(Default)]
struct Scope {
    bounded: Vec<Term>,
    guards: Vec<Term>,
    leaves: usize,
    /// The text that was sent in this scope, to send it again to another process.
    text: String,
}

const PUSH: &str = "(push 1)\n";
/// Declarations and definitions outlive the scope in which they are made: a process gets the definition of a term once,
/// even if many scopes contain the term.
const LOGIC: &str = "(set-option :global-declarations true)\n(set-logic ALL)\n";
/// Asks a solver that counts its steps for their number.
const STEPS: &str = "(get-info :rlimit)\n";

/// The commands that a solver understands besides those of SMT-LIB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Dialect {
    /// A z3 that counts its steps: its answers do not depend on the load of the machine.
    Steps,
    /// A z3 that no longer returns values if its steps are bounded.
    Milliseconds,
    /// A cvc5; its bound is on time as well.
    Cvc5,
    /// Another solver.
    Plain,
}

impl Dialect {
    /// Number of steps that take about a millisecond.
    const PER_MILLISECOND: u64 = 4_000;

    /// The first major version of z3 whose steps are counted.
    const STEPS_SINCE: u32 = 5;

    /// The dialect of the solver with these answers to `(get-info :name)` and `(get-info :version)`.
    fn of(name: &str, version: &str) -> Dialect {
        let name = name.to_lowercase();
        if name.contains("cvc5") {
            return Dialect::Cvc5;
        }
        if !name.contains("z3") {
            return Dialect::Plain;
        }
        let number = version.trim_start_matches("(:version").trim_matches([' ', '"', ')']);
        let major = number.split('.').next().and_then(|major| major.parse().ok());
        if major.is_some_and(|major: u32| major >= Dialect::STEPS_SINCE) {
            Dialect::Steps
        } else {
            Dialect::Milliseconds
        }
    }

    /// The options that the solver gets before anything else.
    fn options(self) -> &'static str {
        match self {
            // Cuts and equalities that follow from bounds cost more than they save in these queries: without them, the
            // proofs of all primitives together take a sixth less time.
            Dialect::Steps => {
                "(set-option :produce-models true)\n\
                 (set-option :smt.arith.enable_hnf false)\n\
                 (set-option :smt.arith.propagate_eqs false)\n"
            }
            Dialect::Cvc5 | Dialect::Plain => "(set-option :produce-models true)\n",
            // With its newer arithmetic, this old version gets lost in divisions, even beyond its time limit.
            Dialect::Milliseconds => "(set-option :produce-models true)\n(set-option :smt.arith.solver 2)\n",
        }
    }

    /// The command that bounds each later query by about `milliseconds`.
    fn bound(self, milliseconds: u32) -> String {
        match self {
            Dialect::Steps => format!("(set-option :rlimit {})\n", u64::from(milliseconds) * Dialect::PER_MILLISECOND),
            Dialect::Milliseconds => format!("(set-option :timeout {milliseconds})\n"),
            Dialect::Cvc5 => format!("(set-option :tlimit-per {milliseconds})\n"),
            Dialect::Plain => String::new(),
        }
    }

    /// The time to wait for an answer before the solver counts as one that ignores its bound.
    fn patience(self, milliseconds: u32, fail_fast: bool) -> Duration {
        let bound = Duration::from_millis(milliseconds.into());
        match self {
            // Steps can be slow, and the machine can be busy.
            Dialect::Steps if !fail_fast => bound * 10 + Duration::from_secs(5),
            Dialect::Steps | Dialect::Milliseconds | Dialect::Cvc5 | Dialect::Plain => {
                bound + Duration::from_millis(500)
            }
        }
    }
}

/// The time in which a solver has to report its name and version, and to answer the first query, which has no
/// assertions.
const START: Duration = Duration::from_secs(10);

/// After this number of consecutive queries without an answer or model in time, the solver counts as silent. A solver
/// that exceeds its bound only in one query answers the next, since it was restarted.
const SILENCE: u32 = 3;
/// Maximum number of restarts, consecutive or not.
const REPLACEMENTS: u64 = 20;

/// Text of at most this number of bytes is written where it is used, instead of being defined, unless it is used more
/// than once: a definition costs a solver more than reading the text again.
const LONGEST_INLINE: usize = 120;

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
    /// Text not yet sent.
    text: String,
    /// The names of defined terms.
    names: FxHashMap<Term, String>,
    /// Variables and functions that were declared. The same name may be declared as a number and as a truth value.
    declared: FxHashSet<(Name, bool)>,
    /// Declarations and definitions so far, to send them again to another process.
    definitions: String,
    /// Terms whose variables and applications are bounded by assertions of the open scopes.
    bounded: FxHashSet<Term>,
    /// Variables and applications in the assertions, in the order in which they were found.
    leaves: Vec<Term>,
    guards: FxHashMap<Term, String>,
    /// Number of occurrences of each term in the text that is being written.
    uses: FxHashMap<Term, u32>,
    scopes: Vec<Scope>,
    fresh: u64,
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
            text: String::new(),
            names: FxHashMap::default(),
            declared: FxHashSet::default(),
            definitions: String::new(),
            bounded: FxHashSet::default(),
            leaves: Vec::new(),
            guards: FxHashMap::default(),
            uses: FxHashMap::default(),
            scopes: vec![Scope::default()],
            fresh: 0,
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
        self.text.push_str(self.dialect.options());
        self.text.push_str(&self.dialect.bound(self.limit));
        self.text.push_str(LOGIC);
    }

    /// Replaces the process by a new one that gets the same text.
    fn replace(&mut self) -> Result<(), SolverError> {
        self.process = start(&self.program)?;
        self.replaced += 1;
        self.made = 0;
        self.out_of_step = false;
        self.text.clear();
        self.begin();
        let text = std::mem::take(&mut self.text);
        self.text = self.scopes_text(text);
        Ok(())
    }

    /// `text`, followed by all definitions and the text of the open scopes.
    fn scopes_text(&self, mut text: String) -> String {
        text.push_str(&self.definitions);
        for (depth, scope) in self.scopes.iter().enumerate() {
            if depth > 0 {
                text.push_str(PUSH);
            }
            text.push_str(&scope.text);
        }
        text
    }

    /// Sends `text` in the innermost scope.
    fn say(&mut self, text: Arguments) {
        let scope = self.scopes.last_mut().expect("the outermost scope is never closed");
        let from = scope.text.len();
        let _ = writeln!(scope.text, "{text}");
        self.text.push_str(&scope.text[from..]);
    }

    /// Sends a declaration or definition, which outlives all scopes.
    fn declare(&mut self, text: Arguments) {
        let from = self.definitions.len();
        let _ = writeln!(self.definitions, "{text}");
        self.text.push_str(&self.definitions[from..]);
    }
}

impl Backend for SmtLib {
    fn limit(&mut self, milliseconds: u32) {
        let milliseconds = milliseconds.min(self.most);
        if self.limit != milliseconds {
            self.limit = milliseconds;
            self.text.push_str(&self.dialect.bound(milliseconds));
        }
    }

    fn fail_fast(&mut self) {
        self.fail_fast = true;
    }

    fn push(&mut self) {
        self.text.push_str(PUSH);
        self.scopes.push(Scope { leaves: self.leaves.len(), ..Scope::default() });
    }

    fn pop(&mut self, scopes: usize) {
        for _ in 0..scopes {
            let scope = self.scopes.pop().expect("as many scopes are closed as were opened");
            for term in scope.bounded {
                self.bounded.remove(&term);
            }
            for term in scope.guards {
                self.guards.remove(&term);
            }
            self.leaves.truncate(scope.leaves);
        }
        if scopes > 0 {
            let _ = writeln!(self.text, "(pop {scopes})");
        }
    }

    fn assert(&mut self, arena: &Arena, term: Term) {
        let text = self.speak_of(arena, term);
        self.say(format_args!("(assert {text})"));
    }

    fn check(&mut self, arena: &Arena, extra: &[Term]) -> Result<Verdict, SolverError> {
        let literals: Vec<String> = extra.iter().map(|&term| self.guard(arena, term)).collect();
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
        if self.leaves.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let names: Vec<&str> = self.leaves.iter().map(|leaf| self.names[leaf].as_str()).collect();
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
            Some(values) if values.len() == self.leaves.len() => {
                self.late = 0;
                Ok(Some(self.leaves.iter().copied().zip(values).collect()))
            }
            _ => Err(self.nonsense(answer)),
        }
    }

    fn probe(&mut self) -> Result<(), SolverError> {
        self.text.push_str("(check-sat)\n");
        self.process.send(std::mem::take(&mut self.text));
        self.until = Instant::now() + self.beginning;
        match self.process.line(self.until)? {
            Answer::Line(line) if line == "sat" => Ok(()),
            Answer::Line(line) if line.starts_with(ERROR) => Err(self.refused(line)),
            Answer::Line(line) => Err(self.nonsense(line)),
            Answer::Late => Err(SolverError::Silent(self.program.clone(), self.beginning)),
        }
    }

    fn script(&self) -> Option<String> {
        Some(self.scopes_text(self.dialect.options().to_string() + LOGIC) + &self.question)
    }

    fn replaced(&self) -> u64 {
        self.replaced
    }

    fn steps(&self) -> u64 {
        self.steps
    }
}

impl SmtLib {
    fn scope(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("the outermost scope is never closed")
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.fresh += 1;
        format!("{prefix}{}", self.fresh)
    }

    /// A literal that is equivalent to `term` in the open scopes.
    fn guard(&mut self, arena: &Arena, term: Term) -> String {
        if let Node::Not(inner) = *arena.node(term) {
            return format!("(not {})", self.guard(arena, inner));
        }
        if let Some(guard) = self.guards.get(&term) {
            return guard.clone();
        }
        let text = self.speak_of(arena, term);
        let guard = self.fresh("g");
        self.declare(format_args!("(declare-const {guard} Bool)"));
        self.say(format_args!("(assert (= {guard} {text}))"));
        self.guards.insert(term, guard.clone());
        self.scope().guards.push(term);
        guard
    }

    /// The text of `term`. Defines its subterms, and bounds its variables and applications in the open scopes.
    fn speak_of(&mut self, arena: &Arena, term: Term) -> String {
        self.uses.clear();
        let leaves = self.leaves.len();
        self.visit(arena, term);
        for at in leaves..self.leaves.len() {
            let leaf = self.leaves[at];
            let name = self.text_of(arena, leaf);
            if let Node::Var(_, range) | Node::App(_, range, _) = *arena.node(leaf) {
                self.bound(&name, range);
            }
        }
        self.text_of(arena, term)
    }

    /// Counts the uses of the unnamed subterms of `term`, and collects the leaves that are not bounded yet.
    fn visit(&mut self, arena: &Arena, term: Term) {
        let node = arena.node(term);
        if matches!(node, Node::Const(_) | Node::Bool(_)) {
            return;
        }
        if let Some(uses) = self.uses.get_mut(&term) {
            *uses += 1;
            return;
        }
        let is_bounded = !self.bounded.insert(term);
        if is_bounded && self.names.contains_key(&term) {
            return;
        }
        self.uses.insert(term, 1);
        node.parts().for_each(|part| self.visit(arena, part));
        if !is_bounded {
            self.scope().bounded.push(term);
            if matches!(node, Node::Var(..) | Node::App(..)) {
                self.leaves.push(term);
            }
        }
    }

    /// The text for `term`: its name, or its definition if that is short and used once.
    fn text_of(&mut self, arena: &Arena, term: Term) -> String {
        if let Some(name) = self.names.get(&term) {
            return name.clone();
        }
        let sort = if arena.is_bool(term) { "Bool" } else { "Int" };
        let body = match arena.node(term) {
            Node::Const(value) => return value.to_string(),
            Node::Bool(value) => return value.to_string(),
            Node::Var(name, range) => {
                let symbol = self.symbol(arena, *name, *range, 0);
                self.names.insert(term, symbol.clone());
                return symbol;
            }
            Node::App(name, range, arguments) => {
                let function = self.symbol(arena, *name, *range, arguments.len());
                let arguments: Vec<String> = arguments.iter().map(|&a| self.text_of(arena, a)).collect();
                format!("({function} {})", arguments.join(" "))
            }
            &Node::Add(a, b) => self.binary(arena, "+", a, b),
            &Node::Sub(a, b) => self.binary(arena, "-", a, b),
            &Node::MulC(a, c) => format!("(* {c} {})", self.text_of(arena, a)),
            &Node::DivC(a, c) => format!("(div {} {c})", self.text_of(arena, a)),
            &Node::RemC(a, c) => format!("(mod {} {c})", self.text_of(arena, a)),
            &Node::Ite(c, a, b) => {
                let (c, a, b) = (self.text_of(arena, c), self.text_of(arena, a), self.text_of(arena, b));
                format!("(ite {c} {a} {b})")
            }
            &Node::Eq(a, b) => self.binary(arena, "=", a, b),
            &Node::Lt(a, b) => self.binary(arena, "<", a, b),
            &Node::And(a, b) => self.binary(arena, "and", a, b),
            &Node::Not(a) => format!("(not {})", self.text_of(arena, a)),
        };
        let is_leaf = matches!(arena.node(term), Node::App(..));
        let is_once = self.uses.get(&term).is_none_or(|&uses| uses == 1);
        if !is_leaf && is_once && body.len() <= LONGEST_INLINE {
            return body;
        }
        let name = self.fresh("t");
        self.declare(format_args!("(define-fun {name} () {sort} {body})"));
        self.names.insert(term, name.clone());
        name
    }

    /// The symbol of a variable, or of a function with this number of `arguments`. It is declared on first use.
    fn symbol(&mut self, arena: &Arena, name: Name, range: Range, arguments: usize) -> String {
        let is_bool = matches!(range, Range::Bool);
        let (mark, sort) = if is_bool { ("?", "Bool") } else { ("", "Int") };
        let symbol = format!("|{}{mark}|", arena.text(name));
        if self.declared.insert((name, is_bool)) {
            let domain = vec!["Int"; arguments].join(" ");
            self.declare(format_args!("(declare-fun {symbol} ({domain}) {sort})"));
        }
        symbol
    }

    fn binary(&mut self, arena: &Arena, operator: &str, a: Term, b: Term) -> String {
        let (a, b) = (self.text_of(arena, a), self.text_of(arena, b));
        format!("({operator} {a} {b})")
    }

    /// Asserts that a leaf is in its range, in this scope.
    fn bound(&mut self, name: &str, range: Range) {
        match range {
            Range::Bool => {}
            Range::UpTo(most) => self.say(format_args!("(assert (and (<= 0 {name}) (<= {name} {most})))")),
            Range::Nat => self.say(format_args!("(assert (<= 0 {name}))")),
        }
    }

    /// Sends the pending text and then `question`. Returns the first line of the answer, or `None` if it does not come
    /// in time.
    fn ask(&mut self, question: &str) -> Result<Option<String>, SolverError> {
        if self.out_of_step {
            self.replace()?;
        }
        self.text.push_str(question);
        self.process.send(std::mem::take(&mut self.text));
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

/// The number in `(:rlimit number)`.
fn parse_steps(answer: &str) -> Option<u64> {
    answer.strip_prefix("(:rlimit ")?.strip_suffix(')')?.trim().parse().ok()
}

/// The values of `((name value) (name value) …)`; names may be applications.
fn parse_values(answer: &str) -> Option<Vec<i128>> {
    let inner = answer.trim().strip_prefix('(')?.strip_suffix(')')?;
    let mut values = Vec::new();
    let (mut depth, mut start, mut quoted) = (0usize, 0, false);
    for (at, c) in inner.char_indices() {
        match c {
            '|' => quoted = !quoted,
            '(' if !quoted => {
                if depth == 0 {
                    start = at + 1;
                }
                depth += 1;
            }
            ')' if !quoted => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    let value = inner[start..at].trim().rsplit(char::is_whitespace).next()?;
                    values.push(match value {
                        "true" => 1,
                        "false" => 0,
                        number => number.parse().ok()?,
                    });
                }
            }
            _ => {}
        }
    }
    Some(values)
}
