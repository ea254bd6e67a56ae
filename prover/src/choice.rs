//! Which solvers are asked.
use smt::solver::{EMBEDDED, Solver, SolverError};
use std::path::PathBuf;

/// A solver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Choice {
    /// A program that reads SMT-LIB.
    Program(PathBuf),
    /// The one that needs nothing installed.
    Embedded,
}

impl Choice {
    /// Its name and version, such as `z3 5.4.0`; the name of its file where it does not say so.
    ///
    /// # Errors
    /// When it does not start, or does not end in time.
    pub fn version(&self) -> Result<String, SolverError> {
        let Choice::Program(program) = self else { return Ok(EMBEDDED.to_string()) };
        let text = Solver::version(&program.to_string_lossy())?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let version = |name: &str, rest: &[&str]| {
            let at = rest.iter().position(|&word| word == "version")?;
            rest.get(at + 1).map(|version| format!("{} {version}", name.to_lowercase()))
        };
        Ok(match words[..] {
            // "This is cvc5 version 1.0.3 …".
            ["This", "is", name, ref rest @ ..] | [name, ref rest @ ..] => version(name, rest),
            [] => Some(program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()),
        }
        .unwrap_or_else(|| text.trim().to_string()))
    }

    /// Starts it, with a bound on one query in milliseconds.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&self, timeout_ms: u32) -> Result<Solver, SolverError> {
        match self {
            Choice::Program(program) => Solver::start(&program.to_string_lossy(), timeout_ms),
            Choice::Embedded => Ok(Solver::embedded(timeout_ms)),
        }
    }
}

/// Solvers that are asked what the one that proves is asked.
#[derive(Clone, Debug)]
pub struct Others {
    /// They.
    pub solvers: Vec<Choice>,
    /// The directory into which questions are written that they answer otherwise.
    pub disagreements: PathBuf,
}

/// How long another solver may take for one query, in milliseconds: its opinion is not needed.
const SECOND_OPINION: u32 = 1_000;

/// Solvers by name: one that proves, and perhaps others.
pub(crate) struct Panel {
    main: (String, Choice),
    timeout_ms: u32,
    others: Vec<(String, Choice)>,
    disagreements: PathBuf,
    /// The directory with what was answered before, if that counts.
    answers: Option<PathBuf>,
}

impl Panel {
    /// `main`, with a bound on one query in milliseconds, and `others`, each of which answers.
    pub fn new(main: &Choice, timeout_ms: u32, others: Option<&Others>) -> Result<Panel, SolverError> {
        let named = |choice: &Choice| {
            let version = choice.version()?;
            choice.start(timeout_ms)?.probe()?;
            Ok((version, choice.clone()))
        };
        Ok(Panel {
            main: named(main)?,
            timeout_ms,
            others: others.map_or(&[][..], |others| &others.solvers).iter().map(named).collect::<Result<_, _>>()?,
            disagreements: others.map_or_else(PathBuf::new, |others| others.disagreements.clone()),
            answers: None,
        })
    }

    /// As it is, but the one that proves is not asked what it has answered before, which is kept in the directory `answers`;
    /// where others have a say as well, all are asked.
    pub fn remembering(self, answers: Option<PathBuf>) -> Panel {
        Panel { answers: answers.filter(|_| self.others.is_empty()), ..self }
    }

    /// What the one that proves is called.
    pub fn name(&self) -> &str {
        &self.main.0
    }

    /// What the answers of the one that proves depend on besides the question: its version, its program, its options.
    fn identity(&self) -> String {
        let (version, choice) = &self.main;
        let program = match choice {
            Choice::Program(program) => program.canonicalize().and_then(|file| Ok((file.metadata()?, file))).ok(),
            Choice::Embedded => None,
        };
        let program = program.map(|(file, path)| (path, file.len(), file.modified().ok()));
        format!("{version} {program:?} {}", self.timeout_ms)
    }

    /// Starts them all for a proof of this name.
    pub fn start(&self, proof: &str) -> Result<Solver, SolverError> {
        if let Some(answers) = &self.answers {
            let (choice, timeout_ms) = (self.main.1.clone(), self.timeout_ms);
            let file = answers.join(proof).with_extension("answers");
            return Ok(Solver::cached(move || choice.start(timeout_ms), &self.identity(), file));
        }
        let main = self.main.1.start(self.timeout_ms)?;
        if self.others.is_empty() {
            return Ok(main);
        }
        let start =
            |(name, choice): &(String, Choice)| Ok((name.clone(), choice.start(self.timeout_ms.min(SECOND_OPINION))?));
        let others = self.others.iter().map(start).collect::<Result<_, _>>()?;
        Ok(Solver::cross_check((self.main.0.clone(), main), others, self.disagreements.join(proof)))
    }
}
