//! Calls of primitives: their arguments, their answers, and how the machine sees a call by other code.
use crate::core::constants::SAVED;
use crate::core::fields::Context;
use crate::core::machine::Machine;
use domain::Wide;

/// A call of a primitive: its name in the table, and its arguments.
///
/// If much code calls a primitive, the primitive passes its own `Call` to [`Machine::call`]. It is then proved once,
/// and the proofs of its callers use its contract.
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
pub type FromAnswer<M, R> = fn(&Answer<M>) -> R;

/// Arguments for any primitive; each primitive takes those that it needs.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<M: Machine> {
    /// The words, in order.
    pub words: [M::Word; 4],
    /// A wide word: an entry point, an address.
    pub wide: M::Wide,
    /// Address of the instruction, for an accessor.
    pub place: M::Wide,
    /// A captured context.
    pub context: Context<M>,
    /// The registers of a trap.
    pub registers: M::Registers,
    /// The registers of a guest at an exit. At an entry, RDI and RBP of the host are in the same places.
    pub guest: [M::Wide; SAVED.len()],
    /// Size of an access.
    pub chunk: Chunk,
    /// The bytes of a store.
    pub bytes: Bytes<M>,
}

/// The result of a primitive.
#[derive(Clone, Copy, Debug)]
pub enum Answer<M: Machine> {
    /// Nothing.
    Unit,
    /// A word.
    Word(M::Word),
    /// A wide word.
    Wide(M::Wide),
    /// The context at which the CPU continues.
    Resume(Context<M>),
    /// The thread that continues in user mode.
    ToUser(M::Word),
    /// The registers with which the guest continues, and its instruction pointer.
    ToGuest([M::Wide; SAVED.len()], M::Wide),
    /// RDI and RBP with which the host continues.
    ToHost(M::Wide, M::Wide),
    /// The result of a load.
    Loaded(Access<Bytes<M>>),
    /// The result of a store.
    Stored(Access<()>),
}

impl<M: Machine> Answer<M> {
    /// Nothing: the answer of a primitive without a result.
    pub fn unit(&self) {}

    /// The word of an answer; 0 if the answer has none.
    pub fn word(&self) -> M::Word {
        match self {
            Answer::Word(word) => *word,
            _ => 0.into(),
        }
    }

    /// The context of an answer; a context of zeros if the answer has none.
    pub fn context(&self) -> Context<M> {
        match self {
            Answer::Resume(context) => *context,
            _ => Context { esp: 0.into(), ra: 0.into() },
        }
    }
}

/// Size of an access (`chunk`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u32)]
pub enum Chunk {
    /// One byte.
    One = 1,
    /// Two bytes.
    Two = 2,
    /// Four bytes.
    Four = 4,
    /// Eight bytes.
    Eight = 8,
}

impl Chunk {
    /// Every size.
    pub const ALL: [Chunk; 4] = [Chunk::One, Chunk::Two, Chunk::Four, Chunk::Eight];
}

/// The bytes of an access, lowest address first; bytes beyond its size are 0.
pub type Bytes<M> = [<M as domain::Domain>::Word; 8];

/// How an access ended.
#[derive(Clone, Copy, Debug)]
pub enum Access<T> {
    /// The access succeeded.
    Done(T),
    /// The access faulted, and `ti` holds its address. In guest mode: the guest has exited.
    Fault,
}
