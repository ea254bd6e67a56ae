//! Random calls: primitives, their arguments, and changes of the state before them.
use super::hosted::HostedState;
use domain::Map;
use layer::catalogue::{Kind, Primitive, primitives};
use layer::core::call::{Arguments, Chunk};
use layer::core::constants::*;
use layer::core::fields::*;
use layer::core::state::{Cpu, Own};
use layer::objects::page_table::{pdx, ptx};
use proptest::prelude::*;
use sim::machine::Sim;
use sim::machine::sparse::Cells;

/// A random call, before its arguments are chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) cpu: u32,
    pub(super) row: usize,
    /// Random bytes from which the arguments are made.
    pub(super) dice: [u8; 8],
    /// A manual change of the state before the call, for an unreachable state.
    pub(super) tamper: Option<u8>,
}

pub(super) fn wish(cpus: u32) -> impl Strategy<Value = Wish> {
    let row = |name: &str| primitives::<Sim>().iter().position(|(row, _)| row.name == name).expect("a primitive");
    let often = ["pt_resv", "exec_load", "exec_store", "proc_create", "thread_yield", "palloc"].map(row).to_vec();
    let internal = ["ptInsertPTE", "ptAllocPDE", "ptInsert", "set_pt"].map(row).to_vec();
    let modes = ["proc_start_user", "proc_exit_user", "proc_start_user2", "proc_exit_user2"].map(row).to_vec();
    let guest =
        ["vmx_run_vm", "vmx_set_mmap", "guest_load", "guest_store", "host_in", "vmx_return_from_guest"].map(row);
    let guest = [&guest[..], &guest[..4], &guest[2..]].concat();
    let channels = [
        "acquire_lock_CHAN",
        "acquire_lock_CHAN",
        "release_lock_CHAN",
        "get_sync_chan_busy",
        "set_sync_chan_busy",
        "ipc_send_body",
        "ipc_receive_body",
        "page_copy",
        "page_copy_back",
        "page_copy_to",
        "thread_sleep",
        "thread_wakeup",
    ];
    let channels = channels.map(row).to_vec();
    let console = ["serial_intr_disable", "serial_intr_disable", "serial_intr_enable", "serial_env_step", "cons_intr"];
    let console = [&console[..], &["serial_putc", "cons_buf_read", "sti"]].concat();
    let console: Vec<usize> = console.into_iter().map(row).collect();
    let ends =
        ["thread_exit", "thread_exit", "proc_reap", "proc_recreate", "proc_condemn", "thread_yield"].map(row).to_vec();
    let whichever = 0..primitives::<Sim>().len();
    let row = prop_oneof![
        7 => prop::sample::select(channels),
        8 => prop::sample::select(often),
        3 => prop::sample::select(internal),
        4 => prop::sample::select(modes),
        6 => prop::sample::select(guest),
        4 => prop::sample::select(console),
        8 => prop::sample::select(ends),
        7 => whichever
    ];
    let tamper = prop_oneof![4 => Just(None), 1 => (0..TAMPERS).prop_map(Some)];
    (0..cpus, row, any::<[u8; 8]>(), tamper).prop_map(|(cpu, row, dice, tamper)| Wish { cpu, row, dice, tamper })
}

const TAMPERS: u8 = 14;

/// Changes the state manually, so that guards fail that no program can make fail.
pub(super) fn tamper(own: &mut Own<Sim>, how: u8) {
    let ghost = &mut own.ghost.0;
    match how {
        0 => ghost.ikern = !ghost.ikern,
        1 => ghost.ihost = !ghost.ihost,
        2 => ghost.pg = !ghost.pg,
        3 | 4 => ghost.ipt = !ghost.ipt,
        5 => ghost.init = !ghost.init,
        6 => ghost.in_intr = !ghost.in_intr,
        7 => ghost.pt = NO_MAP,
        8 => own.ioapic.irqs += 1,
        9 => own.ioapic.max_intr += IOAPIC_LINES,
        10 => own.serial_exists = !own.serial_exists,
        11 => (own.com1.on, own.com1.irq) = (!own.com1.on, true),
        12 => (own.com1.rx_int_enable, own.com1.dlab) = (!own.com1.rx_int_enable, !own.com1.dlab),
        // As before `sched_init`.
        _ => (ghost.init, ghost.pg, ghost.ikern, ghost.ipt) = (false, false, true, true),
    }
}

/// Moves the head of the ready queue to the pending queue, as if the thread had slept and another CPU had woken it.
pub(super) fn wake(cpu: &mut Cpu<'_, Sim>) {
    let (own, shared) = (&mut cpu.own, cpu.shared);
    // The main thread never sleeps.
    if own.ready.head != own.cpu + 1
        && let Some(thread) = own.ready.pop(&shared.links)
    {
        let mut pending = shared.pending.inspect(own.cpu);
        pending.fifo.push(&shared.links, own.cpu + MSG_Q, thread).expect("it is in no queue");
    }
}

/// The ends of ranges, and their neighbours.
const ENDS: [u32; 20] = [
    0,
    1,
    7,
    8,
    9,
    NUM_PROC - 1,
    NUM_PROC,
    4095,
    4096,
    KERN_LOW,
    MAX_PAGE - 1,
    MAX_PAGE,
    ADR_LOW - 1,
    ADR_LOW,
    (1 << 31) - 1,
    1 << 31,
    ADR_HIGH - 1,
    ADR_HIGH,
    u32::MAX - 1,
    u32::MAX,
];

/// Arguments for a primitive: mostly plausible ones, and ends of ranges.
pub(super) fn arguments(row: &Primitive, before: &HostedState, dice: [u8; 8]) -> Arguments<Sim> {
    let [a, b, c, d, e, f, g, h] = dice.map(u32::from);
    let (state, own) = (before.state.view(), &before.state.own);
    let pick = |from: &[u32], by: u32| from[by as usize % from.len()];
    let mine: Vec<u32> = (0..NUM_PROC).filter(|&thread| state.is_mine(thread)).collect();
    let thread = match a % 12 {
        0..5 => own.cur,
        5..9 => pick(&mine, b),
        9 => b,
        _ => pick(&ENDS, b),
    };
    let sensible = [0, 1, 2, 511, 512, 513, 1024, 700_000, 720_895].map(|page| KERN_LOW + page);
    let guest: Vec<u32> =
        own.ept.keys(Cells::Written).into_iter().map(|[directory, index]| directory * EPT_ENTRIES + index).collect();
    let va = if row.kind == Kind::GuestAccessor && c % 4 != 0 && !guest.is_empty() {
        pick(&guest, d) * PAGE_SIZE + e
    } else if c % 10 == 0 {
        pick(&ENDS, d)
    } else {
        pick(&sensible, d) * PAGE_SIZE + e
    };
    let chunk = Chunk::ALL[f as usize % 4];
    let aligned = if c % 7 == 0 { va } else { va - va % chunk as u32 };
    let is_child =
        |thread: &u32| own.ac.get([*thread]).used && own.ac.get([*thread]).parent == own.cur && *thread != own.cur;
    let children: Vec<u32> = (0..NUM_PROC).filter(is_child).collect();
    let data: Vec<u32> = own.ghost.0.pperm.keys(Cells::Written).into_iter().map(|[frame]| frame).collect();
    let left = state.own.ac.get([thread.min(NUM_ID - 1)]);
    let end = |by: u32| pick(&ENDS, by);
    let is_mapped = |page: &u32| match own.dirs.get([own.cur, pdx::<Sim>(page * PAGE_SIZE)]) {
        Pde::Table { frame } => matches!(own.tables.get([frame, ptx::<Sim>(page * PAGE_SIZE)]), Pte::Valid { .. }),
        _ => false,
    };
    let mapped: Vec<u32> = sensible.into_iter().filter(is_mapped).collect();
    let holder = |q: u32| before.state.channels.lock_of(q).holder;
    let held: Vec<u32> = (SLP_Q..SLP_Q + 2).filter(|&q| holder(q) == own.cpu).collect();
    let word = |name: &str| match (row.name, name) {
        ("container_can_consume", "n") => {
            pick(&[(left.quota - left.usage), left.quota, end(g)], f).saturating_add(f % 2 * (g % 2))
        }
        ("vmxinfo_get", "i") => {
            if g % 8 == 0 {
                end(h)
            } else {
                g % (VMXINFO_SIZE + 2)
            }
        }
        ("ipc_send_body" | "ipc_receive_body", "n") | ("page_copy" | "page_copy_back", "k") => {
            pick(&[0, 1, 2, 1024, 1025, end(h)], f)
        }
        ("ipc_send_body" | "ipc_receive_body" | "page_copy" | "page_copy_back", "va")
        | ("page_copy_to", "va" | "from")
            if c % 4 != 0 =>
        {
            let pages = if mapped.is_empty() { &sensible[..] } else { &mapped };
            pick(pages, d) * PAGE_SIZE
        }
        (name, "cv" | "q") if name != "proc_create" => {
            let cv = if name == "acquire_lock_CHAN" || held.is_empty() { g % 2 } else { held[0] - SLP_Q };
            let first = if row.words().next() == Some("q") { SLP_Q } else { 0 };
            if g % 8 == 0 { end(h) } else { first + cv }
        }
        (_, "child") if c % 8 != 0 && !children.is_empty() => pick(&children, d),
        (_, "n" | "i") => thread,
        (_, "va") => va,
        (_, "perm") => pick(&[perm::PTU, perm::PTU, perm::PTUR, perm::PTK, perm::PTP, perm::PTKG, 2, 8], f),
        (_, "k") => {
            if g % 8 == 0 {
                end(h)
            } else {
                g % (UCTXT_SIZE + 1)
            }
        }
        (_, "q") => {
            if g % 8 == 0 {
                end(h)
            } else {
                g % 8
            }
        }
        (_, "page") => {
            if data.is_empty() || g % 8 == 0 {
                end(h)
            } else {
                pick(&data, g)
            }
        }
        (_, "memtype") if g % 8 != 0 => g % 9,
        (_, "r" | "seg" | "enable" | "ev") if g % 8 != 0 => g % 15,
        (_, "hpa") if g % 2 != 0 && !data.is_empty() => pick(&data, h) * PAGE_SIZE,
        (_, "gpa" | "hpa") if g % 8 != 0 => va - va % PAGE_SIZE,
        (_, "kind" | "vector") => end(h) / (e + 1),
        _ => end(h),
    };
    let mut words = [0; 4];
    for (to, name) in words.iter_mut().zip(row.words()) {
        *to = word(name);
    }
    let beyond = if h == 255 { 1 << 32 } else { 0 };
    Arguments {
        words,
        wide: u64::from(aligned) + beyond,
        place: u64::from(end(g)) << 16,
        context: layer::core::fields::Context { esp: end(h), ra: g % CONTINUATIONS },
        registers: std::array::from_fn(|slot| (slot as u64) << 40 | u64::from(end(g + slot as u32))),
        guest: std::array::from_fn(|slot| (slot as u64) << 40 | u64::from(end(f + slot as u32))),
        chunk,
        bytes: [a, b, c, d, e, f, g, h],
    }
}
