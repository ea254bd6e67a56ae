//! `cairn linux`: boots Linux in a virtual machine on the kernel, and connects the terminal to it.

use crate::host::emulator::Emulator;
use crate::host::error::Error;
use crate::host::job::{Boot, Job, Typing};
use std::process::ExitCode;

/// Boot Debian's Linux as a guest, and connect this terminal to its shell
///
/// The first start fetches the kernel and busybox from Debian's archive into target/guests. In the guest, `poweroff -f`
/// ends it. QEMU runs the guest by AMD's SVM.
#[derive(clap::Args)]
pub struct Arguments {
    /// Number of CPUs; the guest is on the first
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=kernel::mm::layout::MAX_CPUS as i64))]
    cpus: u32,
    /// Execute these commands in the guest, show what they print, and end it
    #[arg(long, value_name = "COMMANDS")]
    script: Option<String>,
    /// Boot on Bochs, by Intel's VT-x; a line that is typed there goes to the guest when it ends
    #[arg(long)]
    bochs: bool,
}

/// Boots Linux at this terminal.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let emulator = if arguments.bochs { Emulator::Bochs } else { Emulator::Qemu };
    if !emulator.is_there() {
        return Err(Error::NotInstalled(emulator.name()));
    }
    let typing = if arguments.script.is_some() { Typing::Nobody } else { Typing::Terminal };
    let job = Job::linux(arguments.cpus, arguments.script.as_deref(), typing)?;
    let ran = job.booted(&Boot { emulator, show: true, ..Boot::QUIET })?;
    Ok(ran.report())
}
