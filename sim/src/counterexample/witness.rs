//! A counterexample as data: a state of one CPU, the arguments of a call, and the answers of the machine. The state is
//! given by its differences from the boot state. Software verifiers call such data a violation witness.
use super::answers::ScriptedAnswers;
use super::arguments::arguments;
use crate::machine::Sim;
use crate::machine::boot::{processor, shared};
use crate::machine::platform::{self, Memory, Platform};
use crate::machine::serial::SerialEvent;
use crate::state::snapshot::Snapshot;
use crate::state::values::{Cell, NoSuch, Values};
use layer::catalogue::Primitive;
use layer::core::call::Arguments;
use layer::core::constants::KERN_LOW;
use layer::core::state::{Boot, Cpu, Shared};
use layer::objects::boot::sched_init;
use layer::objects::console::uart::event;
use layer::objects::vmx::vmx_init;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A state, and the arguments of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Witness {
    /// The CPU.
    pub cpu: u32,
    /// Whether the CPU has run `sched_init`.
    pub booted: bool,
    /// Whether the CPU has run `vmx_init` after that.
    pub set_up: bool,
    /// The memory of the machine.
    pub memory: Memory,
    /// The number of pages that can be allocated, as counted at boot.
    pub norm: u32,
    /// The differences from the boot state.
    pub state: Values,
    /// The interference of the other CPUs, for each lock in order.
    pub interference: Vec<Values>,
    /// The answers of the machine, for each question in order ([`ScriptedAnswers`]).
    pub answers: Vec<Values>,
    /// The arguments that are not 0, by name.
    pub arguments: BTreeMap<String, u64>,
    /// The values of the free words of a postcondition.
    pub any: [u32; 2],
}

/// Why a witness is not a valid state.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WitnessError {
    /// A field, leaf, scalar or argument does not exist, a key is out of bounds, or a value is out of range.
    #[error(transparent)]
    NoSuch(#[from] NoSuch),
    /// The machine does not boot.
    #[error("the machine does not boot: {0}")]
    Boot(String),
}

impl Witness {
    /// The boot state of CPU `cpu`, with all arguments 0.
    pub fn boot(cpu: u32) -> Self {
        let memory = Memory::default();
        let norm = memory.frames - KERN_LOW;
        Witness {
            cpu,
            booted: true,
            set_up: false,
            memory,
            norm,
            state: Values::default(),
            interference: Vec::new(),
            answers: Vec::new(),
            arguments: BTreeMap::new(),
            any: [0; 2],
        }
    }

    /// Sets the scalar `name`.
    pub fn scalar(mut self, name: &str, value: u64) -> Self {
        self.state = self.state.scalar(name, value);
        self
    }

    /// Sets a leaf at one key, or at all keys that begin with `key`.
    pub fn cell(mut self, field: &str, key: &[u32], leaf: &str, value: u64) -> Self {
        self.state = self.state.cell(field, key, leaf, value);
        self
    }

    /// Sets the argument `name`.
    pub fn argument(mut self, name: &str, value: u64) -> Self {
        self.arguments.insert(name.to_string(), value);
        self
    }

    /// Adds the interference before the next lock.
    pub fn interference(mut self, values: Values) -> Self {
        self.interference.push(values);
        self
    }

    /// Adds the machine's answer to the next question.
    pub fn machine_answers(mut self, answer: Values) -> Self {
        self.answers.push(answer);
        self
    }

    /// The boot state. It is valid as long as this thread belongs to the same machine.
    ///
    /// # Errors
    /// If the machine does not boot.
    pub fn boot_state(&self) -> Result<Snapshot, WitnessError> {
        self.on_machine(|cpu, _| {
            if self.booted {
                sched_init(cpu, 0).map_err(|stuck| WitnessError::Boot(format!("{stuck:?}")))?;
            }
            if self.booted && self.set_up {
                vmx_init(cpu, 0).map_err(|stuck| WitnessError::Boot(format!("{stuck:?}")))?;
            }
            Ok(Snapshot::take(cpu))
        })
    }

    /// The state, from its boot state `boot`.
    ///
    /// # Errors
    /// If a value has no place in the state.
    pub fn state_from(&self, boot: &Snapshot) -> Result<Snapshot, WitnessError> {
        let mut state = boot.snapshot();
        self.state.put(&mut state)?;
        Ok(state)
    }

    /// Runs `work` on this CPU of a new machine. From then on, the thread belongs to that machine.
    pub(crate) fn on_machine<R>(&self, work: impl FnOnce(&mut Cpu<'_, Sim>, &Rc<Shared<Sim>>) -> R) -> R {
        let mut platform = Platform::bare(self.memory.clone());
        for (cell, &value) in &self.state.cells {
            let key = cell.key[0];
            match &*cell.field {
                "machine.vmxinfo" => {
                    if let (Some(to), Ok(value)) = (platform.vmxinfo.get_mut(key as usize), u32::try_from(value)) {
                        *to = value;
                    }
                }
                "machine.vmcs_host" => {
                    if let Some(to) = platform.vmcs_host.get_mut(key as usize) {
                        *to = value;
                    }
                }
                "machine.rdmsr" => drop(platform.msr.insert(key, value)),
                _ => {}
            }
        }
        platform.serial.events = self.serial_events();
        platform.answers = Some(Box::new(ScriptedAnswers::new(&self.answers)));
        platform::make_current(Arc::new(platform), None);
        let mut shared = shared();
        shared.boot = Boot { nps: self.memory.frames, norm: self.norm };
        let shared = Rc::new(shared);
        work(&mut processor(&shared, self.cpu), &shared)
    }

    /// The events of the UART.
    fn serial_events(&self) -> BTreeMap<u32, SerialEvent> {
        let of_event = |what: &str, key: &[u32]| {
            let cell = Cell::new(&format!("machine.serial.{what}"), key, "value");
            self.state.cells.get(&cell).copied().unwrap_or(0)
        };
        let mut events = BTreeMap::new();
        for (cell, &value) in &self.state.cells {
            let index = cell.key[0];
            match &*cell.field {
                "machine.serial.kind" => {
                    let bytes = || {
                        (0..of_event("count", &[index]) as u32).map(|k| of_event("byte", &[index, k]) as u8).collect()
                    };
                    events.insert(
                        index,
                        match u32::try_from(value) {
                            Ok(event::RECV) => SerialEvent::Recv(bytes()),
                            Ok(event::SEND_COMPLETE) => SerialEvent::SendComplete,
                            Ok(event::PLUGIN) => SerialEvent::Plugin,
                            _ => SerialEvent::Null,
                        },
                    );
                }
                "machine.serial.sent" if value > 0 => {
                    events.insert(index.wrapping_add(value as u32 - 1), SerialEvent::SendComplete);
                }
                _ => {}
            }
        }
        events
    }

    /// The arguments of `primitive`.
    ///
    /// # Errors
    /// As for [`arguments`].
    pub fn arguments_of(&self, primitive: &Primitive) -> Result<Arguments<Sim>, NoSuch> {
        arguments(primitive, &self.arguments)
    }
}
