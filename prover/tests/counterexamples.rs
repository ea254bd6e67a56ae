//! Planted bugs have counterexamples that also fail on the hosted machine, from a state that satisfies every fact.
//! If only the prover sees a failure, the prover is wrong.
//!
//! Each bug changes the contract of a primitive; both machines run the same code.
mod common;
/// A counterexample to a bug of this file, in the form in which the prover writes it.
#[path = "written/palloc_d10_usage_is_what_was_charged.rs"]
mod written;

use common::{Symbolic, prove, solver};
use domain::{Flag, Ghost, Map, Word};
use layer::catalogue::primitives;
use layer::core::call::{Access, Answer};
use layer::core::constants::{
    ADR_LOW, CHANNEL_LOCKS, COM1_LINE, NUM_CHAN, NUM_PROC, PAGE_SIZE, SLP_Q, TOTAL_CPU, perm,
};
use layer::core::fields::process::{LIVE, VACANT};
use layer::core::fields::{Byte, Container, FrameUse, LockState, Pde, Pte, place};
use layer::core::geometry::X64;
use layer::core::machine::{ChannelPool, Links, Lock, Machine, Spec};
use layer::core::stuck::{Stuck, require};
use layer::objects::channel::pool::{Channel, Cv};
use layer::objects::console::serial;
use layer::objects::console::uart::event;
use layer::objects::{boot, channel, container, context, memory, page_alloc, page_table, process, thread, trap};
use layer::spec::contract::{Contract, Region};
use layer::spec::fact::Class;
use prover::{Failure, InvariantSet, Reason, Sym, emit_test};
use sim::counterexample::call::Subject;
use sim::machine::Sim;
use std::ops::ControlFlow;

/// A bug: the primitive, the clause that it violates, and the change of the contract.
struct Bug {
    primitive: &'static str,
    clause: &'static str,
    symbolic: fn(&mut Symbolic),
    hosted: fn(&mut Contract<Sim>),
}

/// The counterexample to the clause that the bug violates.
fn counterexample(bug: &Bug, invariants: InvariantSet) -> Failure {
    let failures = prove(solver(), bug.primitive, invariants, bug.symbolic, bug.hosted).failures;
    let found = failures.iter().find(|failure| failure.clause.starts_with(bug.clause));
    found.unwrap_or_else(|| panic!("{}: not `{}` but {failures:#?}", bug.primitive, bug.clause)).clone()
}

/// Checks that the bug is found and that its counterexample fails when it is run.
fn confirms(bug: &Bug, invariants: InvariantSet) {
    let failure = counterexample(bug, invariants);
    assert_eq!(failure.reason, Reason::Counterexample, "{failure:#?}");
    assert!(failure.confirmed && failure.counterexample.is_some(), "{failure:#?}");
    println!("{}: {} {:?} {}", bug.primitive, failure.clause, failure.state, failure.ending);
}

/// A test for each bug: it is found, and its counterexample fails when it is run.
macro_rules! bugs {
    ($($(#[$meta:meta])* $test:ident: $invariants:ident $primitive:literal breaks $clause:literal, $plant:expr;)*) => {
        /// The bugs, with the names of their tests.
        mod bugs {
            use super::*;
            $($(#[$meta])* pub fn $test<M: Spec>(contract: &mut Contract<M>) {
                let plant: fn(&mut Contract<M>) = $plant;
                plant(contract)
            })*
        }
        $(#[test]
        fn $test() {
            let (symbolic, hosted) = (bugs::$test, bugs::$test);
            confirms(&Bug { primitive: $primitive, clause: $clause, symbolic, hosted }, InvariantSet::$invariants);
        })*
    };
}

bugs! {
    the_frame_after_the_allocated_one: Derived "palloc" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            let page = page_alloc::palloc(cpu, a.words[0])?;
            Ok(Answer::Word(if page == 0 { page } else { page + 1 }))
        };
    };
    an_allocation_that_is_not_charged: Derived "palloc" breaks "D10", |contract| {
        contract.run = |cpu, a| {
            let page = page_alloc::palloc(cpu, a.words[0])?;
            if page != 0 {
                cpu.own.ac.update([a.words[0]], |container| container.usage -= 1);
            }
            Ok(Answer::Word(page))
        };
    };
    one_frame_among_all_that_is_kept_back: Derived "palloc" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            let page = page_alloc::palloc(cpu, a.words[0])?;
            Ok(Answer::Word(if page == 300_000 { 0.into() } else { page }))
        };
    };
    the_use_of_a_frame_that_has_contents: High "palloc" breaks "H12", |contract| {
        contract.run = |cpu, a| {
            let page = page_alloc::palloc(cpu, a.words[0])?;
            cpu.own.ghost.update(|ghost| ghost.pperm.set([a.words[1]], FrameUse::Undef));
            Ok(Answer::Word(page))
        };
        contract.assumes = |_, a| a.words[1] < layer::core::constants::MAX_PAGE;
    };
    a_container_that_is_not_in_use: Derived "palloc" breaks "never stuck", |contract| {
        contract.requires = |v, _| v.ghost.init.holds() && v.ghost.ihost.holds() && v.ghost.ikern.holds();
    };
    a_register_that_is_not_saved: Derived "proc_exit_user" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            let (cur, slot) = (cpu.own.cur, layer::core::constants::slot::R10.into());
            let before = cpu.own.uctxt.get([cur, slot]);
            process::proc_exit_user(cpu, a.registers)?;
            cpu.own.uctxt.set([cur, slot], before);
            Ok(Answer::Unit)
        };
    };
    // What is behind the message may be an older one.
    a_copy_of_the_whole_mailbox: Derived "page_copy_back" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            let [q, k, va, _] = a.words;
            let all = if k == 0 { k } else { layer::core::constants::MAX_WORDS.into() };
            channel::page_copy_back(cpu, Channel(q), all, va).map(|()| Answer::Unit)
        };
    };
    a_scalar_outside_of_the_frame: Derived "get_curid" breaks "modifies: intr_flag", |contract| {
        contract.run = |cpu, _| {
            cpu.own.intr_flag = false.into();
            thread::get_curid(cpu).map(Answer::Word)
        };
    };
    a_postcondition_of_another_number: Derived "get_curid" breaks "postcondition", |contract| {
        contract.ensures = |s| matches!(s.answer, Answer::Word(word) if *word == s.before.own.cpu);
    };
    an_addition_that_overflows: Derived "get_curid" breaks "addition overflows", |contract| {
        contract.run = |cpu, _| {
            thread::get_curid(cpu)?;
            Ok(Answer::Word(cpu.own.nps + 0xFFFF_FFFF))
        };
    };
    a_character_that_is_taken_for_another: Derived "cons_intr" breaks "postcondition", |contract| {
        contract.run = |cpu, _| {
            cpu.own.ghost.update(|g| g.in_intr = true.into());
            serial::cons_intr(cpu)?;
            cpu.own.ghost.update(|g| g.in_intr = false.into());
            let oldest = cpu.own.console.start;
            cpu.own.cons_buf.update([oldest], |character| character.value = 7.into());
            Ok(Answer::Unit)
        };
    };
    a_character_that_comes_and_is_lost: Derived "serial_env_step" breaks "postcondition", |contract| {
        contract.run = |cpu, _| {
            serial::serial_env_step(cpu);
            if cpu.own.com1.rx.len == 7 {
                cpu.own.com1.rx.len = 6.into();
            }
            Ok(Answer::Unit)
        };
    };
    a_line_feed_without_a_carriage_return: Derived "serial_putc" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            let c = serial::serial_putc(cpu, a.words[0])?;
            if cpu.own.com1.tx_len == 2 {
                cpu.own.com1.tx_len = 1.into();
            }
            Ok(Answer::Word(c))
        };
    };
    a_transmitter_that_is_waited_for_again: Derived "serial_putc" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            let index = cpu.own.com1.l2;
            let c = serial::serial_putc(cpu, a.words[0])?;
            if c == u32::MAX {
                cpu.own.com1.l2 = index;
            }
            Ok(Answer::Word(c))
        };
    };
    the_slot_of_another_thread: Derived "uctx_set" breaks "D13", |contract| {
        contract.run = |cpu, a| {
            let [i, k, v, _] = a.words;
            context::uctx_set(cpu, i, k, v)?;
            cpu.own.ghost.update(|g| g.uctxt_kind.set([0.into(), k], layer::core::fields::SlotKind::Int));
            Ok(Answer::Unit)
        };
    };
    a_lock_that_the_modifies_clause_does_not_name: Derived "get_curid" breaks "modifies: the lock of AT", |contract| {
        contract.run = |cpu, _| {
            drop(cpu.shared.at.lock(cpu.own.cpu, 0.into()));
            thread::get_curid(cpu).map(Answer::Word)
        };
    };
    a_link_that_the_others_change: Derived "get_curid" breaks "postcondition", |contract| {
        contract.run = |cpu, _| {
            let before = cpu.shared.links.next(700.into());
            drop(cpu.shared.pending.lock(cpu.own.cpu, cpu.own.cpu));
            let after = cpu.shared.links.next(700.into());
            Ok(Answer::Word(if before == after { cpu.own.cur } else { (NUM_PROC + 1).into() }))
        };
        contract.modifies = |_, may| may("tcb", Region::All, &[]);
        contract.requires = |v, _| v.ghost.pg.holds();
    };
    a_sleeper_that_is_pushed_away: Derived "get_curid" breaks "changed only under its lock: tcb", |contract| {
        contract.run = |cpu, _| {
            // A thread that sleeps alone in its queue.
            if cpu.shared.links.check(|tcb| tcb.get([700.into()]).place >= SLP_Q && tcb.get([700.into()]).place < NUM_CHAN) {
                cpu.shared.links.update(|tcb| tcb.update([700.into()], |t| t.seq = t.seq + 1));
            }
            thread::get_curid(cpu).map(Answer::Word)
        };
        contract.modifies = |_, may| may("tcb", Region::All, &[]);
    };
    a_channel_without_its_lock: Derived "get_curid" breaks "changed only under its lock: syncchpool", |contract| {
        contract.run = |cpu, _| {
            cpu.shared.channels.with(|channels| channels.pool.update([SLP_Q.into()], |control| control.busy = 7.into()));
            thread::get_curid(cpu).map(Answer::Word)
        };
        contract.modifies = |_, may| may("syncchpool", Region::Leaf("busy"), &[SLP_Q.into()]);
    };
    a_lock_that_is_forgotten: Derived "acquire_lock_CHAN" breaks "D5.2", |contract| {
        contract.run = |cpu, a| {
            channel::acquire_lock_chan(cpu, Channel(a.words[0]))?;
            let id = a.words[0] + CHANNEL_LOCKS;
            cpu.own.ghost.update(|g| g.lock.set([id], LockState::Free));
            Ok(Answer::Unit)
        };
    };
    a_word_more_than_was_sent: Derived "ipc_send_body" breaks "D15.1", |contract| {
        contract.run = |cpu, a| {
            let [q, va, n, _] = a.words;
            let k = channel::ipc_send_body(cpu, Channel(q), va, n)?;
            cpu.shared.channels.with(|channels| channels.pool.update([q], |control| control.count = k + 1));
            Ok(Answer::Word(k))
        };
    };
    a_message_for_another: Derived "ipc_receive_body" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            let [q, va, n, _] = a.words;
            let k = channel::ipc_receive_body(cpu, Channel(q), va, n)?;
            Ok(Answer::Word(if k > 3 { k - 1 } else { k }))
        };
    };
    a_sleeper_that_runs: Derived "thread_sleep" breaks "D4.1", |contract| {
        contract.run = |cpu, a| {
            let sleeper = cpu.own.cur;
            let resume = thread::thread_sleep(cpu, Cv(a.words[0]), a.context)?;
            cpu.own.cur = sleeper;
            Ok(Answer::Resume(resume.into_context()))
        };
    };
    a_page_that_is_always_writable: Derived "pt_resv" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            let [n, va, ..] = a.words;
            page_table::pt_resv(cpu, n, va, perm::PTU.into()).map(Answer::Word)
        };
    };
    a_frame_of_the_kernel_that_is_overwritten: Derived "pt_resv" breaks "modifies: HP.value", |contract| {
        contract.run = |cpu, a| {
            let [n, va, perm, _] = a.words;
            let table = page_table::pt_resv(cpu, n, va, perm)?;
            cpu.own.hp.set([7.into(), 0.into()], Byte { value: 7.into() });
            Ok(Answer::Word(table))
        };
    };
    a_table_of_another_cpu_that_is_changed: Derived "pt_resv" breaks "modifies: pt.", |contract| {
        contract.run = |cpu, a| {
            let [n, va, perm, _] = a.words;
            let table = page_table::pt_resv(cpu, n, va, perm)?;
            cpu.own.tables.set([7.into(), 0.into()], Pte::Valid { page: 7.into(), perm: perm::PTU.into() });
            Ok(Answer::Word(table))
        };
    };
    a_permission_that_is_none: Derived "pt_resv" breaks "D7", |contract| {
        contract.run = |cpu, a| {
            let [n, va, perm, _] = a.words;
            let table = page_table::pt_resv(cpu, n, va, perm)?;
            if let Pde::Table { frame } = cpu.own.dirs.get([n, page_table::pdx::<M>(va)]) {
                let entry = [frame, page_table::ptx::<M>(va)];
                if let Pte::Valid { page, .. } = cpu.own.tables.get(entry) {
                    cpu.own.tables.set(entry, Pte::Valid { page, perm: 13.into() });
                }
            }
            Ok(Answer::Word(table))
        };
    };
    // The primitive accepts this state, as the reference's does. Only the contract's assumptions
    // exclude the state.
    a_page_that_is_global: Derived "pt_resv" breaks "D7", |contract| contract.assumes = |_, _| true;
    a_child_that_begins_with_memory: Derived "proc_create" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            let child = process::proc_create(cpu, a.words[0], a.wide, a.words[1])?;
            page_table::pt_alloc_pde(cpu, child, ADR_LOW.into())?;
            Ok(Answer::Word(child))
        };
        // The clause fails even if the modifies clause permits all writes of this bug.
        contract.modifies = |_, may| {
            for name in EVERYTHING {
                may(name, Region::All, &[]);
            }
        };
    };
    a_page_table_that_outlives_its_process: Derived "proc_reap" breaks "D6.3", |contract| {
        contract.run = |cpu, a| {
            let child = a.words[0];
            let is_mine = |container: Container<M>| container.used.holds() && container.parent == cpu.own.cur;
            let is_child = child > TOTAL_CPU && child < NUM_PROC && is_mine(cpu.own.ac.get([child]));
            if !is_child || cpu.own.proc.get([child]).state == LIVE {
                return Err(Stuck::ChildUsed);
            }
            cpu.own.proc.update([child], |process| process.state = VACANT.into());
            Ok(Answer::Word(0.into()))
        };
    };
    half_of_an_entry: Derived "pt_read" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            let entry = page_table::pt_read(cpu, a.words[0], a.words[1])?;
            Ok(Answer::Word(entry % PAGE_SIZE))
        };
    };
    an_entry_that_is_removed: Derived "pt_read" breaks "D8", |contract| {
        contract.run = |cpu, a| {
            let [n, va, ..] = a.words;
            let entry = page_table::pt_read(cpu, n, va)?;
            if let Pde::Table { frame } = cpu.own.dirs.get([n, page_table::pdx::<M>(va)])
                && entry != 0
            {
                cpu.own.tables.set([frame, page_table::ptx::<M>(va)], Pte::UnPresent);
            }
            Ok(Answer::Word(entry))
        };
    };
    a_thread_that_runs_nowhere: Derived "thread_yield" breaks "D4.1", |contract| {
        contract.run = |cpu, a| {
            let resume = thread::thread_yield(cpu, a.context)?;
            let cur = cpu.own.cur;
            cpu.shared.links.update(|tcb| tcb.update([cur], |t| t.place = place::FLIGHT.into()));
            Ok(Answer::Resume(resume.into_context()))
        };
    };
    the_last_page_of_a_quota: Derived "container_can_consume" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            let quota = container::container_get_quota(cpu, a.words[0])?;
            let usage = container::container_get_usage(cpu, a.words[0])?;
            Ok(Answer::Word(u32::from(a.words[1] < quota - usage).into()))
        };
    };
    a_machine_with_a_page_too_many: Derived "sched_init" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            boot::sched_init(cpu, a.words[0])?;
            cpu.own.nps -= 1;
            Ok(Answer::Unit)
        };
    };
    a_container_that_begins_with_quota: Derived "sched_init" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            boot::sched_init(cpu, a.words[0])?;
            cpu.own.ac.update([700.into()], |container| container.quota = 7.into());
            Ok(Answer::Unit)
        };
    };
    a_machine_with_more_quota_than_pages: Derived "sched_init" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            boot::sched_init(cpu, a.words[0])?;
            cpu.own.ac.update([0.into()], |container| container.quota = u32::MAX.into());
            Ok(Answer::Unit)
        };
    };
    an_event_that_does_not_say_that_the_transmitter_has_finished: Derived "serial_putc" breaks "postcondition", |contract| {
        contract.run = |cpu, a| {
            let c = serial::serial_putc(cpu, a.words[0])?;
            if c != u32::MAX {
                cpu.own.com1.l2 = cpu.own.com1.l2.wrapping_add(1.into());
            }
            Ok(Answer::Word(c))
        };
    };
    a_map_that_stays_in_use: Derived "proc_exit_user" breaks "H9", |contract| {
        contract.run = |cpu, a| {
            process::proc_exit_user(cpu, a.registers)?;
            let cur = cpu.own.cur;
            cpu.own.ghost.update(|g| g.pt = cur);
            Ok(Answer::Unit)
        };
    };
    a_quota_that_stays_with_the_parent: Derived "proc_create" breaks "H6.9", |contract| {
        contract.run = |cpu, a| {
            let cur = cpu.own.cur;
            let child = process::proc_create(cpu, a.words[0], a.wide, a.words[1])?;
            cpu.own.ac.update([cur], |parent| parent.usage -= a.words[1]);
            Ok(Answer::Word(child))
        };
    };
    a_byte_beside_the_one_that_is_stored: Derived "exec_store" breaks "modifies: HP.value", |contract| {
        contract.run = |cpu, a| {
            let access = memory::exec_store(cpu, a.chunk, a.wide, a.bytes, a.place)?;
            if let Access::Done(()) = access {
                cpu.own.hp.set([5.into(), 6.into()], Byte { value: 7.into() });
            }
            Ok(Answer::Stored(access))
        };
    };
    a_thread_beyond_the_last_one: Derived "get_curid" breaks "index of kctxt out of bounds", |contract| {
        contract.run = |cpu, _| {
            let cur = thread::get_curid(cpu)?;
            cpu.own.kctxt.get([cur + 1]);
            Ok(Answer::Word(cur))
        };
    };
    a_queue_without_its_end: Derived "thread_yield" breaks "D4.4", |contract| {
        contract.run = |cpu, a| {
            let resume = thread::thread_yield(cpu, a.context)?;
            if cpu.own.ready.head != cpu.own.ready.tail {
                cpu.own.ready.tail = cpu.own.ready.head;
            }
            Ok(Answer::Resume(resume.into_context()))
        };
    };
    the_place_instead_of_the_address: Derived "trap_get" breaks "postcondition", |contract| {
        contract.run = |cpu, _| trap::trap_set(cpu).map(Answer::Wide);
    };
}

/// The cells that are written when a child is created and gets a page table.
const EVERYTHING: [&str; 21] = [
    "AC",
    "AC.charged",
    "AC.seats",
    "AT",
    "AT.owner",
    "AT.cursor",
    "LAT",
    "pperm",
    "pt",
    "pt.ghost",
    "HP.defined",
    "ptpool",
    "ptpool.defined",
    "kctxt",
    "uctxt",
    "uctxt.kind",
    "tcb",
    "tcb.next",
    "rdy.head",
    "rdy.tail",
    "rdy.hi",
];

#[test]
fn an_interrupt_that_is_left_after_ten_events_is_refuted() {
    // As `serial_intr_disable`, with fewer iterations.
    let plant = |contract: &mut Symbolic| {
        contract.run = |cpu, _| {
            cpu.require_hk()?;
            cpu.require_init()?;
            require(cpu.own.intr_flag.holds() && cpu.own.serial_exists.holds(), Stuck::NotInterruptible)?;
            let is_open = cpu.own.lines.get([COM1_LINE.into()]).enabled.holds();
            cpu.own.ghost.update(|g| g.in_intr = true.into());
            type M = Sym<X64>;
            <M as Machine>::bounded_loop(cpu, "serial_intr_disable", 10, |cpu| {
                let com1 = &cpu.own.com1;
                let asks = com1.irq.holds() || <M as Machine>::serial_event(com1.l1).kind == event::RECV;
                if !asks {
                    return Ok(ControlFlow::Break(()));
                }
                serial::serial_env_step(cpu);
                if is_open {
                    serial::cons_intr(cpu)?;
                }
                Ok(ControlFlow::Continue(()))
            })?;
            cpu.own.ghost.update(|g| g.in_intr = false.into());
            cpu.own.lines.update([COM1_LINE.into()], |line| line.enabled = false.into());
            Ok(Answer::Unit)
        };
    };
    // The hosted machine has no iteration to begin in.
    let failures = prove(solver(), "serial_intr_disable", InvariantSet::Derived, plant, |_| ()).failures;
    assert!(failures.iter().any(|failure| failure.clause == "postcondition"), "{failures:#?}");
}

#[test]
fn a_frame_of_the_kernel_that_is_zeroed_is_refuted() {
    let plant = |contract: &mut Symbolic| {
        contract.run = |cpu, a| {
            let [n, va, perm, _] = a.words;
            let table = page_table::pt_resv(cpu, n, va, perm)?;
            cpu.own.hp.fill(&[7.into()], Byte { value: 0.into() });
            cpu.own.tables.fill(&[7.into()], Pte::UnPresent);
            Ok(Answer::Word(table))
        };
    };
    // The memory may have been zero before, so the counterexample need not fail when it runs.
    let failures = prove(solver(), "pt_resv", InvariantSet::Derived, plant, |_| ()).failures;
    for clause in ["modifies: HP.value", "modifies: pt."] {
        assert!(failures.iter().any(|failure| failure.clause.starts_with(clause)), "not `{clause}` but {failures:#?}");
    }
}

#[test]
fn what_only_the_prover_sees_is_its_own_fault() {
    let bug = Bug {
        primitive: "palloc",
        clause: "postcondition",
        symbolic: bugs::the_frame_after_the_allocated_one,
        hosted: |_| (),
    };
    let failure = counterexample(&bug, InvariantSet::Derived);
    assert_eq!(failure.reason, Reason::Spurious, "{failure:#?}");
    assert!(!failure.confirmed && failure.counterexample.is_none(), "{failure:#?}");
    assert!(failure.ending.contains("no clause is violated"), "{}", failure.ending);
}

#[test]
fn the_test_that_is_written_fails_on_the_bug_and_passes_without_it() {
    let plant = bugs::an_allocation_that_is_not_charged;
    let bug =
        Bug { primitive: "palloc", clause: "D10", symbolic: bugs::an_allocation_that_is_not_charged, hosted: plant };
    let failure = counterexample(&bug, InvariantSet::Derived);
    let test = emit_test(&failure, bug.primitive, Some(InvariantSet::Derived)).expect("it was run");
    assert_eq!(test.name, "palloc_d10_usage_is_what_was_charged");
    assert_eq!(test.text, include_str!("written/palloc_d10_usage_is_what_was_charged.rs"));
    // Without the bug, the written test runs and passes, as a module of this file.
    let rows = primitives::<Sim>();
    let (primitive, mut contract) = rows.into_iter().find(|row| row.0.name == bug.primitive).expect("a primitive");
    plant(&mut contract);
    let subject = Subject { primitive: &primitive, contract: &contract, facts: Class::Derived };
    let ending = subject.call(&written::witness()).expect("the state admits the call");
    assert!(!ending.broken.is_empty(), "what the test asserts holds in spite of the bug");
}
