//! Resource containers: primitives 13 to 16.
pub mod spec;

use crate::core::constants::{MAX_CHILDREN, NUM_ID};
use crate::core::fields::{Charge, Container, Containers};
use crate::core::machine::Machine;
use crate::core::state::Cpu;
use crate::core::stuck::{Stuck, require};
use domain::{Flag, Map, Nat, Storage};

/// The container `i`, which must be in use.
#[inline(always)]
#[track_caller]
fn used<M: Machine>(cpu: &Cpu<'_, M>, i: M::Word) -> Result<Container<M>, Stuck> {
    cpu.require_hk()?;
    require(i < NUM_ID, Stuck::NoContainer)?;
    let container = cpu.own.ac.get([i]);
    require(container.used.holds(), Stuck::NoContainer)?;
    Ok(container)
}

/// 13 `container_get_nchildren(i) -> u32`: the number of children that container `i` has had.
///
/// # Errors
/// [`Stuck::NotKernelMode`], [`Stuck::NoContainer`].
#[inline(always)]
pub fn container_get_nchildren<M: Machine>(cpu: &Cpu<'_, M>, i: M::Word) -> Result<M::Word, Stuck> {
    Ok(used(cpu, i)?.nchildren)
}

/// 14 `container_get_quota(i) -> u32`: the number of pages that container `i` may use.
///
/// # Errors
/// [`Stuck::NotKernelMode`], [`Stuck::NoContainer`].
#[inline(always)]
pub fn container_get_quota<M: Machine>(cpu: &Cpu<'_, M>, i: M::Word) -> Result<M::Word, Stuck> {
    Ok(used(cpu, i)?.quota)
}

/// 15 `container_get_usage(i) -> u32`: the number of pages that container `i` uses, including its children's quotas.
///
/// # Errors
/// [`Stuck::NotKernelMode`], [`Stuck::NoContainer`].
#[inline(always)]
pub fn container_get_usage<M: Machine>(cpu: &Cpu<'_, M>, i: M::Word) -> Result<M::Word, Stuck> {
    Ok(used(cpu, i)?.usage)
}

/// 16 `container_can_consume(i, n) -> 0|1`: 1 iff container `i` has `n` pages left.
///
/// # Errors
/// [`Stuck::NotKernelMode`], [`Stuck::NoContainer`].
#[inline(always)]
pub fn container_can_consume<M: Machine>(cpu: &Cpu<'_, M>, i: M::Word, n: M::Word) -> Result<M::Word, Stuck> {
    let container = used(cpu, i)?;
    Ok(if n <= container.quota - container.usage { 1.into() } else { 0.into() })
}

/// The sum of the quotas of container `i`'s children.
#[track_caller]
fn children_quota<M: Machine>(ac: &<M as Storage<Containers>>::Map, i: M::Word, container: Container<M>) -> M::Nat {
    let mut sum = M::Nat::zero();
    for k in 0..MAX_CHILDREN {
        let child = i * MAX_CHILDREN + 1 + k;
        // Ids beyond the last one are not containers.
        if container.nchildren <= k || child >= NUM_ID {
            break;
        }
        sum = sum + M::Nat::from(ac.get([child]).quota);
    }
    sum
}

/// The usage of container `i` is its own charge plus its children's quotas (D10).
#[track_caller]
pub(crate) fn is_accounted<M: Machine>(ac: &<M as Storage<Containers>>::Map, i: M::Word, charge: Charge<M>) -> bool {
    let container = ac.get([i]);
    M::Nat::from(container.usage) == M::Nat::from(charge.pages) + children_quota::<M>(ac, i, container)
}
