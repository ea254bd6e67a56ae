//! Runs the programs of `user/` on the interpreter, over a stand-in for the kernel that is just enough for
//! that, and compares what they do with their manifests.

mod x86;

use programs::{Check, Plan};
use x86::kernel::Kernel;

/// Runs all programs on so many CPUs, one after the other, and requires what their manifests do.
fn run(cpus: u32) {
    let programs = programs::build().expect("the programs build");
    let plan = Plan::new(&programs, cpus).expect("the programs can run together");
    let mut check = Check::new(&plan);
    let mut problems = Vec::new();
    for cpu in 0..cpus {
        let console = Kernel::new(cpu, &programs, &plan.boot_list).run();
        for line in console.lines() {
            problems.extend(check.line(line).err());
        }
    }
    problems.extend(check.missing());
    let text: String = problems
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect();
    assert!(problems.is_empty(), "{text}");
    assert!(check.is_complete());
}

#[test]
fn every_program_does_what_its_manifest_says() {
    run(8);
}
