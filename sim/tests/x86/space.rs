//! An address space, as a table of pages.

use sim::x86::{Bus, CodeStamp, Size};
use std::collections::{HashMap, HashSet};

const PAGE: u64 = abi::PAGE_SIZE as u64;
const REGION: u64 = 512 * PAGE;

/// An access that the space refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The address of the access.
    pub address: u64,
    /// Whether there is a page that does not permit the access.
    pub mapped: bool,
}

struct Page {
    bytes: Box<[u8; PAGE as usize]>,
    writable: bool,
}

/// The pages. Each page and each page table costs one unit of the quota.
#[derive(Default)]
pub struct Space {
    pages: HashMap<u64, Page>,
    tables: HashSet<u64>,
    /// The remaining units.
    pub quota: u32,
}

impl Space {
    /// An empty space.
    pub fn new(quota: u32) -> Space {
        Space { quota, ..Space::default() }
    }

    /// Maps a zeroed page if the quota suffices. If it does not suffice for the page table, the page is lost.
    pub fn map(&mut self, address: u64, writable: bool) -> bool {
        let table = address / REGION;
        for needed in [true, !self.tables.contains(&table)] {
            if needed {
                let Some(left) = self.quota.checked_sub(1) else {
                    return false;
                };
                self.quota = left;
            }
        }
        self.tables.insert(table);
        let bytes = Box::new([0; PAGE as usize]);
        self.pages.insert(address / PAGE, Page { bytes, writable }).is_none()
    }

    /// The bytes of a page.
    pub fn page_mut(&mut self, address: u64) -> Option<&mut [u8]> {
        self.pages.get_mut(&(address / PAGE)).map(|page| &mut page.bytes[..])
    }

    /// The bytes from an address to the end of its page.
    pub fn rest_of_page(&self, address: u64) -> Result<&[u8], Fault> {
        let page = self.pages.get(&(address / PAGE)).ok_or(Fault { address, mapped: false })?;
        Ok(&page.bytes[(address % PAGE) as usize..])
    }

    fn writable(&mut self, address: u64) -> Result<&mut [u8], Fault> {
        match self.pages.get_mut(&(address / PAGE)) {
            None => Err(Fault { address, mapped: false }),
            Some(page) if !page.writable => Err(Fault { address, mapped: true }),
            Some(page) => Ok(&mut page.bytes[(address % PAGE) as usize..]),
        }
    }
}

impl Bus for Space {
    type Fault = Fault;

    fn fetch(&mut self, address: u64, buffer: &mut [u8; 15]) -> Result<usize, Fault> {
        // A writable page is not executable.
        if self.pages.get(&(address / PAGE)).is_some_and(|page| page.writable) {
            return Err(Fault { address, mapped: true });
        }
        let bytes = self.rest_of_page(address)?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn code_stamp(&mut self, address: u64, length: u64) -> Result<Option<CodeStamp>, Fault> {
        // The bytes are their own stamp: there are at most 15.
        let bytes = &self.rest_of_page(address)?[..length as usize];
        let value = bytes.iter().fold(0u128, |value, &byte| value << 8 | u128::from(byte));
        Ok(Some([value as u64, (value >> 64) as u64]))
    }

    fn load(&mut self, address: u64, size: Size) -> Result<u64, Fault> {
        assert!(address.is_multiple_of(size.bytes()), "a load is aligned");
        let bytes = &self.rest_of_page(address)?[..size.bytes() as usize];
        Ok(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn store(&mut self, address: u64, size: Size, value: u64) -> Result<(), Fault> {
        assert!(address.is_multiple_of(size.bytes()), "a store is aligned");
        let count = size.bytes() as usize;
        self.writable(address)?[..count].copy_from_slice(&value.to_le_bytes()[..count]);
        Ok(())
    }

    fn probe_store(&mut self, address: u64, _size: Size) -> Result<(), Fault> {
        self.writable(address).map(drop)
    }
}
