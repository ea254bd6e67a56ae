//! The programs of the image `try-ring3`, in assembly, and the entries into the kernel that each
//! must cause.

use crate::user::{ABSENT, CODE, DATA, KERNEL_ONLY};
use core::arch::naked_asm;
use kernel::cpu::context::{Slot, UserContext, user_flags};
use kernel::cpu::trap::Entry;
use kernel::cpu::vectors::{BREAKPOINT, GENERAL_PROTECTION};
use kernel::mm::layout::{DIRECT_MAP, IMAGE_BASE, PAGE_SIZE};

/// A program, and the entries that it must cause.
pub struct Case {
    /// Its name in messages.
    pub name: &'static str,
    /// Its code. It does not depend on its address.
    pub code: unsafe extern "C" fn(),
    /// The expected entries into the kernel, in their order. After the last one the program is abandoned.
    pub entries: &'static [Entry],
    /// Whether the context is right at the entry with this index.
    pub check: fn(usize, &UserContext) -> bool,
    /// Changes the context before the program runs on to the entry with this index.
    pub change: fn(usize, &mut UserContext),
}

/// A system call.
pub const SYSCALL: Entry = Entry::SystemCall;
/// `int 3` in two bytes: an entry into the kernel by a gate.
pub const INT: Entry = exception(BREAKPOINT, 0);

/// An exception.
pub const fn exception(vector: u8, error: u64) -> Entry {
    Entry::Exception { vector, error }
}

const fn page_fault(address: u64, error: u64) -> Entry {
    Entry::PageFault { address, error }
}

/// A case that ends with its first entry, whatever the registers contain.
pub const fn one(name: &'static str, code: unsafe extern "C" fn(), entries: &'static [Entry]) -> Case {
    Case { name, code, entries, check: |_, _| true, change: |_, _| {} }
}

macro_rules! snippets {
    ($($name:ident $(($operand:ident = $value:expr))?: $($line:literal),+;)*) => {
        $(
            #[unsafe(naked)]
            unsafe extern "C" fn $name() {
                naked_asm!($($line,)+ $($operand = const $value)?)
            }
        )*
    };
}

snippets! {
    registers:
        "mov rax, 0x107", "mov rbx, 0x104", "mov rdx, 0x105", "mov rsi, 0x101", "mov rdi, 0x100",
        "mov rbp, 0x102", "mov r8, 0x111", "mov r9, 0x112", "mov r10, 0x113", "mov r12, 0x115",
        "mov r13, 0x116", "mov r14, 0x117", "mov r15, 0x118", "syscall", ".byte 0xcd, 3", ".byte 0xcd, 3", "ud2";
    floating_point:
        "movabs rax, 0x1122334455667788", "movq xmm0, rax", "inc rax", "movq xmm7, rax", "inc rax",
        "movq xmm15, rax", "sub rsp, 16", "mov dword ptr [rsp], 0x3f80", "ldmxcsr [rsp]", "fld1", "syscall",
        "movq rax, xmm0", "movq rbx, xmm7", "movq rdx, xmm15", "stmxcsr [rsp]", "mov r8d, [rsp]",
        "fistp qword ptr [rsp]", "mov r9, [rsp]", ".byte 0xcd, 3", "ud2";
    fresh_floating_point:
        "movq rax, xmm0", "movq rbx, xmm15", "sub rsp, 16", "stmxcsr [rsp]", "mov edx, [rsp]",
        "fnstcw [rsp]", "movzx esi, word ptr [rsp]", ".byte 0xcd, 3", "ud2";
    flags (flags = 0x4_0400 | 2): "push {flags}", "popfq", ".byte 0xcd, 3", "ud2";
    flags_by_syscall (flags = 0x4_0400 | 2): "push {flags}", "popfq", "syscall", "ud2";
    wild_stack (kernel = DIRECT_MAP as i64): "movabs rsp, {kernel}", "syscall", "xor esp, esp", "syscall", "ud2";
    segments: "mov ax, ds", "mov bx, ss", "mov cx, cs", ".byte 0xcd, 3", "ud2";
    demand (absent = ABSENT): "mov rax, [{absent}]", ".byte 0xcd, 3", "ud2";
    load_absent (absent = ABSENT): "mov rax, [{absent} + 0x7000]", "ud2";
    store_absent (absent = ABSENT): "mov [{absent} + 0x7008], rax", "ud2";
    fetch_absent (absent = ABSENT): "mov eax, {absent} + 0x7000", "jmp rax", "ud2";
    fetch_data (data = DATA): "mov eax, {data}", "mov byte ptr [rax], 0xc3", "call rax", "ud2";
    load_null: "xor eax, eax", "mov rax, [rax]", "ud2";
    store_code (code = CODE): "mov eax, {code}", "mov byte ptr [rax], 1", "ud2";
    load_kernel_only (page = KERNEL_ONLY): "mov eax, {page}", "mov rax, [rax]", "ud2";
    load_image (image = (IMAGE_BASE + 0x11_0000) as i64): "movabs rax, {image}", "mov rax, [rax]", "ud2";
    store_direct_map (direct = DIRECT_MAP as i64): "movabs rax, {direct}", "mov [rax], rax", "ud2";
    jump_kernel (image = (IMAGE_BASE + 0x11_0000) as i64): "movabs rax, {image}", "jmp rax", "ud2";
    load_non_canonical: "movabs rax, 0x8000000000000000", "mov rax, [rax]", "ud2";
    halt: "hlt";
    interrupts_off: "cli";
    interrupts_on: "sti";
    input: "in al, 0x60";
    output: "out 0xe9, al";
    page_map: "mov cr3, rax";
    model_register: "mov ecx, 0xC0000080", "rdmsr";
    gdt: "lgdt [rsp - 16]";
    swap_gs: "swapgs";
    system_return: "sysretq";
    kernel_segment: "mov ax, 0x10", "mov ds, ax";
    foreign_interrupt: "int 0x20";
    nmi_by_software: "int 2";
    double_fault_by_software: "int 8";
    page_fault_by_software: "int 14";
    undefined: "ud2";
    divide: "xor ecx, ecx", "mov eax, 1", "cdq", "idiv ecx";
    breakpoint: "int3";
    overflow: "int 4";
    old_system_call: "int 48";
    time_stamp: "rdtsc";
    descriptor_table: "sgdt [rsp - 16]";
    trap_flag: "push 0x102", "popfq", "nop", "nop", "ud2";
    x87: "fninit", "push 0x37a", "fldcw [rsp]", "fldz", "fldz", "fdivp st(1), st(0)", "fwait", "ud2";
    bad_rip: "syscall", "ud2";
}

/// The general registers that `syscall` preserves.
const PRESERVED: [Slot; 13] = [
    Slot::Edi,
    Slot::Esi,
    Slot::Ebp,
    Slot::Ebx,
    Slot::Edx,
    Slot::Eax,
    Slot::R8,
    Slot::R9,
    Slot::R10,
    Slot::R12,
    Slot::R13,
    Slot::R14,
    Slot::R15,
];

fn all_hold(context: &UserContext, base: u64) -> bool {
    PRESERVED.iter().all(|&slot| context.get(slot) == base + slot as u64)
}

fn registers_check(step: usize, context: &UserContext) -> bool {
    let lost = (context.get(Slot::Ecx), context.get(Slot::R11));
    match step {
        // The registers that `syscall` destroys are not saved, so the context still has the values from before.
        0 => all_hold(context, 0x100) && lost == (0, 0),
        // `sysretq` leaves RIP and RFLAGS in the two registers; `int 3` is two bytes long.
        1 => all_hold(context, 0x200) && lost == (context.get(Slot::Eip) - 2, context.get(Slot::Eflags)),
        _ => all_hold(context, 0x300) && lost == (0x306, 0x314),
    }
}

fn registers_change(step: usize, context: &mut UserContext) {
    for slot in PRESERVED.into_iter().chain([Slot::Ecx, Slot::R11]) {
        context.set(slot, 0x100 * (step as u64 + 1) + slot as u64);
    }
}

fn floating_point_check(step: usize, context: &UserContext) -> bool {
    let values = [Slot::Eax, Slot::Ebx, Slot::Edx, Slot::R8, Slot::R9].map(|slot| context.get(slot));
    step == 0 || values == [0x1122_3344_5566_7788, 0x1122_3344_5566_7789, 0x1122_3344_5566_778a, 0x3f80, 1]
}

fn fresh_check(_: usize, context: &UserContext) -> bool {
    [Slot::Eax, Slot::Ebx, Slot::Edx, Slot::Esi].map(|slot| context.get(slot)) == [0, 0, 0x1f80, 0x37f]
}

fn flags_check(_: usize, context: &UserContext) -> bool {
    context.get(Slot::Eflags) == user_flags(0x4_0400)
}

fn wild_stack_check(step: usize, context: &UserContext) -> bool {
    context.get(Slot::Esp) == [DIRECT_MAP, 0][step]
}

fn segments_check(_: usize, context: &UserContext) -> bool {
    use kernel::cpu::descriptors::{USER_CODE, USER_DATA};
    [Slot::Eax, Slot::Ebx, Slot::Ecx].map(|slot| context.get(slot) as u16) == [USER_DATA, USER_DATA, USER_CODE]
        && context.get(Slot::Cs) == u64::from(USER_CODE)
        && context.get(Slot::Ss) == u64::from(USER_DATA)
        && context.get(Slot::Esp) == DATA + PAGE_SIZE
}

fn demand_check(step: usize, context: &UserContext) -> bool {
    step == 0 || context.get(Slot::Eax) == 0x5A5A_5A5A_5A5A_5A5A
}

/// General protection without a selector.
pub const PROTECTION: Entry = exception(GENERAL_PROTECTION, 0);

/// All cases, in the order in which they run.
pub const CASES: &[Case] = &[
    Case {
        name: "registers",
        code: registers,
        entries: &[SYSCALL, INT, INT],
        check: registers_check,
        change: registers_change,
    },
    Case { check: floating_point_check, ..one("floating point", floating_point, &[SYSCALL, INT]) },
    Case { check: fresh_check, ..one("fresh floating point", fresh_floating_point, &[INT]) },
    Case { check: flags_check, ..one("flags at a gate", flags, &[INT]) },
    Case { check: flags_check, ..one("flags at syscall", flags_by_syscall, &[SYSCALL]) },
    Case { check: wild_stack_check, ..one("wild stack pointers", wild_stack, &[SYSCALL, SYSCALL]) },
    Case { check: segments_check, ..one("segments", segments, &[INT]) },
    Case { check: demand_check, ..one("demand", demand, &[page_fault(ABSENT, 4), INT]) },
    one("load from an absent page", load_absent, &[page_fault(ABSENT + 0x7000, 4)]),
    one("store to an absent page", store_absent, &[page_fault(ABSENT + 0x7008, 6)]),
    one("fetch from an absent page", fetch_absent, &[page_fault(ABSENT + 0x7000, 0x14)]),
    one("fetch from a data page", fetch_data, &[page_fault(DATA, 0x15)]),
    one("load from null", load_null, &[page_fault(0, 4)]),
    one("store to its own code", store_code, &[page_fault(CODE, 7)]),
    one("load from a page of the kernel", load_kernel_only, &[page_fault(KERNEL_ONLY, 5)]),
    one("load from the image", load_image, &[page_fault(IMAGE_BASE + 0x11_0000, 5)]),
    one("store to the direct map", store_direct_map, &[page_fault(DIRECT_MAP, 7)]),
    one("jump into the kernel", jump_kernel, &[page_fault(IMAGE_BASE + 0x11_0000, 0x15)]),
    one("non-canonical load", load_non_canonical, &[PROTECTION]),
    one("hlt", halt, &[PROTECTION]),
    one("cli", interrupts_off, &[PROTECTION]),
    one("sti", interrupts_on, &[PROTECTION]),
    one("in", input, &[PROTECTION]),
    one("out", output, &[PROTECTION]),
    one("mov cr3", page_map, &[PROTECTION]),
    one("rdmsr", model_register, &[PROTECTION]),
    one("lgdt", gdt, &[PROTECTION]),
    one("swapgs", swap_gs, &[PROTECTION]),
    one("sysret", system_return, &[PROTECTION]),
    one("a segment of the kernel", kernel_segment, &[exception(GENERAL_PROTECTION, 0x10)]),
    one("int 0x20", foreign_interrupt, &[exception(GENERAL_PROTECTION, 0x20 << 3 | 2)]),
    one("int 2", nmi_by_software, &[exception(GENERAL_PROTECTION, 2 << 3 | 2)]),
    one("int 8", double_fault_by_software, &[exception(GENERAL_PROTECTION, 8 << 3 | 2)]),
    one("int 14", page_fault_by_software, &[exception(GENERAL_PROTECTION, 14 << 3 | 2)]),
    one("ud2", undefined, &[exception(6, 0)]),
    one("division by zero", divide, &[exception(0, 0)]),
    one("int3", breakpoint, &[exception(3, 0)]),
    one("int 4", overflow, &[exception(GENERAL_PROTECTION, 4 << 3 | 2)]),
    one("int 48", old_system_call, &[exception(GENERAL_PROTECTION, 48 << 3 | 2)]),
    one("rdtsc", time_stamp, &[PROTECTION]),
    one("sgdt", descriptor_table, &[PROTECTION]),
    one("trap flag", trap_flag, &[exception(1, 0)]),
    one("x87 exception", x87, &[exception(16, 0)]),
    Case {
        change: |_, context| context.set(Slot::Eip, 1 << 47),
        ..one("non-canonical rip", bad_rip, &[SYSCALL, PROTECTION])
    },
];
