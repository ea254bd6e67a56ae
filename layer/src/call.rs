//! Calls of primitives by the code above them, as the machine sees them.
use crate::contract::Answer;
use crate::fields::Context;
use crate::machine::Machine;
use domain::Wide;

/// A call of a primitive: its name in the table, and its arguments.
///
/// A primitive that much code calls passes its own `Call` to [`Machine::call`]: the primitive is proved by itself, and
/// the proofs of its callers use its contract.
#[derive(Clone, Copy, Debug)]
pub struct Call<M: Machine> {
    /// The primitive's name in the table.
    pub name: &'static str,
    /// The arguments that are words, in order.
    pub words: [M::Word; 4],
    /// A wide word: an entry point.
    pub wide: M::Wide,
    /// A captured context.
    pub context: Context<M>,
}

impl<M: Machine> Call<M> {
    /// A call with these words.
    pub fn new<const N: usize>(name: &'static str, given: [M::Word; N]) -> Self {
        let mut words = [0.into(); 4];
        for (word, value) in words.iter_mut().zip(given) {
            *word = value;
        }
        let zero = M::Wide::constant(0);
        Call { name, words, wide: zero, context: Context { esp: 0.into(), ra: 0.into() } }
    }
}

/// Converts a primitive's answer into its Rust result.
pub type Give<M, R> = fn(&Answer<M>) -> R;
