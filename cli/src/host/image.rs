//! Builds images of the kernel.
//!
//! An image is an ordinary binary for the host's target, with code-generation flags of its own. The flags are passed in
//! `CARGO_ENCODED_RUSTFLAGS` together with an explicit `--target`. So build scripts and procedural macros, which run on
//! the host, do not get them. The output has a target directory of its own, so that builds for the host and builds of
//! images do not overwrite each other.

use crate::host::child;
use crate::host::error::Error;
use crate::host::workspace;
use object::{Object, ObjectSegment};
use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// The target: the host's own, so only Rust itself must be installed.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Code-generation flags of an image.
const FLAGS: &[&str] = &[
    // No code unwinds in ring 0.
    "-Cpanic=abort",
    "-Cforce-unwind-tables=no",
    // Linked at a fixed address in the top 2 GiB.
    "-Crelocation-model=static",
    "-Ccode-model=kernel",
    // An interrupt may write below the stack pointer, so a red zone cannot be used.
    "-Cno-redzone=yes",
    // The back traces of reports follow frame pointers.
    "-Cforce-frame-pointers=yes",
    // The features of every 64-bit PC, whatever the host's default is.
    "-Ctarget-cpu=x86-64",
];

/// Additional flags of a checked image: arithmetic that overflows and locks out of order are panics.
const CHECKS: &[&str] = &["-Cdebug-assertions=yes", "-Coverflow-checks=yes"];

/// Additional flags of an unoptimised image. Without LLVM's passes no function is inlined, and no call is left out.
/// The level is 1, because at 0 the boot code's stack would be too small for all the copies.
const UNOPTIMISED: &[&str] = &["-Copt-level=1", "-Cno-prepopulate-passes", "--cfg=unoptimised"];

/// How an image is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Optimised, without further checks.
    Fast,
    /// Optimised, with all checks.
    Checked,
    /// Not optimised: every function that is called is there.
    Unoptimised,
}

impl Kind {
    /// Code-generation flags.
    fn flags(self) -> String {
        let more = match self {
            Kind::Fast => &[],
            Kind::Checked => CHECKS,
            Kind::Unoptimised => UNOPTIMISED,
        };
        [FLAGS, more].concat().join("\x1f")
    }

    /// The target directory of images of this kind. Two kinds in one directory would overwrite each
    /// other.
    fn directory(self) -> PathBuf {
        workspace::target().join(match self {
            Kind::Fast => "kernel",
            Kind::Checked => "kernel-checked",
            Kind::Unoptimised => "kernel-unoptimised",
        })
    }
}

/// How long a build may take before its progress is shown.
const PATIENCE: Duration = Duration::from_secs(2);

/// The images to build.
#[derive(Clone, Copy)]
pub enum Images<'a> {
    /// The image with this name.
    One(&'a str),
    /// All images.
    All,
}

/// Builds images. Prints nothing unless the build takes long or fails.
pub fn build(images: Images, kind: Kind) -> Result<(), Error> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(&cargo);
    command
        .current_dir(workspace::root())
        .args(["build", "--package", "images", "--features", "image", "--release", "--target", TARGET])
        .arg("--target-dir")
        .arg(kind.directory())
        .env("CARGO_ENCODED_RUSTFLAGS", kind.flags())
        .env_remove("RUSTFLAGS")
        .stdin(Stdio::null());
    match images {
        Images::One(name) => command.args(["--bin", name]),
        Images::All => command.arg("--bins"),
    };
    patiently(command, &cargo, "building the kernel")
}

/// Path at which [`build`] leaves the image with this name.
pub fn path(name: &str, kind: Kind) -> PathBuf {
    kind.directory().join(TARGET).join("release").join(name)
}

/// Bytes of memory that an image takes.
pub fn size(name: &str, kind: Kind) -> Result<u64, Error> {
    let path = path(name, kind);
    let bytes = fs::read(&path).map_err(Error::file("read", &path))?;
    let elf = object::File::parse(bytes.as_slice()).map_err(|source| Error::Symbols { path, source })?;
    Ok(elf.segments().map(|segment| segment.size()).sum())
}

/// Runs a command. Its standard error is shown only if it has taken long or failed.
fn patiently(mut command: Command, program: &str, doing: &str) -> Result<(), Error> {
    let begin = Instant::now();
    let (stderr, writer) = io::pipe().map_err(Error::start(program))?;
    let mut child = command.stderr(writer).spawn().map_err(Error::start(program))?;
    // The command holds the other end of the pipe, so it is dropped here.
    drop(command);
    let lines = child::lines(stderr);
    let mut last = begin;
    let mut kept = Vec::new();
    let mut shown = false;
    let mut show = |kept: &mut Vec<String>| {
        if !shown {
            eprintln!("{doing} …");
            shown = true;
        }
        kept.drain(..).for_each(|line| eprintln!("{line}"));
    };
    loop {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        match lines.recv_timeout(if left.is_zero() { Duration::from_millis(100) } else { left }) {
            Ok(line) => {
                last = Instant::now();
                kept.push(line);
            }
            Err(RecvTimeoutError::Timeout) if last.elapsed() >= child::LIMIT => {
                return Err(child::late(&mut child, &format!("{program}, {doing},"), child::LIMIT));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if begin.elapsed() >= PATIENCE {
            show(&mut kept);
        }
    }
    let status = child::wait(&mut child, program, child::LIMIT)?;
    if status.success() {
        return Ok(());
    }
    show(&mut kept);
    Err(Error::Failed { program: doing.to_owned() })
}
