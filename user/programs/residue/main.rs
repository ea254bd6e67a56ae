//! Looks for remains of the previous process with the same number: in its registers, including segments, its heap, and
//! its stack.
//!
//! The parent starts children in pairs. The first of a pair fills all its registers and memory and ends, in one of
//! several ways. The second gets the same number, and must find no trace of the first.
#![no_std]
#![no_main]

use abi::{Call, Cause, Error, PAGE_SIZE, Reason};
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU64, Ordering};
use user::{args, image, memory, println, start, sys};

const SELF: u32 = image::number("residue").unwrap();
/// Pages of a child.
const QUOTA: u32 = 64;
/// Pages of the heap that a child fills.
const PAGES: u32 = 16;
const ROUNDS: u32 = 30;
/// The value that the first of a pair leaves in each register and each byte.
const MARK: u8 = 0x5A;

/// General registers that are checked, in this order. RSP is the stack pointer, `sysretq` uses RCX and R11, and the
/// start-up code sets RBP.
const GENERAL: [&str; 12] = ["rax", "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r12", "r13", "r14", "r15"];
/// Halves of the sixteen XMM registers.
const XMM: usize = 32;

/// The segment registers that a program can load, and SS. At the start all of them equal SS.
const SEGMENTS: [&str; 5] = ["ds", "es", "fs", "gs", "ss"];

/// The registers at the start: the general ones, the XMM registers, MXCSR, the segment registers.
static AT_START: [AtomicU64; GENERAL.len() + XMM + 1 + SEGMENTS.len()] = [const { AtomicU64::new(0) }; _];
/// Byte offsets of the XMM registers, of MXCSR and of the segment registers in this block.
const XMM_AT: usize = 8 * GENERAL.len();
const MXCSR_AT: usize = XMM_AT + 8 * XMM;
const SEGMENTS_AT: usize = MXCSR_AT + 8;
/// MXCSR after reset, and the value that the first of a pair sets, with the bit "denormals are
/// zeros".
const MXCSR: u32 = 0x1F80;
const OTHER_MXCSR: u32 = 0x1FC0;

// Replaces the start function that `program!` defines: the registers are stored before any Rust
// code runs.
global_asm!(
    ".pushsection .text.program_main, \"ax\"",
    ".globl program_main",
    "program_main:",
    "mov [rip + {at} + 0], rax",
    "mov [rip + {at} + 8], rbx",
    "mov [rip + {at} + 16], rdx",
    "mov [rip + {at} + 24], rsi",
    "mov [rip + {at} + 32], rdi",
    "mov [rip + {at} + 40], r8",
    "mov [rip + {at} + 48], r9",
    "mov [rip + {at} + 56], r10",
    "mov [rip + {at} + 64], r12",
    "mov [rip + {at} + 72], r13",
    "mov [rip + {at} + 80], r14",
    "mov [rip + {at} + 88], r15",
    "movups [rip + {at} + {xmm} + 0], xmm0",
    "movups [rip + {at} + {xmm} + 16], xmm1",
    "movups [rip + {at} + {xmm} + 32], xmm2",
    "movups [rip + {at} + {xmm} + 48], xmm3",
    "movups [rip + {at} + {xmm} + 64], xmm4",
    "movups [rip + {at} + {xmm} + 80], xmm5",
    "movups [rip + {at} + {xmm} + 96], xmm6",
    "movups [rip + {at} + {xmm} + 112], xmm7",
    "movups [rip + {at} + {xmm} + 128], xmm8",
    "movups [rip + {at} + {xmm} + 144], xmm9",
    "movups [rip + {at} + {xmm} + 160], xmm10",
    "movups [rip + {at} + {xmm} + 176], xmm11",
    "movups [rip + {at} + {xmm} + 192], xmm12",
    "movups [rip + {at} + {xmm} + 208], xmm13",
    "movups [rip + {at} + {xmm} + 224], xmm14",
    "movups [rip + {at} + {xmm} + 240], xmm15",
    "stmxcsr [rip + {at} + {mxcsr}]",
    "mov eax, ds",
    "mov [rip + {at} + {segments} + 0], rax",
    "mov eax, es",
    "mov [rip + {at} + {segments} + 8], rax",
    "mov eax, fs",
    "mov [rip + {at} + {segments} + 16], rax",
    "mov eax, gs",
    "mov [rip + {at} + {segments} + 24], rax",
    "mov eax, ss",
    "mov [rip + {at} + {segments} + 32], rax",
    "jmp {begin}",
    ".popsection",
    at = sym AT_START,
    xmm = const XMM_AT,
    mxcsr = const MXCSR_AT,
    segments = const SEGMENTS_AT,
    begin = sym begin,
);

/// From here on it starts like any other program.
extern "C" fn begin() -> ! {
    start::run(main)
}

fn main() -> Result<u32, Error> {
    match args().next() {
        None => parent(),
        Some("looks") => look(),
        Some(how) => fill(how),
    }
}

/// The ways in which the first of a pair ends.
const ENDS: [&str; 3] = ["exits", "faults", "spins"];

fn parent() -> Result<u32, Error> {
    for round in 0..ROUNDS {
        let how = ENDS[round as usize % ENDS.len()];
        let first = args::spawn(SELF, QUOTA, &[how])?;
        if how == "spins" {
            (0..4).try_for_each(|_| sys::yield_now())?;
            sys::kill(first)?;
        }
        let ended = sys::wait(first)?;
        let is_right = match how {
            "exits" => (ended.cause, ended.status) == (Cause::Exited, MARK.into()),
            "faults" => ended.cause == Cause::Stopped(Reason::InvalidOpcode),
            _ => ended.cause == Cause::Killed,
        };
        let second = args::spawn(SELF, QUOTA, &["looks"])?;
        let found = sys::wait(second)?;
        if !is_right || second != first || (found.cause, found.status) != (Cause::Exited, 0) {
            println!("residue: FAILED: in round {round} {first} ended with {ended:?}, {second} with {found:?}");
            return Ok(1);
        }
    }
    println!("residue: {ROUNDS} rounds, nothing was left over");
    Ok(0)
}

/// Leaves marks in all memory and registers that it can write, and ends.
fn fill(how: &str) -> Result<u32, Error> {
    let Some(pages) = memory::take(PAGES) else { return Ok(2) };
    pages.fill(MARK);
    fill_stack();
    // The way to end is chosen once the registers hold marks.
    let end = ENDS.iter().position(|&end| end == how).unwrap_or(0);
    let block = [u64::from_ne_bytes([MARK; 8]); 2];
    // SAFETY: the code does not return, so it may change all registers. It reads the block and MXCSR's value, and
    // writes only to the stack. The value of MXCSR has no reserved bit.
    unsafe {
        asm!(
            "ldmxcsr [{mxcsr}]",
            "movups xmm0, [{block}]",
            "movups xmm1, xmm0", "movups xmm2, xmm0", "movups xmm3, xmm0", "movups xmm4, xmm0", "movups xmm5, xmm0",
            "movups xmm6, xmm0", "movups xmm7, xmm0", "movups xmm8, xmm0", "movups xmm9, xmm0", "movups xmm10, xmm0",
            "movups xmm11, xmm0", "movups xmm12, xmm0", "movups xmm13, xmm0", "movups xmm14, xmm0", "movups xmm15, xmm0",
            // The operands' registers are overwritten, so the word on the stack decides.
            "push {end}",
            "push 0",
            "mov ds, [rsp]", "mov es, [rsp]", "mov fs, [rsp]", "mov gs, [rsp]",
            "add rsp, 8",
            "mov rcx, [{block}]",
            "mov rbx, rcx", "mov rdx, rcx", "mov rsi, rcx", "mov rdi, rcx", "mov rbp, rcx", "mov r8, rcx", "mov r9, rcx",
            "mov r10, rcx", "mov r11, rcx", "mov r12, rcx", "mov r13, rcx", "mov r14, rcx", "mov r15, rcx", "mov rax, rcx",
            "cmp qword ptr [rsp], 1",
            "ja 3f",
            "je 2f",
            "mov eax, {exit}",
            "mov ebx, {mark}",
            "syscall",
            "2: ud2",
            "3: jmp 3b",
            mxcsr = in(reg) &OTHER_MXCSR,
            block = in(reg) &block,
            end = in(reg) end,
            exit = const Call::Exit as u32,
            mark = const MARK,
            options(noreturn),
        )
    }
}

/// Marks two pages of the stack below the part in use.
#[inline(never)]
fn fill_stack() {
    let mut marks = [MARK; 2 * PAGE_SIZE as usize];
    core::hint::black_box(&mut marks);
}

/// Looks for remains; the exit status is 0 if there are none.
fn look() -> Result<u32, Error> {
    let at_start = |at: usize| AT_START[at].load(Ordering::Relaxed);
    for (at, name) in GENERAL.iter().enumerate() {
        if at_start(at) != 0 {
            println!("residue: FAILED: {name} is {:#x} at the start", at_start(at));
            return Ok(1);
        }
    }
    if let Some(at) = (GENERAL.len()..GENERAL.len() + XMM).find(|&at| at_start(at) != 0) {
        println!("residue: FAILED: xmm{} is not zero at the start", (at - GENERAL.len()) / 2);
        return Ok(2);
    }
    if at_start(GENERAL.len() + XMM) != MXCSR.into() {
        println!("residue: FAILED: MXCSR is {:#x} at the start", at_start(GENERAL.len() + XMM));
        return Ok(3);
    }
    let segment = |at: usize| at_start(SEGMENTS_AT / 8 + at);
    if let Some(at) = (0..SEGMENTS.len()).find(|&at| segment(at) != segment(SEGMENTS.len() - 1)) {
        println!("residue: FAILED: {} is {:#x} at the start", SEGMENTS[at], segment(at));
        return Ok(7);
    }
    let Some(pages) = memory::take(PAGES) else { return Ok(4) };
    if pages.iter().any(|&byte| byte != 0) {
        println!("residue: FAILED: a page of the heap is not zero");
        return Ok(5);
    }
    if !is_stack_clean() {
        println!("residue: FAILED: a page of the stack has marks");
        return Ok(6);
    }
    Ok(0)
}

/// Whether the stack's page that the other process has marked, below the part in use, has no marks.
#[inline(never)]
fn is_stack_clean() -> bool {
    let here = 0u8;
    let below = (&raw const here).addr() / PAGE_SIZE as usize * PAGE_SIZE as usize - 2 * PAGE_SIZE as usize;
    let page: *const u8 = core::ptr::with_exposed_provenance(below);
    // SAFETY: the page is in the window, where the kernel maps a page of zeros at the first touch, and far below the
    // part in use.
    (0..PAGE_SIZE as usize).all(|at| unsafe { page.add(at).read_volatile() } != MARK)
}
