//! The facts about page maps, page tables and the reverse map.
use super::entries::{is_unmapped, is_user_directory, is_users_permission};
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::geometry::Geometry;
use crate::core::keys::IGNORE;
use crate::core::machine::Spec;
use crate::spec::fact::{Class, Fact};
use domain::{Flag, Map};

/// The facts about page maps, page tables and the reverse map.
pub(crate) fn facts<M: Spec>() -> [Fact<M>; 19] {
    [
        Fact {
            number: "H8.1",
            name: "valid_PMap (common)",
            class: Class::High,
            keys: &[("ptpool", &[0, 1])],
            holds: |v, k| {
                !v.ghost.pg.holds()
                    || is_user_directory::<M>(k[1])
                    || (matches!(v.own.dirs.get([k[0], k[1]]), Pde::Id)
                        && v.ghost.dirs_defined.get([k[0], k[1]]).defined.holds())
            },
        },
        Fact {
            number: "H8.2",
            name: "valid_PMap (user, directories)",
            class: Class::High,
            keys: &[("ptpool", &[0, 1])],
            holds: |v, k| {
                !v.ghost.pg.holds()
                    || !is_user_directory::<M>(k[1])
                    || v.ghost.dirs_defined.get([k[0], k[1]]).defined.holds()
            },
        },
        Fact {
            number: "H8.3",
            name: "valid_PMap (user, page tables)",
            class: Class::High,
            keys: &[("ptpool", &[0, 1]), ("pt.ghost", &[IGNORE, 2])],
            holds: |v, k| {
                !v.ghost.pg.holds()
                    || !is_user_directory::<M>(k[1])
                    || match v.own.dirs.get([k[0], k[1]]) {
                        Pde::Table { frame } => frame < MAX_PAGE && v.ghost.tables.get([frame, k[2]]).defined.holds(),
                        Pde::Id | Pde::UnPresent => true,
                    }
            },
        },
        Fact {
            number: "H9",
            name: "valid_PT_kern",
            class: Class::High,
            keys: &[],
            holds: |v, _| !v.ghost.pg.holds() || !v.ghost.ipt.holds() || v.ghost.pt == 0,
        },
        Fact {
            number: "H10",
            name: "valid_PMap_kern",
            class: Class::High,
            keys: &[("ptpool", &[IGNORE, 0])],
            holds: |v, k| !v.ghost.pg.holds() || matches!(v.own.dirs.get([0.into(), k[0]]), Pde::Id),
        },
        Fact {
            number: "H11",
            name: "valid_PT",
            class: Class::High,
            keys: &[],
            holds: |v, _| !v.ghost.pg.holds() || v.ghost.pt < NUM_PROC,
        },
        Fact {
            number: "H13",
            name: "valid_idpde",
            class: Class::High,
            keys: &[("idpde", &[0, 1])],
            holds: |v, k| {
                !v.ghost.pg.holds() || {
                    let entry = v.ghost.idpde.get([k[0], k[1]]);
                    let expected = if is_user_directory::<M>(k[0]) { perm::PTK } else { perm::PTKG };
                    entry.valid.holds() && entry.perm == expected
                }
            },
        },
        Fact {
            number: "D3",
            name: "page map in use",
            class: Class::Derived,
            keys: &[],
            holds: |v, _| {
                !v.ghost.init.holds() || if v.ghost.ipt.holds() { v.ghost.pt == 0 } else { v.ghost.pt == v.own.cur }
            },
        },
        Fact {
            number: "D6.1",
            name: "page tables are owned",
            class: Class::Derived,
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
            class: Class::Derived,
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
            class: Class::Derived,
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
            class: Class::Derived,
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
            class: Class::Derived,
            keys: &[("LAT.entry", &[0, 1])],
            holds: |v, k| {
                let (lat, entry) = (v.ghost.lat.get([k[0]]), v.ghost.lat_entry.get([k[0], k[1]]));
                !(v.ghost.init.holds() && lat.valid.holds() && k[1] < lat.len)
                    || (entry.thread < NUM_PROC
                        && is_user_directory::<M>(entry.directory)
                        && entry.index < M::Geometry::ENTRIES
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
            number: "D14",
            name: "user maps have no identity entries",
            class: Class::Derived,
            keys: &[("ptpool", &[0, 1])],
            holds: |v, k| {
                !v.ghost.init.holds()
                    || k[0] == 0
                    || !is_user_directory::<M>(k[1])
                    || !matches!(v.own.dirs.get([k[0], k[1]]), Pde::Id)
            },
        },
        Fact {
            number: "D17",
            name: "mapped pages are defined",
            class: Class::Derived,
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
            class: Class::Derived,
            keys: &[("LAT", &[0])],
            holds: |v, k| {
                let lat = v.ghost.lat.get([k[0]]);
                !(v.ghost.init.holds() && lat.valid.holds()) || lat.len <= 1
            },
        },
        Fact {
            number: "D22.3",
            name: "a page table is charged to its thread",
            class: Class::Derived,
            keys: &[("pperm", &[0])],
            holds: |v, k| match v.ghost.pperm.get([k[0]]) {
                FrameUse::Hide { thread, .. } => v.ghost.lat.get([k[0]]).payer == thread,
                _ => true,
            },
        },
        Fact {
            number: "D22.4",
            name: "a mapped page is charged to its thread",
            class: Class::Derived,
            keys: &[("pt", &[0, 1])],
            holds: |v, k| match (v.ghost.pperm.get([k[0]]), v.own.tables.get([k[0], k[1]])) {
                (FrameUse::Hide { thread, .. }, Pte::Valid { page, .. }) => {
                    page < MAX_PAGE && v.ghost.lat.get([page]).payer == thread
                }
                _ => true,
            },
        },
        Fact {
            number: "E2",
            name: "every data page is mapped",
            class: Class::Entry,
            keys: &[("pperm", &[0])],
            holds: |v, k| !is_unmapped(v, k[0]),
        },
    ]
}
