//! The turn scheduler. Each CPU is a thread, and only the holder of the baton runs.
//!
//! The baton is passed before a lock is taken and between slices of a program's instructions, to a CPU that a seeded
//! random generator chooses. So the seed determines everything that a run does.
use fastrand::Rng;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One of this many passes can go to any CPU, the others only to recently busy ones.
const ANYONE: u32 = 16;
/// The number of successive idle passes after which a CPU counts as idle.
const IDLE_AFTER: u32 = 4;

/// The turn scheduler of a machine: its baton is the right to run.
#[derive(Debug)]
pub struct Baton {
    turns: Mutex<Turns>,
    wake: Vec<Condvar>,
}

/// Why a run stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The machine was switched off, because no program is left.
    PowerOff,
    /// The limit of work or time was reached.
    TimeOut,
    /// Every CPU waits for a lock.
    Deadlock,
    /// A CPU found a bug, and reports it.
    Bug,
}

/// The limit of a run.
#[derive(Clone, Copy, Default, Debug)]
pub struct Limit {
    /// The work of all CPUs: instructions of programs and steps of the kernel.
    pub work: Option<u64>,
    /// The time of day. A run that it ends is not reproducible.
    pub until: Option<Instant>,
}

/// The payload of a panic that ends a CPU's thread inside a primitive, because a lock will never be released.
#[derive(Debug)]
pub struct Deadlocked;

#[derive(Debug)]
struct Turns {
    holder: usize,
    cpus: Vec<Seat>,
    rng: Rng,
    stop: Option<Stop>,
    work: u64,
    limit: Limit,
}

/// The scheduler's state of one CPU.
#[derive(Clone, Debug)]
struct Seat {
    /// The CPU has not left.
    present: bool,
    /// The CPU waits for a lock of another CPU.
    blocked: bool,
    /// The number of passes since the CPU last worked for a program.
    idle: u32,
}

impl Baton {
    /// The baton of a machine with `cpus` CPUs. CPU 0 holds it.
    pub fn new(cpus: u32, seed: u64, limit: Limit) -> Self {
        let seat = Seat { present: true, blocked: false, idle: 0 };
        Baton {
            turns: Mutex::new(Turns {
                holder: 0,
                cpus: vec![seat; cpus as usize],
                rng: Rng::with_seed(seed),
                stop: None,
                work: 0,
                limit,
            }),
            wake: (0..cpus).map(|_| Condvar::new()).collect(),
        }
    }

    /// Waits for the first turn of CPU `me`.
    pub fn arrive(&self, me: u32) {
        drop(self.wait(self.turns(), me as usize));
    }

    /// Passes the baton to a randomly chosen CPU, perhaps the same. Returns at the next turn of CPU `me`.
    ///
    /// After a stop, each CPU keeps the baton until it leaves.
    pub fn pass(&self, me: u32) {
        let mut turns = self.turns();
        if turns.stop.is_none() && turns.limit.until.is_some_and(|until| Instant::now() >= until) {
            turns.stop = Some(Stop::TimeOut);
        }
        if turns.stop.is_some() {
            return;
        }
        let me = me as usize;
        let seat = &mut turns.cpus[me];
        seat.idle = (seat.idle + 1).min(IDLE_AFTER);
        let next = turns.choose(me);
        if next != me {
            self.hand(&mut turns, next);
            drop(self.wait(turns, me));
        }
    }

    /// Waits for a lock that another CPU holds. Passes the baton, and returns when CPU `me` should try again.
    ///
    /// # Panics
    /// With [`Deadlocked`], if all CPUs wait.
    pub fn wait_for_lock(&self, me: u32) {
        let mut turns = self.turns();
        let me = me as usize;
        turns.cpus[me].blocked = true;
        let ready = |seat: &Seat| seat.present && !seat.blocked;
        match turns.cpus.iter().position(ready) {
            Some(_) => {
                let next = turns.choose(me);
                self.hand(&mut turns, next);
                turns = self.wait(turns, me);
            }
            None => turns.stop = Some(Stop::Deadlock),
        }
        if turns.stop == Some(Stop::Deadlock) {
            drop(turns);
            std::panic::resume_unwind(Box::new(Deadlocked));
        }
    }

    /// Wakes the CPUs that wait, because a lock was released.
    pub fn lock_released(&self) {
        for seat in &mut self.turns().cpus {
            seat.blocked = false;
        }
    }

    /// Records work of CPU `me`, for a program or for the kernel only.
    pub fn worked(&self, me: u32, work: u64, for_program: bool) {
        let mut turns = self.turns();
        turns.work += work;
        if for_program {
            turns.cpus[me as usize].idle = 0;
        }
        if turns.stop.is_none() && turns.limit.work.is_some_and(|limit| turns.work >= limit) {
            turns.stop = Some(Stop::TimeOut);
        }
    }

    /// Stops the run. The first reason is kept.
    pub fn stop(&self, why: Stop) {
        self.turns().stop.get_or_insert(why);
    }

    /// The reason of the stop, if the run is stopped.
    pub fn stopped(&self) -> Option<Stop> {
        self.turns().stop
    }

    /// The work so far.
    pub fn work(&self) -> u64 {
        self.turns().work
    }

    /// CPU `me` leaves for good, and passes the baton to the first CPU that is still there.
    pub fn leave(&self, me: u32) {
        let mut turns = self.turns();
        turns.cpus[me as usize].present = false;
        if let Some(next) = turns.cpus.iter().position(|seat| seat.present) {
            self.hand(&mut turns, next);
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        // A panic with the baton is reported when the thread is joined, and leaves no inconsistent state here.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand(&self, turns: &mut Turns, next: usize) {
        turns.holder = next;
        self.wake[next].notify_one();
    }

    fn wait<'a>(&self, mut turns: MutexGuard<'a, Turns>, me: usize) -> MutexGuard<'a, Turns> {
        while turns.holder != me {
            turns = self.wake[me].wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
        turns
    }
}

impl Turns {
    /// Chooses the next CPU among the possible ones, or `me` if there is no other.
    fn choose(&mut self, me: usize) -> usize {
        let anyone = self.rng.u32(..ANYONE) == 0;
        let can = |seat: &Seat| seat.present && !seat.blocked;
        let busy = |seat: &Seat| can(seat) && seat.idle < IDLE_AFTER;
        let count = |which: &dyn Fn(&Seat) -> bool| self.cpus.iter().filter(|seat| which(seat)).count();
        let (which, among): (&dyn Fn(&Seat) -> bool, usize) = match count(&busy) {
            0 => (&can, count(&can)),
            _ if anyone => (&can, count(&can)),
            some => (&busy, some),
        };
        let lot = self.rng.usize(..among.max(1));
        (0..self.cpus.len()).filter(|&cpu| which(&self.cpus[cpu])).nth(lot).unwrap_or(me)
    }
}

#[cfg(test)]
mod tests {
    use super::{Baton, Deadlocked, Limit, Stop};
    use std::sync::Mutex;
    use std::thread;

    /// The order in which three CPUs get their turns.
    fn order(seed: u64) -> Vec<u32> {
        let (baton, order) = (Baton::new(3, seed, Limit::default()), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for cpu in 0..3 {
                let (baton, order) = (&baton, &order);
                scope.spawn(move || {
                    baton.arrive(cpu);
                    for _ in 0..40 {
                        order.lock().unwrap().push(cpu);
                        baton.worked(cpu, 1, true);
                        baton.pass(cpu);
                    }
                    baton.leave(cpu);
                });
            }
        });
        assert_eq!(baton.work(), 120);
        order.into_inner().unwrap()
    }

    #[test]
    fn the_seed_fixes_the_order() {
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        assert_eq!(order(7).len(), 120);
    }

    #[test]
    fn idle_cpus_rarely_run() {
        let baton = Baton::new(2, 3, Limit { work: Some(10_000), until: None });
        let turns = thread::scope(|scope| {
            let threads = [0, 1].map(|cpu| {
                let baton = &baton;
                scope.spawn(move || {
                    baton.arrive(cpu);
                    let mut turns = 0;
                    while baton.stopped().is_none() {
                        turns += 1;
                        baton.worked(cpu, 1, cpu == 0);
                        baton.pass(cpu);
                    }
                    baton.leave(cpu);
                    turns
                })
            });
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(baton.stopped(), Some(Stop::TimeOut));
        assert!(turns[1] > 100 && turns[0] > 10 * turns[1], "{turns:?}");
    }

    #[test]
    fn a_deadlock_is_found() {
        let baton = Baton::new(2, 1, Limit::default());
        thread::scope(|scope| {
            for cpu in 0..2 {
                let baton = &baton;
                scope.spawn(move || {
                    baton.arrive(cpu);
                    let result = std::panic::catch_unwind(|| baton.wait_for_lock(cpu));
                    assert!(result.is_err_and(|payload| payload.is::<Deadlocked>()));
                    baton.leave(cpu);
                });
            }
        });
        assert_eq!(baton.stopped(), Some(Stop::Deadlock));
    }
}
