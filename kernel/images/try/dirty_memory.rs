//! The kernel on a machine whose memory is not zero at boot, as that of an emulator is: what programs get must be.
#![no_std]
#![no_main]

use kernel::metal::Image;
use kernel::metal::boot::Boot;
use kernel::metal::machine::run::IMAGE;
use kernel::metal::paging::direct;

kernel::image!(Image { prepare, ..IMAGE });

/// How much of the users' memory is made dirty, in bytes: more than the programs use.
const DIRTY: u64 = 256 << 20;
/// What it is full of: read as an entry of a page table, it is present, writable and a user's.
const DIRT: u8 = 0xA7;

fn prepare(boot: &mut Boot) {
    let users = boot.user_frames();
    let length = DIRTY.min(users.end - users.start);
    // SAFETY: users' frames are free at boot, and in the direct map.
    unsafe { direct::<u8>(users.start).write_bytes(DIRT, length as usize) };
    (IMAGE.prepare)(boot);
}
