//! The choice of the solvers.
use smt::solver::{EMBEDDED, Solver, SolverError};
use std::path::PathBuf;

/// A solver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Choice {
    /// An installed program that reads SMT-LIB.
    Program(PathBuf),
    /// The embedded solver, for which nothing needs to be installed.
    Embedded,
}

impl Choice {
    /// The solver's name and version, such as `z3 5.4.0`. If the program does not report its version: its
    /// file name.
    ///
    /// # Errors
    /// If the solver does not start, or does not end in time.
    pub fn version(&self) -> Result<String, SolverError> {
        let Choice::Program(program) = self else { return Ok(EMBEDDED.to_string()) };
        let text = Solver::version(&program.to_string_lossy())?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let version = |name: &str, rest: &[&str]| {
            let at = rest.iter().position(|&word| word == "version")?;
            rest.get(at + 1).map(|version| format!("{} {version}", name.to_lowercase()))
        };
        Ok(match words[..] {
            // The first line is like "This is cvc5 version 1.0.3 …".
            ["This", "is", name, ref rest @ ..] | [name, ref rest @ ..] => version(name, rest),
            [] => Some(program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()),
        }
        .unwrap_or_else(|| text.trim().to_string()))
    }

    /// Starts the solver, with the time limit of one query in milliseconds.
    ///
    /// # Errors
    /// If the solver does not start.
    pub fn start(&self, timeout_ms: u32) -> Result<Solver, SolverError> {
        match self {
            Choice::Program(program) => Solver::start(&program.to_string_lossy(), timeout_ms),
            Choice::Embedded => Ok(Solver::embedded(timeout_ms)),
        }
    }
}

/// Further solvers that get the same queries as the proving one.
#[derive(Clone, Debug)]
pub struct Others {
    /// The further solvers.
    pub solvers: Vec<Choice>,
    /// The directory for queries on which the solvers disagree.
    pub disagreements: PathBuf,
}

/// The time limit of one query to a further solver, in milliseconds. Its answer is not needed for the proof.
const SECOND_OPINION: u32 = 1_000;

/// Named solvers: the proving one, and perhaps further ones.
pub struct Portfolio {
    main: (String, Choice),
    timeout_ms: u32,
    others: Vec<(String, Choice)>,
    disagreements: PathBuf,
    /// The directory of the cache of answers, if it is used.
    answers: Option<PathBuf>,
}

impl Portfolio {
    /// A portfolio of `main`, with a time limit of one query in milliseconds, and `others`. Each solver must report its
    /// version.
    pub fn new(main: &Choice, timeout_ms: u32, others: Option<&Others>) -> Result<Portfolio, SolverError> {
        let named = |choice: &Choice| {
            let version = choice.version()?;
            choice.start(timeout_ms)?.probe()?;
            Ok((version, choice.clone()))
        };
        Ok(Portfolio {
            main: named(main)?,
            timeout_ms,
            others: others.map_or(&[][..], |others| &others.solvers).iter().map(named).collect::<Result<_, _>>()?,
            disagreements: others.map_or_else(PathBuf::new, |others| others.disagreements.clone()),
            answers: None,
        })
    }

    /// This portfolio with a cache of the proving solver's answers in the directory `answers`. With further solvers in the
    /// portfolio, the cache is not used.
    pub fn remembering(self, answers: Option<PathBuf>) -> Portfolio {
        Portfolio { answers: answers.filter(|_| self.others.is_empty()), ..self }
    }

    /// The name of the proving solver.
    pub fn name(&self) -> &str {
        &self.main.0
    }

    /// The solver's part of the cache key: its version, its program and its options.
    fn identity(&self) -> String {
        let (version, choice) = &self.main;
        let program = match choice {
            Choice::Program(program) => program.canonicalize().and_then(|file| Ok((file.metadata()?, file))).ok(),
            Choice::Embedded => None,
        };
        let program = program.map(|(file, path)| (path, file.len(), file.modified().ok()));
        format!("{version} {program:?} {}", self.timeout_ms)
    }

    /// Starts all solvers for the proof `proof`.
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
