//! VT-x's instructions. Each says by CF or ZF whether it has failed.

use core::arch::asm;

/// An instruction of VT-x has failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed;

/// An instruction whose operand is the physical address of a page.
macro_rules! on_page {
    ($($(#[$meta:meta])* $name:ident $instruction:literal;)*) => {
        $(
            $(#[$meta])*
            pub unsafe fn $name(page: u64) -> Result<(), Failed> {
                let done: u8;
                // SAFETY: the caller vouches for the page.
                unsafe { asm!(concat!($instruction, " [{}]"), "seta {}", in(reg) &page, out(reg_byte) done, options(nostack)) };
                if done == 1 { Ok(()) } else { Err(Failed) }
            }
        )*
    };
}

on_page! {
    /// Turns VT-x on.
    ///
    /// # Safety
    /// CR0 and CR4 are as VT-x demands. The page is this CPU's, and nothing else uses it from now on.
    vmxon "vmxon";
    /// Initialises a VMCS.
    ///
    /// # Safety
    /// VT-x is on. The page is this CPU's VMCS, with the processor's revision.
    vmclear "vmclear";
    /// Makes a VMCS the current one.
    ///
    /// # Safety
    /// As for [`vmclear`], and nothing but VT-x's instructions uses the page from now on.
    vmptrld "vmptrld";
}

/// The value of a field of the current VMCS, or `None` if the processor has no such field.
///
/// # Safety
/// VT-x is on.
pub unsafe fn vmread(encoding: u32) -> Option<u64> {
    let (value, done): (u64, u8);
    // SAFETY: the caller vouches that the instruction exists. It changes nothing but its operand.
    unsafe {
        asm!("vmread {value}, {encoding}", "seta {done}", value = out(reg) value, encoding = in(reg) u64::from(encoding),
            done = out(reg_byte) done, options(nomem, nostack));
    }
    (done == 1).then_some(value)
}

/// The value of a field that every processor with VT-x has: the instruction does not fail.
///
/// # Safety
/// VT-x is on, with a current VMCS.
#[inline(always)]
pub unsafe fn vmread_known(encoding: u32) -> u64 {
    let value: u64;
    // SAFETY: as in `vmread`.
    unsafe {
        asm!("vmread {value}, {encoding}", value = out(reg) value, encoding = in(reg) u64::from(encoding),
            options(nomem, nostack));
    }
    value
}

/// Stores a field of the current VMCS.
///
/// # Safety
/// VT-x is on. The field's new value does not let a guest reach the host.
pub unsafe fn vmwrite(encoding: u32, value: u64) -> Result<(), Failed> {
    let done: u8;
    // SAFETY: the caller vouches that the instruction exists, and for the value.
    unsafe {
        asm!("vmwrite {encoding}, {value}", "seta {done}", value = in(reg) value, encoding = in(reg) u64::from(encoding),
            done = out(reg_byte) done, options(nomem, nostack));
    }
    if done == 1 { Ok(()) } else { Err(Failed) }
}

/// The kind of [`invept`] and [`invvpid`] that forgets all translations of all guests.
const ALL_EPTS: u64 = 2;
const ALL_VPIDS: u64 = 2;

/// Forgets every translation that nested page tables take part in.
///
/// # Safety
/// VT-x is on, and the processor has this instruction with this kind.
pub unsafe fn invept() {
    // SAFETY: the caller vouches for the instruction. It only makes the processor read tables again.
    unsafe { asm!("invept {}, [{}]", in(reg) ALL_EPTS, in(reg) &[0u64; 2], options(nostack)) };
}

/// Forgets every translation of a guest's own page tables.
///
/// # Safety
/// As for [`invept`].
pub unsafe fn invvpid() {
    // SAFETY: as for `invept`.
    unsafe { asm!("invvpid {}, [{}]", in(reg) ALL_VPIDS, in(reg) &[0u64; 2], options(nostack)) };
}
