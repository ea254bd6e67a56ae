//! The two parts of the channels, which have locks that a CPU keeps between primitives.
use crate::state::sym::Sym;
use layer::core::geometry::Geometry;
use layer::core::keys::Keys;
use layer::objects::channel::pool::Channels;
use symbolic::word::SymWord;

/// The fields of the channels: control blocks with their locks, and mailboxes.
pub(crate) const CHANNELS: &str = "syncchpool";
pub(crate) const MAIL: &str = "mailbox";

/// A part of the channels: control blocks with their locks, or messages. Each part has a fact and a rely condition.
#[derive(Clone, Copy)]
pub(crate) enum Relation {
    Control,
    Mail,
}

impl Relation {
    /// Both parts, with the fields and keys that trigger their facts.
    pub const CHANNELS: [(Keys, Relation); 2] =
        [(&[(CHANNELS, &[0])], Relation::Control), (&[(MAIL, &[0, 1])], Relation::Mail)];

    pub fn rely<G: Geometry>(self, old: &Channels<Sym<G>>, new: &Channels<Sym<G>>, me: SymWord, k: &[SymWord]) -> bool {
        match self {
            Relation::Control => Channels::rely(old, new, me, k[0]),
            Relation::Mail => Channels::mail_rely(old, new, me, k[0], k[1]),
        }
    }

    pub fn unchanged<G: Geometry>(self, old: &Channels<Sym<G>>, new: &Channels<Sym<G>>, k: &[SymWord]) -> bool {
        match self {
            Relation::Control => Channels::unchanged(old, new, k[0]),
            Relation::Mail => Channels::same_mail(old, new, k[0], k[1]),
        }
    }

    pub fn lock_invariant<G: Geometry>(self, channels: &Channels<Sym<G>>, k: &[SymWord]) -> bool {
        match self {
            Relation::Control => channels.lock_invariant(k[0]),
            Relation::Mail => channels.mail_lock_invariant(k[0], k[1]),
        }
    }
}
