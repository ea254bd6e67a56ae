//! The results, as data and on the terminal.

use super::measure::{Bench, Measured};
use super::rows::{OPERATIONS, Operation};
use crate::host::error::Error;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use std::fmt;

/// The figures of one operation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BenchRow {
    /// Its name.
    pub name: &'static str,
    /// The unit of the figures.
    pub unit: &'static str,
    /// The median; of two middle figures, the lower.
    pub median: u64,
    /// The least figure.
    pub min: u64,
    /// The greatest figure.
    pub max: u64,
    /// Number of measurements.
    pub n: usize,
}

/// All results of the bench.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The operations, in the order of the table.
    pub rows: Vec<BenchRow>,
    /// The machine.
    pub machine: String,
    /// The entries in which interrupts waited longest, one per line.
    pub longest: Vec<String>,
    /// The exits of Linux up to its prompt, if Linux is there.
    pub linux_exits: Option<String>,
    /// Operations whose figures differ between the two runs.
    pub differ: Vec<&'static str>,
    /// The cost of a pair of readings, which is already subtracted.
    pub overhead: u64,
    /// Bytes of memory that the kernel's image takes.
    pub image_bytes: u64,
    /// Instructions from power-on to the first program's first reading, the firmware's included.
    pub boot_instructions: u64,
    /// Seconds from the emulator's start until the first output of a program; on QEMU, without counting.
    pub boot_seconds: Option<f64>,
}

impl BenchRow {
    /// The figures of an operation, from its measurements.
    fn new(operation: &Operation, samples: &[u64]) -> Option<BenchRow> {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let median = sorted[(sorted.len() - 1) / 2];
        Some(BenchRow { name: operation.name, unit: "instructions", median, min, max, n: sorted.len() })
    }

    /// The operation of this row.
    pub fn operation(&self) -> &'static Operation {
        OPERATIONS.iter().find(|operation| operation.name == self.name).expect("rows are made of the table's")
    }

    /// Whether the operation costs more than its limit.
    fn is_over(&self) -> bool {
        self.operation().target.is_some_and(|target| self.median > target.must)
    }
}

impl Report {
    /// The report of two runs.
    pub fn new(bench: &Bench, first: &Measured, second: &Measured) -> Result<Report, Error> {
        let mut report = Report {
            rows: Vec::new(),
            machine: bench.emulator.to_string(),
            longest: first.longest.clone(),
            linux_exits: first.exits.clone(),
            differ: Vec::new(),
            overhead: first.overhead,
            image_bytes: bench.image_bytes()?,
            boot_instructions: first.boot,
            boot_seconds: bench.seconds_to_first_program()?,
        };
        for operation in OPERATIONS.iter().filter(|operation| first.samples.contains_key(&operation.boot)) {
            let samples = |measured: &'_ Measured| measured.samples[&operation.boot].get(operation.samples).cloned();
            let samples = [first, second].map(|measured| samples(measured).unwrap_or_default());
            let wrong = |problem| Error::Bench { boot: operation.boot.name(), problem };
            if samples[0].len() < operation.boot.least() {
                return Err(wrong(format!("{} was measured {} times", operation.name, samples[0].len())));
            }
            report.rows.extend(BenchRow::new(operation, &samples[0]));
            if samples[0] != samples[1] {
                report.differ.push(operation.name);
            }
        }
        Ok(report)
    }

    /// Whether the runs agree and every operation keeps to its limit.
    pub fn is_good(&self) -> bool {
        self.differ.is_empty() && !self.rows.iter().any(BenchRow::is_over)
    }

    /// Remarks about the figures, one sentence each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            format!(
                "Executed instructions on {}, one CPU, the kernel's build without checks; a repetition of a string \
                 instruction counts as one.",
                self.machine
            ),
            format!(
                "The time-stamp counter is read before and after each operation. The cost of the readings, {} \
                 instructions, was measured and is subtracted.",
                self.overhead
            ),
        ];
        notes.push(match self.differ[..] {
            [] => "A second run gave the same figures.".to_owned(),
            _ => format!("A second run gave OTHER figures of: {}.", self.differ.join(", ")),
        });
        notes.push(match &self.linux_exits {
            Some(exits) => format!("Linux takes {exits} up to its prompt."),
            None => "Linux was not measured, since it is not there (`cargo cairn setup`).".to_owned(),
        });
        let boot = match self.boot_seconds {
            Some(seconds) => format!(", {seconds:.2} s on this machine without counting"),
            None => String::new(),
        };
        notes.push(format!(
            "The image takes {} KiB. From power-on to a program's first instructions: {:.1} million instructions, the \
             firmware's included{boot}.",
            self.image_bytes.div_ceil(1024),
            self.boot_instructions as f64 / 1e6
        ));
        notes
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(NOTHING).set_header(["operation", "median", "min", "max", "n", "must", "aim", ""]);
        for row in &self.rows {
            let operation = row.operation();
            let target = |of: fn(&super::rows::Target) -> u64| operation.target.as_ref().map(of);
            let verdict = match operation.target {
                None => "",
                Some(target) if row.median > target.must => "MORE THAN IT MUST",
                Some(target) if row.median > target.aim => "as it must",
                Some(_) => "as aimed at",
            };
            let text = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
            table.add_row([
                row.name.to_owned(),
                row.median.to_string(),
                row.min.to_string(),
                row.max.to_string(),
                row.n.to_string(),
                text(target(|target| target.must)),
                text(target(|target| target.aim)),
                verdict.to_owned(),
            ]);
        }
        for column in 1..7 {
            table.column_mut(column).expect("there are eight").set_cell_alignment(comfy_table::CellAlignment::Right);
        }
        writeln!(formatter, "{}\n", table.trim_fmt())?;
        writeln!(formatter, "the longest waits of interrupts, with the entry that delayed them:")?;
        self.longest.iter().try_for_each(|line| writeln!(formatter, "  {line}"))?;
        write!(formatter, "{}", self.notes().join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_measurement() {
        let row = |samples: &[u64]| BenchRow::new(&OPERATIONS[0], samples);
        let of = |row: BenchRow| (row.min, row.median, row.max, row.n);
        assert_eq!(row(&[3, 1, 2]).map(of), Some((1, 2, 3, 3)));
        assert_eq!(row(&[4, 9, 1, 2]).map(of), Some((1, 2, 9, 4)));
        assert_eq!(row(&[]), None);
    }

    #[test]
    fn a_row_reads_as_data() {
        let row = BenchRow::new(&OPERATIONS[0], &[76, 76, 80]);
        let json = r#"{"name":"null_syscall","unit":"instructions","median":76,"min":76,"max":80,"n":3}"#;
        assert_eq!(serde_json::to_string(&row).ok().as_deref(), Some(json));
    }
}
