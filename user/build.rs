//! Writes the list of the programs' names, which are the binaries of `Cargo.toml`, and passes the programs' link
//! arguments. Their code-generation flags are in `programs::build`.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=program.ld");
    println!("cargo::rerun-if-changed=Cargo.toml");
    let directory = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let manifest = fs::read_to_string(Path::new(&directory).join("Cargo.toml")).expect("cargo has read it");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("names.rs"), names(&manifest)).expect("OUT_DIR can be written");
    if env::var_os("CARGO_FEATURE_PROGRAM").is_some() {
        link(&directory);
    }
}

/// The source of `image::NAMES` and `image::BENCH`, in the order of the binaries.
fn names(manifest: &str) -> String {
    let binaries = manifest.split("[[bin]]").skip(1);
    let name = |binary: &str| {
        let value = binary.lines().find_map(|line| line.strip_prefix("name = "));
        value.expect("a binary has a name").trim_matches('"').to_owned()
    };
    let is_of_bench = |name: &String| name.split('-').next() == Some("bench");
    let (bench, names): (Vec<_>, Vec<_>) = binaries.map(name).partition(is_of_bench);
    format!(
        "/// Name of every program. The boot archive holds them in this order.
pub const NAMES: &[&str] = &{names:?};
/// Name of every program of the bench. They have a boot archive of their own, in this order.
pub const BENCH: &[&str] = &{bench:?};
"
    )
}

/// Passes cargo the link arguments of the programs.
fn link(directory: &str) {
    let script = format!("-Wl,-T,{directory}/program.ld");
    let arguments = [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        // Pages are 4 KiB: no padding to the linker's default of 64 KiB or 2 MiB.
        "-Wl,-z,max-page-size=4096",
        "-Wl,-z,norelro",
        "-Wl,--build-id=none",
        "-Wl,--gc-sections",
        &script,
    ];
    for argument in arguments {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
