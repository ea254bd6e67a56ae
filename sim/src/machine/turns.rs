//! The turn scheduler. Each CPU is a thread, and only the CPU whose turn it is runs.
//!
//! Before a lock is taken and between slices of a program's instructions, the turn passes to a CPU that a seeded
//! random generator chooses. So the seed determines the whole run.
use fastrand::Rng;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One of this many passes can go to any CPU, the others only to recently busy ones.
const ANYONE: u32 = 16;
/// The number of successive idle passes after which a CPU counts as idle.
const IDLE_AFTER: u32 = 4;

/// The turn scheduler of a machine. It decides which CPU runs.
#[derive(Debug)]
pub struct TurnScheduler {
    state: Mutex<State>,
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
    /// An instant of real time. A run that ends in this way is not reproducible.
    pub until: Option<Instant>,
}

/// The payload of a panic that ends a CPU's thread inside a primitive, because a lock will never be released.
#[derive(Debug)]
pub struct Deadlocked;

#[derive(Debug)]
struct State {
    /// The CPU whose turn it is.
    running: usize,
    cpus: Vec<Turns>,
    rng: Rng,
    stop: Option<Stop>,
    work: u64,
    limit: Limit,
}

/// The scheduler's state of one CPU.
#[derive(Clone, Debug)]
struct Turns {
    /// The CPU has not left.
    present: bool,
    /// The CPU waits for a lock of another CPU.
    blocked: bool,
    /// The number of passes since the CPU last worked for a program.
    idle: u32,
}

impl TurnScheduler {
    /// The turn scheduler of a machine with `cpus` CPUs. The first turn is that of CPU 0.
    pub fn new(cpus: u32, seed: u64, limit: Limit) -> Self {
        let cpu = Turns { present: true, blocked: false, idle: 0 };
        TurnScheduler {
            state: Mutex::new(State {
                running: 0,
                cpus: vec![cpu; cpus as usize],
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
        drop(self.wait(self.state(), me as usize));
    }

    /// Passes the turn to a randomly chosen CPU, perhaps the same. Returns at the next turn of CPU `me`.
    ///
    /// After a stop, each CPU keeps its turn until it leaves.
    pub fn pass(&self, me: u32) {
        let mut state = self.state();
        if state.stop.is_none() && state.limit.until.is_some_and(|until| Instant::now() >= until) {
            state.stop = Some(Stop::TimeOut);
        }
        if state.stop.is_some() {
            return;
        }
        let me = me as usize;
        let cpu = &mut state.cpus[me];
        cpu.idle = (cpu.idle + 1).min(IDLE_AFTER);
        let next = state.choose(me);
        if next != me {
            self.hand(&mut state, next);
            drop(self.wait(state, me));
        }
    }

    /// Waits for a lock that another CPU holds. Passes the turn, and returns when CPU `me` should try again.
    ///
    /// # Panics
    /// With [`Deadlocked`], if all CPUs wait.
    pub fn wait_for_lock(&self, me: u32) {
        let mut state = self.state();
        let me = me as usize;
        state.cpus[me].blocked = true;
        let ready = |cpu: &Turns| cpu.present && !cpu.blocked;
        match state.cpus.iter().position(ready) {
            Some(_) => {
                let next = state.choose(me);
                self.hand(&mut state, next);
                state = self.wait(state, me);
            }
            None => state.stop = Some(Stop::Deadlock),
        }
        if state.stop == Some(Stop::Deadlock) {
            drop(state);
            std::panic::resume_unwind(Box::new(Deadlocked));
        }
    }

    /// Wakes the CPUs that wait, because a lock was released.
    pub fn lock_released(&self) {
        for cpu in &mut self.state().cpus {
            cpu.blocked = false;
        }
    }

    /// Records work of CPU `me`, for a program or for the kernel only.
    pub fn worked(&self, me: u32, work: u64, for_program: bool) {
        let mut state = self.state();
        state.work += work;
        if for_program {
            state.cpus[me as usize].idle = 0;
        }
        if state.stop.is_none() && state.limit.work.is_some_and(|limit| state.work >= limit) {
            state.stop = Some(Stop::TimeOut);
        }
    }

    /// Stops the run. The first reason is kept.
    pub fn stop(&self, why: Stop) {
        self.state().stop.get_or_insert(why);
    }

    /// The reason of the stop, if the run is stopped.
    pub fn stopped(&self) -> Option<Stop> {
        self.state().stop
    }

    /// The work so far.
    pub fn work(&self) -> u64 {
        self.state().work
    }

    /// CPU `me` leaves for good, and passes the turn to the first CPU that is still there.
    pub fn leave(&self, me: u32) {
        let mut state = self.state();
        state.cpus[me as usize].present = false;
        if let Some(next) = state.cpus.iter().position(|cpu| cpu.present) {
            self.hand(&mut state, next);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of a CPU is reported when the thread is joined, and leaves no inconsistent state here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand(&self, state: &mut State, next: usize) {
        state.running = next;
        self.wake[next].notify_one();
    }

    fn wait<'a>(&self, mut state: MutexGuard<'a, State>, me: usize) -> MutexGuard<'a, State> {
        while state.running != me {
            state = self.wake[me].wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }
}

impl State {
    /// Chooses the next CPU among the possible ones, or `me` if there is no other.
    fn choose(&mut self, me: usize) -> usize {
        let anyone = self.rng.u32(..ANYONE) == 0;
        let can = |cpu: &Turns| cpu.present && !cpu.blocked;
        let busy = |cpu: &Turns| can(cpu) && cpu.idle < IDLE_AFTER;
        let count = |which: &dyn Fn(&Turns) -> bool| self.cpus.iter().filter(|cpu| which(cpu)).count();
        let (which, among): (&dyn Fn(&Turns) -> bool, usize) = match count(&busy) {
            0 => (&can, count(&can)),
            _ if anyone => (&can, count(&can)),
            some => (&busy, some),
        };
        let chosen = self.rng.usize(..among.max(1));
        (0..self.cpus.len()).filter(|&cpu| which(&self.cpus[cpu])).nth(chosen).unwrap_or(me)
    }
}

#[cfg(test)]
mod tests {
    use super::{Deadlocked, Limit, Stop, TurnScheduler};
    use std::sync::Mutex;
    use std::thread;

    /// The order in which three CPUs get their turns.
    fn order(seed: u64) -> Vec<u32> {
        let (turns, order) = (TurnScheduler::new(3, seed, Limit::default()), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for cpu in 0..3 {
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    turns.arrive(cpu);
                    for _ in 0..40 {
                        order.lock().unwrap().push(cpu);
                        turns.worked(cpu, 1, true);
                        turns.pass(cpu);
                    }
                    turns.leave(cpu);
                });
            }
        });
        assert_eq!(turns.work(), 120);
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
        let scheduler = TurnScheduler::new(2, 3, Limit { work: Some(10_000), until: None });
        let turns = thread::scope(|scope| {
            let threads = [0, 1].map(|cpu| {
                let scheduler = &scheduler;
                scope.spawn(move || {
                    scheduler.arrive(cpu);
                    let mut turns = 0;
                    while scheduler.stopped().is_none() {
                        turns += 1;
                        scheduler.worked(cpu, 1, cpu == 0);
                        scheduler.pass(cpu);
                    }
                    scheduler.leave(cpu);
                    turns
                })
            });
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(scheduler.stopped(), Some(Stop::TimeOut));
        assert!(turns[1] > 100 && turns[0] > 10 * turns[1], "{turns:?}");
    }

    #[test]
    fn a_deadlock_is_found() {
        let turns = TurnScheduler::new(2, 1, Limit::default());
        thread::scope(|scope| {
            for cpu in 0..2 {
                let turns = &turns;
                scope.spawn(move || {
                    turns.arrive(cpu);
                    let result = std::panic::catch_unwind(|| turns.wait_for_lock(cpu));
                    assert!(result.is_err_and(|payload| payload.is::<Deadlocked>()));
                    turns.leave(cpu);
                });
            }
        });
        assert_eq!(turns.stopped(), Some(Stop::Deadlock));
    }
}
