//! The layer's constants (reference, section 2), and the relations between them that its proofs need.

/// Bytes of a page (`PgSize`).
pub const PAGE_SIZE: u32 = 4096;
/// Frames of 4 KiB in 4 GiB (`maxpage`).
pub const MAX_PAGE: u32 = 1 << 20;
/// First frame and first page of the user area: 1 GiB (`kern_low`).
pub const KERN_LOW: u32 = 262_144;
/// First page above the user area: 3.75 GiB (`kern_high`).
pub const KERN_HIGH: u32 = 983_040;
/// Lowest user virtual address (`adr_low`).
pub const ADR_LOW: u32 = KERN_LOW * PAGE_SIZE;
/// First address above the user window (`adr_high`).
pub const ADR_HIGH: u32 = KERN_HIGH * PAGE_SIZE;
/// Initial user stack pointer (`STACK_TOP`).
pub const STACK_TOP: u32 = ADR_HIGH;
/// `pt_resv`'s result when there was no page left (`MagicNumber`).
pub const MAGIC_NUMBER: u32 = MAX_PAGE + 1;
/// Number of CPUs (`TOTAL_CPU`); also the number of root containers.
pub const TOTAL_CPU: u32 = 8;
/// Children that a container can have in its whole life (`max_children`).
pub const MAX_CHILDREN: u32 = 8;
/// Thread ids, exclusive bound (`num_proc`).
pub const NUM_PROC: u32 = 1024;
/// Containers (`num_id`).
pub const NUM_ID: u32 = NUM_PROC;
/// Number of condition variables and of channels that clients see (`num_cv`).
pub const NUM_CV: u32 = 1024;
/// Number of queues: a ready and a pending queue for each CPU, a sleep queue for each condition variable (`num_chan`).
pub const NUM_CHAN: u32 = 2 * TOTAL_CPU + NUM_CV;
/// "No thread" in a queue's links.
pub const NO_THREAD: u32 = NUM_PROC;
/// "No page map": the value of `PT` before `sched_init`; the reference has −1.
pub const NO_MAP: u32 = u32::MAX;
/// Maximum number of words of a message (`one_k`, which P45 splits).
pub const MAX_WORDS: u32 = 1024;
/// Bytes in a word of a message.
pub const WORD_SIZE: u32 = 4;
/// Number of locks. The lock of the allocation table is 0, that of queue `q` is `q + 1` (`ID_AT_range`), that of
/// channel `q` is `CHANNEL_LOCKS + q`.
pub const LOCK_RANGE: u32 = CHANNEL_LOCKS + NUM_CHAN;
/// The first lock of a channel (`lock_TCB_range`).
pub const CHANNEL_LOCKS: u32 = 1 + NUM_CHAN;
/// "No channel": the value of `section` if a CPU holds no channel lock.
pub const NO_CHANNEL: u32 = NUM_CHAN;
/// The value of `section` if a CPU may hold the locks of several channels.
pub const SOME_CHANNELS: u32 = NUM_CHAN + 1;
/// Maximum number of events in a critical section of a channel (`LOCK_BOUND`).
pub const LOCK_BOUND: u32 = 10;
/// Number of slots of a user context: the reference's 17, and R8 to R15 (P45).
pub const UCTXT_SIZE: u32 = 25;
/// Size of the console's ring (`CONSOLE_BUFFER_SIZE`); it stores at most one character less.
pub const CONSOLE_BUFFER_SIZE: u32 = 512;
/// Number of received characters that the UART keeps, the newest ones (`SERIAL_HW_BUF_SIZE`).
pub const SERIAL_HW_BUF_SIZE: u32 = 12;
/// Maximum number of times that `serial_intr_disable` looks for one more interrupt.
pub const INTR_DISABLE_REC_MAX: u32 = 100;
/// Maximum number of events for which `serial_putc` waits for the transmitter.
pub const NEXT_SEND_MAX_REC: u32 = 12_800;
/// The I/O APIC line of COM1.
pub const COM1_LINE: u32 = 4;
/// The result of console primitives if there is no character or no device: −1.
pub const NO_CHARACTER: u32 = u32::MAX;
/// Indices of `vmxinfo` are below this.
pub const VMXINFO_SIZE: u32 = 15;
/// Number of slots of the VMX structure: the reference's 36, and R8 to R15 (P45).
pub const VMX_SIZE: u32 = 44;
/// Entries of a nested page table, independent of the machine's own page tables.
pub const EPT_ENTRIES: u32 = 512;
/// Bytes of memory that a guest can have; its addresses are below this.
pub const GUEST_MEMORY: u32 = 512 << 20;
/// Nested directory entries that cover guest-physical addresses below 4 GiB.
pub const EPT_DIRS: u32 = MAX_PAGE / EPT_ENTRIES;
/// I/O APIC lines are below this.
pub const IOAPIC_LINES: u32 = 24;
/// Vector of line 0 of the I/O APIC; line `n` has this vector plus `n`.
pub const FIRST_LINE_VECTOR: u32 = 32;
/// The reference's last entry of the local APIC's vector table.
pub const LAPIC_MAX_LVT: u32 = 5;
/// The reference's vector of the local APIC's spurious interrupts.
pub const SPURIOUS_VECTOR: u32 = 39;
/// The reference's vector of the local APIC's errors.
pub const ERROR_VECTOR: u32 = 50;
/// User data selector (`CPU_GDT_UDATA`).
pub const USER_DATA: u32 = 0x23;
/// Interrupt flag of EFLAGS (`FL_IF`).
pub const FL_IF: u32 = 0x200;

/// Indices of a user context (`U_*`).
#[allow(missing_docs, reason = "each is the register that it names")]
pub mod slot {
    pub const EDI: u32 = 0;
    pub const ESI: u32 = 1;
    pub const EBP: u32 = 2;
    pub const OESP: u32 = 3;
    pub const EBX: u32 = 4;
    pub const EDX: u32 = 5;
    pub const ECX: u32 = 6;
    pub const EAX: u32 = 7;
    pub const ES: u32 = 8;
    pub const DS: u32 = 9;
    pub const TRAPNO: u32 = 10;
    pub const ERR: u32 = 11;
    pub const EIP: u32 = 12;
    pub const CS: u32 = 13;
    pub const EFLAGS: u32 = 14;
    pub const ESP: u32 = 15;
    pub const SS: u32 = 16;
    pub const R10: u32 = 19;
}

/// The codes of a guest's registers (section 2).
#[allow(missing_docs, reason = "each is the register that it names")]
pub mod guest_register {
    pub const EAX: u32 = 0;
    pub const EBX: u32 = 1;
    pub const ECX: u32 = 2;
    pub const EDX: u32 = 3;
    pub const ESI: u32 = 4;
    pub const EDI: u32 = 5;
    pub const EBP: u32 = 6;
    pub const ESP: u32 = 7;
    pub const EIP: u32 = 8;
    pub const EFLAGS: u32 = 9;
    pub const CR0: u32 = 10;
    pub const CR2: u32 = 11;
    pub const CR3: u32 = 12;
    pub const CR4: u32 = 13;
}

/// Slots of the VMX structure that primitives use (reference, appendix B). A slot holds a whole register (P45), so the
/// slots for upper halves stay unset.
#[allow(missing_docs, reason = "each is the register that it names")]
pub mod vmx_slot {
    pub const RAX: u32 = 0;
    pub const RBX: u32 = 2;
    pub const RCX: u32 = 4;
    pub const RDX: u32 = 6;
    pub const RSI: u32 = 8;
    pub const RDI: u32 = 10;
    pub const RBP: u32 = 12;
    pub const RIP: u32 = 14;
    pub const CR2: u32 = 16;
    pub const DR0: u32 = 17;
    pub const DR1: u32 = 18;
    pub const DR2: u32 = 19;
    pub const DR3: u32 = 20;
    pub const DR6: u32 = 21;
    pub const VPID: u32 = 26;
    pub const EXIT_REASON: u32 = 27;
    pub const EXIT_QUALIFICATION: u32 = 28;
    pub const LAUNCHED: u32 = 31;
    pub const HOST_RBP: u32 = 33;
    pub const HOST_RDI: u32 = 34;
    pub const R8: u32 = 36;
}

/// Page permissions, by code (reference, section 2, and P42).
pub mod perm {
    /// Present, kernel, read-only (`PTP`).
    pub const PTP: u32 = 1;
    /// Present, writable, kernel (`PTK(false)`).
    pub const PTK: u32 = 3;
    /// Present, user, read-only and executable: the extension of P42 (`PTUR`).
    pub const PTUR: u32 = 5;
    /// Present, writable and not executable, user (`PTU`).
    pub const PTU: u32 = 7;
    /// Present, writable, kernel, global (`PTK(true)`).
    pub const PTKG: u32 = 259;
}

/// The first pending queue. Queue ids: CPU `c`'s ready queue is `c` (`rdy_q_id`), its pending queue is `MSG_Q + c`
/// (`msg_q_id`), and a condition variable's sleep queue is `SLP_Q + cv` (`slp_q_id`).
pub const MSG_Q: u32 = TOTAL_CPU;
/// First sleep queue.
pub const SLP_Q: u32 = 2 * TOTAL_CPU;

// P1: the reference's requirements on those constants that it does not define.
const _: () = assert!(NUM_PROC >= 73 && NUM_CHAN == 16 + NUM_CV && NUM_ID == NUM_PROC);
const _: () = assert!(MSG_Q >= TOTAL_CPU && SLP_Q >= MSG_Q + TOTAL_CPU && SLP_Q + NUM_CV <= NUM_CHAN);
// A mailbox holds one page.
const _: () = assert!(MAX_WORDS * WORD_SIZE == PAGE_SIZE);
const _: () = assert!(ADR_HIGH as u64 == KERN_HIGH as u64 * PAGE_SIZE as u64 && KERN_HIGH < MAX_PAGE);

/// Slots of the registers that entry loads and exit saves, in the order in which both primitives have them: EAX, EBX,
/// EDX, ESI, EDI, EBP, as in the reference, and R8 to R15 (P45). The stubs handle ECX and CR2 (P15).
pub const SAVED: [u32; 14] = [
    vmx_slot::RAX,
    vmx_slot::RBX,
    vmx_slot::RDX,
    vmx_slot::RSI,
    vmx_slot::RDI,
    vmx_slot::RBP,
    vmx_slot::R8,
    vmx_slot::R8 + 1,
    vmx_slot::R8 + 2,
    vmx_slot::R8 + 3,
    vmx_slot::R8 + 4,
    vmx_slot::R8 + 5,
    vmx_slot::R8 + 6,
    vmx_slot::R8 + 7,
];
