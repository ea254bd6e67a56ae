//! The source of the code under proof, for tables whose keys are the texts of lines.
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The lines of source files. Each file is read once.
pub struct Lines {
    root: PathBuf,
    files: BTreeMap<&'static str, Vec<String>>,
}

impl Lines {
    /// The lines of the files below the directory `root`.
    pub fn below(root: PathBuf) -> Lines {
        Lines { root, files: BTreeMap::new() }
    }

    /// A line of a file, without white space around it. Lines count from 1, and the file is relative to the root. The
    /// empty string if there is no such line.
    pub fn get(&mut self, file: &'static str, line: u32) -> &str {
        let read = || {
            let text = std::fs::read_to_string(self.root.join(file)).unwrap_or_default();
            text.lines().map(|line| line.trim().to_string()).collect()
        };
        let lines = self.files.entry(file).or_insert_with(read);
        lines.get(line as usize - 1).map_or("", String::as_str)
    }
}
