//! The layer as one self-contained page.

use super::print::{place, signature, summary};
use ::layer::core::fields::FIELDS;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use prover::{Entry, Interface, ObjectEntries, Places, ReportRow, Written};
use std::collections::BTreeSet;

/// The page.
pub fn page(interface: &Interface) -> String {
    let groups = [
        ("Accessors", "the meaning of a load or store instruction of a program", &interface.accessors),
        ("Accessors in guest mode", "the meaning of a load or store instruction of a guest", &interface.in_guest_mode),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "The PBThread layer" }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                (header(interface))
                (controls())
                (contents(interface))
                main {
                    @for object in &interface.passthrough { (cards(object)) }
                    @for (name, description, entries) in groups {
                        (cards(&ObjectEntries { name, description, entries: entries.clone() }))
                    }
                    (matrix(interface))
                }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    page.into_string() + "\n"
}

fn header(interface: &Interface) -> Markup {
    html! {
        header {
            h1 { "The PBThread layer" }
            p { (summary(interface)) "." }
            @if let Some(proofs) = &interface.proofs {
                @let open = proofs.failed + proofs.unknown + proofs.solver_failed + proofs.vacuous;
                p {
                    "In the same run: " (proofs.proved)
                    " primitives, internal functions, entries of the kernel and theorems are proved; "
                    @if open == 0 { "none is open" } @else { (open) " are NOT proved" } "."
                }
            }
            p.formula {
                "PBThread = fresh " b { (interface.fresh.join(", ")) }
                " ⊕ passthrough " b { "64 primitives, two accessors" }
            }
        }
    }
}

/// The controls that filter the page.
fn controls() -> Markup {
    html! {
        div.controls {
            input #filter type="search" autofocus aria-label="Filter"
                placeholder="filter: a name, a field (AC), an event (PALLOC), a Stuck…  press /";
            label { input #writers type="checkbox"; " only those that write or log" }
            label { input #missing type="checkbox"; " only missing ones" }
            output #count {}
        }
    }
}

/// The links to the objects.
fn contents(interface: &Interface) -> Markup {
    html! {
        nav {
            ul {
                @for object in &interface.passthrough {
                    @let written = object.entries.iter().filter(|entry| entry.written.is_some()).count();
                    li {
                        a href={ "#" (anchor(object.name)) } { (object.name) }
                        " " small { (written) "/" (object.entries.len()) }
                    }
                }
                li { a href="#accessors" { "Accessors" } }
                li { a href="#matrix" { "Which primitive touches which field" } }
            }
        }
    }
}

/// A name as an anchor.
fn anchor(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

/// Documentation as HTML: text between backticks becomes code.
fn prose(text: &str) -> Markup {
    html! {
        @for (at, piece) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

fn cards(object: &ObjectEntries) -> Markup {
    html! {
        section.object id=(anchor(object.name)) {
            h2 { (object.name) " " small { (object.description) } }
            div.cards { @for entry in &object.entries { (card(entry)) } }
        }
    }
}

/// The number of an entry in the reference, if it has one.
fn number(entry: &Entry) -> String {
    if entry.number == 0 { String::new() } else { entry.number.to_string() }
}

fn card(entry: &Entry) -> Markup {
    let (name, number) = (entry.name, number(entry));
    let Some(written) = &entry.written else {
        return html! {
            article.card.missing id=(name) data-find={ (number) " " (name) " missing" } {
                h3 { i { (number) } " " a href={ "#" (name) } { (name) } }
                p.badges { span.badge.bad { "not written yet" } }
            }
        };
    };
    let effects = &written.effects;
    let touched = effects.reads.iter().chain(&effects.writes).map(|(name, parts)| place(name, parts));
    let found: Vec<String> =
        touched.chain(effects.events.iter().cloned()).chain(effects.stuck.keys().cloned()).collect();
    let find = format!("{number} {name} {} {} {}", written.kind, found.join(" "), written.description).to_lowercase();
    html! {
        article.card.silent[effects.is_silent()] id=(name) data-find=(find) {
            h3 { i { (number) } " " a href={ "#" (name) } { (signature(entry, written)) } }
            p.badges { (badges(written)) }
            p { (prose(&written.description)) }
            dl {
                (requires(written))
                (row("reads", "r", &effects.reads))
                @if !effects.asks.is_empty() {
                    dt { "asks the machine" }
                    dd { @for asked in &effects.asks { code { (asked) } " " } }
                }
                @if effects.writes.is_empty() {
                    dt { "writes" }
                    dd.quiet { "nothing" }
                } @else {
                    (row("writes", "w", &effects.writes))
                }
                (row("before it is stuck", "l", &effects.lost_writes))
                dt { "events" }
                dd {
                    @if effects.events.is_empty() { span.quiet { "none" } }
                    @for event in &effects.events { code.event { (event) } " " }
                }
                @if let Some(reason) = written.unused {
                    dt { "never called" }
                    dd { "by the booted kernel: " (prose(reason)) }
                }
                @if let Some(proof) = &written.proof { (details(proof)) }
                @for failure in &effects.failures {
                    dt { "not all found" }
                    dd.bad { (failure.clause) " (" (format!("{:?}", failure.reason)) ")" }
                }
            }
        }
    }
}

fn badges(written: &Written) -> Markup {
    html! {
        span.badge { (written.kind) }
        @for lock in &written.effects.locks { " " span.badge.lock { "locks " (lock) } }
        @if written.effects.is_silent() { " " span.badge { "silent" } }
        " "
        @match &written.proof {
            Some(row) if row.is_proved() => span.badge.good { "proved" },
            Some(row) => span.badge.bad { (row.status.word().to_uppercase()) },
            None => span.badge.quiet { "proofs left out" },
        }
    }
}

/// The requirements of a primitive: in words, and as found by running it symbolically.
fn requires(written: &Written) -> Markup {
    html! {
        dt { "requires" }
        dd {
            @if written.effects.stuck.is_empty() { span.quiet { "none: it is never stuck" } }
            @for (stuck, description) in &written.effects.stuck { code.stuck tabindex="0" title=(description) { (stuck) } " " }
            @if !written.errors.is_empty() { div.words { (prose(&written.errors)) } }
        }
    }
}

/// The touched places of one kind, if there are any.
fn row(title: &str, class: &str, places: &Places) -> Markup {
    html! {
        @if !places.is_empty() {
            dt { (title) }
            dd {
                @for (name, parts) in places {
                    code class=(class) data-field=(column(name)) { (place(name, parts)) } " "
                }
            }
        }
    }
}

fn details(proof: &ReportRow) -> Markup {
    let ReportRow { paths, successful_paths, obligations, .. } = proof;
    html! {
        dt { "proof" }
        dd {
            details {
                summary {
                    (proof.status.word()) " in " (format!("{:.1}", proof.seconds)) " s: " (paths) " paths, "
                    (successful_paths) " of them successful, " (obligations) " obligations"
                }
                ul { @for clause in &proof.clauses { li { (clause) } } }
            }
        }
    }
}

/// Flags of a CPU that most requirements read: one column of the matrix.
const MODE: [&str; 7] = ["pg", "ikern", "ihost", "ipt", "init", "in_intr", "PT"];

/// The column of the matrix that a field or scalar is in.
pub fn column(name: &str) -> &str {
    let stem = name.split('.').next().unwrap_or(name);
    if MODE.contains(&name) {
        "mode"
    } else if FIELDS.contains(&name) {
        name
    } else {
        stem
    }
}

/// The columns that some primitive reads or writes.
fn used(interface: &Interface) -> BTreeSet<String> {
    let written = interface.entries().filter_map(|entry| entry.written.as_ref());
    let touched = |written: &Written| -> BTreeSet<String> {
        let places = written.effects.reads.keys().chain(written.effects.writes.keys());
        places.map(|name| column(name).to_string()).collect()
    };
    written.flat_map(touched).collect()
}

/// The columns: the mode, the scalars that are used, and all fields.
pub fn columns(interface: &Interface) -> Vec<String> {
    let used = used(interface);
    let fields = FIELDS.iter().map(ToString::to_string);
    let scalars = used.iter().filter(|name| !FIELDS.contains(&name.as_str()) && *name != "mode").cloned();
    ["mode".to_string()].into_iter().chain(scalars).chain(fields).collect()
}

/// Which primitive reads and writes which field.
fn matrix(interface: &Interface) -> Markup {
    let (used, columns) = (used(interface), columns(interface));
    html! {
        section #matrix {
            h2 {
                "Which primitive touches which field "
                small { "r: reads; w: writes if it succeeds; click a field to filter" }
            }
            p.quiet {
                "mode: pg, ikern, ihost, ipt, init, in_intr, PT. "
                "A column without a mark is a field that no primitive touches yet."
            }
            div.scroll {
                table {
                    thead {
                        tr {
                            th {}
                            @for name in &columns {
                                th class=[(!used.contains(name)).then_some("unused")] { button data-field=(name) { (name) } }
                            }
                        }
                    }
                    @for object in &interface.passthrough { (group(object.name, &object.entries, &columns)) }
                    (group("Accessors", &interface.accessors, &columns))
                    (group("Accessors in guest mode", &interface.in_guest_mode, &columns))
                }
            }
        }
    }
}

fn group(name: &str, entries: &[Entry], columns: &[String]) -> Markup {
    html! {
        tbody {
            tr.group { th colspan=(columns.len() + 1) { (name) } }
            @for entry in entries {
                tr data-name=(entry.name) {
                    th { i { (number(entry)) } " " a href={ "#" (entry.name) } { (entry.name) } }
                    @match &entry.written {
                        Some(written) => @for name in columns { (mark(entry.name, written, name)) },
                        None => td.none colspan=(columns.len()) { "not written yet" },
                    }
                }
            }
        }
    }
}

/// The cell of a primitive and a column of the matrix.
fn mark(primitive: &str, written: &Written, name: &str) -> Markup {
    let in_column = |places: &Places| -> Vec<String> {
        let of = places.iter().filter(|(field, _)| column(field) == name);
        of.map(|(field, parts)| place(field, parts)).collect()
    };
    let (reads, writes) = (in_column(&written.effects.reads), in_column(&written.effects.writes));
    let touched: Vec<_> = [("r", "reads", reads), ("w", "writes", writes)]
        .into_iter()
        .filter(|(_, _, places)| !places.is_empty())
        .collect();
    if touched.is_empty() {
        return html! { td {} };
    }
    let mark: String = touched.iter().map(|(mark, ..)| *mark).collect();
    let titles: Vec<String> = touched.iter().map(|(_, what, places)| format!("{what} {}", places.join(", "))).collect();
    html! { td class=(mark) title={ (primitive) ": " (titles.join("; ")) } { (mark) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layer::catalogue::Kind;

    #[test]
    fn the_page_needs_nothing_else_and_has_every_primitive() {
        let page = page(&Interface::new(&[], 0.0, None));
        for outside in ["http://", "https://", "src=", "@import", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        // Every function that can be called has an article; internal functions are parts of other
        // articles.
        let callable = layer::catalogue::TABLE.iter().filter(|row| row.kind != Kind::Internal);
        assert_eq!(page.matches("<article").count(), callable.count());
        for id in ["palloc", "cons_buf_read", "exec_store"] {
            assert!(page.contains(&format!("id=\"{id}\"")) && page.contains(&format!("href=\"#{id}\"")));
        }
    }

    #[test]
    fn text_is_escaped_and_code_marked() {
        assert_eq!(
            prose("`Stuck::NotInt` when `i < 3` & so").into_string(),
            "<code>Stuck::NotInt</code> when <code>i &lt; 3</code> &amp; so"
        );
        assert_eq!(
            (column("ikern"), column("rdy.head"), column("AC.charged"), column("vmx.set_up")),
            ("mode", "rdy", "AC.charged", "vmx")
        );
    }
}
