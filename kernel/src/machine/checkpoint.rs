//! Checkpoints: all CPUs stop in a quiescent state and send the state to the program that watches the machine, so that
//! it can evaluate the invariant on the live kernel. A machine is watched only if its boot archive has a file called
//! [`WATCH`].
//!
//! A CPU is quiescent before an entry and between two steps of one: it then holds no lock, and the invariant is proved
//! to hold. A CPU that finds a request for a checkpoint becomes its leader. Each other CPU joins when it becomes
//! quiescent. Idle CPUs become quiescent because they are woken, and programs enter the kernel when their time slices
//! end. The leader writes the shared state. Then each CPU in turn writes the state that it owns, which no other CPU
//! touches, and what its hardware has in place of what this state says of it. Then all CPUs continue.
use super::com2::Line;
use super::{Metal, hardware, platform};
use crate::cpu::block;
use crate::cpu::running;
use crate::devices::exit::Reason;
use crate::devices::power;
use crate::entry::idle;
use crate::handover::archive::{Archive, WATCH};
use crate::irq::timer;
use crate::sync::lock::Lock;
use crate::sync::pending::{self, Work};
use abi::watch::{CHECKPOINT, LAST_CHECKPOINT, READY};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use layer::core::dump::{Counts, Out, Situation, write_own, write_shared};
use layer::core::state::Cpu;
use x86_64::registers::control::Cr3;

/// Whether the machine ends after the next checkpoint.
static LAST: AtomicBool = AtomicBool::new(false);
static LINE: Lock<Line> = Lock::new(Line::new());

/// How often programs have entered the kernel, and how often they did so by system calls.
static ENTRIES: AtomicU64 = AtomicU64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);
/// How often CPUs have become quiescent.
static PASSES: AtomicU64 = AtomicU64::new(0);
/// The number of quiescent states between two checks of the line for a request; a check costs more than most
/// entries.
const SELDOM: u64 = 64;

/// The CPU that leads the checkpoint, or [`NOBODY`].
static LEADER: AtomicU32 = AtomicU32::new(NOBODY);
const NOBODY: u32 = u32::MAX;
/// Number of CPUs that have joined.
static JOINED: AtomicU32 = AtomicU32::new(0);
/// The CPU whose turn it is to write, or [`NOBODY`].
static TURN: AtomicU32 = AtomicU32::new(NOBODY);
/// Number of finished checkpoints.
static OVER: AtomicU32 = AtomicU32::new(0);

/// The point at which a CPU is quiescent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Quiescent {
    /// A program has executed a system call, and nothing else has happened since.
    Call,
    /// A program has entered the kernel in another way.
    Trap,
    /// The CPU is between two steps of an entry.
    Step,
}

/// Starts watching, if the boot archive asks for it and COM2 exists.
pub(super) fn open(archive: Option<&Archive<'_>>) {
    let wanted = archive.is_some_and(|archive| archive.find(WATCH).is_some());
    if !wanted {
        return;
    }
    let mut line = LINE.lock();
    if line.open() {
        line.byte(READY);
        line.flush();
        pending::set(Work::Watched, true);
    } else {
        crate::say!("cairn: missing: COM2 (nobody can watch)");
    }
}

/// Called when the last program has ended and nothing is left of it: switches the machine off, after a last checkpoint
/// if it is watched.
pub(super) fn finish() {
    if !pending::is_any(&[Work::Watched]) {
        power::leave(Reason::Done)
    }
    LAST.store(true, SeqCst);
}

/// Called by the CPU of this state when it is quiescent.
#[inline(always)]
pub(super) fn pass(layer: &mut Cpu<'static, Metal>, at: Quiescent) {
    if pending::is_any(&[Work::Watched]) {
        meet(layer, at);
    }
}

#[cold]
fn meet(layer: &mut Cpu<'static, Metal>, at: Quiescent) {
    // The CPU's number comes from the hardware. The state's own number is compared with it (H19).
    let me = block::number() as u32;
    let user = at != Quiescent::Step;
    ENTRIES.fetch_add(user.into(), Relaxed);
    CALLS.fetch_add((at == Quiescent::Call).into(), Relaxed);
    if !user {
        // The CPU may be about to halt, and nothing else may happen. The timer therefore makes it check
        // again after a while.
        timer::begin(me as usize, true);
    }
    if LEADER.load(SeqCst) != NOBODY {
        return follow(me, layer, user);
    }
    if LAST.load(SeqCst) || (PASSES.fetch_add(1, Relaxed).is_multiple_of(SELDOM) && is_wanted()) {
        match LEADER.compare_exchange(NOBODY, me, SeqCst, SeqCst) {
            Ok(_) => lead(me, layer, user),
            Err(_) => follow(me, layer, user),
        }
    }
}

/// Whether the watching program has asked for a checkpoint.
fn is_wanted() -> bool {
    let asked = LINE.try_lock().and_then(|mut line| line.received());
    if asked == Some(LAST_CHECKPOINT) {
        LAST.store(true, SeqCst);
    }
    matches!(asked, Some(CHECKPOINT | LAST_CHECKPOINT))
}

/// Leads a checkpoint: waits for all other CPUs, and lets each write.
fn lead(me: u32, layer: &mut Cpu<'static, Metal>, user: bool) {
    let cpus = running::arrived() as u32;
    let ring_others = || (0..cpus).filter(|&other| other != me).for_each(|other| idle::ring(other as usize));
    ring_others();
    wait_for(me, || JOINED.load(SeqCst) == cpus - 1);
    {
        let mut line = LINE.lock();
        let channels = &layer.shared.channels;
        let counts = Counts { entries: ENTRIES.load(SeqCst), calls: CALLS.load(SeqCst) };
        write_shared(&mut *line, layer.shared, me, cpus, counts, |q| channels.is_held(q));
    }
    for cpu in 0..cpus {
        if cpu == me {
            write(me, layer, user);
        } else {
            TURN.store(cpu, SeqCst);
            idle::ring(cpu as usize);
            wait_for(me, || TURN.load(SeqCst) == NOBODY);
        }
    }
    if LAST.load(SeqCst) {
        power::leave(Reason::Done)
    }
    JOINED.store(0, SeqCst);
    LEADER.store(NOBODY, SeqCst);
    OVER.fetch_add(1, SeqCst);
    ring_others();
}

/// Follows in a checkpoint: waits for this CPU's turn, writes, and waits until the checkpoint is over.
///
/// The checkpoint cannot be over before this CPU has joined, because the leader waits for all CPUs.
fn follow(me: u32, layer: &mut Cpu<'static, Metal>, user: bool) {
    let (over, leader) = (OVER.load(SeqCst), LEADER.load(SeqCst));
    JOINED.fetch_add(1, SeqCst);
    idle::ring(leader as usize);
    wait_for(me, || TURN.load(SeqCst) == me);
    write(me, layer, user);
    TURN.store(NOBODY, SeqCst);
    idle::ring(leader as usize);
    wait_for(me, || OVER.load(SeqCst) != over);
}

/// Writes the state that this CPU owns.
fn write(me: u32, layer: &mut Cpu<'static, Metal>, user: bool) {
    let root = Cr3::read_raw().0.start_address().as_u64();
    // Before its first program, a CPU uses the kernel's own page map, which belongs to no thread.
    let map = platform().spaces.space(root).map_or(0, |thread| thread as u32);
    let mut line = LINE.lock();
    let situation = Situation { cpu: me, user, map };
    write_own(&mut *line, &mut layer.own, situation, |own, tell| hardware::compare(own, user, tell));
    line.flush();
}

/// Halts CPU `me`, which runs this, until the condition holds; the CPU that makes it true rings. Other rings in the
/// meantime are not lost: before a CPU halts for lack of work, it looks for threads that others have woken.
fn wait_for(me: u32, condition: impl Fn() -> bool) {
    while !condition() {
        idle::rest(me as usize);
    }
}
