//! The external solver for tests.
use smt::solver::Solver;

/// The z3 that `cargo cairn setup` installs, or the one on the search path. `None` if there is neither.
pub fn z3() -> Option<Solver> {
    let pinned = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/z3/bin/z3");
    let start = |program| Solver::start(program, 10_000);
    start(pinned).or_else(|_| start("z3")).ok()
}
