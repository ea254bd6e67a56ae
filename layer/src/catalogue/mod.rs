//! The catalogue: one table of all primitives. All code that enumerates primitives reads this
//! table.
//!
//! Numbers, names and kinds are the reference's (section 4.3, appendix C). Rows without a number there follow with
//! number 0: the memory accessors, and the internal functions that have lemmas of their own.
pub mod obligation;

use crate::core::machine::Spec;
use crate::objects::console;
use crate::spec::contract::{Contract, LoopRule};
use obligation::{About, Class};

macro_rules! objects {
    ($($object:ident $name:literal $folder:ident: $description:literal;)*) => {
        /// The object that a primitive is about, in the order in which pages list them. Its code and its specification
        /// are in one folder of `objects/`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Object {
            $(#[doc = $description] $object),*
        }

        impl Object {
            /// All objects.
            pub const ALL: &[Object] = &[$(Object::$object),*];

            /// Its name on pages.
            pub fn name(self) -> &'static str {
                match self {
                    $(Object::$object => $name),*
                }
            }

            /// Its description in one sentence.
            pub fn description(self) -> &'static str {
                match self {
                    $(Object::$object => $description),*
                }
            }
        }

        /// The contracts of all objects, each under its primitive's name.
        mod contracts {
            $(pub(super) use crate::objects::$folder::spec::*;)*
        }
    };
}

// An object: name, name on pages, folder in `layer/src/objects`, description.
objects! {
    PageAllocation "Page allocation" page_alloc: "one table of all frames, shared by all CPUs";
    PageTables "Page tables" page_table: "a page map for each thread; a frame is in at most one map";
    Threads "Threads" thread: "a ready and a pending queue for each CPU; a sleep queue for each condition variable";
    Boot "Boot" boot: "all state that a CPU owns, set up once";
    UserContexts "User contexts" context: "the saved registers of programs";
    Processes "Processes" process: "creating a process; entering and leaving user mode";
    Containers "Containers" container: "a tree of quotas, which bound the pages that threads may use";
    Channels "Channels" channel: "messages between threads, each channel behind its lock";
    VirtualMachine "Virtual machine" vmx: "one guest for each CPU: its control structure, its registers, its nested \
     page tables";
    Interrupts "Interrupts" interrupt: "EFLAGS.IF of this CPU";
    Console "Console" console: "the serial line and the ring of received characters";
    Traps "Traps" trap: "the last page fault";
    Memory "Memory" memory: "loads and stores of programs and guests";
    PageCopies "Page copies" page_copy: "copies of pages between page maps";
}

/// How a primitive is called (reference, section 4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A C call; a call that starts in kernel mode ends in kernel mode.
    Plain,
    /// Captures the caller's context and resumes another.
    Schedule,
    /// Like [`Schedule`](Kind::Schedule), with an argument.
    Transfer,
    /// Creates a thread.
    ProcessCreation,
    /// Enters user mode.
    StartUser,
    /// Returns from user mode.
    ExitUser,
    /// Enters the guest; returns the guest's registers.
    VmxEnter,
    /// Returns from the guest; returns the host's registers.
    VmxReturn,
    /// Sets up the virtual machine; host addresses are supplied by the machine.
    VmcsDefaults,
    /// Preserves all registers.
    General,
    /// Reads the last page fault's address.
    TrapGet,
    /// Jumps to the instruction of the last page fault.
    TrapReturn,
    /// A load or store instruction of a user program.
    Accessor,
    /// A load or store instruction of a guest: an accessor in guest mode.
    GuestAccessor,
    /// Part of a primitive, proved for arbitrary arguments.
    Internal,
}

/// The type of an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// A 32-bit word.
    Word,
    /// A 64-bit word: an address, an entry point, a value of a register.
    Wide,
    /// The kernel context at which a thread continues.
    Context,
    /// The registers of a program at a trap, in the order of a user context.
    Registers,
    /// The registers of a guest at an exit, in the order of [`SAVED`](crate::core::constants::SAVED).
    Guest,
    /// RDI and RBP of the host at an entry.
    Host,
    /// The size of an access.
    Chunk,
    /// The bytes of a store.
    Bytes,
}

/// An argument of a primitive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub shape: Shape,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Primitive {
    /// The reference's number; 0 for accessors and internal functions.
    pub number: u32,
    /// The reference's name.
    pub name: &'static str,
    /// The object.
    pub object: Object,
    /// Kind of call.
    pub kind: Kind,
    /// Its arguments.
    pub arguments: &'static [Argument],
    /// Description of its result.
    pub result: &'static str,
    /// The kinds of events that it may append to a log, by the names of the log. The contract determines which
    /// events, and when.
    pub events: &'static [&'static str],
    /// The reference's theorem about it: the class of its obligations, and the name of its instance. `None` for an
    /// addition of this layer.
    pub theorem: Option<(&'static Class, &'static str)>,
    /// Why the booted kernel never calls it, for one of the numbered primitives; `None` if the kernel calls it.
    pub unused: Option<&'static str>,
}

/// The last number of the reference's primitives; higher numbers are additions of this layer.
pub const PASSED_THROUGH: u32 = 64;

impl Primitive {
    /// Whether the primitive is an addition of this layer, for processes that end, and not one of the reference's.
    pub fn is_fresh(&self) -> bool {
        self.number > PASSED_THROUGH
    }

    /// Whether this is a memory access, which has a size.
    pub fn is_access(&self) -> bool {
        matches!(self.kind, Kind::Accessor | Kind::GuestAccessor)
    }

    /// The names of the arguments that are words, in order.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.arguments.iter().filter(|argument| argument.shape == Shape::Word).map(|argument| argument.name)
    }

    /// The type of the argument with this name; `None` if there is none.
    pub fn shape(&self, argument: &str) -> Option<Shape> {
        self.arguments.iter().find(|other| other.name == argument).map(|argument| argument.shape)
    }

    /// Whether the primitive is one of the 64 that the reference numbers.
    pub fn is_reference(&self) -> bool {
        self.number > 0 && !self.is_fresh()
    }

    /// Whether a call that starts in kernel mode ends in kernel mode; this includes internal functions.
    pub fn keeps_mode(&self) -> bool {
        matches!(self.kind, Kind::Plain | Kind::ProcessCreation | Kind::VmcsDefaults | Kind::Internal)
    }

    /// Whether the row preserves the derived invariant `number`. A primitive does so for all arguments. An internal
    /// function does so if its `requires` holds, except for D17 and D22.4. For these, its caller has to show that the
    /// page to be mapped has defined contents: no contract can state about an argument that every byte is defined.
    pub fn keeps(&self, number: &str, requires: impl FnOnce() -> bool) -> bool {
        self.kind != Kind::Internal || (number != "D17" && number != "D22.4" && requires())
    }
}

macro_rules! table {
    ($($number:literal $name:ident $object:ident $kind:ident ($($argument:ident: $shape:ident),*) -> $result:literal
        $(logs [$($event:ident),*])? $(proves $class:ident $($instance:literal)?)? $(unused $reason:literal)?;)*) => {
        /// Every primitive of the layer, in the order of the numbers.
        pub const TABLE: &[Primitive] = &[$(Primitive {
            number: $number,
            name: stringify!($name),
            object: Object::$object,
            kind: Kind::$kind,
            arguments: &[$(Argument { name: stringify!($argument), shape: Shape::$shape }),*],
            result: $result,
            events: &[$($(stringify!($event)),*)?],
            theorem: theorem!($name $($class $($instance)?)?),
            unused: unused!($($reason)?),
        }),*];

        /// The contract of each primitive, in the order of the table.
        fn contracts<M: Spec>() -> [Contract<M>; TABLE.len()] {
            [$(contracts::$name::<M>()),*]
        }
    };
}

/// The reference's theorem in a row. An instance without a name of its own has that of the primitive.
macro_rules! theorem {
    ($name:ident) => {
        None
    };
    ($name:ident $class:ident) => {
        Some((&obligation::$class, stringify!($name)))
    };
    ($name:ident $class:ident $instance:literal) => {
        Some((&obligation::$class, $instance))
    };
}

/// The reason at the end of a row, if there is one.
macro_rules! unused {
    () => {
        None
    };
    ($reason:literal) => {
        Some($reason)
    };
}

// A row: number, name, object, kind of call, arguments with their types, result, events, the reference's theorem, and
// why the kernel never calls it.
table! {
    1 vmxinfo_get VirtualMachine Plain (i: Word) -> "value" proves Silent;
    2 palloc PageAllocation Plain (n: Word) -> "page or 0" logs [PALLOC] proves PreservesInvariants "palloc_inv";
    3 set_pt PageTables Plain (n: Word) -> "" proves PreservesInvariants "setPT_inv"
        unused "it is stuck on the kernel's page map, and a CPU that executes the kernel uses that map (D2)";
    4 pt_read PageTables Plain (n: Word, va: Word) -> "entry or 0" proves Silent;
    5 pt_resv PageTables Plain (n: Word, va: Word, perm: Word) -> "0, frame or MagicNumber"
        logs [PALLOC] proves PreservesInvariants "ptResv_inv"
        unused "it loses a page if there is none for the page table (P31): `pt_reserve` releases it";
    6 thread_wakeup Threads Plain (cv: Word) -> "0 or 1"
        logs [WAKE, WAKE_DIFF] proves PreservesInvariants "thread_wakeup_inv";
    7 thread_yield Threads Schedule (rs: Context) -> "" logs [YIELD] proves ThreadScheduleInvariants "thread_yield_inv";
    8 thread_sleep Threads Transfer (cv: Word, rs: Context) -> ""
        logs [SLEEP] proves ThreadTransferInvariants "thread_sleep_inv";
    9 sched_init Boot Plain (mbi: Word) -> "" proves PreservesInvariants "sched_init_inv";
    10 uctx_get UserContexts Plain (i: Word, k: Word) -> "word" proves Silent;
    11 uctx_set UserContexts Plain (i: Word, k: Word, v: Word) -> "" proves PreservesInvariants "uctx_set_inv";
    12 proc_create Processes ProcessCreation (elf: Word, code: Wide, q: Word) -> "child"
        logs [SPAWN] proves PCreateInvariants "big_proc_create_inv";
    13 container_get_nchildren Containers Plain (i: Word) -> "count" proves Silent;
    14 container_get_quota Containers Plain (i: Word) -> "pages" proves Silent;
    15 container_get_usage Containers Plain (i: Word) -> "pages" proves Silent;
    16 container_can_consume Containers Plain (i: Word, n: Word) -> "0 or 1" proves Silent;
    17 get_CPU_ID Threads Plain () -> "cpu" proves Silent;
    18 get_curid Threads Plain () -> "thread" proves Silent;
    19 acquire_lock_CHAN Channels Plain (q: Word) -> ""
        logs [WAIT, GET] proves PreservesInvariants "acquire_lock_SC_inv";
    20 release_lock_CHAN Channels Plain (q: Word) -> "" logs [RELEASE] proves PreservesInvariants "release_lock_SC_inv";
    21 get_sync_chan_busy Channels Plain (q: Word) -> "busy" proves Silent;
    22 set_sync_chan_busy Channels Plain (q: Word, v: Word) -> "" proves PreservesInvariants "set_sync_chan_busy_inv";
    23 ipc_send_body Channels Plain (q: Word, va: Word, n: Word) -> "words"
        logs [BUFFER] proves PreservesInvariants "ipc_send_body_inv";
    24 ipc_receive_body Channels Plain (q: Word, va: Word, n: Word) -> "words"
        proves PreservesInvariants "ipc_receive_body_inv";
    25 rdmsr VirtualMachine Plain (r: Word) -> "value" proves Silent;
    26 wrmsr VirtualMachine Plain (r: Word, value: Wide) -> "0" proves Silent;
    27 vmx_set_intercept_intwin VirtualMachine Plain (enable: Word) -> ""
        proves PreservesInvariants "vmx_set_intercept_intwin_inv";
    28 vmx_set_desc1 VirtualMachine Plain (seg: Word, sel: Word, base: Word) -> ""
        proves PreservesInvariants "vmx_set_desc1_inv";
    29 vmx_set_desc2 VirtualMachine Plain (seg: Word, lim: Word, ar: Word) -> ""
        proves PreservesInvariants "vmx_set_desc2_inv";
    30 vmx_inject_event VirtualMachine Plain (kind: Word, vector: Word, errcode: Word, ev: Word) -> ""
        proves PreservesInvariants "vmx_inject_event_inv";
    31 vmx_set_tsc_offset VirtualMachine Plain (offset: Wide) -> "" proves PreservesInvariants "vmx_set_tsc_offset_inv";
    32 vmx_get_tsc_offset VirtualMachine Plain () -> "offset" proves Silent;
    33 vmx_get_exit_reason VirtualMachine Plain () -> "reason" proves Silent;
    34 vmx_get_exit_fault_addr VirtualMachine Plain () -> "address" proves Silent;
    35 vmx_get_exit_qualification VirtualMachine Plain () -> "word" proves Silent;
    36 vmx_check_pending_event VirtualMachine Plain () -> "0 or 1" proves Silent;
    37 vmx_check_int_shadow VirtualMachine Plain () -> "0 or 1" proves Silent;
    38 vmx_get_reg VirtualMachine Plain (r: Word) -> "word" proves Silent;
    39 vmx_set_reg VirtualMachine Plain (r: Word, v: Word) -> "" proves PreservesInvariants "vmx_set_reg_inv";
    40 vmx_get_next_eip VirtualMachine Plain () -> "address" proves Silent;
    41 vmx_get_io_width VirtualMachine Plain () -> "0, 1 or 2" proves Silent;
    42 vmx_get_io_write VirtualMachine Plain () -> "0 or 1" proves Silent;
    43 vmx_get_exit_io_rep VirtualMachine Plain () -> "0 or 1" proves Silent;
    44 vmx_get_exit_io_str VirtualMachine Plain () -> "0 or 1" proves Silent;
    45 vmx_get_exit_io_port VirtualMachine Plain () -> "port" proves Silent;
    46 vmx_set_mmap VirtualMachine Plain (gpa: Word, hpa: Word, memtype: Word) -> "0"
        proves PreservesInvariants "vmx_set_mmap_inv";
    47 vmx_run_vm VirtualMachine VmxEnter (host: Host) -> "guest registers" proves VMXEnterInvariants "vmx_run_inv";
    48 vmx_return_from_guest VirtualMachine VmxReturn (guest: Guest) -> "host registers"
        proves VMXReturnInvariants "vmx_return_from_guest_inv";
    49 vmx_init VirtualMachine VmcsDefaults (mbi: Word) -> "" proves VMCSSetDefaultsInvariants "vmx_init_inv";
    50 cli Interrupts Plain () -> "" proves PreservesInvariants "cli_inv"
        unused "the processor itself masks interrupts while the kernel takes a step (P38)";
    51 sti Interrupts Plain () -> "" proves PreservesInvariants "sti_inv"
        unused "the flag is set, since the kernel does not call `cli`";
    52 serial_intr_disable Console Plain () -> "" proves PreservesInvariants "serial_intr_disable_inv";
    53 serial_intr_enable Console Plain () -> "" proves PreservesInvariants "serial_intr_enable_inv";
    54 serial_putc Console Plain (c: Word) -> "c or -1" proves PreservesInvariants "serial_putc_inv";
    55 cons_buf_read Console Plain () -> "character or -1" proves PreservesInvariants "cons_buf_read_inv";
    56 host_in VirtualMachine General () -> "" proves PrimInvariants "hostin_inv"
        unused "`vmx_return_from_guest` switches to host mode, and would be stuck after this switch";
    57 host_out VirtualMachine General () -> "" proves PrimInvariants "hostout_inv"
        unused "`vmx_run_vm` switches to guest mode, and would be stuck after this switch";
    58 proc_create_postinit Processes Plain (elf_id: Word) -> "" proves PreservesInvariants "proc_create_postinit_inv";
    59 trap_get Traps TrapGet () -> "address" proves Silent;
    60 trap_set Traps TrapReturn () -> "address" proves Silent;
    61 proc_start_user Processes StartUser () -> "user context" proves StartUserInvariants "proc_start_user_inv";
    62 proc_exit_user Processes ExitUser (registers: Registers) -> "" proves ExitUserInvariants "proc_exit_user_inv";
    63 proc_start_user2 Processes StartUser () -> "user context" proves StartUserInvariants2 "proc_start_user_inv2";
    64 proc_exit_user2 Processes ExitUser (registers: Registers) -> "" proves ExitUserInvariants2 "proc_exit_user_inv2";
    65 pfree PageAllocation Plain (n: Word, page: Word) -> "" logs [PFREE];
    66 pt_rmv PageTables Plain (n: Word, va: Word) -> "page or 0" logs [PFREE];
    67 pt_free_pde PageTables Plain (n: Word, va: Word) -> "address or 0" logs [PFREE];
    68 pt_next_pde PageTables Plain (n: Word, va: Word) -> "address or 0";
    69 proc_reap Processes Plain (child: Word) -> "status";
    70 thread_exit Processes Transfer (status: Word, cause: Word, rs: Context) -> "" logs [EXIT];
    71 proc_first Processes Plain (state: Word) -> "child or 0";
    72 proc_recreate Processes ProcessCreation (child: Word, code: Wide, q: Word) -> "" logs [RESPAWN];
    73 proc_state Processes Plain (child: Word) -> "state";
    74 proc_condemn Processes Plain (child: Word, rs: Context) -> "";
    75 pt_reserve PageTables Plain (n: Word, va: Word, perm: Word) -> "0, page table or MagicNumber"
        logs [PALLOC, PFREE];
    76 page_copy_to PageCopies Plain (n: Word, va: Word, from: Word) -> "";
    77 vmx_claim VirtualMachine Plain () -> "";
    78 vmx_release VirtualMachine Plain () -> "";
    79 vmx_owner VirtualMachine Plain () -> "thread or 0";
    80 vmx_next_fits VirtualMachine Plain () -> "0 or 1";
    0 exec_load Memory Accessor (chunk: Chunk, address: Wide) -> "bytes or page fault";
    0 exec_store Memory Accessor (chunk: Chunk, address: Wide, bytes: Bytes) -> "page fault or nothing"
        proves FlatmemStoreInvariant "flatmem_store_inv";
    0 guest_load Memory GuestAccessor (chunk: Chunk, address: Wide) -> "bytes";
    0 guest_store Memory GuestAccessor (chunk: Chunk, address: Wide, bytes: Bytes) -> "";
    0 page_copy Channels Internal (q: Word, k: Word, va: Word) -> "" logs [BUFFER] proves Internal;
    0 page_copy_back Channels Internal (q: Word, k: Word, va: Word) -> "" proves Internal;
    0 serial_env_step Console Internal () -> "";
    0 cons_intr Console Internal () -> "";
    0 ptInsertPTE PageTables Internal (n: Word, va: Word, page: Word, perm: Word) -> "" proves Internal;
    0 ptAllocPDE PageTables Internal (n: Word, va: Word) -> "frame or 0" logs [PALLOC] proves Internal;
    0 ptInsert PageTables Internal (n: Word, va: Word, page: Word, perm: Word) -> "0, frame or MagicNumber"
        logs [PALLOC] proves Internal;
}

/// The table's rows with their contracts.
pub type Rows<M> = [(Primitive, Contract<M>); TABLE.len()];

/// The table, with the contract of each primitive.
pub fn primitives<M: Spec>() -> Rows<M> {
    let contracts = contracts::<M>();
    core::array::from_fn(|i| (TABLE[i], contracts[i]))
}

/// The loop rules of the layer.
pub fn loops<M: Spec>() -> [LoopRule<M>; 1] {
    [console::spec::drain()]
}

/// The instances of a class of obligations, by their names in the reference.
pub fn instances(class: &'static Class) -> impl Iterator<Item = (&'static str, About)> {
    let of_row = move |row: &Primitive| match row.theorem {
        Some((of, instance)) if of.name == class.name => Some((instance, About::Call(row.name))),
        _ => None,
    };
    class.others.iter().copied().chain(TABLE.iter().filter_map(of_row))
}
