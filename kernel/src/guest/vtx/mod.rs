//! Intel's VT-x. [`controls`] says which controls guests need; `on` turns VT-x on and enters guests, by the
//! `instructions`.

pub mod controls;
#[cfg(feature = "image")]
mod instructions;
#[cfg(feature = "image")]
pub mod on;

/// Encoding of the field for the host's stack pointer, which the switch sets.
pub const HOST_RSP: u32 = 0x6C14;

/// The low bits of the pointer to the nested page tables: four levels, in write-back memory.
pub const EPT_POINTER: u64 = 0x1E;
