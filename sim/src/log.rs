//! Logs that are kept.
use crate::machine::Sim;
use layer::log::{Event, Log};

/// Everything that happened to a shared object, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Kept(
    /// Which CPU did what.
    pub Vec<(u32, Event<Sim>)>,
);

impl Log<Sim> for Kept {
    fn push(&mut self, by: u32, event: Event<Sim>) {
        self.0.push((by, event));
    }
}
