//! The fields of the state that are maps: one table with the key, the value and the bounds of each.
//!
//! Names are the reference's (section 3.1). A field with a dot in its name extends the field before the dot. It has the
//! same key, or a key that begins with that key, and holds more data about the same entries.
use crate::core::constants::*;
use crate::core::geometry::{Geometry, Paged};
use crate::objects::vmx::vmcs::VMCS_SIZE;
use domain::Storage;

domain::data! {
    /// A resource container. The ids of its children follow from its own id (`8i+1`, `8i+2`, …), so only their number
    /// is stored.
    pub struct Container {
        /// Pages that the container may use, including its children's quotas.
        quota: Word,
        /// Pages that the container uses, including its children's quotas.
        usage: Word,
        /// The parent's id; container 0 is its own parent.
        parent: Word,
        /// Number of children that it has ever had; a child that is used again counts once.
        nchildren: Word,
        /// In use.
        used: Flag,
    }
    /// An entry of the allocation table (AT).
    pub struct Frame {
        /// A value of [`kind`].
        kind: Word,
        /// Allocated.
        alloc: Flag,
    }
    /// How this CPU uses a frame (`pperm`).
    pub enum FrameUse {
        /// Not this CPU's.
        Undef,
        /// Data.
        Alloc,
        /// The page table of directory entry `index` of `thread`.
        Hide { thread: Word, index: Word },
    }
    /// How often a frame is mapped (LAT).
    pub struct ReverseMap {
        /// The entry is defined.
        valid: Flag,
        /// Number of places where the frame is mapped.
        len: Word,
        /// The container to which the frame is charged, while the frame is this CPU's. An addition to the reference.
        payer: Word,
        /// Its index among the frames that are charged to that container.
        seat: Word,
    }
    /// A frame that is charged to a container, by its index. The container's charge counter is the number of
    /// these frames.
    pub struct Seat {
        /// The frame.
        frame: Word,
    }
    /// A place where a frame is mapped.
    pub struct ReverseEntry {
        /// The thread whose page map has the place.
        thread: Word,
        /// Directory index.
        directory: Word,
        /// Page-table index.
        index: Word,
    }
    /// The CPU to which a frame is allocated.
    pub struct Owner {
        /// The CPU, or [`TOTAL_CPU`] for none.
        cpu: Word,
    }
    /// A directory entry of a page map.
    pub enum Pde {
        /// The kernel's identity map.
        Id,
        /// No entry.
        UnPresent,
        /// A page table in `frame`.
        Table { frame: Word },
    }
    /// A page-table entry.
    pub enum Pte {
        /// No entry.
        UnPresent,
        /// A frame, with a permission of [`perm`].
        Valid { page: Word, perm: Word },
    }
    /// Ghost state of an entry.
    pub struct Defined {
        /// The entry has been written.
        defined: Flag,
    }
    /// Ghost state of a page-table entry.
    pub struct PteGhost {
        /// The entry has been written.
        defined: Flag,
        /// Its position in the reverse map of the frame that it maps.
        slot: Word,
    }
    /// An entry of the identity tables.
    pub struct IdentityEntry {
        /// Written.
        valid: Flag,
        /// A permission of [`perm`].
        perm: Word,
    }
    /// A byte of physical memory.
    pub struct Byte {
        /// 0 to 255.
        value: Word,
    }
    /// The saved kernel context of a thread that does not run.
    ///
    /// A context switch is the last step of a kernel entry. So only the thread's continuation (`ra`) and the position
    /// of its kernel stack survive it; the reference's EDI, ESI, EBX, EBP would be dead.
    pub struct Context {
        /// Offset into the array of kernel stacks.
        esp: Word,
        /// The number of the continuation, below [`CONTINUATIONS`].
        ra: Word,
    }
    /// The process of a thread. An addition to the reference.
    pub struct Process {
        /// A value of [`process`].
        state: Word,
        /// The exit status that it passed.
        status: Word,
        /// The cause of its end: a number that the layer above defines.
        cause: Word,
    }
    /// A slot of a user context or of the VMX structure, or a field of a VM control structure.
    pub struct Slot {
        /// The value of the register.
        value: Wide,
    }
    /// Ghost state of a slot.
    pub enum SlotKind {
        /// Never written.
        Undef,
        /// An integer.
        Int,
        /// A pointer: a program's entry point, or a pointer of the host.
        Ptr,
    }
    /// The pages charged to a container itself.
    pub struct Charge {
        /// Number of allocated pages that have not been released.
        pages: Word,
    }
    /// What any CPU may need to know about a thread.
    pub struct Next {
        /// The next thread in its queue, or [`NO_THREAD`].
        thread: Word,
        /// The CPU to which the thread belongs, if it is alive.
        cpu: Word,
    }
    /// Ghost state of a thread.
    pub struct ThreadGhost {
        /// The id of its queue, or a value of [`place`].
        place: Word,
        /// The previous thread in its queue, or [`NO_THREAD`].
        prev: Word,
        /// Its position in its queue, counted over the queue's whole history.
        seq: Nat,
        /// The CPU to which the thread belongs, while it is alive.
        home: Word,
    }
    /// A word of an array.
    pub struct Cell {
        /// Its value.
        value: Word,
    }
    /// An I/O APIC line.
    pub struct Line {
        /// Its vector.
        irq: Word,
        /// Not masked.
        enabled: Flag,
    }
    /// An offer of shared memory, from the single-core kernel. No primitive uses it.
    pub struct Offer {
        /// State: 0 is dead.
        status: Word,
        /// The other side has seen the offer.
        seen: Flag,
        /// The address.
        address: Word,
    }
    /// The control block of a synchronous channel. The multicore protocol does not change `to` and `senderpaddr`.
    pub struct SyncChannel {
        /// The receiver, or [`NUM_CHAN`] for none.
        to: Word,
        /// The address of the sender's message.
        senderpaddr: Word,
        /// Words of the message in the mailbox that have not been received; at most [`MAX_WORDS`].
        count: Word,
        /// 0 free, 1 reserved, 2 filled; the protocol above sets it (P29).
        busy: Word,
    }
    /// Ghost state of a channel's lock and mailbox.
    pub struct ChannelLock {
        /// The CPU that holds the lock, or [`TOTAL_CPU`] for none.
        holder: Word,
        /// Number of events that the critical section may still log.
        budget: Word,
        /// Words of the last message in the mailbox.
        words: Word,
    }
    /// A lock, as seen by this CPU (`lock`).
    pub enum LockState {
        /// This CPU does not hold it.
        Free,
        /// This CPU holds it. If `pulled`, the guarded data are as the last holder left them.
        Own { pulled: Flag },
    }
}

/// Kinds of frames in the allocation table.
pub mod kind {
    /// A frame of the kernel.
    pub const KERN: u32 = 0;
    /// A frame in the user area that is not usable memory.
    pub const RESV: u32 = 1;
    /// A frame that can be allocated.
    pub const NORM: u32 = 2;
}

/// States of a process.
pub mod process {
    /// The process has not ended.
    pub const LIVE: u32 = 0;
    /// The process has ended, and its parent has not reaped it.
    pub const GONE: u32 = 1;
    /// The process has ended and holds nothing: the thread can get another process.
    pub const VACANT: u32 = 2;
}

/// The place of a thread that is in no queue.
pub mod place {
    use crate::core::constants::NUM_CHAN;
    /// The thread was never created.
    pub const DEAD: u32 = NUM_CHAN;
    /// The thread runs on its CPU.
    pub const RUN: u32 = NUM_CHAN + 1;
    /// The thread's process has ended. The thread stays alive, and runs again if its parent creates another process in
    /// it.
    pub const GONE: u32 = NUM_CHAN + 2;
    /// The thread was taken out of one queue and has not joined the next.
    pub const FLIGHT: u32 = NUM_CHAN + 3;
}

/// The number of continuations of a saved context. The layer above defines the code of each.
pub const CONTINUATIONS: u32 = 6;
/// The continuation of a new thread: `proc_start_user`.
pub const START_USER: u32 = 0;

macro_rules! field_table {
    ($($(#[$meta:meta])* $name:ident $text:literal [$($dim:expr),+] => $value:ident;)*) => {
        domain::fields! { for D: Paged; $($(#[$meta])* $name $text [$($dim),+] => $value;)* }

        /// A domain that stores every field.
        pub trait AllStorage: Paged $(+ Storage<$name>)* {}
        impl<D: Paged $(+ Storage<$name>)*> AllStorage for D {}

        /// A domain whose maps can be copied, to compare an old state with a new one.
        pub trait VisibleStorage: AllStorage $(+ Storage<$name, Map: Clone>)* {}
        impl<D: AllStorage $(+ Storage<$name, Map: Clone>)*> VisibleStorage for D {}

        /// The names of all fields.
        pub const FIELDS: &[&str] = &[$($text),*];

        /// The bounds of the key of the field named `name`.
        pub fn bounds<D: Paged>(name: &str) -> Option<&'static [u32]> {
            match name {
                $($text => Some(<$name as domain::Field<D>>::DIMS),)*
                _ => None,
            }
        }
    };
}

field_table! {
    /// Resource containers.
    Containers "AC" [NUM_ID] => Container;
    /// The allocation table.
    Frames "AT" [MAX_PAGE] => Frame;
    /// The CPU to which each frame is allocated.
    Owners "AT.owner" [MAX_PAGE] => Owner;
    /// How this CPU uses each frame.
    FrameUses "pperm" [MAX_PAGE] => FrameUse;
    /// Reverse map: how often each frame is mapped.
    ReverseMaps "LAT" [MAX_PAGE] => ReverseMap;
    /// Reverse map: where each frame is mapped.
    ReverseEntries "LAT.entry" [MAX_PAGE, u32::MAX] => ReverseEntry;
    /// Page directories, by thread.
    Directories "ptpool" [NUM_PROC, <D::Geometry as Geometry>::DIRS] => Pde;
    /// Which directory entries have been written.
    DirectoriesDefined "ptpool.defined" [NUM_PROC, <D::Geometry as Geometry>::DIRS] => Defined;
    /// Page tables, by the frame that contains them, as on the hardware.
    PageTables "pt" [MAX_PAGE, <D::Geometry as Geometry>::ENTRIES] => Pte;
    /// Ghost state of page-table entries.
    PageTableGhosts "pt.ghost" [MAX_PAGE, <D::Geometry as Geometry>::ENTRIES] => PteGhost;
    /// The shared identity tables.
    IdentityTables "idpde" [<D::Geometry as Geometry>::DIRS, <D::Geometry as Geometry>::ENTRIES] => IdentityEntry;
    /// Physical memory, by frame and byte.
    PhysicalMemory "HP" [MAX_PAGE, PAGE_SIZE] => Byte;
    /// Which bytes of physical memory are defined for this CPU.
    DefinedMemory "HP.defined" [MAX_PAGE, PAGE_SIZE] => Defined;
    /// Saved kernel contexts.
    KernelContexts "kctxt" [NUM_PROC] => Context;
    /// The state of each process, and its exit status and cause.
    Processes "proc" [NUM_PROC] => Process;
    /// Saved user contexts.
    UserContexts "uctxt" [NUM_PROC, UCTXT_SIZE] => Slot;
    /// Whether each slot of a user context is defined, and of which kind.
    UserContextKinds "uctxt.kind" [NUM_PROC, UCTXT_SIZE] => SlotKind;
    /// How many pages are charged to each container.
    Charges "AC.charged" [NUM_ID] => Charge;
    /// Which pages are charged to each container.
    Seats "AC.seats" [NUM_ID, u32::MAX] => Seat;
    /// Links of the thread queues.
    NextLinks "tcb.next" [NUM_PROC] => Next;
    /// Ghost state of threads.
    ThreadGhosts "tcb" [NUM_PROC] => ThreadGhost;
    /// VMX capability words.
    VmxInfo "vmxinfo" [VMXINFO_SIZE] => Cell;
    /// The VM control structure of this CPU, by field.
    VmcsFields "vmcs" [VMCS_SIZE] => Slot;
    /// Whether each field of the control structure is defined, and of which kind.
    VmcsKinds "vmcs.kind" [VMCS_SIZE] => SlotKind;
    /// State of this CPU's guest that the control structure does not hold, mostly registers.
    VmxSlots "vmx" [VMX_SIZE] => Slot;
    /// Whether each such slot is defined, and of which kind.
    VmxKinds "vmx.kind" [VMX_SIZE] => SlotKind;
    /// Which directory entries of the nested page tables have a table.
    EptDirectories "eptdir" [EPT_DIRS] => Defined;
    /// Entries of the nested page tables, by directory entry and index.
    EptEntries "ept" [EPT_DIRS, EPT_ENTRIES] => Cell;
    /// Which entries of the nested page tables have been written.
    EptDefined "ept.defined" [EPT_DIRS, EPT_ENTRIES] => Defined;
    /// Frames that an entry of the nested page tables may map. An addition to the reference.
    GuestFrames "guest.frames" [MAX_PAGE] => Defined;
    /// Lines of the I/O APIC.
    IoApicLines "ioapic.lines" [IOAPIC_LINES] => Line;
    /// The characters that the UART has received, as a ring.
    Received "rx_buf" [SERIAL_HW_BUF_SIZE] => Cell;
    /// The console's input, as a ring.
    ConsoleInput "cons_buf" [CONSOLE_BUFFER_SIZE] => Cell;
    /// Offers of shared memory.
    SharedMemory "smspool" [NUM_PROC, NUM_PROC] => Offer;
    /// Control blocks of the channels.
    SyncChannels "syncchpool" [NUM_CHAN] => SyncChannel;
    /// Ghost state of the channels' locks and mailboxes.
    ChannelLocks "syncchpool.lock" [NUM_CHAN] => ChannelLock;
    /// The last message of each channel.
    Mailboxes "mailbox" [NUM_CHAN, PAGE_SIZE] => Byte;
    /// Which bytes of mailboxes are defined.
    DefinedMail "mailbox.defined" [NUM_CHAN, PAGE_SIZE] => Defined;
    /// The locks that this CPU holds.
    LockStates "lock" [LOCK_RANGE] => LockState;
}
