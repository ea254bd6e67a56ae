//! The interrupt controllers of a PC: two Intel 8259A, the slave at the master's input 2.
//!
//! Modelled from the data sheet "8259A Programmable Interrupt Controller": initialisation (ICW1 to ICW4), masks (OCW1),
//! end of interrupt and rotation of priorities (OCW2), reading IRR and ISR, the special mask mode (OCW3), triggering by
//! edges and by levels, automatic end of interrupt, the special fully nested mode, and the default request 7.
//!
//! Not modelled: the poll command, buffered mode, the vectors of an MCS-80 processor, and the edge/level registers
//! (0x4D0, 0x4D1) that later chip sets add. A chip raises no interrupt until it has been initialised.

/// Input of the master that the slave's output is connected to.
const CASCADE: u8 = 2;
/// The request that a chip reports if there is none any more when the processor acknowledges.
const DEFAULT: u8 = 7;

/// ICW1: this word is ICW1 and not an OCW.
const ICW1: u8 = 1 << 4;
/// ICW1: requests are levels, not edges.
const LEVEL_TRIGGERED: u8 = 1 << 3;
/// ICW1: the only chip, so there is no ICW3.
const SINGLE: u8 = 1 << 1;
/// ICW1: ICW4 will follow.
const WITH_ICW4: u8 = 1;
/// ICW4: the special fully nested mode.
const NESTED: u8 = 1 << 4;
/// ICW4: an interrupt ends as soon as it is acknowledged.
const AUTOMATIC_END: u8 = 1 << 1;
/// Command words: this one is OCW3 and not OCW2.
const OCW3: u8 = 1 << 3;
/// OCW2: the level whose interrupt ends gets the lowest priority.
const ROTATE: u8 = 1 << 7;

/// One of the two chips.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Lines 0 to 7, at ports 0x20 and 0x21.
    Master,
    /// Lines 8 to 15, at ports 0xA0 and 0xA1.
    Slave,
}

/// A register of a chip, by its address bit A0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// A0 = 0: ICW1, OCW2 and OCW3 are written, IRR and ISR are read.
    Command,
    /// A0 = 1: ICW2 to ICW4 and the mask are written, the mask is read.
    Data,
}

/// Both chips.
#[derive(Clone, Debug)]
pub struct Pic {
    master: Chip,
    slave: Chip,
}

impl Default for Pic {
    /// Two chips that have not been initialised.
    fn default() -> Pic {
        Pic { master: Chip::default(), slave: Chip { is_slave: true, ..Chip::default() } }
    }
}

impl Pic {
    /// Sets the level of a line, 0 to 15. A line falls before its interrupt is acknowledged: the request is gone.
    ///
    /// Line 2 is the slave's. What a PC has on that line of a slot goes to line 9.
    pub fn set_line(&mut self, line: u8, high: bool) {
        let line = if line == CASCADE { 9 } else { line & 15 };
        let chip = if line < 8 { &mut self.master } else { &mut self.slave };
        if chip.set_input(line & 7, high) && line >= 8 {
            self.cascade();
        }
    }

    /// Whether the processor's interrupt input is high.
    pub fn is_interrupting(&self) -> bool {
        self.master.request().is_some()
    }

    /// Whether a line, 0 to 15, cannot interrupt because of a mask, or because the chips are not initialised.
    pub fn is_masked(&self, line: u8) -> bool {
        let chip = if line & 8 == 0 { &self.master } else { &self.slave };
        let masks = |chip: &Chip, input: u8| chip.mask >> input & 1 == 1 || chip.expects != Expected::Nothing;
        masks(chip, line & 7) || line & 8 != 0 && masks(&self.master, CASCADE)
    }

    /// The processor acknowledges (two INTA pulses): the vector of the most urgent request.
    ///
    /// If there is no request, it is the vector of input 7 and no interrupt is in service: a spurious interrupt.
    pub fn acknowledge(&mut self) -> u8 {
        let level = self.master.acknowledge();
        if level != CASCADE || !self.master.cascades {
            return self.master.vector(level);
        }
        let level = self.slave.acknowledge();
        // The slave's output falls during the acknowledgement; a further request raises it again.
        self.master.set_input(CASCADE, false);
        self.cascade();
        self.slave.vector(level)
    }

    /// Reads a register.
    pub fn read(&self, side: Side, register: Register) -> u8 {
        let chip = match side {
            Side::Master => &self.master,
            Side::Slave => &self.slave,
        };
        match register {
            Register::Command if chip.reads_service => chip.in_service,
            Register::Command => chip.requests(),
            Register::Data => chip.mask,
        }
    }

    /// Writes a register.
    pub fn write(&mut self, side: Side, register: Register, byte: u8) {
        let chip = match side {
            Side::Master => &mut self.master,
            Side::Slave => &mut self.slave,
        };
        match register {
            Register::Command => chip.command(byte),
            Register::Data => chip.data(byte),
        }
        self.cascade();
    }

    /// Brings the slave's output to the master.
    fn cascade(&mut self) {
        self.master.set_input(CASCADE, self.slave.request().is_some());
    }
}

/// What a chip takes the next word at A0 = 1 for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Expected {
    /// A mask; no ICW1 has been written.
    #[default]
    Icw1,
    Icw2,
    Icw3,
    Icw4,
    /// A mask; the chip is initialised.
    Nothing,
}

/// One 8259A. Sets of levels have bit n for level n.
#[derive(Clone, Debug, Default)]
struct Chip {
    /// The inputs that are high.
    inputs: u8,
    /// The inputs that have risen and neither fallen nor been acknowledged since.
    risen: u8,
    /// Interrupt mask register.
    mask: u8,
    /// In-service register.
    in_service: u8,
    /// ICW1.
    setting: u8,
    /// ICW2: the vector of level 0.
    base: u8,
    /// The chip is the slave. It has no slave of its own, and its number (its ICW3) is wired.
    is_slave: bool,
    /// ICW3: interrupts of the input [`CASCADE`] have the slave's vectors. No other input has a slave.
    cascades: bool,
    /// ICW4.
    mode: u8,
    /// The level of lowest priority. The next one has the highest.
    lowest: u8,
    special_mask: bool,
    /// An automatic end of an interrupt rotates the priorities.
    rotates: bool,
    /// A read at A0 = 0 gives ISR and not IRR.
    reads_service: bool,
    expects: Expected,
}

impl Chip {
    /// Sets the level of an input. Returns whether it has changed.
    fn set_input(&mut self, level: u8, high: bool) -> bool {
        let bit = 1 << level;
        if high == (self.inputs & bit != 0) {
            return false;
        }
        self.inputs ^= bit;
        self.risen = if high { self.risen | bit } else { self.risen & !bit };
        true
    }

    /// Interrupt request register.
    fn requests(&self) -> u8 {
        if self.setting & LEVEL_TRIGGERED == 0 { self.risen } else { self.inputs }
    }

    fn vector(&self, level: u8) -> u8 {
        self.base & 0xF8 | level
    }

    /// The place of a level in the order of priorities; 0 is the most urgent.
    fn rank(&self, level: u8) -> u8 {
        level.wrapping_sub(self.lowest + 1) % 8
    }

    /// The most urgent level of a set.
    fn most_urgent(&self, set: u8) -> Option<u8> {
        if set == 0 {
            return None;
        }
        let first = self.lowest + 1;
        let rank = set.rotate_right(first.into()).trailing_zeros() as u8;
        Some((first + rank) % 8)
    }

    /// The levels in service that count. In the special mask mode, masked ones do not.
    fn served(&self) -> Option<u8> {
        self.most_urgent(if self.special_mask { self.in_service & !self.mask } else { self.in_service })
    }

    /// The level for which the chip's output is high.
    fn request(&self) -> Option<u8> {
        let level = self.most_urgent(self.requests() & !self.mask)?;
        let admitted = self.served().is_none_or(|served| {
            // In the special fully nested mode, a slave may interrupt its own handler.
            let again = self.mode & NESTED != 0 && self.cascades && level == CASCADE;
            self.rank(level) < self.rank(served) || level == served && again
        });
        (admitted && self.expects == Expected::Nothing).then_some(level)
    }

    /// The level whose interrupt is in service from now on.
    fn acknowledge(&mut self) -> u8 {
        let Some(level) = self.request() else { return DEFAULT };
        self.risen &= !(1 << level);
        if self.mode & AUTOMATIC_END == 0 {
            self.in_service |= 1 << level;
        } else if self.rotates {
            self.lowest = level;
        }
        level
    }

    fn command(&mut self, word: u8) {
        if word & ICW1 != 0 {
            *self = Chip {
                inputs: self.inputs,
                is_slave: self.is_slave,
                setting: word,
                lowest: DEFAULT,
                expects: Expected::Icw2,
                ..Chip::default()
            };
        } else if word & OCW3 != 0 {
            match word >> 5 & 3 {
                0b10 => self.special_mask = false,
                0b11 => self.special_mask = true,
                _ => {}
            }
            match word & 3 {
                0b10 => self.reads_service = false,
                0b11 => self.reads_service = true,
                _ => {}
            }
        } else {
            self.operate(word);
        }
    }

    /// OCW2. Bits 7 to 5: rotate, specific, end of interrupt.
    fn operate(&mut self, word: u8) {
        let ended = match word >> 5 {
            0b001 | 0b101 => self.served(),
            0b011 | 0b111 => Some(word & 7),
            0b110 => return self.lowest = word & 7,
            0b100 => return self.rotates = true,
            0b000 => return self.rotates = false,
            _ => None,
        };
        let Some(level) = ended else { return };
        self.in_service &= !(1 << level);
        if word & ROTATE != 0 {
            self.lowest = level;
        }
    }

    fn data(&mut self, word: u8) {
        let last = if self.setting & WITH_ICW4 == 0 { Expected::Nothing } else { Expected::Icw4 };
        match self.expects {
            Expected::Icw1 | Expected::Nothing => return self.mask = word,
            Expected::Icw2 => self.base = word,
            Expected::Icw3 => self.cascades = !self.is_slave && word >> CASCADE & 1 == 1,
            Expected::Icw4 => self.mode = word,
        }
        self.expects = match self.expects {
            Expected::Icw2 if self.setting & SINGLE == 0 => Expected::Icw3,
            Expected::Icw2 | Expected::Icw3 => last,
            _ => Expected::Nothing,
        };
    }
}

#[cfg(test)]
mod tests;
