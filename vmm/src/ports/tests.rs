extern crate std;
use super::*;
use proptest::prelude::*;

/// A PC that has been initialised as its software does: vectors from 0x20 and 0x28, all lines masked.
fn ready() -> Devices {
    let mut devices = Devices::new(1_735_775_948);
    let words = [
        [(0x20, 0x11), (0x21, 0x20), (0x21, 0x04), (0x21, 0x01), (0x21, 0xFF)],
        [(0xA0, 0x11), (0xA1, 0x28), (0xA1, 0x02), (0xA1, 0x01), (0xA1, 0xFF)],
    ];
    for (port, byte) in words.into_iter().flatten() {
        assert_eq!(devices.write(port, Size::Byte, byte, 0), None);
    }
    devices
}

/// Writes bytes to ports.
fn out(devices: &mut Devices, now: u64, writes: &[(u16, u32)]) {
    for (port, byte) in writes {
        assert_eq!(devices.write(*port, Size::Byte, *byte, now), None);
    }
}

/// Acknowledges if there is an interrupt.
fn taken(devices: &mut Devices) -> Option<u8> {
    devices.interrupt_pending().then(|| devices.acknowledge())
}

#[test]
fn every_register_has_its_port() {
    let mut devices = ready();
    let memory = [(0x21, 0x5A), (0xA1, 0xA5), (0x3F9, 0x0A), (0x3FB, 0x1B), (0x3FC, 0x0C), (0x3FF, 0x77)];
    out(&mut devices, 0, &memory);
    // A count of 256 for each counter, high byte only.
    out(&mut devices, 0, &[(0x43, 0x24), (0x40, 1), (0x43, 0x60), (0x41, 2), (0x43, 0xA0), (0x42, 3)]);
    for (port, byte) in memory.into_iter().chain([(0x40, 1), (0x41, 2), (0x42, 3), (0x20, 0x10), (0xA0, 0)]) {
        assert_eq!(devices.read(port, Size::Byte, 1), byte, "{port:#x}");
    }
    for (port, byte) in [(0x3FA, 0x02), (0x3FD, 0x60), (0x3FE, 0xB0), (0x43, 0xFF), (0x70, 0xFF)] {
        assert_eq!(devices.read(port, Size::Byte, 1), byte, "{port:#x}");
    }
}

#[test]
fn the_timer_interrupts_at_its_deadline() {
    let mut devices = ready();
    out(&mut devices, 0, &[(0x43, 0x34), (0x40, 0xA9), (0x40, 0x12)]);
    assert_eq!(devices.deadline(), None, "masked");
    out(&mut devices, 0, &[(0x21, 0xFE)]);
    assert_eq!(devices.deadline(), Some(4778), "250 Hz");
    devices.update(4777);
    assert_eq!(taken(&mut devices), None);
    devices.update(4778);
    assert_eq!(devices.deadline(), Some(4778 + 4777));
    assert_eq!([taken(&mut devices), taken(&mut devices)], [Some(0x20), None]);
    // Many periods later there is one interrupt.
    out(&mut devices, 5000, &[(0x20, 0x20)]);
    devices.update(4777 * 10 - 1);
    assert_eq!([taken(&mut devices), taken(&mut devices)], [Some(0x20), None]);
    out(&mut devices, 4777 * 10 - 1, &[(0x20, 0x20)]);
    // In the last pulse of a period the output is low, which takes the request back; the next edge makes a new one.
    devices.update(4777 * 20 - 1);
    assert!(devices.interrupt_pending());
    devices.update(4777 * 20);
    assert!(!devices.interrupt_pending());
    assert_eq!(devices.deadline(), Some(4777 * 20 + 1));
    devices.update(4777 * 20 + 1);
    assert_eq!(taken(&mut devices), Some(0x20));
}

#[test]
fn a_one_shot_strobes_once() {
    let mut devices = ready();
    out(&mut devices, 10, &[(0x21, 0xFE), (0x43, 0x38), (0x40, 100), (0x40, 0)]);
    assert_eq!(devices.deadline(), Some(112));
    devices.update(1000);
    assert_eq!(devices.deadline(), None);
    assert_eq!([taken(&mut devices), taken(&mut devices)], [Some(0x20), None]);
}

#[test]
fn the_serial_line_sends_and_receives() {
    let mut devices = ready();
    out(&mut devices, 0, &[(0x3FC, 0x0B), (0x3FA, 0x01), (0x21, 0xEF)]);
    assert_eq!(devices.write(0x3F8, Size::Byte, 0x41, 0), Some(Event::Output(0x41)));
    out(&mut devices, 0, &[(0x3F9, 0x01)]);
    assert_eq!((devices.room(), taken(&mut devices)), (16, None));
    devices.receive(0x42);
    assert_eq!(taken(&mut devices), Some(0x24));
    out(&mut devices, 0, &[(0x20, 0x20)]);
    assert_eq!(taken(&mut devices), None, "the line is high, but there was no edge");
    assert_eq!([devices.read(0x3FA, Size::Byte, 0), devices.read(0x3F8, Size::Byte, 0)], [0xC4, 0x42]);
    devices.receive(0x43);
    assert_eq!(devices.read(0x3F8, Size::Byte, 0), 0x43);
    assert_eq!(taken(&mut devices), None, "the driver was quicker");
}

#[test]
fn each_byte_that_is_sent_interrupts() {
    let mut devices = ready();
    out(&mut devices, 0, &[(0x3FC, 0x0B), (0x3F9, 0x02), (0x21, 0xEF)]);
    for byte in [0x61, 0x62] {
        assert_eq!(taken(&mut devices), Some(0x24));
        assert_eq!(devices.write(0x3F8, Size::Byte, byte, 0), Some(Event::Output(byte as u8)));
        out(&mut devices, 0, &[(0x20, 0x20)]);
    }
    assert_eq!(taken(&mut devices), Some(0x24));
    assert_eq!(devices.read(0x3FA, Size::Byte, 0), 0x02);
    out(&mut devices, 0, &[(0x20, 0x20)]);
    assert_eq!(taken(&mut devices), None);
}

#[test]
fn the_speakers_counter_is_seen_and_gated_at_0x61() {
    let mut devices = ready();
    out(&mut devices, 0, &[(0x61, 0x00), (0x43, 0xB0), (0x42, 50), (0x42, 0)]);
    assert_eq!(devices.read(0x61, Size::Byte, 17) & 0x2F, 0);
    out(&mut devices, 100, &[(0x61, 0xF1)]);
    assert_eq!([149, 150].map(|now| devices.read(0x61, Size::Byte, now) & 0xEF), [0x01, 0x21]);
    let refresh: std::vec::Vec<u32> = (180..216).map(|now| devices.read(0x61, Size::Byte, now) & 0x10).collect();
    assert_eq!(refresh, [[0x00; 18], [0x10; 18]].concat());
}

#[test]
fn the_clock_goes_with_the_guests_time() {
    let mut devices = ready();
    out(&mut devices, 0, &[(0x70, 0x80)]);
    assert_eq!([0, HERTZ - 1, HERTZ].map(|now| devices.read(0x71, Size::Byte, now)), [0x08, 0x08, 0x09]);
    // The index and the data in one access of two bytes.
    assert_eq!(devices.write(0x70, Size::Word, 0x5A20, HERTZ), None);
    assert_eq!(devices.read(0x70, Size::Word, HERTZ), 0x5AFF);
}

#[test]
fn what_is_not_there_reads_all_ones() {
    let mut devices = ready();
    assert_eq!(devices.read(0x60, Size::Byte, 0), 0xFF);
    for port in [0x0, 0x64, 0x80, 0xCF8, 0x2F8, 0xFFFF] {
        assert_eq!(devices.write(port, Size::Double, 0x1234_5678, 0), None);
        let read = [Size::Byte, Size::Word, Size::Double].map(|size| devices.read(port, size, 0));
        assert_eq!(read, [0xFF, 0xFFFF, 0xFFFF_FFFF]);
    }
    assert_eq!(devices.write(0x64, Size::Byte, 0xFE, 0), Some(Event::Reset));
    assert_eq!(devices.write(0x62, Size::Double, 0x00FE_0000, 0), Some(Event::Reset));
}

#[test]
fn wide_accesses_go_from_the_first_port_to_the_last() {
    let mut devices = ready();
    out(&mut devices, 0, &[(0x3FA, 0x01), (0x3F9, 0x01), (0x3FB, 0x03)]);
    devices.receive(0x42);
    assert_eq!(devices.read(0x3F8, Size::Double, 0), 0x03C1_0142, "the byte has been read when IIR is read");
    assert_eq!(devices.write(0x3FB, Size::Word, 0x0B1B, 0), None);
    assert_eq!(devices.read(0x3FB, Size::Word, 0), 0x0B1B);
    assert_eq!(devices.write(0x3F8, Size::Word, 0x0041, 0), Some(Event::Output(0x41)));
    assert_eq!(devices.read(0x3F9, Size::Byte, 0), 0);
}

#[test]
fn an_input_changes_its_part_of_eax() {
    let inserted = [Size::Byte, Size::Word, Size::Double].map(|size| size.insert(0x1122_3344, 0xAABB_CCDD));
    assert_eq!(inserted, [0x1122_33DD, 0x1122_CCDD, 0xAABB_CCDD]);
}

fn size() -> impl Strategy<Value = Size> {
    prop::sample::select(&[Size::Byte, Size::Word, Size::Double])
}

/// A port with a device, or any.
fn port() -> impl Strategy<Value = u16> {
    let known = &[0x20, 0x21, 0xA0, 0xA1, 0x40, 0x42, 0x43, 0x43, 0x61, 0x70, 0x71, 0x3F8, 0x3F9, 0x3FA, 0x3FB, 0x3FC];
    prop_oneof![10 => prop::sample::select(&known[..]), 1 => any::<u16>()]
}

/// Values of which a count or a command of the timer is often made.
fn value() -> impl Strategy<Value = u32> {
    prop_oneof![2 => any::<u32>(), 1 => 0u32..40, 1 => Just(0)]
}

fn pulses() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 0u64..3000, 1 => 0u64..1 << 50]
}

proptest! {
    /// A guest may do what it likes. Until the deadline, nothing interrupts it by itself.
    #[test]
    fn nothing_happens_before_the_deadline(
        accesses in prop::collection::vec((port(), size(), value(), pulses(), any::<bool>()), 1..100),
    ) {
        let mut devices = ready();
        let mut now = 0;
        for (port, size, value, pulses, writes) in accesses {
            // Pulse by pulse, or all at once.
            let mut stepped = devices.clone();
            (now..now + pulses.min(500)).for_each(|now| stepped.update(now + 1));
            let mut waited = devices.clone();
            waited.update(now + pulses.min(500));
            prop_assert_eq!(stepped.read(0x20, Size::Byte, now), waited.read(0x20, Size::Byte, now));
            prop_assert_eq!(stepped.deadline(), waited.deadline());
            prop_assert_eq!(stepped.interrupt_pending(), waited.interrupt_pending());
            now += pulses;
            if let Some(deadline) = devices.deadline() {
                let mut waiting = devices.clone();
                waiting.update(now.min(deadline - 1));
                // The timer's output may fall, which takes a request back.
                prop_assert!(!waiting.interrupt_pending() || devices.interrupt_pending());
                prop_assert_eq!(waiting.deadline(), Some(deadline));
            }
            if writes {
                let _ = devices.write(port, size, value, now);
            } else {
                devices.read(port, size, now);
            }
            if value % 3 == 0 && devices.interrupt_pending() {
                devices.acknowledge();
            }
            devices.receive(value as u8);
        }
    }
}
