//! The pair of chips against sets of levels, by random steps.
use super::std;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A chip as sets of levels and a list of priorities, each question answered by a search.
#[derive(Default)]
struct Sets {
    inputs: BTreeSet<u8>,
    requested: BTreeSet<u8>,
    masked: BTreeSet<u8>,
    served: BTreeSet<u8>,
    /// The most urgent first.
    order: Vec<u8>,
    special: bool,
}

impl Sets {
    fn set(&mut self, level: u8, high: bool) {
        if high && self.inputs.insert(level) {
            self.requested.insert(level);
        } else if !high {
            self.inputs.remove(&level);
            self.requested.remove(&level);
        }
    }

    /// Those in service that count, the most urgent first.
    fn serving(&self) -> Option<u8> {
        self.order.iter().copied().find(|l| self.served.contains(l) && !(self.special && self.masked.contains(l)))
    }

    fn request(&self) -> Option<u8> {
        let admitted = self.order.iter().take_while(|level| Some(**level) != self.serving());
        admitted.copied().find(|level| self.requested.contains(level) && !self.masked.contains(level))
    }

    fn acknowledge(&mut self) -> u8 {
        let Some(level) = self.request() else { return 7 };
        self.requested.remove(&level);
        self.served.insert(level);
        level
    }

    fn make_lowest(&mut self, level: u8) {
        while self.order.last() != Some(&level) {
            self.order.rotate_left(1);
        }
    }

    fn end(&mut self, level: Option<u8>, rotate: bool) {
        let Some(level) = level.or(self.serving()) else { return };
        self.served.remove(&level);
        if rotate {
            self.make_lowest(level);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Line(u8, bool),
    Mask(bool, u8),
    Acknowledge,
    End { slave: bool, level: Option<u8>, rotate: bool },
    Lowest(bool, u8),
    Special(bool, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..16, any::<bool>()).prop_map(|(line, high)| Step::Line(line, high)),
        2 => (any::<bool>(), any::<u8>()).prop_map(|(slave, mask)| Step::Mask(slave, mask & mask.rotate_left(3))),
        4 => Just(Step::Acknowledge),
        4 => (any::<bool>(), prop::option::of(0u8..8), any::<bool>())
            .prop_map(|(slave, level, rotate)| Step::End { slave, level, rotate }),
        1 => (any::<bool>(), 0u8..8).prop_map(|(slave, level)| Step::Lowest(slave, level)),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(slave, on)| Step::Special(slave, on)),
    ]
}

/// A set as a register.
fn bits(set: &BTreeSet<u8>) -> u8 {
    set.iter().map(|level| 1 << level).sum()
}

proptest! {
    #[test]
    fn the_pair_does_what_sets_say(steps in prop::collection::vec(step(), 1..120)) {
        let mut pic = initialised();
        let mut chips = [Sets::default(), Sets::default()];
        chips.iter_mut().for_each(|chip| chip.order = (0..8).collect());
        for step in steps {
            let side = |slave: bool| if slave { Slave } else { Master };
            match step {
                Step::Line(line, high) => {
                    pic.set_line(line, high);
                    let line = if line == 2 { 9 } else { line };
                    chips[usize::from(line / 8)].set(line % 8, high);
                }
                Step::Mask(slave, mask) => {
                    pic.write(side(slave), Data, mask);
                    chips[usize::from(slave)].masked = (0..8).filter(|level| mask >> level & 1 == 1).collect();
                }
                Step::Acknowledge => {
                    let level = chips[0].acknowledge();
                    let expected = if level == 2 {
                        chips[0].set(2, false);
                        0x28 + chips[1].acknowledge()
                    } else {
                        0x20 + level
                    };
                    prop_assert_eq!(pic.acknowledge(), expected);
                }
                Step::End { slave, level, rotate } => {
                    let word = 0x20 | u8::from(rotate) << 7 | level.map_or(0, |level| 0x40 | level);
                    pic.write(side(slave), Command, word);
                    chips[usize::from(slave)].end(level, rotate);
                }
                Step::Lowest(slave, level) => {
                    pic.write(side(slave), Command, 0xC0 | level);
                    chips[usize::from(slave)].make_lowest(level);
                }
                Step::Special(slave, on) => {
                    pic.write(side(slave), Command, 0x48 | u8::from(on) << 5);
                    chips[usize::from(slave)].special = on;
                }
            }
            let slave = chips[1].request().is_some();
            chips[0].set(2, slave);
            prop_assert_eq!(pic.is_interrupting(), chips[0].request().is_some());
            for (chip, side) in chips.iter().zip([Master, Slave]) {
                prop_assert_eq!(pic.read(side, Data), bits(&chip.masked));
                pic.write(side, Command, 0x0A);
                prop_assert_eq!(pic.read(side, Command), bits(&chip.requested));
                pic.write(side, Command, 0x0B);
                prop_assert_eq!(pic.read(side, Command), bits(&chip.served));
            }
        }
    }
}
