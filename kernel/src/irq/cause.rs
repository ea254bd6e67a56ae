//! The consequence of an interrupt.

/// The consequence of an interrupt for the program that it interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// An event: other programs get their turn.
    Event,
    /// No event: the program continues.
    Nothing,
}
