//! The interrupt flag: primitives 50 and 51.
pub mod spec;

use crate::core::machine::Machine;
use crate::core::state::Cpu;
use crate::core::stuck::Stuck;

/// 50 `cli()`: turns interrupts of this CPU off.
///
/// # Errors
/// [`Stuck::NotKernelMode`], [`Stuck::NotInit`].
#[inline]
pub fn cli<M: Machine>(cpu: &mut Cpu<'_, M>) -> Result<(), Stuck> {
    cpu.require_hk()?;
    cpu.require_init()?;
    cpu.own.intr_flag = false.into();
    Ok(())
}

/// 51 `sti()`: turns interrupts of this CPU on.
///
/// # Errors
/// [`Stuck::NotKernelMode`], [`Stuck::NotInit`].
#[inline]
pub fn sti<M: Machine>(cpu: &mut Cpu<'_, M>) -> Result<(), Stuck> {
    cpu.require_hk()?;
    cpu.require_init()?;
    cpu.own.intr_flag = true.into();
    Ok(())
}
