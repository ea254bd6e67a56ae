//! Link arguments of the programs; the codegen flags that go with them are in `programs::build`.

fn main() {
    println!("cargo::rerun-if-changed=program.ld");
    if std::env::var_os("CARGO_FEATURE_PROGRAM").is_none() {
        return;
    }
    let directory = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
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
