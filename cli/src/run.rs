//! `cairn run`: builds the kernel and runs it, with its console on the terminal.

use crate::archive::{self, Program};
use crate::error::Error;
use crate::image::{self, Images};
use crate::qemu::{self, Outcome, Run};
use crate::workspace;
use clap::ValueEnum;
use kernel::exit::Reason;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Build the kernel and run programs on it
///
/// The console is shown live. The exit status is 0 if everything ended as expected; otherwise the reason
/// is named on the last line.
#[derive(clap::Args)]
pub struct Arguments {
    /// The machine to run on
    #[arg(long, value_enum, default_value_t = Machine::Qemu)]
    machine: Machine,
    /// Number of CPUs
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=kernel::layout::MAX_CPUS as i64))]
    cpus: u32,
    /// Seconds after which each CPU is asked what it is running and the machine is stopped
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Wait for a debugger before the first instruction, without a time-out
    #[arg(long)]
    gdb: bool,
    /// ELF files of the programs to put into the boot archive and start
    programs: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Machine {
    /// A PC emulated by QEMU
    Qemu,
}

/// The image of the kernel.
const IMAGE: &str = "cairn";

/// Does it.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let Machine::Qemu = arguments.machine;
    image::build(Images::One(IMAGE))?;
    let image = image::path(IMAGE);
    let archive = workspace::target().join("kernel").join("boot.tar");
    let programs = arguments.programs.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    archive::write(&archive, &image, &boot_list(&programs, arguments.cpus), &programs)?;
    if arguments.gdb {
        eprintln!(
            "waiting for a debugger: gdb {} -ex 'target remote :1234' (set breakpoints with hbreak)",
            image.display()
        );
    }
    let ended = qemu::run(&Run {
        image: &image,
        archive: Some(&archive),
        cpus: arguments.cpus,
        timeout: (!arguments.gdb).then(|| Duration::from_secs(arguments.timeout)),
        gdb: arguments.gdb,
        show: true,
    })?;
    if !ended.console.is_empty() && !ended.console.ends_with('\n') {
        println!();
    }
    if ended.outcome == Outcome::Ended(Reason::Done) {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: {} after {:.1} s", ended.outcome, ended.time.as_secs_f64());
    Ok(ExitCode::FAILURE)
}

fn read(path: &Path) -> Result<Program, Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Program { name, elf: fs::read(path).map_err(Error::file("read", path))? })
}

/// Pages that a program may use.
const QUOTA: u32 = 256;

/// The boot list: a line `CPU IMAGE QUOTA` for each program, one CPU after the other.
fn boot_list(programs: &[Program], cpus: u32) -> String {
    programs.iter().zip((0..cpus).cycle()).map(|(program, cpu)| format!("{cpu} {} {QUOTA}\n", program.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_go_round_the_cpus() {
        let programs = ["a", "b", "c"].map(|name| Program { name: name.to_owned(), elf: Vec::new() });
        assert_eq!(boot_list(&programs, 2), "0 a 256\n1 b 256\n0 c 256\n");
    }
}
