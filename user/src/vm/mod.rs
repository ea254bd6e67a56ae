//! A virtual machine with the devices of a small PC: the loop of a monitor.
//!
//! [`Vm`] runs a [`Guest`] and answers its exits with the devices, CPUID and MSRs of the crate `vmm`. What it cannot
//! answer ends the guest, and [`End::Stopped`] has a report of it.
//!
//! Guest memory is memory of the program. A page is mapped when the guest first touches it, and charged to the
//! program's quota like any other page.

mod absent;
mod exits;
mod start;

use crate::guest::{Guest, Register};
use crate::{memory, sys};
use abi::Error;
use alloc::string::String;
use vmm::clock::Clock;
use vmm::exit::{Exits, Reason};
use vmm::pit::HERTZ;
use vmm::ports::Devices;

/// EFLAGS: interrupts are on.
const INTERRUPTS: u32 = 1 << 9;
/// CR0: protection is on.
const PROTECTION: u32 = 1;
/// The guest's time-stamp counter as CPUID describes it, unless [`Vm::set_clock`] has measured it.
const CLOCK: Clock = Clock::new(1_000_000_000).unwrap();

/// The other end of a guest's serial line.
pub trait Console {
    /// The guest sends a byte.
    fn write(&mut self, byte: u8);

    /// The next byte for the guest, if there is one. What the guest has sent has to be visible now.
    fn read(&mut self) -> Option<u8> {
        None
    }

    /// Whether there can ever be a byte for the guest. Otherwise a guest that waits for one has halted.
    fn can_read(&self) -> bool {
        false
    }
}

/// How a guest ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// It executed HLT, and nothing would ever wake it.
    Halted,
    /// It reset its machine.
    Reset,
    /// It did something that the monitor does not emulate. The report has several lines, and ends without a line feed.
    Stopped {
        /// The basic reason of the exit.
        reason: Reason,
        /// The exit in words, the guest's registers, and the instruction.
        report: String,
    },
    /// It did not end within the time that the monitor gave it.
    TimeOut,
}

/// A virtual machine. It has the virtual machine of this CPU until the program ends.
#[derive(Debug)]
pub struct Vm {
    guest: Guest,
    devices: Devices,
    /// The guest's memory, from guest-physical address 0 on. Only [`memory`](Vm::memory) makes references to it.
    memory: *mut [u8],
    /// The uptime at the beginning, and when it was looked up last, in milliseconds.
    began: u32,
    uptime: u32,
    /// The guest's time-stamp counter.
    clock: Clock,
    /// Whether the guest exits when it can take an interrupt.
    watching: bool,
    exits: Exits,
}

impl Vm {
    /// Makes a virtual machine with this many pages of memory, all zero.
    ///
    /// # Errors
    ///
    /// Those of [`Guest::create`]; [`Error::Mem`] if this program has too few addresses for the memory.
    pub fn new(pages: u32) -> Result<Vm, Error> {
        Vm::over(memory::take(pages).ok_or(Error::Mem)?)
    }

    /// Makes a virtual machine with this memory, which begins on a page of its own.
    ///
    /// # Errors
    ///
    /// Those of [`Guest::create`].
    pub fn over(memory: &'static mut [u8]) -> Result<Vm, Error> {
        let guest = Guest::create()?;
        let (devices, uptime) = (Devices::new(0), sys::uptime()?);
        Ok(Vm { guest, devices, memory, began: uptime, uptime, clock: CLOCK, watching: false, exits: Exits::NONE })
    }

    /// The guest's memory.
    pub fn memory(&mut self) -> &mut [u8] {
        // SAFETY: `take` gave these bytes to this object alone. The guest changes them only in `run`, which borrows the
        // object as this reference does.
        unsafe { &mut *self.memory }
    }

    /// The registers of the guest.
    pub fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    /// The exits so far, without those for interrupts of the host.
    pub fn exits(&self) -> &Exits {
        &self.exits
    }

    /// Runs the guest until it ends, at most for this many milliseconds if there is a limit.
    ///
    /// # Errors
    ///
    /// [`Error::Mem`] if the quota does not allow to reserve a page that the guest touches.
    pub fn run(&mut self, limit: Option<u32>, console: &mut impl Console) -> Result<End, Error> {
        self.look_at_clock()?;
        let start = self.uptime;
        loop {
            if let Some(end) = self.step(console)? {
                return Ok(end);
            }
            if limit.is_some_and(|limit| self.uptime.wrapping_sub(start) >= limit) {
                return Ok(End::TimeOut);
            }
        }
    }

    /// Runs the guest until it exits, and answers the exit. Returns how the guest ended, if it did.
    ///
    /// # Errors
    ///
    /// As for [`run`](Vm::run).
    pub fn step(&mut self, console: &mut impl Console) -> Result<Option<End>, Error> {
        self.offer_interrupt()?;
        let (reason, eax) = self.guest.run()?;
        if reason == Reason::EXTERNAL_INTERRUPT {
            // The host's own clock makes the guest exit like this. So time passes for the guest even if none of its
            // other exits has to do with time.
            self.look_at_clock()?;
            self.listen(console);
            return Ok(None);
        }
        self.exits.count(reason);
        self.answer(reason, eax, console)
    }

    /// Brings bytes to the guest, as long as there are any and its serial line takes them.
    fn listen(&mut self, console: &mut impl Console) {
        while self.devices.room() > 0
            && let Some(byte) = console.read()
        {
            self.devices.receive(byte);
        }
    }

    /// The devices' time, when it was looked up last: pulses since the guest's beginning.
    fn now(&self) -> u64 {
        u64::from(self.uptime.wrapping_sub(self.began)) * HERTZ / 1000
    }

    /// Looks up the time, and lets it pass for the devices.
    fn look_at_clock(&mut self) -> Result<(), Error> {
        self.uptime = sys::uptime()?;
        self.devices.update(self.now());
        Ok(())
    }

    /// Injects an interrupt that the devices ask for, or waits until the guest can take it.
    fn offer_interrupt(&mut self) -> Result<(), Error> {
        let mut watch = false;
        if self.devices.interrupt_pending() {
            let admits = self.guest.register(Register::Eflags)? & INTERRUPTS != 0
                && !self.guest.is_in_interrupt_shadow()?
                && !self.guest.has_pending_event()?;
            if admits {
                let vector = self.devices.acknowledge();
                self.guest.interrupt(vector)?;
            }
            watch = !admits || self.devices.interrupt_pending();
        }
        if watch != self.watching {
            self.guest.watch_interrupt_window(watch)?;
            self.watching = watch;
        }
        Ok(())
    }
}
