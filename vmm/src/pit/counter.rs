//! One counter of an 8254.
/// How a counter counts and what its output does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// 0: the output is low until the count is 0.
    TerminalCount,
    /// 1: the output is low for as long as the count, after each rise of the gate.
    OneShot,
    /// 2: the output is low in the last pulse of each period.
    Rate,
    /// 3: the output is low in the second half of each period.
    Square,
    /// 4: the output is low for one pulse when the count is 0.
    SoftwareStrobe,
    /// 5: the same, but the count begins when the gate rises.
    HardwareStrobe,
}

/// Which bytes of a count are read and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    Low,
    High,
    Both,
}

/// A count that goes into the counting element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Load {
    /// The pulse that loads it.
    at: u64,
    /// At least 1.
    count: u64,
    /// Pulses of its period that count as passed at `at`: a count that is loaded in the middle of a square wave begins
    /// with the second half.
    passed: u64,
}

#[derive(Clone, Debug)]
pub struct Counter {
    /// Access, mode and BCD, as in the control word.
    control: u8,
    mode: Mode,
    access: Access,
    bcd: bool,
    gate: bool,
    /// The last count that was written.
    written: Option<u64>,
    /// It will be loaded when the gate rises.
    waits: bool,
    current: Option<Load>,
    /// It replaces `current` at the end of a period or half.
    next: Option<Load>,
    /// The gate is low: pulses of `current` that had been counted.
    paused: Option<u64>,
    /// Count and output until `current` is loaded.
    before: (u16, bool),
    /// The first of two bytes that was written.
    low: Option<u8>,
    /// The next byte that is read is the second of two.
    reads_high: bool,
    latched: Option<u16>,
    status: Option<u8>,
}

impl Counter {
    /// A counter that was never programmed.
    pub fn new(gate: bool) -> Counter {
        Counter {
            control: 0x30,
            mode: Mode::TerminalCount,
            access: Access::Both,
            bcd: false,
            gate,
            written: None,
            waits: false,
            current: None,
            next: None,
            paused: None,
            before: (0, true),
            low: None,
            reads_high: false,
            latched: None,
            status: None,
        }
    }

    /// Takes the low six bits of a control word that is no latch command.
    pub fn program(&mut self, control: u8, now: u64) {
        let mode = match control >> 1 & 7 {
            0 => Mode::TerminalCount,
            1 => Mode::OneShot,
            2 | 6 => Mode::Rate,
            3 | 7 => Mode::Square,
            4 => Mode::SoftwareStrobe,
            _ => Mode::HardwareStrobe,
        };
        let access = match control >> 4 & 3 {
            1 => Access::Low,
            2 => Access::High,
            _ => Access::Both,
        };
        let before = (self.count(now), mode != Mode::TerminalCount);
        *self = Counter { control, mode, access, bcd: control & 1 == 1, before, ..Counter::new(self.gate) };
    }

    /// The number of different counts.
    fn modulus(&self) -> u64 {
        if self.bcd { 10_000 } else { 1 << 16 }
    }

    /// The load that counts at `now`.
    fn load(&self, now: u64) -> Option<&Load> {
        self.next.as_ref().filter(|next| next.at <= now).or(self.current.as_ref())
    }

    /// Forgets the load before the one that counts at `now`.
    fn settle(&mut self, now: u64) {
        self.current = self.load(now).copied();
        self.next = self.next.filter(|next| now < next.at);
    }

    /// The load that counts, if it has been loaded, and the pulses that it has counted.
    fn counted(&self, now: u64) -> Option<(&Load, u64)> {
        let load = self.load(now).filter(|load| load.at <= now)?;
        Some((load, self.paused.unwrap_or(now - load.at) + load.passed))
    }

    /// The value of the counting element, as it is read.
    fn count(&self, now: u64) -> u16 {
        let Some((&Load { count, .. }, counted)) = self.counted(now) else { return self.before.0 };
        let modulus = self.modulus();
        let phase = counted % count;
        let value = match self.mode {
            Mode::Rate => count - phase,
            // It counts in twos, twice a period. An odd count is loaded less one; its first half is one pulse longer.
            Mode::Square => {
                let half = count.div_ceil(2);
                count / 2 * 2 - 2 * (if phase < half { phase } else { phase - half })
            }
            _ => count + modulus - counted % modulus,
        } % modulus;
        if self.bcd { to_bcd(value) } else { value as u16 }
    }

    /// The level of the output.
    pub fn output(&self, now: u64) -> bool {
        let Some((&Load { count, .. }, counted)) = self.counted(now) else { return self.before.1 };
        match self.mode {
            Mode::TerminalCount | Mode::OneShot => counted >= count,
            Mode::Rate => self.paused.is_some() || counted % count + 1 < count,
            Mode::Square => self.paused.is_some() || counted % count < count.div_ceil(2),
            Mode::SoftwareStrobe | Mode::HardwareStrobe => counted != count,
        }
    }

    /// The first time after `now` at which the output changes by itself.
    pub fn next_change(&self, now: u64) -> Option<u64> {
        let load = self.load(now)?;
        let starts_high = !matches!(self.mode, Mode::TerminalCount | Mode::OneShot);
        if now < load.at && self.before.1 != starts_high {
            return Some(load.at);
        }
        if self.paused.is_some() {
            return None;
        }
        let zero = load.at + load.count;
        let [first, second] = match self.mode {
            Mode::TerminalCount | Mode::OneShot => [zero, zero],
            Mode::SoftwareStrobe | Mode::HardwareStrobe => [zero, zero + 1],
            Mode::Rate => [self.end_of_period(load, now) - 1, self.end_of_period(load, now)],
            Mode::Square => [self.end_of_half(load, now), self.end_of_period(load, now)],
        };
        [first, second].into_iter().find(|change| *change > now)
    }

    /// The first time after `now` at which the output rises by itself.
    pub fn next_rise(&self, now: u64) -> Option<u64> {
        let change = self.next_change(now)?;
        if self.output(change) { Some(change) } else { self.next_change(change) }
    }

    /// The end of a load's period that has begun at `now`, or of its first one.
    fn end_of_period(&self, load: &Load, now: u64) -> u64 {
        let now = now.max(load.at);
        now + load.count - (now - load.at + load.passed) % load.count
    }

    /// In that period of a square wave, the end of its first half. It may be over.
    fn end_of_half(&self, load: &Load, now: u64) -> u64 {
        self.end_of_period(load, now).saturating_sub(load.count / 2)
    }

    /// Loads what was written at the next pulse.
    fn start(&mut self, now: u64) {
        let Some(count) = self.written else { return };
        self.before = (self.count(now), self.output(now) && self.mode != Mode::TerminalCount);
        self.current = Some(Load { at: now + 1, count, passed: 0 });
        (self.next, self.waits) = (None, false);
        let pauses = matches!(self.mode, Mode::TerminalCount | Mode::SoftwareStrobe) && !self.gate;
        self.paused = pauses.then_some(0);
    }

    /// Takes a whole count.
    fn set_count(&mut self, count: u16, now: u64) {
        let count = if self.bcd { from_bcd(count) } else { count.into() };
        let count = if count == 0 { self.modulus() } else { count };
        let periodic = matches!(self.mode, Mode::Rate | Mode::Square);
        let count = if periodic { count.max(2) } else { count };
        self.written = Some(count);
        self.settle(now);
        match (self.mode, self.current) {
            // The next pulse loads whatever has been written by then.
            (_, Some(load)) if load.at > now => self.current = Some(Load { count, ..load }),
            (Mode::OneShot | Mode::HardwareStrobe, _) => self.waits = true,
            (Mode::Rate | Mode::Square, _) if !self.gate => self.waits = true,
            (Mode::Rate | Mode::Square, Some(load)) => {
                let half = self.end_of_half(&load, now);
                let first_half = self.mode == Mode::Square && now < half;
                let (at, passed) =
                    if first_half { (half, count.div_ceil(2)) } else { (self.end_of_period(&load, now), 0) };
                self.next = Some(Load { at, count, passed });
            }
            _ => self.start(now),
        }
    }

    /// Writes a byte of a count.
    pub fn write(&mut self, byte: u8, now: u64) {
        match (self.access, self.low.take()) {
            (Access::Low, _) => self.set_count(byte.into(), now),
            (Access::High, _) => self.set_count(u16::from(byte) << 8, now),
            (Access::Both, Some(low)) => self.set_count(u16::from_le_bytes([low, byte]), now),
            (Access::Both, None) => {
                self.low = Some(byte);
                if self.mode == Mode::TerminalCount {
                    // The first byte stops the count.
                    self.before = (self.count(now), false);
                    self.current = None;
                }
            }
        }
    }

    /// Reads a byte: of the latched status, of the latched count, or of the count.
    pub fn read(&mut self, now: u64) -> u8 {
        if let Some(status) = self.status.take() {
            return status;
        }
        let [low, high] = self.latched.unwrap_or_else(|| self.count(now)).to_le_bytes();
        let reads_high = self.access == Access::High || self.access == Access::Both && self.reads_high;
        // A second byte follows.
        self.reads_high = self.access == Access::Both && !reads_high;
        if !self.reads_high {
            self.latched = None;
        }
        if reads_high { high } else { low }
    }

    /// Latches the count, unless one is latched already.
    pub fn latch(&mut self, now: u64) {
        self.latched = self.latched.or_else(|| Some(self.count(now)));
    }

    /// Latches the status, unless one is latched already: output, whether a count has not been loaded yet, control.
    pub fn latch_status(&mut self, now: u64) {
        let null = self.waits || self.counted(now).is_none() || self.next.is_some_and(|next| now < next.at);
        let status = u8::from(self.output(now)) << 7 | u8::from(null) << 6 | self.control;
        self.status = self.status.or(Some(status));
    }

    /// Sets the gate. Modes 0 and 4 count while it is high. A rise starts the other modes again.
    pub fn set_gate(&mut self, high: bool, now: u64) {
        if high == self.gate {
            return;
        }
        self.settle(now);
        self.gate = high;
        match (self.mode, high) {
            (Mode::OneShot | Mode::HardwareStrobe, false) => {}
            (_, false) => {
                self.waits |= self.next.take().is_some();
                self.paused = self.current.map(|load| now.saturating_sub(load.at));
            }
            (Mode::TerminalCount | Mode::SoftwareStrobe, true) => {
                let counted = self.paused.take().unwrap_or(0);
                if let Some(load) = &mut self.current {
                    load.at = load.at.max(now - counted);
                }
            }
            (_, true) => self.start(now),
        }
    }
}

/// The number that four decimal digits make.
fn from_bcd(digits: u16) -> u64 {
    (0..4).rev().fold(0, |number, digit| number * 10 + u64::from(digits >> (4 * digit) & 0xF))
}

/// The digits of a number below 10,000.
fn to_bcd(number: u64) -> u16 {
    (0..4).fold(0, |digits, digit| digits | ((number / 10u64.pow(digit) % 10) as u16) << (4 * digit))
}
