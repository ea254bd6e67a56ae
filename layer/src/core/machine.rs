//! The interface between a primitive and the machine under it.
use crate::core::call::{Call, FromAnswer};
use crate::core::constants::{CONSOLE_BUFFER_SIZE, SERIAL_HW_BUF_SIZE};
use crate::core::fields::{AllStorage, ConsoleInput, Received, ThreadGhosts, UserContexts, VisibleStorage};
use crate::core::keys::Keys;
use crate::core::log::Log;
use crate::core::state::Cpu;
use crate::core::stuck::Stuck;
use crate::objects::channel::pool::Channels;
use crate::objects::console::uart::SerialEvent;
use crate::objects::queue::Threads;
use core::fmt::Debug;
use core::ops::{ControlFlow, DerefMut};
use domain::{Ghost, Map, Storage};

/// A machine: a domain that stores every field, and the few operations that only hardware can do.
///
/// Three machines exist: the hosted one, the prover's and the kernel's.
pub trait Machine: AllStorage {
    /// Ghost state: present or erased.
    type Ghost<T: 'static>: Ghost<T>;
    /// The log of a shared object.
    type Log: Log<Self>;
    /// A family of shared objects, one for each row, each behind its own lock.
    type Lock<T: Object<Self>>: Lock<Self, T>;
    /// The links of the thread queues.
    type Links: Links<Self>;
    /// The synchronous channels, each behind its lock.
    type Channels: ChannelPool<Self>;
    /// The registers of a user program at a trap: 25 wide words in the order of a user context. In the kernel, the
    /// trap stub has already stored them, and the value carries no data.
    type Registers: Copy + Debug;

    /// Ghost state made by `make`. If ghost state is erased, `make` is not called.
    fn ghost<T: 'static>(make: impl FnOnce() -> T) -> Self::Ghost<T>;
    /// Changes `ghost` depending on `other`. If ghost state is erased, `change` is not called.
    fn ghosts<T: 'static, U: 'static>(
        ghost: &mut Self::Ghost<T>,
        other: &Self::Ghost<U>,
        change: impl FnOnce(&mut T, &U),
    );
    /// An empty log at `place`.
    fn log(place: Self::Place) -> Self::Log;
    /// Stores the registers of a trap into the user context of `thread`.
    fn store_registers(
        contexts: &mut <Self as Storage<UserContexts>>::Map,
        thread: Self::Word,
        registers: Self::Registers,
    );
    /// Capability word `index` of the machine's VMX (`real_vmxinfo`).
    fn real_vmxinfo(index: Self::Word) -> Self::Word;
    /// The value for the host's part of the VM control structure in the field with key `field`
    /// ([`vmcs::FIELDS`](crate::objects::vmx::vmcs::FIELDS)): a control register, a base, the address of a table (P43).
    fn vmcs_host(field: Self::Word) -> Self::Wide;
    /// The value of the model-specific register `register`.
    fn rdmsr(register: Self::Word) -> Self::Wide;
    /// Whether the UART exists and belongs to CPU `cpu`.
    fn has_serial(cpu: Self::Word) -> Self::Flag;
    /// Event `index` of the UART's environment (`SerialEnv`). The same index always gives the same event.
    fn serial_event(index: Self::Word) -> SerialEvent<Self>;
    /// Stores the `count` characters that the UART receives at `index` into the ring `rx_buf`, oldest first, starting
    /// at `at`.
    fn serial_bytes(
        rx_buf: &mut <Self as Storage<Received>>::Map,
        at: Self::Word,
        index: Self::Word,
        count: Self::Word,
    );
    /// Copies `many` entries of `rx_buf`, starting at `from`, into the console's ring `cons_buf`, starting at `at`.
    /// Both are rings: after the last entry comes the first. `many` is at most the length of either ring.
    #[inline]
    #[track_caller]
    fn copy_received(
        cons_buf: &mut <Self as Storage<ConsoleInput>>::Map,
        at: Self::Word,
        rx_buf: &<Self as Storage<Received>>::Map,
        from: Self::Word,
        many: Self::Word,
    ) {
        let mut k = Self::Word::from(0);
        while k < many {
            cons_buf.set([(at + k) % CONSOLE_BUFFER_SIZE], rx_buf.get([(from + k) % SERIAL_HW_BUF_SIZE]));
            k += 1;
        }
    }
    /// Number of events, from `index` on, until the transmitter has finished. The event that reports this counts
    /// too. 1 to [`NEXT_SEND_MAX_REC`](crate::core::constants::NEXT_SEND_MAX_REC), or 0 if it takes longer.
    fn serial_sent(index: Self::Word) -> Self::Word;
    /// The UART begins to send `character`. If that is a line feed, it also sends a carriage return. The previous
    /// transmission has finished ([`serial_sent`](Machine::serial_sent)). The prover does not model the characters
    /// sent.
    #[inline]
    fn serial_send(_character: Self::Word) {}
    /// Whether one usable memory region of the machine contains the whole of `frame`.
    fn usable(frame: Self::Word) -> Self::Flag;

    /// Invalidates the processor's cached translation of `va`, and all cached page tables. A primitive calls this after
    /// it has unmapped `va` in the page map of one of this CPU's threads, or has removed the page table for `va`. Until
    /// then the processor may use stale translations, so the frame must not be freed before.
    #[inline]
    fn unmapped(_cpu: &Cpu<'_, Self>, _va: Self::Word) {}

    /// Calls a primitive: runs `run`.
    ///
    /// The call rule: each primitive has a proof of its own, and the prover does not run `run` at a call. It
    /// proves the precondition of `call` and the invariant, havocs what the contract may modify and what its locks
    /// guard, and assumes the postcondition and the invariant. `give` makes the result from the contract's answer.
    ///
    /// # Errors
    /// The errors of `run`.
    #[inline(always)]
    #[track_caller]
    fn call<R>(
        cpu: &mut Cpu<'_, Self>,
        _call: impl FnOnce() -> Call<Self>,
        _give: FromAnswer<Self, R>,
        run: impl FnOnce(&mut Cpu<'_, Self>) -> Result<R, Stuck>,
    ) -> Result<R, Stuck> {
        run(cpu)
    }

    /// Calls a primitive that changes nothing; otherwise like [`call`](Machine::call).
    ///
    /// # Errors
    /// The errors of `run`.
    #[inline(always)]
    #[track_caller]
    fn ask<R>(
        cpu: &Cpu<'_, Self>,
        _call: impl FnOnce() -> Call<Self>,
        _give: FromAnswer<Self, R>,
        run: impl FnOnce(&Cpu<'_, Self>) -> Result<R, Stuck>,
    ) -> Result<R, Stuck> {
        run(cpu)
    }

    /// A loop: runs `iteration` until it breaks, at most `most` times. Variables that live across iterations are in
    /// the state of the CPU.
    ///
    /// The loop rule: the prover proves the loop invariant on entry, havocs what the loop modifies, runs one iteration,
    /// and proves the loop invariant again. [`loops`](crate::catalogue::loops) gives both for the loop `name`.
    ///
    /// # Errors
    /// The errors of `iteration`.
    #[inline(always)]
    #[track_caller]
    fn bounded_loop(
        cpu: &mut Cpu<'_, Self>,
        _name: &'static str,
        most: u32,
        iteration: impl Fn(&mut Cpu<'_, Self>) -> Result<ControlFlow<()>, Stuck>,
    ) -> Result<(), Stuck> {
        for _ in 0..most {
            if iteration(cpu)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// The locks of a family of objects, one for each row.
pub trait Lock<M: Machine, T: Object<M>> {
    /// Holds the lock and gives access to the object.
    type Guard<'a>: DerefMut<Target = T>
    where
        Self: 'a;
    /// CPU `by` takes the lock of `row`. The kernel's CPU waits. On the hosted machine, another CPU may run first. On
    /// the symbolic machine the object is havocked within its rely condition, since other CPUs may have changed it.
    fn lock(&self, by: M::Word, row: M::Word) -> Self::Guard<'_>;
}

/// The links of the thread queues: words that are guarded by several locks, each entry by one of them.
///
/// In the kernel they are relaxed atomics, which are plain moves on x86. So they can be shared without `unsafe`. The
/// proofs show which CPU may access which entry ([`Threads::rely`]).
pub trait Links<M: Machine> {
    /// The thread after `thread` in its queue, or [`NO_THREAD`](crate::core::constants::NO_THREAD).
    fn next(&self, thread: M::Word) -> M::Word;
    /// Makes `next` the thread after `thread`.
    fn set_next(&self, thread: M::Word, next: M::Word);
    /// The CPU to which `thread` belongs.
    fn cpu(&self, thread: M::Word) -> M::Word;
    /// Assigns `thread` to `cpu`; this never changes again.
    fn set_cpu(&self, thread: M::Word, cpu: M::Word);
    /// Updates the ghost state of the threads.
    fn update(&self, change: impl FnOnce(&mut <M as Storage<ThreadGhosts>>::Map));
    /// Checks the ghost state of the threads.
    fn check(&self, check: impl Fn(&<M as Storage<ThreadGhosts>>::Map) -> bool) -> bool;
}

/// The synchronous channels. Each has a lock that a CPU can hold across primitives.
///
/// A CPU accesses only the rows whose locks it holds; this is proved ([`Channels::rely`]).
pub trait ChannelPool<M: Machine> {
    /// CPU `by` takes the lock of channel `q`, as in [`Lock::lock`].
    fn acquire(&self, by: M::Word, q: M::Word);
    /// CPU `by` releases the lock of channel `q`.
    fn release(&self, by: M::Word, q: M::Word);
    /// Runs `work` on the channels.
    fn with<R>(&self, work: impl FnOnce(&mut Channels<M>) -> R) -> R;
}

/// Rank of the channel locks in the lock order: before the locks of all other objects.
pub const CHANNEL_RANK: u32 = 1;

/// A shared object behind a lock.
///
/// `rely` is the only relation that is written down. For CPU `me`, it bounds the interference of other CPUs
/// between two critical sections. The guarantee of `me` is the rely condition of every other CPU.
pub trait Object<M: Machine>: Sized + 'static {
    /// Its name in logs, counterexamples and lock-order reports.
    const NAME: &'static str;
    /// Position in the lock order: a CPU may take a lock only while all locks that it holds have smaller ranks.
    /// Channels have [`CHANNEL_RANK`].
    const RANK: u32;
    /// The id of row 0's queue, if the rows are thread queues; their locks also guard the links of
    /// the threads.
    const QUEUES: Option<u32>;
    /// The keys at which `rely` and `lock_invariant` are instantiated.
    const KEYS: Keys;

    /// An empty object at `place`.
    fn new(place: M::Place) -> Self;
    /// Visits the words and counters that are stored in the object itself, by name: to print them, compare them or
    /// havoc them.
    fn words(&mut self, visit: &mut dyn Visit<M>);
    /// A copy of the object's current state.
    fn snapshot(&self) -> Self
    where
        M: Spec;
    /// The rely condition of CPU `me` at `key`: how the object may change between two of its critical sections.
    fn rely(old: &Self, new: &Self, me: M::Word, key: &[M::Word]) -> bool
    where
        M: Spec;
    /// The lock invariant at `key`, of the object of row `row` and of the threads in it; it holds while the lock is
    /// free.
    fn lock_invariant(&self, row: M::Word, threads: &Threads<M>, key: &[M::Word]) -> bool
    where
        M: Spec;
}

/// A visitor of the values that are not in a map.
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

/// A machine on which the specification can read ghost state: the hosted or the symbolic one.
pub trait Spec: Machine<Log: Clone> + VisibleStorage {
    /// The ghost state itself.
    fn present<T: 'static>(ghost: &Self::Ghost<T>) -> &T;
    /// Slot `slot` of a user context in `registers`; `slot` is below
    /// [`UCTXT_SIZE`](crate::core::constants::UCTXT_SIZE).
    fn register(registers: &Self::Registers, slot: Self::Word) -> Self::Wide;
    /// Character `k`, counted from the oldest, of those that [`Machine::serial_bytes`] stores for `index`.
    fn serial_byte(index: Self::Word, k: Self::Word) -> Self::Word;
}
