//! How a guest begins: its segments and registers, and its clock.

use super::{PROTECTION, Vm};
use crate::guest::{Descriptor, Register, Segment};
use crate::sys;
use abi::Error;
use vmm::clock::Clock;
use vmm::exit::Reason;
use vmm::linux;
use vmm::pit::HERTZ;
use vmm::ports::Devices;

/// The bit of EFLAGS that is always 1.
const FLAGS: u32 = 2;
/// Milliseconds that a measurement of the time-stamp counter takes.
const MEASUREMENT: u64 = 100;
/// The slowest counter with which the devices work.
const SLOWEST: Clock = Clock::new(HERTZ).unwrap();
/// Where the guest's code for the measurement is.
const SCRATCH: u16 = 0x7C00;

/// All segments.
const SEGMENTS: [Segment; 10] = {
    use Segment::{Cs, Ds, Es, Fs, Gdtr, Gs, Idtr, Ldtr, Ss, Tr};
    [Cs, Ds, Es, Fs, Gs, Ss, Ldtr, Tr, Gdtr, Idtr]
};
/// Access rights of segments, in the format of VT-x: code and data, a local descriptor table, a busy task.
const CODE: u32 = 0x9B;
const DATA: u32 = 0x93;
const TABLE: u32 = 0x82;
const TASK: u32 = 0x8B;
/// Access rights of flat segments of 4 GiB: they are of 32 bits, and their limits count pages.
const FLAT: u32 = 0xC000;

impl Vm {
    /// Measures how fast the guest's time-stamp counter is, by a guest that reads it twice, and sets the counter and the
    /// devices' time to 0. The guest has to be prepared again afterwards. This takes a tenth of a second.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Vm::run), and [`Error::InvalHvm`] if the processor does not run such a guest.
    pub fn set_clock(&mut self) -> Result<(), Error> {
        // The first reading maps the page.
        self.time_stamp()?;
        let [start, first] = [sys::next_millisecond()?.into(), self.time_stamp()?];
        while u64::from(sys::uptime()?).wrapping_sub(start) < MEASUREMENT - 1 {}
        let [end, last] = [u64::from(sys::next_millisecond()?), self.time_stamp()?];
        let hertz = last.wrapping_sub(first) * 1000 / end.wrapping_sub(start).max(1);
        self.clock = Clock::new(hertz).unwrap_or(SLOWEST);
        let offset = self.guest.tsc_offset()?;
        let now = self.time_stamp()?;
        self.guest.set_tsc_offset(offset.wrapping_sub(now))?;
        self.devices = Devices::new(0);
        self.uptime = sys::uptime()?;
        self.began = self.uptime;
        Ok(())
    }

    /// The guest's time-stamp counter, as a guest in real mode reads it.
    fn time_stamp(&mut self) -> Result<u64, Error> {
        /// RDTSC, HLT.
        const CODE: [u8; 3] = [0x0F, 0x31, 0xF4];
        let kept: [u8; CODE.len()] = core::array::from_fn(|index| self.memory()[usize::from(SCRATCH) + index]);
        self.memory()[SCRATCH.into()..][..CODE.len()].copy_from_slice(&CODE);
        self.start_in_real_mode(SCRATCH)?;
        loop {
            match self.guest.run()?.0 {
                Reason::HLT => break,
                Reason::EXTERNAL_INTERRUPT => {}
                // SAFETY: as in `answer`.
                Reason::EPT_VIOLATION => unsafe { self.map(SCRATCH.into()) }?,
                _ => return Err(Error::InvalHvm),
            }
        }
        self.memory()[SCRATCH.into()..][..CODE.len()].copy_from_slice(&kept);
        let [low, high] = [self.guest.register(Register::Eax)?, self.guest.register(Register::Edx)?];
        Ok(u64::from(high) << 32 | u64::from(low))
    }

    /// Prepares a start in real mode at this address, which is the stack pointer as well. All segments begin at 0.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn start_in_real_mode(&mut self, address: u16) -> Result<(), Error> {
        for segment in SEGMENTS {
            let access = match segment {
                Segment::Cs => CODE,
                Segment::Ldtr => TABLE,
                Segment::Tr => TASK,
                _ => DATA,
            };
            self.guest.set_segment(segment, Descriptor { selector: 0, base: 0, limit: 0xFFFF, access })?;
        }
        self.guest.set_register(Register::Eflags, FLAGS)?;
        self.guest.set_register(Register::Esp, address.into())?;
        self.guest.set_register(Register::Eip, address.into())
    }

    /// Prepares the start of a Linux kernel at its entry point, as [`vmm::linux`] describes it. `zero_page` is the
    /// address of the zero page.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn start_linux(&mut self, entry: u32, zero_page: u32) -> Result<(), Error> {
        for segment in SEGMENTS {
            let (selector, access) = match segment {
                Segment::Cs => (linux::CODE.into(), CODE | FLAT),
                Segment::Ldtr => (0, TABLE),
                Segment::Tr => (0, TASK),
                Segment::Gdtr | Segment::Idtr => (0, 0),
                _ => (linux::DATA.into(), DATA | FLAT),
            };
            let limit = if access & FLAT == 0 { 0xFFFF } else { u32::MAX };
            self.guest.set_segment(segment, Descriptor { selector, base: 0, limit, access })?;
        }
        let protected = self.guest.register(Register::Cr0)? | PROTECTION;
        let registers = [
            (Register::Cr0, protected),
            (Register::Eflags, FLAGS),
            (Register::Eax, 0),
            (Register::Ebx, 0),
            (Register::Ecx, 0),
            (Register::Edx, 0),
            (Register::Ebp, 0),
            (Register::Edi, 0),
            (Register::Esi, zero_page),
            (Register::Eip, entry),
        ];
        registers.into_iter().try_for_each(|(register, value)| self.guest.set_register(register, value))
    }
}
