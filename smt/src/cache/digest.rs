//! Digests of terms: equal where the terms are built in the same way, whatever arena they are in and whatever else is.
use crate::term::{Arena, Node, Term};
use rustc_hash::FxHashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// 128 bits that stand for what they were made of: that two things have the same by chance is not to be expected.
pub type Digest = u128;

/// That of `parts`.
pub fn digest(parts: &(impl Hash + ?Sized)) -> Digest {
    let half = |seed: u64| {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        parts.hash(&mut hasher);
        hasher.finish()
    };
    (u128::from(half(0)) << 64) | u128::from(half(1))
}

/// The digests of the terms of one arena that were asked for, and of all that they are made of.
#[derive(Default)]
pub struct Digests {
    known: FxHashMap<Term, Digest>,
    /// Variables and applications, by their digests.
    leaves: FxHashMap<Digest, Term>,
}

impl Digests {
    /// That of `term`.
    pub fn of(&mut self, arena: &Arena, term: Term) -> Digest {
        if let Some(&known) = self.known.get(&term) {
            return known;
        }
        let node = arena.node(term);
        let mut of = |term: &Term| self.of(arena, *term);
        let kind = std::mem::discriminant(node);
        let made = match node {
            Node::Const(value) => digest(&(kind, value)),
            Node::Bool(value) => digest(&(kind, value)),
            Node::Var(name, range) => digest(&(kind, arena.text(*name), range)),
            Node::App(name, range, arguments) => {
                let arguments: Vec<Digest> = arguments.iter().map(of).collect();
                digest(&(kind, arena.text(*name), range, arguments))
            }
            Node::Add(a, b) | Node::Sub(a, b) | Node::Eq(a, b) | Node::Lt(a, b) | Node::And(a, b) => {
                digest(&(kind, of(a), of(b)))
            }
            Node::MulC(a, c) | Node::DivC(a, c) | Node::RemC(a, c) => digest(&(kind, of(a), c)),
            Node::Ite(c, a, b) => digest(&(kind, of(c), of(a), of(b))),
            Node::Not(a) => digest(&(kind, of(a))),
        };
        if matches!(node, Node::Var(..) | Node::App(..)) {
            self.leaves.insert(made, term);
        }
        self.known.insert(term, made);
        made
    }

    /// That of `term`, if it or what it is part of was asked for.
    pub fn known(&self, term: Term) -> Option<Digest> {
        self.known.get(&term).copied()
    }

    /// The variable or application with this digest, if it is part of a term that was asked for.
    pub fn leaf(&self, digest: Digest) -> Option<Term> {
        self.leaves.get(&digest).copied()
    }
}
