//! Logs that are kept, and the one order of all that they say.
use crate::board;
use crate::machine::Sim;
use crate::tlb;
use layer::log::{Event, Log};

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its place among all that happened to the machine: each entry has a greater one than those before it.
    ///
    /// It is given under the locks of all objects that the event is about, so that its order is the order of each lock.
    pub stamp: u64,
    /// The CPU that did it.
    pub cpu: u32,
    /// What.
    pub event: Event<Sim>,
}

/// Everything that happened to a shared object, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Kept(pub Vec<Entry>);

impl Log<Sim> for Kept {
    fn push(&mut self, by: u32, event: Event<Sim>) {
        if let Event::Pfree { page, .. } = event {
            tlb::freed(by, page);
        }
        self.0.push(Entry { stamp: board::current().stamp(), cpu: by, event });
    }
}

/// Logs as one, oldest first.
pub fn merged<'a>(logs: impl IntoIterator<Item = &'a Kept>) -> Vec<Entry> {
    let mut all: Vec<Entry> = logs.into_iter().flat_map(|log| &log.0).copied().collect();
    all.sort_by_key(|entry| entry.stamp);
    all
}

/// The reference's name of an event: `WAKE_DIFF` of the variant `WakeDiff`.
pub fn reference_name(variant: &str) -> String {
    let mut name = String::new();
    for (at, letter) in variant.char_indices() {
        if letter.is_uppercase() && at > 0 {
            name.push('_');
        }
        name.extend(letter.to_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    #[test]
    fn events_have_the_references_names() {
        assert_eq!(["Palloc", "WakeDiff"].map(super::reference_name), ["PALLOC", "WAKE_DIFF"]);
    }
}
