//! Small guests, each in a virtual machine of its own: two that behave, and others that try to do harm. Whatever a
//! guest does, only it ends, and its monitor says how.
//!
//! The argument is a guest's name, or `all`: then a child runs each guest, one after the other.
#![no_std]
#![no_main]

extern crate alloc;

mod code;

use abi::{Cause, Error, PAGE_SIZE};
use alloc::string::String;
use user::vm::{Console, End, Vm};
use user::{args, image, println, program, sys};
use vmm::exit::Reason;

program!(main);

/// Number of this program.
const SELF: u32 = image::number("guests").unwrap();
/// Pages of a child.
const QUOTA: u32 = 256;
/// Pages of a guest's memory. Those that it touches are charged to its monitor.
const MEMORY: u32 = 64;
/// The address of a guest's code.
const START: u16 = 0x7C00;
/// Milliseconds that a guest has.
const LIMIT: u32 = 2000;

/// A guest, and how it ends.
struct Row {
    name: &'static str,
    code: fn() -> &'static [u8],
    /// Milliseconds that it has.
    limit: u32,
    end: Expected,
}

/// How a guest ends.
#[derive(PartialEq, Eq)]
enum Expected {
    Halted,
    Stopped(Reason),
    TimeOut,
}

const fn row(name: &'static str, code: fn() -> &'static [u8], end: Expected) -> Row {
    Row { name, code, limit: LIMIT, end }
}

const GUESTS: [Row; 8] = [
    row("real-mode", code::real_mode, Expected::Halted),
    row("timer", code::timer, Expected::Halted),
    row("outside", code::outside, Expected::Stopped(Reason::EPT_VIOLATION)),
    row("tables", code::tables, Expected::Stopped(Reason::EPT_VIOLATION)),
    row("registers", code::registers, Expected::Halted),
    row("storm", code::storm, Expected::Halted),
    row("triple-fault", code::triple_fault, Expected::Stopped(Reason::TRIPLE_FAULT)),
    Row { limit: 50, ..row("endless", code::endless, Expected::TimeOut) },
];

fn main() -> Result<u32, Error> {
    match args().next() {
        Some("all") => all(),
        Some(name) => match GUESTS.iter().find(|guest| guest.name == name) {
            Some(guest) => run(guest),
            None => {
                println!("guests: no guest is called `{name}`");
                Ok(2)
            }
        },
        None => {
            println!("guests: which one, or `all`?");
            Ok(2)
        }
    }
}

/// Runs every guest in a child of its own. The status is the number of those that did not end as expected.
fn all() -> Result<u32, Error> {
    let mut failures = 0;
    for guest in &GUESTS {
        let child = args::spawn(SELF, QUOTA, &[guest.name])?;
        let ended = sys::wait(child)?;
        failures += u32::from((ended.cause, ended.status) != (Cause::Exited, 0));
    }
    Ok(failures)
}

/// Runs a guest, and says what it printed and how it ended. The status is 0 if it ended as expected.
fn run(guest: &Row) -> Result<u32, Error> {
    let (name, cpu) = (guest.name, sys::who_am_i()?.cpu);
    let mut vm = match Vm::new(MEMORY) {
        Ok(vm) => vm,
        Err(Error::NoGuests) => {
            println!("guest {name} on CPU {cpu}: this machine runs no guests");
            return Ok(0);
        }
        Err(error) => return Err(error),
    };
    // Its time-stamp counter begins at 0.
    vm.set_clock()?;
    let code = (guest.code)();
    vm.memory()[START.into()..][..code.len()].copy_from_slice(code);
    vm.start_in_real_mode(START)?;
    let mut lines = Lines { name, cpu, line: String::new() };
    let end = vm.run(Some(guest.limit), &mut lines)?;
    let is_expected = match &end {
        End::Halted => guest.end == Expected::Halted,
        End::Stopped { reason, .. } => guest.end == Expected::Stopped(*reason),
        End::TimeOut => guest.end == Expected::TimeOut,
        End::Reset => false,
    };
    match &end {
        End::Stopped { report, .. } if !is_expected => println!("guest {name} on CPU {cpu}: {report}"),
        End::Stopped { reason, .. } => {
            println!("guest {name} on CPU {cpu} was stopped by exit {reason}")
        }
        End::Halted => println!("guest {name} on CPU {cpu} has halted"),
        End::Reset => println!("guest {name} on CPU {cpu} has reset its machine"),
        End::TimeOut => println!("guest {name} on CPU {cpu} did not end in time"),
    }
    Ok((!is_expected).into())
}

/// A console that prints each line with the guest's name. Nobody types.
struct Lines {
    name: &'static str,
    cpu: u32,
    line: String,
}

impl Console for Lines {
    fn write(&mut self, byte: u8) {
        if byte == b'\n' {
            println!("guest {} on CPU {}: {}", self.name, self.cpu, self.line);
            self.line.clear();
        } else {
            self.line.push(byte.into());
        }
    }
}

const _: () = assert!(MEMORY * PAGE_SIZE >= 0x1_0000, "a real-mode program may use 64 KiB");
