//! What a primitive asks of the machine under it.
use crate::call::{Call, Give};
use crate::channel::Channels;
use crate::constants::{CONSOLE_BUFFER_SIZE, SERIAL_HW_BUF_SIZE};
use crate::fields::{ConsoleInput, Homes, Received, ThreadGhosts, UserContexts, VisibleHomes};
use crate::invariant::Keys;
use crate::log::Log;
use crate::queue::Threads;
use crate::serial::SerialEvent;
use crate::state::Cpu;
use crate::stuck::Stuck;
use core::fmt::Debug;
use core::ops::{ControlFlow, DerefMut};
use domain::{Ghost, Home, Map};

/// A machine: a domain with a home for every field, and the few things that only hardware can do.
///
/// Three machines exist: the hosted one, the prover's and the kernel's.
pub trait Machine: Homes {
    /// Ghost state: present or erased.
    type Ghost<T: 'static>: Ghost<T>;
    /// The log of a shared object.
    type Log: Log<Self>;
    /// A family of shared objects, one a row, each behind its lock.
    type Lock<T: Object<Self>>: Lock<Self, T>;
    /// The links of the thread queues.
    type Links: Links<Self>;
    /// The synchronous channels, each behind its lock.
    type Channels: ChannelPool<Self>;
    /// The registers of a user program at a trap: 25 wide words in the order of a user context, or, on the
    /// metal, the knowledge that the trap stub has stored them in their place already.
    type Registers: Copy + Debug;

    /// Ghost state made by `make`, which is not called where ghost state is erased.
    fn ghost<T: 'static>(make: impl FnOnce() -> T) -> Self::Ghost<T>;
    /// Changes ghost state by what other ghost state says; `change` is not called where ghost state is erased.
    fn ghosts<T: 'static, U: 'static>(
        ghost: &mut Self::Ghost<T>,
        other: &Self::Ghost<U>,
        change: impl FnOnce(&mut T, &U),
    );
    /// An empty log at `place`.
    fn log(place: Self::Place) -> Self::Log;
    /// Stores the registers of a trap into the user context of `thread`.
    fn store_registers(
        contexts: &mut <Self as Home<UserContexts>>::Map,
        thread: Self::Word,
        registers: Self::Registers,
    );
    /// Capability word `index` of the machine's VMX (`real_vmxinfo`).
    fn real_vmxinfo(index: Self::Word) -> Self::Word;
    /// What the host's part of the VM control structure is to hold in the field of key `field`
    /// ([`vmcs::FIELDS`](crate::vmcs::FIELDS)): a control register, a base, the address of a table (P43).
    fn vmcs_host(field: Self::Word) -> Self::Wide;
    /// What the model-specific register `register` reads.
    fn rdmsr(register: Self::Word) -> Self::Wide;
    /// Whether the UART is there and CPU `cpu` is the one whose device it is.
    fn has_serial(cpu: Self::Word) -> Self::Flag;
    /// What happens to the UART at `index` of its log (`SerialEnv`): the same whenever it is asked.
    fn serial_event(index: Self::Word) -> SerialEvent<Self>;
    /// Stores the `count` characters that are received at `index`, oldest first, into the ring `rx_buf` from `at` on.
    fn serial_bytes(rx_buf: &mut <Self as Home<Received>>::Map, at: Self::Word, index: Self::Word, count: Self::Word);
    /// The `many` entries of the console's ring from `at` on become those of `rx_buf` that begin at `from`; behind the last
    /// entry of either comes its first. `many` is no more than either has.
    #[inline]
    #[track_caller]
    fn copy_received(
        cons_buf: &mut <Self as Home<ConsoleInput>>::Map,
        at: Self::Word,
        rx_buf: &<Self as Home<Received>>::Map,
        from: Self::Word,
        many: Self::Word,
    ) {
        let mut k = Self::Word::from(0);
        while k < many {
            cons_buf.set([(at + k) % CONSOLE_BUFFER_SIZE], rx_buf.get([(from + k) % SERIAL_HW_BUF_SIZE]));
            k += 1;
        }
    }
    /// How many events from `index` on it takes until the transmitter is done, the one that says so included: 1 to
    /// [`NEXT_SEND_MAX_REC`](crate::constants::NEXT_SEND_MAX_REC), or 0 if it takes longer.
    fn serial_sent(index: Self::Word) -> Self::Word;
    /// The UART begins to send `character`, and a carriage return with it if it is a line feed; what it sent before is gone
    /// ([`serial_sent`](Machine::serial_sent)). To the prover that is nobody's business.
    #[inline]
    fn serial_send(_character: Self::Word) {}
    /// Whether a usable memory region of the machine contains the whole of `frame`.
    fn usable(frame: Self::Word) -> Self::Flag;

    /// Nothing is mapped any more at `va` of the page map of one of this CPU's threads, or the page table for `va` is gone: the
    /// processor forgets what it remembers of `va`, and of all page tables. Before that it may still use
    /// what it remembers, so that the frame must not be free yet.
    #[inline]
    fn unmapped(_cpu: &Cpu<'_, Self>, _va: Self::Word) {}

    /// A primitive is called, and runs.
    ///
    /// The prover, which proves each primitive by itself, goes on with what the contract of `call` says instead, and
    /// makes the result of it by `give`.
    ///
    /// # Errors
    /// Those of `run`.
    #[inline(always)]
    #[track_caller]
    fn call<R>(
        cpu: &mut Cpu<'_, Self>,
        _call: impl FnOnce() -> Call<Self>,
        _give: Give<Self, R>,
        run: impl FnOnce(&mut Cpu<'_, Self>) -> Result<R, Stuck>,
    ) -> Result<R, Stuck> {
        run(cpu)
    }

    /// As [`call`](Machine::call), of a primitive that changes nothing.
    ///
    /// # Errors
    /// Those of `run`.
    #[inline(always)]
    #[track_caller]
    fn ask<R>(
        cpu: &Cpu<'_, Self>,
        _call: impl FnOnce() -> Call<Self>,
        _give: Give<Self, R>,
        run: impl FnOnce(&Cpu<'_, Self>) -> Result<R, Stuck>,
    ) -> Result<R, Stuck> {
        run(cpu)
    }

    /// Makes `round` until it breaks, `most` times at most; what it leaves for the next round is in the CPU.
    ///
    /// The prover, which cannot walk every round, makes one that begins in any state that satisfies what
    /// [`loops`](crate::contract::loops) says of the loop called `name`.
    ///
    /// # Errors
    /// Those of `round`.
    #[inline(always)]
    #[track_caller]
    fn repeat(
        cpu: &mut Cpu<'_, Self>,
        _name: &'static str,
        most: u32,
        round: impl Fn(&mut Cpu<'_, Self>) -> Result<ControlFlow<()>, Stuck>,
    ) -> Result<(), Stuck> {
        for _ in 0..most {
            if round(cpu)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// A lock for each object of a family.
pub trait Lock<M: Machine, T: Object<M>> {
    /// Holds the lock, gives access to the object.
    type Guard<'a>: DerefMut<Target = T>
    where
        Self: 'a;
    /// CPU `by` takes the lock of `row`. Natively it waits; hosted another CPU may run first; symbolically the
    /// others have moved, within what the object's rely condition allows.
    fn lock(&self, by: M::Word, row: M::Word) -> Self::Guard<'_>;
}

/// The links of the thread queues: words that several locks guard between them, entry by entry.
///
/// Natively they are relaxed atomics, plain moves on x86, so that sharing them needs no `unsafe`; which CPU may
/// touch which entry is proved ([`Threads::rely`](crate::state::Threads)).
pub trait Links<M: Machine> {
    /// The thread behind `thread` in its queue, or [`NO_THREAD`](crate::constants::NO_THREAD).
    fn next(&self, thread: M::Word) -> M::Word;
    /// Puts `next` behind `thread`.
    fn set_next(&self, thread: M::Word, next: M::Word);
    /// The CPU that `thread` belongs to.
    fn cpu(&self, thread: M::Word) -> M::Word;
    /// `thread` belongs to `cpu` for good.
    fn set_cpu(&self, thread: M::Word, cpu: M::Word);
    /// Changes what the specification knows of the threads.
    fn update(&self, change: impl FnOnce(&mut <M as Home<ThreadGhosts>>::Map));
    /// Asks what the specification knows of the threads.
    fn check(&self, check: impl Fn(&<M as Home<ThreadGhosts>>::Map) -> bool) -> bool;
}

/// The synchronous channels: each behind a lock that a CPU keeps from one primitive to another.
///
/// A CPU touches only the rows whose locks it holds, which is proved ([`Channels::rely`]).
pub trait ChannelPool<M: Machine> {
    /// CPU `by` takes the lock of channel `q`, as [`Lock::lock`] does.
    fn acquire(&self, by: M::Word, q: M::Word);
    /// CPU `by` gives the lock of channel `q` back.
    fn release(&self, by: M::Word, q: M::Word);
    /// Works on the channels.
    fn with<R>(&self, work: impl FnOnce(&mut Channels<M>) -> R) -> R;
}

/// Rank of the locks of channels: before those of all other objects.
pub const CHANNEL_RANK: u32 = 1;

/// A shared object, behind a lock.
///
/// `rely` is the only relation that is written down: what CPU `me` may count on between two of its own critical
/// sections. What `me` itself must keep is the same relation, for every other CPU.
pub trait Object<M: Machine>: Sized + 'static {
    /// What logs, counterexamples and lock-order reports call it.
    const NAME: &'static str;
    /// Position in the lock order: a lock is taken only while those held have smaller ranks. Channels have
    /// [`CHANNEL_RANK`].
    const RANK: u32;
    /// The id of the queue of row 0 where the rows are queues of threads, whose links their locks guard too.
    const QUEUES: Option<u32>;
    /// Where `rely` and `own_fact` are to be looked at.
    const KEYS: Keys;

    /// The object at `place`, empty.
    fn new(place: M::Place) -> Self;
    /// Visits the words and counters that are kept in the object itself, by name: to print, compare and make them
    /// unknown.
    fn words(&mut self, visit: &mut dyn Visit<M>);
    /// The object as it is now.
    fn snapshot(&self) -> Self
    where
        M: Spec;
    /// What CPU `me` may count on at `key` between two of its critical sections.
    fn rely(old: &Self, new: &Self, me: M::Word, key: &[M::Word]) -> bool
    where
        M: Spec;
    /// What holds of the object of row `row`, and of the threads in it, at `key` whenever its lock is free.
    fn own_fact(&self, row: M::Word, threads: &Threads<M>, key: &[M::Word]) -> bool
    where
        M: Spec;
}

/// Sees the values that are in no map.
pub trait Visit<M: Machine> {
    /// A word.
    fn word(&mut self, name: &'static str, word: &mut M::Word);
    /// A wide word.
    fn wide(&mut self, name: &'static str, wide: &mut M::Wide);
    /// A counter of ghost state.
    fn nat(&mut self, name: &'static str, nat: &mut M::Nat);
    /// A flag.
    fn flag(&mut self, name: &'static str, flag: &mut M::Flag);
}

/// A machine on which the specification is visible: hosted or symbolic.
pub trait Spec: Machine<Log: Clone> + VisibleHomes {
    /// The ghost state itself.
    fn present<T: 'static>(ghost: &Self::Ghost<T>) -> &T;
    /// What `registers` have for slot `slot` of a user context, which is below [`UCTXT_SIZE`](crate::constants::UCTXT_SIZE).
    fn register(registers: &Self::Registers, slot: Self::Word) -> Self::Wide;
    /// Character `k`, counted from the oldest, of those that [`Machine::serial_bytes`] stores for `index`.
    fn serial_byte(index: Self::Word, k: Self::Word) -> Self::Word;
}
