//! The numbered table of the layer's primitives. Everything that enumerates primitives reads this table.
//!
//! Numbers, names and kinds are the reference's (section 4.3, appendix C). Rows without a number there follow with
//! number 0: the memory accessors, and the internal functions that have lemmas of their own.
use crate::contract::{Contract, contracts};
use crate::machine::Spec;

/// How a primitive is called (reference, section 4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A C call; a call that starts in kernel mode ends in kernel mode.
    Plain,
    /// Captures the caller's context and resumes another.
    Schedule,
    /// As [`Schedule`](Kind::Schedule), with an argument.
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
    /// The registers of a guest at an exit, in the order of [`SAVED`](crate::vmx::SAVED).
    Guest,
    /// RDI and RBP of the host at an entry.
    Host,
    /// The size of an access.
    Chunk,
    /// The bytes of a store.
    Bytes,
}

impl Shape {
    /// The type of an argument with this name.
    pub fn of(argument: &str) -> Shape {
        match argument {
            "code" | "address" | "value" | "offset" => Shape::Wide,
            "rs" => Shape::Context,
            "registers" => Shape::Registers,
            "guest" => Shape::Guest,
            "host" => Shape::Host,
            "chunk" => Shape::Chunk,
            "bytes" => Shape::Bytes,
            _ => Shape::Word,
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Primitive {
    /// The reference's number; 0 for accessors and internal functions.
    pub number: u32,
    /// The reference's name.
    pub name: &'static str,
    /// Kind of call.
    pub kind: Kind,
    /// Names of its arguments.
    pub arguments: &'static [&'static str],
    /// Description of its result.
    pub result: &'static str,
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
        self.arguments.iter().copied().filter(|name| Shape::of(name) == Shape::Word)
    }

    /// Whether a call that starts in kernel mode ends in kernel mode; this includes internal functions.
    pub fn keeps_mode(&self) -> bool {
        matches!(self.kind, Kind::Plain | Kind::ProcessCreation | Kind::VmcsDefaults | Kind::Internal)
    }

    /// Whether the row preserves the derived invariant `number`. A primitive does for all arguments. An internal
    /// function does if its `requires` holds, but for D17 and D22.4: its caller has to show that the page it maps has
    /// contents, because no contract can say of an argument that every byte is defined.
    pub fn keeps(&self, number: &str, requires: impl FnOnce() -> bool) -> bool {
        self.kind != Kind::Internal || (number != "D17" && number != "D22.4" && requires())
    }
}

macro_rules! table {
    ($($number:literal $name:ident $kind:ident ($($argument:ident),*) -> $result:literal;)*) => {
        /// Every primitive of the layer, in the order of the numbers.
        pub const TABLE: &[Primitive] = &[$(Primitive {
            number: $number,
            name: stringify!($name),
            kind: Kind::$kind,
            arguments: &[$(stringify!($argument)),*],
            result: $result,
        }),*];

        /// The table, with the contract of each primitive.
        pub fn primitives<M: Spec>() -> Rows<M> {
            [$((Primitive {
                number: $number,
                name: stringify!($name),
                kind: Kind::$kind,
                arguments: &[$(stringify!($argument)),*],
                result: $result,
            }, contracts::$name::<M>())),*]
        }
    };
}

/// The table's rows with their contracts.
pub type Rows<M> = [(Primitive, Contract<M>); TABLE.len()];

table! {
    1 vmxinfo_get Plain (i) -> "value";
    2 palloc Plain (n) -> "page or 0";
    3 set_pt Plain (n) -> "";
    4 pt_read Plain (n, va) -> "entry or 0";
    5 pt_resv Plain (n, va, perm) -> "0, frame or MagicNumber";
    6 thread_wakeup Plain (cv) -> "0 or 1";
    7 thread_yield Schedule (rs) -> "";
    8 thread_sleep Transfer (cv, rs) -> "";
    9 sched_init Plain (mbi) -> "";
    10 uctx_get Plain (i, k) -> "word";
    11 uctx_set Plain (i, k, v) -> "";
    12 proc_create ProcessCreation (elf, code, q) -> "child";
    13 container_get_nchildren Plain (i) -> "count";
    14 container_get_quota Plain (i) -> "pages";
    15 container_get_usage Plain (i) -> "pages";
    16 container_can_consume Plain (i, n) -> "0 or 1";
    17 get_CPU_ID Plain () -> "cpu";
    18 get_curid Plain () -> "thread";
    19 acquire_lock_CHAN Plain (q) -> "";
    20 release_lock_CHAN Plain (q) -> "";
    21 get_sync_chan_busy Plain (q) -> "busy";
    22 set_sync_chan_busy Plain (q, v) -> "";
    23 ipc_send_body Plain (q, va, n) -> "words";
    24 ipc_receive_body Plain (q, va, n) -> "words";
    25 rdmsr Plain (r) -> "value";
    26 wrmsr Plain (r, value) -> "0";
    27 vmx_set_intercept_intwin Plain (enable) -> "";
    28 vmx_set_desc1 Plain (seg, sel, base) -> "";
    29 vmx_set_desc2 Plain (seg, lim, ar) -> "";
    30 vmx_inject_event Plain (kind, vector, errcode, ev) -> "";
    31 vmx_set_tsc_offset Plain (offset) -> "";
    32 vmx_get_tsc_offset Plain () -> "offset";
    33 vmx_get_exit_reason Plain () -> "reason";
    34 vmx_get_exit_fault_addr Plain () -> "address";
    35 vmx_get_exit_qualification Plain () -> "word";
    36 vmx_check_pending_event Plain () -> "0 or 1";
    37 vmx_check_int_shadow Plain () -> "0 or 1";
    38 vmx_get_reg Plain (r) -> "word";
    39 vmx_set_reg Plain (r, v) -> "";
    40 vmx_get_next_eip Plain () -> "address";
    41 vmx_get_io_width Plain () -> "0, 1 or 2";
    42 vmx_get_io_write Plain () -> "0 or 1";
    43 vmx_get_exit_io_rep Plain () -> "0 or 1";
    44 vmx_get_exit_io_str Plain () -> "0 or 1";
    45 vmx_get_exit_io_port Plain () -> "port";
    46 vmx_set_mmap Plain (gpa, hpa, memtype) -> "0";
    47 vmx_run_vm VmxEnter (host) -> "guest registers";
    48 vmx_return_from_guest VmxReturn (guest) -> "host registers";
    49 vmx_init VmcsDefaults (mbi) -> "";
    50 cli Plain () -> "";
    51 sti Plain () -> "";
    52 serial_intr_disable Plain () -> "";
    53 serial_intr_enable Plain () -> "";
    54 serial_putc Plain (c) -> "c or -1";
    55 cons_buf_read Plain () -> "character or -1";
    56 host_in General () -> "";
    57 host_out General () -> "";
    58 proc_create_postinit Plain (elf_id) -> "";
    59 trap_get TrapGet () -> "address";
    60 trap_set TrapReturn () -> "address";
    61 proc_start_user StartUser () -> "user context";
    62 proc_exit_user ExitUser (registers) -> "";
    63 proc_start_user2 StartUser () -> "user context";
    64 proc_exit_user2 ExitUser (registers) -> "";
    65 pfree Plain (n, page) -> "";
    66 pt_rmv Plain (n, va) -> "page or 0";
    67 pt_free_pde Plain (n, va) -> "address or 0";
    68 pt_next_pde Plain (n, va) -> "address or 0";
    69 proc_reap Plain (child) -> "status";
    70 thread_exit Transfer (status, cause, rs) -> "";
    71 proc_first Plain (state) -> "child or 0";
    72 proc_recreate ProcessCreation (child, code, q) -> "";
    73 proc_state Plain (child) -> "state";
    74 proc_condemn Plain (child, rs) -> "";
    75 pt_reserve Plain (n, va, perm) -> "0, page table or MagicNumber";
    76 page_copy_to Plain (n, va, from) -> "";
    0 exec_load Accessor (chunk, address) -> "bytes or page fault";
    0 exec_store Accessor (chunk, address, bytes) -> "page fault or nothing";
    0 guest_load GuestAccessor (chunk, address) -> "bytes";
    0 guest_store GuestAccessor (chunk, address, bytes) -> "";
    0 page_copy Internal (q, k, va) -> "";
    0 page_copy_back Internal (q, k, va) -> "";
    0 serial_env_step Internal () -> "";
    0 cons_intr Internal () -> "";
    0 ptInsertPTE Internal (n, va, page, perm) -> "";
    0 ptAllocPDE Internal (n, va) -> "frame or 0";
    0 ptInsert Internal (n, va, page, perm) -> "0, frame or MagicNumber";
}
