//! The kernel's machine, as the layer sees it: words are registers, and each field has its own storage.
//!
//! Nothing here decides what a primitive does. The table says why different entries are different memory, storage by
//! storage:
//!
//! | field | storage | memory |
//! |-------|------|--------|
//! | `AC`, `kctxt`, `vmxinfo`, `vmcs`, `vmx`, `rx_buf`, `cons_buf` | [`Array`] | a slice a CPU, cut out of kernel memory |
//! | `ioapic.lines` | [`Lines`] | the same, and the mask of one line in the I/O APIC |
//! | `AT` | [`Allocation`] | one slice and the bits of free frames, inside the allocation table's lock |
//! | `tcb.next` | [`Links`] | two slices |
//! | `syncchpool`, `mailbox` | [`Blocks`], [`Mail`] | a slice each |
//! | `uctxt` | [`UserContexts`] | a slice a CPU, into which the trap stubs save |
//! | `ptpool` | [`Directories`] | the page directories that were set up for each thread at boot |
//! | `pt` | [`PageTables`] | the processor's own tables, in users' frames |
//! | `HP` | [`Physical`] | users' frames |
//! | every ghost field, and `ept` until the kernel drives VT-x | [`Nowhere`] | none |
//!
//! Kernel memory lies below 1 GiB, and `Frames` hands out each of its frames once; users' frames lie from 1 GiB on. So
//! the first seven kinds are disjoint from each other and from `pt` and `HP`. `pt` and `HP` share the users' frames: a
//! frame is either a page table or data. The ghost field `pperm` says which, and every access asserts it; that is
//! proved. CPUs share `ptpool`, `pt` and `HP`. A directory belongs to the CPU of its thread ([`Directories`] checks
//! this in builds with debug assertions). A frame belongs to the CPU that was given it, as `pperm` says too.
pub mod checkpoint;
mod contexts;
mod ledger;
mod lines;
mod locks;
mod place;
pub mod run;
pub mod serial;
mod system;

pub use contexts::UserContexts;
pub use lines::Lines;
pub use locks::Locks;
pub use place::{Board, Place, board, set_board};

use crate::context::UserContext;
use crate::home::channels::{self, Blocks, Mail, Pool};
pub use crate::home::directories::Directories;
use crate::home::frames::Window;
pub use crate::home::frames::{PageTables, Physical};
use crate::home::links::Links;
use crate::home::{Allocation, Array, FreeFrames, NoLog, Of, zero};
use crate::lock::Lock;
use crate::metal::console;
use crate::metal::paging::direct_map;
use core::sync::atomic::AtomicU32;
use domain::{Count, Data, Domain, Erased, Field, Home, Map, X64};
use layer::core::constants::*;
use layer::core::fields::*;
use layer::core::machine::{Machine, Object};
use layer::core::state::{Boot, Cpu, IoApic, Own, Shared};
use layer::objects::channel::pool::Channels;
use layer::objects::console::uart::SerialEvent;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Queue, Threads};

/// The kernel's machine.
#[derive(Clone, Copy, Debug)]
pub struct Metal;

impl Domain for Metal {
    type Geometry = X64;
    type Word = u32;
    type Wide = u64;
    type Nat = Count;
    type Flag = bool;
    type Place = Place;
}

impl Machine for Metal {
    type Ghost<T: 'static> = Erased;
    type Log = NoLog;
    type Lock<T: Object<Self>> = Locks<T>;
    type Links = Links;
    type Channels = Pool;
    type Registers = Saved;

    fn ghost<T: 'static>(_: impl FnOnce() -> T) -> Erased {
        Erased
    }
    fn ghosts<T: 'static, U: 'static>(_: &mut Erased, _: &Erased, _: impl FnOnce(&mut T, &U)) {}
    fn log(_: Place) -> NoLog {
        NoLog
    }
    // The stubs have already saved the registers into this memory.
    fn store_registers(_: &mut Of<UserContexts>, _: u32, _: Saved) {}
    // The kernel does not drive VT-x yet, so the layer sees a processor without it.
    fn real_vmxinfo(_: u32) -> u32 {
        0
    }
    fn vmcs_host(_: u32) -> u64 {
        0
    }
    fn rdmsr(_: u32) -> u64 {
        0
    }
    fn has_serial(cpu: u32) -> bool {
        console::has_serial(cpu)
    }
    fn serial_event(index: u32) -> SerialEvent<Metal> {
        serial::event(index)
    }
    fn serial_bytes(rx_buf: &mut <Metal as Home<Received>>::Map, at: u32, _: u32, count: u32) {
        for (k, byte) in (0..count).zip(serial::bytes()) {
            let key = [(at + k) % SERIAL_HW_BUF_SIZE];
            Map::<Metal, Received>::set(rx_buf, key, Cell { value: byte.into() });
        }
    }
    // The console waits until the device has room, so the transmitter is always done.
    fn serial_sent(_: u32) -> u32 {
        1
    }
    fn serial_send(character: u32) {
        console::lock().print(&[character as u8]);
    }
    fn unmapped(_: &Cpu<'_, Metal>, va: u32) {
        x86_64::instructions::tlb::flush(x86_64::VirtAddr::new(va.into()));
    }
    fn usable(frame: u32) -> bool {
        board().memory.is_ram(frame)
    }
}

/// A token that the trap stub has saved the program's registers in the user context of the running thread.
#[derive(Clone, Copy, Debug)]
pub struct Saved(());

impl Saved {
    /// The token for the registers of the program that entered the kernel on this CPU, which are saved at `context`.
    ///
    /// # Panics
    /// With debug assertions, when `context` is not where the layer looks for it: a bug.
    #[inline(always)]
    pub(super) fn by_stub(context: *const UserContext, layer: &Cpu<'_, Metal>) -> Saved {
        debug_assert_eq!(
            context,
            layer.own.uctxt.0.row(layer.own.cur).cast_const(),
            "the stubs save where the layer looks"
        );
        Saved(())
    }
}

crate::arrays!(Metal, array);
crate::ghosts_nowhere!(Metal);

impl Home<Frames> for Metal {
    type Map = Of<Allocation<Metal>>;
    fn home(place: Place) -> Self::Map {
        let free = &mut place.board.keep_each(1, "free frames", |_| FreeFrames::NONE)[0];
        Of(Allocation::new(array::<Frames, _, _>(place), free))
    }
}

/// An array for a field, in memory of its own.
fn array<F: Field<Metal, Key = [u32; 1], Val = V>, V: Data<Metal>, const N: usize>(place: Place) -> Array<V, N> {
    Array::new(place.board.keep_each(N, F::NAME, |_| zero::<Metal, _>()))
}

impl Home<IoApicLines> for Metal {
    type Map = Of<Lines<Metal>>;
    fn home(place: Place) -> Self::Map {
        Of(Lines::new(place, array::<IoApicLines, _, _>(place)))
    }
}

impl Home<NextLinks> for Metal {
    type Map = Of<Links>;
    fn home(place: Place) -> Of<Links> {
        let name = <NextLinks as Field<Metal>>::NAME;
        let words = || &place.board.keep_each(1, name, |_| [const { AtomicU32::new(0) }; NUM_PROC as usize])[0];
        Of(Links::new(words(), words()))
    }
}

impl Home<SyncChannels> for Metal {
    type Map = Of<Blocks>;
    fn home(place: Place) -> Of<Blocks> {
        let name = <SyncChannels as Field<Metal>>::NAME;
        let blocks = place.board.keep_each(NUM_CHAN as usize, name, |_| [0; 4]);
        // SAFETY: primitives 19 to 24 touch only the blocks of channels whose locks their CPU holds, which is proved of
        // the layer. Code that reads all of them does so while the other CPUs wait.
        Of(unsafe { Blocks::new(blocks) })
    }
}

impl Home<Mailboxes> for Metal {
    type Map = Of<Mail>;
    fn home(place: Place) -> Of<Mail> {
        let name = <Mailboxes as Field<Metal>>::NAME;
        let mailboxes = place.board.keep_each(NUM_CHAN as usize, name, |_| [0; PAGE_SIZE as usize]);
        // SAFETY: as for the control blocks.
        Of(unsafe { Mail::new(mailboxes) })
    }
}

impl Home<layer::core::fields::UserContexts> for Metal {
    type Map = Of<UserContexts>;
    fn home(place: Place) -> Of<UserContexts> {
        Of(UserContexts::new(place))
    }
}

impl Home<layer::core::fields::Directories> for Metal {
    type Map = Of<Directories>;
    fn home(place: Place) -> Of<Directories> {
        // SAFETY: boot has set the spaces up, in kernel memory of their own.
        Of(unsafe { Directories::new(direct_map(), place.board.spaces, place.cpu) })
    }
}

/// The window of the users' frames.
fn users(place: Place) -> Window {
    // SAFETY: the direct map has all of memory, and the kernel keeps nothing in users' frames. It is proved of the
    // layer which CPU touches which frame. A program that has a frame mapped does not run while its CPU's kernel does.
    unsafe { Window::new(direct_map(), place.board.user_frames()) }
}

impl Home<layer::core::fields::PageTables> for Metal {
    type Map = Of<PageTables>;
    fn home(place: Place) -> Of<PageTables> {
        Of(PageTables::new(users(place)))
    }
}

impl Home<PhysicalMemory> for Metal {
    type Map = Of<Physical>;
    fn home(place: Place) -> Of<Physical> {
        Of(Physical::new(users(place)))
    }
}

/// Makes the shared objects of this machine at boot. It is called once.
pub fn shared(board: &'static Board) -> &'static Shared<Metal> {
    let place = Place { board, cpu: 0 };
    // Boot has already seen that the memory is in few enough pieces.
    let users = crate::frames::Frames::of_users(&board.memory).map_or(0, |frames| frames.free_bytes());
    let Channels { pool: Of(blocks), mailbox: Of(mail), .. } = Channels::<Metal>::boot(place);
    let locks = board.keep_each(NUM_CHAN as usize, channels::LOCK, |_| Lock::new(()));
    let Threads { next: Of(links), .. } = Threads::<Metal>::boot(place);
    let make = |_| Shared {
        at: Locks::new(place, 1, |_| AllocTable::boot(place, board.nps)),
        pending: Locks::new(place, TOTAL_CPU as usize, |_| Queue::new(place)),
        sleep: Locks::new(place, NUM_CV as usize, |_| Queue::new(place)),
        channels: Pool::new(locks, blocks, mail),
        links,
        boot: Boot { nps: board.nps, norm: (users / u64::from(PAGE_SIZE)) as u32 },
    };
    &board.keep_each(1, "shared objects", make)[0]
}

/// The state of CPU `cpu` before `sched_init`.
pub fn processor(board: &'static Board, shared: &'static Shared<Metal>, cpu: u32) -> Cpu<'static, Metal> {
    let lines = board.io_apic_lines;
    let ioapic = IoApic { max_intr: lines - 1, irqs: lines, enables: lines, init: false };
    Cpu { own: Own::init_adt(Place { board, cpu }, cpu, ioapic), shared }
}
