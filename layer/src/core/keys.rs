//! The keys at which facts are instantiated.

/// The keys at which a fact is instantiated: for each field, the number of the fact's key that each coordinate is.
///
/// `&[("ptpool", &[0, 1]), ("pt", &[IGNORE, 2])]` means: keys 0 and 1 range over the keys of `ptpool`, and key 2
/// over the second coordinate of `pt`.
pub type Keys = &'static [(&'static str, &'static [usize])];

/// A coordinate that is not a key of the fact.
pub const IGNORE: usize = usize::MAX;
