//! Undefined behaviour of the specification, named after the broken precondition.

/// Declares an enum whose values return their documentation as a string.
macro_rules! documented {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[doc = $doc:literal])+ $variant:ident,)* }) => {
        $(#[$meta])*
        pub enum $name { $($(#[doc = $doc])+ $variant,)* }

        impl $name {
            /// A description of the broken precondition: the documentation of the value.
            pub fn description(self) -> &'static str {
                match self { $($name::$variant => concat!($($doc),+).trim_ascii(),)* }
            }
        }
    };
}
pub(crate) use documented;

documented! {
/// The precondition of a primitive that did not hold.
///
/// The reference gives such a call no behaviour. On the hosted machine, the call is an error and the state is rolled
/// back. The kernel stops the CPU and reports the name of the precondition. It is proved that no program can cause
/// this through a system call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
// One word, like the results of primitives, so that a `Result` takes two words.
#[repr(u32)]
pub enum Stuck {
    /// Not in kernel mode: `ikern ∧ ihost` (HK).
    NotKernelMode,
    /// Not in kernel mode with paging on (HKP).
    NotPaging,
    /// Not in kernel mode on the kernel's page map with paging on (HKPT).
    NotKernelMap,
    /// `sched_init` has not run.
    NotInit,
    /// `sched_init` has run already, or the CPU is not in its boot state.
    NotBoot,
    /// `set_pt`: the kernel's page map is in use.
    OnKernelMap,
    /// Not in user mode with paging on.
    NotUserMode,
    /// Not in guest mode: `ikern ∧ ¬ihost`.
    NotGuestMode,
    /// The container is not in use, or its number is out of range.
    NoContainer,
    /// A thread number out of range, or thread 0 where a user thread is needed.
    BadThread,
    /// The thread does not belong to this CPU.
    NotMine,
    /// A slot of the user context that the primitive may not touch.
    BadSlot,
    /// The slot holds no integer.
    NotInt,
    /// An address outside the user window.
    BadAddress,
    /// A frame number that is 0 or beyond memory.
    BadFrame,
    /// A number that is no page permission.
    BadPermission,
    /// The directory entry has no page table, or is the identity map's.
    NoTable,
    /// The directory entry has a page table already.
    TablePresent,
    /// An entry that was never written.
    Undefined,
    /// The frame is not this CPU's as data.
    FrameNotOwned,
    /// The process has not ended, or its parent has already received its status.
    NotEnded,
    /// The process has ended.
    NotLive,
    /// The virtual machine belongs to a process.
    Owned,
    /// The process that ends, or has ended, still uses pages or still has quota in its children.
    StillUsed,
    /// The container's usage is not the sum of its own charge and its children's quotas.
    NotAccounted,
    /// The frame is not the page table of this directory entry.
    FrameNotTable,
    /// The reverse map is not defined for the frame.
    NoReverseMap,
    /// The page is mapped already.
    AlreadyMapped,
    /// The frame is already mapped as often as the counter can count.
    TooManyMappings,
    /// The access crosses its page or is misaligned.
    Misaligned,
    /// More quota asked for than is left.
    NoQuota,
    /// The container has all its children, or the child's number is out of range.
    NoChild,
    /// The child's number is taken.
    ChildUsed,
    /// The thread is in a queue already.
    Queued,
    /// A number that is no channel or condition variable.
    BadChannel,
    /// The lock is held already.
    LockHeld,
    /// The lock is not held.
    LockNotHeld,
    /// The critical section has already logged as many events as its budget allows.
    NoBudget,
    /// The thread that is to be woken was never created.
    NotSpawned,
    /// More words than a message has, or than the mailbox holds.
    BadMessage,
    /// Nothing is mapped at the address.
    NotMapped,
    /// No thread is ready.
    NothingReady,
    /// The main thread of a CPU would sleep.
    MainSleeps,
    /// A saved context without a continuation.
    BadContext,
    /// The interrupt controller's tables do not have the length that it reports.
    BadIoApic,
    /// The machine has less memory than the layer needs, or more than the layer can count.
    BadMemory,
    /// A code that stands for no guest register.
    BadRegister,
    /// A code that stands for no guest segment.
    BadSegment,
    /// A number that is no memory type.
    BadMemoryType,
    /// A result that is no 32-bit word.
    TooLarge,
    /// Interrupts of this CPU are off, or a handler is executing.
    NotInterruptible,
    /// The UART's interrupt handler runs outside of an interrupt, or the UART is not set up or requests no
    /// interrupt.
    NoInterrupt,
    /// The UART cannot transmit: it is not set up, or received characters have not been taken.
    SerialBusy,
    /// Registers that are not all integers.
    BadRegisters,
}
}

/// `Ok` if the precondition holds.
#[inline(always)]
#[track_caller]
pub fn require(holds: bool, or: Stuck) -> Result<(), Stuck> {
    if holds {
        return Ok(());
    }
    unlikely();
    Err(or)
}

/// Tells the compiler that this branch is seldom taken.
#[cold]
#[inline(always)]
fn unlikely() {}
