//! What is right is proved, and bugs that are planted by hand are reported as what they are.
//!
//! Each planted bug is a contract whose code calls the primitive and then breaks something.
mod z3;

use domain::{Ghost, Map, X64};
use layer::contract::{Answer, Contract};
use layer::fields::FrameUse;
use layer::primitive::{Primitive, primitives};
use prover::{Ground, Outcome, Reason, Sym, catch_panics, prove_primitive, with_engine};
use smt::solver::Solver;

type Machine = Sym<X64>;

/// All solvers that there are.
fn solvers() -> impl Iterator<Item = Solver> {
    z3::z3().into_iter().chain([Solver::embedded(10_000)])
}

fn contract(name: &str) -> (Primitive, Contract<Machine>) {
    primitives::<Machine>().into_iter().find(|(primitive, _)| primitive.name == name).expect("a primitive's name")
}

/// Proves the primitive `name` as `change` leaves its contract, by one of them.
fn verdict(name: &'static str, ground: Ground, change: fn(&mut Contract<Machine>)) -> Outcome {
    verdict_of(z3::z3().unwrap_or_else(|| Solver::embedded(10_000)), name, ground, change)
}

fn verdict_of(solver: Solver, name: &'static str, ground: Ground, change: fn(&mut Contract<Machine>)) -> Outcome {
    catch_panics();
    // As deep as terms are nested.
    let prove = move || {
        with_engine(solver, || {
            let (primitive, mut contract) = contract(name);
            change(&mut contract);
            prove_primitive(&primitive, &contract, ground)
        })
    };
    std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(prove)
        .expect("a thread")
        .join()
        .expect("no panic of its own")
}

/// The bug that `change` plants is reported as a counterexample to a clause that begins with `clause`.
fn caught(name: &'static str, ground: Ground, clause: &str, change: fn(&mut Contract<Machine>)) {
    for solver in solvers() {
        let outcome = verdict_of(solver, name, ground, change);
        let found = outcome.failures.iter().find(|f| f.clause.starts_with(clause));
        let failure = found.unwrap_or_else(|| panic!("not `{clause}` but {:?}", outcome.failures));
        assert_eq!(failure.reason, Reason::Counterexample);
        assert!(!failure.path.is_empty(), "a failure names its path");
        assert!(!failure.state.is_empty(), "a failure names the state that matters");
    }
}

#[test]
fn what_is_right_is_proved() {
    for name in ["palloc", "pt_read", "uctx_set", "proc_exit_user", "sched_init"] {
        for ground in [Ground::High, Ground::Derived] {
            for solver in solvers() {
                let outcome = verdict_of(solver, name, ground, |_| ());
                assert!(outcome.failures.is_empty(), "{name}: {:?}", outcome.failures);
                assert!(outcome.successful_paths > 0, "{name} never succeeds");
            }
        }
    }
}

#[test]
fn an_allocation_that_is_not_charged_is_caught() {
    caught("palloc", Ground::Derived, "D10", |contract| {
        contract.run = |cpu, a| {
            let page = layer::page_alloc::palloc(cpu, a.words[0])?;
            if page != 0 {
                cpu.own.ac.update([a.words[0]], |container| container.usage -= 1);
            }
            Ok(Answer::Word(page))
        };
    });
}

#[test]
fn the_use_of_another_frame_is_caught() {
    caught("palloc", Ground::High, "H12", |contract| {
        contract.run = |cpu, a| {
            let page = layer::page_alloc::palloc(cpu, a.words[0])?;
            cpu.own.ghost.update(|ghost| ghost.pperm.set([a.words[1]], FrameUse::Undef));
            Ok(Answer::Word(page))
        };
        contract.premise = |_, a| a.words[1] < layer::constants::MAX_PAGE;
    });
}

#[test]
fn the_frame_after_the_allocated_one_is_caught() {
    caught("palloc", Ground::Derived, "postcondition", |contract| {
        contract.run = |cpu, a| {
            let page = layer::page_alloc::palloc(cpu, a.words[0])?;
            Ok(Answer::Word(if page == 0 { page } else { page + 1 }))
        };
    });
}

#[test]
fn a_write_outside_the_frame_is_caught() {
    caught("get_curid", Ground::Derived, "frame: intr_flag", |contract| {
        contract.run = |cpu, _| {
            cpu.own.intr_flag = false.into();
            Ok(Answer::Word(layer::thread::get_curid(cpu)?))
        };
    });
}

#[test]
fn a_wrong_promise_is_caught() {
    caught("get_curid", Ground::Derived, "postcondition", |contract| {
        contract.promise = |s| matches!(s.answer, Answer::Word(word) if *word == s.before.own.cpu);
    });
}

#[test]
fn an_overflow_is_caught() {
    caught("get_curid", Ground::Derived, "addition overflows", |contract| {
        contract.run = |cpu, _| {
            layer::thread::get_curid(cpu)?;
            Ok(Answer::Word(cpu.own.nps + 0xFFFF_FFFF))
        };
    });
}

#[test]
fn a_contradictory_premise_is_vacuous() {
    let change = |contract: &mut Contract<Machine>| contract.premise = |_, a| a.words[0] < 1 && a.words[0] > 1;
    let outcome = verdict("palloc", Ground::High, change);
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(outcome.failures[0].reason, Reason::Vacuous);
}

#[test]
fn a_panic_of_the_code_is_reported() {
    let change = |contract: &mut Contract<Machine>| contract.run = |_, _| panic!("on purpose");
    let outcome = verdict("palloc", Ground::High, change);
    assert_eq!(outcome.failures[0].reason, Reason::Panic);
    assert!(outcome.failures[0].clause.contains("on purpose"));
}

#[test]
fn an_endless_path_is_reported() {
    let change = |contract: &mut Contract<Machine>| {
        contract.run = |cpu, _| {
            let mut steps = cpu.own.cpu;
            while steps < cpu.own.nps {
                steps += 1;
            }
            Ok(Answer::Word(steps))
        };
    };
    let outcome = verdict("get_curid", Ground::High, change);
    assert!(outcome.failures.iter().any(|f| f.reason == Reason::Fuel), "{:?}", outcome.failures);
}

/// A program that claims to be a solver.
fn impostor(program: &str) -> Solver {
    Solver::start(&format!("../smt/tests/solvers/{program}"), 10_000).expect("it starts")
}

#[test]
fn a_solver_that_is_none_is_reported() {
    for program in ["dies.sh", "rubbish.sh"] {
        let outcome = verdict_of(impostor(program), "palloc", Ground::High, |_| ());
        assert_eq!(outcome.failures[0].reason, Reason::Solver, "{program}");
    }
}

#[test]
fn solvers_that_contradict_each_other_prove_nothing() {
    let replay = std::env::temp_dir().join(format!("cairn-{}-contradiction", std::process::id()));
    let main = ("embedded".to_string(), Solver::embedded(10_000));
    let solver = Solver::cross_check(main, vec![("liar".to_string(), impostor("liar.sh"))], replay.clone());
    let outcome = verdict_of(solver, "get_curid", Ground::High, |_| ());
    assert_eq!(outcome.failures[0].reason, Reason::Disagreement);
    let file = format!("{}-1.smt2", replay.display());
    assert!(outcome.failures[0].clause.ends_with(&file), "{}", outcome.failures[0].clause);
    std::fs::remove_file(file).expect("the question was written");
}
