//! Every interleaving of a few CPUs on the lock, by loom:
//! `RUSTFLAGS="--cfg loom" cargo test -p kernel --test loom_lock --target-dir target/loom`.
#![cfg(loom)]

use kernel::lock::Lock;
use loom::{sync::Arc, thread};

#[test]
fn two_cpus_exclude_each_other() {
    loom::model(|| {
        let lock = Arc::new(Lock::new(0));
        let other = {
            let lock = lock.clone();
            thread::spawn(move || *lock.lock() += 1)
        };
        *lock.lock() += 1;
        other.join().expect("no panic");
        assert_eq!(*lock.lock(), 2);
    });
}

#[test]
fn one_cpu_locks_twice_while_another_tries() {
    loom::model(|| {
        let lock = Arc::new(Lock::new(0));
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
