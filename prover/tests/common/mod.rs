//! Proofs of primitives with changed contracts, and of entries with changed rows.
#![allow(dead_code, reason = "no test needs all of it")]
use layer::catalogue::primitives;
use layer::core::geometry::X64;
use layer::spec::contract::Contract;
use prover::{InvariantSet, Outcome, Sym, catch_panics, prove_entry, prove_primitive, with_engine};
use sim::machine::Sim;
use smt::solver::Solver;
use syscall::table::{KernelEntry, rows};

/// A contract on the symbolic machine.
pub type Symbolic = Contract<Sym<X64>>;

pub mod bugs;

#[path = "../z3/mod.rs"]
mod z3;

pub use z3::z3;

/// z3 if it is installed, otherwise the embedded solver.
pub fn solver() -> Solver {
    z3().unwrap_or_else(|| Solver::embedded(10_000))
}

/// Proves the primitive `name`. `symbolic` changes its contract, and `hosted` the contract on the hosted machine.
pub fn prove(
    solver: Solver,
    name: &str,
    invariants: InvariantSet,
    symbolic: fn(&mut Symbolic),
    hosted: fn(&mut Contract<Sim>),
) -> Outcome {
    let at = primitives::<Sim>().iter().position(|row| row.0.name == name).expect("a primitive's name");
    proved(solver, move || {
        let (primitive, mut contract) = primitives::<Sym<X64>>()[at];
        let (_, mut native) = primitives::<Sim>()[at];
        symbolic(&mut contract);
        hosted(&mut native);
        prove_primitive(&primitive, &contract, &native, invariants)
    })
}

/// Proves the entry `name`. `symbolic` changes its row, and `hosted` the row on the hosted machine.
pub fn enter(
    solver: Solver,
    name: &str,
    symbolic: fn(&mut KernelEntry<Sym<X64>>),
    hosted: fn(&mut KernelEntry<Sim>),
) -> Outcome {
    let at = rows::<Sim>().iter().position(|row| row.name == name).expect("an entry's name");
    proved(solver, move || {
        let (mut row, mut native) = (rows::<Sym<X64>>()[at], rows::<Sim>()[at]);
        symbolic(&mut row);
        hosted(&mut native);
        prove_entry(&row, &native)
    })
}

/// The result of `proof`, with `solver`.
fn proved(solver: Solver, proof: impl FnOnce() -> Outcome + Send + 'static) -> Outcome {
    catch_panics();
    // The stack is large because terms are walked by recursion.
    std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(move || with_engine(solver, proof))
        .expect("a thread")
        .join()
        .expect("no panic of its own")
}
