//! What is assumed of a state: the facts of the invariant, and what others may have done.
use crate::engine::engine;
use crate::explore::condition;
use crate::facts::{FactSet, Instances, OfState, Quantified, assert_at};
use crate::machine::{Sym, quantified};
use crate::map::Identity;
use crate::mutant::running;
use crate::prove::Ground;
use crate::state::{State, StateIdentity, is_part};
use crate::word::SymWord;
use domain::Geometry;
use layer::invariant::facts;
use rustc_hash::FxHashMap;
use smt::term::Term;
use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

/// The facts of a state that are assumed: at once those without keys, the others where they are looked at.
pub(crate) struct Assumed {
    scalars: Vec<Term>,
    set: Rc<FactSet>,
    /// The facts of the set, by number.
    numbers: Vec<&'static str>,
    /// The fact of a number at some keys, as far as the path knows.
    at: Box<dyn Fn(&str, &[SymWord]) -> Option<Term>>,
    ground: Ground,
    family: Rc<Family>,
}

/// What was made of the states and objects of all paths of one proof: most paths meet the same ones.
#[derive(Default)]
struct Family {
    states: RefCell<FxHashMap<StateIdentity, Rc<Assumed>>>,
    /// The instances of their facts.
    instances: Rc<Instances>,
    /// The states whose maps are told apart by their addresses.
    kept: RefCell<Vec<Rc<dyn Any>>>,
    sets: RefCell<FxHashMap<(&'static str, Vec<Identity>), Rc<FactSet>>>,
}

impl Assumed {
    /// The facts of `ground` of `state`, looked at where its unknown maps are read.
    pub fn new<G: Geometry>(state: &Rc<State<G>>, ground: Ground) -> Rc<Assumed> {
        Assumed::made(state, ground, &|_| true, Rc::default())
    }

    /// Of the same ground, but only the facts called one of `numbers`, of another state.
    pub fn only<G: Geometry>(&self, state: &Rc<State<G>>, numbers: &'static [&'static str]) -> Rc<Assumed> {
        Assumed::made(state, self.ground, &|number| numbers.contains(&number), Rc::default())
    }

    /// Which facts are assumed.
    pub fn ground(&self) -> Ground {
        self.ground
    }

    fn made<G: Geometry>(
        state: &Rc<State<G>>,
        ground: Ground,
        wanted: &dyn Fn(&str) -> bool,
        family: Rc<Family>,
    ) -> Rc<Assumed> {
        let sources = state.sources();
        let mut scalars = Vec::new();
        let (mut quantifieds, mut numbers) = (Vec::new(), Vec::new());
        for fact in facts::<Sym<G>>().filter(|fact| ground.includes(fact) && wanted(fact.number)) {
            let view = state.clone();
            if fact.keys.is_empty() {
                scalars.push(aside(|| condition(&|| (fact.holds)(&view.view(), &[]))));
            } else {
                numbers.push(fact.number);
                let maps = |field: &str| {
                    sources.iter().filter(|(name, _)| is_part(name, field)).flat_map(|(_, maps)| maps.clone()).collect()
                };
                quantifieds.push(quantified::<G>(fact.keys, &maps, move |k| (fact.holds)(&view.view(), k)));
            }
        }
        family.kept.borrow_mut().push(state.clone());
        let identity = state.identity();
        let state = state.clone();
        let at = move |number: &str, keys: &[SymWord]| {
            let fact = facts::<Sym<G>>().find(|fact| fact.number == number && ground.includes(fact))?;
            Some(untouched(|| condition(&|| (fact.holds)(&state.view(), keys))))
        };
        let of_state = OfState { state: identity, numbers: numbers.clone(), instances: family.instances.clone() };
        let set = FactSet::of_state(quantifieds, of_state);
        Rc::new(Assumed { scalars, set, numbers, at: Box::new(at), ground, family })
    }

    /// No facts.
    pub fn nothing() -> Assumed {
        Assumed {
            scalars: Vec::new(),
            set: FactSet::new(Vec::new()),
            numbers: Vec::new(),
            at: Box::new(|_, _| None),
            ground: Ground::High,
            family: Rc::default(),
        }
    }

    /// The same facts of another state, which is the same on most paths.
    pub fn of<G: Geometry>(&self, state: State<G>) -> Rc<Assumed> {
        let identity = state.identity();
        if let Some(assumed) = self.family.states.borrow().get(&identity) {
            return assumed.clone();
        }
        let assumed = Assumed::made(&Rc::new(state), self.ground, &|_| true, self.family.clone());
        self.family.states.borrow_mut().insert(identity, assumed.clone());
        assumed
    }

    /// The facts that `make` makes, which are called `name` and depend on nothing but what `identity` says; what is
    /// part of it must be kept by the facts.
    pub fn set(
        &self,
        name: &'static str,
        identity: Vec<Identity>,
        make: impl FnOnce() -> Vec<Quantified>,
    ) -> Rc<FactSet> {
        self.family.sets.borrow_mut().entry((name, identity)).or_insert_with(|| FactSet::of_moved(make())).clone()
    }

    /// Assumes them on this path.
    pub fn assume(&self) {
        engine(|e| {
            for &fact in &self.scalars {
                e.learn(fact);
                e.assume(fact);
            }
            e.facts.add(self.set.clone());
        });
    }

    /// The fact `number` at `keys`, as far as the path knows, if it is assumed.
    pub fn at(&self, number: &str, keys: &[SymWord]) -> Option<Term> {
        (self.at)(number, keys)
    }

    /// Asserts the fact `number` at `keys`, if it is assumed.
    pub fn assert_at(&self, number: &str, keys: &[SymWord]) {
        if let Some(fact) = self.numbers.iter().position(|n| *n == number) {
            let keys: Vec<Term> = keys.iter().map(|k| k.0).collect();
            assert_at(&self.set, fact, &keys);
        }
    }
}

/// Runs `work`, which is no code under proof, without touching what it reads.
fn untouched<R>(work: impl FnOnce() -> R) -> R {
    let outer = engine(|e| e.facts.record());
    let result = running(false, work);
    engine(|e| e.facts.recorded(outer));
    result
}

/// As [`untouched`], and as if nothing were known of the path.
fn aside<R>(work: impl FnOnce() -> R) -> R {
    let hidden = engine(|e| std::mem::replace(&mut e.hide_path, true));
    let result = untouched(work);
    engine(|e| e.hide_path = hidden);
    result
}
