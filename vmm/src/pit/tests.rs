//! The waveforms are those of the data sheet's figures. The slow counter goes pulse by pulse.
extern crate std;
use super::Channel::{Interrupt, Refresh, Speaker};
use super::*;
use proptest::prelude::*;
use std::vec::Vec;

/// Writes a control word and the low byte of a count at time 0.
fn programmed(channel: Channel, control: u8, count: u8) -> Pit {
    let mut pit = Pit::default();
    pit.control((channel as u8) << 6 | control, 0);
    pit.write(channel, count, 0);
    pit
}

/// Counts and outputs after each of the first pulses.
fn wave(control: u8, count: u8, pulses: u64) -> (Vec<u8>, Vec<u8>) {
    let mut pit = programmed(Interrupt, control, count);
    let read = (1..=pulses).map(|now| (pit.read(Interrupt, now), u8::from(pit.output(Interrupt, now))));
    read.unzip()
}

#[test]
fn the_modes_have_the_figures_waveforms() {
    assert_eq!(wave(0x10, 4, 7), ([4, 3, 2, 1, 0, 0xFF, 0xFE].into(), [0, 0, 0, 0, 1, 1, 1].into()));
    assert_eq!(wave(0x14, 3, 8), ([3, 2, 1, 3, 2, 1, 3, 2].into(), [1, 1, 0, 1, 1, 0, 1, 1].into()));
    assert_eq!(wave(0x16, 4, 8), ([4, 2, 4, 2, 4, 2, 4, 2].into(), [1, 1, 0, 0, 1, 1, 0, 0].into()));
    assert_eq!(wave(0x16, 5, 8), ([4, 2, 0, 4, 2, 4, 2, 0].into(), [1, 1, 1, 0, 0, 1, 1, 1].into()));
    assert_eq!(wave(0x18, 3, 6), ([3, 2, 1, 0, 0xFF, 0xFE].into(), [1, 1, 1, 0, 1, 1].into()));
    // Modes 6 and 7 are 2 and 3; with a high gate that never rises, modes 1 and 5 do not begin.
    assert_eq!(wave(0x1C, 3, 8), wave(0x14, 3, 8));
    assert_eq!(wave(0x1E, 5, 8), wave(0x16, 5, 8));
    assert_eq!(wave(0x12, 3, 6).1, [1; 6]);
    assert_eq!(wave(0x1A, 3, 6).1, [1; 6]);
}

#[test]
fn the_gate_triggers_or_holds() {
    let outputs = |pit: &Pit, times: std::ops::Range<u64>| -> Vec<u8> {
        times.map(|now| u8::from(pit.output(Speaker, now))).collect()
    };
    let mut one_shot = programmed(Speaker, 0x12, 3);
    one_shot.set_gate(true, 4);
    assert_eq!(outputs(&one_shot, 4..10), [1, 0, 0, 0, 1, 1], "low for the count, from the next pulse on");
    let mut strobe = programmed(Speaker, 0x1A, 3);
    strobe.set_gate(true, 4);
    assert_eq!(outputs(&strobe, 4..11), [1, 1, 1, 1, 0, 1, 1]);
    let mut held = programmed(Speaker, 0x10, 3);
    assert_eq!(held.read(Speaker, 9), 3, "loaded, but it does not count");
    held.set_gate(true, 10);
    assert_eq!(outputs(&held, 10..15), [0, 0, 0, 1, 1], "no pulse is needed to load it");
    held.set_gate(false, 11);
    assert_eq!(held.read(Speaker, 20), 2);
    let mut rate = programmed(Speaker, 0x14, 3);
    rate.set_gate(true, 10);
    assert_eq!(outputs(&rate, 10..17), [1, 1, 1, 0, 1, 1, 0]);
    rate.set_gate(false, 16);
    assert!(rate.output(Speaker, 16), "high as soon as the gate is low");
}

#[test]
fn counts_are_two_bytes_low_first() {
    let mut pit = Pit::default();
    pit.control(0x34, 0);
    pit.write(Interrupt, 0x34, 0);
    assert_eq!(pit.next_edge(0), None, "half a count");
    pit.write(Interrupt, 0x12, 0);
    assert_eq!(pit.next_edge(0), Some(0x1234 + 1));
    assert_eq!([pit.read(Interrupt, 1), pit.read(Interrupt, 1)], [0x34, 0x12]);
    // High byte alone.
    pit.control(0x24, 10);
    pit.write(Interrupt, 2, 10);
    assert_eq!(pit.next_edge(10), Some(0x200 + 11));
    assert_eq!(pit.read(Interrupt, 11), 2);
    // 0 is 65,536, or 10,000 in BCD.
    pit.control(0x34, 0);
    [0, 0].into_iter().for_each(|byte| pit.write(Interrupt, byte, 0));
    assert_eq!(pit.next_edge(0), Some(0x1_0000 + 1));
    pit.control(0x35, 0);
    [0, 0].into_iter().for_each(|byte| pit.write(Interrupt, byte, 0));
    assert_eq!(pit.next_edge(0), Some(10_001));
    assert_eq!([pit.read(Interrupt, 2), pit.read(Interrupt, 2)], [0x99, 0x99]);
    [0x57, 0x13].into_iter().for_each(|byte| pit.write(Interrupt, byte, 2));
    assert_eq!(pit.next_edge(10_001), Some(10_001 + 1357));
    assert_eq!([pit.read(Interrupt, 10_001), pit.read(Interrupt, 10_001)], [0x57, 0x13]);
}

#[test]
fn a_latched_count_stays_until_it_is_read() {
    let mut pit = Pit::default();
    pit.control(0x34, 0);
    [0x00, 0x10].into_iter().for_each(|byte| pit.write(Interrupt, byte, 0));
    pit.control(0x00, 0x101);
    pit.control(0x00, 0x201);
    assert_eq!([pit.read(Interrupt, 0x301), pit.read(Interrupt, 0x302)], [0x00, 0x0F], "the first latch counts");
    assert_eq!([pit.read(Interrupt, 0x301), pit.read(Interrupt, 0x301)], [0x00, 0x0D]);
    // A latch of another counter does not count here.
    pit.control(0x80, 0x301);
    assert_eq!([pit.read(Interrupt, 0x401), pit.read(Interrupt, 0x401)], [0x00, 0x0C]);
}

#[test]
fn read_back_latches_status_and_counts() {
    let mut pit = Pit::default();
    pit.control(0x16, 0);
    pit.control(0x74, 0);
    pit.write(Interrupt, 10, 0);
    // Status of 0 and 1: output high, count not loaded.
    pit.control(0xE6, 0);
    assert_eq!(pit.read(Interrupt, 3), 0x80 | 0x40 | 0x16);
    assert_eq!(pit.read(Refresh, 3), 0x80 | 0x40 | 0x34);
    // Count and status of 0 in the second half of its period: status first.
    pit.control(0xC2, 7);
    assert_eq!([pit.read(Interrupt, 8), pit.read(Interrupt, 9), pit.read(Interrupt, 9)], [0x16, 8, 4]);
    // A new count waits for the end of the half.
    pit.write(Interrupt, 20, 9);
    for (now, status) in [(10, 0x56), (11, 0x96)] {
        pit.control(0xE2, now);
        assert_eq!(pit.read(Interrupt, now), status);
    }
}

#[test]
fn a_count_that_waits_for_the_gate_is_not_loaded() {
    for control in [0x14, 0x16, 0x12, 0x1A] {
        let mut pit = programmed(Speaker, control, 3);
        pit.set_gate(true, 10);
        pit.set_gate(false, 20);
        pit.control(0xE8, 20);
        assert_eq!(pit.read(Speaker, 20) & 0x40, 0, "the count that was interrupted had been loaded");
        pit.write(Speaker, 5, 20);
        let mut null = |now, high| {
            pit.set_gate(high, now);
            pit.control(0xE8, now);
            pit.read(Speaker, now) & 0x40 != 0
        };
        assert_eq!([null(20, false), null(29, false), null(30, true), null(31, true)], [true, true, true, false]);
    }
}

#[test]
fn the_interrupt_edge_is_known_before() {
    let mut pit = programmed(Interrupt, 0x10, 100);
    assert_eq!(pit.next_edge(0), Some(101), "N + 1 pulses after it was written");
    assert_eq!(pit.next_edge(101), None);
    pit.control(0x18, 200);
    pit.write(Interrupt, 100, 200);
    assert_eq!([pit.next_edge(200), pit.next_edge(302)], [Some(302), None], "mode 4 strobes for one pulse");
    pit.control(0x14, 400);
    pit.write(Interrupt, 100, 400);
    assert_eq!([400, 500, 501, 650].map(|now| pit.next_edge(now)), [501, 501, 601, 701].map(Some));
    pit.control(0x14, 800);
    assert_eq!(pit.next_edge(800), None, "a control word stops it");
}

/// A counter as the data sheet tells it, one pulse at a time. Binary only.
#[derive(Default)]
struct Slow {
    mode: u8,
    register: Option<u32>,
    element: u32,
    /// The element has been loaded since the control word.
    loaded: bool,
    load: bool,
    /// The strobe, or the end of the shot, is to come.
    armed: bool,
    odd: bool,
    output: bool,
    gate: bool,
}

impl Slow {
    fn control(&mut self, mode: u8) {
        *self = Slow { mode, element: self.element, output: mode != 0, gate: self.gate, ..Slow::default() };
    }

    fn count(&mut self, count: u16) {
        let count = if count == 0 { 65_536 } else { count.into() };
        self.register = Some(if matches!(self.mode, 2 | 3) { count.max(2) } else { count });
        match self.mode {
            0 => (self.load, self.output) = (true, false),
            4 => self.load = true,
            2 | 3 => self.load |= !self.loaded && self.gate,
            _ => {}
        }
    }

    fn gate(&mut self, high: bool) {
        let rises = high && !self.gate;
        self.gate = high;
        if matches!(self.mode, 1 | 2 | 3 | 5) {
            self.load |= rises && self.register.is_some();
        }
        if matches!(self.mode, 2 | 3) && !high {
            self.output = true;
        }
    }

    fn reload(&mut self) {
        let count = self.register.expect("written");
        self.odd = self.mode == 3 && count % 2 == 1;
        self.element = count - u32::from(self.odd);
    }

    fn pulse(&mut self) {
        if self.load {
            (self.load, self.loaded, self.armed) = (false, true, true);
            self.reload();
            self.output = !matches!(self.mode, 0 | 1);
            return;
        }
        if !self.loaded || !self.gate && matches!(self.mode, 0 | 2 | 3 | 4) {
            return;
        }
        if self.mode == 3 {
            // The first half of an odd count has one pulse more.
            if self.odd && self.output && self.element == 0 {
                self.output = false;
                return self.reload();
            }
            self.element -= 2;
            if self.element == 0 && !(self.odd && self.output) {
                self.output = !self.output;
                self.reload();
            }
            return;
        }
        self.element = if self.element == 0 { 65_535 } else { self.element - 1 };
        let zero = self.element == 0 || self.element == 65_536;
        match self.mode {
            2 if self.element == 1 => self.output = false,
            2 if zero => {
                self.output = true;
                self.reload();
            }
            0 | 1 if zero => self.output = true,
            4 | 5 => self.output = !(zero && std::mem::take(&mut self.armed)),
            _ => {}
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Control(u8),
    Count(u16),
    Gate(bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0u8..6).prop_map(Step::Control),
        2 => prop_oneof![20 => 1u16..24, 1 => any::<u16>()].prop_map(Step::Count),
        2 => any::<bool>().prop_map(Step::Gate),
        4 => prop_oneof![3 => 0u64..12, 1 => 0u64..90].prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn a_counter_does_what_single_pulses_do(
        gate in any::<bool>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut counter = Counter::new(gate);
        let mut slow = Slow { gate, ..Slow::default() };
        let (mut now, mut rise) = (0, None);
        counter.program(0x30, now);
        slow.control(0);
        for step in steps {
            match step {
                Step::Control(mode) => {
                    counter.program(0x30 | mode << 1, now);
                    slow.control(mode);
                }
                Step::Count(count) => {
                    count.to_le_bytes().into_iter().for_each(|byte| counter.write(byte, now));
                    slow.count(count);
                }
                Step::Gate(high) => {
                    counter.set_gate(high, now);
                    slow.gate(high);
                }
                Step::Wait(pulses) => {
                    for _ in 0..pulses {
                        let expected = counter.next_rise(now);
                        let change = counter.next_change(now);
                        let before = slow.output;
                        prop_assert!(rise.is_none() || rise == expected, "{:?} became {:?}", rise, expected);
                        now += 1;
                        slow.pulse();
                        let rises = !before && slow.output;
                        prop_assert_eq!(before != slow.output, change == Some(now), "{:?} at {}", change, now);
                        prop_assert_eq!(rises, expected == Some(now), "{:?} at {}", expected, now);
                        rise = expected.filter(|rise| *rise > now);
                        prop_assert_eq!(counter.output(now), slow.output, "output at {}", now);
                        if slow.loaded {
                            prop_assert_eq!(read(&mut counter, now), slow.element as u16, "count at {}", now);
                        }
                    }
                    continue;
                }
            }
            rise = None;
            prop_assert_eq!(counter.output(now), slow.output, "output at {} after {:?}", now, step);
        }
    }
}

/// Latches and reads both bytes.
fn read(counter: &mut Counter, now: u64) -> u16 {
    counter.latch(now);
    u16::from_le_bytes([counter.read(now), counter.read(now)])
}
