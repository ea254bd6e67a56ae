//! Tests of the console's primitives: bursts, a full ring, line feeds, and results of −1.
use domain::Map;
use layer::core::constants::{COM1_LINE, CONSOLE_BUFFER_SIZE, NEXT_SEND_MAX_REC, NO_CHARACTER};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::boot::sched_init;
use layer::objects::console::cons_buf_read;
use layer::objects::console::serial::{serial_intr_disable, serial_intr_enable, serial_putc};
use layer::objects::interrupt::{cli, sti};
use layer::spec::fact::Class;
use sim::check::facts::check;
use sim::machine::Sim;
use sim::machine::boot::{processor, shared};
use sim::machine::platform::{self, Memory, Platform};
use sim::machine::serial::SerialEvent::*;
use sim::machine::serial::SerialInput;
use sim::machine::sparse::Cells;
use std::sync::Arc;

/// Runs `story` on CPU `cpu` of a machine with this script, and checks that the invariant holds afterwards.
fn tell(cpu: u32, script: SerialInput, story: impl FnOnce(&mut Cpu<'_, Sim>)) {
    let mut platform = Platform::bare(Memory::default());
    platform.serial = script;
    platform::make_current(Arc::new(platform), None);
    let shared = shared();
    let mut processor = processor(&shared, cpu);
    sched_init(&mut processor, 0).unwrap();
    story(&mut processor);
    assert_eq!(check(&processor, cpu, Cells::Neighbours, Class::Entry), []);
}

/// Reads all available characters.
fn read(cpu: &mut Cpu<'_, Sim>) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match cons_buf_read(cpu).unwrap() {
            NO_CHARACTER => return all,
            character => all.push(u8::try_from(character).unwrap()),
        }
    }
}

#[test]
fn a_burst_is_taken_and_read_in_order() {
    tell(0, SerialInput::of([Recv(b"hello, world".to_vec())]), |cpu| {
        assert_eq!(read(cpu), b"");
        serial_intr_disable(cpu).unwrap();
        assert_eq!(serial_putc(cpu, 'x'.into()), Ok('x'.into()));
        assert_eq!(read(cpu), b"hello, world");
        serial_intr_enable(cpu).unwrap();
    });
}

#[test]
fn of_a_longer_burst_the_newest_12_are_kept() {
    tell(0, SerialInput::of([Recv(b"what was before: hello, world".to_vec())]), |cpu| {
        serial_intr_disable(cpu).unwrap();
        assert_eq!(read(cpu), b"hello, world");
    });
}

#[test]
fn what_comes_while_the_line_is_masked_is_taken_when_it_is_opened() {
    tell(0, SerialInput::of([Null, Recv(b"one ".to_vec()), Recv(b"two ".to_vec()), Recv(b"three".to_vec())]), |cpu| {
        // There is no event yet, so the call consumes none.
        serial_intr_disable(cpu).unwrap();
        assert_eq!((cpu.own.com1.l1, cpu.own.com1.l2), (0, 0));
        // The first event has passed without being read.
        cpu.own.com1.l1 = 1;
        serial_intr_disable(cpu).unwrap();
        assert_eq!((read(cpu), cpu.own.com1.irq), (Vec::new(), true));
        assert_eq!(serial_putc(cpu, 'x'.into()), Err(Stuck::SerialBusy));
        serial_intr_enable(cpu).unwrap();
        assert_eq!(read(cpu), b"ne two three");
        assert!(cpu.own.lines.get([COM1_LINE]).enabled);
    });
}

#[test]
fn the_ring_keeps_the_newest_511() {
    let burst = |k: u32| Recv((0..12).map(|i| (k + i) as u8).collect());
    tell(0, SerialInput::of((0..3000).map(burst)), |cpu| {
        serial_intr_disable(cpu).unwrap();
        assert_eq!(cpu.own.console.len, CONSOLE_BUFFER_SIZE - 1);
        // A hundred bursts of 12 characters, each 26 events after the one before. The read position is computed as in
        // the reference.
        let (mut rpos, mut len) = (0, 0);
        for _ in 0..100 {
            len += 12;
            if len > 511 {
                (rpos, len) = ((rpos + len + 1) % 512, 511);
            }
        }
        assert_eq!((cpu.own.console.start, cpu.own.console.len), (rpos, len));
        let sent: Vec<u8> = (0..100u32).flat_map(|k| (0..12).map(move |i| (26 * k + i) as u8)).collect();
        assert_eq!(read(cpu), sent[1200 - 511..]);
    });
}

#[test]
fn a_line_feed_goes_out_with_a_carriage_return() {
    tell(0, SerialInput::default(), |cpu| {
        assert_eq!(serial_putc(cpu, 0x100 + 10), Ok(10));
        let com1 = &cpu.own.com1;
        assert_eq!((com1.tx, com1.tx_len, com1.l2), ([10, 13], 2, 1));
    });
}

#[test]
fn a_transmitter_that_is_never_done_is_given_up() {
    tell(0, SerialInput::of([Null, Null, Null, SendComplete]), |cpu| {
        assert_eq!(serial_putc(cpu, 65), Ok(65));
        assert_eq!((serial_putc(cpu, 66), cpu.own.com1.l2), (Ok(66), 4));
        assert_eq!(serial_putc(cpu, 67), Ok(NO_CHARACTER));
        assert_eq!((cpu.own.com1.tx[0], cpu.own.com1.l2), (66, 4 + NEXT_SEND_MAX_REC));
    });
}

#[test]
fn another_cpu_has_no_uart() {
    tell(3, SerialInput::default(), |cpu| {
        assert_eq!(serial_putc(cpu, 65), Ok(NO_CHARACTER));
        assert_eq!(cons_buf_read(cpu), Ok(NO_CHARACTER));
    });
}

#[test]
fn interrupts_have_to_be_on() {
    tell(0, SerialInput::default(), |cpu| {
        cli(cpu).unwrap();
        assert_eq!(serial_intr_disable(cpu), Err(Stuck::NotInterruptible));
        assert_eq!(serial_intr_enable(cpu), Err(Stuck::NotInterruptible));
        sti(cpu).unwrap();
        serial_intr_disable(cpu).unwrap();
    });
}
