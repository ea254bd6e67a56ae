//! Tries, by loom, every interleaving of a CPU that halts with others that put work before it:
//! `RUSTFLAGS="--cfg loom" cargo test -p kernel --test loom_doorbell --target-dir target/loom`.
#![cfg(loom)]

use kernel::sync::doorbell::Doorbell;
use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

/// A CPU: the work put before it, its bell, and the number of interrupts that were sent to it.
struct Cpu {
    things: AtomicU32,
    bell: Doorbell,
    interrupts: AtomicU32,
}

impl Cpu {
    fn new() -> Arc<Cpu> {
        Arc::new(Cpu { things: AtomicU32::new(0), bell: Doorbell::new(), interrupts: AtomicU32::new(0) })
    }

    /// Puts one item of work before the CPU.
    fn put(&self) {
        // The order is relaxed: the bell makes the write visible to the owner.
        self.things.fetch_add(1, Ordering::Relaxed);
        if self.bell.ring() {
            self.interrupts.fetch_add(1, Ordering::Release);
        }
    }

    /// Waits until there are `many` items of work. A lost wake-up is an endless loop, which loom
    /// reports.
    fn wait(&self, many: u32) {
        let mut taken = 0;
        while self.things.load(Ordering::Relaxed) < many {
            if self.bell.may_halt() {
                // An interrupt that was sent before the halt ends it as well.
                while self.interrupts.load(Ordering::Acquire) == taken {
                    thread::yield_now();
                }
                taken += 1;
                self.bell.wake();
            }
        }
    }
}

#[test]
fn no_wake_up_is_lost() {
    loom::model(|| {
        let cpu = Cpu::new();
        let other = {
            let cpu = cpu.clone();
            thread::spawn(move || cpu.put())
        };
        cpu.wait(1);
        other.join().expect("no panic");
    });
}

#[test]
fn none_of_two_is_lost() {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let cpu = Cpu::new();
        let others = [(); 2].map(|()| {
            let cpu = cpu.clone();
            thread::spawn(move || cpu.put())
        });
        cpu.wait(2);
        others.into_iter().for_each(|other| other.join().expect("no panic"));
    });
}
