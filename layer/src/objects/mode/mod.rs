//! The mode of a CPU: the checks that most primitives begin with (reference, section 4.0).
pub mod spec;

use crate::core::machine::Machine;
use crate::core::state::{Cpu, OwnGhost};
use crate::core::stuck::{Stuck, require};
use domain::{Flag, Ghost};

impl<M: Machine> Cpu<'_, M> {
    #[inline(always)]
    #[track_caller]
    fn mode(&self, holds: impl Fn(&OwnGhost<M>) -> bool, or: Stuck) -> Result<(), Stuck> {
        require(self.own.ghost.check(holds), or)
    }

    /// HK: kernel mode, `ikern ∧ ihost`.
    #[inline(always)]
    #[track_caller]
    pub fn require_hk(&self) -> Result<(), Stuck> {
        self.mode(|g| g.ikern.holds() && g.ihost.holds(), Stuck::NotKernelMode)
    }

    /// HKP: kernel mode with paging on.
    #[inline(always)]
    #[track_caller]
    pub fn require_hkp(&self) -> Result<(), Stuck> {
        self.mode(|g| g.ikern.holds() && g.ihost.holds() && g.pg.holds(), Stuck::NotPaging)
    }

    /// HKPT: kernel mode with paging on, on the kernel's page map.
    #[inline(always)]
    #[track_caller]
    pub fn require_hkpt(&self) -> Result<(), Stuck> {
        // Equivalent mutants (flag: true): while the kernel's page map is in use, the CPU is in kernel mode (H3); the
        // mutants of the other flags of the line are killed.
        self.mode(|g| g.ikern.holds() && g.ihost.holds() && g.pg.holds() && g.ipt.holds(), Stuck::NotKernelMap)
    }

    /// `sched_init` has run.
    #[inline(always)]
    #[track_caller]
    pub fn require_init(&self) -> Result<(), Stuck> {
        self.mode(|g| g.init.holds(), Stuck::NotInit)
    }
}
