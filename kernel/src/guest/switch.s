// The way into a guest and back; switch.rs says what both functions do. The area of the guest's registers is a
// `Registers` (registers.rs). Interrupts are off.

// Every general register of the guest but rax and rsp, from the area at rdi.
.macro guest_in
    mov rbx, [rdi + {saved} + 8]
    mov rdx, [rdi + {saved} + 16]
    mov rsi, [rdi + {saved} + 24]
    mov rbp, [rdi + {saved} + 40]
    mov r8, [rdi + {saved} + 48]
    mov r9, [rdi + {saved} + 56]
    mov r10, [rdi + {saved} + 64]
    mov r11, [rdi + {saved} + 72]
    mov r12, [rdi + {saved} + 80]
    mov r13, [rdi + {saved} + 88]
    mov r14, [rdi + {saved} + 96]
    mov r15, [rdi + {saved} + 104]
    mov rcx, [rdi + {rcx}]
    mov rdi, [rdi + {saved} + 32]
.endm

// The same registers, and rax, into the area whose address the stack has; it is taken off the stack and left in rdi.
.macro guest_out
    xchg rdi, [rsp]
    mov [rdi + {saved}], rax
    mov [rdi + {saved} + 8], rbx
    mov [rdi + {saved} + 16], rdx
    mov [rdi + {saved} + 24], rsi
    mov [rdi + {saved} + 40], rbp
    mov [rdi + {saved} + 48], r8
    mov [rdi + {saved} + 56], r9
    mov [rdi + {saved} + 64], r10
    mov [rdi + {saved} + 72], r11
    mov [rdi + {saved} + 80], r12
    mov [rdi + {saved} + 88], r13
    mov [rdi + {saved} + 96], r14
    mov [rdi + {saved} + 104], r15
    mov [rdi + {rcx}], rcx
    pop rax
    mov [rdi + {saved} + 32], rax
.endm

.macro host_out
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
.endm

// The registers that a callee keeps, and the floating-point state with which Rust code begins.
.macro host_in
    fninit
    ldmxcsr [rip + guest_mxcsr]
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
.endm

.section .text

// u64 vtx_switch(registers, resume): 0 after an exit. If the entry failed, 1 or, if there is an error number, 2.
.globl vtx_switch
vtx_switch:
    host_out
    push rdi
    mov eax, {host_rsp}
    vmwrite rax, rsp
    fxrstor64 [rdi + {fpu}]
    test esi, esi
    mov rax, [rdi + {saved}]        // no move changes the flags
    guest_in
    jnz 1f
    vmlaunch
    jmp 2f
1:  vmresume
2:  mov eax, 1                      // still here: CF or ZF says how the entry failed
    jc 3f
    mov eax, 2
3:  pop rdi
    host_in
    ret
.globl vtx_exit
vtx_exit:
    guest_out
    fxsave64 [rdi + {fpu}]
    xor eax, eax
    host_in
    ret

// void svm_switch(registers, vmcb, host): the last two are physical addresses. `vmrun` keeps only some of the host's
// registers; `vmsave` and `vmload` keep the others in the page `host`. The guest's rax is in the VMCB.
//
// Between `clgi` and `stgi` nothing interrupts the host. The host's interrupt flag decides whether interrupts make the
// guest exit, so it is set there.
.globl svm_switch
svm_switch:
    host_out
    push rdx
    push rdi
    mov rax, rdx
    vmsave rax
    fxrstor64 [rdi + {fpu}]
    mov rax, rsi
    guest_in
    clgi
    sti
    vmload rax
    vmrun rax
    vmsave rax
    cli
    guest_out
    fxsave64 [rdi + {fpu}]
    pop rax
    vmload rax
    host_in
    stgi
    ret

.section .rodata
.balign 4
guest_mxcsr: .long {mxcsr}
