//! The symbolic domain of the layer: its values are terms, its maps are lists of writes, and ghost state is present.
use domain::{Domain, Field, Ghost, Map, Storage};
use layer::core::fields::ThreadGhosts;
use layer::core::geometry::{Geometry, Paged};
use layer::core::machine::Links;
use layer::objects::queue::Threads;
use std::cell::RefCell;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;
use symbolic::branch::decide;
use symbolic::explore::oblige;
use symbolic::map::SymMap;
use symbolic::merge::in_range;
use symbolic::origin::Origin;
use symbolic::word::{SymFlag, SymNat, SymWide, SymWord};

/// The symbolic domain and machine, for page tables of geometry `G`.
pub struct Sym<G>(PhantomData<G>);

impl<G> Clone for Sym<G> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<G> Copy for Sym<G> {}
impl<G> Debug for Sym<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sym")
    }
}

impl<G: Geometry> Domain for Sym<G> {
    type Word = SymWord;
    type Wide = SymWide;
    type Nat = SymNat;
    type Flag = SymFlag;
    type Place = Origin;

    #[track_caller]
    fn decide(condition: impl Fn() -> bool) -> bool {
        decide(&condition)
    }
}

impl<G: Geometry> Paged for Sym<G> {
    type Geometry = G;
}

impl<G: Geometry, F: Field<Sym<G>>> Storage<F> for Sym<G> {
    type Map = SymMap<Sym<G>, F>;
    fn at(place: Origin) -> SymMap<Sym<G>, F> {
        SymMap::unknown(place)
    }
}

/// Ghost state with a value. A check of ghost state is one decision, however many comparisons it makes.
#[derive(Clone, Debug)]
pub struct Shown<T>(pub T);

impl<T> Ghost<T> for Shown<T> {
    #[track_caller]
    fn update(&mut self, change: impl FnOnce(&mut T)) {
        change(&mut self.0)
    }
    #[track_caller]
    fn check(&self, check: impl Fn(&T) -> bool) -> bool {
        check_ghost(&|| check(&self.0))
    }
}

/// The links between the threads of the queues, at their current version.
pub struct SymLinks<G: Geometry>(pub Rc<RefCell<Threads<Sym<G>>>>);

impl<G: Geometry> Links<Sym<G>> for SymLinks<G> {
    #[track_caller]
    fn next(&self, thread: SymWord) -> SymWord {
        self.0.borrow().next.get([thread]).thread
    }
    #[track_caller]
    fn set_next(&self, thread: SymWord, next: SymWord) {
        self.0.borrow_mut().next.update([thread], |entry| entry.thread = next);
    }
    #[track_caller]
    fn cpu(&self, thread: SymWord) -> SymWord {
        self.0.borrow().next.get([thread]).cpu
    }
    #[track_caller]
    fn set_cpu(&self, thread: SymWord, cpu: SymWord) {
        self.0.borrow_mut().next.update([thread], |entry| entry.cpu = cpu);
    }
    #[track_caller]
    fn update(&self, change: impl FnOnce(&mut <Sym<G> as Storage<ThreadGhosts>>::Map)) {
        change(&mut self.0.borrow_mut().tcb)
    }
    #[track_caller]
    fn check(&self, check: impl Fn(&<Sym<G> as Storage<ThreadGhosts>>::Map) -> bool) -> bool {
        let tcb = self.0.borrow().tcb.clone();
        check_ghost(&|| check(&tcb))
    }
}

/// Decides a whole check of ghost state at once. Also adds the obligation that the check stays in
/// range.
#[track_caller]
fn check_ghost(code: &dyn Fn() -> bool) -> bool {
    let stays = in_range(&|| {
        code();
    });
    oblige(stays, format_args!("a check goes out of range"), Location::caller());
    decide(code)
}
