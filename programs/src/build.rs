//! Builds the programs.

use crate::manifest::Manifest;
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use wait_timeout::ChildExt;

/// Code-generation flags of a program; its link arguments are in `user/build.rs`.
pub const CODEGEN_FLAGS: &[&str] = &[
    // The instructions that the hosted machine implements: the baseline, whatever the host supports.
    "-Ctarget-cpu=x86-64",
    // Linked at a fixed address, so that no loader has to relocate anything.
    "-Crelocation-model=static",
    "-Cpanic=abort",
    "-Cforce-unwind-tables=no",
    "-Crelro-level=off",
    // Frame pointers, so that reports can follow the calls that led to a program's stop.
    "-Cforce-frame-pointers=yes",
    // Symbols stay, so that addresses can be printed by name; line tables would only make the archive longer.
    "-Cstrip=debuginfo",
];

/// The target that programs are built for: the host's own triple.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// How long cargo may take.
const LIMIT: Duration = Duration::from_secs(3600);

/// A built program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name, one of [`user::image::NAMES`].
    pub name: &'static str,
    /// Its ELF file.
    pub elf: Vec<u8>,
    /// What it is expected to do.
    pub manifest: Manifest,
}

/// Why the programs could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo cannot be started.
    #[error("cannot run {}: {source}", .cargo.display())]
    NoCargo {
        /// The program that was tried.
        cargo: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Cargo did not end in time.
    #[error("building the programs: cargo did not end within {} s, and was killed", LIMIT.as_secs())]
    Late,
    /// The programs do not compile; cargo has said why on standard error.
    #[error("building the programs failed ({0})")]
    Failed(ExitStatus),
    /// Cargo built the programs, but not this one: `user/Cargo.toml` has changed since `user` was built.
    #[error("cannot read the program {}: {source}", .file.display())]
    Missing {
        /// The file that should exist.
        file: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// A program's manifest is missing.
    #[error("cannot read the manifest {}: {source}", .file.display())]
    NoManifest {
        /// The file that should exist.
        file: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// A program's manifest is wrong.
    #[error("{}: {source}", .file.display())]
    Manifest {
        /// The manifest.
        file: PathBuf,
        /// The error in the manifest.
        source: Box<toml::de::Error>,
    },
}

/// Builds the programs that have changed, and returns all programs in the order of the boot archive.
///
/// Cargo's messages go to standard error, like the caller's own. Several processes may call this at the same time.
///
/// # Errors
///
/// See [`BuildError`].
pub fn build() -> Result<Vec<Program>, BuildError> {
    let directory = compile()?;
    let read = |name: &&'static str| {
        Ok(Program { name, elf: read_program(&directory, name)?, manifest: read_manifest(&workspace(), name)? })
    };
    user::image::NAMES.iter().map(read).collect()
}

/// The programs among `programs` that are started if the command line names no program.
pub fn usual(programs: &[Program]) -> impl Iterator<Item = &Program> + Clone {
    programs.iter().filter(|program| !program.manifest.alone)
}

/// Builds the programs of the bench, [`user::image::BENCH`], in the order of their boot archive: each with its ELF file.
///
/// # Errors
///
/// See [`BuildError`].
pub fn build_bench() -> Result<Vec<(&'static str, Vec<u8>)>, BuildError> {
    let directory = compile()?;
    user::image::BENCH.iter().map(|name| Ok((*name, read_program(&directory, name)?))).collect()
}

/// Compiles all programs, and returns the directory that they are in.
fn compile() -> Result<PathBuf, BuildError> {
    let root = workspace();
    let target_directory = root.join("target/user");
    let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let begun = command(&cargo, &root, &target_directory).stdin(Stdio::null()).spawn();
    let ended = begun.and_then(|mut child| {
        let ended = child.wait_timeout(LIMIT)?;
        if ended.is_none() {
            child.kill()?;
            child.wait()?;
        }
        Ok(ended)
    });
    let status = match ended {
        Ok(Some(status)) => status,
        Ok(None) => return Err(BuildError::Late),
        Err(source) => return Err(BuildError::NoCargo { cargo, source }),
    };
    if !status.success() {
        return Err(BuildError::Failed(status));
    }
    Ok(target_directory.join(TARGET).join("release"))
}

/// The cargo command.
fn command(cargo: &Path, root: &Path, target_directory: &Path) -> Command {
    let mut command = Command::new(cargo);
    // The variables that an outer cargo sets must not reach the inner cargo, which would use one build's settings for
    // another build.
    for (name, _) in env::vars_os().filter(|(name, _)| is_cargos(name)) {
        command.env_remove(name);
    }
    command
        .current_dir(root)
        .env("CARGO_ENCODED_RUSTFLAGS", CODEGEN_FLAGS.join("\x1f"))
        .args(["build", "--quiet", "--package", "user", "--features", "program", "--release"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(target_directory);
    command
}

/// Whether an environment variable describes the package that cargo is running, or would change the build.
fn is_cargos(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || name.starts_with("CARGO_PROFILE_")
        || matches!(&*name, "RUSTFLAGS" | "CARGO_BUILD_TARGET" | "CARGO_BUILD_RUSTFLAGS" | "CARGO_TARGET_DIR")
}

/// Reads one built program.
fn read_program(directory: &Path, name: &str) -> Result<Vec<u8>, BuildError> {
    let file = directory.join(name);
    std::fs::read(&file).map_err(|source| BuildError::Missing { file, source })
}

/// Reads a program's manifest.
fn read_manifest(root: &Path, name: &str) -> Result<Manifest, BuildError> {
    let file = root.join("user/programs").join(name).join("manifest.toml");
    match std::fs::read_to_string(&file) {
        Err(source) => Err(BuildError::NoManifest { file, source }),
        Ok(text) => Manifest::parse(&text).map_err(|source| BuildError::Manifest { file, source: Box::new(source) }),
    }
}

/// The root of the workspace.
fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_program_is_built() {
        let programs = super::build().expect("the programs build");
        assert_eq!(programs.len(), user::image::NAMES.len());
        for program in programs {
            assert!(program.elf.starts_with(b"\x7fELF"), "{}", program.name);
        }
    }
}
