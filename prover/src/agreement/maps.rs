//! Any sequence of operations on maps gives the same reads in both domains. The symbolic keys and values are
//! constants or unknowns.
use super::concrete::{World, walk, without_solver};
use super::side::{Leaves, Side, make_unknown};
use super::z3::z3;
use crate::sources::with_engine;
use crate::state::sym::Sym;
use domain::{Map, Storage};
use layer::core::geometry::X64;
use proptest::prelude::*;
use sim::machine::Sim;
use smt::solver::{Solver, Verdict};
use std::cell::RefCell;
use std::rc::Rc;
use symbolic::engine::engine;
use symbolic::merge::condition;
use symbolic::origin::Origin;
use symbolic::proof::run_paths;
use symbolic::query::{Aim, check, in_scope, prove};

domain::data! {
    /// All kinds of leaves.
    pub struct Thing { word: Word, wide: Wide, nat: Nat, flag: Flag }
    /// Variants with different leaves.
    pub enum Shape { Nothing, Pair { a: Word, b: Wide }, Single { a: Word } }
}

const ONE: u32 = 6;
const TWO: [u32; 2] = [4, 700];

domain::fields! {
    /// A field with a key of one word.
    One "one" [ONE] => Thing;
    /// A field with a key of two.
    Two "two" [TWO[0], TWO[1]] => Shape;
}

/// The raw numbers from which values are made.
#[derive(Clone, Copy, Debug)]
struct Seed {
    word: u32,
    wide: u64,
    flag: bool,
    variant: u32,
}

fn thing<D: Side>(seed: Seed) -> Thing<D> {
    Thing { word: D::word(seed.word), wide: D::wide(seed.wide), nat: D::nat(seed.word / 2), flag: D::flag(seed.flag) }
}

fn shape<D: Side>(seed: Seed) -> Shape<D> {
    match seed.variant {
        0 => Shape::Nothing,
        1 => Shape::Pair { a: D::word(seed.word), b: D::wide(seed.wide) },
        _ => Shape::Single { a: D::word(seed.word) },
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Get(u32),
    Set(u32, Seed),
    Update(u32, Seed),
    Fill(Seed),
    Define(Seed),
    First {
        from: u32,
        to: u32,
        which: usize,
    },
    GetTwo([u32; 2]),
    SetTwo([u32; 2], Seed),
    UpdateTwo([u32; 2], Seed),
    FillRow(u32, Seed),
    FillAll(Seed),
    DefineTwo(Seed),
    /// Havocs one row of the symbolic map. The native row is set to the values of the unknown map.
    Forget(u32),
}

/// The conditions of searches.
fn wanted<D: Side>() -> [fn(Thing<D>) -> bool; 3] {
    use domain::Flag;
    [|t| t.word >= 1 << 31, |t| t.flag.holds() && t.wide == 1, |t| !t.flag.holds()]
}

/// The maps of a domain.
struct Maps<D: Side + Storage<One> + Storage<Two>> {
    one: <D as Storage<One>>::Map,
    two: <D as Storage<Two>>::Map,
}

impl<D: Side + Storage<One> + Storage<Two>> Maps<D> {
    fn new(place: D::Place) -> Self {
        Maps { one: <D as Storage<One>>::at(place), two: <D as Storage<Two>>::at(place) }
    }

    fn step(
        &mut self,
        step: Step,
        forget: &mut dyn FnMut(&mut <D as Storage<Two>>::Map, u32),
        reads: &mut Vec<Leaves>,
    ) {
        let key = |[i, j]: [u32; 2]| [D::word(i), D::word(j)];
        match step {
            Step::Get(i) => reads.push(D::leaves(self.one.get([D::word(i)]))),
            Step::Set(i, seed) => self.one.set([D::word(i)], thing(seed)),
            Step::Update(i, seed) => {
                let old = self.one.update([D::word(i)], |t| {
                    let old = *t;
                    t.word = D::word(seed.word);
                    // The flag is new, or keeps its value.
                    t.flag = if seed.flag { old.flag } else { D::flag(seed.word.is_multiple_of(2)) };
                    t.nat = old.nat + 1;
                    old
                });
                reads.push(D::leaves(old));
            }
            Step::Fill(seed) => self.one.fill(&[], thing(seed)),
            Step::Define(seed) => self.one.define(move |[i]| {
                let seed = if i < seed.variant { seed } else { Seed { flag: !seed.flag, ..seed } };
                Thing {
                    word: i * 3 + seed.word % 1000,
                    wide: if i == 2 { i.into() } else { domain::Wide::constant(seed.wide) },
                    nat: i.into(),
                    flag: seed.flag.into(),
                }
            }),
            Step::First { from, to, which } => {
                let found = self.one.first(D::word(from), D::word(to), wanted::<D>()[which]);
                let found = found.map_or(-1, D::see_word);
                reads.push(Leaves(vec![("first", found)]));
            }
            Step::GetTwo(at) => reads.push(D::leaves(self.two.get(key(at)))),
            Step::SetTwo(at, seed) => self.two.set(key(at), shape(seed)),
            Step::UpdateTwo(at, seed) => {
                let old = self.two.update(key(at), |s| std::mem::replace(s, shape(seed)));
                reads.push(D::leaves(old));
            }
            Step::FillRow(i, seed) => self.two.fill(&[D::word(i)], shape(seed)),
            Step::FillAll(seed) => self.two.fill(&[], shape(seed)),
            Step::DefineTwo(seed) => self.two.define(move |[i, j]| {
                if i == seed.word % TWO[0] {
                    Shape::Nothing
                } else if j < seed.word % TWO[1] {
                    Shape::Pair { a: i * 7 + j, b: j.into() }
                } else {
                    Shape::Single { a: j % 5 }
                }
            }),
            Step::Forget(row) => forget(&mut self.two, row),
        }
    }

    /// All cells of `one`. Of the cells of `two`, those at the ends of rows and at `keys`.
    fn all(&self, keys: &[[u32; 2]]) -> Vec<Leaves> {
        let ends = (0..TWO[0]).flat_map(|i| [0, 1, 511, 512, TWO[1] - 1].map(|j| [i, j]));
        let two = ends.chain(keys.iter().copied()).map(|[i, j]| D::leaves(self.two.get([i.into(), j.into()])));
        (0..ONE).map(|i| D::leaves(self.one.get([i.into()]))).chain(two).collect()
    }
}

/// The values of unknown maps, by version: arbitrary, but always the same.
fn unknown(map: &str, leaf: &str, key: &[u32]) -> u64 {
    let version: u32 = map.split_once('#').map_or(0, |(_, version)| version.parse().expect("a number"));
    // A native map starts with zeros.
    if version == 0 {
        return 0;
    }
    let [i, j] = key[..] else { unreachable!("only the rows of the one with two words are forgotten") };
    let mixed = u64::from(version) * 7919 + u64::from(i) * 104_729 + u64::from(j) * 31;
    match leaf {
        "tag" => mixed % 3,
        _ => mixed,
    }
}

struct Unknown;

impl World for Unknown {
    fn cell(&self, map: &str, leaf: &str, key: &[u32]) -> u64 {
        unknown(map, leaf, key)
    }
    fn scalar(&self, name: &str) -> u64 {
        unreachable!("{name} is not read")
    }
    fn row(&self, family: &str, _: u32, name: &str) -> u64 {
        unreachable!("{family}.{name} is not read")
    }
}

/// The native reads of a sequence of steps. The havocked rows get `versions`, one after the other.
fn natively(steps: &[Step], versions: &[u32], keys: &[[u32; 2]]) -> Vec<Leaves> {
    let mut versions = versions.iter();
    let (mut maps, mut reads) = (Maps::<Sim>::new(()), Vec::new());
    let mut forget = |map: &mut <Sim as Storage<Two>>::Map, row| {
        let name = format!("two#{}", versions.next().expect("a version for each"));
        for j in 0..TWO[1] {
            let leaf = |leaf| unknown(&name, leaf, &[row, j]);
            map.set(
                [row, j],
                match leaf("tag") {
                    0 => Shape::Nothing,
                    1 => Shape::Pair { a: leaf("Pair.a") as u32, b: leaf("Pair.b") },
                    _ => Shape::Single { a: leaf("Single.a") as u32 },
                },
            );
        }
    };
    for &step in steps {
        maps.step(step, &mut forget, &mut reads);
    }
    reads.extend(maps.all(keys));
    reads
}

/// The symbolic reads, and the versions of the havocked rows.
fn symbolically(steps: &[(Step, bool)], keys: &[[u32; 2]]) -> (Vec<Leaves>, Vec<u32>) {
    let found = RefCell::default();
    let outcome = walk(Rc::new(Unknown), true, &|| {
        let place = Origin::START;
        let (mut maps, mut reads, mut versions) = (Maps::<Sym<X64>>::new(place), Vec::new(), Vec::new());
        let mut forget = |map: &mut <Sym<X64> as Storage<Two>>::Map, row| {
            map.forget(&[Sym::<X64>::word(row)]);
            versions.push(engine(|e| e.path.fresh));
        };
        for &(step, unknown) in steps {
            make_unknown(unknown);
            maps.step(step, &mut forget, &mut reads);
        }
        reads.extend(maps.all(keys));
        found.replace((reads, versions));
    });
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    found.into_inner()
}

fn seed() -> impl Strategy<Value = Seed> {
    let word = prop_oneof![0..3u32, Just(1 << 31), Just(u32::MAX), any::<u32>()];
    let wide = prop_oneof![0..3u64, Just(1 << 32), Just(u64::MAX), any::<u64>()];
    (word, wide, any::<bool>(), 0..3u32).prop_map(|(word, wide, flag, variant)| Seed { word, wide, flag, variant })
}

fn two() -> impl Strategy<Value = [u32; 2]> {
    let column = prop_oneof![0..3u32, 510..514u32, Just(TWO[1] - 1), 0..TWO[1]];
    (0..TWO[0], column).prop_map(|(i, j)| [i, j])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..ONE).prop_map(Step::Get),
        3 => (0..ONE, seed()).prop_map(|(i, seed)| Step::Set(i, seed)),
        3 => (0..ONE, seed()).prop_map(|(i, seed)| Step::Update(i, seed)),
        1 => seed().prop_map(Step::Fill),
        1 => seed().prop_map(Step::Define),
        3 => (0..=ONE, 0..=ONE, 0..3usize).prop_map(|(from, to, which)| Step::First { from, to, which }),
        2 => two().prop_map(Step::GetTwo),
        3 => (two(), seed()).prop_map(|(at, seed)| Step::SetTwo(at, seed)),
        3 => (two(), seed()).prop_map(|(at, seed)| Step::UpdateTwo(at, seed)),
        2 => (0..TWO[0], seed()).prop_map(|(i, seed)| Step::FillRow(i, seed)),
        1 => seed().prop_map(Step::FillAll),
        1 => seed().prop_map(Step::DefineTwo),
        2 => (0..TWO[0]).prop_map(Step::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn maps_give_the_same_on_both_domains(
        steps in prop::collection::vec((step(), any::<bool>()), 1..30),
        keys in prop::collection::vec(two(), 10),
    ) {
        let (symbolic, versions) = without_solver(|| symbolically(&steps, &keys));
        let steps: Vec<Step> = steps.into_iter().map(|(step, _)| step).collect();
        prop_assert_eq!(symbolic, natively(&steps, &versions, &keys));
    }
}

/// Runs `code` with constants, and checks that it goes out of range.
fn goes_out_of_range(clause: &str, code: fn(&mut Maps<Sym<X64>>)) {
    without_solver(|| {
        make_unknown(false);
        let outcome = walk(Rc::new(Unknown), true, &|| code(&mut Maps::new(Origin::START)));
        let clauses: Vec<_> = outcome.failures.iter().map(|failure| &*failure.clause).collect();
        assert!(matches!(clauses[..], [only] if only.starts_with(clause)), "not `{clause}` but {clauses:?}");
    });
}

#[test]
fn keys_out_of_bounds_are_found() {
    goes_out_of_range("index of one", |maps| {
        let _ = maps.one.get([ONE.into()]);
    });
    goes_out_of_range("index of one", |maps| maps.one.update([u32::MAX.into()], |_| ()));
    goes_out_of_range("index of two", |maps| maps.two.set([TWO[0].into(), 0.into()], Shape::Nothing));
    goes_out_of_range("index of two", |maps| maps.two.set([0.into(), TWO[1].into()], Shape::Nothing));
    goes_out_of_range("index of two", |maps| maps.two.fill(&[TWO[0].into()], Shape::Nothing));
    goes_out_of_range("search of one", |maps| {
        let _ = maps.one.first(0.into(), (ONE + 1).into(), |_| false);
    });
    goes_out_of_range("definition of two", |maps| maps.two.define(|[i, _]| Shape::Single { a: i - 1 }));
}

/// With a solver, the facts about a search admit exactly one result.
#[test]
fn a_search_gives_the_first_one() {
    let bits = 0..1u32 << ONE;
    let ranges = [(0, ONE), (1, 4), (3, 3), (4, 1), (2, ONE)];
    let solver = z3().unwrap_or_else(|| Solver::embedded(10_000));
    with_engine(solver, || {
        for (bits, (from, to)) in bits.step_by(5).flat_map(|bits| ranges.map(|range| (bits, range))) {
            let has = |i: u32| bits & 1 << i != 0;
            let expected = (from..to).find(|&i| has(i));
            let outcome = run_paths(true, &|outcome| {
                let mut one = Maps::<Sym<X64>>::new(Origin::START).one;
                // The last cell is written. The values of the other cells are assumed.
                for i in 0..ONE - 1 {
                    let is = condition(&|| one.get([i.into()]).word == u32::from(has(i)));
                    engine(|e| e.assume(is));
                }
                one.update([(ONE - 1).into()], |t| t.word = u32::from(has(ONE - 1)).into());
                let found = one.first(from.into(), to.into(), |t| t.word == 1);
                // The symbolic result equals the native one, unless the path is infeasible.
                let right = condition(&|| match (found, expected) {
                    (Some(found), Some(expected)) => found == expected,
                    (None, None) => true,
                    _ => false,
                });
                // These reads trigger the facts.
                for i in 0..ONE {
                    let _ = one.get([i.into()]);
                }
                prove(right, || format!("{found:?} is {expected:?}"));
                let possible = in_scope(|| check(&[], Aim::Witness)) == Verdict::Sat;
                outcome.successful_paths += u64::from(possible);
            });
            assert!(outcome.failures.is_empty(), "{bits:06b} in {from}..{to}: {:?}", outcome.failures);
            assert_eq!(outcome.successful_paths, 1, "{bits:06b} in {from}..{to}");
        }
    });
}
