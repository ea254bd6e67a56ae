//! The part of a user thread that the kernel keeps while the thread does not run: its user context and its
//! floating-point state.

use core::mem::offset_of;

/// Slots of a user context: the reference's 17 (`U_EDI` … `U_SS`), then R8 to R15.
pub const SLOTS: usize = 25;

/// Index of each register in a user context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Slot {
    /// RDI.
    Edi = 0,
    /// RSI.
    Esi = 1,
    /// RBP.
    Ebp = 2,
    /// The reference's second stack pointer; no stub reads or writes it.
    Oesp = 3,
    /// RBX.
    Ebx = 4,
    /// RDX.
    Edx = 5,
    /// RCX, as it was at the last gate: the `syscall` instruction destroys it.
    Ecx = 6,
    /// RAX.
    Eax = 7,
    /// ES; the user data segment since the last gate.
    Es = 8,
    /// DS; like ES.
    Ds = 9,
    /// Vector of the last gate through which the thread entered the kernel; `syscall` does not change it or the
    /// selectors.
    Trapno = 10,
    /// Error code of the exception at that gate; 0 if it has none.
    Err = 11,
    /// RIP.
    Eip = 12,
    /// CS; the user code segment since the last gate.
    Cs = 13,
    /// RFLAGS.
    Eflags = 14,
    /// RSP.
    Esp = 15,
    /// SS; like ES.
    Ss = 16,
    /// R8; R9 to R15 follow.
    R8 = 17,
    /// R9.
    R9 = 18,
    /// R10: argument 3 of a system call.
    R10 = 19,
    /// R11; like RCX.
    R11 = 20,
    /// R12.
    R12 = 21,
    /// R13.
    R13 = 22,
    /// R14.
    R14 = 23,
    /// R15.
    R15 = 24,
}

impl Slot {
    /// Offset of the slot in a [`UserContext`], in bytes, for the stubs.
    pub const fn offset(self) -> usize {
        offset_of!(UserContext, slots) + self as usize * size_of::<u64>()
    }
}

/// A thread's registers. The entry stubs write them and the way back to ring 3 reads them, in place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct UserContext {
    /// The general ones, indexed by [`Slot`].
    pub slots: [u64; SLOTS],
    /// The others.
    pub fpu: FpuArea,
}

/// Offset of the floating-point state in a context, for the stubs.
pub const FPU: usize = offset_of!(UserContext, fpu);

impl UserContext {
    /// The context in which every program starts: all general registers are 0.
    pub const fn new() -> UserContext {
        UserContext { slots: [0; SLOTS], fpu: FpuArea::new() }
    }

    /// The value of a register.
    pub fn get(&self, slot: Slot) -> u64 {
        self.slots[slot as usize]
    }

    /// Sets a register.
    pub fn set(&mut self, slot: Slot, value: u64) {
        self.slots[slot as usize] = value;
    }
}

impl Default for UserContext {
    fn default() -> Self {
        UserContext::new()
    }
}

/// Flags that a program may set: CF, PF, AF, ZF, SF, TF, DF, OF, NT, RF, AC and ID. These are RF and the flags that
/// `popfq` changes in ring 3. Therefore `iretq`, and `sysretq`, which gets the flags that `syscall` saved, return with
/// the same flags. All other flags (I/O privilege, virtual-8086 mode) belong to the kernel.
pub const USER_FLAGS: u64 = 0x25_4DD5;
/// Bits of RFLAGS that are always set in ring 3: bit 1, and IF, because interrupts end a program's time slice.
pub const FLAGS_FIXED: u64 = 0x202;

/// The flags with which a thread returns to ring 3 when its context holds `flags`.
pub const fn user_flags(flags: u64) -> u64 {
    flags & USER_FLAGS | FLAGS_FIXED
}

/// Whether `rip` is a user address: one of the lower half. Returning to any other address faults in ring 0.
pub const fn is_user_rip(rip: u64) -> bool {
    rip < 1 << 47
}

/// Floating-point and SSE state in the format of `fxsave`.
///
/// The kernel is compiled with SSE and the prebuilt `core` uses it, so the stubs save this at every entry
/// into the kernel and restore it at every exit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct FpuArea {
    bytes: [u8; 512],
}

/// Value of MXCSR after reset: all exceptions masked.
pub const MXCSR_DEFAULT: u32 = 0x1F80;

impl FpuArea {
    /// The state in which every program starts: as after `fninit`, with all registers 0.
    pub const fn new() -> FpuArea {
        let mut bytes = [0; 512];
        // Control word 0x037F: all exceptions masked, extended precision.
        bytes[0] = 0x7F;
        bytes[1] = 0x03;
        let mxcsr = MXCSR_DEFAULT.to_le_bytes();
        bytes[24] = mxcsr[0];
        bytes[25] = mxcsr[1];
        FpuArea { bytes }
    }
}

impl Default for FpuArea {
    fn default() -> Self {
        FpuArea::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slots_are_the_references() {
        assert_eq!(
            [Slot::Edi, Slot::Oesp, Slot::Eax, Slot::Trapno, Slot::Eip, Slot::Ss, Slot::R8, Slot::R15]
                .map(|s| s as usize),
            [0, 3, 7, 10, 12, 16, 17, 24]
        );
        assert_eq!((Slot::Ss.offset(), FPU), (16 * 8, (SLOTS * 8).next_multiple_of(16)));
    }

    #[test]
    fn a_program_cannot_keep_a_flag_of_the_kernels() {
        const IOPL: u64 = 3 << 12;
        const VM: u64 = 1 << 17;
        const VIRTUAL_INTERRUPTS: u64 = 3 << 19;
        assert_eq!(user_flags(!0) & (IOPL | VM | VIRTUAL_INTERRUPTS), 0);
        assert_eq!(user_flags(0), 0x202, "nor be without interrupts");
        assert_eq!(user_flags(0x8D5), 0xAD7);
    }

    #[test]
    fn only_the_lower_half_is_a_user_rip() {
        assert!(is_user_rip(0x7fff_ffff_ffff));
        assert!(!is_user_rip(0x8000_0000_0000));
        assert!(!is_user_rip(crate::mm::layout::IMAGE_BASE));
    }
}
