//! The solver for tests that ask one.
use std::path::PathBuf;

/// The solver that `cargo cairn setup` installs, or the one on the search path; says so where there is none.
pub fn z3() -> Option<PathBuf> {
    let pinned = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/tools/z3/bin/z3");
    let on_path = || std::env::split_paths(&std::env::var_os("PATH")?).map(|d| d.join("z3")).find(|p| p.is_file());
    let found = if pinned.is_file() { Some(pinned) } else { on_path() };
    if found.is_none() {
        eprintln!("skipped: no z3; `cargo cairn setup` installs one");
    }
    found
}
