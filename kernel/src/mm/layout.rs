//! The kernel's virtual address space, and the physical ranges that have a fixed use.
//!
//! | virtual range                  | what                                                          |
//! |--------------------------------|---------------------------------------------------------------|
//! | `0` – `2^47`                   | the user half: one page map a process, see [`crate::mm::user_space`] |
//! | [`DIRECT_MAP`] + 4 GiB         | all physical memory below 4 GiB, never executable             |
//! | [`STACKS`]                     | the CPUs' stacks with their guard pages, see [`crate::mm::stacks`] |
//! | [`IMAGE_BASE`]                 | the image: text, constants, data, each with its own rights     |

/// Bytes of a page, and of a page frame.
pub const PAGE_SIZE: u64 = 4096;
/// Bytes that one page-directory entry covers: 2 MiB.
pub const REGION_SIZE: u64 = 2 << 20;
/// 1 GiB, which one page directory covers. Kernel memory lies below 1 GiB, users' frames at and above it.
pub const GIB: u64 = 1 << 30;

/// Virtual address of physical address 0 in the direct map.
pub const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
/// Bytes of physical memory that the direct map covers, including the devices below 4 GiB.
pub const DIRECT_MAP_SIZE: u64 = 4 * GIB;
/// Lowest virtual address of the CPUs' stacks.
pub const STACKS: u64 = 0xffff_8080_0000_0000;
/// Virtual address of physical address 0 as the image is linked (`IMAGE_BASE` of kernel.ld).
pub const IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;

/// First physical address that boot code may hand out. Firmware and the start-up code of other CPUs use the memory
/// below 1 MiB.
pub const KERNEL_MEMORY_START: u64 = 1 << 20;
/// First physical address of users' frames; kernel memory ends here.
pub const USER_FRAMES_START: u64 = GIB;
/// End of users' frames: 3.75 GiB.
pub const USER_FRAMES_END: u64 = 0xF000_0000;

/// The maximum number of CPUs that the kernel starts.
pub const MAX_CPUS: usize = 8;
