//! H1 to H19 without H6: the reference's invariant record (section 5.1), field by field.
use super::Class::High;
use super::{Fact, IGNORE};
use crate::constants::*;
use crate::fields::*;
use crate::machine::Spec;
use crate::page_table::is_user_directory;
use domain::{Flag, Map};

pub(super) fn facts<M: Spec>() -> [Fact<M>; 20] {
    [
        Fact {
            number: "H1",
            name: "valid_nps",
            class: High,
            keys: &[],
            holds: |v, _| !v.ghost.pg.holds() || (v.own.nps >= KERN_LOW && v.own.nps <= MAX_PAGE),
        },
        Fact {
            number: "H2",
            name: "valid_kern",
            class: High,
            keys: &[],
            holds: |v, _| v.ghost.ipt.holds() || v.ghost.pg.holds(),
        },
        Fact {
            number: "H3",
            name: "valid_iptt",
            class: High,
            keys: &[],
            holds: |v, _| !v.ghost.ipt.holds() || v.ghost.ikern.holds(),
        },
        Fact {
            number: "H4",
            name: "valid_iptf",
            class: High,
            keys: &[],
            holds: |v, _| v.ghost.ikern.holds() || !v.ghost.ipt.holds(),
        },
        Fact {
            number: "H5",
            name: "valid_ihost",
            class: High,
            keys: &[],
            holds: |v, _| v.ghost.ihost.holds() || (v.ghost.pg.holds() && v.ghost.ikern.holds()),
        },
        Fact {
            number: "H7",
            name: "init_pperm",
            class: High,
            keys: &[("pperm", &[0])],
            holds: |v, k| v.ghost.pg.holds() || matches!(v.ghost.pperm.get([k[0]]), FrameUse::Undef),
        },
        Fact {
            number: "H8.1",
            name: "valid_PMap (common)",
            class: High,
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
            class: High,
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
            class: High,
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
            class: High,
            keys: &[],
            holds: |v, _| !v.ghost.pg.holds() || !v.ghost.ipt.holds() || v.ghost.pt == 0,
        },
        Fact {
            number: "H10",
            name: "valid_PMap_kern",
            class: High,
            keys: &[("ptpool", &[IGNORE, 0])],
            holds: |v, k| !v.ghost.pg.holds() || matches!(v.own.dirs.get([0.into(), k[0]]), Pde::Id),
        },
        Fact {
            number: "H11",
            name: "valid_PT",
            class: High,
            keys: &[],
            holds: |v, _| !v.ghost.pg.holds() || v.ghost.pt < NUM_PROC,
        },
        Fact {
            number: "H12",
            name: "valid_dirty",
            class: High,
            keys: &[("HP.defined", &[0, 1])],
            holds: |v, k| {
                matches!(v.ghost.pperm.get([k[0]]), FrameUse::Alloc)
                    || !v.ghost.hp_defined.get([k[0], k[1]]).defined.holds()
            },
        },
        Fact {
            number: "H13",
            name: "valid_idpde",
            class: High,
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
            number: "H14",
            name: "valid_root",
            class: High,
            keys: &[("AC", &[0])],
            holds: |v, k| !v.ghost.pg.holds() || k[0] > TOTAL_CPU || v.own.ac.get([k[0]]).used.holds(),
        },
        Fact {
            number: "H15",
            name: "valid_cons_buf_rpos",
            class: High,
            keys: &[],
            holds: |v, _| v.own.console.start < CONSOLE_BUFFER_SIZE,
        },
        Fact {
            number: "H16",
            name: "valid_cons_buf_length",
            class: High,
            keys: &[],
            holds: |v, _| v.own.console.len < CONSOLE_BUFFER_SIZE,
        },
        Fact { number: "H17", name: "CPU_ID_range", class: High, keys: &[], holds: |v, _| v.own.cpu < TOTAL_CPU },
        Fact { number: "H18", name: "valid_curid", class: High, keys: &[], holds: |v, _| v.own.cur < NUM_PROC },
        Fact {
            number: "H19",
            name: "valid_CPU_ID_eq",
            class: High,
            keys: &[],
            holds: |v, _| v.own.cpu == v.current_cpu,
        },
    ]
}
