//! The commands of the command line, one file or folder each. A command has its arguments and a function `run`.
//!
//! [`run`], [`shell`] and [`storm`] run programs, and [`linux`] runs a guest. [`call`] and [`layer`] are about
//! primitives. [`prove`] checks the proofs, [`bench`](mod@bench) measures, [`boots`] boots the test images, and
//! [`fuzz_x86`] runs random instructions. [`test`](mod@test) runs all of these. [`setup`] installs tools,
//! [`new_program`] creates a program, and [`system_calls`] writes a page.

pub mod bench;
pub mod boots;
pub mod call;
pub mod fuzz_x86;
pub mod layer;
pub mod linux;
pub mod new_program;
pub mod prove;
pub mod run;
pub mod setup;
pub mod shell;
pub mod storm;
pub mod system_calls;
pub mod test;
