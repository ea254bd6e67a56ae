//! What the shell and its launchers agree on: a launcher is a program that starts others where the shell, which like every
//! program can start [`abi::CHILDREN`] ever, asks it to.
//!
//! A request is the image and the quota of a program; the answer is an error number and the thread number. A message without
//! words ends the launcher.

/// Pages of a launcher, with those that the programs get which it starts. Its own number comes on top, by which it knows who
/// it is.
pub const QUOTA: u32 = 2000;
/// Launchers that a shell can start.
pub const LAUNCHERS: u32 = abi::CHILDREN;
/// The first of the channels of the launchers.
const FIRST: u32 = abi::CHANNELS - 2 * LAUNCHERS;

/// The channel for requests to a launcher.
pub const fn requests(launcher: u32) -> u32 {
    FIRST + 2 * launcher
}

/// The channel for its answers.
pub const fn answers(launcher: u32) -> u32 {
    FIRST + 2 * launcher + 1
}
