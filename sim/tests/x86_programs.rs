//! Runs the programs of `user/` on the interpreter, with a minimal substitute for the kernel, and checks them against
//! their manifests.

mod x86;

use programs::manifest::Machine;
use programs::{Check, Plan, Program};
use x86::kernel::Kernel;

/// The programs that need only one CPU, and no devices and channels.
const ALONE: [&str; 5] = ["hello", "counter", "hog", "tree", "wild"];

/// Builds all programs.
fn build() -> Vec<Program> {
    programs::build().expect("the programs build")
}

/// The programs that can run here.
fn alone(programs: &[Program]) -> impl Iterator<Item = &Program> + Clone {
    programs.iter().filter(|program| ALONE.contains(&program.name))
}

/// Runs a plan, one CPU after the other, and checks the expected results.
fn run(programs: &[Program], plan: &Plan) {
    let mut check = Check::new(plan);
    let mut problems = Vec::new();
    for cpu in 0..plan.pages.len() as u32 {
        let console = Kernel::new(cpu, programs, &plan.boot_list).run();
        for line in console.lines() {
            problems.extend(check.line(line).err());
        }
    }
    problems.extend(check.missing());
    let text: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    assert!(problems.is_empty(), "{text}");
    assert!(check.is_complete());
}

#[test]
fn all_programs_together_do_what_their_manifests_say() {
    let programs = build();
    run(&programs, &Plan::new(alone(&programs), Machine::without_guests(8)).expect("they can run together"));
}

#[test]
fn each_program_alone_does_what_its_manifest_says() {
    let programs = build();
    for program in alone(&programs) {
        run(&programs, &Plan::new([program], Machine::without_guests(2)).expect("it can run alone"));
    }
}
