//! `cairn system-calls`: prints the page about system calls.

use crate::host::error::Error;
use std::process::ExitCode;

/// Print the page about system calls, docs/system-calls.md, as their table says it
#[derive(clap::Args)]
pub struct Arguments {}

/// Prints the page of the system calls.
pub fn run() -> Result<ExitCode, Error> {
    print!("{}", abi::page::Page);
    Ok(ExitCode::SUCCESS)
}
