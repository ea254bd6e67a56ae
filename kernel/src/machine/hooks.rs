//! The image of the kernel: its hooks.
use super::program_table;
use super::run::{enter_kernel, prepare, start};
use super::short_path::system_call;
use crate::image::Image;
use core::fmt::{self, Write};

/// The image of the kernel itself.
pub const IMAGE: Image = Image { prepare, start, system_call, entry: enter_kernel, describe, ..Image::DEFAULT };

/// Writes which thread a CPU runs, for a report.
fn describe(cpu: usize, out: &mut dyn Write) -> fmt::Result {
    let Some(table) = program_table::opened() else { return Ok(()) };
    match table.running(cpu) {
        (thread, Some(program)) => write!(out, ", thread {thread} ({program})"),
        (thread, None) if table.is_done(cpu as u32) => write!(out, ", thread {thread}, with nothing left to run"),
        (thread, None) => write!(out, ", thread {thread}, which runs no program"),
    }
}
