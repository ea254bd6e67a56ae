//! Values that a thread has only while it does some work.
use std::cell::RefCell;
use std::thread::LocalKey;

/// Runs `work` while `slot` holds `value`. The slot is empty when the work ends, even if the work panics.
pub(super) fn with<T, R>(slot: &'static LocalKey<RefCell<Option<T>>>, value: T, work: impl FnOnce() -> R) -> R {
    struct Emptied<T: 'static>(&'static LocalKey<RefCell<Option<T>>>);
    impl<T> Drop for Emptied<T> {
        fn drop(&mut self) {
            self.0.take();
        }
    }
    slot.set(Some(value));
    let _emptied = Emptied(slot);
    work()
}
