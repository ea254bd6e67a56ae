//! The programs of `user/` on the hosted machine, judged by their manifests.
use programs::{Check, Plan};
use sim::baton::Limit;
use sim::board::Memory;
use sim::run::{Checking, Config, End, Program, Report};

/// Runs all programs and gives the report and what the console showed.
fn run(cpus: u32, seed: u64) -> (Report, String, Plan) {
    let built = programs::build().expect("the programs build");
    let plan = Plan::new(&built, cpus).expect("the programs can run together");
    let program = |program: &programs::Program| Program { name: program.name.to_owned(), elf: program.elf.clone() };
    let config = Config {
        programs: built.iter().map(program).collect(),
        boot_list: &plan.boot_list,
        cpus,
        seed,
        memory: Memory::default(),
        limit: Limit { work: Some(100_000_000), until: None },
        checking: Checking::AtEnd,
    };
    let mut console = Vec::new();
    let report = sim::run(config, |bytes| console.extend_from_slice(bytes)).expect("a good configuration");
    (report, String::from_utf8(console).expect("programs print text"), plan)
}

/// What differs from the manifests.
fn problems(plan: &Plan, console: &str) -> Vec<String> {
    let mut check = Check::new(plan);
    let mut problems: Vec<_> = console.lines().filter_map(|line| check.line(line).err()).collect();
    problems.extend(check.missing());
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_program_does_what_its_manifest_says() {
    for cpus in [1, 8] {
        let (report, console, plan) = run(cpus, 1);
        assert_eq!(report.end, End::PowerOff, "{:#?}\n{:#?}\n{console}", report.cpus, report.violations);
        assert_eq!(problems(&plan, &console), [""; 0], "{console}");
        assert!(console.starts_with(&format!("cairn: {cpus} CPU")));
        assert_eq!(report.refused, 0);
    }
}

#[test]
fn the_seed_fixes_everything() {
    let runs = [5, 5, 6].map(|seed| run(8, seed));
    let text = |(report, console, _): &(Report, String, Plan)| (format!("{report:?}"), console.clone());
    let [first, second, other] = runs.each_ref().map(text);
    assert!(first == second, "two runs with the same seed differ");
    assert!(first.1 != other.1, "another seed gives the same interleaving");
    for (report, console, plan) in runs {
        assert_eq!(report.end, End::PowerOff);
        assert_eq!(problems(&plan, &console), [""; 0]);
    }
}
