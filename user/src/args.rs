//! A program's arguments, and starting programs with arguments.

use crate::sys;
use abi::arguments::{self, ARGUMENTS, ProgramArguments};
use abi::{Error, PAGE_SIZE};

/// The arguments of this program, first to last: see [`abi::arguments`]. Empty if its parent passed none, or if the
/// page does not have the right layout.
///
/// A program without arguments has no page for them. It gets a page of zeros when it calls this, as wherever it touches
/// its window for the first time.
pub fn args() -> ProgramArguments<'static> {
    let page: *const u8 = core::ptr::with_exposed_provenance(ARGUMENTS as usize);
    // SAFETY: the page is in the window, where the kernel maps one at the first touch if there is none. Neither image
    // nor heap nor stack reaches the page, and nothing writes to it while the program lives.
    let page = unsafe { core::slice::from_raw_parts(page, PAGE_SIZE as usize) };
    ProgramArguments::parse(page).unwrap_or(ProgramArguments::NONE)
}

/// A page of arguments for another program.
#[repr(C, align(4096))]
struct Block([u8; PAGE_SIZE as usize]);

/// Like [`sys::spawn`], and passes these arguments to the program, whose quota pays for their page.
///
/// # Errors
///
/// The errors of [`sys::spawn`], and [`Error::Mem`] if the arguments do not fit on a page.
pub fn spawn(image: u32, quota: u32, arguments: &[&str]) -> Result<u32, Error> {
    if arguments.is_empty() {
        return sys::spawn(image, quota);
    }
    spawn_with_page(image, quota, arguments)
}

/// A separate function, so that only this path needs stack space for the page.
#[inline(never)]
fn spawn_with_page(image: u32, quota: u32, arguments: &[&str]) -> Result<u32, Error> {
    let mut block = Block([0; PAGE_SIZE as usize]);
    let put = |at: usize, bytes: &[u8]| block.0[at..][..bytes.len()].copy_from_slice(bytes);
    arguments::write(arguments.iter().copied(), put).map_err(|_| Error::Mem)?;
    sys::spawn_with(image, quota, &block.0)
}
