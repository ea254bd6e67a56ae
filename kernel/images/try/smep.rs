//! The kernel jumps to a user's page.
#![no_std]
#![no_main]

#[path = "user.rs"]
mod user;

use core::mem::transmute;
use kernel::lock::Lock;
use kernel::metal::cpu::Cpu;
use kernel::metal::entry::Entry;
use kernel::metal::user::{Way, enter};
use kernel::metal::{Image, registers};

kernel::image!(Image { prepare: |boot| *SETUP.lock() = Some(user::set_up(boot, 0)), start, entry, ..Image::DEFAULT });

static SETUP: Lock<Option<user::Setup>> = Lock::new(None);

#[unsafe(naked)]
unsafe extern "C" fn code() {
    core::arch::naked_asm!("syscall")
}

fn start(cpu: &mut Cpu) -> ! {
    if cpu.number() != 0 {
        registers::halt()
    }
    let mut setup = SETUP.lock().take().expect("`prepare` has run");
    setup.load(code);
    // SAFETY: the context is this CPU's only one, the map was made by `user_spaces`.
    unsafe { enter(cpu, setup.thread, Way::Iret) }
}

fn entry(_: &mut Cpu, _: Entry) -> ! {
    // SAFETY: supervisor-mode execution prevention forbids the fetch, so nothing of it runs.
    let run: extern "C" fn() = unsafe { transmute(user::CODE as usize) };
    run();
    panic!("no fault")
}
