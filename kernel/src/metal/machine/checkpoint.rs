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
use crate::metal::com2::Line;
use crate::metal::{idle, power, smp};
use abi::watch::{CHECKPOINT, LAST_CHECKPOINT};
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use layer::dump::{Situation, write_own, write_shared};
use layer::state::Cpu;
use x86_64::registers::control::Cr3;

/// The machine is watched.
static WATCHED: AtomicBool = AtomicBool::new(false);
/// The next checkpoint is the last thing that the machine does.
static LAST: AtomicBool = AtomicBool::new(false);
static LINE: Lock<Line> = Lock::new(Line::new());

/// How often programs have entered the kernel.
static ENTRIES: AtomicU64 = AtomicU64::new(0);
/// How often a CPU comes to rest before it asks the line whether a checkpoint is wanted: asking costs more than most entries.
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

/// Begins to be watched, if the boot archive says so and there is a line.
pub(super) fn open(archive: Option<&Archive<'_>>) {
    let wanted = archive.is_some_and(|archive| archive.find(WATCH).is_some());
    WATCHED.store(wanted && LINE.lock().open(), SeqCst);
}

/// The last program of all has ended: the machine goes off, after a last checkpoint if it is watched.
pub(super) fn finish() {
    if !WATCHED.load(SeqCst) {
        power::leave(Reason::Done)
    }
    LAST.store(true, SeqCst);
}

/// CPU `cpu`, which runs this, is at rest; it comes from a program if `user`, otherwise it is between two steps.
#[inline(always)]
pub(super) fn pass(cpu: usize, layer: &mut Cpu<'static, Metal>, user: bool) {
    if WATCHED.load(Relaxed) {
        meet(cpu as u32, layer, user);
    }
}

#[cold]
fn meet(me: u32, layer: &mut Cpu<'static, Metal>, user: bool) {
    let entries = ENTRIES.fetch_add(user.into(), Relaxed);
    if LEADER.load(SeqCst) != NOBODY {
        return follow(me, layer, user);
    }
    let seldom = !user || entries.is_multiple_of(SELDOM);
    if LAST.load(SeqCst) || (seldom && is_wanted()) {
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
    let others = || (0..cpus).filter(|&other| other != me);
    others().for_each(|other| idle::ring(other as usize));
    wait_for(|| JOINED.load(SeqCst) == cpus - 1);
    {
        let mut line = LINE.lock();
        let channels = &layer.shared.channels;
        write_shared(&mut *line, layer.shared, me, cpus, ENTRIES.load(SeqCst), |q| channels.is_held(q));
    }
    for cpu in 0..cpus {
        if cpu == me {
            write(me, layer, user);
        } else {
            TURN.store(cpu, SeqCst);
            wait_for(|| TURN.load(SeqCst) == NOBODY);
        }
    }
    if LAST.load(SeqCst) {
        power::leave(Reason::Done)
    }
    JOINED.store(0, SeqCst);
    LEADER.store(NOBODY, SeqCst);
    OVER.fetch_add(1, SeqCst);
}

/// Waits until the checkpoint is over, and writes when it is this CPU's turn.
///
/// It is not over before this CPU has joined: the leader waits for all.
fn follow(me: u32, layer: &mut Cpu<'static, Metal>, user: bool) {
    let over = OVER.load(SeqCst);
    JOINED.fetch_add(1, SeqCst);
    wait_for(|| TURN.load(SeqCst) == me);
    write(me, layer, user);
    TURN.store(NOBODY, SeqCst);
    wait_for(|| OVER.load(SeqCst) != over);
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

fn wait_for(condition: impl Fn() -> bool) {
    while !condition() {
        spin_loop();
    }
}
