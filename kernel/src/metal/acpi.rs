//! Which CPUs and which I/O APIC there are: the multiple APIC description table (MADT) of ACPI. CPUID's topology leaves are
//! not asked; emulators fill them as they like.

use super::paging::direct;
use crate::layout::{DIRECT_MAP_SIZE, MAX_CPUS};
use ::acpi::madt::{Madt, MadtEntry};
use ::acpi::{AcpiError, AcpiHandler, AcpiTables, PhysicalMapping};
use core::ptr::NonNull;

/// Bit 0 of an entry's flags: the CPU can be used.
const ENABLED: u32 = 1;

/// Why the CPUs or the interrupt controller are not known: the firmware's fault, all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// There is no root pointer, or a table is damaged.
    NoTables,
    /// There is no MADT, or it lists no CPU that could run this.
    NoCpus,
    /// The MADT lists no I/O APIC.
    NoIoApic,
}

/// APIC numbers of the CPUs that can be used, in the order of the table, at most [`MAX_CPUS`].
#[derive(Clone, Copy, Debug)]
pub struct CpuList {
    ids: [u32; MAX_CPUS],
    count: usize,
    /// CPUs that the machine has beyond [`MAX_CPUS`].
    pub left_out: usize,
}

impl CpuList {
    /// The APIC numbers.
    pub fn ids(&self) -> &[u32] {
        &self.ids[..self.count]
    }
}

/// Everything is in the direct map already.
#[derive(Clone)]
struct DirectMap;

impl AcpiHandler for DirectMap {
    unsafe fn map_physical_region<T>(&self, address: usize, size: usize) -> PhysicalMapping<Self, T> {
        // A wild pointer in a table must not become a fault: address 0 fails the table's checks instead.
        let address = if address.saturating_add(size) as u64 <= DIRECT_MAP_SIZE { address } else { 0 };
        let pointer = direct::<T>(address as u64);
        // SAFETY: `DIRECT_MAP` is not null, so no address in the direct map is.
        let pointer = unsafe { NonNull::new_unchecked(pointer) };
        // SAFETY: the direct map covers the whole region, was just checked, and is never unmapped.
        unsafe { PhysicalMapping::new(address, pointer, size, size, DirectMap) }
    }

    fn unmap_physical_region<T>(_: &PhysicalMapping<Self, T>) {}
}

/// What the MADT says.
#[derive(Clone, Copy, Debug)]
pub struct Controllers {
    /// The CPUs.
    pub cpus: CpuList,
    /// Physical address of the first I/O APIC.
    pub io_apic: u64,
}

/// Reads the MADT that the root pointer at physical address `rsdp` leads to; without one, the BIOS areas
/// are searched for it.
pub fn controllers(rsdp: Option<u64>) -> Result<Controllers, Error> {
    // SAFETY: the direct map covers all that the tables can point to; checksums are checked by the crate.
    let tables = unsafe {
        match rsdp {
            Some(address) => AcpiTables::from_rsdp(DirectMap, address as usize),
            None => AcpiTables::search_for_rsdp_bios(DirectMap),
        }
    };
    let madt = tables.and_then(|tables| tables.find_table::<Madt>()).map_err(|error| match error {
        AcpiError::TableMissing(_) => Error::NoCpus,
        _ => Error::NoTables,
    })?;
    let mut list = CpuList { ids: [0; MAX_CPUS], count: 0, left_out: 0 };
    let mut io_apic = None;
    for entry in madt.get().entries() {
        match entry {
            MadtEntry::LocalApic(entry) if { entry.flags } & ENABLED != 0 => match list.ids.get_mut(list.count) {
                Some(id) => {
                    *id = u32::from(entry.apic_id);
                    list.count += 1;
                }
                None => list.left_out += 1,
            },
            MadtEntry::IoApic(entry) => io_apic = io_apic.or(Some(entry.io_apic_address.into())),
            _ => {}
        }
    }
    if list.count == 0 {
        return Err(Error::NoCpus);
    }
    Ok(Controllers { cpus: list, io_apic: io_apic.ok_or(Error::NoIoApic)? })
}
