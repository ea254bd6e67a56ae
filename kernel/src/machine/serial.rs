//! The UART's log of events, as the layer reads it. The input since the last look becomes the event at the index that
//! the layer reads next. The event is put there before an entry of the kernel and stays until it is consumed, so the
//! layer gets the same answer each time it asks during that entry.
use super::Metal;
use crate::devices::console;
use crate::sync::lock::Lock;
use crate::sync::pending::{self, Work};
use layer::core::constants::SERIAL_HW_BUF_SIZE;
use layer::core::state::Cpu;
use layer::objects::console::uart::{SerialEvent, event};

/// The input at an index of the log.
struct Received {
    index: u32,
    count: usize,
    bytes: [u8; SERIAL_HW_BUF_SIZE as usize],
}

static NEXT: Lock<Received> = Lock::new(Received { index: 0, count: 0, bytes: [0; SERIAL_HW_BUF_SIZE as usize] });

/// Called when an entry of the kernel begins on the CPU of this state.
pub fn attend(cpu: &Cpu<'_, Metal>) {
    if pending::is_any(&[Work::Input, Work::Unread]) && cpu.own.serial_exists {
        put(cpu.own.com1.l1);
    }
}

/// Puts the received input at `index`, unless there is input already.
fn put(index: u32) {
    let mut next = NEXT.lock();
    if next.count == 0 || next.index != index {
        next.index = index;
        next.count = console::take_input(&mut next.bytes);
        pending::set(Work::Unread, next.count > 0);
    }
}

/// The event at `index`.
pub(super) fn event(index: u32) -> SerialEvent<Metal> {
    let next = NEXT.lock();
    if next.count > 0 && next.index == index {
        SerialEvent { kind: event::RECV, count: next.count as u32 }
    } else {
        SerialEvent { kind: event::NULL, count: 0 }
    }
}

/// The characters that are received at the index of the last [`event`].
pub(super) fn bytes() -> [u8; SERIAL_HW_BUF_SIZE as usize] {
    NEXT.lock().bytes
}
