//! Runs cargo, and counts the results of `cargo test`.

use crate::host::child;
use crate::host::counts::Counts;
use crate::host::error::Error;
use crate::host::workspace;
use std::env;
use std::io;
use std::process::{Command, Stdio};

/// The command that runs cargo at the root of the tree with these arguments and environment variables.
pub fn cargo(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command.current_dir(workspace::root()).args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs `cargo test` with these arguments and environment variables, and counts the results. The output is shown where
/// tests failed.
pub fn cargo_test(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Counts, Error> {
    let begin = || -> io::Result<_> {
        // One pipe for both streams, so that a result follows the line that names its crate.
        let (reader, writer) = io::pipe()?;
        let mut command = cargo(&["test", "--no-fail-fast", "--color=never"], variables);
        command.args(arguments);
        let child = command.stdout(writer.try_clone()?).stderr(writer).spawn()?;
        // Dropping the command closes its end of the pipe.
        Ok((reader, child))
    };
    let (reader, mut child) = begin().map_err(Error::start("cargo"))?;
    let mut tally = Tally::default();
    let lines = child::lines(reader);
    while let Some(line) = child::line(&lines, &mut child, "cargo test", child::LIMIT)? {
        if let Some((name, counts)) = tally.line(&line) {
            println!("  {name}: {counts}");
            if !counts.failed.is_empty() {
                tally.show();
            }
        }
    }
    let status = child::wait(&mut child, "cargo test", child::LIMIT)?;
    tally.close();
    // Code that does not compile has no tests that could fail.
    if !status.success() && tally.counts.failed.is_empty() {
        tally.show();
        tally.counts.failed.push("cargo test".to_owned());
    }
    Ok(tally.counts)
}

/// The output of cargo so far.
#[derive(Default)]
struct Tally {
    counts: Counts,
    /// The crate whose tests run.
    name: String,
    /// The output since they began.
    output: Vec<String>,
    /// Names of those that have failed.
    failed: Vec<String>,
    /// Whether tests have begun whose result has not been printed.
    is_open: bool,
}

impl Tally {
    /// Records a line. Returns the counts of a set of tests if the line ends one that is not empty.
    fn line(&mut self, line: &str) -> Option<(String, Counts)> {
        let words = line.trim_start();
        if words.starts_with("Running ") || words.starts_with("Doc-tests ") {
            self.close();
            self.is_open = true;
            self.output.clear();
            self.failed.clear();
        }
        self.output.push(line.to_owned());
        if let Some(running) = words.strip_prefix("Running ") {
            // "unittests src/lib.rs (target/debug/deps/kernel-83b9d8fc378a2244)"
            let binary = running.rsplit_once('/').map_or(running, |(_, binary)| binary);
            let crate_name = binary.rsplit_once('-').map_or(binary, |(name, _)| name);
            self.name = crate_name.to_owned();
        } else if let Some(name) = words.strip_prefix("Doc-tests ") {
            self.name = format!("{name}, examples");
        }
        if let Some(test) = words.strip_prefix("test ").and_then(|test| test.strip_suffix(" ... FAILED")) {
            self.failed.push(format!("{}: {test}", self.name));
        }
        let [passed, failed, skipped] = result(line)?;
        self.is_open = false;
        let mut names = core::mem::take(&mut self.failed);
        names.resize(failed, format!("{}: a test without a name", self.name));
        let counts = Counts { passed, failed: names, skipped };
        self.counts = [core::mem::take(&mut self.counts), counts.clone()].into_iter().sum();
        (counts != Counts::default()).then(|| (self.name.clone(), counts))
    }

    /// Counts a failure if the tests that began last have printed no result: their program was killed, or it crashed.
    fn close(&mut self) {
        if core::mem::take(&mut self.is_open) {
            let name = format!("{}: its tests did not end", self.name);
            println!("  FAILED   {name}");
            self.counts.failed.push(name);
        }
    }

    /// Prints the recorded output.
    fn show(&self) {
        self.output.iter().for_each(|line| println!("  | {line}"));
    }
}

/// Reads "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s": how many
/// passed, failed, and were ignored.
fn result(line: &str) -> Option<[usize; 3]> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = counts.split("; ");
    let mut next = |name| counts.next()?.strip_suffix(name)?.trim().parse().ok();
    Some([next("passed")?, next("failed")?, next("ignored")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_by_crate() {
        let mut tally = Tally::default();
        let lines = "   Compiling layer v0.1.0\n     Running unittests src/lib.rs (target/debug/deps/layer-0a1b)\n\
            test a ... ok\n\
            test b::c ... FAILED\n\
            test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n   \
            Doc-tests abi\n\
            test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.30s\n   \
            Doc-tests domain\n\
            test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let shown: Vec<_> = lines.lines().filter_map(|line| tally.line(line)).collect();
        let failed = vec!["layer: b::c".to_owned(), "layer: a test without a name".to_owned()];
        let layer = Counts { passed: 3, failed: failed.clone(), skipped: 1 };
        let abi = Counts { passed: 1, ..Counts::default() };
        assert_eq!(shown, [("layer".to_owned(), layer), ("abi, examples".to_owned(), abi)]);
        assert_eq!(tally.counts, Counts { passed: 4, failed, skipped: 1 });
    }

    #[test]
    fn tests_that_do_not_end_have_failed() {
        let mut tally = Tally::default();
        let lines = "     Running tests/one.rs (target/debug/deps/one-0a1b)\ntest a ... ok\n     \
            Running tests/two.rs (target/debug/deps/two-0a1b)\ntest result: ok. 1 passed; 0 failed; 0 ignored; \
            0 measured; 0 filtered out; finished in 0.01s\n     Running tests/three.rs (target/debug/deps/three-0a1b)";
        lines.lines().for_each(|line| drop(tally.line(line)));
        tally.close();
        assert_eq!(tally.counts.failed, ["one: its tests did not end", "three: its tests did not end"]);
    }

    #[test]
    fn other_lines_are_no_results() {
        for line in ["", "test result: ok.", "test result: ok. x passed; 0 failed; 0 ignored", "test a ... ok"] {
            assert_eq!(result(line), None, "{line}");
        }
    }
}
