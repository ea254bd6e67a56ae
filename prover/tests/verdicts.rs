//! What is right is proved, and a proof that comes to nothing is reported as what it is.
mod common;

use common::{Symbolic, prove, z3};
use layer::contract::Answer;
use prover::{Ground, Outcome, Reason};

/// Proves the primitive `name` as `change` leaves its contract; nothing where there is no solver.
fn verdict(name: &str, ground: Ground, change: fn(&mut Symbolic)) -> Option<Outcome> {
    Some(prove(&z3()?.to_string_lossy(), name, ground, change, |_| ()))
}

#[test]
fn what_is_right_is_proved() {
    for name in ["palloc", "pt_read", "uctx_set", "proc_exit_user", "sched_init"] {
        for ground in [Ground::High, Ground::Derived] {
            let Some(outcome) = verdict(name, ground, |_| ()) else { return };
            assert!(outcome.failures.is_empty(), "{name}: {:?}", outcome.failures);
            assert!(outcome.successful_paths > 0, "{name} never succeeds");
        }
    }
}

#[test]
fn a_contradictory_premise_is_vacuous() {
    let change = |contract: &mut Symbolic| contract.premise = |_, a| a.words[0] < 1 && a.words[0] > 1;
    let Some(outcome) = verdict("palloc", Ground::High, change) else { return };
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(outcome.failures[0].reason, Reason::Vacuous);
}

#[test]
fn a_panic_of_the_code_is_reported() {
    let change = |contract: &mut Symbolic| contract.run = |_, _| panic!("on purpose");
    let Some(outcome) = verdict("palloc", Ground::High, change) else { return };
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
    let Some(outcome) = verdict("get_curid", Ground::High, change) else { return };
    assert!(outcome.failures.iter().any(|f| f.reason == Reason::Fuel), "{:?}", outcome.failures);
}

#[test]
fn a_solver_that_is_none_is_reported() {
    for solver in ["dies.sh", "rubbish.sh"] {
        let outcome = prove(&format!("../smt/tests/solvers/{solver}"), "palloc", Ground::High, |_| (), |_| ());
        assert_eq!(outcome.failures[0].reason, Reason::Solver, "{solver}");
    }
}
