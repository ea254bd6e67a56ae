//! Compares the quotations of code in a page with the sources of the tree.

/// The texts of sources as [`stale`] compares them: runs of white space count as one space.
pub fn sources(texts: impl Iterator<Item = String>) -> Vec<String> {
    texts.map(|text| words(&text)).collect()
}

/// The quotations of the page that are in no source, in the form in which they are compared. A quotation is a code block
/// that is marked as `rust` or `asm` and nothing else. A line `…` in it replaces code that the page leaves out.
pub fn stale(sources: &[String], page: &str) -> Vec<String> {
    let mut stale = Vec::new();
    for fence in ["\n```rust\n", "\n```asm\n"] {
        for block in page.split(fence).skip(1).map(|rest| rest.split("\n```").next().unwrap_or(rest)) {
            let lines: Vec<&str> = block.lines().collect();
            let parts =
                lines.split(|line| line.trim().trim_start_matches("// ") == "…").map(|part| words(&part.join(" ")));
            stale.extend(parts.filter(|part| !sources.iter().any(|source| source.contains(part.as_str()))));
        }
    }
    stale
}

/// The words of a text, with one space between them.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
