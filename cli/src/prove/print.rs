//! The report of the proofs on the terminal.

use comfy_table::{CellAlignment, Table, presets};
use prover::{Clause, Failure, Reason, Report, Row, Status};

/// How many cells of a state are printed; all of them are in the JSON file.
const MOST_CELLS: usize = 40;

/// Prints the table, what is not proved, the summary and, if asked for, the assumptions.
pub fn report(report: &Report, assumptions: bool) {
    println!("{}", table(report));
    failures(report);
    if assumptions {
        clauses("true by construction", &report.by_construction);
        clauses("assumed", &report.assumed);
    }
    let summary = &report.summary;
    println!(
        "{} proved, {} failed, {} unknown, {} vacuous in {:.1} s ({})",
        summary.proved, summary.failed, summary.unknown, summary.vacuous, summary.seconds, summary.solver
    );
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

fn status(row: &Row) -> String {
    let word = row.status.word();
    match row.status {
        Status::Proved if row.parts.iter().any(|part| part.unreachable) => format!("{word}, unreachable under D"),
        Status::Proved => word.to_string(),
        _ => word.to_uppercase(),
    }
}

/// Prints what is not proved: the clause, what of the state differs from boot, the path by source line, and how the
/// call ended when it was run.
pub fn failures(report: &Report) {
    for row in report.rows() {
        for part in &row.parts {
            for failure in &part.failures {
                let ground = part.ground.map_or_else(String::new, |ground| format!(" from {}", ground.word()));
                println!(
                    "{}: {} ({:?}{ground}, {} page tables)",
                    row.name, failure.clause, failure.reason, part.geometry
                );
                print(failure);
            }
        }
    }
}

fn print(failure: &Failure) {
    match (failure.reason, failure.state.is_empty()) {
        (Reason::Counterexample, true) if failure.replayed => println!("  in the state after boot"),
        (_, true) => {}
        (Reason::Counterexample, false) if failure.replayed => println!("  in the state after boot, but"),
        (_, false) => println!("  in a state with"),
    }
    for (cell, value) in failure.state.iter().take(MOST_CELLS) {
        println!("    {cell} = {value}");
    }
    if failure.state.len() > MOST_CELLS {
        println!("    and {} cells more (see --json)", failure.state.len() - MOST_CELLS);
    }
    if !failure.path.is_empty() {
        println!("  on the path");
    }
    for step in &failure.path {
        println!("    {step}");
    }
    match failure.reason {
        Reason::Counterexample if failure.replayed => println!("  replayed: {}", failure.ending),
        Reason::Counterexample => println!("  not replayed: {}", failure.ending),
        Reason::NotReplayed => println!("  the prover's own fault: {}", failure.ending),
        _ => {}
    }
}

fn clauses(title: &str, clauses: &[Clause]) {
    println!("{title}:");
    for clause in clauses {
        println!("  {}: {}", clause.name, clause.says);
    }
}
