//! What is recorded about a path besides its reads and writes: events, critical sections, and answers of the
//! machine.
use crate::state::sym::Sym;
use crate::state::visit::values;
use domain::{Data, Sink};
use layer::core::geometry::Geometry;
use layer::core::log::Event;
use layer::core::machine::Object;
use smt::term::Term;
use std::collections::BTreeSet;
use symbolic::engine::engine;
use symbolic::mutation::is_running;
use symbolic::reads::see;
use symbolic::word::{SymFlag, SymNat, SymWide, SymWord};
use syscall::effect::Interaction;

/// The effects of the code under proof on a path, besides its reads and writes of the state.
#[derive(Default)]
pub(crate) struct Seen {
    /// The names of the events.
    pub events: BTreeSet<&'static str>,
    /// Words of rows outside of the state: when the lock was taken, and when it was released.
    pub rows: Vec<(String, Term, Term)>,
}

/// Records a critical section of the code under proof on a row outside of the state.
pub(crate) fn see_row<G: Geometry, T: Object<Sym<G>>>(taken: &T, left: &T) {
    if is_running() && engine(|e| e.settings.reads.is_some()) {
        let rows = words(taken).zip(words(left)).map(|((name, old), (_, new))| (name, old, new));
        engine(|e| e.path.data::<Seen>().rows.extend(rows));
    }
}

/// Records an event of the code under proof.
pub(crate) fn see_event<G: Geometry>(event: Event<Sym<G>>) {
    struct Parameters(Vec<Term>, u32);
    impl<G: Geometry> Sink<Sym<G>> for Parameters {
        fn word(&mut self, _: &'static str, value: SymWord) {
            self.0.push(value.0);
        }
        fn wide(&mut self, _: &'static str, value: SymWide) {
            self.0.push(value.0);
        }
        fn nat(&mut self, _: &'static str, value: SymNat) {
            self.0.push(value.0);
        }
        fn flag(&mut self, _: &'static str, value: SymFlag) {
            self.0.push(value.0);
        }
        fn tag(&mut self, _: &'static str, variant: u32) {
            self.1 = variant;
        }
    }
    let mut parameters = Parameters(Vec::new(), 0);
    event.encode(&mut parameters);
    see(&parameters.0);
    let name = <Event<Sym<G>> as Data<Sym<G>>>::VARIANTS.get(parameters.1 as usize);
    engine(|e| e.path.data::<Seen>().events.extend(name));
}

/// An answer of the machine that the layer runs on.
#[derive(Clone, Default)]
pub(crate) struct MachineAnswer {
    /// The values of the answer, by name.
    pub values: Vec<(&'static str, Term)>,
    /// The frame into which the machine loads a page, and the version of the map with the page's bytes.
    pub page: Option<(Term, u32)>,
}

/// The answers of the machine that the layer runs on, in the order of the path.
#[derive(Default)]
pub(crate) struct Answers(pub Vec<MachineAnswer>);

/// The interactions of the entry under proof with its surroundings, in the order of the path.
pub(crate) struct Interactions<G: Geometry>(Vec<Interaction<Sym<G>>>);

impl<G: Geometry> Default for Interactions<G> {
    fn default() -> Self {
        Interactions(Vec::new())
    }
}

impl<G: Geometry> Interactions<G> {
    /// Adds an interaction.
    pub(crate) fn record(interaction: Interaction<Sym<G>>) {
        engine(|e| e.path.data::<Interactions<G>>().0.push(interaction));
    }

    /// The interactions of the path so far. They are removed.
    pub(crate) fn take() -> Vec<Interaction<Sym<G>>> {
        engine(|e| std::mem::take(&mut e.path.data::<Interactions<G>>().0))
    }
}

/// The locks that the path has taken.
#[derive(Default)]
pub(crate) struct Locks(pub Vec<TakenLock>);

/// A lock that the path takes, with the interference at that moment.
#[derive(Clone)]
pub(crate) struct TakenLock {
    /// The versions of the unknown maps and words that the interference introduced.
    pub versions: Vec<u32>,
}

/// The words of an object, by name.
pub(crate) fn words<G: Geometry, T: Object<Sym<G>>>(object: &T) -> impl Iterator<Item = (String, Term)> {
    values(object).into_iter().map(|(name, term)| (format!("{}.{name}", T::NAME), term))
}
