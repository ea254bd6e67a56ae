//! D1 and following: derived facts (reference, sections 5.8 and 10.2), and facts that show that no call is stuck.
use super::Class::Derived;
use super::{Fact, IGNORE};
use crate::channel::Channels;
use crate::constants::*;
use crate::container::is_accounted;
use crate::fields::*;
use crate::machine::{Object, Spec};
use crate::page_table::{is_user_directory, is_users_permission};
use crate::queue::fifo_fact;
use domain::{Flag, Map};

/// Clauses that the representation makes true.
pub(super) const BY_CONSTRUCTION: &[(&str, &str)] = &[("D16", "a channel is as its last holder left it")];

pub(super) fn facts<M: Spec>() -> [Fact<M>; 37] {
    [
        Fact {
            number: "D1",
            name: "initialised iff paging",
            class: Derived,
            keys: &[],
            holds: |v, _| v.ghost.init.holds() == v.ghost.pg.holds(),
        },
        Fact {
            number: "D2",
            name: "kernel map iff ring 0",
            class: Derived,
            keys: &[],
            holds: |v, _| v.ghost.ikern.holds() == v.ghost.ipt.holds(),
        },
        Fact {
            number: "D3",
            name: "page map in use",
            class: Derived,
            keys: &[],
            holds: |v, _| {
                !v.ghost.init.holds() || if v.ghost.ipt.holds() { v.ghost.pt == 0 } else { v.ghost.pt == v.own.cur }
            },
        },
        Fact {
            number: "D4.1",
            name: "the running thread runs",
            class: Derived,
            keys: &[],
            holds: |v, _| {
                !v.ghost.init.holds()
                    || (v.own.cur < NUM_PROC
                        && v.is_mine(v.own.cur)
                        && v.threads.tcb.get([v.own.cur]).place == place::RUN
                        && v.own.ac.get([v.own.cur]).used.holds())
            },
        },
        Fact {
            number: "D4.2",
            name: "no other thread runs here",
            class: Derived,
            keys: &[("tcb", &[0])],
            holds: |v, k| {
                !v.ghost.init.holds()
                    || k[0] == v.own.cur
                    || !v.is_mine(k[0])
                    || v.threads.tcb.get([k[0]]).place != place::RUN
            },
        },
        Fact {
            number: "D4.3",
            name: "nothing runs before sched_init",
            class: Derived,
            keys: &[("tcb", &[0])],
            holds: |v, k| {
                v.ghost.init.holds()
                    || if k[0] == v.own.cpu + 1 {
                        v.is_mine(k[0]) && v.threads.tcb.get([k[0]]).place == place::RUN
                    } else {
                        !v.is_mine(k[0])
                    }
            },
        },
        Fact {
            number: "D4.4",
            name: "the ready queue is a queue",
            class: Derived,
            keys: &[("tcb", &[0])],
            holds: |v, k| fifo_fact(&v.own.ready, v.ready_id(), v.threads, k[0]),
        },
        Fact {
            number: "D4.5",
            name: "the pending queue is a queue",
            class: Derived,
            keys: &[("tcb", &[0])],
            holds: |v, k| v.pending.own_fact(v.own.cpu, v.threads, k),
        },
        Fact {
            number: "D4.6",
            name: "threads are where they can be",
            class: Derived,
            keys: &[("tcb", &[0])],
            holds: |v, k| v.threads.own_fact(k[0]),
        },
        Fact {
            number: "D4.7",
            name: "the main thread runs or is ready",
            class: Derived,
            keys: &[],
            holds: |v, _| {
                let place = v.threads.tcb.get([v.own.cpu + 1]).place;
                place == place::RUN || place == v.ready_id()
            },
        },
        Fact {
            number: "D5.1",
            name: "what this CPU holds is the lock of a channel",
            class: Derived,
            keys: &[("lock", &[0])],
            holds: |v, k| match v.ghost.lock.get([k[0]]) {
                LockState::Free => true,
                LockState::Own { pulled } => {
                    v.ghost.init.holds()
                        && pulled.holds()
                        && k[0] >= CHANNEL_LOCKS
                        && v.channels.lock_of(k[0] - CHANNEL_LOCKS).holder == v.own.cpu
                }
            },
        },
        Fact {
            number: "D5.2",
            name: "a channel that this CPU has is held",
            class: Derived,
            keys: Channels::<M>::KEYS,
            holds: |v, k| {
                v.channels.lock_of(k[0]).holder != v.own.cpu
                    || matches!(v.ghost.lock.get([k[0] + CHANNEL_LOCKS]), LockState::Own { .. })
            },
        },
        Fact {
            number: "D5.3",
            name: "this CPU holds no lock but that of its section",
            class: Derived,
            keys: &[("lock", &[0])],
            holds: |v, k| {
                let section = v.ghost.section;
                section == SOME_CHANNELS
                    || (section < NUM_CHAN && k[0] == section + CHANNEL_LOCKS)
                    || matches!(v.ghost.lock.get([k[0]]), LockState::Free)
            },
        },
        Fact {
            number: "D6.1",
            name: "page tables are owned",
            class: Derived,
            keys: &[("ptpool", &[0, 1])],
            holds: |v, k| match v.own.dirs.get([k[0], k[1]]) {
                Pde::Table { frame } if v.ghost.init.holds() => {
                    frame != 0
                        && frame < v.own.nps
                        && matches!(v.ghost.pperm.get([frame]), FrameUse::Hide { thread, index }
                            if thread == k[0] && index == k[1])
                        && v.ghost.lat.get([frame]).valid.holds()
                        && v.ghost.lat.get([frame]).len == 0
                }
                _ => true,
            },
        },
        Fact {
            number: "D6.2",
            name: "hidden frames are page tables",
            class: Derived,
            keys: &[("pperm", &[0])],
            holds: |v, k| match v.ghost.pperm.get([k[0]]) {
                FrameUse::Hide { thread, index } => {
                    thread > 0
                        && thread < NUM_PROC
                        && is_user_directory::<M>(index)
                        && matches!(v.own.dirs.get([thread, index]), Pde::Table { frame } if frame == k[0])
                }
                _ => true,
            },
        },
        Fact {
            number: "D6.3",
            name: "only threads with a process have page tables",
            class: Derived,
            keys: &[("ptpool", &[0, 1])],
            holds: |v, k| {
                !v.ghost.init.holds()
                    || !is_user_directory::<M>(k[1])
                    || (v.is_mine(k[0]) && v.own.proc.get([k[0]]).state != process::VACANT)
                    || !matches!(v.own.dirs.get([k[0], k[1]]), Pde::Table { .. })
            },
        },
        Fact {
            number: "D7",
            name: "mapped pages are owned and listed",
            class: Derived,
            keys: &[("pt", &[0, 1])],
            holds: |v, k| match (v.ghost.pperm.get([k[0]]), v.own.tables.get([k[0], k[1]])) {
                (FrameUse::Hide { thread, index }, Pte::Valid { page, perm }) => {
                    page != 0
                        && page < v.own.nps
                        && page < MAX_PAGE
                        && is_users_permission::<M>(perm)
                        && matches!(v.ghost.pperm.get([page]), FrameUse::Alloc)
                        && {
                            let slot = v.ghost.tables.get([k[0], k[1]]).slot;
                            let entry = v.ghost.lat_entry.get([page, slot]);
                            slot < v.ghost.lat.get([page]).len
                                && entry.thread == thread
                                && entry.directory == index
                                && entry.index == k[1]
                        }
                }
                _ => true,
            },
        },
        Fact {
            number: "D8",
            name: "listed places are mapped",
            class: Derived,
            keys: &[("LAT.entry", &[0, 1])],
            holds: |v, k| {
                let (lat, entry) = (v.ghost.lat.get([k[0]]), v.ghost.lat_entry.get([k[0], k[1]]));
                !(v.ghost.init.holds() && lat.valid.holds() && k[1] < lat.len)
                    || (entry.thread < NUM_PROC
                        && is_user_directory::<M>(entry.directory)
                        && entry.index < <M::Geometry as domain::Geometry>::ENTRIES
                        && match v.own.dirs.get([entry.thread, entry.directory]) {
                            Pde::Table { frame } => {
                                frame < MAX_PAGE
                                    && matches!(v.own.tables.get([frame, entry.index]), Pte::Valid { page, .. } if page == k[0])
                                    && v.ghost.tables.get([frame, entry.index]).slot == k[1]
                            }
                            _ => false,
                        })
            },
        },
        Fact {
            number: "D9",
            name: "owned frames were given to this CPU",
            class: Derived,
            keys: &[("pperm", &[0])],
            holds: |v, k| {
                let mine = M::present(&v.at.owner).owners.get([k[0]]).cpu == v.own.cpu;
                match v.ghost.pperm.get([k[0]]) {
                    FrameUse::Undef => !mine,
                    _ => mine && k[0] < v.own.nps && v.ghost.lat.get([k[0]]).valid.holds(),
                }
            },
        },
        Fact {
            number: "D10",
            name: "usage is what was charged",
            class: Derived,
            keys: &[("AC", &[0])],
            holds: |v, k| {
                let container = v.own.ac.get([k[0]]);
                !container.used.holds() || is_accounted::<M>(&v.own.ac, k[0], v.ghost.charged.get([k[0]]))
            },
        },
        Fact {
            number: "D11",
            name: "the allocation table by itself",
            class: Derived,
            keys: &[("AT", &[0])],
            holds: |v, k| v.at.own_fact(0.into(), v.threads, k),
        },
        Fact {
            number: "D12",
            name: "containers in use are threads alive",
            class: Derived,
            keys: &[("AC", &[0])],
            holds: |v, k| {
                !v.ghost.init.holds()
                    || (k[0] < NUM_PROC
                        && if v.is_local(k[0]) {
                            v.own.ac.get([k[0]]).used.holds() == v.is_mine(k[0])
                        } else {
                            !v.is_mine(k[0])
                        })
            },
        },
        Fact {
            number: "D13",
            name: "only threads alive have user contexts",
            class: Derived,
            keys: &[("uctxt.kind", &[0, 1])],
            holds: |v, k| v.is_mine(k[0]) || matches!(v.ghost.uctxt_kind.get([k[0], k[1]]), SlotKind::Undef),
        },
        Fact {
            number: "D13.2",
            name: "threads alive but the main ones have user contexts",
            class: Derived,
            keys: &[("uctxt.kind", &[0, 1])],
            holds: |v, k| {
                k[0] <= TOTAL_CPU
                    || !v.is_mine(k[0])
                    || match v.ghost.uctxt_kind.get([k[0], k[1]]) {
                        SlotKind::Int => true,
                        SlotKind::Ptr => k[1] == slot::EIP,
                        SlotKind::Undef => false,
                    }
            },
        },
        Fact {
            number: "D14",
            name: "user maps have no identity entries",
            class: Derived,
            keys: &[("ptpool", &[0, 1])],
            holds: |v, k| {
                !v.ghost.init.holds()
                    || k[0] == 0
                    || !is_user_directory::<M>(k[1])
                    || !matches!(v.own.dirs.get([k[0], k[1]]), Pde::Id)
            },
        },
        Fact {
            number: "D15.1",
            name: "what is to be received is in the mailbox",
            class: Derived,
            keys: Channels::<M>::KEYS,
            holds: |v, k| v.channels.own_fact(k[0]),
        },
        Fact {
            number: "D15.2",
            name: "messages are defined",
            class: Derived,
            keys: Channels::<M>::MAIL,
            holds: |v, k| v.channels.mail_fact(k[0], k[1]),
        },
        Fact {
            number: "D17",
            name: "mapped pages are defined",
            class: Derived,
            keys: &[("LAT", &[0]), ("HP.defined", &[IGNORE, 1])],
            holds: |v, k| {
                let lat = v.ghost.lat.get([k[0]]);
                !(v.ghost.init.holds() && lat.valid.holds() && lat.len > 0)
                    || v.ghost.hp_defined.get([k[0], k[1]]).defined.holds()
            },
        },
        Fact {
            number: "D18",
            name: "a frame is mapped at most once",
            class: Derived,
            keys: &[("LAT", &[0])],
            holds: |v, k| {
                let lat = v.ghost.lat.get([k[0]]);
                !(v.ghost.init.holds() && lat.valid.holds()) || lat.len <= 1
            },
        },
        Fact {
            number: "D23.1",
            name: "a thread is gone where its process has ended",
            class: Derived,
            keys: &[("tcb", &[0])],
            holds: |v, k| {
                !v.is_mine(k[0])
                    || (v.own.proc.get([k[0]]).state != process::LIVE)
                        == (v.threads.tcb.get([k[0]]).place == place::GONE)
            },
        },
        Fact {
            number: "D23.2",
            name: "only threads alive have ended",
            class: Derived,
            keys: &[("tcb", &[0])],
            holds: |v, k| v.is_mine(k[0]) || v.own.proc.get([k[0]]).state == process::LIVE,
        },
        Fact {
            number: "D23.4",
            name: "a process is live, gone or vacant",
            class: Derived,
            keys: &[("proc", &[0])],
            holds: |v, k| v.own.proc.get([k[0]]).state <= process::VACANT,
        },
        Fact {
            number: "D23.3",
            name: "who is vacant has nothing",
            class: Derived,
            keys: &[("proc", &[0])],
            holds: |v, k| v.own.proc.get([k[0]]).state != process::VACANT || v.own.ac.get([k[0]]).quota == 0,
        },
        Fact {
            number: "D22.1",
            name: "owned frames are charged",
            class: Derived,
            keys: &[("pperm", &[0])],
            holds: |v, k| {
                matches!(v.ghost.pperm.get([k[0]]), FrameUse::Undef) || {
                    let lat = v.ghost.lat.get([k[0]]);
                    lat.payer < NUM_ID
                        && v.own.ac.get([lat.payer]).used.holds()
                        && lat.seat < v.ghost.charged.get([lat.payer]).pages
                        && v.ghost.seats.get([lat.payer, lat.seat]).frame == k[0]
                }
            },
        },
        Fact {
            number: "D22.2",
            name: "charged frames are owned",
            class: Derived,
            keys: &[("AC.seats", &[0, 1])],
            holds: |v, k| {
                k[1] >= v.ghost.charged.get([k[0]]).pages || {
                    let frame = v.ghost.seats.get([k[0], k[1]]).frame;
                    frame < MAX_PAGE && !matches!(v.ghost.pperm.get([frame]), FrameUse::Undef) && {
                        let lat = v.ghost.lat.get([frame]);
                        lat.payer == k[0] && lat.seat == k[1]
                    }
                }
            },
        },
        Fact {
            number: "D22.3",
            name: "a page table is charged to its thread",
            class: Derived,
            keys: &[("pperm", &[0])],
            holds: |v, k| match v.ghost.pperm.get([k[0]]) {
                FrameUse::Hide { thread, .. } => v.ghost.lat.get([k[0]]).payer == thread,
                _ => true,
            },
        },
        Fact {
            number: "D22.4",
            name: "a mapped page is charged to its thread",
            class: Derived,
            keys: &[("pt", &[0, 1])],
            holds: |v, k| match (v.ghost.pperm.get([k[0]]), v.own.tables.get([k[0], k[1]])) {
                (FrameUse::Hide { thread, .. }, Pte::Valid { page, .. }) => {
                    page < MAX_PAGE && v.ghost.lat.get([page]).payer == thread
                }
                _ => true,
            },
        },
    ]
}
