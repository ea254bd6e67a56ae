//! Cross-checking: several solvers get the same queries. The first solver's answer counts, and the others must not
//! contradict it.
use crate::backend::{Backend, SolverError, Tally, Verdict};
use crate::term::{Arena, Term};
use std::io;
use std::path::PathBuf;

/// One of the solvers.
struct Voice {
    backend: Box<dyn Backend>,
    /// Its statistics, and whether it can still be asked.
    tally: Tally,
}

impl Voice {
    fn new(name: String, backend: Box<dyn Backend>) -> Voice {
        Voice { backend, tally: Tally::new(name) }
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

/// A main solver, and others that get the same queries.
pub struct CrossCheck {
    main: Voice,
    others: Vec<Voice>,
    /// The beginning of the names of the files into which queries are written.
    query_file: PathBuf,
    files: u32,
}

impl CrossCheck {
    /// `main` answers. Queries on which another solver contradicts the main one are written to files whose names
    /// begin with `query_file`.
    pub fn new(
        main: (String, Box<dyn Backend>),
        others: Vec<(String, Box<dyn Backend>)>,
        query_file: PathBuf,
    ) -> CrossCheck {
        CrossCheck {
            main: Voice::new(main.0, main.1),
            others: others.into_iter().map(|(name, backend)| Voice::new(name, backend)).collect(),
            query_file,
            files: 0,
        }
    }

    /// The solvers that can still be asked.
    fn voices(&mut self) -> impl Iterator<Item = &mut Voice> {
        std::iter::once(&mut self.main).chain(self.others.iter_mut().filter(|voice| voice.tally.lost.is_none()))
    }

    /// Writes the last query to a file.
    fn write(&mut self) -> Result<PathBuf, io::Error> {
        let script = self.voices().find_map(|voice| voice.backend.script());
        let script = script.ok_or_else(|| io::Error::other("no solver speaks text"))?;
        self.files += 1;
        let mut path = self.query_file.clone().into_os_string();
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
            // A solver that died or does not answer is left out; the proof goes on without it.
            let said = match other.tally.lost {
                None => other.backend.check(arena, extra).unwrap_or_else(|error| {
                    other.tally.lost = Some(error.to_string());
                    Verdict::Unknown
                }),
                Some(_) => Verdict::Unknown,
            };
            other.count(said);
            if matches!((verdict, said), (Verdict::Sat, Verdict::Unsat) | (Verdict::Unsat, Verdict::Sat)) {
                other.tally.disagreements += 1;
                contradicted.get_or_insert(other.said(said));
            }
        }
        match contradicted {
            None => Ok(verdict),
            Some(other) => {
                Err(SolverError::Disagreement { main: self.main.said(verdict), other, query_file: self.write() })
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

    fn steps(&self) -> u64 {
        self.main.backend.steps()
    }

    fn replaced(&self) -> u64 {
        self.main.backend.replaced()
    }

    fn tallies(&self) -> Vec<Tally> {
        std::iter::once(&self.main).chain(&self.others).map(|voice| voice.tally.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::backend::{SolverError, Tally, Verdict};
    use crate::solver::Solver;
    use crate::term::{Arena, Range};

    /// The embedded solver, and `other` in a process of its own.
    fn pair(other: &str, query_file: &str) -> Solver {
        let query_file = std::env::temp_dir().join(format!("cairn-{}", std::process::id())).join(query_file);
        let other = ("other".to_string(), Solver::start(other, 1_000).expect("starts"));
        Solver::cross_check(("embedded".to_string(), Solver::embedded(1_000)), vec![other], query_file)
    }

    fn tally(solver: &str, decided: u64, undecided: u64, disagreements: u64) -> Tally {
        Tally { decided, undecided, disagreements, ..Tally::new(solver.to_string()) }
    }

    #[test]
    fn a_disagreement_is_an_error_with_a_file_of_the_query() {
        let mut arena = Arena::default();
        let (x, three) = (arena.var("x", Range::WORD), arena.number(3));
        let (less, more) = (arena.lt(x, three), arena.lt(three, x));
        let mut solver = pair("tests/solvers/liar.sh", "disagreement");
        solver.assert(&arena, less);
        solver.push();
        assert_eq!(solver.check(&arena, &[more]).expect("both agree"), Verdict::Unsat);
        let Err(SolverError::Disagreement { main, other, query_file }) = solver.check(&arena, &[]) else {
            panic!("they do not agree")
        };
        assert_eq!((main.1, other), (Verdict::Sat, ("other".to_string(), Verdict::Unsat)));
        let path = query_file.expect("it was written");
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert!(text.contains("(declare-fun |x| () Int)") && text.ends_with("(check-sat)\n"), "{text}");
        std::fs::remove_dir_all(path.parent().expect("it has one")).expect("it can be removed");
        assert_eq!(solver.tallies(), [tally("embedded", 2, 0, 0), tally("other", 2, 0, 1)]);
    }

    #[test]
    fn a_solver_that_dies_has_no_opinion() {
        let arena = Arena::default();
        let mut solver = pair("tests/solvers/dies.sh", "death");
        for _ in 0..2 {
            assert_eq!(solver.check(&arena, &[]).expect("the main one answers"), Verdict::Sat);
            solver.push();
        }
        let [main, mut other] = <[Tally; 2]>::try_from(solver.tallies()).expect("there are two");
        let lost = other.lost.take().expect("it says why it is not asked");
        assert!(lost.contains("dies.sh` died"), "{lost}");
        assert_eq!([main, other], [tally("embedded", 2, 0, 0), tally("other", 0, 2, 0)]);
    }
}
