//! Debian's packages with the guest's kernel and programs. They are unpacked into `target/guests`; nothing is installed.

use crate::host::child;
use crate::host::error::Error;
use crate::host::workspace;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The list of the only source that is asked: the release whose kernel has been tried.
const SOURCE: &str =
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main\n";
/// The package that depends on the release's newest kernel for processors without PAE.
const NEWEST_KERNEL: &str = "linux-image-686:i386";
/// The package with a shell and its tools in one static file.
const BUSYBOX: &str = "busybox-static:i386";

/// The files of the guest.
pub struct Files {
    /// The kernel, a bzImage.
    pub kernel: PathBuf,
    /// Busybox.
    pub busybox: PathBuf,
}

fn directory() -> PathBuf {
    workspace::target().join("guests").join("linux")
}

/// Whether the files have been fetched.
pub fn is_there() -> bool {
    files().is_ok()
}

/// The files.
///
/// # Errors
/// [`Error::NoLinux`] if they have not been fetched.
pub fn files() -> Result<Files, Error> {
    let root = directory().join("root");
    let busybox = root.join("bin").join("busybox");
    let is_kernel = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"));
    let boot = fs::read_dir(root.join("boot")).map_err(|_| Error::NoLinux)?;
    let kernel = boot.flatten().map(|entry| entry.path()).find(is_kernel).ok_or(Error::NoLinux)?;
    if !busybox.is_file() {
        return Err(Error::NoLinux);
    }
    Ok(Files { kernel, busybox })
}

/// Fetches the files if they are missing.
///
/// # Errors
/// Those of the programs of Debian's packages. Files that were there stay.
pub fn fetch() -> Result<(), Error> {
    if is_there() {
        return Ok(());
    }
    let directory = directory();
    // The files go into a directory of their own first, so that an interrupted download leaves nothing half done.
    let [lists, cache, fresh, root] = ["lists", "cache", "fresh", "root"].map(|name| directory.join(name));
    let unpacked = directory.join("unpacked");
    for made in [&lists, &cache, &fresh, &root, &unpacked] {
        workspace::remove(made)?;
    }
    for made in [&lists, &cache, &fresh] {
        fs::create_dir_all(made).map_err(Error::file("create", made))?;
    }
    let sources = directory.join("sources.list");
    fs::write(&sources, SOURCE).map_err(Error::file("write", &sources))?;
    let apt = |program: &str| {
        let mut command = Command::new(program);
        command.args(["--quiet=2", "-o", "APT::Architectures=amd64,i386", "-o", "APT::Sandbox::User=root"]);
        command.args(["-o", "Dir::Etc::sourceparts=-", "-o", "Acquire::Languages=none"]);
        for (name, path) in [("State::lists", &lists), ("Cache", &cache), ("Etc::sourcelist", &sources)] {
            command.arg("-o").arg(format!("Dir::{name}={}", path.display()));
        }
        command.current_dir(&fresh);
        command
    };
    child::execute(apt("apt-get").arg("update"), "apt-get update")?;
    let depends = child::output(apt("apt-cache").args(["depends", NEWEST_KERNEL]), "apt-cache", child::LIMIT)?;
    let depends = String::from_utf8_lossy(&depends.stdout).into_owned();
    let kernel = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: ")).ok_or(Error::NoLinux)?;
    child::execute(apt("apt-get").args(["download", kernel, BUSYBOX]), "apt-get download")?;
    for package in fs::read_dir(&fresh).map_err(Error::file("read", &fresh))?.flatten() {
        unpack(&package.path(), &unpacked)?;
    }
    fs::rename(&unpacked, &root).map_err(Error::file("move", &unpacked))?;
    [&lists, &cache, &fresh].into_iter().try_for_each(|made| workspace::remove(made))
}

fn unpack(package: &Path, to: &Path) -> Result<(), Error> {
    child::execute(Command::new("dpkg-deb").arg("--extract").arg(package).arg(to), "dpkg-deb --extract")
}
