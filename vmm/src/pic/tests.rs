//! The tests' numbers are those of the data sheet's command words, not the model's constants.
extern crate std;
use super::Register::{Command, Data};
use super::Side::{Master, Slave};
use super::*;
use std::vec::Vec;

mod sets;

/// The initialisation that PC software does: edges, ICW4, vectors from 0x20 and 0x28, no masks.
fn initialised() -> Pic {
    let mut pic = Pic::default();
    for (side, base, third) in [(Master, 0x20, 0x04), (Slave, 0x28, 0x02)] {
        pic.write(side, Command, 0x11);
        for word in [base, third, 0x01] {
            pic.write(side, Data, word);
        }
    }
    pic
}

/// Acknowledges if there is an interrupt.
fn taken(pic: &mut Pic) -> Option<u8> {
    pic.is_interrupting().then(|| pic.acknowledge())
}

#[test]
fn a_request_is_an_edge_that_lasts() {
    let mut pic = initialised();
    assert_eq!(taken(&mut pic), None);
    pic.set_line(4, true);
    assert_eq!(pic.read(Master, Command), 0x10);
    assert_eq!(taken(&mut pic), Some(0x24));
    assert_eq!(pic.read(Master, Command), 0, "acknowledging clears IRR");
    pic.write(Master, Command, 0x20);
    assert_eq!(taken(&mut pic), None, "the line is still high, but there was no edge");
    pic.set_line(4, false);
    pic.set_line(4, true);
    assert_eq!(taken(&mut pic), Some(0x24));
}

#[test]
fn a_line_that_falls_takes_its_request_back() {
    let mut pic = initialised();
    pic.set_line(4, true);
    pic.set_line(4, false);
    assert!(!pic.is_interrupting());
    assert_eq!(pic.acknowledge(), 0x27, "the default request");
    pic.write(Master, Command, 0x0B);
    assert_eq!(pic.read(Master, Command), 0, "no interrupt is in service");
    pic.set_line(12, true);
    pic.set_line(12, false);
    assert!(!pic.is_interrupting(), "the slave's output falls as well");
}

#[test]
fn the_slave_has_a_default_request_too() {
    let mut pic = initialised();
    // The slave's request vanishes between the two INTA pulses: no call of the interface is as quick.
    pic.set_line(12, true);
    pic.slave.set_input(4, false);
    assert_eq!(pic.acknowledge(), 0x2F);
    pic.write(Master, Command, 0x0B);
    pic.write(Slave, Command, 0x0B);
    assert_eq!((pic.read(Master, Command), pic.read(Slave, Command)), (0x04, 0), "only the master has it in service");
}

#[test]
fn masks_read_back_and_hold_back() {
    let mut pic = initialised();
    assert_eq!((pic.read(Master, Data), pic.read(Slave, Data)), (0, 0), "ICW1 clears the masks");
    pic.write(Master, Data, 0xFB);
    pic.write(Slave, Data, 0xDF);
    assert_eq!((pic.read(Master, Data), pic.read(Slave, Data)), (0xFB, 0xDF));
    assert!(pic.is_masked(0) && pic.is_masked(12) && !pic.is_masked(13));
    pic.set_line(0, true);
    pic.set_line(13, true);
    assert_eq!(taken(&mut pic), Some(0x2D));
    assert_eq!(pic.read(Master, Command), 0x01, "IRR does not depend on the masks");
    pic.write(Master, Data, 0xFA);
    assert_eq!(taken(&mut pic), Some(0x20));
    pic.write(Master, Data, 0xFF);
    assert!(pic.is_masked(13), "the master's mask of input 2 holds back the slave");
}

#[test]
fn higher_levels_interrupt_lower_ones_until_they_end() {
    let mut pic = initialised();
    pic.set_line(5, true);
    pic.set_line(3, true);
    assert_eq!(taken(&mut pic), Some(0x23));
    assert_eq!(taken(&mut pic), None, "5 waits for the end of 3");
    pic.set_line(1, true);
    assert_eq!(taken(&mut pic), Some(0x21));
    pic.write(Master, Command, 0x0B);
    assert_eq!(pic.read(Master, Command), 0x0A);
    pic.write(Master, Command, 0x20);
    assert_eq!(pic.read(Master, Command), 0x08, "a non-specific end is the end of the most urgent one");
    pic.write(Master, Command, 0x63);
    assert_eq!(pic.read(Master, Command), 0, "a specific end of 3");
    assert_eq!(taken(&mut pic), Some(0x25));
    pic.write(Master, Command, 0x0A);
    assert_eq!(pic.read(Master, Command), 0, "IRR again");
}

#[test]
fn the_slave_interrupts_by_the_master() {
    let mut pic = initialised();
    pic.set_line(8, true);
    pic.set_line(4, true);
    assert_eq!(pic.read(Master, Command), 0x14);
    assert_eq!(taken(&mut pic), Some(0x28));
    pic.set_line(3, true);
    assert_eq!(taken(&mut pic), None, "input 2 is in service at the master");
    pic.write(Slave, Command, 0x60);
    pic.write(Master, Command, 0x62);
    assert_eq!([taken(&mut pic), taken(&mut pic)], [Some(0x23), None]);
    pic.set_line(2, true);
    assert_eq!(pic.read(Slave, Command), 0x02, "line 2 of a slot is line 9");
}

#[test]
fn a_slave_with_automatic_ends_interrupts_once_for_each_request() {
    let mut pic = initialised();
    pic.write(Slave, Command, 0x11);
    for word in [0x28, 0x02, 0x03] {
        pic.write(Slave, Data, word);
    }
    pic.set_line(9, true);
    pic.set_line(10, true);
    assert_eq!(taken(&mut pic), Some(0x29));
    pic.write(Master, Command, 0x20);
    assert_eq!(taken(&mut pic), Some(0x2A));
}

#[test]
fn initialisation_has_the_words_that_it_announces() {
    let mut pic = initialised();
    pic.set_line(1, true);
    pic.write(Master, Data, 0xFF);
    // A single chip without ICW4: ICW2 alone.
    pic.write(Master, Command, 0x12);
    pic.set_line(6, true);
    assert!(!pic.is_interrupting(), "not initialised yet");
    pic.write(Master, Data, 0x47);
    pic.write(Master, Data, 0x08);
    assert_eq!(pic.read(Master, Data), 0x08, "what follows is a mask");
    assert_eq!(taken(&mut pic), Some(0x46), "the edge of line 1 is forgotten; low bits of ICW2 do not count");
    // Without a cascade, input 2 has the master's vector.
    pic.set_line(9, true);
    pic.write(Master, Command, 0x66);
    assert_eq!(taken(&mut pic), Some(0x42));
}

#[test]
fn levels_request_as_long_as_they_last() {
    let mut pic = initialised();
    pic.write(Master, Command, 0x19);
    for word in [0x20, 0x04, 0x01] {
        pic.write(Master, Data, word);
    }
    pic.set_line(4, true);
    assert_eq!([taken(&mut pic), taken(&mut pic)], [Some(0x24), None]);
    pic.write(Master, Command, 0x20);
    assert_eq!(taken(&mut pic), Some(0x24));
    pic.set_line(4, false);
    pic.write(Master, Command, 0x20);
    assert_eq!(taken(&mut pic), None);
}

#[test]
fn special_masks_admit_all_other_levels() {
    let mut pic = initialised();
    pic.set_line(1, true);
    assert_eq!(taken(&mut pic), Some(0x21));
    pic.set_line(6, true);
    assert!(!pic.is_interrupting());
    pic.write(Master, Data, 0x02);
    pic.write(Master, Command, 0x68);
    assert_eq!(taken(&mut pic), Some(0x26));
    pic.write(Master, Command, 0x20);
    pic.write(Master, Command, 0x20);
    pic.write(Master, Command, 0x0B);
    assert_eq!(pic.read(Master, Command), 0x02, "a non-specific end does not reach a masked level");
    pic.set_line(3, true);
    pic.write(Master, Command, 0x48);
    assert!(!pic.is_interrupting(), "the mode is off");
}

#[test]
fn nested_slaves_interrupt_themselves() {
    for (mode, expected) in [(0x01, None), (0x11, Some(0x28))] {
        let mut pic = initialised();
        pic.write(Master, Command, 0x11);
        for word in [0x20, 0x04, mode] {
            pic.write(Master, Data, word);
        }
        pic.set_line(13, true);
        assert_eq!(taken(&mut pic), Some(0x2D));
        pic.set_line(3, true);
        pic.set_line(8, true);
        assert_eq!(taken(&mut pic), expected);
        assert_eq!(taken(&mut pic), None, "line 3 waits in both modes");
    }
}

#[test]
fn a_slave_is_where_icw3_says() {
    let mut pic = initialised();
    pic.write(Master, Command, 0x11);
    for word in [0x20, 0x00, 0x01] {
        pic.write(Master, Data, word);
    }
    pic.set_line(8, true);
    assert_eq!(taken(&mut pic), Some(0x22), "the vector is the master's own");
    // A slave has no slaves: its special fully nested mode changes nothing.
    let mut pic = initialised();
    pic.write(Slave, Command, 0x11);
    for word in [0x28, 0x06, 0x11] {
        pic.write(Slave, Data, word);
    }
    pic.set_line(10, true);
    assert_eq!(taken(&mut pic), Some(0x2A));
    pic.write(Master, Command, 0x20);
    pic.set_line(10, false);
    pic.set_line(10, true);
    assert_eq!(taken(&mut pic), None);
}

#[test]
fn automatic_ends_may_rotate() {
    for (command, second) in [(0x00, 0x23), (0x80, 0x24)] {
        let mut pic = initialised();
        pic.write(Master, Command, 0x11);
        for word in [0x20, 0x04, 0x03] {
            pic.write(Master, Data, word);
        }
        pic.write(Master, Command, 0x80);
        pic.write(Master, Command, command);
        pic.set_line(3, true);
        assert_eq!(taken(&mut pic), Some(0x23));
        pic.write(Master, Command, 0x0B);
        assert_eq!(pic.read(Master, Command), 0, "it has ended");
        pic.set_line(3, false);
        pic.set_line(3, true);
        pic.set_line(4, true);
        assert_eq!(taken(&mut pic), Some(second));
    }
}

#[test]
fn priorities_rotate() {
    let mut pic = initialised();
    let in_order = |pic: &mut Pic| {
        (0..8).filter(|line| *line != 2).for_each(|line| {
            pic.set_line(line, false);
            pic.set_line(line, true);
        });
        let order: Vec<u8> = (0..7)
            .map(|_| {
                let vector = taken(pic).expect("seven lines are high");
                pic.write(Master, Command, 0x60 | vector & 7);
                vector & 7
            })
            .collect();
        order
    };
    assert_eq!(in_order(&mut pic), [0, 1, 3, 4, 5, 6, 7]);
    pic.write(Master, Command, 0xC4);
    assert_eq!(in_order(&mut pic), [5, 6, 7, 0, 1, 3, 4], "level 4 is the lowest");
    pic.set_line(6, false);
    pic.set_line(6, true);
    assert_eq!(taken(&mut pic), Some(0x26));
    pic.write(Master, Command, 0xA0);
    assert_eq!(in_order(&mut pic), [7, 0, 1, 3, 4, 5, 6], "the one that ended is the lowest");
}
