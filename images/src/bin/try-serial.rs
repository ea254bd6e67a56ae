//! Text that is typed on COM1 comes to the layer's console, in any amount, and is sent back by its transmitter, one
//! line at a time. While no text comes, the CPU halts.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use kernel::cpu::block::Cpu as Hardware;
use kernel::devices::exit::Reason;
use kernel::devices::{console, power};
use kernel::entry::stubs;
use kernel::image::{Boot, Image};
use kernel::machine::{Metal, processor, serial, set_platform, shared};
use kernel::say;
use kernel::sync::lock::Lock;
use kernel::sync::pending::{self, Work};
use layer::core::constants::NO_CHARACTER;
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::boot::sched_init;
use layer::objects::console::cons_buf_read;
use layer::objects::console::serial::{serial_intr_disable, serial_intr_enable, serial_putc};
use layer::objects::interrupt::sti;

kernel::image!(Image { prepare, start, ..Image::DEFAULT });

/// The longest line.
const MOST: usize = 1024;

static CPU: Lock<Option<Cpu<'static, Metal>>> = Lock::new(None);

fn prepare(boot: &mut Boot) {
    let platform = set_platform(boot).expect("memory");
    *CPU.lock() = Some(processor(platform, shared(platform), 0));
}

fn start(_: &mut Hardware) -> ! {
    let mut cpu = CPU.lock();
    match run(cpu.as_mut().expect("`prepare` has made it")) {
        Ok(()) => {
            say!("{} characters were lost", console::lost_input());
            power::leave(Reason::Done)
        }
        Err(stuck) => panic!("{stuck:?}"),
    }
}

fn run(cpu: &mut Cpu<'static, Metal>) -> Result<(), Stuck> {
    sched_init(cpu, 0)?;
    sti(cpu)?;
    say!("type now");
    let (mut line, mut length) = ([0; MOST], 0);
    loop {
        let character = read(cpu)?;
        if character != u32::from(b'\n') {
            line[length] = character as u8;
            length += 1;
            continue;
        }
        let line = &line[..core::mem::take(&mut length)];
        for &byte in b"<".iter().chain(line).chain(b">\n") {
            write(cpu, byte)?;
        }
        if line == b"bye" {
            return Ok(());
        }
    }
}

/// Waits for the next character.
fn read(cpu: &mut Cpu<'static, Metal>) -> Result<u32, Stuck> {
    loop {
        serial::attend(cpu);
        serial_intr_disable(cpu)?;
        let character = cons_buf_read(cpu)?;
        serial_intr_enable(cpu)?;
        if character != NO_CHARACTER {
            return Ok(character);
        }
        if !pending::is_any(&[Work::Input]) {
            stubs::wait_for_interrupt();
        }
    }
}

fn write(cpu: &mut Cpu<'static, Metal>, byte: u8) -> Result<(), Stuck> {
    serial_intr_disable(cpu)?;
    serial_putc(cpu, byte.into())?;
    serial_intr_enable(cpu)
}
