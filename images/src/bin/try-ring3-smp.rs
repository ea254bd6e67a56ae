//! Every CPU switches between two threads at each system call. A thread notices when its registers, its floating-point
//! state or its page map are not its own; the kernel notices when a system call is lost.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::sync::atomic::{AtomicUsize, Ordering};
use images::user;
use kernel::cpu::block::{Cpu, Thread};
use kernel::cpu::context::Slot;
use kernel::cpu::registers;
use kernel::cpu::running::arrived;
use kernel::cpu::trap::Entry;
use kernel::devices::exit::Reason;
use kernel::devices::power;
use kernel::entry::ring3::{Way, enter};
use kernel::image::{Boot, Image};
use kernel::mm::layout::MAX_CPUS;
use kernel::say;
use kernel::sync::lock::Lock;

kernel::image!(Image { prepare, start, entry, ..Image::DEFAULT });

/// Number of system calls that each CPU serves.
const CALLS: u64 = 5000;

/// A CPU's two threads, and the number of system calls that they have made.
struct Pair {
    threads: [user::Setup; 2],
    calls: u64,
}

static PAIRS: [Lock<Option<Pair>>; MAX_CPUS] = [const { Lock::new(None) }; MAX_CPUS];
static DONE: AtomicUsize = AtomicUsize::new(0);

/// RDI holds the thread's own number, which must stay in XMM7 and in the data page. RAX counts the calls.
#[unsafe(naked)]
unsafe extern "C" fn code() {
    core::arch::naked_asm!(
        "movq xmm7, rdi",
        "mov [{data}], rdi",
        "2: inc rax",
        "syscall",
        "movq rbx, xmm7",
        "cmp rbx, rdi",
        "jne 3f",
        "cmp [{data}], rdi",
        "jne 3f",
        "jmp 2b",
        "3: ud2",
        data = const user::DATA,
    )
}

fn prepare(boot: &mut Boot) {
    for (cpu, pair) in PAIRS.iter().enumerate() {
        let threads = [0, 1].map(|which| {
            let number = cpu as u64 * 2 + which;
            let mut setup = user::set_up(boot, number);
            setup.load(code);
            // SAFETY: the thread does not run yet.
            unsafe { (*setup.thread.context).set(Slot::Edi, number + 1) };
            setup
        });
        *pair.lock() = Some(Pair { threads, calls: 0 });
    }
}

fn start(cpu: &mut Cpu) -> ! {
    let thread = with_pair(cpu, |pair| pair.threads[0].thread);
    // SAFETY: the thread is this CPU's, and `user_spaces` made its map.
    unsafe { enter(cpu, thread, Way::Iret) }
}

fn entry(cpu: &mut Cpu, why: Entry) -> ! {
    assert_eq!(why, Entry::SystemCall, "on CPU {}", cpu.number());
    let count = cpu.context().map(|context| context.get(Slot::Eax));
    let (calls, next): (u64, Thread) = with_pair(cpu, |pair| {
        pair.calls += 1;
        (pair.calls, pair.threads[(pair.calls % 2) as usize].thread)
    });
    assert_eq!(count, Some(calls.div_ceil(2)), "on CPU {}", cpu.number());
    if calls == CALLS {
        if DONE.fetch_add(1, Ordering::SeqCst) + 1 == arrived() {
            say!("{} CPUs switched {CALLS} times each between two threads", arrived());
            power::leave(Reason::Done)
        }
        registers::halt()
    }
    // A new thread may be entered through either exit path; so may one that has made a system call.
    let way = if calls % 3 == 0 { Way::Iret } else { Way::Sysret };
    // SAFETY: as in `start`.
    unsafe { enter(cpu, next, way) }
}

fn with_pair<R>(cpu: &Cpu, f: impl FnOnce(&mut Pair) -> R) -> R {
    f(PAIRS[cpu.number()].lock().as_mut().expect("`prepare` has run"))
}
