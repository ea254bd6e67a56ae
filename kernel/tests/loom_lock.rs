//! Tries, by loom, every interleaving of a few CPUs on each kind of lock:
//! `RUSTFLAGS="--cfg loom" cargo test -p kernel --release --test 'loom_*' --target-dir target/loom`.
#![cfg(loom)]

use kernel::sync::lock::{Lock, Mcs, Raw, Ticket};
use loom::model::Builder;
use loom::{sync::Arc, thread};

/// Each of `cpus` CPUs locks once, and must be alone while it holds the lock.
fn all_get_it_alone<R: Raw + Send + Sync + 'static>(cpus: usize, preemptions: Option<usize>) {
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(move || {
        let lock = Arc::new(Lock::<usize, R>::new(0));
        let others: Vec<_> = (1..cpus)
            .map(|_| {
                let lock = lock.clone();
                thread::spawn(move || *lock.lock() += 1)
            })
            .collect();
        *lock.lock() += 1;
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        assert_eq!(*lock.lock(), cpus);
    });
}

/// One CPU locks twice; another tries once.
fn who_tries_gets_it_alone_or_not<R: Raw + Send + Sync + 'static>() {
    loom::model(|| {
        let lock = Arc::new(Lock::<usize, R>::new(0));
        let other = {
            let lock = lock.clone();
            thread::spawn(move || match lock.try_lock() {
                Some(mut guard) => {
                    *guard += 1;
                    1
                }
                None => 0,
            })
        };
        *lock.lock() += 1;
        *lock.lock() += 1;
        let taken = other.join().expect("no panic");
        assert_eq!(*lock.lock(), 2 + taken);
    });
}

#[test]
fn two_cpus_and_tickets() {
    all_get_it_alone::<Ticket>(2, None);
}

#[test]
fn two_cpus_and_a_queue() {
    all_get_it_alone::<Mcs>(2, None);
}

// With three CPUs, one waits in line behind another that waits. (This is not tried with ticket locks: two waiting CPUs
// could read the same word in turn for ever, which loom takes for an endless loop.)
#[test]
fn three_cpus_and_a_queue() {
    all_get_it_alone::<Mcs>(3, Some(2));
}

#[test]
fn one_cpu_tries_and_tickets() {
    who_tries_gets_it_alone_or_not::<Ticket>();
}

#[test]
fn one_cpu_tries_and_a_queue() {
    who_tries_gets_it_alone_or_not::<Mcs>();
}
