//! Pending guarantees: guarantees that a critical section must meet, and that are not proved yet.
use std::cell::RefCell;
use std::rc::Rc;
use symbolic::word::SymWord;

/// A pending guarantee of a critical section: `holds` must be proved for all keys at the next call or at the end of the
/// path.
pub(crate) struct PendingGuarantee {
    pub clause: String,
    pub bounds: Vec<u64>,
    pub holds: Box<dyn Fn(&[SymWord]) -> bool>,
}

impl PendingGuarantee {
    pub fn new(
        clause: String,
        when: &str,
        bounds: Vec<u64>,
        holds: impl Fn(&[SymWord]) -> bool + 'static,
    ) -> PendingGuarantee {
        PendingGuarantee { clause: format!("{clause} {when}"), bounds, holds: Box::new(holds) }
    }
}

/// The pending guarantees of a path.
pub(crate) type PendingGuarantees = Rc<RefCell<Vec<PendingGuarantee>>>;
