//! `cairn`: the command line. Each command has a file or a folder in `commands`; this file only lists them. The
//! commands share `host`: child processes, tools, emulators and images.

mod commands;
mod host;

use clap::{Parser, Subcommand};
use commands::{
    bench, boots, call, fuzz_x86, layer, linux, new_program, prove, run, setup, shell, storm, system_calls, test,
};
use std::process::ExitCode;

/// Cairn: a kernel whose primitives are written once, booted, run hosted, and proved.
#[derive(Parser)]
#[command(name = "cairn", bin_name = "cargo cairn", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Arguments),
    Bench(bench::Arguments),
    Boots(boots::Arguments),
    Call(call::Arguments),
    #[command(name = "fuzz-x86")]
    FuzzX86(fuzz_x86::Arguments),
    Layer(layer::Arguments),
    Linux(linux::Arguments),
    NewProgram(new_program::Arguments),
    Prove(prove::Arguments),
    Setup(setup::Arguments),
    Shell(shell::Arguments),
    Storm(storm::Arguments),
    SystemCalls(system_calls::Arguments),
    Test(test::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Boots(arguments) => boots::run(&arguments),
        Command::Call(arguments) => call::run(&arguments),
        Command::FuzzX86(arguments) => fuzz_x86::run(&arguments),
        Command::Layer(arguments) => layer::run(&arguments),
        Command::Linux(arguments) => linux::run(&arguments),
        Command::NewProgram(arguments) => new_program::run(&arguments),
        Command::Prove(arguments) => prove::run(&arguments),
        Command::Setup(arguments) => setup::run(&arguments),
        Command::Shell(arguments) => shell::run(&arguments),
        Command::Storm(arguments) => storm::run(&arguments),
        Command::SystemCalls(_) => system_calls::run(),
        Command::Test(arguments) => test::run(&arguments),
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
