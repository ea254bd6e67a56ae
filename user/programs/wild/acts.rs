//! Acts that end a program: each is forbidden, and the processor or the kernel must notice it.
//!
//! The manifest lists, in the same order, how each program ends.

use core::arch::asm;
use user::memory::{HEAP_LOW, take};

/// Something that a program must not do.
pub struct Act {
    /// Its description, for the console.
    pub name: &'static str,
    /// The code of the act.
    pub perform: fn(),
}

/// Makes the table of acts from assembly code that should end the program.
macro_rules! acts {
    ($($name:literal: $($line:literal),+;)*) => {
        /// All acts, in groups of eight.
        pub const ACTS: &[Act] = &[$(Act {
            name: $name,
            perform: || {
                mark_memory();
                // SAFETY: none is needed: the kernel must stop the program here, and that is tested. If the program
                // runs on nevertheless, it prints that, and ends.
                unsafe { asm!($($line,)+ clobber_abi("C")) }
            },
        }),*];
    };
}

/// Overwrites the page at the address where the parent has one, with a value that the parent's page does not contain.
fn mark_memory() {
    if let Some(page) = take(1) {
        page.fill(0xEE);
    }
}

/// The window's bounds, its text and other addresses, for the assembly below.
const _: () = assert!(abi::ADR_LOW == 0x4000_0000 && abi::ADR_HIGH == 0xF000_0000);
const _: () = assert!(HEAP_LOW == 0x8000_0000 && abi::arguments::ARGUMENTS == 0x401F_F000);

acts! {
    // Addresses outside the program's memory.
    "reads address 0": "xor eax, eax", "mov eax, [rax]";
    "writes address 0": "xor eax, eax", "mov [rax], eax";
    "reads the byte below the window": "mov eax, 0x3FFFFFFF", "mov al, [rax]";
    "reads the byte above the window": "mov eax, 0xF0000000", "mov al, [rax]";
    "reads across the end of the window": "mov eax, 0xEFFFFFFC", "mov rax, [rax]";
    "writes the last page below 4 GiB": "mov eax, 0xFFFFF000", "mov [rax], eax";
    "reads the kernel": "mov rax, 0xFFFF800000000000", "mov rax, [rax]";
    "writes the kernel": "mov rax, 0xFFFFFFFF80000000", "mov [rax], rax";

    // The program's own memory, used wrongly.
    "writes its text": "mov eax, 0x40000000", "mov byte ptr [rax], 0xC3";
    "writes its constants": "lea rax, [rip + image_rodata_start]", "mov byte ptr [rax], 0";
    "writes its text as a string": "mov edi, 0x40000000", "mov ecx, 64", "cld", "rep stosb";
    "pushes on its text": "mov esp, 0x40000100", "push rax";
    "jumps to address 0": "xor eax, eax", "jmp rax";
    "calls what lies above the window": "mov eax, 0xF0000000", "call rax";
    "returns to the kernel": "mov rax, 0xFFFFFFFF80000000", "push rax", "ret";
    "pushes at address 0": "xor esp, esp", "push rax";

    // Privileged instructions.
    "halts": "hlt";
    "disables interrupts": "cli";
    "enables interrupts": "sti";
    "reads a port": "mov edx, 0x3F8", "in al, dx";
    "writes a port": "mov edx, 0xF4", "xor eax, eax", "out dx, eax";
    "reads a page-table root": "mov rax, cr3";
    "switches protection off": "xor eax, eax", "mov cr0, rax";
    "reads a debug register": "mov rax, dr7";

    "reads a model-specific register": "mov ecx, 0xC0000082", "rdmsr";
    "writes a model-specific register": "mov ecx, 0xC0000080", "xor eax, eax", "xor edx, edx", "wrmsr";
    "loads an interrupt table": "lidt [rsp]";
    "loads a descriptor table": "lgdt [rsp]";
    "loads a task register": "mov eax, 0x28", "ltr ax";
    "flushes a translation": "invlpg [rsp]";
    "swaps GS": "swapgs";
    "returns from a system call": "xor ecx, ecx", "mov r11d, 2", "sysretq";

    // Exceptions.
    "divides by zero": "mov eax, 1", "xor edx, edx", "xor ecx, ecx", "div ecx";
    "divides to a quotient too large": "mov rax, 0x8000000000000000", "cqo", "mov rcx, -1", "idiv rcx";
    "executes an undefined instruction": "ud2";
    "executes a breakpoint": "int3";
    "traces itself": "pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop";
    "asks for the old system call": "xor eax, eax", "int 0x80";
    "raises a page fault by hand": "int 14";
    "reads a non-canonical address": "mov rax, 0x0000800000000000", "mov rax, [rax]";

    // Limits.
    "misaligns a vector": "movaps xmm0, [rsp + 1]";
    "locks what cannot be locked": ".byte 0xF0, 0x90";
    "raises its own privilege": "pushfq", "or qword ptr [rsp], 0x3000", "popfq", "cli";
    "overflows its stack": "2:", "push rax", "jmp 2b";
    "fills memory": "mov edi, 0x90000000", "mov rcx, -1", "cld", "rep stosb";

    // Data that is executed as code, and code of another mode.
    "executes its heap": "mov eax, 0x90000000", "mov byte ptr [rax], 0xC3", "call rax";
    "executes its stack": "push 0xC3", "call rsp";
    "enters compatibility mode": "sub rsp, 16", "mov dword ptr [rsp], 0x40000000", "mov word ptr [rsp + 4], 0x1B",
        ".byte 0xFF, 0x2C, 0x24";

    // The page that the parent has given to the program.
    "writes its arguments": "mov eax, 0x401FF000", "mov byte ptr [rax], 0";
}
