//! Tests of the cache: it answers repeated queries, and only these.
use smt::solver::{Solver, SolverError, Verdict};
use smt::term::{Arena, Range, Term};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory that is removed when the value is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let directory = std::env::temp_dir().join(format!("cairn-cache-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        Directory(directory)
    }

    fn file(&self) -> PathBuf {
        self.0.join("answers")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `x < bound`, for an `x` that is at least 5.
fn question(arena: &mut Arena, bound: u64) -> (Term, Term) {
    let x = arena.var("x", Range::WORD);
    let (five, bound) = (arena.number(5), arena.number(bound));
    let below = arena.lt(x, five);
    (arena.not(below), arena.lt(x, bound))
}

/// The results of two queries, and how many of them the cache answered.
struct Asked {
    verdicts: [Verdict; 2],
    x: i128,
    remembered: u64,
    started: u64,
}

/// Asks, each in a scope of its own, whether `x` can be below `bound` and whether it can be below 5.
fn ask(file: &Path, identity: &str, bound: u64) -> Asked {
    let started = Arc::new(AtomicU64::new(0));
    let count = started.clone();
    let start = move || {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Solver::embedded(10_000))
    };
    let mut solver = Solver::cached(start, identity, file.to_path_buf());
    let mut arena = Arena::default();
    let (at_least, below) = question(&mut arena, bound);
    let (_, never) = question(&mut arena, 5);
    solver.assert(&arena, at_least);
    let mut x = -1;
    let verdicts = [below, never].map(|goal| {
        solver.push();
        let verdict = solver.check(&arena, &[goal]).expect("it answers");
        if verdict == Verdict::Sat {
            x = solver.model().expect("it answers").expect("in time")[0].1;
        }
        solver.pop(1);
        verdict
    });
    Asked { verdicts, x, remembered: solver.remembered(), started: started.load(Ordering::Relaxed) }
}

#[test]
fn what_was_answered_is_not_asked_again() {
    let directory = Directory::new("again");
    let first = ask(&directory.file(), "one", 7);
    assert_eq!((first.verdicts, first.remembered, first.started), ([Verdict::Sat, Verdict::Unsat], 0, 1));
    let again = ask(&directory.file(), "one", 7);
    assert_eq!((again.verdicts, again.remembered, again.started), (first.verdicts, 2, 0));
    assert!(again.x == first.x && (5..7).contains(&again.x));
}

#[test]
fn another_question_is_asked() {
    let directory = Directory::new("other");
    ask(&directory.file(), "one", 7);
    let other = ask(&directory.file(), "one", 4);
    assert_eq!((other.verdicts, other.remembered, other.started), ([Verdict::Unsat, Verdict::Unsat], 1, 1));
    // The file has the answers of the last run.
    assert_eq!(ask(&directory.file(), "one", 4).remembered, 2);
    assert_eq!(ask(&directory.file(), "one", 7).remembered, 1);
}

#[test]
fn what_is_asserted_is_part_of_the_question() {
    let directory = Directory::new("asserted");
    let verdict = |bound: Option<u64>| {
        let mut solver = Solver::cached(|| Ok(Solver::embedded(10_000)), "one", directory.file());
        let mut arena = Arena::default();
        let (_, six) = question(&mut arena, 6);
        if let Some(bound) = bound {
            let (_, below) = question(&mut arena, bound);
            let not = arena.not(below);
            solver.assert(&arena, not);
        }
        solver.check(&arena, &[six]).expect("it answers")
    };
    assert_eq!(verdict(None), Verdict::Sat);
    assert_eq!(verdict(Some(6)), Verdict::Unsat);
    assert_eq!(verdict(Some(5)), Verdict::Sat);
    assert_eq!(verdict(None), Verdict::Sat);
}

#[test]
fn another_solver_is_asked() {
    let directory = Directory::new("identity");
    ask(&directory.file(), "one", 7);
    let other = ask(&directory.file(), "two", 7);
    assert_eq!((other.remembered, other.started), (0, 1));
}

#[test]
fn what_is_damaged_is_ignored() {
    let directory = Directory::new("damaged");
    ask(&directory.file(), "one", 7);
    let whole = fs::read(directory.file()).expect("it was written");
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(directory.file(), &damaged).expect("can be written");
        let again = ask(&directory.file(), "one", 7);
        assert_eq!((again.verdicts, again.remembered), ([Verdict::Sat, Verdict::Unsat], 0), "byte {at}");
    }
    for length in 0..whole.len() {
        fs::write(directory.file(), &whole[..length]).expect("can be written");
        assert_eq!(ask(&directory.file(), "one", 7).remembered, 0, "{length} bytes");
    }
    assert_eq!(ask(&directory.file(), "one", 7).remembered, 2);
}

#[test]
fn a_solver_that_does_not_start_says_so_when_it_is_needed() {
    let directory = Directory::new("start");
    let fails = || Err(SolverError::Start("none".to_string(), io::ErrorKind::NotFound.into()));
    let mut solver = Solver::cached(fails, "one", directory.file());
    assert!(matches!(solver.check(&Arena::default(), &[]), Err(SolverError::Start(..))));
}
