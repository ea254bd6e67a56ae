//! A bug: a page of a program is mapped a second time. The program does not notice it; the program that watches the
//! kernel must find it.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use abi::Call;
use domain::Map;
use kernel::cpu::block::Cpu;
use kernel::cpu::trap::Entry;
use kernel::image::Image;
use kernel::machine::Metal;
use kernel::machine::fault_injection::inject;
use kernel::machine::hooks::IMAGE;
use kernel::mm::layout::MAX_CPUS;
use kernel::sync::lock::Lock;
use layer::core::constants::ADR_LOW;
use layer::core::fields::{Directories, PageTables, Pde, Pte};
use layer::core::state::Own;

/// On each CPU the thread whose page is mapped twice, or 0, and the index of the second mapping.
static VICTIMS: [Lock<(u32, u32)>; MAX_CPUS] = [const { Lock::new((0, 0)) }; MAX_CPUS];

kernel::image!(Image { system_call, entry, ..IMAGE });

extern "C" fn system_call(cpu: &mut Cpu, number: u32) {
    choose(cpu, number != Call::Exit as u32);
    (IMAGE.system_call)(cpu, number)
}

fn entry(cpu: &mut Cpu, why: Entry) -> ! {
    // An exception may stop the program.
    choose(cpu, matches!(why, Entry::Interrupt { .. }));
    (IMAGE.entry)(cpu, why)
}

/// Mends the CPU's victim, and makes the running program the next one if it goes on. So no program ends while its page
/// is mapped twice: its end would hide the bug from the next checkpoint.
fn choose(cpu: &mut Cpu, goes_on: bool) {
    let number = cpu.number();
    inject(cpu, |layer| {
        let own = &mut layer.own;
        let mut victim = VICTIMS[number].lock();
        let (thread, place) = core::mem::take(&mut *victim);
        if let (1.., Some(frame)) = (thread, table(own, thread)) {
            Map::<Metal, PageTables>::set(&mut own.tables, [frame, place], Pte::UnPresent);
        }
        let (true, Some(frame)) = (goes_on, table(own, own.cur)) else { return };
        let page = |index| Map::<Metal, PageTables>::get(&own.tables, [frame, index]);
        let free = (0..512).rev().find(|&index| matches!(page(index), Pte::UnPresent));
        let (Some(place), page @ Pte::Valid { .. }) = (free, page(0)) else { return };
        Map::<Metal, PageTables>::set(&mut own.tables, [frame, place], page);
        *victim = (own.cur, place);
    });
}

/// The page table of the image's region in the page map of `thread`.
fn table(own: &Own<Metal>, thread: u32) -> Option<u32> {
    match Map::<Metal, Directories>::get(&own.dirs, [thread, ADR_LOW >> 21]) {
        Pde::Table { frame } => Some(frame),
        _ => None,
    }
}
