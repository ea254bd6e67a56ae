//! Random x86-64 programs, for two machines that must execute them alike: the hosted machine's interpreter, and an
//! emulated or real processor.
//!
//! `cargo cairn fuzz-x86` makes [programs](program::Program) of random [steps](program::ProgramStep), boots them ([`batch`])
//! on the kernel and on the hosted machine, and compares how each ended ([`outcome`]): why and where it was stopped,
//! all registers and flags, a digest of its memory, and the pages that it used. The interpreter's tests use the same
//! instructions one by one ([`generate`]), and compare with the processor that runs the test.
//!
//! Results that the architecture leaves undefined are not compared ([`undefined`]), and neither are known faults of an
//! emulator ([`known`]).

pub mod batch;
pub mod context;
pub mod generate;
mod instruction;
pub mod known;
pub mod outcome;
pub mod program;
mod space;
mod steps;
pub mod undefined;

/// Why a program cannot be encoded: a bug of this crate.
pub use iced_x86::IcedError as EncodeError;
