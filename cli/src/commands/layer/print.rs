//! The layer on the terminal.

use prover::{Entry, Interface, Places, Written};
use std::collections::BTreeSet;

/// Prints the layer, one paragraph for each primitive.
pub fn interface(interface: &Interface) {
    println!("fresh: {}", if interface.fresh.is_empty() { "none".to_string() } else { interface.fresh.join(", ") });
    for object in &interface.passthrough {
        println!("\n{} ({})", object.name, object.description);
        object.entries.iter().for_each(entry);
    }
    println!("\nAccessors (the meaning of a load or store instruction of a program)");
    interface.accessors.iter().for_each(entry);
    println!("\nAccessors in guest mode (the meaning of a load or store instruction of a guest)");
    interface.in_guest_mode.iter().for_each(entry);
    println!("\n{}", summary(interface));
}

/// How many primitives are written, and how long finding their effects took.
pub fn summary(interface: &Interface) -> String {
    let is_fresh = |entry: &&Entry| interface.fresh.contains(&entry.name);
    let numbered = || interface.passthrough.iter().flat_map(|object| &object.entries).filter(|entry| !is_fresh(entry));
    let written = numbered().filter(|entry| entry.written.is_some()).count();
    let effects = format!(
        "{} added by Cairn, and {written} of the reference's {} primitives and {} accessors; their effects were \
         found in {:.1} s",
        interface.fresh.len(),
        numbered().count(),
        interface.accessors.len(),
        interface.effects_seconds
    );
    match &interface.proofs {
        Some(proofs) => {
            let proved = interface.entries().filter(|entry| proof(entry).is_some_and(|row| row.is_proved())).count();
            format!("{effects}; {proved} of them proved, in {:.1} s ({})", proofs.seconds, proofs.solver)
        }
        None => format!("{effects}; proofs were left out"),
    }
}

fn proof(entry: &Entry) -> Option<&prover::ReportRow> {
    entry.written.as_ref()?.proof.as_ref()
}

fn entry(entry: &Entry) {
    let number = if entry.number == 0 { String::new() } else { entry.number.to_string() };
    let Some(written) = &entry.written else {
        println!("{number:>4} {}\n       not written yet", entry.name);
        return;
    };
    println!("{number:>4} {}  [{}]{}", signature(entry, written), written.kind, status(written));
    line("", &written.description);
    let effects = &written.effects;
    line("stuck:", &list(effects.stuck.keys()));
    line("reads:", &places(&effects.reads));
    line("asks:", &list(&effects.asks));
    line("writes:", &if effects.writes.is_empty() { "nothing".to_string() } else { places(&effects.writes) });
    line("events:", &list(&effects.events));
    line("unused:", written.unused.unwrap_or_default());
    effects
        .failures
        .iter()
        .for_each(|failure| println!("       NOT ALL FOUND: {} ({:?})", failure.clause, failure.reason));
}

fn line(title: &str, text: &str) {
    if !text.is_empty() {
        println!("       {title}{}{text}", " ".repeat(if title.is_empty() { 0 } else { 8 - title.len() }));
    }
}

/// A primitive with its arguments and its result.
pub fn signature(entry: &Entry, written: &Written) -> String {
    let result = if written.result.is_empty() { String::new() } else { format!(" -> {}", written.result) };
    format!("{}({}){result}", entry.name, written.arguments.join(", "))
}

fn status(written: &Written) -> String {
    written.proof.as_ref().map_or_else(String::new, |row| {
        let word = row.status.word();
        format!("  {} in {:.1} s", if row.is_proved() { word.to_string() } else { word.to_uppercase() }, row.seconds)
    })
}

/// Names, separated by commas.
fn list(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    names.into_iter().map(|name| name.as_ref().to_string()).collect::<Vec<_>>().join(", ")
}

/// Fields with their parts: `AC.{quota, usage}`.
fn places(places: &Places) -> String {
    list(places.iter().map(|(name, parts)| place(name, parts)))
}

/// A field with its parts.
pub fn place(name: &str, parts: &BTreeSet<String>) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts[..] {
        [] => name.to_string(),
        [part] => format!("{name}.{part}"),
        _ => format!("{name}.{{{}}}", parts.join(", ")),
    }
}
