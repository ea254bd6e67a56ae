//! Follows the how-to pages of docs/ word for word, on a copy of the tree.

use crate::host::child;
use crate::host::counts::Counts;
use crate::host::error::Error;
use crate::host::workspace;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The pages.
const PAGES: &[&str] = &["docs/write-a-program.md", "docs/add-a-primitive.md", "docs/your-own-layer.md"];

/// Entries of the tree that are not copied.
const LEFT_OUT: &[&str] = &["target", ".git"];

/// Directories in which cargo keeps the built dependencies of the tree: a copy need not build them again.
const BUILT: &[&str] = &["deps", "build", ".fingerprint"];

/// A block of a page that has a meaning to this test.
#[derive(PartialEq, Eq, Debug)]
enum Block<'a> {
    /// A file, and text to append to it.
    Append(&'a str, &'a str),
    /// Text in a file, and the text that follows it or replaces it.
    Edit { file: &'a str, old: &'a str, new: &'a str, stays: bool },
    /// A command, and whether it must succeed.
    Run(&'a str, bool),
    /// Text that the previous command must print.
    Shows(&'a str),
}

/// Follows the pages. Each command and each text that must be shown counts as a test.
pub fn follow_all() -> Result<Counts, Error> {
    PAGES.iter().map(|page| follow(page)).sum()
}

/// Follows one page.
fn follow(page: &str) -> Result<Counts, Error> {
    let path = workspace::root().join(page);
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let Some(blocks) = blocks(&text) else {
        println!("  FAILED   {page}: it has a block of an unknown kind");
        return Ok(Counts::one(page, false));
    };
    let tree = workspace::target().join("page");
    make_copy(&tree)?;
    let mut counts = Vec::new();
    let mut printed = String::new();
    for block in blocks {
        let problem = match block {
            Block::Append(file, new) => edit(&tree, file, |text| Some(text.to_owned() + new))?,
            Block::Edit { file, old, new, stays } => edit(&tree, file, |text| {
                let kept = if stays { old } else { "" };
                (text.matches(old).count() == 1).then(|| text.replacen(old, &(kept.to_owned() + new), 1))
            })?,
            Block::Run(command, succeeds) => {
                let (status, output) = execute(&tree, command)?;
                printed = output;
                counts.push(Counts::one(format!("{page}: `{command}`"), status == succeeds));
                (status != succeeds).then(|| format!("`{command}` does not end as it should:\n{printed}"))
            }
            Block::Shows(expected) => {
                let shows = printed.contains(expected.trim());
                counts.push(Counts::one(format!("{page}: `{}`", expected.trim()), shows));
                (!shows).then(|| format!("`{}` is not shown, but:\n{printed}", expected.trim()))
            }
        };
        if let Some(problem) = problem {
            println!("  FAILED   {page}: {problem}");
            if counts.iter().all(|counts: &Counts| counts.failed.is_empty()) {
                counts.push(Counts::one(format!("{page}: an edit"), false));
            }
            break;
        }
    }
    Ok(counts.into_iter().sum())
}

/// The blocks of the page; `None` if it has a block without a meaning.
fn blocks(page: &str) -> Option<Vec<Block<'_>>> {
    let mut fences = Vec::new();
    let mut rest = page;
    while let Some((_, opened)) = rest.split_once("\n```") {
        let (info, body) = opened.split_once('\n')?;
        let end = if body.starts_with("```") { 0 } else { body.find("\n```")? + 1 };
        fences.push((info, &body[..end]));
        rest = &body[end + 3..];
    }
    let mut blocks = Vec::new();
    let mut fences = fences.into_iter();
    while let Some((info, body)) = fences.next() {
        let words: Vec<&str> = info.split_whitespace().collect();
        blocks.push(match words[..] {
            ["rust" | "toml", "append", file] => Block::Append(file, body),
            ["rust" | "toml", "after", file] => {
                Block::Edit { file, old: body, new: paired(&mut fences, "insert")?, stays: true }
            }
            ["rust" | "toml", "replace", file] => {
                Block::Edit { file, old: body, new: paired(&mut fences, "by")?, stays: false }
            }
            ["console", how @ ("succeeds" | "fails")] => Block::Run(body.trim().strip_prefix("$ ")?, how == "succeeds"),
            ["text", "shows"] => Block::Shows(body),
            _ => return None,
        });
    }
    Some(blocks)
}

/// The text of the next block, which must be the other half of an edit.
fn paired<'a>(fences: &mut impl Iterator<Item = (&'a str, &'a str)>, half: &str) -> Option<&'a str> {
    let (info, body) = fences.next()?;
    (info.split_whitespace().nth(1) == Some(half)).then_some(body)
}

/// Makes `to` a copy of the tree, but keeps what was built there before, so only changes are built again.
fn make_copy(to: &Path) -> Result<(), Error> {
    let root = workspace::root();
    let target = to.join("target");
    fs::create_dir_all(&target).map_err(Error::file("create", &target))?;
    for entry in fs::read_dir(&root).map_err(Error::file("read", &root))? {
        let from = entry.map_err(Error::file("read", &root))?.path();
        let Some(name) = from.file_name().and_then(|name| name.to_str()) else { continue };
        if !LEFT_OUT.contains(&name) {
            copy(&from, &to.join(name))?;
        }
    }
    let built = Path::new("cairn");
    if !target.join(built).exists() {
        for part in BUILT {
            link(&workspace::target().join(built).join(part), &target.join(built).join(part))?;
        }
    }
    let tools = target.join("tools");
    if !tools.exists() && workspace::tools().exists() {
        std::os::unix::fs::symlink(workspace::tools(), &tools).map_err(Error::file("link", &tools))?;
    }
    Ok(())
}

/// Links each file of `from` into `to`; cargo never changes a file that it has built.
fn link(from: &Path, to: &Path) -> Result<(), Error> {
    if !from.is_dir() {
        return if from.exists() { fs::hard_link(from, to).map_err(Error::file("link", to)) } else { Ok(()) };
    }
    fs::create_dir_all(to).map_err(Error::file("create", to))?;
    for entry in fs::read_dir(from).map_err(Error::file("read", from))? {
        let path = entry.map_err(Error::file("read", from))?.path();
        if let Some(name) = path.file_name() {
            link(&path, &to.join(name))?;
        }
    }
    Ok(())
}

/// Makes `to` a copy of a file, unless it is one already, or of a directory with exactly its contents.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    if from.is_dir() {
        fs::create_dir_all(to).map_err(Error::file("create", to))?;
        for entry in fs::read_dir(to).map_err(Error::file("read", to))? {
            let path = entry.map_err(Error::file("read", to))?.path();
            if !path.file_name().is_some_and(|name| from.join(name).exists()) {
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.map_err(Error::file("remove", &path))?;
            }
        }
        for entry in fs::read_dir(from).map_err(Error::file("read", from))? {
            let path = entry.map_err(Error::file("read", from))?.path();
            if let Some(name) = path.file_name() {
                copy(&path, &to.join(name))?;
            }
        }
        return Ok(());
    }
    let bytes = fs::read(from).map_err(Error::file("read", from))?;
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(to, bytes).map_err(Error::file("write", to))
}

/// Changes a file of the copy; returns the problem if it cannot be changed in this way.
fn edit(tree: &Path, file: &str, change: impl FnOnce(&str) -> Option<String>) -> Result<Option<String>, Error> {
    let path = tree.join(file);
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    match change(&text) {
        Some(text) => fs::write(&path, text).map_err(Error::file("write", &path)).map(|()| None),
        None => Ok(Some(format!("the text to change does not occur exactly once in {file}"))),
    }
}

/// Runs a command in the copy; returns whether it succeeded, and its output.
fn execute(tree: &Path, command: &str) -> Result<(bool, String), Error> {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    let mut run = Command::new(program);
    run.args(words).current_dir(tree).env_remove("CARGO_TARGET_DIR");
    let output = child::output(&mut run, command, child::LIMIT)?;
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ok((output.status.success(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_as_they_are_meant() {
        let page = "# A\n\n```rust append a.rs\nx\n```\n\n```rust after b.rs\nold\n```\n\n```rust insert\nnew\n```\n\
                    \n```rust replace b.rs\nold\n```\n\n```rust by\n```\n\n```console fails\n$ cargo x\n```\n\
                    \n```text shows\nno\n```\n";
        let expected = vec![
            Block::Append("a.rs", "x\n"),
            Block::Edit { file: "b.rs", old: "old\n", new: "new\n", stays: true },
            Block::Edit { file: "b.rs", old: "old\n", new: "", stays: false },
            Block::Run("cargo x", false),
            Block::Shows("no\n"),
        ];
        assert_eq!(blocks(page), Some(expected));
        assert_eq!(blocks("\n```rust\nx\n```\n"), None);
        assert_eq!(blocks("\n```rust after b.rs\nold\n```\n\n```text shows\nno\n```\n"), None);
    }

    #[test]
    fn the_pages_of_the_tree_can_be_read() {
        for page in PAGES {
            let text = fs::read_to_string(workspace::root().join(page)).expect("the page is there");
            let blocks = blocks(&text).expect("every block means something");
            let has_edits = blocks.iter().any(|block| matches!(block, Block::Append(..) | Block::Edit { .. }));
            let has_failure = blocks.iter().any(|block| matches!(block, Block::Run(_, false)));
            assert_eq!(has_edits, has_failure, "a page that changes the tree breaks something on purpose");
            assert!(matches!(blocks.last(), Some(Block::Shows(_))), "and mended in the end");
        }
    }

    #[test]
    fn a_copy_has_what_its_original_has_and_nothing_else() {
        let trees = tempfile::tempdir().expect("a directory");
        let (from, to) = (trees.path().join("from"), trees.path().join("to"));
        for (tree, file) in [(&from, "a/new"), (&to, "a/old"), (&to, "b/old")] {
            let path = tree.join(file);
            fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
            fs::write(path, file).expect("it can be written");
        }
        copy(&from, &to).expect("a copy");
        assert!(!to.join("a/old").exists() && !to.join("b").exists());
        assert_eq!(fs::read_to_string(to.join("a/new")).expect("it is there"), "a/new");
    }
}
