//! Processes: primitives 12, 58, 61 to 64 and 69 to 74.
pub mod spec;

use crate::core::call::{Answer, Call};
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::geometry::Geometry;
use crate::core::log::{Event, Log};
use crate::core::machine::{Links, Machine};
use crate::core::state::{Cpu, Own};
use crate::core::stuck::{Stuck, require};
use crate::objects::thread::{Resume, run_next};
use domain::{Flag, Ghost, Map, Wide};

/// 12 `proc_create(elf, code, q) -> child`: creates a child of the running thread, ready to start at `code`, with `q`
/// pages of its parent's quota.
///
/// `elf` is ignored, as in the reference; the layer above loads the image. Appends `SPAWN(cur, child, …)`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::NoContainer`], [`Stuck::NoChild`] if the thread has all its
/// children or the child's number is out of range, [`Stuck::ChildUsed`], [`Stuck::NoQuota`], [`Stuck::Queued`].
#[inline]
pub fn proc_create<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    elf: M::Word,
    code: M::Wide,
    q: M::Word,
) -> Result<M::Word, Stuck> {
    let call = || Call { wide: code, ..Call::new("proc_create", [elf, q]) };
    M::call(cpu, call, Answer::word, |cpu| {
        cpu.require_hkpt()?;
        cpu.require_init()?;
        let (own, shared) = (&mut cpu.own, cpu.shared);
        let cur = own.cur;
        let container = own.ac.get([cur]);
        require(container.used.holds(), Stuck::NoContainer)?;
        require(container.nchildren < MAX_CHILDREN, Stuck::NoChild)?;
        let child = cur * MAX_CHILDREN + 1 + container.nchildren;
        require(child < NUM_PROC, Stuck::NoChild)?;
        // Equivalent mutants (flag: false): if a container is in use, its parent counts it as a child (H6.7), and the
        // next child is not counted yet.
        // Never true: if a container is in use, it is one of the children that its parent has had (H6); this one is the
        // next.
        require(!own.ac.get([child]).used.holds(), Stuck::ChildUsed)?;
        require(q <= container.quota - container.usage, Stuck::NoQuota)?;

        own.ac.update([cur], |parent| {
            parent.usage += q;
            parent.nchildren += 1;
        });
        own.ac
            .set([child], Container { quota: q, usage: 0.into(), parent: cur, nchildren: 0.into(), used: true.into() });
        let sp_ofs = begin_at(own, child, code);
        let me = own.cpu;
        own.ghost.update(|g| {
            g.charged.set([child], Charge { pages: 0.into() });
        });
        shared.links.set_cpu(child, me);
        shared.links.update(|tcb| tcb.update([child], |t| t.home = me));
        own.ready.push(&shared.links, me, child)?;
        own.log.push(me, Event::Spawn { tid: cur, child, quota: q, sp_ofs, code });
        Ok(child)
    })
}

/// Sets the contexts with which `child` starts at `code`, in user mode. Returns the offset of its kernel stack pointer.
#[inline(always)]
#[track_caller]
fn begin_at<M: Machine>(own: &mut Own<M>, child: M::Word, code: M::Wide) -> M::Word {
    let sp_ofs = (child + 1) * PAGE_SIZE - 4;
    own.kctxt.set([child], Context { esp: sp_ofs, ra: START_USER.into() });
    // An addition to the reference: all other registers are 0, so that every slot of a live thread is defined.
    own.uctxt.fill(&[child], Slot { value: M::Wide::constant(0) });
    own.ghost.update(|g| g.uctxt_kind.fill(&[child], SlotKind::Int));
    for (k, value) in [
        (slot::SS, USER_DATA),
        (slot::ES, USER_DATA),
        (slot::DS, USER_DATA),
        (slot::CS, M::Geometry::USER_CODE),
        (slot::ESP, STACK_TOP),
        (slot::EFLAGS, FL_IF),
    ] {
        own.uctxt.set([child, k.into()], Slot { value: M::Wide::constant(value.into()) });
    }
    own.uctxt.set([child, slot::EIP.into()], Slot { value: code });
    own.ghost.update(|g| g.uctxt_kind.set([child, slot::EIP.into()], SlotKind::Ptr));
    sp_ofs
}

/// 58 `proc_create_postinit(elf_id)`: called right after [`proc_create`]; does nothing (P16).
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`].
#[inline]
pub fn proc_create_postinit<M: Machine>(cpu: &mut Cpu<'_, M>, _elf_id: M::Word) -> Result<(), Stuck> {
    cpu.require_hkpt()?;
    cpu.require_init()
}

/// 69 `proc_reap(child) -> status`: reaps a child of the running thread whose process has ended and uses no pages.
/// The child's quota returns to the running thread, which can then create another process in the child. Returns the
/// exit status.
///
/// An addition for the layer above: the inverse of giving quota to a child.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::NoChild`] if it is not a child of the running thread,
/// [`Stuck::NotEnded`] if its process has not ended, [`Stuck::StillUsed`] if it uses pages.
#[inline]
pub fn proc_reap<M: Machine>(cpu: &mut Cpu<'_, M>, child: M::Word) -> Result<M::Word, Stuck> {
    let call = || Call::new("proc_reap", [child]);
    M::call(cpu, call, Answer::word, |cpu| {
        cpu.require_hkpt()?;
        cpu.require_init()?;
        let own = &mut cpu.own;
        require(is_child(own, child), Stuck::NoChild)?;
        let (container, process) = (own.ac.get([child]), own.proc.get([child]));
        require(process.state == process::GONE, Stuck::NotEnded)?;
        require(container.usage == 0, Stuck::StillUsed)?;
        take_back_quota(own, child);
        own.proc.update([child], |process| process.state = process::VACANT.into());
        Ok(process.status)
    })
}

/// Returns the quota of container `i`, which uses nothing, to its parent.
#[inline(always)]
#[track_caller]
fn take_back_quota<M: Machine>(own: &mut Own<M>, i: M::Word) {
    let container = own.ac.get([i]);
    own.ac.update([i], |container| container.quota = 0.into());
    own.ac.update([container.parent], |parent| parent.usage -= container.quota);
}

/// Whether `child` is a container in use and a child of the running thread.
#[inline(always)]
#[track_caller]
fn is_child<M: Machine>(own: &Own<M>, child: M::Word) -> bool {
    child > TOTAL_CPU && child < NUM_PROC && {
        let container = own.ac.get([child]);
        container.used.holds() && container.parent == own.cur
    }
}

/// 73 `proc_state(child) -> state`: 1 plus the state ([`process`]) of the process of a child of the running thread; 0
/// if `child` is no such child.
///
/// An addition for the layer above.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`].
#[inline]
pub fn proc_state<M: Machine>(cpu: &Cpu<'_, M>, child: M::Word) -> Result<M::Word, Stuck> {
    let call = || Call::new("proc_state", [child]);
    M::ask(cpu, call, Answer::word, |cpu| {
        cpu.require_hkpt()?;
        cpu.require_init()?;
        Ok(if is_child(&cpu.own, child) { cpu.own.proc.get([child]).state + 1 } else { 0.into() })
    })
}

/// 74 `proc_condemn(child, rs)`: replaces the saved kernel context of a child of the running thread, whose process must
/// be live. When the child runs again, it continues at `rs`.
///
/// An addition for the layer above. The child stays in its queue; the caller has to wake it if it sleeps.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::NoChild`], [`Stuck::NotLive`] if its process has ended.
#[inline]
pub fn proc_condemn<M: Machine>(cpu: &mut Cpu<'_, M>, child: M::Word, rs: Context<M>) -> Result<(), Stuck> {
    cpu.require_hkpt()?;
    cpu.require_init()?;
    let own = &mut cpu.own;
    require(is_child(own, child), Stuck::NoChild)?;
    require(own.proc.get([child]).state == process::LIVE, Stuck::NotLive)?;
    own.kctxt.set([child], rs);
    Ok(())
}

/// 70 `thread_exit(status, cause, rs)`: ends the process of the running thread, which must not use any pages. The
/// first thread of the ready queue runs; the ended thread is in no queue.
///
/// An addition for the layer above. The parent can read `status` and `cause`, and gets its quota back when it calls
/// [`proc_reap`]. If the parent is the main thread of a CPU, the quota goes back at once. Appends `EXIT(cur)`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::MainSleeps`] (P34: a thread is always ready),
/// [`Stuck::NoContainer`], [`Stuck::StillUsed`] if it uses pages, [`Stuck::NotSpawned`], [`Stuck::NothingReady`],
/// [`Stuck::BadContext`].
#[inline]
pub fn thread_exit<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    status: M::Word,
    cause: M::Word,
    rs: Context<M>,
) -> Result<Resume<M>, Stuck> {
    let call = || Call { context: rs, ..Call::new("thread_exit", [status, cause]) };
    M::call(cpu, call, Resume::of, |cpu| {
        cpu.require_hkpt()?;
        cpu.require_init()?;
        let (own, shared) = (&mut cpu.own, cpu.shared);
        let cur = own.cur;
        require(cur > TOTAL_CPU, Stuck::MainSleeps)?;
        let container = own.ac.get([cur]);
        require(container.used.holds(), Stuck::NoContainer)?;
        require(container.usage == 0, Stuck::StillUsed)?;
        // The main thread is alive, so it is ready. This check makes the prover instantiate the facts about it.
        let main = own.cpu + 1;
        require(shared.links.check(|tcb| tcb.get([main]).place != place::DEAD), Stuck::NotSpawned)?;
        require(own.ready.head != NO_THREAD, Stuck::NothingReady)?;
        let state = if container.parent <= TOTAL_CPU {
            take_back_quota(own, cur);
            process::VACANT
        } else {
            process::GONE
        };
        own.proc.set([cur], Process { state: state.into(), status, cause });
        shared.links.update(|tcb| tcb.update([cur], |t| t.place = place::GONE.into()));
        own.log.push(own.cpu, Event::Exit { tid: cur });
        run_next(own, shared, rs)
    })
}

/// 71 `proc_first(state) -> child`: the first child of the running thread whose process is live (0), gone (1) or vacant
/// (any other number); 0 if there is none.
///
/// An addition for the layer above.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::NoContainer`].
#[inline]
pub fn proc_first<M: Machine>(cpu: &Cpu<'_, M>, state: M::Word) -> Result<M::Word, Stuck> {
    let call = || Call::new("proc_first", [state]);
    M::ask(cpu, call, Answer::word, |cpu| {
        cpu.require_hkpt()?;
        cpu.require_init()?;
        let own = &cpu.own;
        let container = own.ac.get([own.cur]);
        require(container.used.holds(), Stuck::NoContainer)?;
        let from = own.cur * MAX_CHILDREN + 1;
        let end = (from + container.nchildren).min(NUM_PROC.into());
        let first = if state == process::LIVE {
            own.proc.first(from, end, |process| process.state == process::LIVE)
        } else if state == process::GONE {
            own.proc.first(from, end, |process| process.state == process::GONE)
        } else {
            own.proc.first(from, end, |process| process.state == process::VACANT)
        };
        Ok(first.unwrap_or(0.into()))
    })
}

/// 72 `proc_recreate(child, code, q)`: creates another process in a child of the running thread whose process is
/// vacant. It is ready to start at `code`, with `q` pages of its parent's quota.
///
/// An addition for the layer above. Appends `RESPAWN(cur, child, q)`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::NoChild`] if it is not a child of the
/// running thread, [`Stuck::NotEnded`] if its process has not ended or has not been reaped, [`Stuck::NoQuota`],
/// [`Stuck::Queued`].
#[inline]
pub fn proc_recreate<M: Machine>(cpu: &mut Cpu<'_, M>, child: M::Word, code: M::Wide, q: M::Word) -> Result<(), Stuck> {
    cpu.require_hkpt()?;
    cpu.require_init()?;
    let (own, shared) = (&mut cpu.own, cpu.shared);
    let cur = own.cur;
    let container = own.ac.get([cur]);
    require(is_child(own, child), Stuck::NoChild)?;
    require(own.proc.get([child]).state == process::VACANT && own.ac.get([child]).quota == 0, Stuck::NotEnded)?;
    require(q <= container.quota - container.usage, Stuck::NoQuota)?;

    own.ac.update([cur], |parent| parent.usage += q);
    own.ac.update([child], |container| container.quota = q);
    own.proc.set([child], Process { state: process::LIVE.into(), status: 0.into(), cause: 0.into() });
    begin_at(own, child, code);
    own.ready.push(&shared.links, own.cpu, child)?;
    own.log.push(own.cpu, Event::Respawn { tid: cur, child, quota: q });
    Ok(())
}

/// The thread that continues in user mode, with its saved user context.
///
/// The value cannot be copied, and only the machine's last step of a kernel entry consumes it.
#[must_use]
#[derive(Debug)]
pub struct ToUser<M: Machine> {
    /// The thread whose saved user context the machine loads.
    pub thread: M::Word,
}

/// 61 `proc_start_user()`: the running thread continues in user mode on its own page map.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`].
#[inline(always)]
pub fn proc_start_user<M: Machine>(cpu: &mut Cpu<'_, M>) -> Result<ToUser<M>, Stuck> {
    cpu.require_hkpt()?;
    cpu.require_init()?;
    let cur = cpu.own.cur;
    cpu.own.ghost.update(|g| {
        g.ikern = false.into();
        g.ipt = false.into();
        g.pt = cur;
    });
    Ok(ToUser { thread: cur })
}

/// 62 `proc_exit_user(registers)`: the trap entry; saves the running program's registers.
///
/// # Errors
/// [`Stuck::NotUserMode`].
#[inline(always)]
pub fn proc_exit_user<M: Machine>(cpu: &mut Cpu<'_, M>, registers: M::Registers) -> Result<(), Stuck> {
    let own = &mut cpu.own;
    // Equivalent mutants (flag: true): outside the kernel, the CPU is in root operation (H5) with paging on (H2
    // and H4).
    require(own.ghost.check(|g| !g.ikern.holds() && g.pg.holds() && g.ihost.holds()), Stuck::NotUserMode)?;
    let cur = own.cur;
    M::store_registers(&mut own.uctxt, cur, registers);
    own.ghost.update(|g| {
        g.ikern = true.into();
        g.ipt = true.into();
        g.pt = 0.into();
        g.uctxt_kind.fill(&[cur], SlotKind::Int);
    });
    Ok(())
}

/// 63 `proc_start_user2()`: like [`proc_start_user`], for the fast system-call path (P10).
///
/// # Errors
/// As for [`proc_start_user`].
#[inline(always)]
pub fn proc_start_user2<M: Machine>(cpu: &mut Cpu<'_, M>) -> Result<ToUser<M>, Stuck> {
    proc_start_user(cpu)
}

/// 64 `proc_exit_user2(registers)`: like [`proc_exit_user`], for the fast system-call path (P10).
///
/// # Errors
/// As for [`proc_exit_user`].
#[inline(always)]
pub fn proc_exit_user2<M: Machine>(cpu: &mut Cpu<'_, M>, registers: M::Registers) -> Result<(), Stuck> {
    proc_exit_user(cpu, registers)
}
