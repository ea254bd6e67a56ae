//! A value that is set once, at boot, and then read by every CPU without a lock.
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A cell for a reference that lives for ever.
#[derive(Debug)]
pub struct Once<T: 'static>(AtomicPtr<T>);

impl<T: Sync> Once<T> {
    /// An empty cell.
    pub const fn new() -> Self {
        Once(AtomicPtr::new(ptr::null_mut()))
    }

    /// Sets the value, unless it was set before; returns whether it did.
    pub fn set(&self, value: &'static T) -> bool {
        let value = ptr::from_ref(value).cast_mut();
        self.0.compare_exchange(ptr::null_mut(), value, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The value, if it was set.
    #[inline(always)]
    pub fn get(&self) -> Option<&'static T> {
        // SAFETY: the pointer is null or comes from a reference that lives for ever (`set`), and nothing is written
        // through it; `T: Sync` lets every CPU have it.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }
}

impl<T: Sync> Default for Once<T> {
    fn default() -> Self {
        Once::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Once;

    #[test]
    fn the_first_value_stays() {
        static CELL: Once<u32> = Once::new();
        assert_eq!(CELL.get(), None);
        assert!(CELL.set(&1));
        assert!(!CELL.set(&2));
        assert_eq!(CELL.get(), Some(&1));
    }
}
