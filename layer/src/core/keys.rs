//! The keys at which facts are instantiated.

/// The keys at which a fact is instantiated: for each field, which coordinate of its keys is which key of the fact.
///
/// `&[("ptpool", &[0, 1]), ("pt", &[IGNORE, 2])]` says: keys 0 and 1 range over the keys of `ptpool`, key 2 over the
/// second coordinate of `pt`.
pub type Keys = &'static [(&'static str, &'static [usize])];

/// A coordinate that is not a key of the fact.
pub const IGNORE: usize = usize::MAX;
