//! The results of all proofs, in the form in which they are printed and written as JSON.
use crate::counterexample::emit::{Test, emit_test};
use crate::report::reference::Page;
use crate::report::row::ReportRow;
use crate::report::row::Status;
use serde::Serialize;
use smt::solver::Tally;
use symbolic::coverage::Branches;
use symbolic::failure::Slowest;

/// A clause that has no proof of its own: its name and its meaning.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Clause {
    /// The number or name.
    pub name: &'static str,
    /// The meaning.
    pub description: &'static str,
}

/// The numbers of rows by status.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Rows that are proved.
    pub proved: usize,
    /// Rows with a clause that does not hold.
    pub failed: usize,
    /// Rows that the solver cannot decide.
    pub unknown: usize,
    /// Rows whose solver died, did not answer, or was contradicted.
    pub solver_failed: usize,
    /// Rows that are vacuous, because no path succeeds.
    pub vacuous: usize,
    /// The whole time, in seconds.
    pub seconds: f64,
    /// The name and version of the solver.
    pub solver: String,
    /// The answers of each solver, if several were asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub opinions: Vec<Opinion>,
}

/// The answers of one of several solvers, over all proofs.
#[derive(Clone, Debug, Serialize)]
pub struct Opinion {
    /// The name and version.
    pub solver: String,
    /// Queries that the solver decided.
    pub decided: u64,
    /// Queries that the solver could not decide.
    pub undecided: u64,
    /// Queries on which the solver disagrees with the proving one.
    pub disagreements: u64,
    /// The reason for which the solver dropped out of some proof, if it did: it died or did not
    /// answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
}

impl Opinion {
    /// Adds the answers of the solvers in one proof.
    pub(crate) fn add(opinions: &mut Vec<Opinion>, tallies: &[Tally]) {
        for tally in tallies {
            let known = opinions.iter().position(|opinion| opinion.solver == tally.solver);
            let at = known.unwrap_or_else(|| {
                let solver = tally.solver.clone();
                opinions.push(Opinion { solver, decided: 0, undecided: 0, disagreements: 0, lost: None });
                opinions.len() - 1
            });
            opinions[at].decided += tally.decided;
            opinions[at].undecided += tally.undecided;
            opinions[at].disagreements += tally.disagreements;
            if opinions[at].lost.is_none() {
                opinions[at].lost.clone_from(&tally.lost);
            }
        }
    }
}

/// The results of all proofs.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The primitives, in the order of the table.
    pub primitives: Vec<ReportRow>,
    /// The entries of the kernel, and their steps.
    pub entries: Vec<ReportRow>,
    /// The theorems of the layer.
    pub theorems: Vec<ReportRow>,
    /// The status of the reference's obligations.
    pub page: Page,
    /// Clauses of the invariant that are true by the types.
    pub by_construction: Vec<Clause>,
    /// Clauses of the invariant about other CPUs, and the theorems and clauses that prove them.
    pub by_theorems: Vec<Clause>,
    /// The assumptions of all proofs.
    pub assumed: Vec<Assumption>,
    /// The branches of the code, if everything was proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Branches>,
    /// The numbers of rows by status.
    pub summary: Summary,
}

impl Report {
    /// All rows, in the order of the tables.
    pub fn rows(&self) -> impl Iterator<Item = &ReportRow> {
        self.primitives.iter().chain(&self.entries).chain(&self.theorems)
    }

    /// The row with the obligation that took the longest, and that obligation.
    pub fn slowest(&self) -> Option<(&ReportRow, &Slowest)> {
        let all = self.rows().filter_map(|row| row.slowest.as_ref().map(|slowest| (row, slowest)));
        all.max_by(|one, other| one.1.compare(other.1))
    }

    /// The counterexamples that were run and failed, as tests, one for each clause.
    pub fn tests(&self) -> Vec<Test> {
        let mut tests: Vec<Test> = Vec::new();
        for row in self.primitives.iter().chain(&self.entries) {
            let failures =
                row.parts.iter().flat_map(|part| part.failures.iter().map(|failure| (part.invariants, failure)));
            for test in failures.filter_map(|(invariants, failure)| emit_test(failure, row.name, invariants)) {
                if !tests.iter().any(|other| other.name == test.name) {
                    tests.push(test);
                }
            }
        }
        tests
    }

    /// The number of queries, and how many answers were in the cache.
    pub fn queries(&self) -> (u64, u64) {
        self.rows().fold((0, 0), |(all, known), row| (all + row.queries, known + row.remembered))
    }

    /// Whether every row is proved.
    pub fn all_proved(&self) -> bool {
        self.rows().all(|row| row.status == Status::Proved)
    }

    /// Whether every row is proved. If everything was to be proved, also whether the reference's obligations are proved
    /// and every branch is covered or explained.
    pub fn is_good(&self) -> bool {
        let whole = |coverage: &Branches| coverage.is_explained() && self.page.is_proved();
        self.all_proved() && self.coverage.as_ref().is_none_or(whole)
    }
}

/// An assumption of all proofs, which none of them proves.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Assumption {
    /// The name.
    pub name: &'static str,
    /// The meaning.
    pub description: &'static str,
    /// The tests that would fail if it were wrong.
    pub watched: &'static str,
}

/// All assumptions.
pub const ASSUMED: &[Assumption] = &[
    Assumption {
        name: "machine",
        description: "the hardware behaves as the machine's interface specifies; its answers (memory map, VMX capabilities, \
         the host's registers, model-specific registers, the events of the UART) are arbitrary, but always the same",
        watched: "`cargo cairn boots`: an image for each hardware behaviour, on QEMU and Bochs",
    },
    Assumption {
        name: "memory",
        description: "the storage of different fields does not alias; the hardware walks page tables as exec_load, \
         exec_store and exec_fetch specify, and drops a cached translation before it becomes wrong (ARCHITECTURE.md)",
        watched: "the boots `programs-*` and `dirty-memory`: on the booted kernel, every program prints the same as \
         on the hosted machine, where each access is one of these; the boots `stale-translations`; the hosted \
         machine, which caches translations until the kernel invalidates them",
    },
    Assumption {
        name: "locks",
        description: "a lock excludes all other CPUs, and the data that it guards is sequentially consistent under it; \
         between two critical sections, the other CPUs satisfy rely, which is proved of every critical section of \
         this layer",
        watched: "`kernel/tests/loom_lock.rs`: every interleaving of two CPUs; with queue locks also of three, with two preemptions",
    },
    Assumption {
        name: "thread_yield",
        description: "its assumption: the captured context has one of the continuations; it is proved that every caller in \
         syscall/ passes one",
        watched: "the proofs of the entries, where thread_yield is called",
    },
    Assumption {
        name: "pt_resv",
        description: "its assumption in proofs with D: the permission is not that of a global page (259), which the \
         reference accepts and no user's page has (D7); it is proved that every caller in syscall/ passes another one",
        watched: "the proofs of the entries, where pt_resv is called",
    },
    Assumption {
        name: "answers",
        description: "the boot archive and the boot list are arbitrary; reports and console output do not change the state",
        watched: "`sim/tests`: the checker evaluates the invariant after runs with every program",
    },
    Assumption {
        name: "solver",
        description: "every answer `unsat` of the solver is right",
        watched: "`cargo cairn prove --cross-check`: every installed solver and the embedded one get the same \
         queries; `smt/tests`: exhaustive search, and solvers that lie, die, hang or print nonsense",
    },
    Assumption {
        name: "explorer",
        description: "the prover itself, the compiler and Rust's type system",
        watched: "`prover/tests/verdicts.rs`: planted bugs; `prover/src/agreement`: the symbolic domain and machine agree \
                  with the hosted ones; `cargo cairn prove --mutants`: operators of the code are made wrong, one at \
                  a time",
    },
];
