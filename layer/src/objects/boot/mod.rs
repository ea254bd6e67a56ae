//! Boot: primitive 9 (`sched_init`), which runs first.
pub mod spec;

use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::machine::Machine;
use crate::core::state::{Cpu, IoApic};
use crate::core::stuck::{Stuck, require};
use crate::objects::page_table::is_user_directory;
use domain::{Flag, Ghost, Map};

/// 9 `sched_init(mbi)`: turns paging on and sets up all state of this CPU (reference, section 6.2). The argument is
/// ignored.
///
/// Shared objects are built once, before any other CPU runs
/// ([`AllocTable::boot`](crate::objects::page_alloc::table::AllocTable::boot),
/// [`Threads::boot`](crate::objects::queue::Threads::boot)).
///
/// # Errors
/// [`Stuck::NotBoot`] if it has run before, [`Stuck::BadIoApic`] also if the I/O APIC has no line for an existing UART,
/// [`Stuck::BadMemory`] if the machine's memory does not reach the user area or is more than 4 GiB.
pub fn sched_init<M: Machine>(cpu: &mut Cpu<'_, M>, _mbi: M::Word) -> Result<(), Stuck> {
    let boot = cpu.shared.boot;
    let own = &mut cpu.own;
    require(
        own.ghost.check(|g| {
            !g.init.holds()
                && !g.pg.holds()
                // Equivalent mutants (flag: true): while the kernel's page map is in use, the CPU
                // is in kernel mode (H3).
                && g.ikern.holds()
                // Equivalent mutants (flag: true): before paging the CPU is in root operation (H5).
                && g.ihost.holds()
                // Equivalent mutants (flag: true): before paging is on, the kernel's page map is the only one (H2).
                && g.ipt.holds()
                && !g.in_intr.holds()
        }),
        Stuck::NotBoot,
    )?;
    require(own.ioapic.max_intr < IOAPIC_LINES, Stuck::BadIoApic)?;
    let lines = own.ioapic.max_intr + 1;
    require(own.ioapic.irqs == lines && own.ioapic.enables == lines, Stuck::BadIoApic)?;
    require(!own.serial_exists.holds() || lines > COM1_LINE, Stuck::BadIoApic)?;
    require(boot.nps >= KERN_LOW && boot.nps <= MAX_PAGE, Stuck::BadMemory)?;
    require(boot.norm <= MAX_PAGE, Stuck::BadMemory)?;

    own.nps = boot.nps;
    own.vmxinfo.define(|[i]| Cell { value: M::real_vmxinfo(i) });
    let share = boot.norm / TOTAL_CPU;
    own.ac.define(move |[i]| {
        // Container 0 stands for the machine; 1 to 8 are the roots of the CPUs, with equal shares
        // (P25).
        let used = i <= TOTAL_CPU;
        let (quota, usage, nchildren) = if i == 0 {
            (boot.norm, share * TOTAL_CPU, TOTAL_CPU.into())
        } else if used {
            (share, 0.into(), 0.into())
        } else {
            (0.into(), 0.into(), 0.into())
        };
        Container { quota, usage, parent: 0.into(), nchildren, used: used.into() }
    });
    own.dirs.define(|[n, i]| if n == 0 || !is_user_directory::<M>(i) { Pde::Id } else { Pde::UnPresent });
    // P39: the line of the UART is enabled on the CPU that has the UART.
    let serial_exists = own.serial_exists;
    own.lines.define(move |[line]| Line {
        irq: line + FIRST_LINE_VECTOR,
        enabled: (line == COM1_LINE && serial_exists.holds()).into(),
    });
    own.ioapic = IoApic { init: true.into(), ..own.ioapic };
    own.lapic = own.lapic.set_up();
    own.cur = own.cpu + 1;
    own.ghost.update(|g| {
        g.pg = true.into();
        g.init = true.into();
        g.pt = 0.into();
        g.dirs_defined.define(|_| Defined { defined: true.into() });
        g.idpde.define(|[i, _]| IdentityEntry {
            valid: true.into(),
            perm: if is_user_directory::<M>(i) { perm::PTK } else { perm::PTKG }.into(),
        });
        g.lat.define(move |[p]| ReverseMap {
            valid: (p < boot.nps).into(),
            len: 0.into(),
            payer: 0.into(),
            seat: 0.into(),
        });
        g.charged.define(|_| Charge { pages: 0.into() });
        g.smspool.define(|_| Offer { status: 0.into(), seen: true.into(), address: 0.into() });
    });
    Ok(())
}
