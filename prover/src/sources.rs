//! The sources of the layer and of the kernel's entries: which files have code under proof, and their documentation.
use smt::solver::Solver;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use symbolic::engine::engine;
use symbolic::source::Lines;

/// Whether this file has code of primitives or entries, and not specification.
pub(crate) fn is_code(file: &str) -> bool {
    let is_primitive = file.starts_with("layer/") && !layer::spec::is_specification(file);
    is_primitive || is_entry(file)
}

/// Whether this file has code of entries of the kernel.
pub(crate) fn is_entry(file: &str) -> bool {
    file.starts_with("syscall/src/") && !file.starts_with("syscall/src/effect")
}

/// The lines of the sources.
pub(crate) fn lines() -> Lines {
    Lines::below(path(""))
}

/// Runs `work` on this thread with a new engine that uses `solver`, for proofs of the layer and of entries.
pub fn with_engine<R>(solver: Solver, work: impl FnOnce() -> R) -> R {
    symbolic::engine::with_engine(solver, || {
        engine(|e| e.settings.is_code = is_code);
        work()
    })
}

/// The path of a file that is given relative to the root of the tree.
pub(crate) fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)
}

/// The files below a directory, in the order of their paths.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The first words of comments that explain the next line of code.
const BEGINNINGS: [&str; 4] = ["// Equivalent mutants (", "// Never true: ", "// Never false: ", "// Unnoticed: "];

/// A comment that explains something about a line of code.
pub(crate) struct Explanation {
    /// The file, relative to the root of the tree.
    pub file: &'static str,
    /// The number of the line, from 1.
    pub number: u32,
    /// The text of the line, without white space around it.
    pub line: &'static str,
    /// The text of the comment, without the slashes.
    pub text: &'static str,
}

/// The explanations in all sources of the layer and of entries.
pub(crate) static EXPLANATIONS: LazyLock<Vec<Explanation>> = LazyLock::new(|| {
    let root = path("");
    let of = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let name = file.strip_prefix(&root).unwrap_or(file).to_string_lossy();
        explanations_in(leak(&name), &text)
    };
    ["layer/src", "syscall/src"]
        .iter()
        .flat_map(|directory| files(&path(directory)))
        .flat_map(|file| of(&file))
        .collect()
});

/// The explanations in the text of a file.
pub(crate) fn explanations_in(file: &'static str, text: &str) -> Vec<Explanation> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_comment = |at: usize| lines.get(at).is_some_and(|line| line.starts_with("//"));
    let begins = |at: usize| lines.get(at).is_some_and(|line| BEGINNINGS.iter().any(|begin| line.starts_with(begin)));
    let explanation = |start: usize| {
        let end = (start + 1..).find(|&at| !is_comment(at) || begins(at)).unwrap_or(start);
        let code = (end..).find(|&at| !is_comment(at)).unwrap_or(end);
        let comment = lines[start..end].iter().map(|line| line.trim_start_matches('/').trim()).collect::<Vec<_>>();
        let line = leak(lines.get(code)?);
        Some(Explanation { file, number: code as u32 + 1, line, text: leak(&comment.join(" ")) })
    };
    (0..lines.len()).filter(|&at| begins(at)).filter_map(explanation).collect()
}

/// The text, kept for the rest of the run because reports refer to it.
pub(crate) fn leak(text: &str) -> &'static str {
    text.to_string().leak()
}

/// The description of a primitive and of its errors, from its documentation. Empty strings if there are none.
pub(crate) fn docs(number: u32, name: &str) -> (String, String) {
    let begin = format!("/// {number} `{name}(");
    let function = format!("pub fn {name}<");
    for file in files(&path("layer/src/objects")) {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let is_doc = |at: usize| lines[at].starts_with("///");
        // A primitive without a number is found by its function.
        let start = if number > 0 {
            lines.iter().position(|line| line.starts_with(&begin))
        } else {
            let end = lines.iter().position(|line| line.starts_with(&function));
            end.and_then(|end| {
                let last = (0..end).rev().take_while(|&at| is_doc(at) || lines[at].starts_with('#')).last();
                last.filter(|&at| is_doc(at))
            })
        };
        if let Some(start) = start {
            let of = |line: &str| line.trim_start_matches('/').trim().to_string();
            let block: Vec<String> =
                (start..lines.len()).take_while(|&at| is_doc(at)).map(|at| of(lines[at])).collect();
            let mut sections = block.split(|line| line == "# Errors").map(|lines| lines.join(" ").trim().to_string());
            let description = sections.next().unwrap_or_default();
            // The signature before the colon is dropped, because the table shows it.
            let description = if number > 0 {
                description.split_once("`: ").map_or(description.clone(), |(_, rest)| rest.to_string())
            } else {
                description
            };
            return (plain(&description), plain(&sections.next().unwrap_or_default()));
        }
    }
    Default::default()
}

/// Documentation without links. Code stays between backticks.
fn plain(text: &str) -> String {
    let mut text = text.replace("[`", "`");
    while let Some(begin) = text.find("`](") {
        let end = text[begin..].find(')').map_or(text.len(), |end| begin + end + 1);
        text.replace_range(begin + 1..end, "");
    }
    text.replace("`]", "`").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn links_are_what_they_say() {
        assert_eq!(super::plain("See [`A::b`](crate::a::A),  or [`C`]: `d`."), "See `A::b`, or `C`: `d`.");
    }
}
