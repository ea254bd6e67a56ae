//! The page allocator: the allocation table and primitives 2 and 65.
pub mod spec;
pub mod table;

use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::log::{Event, Log};
use crate::core::machine::{Lock, Machine};
use crate::core::state::Cpu;
use crate::core::stuck::{Stuck, require};
use crate::objects::container::is_accounted;
use domain::{Flag, Ghost, Map};

/// 2 `palloc(n) -> page`: one page for container `n`, newly allocated; 0 if its quota or the memory is exhausted.
///
/// The page's contents are unknown. Appends `PALLOC(cur, page)`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`]; [`Stuck::NoContainer`] if `n` is not in use.
#[inline]
pub fn palloc<M: Machine>(cpu: &mut Cpu<'_, M>, n: M::Word) -> Result<M::Word, Stuck> {
    cpu.require_hkpt()?;
    cpu.require_init()?;
    let own = &mut cpu.own;
    require(n < NUM_ID && own.ac.get([n]).used.holds(), Stuck::NoContainer)?;
    let container = own.ac.get([n]);
    let mut table = cpu.shared.at.lock(own.cpu, 0.into());
    let found = if container.usage < container.quota {
        let found = table.frames.first(table.cursor, own.nps, Frame::is_free);
        // The next search starts after the frame found, or at the end if none was found: until a page is released, no
        // frame below is free.
        table.cursor = match found {
            // Equivalent mutants (`+`: first operand): the frame is handed out, so none below the cursor is free either
            // way; the next search looks at one more.
            Some(page) => page + 1,
            None => table.cursor.max(own.nps),
        };
        found
    } else {
        None
    };
    let Some(page) = found else {
        table.log.push(own.cpu, Event::Palloc { tid: own.cur, page: 0.into() });
        return Ok(0.into());
    };
    table.frames.update([page], |frame| frame.alloc = true.into());
    let by = own.cpu;
    table.owner.update(|ghost| ghost.owners.set([page], Owner { cpu: by }));
    table.log.push(own.cpu, Event::Palloc { tid: own.cur, page });
    drop(table);
    own.ghost.update(|ghost| {
        let seat = ghost.charged.get([n]).pages;
        ghost.pperm.set([page], FrameUse::Alloc);
        ghost.lat.set([page], ReverseMap { valid: true.into(), len: 0.into(), payer: n, seat });
        ghost.seats.set([n, seat], Seat { frame: page });
        ghost.charged.set([n], Charge { pages: seat + 1 });
    });
    own.ac.update([n], |container| container.usage += 1);
    Ok(page)
}

/// 65 `pfree(n, page)`: releases a page of container `n` that is not mapped. The page becomes free, and `n` may
/// allocate another page.
///
/// An addition for the layer above; the reference never releases a page. The page's contents become undefined. Appends
/// `PFREE(cur, page)`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`]; [`Stuck::NoContainer`] if `n` is not in use; [`Stuck::BadFrame`];
/// [`Stuck::FrameNotOwned`] if the page is not data of this CPU or not charged to `n`; [`Stuck::AlreadyMapped`] if it
/// is mapped; [`Stuck::NotAccounted`].
#[inline]
pub fn pfree<M: Machine>(cpu: &mut Cpu<'_, M>, n: M::Word, page: M::Word) -> Result<(), Stuck> {
    cpu.require_hkpt()?;
    cpu.require_init()?;
    let own = &mut cpu.own;
    require(n < NUM_ID && own.ac.get([n]).used.holds(), Stuck::NoContainer)?;
    require(page > 0 && page < own.nps, Stuck::BadFrame)?;
    let charged = |lat: ReverseMap<M>| lat.payer == n;
    require(
        own.ghost.check(|g| matches!(g.pperm.get([page]), FrameUse::Alloc) && charged(g.lat.get([page]))),
        Stuck::FrameNotOwned,
    )?;
    require(own.ghost.check(|g| g.lat.get([page]).len == 0), Stuck::AlreadyMapped)?;
    give_back(cpu, n, page)
}

/// Releases a frame that is charged to container `n` and that nothing uses any more.
///
/// # Errors
/// [`Stuck::NotAccounted`].
#[inline(always)]
#[track_caller]
pub(crate) fn give_back<M: Machine>(cpu: &mut Cpu<'_, M>, n: M::Word, page: M::Word) -> Result<(), Stuck> {
    let own = &mut cpu.own;
    require(own.ghost.check(|g| is_accounted::<M>(&own.ac, n, g.charged.get([n]))), Stuck::NotAccounted)?;
    let mut table = cpu.shared.at.lock(own.cpu, 0.into());
    table.frames.update([page], |frame| frame.alloc = false.into());
    table.owner.update(|ghost| ghost.owners.set([page], Owner { cpu: TOTAL_CPU.into() }));
    table.cursor = table.cursor.min(page);
    table.log.push(own.cpu, Event::Pfree { tid: own.cur, page });
    drop(table);
    own.ghost.update(|ghost| {
        // The container's last charged frame takes the seat of the released one. The payer of a free
        // frame has no meaning.
        let seat = ghost.lat.get([page]).seat;
        let last = ghost.charged.get([n]).pages - 1;
        let moved = ghost.seats.get([n, last]).frame;
        ghost.seats.set([n, seat], Seat { frame: moved });
        ghost.lat.update([moved], |lat| lat.seat = seat);
        ghost.charged.set([n], Charge { pages: last });
        ghost.pperm.set([page], FrameUse::Undef);
        ghost.hp_defined.fill(&[page], Defined { defined: false.into() });
    });
    own.ac.update([n], |container| container.usage -= 1);
    Ok(())
}
