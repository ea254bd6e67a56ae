//! Tests of the loop rule: false loop invariants and missing writes of a rule are found.
use super::{IN_LOOP, bounded_loop};
use crate::agreement::z3::z3;
use crate::facts::invariant_set::InvariantSet;
use crate::sources::with_engine;
use crate::state::sym::Sym;
use crate::subjects::primitives::prove_primitive;
use domain::{Ghost, Map};
use layer::catalogue::primitives;
use layer::core::call::Answer;
use layer::core::constants::CONSOLE_BUFFER_SIZE;
use layer::core::fields::{Cell, Offer};
use layer::core::geometry::X64;
use layer::core::machine::Lock;
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::thread::get_cpu_id;
use layer::spec::contract::{Contract, LoopRule, Region};
use sim::machine::Sim;
use smt::solver::Solver;
use std::ops::ControlFlow;
use symbolic::explore::catch_panics;
use symbolic::failure::Failure;
use symbolic::proof::Outcome;

type Symbolic = Sym<X64>;
type Result<R> = std::result::Result<R, Stuck>;

/// Proves `get_CPU_ID` with a changed contract.
fn prove(change: fn(&mut Contract<Symbolic>)) -> Outcome {
    catch_panics();
    let prove = move || {
        with_engine(z3().unwrap_or_else(|| Solver::embedded(10_000)), || {
            let at = primitives::<Sim>().iter().position(|row| row.0.name == "get_CPU_ID").expect("a primitive");
            let (primitive, mut contract) = primitives::<Symbolic>()[at];
            contract.modifies = |_, may| may("console.len", Region::All, &[]);
            contract.ensures = |_| true;
            change(&mut contract);
            prove_primitive(&primitive, &contract, &primitives::<Sim>()[at].1, InvariantSet::Derived)
        })
    };
    std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(prove)
        .expect("a thread")
        .join()
        .expect("no panic of its own")
}

/// The only failure of the proof with this change.
fn failure(change: fn(&mut Contract<Symbolic>)) -> Failure {
    let outcome = prove(change);
    let first = outcome.failures.first().expect("it is found out").clone();
    println!("{}: {}", first.clause, first.ending);
    first
}

/// A correct rule for [`count`].
const RIGHT: LoopRule<Symbolic> = LoopRule {
    name: "count",
    writes: &["console.len"],
    facts: &["H16"],
    holds: |r| r.now.own.console.len >= r.entry.own.console.len,
};

/// Counts to 500. Breaks when the count reaches the length.
fn count(cpu: &mut Cpu<'_, Symbolic>) -> Result<ControlFlow<()>> {
    if cpu.own.console.len >= 500 {
        return Ok(ControlFlow::Break(()));
    }
    cpu.own.console.len += 1;
    Ok(ControlFlow::Continue(()))
}

/// Runs a loop of at most a thousand iterations.
fn run(
    cpu: &mut Cpu<'_, Symbolic>,
    rule: LoopRule<Symbolic>,
    iteration: fn(&mut Cpu<'_, Symbolic>) -> Result<ControlFlow<()>>,
) -> Result<Answer<Symbolic>> {
    bounded_loop(cpu, &rule, 1000, &iteration)?;
    get_cpu_id(cpu).map(Answer::Word)
}

#[test]
fn what_is_right_is_proved() {
    let outcome = prove(|contract| {
        contract.run = |cpu, _| run(cpu, RIGHT, count);
        contract.ensures = |s| s.after.own.console.len >= s.before.own.console.len;
    });
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    // One path breaks, and one has used up its iterations.
    assert_eq!(outcome.successful_paths, 2);
}

/// A rule that counts the iterations of [`count`], which begins at 0.
const COUNTED: LoopRule<Symbolic> =
    LoopRule { holds: |r| r.now.own.console.len == r.entry.own.console.len + r.count, ..RIGHT };

#[test]
fn iterations_are_counted() {
    let outcome = prove(|contract| {
        contract.run = |cpu, _| {
            cpu.own.console.len = 0.into();
            bounded_loop(cpu, &COUNTED, 20, &count)?;
            get_cpu_id(cpu).map(Answer::Word)
        };
        contract.ensures = |s| s.after.own.console.len == 20;
    });
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
}

#[test]
fn an_iteration_less_is_found_out() {
    let failure = failure(|contract| {
        contract.run = |cpu, _| {
            cpu.own.console.len = 0.into();
            bounded_loop(cpu, &COUNTED, 19, &count)?;
            get_cpu_id(cpu).map(Answer::Word)
        };
        contract.ensures = |s| s.after.own.console.len == 20;
    });
    assert_eq!(failure.clause, "postcondition");
}

#[test]
fn what_a_round_does_not_keep_is_found_out() {
    let failure = failure(|contract| {
        contract.run =
            |cpu, _| run(cpu, LoopRule { holds: |r| r.now.own.console.len == r.entry.own.console.len, ..RIGHT }, count);
    });
    assert_eq!(failure.clause, "loop invariant, after an iteration of count");
    assert_eq!((failure.confirmed, &*failure.ending), (false, IN_LOOP));
}

#[test]
fn what_does_not_hold_before_the_first_round_is_found_out() {
    for change in [
        |contract: &mut Contract<Symbolic>| {
            contract.run = |cpu, _| {
                run(cpu, LoopRule { holds: |r| r.now.own.console.len > r.entry.own.console.len, ..RIGHT }, count)
            };
        },
        |contract: &mut Contract<Symbolic>| {
            contract.run = |cpu, _| run(cpu, LoopRule { holds: |_| false, ..RIGHT }, count);
        },
    ] {
        assert_eq!(failure(change).clause, "loop invariant, before the first iteration of count");
    }
}

#[test]
fn a_fact_that_does_not_hold_before_the_first_round_is_found_out() {
    let failure = failure(|contract| {
        contract.run = |cpu, _| {
            cpu.own.console.len = CONSOLE_BUFFER_SIZE.into();
            run(cpu, RIGHT, count)
        };
    });
    assert_eq!(failure.clause, "H16 valid_cons_buf_length, before the first iteration of count");
}

#[test]
fn a_fact_that_a_round_does_not_keep_is_found_out() {
    let failure = failure(|contract| {
        contract.run = |cpu, _| {
            run(cpu, RIGHT, |cpu| {
                cpu.own.console.len += 1;
                Ok(ControlFlow::Continue(()))
            })
        };
    });
    assert_eq!(failure.clause, "H16 valid_cons_buf_length, after an iteration of count");
}

#[test]
fn a_fact_of_which_the_rule_does_not_speak_is_not_known() {
    let failure = failure(|contract| contract.run = |cpu, _| run(cpu, LoopRule { facts: &[], ..RIGHT }, count));
    assert_eq!(failure.clause, "H16 valid_cons_buf_length");
    assert_eq!(failure.ending, IN_LOOP);
}

/// A test with the loop [`count`]: each iteration that does not break also runs `also`, which the contract
/// permits.
macro_rules! also {
    ($test:ident: $field:literal, $clause:literal, |$cpu:ident| $also:expr) => {
        #[test]
        fn $test() {
            let failure = failure(|contract| {
                contract.modifies =
                    |_, may| ["console.len", $field].into_iter().for_each(|name| may(name, Region::All, &[]));
                contract.run = |cpu, _| {
                    run(cpu, RIGHT, |$cpu| {
                        let result = count($cpu)?;
                        if result.is_continue() {
                            $also;
                        }
                        Ok(result)
                    })
                };
            });
            assert_eq!(failure.clause, $clause);
        }
    };
}

also! {
    a_scalar_of_which_the_rule_does_not_speak_is_found_out:
    "com1.l3", "an iteration of count writes com1.l3, which its loop rule does not name",
    |cpu| cpu.own.com1.l3 = 1.into()
}

also! {
    a_map_of_which_the_rule_does_not_speak_is_found_out:
    "cons_buf", "an iteration of count writes cons_buf, which its loop rule does not name",
    |cpu| cpu.own.cons_buf.set([0.into()], Cell { value: 1.into() })
}

also! {
    ghost_state_of_which_the_rule_does_not_speak_is_found_out:
    "smspool", "an iteration of count writes smspool, which its loop rule does not name",
    |cpu| cpu.own.ghost.update(|g| {
        let offer = Offer { status: 0.into(), seen: true.into(), address: 0.into() };
        g.smspool.set([0.into(), 0.into()], offer);
    })
}

also! {
    a_lock_is_found_out: "AT", "an iteration of count takes a lock, which no iteration may",
    |cpu| drop(cpu.shared.at.lock(cpu.own.cpu, 0.into()))
}

#[test]
fn there_may_be_more_rounds_than_one() {
    let failure = failure(|contract| {
        contract.run = |cpu, _| run(cpu, RIGHT, count);
        contract.ensures = |s| s.after.own.console.len <= s.before.own.console.len + 1;
    });
    assert_eq!((&*failure.clause, &*failure.ending), ("postcondition", IN_LOOP));
}

#[test]
fn rounds_may_be_used_up() {
    let failure = failure(|contract| {
        contract.run = |cpu, _| run(cpu, RIGHT, count);
        contract.ensures = |s| s.after.own.console.len >= 500;
    });
    assert_eq!(failure.clause, "postcondition");
}

#[test]
fn what_earlier_rounds_write_is_to_be_in_the_frame() {
    let scalar = failure(|contract| {
        contract.run = |cpu, _| run(cpu, RIGHT, count);
        contract.modifies = |_, _| ();
    });
    assert_eq!(scalar.clause, "modifies: console.len is written");
    // Only iterations that do not break write it.
    let map = failure(|contract| {
        contract.run = |cpu, _| {
            run(cpu, LoopRule { writes: &["console.len", "cons_buf"], facts: &["H16", "D20.5"], ..RIGHT }, |cpu| {
                let result = count(cpu)?;
                if result.is_continue() {
                    cpu.own.cons_buf.set([0.into()], Cell { value: 1.into() });
                }
                Ok(result)
            })
        };
    });
    assert!(map.clause.starts_with("modifies: cons_buf"), "{}", map.clause);
}

#[test]
fn being_stuck_in_a_round_is_found_out() {
    let failure = failure(|contract| {
        contract.run = |cpu, _| run(cpu, RIGHT, |_| Err(Stuck::NoQuota));
    });
    assert!(failure.clause.contains("NoQuota"), "{}", failure.clause);
}
