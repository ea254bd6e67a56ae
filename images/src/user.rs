//! A user's page map with four pages, for images that test ring 3.

use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel::cpu::block::{Cpu, Thread};
use kernel::cpu::context::{Slot, UserContext};
use kernel::entry::ring3::{Way, enter};
use kernel::image::Boot;
use kernel::machine::Metal;
use kernel::mm::direct_map::direct;
use kernel::mm::keep::keep;
use kernel::mm::layout::{GIB, PAGE_SIZE, REGION_SIZE};
use kernel::mm::paging;
use kernel::mm::user_space::entry::TABLE;
use kernel::sync::lock::Lock;
use layer::core::constants::perm;
use layer::core::fields::Pte;

/// A page with the layer's permission code 5: code.
pub const CODE: u64 = GIB;
/// A page with code 7: data, and the stack.
pub const DATA: u64 = GIB + PAGE_SIZE;
/// A page with code 3: mapped, but the kernel's.
pub const KERNEL_ONLY: u64 = GIB + 2 * PAGE_SIZE;
/// A page that is not mapped at first.
pub const ABSENT: u64 = GIB + 5 * PAGE_SIZE;

/// Where [`Setup::append`] puts bytes: after the longest snippet.
pub const APPENDED: u64 = CODE + SNIPPET as u64;

/// Whether the only thread has stored something at [`DATA`].
pub fn has_stored() -> bool {
    let frame = ONLY_DATA.load(Ordering::Acquire);
    // SAFETY: `prepare` has stored the address of a frame that is in the direct map and never freed; a byte that the
    // program stores meanwhile is read before or after.
    frame != 0 && unsafe { direct::<u8>(frame).read_volatile() } != 0
}

/// Number of code bytes that [`Setup::load`] copies: no snippet is longer.
const SNIPPET: usize = 512;

/// The page map, and a thread that uses it.
pub struct Setup {
    /// The thread.
    pub thread: Thread,
    table: u64,
    frames: u64,
}

// SAFETY: the pointers lead to kernel memory that is never freed, and only the holder uses them.
unsafe impl Send for Setup {}

/// The thread of an image that has only one.
static ONLY: Lock<Option<Setup>> = Lock::new(None);

/// The physical address of the only thread's data page, or 0.
static ONLY_DATA: AtomicU64 = AtomicU64::new(0);

/// Makes the page map of the only thread.
pub fn prepare(boot: &mut Boot) {
    let setup = set_up(boot, 0);
    ONLY_DATA.store(setup.frames + (DATA - CODE), Ordering::Release);
    *ONLY.lock() = Some(setup);
}

/// Runs the snippet `code` on the calling CPU as the only thread, which [`prepare`] has made.
pub fn run(cpu: &mut Cpu, code: unsafe extern "C" fn()) -> ! {
    let mut setup = ONLY.lock().take().expect("`prepare` has run");
    setup.load(code);
    // SAFETY: the context was taken, so no other CPU uses it; `user_spaces` made the map.
    unsafe { enter(cpu, setup.thread, Way::Iret) }
}

/// Frames that one page map uses.
const FRAMES: u64 = 8;

/// The kernel's page-table entry for a frame with one of the layer's permission codes.
fn page_entry(frame: u64, perm: u32) -> u64 {
    kernel::storage::page_entry::page::<Metal>(Pte::Valid { page: (frame / PAGE_SIZE) as u32, perm })
}

/// Makes page map number `number`, in users' frames of its own.
pub fn set_up(boot: &mut Boot, number: u64) -> Setup {
    let spaces = paging::user_spaces(&mut boot.frames, boot.root, 1).expect("memory for one space");
    let frame = |index: u64| boot.memory.user_frames().start + (number * FRAMES + index) * PAGE_SIZE;
    let table = frame(0);
    // SAFETY: at boot, users' frames are free and are in the direct map; the space is not in use
    // yet.
    unsafe {
        direct::<u8>(table).write_bytes(0, PAGE_SIZE as usize);
        paging::set_directory_entry(&spaces, 0, GIB / REGION_SIZE, table | TABLE).expect("a region of the window");
        for (index, permission) in [(0, perm::PTUR), (1, perm::PTU), (2, perm::PTK)] {
            paging::set_page_table_entry(table, index, page_entry(frame(1 + index), permission)).expect("an entry");
        }
    }
    let context = ptr::from_mut(keep(&mut boot.frames, UserContext::new()).expect("memory"));
    Setup { thread: Thread { context, root: spaces.root(0).expect("space 0") }, table, frames: frame(1) }
}

impl Setup {
    /// Copies the code of a snippet to the start of the program, and sets the registers with which a program starts.
    pub fn load(&mut self, code: unsafe extern "C" fn()) {
        let code = code as *const u8;
        // SAFETY: the kernel's code is readable beyond the end of any snippet. The frame is the code page's, and the
        // thread does not run.
        unsafe {
            direct::<u8>(self.frames).copy_from_nonoverlapping(code, SNIPPET);
            self.thread.context.write(UserContext::new());
            (*self.thread.context).set(Slot::Eip, CODE);
            (*self.thread.context).set(Slot::Esp, DATA + PAGE_SIZE);
        }
    }

    /// Puts bytes at [`APPENDED`].
    pub fn append(&mut self, bytes: &[u8]) {
        // SAFETY: the frame is the code page's, which has room after the snippet; the thread does not run.
        unsafe { direct::<u8>(self.frames).add(SNIPPET).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Maps a page at [`ABSENT`] that is filled with `byte`.
    pub fn map_absent(&self, byte: u8) {
        let frame = self.frames + (ABSENT - CODE);
        // SAFETY: the frame is a user's and free; the entry was not present.
        unsafe {
            direct::<u8>(frame).write_bytes(byte, PAGE_SIZE as usize);
            let entry = page_entry(frame, perm::PTU);
            paging::set_page_table_entry(self.table, (ABSENT - GIB) / PAGE_SIZE, entry).expect("an entry");
        }
    }
}
