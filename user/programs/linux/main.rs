//! Runs Linux in a virtual machine, with the console of the machine as its serial line.
//!
//! The file of this program, as `cargo cairn linux` puts it together, has the guest's memory in a segment of its own: a
//! kernel, an initial RAM disk, a command line and the zero page. The arguments are the kernel's entry point, the address
//! of the zero page, the number of the memory's pages, and perhaps `measure`: then the program measures how long Linux
//! takes to its prompt, and ends. Only the image of the bench lets it read the time-stamp counter.
#![no_std]
#![no_main]

use abi::{Error, PAGE_SIZE};
use user::console::Piece;
use user::vm::{Console, End, Vm};
use user::{args, bench, println, program, sys};
use vmm::linux::{MONITOR_BASE, PROMPT};

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
    let mut serial = Serial { output: Piece::new(), is_there: true, of_prompt: 0, prompted: None };
    if args().nth(3) == Some("measure") {
        return measure(&mut vm, &mut serial);
    }
    let began = sys::uptime()?;
    let end = vm.run(None, &mut serial)?;
    let time = sys::uptime()?.wrapping_sub(began);
    if let Some(prompted) = serial.prompted {
        println!("\nlinux has printed its prompt after {} ms", prompted.wrapping_sub(began));
    }
    match &end {
        End::Halted => println!("\nlinux has halted, after {time} ms and {}", vm.exits()),
        End::Reset => println!("\nlinux has reset its machine, after {time} ms and {}", vm.exits()),
        End::Stopped { report, .. } => println!("\nlinux: {report}"),
        End::TimeOut => println!("\nlinux did not end in time"),
    }
    Ok(!matches!(end, End::Halted | End::Reset) as u32)
}

/// Runs the guest until its shell prints the prompt.
fn measure(vm: &mut Vm, serial: &mut Serial) -> Result<u32, Error> {
    let before = bench::nothing();
    while serial.of_prompt < PROMPT.len() {
        if let Some(end) = vm.step(serial)? {
            println!("\nlinux has ended before its prompt: {end:?}");
            return Ok(1);
        }
    }
    let ticks = bench::nothing().before - before.before;
    serial.output.flush();
    println!();
    bench::print("overhead", [before.ticks()].into_iter());
    bench::print("linux_prompt", [ticks].into_iter());
    println!("exits: {}", vm.exits());
    Ok(0)
}

/// The machine's console. Output is collected until a line ends or Linux waits.
struct Serial {
    output: Piece,
    /// Whether this CPU has the machine's serial port.
    is_there: bool,
    /// How many characters of the prompt the latest output is; all of them if the prompt has been printed.
    of_prompt: usize,
    /// The uptime at which it was printed first, in milliseconds.
    prompted: Option<u32>,
}

impl Console for Serial {
    fn write(&mut self, byte: u8) {
        self.output.collect(&[byte]);
        let prompt = PROMPT.as_bytes();
        if self.of_prompt < prompt.len() {
            // The prompt's first character occurs only once in it. So after a mismatch the prompt can begin no earlier
            // than with this character.
            self.of_prompt =
                if byte == prompt[self.of_prompt] { self.of_prompt + 1 } else { (byte == prompt[0]).into() };
            if self.of_prompt == prompt.len() {
                self.prompted = sys::uptime().ok();
            }
        }
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
