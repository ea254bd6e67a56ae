//! D.17, the part that is not in `console.rs` in the parent directory: the ring with bursts of any length.
use crate::machine::{assert_invariant, off};
use layer::core::constants::NO_CHARACTER;
use layer::objects::boot::sched_init;
use layer::objects::console::cons_buf_read;
use layer::objects::console::serial::{serial_intr_disable, serial_intr_enable};
use proptest::prelude::*;
use sim::machine::platform::Memory;
use sim::machine::serial::{SerialEvent, SerialInput};
use std::collections::{BTreeMap, VecDeque};

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d17_the_newest_511_in_order(
        bursts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 1..200),
        reads in prop::collection::vec(0..600usize, 1..12),
    ) {
        // Taking a burst is an event, and so are each check for a character, each character, and the last check.
        let mut index = 0;
        let place = |burst: Vec<u8>| {
            let at = index;
            index += 1 + 2 * burst.len().min(12) as u32 + 1;
            (at, burst)
        };
        let bursts: BTreeMap<u32, Vec<u8>> = bursts.into_iter().map(place).collect();
        let events = bursts.iter().map(|(&at, burst)| (at, SerialEvent::Recv(burst.clone()))).collect();
        let script = SerialInput { events, ..SerialInput::default() };
        let mut cpus = off(Memory::default(), 1, script);
        let cpu = &mut cpus[0];
        sched_init(cpu, 0).unwrap();
        let (mut ring, mut seen) = (VecDeque::new(), 0);
        for many in reads {
            // A pair of calls takes all events that happen during it: the newest 12 characters of each burst. A full
            // ring drops the oldest ones.
            serial_intr_disable(cpu).unwrap();
            serial_intr_enable(cpu).unwrap();
            let now = cpu.own.com1.l1;
            for burst in bursts.range(seen..now).map(|(_, burst)| burst) {
                ring.extend(&burst[burst.len().saturating_sub(12)..]);
                while ring.len() > 511 {
                    ring.pop_front();
                }
            }
            seen = now;
            prop_assert_eq!(cpu.own.console.len as usize, ring.len());
            for _ in 0..many {
                let expected = ring.pop_front().map_or(NO_CHARACTER, |&byte| byte.into());
                prop_assert_eq!(cons_buf_read(cpu), Ok(expected));
            }
        }
        assert_invariant(&cpus);
    }
}
