//! Copies of a machine's state, to compare states and to restore one.
use crate::machine::Sim;
use crate::machine::lock::CHANNEL;
use crate::machine::log::{Entry, Kept, merged};
use layer::core::constants::{NUM_CV, TOTAL_CPU};
use layer::core::machine::Object;
use layer::core::state::{Boot, Cpu, Own};
use layer::objects::channel::pool::Channels;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Queue, Sleeping, Threads};
use layer::spec::view::View;

/// The state of one CPU and the shared state, at a moment between two primitives.
pub struct Snapshot {
    /// The CPU's own state.
    pub own: Own<Sim>,
    /// The allocation table.
    pub at: AllocTable<Sim>,
    /// The pending queues, one for each CPU.
    pub pending: Vec<Queue<Sim>>,
    /// The sleep queues, one for each condition variable.
    pub sleep: Vec<Queue<Sim, Sleeping>>,
    /// The channels.
    pub channels: Channels<Sim>,
    /// The links and ghost state of the threads.
    pub threads: Threads<Sim>,
    /// For lock arrays: the rows that are read by name.
    pub looked_at: LookedAt,
    /// The constants after boot.
    pub boot: Boot<Sim>,
    /// The real number of the CPU, whatever its state contains.
    pub current_cpu: u32,
}

/// The rows of queues that are read by name, besides this CPU's own.
#[derive(Clone, Copy, Default, Debug)]
pub struct LookedAt {
    /// The row of the pending queues.
    pub pending: u32,
    /// The row of the sleep queues.
    pub sleep: u32,
}

impl Snapshot {
    /// Copies the state of this CPU and the shared state.
    pub fn take(cpu: &Cpu<'_, Sim>) -> Self {
        let shared = cpu.shared;
        Snapshot {
            own: cpu.own.snapshot(),
            at: shared.at.inspect(0).snapshot(),
            pending: (0..TOTAL_CPU).map(|row| shared.pending.inspect(row).snapshot()).collect(),
            sleep: (0..NUM_CV).map(|row| shared.sleep.inspect(row).snapshot()).collect(),
            channels: shared.channels.inspect().snapshot(),
            threads: shared.links.inspect().snapshot(),
            looked_at: LookedAt { pending: (cpu.own.cpu + 1) % TOTAL_CPU, sleep: 0 },
            boot: shared.boot,
            current_cpu: cpu.own.cpu,
        }
    }

    /// A copy of the state.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            own: self.own.snapshot(),
            at: self.at.snapshot(),
            pending: self.pending.iter().map(Object::snapshot).collect(),
            sleep: self.sleep.iter().map(Object::snapshot).collect(),
            channels: self.channels.snapshot(),
            looked_at: self.looked_at,
            threads: self.threads.snapshot(),
            boot: self.boot,
            current_cpu: self.current_cpu,
        }
    }

    /// Restores the CPU's state and the shared state, including their logs.
    pub fn restore(self, cpu: &mut Cpu<'_, Sim>) {
        let shared = cpu.shared;
        cpu.own = self.own;
        *shared.at.inspect(0) = self.at;
        for (row, queue) in (0..).zip(self.pending) {
            *shared.pending.inspect(row) = queue;
        }
        for (row, queue) in (0..).zip(self.sleep) {
            *shared.sleep.inspect(row) = queue;
        }
        *shared.channels.inspect() = self.channels;
        *shared.links.inspect() = self.threads;
    }

    /// The log of each object, with the object's name and row, and the log of the CPU's own state.
    pub fn logs(&self) -> impl Iterator<Item = (&'static str, u32, &Kept)> {
        let pending = (0..).zip(&self.pending).map(|(row, queue)| (name(queue), row, &queue.log));
        let sleep = (0..).zip(&self.sleep).map(|(row, queue)| (name(queue), row, &queue.log));
        let rest = [(CHANNEL, 0, &self.channels.log), ("own", self.current_cpu, &self.own.log)];
        [(name(&self.at), 0, &self.at.log)].into_iter().chain(pending).chain(sleep).chain(rest)
    }

    /// The events since the state was `before`, in order.
    pub fn logged_since(&self, before: &Snapshot) -> Vec<Entry> {
        let new = before.logs().zip(self.logs()).map(|((.., old), (.., new))| {
            let known = old.0.len().min(new.0.len());
            Kept(new.0[known..].to_vec())
        });
        merged(&new.collect::<Vec<_>>())
    }

    /// The view of the state that facts and postconditions use.
    pub fn view(&self) -> View<'_, Sim> {
        View {
            own: &self.own,
            ghost: &self.own.ghost.0,
            at: &self.at,
            pending: &self.pending[self.current_cpu as usize],
            channels: &self.channels,
            threads: &self.threads,
            boot: &self.boot,
            current_cpu: self.current_cpu,
        }
    }
}

/// The name of a shared object.
fn name<T: Object<Sim>>(_: &T) -> &'static str {
    T::NAME
}
