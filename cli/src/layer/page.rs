//! The layer as one self-contained page.

use super::print::{place, signature, summary};
use ::layer::core::fields::FIELDS;
use prover::{Entry, Interface, ObjectEntries, Places, Row, Written};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The page.
pub fn page(interface: &Interface) -> String {
    let mut body = String::new();
    put(&mut body, format_args!("<header><h1>The PBThread layer</h1><p>{}.</p>", escape(&summary(interface))));
    if let Some(proofs) = &interface.proofs {
        let open = proofs.failed + proofs.unknown + proofs.solver_failed + proofs.vacuous;
        let says = if open == 0 { "nothing is open".to_string() } else { format!("{open} are NOT proved") };
        put(
            &mut body,
            format_args!(
                "<p>In the same run: {} primitives, internal functions, entries of the kernel and theorems are proved; {says}.</p>",
                proofs.proved
            ),
        );
    }
    put(
        &mut body,
        format_args!(
            "<p class=formula>PBThread = fresh <b>{}</b> ⊕ passthrough <b>64 primitives, two accessors</b></p></header>",
            interface.fresh.join(", ")
        ),
    );
    body.push_str(CONTROLS);
    body.push_str("<nav><ul>");
    for object in &interface.passthrough {
        let written = object.entries.iter().filter(|entry| entry.written.is_some()).count();
        let count = object.entries.len();
        put(
            &mut body,
            format_args!(
                "<li><a href=\"#{}\">{}</a> <small>{written}/{count}</small>",
                anchor(object.name),
                escape(object.name)
            ),
        );
    }
    body.push_str("<li><a href=#accessors>Accessors</a><li><a href=#matrix>Who touches what</a></ul></nav><main>");
    for object in &interface.passthrough {
        cards(&mut body, object);
    }
    for (name, says, entries) in [
        ("Accessors", "what a load or store instruction of a program means", &interface.accessors),
        ("Accessors in guest mode", "what a load or store instruction of a guest means", &interface.in_guest_mode),
    ] {
        cards(&mut body, &ObjectEntries { name, says, entries: entries.clone() });
    }
    matrix(&mut body, interface);
    body.push_str("</main>");
    format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <title>The PBThread layer</title><style>{}</style></head><body>{body}<script>{}</script></body></html>\n",
        include_str!("page.css"),
        include_str!("page.js")
    )
}

/// The controls that filter the page.
const CONTROLS: &str = "<div class=controls><input id=filter type=search autofocus placeholder=\"filter: a name, a field (AC), an event (PALLOC), a Stuck…  press /\" aria-label=Filter>\
     <label><input type=checkbox id=writers> only those that write or log</label>\
     <label><input type=checkbox id=missing> only missing ones</label><output id=count></output></div>";

/// Writing to a string does not fail.
fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A name as an anchor.
fn anchor(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

/// Documentation as HTML: text between backticks becomes code.
fn prose(text: &str) -> String {
    let text = escape(text);
    let pieces = text.split('`').enumerate();
    pieces.map(|(at, piece)| if at % 2 == 1 { format!("<code>{piece}</code>") } else { piece.to_string() }).collect()
}

fn cards(body: &mut String, object: &ObjectEntries) {
    let (id, name, says) = (anchor(object.name), escape(object.name), escape(object.says));
    put(body, format_args!("<section class=object id=\"{id}\"><h2>{name} <small>{says}</small></h2><div class=cards>"));
    object.entries.iter().for_each(|entry| card(body, entry));
    body.push_str("</div></section>");
}

fn card(body: &mut String, entry: &Entry) {
    let name = escape(entry.name);
    let number = if entry.number == 0 { String::new() } else { entry.number.to_string() };
    let Some(written) = &entry.written else {
        put(
            body,
            format_args!(
                "<article class=\"card missing\" id=\"{name}\" data-find=\"{number} {name} missing\"><h3><i>{number}</i> <a href=\"#{name}\">{name}</a></h3>\
                 <p class=badges><span class=\"badge bad\">not written yet</span></p></article>"
            ),
        );
        return;
    };
    let effects = &written.effects;
    let touched = effects.reads.iter().chain(&effects.writes).map(|(name, parts)| place(name, parts));
    let found: Vec<String> =
        touched.chain(effects.events.iter().cloned()).chain(effects.stuck.keys().cloned()).collect();
    let find = escape(
        &format!("{number} {} {} {} {}", entry.name, written.kind, found.join(" "), written.says).to_lowercase(),
    );
    let silent = if effects.is_silent() { " silent" } else { "" };
    put(
        body,
        format_args!(
            "<article class=\"card{silent}\" id=\"{name}\" data-find=\"{find}\"><h3><i>{number}</i> <a href=\"#{name}\">{}</a></h3><p class=badges>{}</p><p>{}</p><dl>",
            escape(&signature(entry, written)),
            badges(written),
            prose(&written.says)
        ),
    );
    guard(body, written);
    row(body, "reads", "r", &effects.reads);
    if !effects.asks.is_empty() {
        let asked: Vec<String> = effects.asks.iter().map(|asked| format!("<code>{}</code>", escape(asked))).collect();
        put(body, format_args!("<dt>asks the machine<dd>{}", asked.join(" ")));
    }
    if effects.writes.is_empty() {
        body.push_str("<dt>writes<dd class=quiet>nothing");
    } else {
        row(body, "writes", "w", &effects.writes);
    }
    if !effects.lost_writes.is_empty() {
        row(body, "before it is stuck", "l", &effects.lost_writes);
    }
    let events: Vec<String> =
        effects.events.iter().map(|event| format!("<code class=event>{}</code>", escape(event))).collect();
    put(
        body,
        format_args!(
            "<dt>events<dd>{}",
            if events.is_empty() { "<span class=quiet>none</span>".to_string() } else { events.join(" ") }
        ),
    );
    if let Some(proof) = &written.proof {
        details(body, proof);
    }
    for failure in &effects.failures {
        put(body, format_args!("<dt>not all found<dd class=bad>{} ({:?})", escape(&failure.clause), failure.reason));
    }
    body.push_str("</dl></article>");
}

fn badges(written: &Written) -> String {
    let mut badges = format!("<span class=badge>{}</span>", escape(&written.kind));
    for lock in &written.effects.locks {
        put(&mut badges, format_args!(" <span class=\"badge lock\">locks {}</span>", escape(lock)));
    }
    if written.effects.is_silent() {
        badges.push_str(" <span class=badge>silent</span>");
    }
    match &written.proof {
        Some(row) if row.is_proved() => badges.push_str(" <span class=\"badge good\">proved</span>"),
        Some(row) => {
            put(&mut badges, format_args!(" <span class=\"badge bad\">{}</span>", row.status.word().to_uppercase()))
        }
        None => badges.push_str(" <span class=\"badge quiet\">proofs left out</span>"),
    }
    badges
}

/// The requirements of a primitive: in words, and as found by running it symbolically.
fn guard(body: &mut String, written: &Written) {
    body.push_str("<dt>guard<dd>");
    if written.effects.stuck.is_empty() {
        body.push_str("<span class=quiet>none: it is never stuck</span>");
    }
    for (stuck, says) in &written.effects.stuck {
        put(body, format_args!("<code class=stuck tabindex=0 title=\"{}\">{}</code> ", escape(says), escape(stuck)));
    }
    if !written.errors.is_empty() {
        put(body, format_args!("<div class=words>{}</div>", prose(&written.errors)));
    }
}

fn row(body: &mut String, title: &str, class: &str, places: &Places) {
    if places.is_empty() {
        return;
    }
    put(body, format_args!("<dt>{title}<dd>"));
    for (name, parts) in places {
        put(
            body,
            format_args!(
                "<code class={class} data-field=\"{}\">{}</code> ",
                escape(column(name)),
                escape(&place(name, parts))
            ),
        );
    }
}

fn details(body: &mut String, proof: &Row) {
    put(
        body,
        format_args!(
            "<dt>proof<dd><details><summary>{} in {:.1} s: {} paths, {} of them successful, {} obligations</summary><ul>",
            proof.status.word(),
            proof.seconds,
            proof.paths,
            proof.successful_paths,
            proof.obligations
        ),
    );
    proof.clauses.iter().for_each(|clause| put(body, format_args!("<li>{}", escape(clause))));
    body.push_str("</ul></details>");
}

/// Flags of a CPU that most requirements read: one column of the matrix.
const MODE: [&str; 7] = ["pg", "ikern", "ihost", "ipt", "init", "in_intr", "PT"];

/// The column of the matrix that a field or scalar is in.
fn column(name: &str) -> &str {
    let stem = name.split('.').next().unwrap_or(name);
    if MODE.contains(&name) {
        "mode"
    } else if FIELDS.contains(&name) {
        name
    } else {
        stem
    }
}

/// Which primitive reads and writes which field.
fn matrix(body: &mut String, interface: &Interface) {
    let written = || interface.entries().filter_map(|entry| Some((entry, entry.written.as_ref()?)));
    let touched = |written: &Written| -> BTreeSet<String> {
        let places = written.effects.reads.keys().chain(written.effects.writes.keys());
        places.map(|name| column(name).to_string()).collect()
    };
    let used: BTreeSet<String> = written().flat_map(|(_, written)| touched(written)).collect();
    let fields = FIELDS.iter().map(ToString::to_string);
    let scalars: Vec<String> =
        used.iter().filter(|name| !FIELDS.contains(&name.as_str()) && *name != "mode").cloned().collect();
    let columns: Vec<String> = ["mode".to_string()].into_iter().chain(scalars).chain(fields).collect();
    body.push_str(
        "<section id=matrix><h2>Who touches what <small>r reads, w writes where it succeeds; a click on a field filters</small></h2>\
         <p class=quiet>mode: pg, ikern, ihost, ipt, init, in_intr, PT. A column without a mark is a field that nothing touches yet.</p>\
         <div class=scroll><table><thead><tr><th>",
    );
    for name in &columns {
        let unused = if used.contains(name) { "" } else { " class=unused" };
        put(body, format_args!("<th{unused}><button data-field=\"{0}\">{0}</button>", escape(name)));
    }
    body.push_str("</thead>");
    for object in &interface.passthrough {
        group(body, object.name, &object.entries, &columns);
    }
    group(body, "Accessors", &interface.accessors, &columns);
    group(body, "Accessors in guest mode", &interface.in_guest_mode, &columns);
    body.push_str("</table></div></section>");
}

fn group(body: &mut String, name: &str, entries: &[Entry], columns: &[String]) {
    put(body, format_args!("<tbody><tr class=group><th colspan={}>{}", columns.len() + 1, escape(name)));
    for entry in entries {
        let number = if entry.number == 0 { String::new() } else { entry.number.to_string() };
        put(
            body,
            format_args!("<tr data-name=\"{0}\"><th><i>{number}</i> <a href=\"#{0}\">{0}</a>", escape(entry.name)),
        );
        let Some(written) = &entry.written else {
            put(body, format_args!("<td class=none colspan={}>not written yet", columns.len()));
            continue;
        };
        for name in columns {
            let in_column = |places: &Places| -> Vec<String> {
                let of = places.iter().filter(|(field, _)| column(field) == name);
                of.map(|(field, parts)| place(field, parts)).collect()
            };
            let (reads, writes) = (in_column(&written.effects.reads), in_column(&written.effects.writes));
            let mark = [("r", &reads), ("w", &writes)]
                .into_iter()
                .filter(|(_, places)| !places.is_empty())
                .map(|(mark, _)| mark)
                .collect::<String>();
            if mark.is_empty() {
                body.push_str("<td>");
                continue;
            }
            let mut title = format!("{}: ", entry.name);
            for (what, places) in
                [("reads ", reads), ("writes ", writes)].into_iter().filter(|(_, places)| !places.is_empty())
            {
                title += &format!("{what}{}; ", places.join(", "));
            }
            put(body, format_args!("<td class={mark} title=\"{}\">{mark}", escape(title.trim_end_matches("; "))));
        }
    }
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
        // Everything that can be called has an article; internal functions are parts of others.
        let callable = layer::catalogue::TABLE.iter().filter(|row| row.kind != Kind::Internal);
        assert_eq!(page.matches("<article").count(), callable.count());
        for id in ["palloc", "cons_buf_read", "exec_store"] {
            assert!(page.contains(&format!("id=\"{id}\"")) && page.contains(&format!("href=\"#{id}\"")));
        }
    }

    #[test]
    fn text_is_escaped_and_code_marked() {
        assert_eq!(
            prose("`Stuck::NotInt` when `i < 3` & so"),
            "<code>Stuck::NotInt</code> when <code>i &lt; 3</code> &amp; so"
        );
        assert_eq!(
            (column("ikern"), column("rdy.head"), column("AC.charged"), column("vmx.set_up")),
            ("mode", "rdy", "AC.charged", "vmx")
        );
    }
}
