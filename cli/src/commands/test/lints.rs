//! Lints: the documentation has no warnings, and the code uses no part of Rust that is newer than `rust-version` in
//! `Cargo.toml`.

use super::cargo::cargo;
use crate::host::child;
use crate::host::counts::Counts;
use crate::host::error::Error;

/// Variables for the documentation: a warning, for example of a broken link, is an error.
const NO_WARNINGS: &[(&str, &str)] = &[("RUSTDOCFLAGS", "-D warnings")];

/// Arguments for the documentation of every crate.
const DOCUMENTATION: &[&str] = &["doc", "--workspace", "--no-deps", "--keep-going"];

/// Arguments for the one lint of clippy that must not warn. Each item of the standard library has the version in which
/// it became stable, and clippy compares it with `rust-version`. No older compiler is needed for this.
const MINIMUM_VERSION: &[&str] = &[
    "clippy",
    "--workspace",
    "--all-targets",
    "--keep-going",
    "--",
    "-A",
    "clippy::all",
    "-D",
    "clippy::incompatible_msrv",
];

/// Checks that `cargo fmt` would change nothing.
pub fn format() -> Result<Counts, Error> {
    lint("no change by cargo fmt", &["fmt", "--all", "--check"], &[])
}

/// Runs the lints. The checks of clippy are built beside those of `cargo check`, with the same dependencies.
pub fn lint_all() -> Result<Counts, Error> {
    let documentation = lint("no warnings of cargo doc", DOCUMENTATION, NO_WARNINGS)?;
    if !succeeds(&["clippy", "--version"], &[])?.0 {
        println!(
            "  FAILED   clippy is not installed: `rustup component add clippy`, or on Debian `apt install rust-clippy`"
        );
        return Ok([documentation, Counts::one("cargo clippy", false)].into_iter().sum());
    }
    let version = lint("nothing newer than rust-version", MINIMUM_VERSION, &[])?;
    Ok([documentation, version].into_iter().sum())
}

/// Runs cargo as one test. Its output is shown if it fails.
fn lint(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Counts, Error> {
    let (succeeds, output) = succeeds(arguments, variables)?;
    if succeeds {
        println!("  passed   {name}");
    } else {
        println!("  FAILED   {name}");
        output.lines().for_each(|line| println!("  | {line}"));
    }
    Ok(Counts::one(name, succeeds))
}

/// Runs cargo: whether it succeeds, and its messages.
fn succeeds(arguments: &[&str], variables: &[(&str, &str)]) -> Result<(bool, String), Error> {
    let output = child::output(&mut cargo(arguments, variables), "cargo", child::LIMIT)?;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}
