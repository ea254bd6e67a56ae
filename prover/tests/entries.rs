//! Bugs in the entries of the kernel have counterexamples that also fail on the hosted machine, which gets the
//! machine's answers from the counterexample. If only the prover sees a failure, the prover or a contract is
//! wrong.
mod common;
/// A counterexample to a bug of this file, in the form in which the prover writes it.
#[path = "written/main_h1_valid_nps.rs"]
mod written;

use common::bugs::{Bug, counterexample};
use common::{enter, solver};
use domain::{Ghost, Map, Wide};
use layer::core::constants::{MAX_PAGE, NO_THREAD, perm, slot};
use layer::core::fields::{Byte, Context, Defined, Slot, place, process};
use layer::core::machine::{Links, Spec};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::channel::acquire_lock_chan;
use layer::objects::channel::pool::Cv;
use layer::objects::page_table::{pt_read, pt_resv};
use layer::objects::process::{proc_exit_user, proc_start_user};
use layer::objects::thread::{get_curid, thread_yield};
use layer::objects::trap::trap_get;
use prover::{Failure, Reason, emit_test};
use sim::counterexample::entry::Entry;
use sim::machine::Sim;
use syscall::continuation::Continuation;
use syscall::entry;
use syscall::next::{Next, Wake};
use syscall::system::System;
use syscall::table::{KernelEntry, rows};
use syscall::unchecked::{Address, Unchecked};

/// A page fault at an address of the window, which `map` resolves for a thread.
fn resolve<M: System + Spec>(
    cpu: &mut Cpu<'_, M>,
    registers: M::Registers,
    map: fn(&mut Cpu<'_, M>, M::Word, M::Word) -> Result<M::Word, Stuck>,
) -> Result<Next<M>, Stuck> {
    proc_exit_user(cpu, registers)?;
    let Some(address) = Address::<M>::in_window_wide(Unchecked::new(trap_get(cpu)?)) else {
        return Ok(Next::Continue(Continuation::Main));
    };
    let cur = get_curid(cpu)?;
    map(cpu, cur, address.word())?;
    Ok(Next::ToUser(proc_start_user(cpu)?))
}

/// Maps a page by [`pt_resv`] if none is mapped at `va`.
fn reserve_missing<M: System>(
    cpu: &mut Cpu<'_, M>,
    thread: M::Word,
    va: M::Word,
    permission: u32,
) -> Result<M::Word, Stuck> {
    let entry = pt_read(cpu, thread, va)?;
    if entry == 0 { pt_resv(cpu, thread, va, permission.into()) } else { Ok(entry) }
}

planted! {
    a_call_that_goes_on_with_the_main_thread: "system_call" breaks "the continuation can run", |row| {
        row.run = |cpu, a| Ok(match entry::system_call(cpu, a.registers)? {
            Next::ToUser(_) => Next::Continue(Continuation::Main),
            next => next,
        });
    };
    a_program_that_goes_on_in_the_kernel: "start_user" breaks "the continuation can run", |row| {
        row.run = |cpu, _| {
            let next = entry::go_on(cpu, Continuation::StartUser)?;
            cpu.own.ghost.update(|ghost| ghost.ikern = true.into());
            Ok(next)
        };
    };
    a_register_that_is_trusted: "system_call" breaks "never stuck: BadThread", |row| {
        row.run = |cpu, a| {
            let next = entry::system_call(cpu, a.registers)?;
            let number = cpu.own.uctxt.get([cpu.own.cur, slot::EDI.into()]).value;
            if number == 77 { Err(Stuck::BadThread) } else { Ok(next) }
        };
    };
    a_register_that_has_another_value: "system_call" breaks "postcondition", |row| {
        row.run = |cpu, a| {
            let next = entry::system_call(cpu, a.registers)?;
            if let Next::ToUser(_) = next {
                let cur = cpu.own.cur;
                cpu.own.uctxt.set([cur, slot::EDI.into()], Slot { value: M::Wide::constant(7) });
            }
            Ok(next)
        };
    };
    words_of_a_message_that_are_not_counted: "send" breaks "postcondition", |row| {
        row.run = |cpu, _| {
            let next = entry::go_on(cpu, Continuation::Send)?;
            let cur = cpu.own.cur;
            if matches!(next, Next::ToUser(_)) && cpu.own.uctxt.get([cur, slot::EAX.into()]).value.low() == 0 {
                cpu.own.uctxt.set([cur, slot::EBX.into()], Slot { value: M::Wide::constant(0) });
            }
            Ok(next)
        };
    };
    a_page_that_is_mapped_already: "page_fault" breaks "the precondition of pt_resv holds at the call", |row| {
        row.run = |cpu, a| {
            resolve(cpu, a.registers, |cpu, cur, va| pt_resv(cpu, cur, va, perm::PTU.into()))
        };
    };
    // P31: if there is no page for the page table, the page stays charged.
    a_page_that_is_lost: "page_fault" breaks "E2", |row| {
        row.run = |cpu, a| {
            resolve(cpu, a.registers, |cpu, cur, va| reserve_missing(cpu, cur, va, perm::PTU))
        };
    };
    a_process_that_is_gone_with_its_pages: "interrupt" breaks "E1", |row| {
        row.run = |cpu, a| {
            let next = entry::interrupt(cpu, a.registers)?;
            cpu.own.proc.update([9.into()], |process| process.state = process::GONE.into());
            Ok(next)
        };
    };
    a_frame_that_a_guest_reaches_and_nobody_has: "interrupt" breaks "E3", |row| {
        row.run = |cpu, a| {
            let next = entry::interrupt(cpu, a.registers)?;
            cpu.own.ghost.update(|g| g.guest_frames.set([700_000.into()], Defined { defined: true.into() }));
            Ok(next)
        };
    };
    a_guest_of_a_process_that_is_gone: "interrupt" breaks "E4", |row| {
        row.run = |cpu, a| {
            let next = entry::interrupt(cpu, a.registers)?;
            if cpu.own.vm.owner == 9 {
                cpu.own.proc.update([9.into()], |process| process.state = process::VACANT.into());
            }
            Ok(next)
        };
    };
    a_page_that_is_global: "page_fault" breaks "the assumptions of pt_resv hold at the call", |row| {
        row.run = |cpu, a| {
            resolve(cpu, a.registers, |cpu, cur, va| reserve_missing(cpu, cur, va, perm::PTKG))
        };
    };
    a_fault_that_writes_a_frame_of_the_kernel: "page_fault" breaks "modifies: HP.value", |row| {
        row.run = |cpu, a| {
            let next = entry::page_fault(cpu, a.registers)?;
            cpu.own.hp.set([7.into(), 0.into()], Byte { value: 7.into() });
            Ok(next)
        };
    };
    a_page_table_that_is_not_charged: "page_fault" breaks "D10", |row| {
        row.run = |cpu, a| {
            let cur = cpu.own.cur;
            let charged = cpu.own.ac.get([cur]).usage;
            let next = entry::page_fault(cpu, a.registers)?;
            let usage = cpu.own.ac.get([cur]).usage;
            if usage > charged && usage - charged > 1 {
                cpu.own.ac.update([cur], |container| container.usage -= 1);
            }
            Ok(next)
        };
    };
    an_address_of_an_image_that_is_trusted: "load" breaks "the precondition of pt_resv holds at the call", |row| {
        row.run = |cpu, a| {
            let [child, image, page] = a.load;
            if let Some(source) = M::image_page(image, page) {
                pt_resv(cpu, child, source.address.any(), perm::PTU.into())?;
            }
            Ok(Next::Continue(Continuation::Main))
        };
    };
    bytes_of_an_image_that_are_trusted: "load" breaks "never stuck: Misaligned", |row| {
        row.run = |cpu, a| {
            let [_, image, page] = a.load;
            if image < MAX_PAGE {
                M::load_page(&mut cpu.own.hp, image, image, page);
                if cpu.own.hp.get([image, 5.into()]).value == 200 {
                    return Err(Stuck::Misaligned);
                }
            }
            Ok(Next::Continue(Continuation::Main))
        };
    };
    a_quota_of_the_boot_list_that_is_trusted: "main" breaks "H", |row| {
        row.run = |cpu, _| {
            let me = cpu.own.cpu;
            if let Some(start) = M::next_start(me) && start.quota.is(12_345) && start.image.any() > 7 {
                cpu.own.nps = 0.into();
            }
            Ok(Next::Continue(Continuation::Main))
        };
    };
    a_thread_that_runs_nowhere: "exited" breaks "D4.1", |row| {
        row.run = |cpu, _| {
            let next = entry::go_on(cpu, Continuation::Exited)?;
            let cur = cpu.own.cur;
            cpu.shared.links.update(|tcb| tcb.update([cur], |t| t.place = place::FLIGHT.into()));
            Ok(next)
        };
    };
    a_thread_that_waits: "exception" breaks "never stuck: Queued", |row| {
        row.run = |cpu, a| {
            let waits = cpu.own.ready.head != NO_THREAD;
            let next = entry::exception(cpu, a.registers, a.reason)?;
            if waits { Err(Stuck::Queued) } else { Ok(next) }
        };
    };
    a_fault_that_writes_the_registers_of_another: "page_fault" breaks "modifies: uctxt", |row| {
        row.run = |cpu, a| {
            let next = entry::page_fault(cpu, a.registers)?;
            cpu.own.uctxt.set([900.into(), 0.into()], Slot { value: M::Wide::constant(7) });
            Ok(next)
        };
    };
    a_call_that_loses_what_was_typed: "system_call" breaks "modifies: console.len", |row| {
        row.run = |cpu, a| {
            let next = entry::system_call(cpu, a.registers)?;
            let number = M::register(&a.registers, layer::core::constants::slot::EAX.into()).low();
            if number == abi::Call::GetQuota as u32 {
                cpu.own.console.len = 0.into();
            }
            Ok(next)
        };
    };
    an_interrupt_after_which_another_continuation_comes: "interrupt" breaks "postcondition", |row| {
        row.run = |cpu, a| {
            let cur = cpu.own.cur;
            let next = entry::interrupt(cpu, a.registers)?;
            cpu.own.kctxt.update([cur], |context| context.ra = (Continuation::Exited as u32).into());
            Ok(next)
        };
    };
    a_thread_that_ends_and_runs_on: "exited" breaks "postcondition", |row| {
        row.run = |cpu, _| {
            let context = Context { esp: 0.into(), ra: (Continuation::StartUser as u32).into() };
            Ok(Next::Switch(thread_yield(cpu, context)?))
        };
    };
    a_call_that_begins_again_for_no_reason: "send" breaks "postcondition", |row| {
        row.run = |cpu, _| {
            let words = cpu.own.uctxt.get([cpu.own.cur, slot::EDX.into()]).value;
            if words == 77 { Ok(Next::Continue(Continuation::Send)) } else { entry::go_on(cpu, Continuation::Send) }
        };
    };
    an_argument_that_is_lost_on_the_way: "receive" breaks "postcondition", |row| {
        row.run = |cpu, _| {
            let cur = cpu.own.cur;
            let next = entry::go_on(cpu, Continuation::Receive)?;
            if let Next::Continue(_) = next {
                cpu.own.uctxt.set([cur, slot::EDX.into()], Slot { value: M::Wide::constant(5) });
            }
            Ok(next)
        };
    };
    a_wake_up_that_is_lost: "wake" breaks "postcondition", |row| {
        row.run = |cpu, _| Ok(Next::ToUser(proc_start_user(cpu)?));
    };
    a_lock_that_is_not_given_back: "wake" breaks "the continuation can run", |row| {
        row.run = |cpu, a| {
            let [cv, left, then] = a.wake;
            let then = if then == 0 { Continuation::StartUser } else { Continuation::Exited };
            let next = entry::wake_step(cpu, Wake { cv, left, then })?;
            if let Next::Wake(wake) = &next {
                acquire_lock_chan(cpu, Cv::<M>(wake.cv).channel())?;
            }
            Ok(next)
        };
    };
    an_addition_that_overflows: "start_user" breaks "addition overflows", |row| {
        row.run = |cpu, _| {
            let next = entry::go_on(cpu, Continuation::StartUser)?;
            if cpu.own.nps + 0xFFFF_FFFF == 0 { Err(Stuck::NotInit) } else { Ok(next) }
        };
    };
}

#[test]
fn what_only_the_prover_sees_is_its_own_fault() {
    let symbolic = bugs::a_page_table_that_is_not_charged;
    let failure = counterexample(&Bug { entry: "page_fault", clause: "D10", symbolic, hosted: |_| () });
    assert_eq!(failure.reason, Reason::Spurious, "{failure:#?}");
    assert!(!failure.confirmed && failure.counterexample.is_none(), "{failure:#?}");
    assert!(failure.ending.contains("no clause is violated"), "{}", failure.ending);
}

#[test]
fn a_contract_that_admits_more_than_the_primitive_is_no_bug() {
    fn plant<M: System + Spec>(row: &mut KernelEntry<M>) {
        row.run = |cpu, a| {
            let other = cpu.own.ac.get([900.into()]).quota;
            let next = entry::page_fault(cpu, a.registers)?;
            if cpu.own.ac.get([900.into()]).quota == other { Ok(next) } else { Err(Stuck::NoContainer) }
        };
    }
    let failure = counterexample(&Bug { entry: "page_fault", clause: "never stuck", symbolic: plant, hosted: plant });
    assert_eq!(failure.reason, Reason::Contract, "{failure:#?}");
    assert!(!failure.confirmed && failure.counterexample.is_none(), "{failure:#?}");
    assert!(failure.ending.contains("pt_reserve"), "{}", failure.ending);
}

#[test]
fn what_a_called_primitive_may_write_the_entry_has_to_name() {
    fn forget<M: System + Spec>(row: &mut KernelEntry<M>) {
        row.effect.modifies = |made, may| {
            let whole = rows::<M>().into_iter().find(|row| row.name == "interrupt").expect("an entry");
            (whole.effect.modifies)(made, &mut |name, leaf, key| {
                if name != "kctxt" {
                    may(name, leaf, key);
                }
            });
        };
    }
    let failures = enter(solver(), "interrupt", forget, forget).failures;
    let is_found = |failure: &Failure| failure.clause.starts_with("modifies: kctxt");
    assert!(failures.iter().any(is_found), "thread_yield writes it: {failures:#?}");
}

#[test]
fn the_test_that_is_written_fails_on_the_bug_and_passes_without_it() {
    let plant = bugs::a_quota_of_the_boot_list_that_is_trusted;
    let symbolic = bugs::a_quota_of_the_boot_list_that_is_trusted;
    let failure = counterexample(&Bug { entry: "main", clause: "H1", symbolic, hosted: plant });
    let test = emit_test(&failure, "main", None).expect("it was run");
    assert_eq!(test.name, "main_h1_valid_nps");
    assert_eq!(test.text, include_str!("written/main_h1_valid_nps.rs"));
    // Without the bug, the written test runs and passes, as a module of this file.
    let mut row = rows::<Sim>().into_iter().find(|row| row.name == "main").expect("an entry");
    plant(&mut row);
    let ending = Entry { row: &row }.enter(&written::witness()).expect("the state admits it");
    assert!(!ending.broken.is_empty(), "what the test asserts holds in spite of the bug");
}
