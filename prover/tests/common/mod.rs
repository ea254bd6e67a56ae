//! Proofs of primitives whose contracts were changed.
use domain::X64;
use layer::contract::Contract;
use layer::primitive::primitives;
use prover::{Ground, Outcome, Sym, catch_panics, prove_primitive, with_engine};
use sim::machine::Sim;
use smt::solver::Solver;

/// A contract of the prover's machine.
pub type Symbolic = Contract<Sym<X64>>;

#[path = "../z3/mod.rs"]
mod z3;

pub use z3::z3;

/// The z3 that there is, or the embedded solver.
pub fn solver() -> Solver {
    z3().unwrap_or_else(|| Solver::embedded(10_000))
}

/// Proves the primitive `name` as `symbolic` leaves its contract, and `hosted` that of the hosted machine.
pub fn prove(
    solver: Solver,
    name: &str,
    ground: Ground,
    symbolic: fn(&mut Symbolic),
    hosted: fn(&mut Contract<Sim>),
) -> Outcome {
    catch_panics();
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
