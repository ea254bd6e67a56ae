//! Measures the primitive `palloc` alone, as no program could: with one page taken, and with all but one taken.
//!
//! One CPU takes all pages, through all roots' containers. The CPU never runs a program.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::hint::black_box;
use kernel::cpu::block::Cpu as Hardware;
use kernel::cpu::registers::time_stamp;
use kernel::devices::exit::Reason;
use kernel::devices::power;
use kernel::image::{Boot, Image};
use kernel::machine::{Metal, platform, processor, set_platform, shared};
use kernel::say;
use layer::core::constants::TOTAL_CPU;
use layer::core::state::Cpu;
use layer::objects::boot::sched_init;
use layer::objects::page_alloc::{palloc, pfree};

kernel::image!(Image { prepare, start, ..Image::DEFAULT });

fn prepare(boot: &mut Boot) {
    set_platform(boot).expect("kernel memory suffices");
}

/// Number of pages that are measured at the beginning and at the end.
const SAMPLES: usize = 200;

fn start(_: &mut Hardware) -> ! {
    let shared = shared(platform());
    let mut cpu = processor(platform(), shared, 0);
    sched_init(&mut cpu, 0).expect("the machine is as the layer wants it");

    let overhead = measured(|| 0).0;
    say!("bench: overhead {overhead} 1");
    // The search for the first page passes over all frames of the kernel; later searches start after them.
    let first_page = take(&mut cpu, 1).1;
    assert!(first_page > 0, "a page is free");
    let mut first = [0; SAMPLES];
    first.fill_with(|| take(&mut cpu, 1).0);
    let (mut last, mut taken) = ([0; SAMPLES], SAMPLES + 1);
    let mut final_page = 0;
    for container in (1..=TOTAL_CPU).chain([0]) {
        while let (ticks, page @ 1..) = take(&mut cpu, container) {
            last[taken % SAMPLES] = ticks;
            taken += 1;
            final_page = page;
        }
    }
    // Pages of container 0 are the last ones, those of container 1 the first ones.
    let low = first_page + 100;
    let give = |cpu: &mut Cpu<'static, Metal>, container, page| {
        measured(|| {
            pfree(cpu, black_box(container), black_box(page)).expect("a page of its own");
            0
        })
        .0
    };
    let mut freed = [0; SAMPLES];
    freed.fill_with(|| {
        let ticks = give(&mut cpu, 1, low);
        assert_eq!(take(&mut cpu, 1).1, low);
        ticks
    });
    freed.iter().for_each(|ticks| say!("bench: pfree {ticks} 1"));
    let payer_of_last = TOTAL_CPU;
    for _ in 0..SAMPLES {
        give(&mut cpu, payer_of_last, final_page);
        give(&mut cpu, 1, low);
        let (near, page) = take(&mut cpu, 1);
        assert_eq!(page, low);
        let (far, page) = take(&mut cpu, payer_of_last);
        assert_eq!(page, final_page);
        say!("bench: palloc_near {near} 1");
        say!("bench: palloc_far {far} 1");
    }
    assert_eq!(taken, shared.boot.norm as usize, "every page was taken");
    first.iter().for_each(|ticks| say!("bench: palloc_empty {ticks} 1"));
    last.iter().for_each(|ticks| say!("bench: palloc_full {ticks} 1"));
    power::leave(Reason::Done)
}

/// Takes a page for a container; returns the cost in ticks, and the page.
fn take(cpu: &mut Cpu<'static, Metal>, container: u32) -> (u64, u32) {
    measured(|| palloc(cpu, black_box(container)).expect("a container in use"))
}

/// The cost of `work` in ticks, and its result.
#[inline(never)]
fn measured(work: impl FnOnce() -> u32) -> (u64, u32) {
    let before = time_stamp();
    let result = black_box(work());
    (time_stamp() - before, result)
}
