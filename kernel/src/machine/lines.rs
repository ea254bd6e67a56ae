//! The storage of the I/O APIC's lines: an array, of which one entry on one CPU also drives the hardware.
use super::Place;
use crate::devices::console;
use crate::irq::io_apic;
use crate::storage::{Array, Entries};
use core::ops::Range;
use domain::Domain;
use layer::core::constants::{COM1_LINE, IOAPIC_LINES};
use layer::core::fields::Line;

/// A CPU's view of the lines.
///
/// On the CPU that owns the UART, the entry of COM1's line also sets the mask of that line in the hardware. No other
/// entry of any CPU affects the hardware, and all other lines stay masked. Different keys are different elements of
/// the array.
#[derive(Debug)]
pub struct Lines<D: Domain> {
    array: Array<Line<D>, { IOAPIC_LINES as usize }>,
    drives: bool,
}

impl<D: Domain<Word = u32, Flag = bool>> Lines<D> {
    pub(super) fn new(place: Place, array: Array<Line<D>, { IOAPIC_LINES as usize }>) -> Self {
        Lines { array, drives: console::has_serial(place.cpu) }
    }
}

impl<D: Domain<Word = u32, Flag = bool>> Entries<[u32; 1], Line<D>> for Lines<D> {
    #[allow(clippy::single_range_in_vec_init, reason = "a range a coordinate, and there is one")]
    fn keys(&self) -> [Range<u32>; 1] {
        self.array.keys()
    }

    fn load(&self, key: [u32; 1]) -> Line<D> {
        self.array.load(key)
    }

    fn store(&mut self, key: [u32; 1], value: Line<D>) {
        self.array.store(key, value);
        if self.drives && key == [COM1_LINE] {
            io_apic::open_com1(value.enabled);
            if value.enabled {
                // For bytes that came while the line was masked there was no edge, and there will be none before
                // they are taken.
                console::receive();
            }
        }
    }
}
