//! The errors of the commands, and who is to blame for each.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Errors of the commands.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory cannot be read or written (the environment).
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was tried: "read", "write".
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The standard input or output of this process cannot be read or written (the environment).
    #[error("cannot {doing}: {source}")]
    Stream {
        /// What was tried.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// A program that is needed does not start (the environment).
    #[error("cannot start {program}: {source} (try `cargo cairn setup`)")]
    Start {
        /// The program.
        program: String,
        /// The system's error.
        source: io::Error,
    },
    /// A child process did not answer or end in time (the program's fault, or the machine is too busy).
    #[error("{program} did not answer within {:.1} s, and was killed", limit.as_secs_f64())]
    Late {
        /// The program, with its task.
        program: String,
        /// The limit that it exceeded.
        limit: Duration,
    },
    /// A child process failed (its output has been shown).
    #[error("{program} failed")]
    Failed {
        /// The program, with its task.
        program: String,
    },
    /// An image that the linker wrote is not a readable ELF file (our fault).
    #[error("cannot read the symbols of {}: {source}", path.display())]
    Symbols {
        /// The image.
        path: PathBuf,
        /// The reader's error.
        source: object::Error,
    },
    /// A number of processes was given for a load whose processes do not end (the user).
    #[error("`--processes` needs processes that end: use `storm life --processes NUMBER`")]
    OnlyOfLife,
    /// The programs cannot be built.
    #[error(transparent)]
    Programs(#[from] programs::build::BuildError),
    /// The programs cannot be run together (their manifests are to blame).
    #[error("these programs cannot run together: {0}")]
    Plan(#[from] programs::plan::PlanError),
    /// The hosted machine refuses a plan, with its own message (our fault: a plan can be run).
    #[error("the hosted machine refuses to run this: {0}")]
    Hosted(String),
    /// A random program cannot be encoded (our fault).
    #[error("cannot encode a random program: {0}")]
    Encode(String),
    /// A second solver was asked for, and there is only one (the environment).
    #[error("there is no second solver; `cargo cairn setup` installs z3")]
    NoOtherSolver,
    /// The proofs could not begin.
    #[error(transparent)]
    Prove(#[from] prover::SuiteError),
    /// A machine of the bench did not do its task (our fault).
    #[error("the bench {boot}: {problem}")]
    Bench {
        /// The name of the boot.
        boot: &'static str,
        /// What went wrong.
        problem: String,
    },
    /// The report cannot be written as JSON (our fault).
    #[error("cannot write the report as JSON: {0}")]
    Json(serde_json::Error),
    /// An option was given that has no meaning for the chosen machine (the caller).
    #[error("{option} needs --machine {machine}")]
    Needs {
        /// The option.
        option: &'static str,
        /// The machine for which it has a meaning.
        machine: &'static str,
    },
    /// The chosen emulator is not installed, or not completely (the environment).
    #[error("{0} is not installed; `cargo cairn setup` installs it")]
    NotInstalled(&'static str),
    /// The guest's kernel has not been fetched (the environment).
    #[error("Linux is not there; `cargo cairn setup` fetches it from Debian's archive")]
    NoLinux,
    /// A file of a guest cannot be used (the environment).
    #[error("{}: {problem}", file.display())]
    Guest {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A new program cannot have this name (the caller).
    #[error("cannot create the program `{name}`: {problem}")]
    Name {
        /// The name.
        name: String,
        /// Why the name is refused.
        problem: String,
    },
    /// There is nothing of this name (the caller).
    #[error("there is no {kind} `{name}`; there are: {known}")]
    Unknown {
        /// The kind of thing that was looked for.
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
