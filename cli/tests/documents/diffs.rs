//! Applies the `diff` blocks of a page to the files of the tree, in memory.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The hunks of the page that do not apply, each by its file and its first line. A hunk sees what earlier hunks of the
/// page have changed.
pub fn stale(root: &Path, page: &str) -> Vec<String> {
    let blocks = page.split("\n```diff\n").skip(1).map(|rest| rest.split("\n```").next().unwrap_or(rest));
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut stale = Vec::new();
    for block in blocks {
        let mut path = "";
        for part in block.split("\n@@ ") {
            // A header names the file of the hunks after it, and ends the hunk before it.
            let (hunk, header) = part.split_once("\n--- ").unwrap_or((part, ""));
            let text = files.entry(path.to_owned()).or_insert_with(|| read(root, path));
            let (place, lines) = hunk.split_once('\n').unwrap_or((hunk, ""));
            let [old, new] = ['-', '+'].map(|side| half(lines, side));
            if !path.is_empty() {
                match text.contains(&old) {
                    true => *text = text.replacen(&old, &new, 1),
                    false => stale.push(format!("{path}: @@ {place}")),
                }
            }
            let named = [hunk, header].into_iter().flat_map(str::lines).find_map(|line| line.strip_prefix("+++ b/"));
            path = named.unwrap_or(path);
        }
    }
    stale
}

/// The text of a file; that of a new file is empty.
fn read(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_default()
}

/// The lines of a hunk on one side: those of the context, and those that begin with `side`.
fn half(lines: &str, side: char) -> String {
    let line = |line: &str| match line.chars().next() {
        Some(first) if first == side || first == ' ' => Some(format!("{}\n", &line[1..])),
        None => Some("\n".to_owned()),
        Some(_) => None,
    };
    lines.lines().filter_map(line).collect()
}
