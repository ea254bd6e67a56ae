//! The memory in which a step is tried before it becomes part of a program.

use crate::generate::SCRATCH_SIZE;
use crate::program::SCRATCH;
use sim::x86::{Bus, CodeStamp, Size};

/// The scratch memory and the code of a step. Accesses to other addresses are refused.
pub(crate) struct Space<'a> {
    /// The contents of the memory at [`SCRATCH`].
    pub(crate) scratch: &'a mut [u8],
    /// Address of the code.
    pub(crate) at: u64,
    /// The code.
    pub(crate) code: &'a [u8],
}

/// An access that was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refused;

impl Space<'_> {
    fn place(&self, address: u64, size: Size) -> Result<usize, Refused> {
        let offset = address.wrapping_sub(SCRATCH);
        if offset <= SCRATCH_SIZE as u64 - size.bytes() { Ok(offset as usize) } else { Err(Refused) }
    }
}

impl Bus for Space<'_> {
    type Fault = Refused;

    fn fetch(&mut self, address: u64, buffer: &mut [u8; 15]) -> Result<usize, Refused> {
        let offset = usize::try_from(address.wrapping_sub(self.at)).map_err(|_| Refused)?;
        let rest = self.code.get(offset..).filter(|rest| !rest.is_empty()).ok_or(Refused)?;
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn code_stamp(&mut self, _address: u64, _length: u64) -> Result<Option<CodeStamp>, Refused> {
        Ok(None)
    }

    fn load(&mut self, address: u64, size: Size) -> Result<u64, Refused> {
        let place = self.place(address, size)?;
        Ok(self.scratch[place..][..size.bytes() as usize]
            .iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn store(&mut self, address: u64, size: Size, value: u64) -> Result<(), Refused> {
        let (place, count) = (self.place(address, size)?, size.bytes() as usize);
        self.scratch[place..][..count].copy_from_slice(&value.to_le_bytes()[..count]);
        Ok(())
    }

    fn probe_store(&mut self, address: u64, size: Size) -> Result<(), Refused> {
        self.place(address, size).map(drop)
    }
}
