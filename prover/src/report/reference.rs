//! The reference's obligations (section 10.1), joined with the results of a run. An obligation counts as proved only
//! if all rows that it is about were run and are proved, and prove every clause of the obligation.
use crate::clause;
use crate::facts::invariant_set::InvariantSet;
use crate::report::row::{Part, ReportRow, Status};
use crate::state::sym::Sym;
use layer::catalogue::instances;
use layer::catalogue::obligation::{About, CLASSES, Class, Internal, Obligation, Silent};
use layer::core::geometry::X64;
use layer::invariant::{BY_THEOREMS, by_construction, facts};
use layer::spec::fact::Class as Facts;
use serde::Serialize;

/// The theorem about the state before `sched_init`.
const FIRST: &str = "init_adt";
/// The theorem about the result of `palloc`.
const ALLOCATION: &str = "palloc_inv_prop";

/// The status of an obligation, from good to bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Every clause is proved.
    Proved,
    /// A row that it needs was not run.
    NotRun,
    /// A row that it needs is vacuous.
    Vacuous,
    /// For a row that it needs, the solver cannot decide or has failed.
    Unknown,
    /// A row that it needs does not hold.
    Failed,
    /// A row that it needs is proved, but does not prove all clauses of the obligation.
    Missing,
}

impl Standing {
    /// The status as a word, for reports.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Proved => "proved",
            Standing::NotRun => "not run",
            Standing::Vacuous => "vacuous",
            Standing::Unknown => "unknown",
            Standing::Failed => "failed",
            Standing::Missing => "a clause is missing",
        }
    }

    fn of(status: Status) -> Standing {
        match status {
            Status::Proved => Standing::Proved,
            Status::Vacuous => Standing::Vacuous,
            Status::Unknown | Status::Solver => Standing::Unknown,
            Status::Failed => Standing::Failed,
        }
    }
}

/// The part of an obligation that one row proves.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    /// The name of the row.
    pub row: &'static str,
    /// The clauses of the obligation that the row proves.
    pub clauses: Vec<String>,
    /// The clauses that the row should prove and does not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// An obligation of an instance, and its status.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// The obligation.
    pub obligation: &'static str,
    /// The status.
    pub status: Standing,
    /// The rows and clauses that prove it.
    pub proofs: Vec<Proof>,
    /// The clauses of it that are true by the types.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_construction: Vec<&'static str>,
}

/// A type class instance of the reference, with its obligations.
#[derive(Clone, Debug, Serialize)]
pub struct Instance {
    /// The name in the reference.
    pub name: &'static str,
    /// The class in the reference.
    pub class: &'static str,
    /// The premise that may be assumed.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub premise: &'static str,
    /// The worst status of its obligations.
    pub status: Standing,
    /// The obligations.
    pub obligations: Vec<Shown>,
}

impl Instance {
    /// The rows that prove it, without repetition.
    pub fn rows(&self) -> Vec<&'static str> {
        let mut rows = Vec::new();
        for proof in self.obligations.iter().flat_map(|shown| &shown.proofs) {
            if !rows.contains(&proof.row) {
                rows.push(proof.row);
            }
        }
        rows
    }
}

/// All instances of the reference.
#[derive(Clone, Default, Debug, Serialize)]
pub struct Page {
    /// The 41 instances, with their 108 obligations.
    pub instances: Vec<Instance>,
    /// The primitives that only return a value: the whole state is unchanged.
    pub silent: Vec<Instance>,
    /// The internal functions with lemmas of their own, and the lemma about the result of an allocation.
    pub lemmas: Vec<Instance>,
}

impl Page {
    /// The status of all instances, from the results `rows`.
    pub(crate) fn of(rows: &[&ReportRow]) -> Page {
        let of = |class: &'static Class| -> Vec<Instance> {
            instances(class).map(|(name, about)| instance(class, name, about, rows)).collect()
        };
        let mut lemmas = of(&Internal);
        lemmas.push(allocation(rows));
        Page { instances: CLASSES.iter().flat_map(of).collect(), silent: of(&Silent), lemmas }
    }

    /// All instances, of the three kinds.
    pub fn all(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().chain(&self.silent).chain(&self.lemmas)
    }

    /// One sentence for each of the three kinds: how many instances are proved.
    pub fn summary(&self) -> [String; 3] {
        let counted = |what: &str, of: &[Instance]| {
            let all = || of.iter().flat_map(|instance| &instance.obligations);
            let proved = all().filter(|shown| shown.status == Standing::Proved).count();
            let how = if proved == all().count() { "all proved".to_string() } else { format!("{proved} proved") };
            format!("{} {what}, {} obligations: {how}", of.len(), all().count())
        };
        [
            counted("instances", &self.instances),
            counted("silent primitives", &self.silent),
            counted("lemmas", &self.lemmas),
        ]
    }

    /// Whether every instance is proved.
    pub fn is_proved(&self) -> bool {
        self.all().all(|instance| instance.status == Standing::Proved)
    }
}

/// The status of `instance`, which is about `about`.
fn instance(class: &Class, name: &'static str, about: About, rows: &[&ReportRow]) -> Instance {
    let about: &[&'static str] = match about {
        About::State => &[FIRST],
        About::Call(name) => &[name],
        About::Fault => &["exec_load", "exec_store"],
    };
    let obligations = class.obligations.iter().map(|&obligation| shown(obligation, about, rows)).collect();
    made(name, class.name, class.premise, obligations)
}

fn made(name: &'static str, class: &'static str, premise: &'static str, obligations: Vec<Shown>) -> Instance {
    let status = obligations.iter().map(|shown| shown.status).max().unwrap_or(Standing::Proved);
    Instance { name, class, premise, status, obligations }
}

fn shown(obligation: Obligation, about: &[&'static str], rows: &[&ReportRow]) -> Shown {
    let constructed = |letter: char, is_bound: bool| -> Vec<&'static str> {
        let numbers = by_construction().map(|(number, _)| number).filter(|number| number.starts_with(letter));
        numbers.filter(|&number| !is_bound || number == "L").collect()
    };
    let (clauses, by_construction) = match obligation {
        Obligation::Low | Obligation::LowAtFirst => (of_facts(Facts::Low), constructed('L', false)),
        Obligation::High | Obligation::HighAtFirst => (of_facts(Facts::High), constructed('H', false)),
        Obligation::Mode => (vec![clause::MODE.to_string()], Vec::new()),
        // No fact mentions a bound, so that there is nothing to prove.
        Obligation::LowMonotone => (Vec::new(), constructed('L', true)),
        Obligation::Unchanged => (vec![clause::UNCHANGED.to_string()], Vec::new()),
    };
    // The reference assumes H and L. That the state is unchanged is proved with D as well.
    let invariants = if obligation == Obligation::Unchanged { InvariantSet::Derived } else { InvariantSet::High };
    let about = if clauses.is_empty() { &[] } else { about };
    let mut shown = by_rows(obligation.word(), invariants, about, &clauses, by_construction, rows);
    if obligation == Obligation::High {
        for proof in &mut shown.proofs {
            shown.status = shown.status.max(of_others(proof, rows));
        }
    }
    shown
}

/// Adds to `proof` what its row proves of the clauses of H about other CPUs, and returns their status. They are proved
/// with D. If D does not admit the call, other CPUs cannot observe anything.
fn of_others(proof: &mut Proof, rows: &[&ReportRow]) -> Standing {
    let parts = rows.iter().filter(|row| row.name == proof.row).flat_map(|row| &row.parts);
    let parts: Vec<&Part> =
        parts.filter(|part| part.invariants == Some(InvariantSet::Derived) && !part.unreachable).collect();
    let mut standing = parts.iter().map(|part| Standing::of(part.status)).max().unwrap_or(Standing::Proved);
    for clause in BY_THEOREMS.iter().map(|(number, name, _)| clause::fact(number, name)) {
        if parts.iter().all(|part| part.clauses.contains(&clause)) {
            if !parts.is_empty() {
                proof.clauses.push(clause);
            }
        } else {
            standing = if standing == Standing::Proved { Standing::Missing } else { standing };
            proof.missing.push(clause);
        }
    }
    standing
}

/// The part of `clauses` that the rows `about` prove from the invariant set `invariants`.
fn by_rows(
    obligation: &'static str,
    invariants: InvariantSet,
    about: &[&'static str],
    clauses: &[String],
    by_construction: Vec<&'static str>,
    rows: &[&ReportRow],
) -> Shown {
    let mut status = Standing::Proved;
    let mut proofs = Vec::new();
    for &name in about {
        let row = rows.iter().find(|row| row.name == name);
        let parts: Vec<&Part> = row
            .iter()
            .flat_map(|row| &row.parts)
            .filter(|part| part.invariants.is_none_or(|of| of == invariants))
            .collect();
        let (there, missing): (Vec<String>, Vec<String>) = clauses
            .iter()
            .cloned()
            .partition(|clause| !parts.is_empty() && parts.iter().all(|part| part.clauses.contains(clause)));
        let of_parts = parts.iter().map(|part| Standing::of(part.status)).max().unwrap_or(Standing::NotRun);
        let of_row = if of_parts == Standing::Proved && !missing.is_empty() { Standing::Missing } else { of_parts };
        status = status.max(of_row);
        proofs.push(Proof { row: name, clauses: there, missing });
    }
    Shown { obligation, status, proofs, by_construction }
}

/// The clauses of one class of facts.
fn of_facts(class: Facts) -> Vec<String> {
    let all = facts::<Sym<X64>>().filter(|fact| fact.class == class);
    all.map(|fact| clause::fact(fact.number, fact.name)).collect()
}

/// The postcondition of `palloc`, which is a lemma in the reference.
fn allocation(rows: &[&ReportRow]) -> Instance {
    let clauses = crate::subjects::theorems::ALLOCATED.map(str::to_string);
    let shown = by_rows("postcondition", InvariantSet::Derived, &[ALLOCATION], &clauses, Vec::new(), rows);
    made(ALLOCATION, "lemma", "", vec![shown])
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolic::failure::{Failure, Reason};
    use symbolic::proof::Outcome;

    /// Rows that prove everything, as if all had been run.
    fn rows() -> Vec<ReportRow> {
        let named = |class: &'static Class| instances(class).map(|(_, about)| about).collect::<Vec<About>>();
        let calls = CLASSES.iter().chain([&Silent, &Internal]).flat_map(named);
        let mut names: Vec<&str> =
            calls.filter_map(|about| if let About::Call(name) = about { Some(name) } else { None }).collect();
        names.push("exec_load");
        let mut all: Vec<ReportRow> = names.into_iter().map(|name| ReportRow::new(0, name)).collect();
        let outcome = |clauses: Vec<String>| Outcome { clauses, successful_paths: 1, ..Outcome::default() };
        let kept = || [of_facts(Facts::Low), of_facts(Facts::High), vec![clause::MODE.to_string()]].concat();
        let others = || BY_THEOREMS.iter().map(|(number, name, _)| clause::fact(number, name)).collect::<Vec<_>>();
        for row in &mut all {
            row.add(Some(InvariantSet::High), "x86-64", outcome(kept()), 0.0);
            row.add(
                Some(InvariantSet::Derived),
                "x86-64",
                outcome([vec![clause::UNCHANGED.to_string()], others()].concat()),
                0.0,
            );
        }
        for (name, clauses) in
            [(FIRST, kept()), (ALLOCATION, crate::subjects::theorems::ALLOCATED.map(str::to_string).into())]
        {
            let mut row = ReportRow::new(0, name);
            row.add(None, "x86-64", outcome(clauses), 0.0);
            all.push(row);
        }
        all
    }

    fn page(rows: &[ReportRow]) -> Page {
        Page::of(&rows.iter().collect::<Vec<_>>())
    }

    /// The names of the instances that are not proved, with their status.
    fn broken(page: &Page) -> Vec<(&'static str, Standing)> {
        page.all()
            .filter(|instance| instance.status != Standing::Proved)
            .map(|instance| (instance.name, instance.status))
            .collect()
    }

    #[test]
    fn what_is_proved_stands() {
        let page = page(&rows());
        assert_eq!(broken(&page), []);
        let obligations: usize = page.instances.iter().map(|instance| instance.obligations.len()).sum();
        assert_eq!((page.instances.len(), obligations, page.silent.len(), page.lemmas.len()), (41, 108, 27, 6));
    }

    #[test]
    fn every_clause_counts() {
        let all = rows();
        for (i, row) in all.iter().enumerate() {
            for (j, part) in row.parts.iter().enumerate() {
                for (k, clause) in part.clauses.iter().enumerate() {
                    let counts = page(&all).all().any(|instance| {
                        let proofs = || instance.obligations.iter().flat_map(|shown| &shown.proofs);
                        let is_derived = clause == clause::UNCHANGED || clause.starts_with("H20 ");
                        let invariants = if is_derived { InvariantSet::Derived } else { InvariantSet::High };
                        part.invariants.is_none_or(|of| of == invariants)
                            && proofs().any(|proof| proof.row == row.name && proof.clauses.contains(clause))
                    });
                    let mut without = all.clone();
                    without[i].parts[j].clauses.remove(k);
                    let page = page(&without);
                    let missing = broken(&page);
                    assert_eq!(counts, !missing.is_empty(), "{} without {clause}", row.name);
                    assert!(missing.iter().all(|(_, status)| *status == Standing::Missing), "{missing:?}");
                    assert_eq!(counts, !page.is_proved());
                }
            }
        }
    }

    #[test]
    fn what_failed_or_was_not_run_does_not_stand() {
        let mut all = rows();
        all.retain(|row| row.name != "palloc");
        assert_eq!(broken(&page(&all)), [("palloc_inv", Standing::NotRun)]);

        let mut all = rows();
        let row = all.iter_mut().find(|row| row.name == "exec_load").expect("it is there");
        let failures = vec![Failure::of("H12 valid_dirty".to_string(), Reason::Unknown)];
        row.add(Some(InvariantSet::High), "reference", Outcome { failures, ..Outcome::default() }, 0.0);
        assert_eq!(broken(&page(&all)), [("trapinfo_set_inv", Standing::Unknown)]);
    }
}
