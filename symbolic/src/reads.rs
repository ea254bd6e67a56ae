//! What the code under proof reads, for a description of its effects.
use crate::engine::engine;
use crate::mutation::is_running;
use smt::term::Term;

/// Records that the code under proof depends on `terms`, if reads are recorded.
pub fn see(terms: &[Term]) {
    if is_running() {
        engine(|e| {
            if let Some(reads) = &mut e.settings.reads {
                reads.extend(terms);
            }
        });
    }
}
