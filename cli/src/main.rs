//! `cairn`: the command line. Each verb has a file of its own; this file only knows their names.

mod archive;
mod bench;
mod boots;
mod call;
mod child;
mod counts;
mod emulator;
mod error;
mod fuzz_x86;
mod image;
mod job;
mod layer;
mod new_program;
mod prove;
mod run;
mod setup;
mod shell;
mod storm;
mod system_calls;
mod test;
mod tools;
mod watch;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Cairn: a kernel whose primitives are written once, booted, run hosted, and proved.
#[derive(Parser)]
#[command(name = "cairn", bin_name = "cargo cairn", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Run(run::Arguments),
    Bench(bench::Arguments),
    Boots(boots::Arguments),
    Call(call::Arguments),
    #[command(name = "fuzz-x86")]
    FuzzX86(fuzz_x86::Arguments),
    Layer(layer::Arguments),
    NewProgram(new_program::Arguments),
    Prove(prove::Arguments),
    Setup(setup::Arguments),
    Shell(shell::Arguments),
    Storm(storm::Arguments),
    SystemCalls(system_calls::Arguments),
    Test(test::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Run(arguments) => run::run(&arguments),
        Verb::Bench(arguments) => bench::run(&arguments),
        Verb::Boots(arguments) => boots::run(&arguments),
        Verb::Call(arguments) => call::run(&arguments),
        Verb::FuzzX86(arguments) => fuzz_x86::run(&arguments),
        Verb::Layer(arguments) => layer::run(&arguments),
        Verb::NewProgram(arguments) => new_program::run(&arguments),
        Verb::Prove(arguments) => prove::run(&arguments),
        Verb::Setup(arguments) => setup::run(&arguments),
        Verb::Shell(arguments) => shell::run(&arguments),
        Verb::Storm(arguments) => storm::run(&arguments),
        Verb::SystemCalls(_) => system_calls::run(),
        Verb::Test(arguments) => test::run(&arguments),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_wrong_argument_says_what_was_expected() {
        let error = |line: &str| match Arguments::try_parse_from(line.split(' ')) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("`{line}` was accepted"),
        };
        assert!(error("cairn run --cpus 9").contains("1..=8"));
        assert!(error("cairn run --machine vax").contains("qemu"));
        assert!(error("cairn run --timeout soon").contains("soon"));
    }
}
