//! Ring 3: small programs that enter the kernel in every possible way. Each has the list of entries that the image's
//! hook must see.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::arch::asm;
use images::ring3::segments;
use images::ring3::snippets::{self, Case};
use images::user::{self, ABSENT, Setup};
use kernel::cpu::block::{Cpu, run_afresh};
use kernel::cpu::context::{Slot, UserContext};
use kernel::cpu::registers;
use kernel::cpu::trap::Entry;
use kernel::devices::exit::Reason;
use kernel::devices::power;
use kernel::entry::ring3::{Way, enter};
use kernel::image::{Boot, Image};
use kernel::say;
use kernel::sync::lock::Lock;

kernel::image!(Image { prepare, start, entry, ..Image::DEFAULT });

/// All cases, in the order in which they run. QEMU 7.2 makes the stack accesses of far returns and far calls as if ring
/// 0 made them. With SMAP each of these is a page fault, so the last ones run only without SMAP.
const CASES: [&[Case]; 7] = [
    snippets::CASES,
    segments::REFUSED,
    segments::ASKED,
    segments::ALLOWED,
    segments::INSTRUCTIONS,
    segments::REFUSED_RETURNS,
    segments::ON_STACK,
];
const WITHOUT_SMAP: usize = 5;

struct State {
    setup: Setup,
    /// The cases, and the index of the current one.
    cases: &'static [&'static [Case]],
    case: usize,
    step: usize,
}

static STATE: Lock<Option<State>> = Lock::new(None);

fn prepare(boot: &mut Boot) {
    let cases = if boot.protections.smap { &CASES[..WITHOUT_SMAP] } else { &CASES };
    *STATE.lock() = Some(State { setup: user::set_up(boot, 0), cases, case: 0, step: 0 });
}

impl State {
    /// The current case.
    fn case(&self) -> Option<&'static Case> {
        self.cases.iter().copied().flatten().nth(self.case)
    }
}

fn start(cpu: &mut Cpu) -> ! {
    if cpu.number() == 0 { next_case(cpu) } else { registers::halt() }
}

/// Begins the current case.
fn next_case(cpu: &mut Cpu) -> ! {
    let thread = {
        let mut state = STATE.lock();
        let state = state.as_mut().expect("`prepare` has run");
        let Some(case) = state.case() else {
            say!("ring 3: all {} cases passed", state.case);
            power::leave(Reason::Done)
        };
        state.setup.load(case.code);
        state.setup.thread
    };
    // SAFETY: this CPU has no other context, and `user_spaces` made the map.
    unsafe { enter(cpu, thread, Way::Iret) }
}

fn entry(cpu: &mut Cpu, why: Entry) -> ! {
    disturb();
    let mut guard = STATE.lock();
    let state = guard.as_mut().expect("`prepare` has run");
    let case = state.case().expect("it was begun");
    let context = cpu.context().expect("a thread was in ring 3");
    let expected = case.entries[state.step];
    if !is_expected(why, expected) || !(case.check)(state.step, context) || !kernel_flags_are_clean() {
        fail(case, state.step, why, context)
    }
    state.step += 1;
    if state.step == case.entries.len() {
        state.case += 1;
        state.step = 0;
        drop(guard);
        run_afresh(cpu, next_case)
    }
    if let Entry::PageFault { address: ABSENT, .. } = why {
        state.setup.map_absent(0x5A);
    }
    (case.change)(state.step, context);
    let thread = state.setup.thread;
    drop(guard);
    let way = if why == Entry::SystemCall { Way::Sysret } else { Way::Iret };
    // SAFETY: as in `next_case`.
    unsafe { enter(cpu, thread, way) }
}

/// Whether an entry is the expected one. If the error code names a gate (bit 1), two codes are accepted: the manuals'
/// and processors', which count gates, and QEMU 7.2's, which counts halves of gates.
fn is_expected(why: Entry, expected: Entry) -> bool {
    const GATE: u64 = 2;
    match (why, expected) {
        (Entry::Exception { vector, error }, Entry::Exception { vector: expected, error: code })
            if code & GATE != 0 =>
        {
            vector == expected && (error == code || error == 2 * (code & !7) | code & 7)
        }
        _ => why == expected,
    }
}

fn fail(case: &Case, step: usize, why: Entry, context: &UserContext) -> ! {
    say!("ring 3: {}: entry {step}: got {why:x?}, expected {:x?}", case.name, case.entries[step]);
    say!("ring 3: rip {:#x}, registers {:x?}", context.get(Slot::Eip), context.slots);
    power::leave(Reason::Failed)
}

/// Overwrites floating-point state, as compiled kernel code may.
fn disturb() {
    // SAFETY: the kernel keeps nothing in these registers across a call.
    unsafe {
        asm!(
            "fninit", "pcmpeqd xmm0, xmm0", "pcmpeqd xmm7, xmm7", "pcmpeqd xmm15, xmm15",
            out("xmm0") _, out("xmm7") _, out("xmm15") _,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
        );
    }
}

/// Whether none of a program's flags is still set: direction, alignment check, nested task, trap, interrupts.
fn kernel_flags_are_clean() -> bool {
    const FORBIDDEN: u64 = 1 << 8 | 1 << 9 | 1 << 10 | 1 << 14 | 1 << 18;
    let flags: u64;
    // SAFETY: the code only reads the flags.
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(nomem, preserves_flags)) };
    flags & FORBIDDEN == 0
}
