//! `cairn shell`: boots the kernel with a shell at its serial port, and connects the terminal to that port.

use crate::host::emulator::Emulator;
use crate::host::error::Error;
use crate::host::job::{Boot, Job, Typing};
use sim::run::config::Checking;
use std::process::ExitCode;
use std::time::Duration;

/// Boot the kernel with a shell, and connect this terminal to the shell
///
/// In the shell, `help` lists the commands, and `halt` ends it. With --hosted, the whole standard input is read before
/// the machine starts.
#[derive(clap::Args)]
pub struct Arguments {
    /// Run on the hosted machine: a plain process that needs nothing but Rust
    #[arg(long)]
    hosted: bool,
    /// Number of CPUs; the shell is on the first
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=kernel::mm::layout::MAX_CPUS as i64))]
    cpus: u32,
    /// Seconds after which the hosted machine is stopped
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

/// Boots the shell at this terminal.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    if !arguments.hosted && !Emulator::Qemu.is_there() {
        return Err(Error::NotInstalled(Emulator::Qemu.name()));
    }
    let job = Job::shell(arguments.cpus, Typing::Terminal)?;
    let ran = match arguments.hosted {
        true => job.hosted(1, Some(Duration::from_secs(arguments.timeout)), true, Checking::AtEnd)?,
        false => job.booted(&Boot::QUIET)?,
    };
    Ok(ran.report())
}
