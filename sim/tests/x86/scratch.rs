//! One page of memory at any address, which can refuse accesses.

use sim::x86::{Bus, CodeStamp, Size};
use std::collections::HashSet;

/// An access that was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused;

/// A page of data, and an instruction.
#[derive(Clone)]
pub struct Scratch {
    /// Address of the data.
    pub address: u64,
    /// The data.
    pub bytes: Vec<u8>,
    /// Address of the instruction.
    pub code_address: u64,
    /// The instruction.
    pub code: Vec<u8>,
    /// The number of accesses to the data that are still allowed.
    pub allowed: usize,
    /// The addresses of stores that were probed.
    pub probed: HashSet<u64>,
}

impl Scratch {
    /// The offset of an access in the data.
    fn place(&self, address: u64, size: Size) -> Result<usize, Refused> {
        assert!(address.is_multiple_of(size.bytes()), "an access is aligned");
        let offset = usize::try_from(address.wrapping_sub(self.address)).map_err(|_| Refused)?;
        let end = offset.checked_add(size.bytes() as usize).ok_or(Refused)?;
        if end > self.bytes.len() { Err(Refused) } else { Ok(offset) }
    }

    /// Uses one of the allowed accesses.
    fn count(&mut self) -> Result<(), Refused> {
        self.allowed = self.allowed.checked_sub(1).ok_or(Refused)?;
        Ok(())
    }
}

impl Bus for Scratch {
    type Fault = Refused;

    fn fetch(&mut self, address: u64, buffer: &mut [u8; 15]) -> Result<usize, Refused> {
        assert_eq!(address, self.code_address);
        // The instruction is followed by `nop`s, because an undefined instruction may include the next byte.
        buffer.fill(0x90);
        buffer[..self.code.len()].copy_from_slice(&self.code);
        Ok(buffer.len())
    }

    fn code_stamp(&mut self, _address: u64, _length: u64) -> Result<Option<CodeStamp>, Refused> {
        // Each instruction is executed once.
        Ok(None)
    }

    fn load(&mut self, address: u64, size: Size) -> Result<u64, Refused> {
        let place = self.place(address, size)?;
        self.count()?;
        let bytes = &self.bytes[place..][..size.bytes() as usize];
        Ok(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn store(&mut self, address: u64, size: Size, value: u64) -> Result<(), Refused> {
        let place = self.place(address, size)?;
        // A probe has already used an allowed access for this store.
        if !self.probed.remove(&address) {
            self.count()?;
        }
        let count = size.bytes() as usize;
        self.bytes[place..][..count].copy_from_slice(&value.to_le_bytes()[..count]);
        Ok(())
    }

    fn probe_store(&mut self, address: u64, size: Size) -> Result<(), Refused> {
        self.place(address, size)?;
        self.count()?;
        self.probed.insert(address);
        Ok(())
    }
}
