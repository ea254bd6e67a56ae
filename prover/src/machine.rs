//! The symbolic machine. Only the invariant is known of the initial state. Whenever a lock is taken, the other CPUs may
//! have changed the shared state, within their rely conditions.
mod lock;
mod moves;
mod unknown;

pub use lock::{SymChannels, SymLock};
pub(crate) use moves::{CHANNELS, Duty, Moves, Relation};
pub(crate) use unknown::{at_version, key_bounds, make_unknown, next_version, quantified, unknown_object};

use crate::effects::see_event;
use crate::engine::engine;
use crate::explore::{branch, condition, in_range, oblige};
use crate::history;
use crate::lemma;
use crate::map::Origin;
use crate::mutant::running;
use crate::rounds;
use crate::word::{SymFlag, SymNat, SymWide, SymWord};
use domain::{Domain, Geometry, Ghost, Home, Map};
use layer::catalogue::loops;
use layer::core::call::{Call, FromAnswer};
use layer::core::constants::{NEXT_SEND_MAX_REC, SERIAL_HW_BUF_SIZE, UCTXT_SIZE};
use layer::core::fields::{ConsoleInput, Received, Slot, ThreadGhosts, UserContexts};
use layer::core::log::{Event, Log};
use layer::core::machine::{Links, Machine, Object, Spec};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::console::uart::{SerialEvent, event};
use layer::objects::queue::Threads;
use smt::term::{Range, Term};
use std::cell::RefCell;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::panic::Location;
use std::rc::Rc;

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
    type Geometry = G;
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

/// The log of every object. The path keeps the events, in the order in which they were logged.
#[derive(Clone, Copy, Debug)]
pub struct PathLog;

impl<G: Geometry> Log<Sym<G>> for PathLog {
    fn push(&mut self, by: SymWord, event: Event<Sym<G>>) {
        see_event(event);
        history::log(by, event);
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
    fn update(&self, change: impl FnOnce(&mut <Sym<G> as Home<ThreadGhosts>>::Map)) {
        change(&mut self.0.borrow_mut().tcb)
    }
    #[track_caller]
    fn check(&self, check: impl Fn(&<Sym<G> as Home<ThreadGhosts>>::Map) -> bool) -> bool {
        let tcb = self.0.borrow().tcb.clone();
        check_ghost(&|| check(&tcb))
    }
}

impl<G: Geometry> Machine for Sym<G> {
    type Ghost<T: 'static> = Shown<T>;
    type Log = PathLog;
    type Lock<T: Object<Self>> = SymLock<G, T>;
    type Links = SymLinks<G>;
    type Channels = SymChannels<G>;
    type Registers = [SymWide; UCTXT_SIZE as usize];

    fn ghost<T: 'static>(make: impl FnOnce() -> T) -> Shown<T> {
        Shown(make())
    }
    fn ghosts<T: 'static, U: 'static>(ghost: &mut Shown<T>, other: &Shown<U>, change: impl FnOnce(&mut T, &U)) {
        change(&mut ghost.0, &other.0);
    }
    fn log(_: Origin) -> PathLog {
        PathLog
    }
    fn store_registers(contexts: &mut <Self as Home<UserContexts>>::Map, thread: SymWord, registers: Self::Registers) {
        for (k, value) in (0..).zip(registers) {
            contexts.set([thread, SymWord::from(k)], Slot { value });
        }
    }
    fn real_vmxinfo(index: SymWord) -> SymWord {
        SymWord(machine_says("machine.vmxinfo", Range::WORD, &[index]))
    }
    fn vmcs_host(field: SymWord) -> SymWide {
        SymWide(machine_says("machine.vmcs_host", Range::WIDE, &[field]))
    }
    fn rdmsr(register: SymWord) -> SymWide {
        SymWide(machine_says("machine.rdmsr", Range::WIDE, &[register]))
    }
    fn usable(frame: SymWord) -> SymFlag {
        SymFlag(machine_says("machine.usable", Range::Bool, &[frame]))
    }
    fn has_serial(cpu: SymWord) -> SymFlag {
        SymFlag(machine_says("machine.serial", Range::Bool, &[cpu]))
    }
    fn serial_event(index: SymWord) -> SerialEvent<Self> {
        let says = |what, most| SymWord(machine_says(what, Range::UpTo(most), &[index]));
        SerialEvent {
            kind: says("machine.serial.kind", event::PLUGIN.into()),
            count: says("machine.serial.count", SERIAL_HW_BUF_SIZE.into()),
        }
    }
    #[track_caller]
    fn serial_bytes(rx_buf: &mut <Self as Home<Received>>::Map, at: SymWord, index: SymWord, count: SymWord) {
        rx_buf.receive(at, index, count);
    }
    #[track_caller]
    fn copy_received(
        cons_buf: &mut <Self as Home<ConsoleInput>>::Map,
        at: SymWord,
        rx_buf: &<Self as Home<Received>>::Map,
        from: SymWord,
        many: SymWord,
    ) {
        cons_buf.copy_ring(at, rx_buf, from, many);
    }
    fn serial_sent(index: SymWord) -> SymWord {
        SymWord(machine_says("machine.serial.sent", Range::UpTo(NEXT_SEND_MAX_REC.into()), &[index]))
    }

    #[track_caller]
    fn call<R>(
        cpu: &mut Cpu<'_, Self>,
        call: impl FnOnce() -> Call<Self>,
        give: FromAnswer<Self, R>,
        run: impl FnOnce(&mut Cpu<'_, Self>) -> Result<R, Stuck>,
    ) -> Result<R, Stuck> {
        let call = call();
        match Way::of(call.name) {
            Way::Runs => run(cpu),
            Way::RunsAgain => {
                running(false, || lemma::admit(cpu, &call));
                run_called(|| run(cpu))
            }
            Way::Contract => Ok(give(&running(false, || lemma::apply(cpu, &call)))),
        }
    }

    #[track_caller]
    fn ask<R>(
        cpu: &Cpu<'_, Self>,
        call: impl FnOnce() -> Call<Self>,
        give: FromAnswer<Self, R>,
        run: impl FnOnce(&Cpu<'_, Self>) -> Result<R, Stuck>,
    ) -> Result<R, Stuck> {
        let call = call();
        match Way::of(call.name) {
            Way::Runs => run(cpu),
            Way::RunsAgain => {
                running(false, || lemma::admit_question(cpu, &call));
                run_called(|| run(cpu))
            }
            Way::Contract => Ok(give(&running(false, || lemma::answer(cpu, &call)))),
        }
    }

    #[track_caller]
    fn bounded_loop(
        cpu: &mut Cpu<'_, Self>,
        name: &'static str,
        most: u32,
        round: impl Fn(&mut Cpu<'_, Self>) -> Result<ControlFlow<()>, Stuck>,
    ) -> Result<(), Stuck> {
        let rules = loops::<Self>();
        let rule = rules.iter().find(|rule| rule.name == name).expect("loops name a rule of the layer");
        rounds::repeat(cpu, rule, most, &round)
    }
}

/// How a call of a primitive is executed.
enum Way {
    /// The primitive's code runs, because it is under proof or is called by a primitive whose code runs.
    Runs,
    /// The precondition is proved and the code runs, because the path of a failure is being walked again.
    RunsAgain,
    /// The call rule: the contract replaces the code.
    Contract,
}

impl Way {
    /// How a call of the primitive `name` is executed.
    fn of(name: &str) -> Way {
        engine(|e| {
            if e.proving == Some(name) || e.is_called {
                Way::Runs
            } else if e.again.is_some() {
                Way::RunsAgain
            } else {
                Way::Contract
            }
        })
    }
}

/// Runs the code of a called primitive, including the primitives that it calls.
fn run_called<R>(run: impl FnOnce() -> R) -> R {
    engine(|e| e.is_called = true);
    let result = run();
    engine(|e| e.is_called = false);
    result
}

/// An uninterpreted function of the machine: any value in `range`, but always the same for the same key.
fn machine_says(what: &str, range: Range, key: &[SymWord]) -> Term {
    engine(|e| {
        let function = e.arena.name(what);
        e.arena.app(function, range, key.iter().map(|word| word.0).collect())
    })
}

impl<G: Geometry> Spec for Sym<G> {
    fn present<T: 'static>(ghost: &Shown<T>) -> &T {
        &ghost.0
    }
    #[track_caller]
    fn register(registers: &Self::Registers, slot: SymWord) -> SymWide {
        // A slot that equals none of the others is the last one.
        let last = UCTXT_SIZE as usize - 1;
        registers[(0..last).find(|&k| slot == k as u32).unwrap_or(last)]
    }
    fn serial_byte(index: SymWord, k: SymWord) -> SymWord {
        SymWord(machine_says("machine.serial.byte", Range::UpTo(255), &[index, k]))
    }
}

/// Decides a whole check of ghost state at once. Also obliges the check to stay in range.
#[track_caller]
fn check_ghost(code: &dyn Fn() -> bool) -> bool {
    let stays = in_range(&|| {
        code();
    });
    oblige(stays, format_args!("a check goes out of range"), Location::caller());
    decide(code)
}

/// Decides a whole condition at once.
#[track_caller]
pub(crate) fn decide(code: &dyn Fn() -> bool) -> bool {
    branch(condition(code), Location::caller())
}
