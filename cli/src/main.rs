//! `cairn`: the command line. One file a verb; this one only knows their names.

mod archive;
mod boots;
mod error;
mod image;
mod qemu;
mod run;
mod setup;
mod tools;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Cairn: a kernel whose primitives are written once, booted, run hosted, and proved.
#[derive(Parser)]
#[command(
    name = "cairn",
    bin_name = "cargo cairn",
    version,
    max_term_width = 100
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Run(run::Arguments),
    Boots(boots::Arguments),
    Setup(setup::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Run(arguments) => run::run(&arguments),
        Verb::Boots(arguments) => boots::run(&arguments),
        Verb::Setup(arguments) => setup::run(&arguments),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
