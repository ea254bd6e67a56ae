//! The last page fault: primitives 59 and 60.
pub mod spec;

use crate::core::machine::Machine;
use crate::core::state::Cpu;
use crate::core::stuck::Stuck;

/// 59 `trap_get() -> address`: the exact address of the last page fault (P19), in the hardware's full width (P45).
///
/// # Errors
/// None: it has no precondition.
#[inline]
pub fn trap_get<M: Machine>(cpu: &Cpu<'_, M>) -> Result<M::Wide, Stuck> {
    Ok(cpu.own.ti.addr)
}

/// 60 `trap_set() -> address`: the instruction of the last page fault, at which the program continues.
///
/// # Errors
/// None: every address is an integer here.
#[inline]
pub fn trap_set<M: Machine>(cpu: &Cpu<'_, M>) -> Result<M::Wide, Stuck> {
    Ok(cpu.own.ti.ra)
}
