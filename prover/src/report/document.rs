//! The document of what is proved. It is generated from a run, so it contains only what the run has
//! shown.
use crate::clause;
use crate::report::reference::{Instance, Standing};
use crate::report::row::{ReportRow, Status};
use crate::report::run::Report;
use crate::state::sym::Sym;
use layer::core::geometry::X64;
use layer::invariant::{BY_THEOREMS, facts};
use layer::spec::fact::Class;
use std::fmt::Write;

/// The hosted machine with any parameters, because the invariant is the same for all.
type Machine = Sym<X64>;

impl Report {
    /// The document in Markdown. It does not depend on the solver or on timing.
    pub fn document(&self) -> String {
        let mut page = String::from(
            "# What is proved\n\n\
             `cargo cairn prove --document docs/proved.md` has written this page, from a run; the test fails when it is stale.\n\n\
             Everything holds for all states, all arguments and all interference by other CPUs. *H* and *L* are the \
             reference's invariant, and *D* are derived invariants. A proof from some of these classes assumes their facts \
             before the call and proves them afterwards. *E* holds at every entry to the kernel and every exit from it, but \
             not between two primitives: every entry assumes it and proves it again.\n",
        );
        let clauses = invariant();
        page.push_str(LEGEND);
        for (title, rows) in [("Primitives", &self.primitives), ("Entries of the kernel", &self.entries)] {
            let _ = write!(
                page,
                "\n## {title}\n\n| | | {} |\n| --: | --- |{}\n",
                HEADS.join(" | "),
                " --- |".repeat(HEADS.len())
            );
            for row in rows {
                let number = if row.number == 0 { String::new() } else { row.number.to_string() };
                let cells = Cells::of(row, &clauses).cells();
                let _ = writeln!(page, "| {number} | `{}` | {} |", row.name, cells.join(" | "));
            }
        }
        page.push_str("\n## Theorems\n\n| theorem | clauses |\n| --- | --- |\n");
        for row in &self.theorems {
            let status = if row.status == Status::Proved { String::new() } else { format!("{}; ", row.status.word()) };
            let _ = writeln!(page, "| `{}` | {status}{} |", row.name, summary(row, &clauses));
        }
        self.of_the_reference(&mut page);
        page.push_str("\n## The invariant\n\n");
        for (number, name) in &clauses {
            let _ = writeln!(page, "* {number} {name}");
        }
        page.push_str("\n## Interference by other CPUs\n\n");
        for (number, name, description) in BY_THEOREMS {
            let _ = writeln!(page, "* {number} {name}: {description}");
        }
        page.push_str("\n## True by construction\n\nThe types make these clauses true, so they need no proof.\n\n");
        for clause in &self.by_construction {
            let _ = writeln!(page, "* {} {}", clause.name, clause.description);
        }
        page.push_str(
            "\n## Assumed and trusted\n\nNo proof covers these. The last column has the tests that check them instead.\n\n\
             | | assumption | tests |\n| --- | --- | --- |\n",
        );
        for assumption in &self.assumed {
            let _ = writeln!(page, "| {} | {} | {} |", assumption.name, assumption.description, assumption.watched);
        }
        page
    }

    /// The reference's obligations, and the rows that prove them.
    fn of_the_reference(&self, page: &mut String) {
        let [instances, silent, lemmas] = self.page.summary();
        let _ = write!(
            page,
            "\n## The reference's own proofs\n\n\
             The Coq page of the reference has instances of classes, each with its obligations (section 10.1). *low*: L \
             holds afterwards. *high*: H holds afterwards. *mode*: kernel mode is preserved. {instances}. An obligation is \
             proved if the rows above prove all its clauses from H and L.\n\n{HEAD}",
        );
        let line = |page: &mut String, instance: &Instance| {
            let obligations = instance.obligations.iter().map(|shown| match shown.status {
                Standing::Proved => shown.obligation.to_string(),
                status => format!("{} ({})", shown.obligation, status.word()),
            });
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} | {} |",
                instance.name,
                instance.class,
                obligations.collect::<Vec<_>>().join(", "),
                instance.rows().iter().map(|row| format!("`{row}`")).collect::<Vec<_>>().join(", "),
                instance.premise
            );
        };
        self.page.instances.iter().for_each(|instance| line(page, instance));
        let _ = write!(page, "\nLemmas of internal functions and of palloc. {lemmas}.\n\n{HEAD}");
        self.page.lemmas.iter().for_each(|instance| line(page, instance));
        let _ = write!(
            page,
            "\nPrimitives that only return a value: their *modifies* clause is empty and they take no lock, so the whole state \
             is unchanged. {silent}.\n\n",
        );
        for instance in &self.page.silent {
            let status = if instance.status == Standing::Proved { "" } else { instance.status.word() };
            let _ = writeln!(page, "{}", format!("* `{}` {status}", instance.name).trim_end());
        }
    }
}

/// The head of a table of instances.
const HEAD: &str = "| instance | class | obligations | proved by | premise |\n| --- | --- | --- | --- | --- |\n";

/// The numbers and names of the invariant's clauses, in order.
fn invariant() -> Vec<(&'static str, &'static str)> {
    facts::<Machine>().map(|fact| (fact.number, fact.name)).collect()
}

/// The columns of the matrix, except for number and name.
const HEADS: [&str; 12] =
    ["H, L", "D", "E", "H20", "pre", "stuck", "post", "modifies", "mode", "events", "effects", "guarantees"];

/// The explanations of the columns.
const LEGEND: &str = "
Each row is one primitive or entry. A tick means that the clause is proved of it; an empty cell means that it has no such \
clause. A cell also lists exceptions.

* **H, L**, **D**, **E**, **H20**: these facts hold afterwards. *untouched*: no state that E reads is written.
* **pre**: the call succeeds only if the reference's precondition holds.
* **stuck**: the call is never stuck if its precondition holds; an entry is never stuck, and its continuation can run.
* **post**: the postcondition holds.
* **modifies**: only the cells of the *modifies* clause are written. *nothing*: the whole state is unchanged.
* **mode**: a call that starts in kernel mode ends in it.
* **events**: the call logs exactly the events of its contract, and the running and ready threads are the result of \
replaying them.
* **effects**: these objects are the result of replaying the events.
* **guarantees**: every critical section on these objects is within the rely conditions of the other CPUs, the lock invariant \
holds again, and no part of them is changed without its lock.
";

/// The clauses of a row, by column.
struct Cells {
    /// The columns H and L, D, and E.
    facts: [String; 3],
    ticks: Vec<&'static str>,
    effects: Vec<String>,
    guarantees: Vec<String>,
    others: Vec<String>,
    status: &'static str,
}

impl Cells {
    fn of(row: &ReportRow, invariant: &[(&str, &str)]) -> Cells {
        let kept: Vec<&str> = row.clauses.iter().filter_map(|clause| number_of(clause, invariant)).collect();
        let facts = classes().map(|(_, all)| {
            let missing: Vec<&str> = all.iter().copied().filter(|number| !kept.contains(number)).collect();
            match missing.len() {
                0 => TICK.to_string(),
                some if some == all.len() => String::new(),
                _ => format!("all but {}", missing.join(", ")),
            }
        });
        let mut cells = Cells {
            facts,
            ticks: Vec::new(),
            effects: Vec::new(),
            guarantees: Vec::new(),
            others: Vec::new(),
            status: match row.status {
                Status::Proved if row.parts.iter().any(|part| part.unreachable) => "unreachable under D",
                Status::Proved => "",
                status => status.word(),
            },
        };
        let objects = |prefix: &str, clause: &str| {
            let rest = clause.strip_prefix(prefix)?.trim_start();
            // A moment such as "at unlock" follows.
            rest.split(' ').next().map(str::to_string)
        };
        let has = |clause: &str| row.clauses.iter().any(|proved| proved == clause || clause::is_of(proved, clause));
        for clause in row.clauses.iter().filter(|clause| number_of(clause, invariant).is_none()) {
            let known = KNOWN.iter().find(|(_, text)| *text == clause).map(|(head, _)| *head);
            let effect = objects(&clause::effect(""), clause);
            let guarantee = objects(&clause::guarantee(""), clause).or_else(|| objects(&clause::unheld(""), clause));
            let lock_invariant = objects(&clause::by_itself(""), clause);
            match (known, effect, guarantee.or(lock_invariant)) {
                (Some(head), ..) => cells.ticks.push(head),
                (_, Some(object), _) => add(&mut cells.effects, object),
                // A tick stands for the guarantee and the lock invariant together.
                (.., Some(object)) if has(&clause::guarantee(&object)) && has(&clause::by_itself(&object)) => {
                    add(&mut cells.guarantees, object);
                }
                _ => cells.others.push(clause.clone()),
            }
        }
        for (head, together) in TOGETHER {
            let count = cells.ticks.iter().filter(|tick| **tick == head).count();
            if count > 0 && !together.iter().all(|clause| row.clauses.iter().any(|proved| proved == clause)) {
                cells.ticks.retain(|tick| *tick != head);
                cells.others.extend(together.iter().map(|clause| clause.to_string()).filter(|clause| has(clause)));
            }
        }
        cells
    }

    /// The cells, in the order of the columns.
    fn cells(&self) -> Vec<String> {
        let tick = |head: &str| if self.ticks.contains(&head) { TICK.to_string() } else { String::new() };
        let [high, derived, entry] = &self.facts;
        let modifies = if self.ticks.contains(&"nothing") { "nothing".to_string() } else { tick("modifies") };
        let stuck = [tick("stuck"), tick("entry")].concat();
        let entry = if self.ticks.contains(&"untouched") { "untouched" } else { entry.as_str() };
        let mut cells = vec![high.clone(), derived.clone(), entry.to_string(), tick("H20"), tick("pre"), stuck];
        cells.extend([tick("post"), modifies, tick("mode"), tick("events")]);
        cells.extend([self.effects.join(", "), self.guarantees.join(", ")]);
        let last = [&self.others[..], &[self.status.to_string()]].concat();
        let last = last.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
        if !last.is_empty() {
            cells[1] = format!("{} {last}", cells[1]).trim().to_string();
        }
        cells
    }
}

const TICK: &str = "✓";

/// The columns that stand for several clauses, and count only if all of these are proved.
const TOGETHER: [(&str, [&str; 2]); 2] =
    [("events", [clause::EVENTS, clause::EFFECT_OWN]), ("entry", [clause::NEVER_STUCK, clause::NEXT])];

/// The clauses that have a column of their own.
const KNOWN: [(&str, &str); 12] = [
    ("H20", "H20 valid_big_oracle"),
    ("pre", clause::REFERENCE_REQUIRES),
    ("stuck", clause::FREE),
    ("entry", clause::NEVER_STUCK),
    ("entry", clause::NEXT),
    ("post", clause::ENSURES),
    ("modifies", clause::MODIFIES),
    ("nothing", clause::UNCHANGED),
    ("untouched", clause::ENTRY_FACTS),
    ("mode", clause::MODE),
    ("events", clause::EVENTS),
    ("events", clause::EFFECT_OWN),
];

fn add(objects: &mut Vec<String>, object: String) {
    if !objects.contains(&object) {
        objects.push(object);
    }
}

/// The number of the fact that the clause `clause` names.
fn number_of<'a>(clause: &str, invariant: &[(&'a str, &str)]) -> Option<&'a str> {
    invariant.iter().find(|(number, name)| clause == format!("{number} {name}")).map(|(number, _)| *number)
}

/// What was proved of a row: the parts of the invariant, and the other clauses.
fn summary(row: &ReportRow, invariant: &[(&str, &str)]) -> String {
    let number = |clause: &str| number_of(clause, invariant);
    let kept: Vec<&str> = row.clauses.iter().filter_map(|clause| number(clause)).collect();
    let mut parts = Vec::new();
    for (class, of) in classes() {
        let all: Vec<&str> = of.iter().copied().filter(|number| kept.contains(number)).collect();
        if all.len() == of.len() {
            parts.push(class.to_string());
        } else {
            parts.extend(all.iter().map(ToString::to_string));
        }
    }
    // The theorem that every fact can be violated has one clause for each fact.
    const VIOLATED: &str = " can be violated";
    let (broken, others): (Vec<&String>, Vec<&String>) =
        row.clauses.iter().filter(|clause| number(clause).is_none()).partition(|clause| clause.ends_with(VIOLATED));
    if broken.len() == invariant.len() {
        parts.push(format!("each fact{VIOLATED}"));
    } else {
        parts.extend(broken.into_iter().cloned());
    }
    parts.extend(others.into_iter().cloned());
    parts.join("; ")
}

/// The clauses of each class of the invariant, with a phrase for all of them together.
fn classes() -> [(&'static str, Vec<&'static str>); 3] {
    let of = |classes: &[Class]| {
        let facts = facts::<Machine>().filter(|fact| classes.contains(&fact.class));
        facts.map(|fact| fact.number).collect()
    };
    [
        ("all of H and L", of(&[Class::High, Class::Low])),
        ("all of D", of(&[Class::Derived])),
        ("all of E", of(&[Class::Entry])),
    ]
}
