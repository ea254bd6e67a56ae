//! Copies of a machine's state, to compare what was with what is and to go back to it.
use crate::log::Kept;
use crate::machine::Sim;
use layer::constants::TOTAL_CPU;
use layer::invariant::View;
use layer::machine::Object;
use layer::page_alloc::AllocTable;
use layer::queue::{Queue, Threads};
use layer::state::{Boot, Cpu, Own};

/// What one CPU owns and what it shares, at a moment between two primitives.
pub struct Snapshot {
    /// What the CPU owns.
    pub own: Own<Sim>,
    /// The allocation table.
    pub at: AllocTable<Sim>,
    /// The pending queues, one a CPU.
    pub pending: Vec<Queue<Sim>>,
    /// Links and ghost state of the threads.
    pub threads: Threads<Sim>,
    /// What is constant after boot.
    pub boot: Boot<Sim>,
    /// The CPU that it is, whatever its own state says.
    pub current_cpu: u32,
}

impl Snapshot {
    /// The state of this CPU and of what it shares.
    pub fn take(cpu: &Cpu<'_, Sim>) -> Self {
        let shared = cpu.shared;
        Snapshot {
            own: cpu.own.snapshot(),
            at: shared.at.inspect(0).snapshot(),
            pending: (0..TOTAL_CPU).map(|row| shared.pending.inspect(row).snapshot()).collect(),
            threads: shared.links.inspect().snapshot(),
            boot: shared.boot,
            current_cpu: cpu.own.cpu,
        }
    }

    /// Makes the CPU and what it shares as they were, their logs included.
    pub fn restore(self, cpu: &mut Cpu<'_, Sim>) {
        let shared = cpu.shared;
        cpu.own = self.own;
        *shared.at.inspect(0) = self.at;
        for (row, queue) in (0..).zip(self.pending) {
            *shared.pending.inspect(row) = queue;
        }
        *shared.links.inspect() = self.threads;
    }

    /// The log of each object, by the object's name and row, and of what the CPU owns.
    pub fn logs(&self) -> impl Iterator<Item = (&'static str, u32, &Kept)> {
        let pending = (0..).zip(&self.pending).map(|(row, queue)| (name(queue), row, &queue.log));
        [(name(&self.at), 0, &self.at.log)].into_iter().chain(pending).chain([("own", self.current_cpu, &self.own.log)])
    }

    /// The state as facts and promises read it.
    pub fn view(&self) -> View<'_, Sim> {
        View {
            own: &self.own,
            ghost: &self.own.ghost.0,
            at: &self.at,
            pending: &self.pending[self.current_cpu as usize],
            threads: &self.threads,
            boot: &self.boot,
            current_cpu: self.current_cpu,
        }
    }
}

/// What a shared object is called.
fn name<T: Object<Sim>>(_: &T) -> &'static str {
    T::NAME
}
