//! Runs Linux in a virtual machine, with the console of the machine as its serial line.
//!
//! The file of this program, as `cargo cairn linux` puts it together, has the guest's memory in a segment of its own: a
//! kernel, an initial RAM disk, a command line and the zero page. The arguments are the kernel's entry point, the address
//! of the zero page, and the number of the memory's pages.
#![no_std]
#![no_main]

use abi::{Error, PAGE_SIZE};
use user::console::Piece;
use user::vm::{Console, End, Vm};
use user::{args, println, program, sys};
use vmm::linux::MONITOR_BASE;

program!(main);

fn main() -> Result<u32, Error> {
    let mut numbers = args().map(str::parse::<u32>);
    let (Some(Ok(entry)), Some(Ok(zero_page)), Some(Ok(pages))) = (numbers.next(), numbers.next(), numbers.next())
    else {
        println!("linux: `cargo cairn linux` starts this program");
        return Ok(2);
    };
    let memory = core::ptr::with_exposed_provenance_mut(MONITOR_BASE as usize);
    // SAFETY: the range is in the window, and nothing else of this program is there: the heap begins above it, and the
    // image's other segments end below.
    let memory = unsafe { core::slice::from_raw_parts_mut(memory, (pages * PAGE_SIZE) as usize) };
    let mut vm = match Vm::over(memory) {
        Ok(vm) => vm,
        Err(Error::NoGuests) => {
            println!("linux: this machine runs no guests");
            return Ok(0);
        }
        Err(error) => return Err(error),
    };
    vm.set_clock()?;
    vm.start_linux(entry, zero_page)?;
    let began = sys::uptime()?;
    let end = vm.run(None, &mut Serial { output: Piece::new(), is_there: true })?;
    let time = sys::uptime()?.wrapping_sub(began);
    match &end {
        End::Halted => println!("\nlinux has halted, after {} exits and {time} ms", vm.exits()),
        End::Reset => println!("\nlinux has reset its machine, after {} exits and {time} ms", vm.exits()),
        End::Stopped { report, .. } => println!("\nlinux: {report}"),
        End::TimeOut => println!("\nlinux did not end in time"),
    }
    Ok(!matches!(end, End::Halted | End::Reset) as u32)
}

/// The machine's console. Output is collected until a line ends or Linux waits.
struct Serial {
    output: Piece,
    /// Whether this CPU has the machine's serial port.
    is_there: bool,
}

impl Console for Serial {
    fn write(&mut self, byte: u8) {
        self.output.collect(&[byte]);
        if byte == b'\n' {
            self.output.flush();
        }
    }

    fn read(&mut self) -> Option<u8> {
        self.output.flush();
        match sys::getc() {
            Ok(byte) => byte,
            Err(_) => {
                self.is_there = false;
                None
            }
        }
    }

    fn can_read(&self) -> bool {
        self.is_there
    }
}
