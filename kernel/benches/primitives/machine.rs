//! A machine in a process that has the kernel's homes and locks: what the kernel's primitives cost, without its hardware.
use domain::{Count, Data, Domain, Erased, Field, Home, X64};
use kernel::direct_map::DirectMap;
use kernel::home::channels::{Blocks, Mail};
use kernel::home::directories::Directories;
use kernel::home::frames::{PageTables, Physical, Window};
use kernel::home::links::Links;
use kernel::home::rows::{Guard, Rows};
use kernel::home::{Array, Entries, Nowhere, Of, zero};
use kernel::layout::PAGE_SIZE;
use kernel::lock::Lock;
use kernel::user_space::Spaces;
use layer::channel::Channels;
use layer::constants::*;
use layer::fields::{self, *};
use layer::log::{Event, Log};
use layer::machine::{self, Machine, Object};
use layer::page_alloc::AllocTable;
use layer::process::sched_init;
use layer::queue::{Queue, Threads};
use layer::serial::{SerialEvent, event};
use layer::state::{Boot, Cpu, IoApic, Own, Shared};
use std::ops::Range;
use std::sync::atomic::AtomicU32;

/// Frames that the layer manages; those of [`BACKED`] are memory.
pub const NPS: u32 = KERN_LOW + 500_000;
/// Frames that are memory.
pub const BACKED: Range<u32> = KERN_LOW..KERN_LOW + 4096;

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct Bench;

impl Domain for Bench {
    type Geometry = X64;
    type Word = u32;
    type Wide = u64;
    type Nat = Count;
    type Flag = bool;
    type Place = Memory;
}

/// The memory of a machine: users' frames, and behind them the threads' page directories.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Where it is.
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
        // SAFETY: the frames are memory of this machine's own, which has one CPU.
        unsafe { Window::new(self.map, BACKED) }
    }
}

/// `count` values for good.
pub fn keep<T>(count: usize, make: impl FnMut() -> T) -> &'static mut [T] {
    std::iter::repeat_with(make).take(count).collect::<Vec<T>>().leak()
}

impl Machine for Bench {
    type Ghost<T: 'static> = Erased;
    type Log = NoLog;
    type Lock<T: Object<Self>> = Locks<T>;
    type Links = SharedLinks;
    type Channels = SharedChannels;
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
    fn serial_bytes(_: &mut Of<Array<Cell<Bench>>>, _: u32, _: u32, _: u32) {}
    fn serial_sent(_: u32) -> u32 {
        0
    }
    fn usable(_: u32) -> bool {
        true
    }
}

/// The log, compiled out.
#[derive(Clone, Copy, Debug)]
pub struct NoLog;

impl Log<Bench> for NoLog {
    fn push(&mut self, _: u32, _: Event<Bench>) {}
}

macro_rules! arrays {
    ($($field:ident => $value:ident;)*) => {
        $(impl Home<$field> for Bench {
            type Map = Of<Array<$value<Bench>>>;
            fn home(_: Memory) -> Self::Map {
                Of(array::<$field, _>())
            }
        })*
    };
}

arrays! {
    Containers => Container;
    Frames => Frame;
    KernelContexts => Context;
    VmxInfo => Cell;
    IoApicLines => Line;
    Received => Cell;
    ConsoleInput => Cell;
    VmcsFields => Slot;
    VmxSlots => Slot;
}

fn array<F: Field<Bench, Key = [u32; 1], Val = V>, V: Data<Bench>>() -> Array<V> {
    Array::new(keep(F::DIMS[0] as usize, zero::<Bench, _>))
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

macro_rules! homes {
    ($($field:ident => $home:ty, $place:pat => $make:expr;)*) => {
        $(impl Home<fields::$field> for Bench {
            type Map = Of<$home>;
            fn home($place: Memory) -> Self::Map {
                Of($make)
            }
        })*
    };
}

/// Words that CPUs share.
pub fn words() -> &'static [AtomicU32] {
    keep(NUM_PROC as usize, || AtomicU32::new(0))
}

homes! {
    NextLinks => Links, _ => Links::new(words(), words());
    SyncChannels => Blocks, _ => Blocks::new(keep(NUM_CHAN as usize, || [const { AtomicU32::new(0) }; 4]));
    // SAFETY: the machine has one CPU.
    Mailboxes => Mail, _ => unsafe { Mail::new(keep((NUM_CHAN * layer::constants::PAGE_SIZE) as usize, || 0)) };
    UserContexts => Contexts, _ => Contexts(keep(NUM_PROC as usize, || [0; UCTXT_SIZE as usize]));
    // SAFETY: the spaces' frames are the machine's own, which has one CPU; no processor walks them.
    Directories => Directories, memory => unsafe { Directories::new(memory.map, memory.spaces, 0) };
    PageTables => PageTables, memory => PageTables::new(memory.window());
    PhysicalMemory => Physical, memory => Physical::new(memory.window());
}

macro_rules! nowhere {
    ($($field:ident),*) => {
        $(impl Home<$field> for Bench {
            type Map = Nowhere;
            fn home(_: Memory) -> Nowhere {
                Nowhere
            }
        })*
    };
}

nowhere!(
    Owners,
    FrameUses,
    ReverseMaps,
    ReverseEntries,
    DirectoriesDefined,
    PageTableGhosts,
    IdentityTables,
    DefinedMemory,
    UserContextKinds,
    VmcsKinds,
    VmxKinds,
    EptDirectories,
    EptEntries,
    EptDefined,
    Charges,
    ThreadGhosts,
    SharedMemory,
    ChannelLocks,
    DefinedMail,
    LockStates
);

/// Objects behind the kernel's locks.
pub struct Locks<T: 'static>(Rows<T>);

impl<T> Locks<T> {
    fn new(rows: u32, mut make: impl FnMut() -> T) -> Self {
        Locks(Rows::new(keep(rows as usize, || Lock::new(make()))))
    }
}

impl<T: Object<Bench>> machine::Lock<Bench, T> for Locks<T> {
    type Guard<'a> = Guard<'a, T>;

    #[inline]
    fn lock(&self, by: u32, row: u32) -> Guard<'_, T> {
        self.0.lock(by, row, T::RANK, T::NAME)
    }
}

/// The links of the queues.
pub struct SharedLinks(Links);

impl machine::Links<Bench> for SharedLinks {
    fn next(&self, thread: u32) -> u32 {
        self.0.next(thread)
    }
    fn set_next(&self, thread: u32, next: u32) {
        self.0.set_next(thread, next);
    }
    fn cpu(&self, thread: u32) -> u32 {
        self.0.cpu(thread)
    }
    fn set_cpu(&self, thread: u32, cpu: u32) {
        self.0.set_cpu(thread, cpu);
    }
    fn update(&self, _: impl FnOnce(&mut Nowhere)) {}
    fn check(&self, _: impl Fn(&Nowhere) -> bool) -> bool {
        true
    }
}

/// The channels.
pub struct SharedChannels {
    locks: &'static [Lock<()>],
    blocks: Blocks,
    mail: Mail,
}

impl machine::ChannelPool<Bench> for SharedChannels {
    fn acquire(&self, _: u32, q: u32) {
        self.locks[q as usize].hold();
    }
    fn release(&self, _: u32, q: u32) {
        // SAFETY: one thread makes all calls, and gives back what it has taken.
        unsafe { self.locks[q as usize].give_back() };
    }
    #[inline(always)]
    fn with<R>(&self, work: impl FnOnce(&mut Channels<Bench>) -> R) -> R {
        work(&mut Channels { pool: Of(self.blocks), mailbox: Of(self.mail), ghost: Erased, log: NoLog })
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
        channels: SharedChannels { locks: keep(NUM_CHAN as usize, || Lock::new(())), blocks, mail },
        links: SharedLinks(links),
        boot: Boot { nps: NPS, norm: NPS - KERN_LOW },
    }));
    let lines = IOAPIC_LINES;
    let ioapic = IoApic { max_intr: lines - 1, irqs: lines, enables: lines, init: false };
    let mut cpu = Cpu { own: Own::init_adt(memory, 0, ioapic), shared };
    sched_init(&mut cpu, 0).expect("a good machine");
    cpu
}
