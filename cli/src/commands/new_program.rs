//! `cairn new-program`: creates a program that runs.

use crate::host::error::Error;
use crate::host::workspace;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Create a program: a folder in user/programs with a main.rs and a manifest.toml
///
/// `cargo cairn run NAME` runs the new program at once. docs/write-a-program.md says how to
/// continue.
#[derive(clap::Args)]
pub struct Arguments {
    /// Name of the program: lower-case letters, digits and hyphens
    name: String,
}

/// Why a program cannot have this name (the caller's fault).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// The name is not possible as the name of a crate and of a file.
    #[error("a name begins with a lower-case letter and has {LONGEST} letters, digits and hyphens at most")]
    Form,
    /// Cargo, Rust or the library `user` uses the name for something else.
    #[error("Rust or cargo uses this name for something else")]
    Reserved,
    /// Names of the bench's programs, which have an archive of their own.
    #[error("names bench and bench-… are reserved for `cargo cairn bench`")]
    Bench,
    /// There is already a program with this name.
    #[error("it exists already")]
    Taken,
}

/// The maximum number of characters of a name: it is part of every line about the program's end.
const LONGEST: usize = 32;

/// Names that binaries of the package cannot have: cargo's directories, crates that programs are linked with, and
/// keywords.
const RESERVED: &[&str] = &[
    "abi",
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "user",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Creates the program's files, and prints the next steps.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let name = &arguments.name;
    make(&workspace::root(), name)?;
    println!("created user/programs/{name}: main.rs is the program, manifest.toml defines what it is expected to do");
    println!("run it: cargo cairn run {name}");
    Ok(ExitCode::SUCCESS)
}

/// Creates a program in the tree at `root`.
fn make(root: &Path, name: &str) -> Result<(), Error> {
    let user = root.join("user");
    let (folder, cargo) = (user.join("programs").join(name), user.join("Cargo.toml"));
    let manifest = fs::read_to_string(&cargo).map_err(Error::file("read", &cargo))?;
    let checked = check(name).and_then(|()| {
        let is_taken = folder.exists() || manifest.lines().any(|line| line == format!("name = \"{name}\""));
        if is_taken { Err(NameError::Taken) } else { Ok(()) }
    });
    checked.map_err(|problem| Error::Name { name: name.to_owned(), problem: problem.to_string() })?;

    fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    for (file, text) in [("main.rs", MAIN), ("manifest.toml", MANIFEST)] {
        let path = folder.join(file);
        fs::write(&path, text.replace("NAME", name)).map_err(Error::file("write", &path))?;
    }
    // The manifest is changed last, so that cargo never looks for a missing file.
    for (path, text) in [(&user.join("programs").join("images.txt"), "NAME\n"), (&cargo, BINARY)] {
        let append = || OpenOptions::new().append(true).open(path)?.write_all(text.replace("NAME", name).as_bytes());
        append().map_err(Error::file("write", path))?;
    }
    Ok(())
}

/// Whether a program can have this name.
fn check(name: &str) -> Result<(), NameError> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase();
    let may_stand = |byte: u8| is_letter(byte) || byte.is_ascii_digit() || byte == b'-';
    if name.len() > LONGEST || !name.bytes().next().is_some_and(is_letter) || !name.bytes().all(may_stand) {
        return Err(NameError::Form);
    }
    if RESERVED.contains(&name) {
        return Err(NameError::Reserved);
    }
    if name.split('-').next() == Some("bench") {
        return Err(NameError::Bench);
    }
    Ok(())
}

/// The program's main.rs.
const MAIN: &str = r#"//! Says hello.
#![no_std]
#![no_main]

use user::{println, program};

program!(main);

fn main() {
    println!("NAME: hello");
}
"#;

/// The program's manifest.
const MANIFEST: &str = r#"about = "says hello"
# It is started only by name. Without this line, `cargo cairn run` starts it with all others.
alone = true

[[start]]
cpus = [0]
# Pages that it may use: those of its file and its stack, their page tables, and its heap.
quota = 64
end = { exited = 0 }
lines = ["NAME: hello"]
"#;

/// The program's section in Cargo.toml.
const BINARY: &str = r#"
[[bin]]
name = "NAME"
path = "programs/NAME/main.rs"
required-features = ["program"]
test = false
bench = false
doc = false
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use programs::manifest::Manifest;

    #[test]
    fn names_that_no_program_can_have() {
        let longest = "a".repeat(LONGEST);
        for name in ["", "A", "9", "-a", "a_b", "a/b", "../a", "a.b", "é", "hello ", &(longest.clone() + "a")] {
            assert_eq!(check(name), Err(NameError::Form), "{name}");
        }
        for name in ["user", "abi", "fn", "deps"] {
            assert_eq!(check(name), Err(NameError::Reserved), "{name}");
        }
        for name in ["bench", "bench-x"] {
            assert_eq!(check(name), Err(NameError::Bench), "{name}");
        }
        for name in ["a", "a-9", "benches", &longest] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_program_is_made_once() {
        let root = tempfile::tempdir().expect("a directory");
        let cargo = root.path().join("user").join("Cargo.toml");
        let list = root.path().join("user/programs/images.txt");
        fs::create_dir_all(list.parent().expect("it has one")).expect("it can be made");
        fs::write(&list, "old\n").expect("it can be written");
        fs::write(&cargo, "[[bin]]\nname = \"old\"\n").expect("it can be written");
        make(root.path(), "new").expect("a program");
        let made = fs::read_to_string(&cargo).expect("it is there");
        assert!(made.starts_with("[[bin]]\nname = \"old\"\n\n[[bin]]\nname = \"new\"\n"), "{made}");
        assert_eq!(fs::read_to_string(&list).expect("it is there"), "old\nnew\n");
        for name in ["new", "old"] {
            let error = make(root.path(), name).expect_err("it is taken");
            assert_eq!(error.to_string(), format!("cannot create the program `{name}`: it exists already"));
        }
        assert_eq!(fs::read_to_string(&cargo).expect("it is there"), made);
        let folder = root.path().join("user/programs/new");
        assert!(fs::read_to_string(folder.join("main.rs")).expect("it is there").contains("\"new: hello\""));
        let manifest = fs::read_to_string(folder.join("manifest.toml")).expect("it is there");
        assert!(Manifest::parse(&manifest).expect("a manifest").alone);
    }
}
