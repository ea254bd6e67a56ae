//! The tests' numbers are those of the data sheet's tables of registers, not the model's constants.
extern crate std;
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::vec::Vec;

/// A UART with FIFOs, trigger level 1, and OUT2, that has these interrupts enabled.
fn ready(enabled: u8) -> Uart {
    let mut uart = Uart::default();
    for (register, byte) in [(3, 0x03), (2, 0x01), (4, 0x0B), (1, enabled)] {
        assert_eq!(uart.write(register, byte), None);
    }
    uart.take_line();
    uart
}

#[test]
fn registers_have_their_values_after_reset() {
    let mut uart = Uart::default();
    assert_eq!([1, 2, 3, 4, 5].map(|register| uart.read(register)), [0x00, 0x01, 0x00, 0x00, 0x60]);
    assert_eq!(uart.read(6) & 0x0F, 0);
}

#[test]
fn unused_bits_are_zero_and_scratch_is_memory() {
    let mut uart = Uart::default();
    for register in [1, 4, 7] {
        assert_eq!(uart.write(register, 0xEF), None);
    }
    assert_eq!([1, 4, 7].map(|register| uart.read(register)), [0x0F, 0x0F, 0xEF]);
}

#[test]
fn the_divisor_is_apart_from_data_and_interrupts() {
    let mut uart = ready(0);
    assert_eq!(uart.write(1, 0x05), None);
    assert_eq!(uart.write(3, 0x83), None);
    assert_eq!([uart.write(0, 0x0C), uart.write(1, 0x34)], [None, None], "nothing is sent");
    assert_eq!([uart.read(0), uart.read(1)], [0x0C, 0x34]);
    assert_eq!(uart.write(3, 0x03), None);
    assert_eq!(uart.read(1), 0x05);
    assert_eq!(uart.write(0, b'x'), Some(b'x'));
}

#[test]
fn bytes_come_in_order_and_full_fifos_overrun() {
    let mut uart = ready(0);
    assert_eq!(uart.room(), 16);
    (0..20).for_each(|byte| uart.receive(byte));
    assert_eq!(uart.room(), 0);
    assert_eq!([uart.read(5), uart.read(5)], [0x63, 0x61], "reading clears the overrun");
    let read: Vec<u8> = (0..16).map(|_| uart.read(0)).collect();
    assert_eq!(read, (0..16).collect::<Vec<_>>());
    assert_eq!(uart.read(5), 0x60);
    // Without FIFO, the last byte stays.
    let mut uart = Uart::default();
    assert_eq!(uart.room(), 1);
    [7, 8].into_iter().for_each(|byte| uart.receive(byte));
    assert_eq!([uart.read(5), uart.read(0), uart.read(5)], [0x63, 8, 0x60]);
}

#[test]
fn fifo_control_empties_and_sets_the_trigger() {
    let mut uart = ready(0x01);
    for (control, trigger) in [(0x03, 1), (0x43, 4), (0x83, 8), (0xC3, 14)] {
        assert_eq!(uart.write(2, control), None);
        assert_eq!(uart.read(2), 0xC1, "empty");
        for received in 1..=16 {
            uart.receive(0);
            assert_eq!(uart.read(2), if received < trigger { 0xCC } else { 0xC4 }, "{received} of {trigger}");
        }
    }
    // Another trigger level alone keeps the bytes.
    assert_eq!([uart.write(2, 0x01), uart.write(2, 0xC1)], [None, None]);
    assert_eq!((uart.read(2), uart.room()), (0xC4, 0));
    // Off: the FIFO is lost, and the other bits do not count.
    assert_eq!(uart.write(2, 0xC2), None);
    assert_eq!([uart.read(2), uart.read(5)], [0x01, 0x60]);
    uart.receive(0);
    assert_eq!(uart.read(2), 0x04);
}

#[test]
fn the_most_urgent_interrupt_is_identified_first() {
    let mut uart = ready(0x0F);
    (0..17).for_each(|byte| uart.receive(byte));
    // In and out of loopback: the modem inputs change.
    assert_eq!([uart.write(4, 0x10), uart.write(4, 0x0B)], [None, None]);
    assert_eq!(uart.read(2), 0xC6);
    assert_eq!(uart.read(5), 0x63);
    assert_eq!(uart.read(2), 0xC4);
    (0..16).for_each(|byte| assert_eq!(uart.read(0), byte));
    assert_eq!([uart.read(2), uart.read(2)], [0xC2, 0xC0], "reading IIR ends the transmitter's interrupt only");
    assert_eq!(uart.read(6), 0xBB);
    assert_eq!([uart.read(6), uart.read(2)], [0xB0, 0xC1]);
}

#[test]
fn an_empty_transmitter_interrupts_once() {
    let mut uart = ready(0x00);
    assert!(!uart.take_line().high);
    assert_eq!(uart.write(1, 0x02), None);
    assert!(uart.take_line().high, "enabling it interrupts");
    assert_eq!([uart.read(2), uart.read(2)], [0xC2, 0xC1], "reading IIR ends it");
    assert_eq!(uart.write(1, 0x02), None);
    assert_eq!(uart.read(2), 0xC1, "it was enabled already");
    assert_eq!(uart.write(0, b'a'), Some(b'a'));
    assert!(uart.take_line().high);
    // The next byte ends the interrupt until it has been sent: another edge.
    assert_eq!(uart.write(0, b'b'), Some(b'b'));
    assert_eq!(uart.take_line(), Line { dipped: true, high: true });
    assert_eq!(uart.take_line(), Line { dipped: false, high: true });
    uart.receive(0);
    assert_eq!(uart.write(1, 0x03), None);
    assert_eq!([uart.read(2), uart.read(0)], [0xC4, 0]);
    assert_eq!(uart.read(2), 0xC2, "identifying another cause does not end it");
}

#[test]
fn out2_connects_the_line() {
    let mut uart = ready(0x01);
    uart.receive(0);
    let mut level = |control| {
        assert_eq!(uart.write(4, control), None);
        uart.take_line().high
    };
    assert_eq!([0x00, 0x08, 0x07, 0x18, 0x0F].map(&mut level), [false, true, false, false, true]);
    assert_eq!(uart.read(0), 0);
    assert_eq!(uart.take_line(), Line { dipped: true, high: false });
}

#[test]
fn loopback_connects_outputs_to_inputs() {
    let mut uart = ready(0);
    assert_eq!(uart.read(6), 0xB0);
    let outputs = [(0x10, 0x00), (0x11, 0x20), (0x12, 0x10), (0x14, 0x40), (0x18, 0x80), (0x1A, 0x90)];
    for (control, inputs) in outputs {
        assert_eq!(uart.write(4, control), None);
        assert_eq!(uart.read(6) & 0xF0, inputs);
    }
    assert_eq!(uart.write(0, b'z'), None, "nothing goes out");
    assert_eq!([uart.read(5), uart.read(0)], [0x61, b'z']);
    assert_eq!(uart.room(), 0);
    uart.receive(b'y');
    assert_eq!(uart.read(5), 0x60, "nothing comes in");
}

#[test]
fn changes_of_modem_inputs_last_until_they_are_read() {
    let mut uart = ready(0);
    assert_eq!(uart.write(4, 0x10), None);
    assert_eq!([uart.read(6), uart.read(6)], [0x0B, 0x00]);
    for (control, status) in [(0x12, 0x11), (0x13, 0x32), (0x17, 0x70), (0x13, 0x34), (0x1B, 0xB8)] {
        assert_eq!(uart.write(4, control), None);
        assert_eq!(uart.read(6), status, "{control:#x}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Receive(u8),
    Send(u8),
    Read(u16),
    Enable(u8),
    Out2(bool),
    Empty,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u8>().prop_map(Step::Receive),
        2 => any::<u8>().prop_map(Step::Send),
        6 => prop::sample::select(&[0u16, 0, 0, 2, 2, 5]).prop_map(Step::Read),
        1 => (0u8..8).prop_map(Step::Enable),
        1 => any::<bool>().prop_map(Step::Out2),
        1 => Just(Step::Empty),
    ]
}

proptest! {
    /// A driver on the other side of an edge-triggered controller: it is called at each edge, and what it does not
    /// handle is not lost as long as the line stays high. So the line must be high exactly while a queue or a flag
    /// says so.
    #[test]
    fn the_line_is_high_while_there_is_something_to_do(steps in prop::collection::vec(step(), 1..200)) {
        let mut uart = ready(0);
        let (mut queue, mut lost, mut sent) = (VecDeque::new(), false, false);
        let (mut enabled, mut out2) = (0, true);
        for step in steps {
            match step {
                Step::Receive(byte) => {
                    prop_assert_eq!(uart.room(), 16 - queue.len());
                    uart.receive(byte);
                    if queue.len() < 16 { queue.push_back(byte) } else { lost = true }
                }
                Step::Send(byte) => {
                    prop_assert_eq!(uart.write(0, byte), Some(byte));
                    sent = true;
                }
                Step::Read(0) => {
                    let byte = uart.read(0);
                    prop_assert!(queue.pop_front().is_none_or(|first| first == byte));
                }
                Step::Read(2) => {
                    let expected = if enabled & 4 != 0 && lost {
                        6
                    } else if enabled & 1 != 0 && !queue.is_empty() {
                        4
                    } else if enabled & 2 != 0 && sent {
                        sent = false;
                        2
                    } else {
                        1
                    };
                    prop_assert_eq!(uart.read(2), 0xC0 | expected);
                }
                Step::Read(_) => {
                    prop_assert_eq!(uart.read(5), 0x60 | u8::from(lost) << 1 | u8::from(!queue.is_empty()));
                    lost = false;
                }
                Step::Enable(new) => {
                    sent |= new & 2 > enabled & 2;
                    enabled = new;
                    prop_assert_eq!(uart.write(1, new), None);
                }
                Step::Out2(on) => {
                    out2 = on;
                    prop_assert_eq!(uart.write(4, u8::from(on) << 3), None);
                }
                Step::Empty => {
                    queue.clear();
                    prop_assert_eq!(uart.write(2, 0x03), None);
                }
            }
            let causes = u8::from(!queue.is_empty()) | u8::from(sent) << 1 | u8::from(lost) << 2;
            prop_assert_eq!(uart.take_line().high, out2 && causes & enabled != 0);
        }
    }
}
