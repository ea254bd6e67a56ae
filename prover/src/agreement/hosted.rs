//! States of the hosted machine, as the values of the unknowns of a symbolic run.
use super::concrete::World;
use super::side::{Leaves, Side};
use crate::state::parts::each_map;
use crate::state::sym::Sym;
use domain::{Field, Key, Map};
use layer::core::constants::*;
use layer::core::fields::*;
use layer::core::geometry::X64;
use layer::core::machine::{Machine, Object, Spec, Visit};
use layer::core::state::{Cpu, Own};
use layer::objects::queue::{Family, Sleeping};
use sim::machine::Sim;
use sim::machine::platform::{self, Memory, Platform};
use sim::machine::serial::{SerialEvent, SerialInput};
use sim::machine::sparse::{Cells, Sparse};
use sim::state::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The page tables of both machines.
pub(super) type G = X64;

/// A small memory with a hole, so that quotas and memory run out soon.
fn memory() -> Memory {
    let low = KERN_LOW;
    Memory { frames: low + 200, usable: vec![0..low + 100, low + 110..low + 200] }
}

pub(super) fn machine() -> Arc<Platform> {
    let mut platform = Platform::bare(memory());
    platform.vmxinfo = std::array::from_fn(|i| u32::MAX - i as u32);
    platform.msr = [(7, 1 << 40)].into();
    platform.vmcs_host = std::array::from_fn(|field| (field as u64) << 33 | 5);
    // Bursts of all lengths, and pauses.
    let happens = |index: u32| match (index / 8 * 5 + index) % 7 {
        0..3 => SerialEvent::Recv((0..index % 15).map(|k| (index + k * 7) as u8).collect()),
        3 | 4 => SerialEvent::SendComplete,
        5 => SerialEvent::Plugin,
        _ => SerialEvent::Null,
    };
    platform.serial = SerialInput::of((0..4000).map(happens));
    Arc::new(platform)
}

/// The leaves of a map's value at a key.
fn cell<F: Field<Sim>>(map: &Sparse<F>, key: &[u32]) -> Leaves {
    Sim::leaves(map.get(F::Key::from_words(key)))
}

/// The values of a state that are in no map.
pub(super) struct Scalars {
    prefix: &'static str,
    found: BTreeMap<String, i128>,
}

impl Scalars {
    fn see(&mut self, name: &str, value: i128) {
        self.found.insert(format!("{}{name}", self.prefix), value);
    }

    pub(super) fn of<D: Side + layer::core::machine::Spec>(
        own: &Own<D>,
        at: &layer::objects::page_alloc::table::AllocTable<D>,
        pending: &layer::objects::queue::Queue<D>,
    ) -> BTreeMap<String, i128> {
        let mut scalars = Scalars { prefix: "", found: BTreeMap::new() };
        own.snapshot().words(&mut scalars);
        scalars.prefix = "AT.";
        at.snapshot().words(&mut scalars);
        scalars.prefix = "msg.";
        pending.snapshot().words(&mut scalars);
        scalars.found
    }
}

impl<D: Side + Machine> Visit<D> for Scalars {
    fn word(&mut self, name: &'static str, word: &mut D::Word) {
        self.see(name, D::see_word(*word));
    }
    fn wide(&mut self, name: &'static str, wide: &mut D::Wide) {
        self.see(name, D::see_wide(*wide));
    }
    fn nat(&mut self, name: &'static str, nat: &mut D::Nat) {
        self.see(name, D::see_nat(*nat));
    }
    fn flag(&mut self, name: &'static str, flag: &mut D::Flag) {
        self.see(name, D::see_flag(*flag));
    }
}

/// A state of the hosted machine.
pub(super) struct HostedState {
    pub(super) state: Snapshot,
    pub(super) scalars: BTreeMap<String, i128>,
}

impl HostedState {
    pub(super) fn take(cpu: &Cpu<'_, Sim>) -> HostedState {
        let state = Snapshot::take(cpu);
        let mut scalars = Scalars::of::<Sim>(&state.own, &state.at, &state.pending[state.own.cpu as usize]);
        let others = [
            ("boot.nps", state.boot.nps),
            ("boot.norm", state.boot.norm),
            // A CPU's own number is its real one.
            ("current_CPU_ID", state.own.cpu),
        ];
        scalars.extend(others.map(|(name, value)| (name.to_string(), value.into())));
        HostedState { state, scalars }
    }

    pub(super) fn leaves(&self, field: &str, key: &[u32]) -> Leaves {
        let state = &self.state;
        each_map!([&] state, |name, map| if name == field {
            return cell(map, key);
        });
        unreachable!("{field} is a field")
    }

    /// The cells that were written one by one since boot, and those at the ends of filled rows.
    pub(super) fn written(&self) -> Vec<(&'static str, Vec<u32>)> {
        let (state, mut written) = (&self.state, Vec::new());
        each_map!([&] state, |name, map| {
            written.extend(map.keys(Cells::Written).into_iter().map(|key| (name, key.to_vec())));
        });
        written
    }
}

impl World for HostedState {
    fn cell(&self, map: &str, leaf: &str, key: &[u32]) -> u64 {
        let platform = platform::current();
        match map {
            "machine.vmxinfo" => platform.vmxinfo[key[0] as usize].into(),
            "machine.vmcs_host" => platform.vmcs_host[key[0] as usize],
            "machine.rdmsr" => <Sim as Machine>::rdmsr(key[0]),
            "machine.serial.kind" => <Sim as Machine>::serial_event(key[0]).kind.into(),
            "machine.serial.count" => <Sim as Machine>::serial_event(key[0]).count.into(),
            "machine.serial.byte" => <Sim as Spec>::serial_byte(key[0], key[1]).into(),
            "machine.serial.sent" => <Sim as Machine>::serial_sent(key[0]).into(),
            "machine.usable" => platform.memory.is_usable(key[0]).into(),
            _ => {
                let Leaves(leaves) = self.leaves(map, key);
                // A leaf of another variant has no value.
                leaves.iter().find(|(name, _)| *name == leaf).map_or(0, |&(_, value)| value as u64)
            }
        }
    }
    fn scalar(&self, name: &str) -> u64 {
        self.scalars[name] as u64
    }
    fn row(&self, family: &str, row: u32, name: &str) -> u64 {
        let mut scalars = Scalars { prefix: "", found: BTreeMap::new() };
        match family {
            Sleeping::NAME => self.state.sleep[row as usize].snapshot().words(&mut scalars),
            _ => self.state.pending[row as usize].snapshot().words(&mut scalars),
        }
        scalars.found[name] as u64
    }
}
