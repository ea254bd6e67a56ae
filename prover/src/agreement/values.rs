//! Every operation on words, wide words, counters and flags returns the same result in both domains, or goes out of
//! range in both. The symbolic operands are constants or unknowns.
use super::concrete::{World, value, walk, without_solver};
use super::side::{Side, make_unknown};
use crate::state::sym::Sym;
use domain::{Flag, Nat, Wide};
use layer::core::geometry::X64;
use proptest::prelude::*;
use sim::machine::Sim;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::rc::Rc;
use symbolic::merge::condition;

/// The operands.
#[derive(Clone, Copy, Debug)]
struct Operands {
    a: u32,
    b: u32,
    /// A factor, a divisor, or a constant for comparisons.
    k: u32,
    wide: u64,
    other: u64,
    constant: u64,
    flag: bool,
}

/// The operands in a domain.
#[derive(Clone, Copy)]
struct Given<D: Side> {
    a: D::Word,
    b: D::Word,
    k: u32,
    wide: D::Wide,
    other: D::Wide,
    constant: u64,
    m: D::Nat,
    n: D::Nat,
    flag: D::Flag,
}

impl<D: Side> Given<D> {
    fn new(o: &Operands) -> Self {
        Given {
            a: D::word(o.a),
            b: D::word(o.b),
            k: o.k,
            wide: D::wide(o.wide),
            other: D::wide(o.other),
            constant: o.constant,
            m: D::nat(o.a),
            n: D::nat(o.b),
            flag: D::flag(o.flag),
        }
    }
}

/// The results of an operation, as numbers.
type Gives = Vec<i128>;

struct Operation<D: Side> {
    name: &'static str,
    run: fn(Given<D>) -> Gives,
    /// The contract of the operation: whether it stays in range.
    in_range: fn(&Operands) -> bool,
}

fn order(order: Ordering) -> i128 {
    order as i128
}

/// All comparisons of `$x` and `$y`.
macro_rules! comparisons {
    ($x:expr, $y:expr) => {
        [$x == $y, $x != $y, $x < $y, $x <= $y, $x > $y, $x >= $y].map(i128::from).to_vec()
    };
}

fn operations<D: Side>() -> Vec<Operation<D>> {
    let always: fn(&Operands) -> bool = |_| true;
    let of = |name, run, in_range| Operation { name, run, in_range };
    vec![
        of("a + b", |g| vec![D::see_word(g.a + g.b)], |o| o.a.checked_add(o.b).is_some()),
        of("a + k", |g| vec![D::see_word(g.a + g.k)], |o| o.a.checked_add(o.k).is_some()),
        of("a + b round", |g| vec![D::see_word(domain::Word::wrapping_add(g.a, g.b))], always),
        of("a - b", |g| vec![D::see_word(g.a - g.b)], |o| o.b <= o.a),
        of("a - k", |g| vec![D::see_word(g.a - g.k)], |o| o.k <= o.a),
        of("a * k", |g| vec![D::see_word(g.a * g.k)], |o| o.a.checked_mul(o.k).is_some()),
        of("a / k", |g| vec![D::see_word(g.a / g.k.max(1))], always),
        of("a % k", |g| vec![D::see_word(g.a % g.k.max(1))], always),
        of(
            "a += b",
            |mut g| {
                g.a += g.b;
                vec![D::see_word(g.a)]
            },
            |o| o.a.checked_add(o.b).is_some(),
        ),
        of(
            "a += k",
            |mut g| {
                g.a += g.k;
                vec![D::see_word(g.a)]
            },
            |o| o.a.checked_add(o.k).is_some(),
        ),
        of(
            "a -= b",
            |mut g| {
                g.a -= g.b;
                vec![D::see_word(g.a)]
            },
            |o| o.b <= o.a,
        ),
        of(
            "a -= k",
            |mut g| {
                g.a -= g.k;
                vec![D::see_word(g.a)]
            },
            |o| o.k <= o.a,
        ),
        of(
            "(a / k) * k + a % k",
            |g| {
                let k = g.k.max(1);
                vec![D::see_word(g.a / k * k + g.a % k)]
            },
            always,
        ),
        of("a + k - k", |g| vec![D::see_word(g.a + g.k - g.k)], |o| o.a.checked_add(o.k).is_some()),
        of("a with b", |g| comparisons!(g.a, g.b), always),
        of("a with k", |g| comparisons!(g.a, g.k), always),
        of(
            "order of words",
            |g| {
                let (least, most) = (g.a.min(g.b), g.a.max(g.b));
                vec![order(g.a.cmp(&g.b)), order(g.a.partial_cmp(&g.b).unwrap()), D::see_word(least), D::see_word(most)]
            },
            always,
        ),
        of(
            "constants",
            |g| vec![D::see_word(g.k.into()), D::see_wide(D::Wide::constant(g.constant)), D::see_nat(D::Nat::zero())],
            always,
        ),
        of("low", |g| vec![D::see_word(g.wide.low()), D::see_word(D::Wide::from(g.a).low())], always),
        of(
            "narrow",
            |g| {
                let narrow = |wide: D::Wide| wide.narrow().map_or(-1, D::see_word);
                vec![narrow(g.wide), narrow(D::Wide::from(g.a))]
            },
            always,
        ),
        of("wide from a", |g| vec![D::see_wide(g.a.into())], always),
        of("wide with wide", |g| [g.wide == g.other, g.wide != g.other].map(i128::from).to_vec(), always),
        of("wide with constant", |g| comparisons!(g.wide, g.constant), always),
        of("m + n", |g| vec![D::see_nat(g.m + g.n), D::see_nat(g.m + g.n + g.m)], always),
        of("m + k", |g| vec![D::see_nat(g.m + g.k), D::see_nat(g.m + g.k + g.k)], always),
        of("m with n", |g| comparisons!(g.m, g.n), always),
        of("m with k", |g| [g.m == g.k, g.m != g.k].map(i128::from).to_vec(), always),
        of(
            "order of counters",
            |g| vec![order(g.m.cmp(&g.n)), D::see_nat(g.m.min(g.n)), D::see_nat(g.m.max(g.n)), D::see_nat(g.a.into())],
            always,
        ),
        of("holds", |g| vec![g.flag.holds().into(), D::Flag::from(true).holds().into()], always),
        of(
            "decide",
            |g| {
                let of_all = D::decide(|| g.flag.holds() && g.a <= g.b || g.wide == g.constant);
                let in_it = D::decide(|| if g.flag.holds() { g.a == g.k } else { g.a != g.b });
                vec![of_all.into(), in_it.into()]
            },
            always,
        ),
    ]
}

/// A world whose only unknowns are those that `tell` sets.
struct Nothing;

impl World for Nothing {
    fn cell(&self, map: &str, leaf: &str, key: &[u32]) -> u64 {
        unreachable!("{map}:{leaf} at {key:?} is not read")
    }
    fn scalar(&self, name: &str) -> u64 {
        unreachable!("{name} is not read")
    }
    fn row(&self, family: &str, _: u32, name: &str) -> u64 {
        unreachable!("{family}.{name} is not read")
    }
}

/// The symbolic results of an operation. `None` if it goes out of range.
fn symbolically(operation: &Operation<Sym<X64>>, operands: &Operands, strict: bool) -> Option<Gives> {
    let found = RefCell::new(None);
    let outcome = walk(Rc::new(Nothing), strict, &|| {
        *found.borrow_mut() = Some((operation.run)(Given::new(operands)));
    });
    // Going out of range is a failed obligation in a strict proof. Otherwise it ends the path.
    let out_of_range = found.borrow().is_none();
    assert_eq!(outcome.failures.len(), usize::from(strict && out_of_range), "{:?}", outcome.failures);
    found.into_inner()
}

fn agree(operands: &Operands) -> Result<(), TestCaseError> {
    for (hosted, symbolic) in operations::<Sim>().iter().zip(operations::<Sym<X64>>()) {
        let expected = (hosted.in_range)(operands).then(|| (hosted.run)(Given::new(operands)));
        for (unknown, strict) in [(false, true), (true, true), (false, false), (true, false)] {
            make_unknown(unknown);
            let found = symbolically(&symbolic, operands, strict);
            prop_assert_eq!(&found, &expected, "{}, unknown: {}, strict: {}", hosted.name, unknown, strict);
        }
        // The operation inside a merged condition.
        let whole = RefCell::new(None);
        walk(Rc::new(Nothing), true, &|| {
            let given = Given::new(operands);
            let holds = condition(&|| {
                // The symbolic results have values only on the path that the operands take. So they are not compared
                // here.
                exactly(&symbolic, given)
            });
            *whole.borrow_mut() = Some(value(holds) != 0);
        });
        prop_assert_eq!(whole.into_inner(), Some(expected.is_some()), "{} as a condition", hosted.name);
    }
    Ok(())
}

/// `operation` stays in range.
fn exactly(operation: &Operation<Sym<X64>>, given: Given<Sym<X64>>) -> bool {
    let _ = (operation.run)(given);
    true
}

/// The ends of ranges, and their neighbours.
const ENDS: &[u64] = &[
    0,
    1,
    2,
    3,
    7,
    8,
    4095,
    4096,
    65_536,
    (1 << 31) - 1,
    1 << 31,
    (1 << 31) + 1,
    (1 << 32) - 2,
    (1 << 32) - 1,
    1 << 32,
    (1 << 32) + 1,
    (1 << 63) - 1,
    1 << 63,
    (1 << 63) + 1,
    u64::MAX - 1,
    u64::MAX,
];

fn wide() -> impl Strategy<Value = u64> {
    prop_oneof![2 => prop::sample::select(ENDS), 1 => any::<u64>(), 1 => any::<u32>().prop_map(u64::from)]
}

fn word() -> impl Strategy<Value = u32> {
    wide().prop_map(|wide| wide as u32)
}

fn operands() -> impl Strategy<Value = Operands> {
    let equal = any::<(bool, bool, bool)>();
    let words = (word(), word(), word());
    ((words, wide(), wide(), wide()), any::<bool>(), equal).prop_map(
        |(((a, b, k), wide, other, constant), flag, equal)| Operands {
            a,
            b: if equal.0 { a } else { b },
            k: if equal.1 { a } else { k },
            wide,
            other: if equal.2 { wide } else { other },
            constant: if equal.0 { wide } else { constant },
            flag,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn operations_give_the_same_on_both_domains(operands in prop::collection::vec(operands(), 8)) {
        without_solver(|| operands.iter().try_for_each(agree))?;
    }
}
