//! CPU 0 hangs in ring 3, the others in the kernel. Only an NMI ends that.
#![no_std]
#![no_main]

#[path = "user.rs"]
mod user;

use kernel::lock::Lock;
use kernel::metal::Image;
use kernel::metal::cpu::Cpu;
use kernel::metal::user::{Way, enter};

kernel::image!(Image {
    prepare: |boot| *SETUP.lock() = Some(user::set_up(boot, 0)),
    start,
    describe: |cpu, out| write!(out, ", the program of CPU {cpu}"),
    ..Image::DEFAULT
});

static SETUP: Lock<Option<user::Setup>> = Lock::new(None);

#[unsafe(naked)]
unsafe extern "C" fn code() {
    core::arch::naked_asm!("2: jmp 2b")
}

fn start(cpu: &mut Cpu) -> ! {
    if cpu.number() != 0 {
        spin()
    }
    let mut setup = SETUP.lock().take().expect("`prepare` has run");
    setup.load(code);
    // SAFETY: the context is this CPU's only one, the map was made by `user_spaces`.
    unsafe { enter(cpu, setup.thread, Way::Iret) }
}

#[inline(never)]
fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
