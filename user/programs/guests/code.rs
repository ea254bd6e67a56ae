//! The guests' machine code. It is loaded at 0x7C00, and begins in real mode with all segments at 0.

use vmm::guest_code;

/// Prints the text at label 5 on the serial line, and halts. It works in real mode and in 32-bit code.
macro_rules! print {
    ($guest:literal) => {
        concat!(
            "movl $0x3f8, %edx\n",
            concat!("movl $(5f - ", $guest, "_start + 0x7c00), %esi\n"),
            "88: lodsb\n",
            "testb %al, %al\n",
            "jz 89f\n",
            "outb %al, %dx\n",
            "jmp 88b\n",
            "89: hlt",
        )
    };
}

/// Goes from real mode to 32-bit protected mode with paging. Its descriptors are those of [`descriptors`]; the page
/// directory at 0x1000 gets a page of 4 MiB that maps every address to itself.
macro_rules! protect {
    ($guest:literal) => {
        concat!(
            concat!("lgdtl 7f - ", $guest, "_start + 0x7c00\n"),
            "movl $0x83, 0x1000\n",
            "movl $0x1000, %eax\n",
            "movl %eax, %cr3\n",
            "movl $0x10, %eax\n",
            "movl %eax, %cr4\n",
            "movl %cr0, %eax\n",
            "orl $0x80000001, %eax\n",
            "movl %eax, %cr0\n",
            concat!("ljmpl $8, $(1f - ", $guest, "_start + 0x7c00)\n"),
            ".code32\n",
            "1: movl $16, %eax\n",
            "movl %eax, %ds",
        )
    };
}

/// The table of descriptors, flat segments for code and data, and at label 7 its size and address.
macro_rules! descriptors {
    ($guest:literal) => {
        concat!(
            ".balign 8\n",
            "9: .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff\n",
            "7: .word 23\n",
            concat!(".long 9b - ", $guest, "_start + 0x7c00"),
        )
    };
}

guest_code!(
    pub real_mode,
    print!("real_mode"),
    "5: .asciz \"real mode speaks\\n\"",
);

// 32-bit protected mode with paging. It counts five interrupts of the timer.
guest_code!(
    pub timer,
    protect!("timer"),
    "movl %eax, %es",
    "movl %eax, %ss",
    "movl $0x7000, %esp",
    // Interrupt controllers: vectors 0x20 to 0x2F, all lines but the timer's masked.
    "movb $0x11, %al",
    "outb %al, $0x20",
    "outb %al, $0xa0",
    "movb $0x20, %al",
    "outb %al, $0x21",
    "movb $0x28, %al",
    "outb %al, $0xa1",
    "movb $4, %al",
    "outb %al, $0x21",
    "movb $2, %al",
    "outb %al, $0xa1",
    "movb $1, %al",
    "outb %al, $0x21",
    "outb %al, $0xa1",
    "movb $0xfe, %al",
    "outb %al, $0x21",
    "movb $0xff, %al",
    "outb %al, $0xa1",
    // The timer: 100 interrupts a second.
    "movb $0x34, %al",
    "outb %al, $0x43",
    "movw $11932, %ax",
    "outb %al, $0x40",
    "movb %ah, %al",
    "outb %al, $0x40",
    // The handler of vector 0x20: an interrupt gate.
    "movl $(4f - timer_start + 0x87c00), 0x2100",
    "movl $0x8e00, 0x2104",
    "lidtl 6f - timer_start + 0x7c00",
    "xorl %ebx, %ebx",
    "sti",
    "2: hlt",
    "cmpl $5, %ebx",
    "jb 2b",
    "cli",
    "addb %bl, 5f - timer_start + 0x7c00",
    print!("timer"),
    // It counts up to five. A sixth interrupt may come before the guest turns interrupts off.
    "4: cmpl $5, %ebx",
    "adcl $0, %ebx",
    "pushl %eax",
    "movb $0x20, %al",
    "outb %al, $0x20",
    "popl %eax",
    "iretl",
    "5: .asciz \"0 interrupts of the timer\\n\"",
    descriptors!("timer"),
    "6: .word 0x7ff",
    ".long 0x2000",
);

// It writes to one page after the other, and goes on where it has no memory.
guest_code!(
    pub outside,
    "xorw %ax, %ax",
    "1: movw %ax, %ds",
    "movb $1, 0xfff0",
    "addw $0x100, %ax",
    "jnc 1b",
    "hlt",
);

// It maps the address of the host's interrupt controller, and writes a command to it.
guest_code!(
    pub tables,
    "movl $0xfec00083, 0x1004",
    protect!("tables"),
    // Its own memory, read through a second mapping that it makes while paging is on.
    "movl $0x83, 0x1008",
    "movl %cr3, %eax",
    "movl %eax, %cr3",
    "movl 0x801008, %ebx",
    "cmpl $0xa3, %ebx",
    "je 2f",
    "cmpl $0x83, %ebx",
    "jne 3f",
    "2: movl $0xc4500, 0x600300", // reset all other CPUs
    "3: hlt",
    descriptors!("tables"),
);

// It writes to model-specific registers that would change the host. Each write has to be an exception, whose handler
// counts it and skips the instruction of two bytes. Before that it does what is no exception: it writes to
// IA32_BIOS_SIGN_ID, and reads IA32_PLATFORM_ID, which has to be 0.
guest_code!(
    pub registers,
    "movw $(4f - registers_start + 0x7c00), 13 * 4",
    "movw $0, 13 * 4 + 2",
    "xorw %bx, %bx",
    "movl $0x8b, %ecx",
    "wrmsr",
    "movl $0x17, %ecx",
    "rdmsr",
    "addw %ax, %bx",
    "movw $(6f - registers_start + 0x7c00), %si",
    "1: lodsl",
    "testl %eax, %eax",
    "jz 2f",
    "movl %eax, %ecx",
    "movl $-1, %eax",
    "movl %eax, %edx",
    "wrmsr",
    "jmp 1b",
    "2: addb %bl, 5f - registers_start + 0x7c00",
    print!("registers"),
    "4: incw %bx",
    "movw %sp, %bp",
    "addw $2, (%bp)",
    "iretw",
    // EFER, LSTAR, the local APIC's base, PAT, SYSENTER's address, FS base, and one that does not exist.
    "6: .long 0xc0000080, 0xc0000082, 0x1b, 0x277, 0x176, 0xc0000100, 0x12345678, 0",
    "5: .asciz \"0 writes were refused\\n\"",
);

// It makes as many exits as it can.
guest_code!(
    pub storm,
    "movl $2000, %esi",
    "1: xorl %eax, %eax",
    "cpuid",
    "decl %esi",
    "jnz 1b",
    print!("storm"),
    "5: .asciz \"2000 times CPUID\\n\"",
);

// It has no handlers.
guest_code!(pub triple_fault, "lidtl 1f - triple_fault_start + 0x7c00", "ud2", "1: .word 0", ".long 0");

// It never exits.
guest_code!(pub endless, "cli", "1: jmp 1b");
