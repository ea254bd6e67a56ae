//! What the layer says of the hardware, compared with the hardware. Each CPU does this at each checkpoint, for its own
//! part.
//!
//! | the layer | the hardware |
//! |-----------|--------------|
//! | `lapic` | the registers of the CPU's local APIC |
//! | `ioapic` | the lines of the I/O APIC that lead to this CPU |
//! | `com1` | the settings of COM1, on the CPU that has it |
//! | `intr_flag` | the interrupt flag of the program that has entered the kernel |
//! | `uctxt`: selectors of code and stack | the selectors with which `sysret` enters programs |
//! | `vmcs`: the host's part, once there is a virtual machine | the CPU's registers ([`host::register`]) |
//!
//! A step of the layer is atomic: the processor's own interrupt flag must be clear. `lapic.esr_clr_pen` is a note of
//! the reference's driver, and in no register. The checker compares the page map in use, from the situation of the CPU
//! ([`Situation`](layer::core::dump::Situation)).
use super::Metal;
use crate::cpu::registers;
use crate::devices::console;
use crate::guest::host;
use crate::irq::apic::LocalApic;
use crate::irq::io_apic;
use domain::Map;
use layer::core::constants::{FL_IF, IOAPIC_LINES, NUM_PROC, TOTAL_CPU, slot};
use layer::core::dump::Compared;
use layer::core::fields::{Containers, IoApicLines, UserContexts, VmcsFields};
use layer::core::state::{Lapic, Own};
use layer::objects::queue::root;
use layer::objects::vmx::vmcs::FIELDS;

/// Receives what is compared.
struct Comparison<'a>(&'a mut dyn FnMut(Compared<'_>));

impl Comparison<'_> {
    /// A value in no map.
    fn value(&mut self, field: &str, layer: impl Into<u64>, hardware: impl Into<u64>) {
        self.leaf(field, &[], "", layer, hardware);
    }

    /// A leaf of a cell of a map.
    fn leaf(&mut self, field: &str, key: &[u32], leaf: &str, layer: impl Into<u64>, hardware: impl Into<u64>) {
        (self.0)(Compared { field, key, leaf, layer: layer.into(), hardware: hardware.into() });
    }
}

/// Passes on each value that the layer has of the hardware of the CPU that runs this, whose state is `own`. The CPU is
/// quiescent; `user` says that a program has just entered the kernel.
pub(super) fn compare(own: &Own<Metal>, user: bool, tell: &mut dyn FnMut(Compared<'_>)) {
    let comparison = &mut Comparison(tell);
    local_apic(own, comparison);
    lines(own, comparison);
    serial_line(own, comparison);
    programs(own, user, comparison);
    host_registers(own, comparison);
}

fn local_apic(own: &Own<Metal>, comparison: &mut Comparison<'_>) {
    let Lapic { esr, eoi, max_lvt, enable, spurious, lint0_mask, lint1_mask, pcint_mask, ldr, error_irq, tpr, .. } =
        own.lapic;
    let state = LocalApic::here().state();
    comparison.value("lapic.esr", esr, state.errors);
    comparison.value("lapic.eoi", eoi, state.in_service);
    comparison.value("lapic.max_lvt", max_lvt, state.last_entry);
    comparison.value("lapic.enable", enable, state.enabled);
    comparison.value("lapic.spurious", spurious, state.description.spurious);
    comparison.value("lapic.lint0_mask", lint0_mask, state.lint0_masked);
    comparison.value("lapic.lint1_mask", lint1_mask, state.description.lint1_masked);
    comparison.value("lapic.pcint_mask", pcint_mask, state.counters_masked);
    comparison.value("lapic.ldr", ldr, state.logical);
    comparison.value("lapic.error_irq", error_irq, state.description.error);
    comparison.value("lapic.tpr", tpr, state.priority);
}

fn lines(own: &Own<Metal>, comparison: &mut Comparison<'_>) {
    let me = LocalApic::here().id();
    // The layer leaves out what the I/O APIC has beyond its lines.
    comparison.value("ioapic.max_intr", own.ioapic.max_intr + 1, io_apic::lines().min(IOAPIC_LINES));
    for line in 0..=own.ioapic.max_intr {
        let Some(route) = io_apic::route(line) else { continue };
        let cell = Map::<Metal, IoApicLines>::get(&own.lines, [line]);
        comparison.leaf("ioapic.lines", &[line], "irq", cell.irq, route.vector);
        comparison.leaf("ioapic.lines", &[line], "enabled", cell.enabled, !route.masked && route.apic == me);
    }
}

fn serial_line(own: &Own<Metal>, comparison: &mut Comparison<'_>) {
    if own.serial_exists
        && let Some(setting) = console::serial_setting()
    {
        comparison.value("com1.rx_int_enable", own.com1.rx_int_enable, setting.interrupts);
        comparison.value("com1.dlab", own.com1.dlab, setting.divisor);
    }
}

fn programs(own: &Own<Metal>, user: bool, comparison: &mut Comparison<'_>) {
    let register = |thread, slot| Map::<Metal, UserContexts>::get(&own.uctxt, [thread, slot]).value;
    comparison.value("interrupts in a step", false, registers::admits_interrupts());
    if user {
        comparison.value("intr_flag", own.intr_flag, register(own.cur, slot::EFLAGS) & u64::from(FL_IF) != 0);
    }
    let (code, stack) = registers::user_selectors();
    for thread in (TOTAL_CPU + 1..NUM_PROC).filter(|&thread| root(thread) == own.cpu + 1) {
        if Map::<Metal, Containers>::get(&own.ac, [thread]).used {
            for (slot, hardware) in [(slot::CS, code), (slot::SS, stack)] {
                comparison.leaf("uctxt", &[thread, slot], "", register(thread, slot), hardware);
            }
        }
    }
}

fn host_registers(own: &Own<Metal>, comparison: &mut Comparison<'_>) {
    if !own.vm.set_up {
        return;
    }
    for row in FIELDS {
        if let Some(hardware) = host::register(row.field) {
            let key = row.field as u32;
            let layer = Map::<Metal, VmcsFields>::get(&own.vmcs, [key]).value;
            comparison.leaf("vmcs", &[key], "", layer, hardware);
        }
    }
}
