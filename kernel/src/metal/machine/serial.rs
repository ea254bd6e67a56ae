//! The UART's log, as the layer reads it: what has been received since it looked last is the event at the index where it
//! looks next. It is put there before an entry of the kernel and stays until it is consumed, so that the layer is told the
//! same whenever it asks in that entry.
use super::Metal;
use crate::lock::Lock;
use crate::metal::attention::{self, Why};
use crate::metal::console;
use layer::constants::SERIAL_HW_BUF_SIZE;
use layer::serial::{SerialEvent, event};
use layer::state::Cpu;

/// What is received at an index.
struct Received {
    index: u32,
    count: usize,
    bytes: [u8; SERIAL_HW_BUF_SIZE as usize],
}

static NEXT: Lock<Received> = Lock::new(Received { index: 0, count: 0, bytes: [0; SERIAL_HW_BUF_SIZE as usize] });

/// An entry of the kernel begins on the CPU whose state this is.
pub fn attend(cpu: &Cpu<'_, Metal>) {
    if attention::is_any(&[Why::Input, Why::Waits]) && cpu.own.serial_exists {
        put(cpu.own.com1.l1);
    }
}

/// Puts what has been received at `index`, unless something is there.
fn put(index: u32) {
    let mut next = NEXT.lock();
    if next.count == 0 || next.index != index {
        next.index = index;
        next.count = console::take_input(&mut next.bytes);
        attention::set(Why::Waits, next.count > 0);
    }
}

/// What happens at `index`.
pub(super) fn event(index: u32) -> SerialEvent<Metal> {
    let next = NEXT.lock();
    if next.count > 0 && next.index == index {
        SerialEvent { kind: event::RECV, count: next.count as u32 }
    } else {
        SerialEvent { kind: event::NULL, count: 0 }
    }
}

/// Character `k` of those that are received at the index of the last [`event`].
pub(super) fn bytes() -> [u8; SERIAL_HW_BUF_SIZE as usize] {
    NEXT.lock().bytes
}
