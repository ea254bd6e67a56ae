//! The obligations that the reference states for this layer (section 10.1): 41 instances of 16 classes, which generate
//! 108 obligations. Each obligation, and each other theorem that the section names, is about a row of the proof table.

/// What has to be proved of an instance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Obligation {
    /// L1 to L7 hold afterwards.
    Low,
    /// H1 to H20 hold afterwards.
    High,
    /// A call that starts in kernel mode ends in kernel mode.
    Mode,
    /// If L1 to L7 hold for a bound on the blocks of memory, they hold for every larger bound.
    LowMonotone,
    /// L1 to L7 hold in the state before `sched_init`.
    LowAtFirst,
    /// H1 to H20 hold in the state before `sched_init`.
    HighAtFirst,
    /// The whole state is unchanged.
    Unchanged,
}

impl Obligation {
    /// Its name in reports.
    pub fn word(self) -> &'static str {
        match self {
            Obligation::Low => "low",
            Obligation::High => "high",
            Obligation::Mode => "mode",
            Obligation::LowMonotone => "low is monotone",
            Obligation::LowAtFirst => "low at first",
            Obligation::HighAtFirst => "high at first",
            Obligation::Unchanged => "unchanged",
        }
    }
}

/// The subject of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About {
    /// The state itself.
    State,
    /// A primitive, accessor or internal function, by its name in this layer.
    Call(&'static str),
    /// The state change of a page fault, for every accessor.
    Fault,
}

/// A class of obligations: what each of its instances has to prove.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// Its name in the reference.
    pub name: &'static str,
    /// The obligations, in the reference's order.
    pub obligations: &'static [Obligation],
    /// The premise of its instances; empty if there is none.
    pub premise: &'static str,
    /// Its instances, by their names in the reference.
    pub instances: &'static [(&'static str, About)],
}

use About::{Call, Fault, State};
use Obligation::{High, HighAtFirst, Low, LowAtFirst, LowMonotone, Mode, Unchanged};

const KEEPS: &[Obligation] = &[Low, High, Mode];
const KEEPS_INVARIANT: &[Obligation] = &[Low, High];

/// The classes with their instances, in the order of the reference's section 10.1.
pub const CLASSES: &[Class] = &[
    Class {
        name: "CompatDataOps",
        obligations: &[],
        premise: "it is the definition of the invariants",
        instances: &[("pbthread_data_ops", State)],
    },
    Class {
        name: "CompatData",
        obligations: &[LowMonotone, LowAtFirst, HighAtFirst],
        premise: "current_CPU_ID is below 8",
        instances: &[("pbthread_data_prf", State)],
    },
    Class {
        name: "PreservesInvariants",
        obligations: KEEPS,
        premise: "",
        instances: &[
            ("palloc_inv", Call("palloc")),
            ("setPT_inv", Call("set_pt")),
            ("ptResv_inv", Call("pt_resv")),
            ("thread_wakeup_inv", Call("thread_wakeup")),
            ("sched_init_inv", Call("sched_init")),
            ("uctx_set_inv", Call("uctx_set")),
            ("acquire_lock_SC_inv", Call("acquire_lock_CHAN")),
            ("release_lock_SC_inv", Call("release_lock_CHAN")),
            ("set_sync_chan_busy_inv", Call("set_sync_chan_busy")),
            ("ipc_send_body_inv", Call("ipc_send_body")),
            ("ipc_receive_body_inv", Call("ipc_receive_body")),
            ("vmx_set_intercept_intwin_inv", Call("vmx_set_intercept_intwin")),
            ("vmx_set_desc1_inv", Call("vmx_set_desc1")),
            ("vmx_set_desc2_inv", Call("vmx_set_desc2")),
            ("vmx_inject_event_inv", Call("vmx_inject_event")),
            ("vmx_set_tsc_offset_inv", Call("vmx_set_tsc_offset")),
            ("vmx_set_reg_inv", Call("vmx_set_reg")),
            ("vmx_set_mmap_inv", Call("vmx_set_mmap")),
            ("cli_inv", Call("cli")),
            ("sti_inv", Call("sti")),
            ("serial_intr_disable_inv", Call("serial_intr_disable")),
            ("serial_intr_enable_inv", Call("serial_intr_enable")),
            ("serial_putc_inv", Call("serial_putc")),
            ("cons_buf_read_inv", Call("cons_buf_read")),
            ("proc_create_postinit_inv", Call("proc_create_postinit")),
        ],
    },
    Class {
        name: "PCreateInvariants",
        obligations: KEEPS,
        premise: "low: its three blocks exist; here they are numbers of images and entry points",
        instances: &[("big_proc_create_inv", Call("proc_create"))],
    },
    Class {
        name: "VMCSSetDefaultsInvariants",
        obligations: KEEPS,
        premise: "low: its own blocks exist; here they are the machine's addresses",
        instances: &[("vmx_init_inv", Call("vmx_init"))],
    },
    Class {
        name: "PrimInvariants",
        obligations: KEEPS_INVARIANT,
        premise: "",
        instances: &[("hostin_inv", Call("host_in")), ("hostout_inv", Call("host_out"))],
    },
    Class {
        name: "ThreadScheduleInvariants",
        obligations: KEEPS_INVARIANT,
        premise: "low: the captured registers are well typed: they resume at a stage; high: any registers",
        instances: &[("thread_yield_inv", Call("thread_yield"))],
    },
    Class {
        name: "ThreadTransferInvariants",
        obligations: KEEPS_INVARIANT,
        premise: "low: the captured registers are well typed: they resume at a stage; high: any registers",
        instances: &[("thread_sleep_inv", Call("thread_sleep"))],
    },
    Class {
        name: "VMXEnterInvariants",
        obligations: KEEPS_INVARIANT,
        premise: "low: the captured registers are well typed, as words are; high: any registers",
        instances: &[("vmx_run_inv", Call("vmx_run_vm"))],
    },
    Class {
        name: "StartUserInvariants",
        obligations: KEEPS_INVARIANT,
        premise: "",
        instances: &[("proc_start_user_inv", Call("proc_start_user"))],
    },
    Class {
        name: "StartUserInvariants2",
        obligations: KEEPS_INVARIANT,
        premise: "",
        instances: &[("proc_start_user_inv2", Call("proc_start_user2"))],
    },
    Class {
        name: "ExitUserInvariants",
        obligations: KEEPS_INVARIANT,
        premise: "low: the registers are words; high: any context",
        instances: &[("proc_exit_user_inv", Call("proc_exit_user"))],
    },
    Class {
        name: "ExitUserInvariants2",
        obligations: KEEPS_INVARIANT,
        premise: "low: the registers are words; high: any context",
        instances: &[("proc_exit_user_inv2", Call("proc_exit_user2"))],
    },
    Class {
        name: "VMXReturnInvariants",
        obligations: KEEPS_INVARIANT,
        premise: "any registers",
        instances: &[("vmx_return_from_guest_inv", Call("vmx_return_from_guest"))],
    },
    Class {
        name: "FlatmemStoreInvariant",
        obligations: KEEPS_INVARIANT,
        premise: "high: the access stays in its page, which exec_store checks",
        instances: &[("flatmem_store_inv", Call("exec_store"))],
    },
    Class {
        name: "TrapinfoSetInvariant",
        obligations: KEEPS_INVARIANT,
        premise: "low: what is stored is well typed, as words are; high: any value",
        instances: &[("trapinfo_set_inv", Fault)],
    },
];

/// The primitives that only return a value. In place of an instance, we prove that the whole state is unchanged.
pub const SILENT: Class = Class {
    name: "silent",
    obligations: &[Unchanged],
    premise: "",
    instances: &[
        ("vmxinfo_get", Call("vmxinfo_get")),
        ("pt_read", Call("pt_read")),
        ("uctx_get", Call("uctx_get")),
        ("container_get_nchildren", Call("container_get_nchildren")),
        ("container_get_quota", Call("container_get_quota")),
        ("container_get_usage", Call("container_get_usage")),
        ("container_can_consume", Call("container_can_consume")),
        ("get_CPU_ID", Call("get_CPU_ID")),
        ("get_curid", Call("get_curid")),
        ("get_sync_chan_busy", Call("get_sync_chan_busy")),
        ("rdmsr", Call("rdmsr")),
        ("wrmsr", Call("wrmsr")),
        ("vmx_get_tsc_offset", Call("vmx_get_tsc_offset")),
        ("vmx_get_exit_reason", Call("vmx_get_exit_reason")),
        ("vmx_get_exit_fault_addr", Call("vmx_get_exit_fault_addr")),
        ("vmx_get_exit_qualification", Call("vmx_get_exit_qualification")),
        ("vmx_check_pending_event", Call("vmx_check_pending_event")),
        ("vmx_check_int_shadow", Call("vmx_check_int_shadow")),
        ("vmx_get_reg", Call("vmx_get_reg")),
        ("vmx_get_next_eip", Call("vmx_get_next_eip")),
        ("vmx_get_io_width", Call("vmx_get_io_width")),
        ("vmx_get_io_write", Call("vmx_get_io_write")),
        ("vmx_get_exit_io_rep", Call("vmx_get_exit_io_rep")),
        ("vmx_get_exit_io_str", Call("vmx_get_exit_io_str")),
        ("vmx_get_exit_io_port", Call("vmx_get_exit_io_port")),
        ("trap_get", Call("trap_get")),
        ("trap_set", Call("trap_set")),
    ],
};

/// The internal functions that have lemmas of their own, for arbitrary arguments.
pub const INTERNAL: Class = Class {
    name: "internal",
    obligations: KEEPS,
    premise: "",
    instances: &[
        ("page_copy", Call("page_copy")),
        ("page_copy_back", Call("page_copy_back")),
        ("ptInsertPTE", Call("ptInsertPTE")),
        ("ptAllocPDE", Call("ptAllocPDE")),
        ("ptInsert", Call("ptInsert")),
    ],
};

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::primitive::{Kind, TABLE};
    use std::vec::Vec;

    /// The names of the primitives with these numbers.
    fn names(numbers: &[u32]) -> Vec<&'static str> {
        let name = |&number: &u32| TABLE.iter().find(|row| row.number == number).expect("64 numbers").name;
        numbers.iter().map(name).collect()
    }

    fn calls(class: &Class) -> Vec<&'static str> {
        let call = |&(_, about): &(_, About)| if let Call(name) = about { Some(name) } else { None };
        class.instances.iter().filter_map(call).collect()
    }

    /// The table of section 10.1, written out again: class, number of instances, primitives by number, and number of
    /// obligations for each instance.
    const SECTION: [(&str, usize, &[u32], usize); 16] = [
        ("CompatDataOps", 1, &[], 0),
        ("CompatData", 1, &[], 3),
        (
            "PreservesInvariants",
            25,
            &[2, 3, 5, 6, 9, 11, 19, 20, 22, 23, 24, 27, 28, 29, 30, 31, 39, 46, 50, 51, 52, 53, 54, 55, 58],
            3,
        ),
        ("PCreateInvariants", 1, &[12], 3),
        ("VMCSSetDefaultsInvariants", 1, &[49], 3),
        ("PrimInvariants", 2, &[56, 57], 2),
        ("ThreadScheduleInvariants", 1, &[7], 2),
        ("ThreadTransferInvariants", 1, &[8], 2),
        ("VMXEnterInvariants", 1, &[47], 2),
        ("StartUserInvariants", 1, &[61], 2),
        ("StartUserInvariants2", 1, &[63], 2),
        ("ExitUserInvariants", 1, &[62], 2),
        ("ExitUserInvariants2", 1, &[64], 2),
        ("VMXReturnInvariants", 1, &[48], 2),
        ("FlatmemStoreInvariant", 1, &[], 2),
        ("TrapinfoSetInvariant", 1, &[], 2),
    ];

    #[test]
    fn the_instances_are_those_of_the_section() {
        assert_eq!(CLASSES.len(), SECTION.len());
        for (class, (name, instances, numbers, obligations)) in CLASSES.iter().zip(SECTION) {
            assert_eq!((class.name, class.instances.len(), class.obligations.len()), (name, instances, obligations));
            if !numbers.is_empty() {
                assert_eq!(calls(class), names(numbers), "{name}");
            }
        }
        let instances: usize = CLASSES.iter().map(|class| class.instances.len()).sum();
        let obligations: usize = CLASSES.iter().map(|class| class.instances.len() * class.obligations.len()).sum();
        assert_eq!((instances, obligations), (41, 108));
        let mut all: Vec<&str> = CLASSES.iter().flat_map(|class| class.instances).map(|instance| instance.0).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 41);
    }

    #[test]
    fn a_primitive_has_an_instance_or_is_silent() {
        let silent =
            [1, 4, 10, 13, 14, 15, 16, 17, 18, 21, 25, 26, 32, 33, 34, 35, 36, 37, 38, 40, 41, 42, 43, 44, 45, 59, 60];
        assert_eq!(calls(&SILENT), names(&silent));
        for row in TABLE.iter().filter(|row| row.number != 0 && !row.is_fresh()) {
            let classes = CLASSES.iter().chain([&SILENT]).filter(|class| calls(class).contains(&row.name));
            assert_eq!(classes.count(), 1, "{}", row.name);
        }
    }

    #[test]
    fn kernel_mode_is_promised_by_the_plain_primitives_and_two_more() {
        let with_mode = CLASSES.iter().filter(|class| class.obligations.contains(&Mode)).flat_map(calls);
        for name in with_mode {
            assert!(TABLE.iter().any(|row| row.name == name && row.keeps_mode()), "{name}");
        }
        let kept = TABLE.iter().filter(|row| row.number != 0 && !row.is_fresh() && row.keeps_mode()).count();
        assert_eq!(kept, 52);
    }

    #[test]
    fn the_internal_functions_are_internal() {
        for name in calls(&INTERNAL) {
            assert!(
                TABLE.iter().any(|row| row.name == name && row.kind == Kind::Internal && row.keeps_mode()),
                "{name}"
            );
        }
        assert_eq!(INTERNAL.instances.len(), 5);
    }
}
