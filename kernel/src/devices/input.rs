//! Input that a device has received and no program has taken yet.

/// The maximum number of characters that are kept: more than a person types in a second.
const KEPT: usize = 1024;

/// A ring of the newest characters.
#[derive(Debug)]
pub struct Input {
    bytes: [u8; KEPT],
    start: usize,
    count: usize,
    lost: u32,
}

impl Input {
    /// An empty ring.
    pub const fn new() -> Input {
        Input { bytes: [0; KEPT], start: 0, count: 0, lost: 0 }
    }

    /// Adds a character. If there is no room, the oldest character is lost.
    pub fn push(&mut self, byte: u8) {
        self.bytes[(self.start + self.count) % KEPT] = byte;
        if self.count < KEPT {
            self.count += 1;
        } else {
            self.start = (self.start + 1) % KEPT;
            self.lost += 1;
        }
    }

    /// Moves the oldest characters to `into`, as many as are there and fit; returns how many.
    pub fn take(&mut self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.count);
        for byte in &mut into[..count] {
            *byte = self.bytes[self.start];
            self.start = (self.start + 1) % KEPT;
        }
        self.count -= count;
        count
    }

    /// Whether there are no characters.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Number of characters that were lost.
    pub fn lost(&self) -> u32 {
        self.lost
    }
}

impl Default for Input {
    fn default() -> Self {
        Input::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn it_is_a_queue_that_forgets_its_oldest(
            steps in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..400), 0usize..300), 1..12),
        ) {
            let (mut input, mut model, mut lost) = (Input::new(), VecDeque::new(), 0);
            for (pushed, taken) in steps {
                for byte in pushed {
                    input.push(byte);
                    model.push_back(byte);
                    if model.len() > KEPT {
                        model.pop_front();
                        lost += 1;
                    }
                }
                let mut into = vec![0; taken];
                let count = input.take(&mut into);
                let expected: Vec<u8> = model.drain(..taken.min(model.len())).collect();
                prop_assert_eq!(&into[..count], &expected[..]);
                prop_assert_eq!(input.is_empty(), model.is_empty());
                prop_assert_eq!(input.lost(), lost);
            }
        }
    }
}
