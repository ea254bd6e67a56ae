//! A machine in a process, with the kernel's storage and locks: it shows the cost of the kernel's primitives without
//! the hardware.
use domain::{Count, Data, Domain, Erased, Field, Storage};
use kernel::mm::direct_map::DirectMap;
use kernel::mm::layout::PAGE_SIZE;
use kernel::mm::user_space::Spaces;
use kernel::storage::channels::{Blocks, Mail, Pool};
use kernel::storage::directories::Directories;
use kernel::storage::frames::{PageTables, Physical, Window};
use kernel::storage::links::{Links, Words};
use kernel::storage::lock_array::{Guard, LockArray};
use kernel::storage::{Allocation, Array, Entries, FreeFrames, NoLog, Of, zero};
use kernel::sync::lock::Lock;
use layer::core::constants::*;
use layer::core::fields::{self, *};
use layer::core::geometry::{Paged, X64};
use layer::core::machine::{self, Machine, Object};
use layer::core::state::{Boot, Cpu, IoApic, Lapic, Own, Shared};
use layer::objects::boot::sched_init;
use layer::objects::channel::pool::Channels;
use layer::objects::console::uart::{SerialEvent, event};
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Queue, Threads};
use std::ops::Range;
use std::sync::atomic::AtomicU32;

/// Number of frames that the layer manages; only the frames of [`BACKED`] are memory.
pub const NPS: u32 = KERN_LOW + 500_000;
/// Frames that are memory.
pub const BACKED: Range<u32> = KERN_LOW..KERN_LOW + 4096;

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct Bench;

impl Domain for Bench {
    type Word = u32;
    type Wide = u64;
    type Nat = Count;
    type Flag = bool;
    type Place = Memory;
}

impl Paged for Bench {
    type Geometry = X64;
}

/// The memory of a machine: users' frames, followed by the threads' page directories.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Where the memory is mapped.
    pub map: DirectMap,
    /// The page directories.
    pub spaces: Spaces,
}

impl Memory {
    /// Fresh memory, filled with zeros.
    pub fn new() -> Memory {
        let spaces = Spaces::frames(NUM_PROC.into());
        let pages = (BACKED.len() as u64 + spaces) as usize;
        // Pages are aligned as frames are.
        #[repr(align(4096))]
        #[derive(Clone)]
        struct Page(#[allow(dead_code, reason = "it is reached by its address")] [u8; PAGE_SIZE as usize]);
        let first = keep(pages, || Page([0; PAGE_SIZE as usize])).as_mut_ptr().cast::<u8>();
        let start = u64::from(BACKED.start) * PAGE_SIZE;
        let map = DirectMap::at(first.wrapping_sub(start as usize));
        Memory { map, spaces: Spaces::at(u64::from(BACKED.end) * PAGE_SIZE, NUM_PROC.into()) }
    }

    fn window(self) -> Window {
        // SAFETY: the frames are memory that this machine owns, and it has one CPU.
        unsafe { Window::new(self.map, BACKED) }
    }
}

/// Makes `count` values that are never freed.
pub fn keep<T>(count: usize, make: impl FnMut() -> T) -> &'static mut [T] {
    std::iter::repeat_with(make).take(count).collect::<Vec<T>>().leak()
}

impl Machine for Bench {
    type Ghost<T: 'static> = Erased;
    type Log = NoLog;
    type Lock<T: Object<Self>> = Locks<T>;
    type Links = Links;
    type Channels = Pool;
    type Registers = [u64; UCTXT_SIZE as usize];

    fn ghost<T: 'static>(_: impl FnOnce() -> T) -> Erased {
        Erased
    }
    fn ghosts<T: 'static, U: 'static>(_: &mut Erased, _: &Erased, _: impl FnOnce(&mut T, &U)) {}
    fn log(_: Memory) -> NoLog {
        NoLog
    }
    fn store_registers(contexts: &mut Of<Contexts>, thread: u32, registers: Self::Registers) {
        contexts.0.0[thread as usize] = registers;
    }
    fn real_vmxinfo(_: u32) -> u32 {
        0
    }
    fn vmcs_host(_: u32) -> u64 {
        0
    }
    fn rdmsr(_: u32) -> u64 {
        0
    }
    fn has_serial(_: u32) -> bool {
        false
    }
    fn serial_event(_: u32) -> SerialEvent<Bench> {
        SerialEvent { kind: event::NULL, count: 0 }
    }
    fn serial_bytes(_: &mut <Bench as Storage<Received>>::Map, _: u32, _: u32, _: u32) {}
    fn serial_sent(_: u32) -> u32 {
        0
    }
    fn usable(_: u32) -> bool {
        true
    }
}

kernel::arrays!(Bench, array);
kernel::arrays!(Bench, array, IoApicLines => Line, VmcsFields => Slot);
kernel::erased_fields!(Bench);
// It runs no guest: nothing calls the primitive that writes these, and no primitive reads them.
kernel::erased_fields!(Bench, EptEntries);

/// An array for a field.
#[allow(clippy::extra_unused_type_parameters, reason = "the field says what its values are")]
fn array<F: Field<Bench, Key = [u32; 1], Val = V>, V: Data<Bench>, const N: usize>(_: Memory) -> Array<V, N> {
    Array::new(keep(N, zero::<Bench, _>))
}

impl Storage<Frames> for Bench {
    type Map = Of<Allocation<Bench>>;
    fn at(place: Memory) -> Self::Map {
        Of(Allocation::new(array::<Frames, _, _>(place), &mut keep(1, || FreeFrames::NONE)[0]))
    }
}

/// User contexts.
pub struct Contexts(&'static mut [[u64; UCTXT_SIZE as usize]]);

impl Entries<[u32; 2], Slot<Bench>> for Contexts {
    fn keys(&self) -> [Range<u32>; 2] {
        [0..NUM_PROC, 0..UCTXT_SIZE]
    }
    fn load(&self, [thread, slot]: [u32; 2]) -> Slot<Bench> {
        Slot { value: self.0[thread as usize][slot as usize] }
    }
    fn store(&mut self, [thread, slot]: [u32; 2], value: Slot<Bench>) {
        self.0[thread as usize][slot as usize] = value.value;
    }
}

macro_rules! storages {
    ($($field:ident => $storage:ty, $place:pat => $make:expr;)*) => {
        $(impl Storage<fields::$field> for Bench {
            type Map = Of<$storage>;
            fn at($place: Memory) -> Self::Map {
                Of($make)
            }
        })*
    };
}

/// One word for each thread, which CPUs share.
pub fn words() -> &'static Words {
    &keep(1, || [const { AtomicU32::new(0) }; NUM_PROC as usize])[0]
}

storages! {
    NextLinks => Links, _ => Links::new(words(), words());
    // SAFETY: the machine has one CPU.
    SyncChannels => Blocks, _ => unsafe { Blocks::new(keep(NUM_CHAN as usize, || [0; 4])) };
    // SAFETY: as above.
    Mailboxes => Mail, _ => unsafe { Mail::new(keep(NUM_CHAN as usize, || [0; PAGE_SIZE as usize])) };
    UserContexts => Contexts, _ => Contexts(keep(NUM_PROC as usize, || [0; UCTXT_SIZE as usize]));
    // SAFETY: the machine owns the spaces' frames, and it has one CPU; no processor walks them.
    Directories => Directories, memory => unsafe { Directories::new(memory.map, memory.spaces, 0) };
    PageTables => PageTables, memory => PageTables::new(memory.window());
    PhysicalMemory => Physical, memory => Physical::new(memory.window());
}

/// The lock array of a map, with the kernel's locks.
pub struct Locks<T: 'static>(LockArray<T>);

impl<T> Locks<T> {
    fn new(rows: u32, mut make: impl FnMut() -> T) -> Self {
        Locks(LockArray::new(keep(rows as usize, || Lock::new(make()))))
    }
}

impl<T: Object<Bench>> machine::Lock<Bench, T> for Locks<T> {
    type Guard<'a> = Guard<'a, T>;

    #[inline]
    fn lock(&self, by: u32, row: u32) -> Guard<'_, T> {
        self.0.lock(by, row, T::RANK, T::NAME)
    }
}

/// CPU 0 of a machine, after `sched_init`.
pub fn boot() -> Cpu<'static, Bench> {
    let memory = Memory::new();
    let Channels { pool: Of(blocks), mailbox: Of(mail), .. } = Channels::<Bench>::boot(memory);
    let Threads { next: Of(links), .. } = Threads::<Bench>::boot(memory);
    let shared = Box::leak(Box::new(Shared {
        at: Locks::new(1, || AllocTable::boot(memory, NPS)),
        pending: Locks::new(TOTAL_CPU, || Queue::new(memory)),
        sleep: Locks::new(NUM_CV, || Queue::new(memory)),
        channels: Pool::new(keep(NUM_CHAN as usize, || Lock::new(())), blocks, mail),
        links,
        boot: Boot { nps: NPS, norm: NPS - KERN_LOW },
    }));
    let lines = IOAPIC_LINES;
    let ioapic = IoApic { max_intr: lines - 1, irqs: lines, enables: lines, init: false };
    let mut cpu = Cpu { own: Own::init_adt(memory, 0, ioapic, Lapic::reset()), shared };
    sched_init(&mut cpu, 0).expect("a good machine");
    cpu
}
