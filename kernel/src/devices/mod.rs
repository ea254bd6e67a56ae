//! Devices, except those that deliver interrupts.
//!
//! Read `console` first: the kernel's output and input, over a `uart`, with an `input` buffer. `clock` measures
//! time by a `counter` of known speed. `power` ends the machine, and reports the reason to the emulator
//! (`exit`).

#[cfg(feature = "image")]
pub mod clock;
#[cfg(feature = "image")]
pub mod console;
pub mod counter;
pub mod exit;
pub mod input;
#[cfg(feature = "image")]
pub mod power;
#[cfg(feature = "image")]
pub mod uart;
