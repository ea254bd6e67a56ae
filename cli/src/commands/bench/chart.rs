//! The figures as a bar chart, with the figures of other kernels.

use super::report::{BenchRow, Report};
use super::rows::{Neighbour, Target};
use maud::{Markup, PreEscaped, html};

/// Width of the picture, and of its margins, in units of the picture.
const WIDTH: usize = 1000;
const MARGIN: usize = 30;
/// Where bars begin, length of the longest bar, and where the values are written.
const BARS: usize = 330;
const LONGEST: usize = 430;
const VALUES: usize = BARS + LONGEST + 12;
/// Height of a line of text, of a bar with its margins, and of the gap between operations.
const LINE: usize = 18;
const BAR: usize = 28;
const GAP: usize = 18;
/// Characters that fit into a line.
const COLUMNS: usize = 150;

/// A bar.
struct Bar {
    name: String,
    class: &'static str,
    least: u64,
    most: u64,
    differs: &'static str,
}

impl From<&Neighbour> for Bar {
    fn from(neighbour: &Neighbour) -> Bar {
        let Neighbour { name, least, most, differs } = *neighbour;
        Bar { name: name.to_owned(), class: "other", least, most, differs }
    }
}

/// A picture under construction: its SVG so far, and the height that is used.
struct Picture {
    body: String,
    y: usize,
}

/// Draws the report as a self-contained SVG.
pub fn chart(report: &Report) -> String {
    let mut picture = Picture { body: String::new(), y: MARGIN + LINE };
    picture.text(MARGIN, "title", "Cost of the Cairn kernel's operations");
    picture.y += LINE / 2;
    let mut notes = report.notes();
    notes.push(
        "The figures of other kernels are also executed instructions on QEMU 7.2, counted in the same way, but their \
         operations differ, as noted below each. The marks on Cairn's bar are the limit (red) and the aim (green)."
            .to_owned(),
    );
    for note in &notes {
        picture.paragraph("note", note);
    }
    for row in &report.rows {
        picture.operation(row);
    }
    let height = picture.y + MARGIN;
    let svg = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height)
            role="img" {
            title { "Cost of the Cairn kernel's operations" }
            style { (PreEscaped(STYLE)) }
            rect.page width=(WIDTH) height=(height) {}
            (PreEscaped(picture.body))
        }
    };
    svg.into_string() + "\n"
}

/// The style sheet.
const STYLE: &str = "text{font-family:system-ui,sans-serif;font-size:13px;fill:#222}.page{fill:#fff}.title{font-size:20px;font-weight:600}\
    .name{font-weight:600;font-size:15px}.note{fill:#555;font-size:12px}.label{text-anchor:end}.cairn{fill:#2b6cb0}.other{fill:#a0aec0}\
    .range{fill:#cbd5e0}.must{stroke:#c53030;stroke-width:2}.aim{stroke:#2f855a;stroke-width:2}";

impl Picture {
    /// A line of text that begins at `x`.
    fn text(&mut self, x: usize, class: &str, text: &str) {
        self.put(html! { text class=(class) x=(x) y=(self.y) { (text) } });
        self.y += LINE;
    }

    /// Text, in as many lines as it needs.
    fn paragraph(&mut self, class: &str, text: &str) {
        for line in lines(text, COLUMNS) {
            self.text(MARGIN, class, &line);
        }
    }

    /// An operation, with all its bars on one scale.
    fn operation(&mut self, row: &BenchRow) {
        let operation = row.operation();
        self.y += GAP;
        self.text(MARGIN, "name", &format!("{} — {}", row.name, operation.description));
        let target = operation.target;
        let own = Bar { name: "Cairn".to_owned(), class: "cairn", least: row.median, most: row.median, differs: "" };
        let bars: Vec<Bar> = [own].into_iter().chain(operation.neighbours.iter().map(Bar::from)).collect();
        let scale = bars.iter().map(|bar| bar.most).chain(target.map(|target| target.must)).max().unwrap_or(1).max(1);
        let length = |value: u64| (value as f64 / scale as f64 * LONGEST as f64).max(1.0);
        for (index, bar) in bars.iter().enumerate() {
            let (top, middle) = (self.y - LINE / 2 - 3, self.y + LINE / 2 - 1);
            self.put(html! { text.label x=(BARS - 10) y=(middle) { (bar.name) } });
            for (class, value) in [("range", bar.most), (bar.class, bar.least)] {
                let width = format!("{:.1}", length(value));
                self.put(html! { rect class=(class) x=(BARS) y=(top) width=(width) height=(BAR - 8) {} });
            }
            if let (0, Some(Target { must, aim })) = (index, target) {
                for (class, value) in [("must", must), ("aim", aim)] {
                    let x = format!("{:.1}", BARS as f64 + length(value));
                    self.put(html! { line class=(class) x1=(x) x2=(x) y1=(top - 4) y2=(top + BAR - 4) {} });
                }
            }
            let value = if bar.least == bar.most {
                group(bar.least)
            } else {
                format!("{} to {}", group(bar.least), group(bar.most))
            };
            let value = match (index, target) {
                (0, Some(Target { must, aim })) => format!("{value} (must {}, aim {})", group(must), group(aim)),
                _ => value,
            };
            self.put(html! { text x=(VALUES) y=(middle) { (value) } });
            self.y += BAR;
        }
        for bar in bars.iter().filter(|bar| !bar.differs.is_empty()) {
            self.paragraph("note", &format!("{}: {}.", bar.name, bar.differs));
        }
    }

    /// Adds an element.
    fn put(&mut self, element: Markup) {
        self.body += &element.into_string();
        self.body.push('\n');
    }
}

/// A text in lines of at most `columns` characters, unless a word is longer.
fn lines(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is always one");
        if last.is_empty() {
            last.push_str(word);
        } else if last.len() + 1 + word.len() <= columns {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// A number with its thousands separated.
fn group(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(group), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn words_are_kept_whole() {
        assert_eq!(lines("a bc def", 4), ["a bc", "def"]);
        assert_eq!(lines("abcdef", 4), ["abcdef"]);
    }

    #[test]
    fn every_figure_is_in_the_picture() {
        let row = |name, median| BenchRow { name, unit: "instructions", median, min: 1, max: 9_999, n: 100 };
        let report = Report {
            rows: vec![row("null_syscall", 77), row("palloc_full", 4_321)],
            machine: "QEMU".to_owned(),
            longest: Vec::new(),
            linux_exits: None,
            differ: vec![],
            overhead: 7,
            image_bytes: 1 << 18,
            boot_instructions: 1_000_000,
            boot_seconds: None,
        };
        let picture = chart(&report);
        for text in [
            "null_syscall",
            "77 (must 80, aim 50)",
            "176",
            "4,321",
            "the number of the call is not recorded",
            "256 KiB",
        ] {
            assert!(picture.contains(text), "{text}");
        }
        assert_eq!(picture.matches("<rect class=\"cairn\"").count(), 2);
    }
}
