//! The symbolic machine. Only the invariant is known about the initial state. Whenever a lock is taken, the other CPUs
//! may have changed the shared state, within their rely conditions.

use crate::environment::history;
use crate::environment::lock::{SymChannels, SymLock};
use crate::proof::call_rule;
use crate::proof::loop_rule;
use crate::state::record::see_event;
use crate::state::sym::Shown;
use crate::state::sym::{Sym, SymLinks};
use domain::{Map, Storage, Word};
use layer::catalogue::loops;
use layer::core::call::{Call, FromAnswer};
use layer::core::constants::{NEXT_SEND_MAX_REC, SERIAL_HW_BUF_SIZE, UCTXT_SIZE};
use layer::core::fields::{Cell, ConsoleInput, Received, Slot, UserContexts};
use layer::core::geometry::Geometry;
use layer::core::log::{Event, Log};
use layer::core::machine::{Machine, Object, Spec};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::console::uart::{SerialEvent, event};
use smt::term::{Range, Term};
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::panic::Location;
use symbolic::calls::{Way, inlined};
use symbolic::engine::engine;
use symbolic::mutant::Operator;
use symbolic::mutation::{change, running};
use symbolic::origin::Origin;
use symbolic::proof::free_words;
use symbolic::rules;
use symbolic::word::{SymFlag, SymWide, SymWord};

/// The log of every object. The path keeps the events, in the order in which they were logged.
#[derive(Clone, Copy, Debug)]
pub struct PathLog;

impl<G: Geometry> Log<Sym<G>> for PathLog {
    #[track_caller]
    fn push(&mut self, by: SymWord, event: Event<Sym<G>>) {
        if change(Operator::Event, Location::caller()).is_some() {
            return;
        }
        see_event(event);
        history::log(by, event);
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
    fn store_registers(
        contexts: &mut <Self as Storage<UserContexts>>::Map,
        thread: SymWord,
        registers: Self::Registers,
    ) {
        for (k, value) in (0..).zip(registers) {
            contexts.set([thread, SymWord::from(k)], Slot { value });
        }
    }
    fn real_vmxinfo(index: SymWord) -> SymWord {
        SymWord(machine_answer("machine.vmxinfo", Range::WORD, &[index]))
    }
    fn vmcs_host(field: SymWord) -> SymWide {
        SymWide(machine_answer("machine.vmcs_host", Range::WIDE, &[field]))
    }
    fn rdmsr(register: SymWord) -> SymWide {
        SymWide(machine_answer("machine.rdmsr", Range::WIDE, &[register]))
    }
    fn usable(frame: SymWord) -> SymFlag {
        SymFlag(machine_answer("machine.usable", Range::Bool, &[frame]))
    }
    fn has_serial(cpu: SymWord) -> SymFlag {
        SymFlag(machine_answer("machine.serial", Range::Bool, &[cpu]))
    }
    fn serial_event(index: SymWord) -> SerialEvent<Self> {
        let answer = |what, most| SymWord(machine_answer(what, Range::UpTo(most), &[index]));
        SerialEvent {
            kind: answer("machine.serial.kind", event::PLUGIN.into()),
            count: answer("machine.serial.count", SERIAL_HW_BUF_SIZE.into()),
        }
    }
    #[track_caller]
    fn serial_bytes(rx_buf: &mut <Self as Storage<Received>>::Map, at: SymWord, index: SymWord, count: SymWord) {
        let entry = move |number: Term| Cell { value: Self::serial_byte(index, SymWord(number)) };
        rx_buf.write_ring(at, count, &[], entry, Location::caller());
    }
    #[track_caller]
    fn copy_received(
        cons_buf: &mut <Self as Storage<ConsoleInput>>::Map,
        at: SymWord,
        rx_buf: &<Self as Storage<Received>>::Map,
        from: SymWord,
        many: SymWord,
    ) {
        cons_buf.copy_ring(at, rx_buf, from, many);
    }
    fn serial_sent(index: SymWord) -> SymWord {
        let most = NEXT_SEND_MAX_REC;
        let sent = SymWord(machine_answer("machine.serial.sent", Range::UpTo(most.into()), &[index]));
        // The answer is about the events of the UART, so it agrees with them: at an arbitrary event, and at the last.
        let [any] = free_words();
        running(false, || {
            let is_sent = |k: SymWord| Self::serial_event(index.wrapping_add(k)).kind == event::SEND_COMPLETE;
            rules::assume(&|| {
                if sent == 0 {
                    any >= most || !is_sent(any)
                } else {
                    is_sent(sent - 1) && (any >= sent - 1 || !is_sent(any))
                }
            });
        });
        sent
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
            Way::Inlined => {
                running(false, || call_rule::prove_precondition(cpu, &call));
                inlined(|| run(cpu))
            }
            Way::Contract => Ok(give(&running(false, || call_rule::apply(cpu, &call)))),
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
            Way::Inlined => {
                running(false, || call_rule::prove_precondition_of_query(cpu, &call));
                inlined(|| run(cpu))
            }
            Way::Contract => Ok(give(&running(false, || call_rule::query(cpu, &call)))),
        }
    }

    #[track_caller]
    fn bounded_loop(
        cpu: &mut Cpu<'_, Self>,
        name: &'static str,
        most: u32,
        iteration: impl Fn(&mut Cpu<'_, Self>) -> Result<ControlFlow<()>, Stuck>,
    ) -> Result<(), Stuck> {
        let rules = loops::<Self>();
        let rule = rules.iter().find(|rule| rule.name == name).expect("loops name a rule of the layer");
        loop_rule::bounded_loop(cpu, rule, most, &iteration)
    }
}

/// An uninterpreted function of the machine: an unknown value in `range`, which is always the same for
/// the same key.
fn machine_answer(what: &str, range: Range, key: &[SymWord]) -> Term {
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
        SymWord(machine_answer("machine.serial.byte", Range::UpTo(255), &[index, k]))
    }
}
