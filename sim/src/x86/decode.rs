//! Fetching and decoding, with a cache.

use super::memory::{Bus, is_canonical};
use super::{Result, Trap};
use iced_x86::{Decoder, DecoderError, DecoderOptions, Instruction};
use std::collections::HashSet;

/// The longest instruction, in bytes.
const LONGEST: usize = 15;
/// Instructions that the cache holds, each in the slot that its address determines.
const SLOTS: usize = 1 << 12;
/// Log2 of the bytes that a store invalidates at once.
const PAGE_SHIFT: u32 = 12;

/// Decoded instructions, by address. Each holds as long as nobody has stored to its page.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Empty until the first instruction.
    slots: Vec<Instruction>,
    /// Pages with a byte of a decoded instruction.
    pages: HashSet<u64>,
    /// The pages lie from `low` to below `high`, so that a store elsewhere need not look them up.
    low: u64,
    high: u64,
}

impl Clone for Cache {
    /// Empty: what it would hold can be decoded again.
    fn clone(&self) -> Self {
        Cache::default()
    }
}

impl Cache {
    /// The instruction at `rip`.
    pub(super) fn decode<B: Bus>(
        &mut self,
        rip: u64,
        bus: &mut B,
    ) -> Result<Instruction, B::Fault> {
        let slot = rip as usize % SLOTS;
        if let Some(&instruction) = self.slots.get(slot)
            && instruction.ip() == rip
            && instruction.len() != 0
        {
            return Ok(instruction);
        }
        let instruction = fetch(rip, bus)?;
        if self.slots.is_empty() {
            self.slots = vec![Instruction::default(); SLOTS];
            (self.low, self.high) = (u64::MAX, 0);
        }
        self.slots[slot] = instruction;
        let last = rip + (instruction.len() as u64 - 1);
        for page in rip >> PAGE_SHIFT..=last >> PAGE_SHIFT {
            self.pages.insert(page);
            self.low = self.low.min(page << PAGE_SHIFT);
            self.high = self.high.max((page + 1) << PAGE_SHIFT);
        }
        Ok(instruction)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Cache::default();
    }

    /// Forgets everything if a store touches a page with decoded instructions.
    pub(super) fn stored(&mut self, address: u64, bytes: u64) {
        let last = address + (bytes - 1);
        if address < self.high && last >= self.low {
            let pages = [address >> PAGE_SHIFT, last >> PAGE_SHIFT];
            if pages.iter().any(|page| self.pages.contains(page)) {
                self.clear();
            }
        }
    }
}

/// Fetches as much as the instruction at `rip` needs, and decodes it.
fn fetch<B: Bus>(rip: u64, bus: &mut B) -> Result<Instruction, B::Fault> {
    if !is_canonical(rip, 1) {
        return Err(Trap::GeneralProtection);
    }
    let mut bytes = [0; LONGEST];
    let mut count = bus
        .fetch(rip, &mut bytes)
        .map_err(Trap::Fault)?
        .min(LONGEST);
    loop {
        let mut decoder = Decoder::with_ip(64, &bytes[..count], rip, DecoderOptions::NONE);
        let instruction = decoder.decode();
        match decoder.last_error() {
            DecoderError::None => return Ok(instruction),
            DecoderError::NoMoreBytes if count < LONGEST => {}
            // The processor objects to its length before anything else.
            DecoderError::NoMoreBytes => return Err(Trap::GeneralProtection),
            _ => return Err(Trap::InvalidOpcode),
        }
        let rest = rip + count as u64;
        if !is_canonical(rest, 1) {
            return Err(Trap::GeneralProtection);
        }
        let mut more = [0; LONGEST];
        let got = bus
            .fetch(rest, &mut more)
            .map_err(Trap::Fault)?
            .clamp(1, LONGEST - count);
        bytes[count..count + got].copy_from_slice(&more[..got]);
        count += got;
    }
}
