//! Fault injection, for images that test whether a broken state is detected. The kernel itself does not use
//! it.
use super::metal::Layer;
use super::run::own;
use crate::cpu::block::Cpu as Hardware;

/// Breaks the state: `work` may change the state that this CPU owns in ways that are bugs of a kernel. Images use it
/// to test whether such a state is detected. The CPU is quiescent: its image's `system_call` or `entry` has been
/// called, and has not continued yet.
pub fn inject(hardware: &mut Hardware, work: impl FnOnce(&mut Layer)) {
    work(own(hardware));
}
