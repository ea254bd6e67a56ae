//! Counterexamples as Rust tests, which fail as long as the bug exists.
use crate::facts::invariant_set::InvariantSet;
use sim::counterexample::witness::Witness;
use sim::state::values::Values;
use std::fmt::Write;
use symbolic::failure::Failure;

/// A Rust file with a test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Test {
    /// The name of the test, and of the file without directory and extension.
    pub name: String,
    /// The contents of the file.
    pub text: String,
}

/// The counterexample of `failure` as a test, if it was run and failed. `name` is the primitive or the entry.
/// `invariants` is the invariant set of a primitive's proof, and `None` for an entry.
pub fn emit_test(failure: &Failure, name: &str, invariants: Option<InvariantSet>) -> Option<Test> {
    let witness: &Witness = failure.counterexample()?;
    // The source line is dropped, because it may change.
    let clause = failure.clause.split(" at ").next().unwrap_or(&failure.clause);
    let test = words(&format!("{name} {clause}")).join("_");
    let (class, call) = match invariants {
        Some(InvariantSet::Derived) => ("use layer::spec::fact::Class;\n", format!("call({name:?}, Class::Derived)")),
        Some(InvariantSet::High) => ("use layer::spec::fact::Class;\n", format!("call({name:?}, Class::Low)")),
        Some(InvariantSet::Entry) | None => ("", format!("enter({name:?})")),
    };
    let made = constructor(witness);
    let text = format!(
        "//! A counterexample to `{name}`: {clause}.
//!
//! Written by `cargo cairn prove --emit-test`: it fails as long as the bug exists. Its place is `sim/tests/`.
{class}use sim::counterexample::witness::Witness;

/// The differences of the state from the one after boot, the arguments, and the machine's answers.
#[rustfmt::skip]
pub fn witness() -> Witness {{
{made}}}

#[test]
fn {test}() {{
    let ending = witness().{call}.expect(\"the state admits the call\");
    assert!(ending.broken.is_empty(), \"{{ending:#?}}\");
}}
"
    );
    Some(Test { name: test, text })
}

/// The words of `text`, in lower case.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}

/// The expression that builds `witness`.
fn constructor(witness: &Witness) -> String {
    let boot = Witness::boot(witness.cpu);
    let mut fields = String::new();
    let mut field = |name: &str, value: String, at_boot: String| {
        if value != at_boot {
            fields += &format!("        {name}: {value},\n");
        }
    };
    field("booted", witness.booted.to_string(), boot.booted.to_string());
    field("set_up", witness.set_up.to_string(), boot.set_up.to_string());
    let memory = |of: &Witness| {
        let usable: Vec<String> = of.memory.usable.iter().map(|range| format!("{range:?}")).collect();
        format!(
            "sim::machine::platform::Memory {{ frames: {}, usable: Vec::from([{}]) }}",
            of.memory.frames,
            usable.join(", ")
        )
    };
    field("memory", memory(witness), memory(&boot));
    field("norm", witness.norm.to_string(), boot.norm.to_string());
    field("any", format!("{:?}", witness.any), format!("{:?}", boot.any));
    let boot = format!("Witness::boot({})", witness.cpu);
    let mut text = match &*fields {
        "" => format!("    {boot}\n"),
        fields => format!("    Witness {{\n{fields}        ..{boot}\n    }}\n"),
    };
    // Writing to a string cannot fail.
    for (name, value) in &witness.arguments {
        let _ = writeln!(text, "    .argument({name:?}, {value})");
    }
    write_values(&mut text, &witness.state, "    ");
    for (what, every) in [("interference", &witness.interference), ("machine_answers", &witness.answers)] {
        for values in every {
            let _ = writeln!(text, "    .{what}(\n        sim::state::values::Values::default()");
            write_values(&mut text, values, "            ");
            text.push_str("    )\n");
        }
    }
    text
}

fn write_values(text: &mut String, values: &Values, indent: &str) {
    for (name, value) in &values.scalars {
        let _ = writeln!(text, "{indent}.scalar({name:?}, {value})");
    }
    for (cell, value) in &values.cells {
        let _ = writeln!(text, "{indent}.cell({:?}, &{:?}, {:?}, {value})", cell.field, cell.key, cell.leaf);
    }
}
