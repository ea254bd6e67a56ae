// From the boot loader's 32-bit protected mode (PVH or multiboot2), or from an application CPU's real mode, to 64-bit
// code in the image. Both run on the boot page map: the first 4 GiB mapped one to one at 0, at DIRECT_MAP
// and (2 GiB of it) at IMAGE_BASE, everything allowed. `start.rs` replaces it.

.section .note.pvh, "a", @note
.balign 4
    .long 4, 8, 18                  // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad boot_entry

.section .boot.multiboot2, "a"
.balign 8
multiboot2_header:
    .long 0xe85250d6, 0, multiboot2_end - multiboot2_header
    .long -(0xe85250d6 + multiboot2_end - multiboot2_header)
    .word 0, 0                      // the end of the tags
    .long 8
multiboot2_end:

.section .boot.bss, "aw", @nobits
.balign 4096
boot_root:        .skip 4096
boot_pointers:    .skip 4096        // the first 4 GiB
boot_pointers_hi: .skip 4096        // the image's GiB and the one after
boot_directories: .skip 4096 * 4

// Turns paging and long mode on, with the boot page map. A far jump must follow.
.macro enter_long_mode
    mov eax, {cr4}
    mov cr4, eax
    mov eax, offset boot_root
    mov cr3, eax
    mov ecx, {efer}
    rdmsr
    or eax, {efer_long}
    wrmsr
    mov eax, {cr0}
    mov cr0, eax
.endm

.section .boot.text, "ax"
.code32
.globl boot_entry
boot_entry:                         // ebx: physical address of the start info; eax: multiboot2's magic, if it is that
    cli
    cld
    mov ebp, eax
    mov edi, ebx

    mov esi, offset no_long_mode
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb refuse
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    jnc refuse
    mov esi, offset not_needed
    mov eax, 1
    cpuid
    and edx, {needed}
    cmp edx, {needed}
    jne refuse

    mov ebx, edi
    mov esi, ebp
    mov edi, offset boot_root
    xor eax, eax
    mov ecx, 7 * 1024
    rep stosd
    mov dword ptr [boot_root], offset boot_pointers + {table}
    mov dword ptr [boot_root + 256 * 8], offset boot_pointers + {table}
    mov dword ptr [boot_root + 511 * 8], offset boot_pointers_hi + {table}
    mov dword ptr [boot_pointers], offset boot_directories + {table}
    mov dword ptr [boot_pointers + 8], offset boot_directories + 0x1000 + {table}
    mov dword ptr [boot_pointers + 16], offset boot_directories + 0x2000 + {table}
    mov dword ptr [boot_pointers + 24], offset boot_directories + 0x3000 + {table}
    mov dword ptr [boot_pointers_hi + 510 * 8], offset boot_directories + {table}
    mov dword ptr [boot_pointers_hi + 511 * 8], offset boot_directories + 0x1000 + {table}
    mov edi, offset boot_directories
    mov eax, {large_page}
    mov ecx, 2048
2:  mov [edi], eax
    add eax, 0x200000
    add edi, 8
    loop 2b

    enter_long_mode
    lgdt [boot_gdt_pointer]
    .byte 0xea                      // far jump, which Intel syntax cannot say
    .long boot_entry_64
    .word 0x08

// Shows the text at esi where the console would be, and ends the machine.
refuse:
    lodsb
    test al, al
    jz 4f
    mov bl, al
    out {debug_port}, al
    mov ecx, 100000
2:  mov edx, {com1} + 5
    in al, dx
    test al, 0x20                   // the transmitter is empty, or there is no UART
    jnz 3f
    loop 2b
3:  mov al, bl
    mov edx, {com1}
    out dx, al
    jmp refuse
4:  mov eax, {refused}
    mov edx, {qemu_exit}
    out dx, eax
    mov al, {escape}
    out {debug_port}, al
    mov al, {end}
    out {debug_port}, al
    mov al, {refused}
    out {debug_port}, al
    mov esi, offset shutdown
    mov edx, {bochs_exit}
    mov ecx, 8
    rep outsb
5:  cli
    hlt
    jmp 5b
// Each text begins with the mark of the kernel's own output (abi/src/console.rs).
no_long_mode:
    .asciz "\020\002cairn: this machine is refused: its processor has no 64-bit mode\n"
not_needed:
    .asciz "\020\002cairn: this machine is refused: its processor lacks one of TSC, MSR, PAE, CX8, APIC, FXSR, SSE, SSE2\n"
shutdown:
    .ascii "Shutdown"

.code64
boot_entry_64:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    xor eax, eax
    mov fs, ax
    mov gs, ax
    movabs rax, offset boot_high
    jmp rax

.balign 8
boot_gdt:
    .quad 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF
boot_gdt_pointer:
    .word 23
    .long boot_gdt

.section .text
boot_high:
    lea rsp, [rip + boot_stack_top]
    mov edi, ebx
    mov esi, esi
    xor ebp, ebp
    call {start}
    ud2

// The first code of an application CPU, copied to START_PAGE. Real mode, cs = START_PAGE / 16.
.section .rodata
.globl ap_code, ap_code_end
.code16
ap_code:
    cli
    cld
    xor ax, ax
    mov ds, ax
    lgdt [ap_gdt_pointer_low]
    enter_long_mode                 // from real mode in one step
    .byte 0x66, 0xea                // far jump with a 32-bit offset
    .long {start_page} + (ap_code_64 - ap_code)
    .word 0x08
.balign 8
ap_gdt:
    .quad 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF
ap_gdt_pointer:
    .word 23
    .long {start_page} + (ap_gdt - ap_code)
.code64
ap_code_64:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    movabs rax, offset ap_high
    jmp rax
ap_code_end:
.set ap_gdt_pointer_low, {start_page} + (ap_gdt_pointer - ap_code)

// Takes over the settings of CPU 0 and the stack that it prepared. One CPU at a time runs this.
.section .text
ap_high:
    xor edi, edi
    xchg rdi, [rip + {ap_start} + {ap_cpu}] // indivisible: a CPU that comes too late, or twice, finds nothing
    test rdi, rdi
    jz 2f
    mov ecx, {efer}
    mov eax, [rip + {ap_start} + {ap_efer}]
    xor edx, edx
    wrmsr
    mov rax, [rip + {ap_start} + {ap_root}]
    mov cr3, rax
    mov rsp, [rip + {ap_start} + {ap_stack}]
    xor ebp, ebp
    call {ap_main}
    ud2
2:  cli
    hlt
    jmp 2b

.section .bss
.balign 16
boot_stack: .skip 65536
boot_stack_top:
