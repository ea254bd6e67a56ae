//! Several solvers that are asked the same: the first answers, the others may not contradict it.
use crate::solver::{Backend, SolverError, Tally, Verdict};
use crate::term::{Arena, Term};
use std::io;
use std::path::PathBuf;

/// One of the solvers.
struct Voice {
    backend: Box<dyn Backend>,
    tally: Tally,
    /// It can still be asked: it did not die.
    asked: bool,
}

impl Voice {
    fn new(name: String, backend: Box<dyn Backend>) -> Voice {
        Voice { backend, tally: Tally::new(name), asked: true }
    }

    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Sat | Verdict::Unsat => self.tally.decided += 1,
            Verdict::Unknown => self.tally.undecided += 1,
        }
    }

    fn said(&self, verdict: Verdict) -> (String, Verdict) {
        (self.tally.solver.clone(), verdict)
    }
}

/// A solver, and others that are asked what it is asked.
pub struct CrossCheck {
    main: Voice,
    others: Vec<Voice>,
    /// How the files begin into which questions are written.
    replay: PathBuf,
    files: u32,
}

impl CrossCheck {
    /// `main` answers; contradicted questions are written to files `replay` with a number at its end.
    pub fn new(
        main: (String, Box<dyn Backend>),
        others: Vec<(String, Box<dyn Backend>)>,
        replay: PathBuf,
    ) -> CrossCheck {
        CrossCheck {
            main: Voice::new(main.0, main.1),
            others: others.into_iter().map(|(name, backend)| Voice::new(name, backend)).collect(),
            replay,
            files: 0,
        }
    }

    /// Those that can still be asked.
    fn voices(&mut self) -> impl Iterator<Item = &mut Voice> {
        std::iter::once(&mut self.main).chain(self.others.iter_mut().filter(|voice| voice.asked))
    }

    /// Writes the last question to a file.
    fn write(&mut self) -> Result<PathBuf, io::Error> {
        let script = self.voices().find_map(|voice| voice.backend.script());
        let script = script.ok_or_else(|| io::Error::other("no solver speaks text"))?;
        self.files += 1;
        let mut path = self.replay.clone().into_os_string();
        path.push(format!("-{}.smt2", self.files));
        let path = PathBuf::from(path);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        std::fs::write(&path, script)?;
        Ok(path)
    }
}

impl Backend for CrossCheck {
    fn push(&mut self) {
        self.voices().for_each(|voice| voice.backend.push());
    }

    fn pop(&mut self, scopes: usize) {
        self.voices().for_each(|voice| voice.backend.pop(scopes));
    }

    fn assert(&mut self, arena: &Arena, term: Term) {
        self.voices().for_each(|voice| voice.backend.assert(arena, term));
    }

    fn check(&mut self, arena: &Arena, extra: &[Term]) -> Result<Verdict, SolverError> {
        let verdict = self.main.backend.check(arena, extra)?;
        self.main.count(verdict);
        let mut contradicted = None;
        for other in &mut self.others {
            // The proof does without one that died.
            let answer = if other.asked { other.backend.check(arena, extra).ok() } else { None };
            other.asked = answer.is_some();
            let said = answer.unwrap_or(Verdict::Unknown);
            other.count(said);
            if matches!((verdict, said), (Verdict::Sat, Verdict::Unsat) | (Verdict::Unsat, Verdict::Sat)) {
                other.tally.disagreements += 1;
                contradicted.get_or_insert(other.said(said));
            }
        }
        match contradicted {
            None => Ok(verdict),
            Some(other) => {
                Err(SolverError::Disagreement { main: self.main.said(verdict), other, replay: self.write() })
            }
        }
    }

    fn model(&mut self) -> Result<Option<Vec<(Term, i128)>>, SolverError> {
        self.main.backend.model()
    }

    fn limit(&mut self, milliseconds: u32) {
        self.voices().for_each(|voice| voice.backend.limit(milliseconds));
    }

    fn script(&self) -> Option<String> {
        self.main.backend.script()
    }

    fn replaced(&self) -> u64 {
        self.main.backend.replaced()
    }

    fn tallies(&self) -> Vec<Tally> {
        std::iter::once(&self.main).chain(&self.others).map(|voice| voice.tally.clone()).collect()
    }
}
