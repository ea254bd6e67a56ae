//! The assumptions about a state: the facts of the invariant, and the rely conditions on other CPUs.
use crate::facts::invariant_set::InvariantSet;
use crate::state::parts::{State, StateIdentity};
use crate::state::sym::Sym;
use crate::state::unknown::is_part;
use crate::state::unknown::quantified;
use layer::core::geometry::Geometry;
use layer::invariant::facts;
use rustc_hash::FxHashMap;
use smt::term::Term;
use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use symbolic::engine::engine;
use symbolic::facts::instances::{aside, assert_at, untouched};
use symbolic::facts::{FactSet, Instances, OfState, Quantified};
use symbolic::merge::condition;
use symbolic::origin::Identity;
use symbolic::word::SymWord;

/// The facts of a state that are assumed. Facts without keys are asserted at once, the others are instantiated lazily.
pub(crate) struct Assumed {
    scalars: Vec<Term>,
    set: Rc<FactSet>,
    /// The numbers of the facts in the set.
    numbers: Vec<&'static str>,
    /// The fact with this number at some keys, simplified by what the path knows.
    at: Box<dyn Fn(&str, &[SymWord]) -> Option<Term>>,
    invariants: InvariantSet,
    family: Rc<Family>,
}

/// A cache of the assumed facts of one proof, because most paths meet the same states and objects.
#[derive(Default)]
struct Family {
    states: RefCell<FxHashMap<StateIdentity, Rc<Assumed>>>,
    /// The instances of the states' facts, by the values of the states that are in no map.
    instances: RefCell<FxHashMap<Vec<Term>, Rc<Instances>>>,
    /// Keeps the states alive whose maps are identified by their addresses.
    kept: RefCell<Vec<Rc<dyn Any>>>,
    sets: RefCell<FxHashMap<(&'static str, Vec<Identity>), Rc<FactSet>>>,
}

impl Assumed {
    /// The facts of `invariants` about `state`. They are instantiated when the state's unknown maps
    /// are read.
    pub fn new<G: Geometry>(state: &Rc<State<G>>, invariants: InvariantSet) -> Rc<Assumed> {
        Assumed::made(state, state.identity(), invariants, &|_| true, Rc::default())
    }

    /// The facts of this invariant set that are in `numbers`, about another state.
    pub fn only<G: Geometry>(&self, state: &Rc<State<G>>, numbers: &'static [&'static str]) -> Rc<Assumed> {
        Assumed::made(state, state.identity(), self.invariants, &|number| numbers.contains(&number), Rc::default())
    }

    /// The invariant set to which the facts belong.
    pub fn invariants(&self) -> InvariantSet {
        self.invariants
    }

    fn made<G: Geometry>(
        state: &Rc<State<G>>,
        StateIdentity { maps, values }: StateIdentity,
        invariants: InvariantSet,
        wanted: &dyn Fn(&str) -> bool,
        family: Rc<Family>,
    ) -> Rc<Assumed> {
        let sources = state.sources();
        let mut scalars = Vec::new();
        let (mut quantifieds, mut numbers) = (Vec::new(), Vec::new());
        for fact in facts::<Sym<G>>().filter(|fact| invariants.includes(fact) && wanted(fact.number)) {
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
        let state = state.clone();
        let at = move |number: &str, keys: &[SymWord]| {
            let fact = facts::<Sym<G>>().find(|fact| fact.number == number && invariants.includes(fact))?;
            Some(untouched(|| condition(&|| (fact.holds)(&state.view(), keys))))
        };
        let instances = family.instances.borrow_mut().entry(values).or_default().clone();
        let set = FactSet::of_state(quantifieds, OfState { maps, numbers: numbers.clone(), instances });
        Rc::new(Assumed { scalars, set, numbers, at: Box::new(at), invariants, family })
    }

    /// No facts at all.
    pub fn nothing() -> Assumed {
        Assumed {
            scalars: Vec::new(),
            set: FactSet::new(Vec::new()),
            numbers: Vec::new(),
            at: Box::new(|_, _| None),
            invariants: InvariantSet::High,
            family: Rc::default(),
        }
    }

    /// The same facts except those of E, about another state, after a primitive or interference. The result is
    /// cached, because most paths meet the same states.
    pub fn of<G: Geometry>(&self, state: State<G>) -> Rc<Assumed> {
        let identity = state.identity();
        if let Some(assumed) = self.family.states.borrow().get(&identity) {
            return assumed.clone();
        }
        let invariants = self.invariants.between_primitives();
        let assumed = Assumed::made(&Rc::new(state), identity.clone(), invariants, &|_| true, self.family.clone());
        self.family.states.borrow_mut().insert(identity, assumed.clone());
        assumed
    }

    /// The facts that `make` returns, cached under `name` and `identity`. The facts must depend on `name` and
    /// `identity` only, and must keep the maps in `identity` alive.
    pub fn set(
        &self,
        name: &'static str,
        identity: Vec<Identity>,
        make: impl FnOnce() -> Vec<Quantified>,
    ) -> Rc<FactSet> {
        self.family
            .sets
            .borrow_mut()
            .entry((name, identity))
            .or_insert_with(|| FactSet::of_interference(make()))
            .clone()
    }

    /// Assumes the facts on this path.
    pub fn assume(&self) {
        engine(|e| {
            for &fact in &self.scalars {
                e.learn(fact);
                e.assume(fact);
            }
            e.facts.add(self.set.clone());
        });
    }

    /// The fact `number` at `keys`, simplified by what the path knows. `None` if the fact is not assumed.
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
