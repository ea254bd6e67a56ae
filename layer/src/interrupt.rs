//! The interrupt flag: primitives 50 and 51.
use crate::machine::Machine;
use crate::state::Cpu;
use crate::stuck::Stuck;

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
