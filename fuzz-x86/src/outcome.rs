//! Reads from consoles how programs ended, and finds where two machines differ.

use crate::batch::{Batch, name};
use crate::instruction::{NOP, SYSCALL, disassembled};
use crate::known;
use crate::program::{Program, place};
use abi::Reason;
use abi::report::{End, Ended};
use sim::x86::rflags;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How a program ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The end, as the kernel reports it.
    pub end: End,
    /// The registers by name, and the flags, in the order of the report.
    pub registers: Vec<(String, u64)>,
    /// Number of pages that it used.
    pub pages: u64,
}

/// The outcomes of the programs that a console reports as ended, by name.
pub fn outcomes(console: &str) -> BTreeMap<String, Outcome> {
    let mut found = BTreeMap::new();
    let mut current: Option<(String, Outcome)> = None;
    for line in console.lines() {
        if let Some(ended) = Ended::parse(line) {
            found.extend(current.take());
            let outcome = Outcome { end: ended.end, registers: Vec::new(), pages: 0 };
            current = Some((ended.name.to_owned(), outcome));
        } else if let (Some((_, outcome)), Some(rest)) = (&mut current, line.strip_prefix("cairn:   ")) {
            registers(rest, outcome);
        }
    }
    found.extend(current);
    found
}

/// Reads a line of a report: names and numbers in turn, or `rflags F, U of Q pages used`.
fn registers(line: &str, outcome: &mut Outcome) {
    let words: Vec<&str> = line.split_whitespace().collect();
    for pair in words.windows(2) {
        let digits = pair[1].trim_end_matches(',').strip_prefix("0x");
        if let Some(value) = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok())
            && pair[0].starts_with('r')
        {
            outcome.registers.push((pair[0].to_owned(), value));
        }
    }
    if words.first() == Some(&"rflags") {
        outcome.pages = words.get(2).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    }
}

/// The result of comparing two machines.
#[derive(Default)]
pub struct Comparison {
    /// Number of programs that ended alike on both.
    pub alike: usize,
    /// Number of programs that the hosted machine ended because it does not implement an instruction.
    pub unimplemented: usize,
    /// Programs that differ, by their index, with the difference.
    pub different: Vec<(usize, String)>,
    /// Programs that did not end on both machines, by their index, with the ends that the machines
    /// report.
    pub unended: Vec<(usize, String)>,
}

impl Comparison {
    /// Adds the result of another comparison.
    pub fn add(&mut self, other: Comparison) {
        self.alike += other.alike;
        self.unimplemented += other.unimplemented;
        self.different.extend(other.different);
        self.unended.extend(other.unended);
    }
}

/// Compares the two consoles of a batch.
pub fn compare(batch: &Batch, hosted: &str, booted: &str) -> Comparison {
    let (hosted, booted) = (outcomes(hosted), outcomes(booted));
    let mut comparison = Comparison::default();
    for (index, program) in batch.programs.iter().enumerate() {
        let name = name(index);
        match (hosted.get(&name), booted.get(&name)) {
            (Some(ours), Some(theirs)) => match difference(program, ours, theirs) {
                Some(text) => comparison.different.push((index, text)),
                None if reason(ours) == Some(Reason::Unimplemented) => comparison.unimplemented += 1,
                None => comparison.alike += 1,
            },
            (ours, theirs) => {
                let words = |end: Option<&Outcome>| end.map_or("not ended".to_owned(), |outcome| shown(outcome.end));
                comparison.unended.push((index, format!("{}, hosted: {}", words(theirs), words(ours))));
            }
        }
    }
    comparison
}

/// Why a program was stopped.
fn reason(outcome: &Outcome) -> Option<Reason> {
    match outcome.end {
        End::Stopped { reason, .. } => Some(reason),
        End::Exited { .. } | End::Killed => None,
    }
}

/// The difference of two outcomes, if there is one.
fn difference(program: &Program, ours: &Outcome, theirs: &Outcome) -> Option<String> {
    if reason(ours) == Some(Reason::Unimplemented) {
        // "Not implemented" is a permitted answer, unless the processor has no such instruction. The program then also
        // ends with an invalid opcode, so the addresses must be equal.
        let refused = reason(theirs) == Some(Reason::InvalidOpcode);
        let at = |outcome: &Outcome| if let End::Stopped { rip, .. } = outcome.end { rip } else { 0 };
        let wrong = refused && at(ours) == at(theirs);
        return wrong.then(|| format!("not implemented, but {}", shown(theirs.end)));
    }
    if known::explains(program, ours.end, theirs.end).is_some() {
        return None;
    }
    let mut text = String::new();
    if ours.end != theirs.end {
        let _ = write!(text, "{}, hosted: {}", shown(theirs.end), shown(ours.end));
    }
    let last = program.steps.last().map_or(rflags::STATUS, |step| step.defined);
    let defined = !rflags::STATUS | last;
    let calls = program.steps.iter().any(|step| step.bytes.ends_with(&SYSCALL));
    for ((name, ours), (_, theirs)) in ours.registers.iter().zip(&theirs.registers) {
        // The convention of system calls leaves these registers undefined.
        if calls && matches!(name.as_str(), "rcx" | "r11") {
            continue;
        }
        let mask = if name == "rflags" { defined } else { u64::MAX };
        if ours & mask != theirs & mask {
            let separator = if text.is_empty() { "" } else { "; " };
            let what = if name == "r15" { "r15 (or SSE registers, or memory)" } else { name };
            let _ = write!(text, "{separator}{what} {theirs:#x}, hosted {ours:#x}");
        }
    }
    if ours.pages != theirs.pages {
        let _ = write!(text, "; {} pages used, hosted {}", theirs.pages, ours.pages);
    }
    (!text.is_empty()).then_some(text)
}

/// The description of an end.
fn shown(end: End) -> String {
    match end {
        End::Exited { status } => format!("exit with {status}"),
        End::Killed => "killed".to_owned(),
        End::Stopped { reason, address, rip } => format!("{reason} at {address:#x} (rip {rip:#x})"),
    }
}

/// A program in readable form: the instructions of each step, and the registers that it begins with.
pub fn explained(program: &Program) -> String {
    let mut text = String::new();
    for (index, step) in program.steps.iter().enumerate().filter(|(_, step)| step.bytes != [NOP]) {
        let at = place(index).unwrap_or(0);
        let _ = writeln!(text, "  {at:#x}: {:02x?} {}", step.bytes, disassembled(&step.bytes, at));
        let _ = writeln!(text, "    gpr {:x?} rflags {:#x}", step.state.gpr, step.state.rflags);
        let _ = writeln!(text, "    xmm {:x?}", step.state.xmm);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let console = "cairn: CPU 0: thread 9 (p7) stopped: invalid opcode at 0x4000 (rip 0x4000)\n\
                       cairn:   rax 0x0000000000000001 rbx 0x0000000000000002\n\
                       cairn:   rflags 0x246, 7 of 24 pages used\ncairn:   in 0x4000\nother\n";
        let outcome = &outcomes(console)["p7"];
        assert_eq!(outcome.pages, 7);
        assert_eq!(outcome.registers, [("rax".into(), 1), ("rbx".into(), 2), ("rflags".into(), 0x246)]);
        assert_eq!(reason(outcome), Some(Reason::InvalidOpcode));
    }
}
