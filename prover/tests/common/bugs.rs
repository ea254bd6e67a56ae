//! Bugs that are planted into entries, and must be found.
use super::{enter, solver};
use layer::core::geometry::X64;
use prover::{Failure, Reason, Sym};
use sim::machine::Sim;
use syscall::table::KernelEntry;

/// A bug: the entry, the clause that it violates, and the change of the row.
pub struct Bug {
    /// The entry.
    pub entry: &'static str,
    /// The beginning of the clause's name.
    pub clause: &'static str,
    /// The change of the row on the symbolic machine.
    pub symbolic: fn(&mut KernelEntry<Sym<X64>>),
    /// The same change on the hosted machine.
    pub hosted: fn(&mut KernelEntry<Sim>),
}

/// The counterexample to the clause that the bug violates.
pub fn counterexample(bug: &Bug) -> Failure {
    let failures = enter(solver(), bug.entry, bug.symbolic, bug.hosted).failures;
    let found = failures.iter().find(|failure| failure.clause.starts_with(bug.clause));
    found.unwrap_or_else(|| panic!("{}: not `{}` but {failures:#?}", bug.entry, bug.clause)).clone()
}

/// Checks that the bug is found and that its counterexample fails when it is run.
pub fn confirms(bug: &Bug) {
    let failure = counterexample(bug);
    assert_eq!(failure.reason, Reason::Counterexample, "{failure:#?}");
    assert!(failure.confirmed && failure.counterexample.is_some(), "{failure:#?}");
    println!("{}: {} {:?} {}", bug.entry, failure.clause, failure.state, failure.ending);
}

/// A test for each bug: it is found, and its counterexample fails when it is run.
#[macro_export]
macro_rules! planted {
    ($($(#[$meta:meta])* $test:ident: $entry:literal breaks $clause:literal, $plant:expr;)*) => {
        /// The bugs, with the names of their tests.
        mod bugs {
            use super::*;
            $($(#[$meta])* pub fn $test<M: System + Spec>(row: &mut KernelEntry<M>) {
                let plant: fn(&mut KernelEntry<M>) = $plant;
                plant(row)
            })*
        }
        $(#[test]
        fn $test() {
            let (symbolic, hosted) = (bugs::$test, bugs::$test);
            $crate::common::bugs::confirms(&$crate::common::bugs::Bug { entry: $entry, clause: $clause, symbolic, hosted });
        })*
    };
}
