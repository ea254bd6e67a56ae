//! The I/O APIC's lines: an array, of which one entry of one CPU is the hardware's.
use super::Place;
use crate::home::{Array, Entries};
use crate::metal::{console, io_apic};
use core::ops::Range;
use domain::Domain;
use layer::constants::{COM1_LINE, IOAPIC_LINES};
use layer::fields::Line;

/// A CPU's picture of the lines.
///
/// The CPU that has the UART drives the mask of COM1's line in the hardware with its entry; no other entry of any CPU has
/// to do with hardware, and all other lines are masked for good. Different keys are different elements of the array.
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
                // What came while the line was masked has made no edge, and nothing would until it is taken.
                console::receive();
            }
        }
    }
}
