//! The places of maps and shared objects: the platform, and the CPU that a map belongs to.
use crate::devices::power::refuse;
use crate::image::Boot;
use crate::mm::frames::{self, Frames};
use crate::mm::keep::{furnish, keep, room};
use crate::mm::layout::{PAGE_SIZE, USER_FRAMES_END, USER_FRAMES_START};
use crate::mm::memory_map::MemoryMap;
use crate::mm::paging;
use crate::mm::user_space::Spaces;
use crate::sync::lock::Lock;
use crate::sync::once::Once;
use core::ops::Range;
use layer::core::constants::{IOAPIC_LINES, KERN_HIGH, KERN_LOW, NUM_PROC};

// The kernel and the layer agree on where users' frames lie.
const _: () =
    assert!(KERN_LOW as u64 * PAGE_SIZE == USER_FRAMES_START && KERN_HIGH as u64 * PAGE_SIZE == USER_FRAMES_END);

/// The platform: the whole machine except its CPUs. The platform is constant once the first CPU
/// runs the layer.
pub struct Platform {
    /// Physical memory.
    pub memory: MemoryMap,
    /// Number of frames that the layer manages: all below the end of memory, or below 4 GiB.
    pub nps: u32,
    /// Lines of the I/O APIC.
    pub io_apic_lines: u32,
    /// The threads' page maps, without page tables at first. Space `n` is the page map of thread `n`.
    pub spaces: Spaces,
    /// Kernel memory that is still free.
    free: Lock<Frames>,
}

/// The place of a map or a shared object: kernel memory of this machine, for this CPU.
#[derive(Clone, Copy)]
pub struct Place {
    /// The machine.
    pub platform: &'static Platform,
    /// The CPU of a map of the class *cpu*.
    pub cpu: u32,
}

static PLATFORM: Once<Platform> = Once::new();

/// The platform that this code runs on.
///
/// # Panics
/// Before [`set_platform`]: a bug.
#[inline(always)]
pub fn platform() -> &'static Platform {
    PLATFORM.get().expect("the platform is set before the layer runs")
}

/// Takes over what boot has found out about the machine, including its free memory.
///
/// # Errors
/// When kernel memory is too small.
///
/// # Panics
/// When it is called a second time: a bug.
pub fn set_platform(boot: &mut Boot) -> Result<&'static Platform, frames::FramesError> {
    let mut free = core::mem::replace(&mut boot.frames, Frames::NONE);
    let spaces = paging::user_spaces(&mut free, boot.root, NUM_PROC.into())?;
    let memory = boot.memory.clone();
    let nps = memory.end_frame();
    let io_apic_lines = boot.io_apic_lines.min(IOAPIC_LINES);
    // The platform itself takes free memory, so it gets what is left afterwards.
    let nothing = Lock::new(Frames::NONE);
    let platform = keep(&mut free, Platform { memory, nps, io_apic_lines, spaces, free: nothing })?;
    *platform.free.lock() = free;
    assert!(PLATFORM.set(platform), "a machine has one platform");
    Ok(platform)
}

impl Platform {
    /// Makes `count` values in kernel memory of their own, which is never freed.
    ///
    /// Refuses the machine if kernel memory is too small for these values; messages call them `name`.
    pub(super) fn keep_each<T>(&self, count: usize, name: &str, make: impl FnMut(usize) -> T) -> &'static mut [T] {
        // Making a value may allocate memory as well, so the lock must be free by then.
        let room = room(&mut self.free.lock(), count);
        match room {
            Ok(room) => furnish(room, make),
            Err(error) => refuse(format_args!("no memory for {name}: {error}")),
        }
    }

    /// Users' frames. All frames that the layer may hand out are among these frames, and no frame of the
    /// kernel is.
    pub(super) fn user_frames(&self) -> Range<u32> {
        KERN_LOW..KERN_HIGH.min(self.nps)
    }
}
