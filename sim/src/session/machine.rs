//! A machine whose CPUs make single calls on request.
use super::difference::{Difference, difference};
use super::show;
use crate::check::facts::{Violation, check};
use crate::machine::Sim;
use crate::machine::boot::{processor, shared};
use crate::machine::lock::Waiting;
use crate::machine::log::Entry;
use crate::machine::panics::{Panic, quietly};
use crate::machine::platform::{self, Memory, Platform};
use crate::machine::sparse::Cells;
use crate::state::snapshot::Snapshot;
use layer::core::call::{Answer, Arguments};
use layer::core::state::{Cpu, Own, Shared};
use layer::core::stuck::Stuck;
use layer::objects::boot::sched_init;
use layer::spec::contract::Contract;
use layer::spec::fact::Class;
use std::sync::Arc;

/// A machine with several CPUs.
pub struct Hosted {
    platform: Arc<Platform>,
    shared: Shared<Sim>,
    /// The state of each CPU. `None` for the CPU that executes a call.
    cpus: Vec<Option<Own<Sim>>>,
}

/// The effects of a call.
pub struct Done {
    /// The result.
    pub answer: Answer<Sim>,
    /// The changes of the state.
    pub changed: Vec<Difference>,
    /// The events that were logged.
    pub events: Vec<Appended>,
}

/// A logged event.
pub struct Appended {
    /// The name of the object with the log.
    pub object: &'static str,
    /// The row of the object.
    pub row: u32,
    /// The CPU that logged it.
    pub by: u32,
    /// The event.
    pub event: layer::core::log::Event<Sim>,
}

/// Why a call had no effect.
pub enum Nothing {
    /// A precondition does not hold.
    Stuck(Stuck),
    /// The call would wait for a lock that another CPU holds.
    Waits(Waiting),
    /// The code panicked: a bug of this project.
    Panic(Panic),
}

impl From<Panic> for Nothing {
    fn from(panic: Panic) -> Nothing {
        panic.waiting.map_or(Nothing::Panic(panic), Nothing::Waits)
    }
}

impl Hosted {
    /// A machine with this memory and 1 to 8 CPUs, before `sched_init`.
    pub fn new(memory: Memory, cpus: u32) -> Self {
        let platform = Arc::new(Platform::bare(memory));
        platform::make_current(Arc::clone(&platform), None);
        let shared = shared();
        let cpus = (0..cpus).map(|cpu| Some(processor(&shared, cpu).own)).collect();
        Hosted { platform, shared, cpus }
    }

    /// Runs `sched_init` on every CPU.
    pub fn boot(&mut self) -> Result<(), Nothing> {
        (0..self.cpus()).try_for_each(|cpu| {
            let boot = |cpu: &mut Cpu<'_, Sim>| quietly(|| sched_init(cpu, 0));
            match self.on(cpu, boot).unwrap_or(Ok(Ok(()))) {
                Ok(Ok(())) => Ok(()),
                Ok(Err(stuck)) => Err(Nothing::Stuck(stuck)),
                Err(panic) => Err(panic.into()),
            }
        })
    }

    /// The number of CPUs.
    pub fn cpus(&self) -> u32 {
        self.cpus.len() as u32
    }

    /// The memory.
    pub fn memory(&self) -> &Memory {
        &self.platform.memory
    }

    /// Calls `work` with a CPU. `None` if there is no such CPU.
    fn on<R>(&mut self, cpu: u32, work: impl FnOnce(&mut Cpu<'_, Sim>) -> R) -> Option<R> {
        platform::make_current(Arc::clone(&self.platform), None);
        let place = self.cpus.get_mut(cpu as usize)?;
        let mut cpu = Cpu { own: place.take()?, shared: &self.shared };
        let result = work(&mut cpu);
        *place = Some(cpu.own);
        Some(result)
    }

    /// The state of a CPU and the shared state. `None` if there is no such CPU.
    pub fn state(&mut self, cpu: u32) -> Option<Snapshot> {
        self.on(cpu, |cpu| Snapshot::take(cpu))
    }

    /// Whether a CPU has run `sched_init`.
    pub fn is_set_up(&mut self, cpu: u32) -> bool {
        self.on(cpu, |cpu| cpu.own.ghost.0.init).unwrap_or(false)
    }

    /// Makes a call on a CPU. A call that fails changes nothing. `None` if there is no such CPU.
    pub fn call(
        &mut self,
        cpu: u32,
        contract: &Contract<Sim>,
        arguments: &Arguments<Sim>,
    ) -> Option<Result<Done, Nothing>> {
        self.on(cpu, |cpu| {
            let mut before = Snapshot::take(cpu);
            let nothing = match quietly(|| (contract.run)(cpu, arguments)) {
                Ok(Ok(answer)) => {
                    let mut after = Snapshot::take(cpu);
                    let events = appended(&before, &after);
                    return Ok(Done { answer, changed: difference(&mut before, &mut after), events });
                }
                Ok(Err(stuck)) => Nothing::Stuck(stuck),
                Err(panic) => panic.into(),
            };
            before.restore(cpu);
            Err(nothing)
        })
    }

    /// The violated facts on a CPU. `None` if there is no such CPU.
    pub fn check(&mut self, cpu: u32) -> Option<Result<Vec<Violation>, Panic>> {
        self.on(cpu, |on| quietly(|| check(on, cpu, Cells::Neighbours, Class::Derived)))
    }
}

/// The events that were logged between two states.
fn appended(before: &Snapshot, after: &Snapshot) -> Vec<Appended> {
    let logs = before.logs().zip(after.logs());
    let new = logs.flat_map(|((_, _, old), (object, row, new))| {
        let appended = &new.0[old.0.len().min(new.0.len())..];
        appended.iter().map(move |&Entry { stamp, cpu: by, event }| (stamp, Appended { object, row, by, event }))
    });
    let mut all: Vec<(u64, Appended)> = new.collect();
    all.sort_by_key(|(stamp, _)| *stamp);
    all.into_iter().map(|(_, appended)| appended).collect()
}

impl Appended {
    /// The name and parameters of the event.
    pub fn parameters(&self) -> (String, Vec<(&'static str, show::Shown)>) {
        show::event(self.event)
    }
}
