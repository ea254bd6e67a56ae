//! Contracts that say less are noticed.
use prover::{Choice, Notice, Options, Sample, WeakeningReport, try_weakenings};

/// The report about the contracts of these primitives, by z3 if it is installed.
fn report(names: &[&str]) -> WeakeningReport {
    let pinned = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/z3/bin/z3");
    let is_there = std::path::Path::new(pinned).is_file();
    let options = Options {
        solver: if is_there { Choice::Program(pinned.into()) } else { Choice::Embedded },
        others: None,
        timeout_ms: 10_000,
        workers: 2,
        wanted: names.iter().map(ToString::to_string).collect(),
        answers: None,
    };
    try_weakenings(&options, Sample { every: 1 }, &mut |_| ()).expect("primitives, and a solver")
}

#[test]
fn every_whole_clause_that_is_dropped_is_noticed() {
    let report = report(&["get_curid", "set_sync_chan_busy"]);
    let whole: Vec<_> = report.trials.iter().filter(|trial| trial.at.is_empty()).collect();
    assert_eq!(whole.len(), 6, "{whole:#?}");
    for trial in whole {
        assert!(matches!(trial.notice, Notice::Mutant(_)), "{trial:#?}");
    }
    assert!(report.undetermined.is_empty(), "{:?}", report.undetermined);
}

#[test]
fn a_comparison_that_is_dropped_is_noticed() {
    let report = report(&["container_get_quota"]);
    let of_answer = report.trials.iter().find(|trial| trial.line.contains(".quota"));
    let trial = of_answer.expect("the postcondition is one comparison");
    assert!(matches!(trial.notice, Notice::Mutant(_)), "{trial:#?}");
}
