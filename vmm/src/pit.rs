//! The timer of a PC: an Intel 8254.
//!
//! Modelled from the data sheet "8254 Programmable Interval Timer": three counters with all six modes, binary and BCD,
//! the three ways of access, the counter latch command, and the read-back command. In a PC the gates of counters 0 and
//! 1 are always high, and bit 0 of port 0x61 is the gate of counter 2.
//!
//! Time is an argument: the number of clock pulses ([`HERTZ`] of them a second) since some beginning. It must not go
//! backwards, and stays below 2^63. Nothing happens between two calls, so two runs with equal calls have equal results.
//!
//! Where the data sheet forbids a count or leaves a value undefined, this is the model's choice: a count of 1 in modes
//! 2 and 3 is a count of 2; a counter that was never programmed counts nothing and its output is high; it is accessed
//! low byte first.
mod counter;

use counter::Counter;

/// Clock pulses a second.
pub const HERTZ: u64 = 1_193_182;

/// A control word that is a read-back command.
const READ_BACK: u8 = 3;

/// One of the three counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channel {
    /// Its output is interrupt line 0.
    Interrupt = 0,
    /// It paced the refresh of memory once.
    Refresh = 1,
    /// Its output is at bit 5 of port 0x61, and drives the speaker.
    Speaker = 2,
}

/// The timer.
#[derive(Clone, Debug)]
pub struct Pit {
    counters: [Counter; 3],
}

impl Default for Pit {
    /// A timer that was never programmed. The gate of [`Channel::Speaker`] is low.
    fn default() -> Pit {
        Pit { counters: [true, true, false].map(Counter::new) }
    }
}

impl Pit {
    /// Writes a control word (port 0x43).
    pub fn control(&mut self, word: u8, now: u64) {
        match word >> 6 {
            // Bits 5 and 4 are low for what is latched; bits 1 to 3 select counters.
            READ_BACK => {
                for (counter, _) in self.counters.iter_mut().zip(1..).filter(|(_, bit)| word >> bit & 1 == 1) {
                    if word & 0x20 == 0 {
                        counter.latch(now);
                    }
                    if word & 0x10 == 0 {
                        counter.latch_status(now);
                    }
                }
            }
            counter => {
                let counter = &mut self.counters[usize::from(counter)];
                if word & 0x30 == 0 { counter.latch(now) } else { counter.program(word & 0x3F, now) }
            }
        }
    }

    /// Reads the next byte of a counter (ports 0x40 to 0x42).
    pub fn read(&mut self, channel: Channel, now: u64) -> u8 {
        self.counters[channel as usize].read(now)
    }

    /// Writes the next byte of a counter's count.
    pub fn write(&mut self, channel: Channel, byte: u8, now: u64) {
        self.counters[channel as usize].write(byte, now);
    }

    /// The level of a counter's output.
    pub fn output(&self, channel: Channel, now: u64) -> bool {
        self.counters[channel as usize].output(now)
    }

    /// Sets the gate of [`Channel::Speaker`].
    pub fn set_gate(&mut self, high: bool, now: u64) {
        self.counters[Channel::Speaker as usize].set_gate(high, now);
    }

    /// The first time after `now` at which the output of [`Channel::Interrupt`] changes, if nothing is written before.
    pub fn next_change(&self, now: u64) -> Option<u64> {
        self.counters[Channel::Interrupt as usize].next_change(now)
    }

    /// The first time after `now` at which the output of [`Channel::Interrupt`] rises, if nothing is written before.
    pub fn next_edge(&self, now: u64) -> Option<u64> {
        self.counters[Channel::Interrupt as usize].next_rise(now)
    }
}

#[cfg(test)]
mod tests;
