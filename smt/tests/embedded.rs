//! Tests that the embedded solver agrees with exhaustive search, and with z3 if one is installed.
use proptest::prelude::*;
use smt::model::Model;
use smt::solver::{Solver, Verdict};
use smt::term::{Arena, Node, Range, Term};

/// Makes terms from bytes, such that fewer bytes make smaller terms.
struct Maker<'a> {
    arena: Arena,
    bytes: std::slice::Iter<'a, u8>,
    /// Whether variables may be counters.
    counters: bool,
    leaves: Vec<Term>,
}

impl Maker<'_> {
    fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }

    fn leaf(&mut self, term: Term) -> Term {
        if !self.leaves.contains(&term) {
            self.leaves.push(term);
        }
        term
    }

    fn number(&mut self, depth: u32) -> Term {
        let choice = if depth == 0 { self.byte() % 4 } else { self.byte() % 11 };
        match choice {
            0 => {
                let value = u64::from(self.byte() % 7);
                self.arena.number(value)
            }
            1 | 2 => {
                let (name, range) = match self.byte() % 4 {
                    0 => ("a", Range::UpTo(4)),
                    1 => ("b", Range::UpTo(3)),
                    2 => ("c", if self.counters { Range::Nat } else { Range::UpTo(2) }),
                    _ => ("d", Range::UpTo(5)),
                };
                let term = self.arena.var(name, range);
                self.leaf(term)
            }
            3 | 4 => {
                let argument = self.number(depth.saturating_sub(1).min(1));
                let name = self.arena.name("f");
                let term = self.arena.app(name, Range::UpTo(2), vec![argument]);
                self.leaf(term)
            }
            5 => {
                let (a, b) = (self.number(depth - 1), self.number(depth - 1));
                self.arena.add(a, b)
            }
            6 => {
                let (a, b) = (self.number(depth - 1), self.number(depth - 1));
                self.arena.sub(a, b)
            }
            7 => {
                let (a, c) = (self.number(depth - 1), self.byte());
                self.arena.mul(a, u64::from(c % 16))
            }
            8 => {
                let (a, c) = (self.number(depth - 1), self.byte());
                self.arena.div(a, u64::from(c % 9) + 1)
            }
            9 => {
                let (a, c) = (self.number(depth - 1), self.byte());
                self.arena.rem(a, u64::from(c % 9) + 1)
            }
            _ => {
                let c = self.truth(depth - 1);
                let (a, b) = (self.number(depth - 1), self.number(depth - 1));
                self.arena.ite(c, a, b)
            }
        }
    }

    fn truth(&mut self, depth: u32) -> Term {
        let choice = if depth == 0 { self.byte() % 2 } else { self.byte() % 8 };
        match choice {
            0 => {
                let term = self.arena.var("p", Range::Bool);
                self.leaf(term)
            }
            1..=3 => {
                let (a, b) = (self.number(depth), self.number(depth));
                if choice == 1 { self.arena.eq(a, b) } else { self.arena.lt(a, b) }
            }
            4 => {
                let a = self.truth(depth - 1);
                self.arena.not(a)
            }
            5 => {
                let (a, b) = (self.truth(depth - 1), self.truth(depth - 1));
                self.arena.and(a, b)
            }
            6 => {
                let (a, b) = (self.truth(depth - 1), self.truth(depth - 1));
                self.arena.eq(a, b)
            }
            _ => {
                let (c, a, b) = (self.truth(depth - 1), self.truth(depth - 1), self.truth(depth - 1));
                self.arena.ite(c, a, b)
            }
        }
    }
}

/// Whether all of `terms` hold in `model`, and equal arguments of its functions have equal results.
fn is_model(arena: &Arena, terms: &[Term], leaves: &[(Term, i128)]) -> bool {
    let mut model = Model::new(arena, leaves.to_vec());
    let applications: Vec<(Vec<i128>, i128)> = leaves
        .iter()
        .filter_map(|&(leaf, value)| match arena.node(leaf) {
            Node::App(_, _, arguments) => Some((arguments.iter().map(|&a| model.value(arena, a)).collect(), value)),
            _ => None,
        })
        .collect();
    let functional = applications.iter().all(|a| applications.iter().all(|b| a.0 != b.0 || a.1 == b.1));
    functional && terms.iter().all(|&term| model.holds(arena, term))
}

fn most(arena: &Arena, leaf: Term) -> i128 {
    match arena.node(leaf) {
        Node::Var(_, Range::UpTo(most)) | Node::App(_, Range::UpTo(most), _) => (*most).into(),
        Node::Var(_, Range::Bool) => 1,
        _ => 8,
    }
}

/// Whether `terms` have a model whose counters are at most 8.
fn has_model(arena: &Arena, all: &[Term], terms: &[Term]) -> bool {
    // Sorted terms have arguments before their applications.
    let mut leaves: Vec<(Term, i128)> = all.iter().map(|&leaf| (leaf, 0)).collect();
    leaves.sort_unstable();
    loop {
        if is_model(arena, terms, &leaves) {
            return true;
        }
        let Some(next) = leaves.iter().position(|&(leaf, value)| value < most(arena, leaf)) else { return false };
        leaves[..next].iter_mut().for_each(|leaf| leaf.1 = 0);
        leaves[next].1 += 1;
    }
}

/// A z3, if one is installed by `setup` or on the search path.
fn z3() -> Option<Solver> {
    let pinned = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/z3/bin/z3");
    Solver::start(pinned, 10_000).or_else(|_| Solver::start("z3", 10_000)).ok()
}

/// Maximum number of different leaves of a case, because all combinations of their values are
/// tried.
const MOST_LEAVES: usize = 6;

/// A generator of terms, and `count` conditions made from `bytes`.
fn conditions(bytes: &[u8], counters: bool, count: usize) -> (Maker<'_>, Vec<Term>) {
    let mut maker = Maker { arena: Arena::default(), bytes: bytes.iter(), counters, leaves: Vec::new() };
    let terms = (0..count).map(|_| maker.truth(3)).collect();
    (maker, terms)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn verdicts_are_those_of_trying_everything(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let (maker, terms) = conditions(&bytes, false, 3);
        prop_assume!(maker.leaves.len() <= MOST_LEAVES);
        let arena = &maker.arena;
        let mut solver = Solver::embedded(10_000);
        let mut open: Vec<Term> = Vec::new();
        let check = |solver: &mut Solver, open: &[Term], extra: &[Term]| {
            let all: Vec<Term> = open.iter().chain(extra).copied().collect();
            let verdict = solver.check(arena, extra).expect("it answers");
            let expected = if has_model(arena, &maker.leaves, &all) { Verdict::Sat } else { Verdict::Unsat };
            assert_eq!(verdict, expected);
            if verdict == Verdict::Sat {
                let leaves = solver.model().expect("it answers").expect("in time");
                assert!(is_model(arena, &all, &leaves), "{leaves:?}");
            }
        };
        // Opens scope after scope, the newest condition first as an assumption; then closes them one by one.
        for &term in &terms {
            check(&mut solver, &open, &[term]);
            solver.push();
            solver.assert(arena, term);
            open.push(term);
            check(&mut solver, &open, &[]);
        }
        while open.pop().is_some() {
            solver.pop(1);
            check(&mut solver, &open, &terms[1..]);
            check(&mut solver, &open, &[]);
        }
    }

    #[test]
    fn counters_have_no_bound(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let (maker, terms) = conditions(&bytes, true, 2);
        prop_assume!(maker.leaves.len() < MOST_LEAVES);
        let arena = &maker.arena;
        let mut solver = Solver::embedded(10_000);
        terms.iter().for_each(|&term| solver.assert(arena, term));
        let verdict = solver.check(arena, &[]).expect("it answers");
        if verdict == Verdict::Sat {
            let leaves = solver.model().expect("it answers").expect("in time");
            prop_assert!(is_model(arena, &terms, &leaves), "{leaves:?}");
        } else {
            prop_assert!(!has_model(arena, &maker.leaves, &terms));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn z3_agrees(bytes in prop::collection::vec(any::<u8>(), 0..200), counters in any::<bool>()) {
        let (maker, terms) = conditions(&bytes, counters, 3);
        let Some(mut other) = z3() else { return Ok(()) };
        let mut solver = Solver::embedded(10_000);
        for &term in &terms {
            solver.assert(&maker.arena, term);
            other.assert(&maker.arena, term);
            let verdicts = [&mut solver, &mut other].map(|s| s.check(&maker.arena, &[]).expect("it answers"));
            prop_assert!(verdicts[0] == verdicts[1] || verdicts[0] == Verdict::Unknown && counters, "{verdicts:?}");
        }
    }
}

/// The verdict on a condition about two counters.
fn of_counters(condition: impl FnOnce(&mut Arena, Term, Term) -> Term) -> Verdict {
    let mut arena = Arena::default();
    let (x, y) = (arena.var("x", Range::Nat), arena.var("y", Range::Nat));
    let condition = condition(&mut arena, x, y);
    let mut solver = Solver::embedded(10_000);
    solver.assert(&arena, condition);
    solver.check(&arena, &[]).expect("it answers")
}

#[test]
fn a_contradiction_that_needs_small_counters_is_none() {
    // A number that is larger than the bits of a counter can represent.
    let huge = of_counters(|arena, x, _| {
        let mut huge = arena.number(1 << 63);
        for _ in 0..3 {
            huge = arena.mul(huge, 1 << 10);
        }
        arena.lt(huge, x)
    });
    assert_eq!(huge, Verdict::Unknown);
    let (product, difference) = (
        of_counters(|arena, x, _| {
            let (product, three) = (arena.mul(x, 2), arena.number(3));
            arena.eq(product, three)
        }),
        of_counters(|arena, x, y| {
            let next = arena.number(1);
            let next = arena.add(y, next);
            let (less, more) = (arena.lt(x, y), arena.lt(next, x));
            arena.and(less, more)
        }),
    );
    // No number doubled is 3, but the solver proves this for small numbers only.
    assert_eq!(product, Verdict::Unknown);
    assert_eq!(difference, Verdict::Unsat);
}

#[test]
fn what_is_too_hard_is_unknown() {
    let mut arena = Arena::default();
    let (x, y) = (arena.var("x", Range::WIDE), arena.var("y", Range::WIDE));
    let one = arena.number(1);
    let (a, b) = (arena.mul(x, 0x1234_5679), arena.mul(y, 0x7654_3211));
    let (a, b) = (arena.rem(a, 0xffff_fffb), arena.rem(b, 0xfff_ffc7));
    let (a, b) = (arena.add(a, one), arena.eq(a, b));
    let (c, d) = (arena.rem(a, 77_777), arena.number(77_776));
    let (c, d) = (arena.eq(c, d), arena.lt(y, x));
    let mut solver = Solver::embedded(1);
    for term in [b, c, d] {
        solver.assert(&arena, term);
    }
    assert_eq!(solver.check(&arena, &[]).expect("it answers"), Verdict::Unknown);
    solver.push();
    let (never, same) = (arena.lt(x, x), arena.eq(x, y));
    assert_eq!(arena.as_bool(never), Some(false));
    solver.assert(&arena, same);
    assert_eq!(solver.check(&arena, &[]).expect("it answers"), Verdict::Unsat);
}

#[test]
fn one_is_less_or_equal_or_greater() {
    let mut arena = Arena::default();
    let (x, y) = (arena.var("x", Range::WORD), arena.var("y", Range::WORD));
    let (less, greater, equal) = (arena.lt(x, y), arena.lt(y, x), arena.eq(x, y));
    let all = [less, greater, equal];
    let mut solver = Solver::embedded(10_000);
    for &one in &all {
        assert_eq!(solver.check(&arena, &[one]).expect("it answers"), Verdict::Sat);
        let leaves = solver.model().expect("it answers").expect("in time");
        assert!(is_model(&arena, &[one], &leaves), "{leaves:?}");
        for &other in all.iter().filter(|&&other| other != one) {
            assert_eq!(solver.check(&arena, &[one, other]).expect("it answers"), Verdict::Unsat);
        }
    }
    let none = all.map(|one| arena.not(one));
    assert_eq!(solver.check(&arena, &none).expect("it answers"), Verdict::Unsat);
}

#[test]
fn what_closed_scopes_said_is_forgotten_and_the_rest_is_not() {
    let mut arena = Arena::default();
    let (x, y) = (arena.var("x", Range::WIDE), arena.var("y", Range::WIDE));
    let name = arena.name("f");
    let [fx, fy] = [x, y].map(|argument| arena.app(name, Range::WORD, vec![argument]));
    let (same, differ) = (arena.eq(x, y), arena.eq(fx, fy));
    let differ = arena.not(differ);
    let mut solver = Solver::embedded(10_000);
    solver.assert(&arena, differ);
    solver.push();
    solver.assert(&arena, same);
    // Enough closed scopes to make the solver rebuild its circuit.
    for i in 0..40 {
        solver.push();
        let z = arena.var(&format!("z{i}"), Range::WIDE);
        let (rest, most) = (arena.rem(z, 1_000_003 + i), arena.number(7 + i));
        let rest = arena.eq(rest, most);
        solver.assert(&arena, rest);
        assert_eq!(solver.check(&arena, &[]).expect("it answers"), Verdict::Unsat);
        solver.pop(1);
    }
    assert_eq!(solver.check(&arena, &[]).expect("it answers"), Verdict::Unsat);
    solver.pop(1);
    assert_eq!(solver.check(&arena, &[]).expect("it answers"), Verdict::Sat);
    let leaves = solver.model().expect("it answers").expect("in time");
    let mut known: Vec<Term> = leaves.iter().map(|leaf| leaf.0).collect();
    known.sort_unstable();
    assert_eq!(known, [x, y, fx, fy]);
    assert!(is_model(&arena, &[differ], &leaves), "{leaves:?}");
}
