//! The layer's interface, as the reference lists it (section 10.1): no primitives of its own, 64 primitives and two
//! accessors passed through. [`primitive::TABLE`](crate::primitive::TABLE) has those that are written.

/// Primitives about the same object.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    /// The object.
    pub name: &'static str,
    /// The object in a sentence.
    pub says: &'static str,
    /// Their numbers and names in the reference, in its order.
    pub primitives: &'static [(u32, &'static str)],
}

/// The accessors, which have no number.
pub const ACCESSORS: [&str; 2] = ["exec_load", "exec_store"];

/// The same accessors in guest mode.
pub const IN_GUEST_MODE: [&str; 2] = ["guest_load", "guest_store"];

/// The 64 primitives, by object.
pub const OBJECTS: &[Object] = &[
    Object {
        name: "Page allocation",
        says: "one table of all frames, shared by all CPUs",
        primitives: &[(2, "palloc")],
    },
    Object {
        name: "Page tables",
        says: "a page map a thread; a frame is in one map at most",
        primitives: &[(3, "set_pt"), (4, "pt_read"), (5, "pt_resv")],
    },
    Object {
        name: "Threads",
        says: "ready and pending queues, one of each a CPU; sleep queues, one a condition variable",
        primitives: &[
            (6, "thread_wakeup"),
            (7, "thread_yield"),
            (8, "thread_sleep"),
            (17, "get_CPU_ID"),
            (18, "get_curid"),
        ],
    },
    Object { name: "Boot", says: "everything that a CPU owns, set up once", primitives: &[(9, "sched_init")] },
    Object {
        name: "User contexts",
        says: "the saved registers of programs",
        primitives: &[(10, "uctx_get"), (11, "uctx_set")],
    },
    Object {
        name: "Processes",
        says: "making a thread; into and out of user mode",
        primitives: &[
            (12, "proc_create"),
            (58, "proc_create_postinit"),
            (61, "proc_start_user"),
            (62, "proc_exit_user"),
            (63, "proc_start_user2"),
            (64, "proc_exit_user2"),
        ],
    },
    Object {
        name: "Containers",
        says: "a tree of quotas: who may use how many pages",
        primitives: &[
            (13, "container_get_nchildren"),
            (14, "container_get_quota"),
            (15, "container_get_usage"),
            (16, "container_can_consume"),
        ],
    },
    Object {
        name: "Channels",
        says: "messages between threads, each channel behind its lock",
        primitives: &[
            (19, "acquire_lock_CHAN"),
            (20, "release_lock_CHAN"),
            (21, "get_sync_chan_busy"),
            (22, "set_sync_chan_busy"),
            (23, "ipc_send_body"),
            (24, "ipc_receive_body"),
        ],
    },
    Object {
        name: "Virtual machine",
        says: "one guest a CPU: its control structure, its registers, its nested page tables",
        primitives: &[
            (1, "vmxinfo_get"),
            (25, "rdmsr"),
            (26, "wrmsr"),
            (27, "vmx_set_intercept_intwin"),
            (28, "vmx_set_desc1"),
            (29, "vmx_set_desc2"),
            (30, "vmx_inject_event"),
            (31, "vmx_set_tsc_offset"),
            (32, "vmx_get_tsc_offset"),
            (33, "vmx_get_exit_reason"),
            (34, "vmx_get_exit_fault_addr"),
            (35, "vmx_get_exit_qualification"),
            (36, "vmx_check_pending_event"),
            (37, "vmx_check_int_shadow"),
            (38, "vmx_get_reg"),
            (39, "vmx_set_reg"),
            (40, "vmx_get_next_eip"),
            (41, "vmx_get_io_width"),
            (42, "vmx_get_io_write"),
            (43, "vmx_get_exit_io_rep"),
            (44, "vmx_get_exit_io_str"),
            (45, "vmx_get_exit_io_port"),
            (46, "vmx_set_mmap"),
            (47, "vmx_run_vm"),
            (48, "vmx_return_from_guest"),
            (49, "vmx_init"),
            (56, "host_in"),
            (57, "host_out"),
        ],
    },
    Object { name: "Interrupts", says: "EFLAGS.IF of this CPU", primitives: &[(50, "cli"), (51, "sti")] },
    Object {
        name: "Console",
        says: "the serial line and the ring of what was typed",
        primitives: &[
            (52, "serial_intr_disable"),
            (53, "serial_intr_enable"),
            (54, "serial_putc"),
            (55, "cons_buf_read"),
        ],
    },
    Object { name: "Traps", says: "the last page fault", primitives: &[(59, "trap_get"), (60, "trap_set")] },
];
