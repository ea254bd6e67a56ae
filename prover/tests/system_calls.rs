//! Wrong system calls, faults and loads have counterexamples to their postconditions, which also fail on the hosted
//! machine. None of these bugs gets stuck, breaks the invariant, or writes a cell of others.
mod common;

use abi::{Call, Error};

use domain::{Flag, Map, Wide};
use layer::core::constants::{ADR_LOW, MAGIC_NUMBER, NUM_PROC, PAGE_SIZE, SLP_Q, perm, slot};
use layer::core::fields::{Byte, Pde, Pte, Slot};
use layer::core::machine::Spec;
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::channel::pool::{Channel, Cv};
use layer::objects::channel::{acquire_lock_chan, ipc_send_body, release_lock_chan, set_sync_chan_busy};
use layer::objects::container::{container_can_consume, container_get_nchildren};
use layer::objects::context::{uctx_get, uctx_set};
use layer::objects::page_table::{pt_read, pt_reserve};
use layer::objects::process::{proc_create, proc_exit_user, proc_exit_user2, proc_start_user, proc_start_user2};
use layer::objects::thread::{get_curid, thread_wakeup};
use syscall::continuation::Continuation;
use syscall::entry;
use syscall::next::{Load, Next, Parent, Wake};
use syscall::system::{Event, System};
use syscall::table::KernelEntry;
use syscall::unchecked::{Address, Unchecked};

/// The running thread's argument in `slot`.
fn argument<M: System>(cpu: &Cpu<'_, M>, slot: u32) -> Result<M::Word, Stuck> {
    let cur = get_curid(cpu)?;
    uctx_get(cpu, cur, slot.into())
}

/// The call of the trap with these registers is `call`.
fn asks<M: Spec>(registers: &M::Registers, call: Call) -> bool {
    M::register(registers, slot::EAX.into()).low() == call as u32
}

/// Runs the system call. If it is `call`, returns at once and succeeds, then `then` follows.
fn after_success<M: System + Spec>(
    cpu: &mut Cpu<'_, M>,
    registers: M::Registers,
    call: Call,
    then: fn(&mut Cpu<'_, M>, M::Word),
) -> Result<Next<M>, Stuck> {
    let is_call = asks::<M>(&registers, call);
    let next = entry::system_call(cpu, registers)?;
    let cur = cpu.own.cur;
    if is_call && matches!(next, Next::ToUser(_)) && cpu.own.uctxt.get([cur, slot::EAX.into()]).value.low() == 0 {
        then(cpu, cur);
    }
    Ok(next)
}

/// Sets the first result of `cur`.
fn set_result<M: System>(cpu: &mut Cpu<'_, M>, cur: M::Word, value: u64) {
    cpu.own.uctxt.set([cur, slot::EBX.into()], Slot { value: M::Wide::constant(value) });
}

/// The frame at `address` of the running thread, if a page is mapped there.
fn frame<M: System>(cpu: &Cpu<'_, M>, address: M::Word) -> Option<M::Word> {
    let Pde::Table { frame } = cpu.own.dirs.get([cpu.own.cur, address / 0x20_0000]) else { return None };
    let Pte::Valid { page, .. } = cpu.own.tables.get([frame, address / PAGE_SIZE % 512]) else { return None };
    Some(page)
}

/// The address of the page fault, if it is in the window.
fn faulted<M: System>(cpu: &Cpu<'_, M>) -> Option<M::Word> {
    Address::<M>::in_window_wide(Unchecked::new(cpu.own.ti.addr)).map(|address| address.word())
}

/// A `send` of one word at the start of the window, to channel 0, which does not look whether the channel has a message.
fn send_always<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    let cur = get_curid(cpu)?;
    let is_bugs_case = argument(cpu, slot::EBX)? == 0
        && argument(cpu, slot::R10)? == ADR_LOW
        && argument(cpu, slot::EDX)? == 1
        && cur != cpu.own.cpu + 1
        && pt_read(cpu, cur, ADR_LOW.into())? % PAGE_SIZE == perm::PTU;
    if !is_bugs_case {
        return entry::go_on(cpu, Continuation::Send);
    }
    let channel = Channel(M::Word::from(SLP_Q));
    acquire_lock_chan(cpu, channel)?;
    let sent = ipc_send_body(cpu, channel, ADR_LOW.into(), 1.into())?;
    set_sync_chan_busy(cpu, channel, 2.into())?;
    release_lock_chan(cpu, channel)?;
    uctx_set(cpu, cur, slot::EBX.into(), sent)?;
    uctx_set(cpu, cur, slot::EAX.into(), 0.into())?;
    let cv = Cv(M::Word::from(0));
    if thread_wakeup(cpu, cv)? == 0 {
        return Ok(Next::ToUser(proc_start_user2(cpu)?));
    }
    Ok(Next::Wake(Wake { cv: cv.0, left: (NUM_PROC - 2).into(), then: Continuation::StartUser }))
}

/// A load of a page with the permission `permission`, whatever the image says.
fn load_page<M: System + Spec>(
    cpu: &mut Cpu<'_, M>,
    load: [M::Word; 3],
    permission: u32,
) -> Result<Option<Next<M>>, Stuck> {
    let [child, image, page] = load;
    let Some(source) = M::image_page(image, page) else { return Ok(None) };
    let Some(address) = Address::<M>::in_window(source.address) else { return Ok(None) };
    if address.offset() != 0 || page >= 16 || pt_read(cpu, child, address.word())? != 0 {
        return Ok(None);
    }
    if pt_reserve(cpu, child, address.word(), permission.into())? == MAGIC_NUMBER {
        return Ok(None);
    }
    let frame = pt_read(cpu, child, address.word())? / PAGE_SIZE;
    M::load_page(&mut cpu.own.hp, frame, image, page);
    Ok(Some(Next::Load(Load { parent: Parent::Main, child, image, page: page + 1 })))
}

/// The main thread starts a program without a look at its entry point.
fn start<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    let me = cpu.own.cpu;
    let Some(start) = M::next_start(me) else { return Ok(Next::Continue(Continuation::Main)) };
    let (index, quota) = (start.image.any(), start.quota.any());
    let Some(image) = M::image(index) else { return Ok(Next::Continue(Continuation::Main)) };
    let cur = get_curid(cpu)?;
    if !M::has_arguments(me).holds()
        && container_can_consume(cpu, cur, quota)? != 0
        && container_get_nchildren(cpu, cur)? < 8
        && image.frames.any() <= quota
    {
        let child = proc_create(cpu, index, image.entry.any(), quota)?;
        M::report(cpu, Event::Started { child, image: index });
        return Ok(Next::Load(Load { parent: Parent::Main, child, image: index, page: 0.into() }));
    }
    Ok(Next::Continue(Continuation::Main))
}

planted! {
    a_send_that_overwrites_a_message: "send" breaks "postcondition", |row| {
        row.run = |cpu, _| send_always(cpu);
    };
    a_puts_that_prints_the_next_frame_too: "system_call" breaks "postcondition", |row| {
        row.run = |cpu, a| after_success(cpu, a.registers, Call::Puts, |cpu, _| {
            M::console_write(cpu, 7.into(), 0.into(), 1.into());
        });
    };
    a_putc_that_answers_zero: "system_call" breaks "postcondition", |row| {
        row.run = |cpu, a| after_success(cpu, a.registers, Call::Putc, |cpu, cur| set_result(cpu, cur, 0));
    };
    a_getc_that_answers_zero: "system_call" breaks "postcondition", |row| {
        row.run = |cpu, a| after_success(cpu, a.registers, Call::Getc, |cpu, cur| set_result(cpu, cur, 0));
    };
    a_clock_that_stands: "system_call" breaks "postcondition", |row| {
        row.run = |cpu, a| after_success(cpu, a.registers, Call::Uptime, |cpu, cur| set_result(cpu, cur, 0));
    };
    a_yield_that_does_not_yield: "system_call" breaks "postcondition", |row| {
        row.run = |cpu, a| {
            if !asks::<M>(&a.registers, Call::Yield) {
                return entry::system_call(cpu, a.registers);
            }
            proc_exit_user2(cpu, a.registers)?;
            let cur = get_curid(cpu)?;
            uctx_set(cpu, cur, slot::EBX.into(), 0.into())?;
            uctx_set(cpu, cur, slot::EAX.into(), (Error::Succ as u32).into())?;
            Ok(Next::ToUser(proc_start_user2(cpu)?))
        };
    };
    a_spawn_that_charges_half: "system_call" breaks "postcondition", |row| {
        row.run = |cpu, a| {
            let quota = M::register(&a.registers, slot::R10.into()).low();
            let next = entry::system_call(cpu, a.registers)?;
            if let Next::Load(load) = &next && quota == 8 {
                cpu.own.ac.update([load.child], |child| child.quota = 7.into());
            }
            Ok(next)
        };
    };
    an_exit_with_another_status: "system_call" breaks "postcondition", |row| {
        row.run = |cpu, a| {
            let is_exit = asks::<M>(&a.registers, Call::Exit);
            let next = entry::system_call(cpu, a.registers)?;
            let cur = cpu.own.cur;
            if is_exit {
                set_result(cpu, cur, 3);
            }
            Ok(next)
        };
    };
    a_fault_that_maps_a_page_read_only: "page_fault" breaks "postcondition", |row| {
        row.run = |cpu, a| {
            let (cur, address) = (cpu.own.cur, faulted(cpu));
            let account = cpu.own.ac.get([cur]);
            let (Some(address), true) = (address, account.quota - account.usage > 2) else {
                return entry::page_fault(cpu, a.registers);
            };
            proc_exit_user(cpu, a.registers)?;
            if pt_read(cpu, cur, address)? == 0 {
                pt_reserve(cpu, cur, address, perm::PTUR.into())?;
            }
            Ok(Next::ToUser(proc_start_user(cpu)?))
        };
    };
    a_fault_that_repeats_for_ever: "page_fault" breaks "postcondition", |row| {
        row.run = |cpu, a| {
            if faulted(cpu).is_none_or(|address| frame(cpu, address).is_none()) {
                return entry::page_fault(cpu, a.registers);
            }
            proc_exit_user(cpu, a.registers)?;
            Ok(Next::ToUser(proc_start_user(cpu)?))
        };
    };
    a_fault_that_leaves_a_byte: "page_fault" breaks "postcondition", |row| {
        row.run = |cpu, a| {
            let next = entry::page_fault(cpu, a.registers)?;
            if matches!(next, Next::ToUser(_)) && let Some(frame) = faulted(cpu).and_then(|address| frame(cpu, address)) {
                cpu.own.hp.set([frame, 9.into()], Byte { value: 1.into() });
            }
            Ok(next)
        };
    };
    a_load_that_ends_after_the_first_page: "load" breaks "postcondition", |row| {
        row.run = |cpu, a| {
            let [child, image, page] = a.load;
            if page == 1 {
                return Ok(Next::Continue(Continuation::Main));
            }
            entry::load_step(cpu, Load { parent: a.parent, child, image, page })
        };
    };
    a_load_that_makes_every_page_writable: "load" breaks "postcondition", |row| {
        row.run = |cpu, a| Ok(match load_page(cpu, a.load, perm::PTU)? {
            Some(next) => next,
            None => Next::Continue(Continuation::Main),
        });
    };
    an_entry_point_that_is_not_checked: "main" breaks "postcondition", |row| {
        row.run = |cpu, _| start(cpu);
    };
}
