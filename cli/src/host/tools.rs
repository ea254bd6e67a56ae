//! Programs of the host.

use std::env;
use std::path::PathBuf;

/// QEMU's emulator of a 64-bit PC.
pub const QEMU: &str = "qemu-system-x86_64";

/// Bochs's emulator of a 64-bit PC.
pub const BOCHS: &str = "bochs";

/// GRUB's maker of disc images that boot, which needs the two after it.
pub const GRUB_IMAGE: &str = "grub-mkrescue";
/// See [`GRUB_IMAGE`].
pub const XORRISO: &str = "xorriso";
/// See [`GRUB_IMAGE`].
pub const MTOOLS: &str = "mformat";

/// Unpacks the kernel of a guest.
pub const XZ: &str = "xz";

/// Where `program` is on the search path.
pub fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(program)).find(|path| path.is_file())
}
