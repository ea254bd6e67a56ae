//! All channels: control blocks, mailboxes, and the ghost state of their locks, with the rely condition and the lock
//! invariant of a channel.
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::keys::Keys;
use crate::core::machine::{Machine, Spec};
use crate::core::state::OwnGhost;
use domain::{Flag, Ghost, Map, Storage};

/// A channel, by its queue id. Primitives 19 to 24 take one (P28).
#[derive(Clone, Copy, Debug)]
pub struct Channel<M: Machine>(pub M::Word);

/// A condition variable. Primitives 6 and 8 take one (P28).
#[derive(Clone, Copy, Debug)]
pub struct Cv<M: Machine>(pub M::Word);

impl<M: Machine> Cv<M> {
    /// Its sleep queue and channel (`slp_q_id`).
    #[track_caller]
    pub fn channel(self) -> Channel<M> {
        Channel(self.0 + SLP_Q)
    }
}

impl<M: Machine> Channel<M> {
    /// The id of its lock.
    #[track_caller]
    pub fn lock(self) -> M::Word {
        self.0 + CHANNEL_LOCKS
    }
}

/// All channels (`syncchpool`), in the form in which machines store them.
pub struct Channels<M: Machine> {
    /// The control blocks.
    pub pool: <M as Storage<SyncChannels>>::Map,
    /// The messages.
    pub mailbox: <M as Storage<Mailboxes>>::Map,
    /// Ghost state.
    pub ghost: M::Ghost<ChannelGhost<M>>,
    /// Events under the locks of channels.
    pub log: M::Log,
}

/// The ghost state of [`Channels`].
pub struct ChannelGhost<M: Machine> {
    /// The lock of each channel and the length of its message.
    pub locks: <M as Storage<ChannelLocks>>::Map,
    /// The bytes of mailboxes that are defined.
    pub defined: <M as Storage<DefinedMail>>::Map,
}

impl<M: Machine> Channels<M> {
    /// The keys at which `rely` and `lock_invariant` are instantiated.
    pub const KEYS: Keys = &[("syncchpool", &[0])];
    /// The keys at which `mail_rely` and `mail_lock_invariant` are instantiated.
    pub const MAIL: Keys = &[("mailbox", &[0, 1])];

    /// The channels at boot: all free and empty (reference, section 6.2).
    pub fn boot(place: M::Place) -> Self {
        let mut channels = Self::at(place);
        channels.pool.define(|_| SyncChannel {
            to: NUM_CHAN.into(),
            senderpaddr: 0.into(),
            count: 0.into(),
            busy: 0.into(),
        });
        channels.ghost.update(|ghost| {
            ghost.locks.define(|_| ChannelLock { holder: TOTAL_CPU.into(), budget: 0.into(), words: 0.into() });
            ghost.defined.define(|_| Defined { defined: false.into() });
        });
        channels
    }

    /// Channels; every map has the contents of its storage.
    pub fn at(place: M::Place) -> Self {
        Channels {
            pool: <M as Storage<SyncChannels>>::at(place),
            mailbox: <M as Storage<Mailboxes>>::at(place),
            ghost: M::ghost(|| ChannelGhost {
                locks: <M as Storage<ChannelLocks>>::at(place),
                defined: <M as Storage<DefinedMail>>::at(place),
            }),
            log: M::log(place),
        }
    }

    /// CPU `by` takes the lock of `channel`.
    #[inline(always)]
    #[track_caller]
    pub(super) fn taken(&mut self, by: M::Word, channel: Channel<M>) {
        self.ghost.update(|ghost| {
            ghost.locks.update([channel.0], |lock| {
                lock.holder = by;
                lock.budget = LOCK_BOUND.into();
            })
        });
    }

    /// The lock of `channel` is released.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn given_back(&mut self, channel: Channel<M>) {
        self.ghost.update(|ghost| {
            ghost.locks.update([channel.0], |lock| {
                lock.holder = TOTAL_CPU.into();
                lock.budget = 0.into();
            })
        });
    }

    /// Charges one event to the budget of `channel`'s critical section.
    #[inline(always)]
    #[track_caller]
    pub(super) fn spend(&mut self, channel: Channel<M>) {
        self.ghost.update(|ghost| ghost.locks.update([channel.0], |lock| lock.budget = lock.budget - 1));
    }

    /// Ghost check: the critical section of `channel` may log at least `events` more events.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn has_budget(&self, channel: Channel<M>, events: u32) -> bool {
        self.ghost.check(|ghost| ghost.locks.get([channel.0]).budget >= events)
    }
}

impl<M: Machine> OwnGhost<M> {
    /// This CPU leaves the critical section of `channel`.
    #[track_caller]
    pub(crate) fn leave(&mut self, channel: Channel<M>) {
        self.lock.set([channel.lock()], LockState::Free);
        if self.section == channel.0 {
            self.section = NO_CHANNEL.into();
        }
    }
}

impl<M: Spec> Channels<M> {
    /// A copy of the current state of the channels.
    pub fn snapshot(&self) -> Self {
        let ghost = M::present(&self.ghost);
        Channels {
            pool: self.pool.clone(),
            mailbox: self.mailbox.clone(),
            ghost: M::ghost(|| ChannelGhost { locks: ghost.locks.clone(), defined: ghost.defined.clone() }),
            log: self.log.clone(),
        }
    }

    /// The ghost state of the lock of channel `q`.
    #[track_caller]
    pub fn lock_of(&self, q: M::Word) -> ChannelLock<M> {
        M::present(&self.ghost).locks.get([q])
    }

    /// The rely condition of CPU `me` for channel `q`: no other CPU changes the channel while `me` holds its lock, or
    /// takes its lock in the name of `me`.
    pub fn rely(old: &Self, new: &Self, me: M::Word, q: M::Word) -> bool {
        let (before, after) = (old.lock_of(q), new.lock_of(q));
        if before.holder == me { Self::unchanged(old, new, q) } else { after.holder != me }
    }

    /// Channel `q` is unchanged, except for its message.
    pub fn unchanged(old: &Self, new: &Self, q: M::Word) -> bool {
        let (before, after) = (old.lock_of(q), new.lock_of(q));
        let (control, other) = (old.pool.get([q]), new.pool.get([q]));
        before.holder == after.holder
            && before.budget == after.budget
            && before.words == after.words
            && control.to == other.to
            && control.senderpaddr == other.senderpaddr
            && control.count == other.count
            && control.busy == other.busy
    }

    /// Like [`rely`](Self::rely), and for byte `at` of the mailbox.
    pub fn mail_rely(old: &Self, new: &Self, me: M::Word, q: M::Word, at: M::Word) -> bool {
        Self::rely(old, new, me, q) && (old.lock_of(q).holder != me || Self::same_mail(old, new, q, at))
    }

    /// Byte `at` of the mailbox of `q` is unchanged.
    pub fn same_mail(old: &Self, new: &Self, q: M::Word, at: M::Word) -> bool {
        let defined = |channels: &Self| M::present(&channels.ghost).defined.get([q, at]).defined.holds();
        old.mailbox.get([q, at]).value == new.mailbox.get([q, at]).value && defined(old) == defined(new)
    }

    /// The invariant of channel `q` by itself: the words still to be received are in the mailbox (D15), and only a held
    /// lock has a budget.
    pub fn lock_invariant(&self, q: M::Word) -> bool {
        let (lock, control) = (self.lock_of(q), self.pool.get([q]));
        control.count <= lock.words
            && lock.words <= MAX_WORDS
            && lock.holder <= TOTAL_CPU
            && lock.budget <= LOCK_BOUND
            && (lock.holder != TOTAL_CPU || lock.budget == 0)
    }

    /// The invariant of byte `at` of the mailbox of `q` by itself: a byte of the message is defined (D15).
    pub fn mail_lock_invariant(&self, q: M::Word, at: M::Word) -> bool {
        at >= self.lock_of(q).words * WORD_SIZE || M::present(&self.ghost).defined.get([q, at]).defined.holds()
    }
}
