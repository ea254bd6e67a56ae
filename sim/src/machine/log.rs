//! The logs of shared objects, and their merge into one order.
use super::Sim;
use super::platform;
use super::tlb;
use layer::core::log::{Event, Log};

/// A logged event.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The position among all events of the machine: it is greater than that of every earlier event.
    ///
    /// It is assigned under the locks of all objects that the event is about, so that its order agrees with the order
    /// of each lock.
    pub stamp: u64,
    /// The CPU that logged it.
    pub cpu: u32,
    /// The event.
    pub event: Event<Sim>,
}

/// All events of a shared object, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Kept(pub Vec<Entry>);

impl Log<Sim> for Kept {
    fn push(&mut self, by: u32, event: Event<Sim>) {
        if let Event::Pfree { page, .. } = event {
            tlb::freed(by, page);
        }
        self.0.push(Entry { stamp: platform::current().stamp(), cpu: by, event });
    }
}

/// Merges logs, oldest first.
pub fn merged<'a>(logs: impl IntoIterator<Item = &'a Kept>) -> Vec<Entry> {
    let mut all: Vec<Entry> = logs.into_iter().flat_map(|log| &log.0).copied().collect();
    all.sort_by_key(|entry| entry.stamp);
    all
}

/// The reference's name of an event, such as `WAKE_DIFF` for the variant `WakeDiff`.
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
