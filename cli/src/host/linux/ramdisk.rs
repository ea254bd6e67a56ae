//! The guest's initial RAM disk: busybox, and a first process.

use crate::host::error::Error;
use cpio::newc::{Builder, ModeFileType, trailer};
use std::io::Write;
use vmm::linux::PROMPT;

/// The first process. A shell has the console until it ends.
const INIT: &str = "#!/bin/busybox sh
busybox mount -t proc proc /proc
busybox --install -s /bin
PS1='PROMPT'
export PS1
COMMANDS
busybox setsid busybox cttyhack busybox sh
busybox poweroff -f
";

/// The archive. `commands` are executed before the shell.
pub fn ramdisk(busybox: &[u8], commands: &str) -> Result<Vec<u8>, Error> {
    use ModeFileType::{Char, Directory, Regular};
    let init = INIT.replace("PROMPT", PROMPT).replace("COMMANDS", commands);
    let entries: [(&str, ModeFileType, u32, &[u8]); 7] = [
        ("dev", Directory, 0o755, b""),
        ("dev/console", Char, 0o600, b""),
        ("bin", Directory, 0o755, b""),
        ("proc", Directory, 0o755, b""),
        ("tmp", Directory, 0o777, b""),
        ("bin/busybox", Regular, 0o755, busybox),
        ("init", Regular, 0o755, init.as_bytes()),
    ];
    let failed = || Error::stream("write the RAM disk");
    let mut archive = Vec::new();
    for (inode, (name, kind, permissions, bytes)) in (1..).zip(entries) {
        let mut entry = Builder::new(name).ino(inode).nlink(1).mode(permissions).set_mode_file_type(kind);
        if name == "dev/console" {
            entry = entry.rdev_major(5).rdev_minor(1);
        }
        let mut writer = entry.write(&mut archive, bytes.len() as u32);
        writer.write_all(bytes).map_err(failed())?;
        writer.finish().map_err(failed())?;
    }
    trailer(&mut archive).map_err(failed())?;
    Ok(archive)
}
