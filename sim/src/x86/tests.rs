//! Tests of traps, and of properties that all instructions share.

use super::testing::{CODE, DATA, Fault, machine, machine_with, refuses, steps};
use super::{Gpr, Step, Trap, rflags};
use iced_x86::Mnemonic;
use iced_x86::code_asm::*;

#[test]
fn a_system_call_saves_where_it_came_from() {
    let (mut cpu, mut memory) = machine(|a| a.syscall());
    cpu.registers.rflags |= rflags::CF | rflags::RF;
    assert_eq!(cpu.step(&mut memory), Ok(Step::SystemCall));
    assert_eq!((cpu.registers.rip, cpu.registers[Gpr::Rcx]), (CODE + 2, CODE + 2));
    assert_eq!(cpu.registers[Gpr::R11], rflags::IF | rflags::ONE | rflags::CF);
}

#[test]
fn breakpoints_are_behind_their_instruction() {
    for (code, trap) in [(0xCC, Trap::Breakpoint), (0xF1, Trap::Debug)] {
        let (mut cpu, mut memory) = machine_with(&[code]);
        assert_eq!(cpu.step(&mut memory), Err(trap));
        assert_eq!(cpu.registers.rip, CODE + 1);
    }
}

#[test]
fn an_interrupt_by_software_is_a_breakpoint_or_refused() {
    for vector in 0..=255 {
        let (mut cpu, mut memory) = machine_with(&[0xCD, vector]);
        if vector == 3 {
            assert_eq!(cpu.step(&mut memory), Err(Trap::Breakpoint));
            assert_eq!(cpu.registers.rip, CODE + 2);
        } else {
            let trap = Trap::ClosedGate(vector);
            // SDM volume 3, 6.13: the index of the gate from bit 3 on, bit 1 for the interrupt descriptor table.
            assert_eq!(trap.error_code(), 8 * u64::from(vector) + 2);
            assert_eq!(trap.reason(), Some(abi::Reason::GeneralProtection));
            refuses(&mut cpu, &mut memory, trap);
        }
    }
    // `into` has no encoding in 64-bit mode.
    let (mut cpu, mut memory) = machine_with(&[0xCE]);
    refuses(&mut cpu, &mut memory, Trap::InvalidOpcode);
}

#[test]
fn hints_that_the_processor_does_not_know_do_nothing() {
    let mut hints: Vec<Vec<u8>> = (0x18..=0x1F).map(|opcode| vec![0x0F, opcode, 0xC8]).collect();
    // `rdsspq rax`, `endbr64`, `endbr32`; `cldemote` and `bndldx`, whose features are not there.
    hints.extend([vec![0xF3, 0x48, 0x0F, 0x1E, 0xC8], vec![0xF3, 0x0F, 0x1E, 0xFA], vec![0xF3, 0x0F, 0x1E, 0xFB]]);
    hints.extend([vec![0x0F, 0x1C, 0x00], vec![0x0F, 0x1A, 0x00]]);
    for code in hints {
        let (mut cpu, mut memory) = machine_with(&code);
        let before = cpu.registers.gpr;
        steps(&mut cpu, &mut memory, 1);
        assert_eq!((cpu.registers.gpr, cpu.registers.rip), (before, CODE + code.len() as u64), "{code:x?}");
    }
}

#[test]
fn instructions_that_the_processor_does_not_have() {
    // `rdseed eax`, `rdpid rax`, `sha1msg1 xmm0, xmm1`, `xtest`, `vaddps` of AVX-512.
    let codes: [&[u8]; 5] = [
        &[0x0F, 0xC7, 0xF8],
        &[0xF3, 0x0F, 0xC7, 0xF8],
        &[0x0F, 0x38, 0xC9, 0xC1],
        &[0x0F, 0x01, 0xD6],
        &[0x62, 0xF1, 0x74, 0x48, 0x58, 0xC2],
    ];
    for code in codes {
        let (mut cpu, mut memory) = machine_with(code);
        refuses(&mut cpu, &mut memory, Trap::InvalidOpcode);
    }
}

#[test]
fn alignment_is_checked_where_the_program_asks() {
    let (mut cpu, mut memory) = machine(|a| a.mov(eax, dword_ptr(rbx)));
    cpu.registers[Gpr::Rbx] = DATA + 2;
    steps(&mut cpu, &mut memory, 1);
    cpu.registers.rip = CODE;
    cpu.registers.rflags |= rflags::AC;
    refuses(&mut cpu, &mut memory, Trap::AlignmentCheck);
    cpu.registers[Gpr::Rbx] = DATA + 4;
    steps(&mut cpu, &mut memory, 1);
    let (mut cpu, mut memory) = machine(|a| a.push(rax));
    cpu.registers[Gpr::Rsp] = DATA + 9;
    cpu.registers.rflags |= rflags::AC;
    refuses(&mut cpu, &mut memory, Trap::AlignmentCheck);
}

#[test]
fn divisions_that_have_no_quotient() {
    type Divide = fn(&mut CodeAssembler) -> Result<(), iced_x86::IcedError>;
    let divisions: [(Divide, u64, u64, u64); 4] = [
        (|a| a.div(rcx), 0, 1, 0),
        (|a| a.div(cl), 0, 0x100, 1),
        (|a| a.idiv(ecx), u64::MAX, 0x8000_0000, u64::MAX),
        (|a| a.idiv(rcx), u64::MAX, 1 << 63, u64::MAX),
    ];
    for (divide, high, low, divisor) in divisions {
        let (mut cpu, mut memory) = machine(divide);
        cpu.registers[Gpr::Rdx] = high;
        cpu.registers[Gpr::Rax] = low;
        cpu.registers[Gpr::Rcx] = divisor;
        refuses(&mut cpu, &mut memory, Trap::DivideError);
    }
}

#[test]
fn privileged_instructions() {
    let codes: [&[u8]; 9] = [
        &[0xF4],
        &[0xFA],
        &[0xEC],
        &[0x0F, 0x20, 0xD8],
        &[0x0F, 0x22, 0xC0],
        &[0x0F, 0x30],
        // `wbinvd`, `wbnoinvd`, `sysretq`.
        &[0x0F, 0x09],
        &[0xF3, 0x0F, 0x09],
        &[0x48, 0x0F, 0x07],
    ];
    for code in codes {
        let (mut cpu, mut memory) = machine_with(code);
        refuses(&mut cpu, &mut memory, Trap::GeneralProtection);
    }
}

/// Instructions of other modes, and those that the kernel has not enabled. The image `ring3` tests the same on the
/// processor.
#[test]
fn what_programs_do_not_have() {
    let invalid: [&[u8]; 17] = [
        &[0x0F, 0x34],
        &[0x0F, 0x35],
        &[0x48, 0x0F, 0x35],
        &[0xCE],
        &[0x9A, 0, 0, 0, 0x40, 0x1B, 0],
        &[0x17],
        &[0x8E, 0xC8],
        &[0xF3, 0x48, 0x0F, 0xAE, 0xC0],
        &[0xF3, 0x48, 0x0F, 0xAE, 0xD8],
        &[0x0F, 0x01, 0xD0],
        &[0x0F, 0x01, 0xD1],
        &[0x0F, 0xAE, 0x64, 0x24, 0xC0],
        &[0x0F, 0x01, 0xC1],
        &[0x0F, 0x01, 0xD8],
        &[0x0F, 0x01, 0xCA],
        &[0x0F, 0x01, 0xEE],
        &[0x0F, 0xAA],
    ];
    for code in invalid {
        let (mut cpu, mut memory) = machine_with(code);
        refuses(&mut cpu, &mut memory, Trap::InvalidOpcode);
    }
    let refused: [&[u8]; 9] = [
        &[0x0F, 0x31],
        &[0x0F, 0x01, 0xF9],
        &[0x0F, 0x33],
        &[0x0F, 0x01, 0x44, 0x24, 0xF0],
        &[0x0F, 0x01, 0x4C, 0x24, 0xF0],
        &[0x0F, 0x00, 0xC0],
        &[0x0F, 0x00, 0xC8],
        &[0x0F, 0x01, 0xE0],
        &[0x0F, 0x23, 0xF8],
    ];
    for code in refused {
        let (mut cpu, mut memory) = machine_with(code);
        refuses(&mut cpu, &mut memory, Trap::GeneralProtection);
    }
}

#[test]
fn sysret_with_the_trap_flag_traps_at_once() {
    let (mut cpu, mut memory) = machine(|a| a.nop());
    cpu.registers.rflags |= rflags::TF;
    cpu.return_by_sysret();
    assert_eq!((cpu.step(&mut memory), cpu.registers.rip), (Err(Trap::Debug), CODE));
    assert_eq!((cpu.step(&mut memory), cpu.registers.rip), (Err(Trap::Debug), CODE + 1));
    cpu.registers.rflags &= !rflags::TF;
    cpu.registers.rip = CODE;
    cpu.return_by_sysret();
    steps(&mut cpu, &mut memory, 1);
}

#[test]
fn what_is_not_implemented_says_so() {
    for (code, mnemonic) in [
        (&[0x0F, 0xA2][..], Mnemonic::Cpuid),
        (&[0xD9, 0xC0], Mnemonic::Fld),
        (&[0x0F, 0xFC, 0xC1], Mnemonic::Paddb),
        (&[0x66, 0x0F, 0x38, 0x00, 0xC1], Mnemonic::Pshufb),
    ] {
        let (mut cpu, mut memory) = machine_with(code);
        refuses(&mut cpu, &mut memory, Trap::Unimplemented { mnemonic, rip: CODE });
    }
}

#[test]
fn addresses_outside_the_canonical_ones() {
    let (mut cpu, mut memory) = machine(|a| a.mov(rax, qword_ptr(rbx)));
    cpu.registers[Gpr::Rbx] = (1 << 47) - 4;
    refuses(&mut cpu, &mut memory, Trap::GeneralProtection);
    cpu.registers.rip = 1 << 47;
    refuses(&mut cpu, &mut memory, Trap::GeneralProtection);
}

#[test]
fn of_two_strings_that_cannot_be_compared_the_second_faults() {
    let (mut cpu, mut memory) = machine(|a| a.cmpsb());
    (cpu.registers[Gpr::Rsi], cpu.registers[Gpr::Rdi]) = (1 << 47, DATA + 4096);
    refuses(&mut cpu, &mut memory, Trap::Fault(Fault(DATA + 4096)));
}

#[test]
fn an_access_across_the_last_address_goes_on_at_the_first() {
    let (mut cpu, mut memory) = machine(|a| a.mov(rax, qword_ptr(rbx)));
    cpu.registers[Gpr::Rbx] = u64::MAX - 1;
    refuses(&mut cpu, &mut memory, Trap::Fault(Fault(u64::MAX - 1)));
    let (mut cpu, mut memory) = machine(|a| a.push(rax));
    cpu.registers[Gpr::Rsp] = 4;
    refuses(&mut cpu, &mut memory, Trap::Fault(Fault(4u64.wrapping_sub(8))));
}

#[test]
fn the_stack_segment_is_that_of_rsp_and_rbp() {
    for (code, trap) in [
        // mov rax, [rbp]; and with the prefix of DS.
        (&[0x48, 0x8B, 0x45, 0x00][..], Trap::StackFault),
        (&[0x3E, 0x48, 0x8B, 0x45, 0x00], Trap::StackFault),
        // mov rax, fs:[rbp]; mov rax, ss:[rbx].
        (&[0x64, 0x48, 0x8B, 0x45, 0x00], Trap::GeneralProtection),
        (&[0x36, 0x48, 0x8B, 0x03], Trap::GeneralProtection),
    ] {
        let (mut cpu, mut memory) = machine_with(code);
        (cpu.registers[Gpr::Rbp], cpu.registers[Gpr::Rbx]) = (1 << 47, 1 << 47);
        refuses(&mut cpu, &mut memory, trap);
    }
}

#[test]
fn a_pause_of_r8_is_an_exchange() {
    for (code, exchanged) in [(&[0xF3, 0x90][..], false), (&[0xF3, 0x48, 0x90], false), (&[0xF3, 0x49, 0x90], true)] {
        let (mut cpu, mut memory) = machine_with(code);
        (cpu.registers[Gpr::Rax], cpu.registers[Gpr::R8]) = (1, 2);
        steps(&mut cpu, &mut memory, 1);
        assert_eq!(cpu.registers[Gpr::Rax], if exchanged { 2 } else { 1 });
        assert_eq!(cpu.registers.rip, CODE + code.len() as u64);
    }
}

#[test]
fn an_access_across_pages_faults_where_the_second_begins() {
    let end = DATA + 4096;
    let (mut cpu, mut memory) = machine(|a| a.add(qword_ptr(rbx), rax));
    cpu.registers[Gpr::Rbx] = end - 3;
    cpu.registers[Gpr::Rax] = u64::MAX;
    refuses(&mut cpu, &mut memory, Trap::Fault(Fault(end)));
    let (mut cpu, mut memory) = machine(|a| a.movups(xmmword_ptr(rbx), xmm0));
    cpu.registers[Gpr::Rbx] = end - 15;
    cpu.registers.xmm[0] = u128::MAX;
    refuses(&mut cpu, &mut memory, Trap::Fault(Fault(end)));
    memory.map(end);
    steps(&mut cpu, &mut memory, 1);
    assert_eq!((memory.quad(end - 8), memory.quad(end)), (u64::MAX, 0xFF));
}
