//! What every specification is made of: the view of the state, facts of the invariant, contracts of primitives.
pub mod contract;
pub mod fact;
pub mod view;

/// Whether a source file holds specification and not code. The path is relative to the root of the tree.
///
/// The specification consists of what proofs are about: contracts, facts, the catalogue.
pub fn is_specification(file: &str) -> bool {
    file.ends_with("/spec.rs") || ["/spec/", "/catalogue/", "/invariant.rs"].iter().any(|part| file.contains(part))
}
