//! What happens to the UART of a hosted machine: a script.
use crate::machine::Sim;
use layer::constants::{NEXT_SEND_MAX_REC, SERIAL_HW_BUF_SIZE};
use layer::serial::{self, event};
use std::collections::BTreeMap;

/// Something that happens to the UART.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SerialEvent {
    /// Nothing.
    Null,
    /// Characters arrive.
    Recv(Vec<u8>),
    /// What was to be sent has been.
    SendComplete,
    /// It is plugged in.
    Plugin,
}

/// Whose the UART is, and what happens to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// The CPU whose device it is, if there is one.
    pub owner: Option<u32>,
    /// What happens at an index.
    pub events: BTreeMap<u32, SerialEvent>,
    /// What happens at all others.
    pub rest: SerialEvent,
}

impl Default for Script {
    /// The UART is CPU 0's, and nothing happens.
    fn default() -> Self {
        Script { owner: Some(0), events: BTreeMap::new(), rest: SerialEvent::Null }
    }
}

impl Script {
    /// A UART of CPU 0 to which this happens, from index 0 on.
    pub fn of(events: impl IntoIterator<Item = SerialEvent>) -> Self {
        Script { events: (0..).zip(events).collect(), ..Script::default() }
    }

    /// A UART of CPU 0 that receives `input`, as soon as somebody looks, and sends what it is given.
    pub fn of_input(input: &[u8]) -> Self {
        let mut events = BTreeMap::new();
        let mut index = 0u32;
        for part in input.chunks(SERIAL_HW_BUF_SIZE as usize) {
            events.insert(index, SerialEvent::Recv(part.to_vec()));
            // Where one looks next: the event is over, and the handler counts two for each character, and one.
            index = index.wrapping_add(2 * part.len() as u32 + 2);
        }
        Script { events, rest: SerialEvent::SendComplete, ..Script::default() }
    }

    /// What happens at `index`.
    pub fn at(&self, index: u32) -> &SerialEvent {
        self.events.get(&index).unwrap_or(&self.rest)
    }

    /// The newest characters of those that arrive at `index`, as many as the UART keeps.
    fn kept(&self, index: u32) -> &[u8] {
        match self.at(index) {
            SerialEvent::Recv(bytes) => &bytes[bytes.len().saturating_sub(SERIAL_HW_BUF_SIZE as usize)..],
            _ => &[],
        }
    }

    /// As the layer has it.
    pub(crate) fn event(&self, index: u32) -> serial::SerialEvent<Sim> {
        let kind = match self.at(index) {
            SerialEvent::Null => event::NULL,
            SerialEvent::Recv(_) => event::RECV,
            SerialEvent::SendComplete => event::SEND_COMPLETE,
            SerialEvent::Plugin => event::PLUGIN,
        };
        serial::SerialEvent { kind, count: self.kept(index).len() as u32 }
    }

    /// Character `k` of those that are kept, 0 beyond.
    pub(crate) fn byte(&self, index: u32, k: u32) -> u32 {
        self.kept(index).get(k as usize).copied().unwrap_or(0).into()
    }

    /// How many events from `index` on it takes until the transmitter is done, or 0 if it takes too long.
    pub(crate) fn sent(&self, index: u32) -> u32 {
        (0..NEXT_SEND_MAX_REC)
            .find(|&k| *self.at(index.wrapping_add(k)) == SerialEvent::SendComplete)
            .map_or(0, |k| k + 1)
    }
}
