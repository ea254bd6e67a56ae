//! The source of the code under proof, for what is keyed by the text of a line.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Lines of source files, each read once.
#[derive(Default)]
pub(crate) struct Lines(BTreeMap<&'static str, Vec<String>>);

impl Lines {
    /// A line, from 1, of a file, from the root of the tree, without white space around it; nothing if it is not there.
    pub fn get(&mut self, file: &'static str, line: u32) -> &str {
        let read = || {
            let text = std::fs::read_to_string(path(file)).unwrap_or_default();
            text.lines().map(|line| line.trim().to_string()).collect()
        };
        let lines = self.0.entry(file).or_insert_with(read);
        lines.get(line as usize - 1).map_or("", String::as_str)
    }
}

/// Where a file is that is named from the root of the tree.
pub(crate) fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)
}
