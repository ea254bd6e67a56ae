//! What is typed.

use abi::Error;
use user::line::INTERRUPT;
use user::sys::{getc, yield_now};

/// Keys that can be typed ahead.
const AHEAD: usize = 1024;

/// Keys, in the order in which they were typed.
pub struct Keys {
    /// A ring of those that were typed while something else was going on.
    ahead: [u8; AHEAD],
    first: usize,
    count: usize,
}

impl Keys {
    /// Nothing was typed.
    pub fn new() -> Keys {
        Keys { ahead: [0; AHEAD], first: 0, count: 0 }
    }

    /// Waits for the next key.
    pub fn next(&mut self) -> Result<u8, Error> {
        if self.count > 0 {
            let key = self.ahead[self.first];
            self.first = (self.first + 1) % AHEAD;
            self.count -= 1;
            return Ok(key);
        }
        loop {
            if let Some(key) = getc()? {
                return Ok(key);
            }
            yield_now()?;
        }
    }

    /// Whether somebody interrupts what is going on. Other keys are for later; what was typed before an interrupt is not.
    pub fn interrupted(&mut self) -> Result<bool, Error> {
        while let Some(key) = getc()? {
            if key == INTERRUPT {
                self.count = 0;
                return Ok(true);
            }
            if self.count < AHEAD {
                self.ahead[(self.first + self.count) % AHEAD] = key;
                self.count += 1;
            }
        }
        Ok(false)
    }
}
