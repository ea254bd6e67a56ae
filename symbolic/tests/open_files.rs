//! The example layer is proved, and every wrong operator but one is found.
#[path = "../examples/open_files.rs"]
#[allow(dead_code, reason = "the main function is the example's")]
mod open_files;

use open_files::{operations, prove};
use symbolic::mutant::{Change, Mutation, Operator};

#[test]
fn every_operation_is_proved_and_every_bug_is_found() {
    for operation in operations() {
        let (outcome, mutants) = prove(&operation, Mutation::recording());
        assert!(outcome.failures.is_empty(), "{}: {:#?}", operation.name, outcome.failures);
        for clause in ["references are counted", "references are bounded", "postcondition", "modifies"] {
            assert!(outcome.clauses.iter().any(|proved| proved == clause), "{}: {clause}", operation.name);
        }
        assert!(mutants.len() > 6, "{}: {mutants:?}", operation.name);
        for mutant in mutants {
            let (outcome, _) = prove(&operation, Mutation::planted(mutant, 10_000));
            // The contract leaves open which free file is opened.
            let may_survive = (mutant.site.operator, mutant.change) == (Operator::First, Change::Later);
            assert_eq!(outcome.failures.is_empty(), may_survive, "{} with {mutant}", operation.name);
        }
    }
}
