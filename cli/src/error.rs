//! What can go wrong while a verb does its work, and who is to blame.

use crate::emulator::Emulator;
use crate::new_program::NameError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a verb could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory cannot be read or written (the environment).
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was tried: "read", "write".
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An end of this process cannot be read or written (the environment).
    #[error("cannot {doing}: {source}")]
    Stream {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A program that is needed does not start (the environment).
    #[error("cannot start {program}: {source} (try `cargo cairn setup`)")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program that was started did not answer or end in time (the program, or a machine that is too busy).
    #[error("{program} did not answer within {:.1} s, and was killed", limit.as_secs_f64())]
    Late {
        /// The program, with what it was to do.
        program: String,
        /// How long was waited for it.
        limit: Duration,
    },
    /// A program that was started failed (its output has been shown).
    #[error("{program} failed")]
    Failed {
        /// The program, with what it was to do.
        program: String,
    },
    /// An image that the linker wrote is not an ELF file that can be read (us).
    #[error("cannot read the symbols of {}: {source}", path.display())]
    Symbols {
        /// The image.
        path: PathBuf,
        /// What the reader said.
        source: object::Error,
    },
    /// The number of processes was given for a storm in which none need end (the user).
    #[error("`--processes` is about processes that end: say `storm life --processes NUMBER`")]
    OnlyOfLife,
    /// The programs cannot be built.
    #[error(transparent)]
    Programs(#[from] programs::build::Error),
    /// The programs cannot be run together (their manifests are to blame).
    #[error("these programs cannot run together: {0}")]
    Plan(#[from] programs::plan::Error),
    /// The hosted machine refuses what it is to run, in its own words (us: a plan can be run).
    #[error("the hosted machine refuses to run this: {0}")]
    Hosted(String),
    /// A random program cannot be encoded (us).
    #[error("cannot encode a random program: {0}")]
    Encode(String),
    /// There is one solver only, and a second was asked for (the environment).
    #[error("there is no second solver; `cargo cairn setup` installs z3")]
    NoOtherSolver,
    /// The proofs were not begun.
    #[error(transparent)]
    Prove(#[from] prover::SuiteError),
    /// A machine of the bench did not do what it was booted for (us).
    #[error("the bench {boot}: {problem}")]
    Bench {
        /// Which one.
        boot: &'static str,
        /// What went wrong.
        problem: String,
    },
    /// The report cannot be written as JSON (us).
    #[error("cannot write the report as JSON: {0}")]
    Json(serde_json::Error),
    /// An option was given that has no meaning for the machine (the caller).
    #[error("{option} needs --machine {machine}")]
    Needs {
        /// The option.
        option: &'static str,
        /// For which it has one.
        machine: &'static str,
    },
    /// An emulator was asked for that is not there, or not whole (the environment).
    #[error("{0} is not installed; `cargo cairn setup` installs it")]
    NotInstalled(Emulator),
    /// A program cannot be called so (the caller).
    #[error("there can be no new program `{name}`: {problem}")]
    Name {
        /// What it was to be called.
        name: String,
        /// Why it cannot.
        problem: NameError,
    },
    /// There is nothing by this name (the caller).
    #[error("there is no {kind} `{name}`; there are: {known}")]
    Unknown {
        /// What was looked for.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The names that exist.
        known: String,
    },
}

impl Error {
    /// For `map_err`: an [`Error::File`].
    pub fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::File { doing, path: path.to_path_buf(), source }
    }

    /// For `map_err`: an [`Error::Stream`].
    pub fn stream(doing: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Stream { doing, source }
    }

    /// For `map_err`: an [`Error::Start`].
    pub fn start(program: &str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Start { program: program.to_owned(), source }
    }
}
