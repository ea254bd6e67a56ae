//! The fields of the state that are maps: one table that names each one's key, value and bounds.
//!
//! Names are the reference's (section 3.1). A field whose name has a dot is a companion of the one before the dot: it
//! has the same key, or one that begins with it, and says more of the same entries.
use crate::constants::*;
use crate::vmcs::VMCS_SIZE;
use domain::{Domain, Geometry, Home};

domain::data! {
    /// A resource container. Its children's ids are fixed by its own (`8i+1`, `8i+2`, …), so their number says all.
    pub struct Container {
        /// Pages it may use, its children's quotas included.
        quota: Word,
        /// Pages it uses, its children's quotas included.
        usage: Word,
        /// The parent's id; container 0 is its own parent.
        parent: Word,
        /// How many children it has had, ever.
        nchildren: Word,
        /// In use.
        used: Flag,
    }
    /// An entry of the allocation table (AT).
    pub struct Frame {
        /// One of [`kind`].
        kind: Word,
        /// Handed out.
        alloc: Flag,
    }
    /// What this CPU uses a frame for (`pperm`).
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
        /// Length of the list of places.
        len: Word,
        /// The container that it is charged to, while it is this CPU's: an addition.
        payer: Word,
        /// Its place among the frames that are charged to that container.
        seat: Word,
    }
    /// A frame that is charged to a container, by its place among them: what makes the count of them more than a number.
    pub struct Seat {
        /// The frame.
        frame: Word,
    }
    /// A place where a frame is mapped.
    pub struct ReverseEntry {
        /// Whose map.
        thread: Word,
        /// Directory index.
        directory: Word,
        /// Page-table index.
        index: Word,
    }
    /// Which CPU was given a frame.
    pub struct Owner {
        /// The CPU, or [`TOTAL_CPU`] for none.
        cpu: Word,
    }
    /// A directory entry of a page map.
    pub enum Pde {
        /// The kernel's identity map.
        Id,
        /// Nothing.
        UnPresent,
        /// A page table, in `frame`.
        Table { frame: Word },
    }
    /// A page-table entry.
    pub enum Pte {
        /// Nothing.
        UnPresent,
        /// A frame, with a permission of [`perm`].
        Valid { page: Word, perm: Word },
    }
    /// What the specification knows of an entry.
    pub struct Defined {
        /// It was written.
        defined: Flag,
    }
    /// What the specification knows of a page-table entry.
    pub struct PteGhost {
        /// It was written.
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
    /// A context switch is the last step of a kernel entry, so nothing but the stage to go on with (`ra`) and the
    /// thread's kernel stack position survive it; the reference's EDI, ESI, EBX, EBP would be dead.
    pub struct Context {
        /// Offset into the array of kernel stacks.
        esp: Word,
        /// Where to go on: the number of a stage, below [`STAGES`].
        ra: Word,
    }
    /// The process of a thread: an addition.
    pub struct Process {
        /// One of [`process`].
        state: Word,
        /// What it passed when it ended.
        status: Word,
        /// Why it ended: a number of the layer above.
        cause: Word,
    }
    /// A slot of a user context or of the VMX structure, or a field of a VM control structure.
    pub struct Slot {
        /// The register.
        value: Wide,
    }
    /// What the specification knows of a slot.
    pub enum SlotKind {
        /// Never written.
        Undef,
        /// An integer.
        Int,
        /// A pointer: the entry point of a program, or something of the host's.
        Ptr,
    }
    /// Pages charged to a container for itself.
    pub struct Charge {
        /// Allocations that succeeded and have not been given back.
        pages: Word,
    }
    /// What every CPU may have to know of a thread.
    pub struct Next {
        /// The thread behind it in its queue, or [`NO_THREAD`].
        thread: Word,
        /// The CPU that it belongs to, if it is alive.
        cpu: Word,
    }
    /// What the specification knows of a thread.
    pub struct ThreadGhost {
        /// Its queue, or one of [`place`].
        place: Word,
        /// The thread before it in its queue, or [`NO_THREAD`].
        prev: Word,
        /// Its position in the history of its queue.
        seq: Nat,
        /// The CPU that it belongs to, while it is alive.
        home: Word,
    }
    /// A word of a table.
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
    /// An offer of shared memory, of the single-core kernel; nothing touches it.
    pub struct Offer {
        /// State: 0 is dead.
        status: Word,
        /// The other side has seen it.
        seen: Flag,
        /// Where.
        address: Word,
    }
    /// The control block of a synchronous channel. The protocol of several CPUs leaves `to` and `senderpaddr` as they are.
    pub struct SyncChannel {
        /// The receiver, or [`NUM_CHAN`] for none.
        to: Word,
        /// Where the sender's message is.
        senderpaddr: Word,
        /// Words of the message in the mailbox that nobody has received; at most [`MAX_WORDS`].
        count: Word,
        /// 0 free, 1 reserved, 2 filled, as the protocol above has it (P29).
        busy: Word,
    }
    /// What the specification knows of a channel's lock and mailbox.
    pub struct ChannelLock {
        /// The CPU that holds the lock, or [`TOTAL_CPU`] for none.
        holder: Word,
        /// Events that its critical section may still have.
        budget: Word,
        /// Words of the last message in the mailbox.
        words: Word,
    }
    /// A lock that this CPU may hold (`lock`).
    pub enum LockState {
        /// It does not.
        Free,
        /// It does; what the lock guards is as the last holder left it if `pulled`.
        Own { pulled: Flag },
    }
}

/// Kinds of frames in the allocation table.
pub mod kind {
    /// The kernel's.
    pub const KERN: u32 = 0;
    /// In the user area, but no usable memory.
    pub const RESV: u32 = 1;
    /// Free to hand out.
    pub const NORM: u32 = 2;
}

/// States of a process.
pub mod process {
    /// It has not ended.
    pub const LIVE: u32 = 0;
    /// It has ended, and its parent has not asked how.
    pub const GONE: u32 = 1;
    /// It has ended and has nothing: there can be another.
    pub const VACANT: u32 = 2;
}

/// Where a thread is, if it is in no queue.
pub mod place {
    use crate::constants::NUM_CHAN;
    /// It was never created.
    pub const DEAD: u32 = NUM_CHAN;
    /// Its CPU runs it.
    pub const RUN: u32 = NUM_CHAN + 1;
    /// Its process has ended: it is alive, and runs again when its parent makes another process of it.
    pub const GONE: u32 = NUM_CHAN + 2;
    /// Taken out of one queue, on its way to another.
    pub const FLIGHT: u32 = NUM_CHAN + 3;
}

/// Stages: what a saved context can go on with. Which code each one is, the layer above says.
pub const STAGES: u32 = 6;
/// The stage of a new thread: `proc_start_user`.
pub const START_USER: u32 = 0;

macro_rules! field_table {
    ($($(#[$meta:meta])* $name:ident $text:literal [$($dim:expr),+] => $value:ident;)*) => {
        domain::fields! { $($(#[$meta])* $name $text [$($dim),+] => $value;)* }

        /// A domain with a home for every field.
        pub trait Homes: Domain $(+ Home<$name>)* {}
        impl<D: Domain $(+ Home<$name>)*> Homes for D {}

        /// A domain whose maps can be copied, to compare what was with what is.
        pub trait VisibleHomes: Homes $(+ Home<$name, Map: Clone>)* {}
        impl<D: Homes $(+ Home<$name, Map: Clone>)*> VisibleHomes for D {}

        /// The names of all fields.
        pub const FIELDS: &[&str] = &[$($text),*];

        /// The bounds of the key of the field named `name`.
        pub fn bounds<D: Domain>(name: &str) -> Option<&'static [u32]> {
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
    /// Who was given a frame.
    Owners "AT.owner" [MAX_PAGE] => Owner;
    /// What this CPU uses a frame for.
    FrameUses "pperm" [MAX_PAGE] => FrameUse;
    /// Reverse map: how often a frame is mapped.
    ReverseMaps "LAT" [MAX_PAGE] => ReverseMap;
    /// Reverse map: where.
    ReverseEntries "LAT.entry" [MAX_PAGE, u32::MAX] => ReverseEntry;
    /// Page directories, by thread.
    Directories "ptpool" [NUM_PROC, <D::Geometry as Geometry>::DIRS] => Pde;
    /// Which directory entries were written.
    DirectoriesDefined "ptpool.defined" [NUM_PROC, <D::Geometry as Geometry>::DIRS] => Defined;
    /// Page tables, by the frame that they are in, as the hardware has them.
    PageTables "pt" [MAX_PAGE, <D::Geometry as Geometry>::ENTRIES] => Pte;
    /// What the specification knows of page-table entries.
    PageTableGhosts "pt.ghost" [MAX_PAGE, <D::Geometry as Geometry>::ENTRIES] => PteGhost;
    /// The shared identity tables.
    IdentityTables "idpde" [<D::Geometry as Geometry>::DIRS, <D::Geometry as Geometry>::ENTRIES] => IdentityEntry;
    /// Physical memory, by frame and byte.
    PhysicalMemory "HP" [MAX_PAGE, PAGE_SIZE] => Byte;
    /// Which bytes of physical memory this CPU knows.
    DefinedMemory "HP.defined" [MAX_PAGE, PAGE_SIZE] => Defined;
    /// Saved kernel contexts.
    KernelContexts "kctxt" [NUM_PROC] => Context;
    /// Which processes have ended, and how.
    Processes "proc" [NUM_PROC] => Process;
    /// Saved user contexts.
    UserContexts "uctxt" [NUM_PROC, UCTXT_SIZE] => Slot;
    /// What the specification knows of them.
    UserContextKinds "uctxt.kind" [NUM_PROC, UCTXT_SIZE] => SlotKind;
    /// Pages charged to each container.
    Charges "AC.charged" [NUM_ID] => Charge;
    /// Which they are.
    Seats "AC.seats" [NUM_ID, u32::MAX] => Seat;
    /// Links of the thread queues.
    NextLinks "tcb.next" [NUM_PROC] => Next;
    /// What the specification knows of threads.
    ThreadGhosts "tcb" [NUM_PROC] => ThreadGhost;
    /// VMX capability words.
    VmxInfo "vmxinfo" [VMXINFO_SIZE] => Cell;
    /// The VM control structure of this CPU, by field.
    VmcsFields "vmcs" [VMCS_SIZE] => Slot;
    /// What the specification knows of it.
    VmcsKinds "vmcs.kind" [VMCS_SIZE] => SlotKind;
    /// Registers of this CPU's guest that the control structure does not hold, and what else belongs to it.
    VmxSlots "vmx" [VMX_SIZE] => Slot;
    /// What the specification knows of them.
    VmxKinds "vmx.kind" [VMX_SIZE] => SlotKind;
    /// Which directory entries of the nested page tables have a table.
    EptDirectories "eptdir" [EPT_DIRS] => Defined;
    /// Entries of the nested page tables, by directory entry and index.
    EptEntries "ept" [EPT_DIRS, EPT_ENTRIES] => Cell;
    /// Which of them were written.
    EptDefined "ept.defined" [EPT_DIRS, EPT_ENTRIES] => Defined;
    /// Lines of the I/O APIC.
    IoApicLines "ioapic.lines" [IOAPIC_LINES] => Line;
    /// What the UART has received, as a ring.
    Received "rx_buf" [SERIAL_HW_BUF_SIZE] => Cell;
    /// The console's input, as a ring.
    ConsoleInput "cons_buf" [CONSOLE_BUFFER_SIZE] => Cell;
    /// Offers of shared memory.
    SharedMemory "smspool" [NUM_PROC, NUM_PROC] => Offer;
    /// Control blocks of the channels.
    SyncChannels "syncchpool" [NUM_CHAN] => SyncChannel;
    /// What the specification knows of their locks and mailboxes.
    ChannelLocks "syncchpool.lock" [NUM_CHAN] => ChannelLock;
    /// The last message of each channel.
    Mailboxes "mailbox" [NUM_CHAN, PAGE_SIZE] => Byte;
    /// Which bytes of them are known.
    DefinedMail "mailbox.defined" [NUM_CHAN, PAGE_SIZE] => Defined;
    /// The locks that this CPU holds.
    LockStates "lock" [LOCK_RANGE] => LockState;
}
