//! The interface of an image: the hooks that the kernel calls, and the data that boot has found for
//! them.
//!
//! An image declares itself with [`image!`](macro@crate::image). Its hooks run in this order:
//!
//! 1. `prepare`, once, on CPU 0, before any other CPU runs. It builds the data that all CPUs share.
//! 2. `start`, on every CPU, on its fresh kernel stack. It never returns.
//! 3. `system_call` after a `syscall`, and `entry` on every other entry from ring 3. They run on the CPU's kernel
//!    stack, which has been reset. `entry` never returns, and `system_call` may return. If they do not return, they end
//!    in [`enter`](crate::entry::ring3::enter), [`run_afresh`](crate::cpu::block::run_afresh) or
//!    [`leave`](crate::devices::power::leave).
//! 4. `let_in`, each time the kernel has admitted interrupts and masks them again.

use crate::cpu::block::Cpu;
use crate::cpu::registers::{self, Protections};
use crate::cpu::trap::Entry;
use crate::devices::clock::Clock;
use crate::handover::acpi::CpuList;
use crate::handover::archive::Archive;
use crate::mm::frames::Frames;
use crate::mm::memory_map::MemoryMap;
use core::fmt::{self, Write};
use core::ops::Range;

/// The properties of the machine that boot has found.
#[derive(Debug)]
pub struct Boot {
    /// Physical memory.
    pub memory: MemoryMap,
    /// Kernel memory that is still free.
    pub frames: Frames,
    /// The boot archive, if the boot loader brought one.
    pub archive: Option<Archive<'static>>,
    /// The CPUs that run.
    pub cpus: CpuList,
    /// The clock that measures time.
    pub clock: Clock,
    /// Lines of the I/O APIC.
    pub io_apic_lines: u32,
    /// Which protections are on.
    pub protections: Protections,
    /// Physical address of the root of the kernel's page map.
    pub root: u64,
}

impl Boot {
    /// Physical addresses of the users' frames.
    pub fn user_frames(&self) -> Range<u64> {
        self.memory.user_frames()
    }
}

/// The hooks of an image; the module's documentation says in which order they run.
pub struct Image {
    /// Builds the data that all CPUs share.
    pub prepare: fn(&mut Boot),
    /// The first code of the image on each CPU.
    pub start: fn(&mut Cpu) -> !,
    /// Handles a `syscall` with this number in EAX. If it returns, the calling program continues with the registers of
    /// its context.
    pub system_call: extern "C" fn(&mut Cpu, u32),
    /// Handles any other entry from ring 3.
    pub entry: fn(&mut Cpu, Entry) -> !,
    /// Runs each time a CPU has let interrupts in while it was in the kernel, and keeps them out again.
    pub let_in: fn(),
    /// Adds to a report what the CPU with this number is working on. All CPUs have stopped at arbitrary points, so
    /// this hook may take no lock.
    pub describe: fn(usize, &mut dyn Write) -> fmt::Result,
}

impl Image {
    /// Hooks for images that need only some of them. They do nothing; `entry` panics.
    pub const DEFAULT: Image = Image {
        prepare: |_| {},
        start: |_| registers::halt(),
        system_call: enter_as_any,
        entry: |_, why| panic!("this image runs no program, but a program entered the kernel: {why:?}"),
        let_in: || {},
        describe: |_, _| Ok(()),
    };
}

/// Treats a system call as any other entry.
extern "C" fn enter_as_any(cpu: &mut Cpu, _: u32) {
    (image().entry)(cpu, Entry::SystemCall)
}

/// Declares the crate to be an image with these hooks (an [`Image`](crate::image::Image)).
#[macro_export]
macro_rules! image {
    ($image:expr) => {
        /// The hooks of this image, under the name by which the kernel finds them.
        // SAFETY: the name is the kernel's own, and the kernel declares it with this same type.
        #[unsafe(no_mangle)]
        static CAIRN_IMAGE: $crate::image::Image = $image;
    };
}

unsafe extern "Rust" {
    /// The hooks of the image that this crate is linked into; see [`image`].
    pub(crate) static CAIRN_IMAGE: Image;
}

/// The hooks of the image that this crate is linked into.
pub(crate) fn image() -> &'static Image {
    // SAFETY: only `image!` defines the symbol, with this type, as an immutable static.
    unsafe { &CAIRN_IMAGE }
}
