//! A machine's memory with ACPI tables, for the tests.

use std::vec;
use std::vec::Vec;

/// Addresses of the root pointer and of the tables.
pub const ROOT: usize = 0xE_0010;
pub const FIRST: usize = 0x1000;
pub const RSDT: usize = FIRST;
pub const XSDT: usize = 0x1100;
pub const FADT: usize = 0x1200;
pub const HPET: usize = 0x1400;
pub const MADT: usize = 0x1500;
/// Bytes of the memory.
pub const BYTES: usize = 0x10_0000;

pub fn put(memory: &mut [u8], at: usize, bytes: &[u8]) {
    memory[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Sets the byte at `at` so that all bytes sum to 0.
pub fn seal(bytes: &mut [u8], at: usize) {
    bytes[at] = 0;
    let sum = bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
    bytes[at] = sum.wrapping_neg();
}

pub fn table_of(signature: &[u8; 4], rest: &[u8]) -> Vec<u8> {
    let mut table = vec![0; 36];
    put(&mut table, 0, signature);
    table.extend(rest);
    let length = table.len() as u32;
    put(&mut table, 4, &length.to_le_bytes());
    seal(&mut table, 9);
    table
}

/// A fixed description table as QEMU's PC has it.
pub fn fadt() -> Vec<u8> {
    let mut rest = vec![0; 244 - 36];
    put(&mut rest, 76 - 36, &0x608u32.to_le_bytes());
    rest[91 - 36] = 4;
    table_of(b"FACP", &rest)
}

fn hpet() -> Vec<u8> {
    let address = [&[0, 64, 0, 0][..], &0xFED0_0000u64.to_le_bytes()].concat();
    table_of(b"HPET", &[&0x8086_A201u32.to_le_bytes()[..], &address, &[0; 4]].concat())
}

/// A root pointer of this revision.
pub fn root_pointer_of(revision: u8) -> Vec<u8> {
    let mut root = b"RSD PTR \0CAIRN ".to_vec();
    root.push(revision);
    root.extend((RSDT as u32).to_le_bytes());
    seal(&mut root, 8);
    if revision < 2 {
        // The bytes after a root pointer of revision 0 need not be 0.
        root.extend([0x55; 16]);
    } else {
        root.extend(36u32.to_le_bytes());
        root.extend((XSDT as u64).to_le_bytes());
        root.extend([0; 4]);
        seal(&mut root, 32);
    }
    root
}

/// The memory from [`FIRST`] on, with all tables.
pub fn tables(entries: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut memory = vec![0; 0x1000];
    let tables = [FADT, HPET, MADT];
    put(&mut memory, RSDT - FIRST, &table_of(b"RSDT", &tables.map(|at| (at as u32).to_le_bytes()).concat()));
    put(&mut memory, XSDT - FIRST, &table_of(b"XSDT", &tables.map(|at| (at as u64).to_le_bytes()).concat()));
    put(&mut memory, FADT - FIRST, &fadt());
    put(&mut memory, HPET - FIRST, &hpet());
    let entries: Vec<u8> = entries.iter().flat_map(|entry| entry.as_ref()).copied().collect();
    put(&mut memory, MADT - FIRST, &table_of(b"APIC", &[&[0; 8], &entries[..]].concat()));
    memory
}

/// A machine's memory with a root pointer of this revision and a MADT with these entries.
pub fn machine(revision: u8, entries: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut memory = vec![0; BYTES];
    put(&mut memory, ROOT, &root_pointer_of(revision));
    put(&mut memory, FIRST, &tables(entries));
    memory
}

pub fn cpu(id: u8, enabled: bool) -> [u8; 8] {
    [0, 8, 0, id, enabled.into(), 0, 0, 0]
}

pub fn x2apic_cpu(id: u32) -> Vec<u8> {
    [&[9, 16, 0, 0], &id.to_le_bytes()[..], &1u32.to_le_bytes(), &[0; 4]].concat()
}

pub fn io_apic(address: u32, first: u32) -> Vec<u8> {
    [&[1, 12, 0, 0], &address.to_le_bytes()[..], &first.to_le_bytes()].concat()
}

pub fn source_override(source: u8, line: u32, flags: u16) -> Vec<u8> {
    [&[2, 10, 0, source], &line.to_le_bytes()[..], &flags.to_le_bytes()].concat()
}
