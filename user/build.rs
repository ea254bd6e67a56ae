//! Writes the lists of the programs' names, and passes the programs' link arguments. Their code-generation flags are in
//! `programs::build`.

use std::path::Path;
use std::{env, fs};

/// The files with a program's name in each line, and the constant of `image` that each becomes. The number of a line is
/// the image number of its program.
const LISTS: [(&str, &str); 2] = [("programs/images.txt", "NAMES"), ("programs/bench-images.txt", "BENCH")];

fn main() {
    println!("cargo::rerun-if-changed=program.ld");
    println!("cargo::rerun-if-changed=Cargo.toml");
    let directory = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let read = |file: &str| fs::read_to_string(Path::new(&directory).join(file));
    let (mut source, mut listed) = (String::new(), Vec::new());
    for (file, constant) in LISTS {
        println!("cargo::rerun-if-changed={file}");
        let text = match read(file) {
            Ok(text) => text,
            Err(error) => return println!("cargo::error=cannot read user/{file}: {error}"),
        };
        let names: Vec<_> = text.lines().map(str::to_owned).collect();
        source += &format!(
            "/// The lines of `user/{file}`: the name of each program of a boot archive, in its order.\n\
             pub const {constant}: &[&str] = &{names:?};\n"
        );
        listed.extend(names);
    }
    let mut binaries = binaries(&read("Cargo.toml").expect("cargo has read it"));
    binaries.sort();
    listed.sort();
    if listed != binaries {
        let files = LISTS.map(|(file, _)| file).join(" and ");
        let odd =
            binaries.iter().find(|name| !listed.contains(name)).or(listed.iter().find(|name| !binaries.contains(name)));
        let odd = odd.map_or("a name is there twice".to_owned(), |name| format!("`{name}` is on one side only"));
        return println!("cargo::error=the binaries of user/Cargo.toml and the lines of {files} differ: {odd}");
    }
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("names.rs"), source).expect("OUT_DIR can be written");
    if env::var_os("CARGO_FEATURE_PROGRAM").is_some() {
        link(&directory);
    }
}

/// The names of the binaries in a manifest.
fn binaries(manifest: &str) -> Vec<String> {
    let name = |binary: &str| {
        let value = binary.lines().find_map(|line| line.strip_prefix("name = "));
        value.expect("a binary has a name").trim_matches('"').to_owned()
    };
    manifest.split("[[bin]]").skip(1).map(name).collect()
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
