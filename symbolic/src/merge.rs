//! Merging: all paths of a closure as one term, without asking the solver.
use crate::engine::engine;
use crate::mutation::running;
use crate::path::{Abandon, Merge};
use smt::term::Term;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A path of a merged closure: its decisions and its result. The result is `None` if the path went out of range.
struct Walked<R> {
    taken: Vec<(Term, bool)>,
    result: Option<R>,
}

/// Walks every path of `code`, depth first, without asking the solver.
fn walk<R>(code: &dyn Fn() -> R) -> Vec<Walked<R>> {
    let mut work = vec![Vec::new()];
    let mut walked = Vec::new();
    while let Some(prefix) = work.pop() {
        let known = prefix.len();
        let depth = engine(|e| {
            e.path.merges.push(Merge { prefix, taken: Vec::new() });
            e.path.merges.len()
        });
        let result = catch_unwind(AssertUnwindSafe(code));
        let taken = engine(|e| {
            e.path.merges.truncate(depth);
            e.path.merges.pop().expect("pushed above").taken
        });
        for (i, &(_, value)) in taken.iter().enumerate().skip(known) {
            if value {
                work.push(taken[..i].iter().map(|t| t.1).chain([false]).collect());
            }
        }
        let result = match result {
            Ok(result) => Some(result),
            Err(payload) if payload.is::<Abandon>() => None,
            Err(payload) => resume_unwind(payload),
        };
        walked.push(Walked { taken, result });
    }
    walked
}

/// Merges paths with the same first `depth` decisions into one term: nested if-then-else over their decisions.
fn tree<R>(paths: &[Walked<R>], depth: usize, leaf: &dyn Fn(&Option<R>) -> Term) -> Term {
    let first = &paths[0];
    let Some(&(condition, _)) = first.taken.get(depth) else { return leaf(&first.result) };
    // The walk completes one side of a decision before it begins the other.
    let split = paths.iter().position(|path| !path.taken[depth].1).unwrap_or(paths.len());
    match (&paths[..split], &paths[split..]) {
        ([], no) => tree(no, depth + 1, leaf),
        (yes, []) => tree(yes, depth + 1, leaf),
        (yes, no) => {
            let (yes, no) = (tree(yes, depth + 1, leaf), tree(no, depth + 1, leaf));
            engine(|e| e.arena.ite(condition, yes, no))
        }
    }
}

/// Evaluates `code` on all its paths as one Boolean term. A path that goes out of range is false.
pub fn condition(code: &dyn Fn() -> bool) -> Term {
    let paths = walk(code);
    tree(&paths, 0, &|result| engine(|e| e.arena.bool(*result == Some(true))))
}

/// Whether no path of `code` goes out of range, as a term.
pub fn in_range(code: &dyn Fn()) -> Term {
    condition(&|| {
        code();
        true
    })
}

/// The results of all paths of `code` that stay in range.
pub fn every_path<R>(code: &dyn Fn() -> R) -> Vec<R> {
    walk(code).into_iter().filter_map(|path| path.result).collect()
}

/// As [`condition`], for a goal: facts are instantiated at the keys that `code` reads.
pub fn goal(code: &dyn Fn() -> bool) -> Term {
    let outer = engine(|e| e.facts.record());
    let goal = running(false, || condition(code));
    engine(|e| {
        let reads = e.facts.recorded(outer);
        e.facts.touch_goal(&e.arena, &reads);
    });
    goal
}

/// Merges the paths of `code` into one list of leaves. The value of each leaf depends on the path.
pub fn choice(code: &dyn Fn() -> Vec<(&'static str, Term)>) -> Vec<(&'static str, Term)> {
    let paths = walk(code);
    let mut leaves: Vec<(&'static str, Term)> = Vec::new();
    for path in &paths {
        for &(leaf, value) in path.result.iter().flatten() {
            if !leaves.iter().any(|l| l.0 == leaf) {
                leaves.push((leaf, value));
            }
        }
    }
    for (leaf, any) in &mut leaves {
        // If a path does not have this leaf, any value can be used.
        let fallback = *any;
        *any = tree(&paths, 0, &|result| result.iter().flatten().find(|l| l.0 == *leaf).map_or(fallback, |l| l.1));
    }
    leaves
}
