//! The kernel on a machine whose memory is not zero at boot, unlike that of an emulator. The memory that programs get
//! must be zero.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use kernel::image::{Boot, Image};
use kernel::machine::hooks::IMAGE;
use kernel::mm::direct_map::direct;

kernel::image!(Image { prepare, ..IMAGE });

/// Bytes of the users' memory that are made dirty: more than the programs use.
const DIRTY: u64 = 256 << 20;
/// The byte that fills it. Read as an entry of a page table, it is present, writable and a user's.
const DIRT: u8 = 0xA7;

fn prepare(boot: &mut Boot) {
    let users = boot.user_frames();
    let length = DIRTY.min(users.end - users.start);
    // SAFETY: users' frames are free at boot, and in the direct map.
    unsafe { direct::<u8>(users.start).write_bytes(DIRT, length as usize) };
    (IMAGE.prepare)(boot);
}
