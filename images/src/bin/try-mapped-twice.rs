//! A bug: a page of a program is mapped a second time. The program does not notice it; the program that watches the
//! kernel must find it.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering};
use domain::Map;
use kernel::cpu::block::Cpu;
use kernel::cpu::trap::Entry;
use kernel::image::Image;
use kernel::machine::Metal;
use kernel::machine::fault_injection::inject;
use kernel::machine::hooks::IMAGE;
use layer::core::constants::ADR_LOW;
use layer::core::fields::{Directories, PageTables, Pde};

/// Before every entry with a multiple of this number a page is mapped again, since one program could end before the next
/// checkpoint.
const ENTRY: u32 = 30;
/// An unused index of a page: the last one of the image's region.
const PLACE: u32 = 511;

static ENTRIES: AtomicU32 = AtomicU32::new(0);

kernel::image!(Image { system_call, entry, ..IMAGE });

extern "C" fn system_call(cpu: &mut Cpu, number: u32) {
    map_again(cpu);
    (IMAGE.system_call)(cpu, number)
}

fn entry(cpu: &mut Cpu, why: Entry) -> ! {
    map_again(cpu);
    (IMAGE.entry)(cpu, why)
}

/// Maps the first page of the running program's image a second time.
fn map_again(cpu: &mut Cpu) {
    if ENTRIES.fetch_add(1, Ordering::Relaxed) % ENTRY == ENTRY - 1 {
        inject(cpu, |layer| {
            let own = &mut layer.own;
            let entry = Map::<Metal, Directories>::get(&own.dirs, [own.cur, ADR_LOW >> 21]);
            if let Pde::Table { frame } = entry {
                let page = Map::<Metal, PageTables>::get(&own.tables, [frame, 0]);
                Map::<Metal, PageTables>::set(&mut own.tables, [frame, PLACE], page);
            }
        });
    }
}
