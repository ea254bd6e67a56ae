//! The keys that are typed.

use abi::Error;
use user::line::INTERRUPT;
use user::sys::{getc, yield_now};

/// Number of keys that can be typed ahead.
const AHEAD: usize = 1024;

/// Keys, in the order in which they were typed.
pub struct Keys {
    /// A ring of the keys that were typed while a program was running.
    ahead: [u8; AHEAD],
    first: usize,
    count: usize,
}

impl Keys {
    /// An empty queue of keys.
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

    /// Whether Ctrl-C was typed. Other keys are kept for later; keys before a Ctrl-C are dropped.
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
