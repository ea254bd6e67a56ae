//! The consequence of an interrupt.

/// The consequence of an interrupt for the program that it interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// An event that ends the program's turn: other programs get theirs.
    Event,
    /// No such event: the program continues.
    Nothing,
}
