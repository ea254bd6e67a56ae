//! Prints the reports of the proofs on the terminal.

use comfy_table::{CellAlignment, Table, presets};
use prover::{
    Branches, Failure, Fate, MutantReport, Notice, Opinion, Page, Reason, Report, ReportRow, Slowest, Standing, Status,
    Trial, WeakeningReport, WeakeningTrial,
};

/// The maximum number of cells of a state that are printed; the JSON file has all of them.
const MOST_CELLS: usize = 40;

/// Prints the table, what is not proved, the summary and, on request, the assumptions.
pub fn report(report: &Report, assumptions: bool) {
    println!("{}", table(report));
    failures(report);
    if assumptions {
        println!("true by construction:");
        report.by_construction.iter().for_each(|clause| println!("  {}: {}", clause.name, clause.description));
        println!("what others do:");
        report.by_theorems.iter().for_each(|clause| println!("  {}: {}", clause.name, clause.description));
        println!("assumed:");
        report.assumed.iter().for_each(|assumption| println!("  {}: {}", assumption.name, assumption.description));
    }
    if let Some(coverage) = &report.coverage {
        page(&report.page);
        branches(coverage);
    }
    if let Some((row, Slowest { clause, seconds, queries, steps })) = report.slowest() {
        println!("slowest obligation: {}: {clause}: {seconds:.1} s, {queries} queries, {steps} steps", row.name);
    }
    if let (all, known @ 1..) = report.queries() {
        println!(
            "{known} of {all} queries were answered from the cache (target/answers); --no-cache asks the solver all \
             of them"
        );
    }
    let summary = &report.summary;
    let without = match summary.solver_failed {
        0 => String::new(),
        rows => format!("{rows} whose solver failed, "),
    };
    println!(
        "{} proved, {} failed, {without}{} unknown, {} vacuous in {:.1} s ({})",
        summary.proved, summary.failed, summary.unknown, summary.vacuous, summary.seconds, summary.solver
    );
    for Opinion { solver, decided, undecided, disagreements, lost } in &summary.opinions {
        println!("{solver}: {decided} queries decided, {undecided} not decided, {disagreements} disagreements");
        if let Some(lost) = lost {
            println!("  it dropped out: {lost}");
        }
    }
}

/// Prints how many of the reference's obligations are proved, and which are not.
pub fn page(page: &Page) {
    page.summary().iter().for_each(|line| println!("{line}"));
    for instance in page.all() {
        for shown in instance.obligations.iter().filter(|shown| shown.status != Standing::Proved) {
            println!("    {}: {}: {}", instance.name, shown.obligation, shown.status.word());
        }
    }
}

/// Prints how many branches are taken both ways and one way, and which of the latter are not explained.
pub fn branches(coverage: &Branches) {
    let verdict = if coverage.is_explained() { "all explained" } else { "NOT ALL EXPLAINED" };
    println!("branches: {} taken both ways, {} one way ({verdict})", coverage.both, coverage.one.len());
    for branch in coverage.one.iter().filter(|branch| branch.reason.is_none()) {
        println!("    {} is never {}", branch.at, branch.never);
    }
    for stale in &coverage.stale {
        println!("    stale explanation: {}: `{}` is never {}", stale.file, stale.line, stale.never);
    }
}

fn table(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["", "", "", "paths", "successful", "obligations", "queries", "seconds"]);
    let sections = [("primitives", &report.primitives), ("entries", &report.entries), ("theorems", &report.theorems)];
    for (title, rows) in sections.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        table.add_row([title]);
        for row in rows {
            table.add_row([
                if row.number == 0 { String::new() } else { row.number.to_string() },
                row.name.to_string(),
                status(row),
                row.paths.to_string(),
                row.successful_paths.to_string(),
                row.obligations.to_string(),
                row.queries.to_string(),
                format!("{:.1}", row.seconds),
            ]);
        }
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn status(row: &ReportRow) -> String {
    let word = row.status.word();
    match row.status {
        Status::Proved if row.parts.iter().any(|part| part.unreachable) => format!("{word}, unreachable under D"),
        Status::Proved => word.to_string(),
        _ => word.to_uppercase(),
    }
}

/// Prints what is not proved: the clause, the differences of the state from boot, the path by source line, and how the
/// call ended when it was run.
pub fn failures(report: &Report) {
    for row in report.rows() {
        for part in &row.parts {
            for failure in &part.failures {
                let from = part.invariants.map_or_else(String::new, |set| format!(" from {}", set.word()));
                println!(
                    "{}: {} ({:?}{from}, {} page tables)",
                    row.name, failure.clause, failure.reason, part.geometry
                );
                print(failure);
            }
        }
    }
}

fn print(failure: &Failure) {
    match (failure.reason, failure.state.is_empty()) {
        (Reason::Counterexample, true) if failure.confirmed => println!("  in the state after boot"),
        (_, true) => {}
        (Reason::Counterexample, false) if failure.confirmed => println!("  in the state after boot, but"),
        (_, false) => println!("  in a state with"),
    }
    for (cell, value) in failure.state.iter().take(MOST_CELLS) {
        println!("    {cell} = {value}");
    }
    if failure.state.len() > MOST_CELLS {
        println!("    and {} more cells (see --json)", failure.state.len() - MOST_CELLS);
    }
    if !failure.path.is_empty() {
        println!("  on the path");
    }
    for step in &failure.path {
        println!("    {step}");
    }
    match failure.reason {
        Reason::Counterexample if failure.confirmed => println!("  confirmed: {}", failure.ending),
        Reason::Counterexample => println!("  not confirmed: {}", failure.ending),
        Reason::Contract => println!("  a contract admits more than its primitive does: {}", failure.ending),
        Reason::Spurious => println!("  the prover's own fault: {}", failure.ending),
        _ => {}
    }
}

/// Prints the table of the mutants, those that survived or are undecided, and the summary.
pub fn mutants(report: &MutantReport) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["", "mutants", "killed", "explained", "survived", "undecided"]);
    for &subject in &report.subjects {
        let counts = Fates::of(report.trials.iter().filter(|trial| trial.subject == subject));
        table.add_row([subject.to_string()].into_iter().chain(counts.0.map(|count| count.to_string())));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    unnoticed(report);
    let Fates([all, killed, explained, survived, undecided]) = Fates::of(report.trials.iter());
    println!(
        "{all} mutants: {killed} killed, {explained} explained, {survived} survived, {undecided} undecided in {:.1} s ({})",
        report.seconds, report.solver
    );
}

/// The number of mutants, and the number with each fate.
struct Fates([usize; 5]);

impl Fates {
    fn of<'a>(trials: impl Iterator<Item = &'a Trial>) -> Fates {
        let mut counts = [0; 5];
        for trial in trials {
            counts[0] += 1;
            counts[match trial.fate {
                Fate::Killed(..) => 1,
                Fate::Explained(_) => 2,
                Fate::Survived => 3,
                Fate::Undecided(_) => 4,
            }] += 1;
        }
        Fates(counts)
    }
}

/// Prints the mutants that survived or are undecided, and the stale explanations, which fit no mutant.
pub fn unnoticed(report: &MutantReport) {
    for Trial { subject, at, line, operator, change, fate, .. } in &report.trials {
        let what = match fate {
            Fate::Killed(..) | Fate::Explained(_) => continue,
            Fate::Survived => "survived".to_string(),
            Fate::Undecided(clause) => format!("undecided ({clause})"),
        };
        println!("{subject}: {what}: {at}: {operator:?} {change:?}\n    {line}");
    }
    for stale in &report.stale {
        println!("stale explanation (no such mutant survives): {}: {}", stale.file, stale.line);
    }
}

/// Prints the weaker contracts that nothing notices, and the summary.
pub fn weakenings(report: &WeakeningReport) {
    ignored(report);
    let count = |wanted: fn(&Notice) -> bool| report.trials.iter().filter(|trial| wanted(&trial.notice)).count();
    println!(
        "{} weaker contracts: {} no longer proved, {} by mutants, {} explained, {} unnoticed in {:.1} s",
        report.trials.len(),
        count(|notice| matches!(notice, Notice::Proof)),
        count(|notice| matches!(notice, Notice::Mutant(_))),
        count(|notice| matches!(notice, Notice::Explained(_))),
        count(|notice| *notice == Notice::None),
        report.seconds
    );
    println!("{} outcomes of calls, {} not determined", report.outcomes, report.undetermined.len());
}

/// Prints the weaker contracts that nothing notices, and the outcomes that no contract determines.
pub fn ignored(report: &WeakeningReport) {
    for (subject, outcome) in &report.undetermined {
        println!("{subject}: no clause determines {outcome}");
    }
    for WeakeningTrial { subject, clause, at, line, notice } in &report.trials {
        match notice {
            Notice::None if at.is_empty() => println!("{subject}: unnoticed: the whole clause `{clause}`"),
            Notice::None => println!("{subject}: unnoticed: {at}: {clause}\n    {line}"),
            _ => {}
        }
    }
}
