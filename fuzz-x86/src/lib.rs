//! Random x86-64 programs, for two machines that must understand them alike: the hosted machine's interpreter and a
//! processor, emulated or real.
//!
//! `cargo cairn fuzz-x86` makes [programs](program::Program) of random [steps](program::Step), boots them
//! ([`batch`]) on the kernel and on the hosted machine, and compares how each ended ([`outcome`]): why it was stopped and
//! where, all registers and flags, its memory by a digest, and the pages that it used. The interpreter's tests use the same
//! instructions one by one ([`generate`]), beside the processor that runs the test.
//!
//! What the architecture leaves open is not compared ([`undefined`]); nor is what is known to be wrong in an emulator
//! ([`known`]).

pub mod batch;
pub mod context;
pub mod generate;
pub mod known;
pub mod outcome;
pub mod program;
mod space;
mod steps;
pub mod undefined;

/// Why a program cannot be encoded: a bug of this crate.
pub use iced_x86::IcedError as EncodeError;
