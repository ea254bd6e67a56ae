//! Specification-only state.

/// State that only the specification speaks of.
///
/// It can be changed, and can only say yes or no to a check that erasure answers with yes: it never flows
/// into what runs, so leaving it out changes no result of a run that passes its checks.
pub trait Ghost<T> {
    /// Changes it.
    fn update(&mut self, change: impl FnOnce(&mut T));
    /// What `check` says of it; `true` where it is erased. It may be asked more than once.
    fn check(&self, check: impl Fn(&T) -> bool) -> bool;
}

/// Ghost state that is kept: hosted, symbolically, and in a checked kernel build.
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

/// Ghost state that is not there: zero bytes.
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
