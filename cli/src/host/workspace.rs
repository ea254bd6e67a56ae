//! Paths on the host.

use crate::host::error::Error;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The workspace's root directory.
pub fn root() -> PathBuf {
    // Cargo sets the variable for `cargo run`; the built-in value serves a binary that is started by itself.
    let cli =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    cli.parent().map_or(cli.clone(), Path::to_path_buf)
}

/// The directory that everything is built into.
pub fn target() -> PathBuf {
    root().join("target")
}

/// The directory of the tools that `setup` installs for this workspace alone.
pub fn tools() -> PathBuf {
    target().join("tools")
}

/// Removes a directory with all that is in it, if it is there.
///
/// # Errors
/// The system's.
pub fn remove(directory: &Path) -> Result<(), Error> {
    if directory.exists() { fs::remove_dir_all(directory).map_err(Error::file("remove", directory)) } else { Ok(()) }
}
