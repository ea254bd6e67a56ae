//! `cairn setup`: installs missing tools, and changes nothing else.

use self::Sign::{File, Program};
use crate::host::child;
use crate::host::emulator::bochs;
use crate::host::error::Error;
use crate::host::linux;
use crate::host::tools;
use crate::host::workspace;
use prover::Choice;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Install missing tools: the emulators by apt, the pinned solver into target/tools, a guest's Linux into target/guests
///
/// The command skips what is already installed. If it may not install packages (not root, or not
/// Debian), it lists the packages to install.
#[derive(clap::Args)]
pub struct Arguments {}

/// A package that the system needs.
struct Requirement {
    /// What it is needed for.
    purpose: &'static str,
    /// Its Debian package.
    package: &'static str,
    /// The sign that the package is installed.
    there: Sign,
}

/// A sign that a package is installed.
enum Sign {
    /// A program on the search path.
    Program(&'static str),
    /// A file that exists.
    File(&'static str),
}

impl Requirement {
    fn is_met(&self) -> bool {
        match self.there {
            Program(name) => tools::find(name).is_some(),
            File(path) => Path::new(path).is_file(),
        }
    }
}

/// Packages of the system that are needed.
const REQUIREMENTS: &[Requirement] = &[
    Requirement { purpose: "the kernel on QEMU", package: "qemu-system-x86", there: Program(tools::QEMU) },
    // Bochs needs a front end even if it is not used; this is the smallest one.
    Requirement { purpose: "the kernel on Bochs", package: "bochs-term", there: Program(tools::BOCHS) },
    Requirement { purpose: "the kernel on Bochs", package: "bochsbios", there: File(bochs::BIOS) },
    Requirement { purpose: "the kernel on Bochs", package: "vgabios", there: File(bochs::VGA_BIOS) },
    Requirement { purpose: "the disc for Bochs", package: "grub-common", there: Program(tools::GRUB_IMAGE) },
    Requirement {
        purpose: "the disc for Bochs",
        package: "grub-pc-bin",
        there: File("/usr/lib/grub/i386-pc/moddep.lst"),
    },
    Requirement { purpose: "the disc for Bochs", package: "xorriso", there: Program(tools::XORRISO) },
    Requirement { purpose: "the disc for Bochs", package: "mtools", there: Program(tools::MTOOLS) },
    Requirement { purpose: "Linux as a guest", package: "xz-utils", there: Program(tools::XZ) },
];

/// The package that fetches the solver.
const PIP: Requirement = Requirement { purpose: "fetching the solver", package: "python3-pip", there: Program("pip3") };

/// The solver's version. The PyPI wheel contains an ordinary binary, which needs no Python.
const Z3_VERSION: &str = "5.4.0";
/// The wheel for x86-64 Linux, pinned by its hash.
const Z3_WHEEL: &str =
    "z3-solver==5.4.0.0 --hash=sha256:0549ffad554178a59480ba41b5279cfbb27053ed5a2da269ae1a48214d5db34b\n";

/// Installs what is missing.
pub fn run(_: &Arguments) -> Result<ExitCode, Error> {
    Ok(if set_up()? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Installs what is missing, as far as permitted; returns whether nothing is missing afterwards.
pub fn set_up() -> Result<bool, Error> {
    let packages = install(REQUIREMENTS)?;
    if packages {
        println!("packages: all there");
    }
    Ok(packages & solver()? & guest())
}

/// Fetches Linux if it is missing; returns whether it is there afterwards.
fn guest() -> bool {
    match linux::fetch() {
        Ok(()) => println!("guest: Linux is there"),
        Err(error) => println!("guest: Linux is missing, for the guest of `cargo cairn linux`: {error}"),
    }
    linux::is_there()
}

/// Installs the missing packages, or names them; returns whether nothing is missing afterwards.
fn install(requirements: &[Requirement]) -> Result<bool, Error> {
    let missing: Vec<&Requirement> = requirements.iter().filter(|requirement| !requirement.is_met()).collect();
    if missing.is_empty() {
        return Ok(true);
    }
    for requirement in &missing {
        println!("packages: {} is missing, for {}", requirement.package, requirement.purpose);
    }
    let names: Vec<&str> = missing.iter().map(|requirement| requirement.package).collect();
    if !is_root() || tools::find("apt-get").is_none() {
        println!("packages: install them, on Debian by: sudo apt-get install {}", names.join(" "));
        return Ok(false);
    }
    child::execute(apt().arg("update"), "apt-get update")?;
    child::execute(apt().args(["install", "--yes", "--no-install-recommends"]).args(&names), "apt-get install")?;
    println!("packages: installed {}", names.join(" "));
    Ok(true)
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet=2").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Whether this process may install packages.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Fetches the solver if it is missing; returns whether it is there afterwards.
fn solver() -> Result<bool, Error> {
    let directory = workspace::tools().join("z3");
    let binary = z3(&directory);
    if version(&binary).is_some_and(|version| version.contains(Z3_VERSION)) {
        println!("solver: z3 {Z3_VERSION} is there");
        return Ok(true);
    }
    if !install(&[PIP])? {
        println!("solver: z3 {Z3_VERSION} is missing");
        return Ok(false);
    }
    let requirement = workspace::tools().join("z3-requirement.txt");
    fs::create_dir_all(workspace::tools()).map_err(Error::file("create", &workspace::tools()))?;
    fs::write(&requirement, Z3_WHEEL).map_err(Error::file("write", &requirement))?;
    // The wheel goes into a directory of its own first, so that an interrupted download leaves nothing half done.
    let fresh = workspace::tools().join("z3-fresh");
    workspace::remove(&fresh)?;
    let mut pip = Command::new("pip3");
    pip.args(["install", "--quiet", "--no-deps", "--no-compile", "--require-hashes", "--only-binary=:all:"])
        .args(["--disable-pip-version-check", "--root-user-action=ignore", "--target"])
        .arg(&fresh)
        .arg("--requirement")
        .arg(&requirement);
    child::execute(&mut pip, "pip3 install z3-solver")?;
    workspace::remove(&directory)?;
    fs::rename(&fresh, &directory).map_err(Error::file("move", &fresh))?;
    match version(&binary) {
        Some(version) => println!("solver: installed {version} as {}", binary.display()),
        None => {
            return Err(Error::Failed { program: binary.display().to_string() });
        }
    }
    Ok(true)
}

/// The solver's binary in the directory of its unpacked wheel.
pub fn z3(directory: &Path) -> PathBuf {
    directory.join("bin").join("z3")
}

fn version(binary: &Path) -> Option<String> {
    Choice::Program(binary.to_owned()).version().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_stands_once() {
        for (index, requirement) in REQUIREMENTS.iter().enumerate() {
            assert!(
                REQUIREMENTS[..index].iter().all(|other| other.package != requirement.package),
                "{}",
                requirement.package
            );
        }
    }

    #[test]
    fn the_pin_names_the_version() {
        assert!(Z3_WHEEL.contains(Z3_VERSION));
    }
}
