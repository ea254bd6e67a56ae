//! A fixture: a machine with one small program, and actions on it.
#![allow(dead_code, reason = "no test uses all of it")]
#[path = "../../src/image/executable.rs"]
#[allow(dead_code, reason = "the parser's own tests use more of it")]
mod executable;

use abi::Error;
use abi::console::{Decoder, Said};
use domain::Map;
use executable::{PT_LOAD, executable};
use layer::core::constants::*;
use layer::core::state::{Cpu, Shared};
use layer::spec::fact::Class;
use sim::check::facts::check;
use sim::machine::Sim;
use sim::machine::boot::{processor, shared};
use sim::machine::platform::{self, Archived, Memory, Platform, Start};
use sim::machine::serial::SerialInput;
use sim::machine::sparse::Cells;
use sim::state::snapshot::Snapshot;
use std::sync::{Arc, Mutex};
use syscall::entry;
use syscall::entry::EntryStep;
use syscall::image::ParsedImage;
use syscall::next::Next;

/// Text of 5 bytes on a page, data of 3 on the next and a page of zeros: three pages and their page table.
pub const FRAMES: u32 = 4;
/// The first program of CPU 0.
pub const FIRST: u32 = 9;

/// A machine with one image, whose CPU 0 starts it with these quotas.
pub struct Fixture {
    pub platform: Arc<Platform>,
    console: Arc<Mutex<Vec<u8>>>,
    decoder: Mutex<Decoder>,
    pub shared: Shared<Sim>,
}

impl Fixture {
    pub fn new(quotas: &[u32]) -> Self {
        Fixture::with_serial(quotas, SerialInput::default())
    }

    /// Like [`new`](Fixture::new), with a UART and this script of its events.
    pub fn with_serial(quotas: &[u32], serial: SerialInput) -> Self {
        Fixture::with(quotas, |platform| platform.serial = serial)
    }

    /// As [`new`](Fixture::new), on a machine that can run guests.
    pub fn with_guests(quotas: &[u32]) -> Self {
        Fixture::with(quotas, |platform| platform.vmxinfo[1] = 1)
    }

    fn with(quotas: &[u32], change: impl FnOnce(&mut Platform)) -> Self {
        let low = u64::from(ADR_LOW);
        let file = executable(low, &[(PT_LOAD, 5, low, 5, 5), (PT_LOAD, 6, low + 4096, 3, 8000)]);
        let image = ParsedImage::parse(&file).unwrap();
        let archive = vec![Archived { name: "image".to_owned(), file, image }];
        let starts: Vec<_> =
            quotas.iter().map(|&quota| Start { cpu: 0, image: 0, quota, arguments: String::new() }).collect();
        let console = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&console);
        let write = move |bytes: &[u8]| to.lock().unwrap().extend_from_slice(bytes);
        let memory = Memory::all(KERN_LOW + 8 * 500);
        let mut platform = Platform::new(memory, archive, 1, &starts, Box::new(write));
        change(&mut platform);
        let platform = Arc::new(platform);
        platform::make_current(Arc::clone(&platform), None);
        Fixture { platform, console, decoder: Mutex::default(), shared: shared() }
    }

    /// Boots CPU 0 and runs it until its first program runs.
    pub fn boot(&self) -> Cpu<'_, Sim> {
        let mut cpu = processor(&self.shared, 0);
        let next = entry::boot(&mut cpu, 0).unwrap();
        assert!(drive(&mut cpu, next));
        cpu
    }

    /// The bytes that were written to the console since the last call, without marks.
    pub fn console(&self) -> Vec<u8> {
        let stream = std::mem::take(&mut *self.console.lock().unwrap());
        let mut decoder = self.decoder.lock().unwrap();
        let said = stream.into_iter().filter_map(|byte| decoder.push(byte));
        said.map(|said| match said {
            Said::Byte(_, byte) => byte,
            Said::End(code) => panic!("the machine ended: {code}"),
        })
        .collect()
    }
}

/// Executes kernel steps until a program runs; `false` if none does. Before each step, checks its precondition and the
/// invariant.
pub fn drive(cpu: &mut Cpu<'_, Sim>, mut next: Next<Sim>) -> bool {
    for _ in 0..100 {
        assert!(next.holds(&Snapshot::take(cpu).view()), "{next:?}");
        assert_eq!(check(cpu, 0, Cells::Written, Class::Entry), []);
        next = match next.step(cpu).unwrap() {
            EntryStep::Kernel(next) => next,
            EntryStep::User(to_user) => {
                assert_eq!(to_user.thread, cpu.own.cur);
                return true;
            }
            EntryStep::Guest(guest) => {
                assert_eq!(guest.thread, cpu.own.cur);
                return true;
            }
        };
    }
    false
}

/// The upper half of a register in calls, which no call may read.
pub const JUNK: u64 = 0xDEAD_BEEF_0000_0000;

/// The running program makes a call and runs again at once. Returns the error number and the result.
pub fn call<const N: usize>(cpu: &mut Cpu<'_, Sim>, number: u32, arguments: [u32; N]) -> (u32, u32) {
    let thread = cpu.own.cur;
    let next = begin(cpu, number, arguments);
    assert!(drive(cpu, next));
    assert_eq!(cpu.own.cur, thread);
    answer(cpu, thread)
}

/// The running program makes a call.
pub fn begin<const N: usize>(cpu: &mut Cpu<'_, Sim>, number: u32, arguments: [u32; N]) -> Next<Sim> {
    let mut registers = [JUNK; UCTXT_SIZE as usize];
    registers[slot::EAX as usize] = JUNK | u64::from(number);
    for (slot, value) in [slot::EBX, slot::R10, slot::EDX, slot::ESI, slot::EDI].into_iter().zip(arguments) {
        registers[slot as usize] = JUNK | u64::from(value);
    }
    entry::system_call(cpu, registers).unwrap()
}

/// The error number and the result in a thread's registers.
pub fn answer(cpu: &Cpu<'_, Sim>, thread: u32) -> (u32, u32) {
    let [error, result] = [slot::EAX, slot::EBX].map(|slot| cpu.own.uctxt.get([thread, slot]).value as u32);
    (error, result)
}

/// The answer of a call that is refused.
pub fn refused(error: Error, first: u32) -> (u32, u32) {
    (error as u32, first)
}
