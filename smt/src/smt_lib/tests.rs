//! Tests of the conversation with solvers. The programs in `tests/solvers` are solvers with faults.
use super::*;
use crate::term::Range;

#[test]
fn what_is_no_solver_is_reported_as_what_it_is() {
    assert!(matches!(SmtLib::start("no-such-solver", 1000), Err(SolverError::Start(..))));
    assert!(matches!(SmtLib::start("true", 1000), Err(SolverError::Died(..))));
    let ask = |program| SmtLib::start(program, 1000).expect("starts").check(&Arena::default(), &[]);
    assert!(matches!(ask("tests/solvers/dies.sh"), Err(SolverError::Died(..))));
    assert!(matches!(ask("tests/solvers/rubbish.sh"), Err(SolverError::Nonsense(..))));
}

#[test]
fn solvers_are_known_by_their_names() {
    assert_eq!(Dialect::of("(:name \"Z3\")", "(:version \"5.4.0\")"), Dialect::Steps);
    assert_eq!(Dialect::of("(:name \"Z3\")", "(:version \"4.8.12\")"), Dialect::Milliseconds);
    assert_eq!(Dialect::of("(:name \"cvc5\")", "(:version \"1.2.0\")"), Dialect::Cvc5);
    assert_eq!(Dialect::of("(:name \"yices\")", "(:version \"2.6.4\")"), Dialect::Plain);
}

/// The solver with this name in `tests/solvers`, with a bound of 10 ms on a query.
fn impostor(name: &str) -> Result<SmtLib, SolverError> {
    SmtLib::start(&format!("tests/solvers/{name}.sh"), 10)
}

#[test]
fn a_solver_that_never_answers_is_replaced_and_its_answer_is_unknown_until_it_is_given_up() {
    let mut solver = impostor("sleeper").expect("starts");
    let arena = Arena::default();
    assert_eq!(solver.check(&arena, &[]).expect("is replaced"), Verdict::Unknown);
    assert_eq!(solver.check(&arena, &[]).expect("is replaced"), Verdict::Unknown);
    assert_eq!(solver.replaced, 2);
    let error = solver.check(&arena, &[]).expect_err("is given up").to_string();
    assert!(error.contains("sleeper.sh` did not answer within 0.5 s"), "{error}");
}

#[test]
fn whoever_is_late_now_and_then_is_not_given_up() {
    let mut solver = impostor("hesitates").expect("starts");
    let arena = Arena::default();
    for _ in 0..2 * SILENCE {
        // The process answers one query and then exceeds its bound, so it is restarted.
        assert_eq!(solver.check(&arena, &[]).expect("it answers"), Verdict::Unsat);
        assert_eq!(solver.check(&arena, &[]).expect("is replaced"), Verdict::Unknown);
    }
}

#[test]
fn whoever_gives_no_models_is_given_up() {
    let mut solver = impostor("tires").expect("starts");
    let mut arena = Arena::default();
    let (x, three) = (arena.var("x", Range::WORD), arena.number(3));
    let less = arena.lt(x, three);
    solver.assert(&arena, less);
    for _ in 1..SILENCE {
        assert_eq!(solver.check(&arena, &[]).expect("it answers"), Verdict::Sat);
        assert_eq!(solver.model().expect("is replaced"), None);
    }
    assert_eq!(solver.check(&arena, &[]).expect("it answers"), Verdict::Sat);
    assert!(matches!(solver.model(), Err(SolverError::Silent(..))));
}

#[test]
fn nobody_waits_for_a_solver_that_does_not_read_or_does_not_say_who_it_is() {
    for name in ["mute", "half_a_line", "dribbles"] {
        let answer = SmtLib::start_within(&format!("tests/solvers/{name}.sh"), 10, Duration::from_millis(500));
        assert!(matches!(answer, Err(SolverError::Silent(..))), "{name}");
    }
    let error = impostor("refuses").err().expect("it does not say who it is").to_string();
    assert!(error.contains("unsupported info") && error.contains("refuses.sh"), "{error}");
    // More text than fits into a pipe, in both directions.
    for name in ["reads_nothing", "floods", "closes_its_input"] {
        let mut solver = impostor(name).expect("it says who it is");
        solver.script.text = "(echo \"much\")\n".repeat(1 << 17);
        let answer = solver.check(&Arena::default(), &[]);
        match name {
            "reads_nothing" => assert_eq!(answer.expect("is replaced"), Verdict::Unknown),
            "floods" => assert!(matches!(answer, Err(SolverError::Nonsense(..))), "{answer:?}"),
            _ => assert!(matches!(answer, Err(SolverError::Died(..))), "{answer:?}"),
        }
    }
}

#[test]
fn a_name_may_stand_for_a_number_here_and_a_truth_value_there() {
    let mut solver = impostor("hesitates").expect("starts");
    let mut arena = Arena::default();
    let (number, truth, three) = (arena.var("x", Range::WORD), arena.var("x", Range::Bool), arena.number(3));
    let less = arena.lt(number, three);
    solver.assert(&arena, less);
    solver.assert(&arena, truth);
    let script = solver.script().expect("it speaks text");
    assert!(script.contains("(assert (< |x| 3))") && script.contains("(assert |x?|)"), "{script}");
}

#[test]
fn a_version_has_a_deadline() {
    let hangs = Process::output("tests/solvers/mute.sh", &["--version"], Duration::from_millis(100));
    assert!(matches!(hangs, Err(SolverError::Silent(..))));
    // It reads its input, which is empty.
    let ends = Process::output("tests/solvers/liar.sh", &["--version"], START);
    assert_eq!(ends.expect("it ends"), "");
}

#[test]
fn an_error_is_reported_as_one_and_the_conversation_goes_on() {
    let mut solver = impostor("complains").expect("starts");
    let mut arena = Arena::default();
    let error = solver.check(&arena, &[]).expect_err("it complains").to_string();
    assert!(error.contains("out (of memory\"\", it says") && error.contains("complains.sh"), "{error}");
    // Its answer to the previous query follows the error, and must not be taken for the answer to the next
    // query.
    let x = arena.var("x", Range::WORD);
    let word = arena.number(3);
    let less = arena.lt(x, word);
    solver.assert(&arena, less);
    assert_eq!(solver.check(&arena, &[]).expect("it answers"), Verdict::Sat);
    // If an error comes in place of a model, it is reported, and there is no wait for a model.
    assert!(matches!(solver.model(), Err(SolverError::Refused(..))));
    assert_eq!(solver.check(&arena, &[]).expect("it answers"), Verdict::Sat);
}

#[test]
fn a_solver_is_probed() {
    for (name, says) in [
        ("sleeper", "did not answer within 0.5 s"),
        ("liar", "printed `unsat`, which is not a valid answer"),
        ("dies", "died"),
    ] {
        let mut solver = impostor(name).expect("starts");
        if name == "sleeper" {
            solver.beginning = Duration::from_millis(500);
        }
        let error = solver.probe().expect_err("it does not answer").to_string();
        assert!(error.contains(says), "{name}: {error}");
    }
}
