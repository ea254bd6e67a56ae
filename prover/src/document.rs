//! The document of what is proved. It is generated from a run, and so claims no more than the run shows.
use crate::machine::Sym;
use crate::page::{Instance, Standing};
use crate::report::{Report, Row, Status};
use domain::X64;
use layer::invariant::{BY_THEOREMS, facts};
use layer::spec::fact::Class;
use std::fmt::Write;

/// Any machine, because the invariant is the same for all.
type Machine = Sym<X64>;

impl Report {
    /// The document in Markdown. It does not depend on the solver or on timing.
    pub fn document(&self) -> String {
        let mut page = String::from(
            "# What is proved\n\n\
             `cargo cairn prove --document docs/proved.md` has written this page, from a run; the test fails when it is stale.\n\n\
             Everything holds for all states, all arguments and all that other CPUs may do. *H* and *L* are the reference's \
             invariant, *D* what it says is true besides; a proof *from* some of them assumes them before the call and \
             proves them afterwards. *E* holds whenever the kernel is entered or left, but not between two primitives: \
             every entry assumes it and proves it again.\n",
        );
        let clauses = invariant();
        for (title, rows) in
            [("Primitives", &self.primitives), ("Entries of the kernel", &self.entries), ("Theorems", &self.theorems)]
        {
            let _ = write!(page, "\n## {title}\n\n| | | | proved |\n| --: | --- | --- | --- |\n");
            for row in rows {
                let number = if row.number == 0 { String::new() } else { row.number.to_string() };
                let _ = writeln!(page, "| {number} | `{}` | {} | {} |", row.name, status(row), summary(row, &clauses));
            }
        }
        self.of_the_reference(&mut page);
        page.push_str("\n## The invariant\n\n");
        for (number, name) in &clauses {
            let _ = writeln!(page, "* {number} {name}");
        }
        page.push_str("\n## What others do\n\n");
        for (number, name, says) in BY_THEOREMS {
            let _ = writeln!(page, "* {number} {name}: {says}");
        }
        page.push_str("\n## True by construction\n\nThe types make these true; nobody needs to prove them.\n\n");
        for clause in &self.by_construction {
            let _ = writeln!(page, "* {} {}", clause.name, clause.says);
        }
        page.push_str(
            "\n## Assumed and trusted\n\nNo proof looks at these. What watches them instead:\n\n\
             | | what is assumed | what watches it |\n| --- | --- | --- |\n",
        );
        for assumption in &self.assumed {
            let _ = writeln!(page, "| {} | {} | {} |", assumption.name, assumption.says, assumption.watched);
        }
        page
    }

    /// The reference's obligations, and the rows that prove them.
    fn of_the_reference(&self, page: &mut String) {
        let [instances, silent, lemmas] = self.page.summary();
        let _ = write!(
            page,
            "\n## The reference's own proofs\n\n\
             The reference's page has instances of classes, each with its obligations (section 10.1): *low*, L holds \
             afterwards; *high*, H holds afterwards; *mode*, kernel mode is kept. {instances}. An obligation is proved if \
             its clauses are among what the rows above prove from H and L.\n\n{HEAD}",
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
            "\nPrimitives that give a value only: their frame names nothing and they take no lock, so the frame shows that \
             the whole state stays. {silent}.\n\n",
        );
        for instance in &self.page.silent {
            let status = if instance.status == Standing::Proved { "" } else { instance.status.word() };
            let _ = writeln!(page, "{}", format!("* `{}` {status}", instance.name).trim_end());
        }
    }
}

/// The head of a table of instances.
const HEAD: &str = "| instance | class | obligations | shown by | premise |\n| --- | --- | --- | --- | --- |\n";

/// The numbers and names of the invariant's clauses, in order.
fn invariant() -> Vec<(&'static str, &'static str)> {
    facts::<Machine>().map(|fact| (fact.number, fact.name)).collect()
}

fn status(row: &Row) -> &'static str {
    match row.status {
        Status::Proved if row.parts.iter().any(|part| part.unreachable) => "proved; unreachable under D",
        _ => row.status.word(),
    }
}

/// What was proved of a row: the parts of the invariant, and the other clauses.
fn summary(row: &Row, invariant: &[(&str, &str)]) -> String {
    let number = |clause: &str| {
        invariant.iter().find(|(number, name)| clause == format!("{number} {name}")).map(|(number, _)| *number)
    };
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
    parts.extend(row.clauses.iter().filter(|clause| number(clause).is_none()).cloned());
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
