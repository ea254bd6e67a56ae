//! The scripted input of the UART of a hosted machine.
use super::Sim;
use layer::core::constants::{NEXT_SEND_MAX_REC, SERIAL_HW_BUF_SIZE};
use layer::objects::console::uart;
use layer::objects::console::uart::event;
use std::collections::BTreeMap;

/// An event of the UART.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SerialEvent {
    /// Nothing.
    Null,
    /// Characters arrive.
    Recv(Vec<u8>),
    /// The transmission is complete.
    SendComplete,
    /// The device is plugged in.
    Plugin,
}

/// The owner of the UART, and its events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SerialInput {
    /// The CPU that has the device, if any.
    pub owner: Option<u32>,
    /// The events at some indices.
    pub events: BTreeMap<u32, SerialEvent>,
    /// The event at all other indices.
    pub rest: SerialEvent,
}

impl Default for SerialInput {
    /// The UART belongs to CPU 0, and has no events.
    fn default() -> Self {
        SerialInput { owner: Some(0), events: BTreeMap::new(), rest: SerialEvent::Null }
    }
}

impl SerialInput {
    /// A UART of CPU 0 with these events, from index 0 on.
    pub fn of(events: impl IntoIterator<Item = SerialEvent>) -> Self {
        SerialInput { events: (0..).zip(events).collect(), ..SerialInput::default() }
    }

    /// A UART of CPU 0 that receives `input`, as fast as the driver reads, and sends everything.
    pub fn of_input(input: &[u8]) -> Self {
        let mut events = BTreeMap::new();
        let mut index = 0u32;
        for part in input.chunks(SERIAL_HW_BUF_SIZE as usize) {
            events.insert(index, SerialEvent::Recv(part.to_vec()));
            // The next index that the driver reads: after the event, the handler consumes two for each character, and
            // one more.
            index = index.wrapping_add(2 * part.len() as u32 + 2);
        }
        SerialInput { events, rest: SerialEvent::SendComplete, ..SerialInput::default() }
    }

    /// The event at `index`.
    pub fn at(&self, index: u32) -> &SerialEvent {
        self.events.get(&index).unwrap_or(&self.rest)
    }

    /// The newest of the characters that arrive at `index`, as many as the UART keeps.
    fn kept(&self, index: u32) -> &[u8] {
        match self.at(index) {
            SerialEvent::Recv(bytes) => &bytes[bytes.len().saturating_sub(SERIAL_HW_BUF_SIZE as usize)..],
            _ => &[],
        }
    }

    /// The event in the layer's form.
    pub(crate) fn event(&self, index: u32) -> uart::SerialEvent<Sim> {
        let kind = match self.at(index) {
            SerialEvent::Null => event::NULL,
            SerialEvent::Recv(_) => event::RECV,
            SerialEvent::SendComplete => event::SEND_COMPLETE,
            SerialEvent::Plugin => event::PLUGIN,
        };
        uart::SerialEvent { kind, count: self.kept(index).len() as u32 }
    }

    /// Character `k` of those that are kept; 0 after their end.
    pub(crate) fn byte(&self, index: u32, k: u32) -> u32 {
        self.kept(index).get(k as usize).copied().unwrap_or(0).into()
    }

    /// The number of events from `index` on until the transmission is complete; 0 if that takes too long.
    pub(crate) fn sent(&self, index: u32) -> u32 {
        (0..NEXT_SEND_MAX_REC)
            .find(|&k| *self.at(index.wrapping_add(k)) == SerialEvent::SendComplete)
            .map_or(0, |k| k + 1)
    }
}
