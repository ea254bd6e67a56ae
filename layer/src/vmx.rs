//! VMX capabilities: primitive 1.
use crate::constants::VMXINFO_SIZE;
use crate::machine::Machine;
use crate::state::Cpu;
use crate::stuck::Stuck;
use domain::Map;

/// 1 `vmxinfo_get(i) -> u32`: capability word `i`; 0 before `sched_init` and for indices without a word.
///
/// # Errors
/// [`Stuck::NotKernelMode`].
#[inline]
pub fn vmxinfo_get<M: Machine>(cpu: &Cpu<'_, M>, i: M::Word) -> Result<M::Word, Stuck> {
    cpu.require_hk()?;
    Ok(if i < VMXINFO_SIZE { cpu.own.vmxinfo.get([i]).value } else { 0.into() })
}
