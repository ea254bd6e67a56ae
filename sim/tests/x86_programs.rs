//! Runs the programs of `user/` on the interpreter, over a stand-in for the kernel that is just enough for
//! that, and compares what they do with their manifests.

mod x86;

use programs::{Check, Plan, Program};
use x86::kernel::Kernel;

/// The programs that keep to themselves, which the stand-in can run; and all programs, as they know each other.
fn build() -> (Vec<Program>, Vec<Program>) {
    const OTHERS: [&str; 4] = ["ping-pong", "producers", "shell", "launcher"];
    let all = programs::build().expect("the programs build");
    let alone = all.iter().filter(|program| !OTHERS.contains(&program.name)).cloned().collect();
    (alone, all)
}

/// Runs a plan, one CPU after the other, and requires what it expects.
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
    let (programs, all) = build();
    run(&all, &Plan::new(programs::usual(&programs), 8).expect("they can run together"));
}

#[test]
fn each_program_alone_does_what_its_manifest_says() {
    let (programs, all) = build();
    for program in &programs {
        run(&all, &Plan::new([program], 2).expect("it can run alone"));
    }
}
