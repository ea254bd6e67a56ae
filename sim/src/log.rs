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
