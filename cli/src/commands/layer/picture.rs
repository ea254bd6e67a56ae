//! Which primitive touches which field, as a picture.

use super::page::{column, columns};
use maud::{Markup, html};
use prover::{Entry, Interface, Places};

/// The title, above the picture.
const TITLE: &str = "Which primitive reads (light) and writes (dark) which field of the state";
/// Side of a cell, in units of the picture.
const CELL: usize = 13;
/// Space for the names of primitives, and for the names of fields.
const NAMES: usize = 210;
const FIELDS: usize = 100;
/// Space above the first object, and around the picture.
const MARGIN: usize = 20;

/// The colours of the picture. It is drawn on white, so that it can be read on any page.
const STYLE: &str = "text { font: 11px sans-serif; fill: #222 } .object { font-weight: bold } .r { fill: #b9d3ea } \
                     .w { fill: #c2410c } .line { stroke: #e5e5e5 }";

/// Draws the interface as a self-contained SVG: a row for each primitive, a column for each field.
pub fn picture(interface: &Interface) -> String {
    let columns = columns(interface);
    let groups = interface.passthrough.iter().map(|object| (object.name, &object.entries));
    let groups = groups.chain([("Accessors", &interface.accessors), ("In guest mode", &interface.in_guest_mode)]);
    let mut rows = Vec::new();
    for (name, entries) in groups {
        rows.push(PictureRow::Object(name));
        rows.extend(entries.iter().map(PictureRow::Primitive));
    }
    let top = MARGIN + 2 * CELL + FIELDS;
    let (width, height) = (NAMES + CELL * columns.len() + 4 * MARGIN, top + CELL * rows.len() + MARGIN);
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) {
            title { (TITLE) }
            style { (STYLE) }
            rect width=(width) height=(height) fill="#fff" {}
            text.object x=(MARGIN) y=(MARGIN + CELL) { (TITLE) }
            @for (i, name) in columns.iter().enumerate() {
                @let x = NAMES + MARGIN + CELL * i;
                line.line x1=(x) x2=(x) y1=(top) y2=(height - MARGIN) {}
                text transform={ "translate(" (x + CELL - 3) " " (top - 4) ") rotate(-60)" } { (name) }
            }
            @for (i, row) in rows.iter().enumerate() { (row.draw(top + CELL * i, &columns)) }
        }
    };
    picture.into_string() + "\n"
}

/// A row of the picture.
enum PictureRow<'a> {
    Object(&'a str),
    Primitive(&'a Entry),
}

impl PictureRow<'_> {
    /// Draws the row with its upper edge at `y`.
    fn draw(&self, y: usize, columns: &[String]) -> Markup {
        match self {
            PictureRow::Object(name) => html! { text.object x=(MARGIN) y=(y + CELL - 3) { (name) } },
            PictureRow::Primitive(entry) => html! {
                text x=(MARGIN + CELL) y=(y + CELL - 3) { (entry.name) }
                @for (i, name) in columns.iter().enumerate() {
                    @if let Some(class) = mark(entry, name) {
                        rect class=(class) x=(NAMES + MARGIN + CELL * i + 1) y=(y + 1) width=(CELL - 2) height=(CELL - 2) {}
                    }
                }
            },
        }
    }
}

/// The class of a cell: what the primitive does with the field.
fn mark(entry: &Entry, name: &str) -> Option<&'static str> {
    let effects = &entry.written.as_ref()?.effects;
    let touches = |places: &Places| places.keys().any(|field| column(field) == name);
    if touches(&effects.writes) { Some("w") } else { touches(&effects.reads).then_some("r") }
}
