//! `cairn system-calls`: prints the page about system calls.

use crate::host::error::Error;
use std::process::ExitCode;

/// Print docs/system-calls.md, made from the table of system calls
#[derive(clap::Args)]
pub struct Arguments {}

/// Prints the page of the system calls.
pub fn run() -> Result<ExitCode, Error> {
    print!("{}", abi::page::Page);
    Ok(ExitCode::SUCCESS)
}
