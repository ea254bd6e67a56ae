//! Distributes work over several threads.
use std::collections::VecDeque;
use std::sync::{Mutex, mpsc};

/// Runs `work` for each number in `order`, on `workers` threads. `order` has all numbers below its length. Calls `done`
/// with each result as soon as it is available, and returns the results by number.
pub(crate) fn side_by_side<R: Send>(
    order: &[usize],
    workers: usize,
    work: &(dyn Fn(usize) -> R + Sync),
    done: &mut dyn FnMut(usize, &R),
) -> Vec<R> {
    let queue = Mutex::new(order.iter().copied().collect::<VecDeque<usize>>());
    let take = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop_front();
    let (sender, receiver) = mpsc::channel();
    let mut results: Vec<(usize, R)> = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            let sender = sender.clone();
            let take = &take;
            let worker = move || {
                while let Some(i) = take() {
                    if sender.send((i, work(i))).is_err() {
                        return;
                    }
                }
            };
            // Terms are walked by recursion, as deep as they are nested, so the stack must be
            // large.
            std::thread::Builder::new()
                .stack_size(64 << 20)
                .spawn_scoped(scope, worker)
                .expect("the system has threads for a worker a core");
        }
        drop(sender);
        for (i, result) in receiver {
            done(i, &result);
            results.push((i, result));
        }
    });
    results.sort_by_key(|(i, _)| *i);
    results.into_iter().map(|(_, result)| result).collect()
}
