//! D.9 and D.10: pages are allocated once, counted, and mapped as requested.
use crate::machine::{Processor, assert_invariant, boot, memory};
use domain::Map;
use layer::core::constants::*;
use layer::core::stuck::Stuck;
use layer::objects::container::{container_get_quota, container_get_usage};
use layer::objects::page_alloc::palloc;
use layer::objects::page_table::{pt_read, pt_resv};
use layer::objects::process::proc_create;
use proptest::prelude::*;
use sim::machine::platform::Memory;
use std::collections::{BTreeMap, BTreeSet};

/// A request of a CPU: for a page, or for a page that is mapped at this page of the window.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Page,
    Mapped(u32),
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![Just(Ask::Page), (0..1200u32).prop_map(Ask::Mapped)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d09_pages_are_given_out_once_and_counted(
        pages in 16..96u32,
        hole in 0..16u32,
        asks in prop::collection::vec((0..TOTAL_CPU, ask()), 1..160),
    ) {
        // A hole in memory, whose frames are never allocated.
        let usable = vec![0..KERN_LOW + 4, KERN_LOW + 4 + hole..KERN_LOW + pages + hole];
        let mut cpus = boot(Memory { frames: KERN_LOW + pages + hole, usable: usable.clone() }, TOTAL_CPU);
        let (mut given, mut used) = (BTreeSet::new(), BTreeMap::<u32, u32>::new());
        let (mut mapped, mut tables) = (BTreeSet::new(), BTreeSet::new());
        for (me, ask) in asks {
            let cpu = &mut cpus[me as usize];
            let root = me + 1;
            let quota = container_get_quota(cpu, root).unwrap();
            let is_full = |used: &BTreeMap<u32, u32>| used.get(&root).copied().unwrap_or(0) == quota;
            let mut was_given = |page: u32, used: &mut BTreeMap<u32, u32>| {
                *used.entry(root).or_default() += 1;
                (KERN_LOW..KERN_HIGH).contains(&page) && usable.iter().any(|range| range.contains(&page)) && given.insert(page)
            };
            match ask {
                Ask::Page => {
                    let page = palloc(cpu, root).unwrap();
                    prop_assert_eq!(page == 0, is_full(&used), "memory is the sum of the quotas");
                    prop_assert!(page == 0 || was_given(page, &mut used), "{}", page);
                }
                Ask::Mapped(at) => {
                    if mapped.contains(&(me, at)) {
                        continue;
                    }
                    let va = ADR_LOW + at * PAGE_SIZE;
                    let full = is_full(&used);
                    let end = pt_resv(cpu, root, va, perm::PTU).unwrap();
                    if full {
                        prop_assert_eq!(end, MAGIC_NUMBER);
                    } else if end == MAGIC_NUMBER {
                        // The page was allocated, but no page was left for its page table.
                        prop_assert!(!tables.contains(&(me, at / 512)));
                        *used.entry(root).or_default() += 1;
                        prop_assert!(is_full(&used));
                    } else {
                        prop_assert_eq!(end != 0, tables.insert((me, at / 512)), "a table where there was none");
                        prop_assert!(end == 0 || was_given(end, &mut used), "{}", end);
                        let page = pt_read(cpu, root, va).unwrap() / PAGE_SIZE;
                        prop_assert!(was_given(page, &mut used), "{}", page);
                        mapped.insert((me, at));
                    }
                }
            }
            let cpu = &cpus[me as usize];
            prop_assert_eq!(container_get_usage(cpu, root).unwrap(), used.get(&root).copied().unwrap_or(0));
        }
        assert_invariant(&cpus);
    }
}

/// CPU 0 of a machine, with a child of the main thread that may use `quota` pages.
fn with_child(quota: u32) -> (Vec<Processor>, u32) {
    let mut cpus = boot(memory(400), 1);
    let child = proc_create(&mut cpus[0], 0, 0, quota).unwrap();
    (cpus, child)
}

/// The result of `pt_resv`, and the growth of the container's usage.
fn resv(cpu: &mut Processor, n: u32, va: u32, code: u32) -> (Result<u32, Stuck>, u32) {
    let before = cpu.own.ac.get([n]).usage;
    let end = pt_resv(cpu, n, va, code);
    (end, cpu.own.ac.get([n]).usage - before)
}

#[test]
fn d10_every_case_of_pt_resv() {
    let (mut cpus, child) = with_child(6);
    let cpu = &mut cpus[0];
    let read = |cpu: &Processor, va| pt_read(cpu, child, va).unwrap();

    // First the page table is missing, and then it is there.
    let (table, grew) = resv(cpu, child, ADR_LOW, perm::PTU);
    assert!(grew == 2 && table.is_ok_and(|frame| (KERN_LOW..cpu.own.nps).contains(&frame)), "{table:?}");
    assert_eq!(resv(cpu, child, ADR_LOW + PAGE_SIZE, perm::PTK), (Ok(0), 1));
    assert_eq!((read(cpu, ADR_LOW) % PAGE_SIZE, read(cpu, ADR_LOW + PAGE_SIZE) % PAGE_SIZE), (7, 3));
    assert_ne!(read(cpu, ADR_LOW) / PAGE_SIZE, read(cpu, ADR_LOW + PAGE_SIZE) / PAGE_SIZE);

    // Already mapped; an invalid permission; addresses at the ends of the window and outside. In each stuck case the
    // page is lost (10.3). The test observes this, although a machine would roll the whole call back.
    let (mut cpus, child) = with_child(20);
    let cpu = &mut cpus[0];
    assert!(resv(cpu, child, ADR_LOW, perm::PTU).0.is_ok());
    for (va, code, stuck) in [
        (ADR_LOW, perm::PTU, Stuck::AlreadyMapped),
        (ADR_LOW + PAGE_SIZE, 2, Stuck::BadPermission),
        (ADR_LOW + PAGE_SIZE, 0, Stuck::BadPermission),
        (ADR_LOW - 1, perm::PTU, Stuck::BadAddress),
        (ADR_HIGH, perm::PTU, Stuck::BadAddress),
        (0, perm::PTU, Stuck::BadAddress),
        (u32::MAX, perm::PTU, Stuck::BadAddress),
    ] {
        assert_eq!(resv(cpu, child, va, code), (Err(stuck), 1), "{va:x} {code}");
    }
    assert!(matches!(resv(cpu, child, ADR_HIGH - 1, perm::PTU), (Ok(1..MAGIC_NUMBER), 2)));

    // For a thread that does not run, and for one that does not exist.
    assert_eq!(resv(cpu, 5, ADR_LOW, perm::PTU).0, Err(Stuck::NotMine));
    assert_eq!(pt_resv(cpu, NUM_PROC - 1, ADR_LOW, perm::PTU), Err(Stuck::NoContainer));
}

#[test]
fn d10_where_something_is_exhausted() {
    // Without quota, the other arguments do not matter.
    let (mut cpus, child) = with_child(0);
    assert_eq!(resv(&mut cpus[0], child, 0, 77), (Ok(MAGIC_NUMBER), 0));
    // Quota for the page but not for its table: the page is charged, but not mapped (P31).
    let (mut cpus, child) = with_child(1);
    assert_eq!(resv(&mut cpus[0], child, ADR_LOW, perm::PTU), (Ok(MAGIC_NUMBER), 1));
    assert_eq!(pt_read(&cpus[0], child, ADR_LOW), Ok(0));
    // Thread 0 has no pages left on a machine whose pages all belong to the roots.
    let mut cpus = boot(memory(80), 1);
    assert_eq!(resv(&mut cpus[0], 0, ADR_LOW, perm::PTU), (Ok(MAGIC_NUMBER), 0));
    // If the number of pages is no multiple of 8, thread 0 has pages, but may not map any.
    let mut cpus = boot(memory(83), 1);
    assert_eq!(resv(&mut cpus[0], 0, ADR_LOW, perm::PTU).0, Err(Stuck::BadThread));
    assert_invariant(&with_child(9).0);
}

#[test]
fn d10_no_memory_though_there_is_quota() {
    // The remainder of a division by 8 belongs to container 0. Each CPU has a copy of this container, so together
    // the copies want more pages than there are.
    let mut cpus = boot(memory(8 * 10 + 7), TOTAL_CPU);
    for cpu in &mut cpus {
        assert!((0..7).all(|_| palloc(cpu, 0).is_ok_and(|page| page != 0)));
        assert_eq!(palloc(cpu, 0), Ok(0), "the quota is used up");
    }
    // 31 pages are left, and then one.
    for cpu in &mut cpus[1..4] {
        let root = cpu.own.cur;
        assert!((0..10).all(|_| palloc(cpu, root).is_ok_and(|page| page != 0)));
    }
    let cpu = &mut cpus[0];
    assert_eq!(resv(cpu, 1, ADR_LOW, perm::PTU), (Ok(MAGIC_NUMBER), 1), "a page, and none for its table");
    assert_eq!(resv(cpu, 1, ADR_LOW, perm::PTU), (Ok(MAGIC_NUMBER), 0));
    assert_eq!((palloc(cpu, 1), pt_read(cpu, 1, ADR_LOW)), (Ok(0), Ok(0)));
    assert_invariant(&cpus);
}
