//! Correct contracts are proved, and an inconclusive proof is reported with the right reason.
mod common;

use common::{Symbolic, prove, solver, z3};
use layer::core::call::Answer;
use prover::{InvariantSet, Outcome, Reason};
use smt::solver::Solver;

/// All available solvers.
fn solvers() -> impl Iterator<Item = Solver> {
    z3().into_iter().chain([Solver::embedded(10_000)])
}

/// Proves the primitive `name` with its contract changed, by the available solver.
fn verdict(name: &str, invariants: InvariantSet, change: fn(&mut Symbolic)) -> Outcome {
    prove(solver(), name, invariants, change, |_| ())
}

#[test]
fn what_is_right_is_proved() {
    for name in ["palloc", "pt_read", "uctx_set", "proc_exit_user", "sched_init"] {
        for invariants in [InvariantSet::High, InvariantSet::Derived] {
            for solver in solvers() {
                let outcome = prove(solver, name, invariants, |_| (), |_| ());
                assert!(outcome.failures.is_empty(), "{name}: {:?}", outcome.failures);
                assert!(outcome.successful_paths > 0, "{name} never succeeds");
            }
        }
    }
}

#[test]
fn a_proof_says_from_what() {
    assert_eq!([InvariantSet::High, InvariantSet::Derived].map(InvariantSet::word), ["H and L", "H, L and D"]);
}

#[test]
#[allow(clippy::impossible_comparisons, reason = "that is the point")]
fn a_contradictory_premise_is_vacuous() {
    let change = |contract: &mut Symbolic| contract.assumes = |_, a| a.words[0] < 1 && a.words[0] > 1;
    let outcome = verdict("palloc", InvariantSet::High, change);
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(outcome.failures[0].reason, Reason::Vacuous);
}

#[test]
fn a_panic_of_the_code_is_reported() {
    let change = |contract: &mut Symbolic| contract.run = |_, _| panic!("on purpose");
    let outcome = verdict("palloc", InvariantSet::High, change);
    assert_eq!(outcome.failures[0].reason, Reason::Panic);
    assert!(outcome.failures[0].clause.contains("on purpose"));
}

#[test]
fn an_endless_path_is_reported() {
    let change = |contract: &mut Symbolic| {
        contract.run = |cpu, _| {
            let mut steps = cpu.own.cpu;
            while steps < cpu.own.nps {
                steps += 1;
            }
            Ok(Answer::Word(steps))
        };
    };
    let outcome = verdict("get_curid", InvariantSet::High, change);
    assert!(outcome.failures.iter().any(|f| f.reason == Reason::Fuel), "{:?}", outcome.failures);
}

/// A program that only pretends to be a solver.
fn impostor(program: &str) -> Solver {
    Solver::start(&format!("../smt/tests/solvers/{program}"), 10_000).expect("it starts")
}

#[test]
fn a_solver_that_is_none_is_reported() {
    for program in ["dies.sh", "rubbish.sh"] {
        let outcome = prove(impostor(program), "palloc", InvariantSet::High, |_| (), |_| ());
        assert_eq!(outcome.failures[0].reason, Reason::Solver, "{program}");
    }
}

#[test]
fn solvers_that_contradict_each_other_prove_nothing() {
    let query_file = std::env::temp_dir().join(format!("cairn-{}-contradiction", std::process::id()));
    let main = ("embedded".to_string(), Solver::embedded(10_000));
    let solver = Solver::cross_check(main, vec![("liar".to_string(), impostor("liar.sh"))], query_file.clone());
    let outcome = prove(solver, "get_curid", InvariantSet::High, |_| (), |_| ());
    assert_eq!(outcome.failures[0].reason, Reason::Disagreement);
    let file = format!("{}-1.smt2", query_file.display());
    assert!(outcome.failures[0].clause.ends_with(&file), "{}", outcome.failures[0].clause);
    std::fs::remove_file(file).expect("the question was written");
}

#[test]
fn what_was_answered_before_proves_nothing_of_what_was_changed() {
    let file = std::env::temp_dir().join(format!("cairn-{}-answers", std::process::id()));
    let wrong = |contract: &mut Symbolic| {
        contract.run = |cpu, _| {
            cpu.own.cur += 1;
            Ok(Answer::Word(cpu.own.cur))
        };
    };
    let proved = |change: fn(&mut Symbolic)| {
        let solver = Solver::cached(|| Ok(solver()), "the same each time", file.clone());
        let Outcome { failures, counts, .. } = prove(solver, "uctx_set", InvariantSet::High, change, |_| ());
        (failures, counts.obligations)
    };
    let (failures, obligations) = proved(|_| ());
    assert!(failures.is_empty() && obligations > 0, "{failures:?}");
    let kept = std::fs::read(&file).expect("the answers were written");
    let (failures, again) = proved(|_| ());
    assert!(failures.is_empty() && again == obligations, "{failures:?}");
    assert_eq!(std::fs::read(&file).expect("they stay"), kept, "nothing new was asked");

    let (failures, _) = proved(wrong);
    assert!(!failures.is_empty(), "what is wrong was proved");
    let (failures, again) = proved(|_| ());
    assert!(failures.is_empty() && again == obligations, "{failures:?}");
    std::fs::remove_file(file).expect("the answers were written");
}
