//! How solvers differ: options, bounds, and the time to wait for an answer.
use std::time::Duration;

/// The commands that a solver understands besides those of SMT-LIB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dialect {
    /// A z3 that counts its steps: its answers do not depend on the load of the machine.
    Steps,
    /// A z3 that no longer returns values if its steps are bounded.
    Milliseconds,
    /// A cvc5; its bound is on time as well.
    Cvc5,
    /// Another solver.
    Plain,
}

impl Dialect {
    /// Number of steps that take about a millisecond.
    const PER_MILLISECOND: u64 = 4_000;

    /// The first major version of z3 whose steps are counted.
    const STEPS_SINCE: u32 = 5;

    /// The dialect of the solver with these answers to `(get-info :name)` and `(get-info :version)`.
    pub fn of(name: &str, version: &str) -> Dialect {
        let name = name.to_lowercase();
        if name.contains("cvc5") {
            return Dialect::Cvc5;
        }
        if !name.contains("z3") {
            return Dialect::Plain;
        }
        let number = version.trim_start_matches("(:version").trim_matches([' ', '"', ')']);
        let major = number.split('.').next().and_then(|major| major.parse().ok());
        if major.is_some_and(|major: u32| major >= Dialect::STEPS_SINCE) {
            Dialect::Steps
        } else {
            Dialect::Milliseconds
        }
    }

    /// The options that the solver gets before anything else.
    pub fn options(self) -> &'static str {
        match self {
            // Cuts and equalities that follow from bounds cost more than they save in these queries: without them, the
            // proofs of all primitives together take a sixth less time.
            Dialect::Steps => {
                "(set-option :produce-models true)\n\
                 (set-option :smt.arith.enable_hnf false)\n\
                 (set-option :smt.arith.propagate_eqs false)\n"
            }
            Dialect::Cvc5 | Dialect::Plain => "(set-option :produce-models true)\n",
            // With its newer arithmetic, this old version gets lost in divisions, even beyond its time limit.
            Dialect::Milliseconds => "(set-option :produce-models true)\n(set-option :smt.arith.solver 2)\n",
        }
    }

    /// The command that bounds each later query by about `milliseconds`.
    pub fn bound(self, milliseconds: u32) -> String {
        match self {
            Dialect::Steps => format!("(set-option :rlimit {})\n", u64::from(milliseconds) * Dialect::PER_MILLISECOND),
            Dialect::Milliseconds => format!("(set-option :timeout {milliseconds})\n"),
            Dialect::Cvc5 => format!("(set-option :tlimit-per {milliseconds})\n"),
            Dialect::Plain => String::new(),
        }
    }

    /// The time to wait for an answer before the solver counts as one that ignores its bound.
    pub fn patience(self, milliseconds: u32, fail_fast: bool) -> Duration {
        let bound = Duration::from_millis(milliseconds.into());
        match self {
            // Steps can be slow, and the machine can be busy.
            Dialect::Steps if !fail_fast => bound * 10 + Duration::from_secs(5),
            Dialect::Steps | Dialect::Milliseconds | Dialect::Cvc5 | Dialect::Plain => {
                bound + Duration::from_millis(500)
            }
        }
    }
}
