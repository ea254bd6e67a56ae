//! A specification uses no function and no constant of the code that it specifies: an error in it would then be in both,
//! and would be proved.
//!
//! Specifications are the files of contracts and facts (`is_specification`), and in the other files every function that
//! is only for machines with visible ghost state (`M: Spec`): rely conditions and lock invariants. All other functions
//! are code. A specification may name types, and constants of `core`, which are those of the reference. It calls the
//! code in one place: the entry `run` of a contract.
use layer::spec::is_specification;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Functions and constants of code that specifications may use, each with the reason.
const ALLOWED: &[(&str, &str)] = &[
    ("DRAIN", "the name of a loop"),
    ("KEYS", "the keys at which facts are instantiated: a missing one proves less"),
    ("MAIL", "the same, for messages"),
    ("FIRST", "the first queue of a family, for which the lock invariant is stated"),
    ("RECV", "a kind of event in the interface of machines"),
    ("PLUGIN", "the same"),
    ("SEND_COMPLETE", "the same"),
];

/// Modules of `core` that hold no code of primitives, so all their names may be imported.
const VOCABULARY: [&str; 2] = ["crate::core::constants", "crate::core::fields"];

/// The Rust files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory of sources");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort_unstable();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The text without comments and without the contents of strings, so that only code is left.
fn code(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        let (mut is_text, mut before) = (false, ' ');
        let mut kept = String::new();
        for (at, c) in line.char_indices() {
            if !is_text && line[at..].starts_with("//") {
                break;
            }
            if c == '"' && before != '\\' && before != '\'' {
                is_text = !is_text;
            }
            if !is_text || c == '"' {
                kept.push(c);
            }
            before = c;
        }
        lines.push_str(&kept);
        lines.push('\n');
    }
    lines
}

/// The end of what begins at `from`: the first `,`, `;` or closing bracket outside of all brackets.
fn end(text: &str, from: usize) -> usize {
    let mut depth = 0;
    for (at, c) in text[from..].char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return from + at,
            ')' | ']' | '}' => depth -= 1,
            ',' | ';' if depth == 0 => return from + at,
            _ => {}
        }
    }
    text.len()
}

/// Where the bracket at `open` is closed.
fn closing(text: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, c) in text[open..].char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return open + at;
        }
    }
    text.len()
}

/// The text without the calls of the code: the entry `run` of each contract, which `silent` takes as its first argument.
fn without_run(text: &str) -> String {
    let (mut rest, mut kept) = (text, String::new());
    loop {
        let next = ["run: |", "silent("].iter().filter_map(|begin| Some((rest.find(begin)?, begin.len()))).min();
        let Some((at, length)) = next else { return kept + rest };
        // The arguments of the closure are between two bars, and have a comma.
        let begin = at + length;
        let mut bars = rest[begin..].match_indices('|').map(|(bar, _)| begin + bar);
        let body = bars.nth(usize::from(rest[at..].starts_with("silent(")));
        kept.push_str(&rest[..begin]);
        rest = match body {
            Some(bar) => &rest[end(rest, bar + 1)..],
            None => &rest[begin..],
        };
    }
}

/// The words of the text, each with the character before it and the text after it.
fn words(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let begin = at + text[at..].find(is_part)?;
        let length = text[begin..].find(|c| !is_part(c)).unwrap_or(text.len() - begin);
        at = begin + length;
        Some((&text[..begin], &text[begin..at], &text[at..]))
    })
}

/// A function of a file: its name, whether it is specification, and where its body is.
struct Function {
    name: String,
    is_method: bool,
    is_specification: bool,
    body: std::ops::Range<usize>,
}

/// The functions in the code of a file.
fn functions(text: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (before, word, after) in words(text) {
        if word != "fn" || !after.starts_with(' ') {
            continue;
        }
        let name: String = after[1..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let from = before.len();
        let open = text[from..].find(['{', ';']).map_or(text.len(), |at| from + at);
        if name.is_empty() || !text[open..].starts_with('{') {
            continue;
        }
        let body = open..closing(text, open);
        // The bound may stand at the function or at its `impl`.
        let head = before.rfind("\nimpl").map_or("", |at| before[at..].split('{').next().unwrap_or_default());
        let is_specification = text[from..open].contains("Spec") || head.contains("M: Spec");
        let is_method = text[from..open].contains("self");
        found.push(Function { name, is_method, is_specification, body });
    }
    found
}

/// The names of the constants in the code of a file.
fn constants(text: &str) -> impl Iterator<Item = &str> {
    words(text).filter_map(|(_, word, after)| {
        let (name, _) = after.strip_prefix(' ')?.split_once(':')?;
        (word == "const" && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
            .then_some(name)
    })
}

/// The parts of a `use` line as whole paths: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(tree: &str) -> Vec<String> {
    let tree: String = tree.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((head, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or_default().trim().to_string()];
    };
    let inside = rest.rsplit_once('}').map_or(rest, |(inside, _)| inside);
    let (mut parts, mut from) = (Vec::new(), 0);
    while from < inside.len() {
        let to = end(inside, from);
        parts.extend(paths(inside[from..to].trim()).into_iter().map(|path| format!("{head}{path}")));
        from = to + 1;
    }
    parts
}

/// The path `path` in `file`, from the root of the crate if it begins at the module above.
fn whole(file: &str, path: &str) -> String {
    let mut module = file.trim_start_matches("layer/src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let mut rest = path;
    while let Some(below) = rest.strip_prefix("super::") {
        module = module.rsplit_once('/').map_or("", |(above, _)| above);
        rest = below;
    }
    if rest == path { path.to_string() } else { format!("crate::{}::{rest}", module.replace('/', "::")) }
}

/// Whether a name is that of a type or of a variant.
fn is_type(name: &str) -> bool {
    name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase)
}

/// What the specifications use of the code, each with the file that uses it.
fn uses(sources: &[(String, String)]) -> Vec<(String, String)> {
    let is_code_of = |file: &str| !is_specification(file) && !file.starts_with("layer/src/spec/");
    // Names in the text that it binds itself.
    let bound = |text: &str| -> BTreeSet<String> {
        words(text).filter(|(before, ..)| before.ends_with("let ")).map(|(_, word, _)| word.to_string()).collect()
    };
    let (mut names, mut methods) = (BTreeSet::new(), BTreeSet::new());
    for (file, text) in sources.iter().filter(|(file, _)| is_code_of(file)) {
        for function in functions(text).into_iter().filter(|function| !function.is_specification) {
            if function.is_method {
                methods.insert(function.name)
            } else {
                names.insert(function.name)
            };
        }
        if file.contains("/objects/") {
            names.extend(constants(text).map(str::to_string));
        }
    }
    let of_specifications = sources.iter().filter(|(file, _)| is_specification(file));
    for (_, text) in of_specifications {
        functions(text)
            .into_iter()
            .filter(|function| function.is_method)
            .for_each(|function| _ = methods.remove(&function.name));
    }
    // The interfaces of machines, maps and words are no code of primitives.
    let interface = sources.iter().filter(|(file, _)| file.ends_with("/core/machine.rs"));
    for (_, text) in interface {
        functions(text).into_iter().for_each(|function| _ = methods.remove(&function.name));
    }
    let mut found = Vec::new();
    // The words of a text that name code.
    let used = |text: &str, own: &BTreeSet<String>| -> Vec<String> {
        let is_code = |&(before, word, after): &(&str, &str, &str)| {
            let is_call = after.starts_with('(') || after.starts_with("::<");
            let is_constant = !is_type(word) && word.starts_with(char::is_uppercase);
            let is_of_machine = before.ends_with("M::") || before.ends_with("Self::");
            let is_path = before.ends_with("::");
            if is_of_machine {
                false
            } else if before.ends_with('.') {
                is_call && methods.contains(word)
            } else {
                !before.ends_with("fn ")
                    && names.contains(word)
                    && ((is_path && (is_call || is_constant)) || (!own.contains(word) && is_call))
            }
        };
        let bound = bound(text);
        let found = words(text).filter(is_code).map(|(_, word, _)| word.to_string());
        found.filter(|word| !bound.contains(word)).collect()
    };
    for (file, text) in sources {
        let mut here = Vec::new();
        if is_specification(file) {
            let rest = without_run(text);
            let lines = ["\nuse ", "\npub use ", "\npub(crate) use "];
            let begins = lines.iter().flat_map(|line| text.match_indices(line).map(|(at, _)| at + line.len()));
            let imports = begins.flat_map(|at| paths(&text[at..end(text, at)]));
            let mut own: BTreeSet<String> = functions(text).into_iter().map(|function| function.name).collect();
            for path in imports.map(|path| whole(file, &path)) {
                let (module, name) = path.rsplit_once("::").unwrap_or(("", &path));
                let is_foreign = module.starts_with("domain") || VOCABULARY.iter().any(|v| module.starts_with(v));
                // A path that begins at a module of the file leads to another file of the specification.
                let is_of_specification = module.split("::").any(|part| part == "spec") || !module.starts_with("crate");
                if is_of_specification {
                    own.insert(name.to_string());
                } else if !is_foreign
                    && !is_type(name)
                    && (name == "*" || (names.contains(name) && !is_module(sources, &path)))
                {
                    here.push(path);
                }
            }
            // What a sibling file of the specification exports by a glob.
            let globs = text.contains("spec::*").then_some(()).into_iter();
            own.extend(globs.flat_map(|()| {
                let specs = sources.iter().filter(|(file, _)| is_specification(file));
                specs.flat_map(|(_, text)| functions(text)).map(|function| function.name)
            }));
            let body: String = rest.lines().filter(|line| !line.starts_with("use ")).collect::<Vec<_>>().join("\n");
            here.extend(used(&body, &own));
        } else if file.contains("/objects/") {
            let all = functions(text);
            let own: BTreeSet<String> =
                all.iter().filter(|function| function.is_specification).map(|function| function.name.clone()).collect();
            for function in all.iter().filter(|function| function.is_specification) {
                here.extend(used(&text[function.body.clone()], &own));
            }
        }
        found.extend(here.into_iter().map(|what| (file.clone(), what)));
    }
    found
}

/// Whether a path names a module: a specification may import a module of code, to call it in `run`.
fn is_module(sources: &[(String, String)], path: &str) -> bool {
    let (module, last) = path.rsplit_once("::").unwrap_or(("", path));
    let file = module.replace("crate::", "layer/src/").replace("::", "/");
    let is_declared = |text: &str| [" ", "\n"].iter().any(|before| text.contains(&format!("{before}mod {last}")));
    let above = sources.iter().filter(|(name, _)| *name == format!("{file}.rs") || *name == format!("{file}/mod.rs"));
    above.into_iter().any(|(_, text)| is_declared(text))
}

/// The sources of the layer, by their names relative to the root of the tree.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root of the tree");
    let name = |path: &Path| path.strip_prefix(root).expect("a file of the tree").to_string_lossy().into_owned();
    let read = |path: &PathBuf| code(&std::fs::read_to_string(path).expect("a source"));
    files(&root.join("layer/src")).iter().map(|path| (name(path), read(path))).collect()
}

/// Whether the specifications may use this.
fn is_allowed(what: &str) -> bool {
    ALLOWED.iter().any(|&(name, _)| what.rsplit("::").next() == Some(name))
}

#[test]
fn no_specification_uses_the_code_that_it_specifies() {
    let found: Vec<(String, String)> = uses(&sources()).into_iter().filter(|(_, what)| !is_allowed(what)).collect();
    assert!(found.is_empty(), "these specifications use code: {found:#?}");
}

#[test]
fn what_is_allowed_is_used() {
    let used = uses(&sources());
    let is_used = |name: &str| used.iter().any(|(_, what)| what.rsplit("::").next() == Some(name));
    let stale: Vec<&str> = ALLOWED.iter().map(|&(name, _)| name).filter(|name| !is_used(name)).collect();
    assert!(stale.is_empty(), "no specification uses {stale:?}");
}

/// What is found if the text of `file` is changed.
fn found_after(file: &str, from: &str, to: &str) -> Vec<String> {
    let mut all = sources();
    let (_, text) = all.iter_mut().find(|(name, _)| name == file).expect("a source");
    assert!(text.contains(from), "{file} has no `{from}`");
    *text = text.replacen(from, to, 1);
    uses(&all).into_iter().map(|(_, what)| what).filter(|what| !is_allowed(what)).collect()
}

#[test]
fn a_function_of_the_code_is_found() {
    let spec = "layer/src/objects/page_table/spec/entries.rs";
    let found = found_after(
        spec,
        "use crate::spec::view",
        "use crate::objects::page_table::is_user_directory;\nuse crate::spec::view",
    );
    assert!(found.iter().any(|found| found.contains("is_user_directory")), "{found:?}");
    let found = found_after(spec, "\nuse crate::spec::view", "\nuse super::super::ptx;\nuse crate::spec::view");
    assert!(found.iter().any(|found| found.contains("ptx")), "{found:?}");
    let found = found_after(spec, "va / 4096 %", "crate::objects::page_table::ptx::<M>(va) %");
    assert!(found.iter().any(|found| found.contains("ptx")), "{found:?}");
}

#[test]
fn a_table_of_the_code_is_found() {
    let spec = "layer/src/objects/vmx/spec/mod.rs";
    let found =
        found_after(spec, "use crate::objects::vmx::vmcs::Vmcs;", "use crate::objects::vmx::vmcs::{FIELDS, Vmcs};");
    assert!(found.iter().any(|found| found.contains("FIELDS")), "{found:?}");
    let found = found_after(spec, "FIELDS.iter().all(", "vmx::vmcs::FIELDS.iter().all(");
    assert!(found.iter().any(|found| found.contains("FIELDS")), "{found:?}");
}

#[test]
fn a_method_of_the_code_is_found() {
    let spec = "layer/src/objects/page_alloc/spec.rs";
    let found = found_after(spec, "frame.kind == kind::NORM && !frame.alloc.holds()", "frame.is_free()");
    assert!(found.iter().any(|found| found.contains("is_free")), "{found:?}");
    let table = "layer/src/objects/page_alloc/table.rs";
    let found = found_after(table, "frame.kind != kind::NORM || frame.alloc.holds()", "!frame.is_free()");
    assert!(found.iter().any(|found| found.contains("is_free")), "{found:?}");
}
