//! `cairn bench`: measures the cost of the kernel's operations, in executed instructions.

mod boot;
mod chart;
mod measure;
mod report;
mod rows;

use crate::host::emulator::Emulator;
use crate::host::error::Error;
use clap::ValueEnum;
use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measure what the kernel's operations cost, in executed instructions
///
/// Programs read the time-stamp counter around each operation, on one CPU of a machine that counts one tick an
/// instruction. Everything is measured twice. The exit status is 1 if the two runs differ, or if an operation costs
/// more than its limit.
#[derive(clap::Args)]
pub struct Arguments {
    /// The machine to measure on
    #[arg(long, value_enum, default_value = "qemu")]
    machine: Machine,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a bar chart that shows the figures of other kernels as well, and how these differ in
    /// meaning
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Machine {
    /// A PC emulated by QEMU, with `-icount shift=0,sleep=off`
    Qemu,
    /// A PC emulated by Bochs, whose counter always counts instructions
    Bochs,
}

/// Measures, and prints the figures.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let emulator = match arguments.machine {
        Machine::Qemu => Emulator::Qemu,
        Machine::Bochs => Emulator::Bochs,
    };
    let report = report(emulator)?;
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&report).map_err(Error::Json)?;
        std::fs::write(path, text + "\n").map_err(Error::file("write", path))?;
    }
    if let Some(path) = &arguments.svg {
        std::fs::write(path, chart::chart(&report)).map_err(Error::file("write", path))?;
    }
    println!("{report}");
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures everything twice.
pub fn report(emulator: Emulator) -> Result<Report, Error> {
    if !emulator.is_there() {
        return Err(Error::NotInstalled(emulator.name()));
    }
    let bench = measure::Bench::build(emulator)?;
    let (first, second) = (bench.run()?, bench.run()?);
    Report::new(&bench, &first, &second)
}
