//! More programs of the image `try-ring3`: segments, far transfers, flags, and instructions that must not work in ring 3.

use super::snippets::{Case, INT, PROTECTION, SYSCALL, exception, one};
use core::arch::naked_asm;
use kernel::cpu::context::{Slot, UserContext};
use kernel::cpu::descriptors::USER_CODE;
use kernel::cpu::vectors::{GENERAL_PROTECTION, INVALID_OPCODE};

/// Functions with a selector as parameter, named after what they do with it.
macro_rules! with_selector {
    ($($(#[$doc:meta])* $name:ident: $($line:literal),+;)*) => {
        $(
            $(#[$doc])*
            #[unsafe(naked)]
            unsafe extern "C" fn $name<const SELECTOR: u16>() {
                naked_asm!($($line,)+ "ud2", selector = const SELECTOR)
            }
        )*
    };
}

with_selector! {
    /// `jmp fword ptr [rsp]`.
    far_jump: "sub rsp, 16", "lea rax, [rip + 2f]", "mov [rsp], eax", "mov word ptr [rsp + 4], {selector}",
        ".byte 0xff, 0x2c, 0x24", "2:";
    /// `call fword ptr [rsp]`.
    far_call: "sub rsp, 16", "lea rax, [rip + 2f]", "mov [rsp], eax", "mov word ptr [rsp + 4], {selector}",
        ".byte 0xff, 0x1c, 0x24", "2:";
    /// `retfq`.
    far_return: "lea rax, [rip + 2f]", "push {selector}", "push rax", ".byte 0x48, 0xcb", "2:";
    /// `iretq` to this code segment.
    interrupt_return: "mov rcx, rsp", "lea rax, [rip + 2f]", "push 0x23", "push rcx", "push 2", "push {selector}",
        "push rax", "iretq", "2:";
    /// `iretq` to this stack segment.
    interrupt_return_stack: "mov rcx, rsp", "lea rax, [rip + 2f]", "push {selector}", "push rcx", "push 2", "push 0x2b",
        "push rax", "iretq", "2:";
    data_segment: "mov eax, {selector}", "mov ds, eax";
    stack_segment: "mov eax, {selector}", "mov ss, eax";
    popped_segment: "push {selector}", "pop fs";
    far_pointer: "sub rsp, 16", "mov qword ptr [rsp], 0", "mov word ptr [rsp + 4], {selector}", "lgs eax, [rsp]";
    stack_pointer: "sub rsp, 16", "mov rax, rsp", "mov [rsp], eax", "mov word ptr [rsp + 4], {selector}", "lss esp, [rax]";
    /// Whether `lar`, `lsl`, `verr` and `verw` accept the selector: ZF after each instruction is a
    /// bit of RBX.
    ask: "mov eax, {selector}", "lar ecx, eax", "setz bl", "lsl ecx, eax", "setz bh", "verr ax", "setz dl", "verw ax",
        "setz dh", "and ebx, 0x101", "and edx, 0x101", "shl edx, 16", "or ebx, edx", ".byte 0xcd, 3";
}

/// Cases of general protection whose error code is a selector.
macro_rules! refused {
    ($($what:ident $selector:literal => $error:literal,)*) => {
        &[$(one(
            concat!(stringify!($what), " ", stringify!($selector)),
            $what::<$selector>,
            &[exception(GENERAL_PROTECTION, $error)],
        ),)*]
    };
}

/// Selectors that no program may use, and the error code of each.
pub const REFUSED: &[Case] = refused! {
    far_jump 0x1b => 0x18,
    far_jump 0x18 => 0x18,
    far_jump 0 => 0,
    far_jump 3 => 0,
    far_jump 0x08 => 0x08,
    far_jump 0x0b => 0x08,
    far_jump 0x23 => 0x20,
    far_jump 0x33 => 0x30,
    far_jump 0x3b => 0x38,
    far_jump 0x43 => 0x40,
    far_jump 0x07 => 0x04,
    far_jump 0xfff8 => 0xfff8,
    far_call 0x1b => 0x18,
    far_call 0x0b => 0x08,
    far_call 0x33 => 0x30,
    far_call 0x0f => 0x0c,
    data_segment 0x1b => 0x18,
    data_segment 0x08 => 0x08,
    data_segment 0x33 => 0x30,
    data_segment 0x40 => 0x40,
    data_segment 0x04 => 0x04,
    data_segment 0x07 => 0x04,
    stack_segment 0 => 0,
    stack_segment 3 => 0,
    stack_segment 0x10 => 0x10,
    stack_segment 0x1b => 0x18,
    stack_segment 0x20 => 0x20,
    stack_segment 0x2b => 0x28,
    popped_segment 0x1b => 0x18,
    popped_segment 0x13 => 0x10,
    far_pointer 0x1b => 0x18,
    far_pointer 0x0f => 0x0c,
    stack_pointer 0x1b => 0x18,
    stack_pointer 0x2b => 0x28,
};

/// The same for far and interrupt returns.
pub const REFUSED_RETURNS: &[Case] = refused! {
    far_return 0x1b => 0x18,
    far_return 0x28 => 0x28,
    far_return 0x08 => 0x08,
    far_return 0x0b => 0x08,
    far_return 0 => 0,
    interrupt_return 0x1b => 0x18,
    interrupt_return 0x28 => 0x28,
    interrupt_return 0x08 => 0x08,
    interrupt_return 0x07 => 0x04,
    interrupt_return_stack 0 => 0,
    interrupt_return_stack 0x10 => 0x10,
    interrupt_return_stack 0x1b => 0x18,
    interrupt_return_stack 0x2b => 0x28,
};

/// The flags that a program can change, except TF.
const FLAGS: u64 = 0x24_4CD5;

macro_rules! snippets {
    ($($name:ident: $($line:literal),+;)*) => {
        $(
            #[unsafe(naked)]
            unsafe extern "C" fn $name() {
                naked_asm!($($line,)+ "ud2", flags = const FLAGS)
            }
        )*
    };
}

snippets! {
    loads: "# {flags}", "mov eax, 0x2b", "mov ds, eax", "xor eax, eax", "mov es, eax", "mov eax, 0x20", "push rax", "pop fs",
        "mov eax, 3", "mov gs, eax", "mov eax, 0x23", "mov ss, eax", "mov ebx, ds", "mov ecx, es", "mov edx, fs",
        "mov esi, gs", "mov edi, ss", ".byte 0xcd, 3";
    kept_by_call: "push {flags}", "popfq", "syscall", "pushfq", "pop rax", ".byte 0xcd, 3";
    kept_by_gate: "push {flags}", "popfq", ".byte 0xcd, 3", "pushfq", "pop rax", ".byte 0xcd, 3";
    nested_task: "# {flags}", "lea rax, [rip + 2f]", "mov rcx, rsp", "push 0x23", "push rcx", "push 2", "push 0x2b", "push rax",
        "push 0x4002", "popfq", "iretq", "2:";
    quiet_stack_segment: "# {flags}", "mov eax, ss", "mov ss, eax", "syscall", "mov ss, eax", ".byte 0xcd, 3";
    trap_at_far_jump: "# {flags}", "sub rsp, 16", "lea rax, [rip + 2f]", "mov [rsp], eax", "mov word ptr [rsp + 4], 0x1b",
        "push 0x102", "popfq", ".byte 0xff, 0x6c, 0x24, 0", "2:";
}

macro_rules! instructions {
    ($($name:literal: $error:expr, $($byte:literal)+;)*) => {
        &[$({
            #[unsafe(naked)]
            unsafe extern "C" fn code() {
                naked_asm!($(concat!(".byte ", stringify!($byte)),)+ "ud2")
            }
            one($name, code, &[$error])
        },)*]
    };
}

const UNDEFINED: kernel::cpu::trap::Entry = exception(INVALID_OPCODE, 0);

/// Instructions of the kernel, of other modes, and of features that are switched off.
pub const INSTRUCTIONS: &[Case] = instructions! {
    // Intel's processors have it in 64-bit mode, where the null selector makes it a general-protection exception.
    "sysenter": UNDEFINED, 0x0f 0x34;
    "sysexit": UNDEFINED, 0x0f 0x35;
    "sysretl": PROTECTION, 0x0f 0x07;
    "into": UNDEFINED, 0xce;
    "call far direct": UNDEFINED, 0x9a 0 0 0 0x40 0x1b 0;
    "jmp far direct": UNDEFINED, 0xea 0 0 0 0x40 0x1b 0;
    "pop ss": UNDEFINED, 0x17;
    "rdfsbase": UNDEFINED, 0xf3 0x48 0x0f 0xae 0xc0;
    "rdgsbase": UNDEFINED, 0xf3 0x48 0x0f 0xae 0xc8;
    "wrfsbase": UNDEFINED, 0xf3 0x48 0x0f 0xae 0xd0;
    "wrgsbase": UNDEFINED, 0xf3 0x48 0x0f 0xae 0xd8;
    "xgetbv": UNDEFINED, 0x0f 0x01 0xd0;
    "xsave": UNDEFINED, 0x0f 0xae 0x64 0x24 0xc0;
    "vaddps": UNDEFINED, 0xc5 0xfc 0x58 0xc0;
    "rdpkru": UNDEFINED, 0x0f 0x01 0xee;
    "vmcall": UNDEFINED, 0x0f 0x01 0xc1;
    "vmrun": UNDEFINED, 0x0f 0x01 0xd8;
    "clac": UNDEFINED, 0x0f 0x01 0xca;
    "stac": UNDEFINED, 0x0f 0x01 0xcb;
    "rsm": UNDEFINED, 0x0f 0xaa;
    "rdpmc": PROTECTION, 0x0f 0x33;
    "rdtscp": PROTECTION, 0x0f 0x01 0xf9;
    "wrmsr": PROTECTION, 0x0f 0x30;
    "sidt": PROTECTION, 0x0f 0x01 0x4c 0x24 0xf0;
    "sldt": PROTECTION, 0x0f 0x00 0xc0;
    "str": PROTECTION, 0x0f 0x00 0xc8;
    "smsw": PROTECTION, 0x0f 0x01 0xe0;
    "lmsw": PROTECTION, 0x0f 0x01 0xf0;
    "lldt": PROTECTION, 0x0f 0x00 0xd0;
    "ltr": PROTECTION, 0x0f 0x00 0xd8;
    "lidt": PROTECTION, 0x0f 0x01 0x5c 0x24 0xf0;
    "mov from cr0": PROTECTION, 0x0f 0x20 0xc0;
    "mov to cr4": PROTECTION, 0x0f 0x22 0xe0;
    "mov to dr7": PROTECTION, 0x0f 0x23 0xf8;
    "mov from dr6": PROTECTION, 0x0f 0x21 0xf0;
    "clts": PROTECTION, 0x0f 0x06;
    "invlpg": PROTECTION, 0x0f 0x01 0x3c 0x24;
    "invd": PROTECTION, 0x0f 0x08;
    "wbinvd": PROTECTION, 0x0f 0x09;
    "int 255": exception(GENERAL_PROTECTION, 255 << 3 | 2), 0xcd 0xff;
    "int 18": exception(GENERAL_PROTECTION, 18 << 3 | 2), 0xcd 0x12;
    "int 1": exception(GENERAL_PROTECTION, 1 << 3 | 2), 0xcd 1;
};

fn is_in_code_segment(_: usize, context: &UserContext) -> bool {
    context.get(Slot::Cs) == USER_CODE.into()
}

fn loads_check(_: usize, context: &UserContext) -> bool {
    [Slot::Ebx, Slot::Ecx, Slot::Edx, Slot::Esi, Slot::Edi].map(|slot| context.get(slot)) == [0x2b, 0, 0x20, 3, 0x23]
}

fn kept_check(step: usize, context: &UserContext) -> bool {
    const FIXED: u64 = 0x202;
    step == 0 && context.get(Slot::Eflags) & !(1 << 16) == FLAGS | FIXED || context.get(Slot::Eax) == FLAGS | FIXED
}

/// A case whose only check is that it runs in the code segment.
const fn passes(name: &'static str, code: unsafe extern "C" fn()) -> Case {
    Case { check: is_in_code_segment, ..one(name, code, &[UNDEFINED]) }
}

/// A case with the code [`ask`]: `known` has the bytes of `lar`, `lsl`, `verr` and `verw`.
macro_rules! asks {
    ($($selector:literal => $known:literal,)*) => {
        &[$(Case {
            check: |_, context| context.get(Slot::Ebx) == $known,
            ..one(concat!("lar, lsl, verr, verw ", stringify!($selector)), ask::<$selector>, &[INT])
        },)*]
    };
}

/// The answers of the instructions that only query a selector.
pub const ASKED: &[Case] = asks! {
    0 => 0,
    0x08 => 0,
    0x10 => 0,
    0x1b => 0,
    0x23 => 0x0101_0101,
    0x2b => 0x0001_0101,
    0x33 => 0,
    0x43 => 0,
    0x07 => 0,
};

/// Far transfers that use the stack.
pub const ON_STACK: &[Case] = &[
    passes("far call", far_call::<0x2b>),
    passes("far return", far_return::<0x2b>),
    passes("iretq", interrupt_return::<0x2b>),
];

/// Actions that a program may take.
pub const ALLOWED: &[Case] = &[
    passes("far jump", far_jump::<0x2b>),
    passes("far jump, with a requested privilege of 0", far_jump::<0x28>),
    Case { check: loads_check, ..one("segment loads", loads, &[INT]) },
    Case { check: kept_check, ..one("flags kept by a system call", kept_by_call, &[SYSCALL, INT]) },
    Case { check: kept_check, ..one("flags kept by a gate", kept_by_gate, &[INT, INT]) },
    one("iretq in a nested task", nested_task, &[PROTECTION]),
    one("an entry behind a load of SS", quiet_stack_segment, &[SYSCALL, INT]),
    one("a trapped far jump", trap_at_far_jump, &[exception(GENERAL_PROTECTION, 0x18)]),
];
