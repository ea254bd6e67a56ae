//! Ghost state: state that only the specification reads.

/// Ghost state: state that only the specification reads.
///
/// Ghost state may be updated and asserted, never read. Once erased, an assertion is true. So ghost state never
/// influences execution: erasing it does not change the result of a run whose assertions hold.
pub trait Ghost<T> {
    /// Updates the ghost state.
    fn update(&mut self, change: impl FnOnce(&mut T));
    /// Asserts `check`: its value, or `true` if ghost state is erased. `check` may be called more than once.
    fn check(&self, check: impl Fn(&T) -> bool) -> bool;
}

/// Ghost state that is present, as on the hosted machine.
#[derive(Clone, Debug)]
pub struct Present<T>(pub T);

impl<T> Ghost<T> for Present<T> {
    #[track_caller]
    fn update(&mut self, change: impl FnOnce(&mut T)) {
        change(&mut self.0)
    }
    #[track_caller]
    fn check(&self, check: impl Fn(&T) -> bool) -> bool {
        check(&self.0)
    }
}

/// Erased ghost state, of zero bytes.
#[derive(Clone, Copy, Debug)]
pub struct Erased;

impl<T> Ghost<T> for Erased {
    #[inline(always)]
    fn update(&mut self, _: impl FnOnce(&mut T)) {}
    #[inline(always)]
    fn check(&self, _: impl Fn(&T) -> bool) -> bool {
        true
    }
}
