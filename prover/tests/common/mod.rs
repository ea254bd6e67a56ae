//! Proofs of primitives whose contracts were changed.
use domain::X64;
use layer::contract::Contract;
use layer::primitive::primitives;
use prover::{Ground, Outcome, Sym, catch_panics, prove_primitive, with_engine};
use sim::machine::Sim;
use smt::solver::Solver;
use std::path::PathBuf;

/// A contract of the prover's machine.
pub type Symbolic = Contract<Sym<X64>>;

/// The solver that `cargo cairn setup` installs, or the one on the search path.
pub fn z3() -> Option<PathBuf> {
    let pinned = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/tools/z3/bin/z3");
    let on_path = || std::env::split_paths(&std::env::var_os("PATH")?).map(|d| d.join("z3")).find(|p| p.is_file());
    let found = if pinned.is_file() { Some(pinned) } else { on_path() };
    if found.is_none() {
        eprintln!("skipped: no z3; `cargo cairn setup` installs one");
    }
    found
}

/// Proves the primitive `name` as `symbolic` leaves its contract, and `hosted` that of the hosted machine.
pub fn prove(
    solver: &str,
    name: &str,
    ground: Ground,
    symbolic: fn(&mut Symbolic),
    hosted: fn(&mut Contract<Sim>),
) -> Outcome {
    catch_panics();
    let solver = Solver::start(solver, 10_000).expect("the solver starts");
    let at = primitives::<Sim>().iter().position(|row| row.0.name == name).expect("a primitive's name");
    let prove = move || {
        with_engine(solver, || {
            let (primitive, mut contract) = primitives::<Sym<X64>>()[at];
            let (_, mut native) = primitives::<Sim>()[at];
            symbolic(&mut contract);
            hosted(&mut native);
            prove_primitive(&primitive, &contract, &native, ground)
        })
    };
    // As deep as terms are nested.
    std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(prove)
        .expect("a thread")
        .join()
        .expect("no panic of its own")
}
