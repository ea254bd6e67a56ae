//! The ports of a PC: which device an access reaches, and how the devices are wired.
//!
//! | port | device |
//! | --- | --- |
//! | 0x20, 0x21, 0xA0, 0xA1 | interrupt controllers |
//! | 0x40 to 0x43 | timer; its counter 0 is interrupt line 0 |
//! | 0x61 | gate (bit 0) and output (bit 5) of the timer's counter 2 |
//! | 0x64 | keyboard controller: only the command 0xFE, a reset |
//! | 0x70, 0x71 | clock and memory |
//! | 0x3F8 to 0x3FF | serial line, interrupt line 4 |
//!
//! All other ports read all ones, as where nothing is connected, and ignore what is written. An access of 2 or 4 bytes
//! is as many accesses of one byte, to one port after the other, as on the bus of these devices.
use crate::cmos::Cmos;
use crate::pic::{Pic, Register, Side};
use crate::pit::{Channel, HERTZ, Pit};
use crate::uart::Uart;

/// Interrupt line of the timer.
const TIMER: u8 = 0;
/// Interrupt line of the serial line.
const SERIAL: u8 = 4;

/// Port 0x61: the bits that are memory. The lowest is the gate of the timer's counter 2.
const CONTROL: u8 = 0x0F;
const GATE: u8 = 1;
/// Clock pulses between two changes of bit 4 of port 0x61: a refresh of memory every 15 µs.
const REFRESH: u64 = 18;
/// The command of the keyboard controller that resets the machine.
const RESET: u8 = 0xFE;

/// The width of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// 1 byte.
    Byte = 1,
    /// 2 bytes.
    Word = 2,
    /// 4 bytes.
    Double = 4,
}

impl Size {
    /// The value of EAX after `in` of this width: AL or AX change, or all of it.
    pub fn insert(self, eax: u32, value: u32) -> u32 {
        let changed = match self {
            Size::Byte => 0xFF,
            Size::Word => 0xFFFF,
            Size::Double => !0,
        };
        eax & !changed | value & changed
    }
}

/// What a monitor has to do after a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The guest sends a byte on its serial line.
    Output(u8),
    /// The guest resets its machine.
    Reset,
}

/// A port's place in a device.
enum Target {
    Pic(Side, Register),
    Counter(Channel),
    TimerControl,
    SystemControl,
    Keyboard,
    Index,
    Memory,
    Uart(u16),
}

/// The device at a port.
fn target(port: u16) -> Option<Target> {
    Some(match port {
        0x20 => Target::Pic(Side::Master, Register::Command),
        0x21 => Target::Pic(Side::Master, Register::Data),
        0xA0 => Target::Pic(Side::Slave, Register::Command),
        0xA1 => Target::Pic(Side::Slave, Register::Data),
        0x40 => Target::Counter(Channel::Interrupt),
        0x41 => Target::Counter(Channel::Refresh),
        0x42 => Target::Counter(Channel::Speaker),
        0x43 => Target::TimerControl,
        0x61 => Target::SystemControl,
        0x64 => Target::Keyboard,
        0x70 => Target::Index,
        0x71 => Target::Memory,
        0x3F8..=0x3FF => Target::Uart(port - 0x3F8),
        _ => return None,
    })
}

/// Whether what an access to this port does depends on the time.
pub fn depends_on_time(port: u16) -> bool {
    use Target::{Counter, Index, Memory, SystemControl, TimerControl};
    matches!(target(port), Some(Counter(_) | TimerControl | SystemControl | Index | Memory))
}

/// All devices of a guest.
///
/// Time is the number of clock pulses of [`pit::HERTZ`](HERTZ) since the guest began. A time before that of an earlier
/// call counts as that one.
#[derive(Clone, Debug)]
pub struct Devices {
    pic: Pic,
    pit: Pit,
    uart: Uart,
    cmos: Cmos,
    /// Port 0x61.
    control: u8,
    now: u64,
    /// The timer's interrupt output does not change before this time.
    steady_until: u64,
    /// The time at which it rises.
    edge: Option<u64>,
    /// The time at the guest's beginning, in seconds since 1970.
    began: u64,
}

impl Devices {
    /// Devices after a reset, at a time in seconds since 1970.
    pub fn new(began: u64) -> Devices {
        let (pic, pit, uart, cmos) = Default::default();
        let mut devices = Devices { pic, pit, uart, cmos, control: 0, now: 0, steady_until: 0, edge: None, began };
        devices.follow_timer();
        devices
    }

    /// Executes `in`: the value, whose bytes above `size` are 0.
    pub fn read(&mut self, port: u16, size: Size, now: u64) -> u32 {
        self.update(now);
        (0..size as u16).fold(0, |value, byte| value | u32::from(self.get(port.wrapping_add(byte))) << (8 * byte))
    }

    /// Executes `out`. The bytes of `value` above `size` do not count.
    #[must_use = "the monitor has to do something"]
    pub fn write(&mut self, port: u16, size: Size, value: u32, now: u64) -> Option<Event> {
        self.update(now);
        let mut event = None;
        for (byte, offset) in value.to_le_bytes().into_iter().zip(0..size as u16) {
            // Ports with events are more than four apart, so there is one event at most.
            event = event.or(self.put(port.wrapping_add(offset), byte));
        }
        event
    }

    /// The number of bytes that the serial line takes from outside. The monitor keeps the others.
    pub fn room(&self) -> usize {
        self.uart.room()
    }

    /// A byte comes on the serial line.
    pub fn receive(&mut self, byte: u8) {
        self.uart.receive(byte);
        self.follow_serial();
    }

    /// Lets time pass.
    pub fn update(&mut self, now: u64) {
        self.now = self.now.max(now);
        if now < self.steady_until {
            return;
        }
        if self.edge.is_some_and(|edge| edge <= now) {
            // It was low before the edge. If it is high now, that is a new edge for the controllers.
            self.pic.set_line(TIMER, false);
        }
        self.follow_timer();
    }

    /// The time at which the guest must be interrupted although it does nothing; `None` if that never happens.
    ///
    /// It is the timer's next edge after the last call, unless the guest masks it.
    pub fn deadline(&self) -> Option<u64> {
        if self.pic.is_masked(TIMER) { None } else { self.edge }
    }

    /// Whether the guest is to be interrupted as soon as it admits interrupts.
    pub fn interrupt_pending(&self) -> bool {
        self.pic.is_interrupting()
    }

    /// The vector of the most urgent interrupt, which is in service from now on. The monitor injects it at the next
    /// entry.
    pub fn acknowledge(&mut self) -> u8 {
        self.pic.acknowledge()
    }

    /// Brings the timer's output to the interrupt controllers.
    fn follow_timer(&mut self) {
        self.pic.set_line(TIMER, self.pit.output(Channel::Interrupt, self.now));
        self.steady_until = self.pit.next_change(self.now).unwrap_or(u64::MAX);
        self.edge = self.pit.next_edge(self.now);
    }

    /// Brings the serial line's output to the interrupt controllers.
    fn follow_serial(&mut self) {
        let line = self.uart.take_line();
        if line.dipped {
            self.pic.set_line(SERIAL, false);
        }
        self.pic.set_line(SERIAL, line.high);
    }

    fn seconds(&self) -> u64 {
        self.began.saturating_add(self.now / HERTZ)
    }

    fn get(&mut self, port: u16) -> u8 {
        match target(port) {
            Some(Target::Pic(side, register)) => self.pic.read(side, register),
            Some(Target::Counter(channel)) => self.pit.read(channel, self.now),
            Some(Target::SystemControl) => {
                let refresh = (self.now / REFRESH % 2) as u8;
                self.control | refresh << 4 | u8::from(self.pit.output(Channel::Speaker, self.now)) << 5
            }
            Some(Target::Memory) => self.cmos.read(self.seconds()),
            Some(Target::Uart(register)) => {
                let byte = self.uart.read(register);
                self.follow_serial();
                byte
            }
            // Ports that are only written.
            Some(Target::TimerControl | Target::Keyboard | Target::Index) | None => 0xFF,
        }
    }

    fn put(&mut self, port: u16, byte: u8) -> Option<Event> {
        match target(port)? {
            Target::Pic(side, register) => self.pic.write(side, register, byte),
            Target::Counter(channel) => {
                self.pit.write(channel, byte, self.now);
                self.follow_timer();
            }
            Target::TimerControl => {
                self.pit.control(byte, self.now);
                self.follow_timer();
            }
            Target::SystemControl => {
                self.control = byte & CONTROL;
                self.pit.set_gate(byte & GATE != 0, self.now);
            }
            Target::Keyboard if byte == RESET => return Some(Event::Reset),
            Target::Keyboard => {}
            Target::Index => self.cmos.select(byte),
            Target::Memory => self.cmos.write(byte, self.seconds()),
            Target::Uart(register) => {
                let sent = self.uart.write(register, byte);
                self.follow_serial();
                return sent.map(Event::Output);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
