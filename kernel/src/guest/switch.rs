//! The way into a guest and back: switch.s.

use super::registers::{FPU_AT, RCX_AT, Registers, SAVED_AT};
use super::vtx::HOST_RSP;
use crate::cpu::context::MXCSR_DEFAULT;
use core::arch::global_asm;

global_asm!(
    include_str!("switch.s"),
    saved = const SAVED_AT,
    rcx = const RCX_AT,
    fpu = const FPU_AT,
    host_rsp = const HOST_RSP,
    mxcsr = const MXCSR_DEFAULT,
);

unsafe extern "C" {
    /// Enters the guest of the current VMCS with these registers, by `vmresume` if `resume` is 1 and by `vmlaunch` if
    /// it is 0, and returns when the guest has exited, with its registers in the area. The result is 0. If the entry
    /// failed, the area is unchanged, and the result is 2 if the VMCS has the error's number, and 1 if it does not.
    ///
    /// # Safety
    /// This CPU's VMCS is current and describes this host, with [`vtx_exit_address`] as its RIP and the other registers
    /// as they are now. The guest's controls let it reach nothing of the host's.
    pub(super) fn vtx_switch(registers: *mut Registers, resume: u32) -> u64;

    /// Enters the guest of the VMCB at this physical address, and returns when the guest has exited. Registers that
    /// neither has are in the area, except for RAX.
    ///
    /// # Safety
    /// SVM is on, with a host save area. The VMCB's controls let the guest reach nothing of the host's. `host` is the
    /// physical address of a page that nothing else uses.
    pub(super) fn svm_switch(registers: *mut Registers, vmcb: u64, host: u64);
}

/// The address at which the host continues when a guest exits under VT-x.
pub fn vtx_exit_address() -> u64 {
    unsafe extern "C" {
        fn vtx_exit();
    }
    vtx_exit as *const () as u64
}
