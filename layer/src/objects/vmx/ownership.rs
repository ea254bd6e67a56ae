//! The process that the virtual machine of a CPU belongs to: primitives 77 to 79. They are additions of this layer, for
//! the layer above.
//!
//! A CPU has one virtual machine at a time. A process claims it, and it belongs to the process until the process
//! releases it or ends. Nothing of one guest is left for the next.
use super::ept::unmap_all;
use super::vmcs::FIELDS;
use super::{set_field, vmx_init};
use crate::core::call::{Answer, Call};
use crate::core::fields::{Slot, SlotKind};
use crate::core::machine::Machine;
use crate::core::state::Cpu;
use crate::core::stuck::{Stuck, require};
use domain::{Ghost, Map, Wide};

/// 77 `vmx_claim()`: the virtual machine of this CPU, which belongs to nobody, belongs to the running thread's process
/// from now on. It is as after [`vmx_init`], and every value that [`vmx_init`] leaves alone is 0.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::Owned`] if it belongs to a process.
#[inline]
pub fn vmx_claim<M: Machine>(cpu: &mut Cpu<'_, M>) -> Result<(), Stuck> {
    M::call(
        cpu,
        || Call::new("vmx_claim", []),
        Answer::unit,
        |cpu| {
            cpu.require_hkpt()?;
            cpu.require_init()?;
            require(cpu.own.vm.owner == 0, Stuck::Owned)?;
            let zero = M::Wide::constant(0);
            for row in FIELDS {
                set_field(cpu, (row.field as u32).into(), zero);
            }
            cpu.own.vmx.define(move |_| Slot { value: zero });
            cpu.own.ghost.update(|g| g.vmx_kind.define(|_| SlotKind::Int));
            vmx_init(cpu, 0.into())?;
            cpu.own.vm.owner = cpu.own.cur;
            Ok(())
        },
    )
}

/// 78 `vmx_release()`: the virtual machine of this CPU belongs to nobody, and maps no memory any more.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`].
#[inline]
pub fn vmx_release<M: Machine>(cpu: &mut Cpu<'_, M>) -> Result<(), Stuck> {
    M::call(
        cpu,
        || Call::new("vmx_release", []),
        Answer::unit,
        |cpu| {
            cpu.require_hkpt()?;
            cpu.require_init()?;
            unmap_all(&mut cpu.own);
            cpu.own.vm.set_up = false.into();
            cpu.own.vm.owner = 0.into();
            Ok(())
        },
    )
}

/// 79 `vmx_owner() -> thread`: the thread whose process the virtual machine of this CPU belongs to; 0 if it belongs to
/// none.
///
/// # Errors
/// [`Stuck::NotKernelMode`].
#[inline]
pub fn vmx_owner<M: Machine>(cpu: &Cpu<'_, M>) -> Result<M::Word, Stuck> {
    cpu.require_hk()?;
    Ok(cpu.own.vm.owner)
}
