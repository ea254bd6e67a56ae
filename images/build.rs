//! Link arguments of the images, and a check that the build passes the flags that an image needs.
use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_IMAGE").is_none() {
        // Without the feature, an image is an empty program without the entry point that the linker
        // would need.
        println!("cargo::rustc-link-arg-bins=-Wl,--unresolved-symbols=ignore-all");
        return;
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if !flags.contains("code-model=kernel") {
        println!("cargo::error=an image needs code-generation flags of its own: build it with `cargo cairn run`");
        return;
    }
    let directory = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rerun-if-changed=kernel.ld");
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,-z,max-page-size=0x1000",
        "-Wl,-z,noexecstack",
    ] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{directory}/kernel.ld");
}
