// The ways into the kernel and out of it. stubs.rs says when each is used.
//
// Interrupts are off, except in the halt of an idle CPU and where the kernel lets waiting interrupts in. Every gate
// switches to a stack of the interrupt stack table. The top 16 bytes of such a stack hold the address of the CPU's
// block, so code on it finds its CPU whatever GS holds.

// A gate's stub leaves on the stack: vector, error code, then the words that the processor pushed: rip, cs, rflags,
// rsp, ss. `8 * n` from a context's start is its slot n, as context.rs numbers them.

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
    mov [\context + 8 * 1], rsi
    mov [\context + 8 * 2], rbp
    mov [\context + 8 * 4], rbx
    mov [\context + 8 * 5], rdx
    mov [\context + 8 * 7], rax
    mov [\context + 8 * 17], r8
    mov [\context + 8 * 18], r9
    mov [\context + 8 * 19], r10
    mov [\context + 8 * 21], r12
    mov [\context + 8 * 22], r13
    mov [\context + 8 * 23], r14
    mov [\context + 8 * 24], r15
.endm

// The registers that a callee keeps, without rbx and rbp, from the context at rdi.
.macro restore_kept
    mov r12, [rdi + 8 * 21]
    mov r13, [rdi + 8 * 22]
    mov r14, [rdi + 8 * 23]
    mov r15, [rdi + 8 * 24]
.endm

// Every other general register but rcx, r11 and rsp, from the context at rdi.
.macro restore_registers
    mov rsi, [rdi + 8 * 1]
    mov rbp, [rdi + 8 * 2]
    mov rbx, [rdi + 8 * 4]
    mov rdx, [rdi + 8 * 5]
    mov rax, [rdi + 8 * 7]
    mov r8, [rdi + 8 * 17]
    mov r9, [rdi + 8 * 18]
    mov r10, [rdi + 8 * 19]
    mov rdi, [rdi + 8 * 0]
.endm

// Any other gate: from ring 3 into the thread's context.
trap:
    test byte ptr [rsp + 8 * 3], 3
    jz in_kernel
    swapgs
    mov gs:[{scratch}], rdi
    mov rdi, gs:[{context}]
    save_registers rdi
    mov [rdi + 8 * 6], rcx
    mov [rdi + 8 * 20], r11
    mov rax, gs:[{scratch}]
    mov [rdi + 8 * 0], rax
    pop rax                         // vector
    movzx eax, al
    mov [rdi + 8 * 10], rax
    pop qword ptr [rdi + 8 * 11]    // error code
    pop qword ptr [rdi + 8 * 12]    // rip
    pop qword ptr [rdi + 8 * 13]    // cs
    pop qword ptr [rdi + 8 * 14]    // rflags
    pop qword ptr [rdi + 8 * 15]    // rsp
    pop qword ptr [rdi + 8 * 16]    // ss
    jmp gate

// From ring 0: an interrupt that ends a halt or that is let in, or a bug.
in_kernel:
    push rax
    lea rax, [rip + halted]
    cmp [rsp + 8 * 3], rax
    je from_call
    lea rax, [rip + taken]
    cmp [rsp + 8 * 3], rax
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
    mov rdi, gs:[0]
    xor ebp, ebp                    // the back trace ends here
.endm

// `syscall`: rcx holds rip, r11 holds rflags, rsp is still the program's. MSR SFMASK has cleared flags. The program's rcx
// and r11 are lost: the context keeps their values from the last entry by a gate.
.globl syscall_entry
syscall_entry:
    swapgs
    mov gs:[{scratch}], rsp
    mov rsp, gs:[{context}]
    mov [rsp + 8 * 0], rdi
    save_registers rsp
    mov [rsp + 8 * 12], rcx
    mov [rsp + 8 * 14], r11
    mov esi, eax                    // the number of the call
    mov rax, gs:[{scratch}]
    mov [rsp + 8 * 15], rax
    begin_rust rsp
    call [rip + {image} + {system_call}]
    // The hook has returned, so the same program continues. The registers that a callee keeps are unchanged.
    mov rdi, gs:[{context}]
leave_as_kept:
    fxrstor64 [rdi + {fpu}]
    mov rcx, [rdi + 8 * 12]
    mov r11, [rdi + 8 * 14]
    mov rsp, [rdi + 8 * 15]
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
    mov qword ptr [rdi + 8 * 8], {user_data}
    mov qword ptr [rdi + 8 * 9], {user_data}
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
    push qword ptr [rdi + 8 * 15]
    push qword ptr [rdi + 8 * 14]
    push {user_code}
    push qword ptr [rdi + 8 * 12]
    mov rcx, [rdi + 8 * 6]
    mov r11, [rdi + 8 * 20]
    restore_kept
    restore_registers
    swapgs
    iretq

.section .rodata
.balign 4
default_mxcsr: .long {mxcsr}
