//! Tests compatibility mode, which no program can reach otherwise: the image puts a segment of 32-bit code where the
//! kernel has a null descriptor. Each attempt of the 32-bit program to enter the kernel must end the program, not
//! the machine.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::arch::naked_asm;
use core::sync::atomic::{AtomicUsize, Ordering};
use images::user;
use kernel::cpu::block::{Cpu, run_afresh};
use kernel::cpu::context::Slot;
use kernel::cpu::descriptors::USER_BASE;
use kernel::cpu::trap::Entry;
use kernel::cpu::vectors::{GENERAL_PROTECTION, INVALID_OPCODE};
use kernel::devices::exit::Reason;
use kernel::devices::power;
use kernel::entry::ring3::{Way, enter};
use kernel::image::{Boot, Image};
use kernel::say;
use kernel::sync::lock::Lock;
use x86_64::instructions::tables::sgdt;

kernel::image!(Image { prepare, start, entry, ..Image::DEFAULT });

/// A descriptor of present 32-bit code of ring 3 that covers all addresses.
const CODE_32: u64 = 0x00CF_FB00_0000_FFFF;

/// What a program executes in compatibility mode: the bytes of one instruction, and the entry that must follow. The
/// processor's vendor decides whether `syscall` and `sysenter` exist; QEMU's is AMD, with both.
const CASES: [(&str, [u8; 2], Entry); 5] = [
    ("syscall", [0x0F, 0x05], Entry::Exception { vector: INVALID_OPCODE, error: 0 }),
    ("sysenter", [0x0F, 0x34], Entry::Exception { vector: GENERAL_PROTECTION, error: 0 }),
    ("int 0x80", [0xCD, 0x80], Entry::Exception { vector: GENERAL_PROTECTION, error: 0x80 << 3 | 2 }),
    ("into", [0x90, 0xCE], Entry::Exception { vector: GENERAL_PROTECTION, error: 4 << 3 | 2 }),
    ("hlt", [0x90, 0xF4], Entry::Exception { vector: GENERAL_PROTECTION, error: 0 }),
];

static SETUP: Lock<Option<user::Setup>> = Lock::new(None);
static CASE: AtomicUsize = AtomicUsize::new(0);

/// Jumps to the 32-bit code at RBX, with a stack, and with every flag set that a program may set, except TF. `into`
/// needs OF.
#[unsafe(naked)]
unsafe extern "C" fn code() {
    naked_asm!(
        "mov [rsp - 16], ebx",
        "mov word ptr [rsp - 12], {selector}",
        "mov r12d, 0x7777",
        "push 0x244cd5",
        "popfq",
        ".byte 0xff, 0x6c, 0x24, 0xf0", // jmp fword ptr [rsp - 16]
        selector = const USER_BASE,
    )
}

fn prepare(boot: &mut Boot) {
    *SETUP.lock() = Some(user::set_up(boot, 0));
}

fn start(cpu: &mut Cpu) -> ! {
    let segments = sgdt().base.as_mut_ptr::<u64>();
    // SAFETY: the entry exists, and is null; the kernel does not use it.
    unsafe { segments.add(usize::from(USER_BASE >> 3)).write(CODE_32) };
    next_case(cpu)
}

fn next_case(cpu: &mut Cpu) -> ! {
    let Some((_, bytes, _)) = CASES.get(CASE.load(Ordering::Relaxed)) else {
        say!("compatibility mode: all {} entries are refused", CASES.len());
        power::leave(Reason::Done)
    };
    let thread = {
        let mut setup = SETUP.lock();
        let setup = setup.as_mut().expect("`prepare` has run");
        setup.load(code);
        setup.append(bytes);
        setup.thread
    };
    // SAFETY: this CPU has no other context, and `user_spaces` made the map.
    unsafe {
        (*thread.context).set(Slot::Ebx, user::APPENDED);
        enter(cpu, thread, Way::Iret)
    }
}

fn entry(cpu: &mut Cpu, why: Entry) -> ! {
    let (name, bytes, expected) = CASES[CASE.fetch_add(1, Ordering::Relaxed)];
    let context = cpu.context().expect("a program was in ring 3");
    let error = |entry| match entry {
        // For a gate, QEMU 7.2 puts twice its number into the error code.
        Entry::Exception { vector, error } => (vector, error & 7),
        _ => (0, 0),
    };
    let rip = context.get(Slot::Eip) - user::APPENDED;
    // After `syscall` RIP points after the instruction; the others are faults, so RIP points at it.
    let right = if bytes == [0x0F, 0x05] { rip == 2 } else { rip < 2 };
    if error(why) != error(expected) || !right {
        say!("{name}: got {why:x?}, expected {expected:x?}, at {rip:#x}");
        power::leave(Reason::Failed)
    }
    run_afresh(cpu, next_case)
}
