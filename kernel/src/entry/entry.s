// The ways into the kernel and out of it. stubs.rs says when each is used.
//
// Interrupts are off, except in the halt of an idle CPU and where the kernel lets waiting interrupts in. Every gate
// switches to a stack of the interrupt stack table. The top 16 bytes of such a stack hold the address of the CPU's
// block, so code on it finds its CPU whatever GS holds.

// A gate's stub leaves on the stack: vector, error code, then the words that the processor pushed: rip, cs, rflags,
// rsp, ss. `slot_…` is the offset of a slot in a context (context.rs).

// The 256 gates. `gates` is an array of stubs of GATE_BYTES each.
.section .text
.balign {gate_bytes}
.globl gates
gates:
.set vector, 0
.rept 256
    .balign {gate_bytes}
    .if vector >= 32
    push 0
    .elseif (({with_error_code} >> vector) & 1) == 0
    push 0
    .endif
    .byte 0x6a, vector              // push vector, sign-extended: only its low byte counts
    .if (vector == 2) || (vector == 8) || (vector == 18)
    jmp fatal                       // NMI, double fault, machine check
    .else
    jmp trap
    .endif
    .set vector, vector + 1
.endr

// Every general register but rdi, rcx, r11 and rsp, into the context at \context.
.macro save_registers context
    mov [\context + {slot_esi}], rsi
    mov [\context + {slot_ebp}], rbp
    mov [\context + {slot_ebx}], rbx
    mov [\context + {slot_edx}], rdx
    mov [\context + {slot_eax}], rax
    mov [\context + {slot_r8}], r8
    mov [\context + {slot_r9}], r9
    mov [\context + {slot_r10}], r10
    mov [\context + {slot_r12}], r12
    mov [\context + {slot_r13}], r13
    mov [\context + {slot_r14}], r14
    mov [\context + {slot_r15}], r15
.endm

// The registers that a callee keeps, without rbx and rbp, from the context at rdi.
.macro restore_kept
    mov r12, [rdi + {slot_r12}]
    mov r13, [rdi + {slot_r13}]
    mov r14, [rdi + {slot_r14}]
    mov r15, [rdi + {slot_r15}]
.endm

// Every other general register but rcx, r11 and rsp, from the context at rdi.
.macro restore_registers
    mov rsi, [rdi + {slot_esi}]
    mov rbp, [rdi + {slot_ebp}]
    mov rbx, [rdi + {slot_ebx}]
    mov rdx, [rdi + {slot_edx}]
    mov rax, [rdi + {slot_eax}]
    mov r8, [rdi + {slot_r8}]
    mov r9, [rdi + {slot_r9}]
    mov r10, [rdi + {slot_r10}]
    mov rdi, [rdi + {slot_edi}]
.endm

// Any other gate: from ring 3 into the thread's context.
trap:
    test byte ptr [rsp + {pushed_cs}], 3
    jz in_kernel
    swapgs
    mov gs:[{scratch}], rdi
    mov rdi, gs:[{context}]
    save_registers rdi
    mov [rdi + {slot_ecx}], rcx
    mov [rdi + {slot_r11}], r11
    mov rax, gs:[{scratch}]
    mov [rdi + {slot_edi}], rax
    pop rax                         // vector
    movzx eax, al
    mov [rdi + {slot_trapno}], rax
    pop qword ptr [rdi + {slot_err}]    // error code
    pop qword ptr [rdi + {slot_eip}]    // rip
    pop qword ptr [rdi + {slot_cs}]     // cs
    pop qword ptr [rdi + {slot_eflags}] // rflags
    pop qword ptr [rdi + {slot_esp}]    // rsp
    pop qword ptr [rdi + {slot_ss}]     // ss
    jmp gate

// From ring 0: an interrupt that ends a halt or that is let in, or a bug.
in_kernel:
    push rax
    lea rax, [rip + halted]
    cmp [rsp + 8 + {pushed_rip}], rax
    je from_call
    lea rax, [rip + taken]
    cmp [rsp + 8 + {pushed_rip}], rax
from_call:
    pop rax
    jne fatal
    pop rdi                         // vector; of a call, a caller's registers are all that matters
    movzx edi, dil                  // the error code below keeps the stack aligned for the call
    call {in_halt}
    add rsp, 8
    iretq

// void wait(): lets interrupts in until one has come. An interrupt that comes before the halt ends it as well: the
// processor takes interrupts only after the instruction that follows `sti`.
.globl wait_for_interrupt
wait_for_interrupt:
    sti
    hlt
halted:
    cli
    ret

// void take(): lets in the interrupts that wait, one after the other, and returns. The processor takes them only after
// the instruction that follows `sti`, and each of them returns to that place.
.globl take_interrupts
take_interrupts:
    sti
    nop
taken:
    cli
    ret

// The floating-point state into the context at \context, and the state and the stack with which Rust code begins.
.macro begin_rust context
    fxsave64 [\context + {fpu}]
    mov rsp, gs:[{stack_top}]
    ldmxcsr [rip + default_mxcsr]
    mov rdi, gs:[{this}]
    xor ebp, ebp                    // the back trace ends here
.endm

// `syscall`: rcx holds rip, r11 holds rflags, rsp is still the program's. MSR SFMASK has cleared flags. The program's rcx
// and r11 are lost: the context keeps their values from the last entry by a gate.
.globl syscall_entry
syscall_entry:
    swapgs
    mov gs:[{scratch}], rsp
    mov rsp, gs:[{context}]
    mov [rsp + {slot_edi}], rdi
    save_registers rsp
    mov [rsp + {slot_eip}], rcx
    mov [rsp + {slot_eflags}], r11
    mov esi, eax                    // the number of the call
    mov rax, gs:[{scratch}]
    mov [rsp + {slot_esp}], rax
    begin_rust rsp
    call [rip + {image} + {system_call}]
    // The hook has returned, so the same program continues. The registers that a callee keeps are unchanged.
    mov rdi, gs:[{context}]
leave_as_kept:
    fxrstor64 [rdi + {fpu}]
    mov rcx, [rdi + {slot_eip}]
    mov r11, [rdi + {slot_eflags}]
    mov rsp, [rdi + {slot_esp}]
    restore_registers
    swapgs
    sysretq

// void leave(context): to ring 3 by `sysretq`, which needs rcx and r11 for rip and rflags.
.globl leave_by_sysretq
leave_by_sysretq:
    restore_kept
    jmp leave_as_kept

// `syscall` in compatibility mode, which no segment of the kernel's allows: raises the invalid-opcode exception, as if
// its gate had been used. The kernel stack is empty while a program runs, and `trap` leaves it empty. Long mode has no
// other entry without a descriptor: a null selector refuses `sysenter`.
.globl compatible_entry
compatible_entry:
    swapgs
    mov gs:[{scratch}], rsp
    mov rsp, gs:[{stack_top}]
    push {user_data}
    push qword ptr gs:[{scratch}]
    push r11
    push {user_code}
    push rcx
    push 0
    push {invalid_opcode}
    swapgs
    jmp trap

// A gate. rdi: the thread's context, already filled.
gate:
    mov qword ptr [rdi + {slot_es}], {user_data}
    mov qword ptr [rdi + {slot_ds}], {user_data}
    begin_rust rdi
    push 2
    popfq                           // AC, DF, TF, NT off: a gate leaves them as the program had them
    call {from_gate}
    ud2

// The kernel does not continue after these: a report, or a stop that another CPU asked for.
fatal:
    push r15
    push r14
    push r13
    push r12
    push r11
    push r10
    push r9
    push r8
    push rax
    push rcx
    push rdx
    push rbx
    push rbp
    push rsi
    push rdi
    push 2
    popfq
    mov rdi, rsp
    mov rsi, [rsp + {frame_bytes}]  // above the frame: the CPU's block
    xor ebp, ebp
    call {fatal}
    ud2

// void leave(context): to ring 3 by `iretq`, with every register from the context.
.globl leave_by_iretq
leave_by_iretq:
    fxrstor64 [rdi + {fpu}]
    push {user_data}
    push qword ptr [rdi + {slot_esp}]
    push qword ptr [rdi + {slot_eflags}]
    push {user_code}
    push qword ptr [rdi + {slot_eip}]
    mov rcx, [rdi + {slot_ecx}]
    mov r11, [rdi + {slot_r11}]
    restore_kept
    restore_registers
    swapgs
    iretq

.section .rodata
.balign 4
default_mxcsr: .long {mxcsr}
