//! The cause of a process's end, as `wait` returns it to the parent.
use crate::Reason;
use core::fmt;

/// The cause of a process's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// It called `exit`; its status is the argument of `exit`.
    Exited,
    /// It was killed; its status has no meaning.
    Killed,
    /// The kernel stopped it; its status is the low half of the address that it accessed.
    Stopped(Reason),
}

/// The number of a stop is this plus the number of its reason.
const STOPPED: u32 = 0x100;

impl Cause {
    /// Its number, in the result of `wait`.
    pub const fn number(self) -> u32 {
        match self {
            Cause::Exited => 0,
            Cause::Killed => 1,
            Cause::Stopped(reason) => STOPPED + reason as u32,
        }
    }

    /// The cause with this number.
    pub fn from_number(number: u32) -> Option<Cause> {
        match number {
            0 => Some(Cause::Exited),
            1 => Some(Cause::Killed),
            _ => Reason::from_number(number.checked_sub(STOPPED)?).map(Cause::Stopped),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Cause::Exited => formatter.write_str("exited"),
            Cause::Killed => formatter.write_str("killed"),
            Cause::Stopped(reason) => write!(formatter, "stopped: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_distinct_and_come_back() {
        let all = || Reason::ALL.iter().copied().map(Cause::Stopped).chain([Cause::Exited, Cause::Killed]);
        assert!(all().all(|cause| Cause::from_number(cause.number()) == Some(cause)));
        assert_eq!([2, 0xFF, 0x102, u32::MAX].map(Cause::from_number), [None; 4]);
    }
}
