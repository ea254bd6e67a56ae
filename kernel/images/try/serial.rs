//! Text that is typed on COM1 comes to the layer's console, in any amount, and is sent back by its transmitter, one
//! line at a time. While no text comes, the CPU halts.
#![no_std]
#![no_main]

use kernel::exit::Reason;
use kernel::lock::Lock;
use kernel::metal::attention::{self, Why};
use kernel::metal::boot::Boot;
use kernel::metal::cpu::Cpu as Hardware;
use kernel::metal::machine::{Metal, processor, serial, set_board, shared};
use kernel::metal::{Image, console, entry, power};
use kernel::say;
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
    let board = set_board(boot).expect("memory");
    *CPU.lock() = Some(processor(board, shared(board), 0));
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
        if !attention::is_any(&[Why::Input]) {
            entry::wait_for_interrupt();
        }
    }
}

fn write(cpu: &mut Cpu<'static, Metal>, byte: u8) -> Result<(), Stuck> {
    serial_intr_disable(cpu)?;
    serial_putc(cpu, byte.into())?;
    serial_intr_enable(cpu)
}
