//! The table of behaviours, by subject.

mod devices;
mod faults;
mod guests;
mod machines;
mod programs;
mod scheduling;
mod user_mode;

use super::behaviour::Behaviour;

/// The behaviours of each subject, in the order in which they are tried.
const SUBJECTS: [&[Behaviour]; 7] = [
    machines::BEHAVIOURS,
    faults::BEHAVIOURS,
    user_mode::BEHAVIOURS,
    scheduling::BEHAVIOURS,
    devices::BEHAVIOURS,
    guests::BEHAVIOURS,
    programs::BEHAVIOURS,
];

/// The behaviours, in the order in which they are tried.
pub fn all() -> impl Iterator<Item = &'static Behaviour> {
    SUBJECTS.into_iter().flatten()
}
