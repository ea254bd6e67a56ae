//! The guest's registers that neither control structure holds.

use crate::cpu::context::FpuArea;
#[cfg(feature = "image")]
use crate::cpu::registers::DEBUG_OFF;
#[cfg(feature = "image")]
use core::arch::asm;
use core::mem::offset_of;
use layer::core::constants::SAVED;

/// The registers that the switch loads and saves, at offsets that switch.s knows.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Registers {
    /// The registers of the layer's [`SAVED`], in its order: RAX, RBX, RDX, RSI, RDI, RBP, R8 to R15.
    pub saved: [u64; SAVED.len()],
    /// RCX.
    pub rcx: u64,
    /// Floating-point and SSE registers.
    pub fpu: FpuArea,
    /// CR2.
    pub cr2: u64,
    /// DR0 to DR3.
    pub breakpoints: [u64; 4],
    /// DR6.
    pub dr6: u64,
}

/// Offset of [`Registers::saved`].
pub const SAVED_AT: usize = offset_of!(Registers, saved);
/// Offset of [`Registers::rcx`].
pub const RCX_AT: usize = offset_of!(Registers, rcx);
/// Offset of [`Registers::fpu`].
pub const FPU_AT: usize = offset_of!(Registers, fpu);

impl Registers {
    /// Registers with which a virtual processor begins.
    pub const RESET: Registers = Registers {
        saved: [0; SAVED.len()],
        rcx: 0,
        fpu: FpuArea::new(),
        cr2: 0,
        breakpoints: [0; 4],
        dr6: 0xFFFF_0FF0,
    };

    /// The registers that the layer's entry and exit leave to the machine: RCX, CR2, DR0 to DR3, DR6.
    pub fn machines(&mut self) -> [&mut u64; 7] {
        let [dr0, dr1, dr2, dr3] = &mut self.breakpoints;
        [&mut self.rcx, &mut self.cr2, dr0, dr1, dr2, dr3, &mut self.dr6]
    }
}

// fxsave needs 16 bytes of alignment.
const _: () = assert!(FPU_AT.is_multiple_of(16) && align_of::<Registers>() >= 16);

/// The debug registers, of which the host uses none.
#[cfg(feature = "image")]
impl Registers {
    /// Loads DR0 to DR3.
    pub(super) fn load_breakpoints(&self) {
        let [dr0, dr1, dr2, dr3] = self.breakpoints;
        // SAFETY: while DR7 enables no breakpoint, which it never does in the host, these registers have no effect.
        unsafe {
            asm!("mov dr0, {0}", "mov dr1, {1}", "mov dr2, {2}", "mov dr3, {3}",
                in(reg) dr0, in(reg) dr1, in(reg) dr2, in(reg) dr3, options(nomem, nostack, preserves_flags));
        }
    }

    /// Saves DR0 to DR3, and makes sure that none of them stops the host.
    pub(super) fn save_breakpoints(&mut self) {
        let (dr0, dr1, dr2, dr3): (u64, u64, u64, u64);
        // SAFETY: it only reads registers, and removes breakpoints.
        unsafe {
            asm!("mov {0}, dr0", "mov {1}, dr1", "mov {2}, dr2", "mov {3}, dr3", "mov dr7, {4}",
                out(reg) dr0, out(reg) dr1, out(reg) dr2, out(reg) dr3, in(reg) DEBUG_OFF,
                options(nomem, nostack, preserves_flags));
        }
        self.breakpoints = [dr0, dr1, dr2, dr3];
    }
}
