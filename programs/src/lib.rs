//! The host's side of `user/`: builds the programs and knows what each of them is expected to do.
//!
//! # How programs are built
//!
//! [`build()`] runs, at the root of the workspace,
//!
//! ```text
//! CARGO_ENCODED_RUSTFLAGS=<build::CODEGEN_FLAGS, separated by \x1f> \
//!     cargo build --package user --features program --release \
//!     --target x86_64-unknown-linux-gnu --target-dir target/user
//! ```
//!
//! and reads the programs from `target/user/x86_64-unknown-linux-gnu/release/NAME`. The target is the host's
//! own, so stable Rust without further components is enough. The flags do not reach build scripts because
//! the target is named. Link arguments come from `user/build.rs`, the memory layout from `user/program.ld`.
//!
//! # How a run is judged
//!
//! Each program's [`manifest`] says how it is started, and what it is expected to do. A [`Plan`] makes a
//! boot list of some manifests, and a [`Check`] compares the console with them, whichever machine it comes
//! from.
//!
//! # What a program is, to a loader
//!
//! A static ELF64 executable with at most three `PT_LOAD` segments (text R+X, constants R, data R+W), each
//! on pages of its own within the first 2 MiB of the user window; a segment may be empty
//! (`p_memsz == 0`). The loader maps all of `p_memsz`, zero beyond `p_filesz`. See [`user`] for the state
//! at the first instruction.
#![forbid(unsafe_code)]

pub mod build;
pub mod check;
pub mod manifest;
pub mod plan;
pub mod session;
pub mod template;
pub mod transcript;

pub use build::{Program, build, usual};
pub use check::Check;
pub use plan::Plan;
pub use transcript::Transcript;

/// The boot list of a machine with a shell on its console: see `user/programs/shell`.
pub const SHELL_BOOT_LIST: &str = "0 shell 20000\n";
