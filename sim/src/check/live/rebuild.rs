//! Reconstructs ghost state from the facts that define it.
//!
//! This module says what each part of the ghost state *means*. The invariant says whether the rest of the state agrees.
//! If no ghost state satisfies the invariant, any choice shows the error. For example, a page that is mapped twice has a
//! list of two places, and a thread in no queue stays in flight.
use super::dump::{Dump, DumpError};
use crate::machine::Sim;
use crate::machine::boot::{processor, shared};
use crate::machine::platform::{self, Memory, Platform};
use crate::state::snapshot::Snapshot;
use domain::{Count, Map};
use layer::core::constants::*;
use layer::core::dump::machine;
use layer::core::fields::*;
use layer::core::state::{Boot, Cpu, OwnGhost, Shared};
use layer::objects::boot::sched_init;
use layer::objects::page_table::is_user_directory;
use layer::objects::queue::{Fifo, root};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A quiescent machine, with ghost state.
pub struct Rest<'m> {
    /// The CPUs.
    pub cpus: Vec<Cpu<'m, Sim>>,
    /// The uses of the frames in page maps, by frame number.
    pub uses: FxHashMap<u32, Use>,
    /// For each container, the number of pages that are charged to it and that are in none of its maps.
    pub lost: Vec<u32>,
    /// Allocated frames that no page map and no container's account contains.
    pub strays: Vec<u32>,
    /// Channels whose locks are held.
    pub held: Vec<u32>,
}

/// The use of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Use {
    /// The CPU that uses it.
    pub cpu: u32,
    /// Whether it is a page table, and not a page.
    pub table: bool,
}

/// Calls `look` with the state of `dump`, with ghost state. From then on, the thread belongs to that
/// machine.
///
/// # Errors
/// If the dump is not a valid state.
pub fn rebuild<R>(dump: &Dump, look: impl FnOnce(&Rest<'_>) -> R) -> Result<R, DumpError> {
    let word = |name| -> Result<u32, DumpError> {
        u32::try_from(dump.shared.machine(0, name)?).map_err(|_| DumpError::NoSuch(name.to_owned()))
    };
    let boot: Boot<Sim> = Boot { nps: word(machine::NPS)?, norm: word(machine::NORM)? };
    platform::make_current(Arc::new(Platform::bare(Memory::all(boot.nps.min(MAX_PAGE)))), None);
    let shared = Shared { boot, ..shared() };
    let mut cpus = Vec::new();
    for (number, part) in (0..).zip(&dump.own) {
        let mut cpu = processor(&shared, number);
        // This leaves the ghost state of a CPU that has done nothing yet.
        sched_init(&mut cpu, 0).map_err(|stuck| DumpError::NoSuch(format!("machine that boots: {stuck:?}")))?;
        let mut state = Snapshot::take(&cpu);
        if number == 0 {
            dump.shared.put_shared(&mut state)?;
        }
        part.put_own(number, &mut state)?;
        state.restore(&mut cpu);
        let (user, map) = (part.machine(number, machine::USER)? != 0, part.machine(number, machine::MAP)?);
        let ghost = &mut cpu.own.ghost.0;
        (ghost.ikern, ghost.ipt) = (!user, !user);
        ghost.pt = if user { map as u32 } else { 0 };
        cpus.push(cpu);
    }
    let held =
        (0..NUM_CHAN).filter(|&q| dump.shared.scalar(layer::core::dump::MACHINE, q, machine::HELD).is_some()).collect();
    place_threads(&mut cpus, &shared);
    let mut rest = Rest { cpus, uses: FxHashMap::default(), lost: vec![0; NUM_ID as usize], strays: Vec::new(), held };
    walk_page_maps(&mut rest);
    hand_out(&mut rest, &shared);
    know_contents(&mut rest, &shared);
    Ok(look(&rest))
}

/// Sets the place of each thread: running, or in the queue that contains it.
fn place_threads(cpus: &mut [Cpu<'_, Sim>], shared: &Shared<Sim>) {
    let mut threads = shared.links.inspect();
    for thread in 1..NUM_PROC {
        let home = root(thread) - 1;
        let is_gone = cpus.get(home as usize).is_some_and(|cpu| cpu.own.proc.get([thread]).state != process::LIVE);
        let alive = match cpus.get(home as usize) {
            Some(cpu) => cpu.own.ac.get([thread]).used,
            // The main thread of a CPU that the machine does not have.
            None => thread <= TOTAL_CPU,
        };
        // A live thread that is in no place stays in flight, which the invariant forbids.
        let place = match alive {
            true if is_gone => place::GONE,
            true if thread > TOTAL_CPU || (home as usize) < cpus.len() => place::FLIGHT,
            true => place::RUN,
            false => place::DEAD,
        };
        threads.tcb.set([thread], ThreadGhost { place, prev: NO_THREAD, seq: Count(0), home });
    }
    for cpu in &*cpus {
        if cpu.own.cur < NUM_PROC {
            threads.tcb.update([cpu.own.cur], |thread| thread.place = place::RUN);
        }
    }
    let mut queue = |fifo: &mut Fifo<Sim>, id: u32| {
        let (mut thread, mut before, mut seq) = (fifo.head, NO_THREAD, 0);
        while thread < NUM_PROC {
            let tcb = threads.tcb.get([thread]);
            // The thread is in another queue, or twice in this one. The invariant will report it.
            if tcb.place < NUM_CHAN || tcb.place == place::RUN {
                break;
            }
            threads.tcb.set([thread], ThreadGhost { place: id, prev: before, seq: Count(seq), ..tcb });
            (before, thread, seq) = (thread, threads.next.get([thread]).thread, seq + 1);
        }
        (fifo.span.0.lo, fifo.span.0.hi) = (Count(0), Count(seq));
    };
    for (number, cpu) in (0..).zip(cpus) {
        queue(&mut cpu.own.ready, number);
    }
    for row in 0..TOTAL_CPU {
        queue(&mut shared.pending.inspect(row).fifo, MSG_Q + row);
    }
    for row in 0..NUM_CV {
        queue(&mut shared.sleep.inspect(row).fifo, SLP_Q + row);
    }
}

/// Sets the uses of frames and the places of pages, according to the page maps.
fn walk_page_maps(rest: &mut Rest<'_>) {
    for (number, cpu) in (0..).zip(&mut rest.cpus) {
        let (dirs, tables, ghost) = (&cpu.own.dirs, &cpu.own.tables, &mut cpu.own.ghost.0);
        let mut found = Vec::new();
        for thread in (1..NUM_PROC).filter(|&thread| root(thread) == number + 1) {
            for index in (0..).take_while(|&index| index < DIRECTORIES).filter(|&index| is_user_directory::<Sim>(index))
            {
                if let Pde::Table { frame } = dirs.get([thread, index])
                    && frame < MAX_PAGE
                {
                    // If two entries name the same table, one of them does not own it.
                    if matches!(ghost.pperm.get([frame]), FrameUse::Undef) {
                        ghost.pperm.set([frame], FrameUse::Hide { thread, index });
                        ghost.tables.fill(&[frame], PteGhost { defined: true, slot: 0 });
                        rest.uses.entry(frame).or_insert(Use { cpu: number, table: true });
                    }
                    found.push((thread, index, frame));
                }
            }
        }
        for (thread, directory, frame) in found {
            for index in 0..ENTRIES {
                let Pte::Valid { page, .. } = tables.get([frame, index]) else { continue };
                if page >= MAX_PAGE {
                    continue;
                }
                if matches!(ghost.pperm.get([page]), FrameUse::Undef) {
                    ghost.pperm.set([page], FrameUse::Alloc);
                    rest.uses.entry(page).or_insert(Use { cpu: number, table: false });
                }
                let slot = ghost.lat.get([page]).len;
                ghost.lat.update([page], |lat| lat.len = slot + 1);
                ghost.lat_entry.set([page, slot], ReverseEntry { thread, directory, index });
                ghost.tables.set([frame, index], PteGhost { defined: true, slot });
                charge(ghost, thread, page);
            }
            charge(ghost, thread, frame);
        }
    }
}

/// Charges a frame to a container.
fn charge(ghost: &mut OwnGhost<Sim>, payer: u32, frame: u32) {
    let seat = ghost.charged.get([payer]).pages;
    ghost.lat.update([frame], |lat| (lat.payer, lat.seat) = (payer, seat));
    ghost.seats.set([payer, seat], Seat { frame });
    ghost.charged.set([payer], Charge { pages: seat + 1 });
}

/// The number of directory entries of a page map, and of entries of a page table.
const DIRECTORIES: u32 = <Directories as domain::Field<Sim>>::DIMS[1];
const ENTRIES: u32 = <PageTables as domain::Field<Sim>>::DIMS[1];

/// Sets the owner of each allocated frame, and charges it to a container.
///
/// A page that is charged and in no page map violates E2. It belongs to a container whose usage includes it. If there
/// are several such pages, it does not matter which belongs to which container.
fn hand_out(rest: &mut Rest<'_>, shared: &Shared<Sim>) {
    let mut table = shared.at.inspect(0);
    for (&frame, &Use { cpu, .. }) in &rest.uses {
        table.owner.0.owners.set([frame], Owner { cpu });
    }
    let uses = &rest.uses;
    let is_loose = |&frame: &u32| table.frames.get([frame]).alloc && !uses.contains_key(&frame);
    let mut loose: Vec<u32> = (0..MAX_PAGE).filter(is_loose).rev().collect();
    for (number, cpu) in (0..).zip(&mut rest.cpus) {
        for id in (1..NUM_ID).filter(|&id| root(id) == number + 1) {
            let container = cpu.own.ac.get([id]);
            if !container.used {
                continue;
            }
            let children = (0..container.nchildren.min(MAX_CHILDREN)).map(|k| id * MAX_CHILDREN + 1 + k);
            let quotas: u64 =
                children.filter(|&child| child < NUM_ID).map(|child| u64::from(cpu.own.ac.get([child]).quota)).sum();
            let ghost = &mut cpu.own.ghost.0;
            while u64::from(container.usage) > quotas + u64::from(ghost.charged.get([id]).pages)
                && let Some(frame) = loose.pop()
            {
                table.owner.0.owners.set([frame], Owner { cpu: number });
                ghost.pperm.set([frame], FrameUse::Alloc);
                charge(ghost, id, frame);
                rest.lost[id as usize] += 1;
            }
        }
    }
    // The frame is allocated without an owner, but the ghost state needs some owner.
    for &frame in &loose {
        table.owner.0.owners.set([frame], Owner { cpu: 0 });
        if let Some(cpu) = rest.cpus.first_mut() {
            cpu.own.ghost.0.pperm.set([frame], FrameUse::Alloc);
        }
    }
    rest.strays = loose;
}

/// Sets registers, pages and messages to defined, because real memory always has contents.
fn know_contents(rest: &mut Rest<'_>, shared: &Shared<Sim>) {
    let mut channels = shared.channels.inspect();
    for q in 0..NUM_CHAN {
        let words = channels.pool.get([q]).count.min(MAX_WORDS);
        if words > 0 {
            channels.ghost.0.locks.update([q], |lock| lock.words = words);
        }
    }
    channels.ghost.0.defined.define(|_| Defined { defined: true });
    let threads = shared.links.inspect();
    for cpu in &mut rest.cpus {
        let own = &mut cpu.own;
        let ghost = &mut own.ghost.0;
        let pages: Arc<FxHashMap<u32, ()>> = Arc::new(
            (0..MAX_PAGE)
                .filter(|&frame| matches!(ghost.pperm.get([frame]), FrameUse::Alloc))
                .map(|frame| (frame, ()))
                .collect(),
        );
        if own.vm.set_up {
            ghost.vmcs_kind.define(|_| SlotKind::Int);
            ghost.vmx_kind.define(|_| SlotKind::Int);
            ghost.ept_dirs.define(|_| Defined { defined: true });
            for directory in 0..GUEST_MEMORY / (PAGE_SIZE * EPT_ENTRIES) {
                for index in 0..EPT_ENTRIES {
                    let entry = own.ept.get([directory, index]).value;
                    if entry != 0 {
                        ghost.ept_defined.set([directory, index], Defined { defined: true });
                        ghost.guest_frames.set([entry / PAGE_SIZE], Defined { defined: true });
                    }
                }
            }
        }
        ghost.hp_defined.define(move |[frame, _]| Defined { defined: pages.contains_key(&frame) });
        for thread in 1..NUM_PROC {
            let tcb = threads.tcb.get([thread]);
            if tcb.place != place::DEAD && tcb.home == own.cpu {
                ghost.uctxt_kind.fill(&[thread], SlotKind::Int);
            }
        }
    }
}
