//! A program touches a page, so the processor caches its translation. The layer unmaps the page and gives its frame to
//! another owner, while the program's page map stays loaded. Then the program touches the same address: it must fault,
//! or reach the page that is mapped there now. The same is tested for code, for a page table, and for the next process
//! with the same number, whose page map has the same root.
//!
//! An emulator that caches no page tables passes the page-table tests, whatever the kernel does.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::slice;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use kernel::cpu::block::{Cpu as Hardware, Thread};
use kernel::cpu::context::Slot;
use kernel::cpu::registers;
use kernel::cpu::trap::Entry;
use kernel::devices::exit::Reason;
use kernel::devices::power;
use kernel::entry::ring3::{Way, enter};
use kernel::image::{Boot, Image};
use kernel::machine::{Metal, processor, set_platform, shared};
use kernel::mm::layout::PAGE_SIZE;
use kernel::say;
use kernel::sync::lock::Lock;
use layer::core::constants::{ADR_LOW, STACK_TOP, perm};
use layer::core::fields::{Context, START_USER};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::boot::sched_init;
use layer::objects::page_alloc::palloc;
use layer::objects::page_table::{pt_free_pde, pt_next_pde, pt_read, pt_resv, pt_rmv};
use layer::objects::process::{proc_create, proc_recreate, thread_exit};
use layer::objects::thread::thread_yield;

kernel::image!(Image { prepare, start, entry, ..Image::DEFAULT });

type Layer = Cpu<'static, Metal>;

/// Addresses: the program, its stack, two pages of data, a page of code, and a page with a page table of its own.
///
/// An emulator caches translations by the low bits of the page number. In these bits the addresses differ from the
/// frames in use, which the kernel reaches by the direct map. Otherwise the kernel's accesses would evict the
/// translations under test.
const PROGRAM: u32 = ADR_LOW;
const STACK: u32 = STACK_TOP - PAGE_SIZE as u32;
const DATA: u32 = ADR_LOW + 0x18_0000;
const OTHER: u32 = ADR_LOW + 0x18_1000;
const CODE: u32 = ADR_LOW + 0x18_2000;
const ALONE: u32 = ADR_LOW + 0x4018_3000;

/// Thread numbers of the process, which is the first child of CPU 0's main thread, and of that main
/// thread.
const CHILD: u32 = 9;
const MAIN: u32 = 1;
/// Pages of the process.
const QUOTA: u32 = 64;

/// The program's one action before it makes a system call.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Load a word into RAX, then store another one in its place.
    Use { address: u32, store: u64 },
    /// Call a function, which may change RAX.
    Call { address: u32 },
}

/// The next entry into the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// The system call, with this value in RAX.
    Got(u64),
    /// A page fault at the address, with this error code.
    Fault(u64),
}
use Outcome::{Fault, Got};

/// One try.
struct Try {
    name: &'static str,
    /// What the layer does before the entry.
    change: fn(&mut Layer) -> Result<(), Stuck>,
    act: Act,
    outcome: Outcome,
}

/// The contents of the page whose frame has a new owner.
const SECRET: u64 = 0x5EC2E7;

const TRIES: &[Try] = &[
    Try {
        name: "a page",
        change: |layer| map(layer, DATA, perm::PTU, &word(1)).map(drop),
        act: Act::Use { address: DATA, store: 2 },
        outcome: Got(1),
    },
    Try {
        name: "a page that was unmapped, and whose frame is another page's now",
        change: |layer| {
            let frame = pt_rmv(layer, CHILD, DATA)?;
            map(layer, OTHER, perm::PTU, &word(SECRET))?;
            assert_eq!(frame_of(layer, OTHER)?, frame, "the lowest free frame is given out first");
            Ok(())
        },
        act: Act::Use { address: DATA, store: 3 },
        outcome: Fault(ABSENT),
    },
    Try {
        name: "that other page",
        change: |_| Ok(()),
        act: Act::Use { address: OTHER, store: SECRET },
        outcome: Got(SECRET),
    },
    Try {
        name: "a new page where one was unmapped",
        change: |layer| map(layer, DATA, perm::PTU, &word(4)).map(drop),
        act: Act::Use { address: DATA, store: 5 },
        outcome: Got(4),
    },
    Try {
        name: "another page at the same address, at once",
        change: |layer| {
            unmap_and_keep(layer, DATA)?;
            map(layer, DATA, perm::PTU, &word(6)).map(drop)
        },
        act: Act::Use { address: DATA, store: 7 },
        outcome: Got(6),
    },
    Try {
        name: "the same frame at the same address, but read-only",
        change: |layer| {
            let frame = pt_rmv(layer, CHILD, DATA)?;
            map(layer, DATA, perm::PTUR, &word(8))?;
            assert_eq!(frame_of(layer, DATA)?, frame, "the lowest free frame is given out first");
            Ok(())
        },
        act: Act::Use { address: DATA, store: 9 },
        outcome: Fault(FORBIDDEN_STORE),
    },
    Try {
        name: "code",
        change: |layer| map(layer, CODE, perm::PTUR, &returns(1)).map(drop),
        act: Act::Call { address: CODE },
        outcome: Got(1),
    },
    Try {
        name: "other code at the same address",
        change: |layer| {
            unmap_and_keep(layer, CODE)?;
            map(layer, CODE, perm::PTUR, &returns(2)).map(drop)
        },
        act: Act::Call { address: CODE },
        outcome: Got(2),
    },
    Try {
        name: "code that was unmapped",
        change: |layer| unmap_and_keep(layer, CODE),
        act: Act::Call { address: CODE },
        outcome: Fault(ABSENT_CODE),
    },
    Try {
        name: "a page with a page table to itself",
        change: |layer| {
            let table = map(layer, ALONE, perm::PTU, &word(10))?;
            assert_ne!(table, 0, "it has none yet");
            TABLE.store(table, Ordering::Relaxed);
            Ok(())
        },
        act: Act::Use { address: ALONE, store: 11 },
        outcome: Got(10),
    },
    Try {
        name: "a page whose page table was freed, and is data now that would map it",
        change: |layer| {
            pt_rmv(layer, CHILD, ALONE)?;
            assert_eq!(pt_free_pde(layer, CHILD, ALONE)?, 0, "the page table maps nothing");
            let table = TABLE.load(Ordering::Relaxed);
            while palloc(layer, MAIN)? != table {}
            let entry = u64::from(frame_of(layer, OTHER)?) * PAGE_SIZE | u64::from(perm::PTU);
            (0..512).for_each(|index| layer.own.hp.0.write(table, 8 * index, &word(entry)));
            Ok(())
        },
        act: Act::Use { address: ALONE, store: 12 },
        outcome: Fault(ABSENT),
    },
    Try {
        name: "two pages, of which the next process has one",
        change: |_| Ok(()),
        act: Act::Use { address: OTHER, store: 13 },
        outcome: Got(SECRET),
    },
    Try {
        name: "a page of the next process with the same number",
        change: |layer| {
            replace_process(layer)?;
            map(layer, OTHER, perm::PTU, &word(14)).map(drop)
        },
        act: Act::Use { address: OTHER, store: 15 },
        outcome: Got(14),
    },
    Try {
        name: "a page that only the process before it had",
        change: |_| Ok(()),
        act: Act::Use { address: DATA, store: 16 },
        outcome: Fault(ABSENT),
    },
];

/// Error codes of page faults in ring 3: a load from an absent page, a fetch from an absent page, and a store to a
/// read-only page.
const ABSENT: u64 = 0b00100;
const ABSENT_CODE: u64 = 0b10100;
const FORBIDDEN_STORE: u64 = 0b00111;

/// The frame of the page table of [`ALONE`].
static TABLE: AtomicU32 = AtomicU32::new(0);
/// Index of the current test.
static TRY: AtomicUsize = AtomicUsize::new(0);
static LAYER: Lock<Option<Layer>> = Lock::new(None);

/// If RDX is not 0, calls the function at RDI; otherwise loads the word at RDI and stores RSI there.
#[unsafe(naked)]
unsafe extern "C" fn program() {
    core::arch::naked_asm!(
        "2: test rdx, rdx",
        "jnz 3f",
        "mov rax, [rdi]",
        "mov [rdi], rsi",
        "syscall",
        "jmp 2b",
        "3: call rdi",
        "syscall",
        "jmp 2b",
    )
}

/// An upper bound on the bytes of the program.
const PROGRAM_BYTES: usize = 64;

/// The bytes of a word.
fn word(value: u64) -> [u8; 8] {
    value.to_le_bytes()
}

/// `mov eax, value; ret`.
fn returns(value: u8) -> [u8; 6] {
    [0xB8, value, 0, 0, 0, 0xC3]
}

/// Maps a fresh page that begins with these bytes. Returns the frame of the page table if one had to be made, else 0.
fn map(layer: &mut Layer, address: u32, permission: u32, bytes: &[u8]) -> Result<u32, Stuck> {
    let table = pt_resv(layer, CHILD, address, permission)?;
    let frame = frame_of(layer, address)?;
    assert_ne!(frame, 0, "the quota suffices");
    layer.own.hp.0.write(frame, 0, bytes);
    Ok(table)
}

/// The frame that is mapped at an address.
fn frame_of(layer: &Layer, address: u32) -> Result<u32, Stuck> {
    Ok(pt_read(layer, CHILD, address)? / PAGE_SIZE as u32)
}

/// Unmaps a page and gives its frame to the main thread, so that the process does not get it again.
fn unmap_and_keep(layer: &mut Layer, address: u32) -> Result<(), Stuck> {
    let frame = pt_rmv(layer, CHILD, address)?;
    assert_eq!(palloc(layer, MAIN)?, frame, "the lowest free frame is given out first");
    Ok(())
}

/// Maps the pages that the process needs to run.
fn load_program(layer: &mut Layer) -> Result<(), Stuck> {
    // SAFETY: the kernel's code is readable beyond the end of the program.
    let bytes = unsafe { slice::from_raw_parts(program as *const u8, PROGRAM_BYTES) };
    map(layer, PROGRAM, perm::PTUR, bytes)?;
    map(layer, STACK, perm::PTU, &[])?;
    Ok(())
}

/// Ends the process and gives its number to another one. Its pages go to the main thread.
fn replace_process(layer: &mut Layer) -> Result<(), Stuck> {
    loop {
        let region = pt_next_pde(layer, CHILD, ADR_LOW)?;
        if region == 0 {
            break;
        }
        let page = pt_free_pde(layer, CHILD, region)?;
        if page != 0 {
            pt_rmv(layer, CHILD, page)?;
        }
    }
    let context = context(layer);
    let _ = thread_exit(layer, 0, 0, context)?;
    assert_eq!(layer.own.cur, MAIN, "nobody else is there");
    (0..QUOTA).try_for_each(|_| palloc(layer, MAIN).map(drop))?;
    proc_recreate(layer, CHILD, PROGRAM.into(), QUOTA)?;
    begin(layer)
}

/// Loads the program of the process, which is ready, and runs it.
fn begin(layer: &mut Layer) -> Result<(), Stuck> {
    load_program(layer)?;
    let main = context(layer);
    let _ = thread_yield(layer, main)?;
    assert_eq!(layer.own.cur, CHILD, "nobody else is ready");
    Ok(())
}

/// The context with which a thread continues, which does not matter here.
fn context(layer: &Layer) -> Context<Metal> {
    Context { esp: (layer.own.cur + 1) * PAGE_SIZE as u32 - 4, ra: START_USER }
}

fn prepare(boot: &mut Boot) {
    let platform = set_platform(boot).expect("memory");
    *LAYER.lock() = Some(processor(platform, shared(platform), 0));
}

fn start(cpu: &mut Hardware) -> ! {
    if cpu.number() != 0 {
        registers::halt()
    }
    let begun = with_layer(|layer| {
        sched_init(layer, 0)?;
        assert_eq!(proc_create(layer, 0, PROGRAM.into(), QUOTA)?, CHILD);
        begin(layer)
    });
    begun.expect("the layer has what it takes");
    next_try(cpu)
}

fn with_layer<R>(work: impl FnOnce(&mut Layer) -> R) -> R {
    work(LAYER.lock().as_mut().expect("`prepare` has made it"))
}

/// Runs the current test.
fn next_try(cpu: &mut Hardware) -> ! {
    let number = TRY.load(Ordering::Relaxed);
    let Some(next) = TRIES.get(number) else {
        say!("stale translations: {number} tries, none was used");
        power::leave(Reason::Done)
    };
    let thread = with_layer(|layer| {
        (next.change)(layer).expect("the layer has what it takes");
        Thread { context: layer.own.uctxt.0.row(CHILD), root: layer.own.dirs.0.root(CHILD) }
    });
    if number > 0 {
        assert_eq!(cpu.root(), thread.root, "the root stays loaded");
    }
    let (calls, address, store) = match next.act {
        Act::Use { address, store } => (0, address, store),
        Act::Call { address } => (1, address, 0),
    };
    // SAFETY: the row is this CPU's, which runs no program now.
    let context = unsafe { &mut *thread.context };
    for (slot, value) in [
        (Slot::Eip, PROGRAM.into()),
        (Slot::Esp, STACK_TOP.into()),
        (Slot::Edi, address.into()),
        (Slot::Esi, store),
        (Slot::Edx, calls),
    ] {
        context.set(slot, value);
    }
    // SAFETY: as above; the layer's boot has made the map, and the layer maps only users' frames for ring 3.
    unsafe { enter(cpu, thread, Way::Iret) }
}

fn entry(cpu: &mut Hardware, why: Entry) -> ! {
    let number = TRY.fetch_add(1, Ordering::Relaxed);
    let Try { name, act, outcome, .. } = &TRIES[number];
    let (Act::Use { address, .. } | Act::Call { address }) = *act;
    let rax = cpu.context().map(|context| context.get(Slot::Eax));
    let found = match (why, rax) {
        (Entry::SystemCall, Some(value)) => Some(Got(value)),
        (Entry::PageFault { address: at, error }, _) if at == address.into() => Some(Fault(error)),
        _ => None,
    };
    if found != Some(*outcome) {
        say!("stale translations: {name}: expected {outcome:x?}, got {found:x?} by {why:x?}");
        power::leave(Reason::Failed)
    }
    kernel::cpu::block::run_afresh(cpu, next_try)
}
