//! The values to prefer where boot values are impossible.
use layer::core::constants::{KERN_LOW, MAX_CHILDREN, NUM_CHAN};

/// A search strategy: the values to try where boot values are impossible. One may succeed where another one never ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// Live threads sleep.
    Asleep,
    /// Live threads may be in queues.
    Queued,
    /// As `Asleep`, but without keeping earlier choices.
    Forgetful,
}

impl Strategy {
    pub const ALL: [Strategy; 3] = [Strategy::Asleep, Strategy::Queued, Strategy::Forgetful];
}

/// The preferred values for `name` after the boot value: those that need the least of the rest of the state. Without
/// them, the solver would try many values that need more.
pub(super) fn likely(strategy: Strategy, name: &str, cur: i128) -> impl Iterator<Item = i128> + use<> {
    let is = |leaves: &[&str]| leaves.iter().any(|leaf| name.ends_with(leaf));
    // The main thread never sleeps: while another thread runs, it is ready.
    let main = is(&["head", "tail", "prev"]).then_some(cur);
    let (first, many) = match () {
        // Frames that are free after boot.
        () if is(&["page", "frame"]) => (i128::from(KERN_LOW), 4),
        // The first children of the running thread. Other threads need parents and siblings.
        () if is(&["cid", "head", "tail", "thread", "prev"]) => (cur * i128::from(MAX_CHILDREN) + 1, 4),
        // The first positions of a queue. Distant positions need threads between them.
        () if is(&["lo", "hi", "seq"]) => (1, 4),
        // The running thread pays. A charge to another thread needs a frame of its own.
        () if is(&[":payer"]) => (cur, 1),
        // Each charged page needs a frame with a seat, and each child needs a thread.
        () if is(&[":pages", ":usage", ":nchildren"]) => (1, 4),
        () if is(&[":seat"]) => (0, 4),
        // Asleep, because a thread in a queue needs neighbours there.
        () if is(&[":place"]) && strategy != Strategy::Queued => (i128::from(NUM_CHAN) - 1, 1),
        () => (0, 0),
    };
    main.into_iter().chain(first..first + many)
}
