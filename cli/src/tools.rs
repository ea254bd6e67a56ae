//! Programs of the host.

use std::env;
use std::path::PathBuf;

/// QEMU's emulator of a 64-bit PC.
pub const QEMU: &str = "qemu-system-x86_64";

/// Where `program` is on the search path.
pub fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(program)).find(|path| path.is_file())
}
