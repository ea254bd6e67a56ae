//! Digests of terms. They are equal for terms that are built in the same way, independent of the arena and its other
//! terms.
use crate::term::{Arena, Node, Term};
use rustc_hash::FxHashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// 128 bits that identify the digested data; we assume that there are no collisions.
pub type Digest = u128;

/// The digest of `parts`.
pub fn digest(parts: &(impl Hash + ?Sized)) -> Digest {
    let half = |seed: u64| {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        parts.hash(&mut hasher);
        hasher.finish()
    };
    (u128::from(half(0)) << 64) | u128::from(half(1))
}

/// The digests of terms of one arena: the terms for which they were requested, and their subterms.
#[derive(Default)]
pub struct Digests {
    known: FxHashMap<Term, Digest>,
    /// Variables and applications, by their digests.
    leaves: FxHashMap<Digest, Term>,
}

impl Digests {
    /// The digest of `term`.
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

    /// The digest of `term`, if it was computed before.
    pub fn known(&self, term: Term) -> Option<Digest> {
        self.known.get(&term).copied()
    }

    /// The variable or application with this digest, if its digest was computed before.
    pub fn leaf(&self, digest: Digest) -> Option<Term> {
        self.leaves.get(&digest).copied()
    }
}
