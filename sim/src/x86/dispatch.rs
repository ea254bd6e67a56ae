//! Dispatch of an instruction to the group that executes it.

use super::execution::Execution;
use super::memory::{Bus, Size};
use super::registers::Gpr::{R11, Rcx};
use super::registers::rflags::{CF, DF, OF, ONE, RF, ZF};
use super::string::Operation;
use super::trap::{Result, Step, Trap};
use super::{alu, bits, flags, shift};
use iced_x86::{Code, EncodingKind, Mnemonic, Register};

impl<B: Bus> Execution<'_, B> {
    /// Executes the instruction.
    pub(super) fn run(&mut self) -> Result<Step, B::Fault> {
        match self.instruction.mnemonic() {
            Mnemonic::Syscall => {
                self.registers[Rcx] = self.next;
                self.registers[R11] = self.registers.rflags & !RF | ONE;
                return Ok(Step::SystemCall);
            }
            // The other vectors are reserved for the kernel.
            Mnemonic::Int if self.instruction.immediate8() == 3 => {
                self.registers.rip = self.next;
                return Err(Trap::Breakpoint);
            }
            Mnemonic::Int => return Err(Trap::ClosedGate(self.instruction.immediate8())),
            Mnemonic::Int3 => {
                self.registers.rip = self.next;
                return Err(Trap::Breakpoint);
            }
            Mnemonic::Int1 => {
                self.registers.rip = self.next;
                return Err(Trap::Debug);
            }
            _ => {}
        }
        self.general().map(|()| Step::Next)
    }

    /// Executes a general instruction, that is, not a system call.
    fn general(&mut self) -> Result<(), B::Fault> {
        use Mnemonic::*;
        let borrow = |a, b, carry, size| flags::subtract(a, b, carry, size);
        let carry = |a, b, carry, size| flags::add(a, b, carry, size);
        match self.instruction.mnemonic() {
            Mov | Movzx | Movnti => self.ordinary_copy(),
            Movsx | Movsxd => self.copy_signed(),
            Lea => self.load_address(),
            Xchg => self.exchange(),
            Xadd => self.exchange_add(),
            Cmpxchg => self.compare_exchange(),
            Cmpxchg8b => self.compare_exchange_8(),
            Cmpxchg16b => self.compare_exchange_16(),
            Xlatb => self.translate(),
            Lahf => self.flags_to_ah(),
            Sahf => self.ah_to_flags(),
            Cbw => self.widen(Register::AL, Register::AX, Size::Byte),
            Cwde => self.widen(Register::AX, Register::EAX, Size::Word),
            Cdqe => self.widen(Register::EAX, Register::RAX, Size::Double),
            Cwd => self.spread_sign(Register::AX, Register::DX, Size::Word),
            Cdq => self.spread_sign(Register::EAX, Register::EDX, Size::Double),
            Cqo => self.spread_sign(Register::RAX, Register::RDX, Size::Quad),
            Cmova | Cmovae | Cmovb | Cmovbe | Cmove | Cmovg | Cmovge | Cmovl | Cmovle | Cmovne | Cmovno | Cmovnp
            | Cmovns | Cmovo | Cmovp | Cmovs => self.copy_if(self.condition()),
            Seta | Setae | Setb | Setbe | Sete | Setg | Setge | Setl | Setle | Setne | Setno | Setnp | Setns | Seto
            | Setp | Sets => self.set_if(self.condition()),

            Add => self.binary(alu::add),
            Adc => self.binary(carry),
            Sub => self.binary(alu::subtract),
            Sbb => self.binary(borrow),
            And => self.binary(alu::and),
            Or => self.binary(alu::or),
            Xor => self.binary(alu::xor),
            Cmp => self.compare(alu::subtract),
            Test => self.compare(alu::and),
            Inc => self.step_by_one(alu::add),
            Dec => self.step_by_one(alu::subtract),
            Neg => self.negate(),
            Not => self.complement(),
            Mul => self.multiply(),
            Imul => self.multiply_signed(),
            Div => self.divide(),
            Idiv => self.divide_signed(),

            Shl | Sal => self.shift(shift::left),
            Shr => self.shift(shift::right),
            Sar => self.shift(shift::arithmetic_right),
            Rol => self.shift(shift::rotate_left),
            Ror => self.shift(shift::rotate_right),
            Rcl => self.shift(shift::rotate_left_carry),
            Rcr => self.shift(shift::rotate_right_carry),
            Shld => self.shift_left_double(),
            Shrd => self.shift_right_double(),

            Bt => self.bit_test(None),
            Bts => self.bit_test(Some(|word, mask| word | mask)),
            Btr => self.bit_test(Some(|word, mask| word & !mask)),
            Btc => self.bit_test(Some(|word, mask| word ^ mask)),
            Bsf => self.bit_scan(u64::trailing_zeros),
            Bsr => self.bit_scan(|value| 63 - value.leading_zeros()),
            Tzcnt => self.count_zeros(bits::trailing_zeros),
            Lzcnt => self.count_zeros(bits::leading_zeros),
            Popcnt => self.count_ones(),
            Bswap => self.swap_bytes(),

            Push if self.has_plain_operand() => self.push(),
            Push => self.push_segment(),
            Pop if self.has_plain_operand() => self.pop(),
            Pop => self.pop_segment(),
            Lss | Lfs | Lgs => self.load_far_pointer(),
            Lar | Lsl | Verr | Verw => self.ask_about_selector(),
            Pushfq => self.push_flags(Size::Quad),
            Pushf => self.push_flags(Size::Word),
            Popfq => self.pop_flags(Size::Quad),
            Popf => self.pop_flags(Size::Word),
            Enter => self.enter(),
            Leave => self.leave(),

            Jmp if self.is_far() => self.jump_far(),
            Call if self.is_far() => self.call_far(),
            Retf => self.return_far(),
            Iret | Iretd | Iretq => self.return_from_interrupt(),
            Jmp | Ja | Jae | Jb | Jbe | Je | Jg | Jge | Jl | Jle | Jne | Jno | Jnp | Jns | Jo | Jp | Js => {
                self.jump_if(self.condition())
            }
            Call => self.call(),
            Ret => self.return_near(),
            Loop => self.count_down(true),
            Loope => self.count_down(self.registers.flag(ZF)),
            Loopne => self.count_down(!self.registers.flag(ZF)),
            Jrcxz | Jecxz => self.jump_if_zero_count(),

            Movsb => self.string(Operation::Move, Size::Byte),
            Movsw => self.string(Operation::Move, Size::Word),
            Movsq => self.string(Operation::Move, Size::Quad),
            Stosb => self.string(Operation::Store, Size::Byte),
            Stosw => self.string(Operation::Store, Size::Word),
            Stosd => self.string(Operation::Store, Size::Double),
            Stosq => self.string(Operation::Store, Size::Quad),
            Lodsb => self.string(Operation::Load, Size::Byte),
            Lodsw => self.string(Operation::Load, Size::Word),
            Lodsd => self.string(Operation::Load, Size::Double),
            Lodsq => self.string(Operation::Load, Size::Quad),
            Cmpsb => self.string(Operation::Compare, Size::Byte),
            Cmpsw => self.string(Operation::Compare, Size::Word),
            Cmpsq => self.string(Operation::Compare, Size::Quad),
            Scasb => self.string(Operation::Scan, Size::Byte),
            Scasw => self.string(Operation::Scan, Size::Word),
            Scasd => self.string(Operation::Scan, Size::Double),
            Scasq => self.string(Operation::Scan, Size::Quad),
            // SSE has these mnemonics too.
            Movsd if self.instruction.code() == Code::Movsd_m32_m32 => self.string(Operation::Move, Size::Double),
            Cmpsd if self.instruction.code() == Code::Cmpsd_m32_m32 => self.string(Operation::Compare, Size::Double),

            Clc => self.change_flags(CF, 0),
            Stc => self.change_flags(CF, CF),
            Cmc => self.change_flags(CF, !self.registers.rflags),
            Cld => self.change_flags(DF, 0),
            Std => self.change_flags(DF, DF),

            Adcx => self.add_with(CF),
            Adox => self.add_with(OF),
            Movbe => self.copy_swapped(),

            Clflush | Clflushopt | Clwb => self.touch(),
            Nop | Reservednop | Pause | Endbr64 | Lfence | Mfence | Sfence | Prefetchnta | Prefetcht0 | Prefetcht1
            | Prefetcht2 | Prefetchw | Wait => self.nothing(),
            Ud0 | Ud1 | Ud2 | INVALID => Err(Trap::InvalidOpcode),
            // An invalid opcode in 64-bit mode, as on AMD's processors. Intel's processors raise a
            // general-protection exception.
            Sysenter | Sysexit | Sysexitq => Err(Trap::InvalidOpcode),
            // Features that the kernel has not enabled, and instructions that are invalid outside of ring 0 or of
            // virtualisation modes.
            Rdfsbase | Rdgsbase | Wrfsbase | Wrgsbase | Xgetbv | Xsetbv | Xsave | Xsave64 | Xsavec | Xsavec64
            | Xsaveopt | Xsaveopt64 | Xsaves | Xsaves64 | Xrstor | Xrstor64 | Xrstors | Xrstors64 | Rdpkru | Wrpkru
            | Clac | Stac | Rsm | Monitor | Mwait | Vmcall | Vmmcall | Vmlaunch | Vmresume | Vmxoff | Vmrun
            | Vmload | Vmsave | Stgi | Clgi | Skinit | Invlpga => Err(Trap::InvalidOpcode),
            Hlt | Cli | Sti | In | Out | Insb | Insw | Insd | Outsb | Outsw | Outsd | Rdmsr | Wrmsr | Rdpmc | Lgdt
            | Lidt | Lldt | Ltr | Lmsw | Clts | Invd | Wbinvd | Wbnoinvd | Invlpg | Swapgs | Sysret | Sysretq
            | Rdtsc | Rdtscp | Sgdt | Sidt | Sldt | Str | Smsw => self.privileged(),
            _ if self.instruction.code().encoding() == EncodingKind::VEX => self.vex(),
            _ => self.sse(),
        }
    }

    /// `mov` and `movzx`, except with registers that only the kernel may use.
    fn ordinary_copy(&mut self) -> Result<(), B::Fault> {
        let system = |register: Register| register.is_cr() || register.is_dr() || register.is_tr();
        if system(self.instruction.op0_register()) || system(self.instruction.op1_register()) {
            return self.privileged();
        }
        if self.is_segment(0) || self.is_segment(1) {
            return self.copy_segment();
        }
        self.copy()
    }

    /// A privileged instruction.
    fn privileged(&self) -> Result<(), B::Fault> {
        Err(Trap::GeneralProtection)
    }

    fn change_flags(&mut self, mask: u64, flags: u64) -> Result<(), B::Fault> {
        self.registers.set_flags(mask, flags);
        Ok(())
    }

    /// An instruction without visible effects. `wait` is one as long as there is no x87.
    fn nothing(&mut self) -> Result<(), B::Fault> {
        Ok(())
    }

    /// An instruction on a cache line. It has no visible effect, but needs permission to load from there.
    fn touch(&mut self) -> Result<(), B::Fault> {
        let address = self.address()?;
        self.load(address, Size::Byte).map(drop)
    }

    /// Executes an SSE instruction. Any other instruction is an invalid opcode, or not implemented.
    fn sse(&mut self) -> Result<(), B::Fault> {
        let mnemonic = self.instruction.mnemonic();
        if let Some(result) = self.sse_move(mnemonic) {
            return result;
        }
        if let Some(result) = self.sse_integer(mnemonic) {
            return result;
        }
        if let Some(result) = self.sse_shuffle(mnemonic) {
            return result;
        }
        if let Some(result) = self.sse_float(mnemonic) {
            return result;
        }
        if let Some(result) = self.sse_convert(mnemonic) {
            return result;
        }
        if self.is_absent() { Err(Trap::InvalidOpcode) } else { self.unimplemented() }
    }
}
