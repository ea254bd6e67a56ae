//! Tests of the tree's documents: every link leads somewhere, changes and quotations of code agree with the code, and
//! docs/reference has what the code cites.
mod diffs;
mod markdown;
mod quotations;

use layer::catalogue::TABLE;
use layer::invariant::{BY_THEOREMS, by_construction, facts};
use markdown::Document;
use sim::machine::Sim;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Number of primitives in the reference.
const PRIMITIVES: u32 = 64;

/// The last derived invariant of the reference; later ones are the layer's own.
const LAST_DERIVED: u32 = 17;

/// The root of the tree.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package lies in the tree")
}

/// The texts of the files below a directory whose names end with one of these extensions, by their paths in it.
///
/// Built files, and files whose names begin with a dot, are not part of the tree.
fn texts(root: &Path, extensions: &[&str]) -> BTreeMap<PathBuf, String> {
    let mut texts = BTreeMap::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root.join(&directory)).expect("a directory of the tree can be read") {
            let entry = entry.expect("a directory of the tree can be read");
            let name = entry.file_name();
            let path = directory.join(&name);
            if name == "target" || name.as_encoded_bytes().starts_with(b".") {
                continue;
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extensions.iter().any(|&wanted| extension == wanted)) {
                let text = fs::read_to_string(root.join(&path)).expect("a file of the tree can be read");
                texts.insert(path, text);
            }
        }
    }
    texts
}

/// The Markdown files below a directory, by their paths in it.
fn documents(root: &Path) -> BTreeMap<PathBuf, Document> {
    texts(root, &["md"]).into_iter().map(|(path, text)| (path, Document::read(&text))).collect()
}

/// The pages of the reference.
fn reference() -> BTreeMap<PathBuf, Document> {
    documents(&root().join("docs/reference"))
}

/// `to`, a relative path in a file of `directory`, as a path from the root; `None` if it leaves the tree.
fn resolve(directory: &Path, to: &str) -> Option<PathBuf> {
    let mut path = directory.to_owned();
    for component in Path::new(to).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => path.pop().then_some(())?,
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// The fault of a link of the document at `from`, if it has one.
fn fault(root: &Path, documents: &BTreeMap<PathBuf, Document>, from: &Path, link: &str) -> Option<&'static str> {
    if ["http://", "https://", "mailto:"].iter().any(|scheme| link.starts_with(scheme)) {
        return None;
    }
    let (to, fragment) = link.split_once('#').map_or((link, None), |(to, fragment)| (to, Some(fragment)));
    let target = if to.is_empty() {
        from.to_owned()
    } else {
        match resolve(from.parent().unwrap_or(Path::new("")), to) {
            Some(target) => target,
            None => return Some("leaves the tree"),
        }
    };
    if !root.join(&target).exists() {
        return Some("no such file");
    }
    let known = |fragment: &str| documents.get(&target).is_some_and(|document| document.anchors.contains(fragment));
    fragment.is_some_and(|fragment| !known(fragment)).then_some("no such anchor")
}

/// Every broken link of the documents below `root`, one per line.
fn broken(root: &Path) -> Vec<String> {
    let documents = documents(root);
    let mut broken = Vec::new();
    for (from, document) in &documents {
        for link in BTreeSet::from_iter(&document.links) {
            if let Some(fault) = fault(root, &documents, from, link) {
                broken.push(format!("{}: {link}: {fault}", from.display()));
            }
        }
        for label in &document.undefined {
            broken.push(format!("{}: [{label}]: no such label", from.display()));
        }
    }
    broken
}

#[test]
fn every_link_of_the_tree_leads_somewhere() {
    assert!(documents(root()).contains_key(Path::new("README.md")), "the tree has documents");
    assert_eq!(broken(root()), [""; 0]);
}

#[test]
fn a_broken_link_is_found() {
    let tree = tempfile::tempdir().expect("a directory can be made");
    fs::create_dir_all(tree.path().join("docs/target")).expect("a directory can be made");
    let write = |path: &str, text: &str| fs::write(tree.path().join(path), text).expect("a file can be written");
    write("docs/target/built.md", "[not looked at](nowhere.md)");
    write("other.md", "# Other\n\n<a id=\"p1\"></a>P1\n");
    write(
        "docs/page.md",
        "# Page\n\n[1](../other.md#p1) [2](../other.md#other) [3](#page) [4](../docs) [5](https://example.org/#x)\n\
         [P1] [a](missing.md) [b](../other.md#p2) [c](#nowhere) [d](../../etc) [e](/other.md) [f][g]\n\
         <img src=\"missing.svg\">\n\n[P1]: ../other.md#p3\n",
    );
    let expected = [
        "docs/page.md: #nowhere: no such anchor",
        "docs/page.md: ../../etc: leaves the tree",
        "docs/page.md: ../other.md#p2: no such anchor",
        "docs/page.md: ../other.md#p3: no such anchor",
        "docs/page.md: /other.md: leaves the tree",
        "docs/page.md: missing.md: no such file",
        "docs/page.md: missing.svg: no such file",
        "docs/page.md: [g]: no such label",
    ];
    assert_eq!(broken(tree.path()), expected);
}

#[test]
fn every_change_that_a_page_shows_applies() {
    for (path, page) in texts(root(), &["md"]) {
        assert_eq!(diffs::stale(root(), &page), [""; 0], "{}", path.display());
    }
}

#[test]
fn a_stale_change_is_found() {
    let tree = tempfile::tempdir().expect("a directory can be made");
    fs::write(tree.path().join("file"), "one\ntwo\nthree\n").expect("a file can be written");
    let page = "\n```diff\n--- a/file\n+++ b/file\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n@@ -3 +3 @@\n-four\n+4\n```\n\
        \n```diff\n--- a/file\n+++ b/file\n@@ -1,3 +1,3 @@\n one\n 2\n-three\n+3\n--- /dev/null\n+++ b/new\n\
        @@ -0,0 +1 @@\n+new\n```\n";
    assert_eq!(diffs::stale(tree.path(), page), ["file: @@ -3 +3 @@"]);
}

#[test]
fn every_quotation_of_code_is_in_the_tree() {
    let sources = quotations::sources(texts(root(), &["rs", "s"]).into_values());
    // The reference has pseudocode of its own.
    for (path, page) in texts(root(), &["md"]).into_iter().filter(|(path, _)| !path.starts_with("docs/reference")) {
        assert_eq!(quotations::stale(&sources, &page), [""; 0], "{}", path.display());
    }
}

#[test]
fn a_stale_quotation_is_found() {
    let sources = quotations::sources(["fn one() {\n    two(\n        3,\n    );\n}\n".to_owned()].into_iter());
    let page = "\n```rust\nfn one() {\n    …\n}\n```\n\n```rust\n    two( 3,\n    );\n```\n\n```rust\n    two(4);\n```\n\
                \n```text\nthree\n```\n\n```rust\n}\n```\n";
    assert_eq!(quotations::stale(&sources, page), ["two(4);"]);
}

#[test]
fn each_primitive_has_its_entry_in_the_reference() {
    let pages = reference();
    let entries = |start: &str| -> Vec<(&Path, &Document)> {
        let has = |page: &Document| {
            page.headings.iter().filter(|(level, text)| *level == 3 && text.starts_with(start)).count()
        };
        pages.iter().flat_map(|(path, page)| vec![(path.as_path(), page); has(page)]).collect()
    };
    for primitive in TABLE.iter().filter(|primitive| (1..=PRIMITIVES).contains(&primitive.number)) {
        let start = format!("{}. {}(", primitive.number, primitive.name);
        let [(path, page)] = entries(&start)[..] else { panic!("docs/reference has not one entry `### {start}…`") };
        assert!(page.anchors.contains(primitive.name), "{}: no anchor {}", path.display(), primitive.name);
    }
    let numbers = BTreeSet::from_iter(TABLE.iter().map(|primitive| primitive.number));
    assert!((1..=PRIMITIVES).all(|number| numbers.contains(&number)), "the layer has every primitive of the reference");
}

#[test]
fn each_clause_of_the_invariant_is_in_the_reference() {
    let page = &reference()[Path::new("invariants.md")];
    let numbers = facts::<Sim>().map(|fact| fact.number);
    let numbers = numbers.chain(by_construction().map(|(number, _)| number)).chain(BY_THEOREMS.iter().map(|row| row.0));
    for number in numbers {
        // The clauses of H6 are the reference's own; the clauses of the others are the layer's.
        let whole = number.split('.').next().unwrap_or(number);
        let derived = whole.strip_prefix('D').map(|number| number.parse::<u32>().expect("D has a number"));
        let anchor = if whole == "H6" { number } else { whole }.to_lowercase();
        // E is the layer's own too.
        let is_the_references = !whole.starts_with('E') && derived.is_none_or(|number| number <= LAST_DERIVED);
        assert_eq!(
            page.anchors.contains(&anchor),
            is_the_references,
            "{number}: docs/reference/invariants.md#{anchor}"
        );
    }
}

#[test]
fn each_number_that_the_reference_mentions_is_a_link() {
    for (path, page) in reference() {
        assert_eq!(page.unlinked, [""; 0], "{} mentions what it does not link", path.display());
    }
}
