//! D.11 and D.12: a program loads what it has stored, and no other program can.
use crate::machine::{Processor, assert_invariant, boot, in_program, memory, next};
use layer::core::call::{Access, Chunk};
use layer::core::constants::*;
use layer::core::stuck::Stuck;
use layer::objects::memory::{exec_load, exec_store};
use layer::objects::page_table::{pt_read, pt_resv};
use layer::objects::process::proc_create;
use layer::objects::trap::{trap_get, trap_set};
use layer::spec::fact::Class;
use proptest::prelude::*;
use sim::check::facts::check;
use sim::machine::sparse::Cells;
use std::collections::BTreeMap;

/// The address of the instruction.
const HERE: u64 = 0x4000_1234;

/// Pages at the ends of the user window, and at the boundaries of page tables.
const PAGES: [u32; 6] = [0, 1, 511, 512, 720_894, 720_895];

fn address(page: usize, offset: u32) -> u32 {
    ADR_LOW + PAGES[page % PAGES.len()] * PAGE_SIZE + offset
}

/// The program's byte at an address in a page that it has.
fn byte(cpu: &mut Processor, at: u32) -> u32 {
    match exec_load(cpu, Chunk::One, at.into(), HERE) {
        Ok(Access::Done(bytes)) => bytes[0],
        other => panic!("{other:?} at {at:x}"),
    }
}

/// An access to a place.
#[derive(Clone, Copy, Debug)]
struct Stored {
    page: usize,
    offset: u32,
    chunk: Chunk,
    bytes: [u8; 8],
}

fn stored() -> impl Strategy<Value = Stored> {
    (any::<usize>(), 0..PAGE_SIZE, prop::sample::select(Chunk::ALL.to_vec()), any::<[u8; 8]>())
        .prop_map(|(page, offset, chunk, bytes)| Stored { page, offset, chunk, bytes })
}

#[test]
fn d11_a_global_page_is_no_programs() {
    let mut cpus = boot(memory(80), 1);
    let cpu = &mut cpus[0];
    // The call accepts the code, as in the reference, but programs cannot use the page.
    assert!(pt_resv(cpu, 1, ADR_LOW, perm::PTKG).is_ok_and(|end| end != MAGIC_NUMBER));
    let load = in_program(cpu, |cpu| exec_load(cpu, Chunk::One, ADR_LOW.into(), HERE));
    assert!(matches!(load, Ok(Access::Fault)), "{load:?}");
    // Such a call violates what entries of the kernel preserve.
    let broken: Vec<_> =
        check(cpu, 0, Cells::Neighbours, Class::Derived).iter().map(|violation| violation.number).collect();
    assert_eq!(broken, ["D7"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d11_what_is_stored_is_loaded(codes in prop::array::uniform6(prop::sample::select(vec![0u32, 1, 3, 5, 7])),
                                    stores in prop::collection::vec(stored(), 1..60)) {
        let mut cpus = boot(memory(400), 1);
        let cpu = &mut cpus[0];
        for (page, code) in codes.into_iter().enumerate().filter(|(_, code)| *code != 0) {
            prop_assert!(pt_resv(cpu, 1, address(page, 0), code).is_ok_and(|end| end != MAGIC_NUMBER));
        }
        let mut bytes: BTreeMap<u32, u32> = BTreeMap::new();
        for Stored { page, offset, chunk, bytes: values } in stores {
            let (at, size) = (address(page, offset), chunk as u32);
            let code = codes[page % PAGES.len()];
            let values = values.map(u32::from);
            let (stored, loaded) = in_program(cpu, |cpu| {
                let stored = exec_store(cpu, chunk, at.into(), values, HERE);
                let addr = (cpu.own.ti.addr, cpu.own.ti.ra);
                ((stored, addr), (exec_load(cpu, chunk, at.into(), HERE), (cpu.own.ti.addr, cpu.own.ti.ra)))
            });
            let fault = (u64::from(at), HERE);
            if offset % size != 0 {
                // An aligned access never crosses its page, so this one is misaligned.
                prop_assert!(matches!((stored.0, loaded.0), (Err(Stuck::Misaligned), Err(Stuck::Misaligned))));
                continue;
            }
            match code {
                7 => {
                    prop_assert!(matches!(stored.0, Ok(Access::Done(()))));
                    bytes.extend((at..at + size).zip(values));
                }
                _ => prop_assert!(matches!(stored, (Ok(Access::Fault), ti) if ti == fault)),
            }
            match (code, loaded) {
                (5 | 7, (Ok(Access::Done(loaded)), _)) => {
                    let expected: Vec<u32> = (at..at + size).map(|at| bytes.get(&at).copied().unwrap_or(0)).collect();
                    prop_assert_eq!(&loaded[..size as usize], &expected[..]);
                }
                (5 | 7, other) => prop_assert!(false, "{:?}", other),
                (_, (end, ti)) => prop_assert!(matches!(end, Ok(Access::Fault)) && ti == fault, "{:?} {:x?}", end, ti),
            }
        }
        assert_invariant(&cpus);
    }

    #[test]
    fn d11_addresses_that_no_program_has_fault(at in any::<u64>(), chunk in prop::sample::select(Chunk::ALL.to_vec())) {
        let mut cpus = boot(memory(80), 1);
        let cpu = &mut cpus[0];
        let mut at = at;
        // Addresses of the kernel, in the window, and beyond 32 bits.
        for _ in 0..3 {
            let place = at / 8 * 8;
            let ends = in_program(cpu, |cpu| {
                let load = exec_load(cpu, chunk, place, HERE);
                (load, exec_store(cpu, chunk, place, [1; 8], HERE))
            });
            prop_assert!(matches!(ends, (Ok(Access::Fault), Ok(Access::Fault))), "{:?}", ends);
            prop_assert_eq!((trap_get(cpu), trap_set(cpu)), (Ok(place), Ok(HERE)));
            at >>= 20;
        }
        // In kernel mode, the accessor gets stuck.
        prop_assert_eq!(exec_load(cpu, chunk, 0, HERE).map(|_| ()), Err(Stuck::NotUserMode));
    }

    #[test]
    fn d12_no_program_changes_what_another_one_loads(
        stores in prop::collection::vec((0..3u32, stored()), 1..60),
    ) {
        // Two programs of one CPU and one of another, with the same addresses.
        let mut cpus = boot(memory(800), 2);
        let child = proc_create(&mut cpus[0], 0, 0, 20).unwrap();
        let mut frames = Vec::new();
        for page in 0..PAGES.len() {
            for (cpu, thread) in [(0, 1), (0, child), (1, 2)] {
                let at = address(page, 0);
                prop_assert!(pt_resv(&mut cpus[cpu], thread, at, perm::PTU).is_ok_and(|end| end != MAGIC_NUMBER));
                frames.push(pt_read(&cpus[cpu], thread, at).unwrap() / PAGE_SIZE);
            }
        }
        let distinct = frames.iter().collect::<std::collections::BTreeSet<_>>().len();
        prop_assert_eq!(distinct, frames.len(), "no frame is in two maps");
        let mut bytes: [BTreeMap<u32, u32>; 3] = Default::default();
        for (who, Stored { page, offset, chunk, bytes: values }) in stores {
            let cpu = &mut cpus[usize::from(who == 2)];
            while who < 2 && cpu.own.cur != [1, child][who as usize] {
                next(cpu);
            }
            let at = address(page, offset / 8 * 8);
            let values = values.map(u32::from);
            let stored = in_program(cpu, |cpu| exec_store(cpu, chunk, at.into(), values, HERE));
            prop_assert!(matches!(stored, Ok(Access::Done(()))));
            bytes[who as usize].extend((at..).zip(values).take(chunk as usize));
            // Each program loads what it stored itself, and zeros around it.
            for (other, bytes) in (0..3u32).zip(&bytes) {
                let cpu = &mut cpus[usize::from(other == 2)];
                while other < 2 && cpu.own.cur != [1, child][other as usize] {
                    next(cpu);
                }
                let loaded: Vec<u32> = in_program(cpu, |cpu| (at..at + 8).map(|at| byte(cpu, at)).collect());
                let expected: Vec<u32> = (at..at + 8).map(|at| bytes.get(&at).copied().unwrap_or(0)).collect();
                prop_assert_eq!(loaded, expected, "of program {} after a store of {}", other, who);
            }
        }
        assert_invariant(&cpus);
    }
}
