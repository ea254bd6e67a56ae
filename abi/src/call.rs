//! The table of system calls. Numbers, dispatch, library and documentation are made from it.
use crate::Error;

/// The table's row of a call.
#[derive(Clone, Copy, Debug)]
pub struct CallRow {
    /// Its name.
    pub name: &'static str,
    /// The names of its arguments, in the order of the convention's registers.
    pub arguments: &'static [&'static str],
    /// The name of its result; empty if it has none.
    pub result: &'static str,
    /// What the call does.
    pub description: &'static str,
    /// What the call may change besides the caller's registers, in the words of the proved modifies clause.
    pub touches: &'static str,
    /// The errors with which the call can be refused.
    pub errors: &'static [Error],
}

macro_rules! calls {
    ($(
        $(#[doc = $doc:literal])+
        $number:literal $name:ident = $word:literal ($($argument:ident),*) -> $result:literal,
        touches $touches:literal, errors [$($error:ident),*];
    )*) => {
        /// The system calls, by number.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum Call { $($(#[doc = $doc])+ $name = $number,)* }

        impl Call {
            /// Every call, in the order of its number.
            pub const ALL: &[Call] = &[$(Call::$name,)*];

            /// The table's row of this call.
            pub const fn row(self) -> CallRow {
                match self {
                    $(Call::$name => CallRow {
                        name: $word,
                        arguments: &[$(stringify!($argument)),*],
                        result: $result,
                        description: concat!($($doc),+).trim_ascii_start(),
                        touches: $touches,
                        errors: &[$(Error::$error),*],
                    },)*
                }
            }
        }
    };
}

calls! {
    /// Writes bytes of the caller's memory to the console, at most to the end of the page that contains `address`, and
    /// returns the number of bytes written. A page that the caller has not touched yet is reserved.
    0 Puts = "puts" (address, length) -> "written",
    touches "the caller's page map and quota, if a page is reserved", errors [InvalAddr, Mem];

    /// Starts program `image` of the boot archive with `quota` pages of the caller's own, and returns the child's
    /// thread number. If `arguments` is not 0, the caller's page at this address is copied for the child. The child has
    /// the copy read-only at `abi::arguments::ARGUMENTS`, and pays for it.
    2 Spawn = "spawn" (image, quota, arguments) -> "child",
    touches "the child, the caller's quota and its count of children, the ready queue", errors [InvalId, InvalAddr, Mem];

    /// Lets the next ready thread of this CPU run.
    3 Yield = "yield" () -> "",
    touches "which thread runs on this CPU", errors [];

    /// Sends the first words of the caller's page at `address`, at most 1024, as a message on the channel, as soon as
    /// the channel has room for one; returns the number of words sent. A page that the caller has not touched yet is
    /// reserved.
    8 Send = "send" (channel, address, words) -> "sent",
    touches "the channel and its message, its queue, the caller's page map and quota, if a page is reserved",
    errors [InvalChid, InvalAddr, Mem];

    /// Copies the first words of the channel's message to the caller's page at `address`, and returns how many; the
    /// rest of the message is lost. If there is no message, the caller waits for one unless `wait` is 0. A page that
    /// the caller has not touched yet is reserved.
    9 Recv = "recv" (channel, address, words, wait) -> "received",
    touches "the channel, its queue, the caller's page, its page map and quota, if a page is reserved",
    errors [Ipc, InvalChid, InvalAddr, Mem];

    /// Runs the guest until it exits, and returns the basic reason of the exit, with VT-x's number, and the guest's
    /// EAX. An interrupt is an exit as well (reason 1); then the other threads of this CPU get their turns first. Reason
    /// 33 means that the processor does not accept the guest's state. Such a guest does not run any more.
    11 HvmRunVm = "hvm_run_vm" () -> "reason, EAX",
    touches "the guest, and who runs on this CPU", errors [InvalHvm];

    /// Returns the basic reason of the last exit. After an I/O instruction (reason 30) it also returns the port, the
    /// width (0 for one byte, 1 for two, 2 for four), and the sum of these flags: 1 for a write, 2 for a REP prefix, 4
    /// for a string instruction. After an access to an address without memory (reason 48) it returns the address and
    /// the qualification, after any other exit the qualification.
    12 HvmGetExitinfo = "hvm_get_exitinfo" () -> "reason, port or address or qualification, width or qualification, flags",
    touches "nothing", errors [InvalHvm];

    /// Maps the caller's page at `address` at the guest's physical address `guest`, which is below 512 MiB. The guest
    /// may read, write and execute the page, so the caller must be able to write to it. A page that the caller has not
    /// touched yet is reserved. `memtype` is the memory type, 0 to 7 with VT-x's meaning: 6 is write-back.
    13 HvmMmap = "hvm_mmap" (guest, address, memtype) -> "",
    touches "the guest's memory map, the caller's page map and quota, if a page is reserved",
    errors [InvalHvm, InvalAddr, Mem];

    /// Sets a segment of the guest. The segments 0 to 9 are CS, DS, ES, FS, GS, SS, LDTR, TR, GDTR and IDTR. `access`
    /// is the access rights in VT-x's format. GDTR and IDTR have only a base and a limit.
    14 HvmSetSeg = "hvm_set_seg" (segment, selector, base, limit, access) -> "",
    touches "the guest", errors [InvalHvm, InvalSeg];

    /// Sets the low 32 bits of a register of the guest, and makes the others 0. The registers 0 to 13 are EAX, EBX,
    /// ECX, EDX, ESI, EDI, EBP, ESP, EIP, EFLAGS, CR0, CR2, CR3 and CR4.
    15 HvmSetReg = "hvm_set_reg" (register, value) -> "",
    touches "the guest", errors [InvalHvm, InvalReg];

    /// Returns the low 32 bits of a register of the guest. The registers have the numbers of `hvm_set_reg`.
    16 HvmGetReg = "hvm_get_reg" (register) -> "value",
    touches "nothing", errors [InvalHvm, InvalReg];

    /// Returns the address of the instruction after the one that made the guest exit. The call is refused if the
    /// address does not fit 32 bits.
    17 HvmGetNextEip = "hvm_get_next_eip" () -> "address",
    touches "nothing", errors [InvalHvm, InvalAddr];

    /// Makes an event pending: the guest takes it when it runs again. Bits 8 to 10 of `kind` are the type of the event
    /// (0 for an interrupt, 0x300 for an exception), and all other bits are 0. `vector` is below 256. If `has_error` is
    /// 1, `error` is the event's error code. If an event is pending already, nothing changes.
    18 HvmInjectEvent = "hvm_inject_event" (kind, vector, error, has_error) -> "",
    touches "the guest", errors [InvalHvm, InvalEvent];

    /// Returns 1 if the guest is directly after an STI or a MOV SS, so that it takes no interrupt.
    19 HvmCheckIntShadow = "hvm_check_int_shadow" () -> "0 or 1",
    touches "nothing", errors [InvalHvm];

    /// Returns 1 if an event is pending for the guest.
    20 HvmCheckPendingEvent = "hvm_check_pending_event" () -> "0 or 1",
    touches "nothing", errors [InvalHvm];

    /// If `enable` is 1, the guest exits as soon as it can take an interrupt; otherwise it does not.
    21 HvmInterceptIntWindow = "hvm_intercept_int_window" (enable) -> "",
    touches "the guest", errors [InvalHvm];

    /// Returns the number that is added to the processor's time-stamp counter when the guest reads it, in two halves.
    22 HvmGetTscOffset = "hvm_get_tsc_offset" () -> "high, low",
    touches "nothing", errors [InvalHvm];

    /// Sets the number that is added to the processor's time-stamp counter when the guest reads it.
    23 HvmSetTscOffset = "hvm_set_tsc_offset" (high, low) -> "",
    touches "the guest", errors [InvalHvm];

    /// Executes the RDMSR that made the guest exit: its EDX and EAX get the machine's value of the register that its
    /// ECX names, and it continues after the instruction. A register that only concerns the host has the value 0. The
    /// call is refused if the next instruction's address does not fit 32 bits.
    24 HvmHandleRdmsr = "hvm_handle_rdmsr" () -> "",
    touches "the guest", errors [InvalHvm, InvalAddr];

    /// Skips the WRMSR that made the guest exit: nothing is written, and the guest continues after the instruction. The
    /// call is refused if the next instruction's address does not fit 32 bits.
    25 HvmHandleWrmsr = "hvm_handle_wrmsr" () -> "",
    touches "the guest", errors [InvalHvm, InvalAddr];

    /// Returns how many pages the caller may still obtain.
    26 GetQuota = "get_quota" () -> "pages",
    touches "nothing", errors [];

    /// Writes one byte to the console, by way of the serial port of the caller's CPU.
    32 Putc = "putc" (byte) -> "byte",
    touches "the console", errors [SendFail, NoDevice];

    /// Ends the caller; never returns.
    33 Exit = "exit" (status) -> "",
    touches "the caller's page map and quota, its children, and which thread runs on this CPU", errors [];

    /// Returns the oldest byte of the console's input that no program has read, by way of the serial port of the
    /// caller's CPU.
    34 Getc = "getc" () -> "byte",
    touches "the console", errors [NoChar, NoDevice];

    /// Returns, for a thread of the caller's CPU: the number of its `ThreadState`; the number of its program in the
    /// boot archive, or 2^32 - 1; its quota in pages; how many of these it uses, its children's quotas included; and
    /// the most children that it has had at a time.
    35 ThreadInfo = "thread_info" (thread) -> "state, image, quota, usage, children",
    touches "nothing", errors [InvalId];

    /// Returns the milliseconds since the machine was switched on, modulo 2^32.
    36 Uptime = "uptime" () -> "milliseconds",
    touches "nothing", errors [];

    /// Waits for the end of child `child`, or of any child if `child` is 0. Returns the number of the child, its exit
    /// status, and the number of a `Cause`. The child's quota is the caller's again, and the caller can start another
    /// child. If the child has not ended, the caller waits for its end, unless `wait` is 0. A child has ended only when
    /// all its descendants have ended.
    37 Wait = "wait" (child, wait) -> "child, status, cause",
    touches "the child, the caller's quota, which thread runs on this CPU", errors [InvalId, Ipc];

    /// Ends a child and all its descendants. They end when they get their next turns: `wait` returns the
    /// child when all have ended.
    38 Kill = "kill" (child) -> "",
    touches "the child, and the threads that sleep on the same channel", errors [InvalId];

    /// Returns the caller's thread number, its CPU's number, and the thread number of its parent.
    39 WhoAmI = "who_am_i" () -> "thread, cpu, parent",
    touches "nothing", errors [];

    /// Gives the virtual machine of this CPU to the caller, until the caller ends. The calls 11 to 25 and 41 are for
    /// the owner only. The guest has no memory. Its EIP is 0xFFF0, its CR0 is 0x60000030, its CR4 is 0x2000; all other
    /// registers and all segments are 0. Before the guest runs, the caller sets at least EFLAGS (bit 1 is always 1) and
    /// the segments.
    40 HvmCreate = "hvm_create" () -> "",
    touches "the virtual machine", errors [NoGuests, Busy];

    /// Completes the instruction that made the guest exit: the first `count` of the guest's EAX, EDX, ECX and EBX get
    /// these values, and the guest continues after the instruction. The call is refused if the next instruction's
    /// address does not fit 32 bits.
    41 HvmComplete = "hvm_complete" (count, eax, edx, ecx, ebx) -> "",
    touches "the guest", errors [InvalHvm, InvalReg, InvalAddr];
}

/// A pattern: the calls that only the process with the virtual machine of its CPU may make.
#[macro_export]
macro_rules! owner_calls {
    () => {
        $crate::Call::HvmRunVm
            | $crate::Call::HvmGetExitinfo
            | $crate::Call::HvmMmap
            | $crate::Call::HvmSetSeg
            | $crate::Call::HvmSetReg
            | $crate::Call::HvmGetReg
            | $crate::Call::HvmGetNextEip
            | $crate::Call::HvmInjectEvent
            | $crate::Call::HvmCheckIntShadow
            | $crate::Call::HvmCheckPendingEvent
            | $crate::Call::HvmInterceptIntWindow
            | $crate::Call::HvmGetTscOffset
            | $crate::Call::HvmSetTscOffset
            | $crate::Call::HvmHandleRdmsr
            | $crate::Call::HvmHandleWrmsr
            | $crate::Call::HvmComplete
    };
}

impl Call {
    /// Whether a monitor, which is a program that runs a guest, makes this call.
    pub const fn is_of_monitors(self) -> bool {
        matches!(self, Call::HvmCreate | owner_calls!())
    }
}
