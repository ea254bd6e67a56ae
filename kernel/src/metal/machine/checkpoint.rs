//! Checkpoints: all CPUs meet at rest, and tell whoever watches what the state is, so that the invariant can be evaluated on
//! the live kernel. Only a machine whose boot archive has a file called [`WATCH`] is watched.
//!
//! A CPU is at rest before an entry and between two steps of one: it holds no lock then, and the invariant is proved to
//! hold. One CPU finds that a checkpoint is wanted and leads; each other one joins when it comes to rest, idle ones because
//! they are woken, and programs because their slices end. The leader writes what is shared; then each CPU in turn writes
//! what it owns, which no other CPU need touch; then all go on.
use super::{Metal, board};
use crate::archive::{Archive, WATCH};
use crate::exit::Reason;
use crate::lock::Lock;
use crate::metal::attention::{self, Why};
use crate::metal::com2::Line;
use crate::metal::{cpu, idle, power, smp, timer};
use abi::watch::{CHECKPOINT, LAST_CHECKPOINT, READY};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use layer::dump::{Counts, Out, Situation, write_own, write_shared};
use layer::state::Cpu;
use x86_64::registers::control::Cr3;

/// The next checkpoint is the last thing that the machine does.
static LAST: AtomicBool = AtomicBool::new(false);
static LINE: Lock<Line> = Lock::new(Line::new());

/// How often programs have entered the kernel, and how often by system calls.
static ENTRIES: AtomicU64 = AtomicU64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);
/// How often CPUs have come to rest.
static PASSES: AtomicU64 = AtomicU64::new(0);
/// How often they do before one asks the line whether a checkpoint is wanted: asking costs more than most entries.
const SELDOM: u64 = 64;

/// The CPU that leads, or [`NOBODY`].
static LEADER: AtomicU32 = AtomicU32::new(NOBODY);
const NOBODY: u32 = u32::MAX;
/// How many CPUs have joined.
static JOINED: AtomicU32 = AtomicU32::new(0);
/// The CPU whose turn it is to write, or [`NOBODY`].
static TURN: AtomicU32 = AtomicU32::new(NOBODY);
/// How many checkpoints are over.
static OVER: AtomicU32 = AtomicU32::new(0);

/// Where a CPU is at rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rest {
    /// A program has executed a system call, and nothing else has happened yet.
    Call,
    /// It has entered the kernel in another way.
    Trap,
    /// Between two steps of an entry.
    Step,
}

/// Begins to be watched, if the boot archive says so and there is a line.
pub(super) fn open(archive: Option<&Archive<'_>>) {
    let wanted = archive.is_some_and(|archive| archive.find(WATCH).is_some());
    if !wanted {
        return;
    }
    let mut line = LINE.lock();
    if line.open() {
        line.byte(READY);
        line.flush();
        attention::set(Why::Watched, true);
    } else {
        crate::say!("cairn: missing: COM2 (nobody can watch)");
    }
}

/// The last program of all has ended, and nothing is left of it: the machine goes off, after a last checkpoint if it is watched.
pub(super) fn finish() {
    if !attention::is_any(&[Why::Watched]) {
        power::leave(Reason::Done)
    }
    LAST.store(true, SeqCst);
}

/// The CPU of this state, which runs this, is at rest.
#[inline(always)]
pub(super) fn pass(layer: &mut Cpu<'static, Metal>, rest: Rest) {
    if attention::is_any(&[Why::Watched]) {
        meet(layer, rest);
    }
}

#[cold]
fn meet(layer: &mut Cpu<'static, Metal>, rest: Rest) {
    // Not what the state says, which is to be compared with it (H19).
    let me = cpu::number() as u32;
    let user = rest != Rest::Step;
    ENTRIES.fetch_add(user.into(), Relaxed);
    CALLS.fetch_add((rest == Rest::Call).into(), Relaxed);
    if !user {
        // It may be about to halt, and is to look again in a while even if nothing happens.
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

/// Whether whoever watches wants a checkpoint.
fn is_wanted() -> bool {
    let asked = LINE.try_lock().and_then(|mut line| line.received());
    if asked == Some(LAST_CHECKPOINT) {
        LAST.store(true, SeqCst);
    }
    matches!(asked, Some(CHECKPOINT | LAST_CHECKPOINT))
}

/// Gathers all CPUs, and lets each write.
fn lead(me: u32, layer: &mut Cpu<'static, Metal>, user: bool) {
    let cpus = smp::arrived() as u32;
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

/// Waits until the checkpoint is over, and writes when it is this CPU's turn.
///
/// It is not over before this CPU has joined: the leader waits for all.
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

/// Writes what this CPU owns.
fn write(me: u32, layer: &mut Cpu<'static, Metal>, user: bool) {
    let root = Cr3::read_raw().0.start_address().as_u64();
    // Before its first program, a CPU uses the kernel's own page map, which is no thread's.
    let map = board().spaces.space(root).map_or(0, |thread| thread as u32);
    let mut line = LINE.lock();
    write_own(&mut *line, &mut layer.own, Situation { cpu: me, user, map });
    line.flush();
}

/// CPU `me`, which runs this, halts until the condition holds; whoever makes it hold rings. What else rings meanwhile is not
/// missed: a CPU looks for threads that others have woken before it halts for want of any.
fn wait_for(me: u32, condition: impl Fn() -> bool) {
    while !condition() {
        idle::rest(me as usize);
    }
}
