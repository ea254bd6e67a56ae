//! Tests of plans of runs, and of judging the console.

use programs::check::Problem;
use programs::manifest::{Machine, Manifest};
use programs::{Check, Plan, Program, plan};

fn program(name: &'static str, manifest: &str) -> Program {
    let text = format!("about = \"a test\"\n{manifest}");
    Program { name, elf: Vec::new(), manifest: Manifest::parse(&text).expect("a manifest") }
}

fn twins() -> Program {
    program(
        "twin",
        r#"
        [[start]]
        count = 2
        quota = { base = 10, cpu = 2, instance = 1 }
        end = { exited = 0 }
        lines = ["first {cpu}", "second {cpu} of {thread} with {quota}"]
        descendants = [{ path = [1], end = { stopped = "bad address", at = "0x10" }, program = "child" }]
        "#,
    )
}

/// Everything that the console is expected to show of the twins on CPU 1.
const EXPECTED: [&str; 7] = [
    "cairn: 2 CPUs",
    "first 1",
    "cairn: CPU 1: thread 138 (child) stopped: bad address at 0x10 (rip 0x40000000)",
    "second 1 of 17 with 12",
    "cairn: CPU 1: thread 17 (twin) exited with status 0",
    "cairn: CPU 1: thread 18 (twin) exited with status 0",
    "cairn: CPU 1: thread 146 (child) stopped: bad address at 0x10 (rip 0x40000000)",
];

/// The problems with these lines.
fn judge(lines: &[&str]) -> Vec<String> {
    let mut program = twins();
    program.manifest.starts[0].cpus = programs::manifest::Cpus::List(vec![1, 5]);
    let plan = Plan::new([&program], Machine::without_guests(2)).unwrap();
    let mut check = Check::new(&plan);
    let mut problems: Vec<_> = lines.iter().filter_map(|line| check.line(line).err()).collect();
    assert_eq!(check.is_complete(), check.missing().is_empty());
    problems.extend(check.missing());
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn a_boot_list_starts_every_instance_on_every_cpu() {
    let programs = [twins(), program("once", "[[start]]\ncpus=[1]\nquota=7\nend={exited=0}")];
    let plan = Plan::new(&programs, Machine::without_guests(2)).unwrap();
    let starts: Vec<_> = abi::boot::parse(&plan.boot_list).map(Result::unwrap).collect();
    let starts: Vec<_> = starts.iter().map(|start| (start.cpu, start.image, start.quota)).collect();
    let expected = [(0, "twin", 10), (0, "twin", 11), (1, "twin", 12), (1, "twin", 13), (1, "once", 7)];
    assert_eq!(starts, expected);
    assert_eq!(plan.pages, [21, 32]);
}

#[test]
fn what_is_expected_is_no_problem() {
    assert_eq!(judge(&EXPECTED), Vec::<String>::new());
}

#[test]
fn each_thing_that_is_missing_is_named() {
    for missing in 1..EXPECTED.len() {
        let lines = [&EXPECTED[..missing], &EXPECTED[missing + 1..]].concat();
        let problems = judge(&lines);
        assert!(!problems.is_empty(), "{} is missing", EXPECTED[missing]);
    }
    let problems = judge(&EXPECTED[..3]);
    let message = "twin on CPU 1 has not printed 'second 1 of 17 with 12'";
    assert!(problems.iter().any(|problem| problem == message), "{problems:?}");
    let message = "thread 146 (child) on CPU 1 has not ended; a stop by 'bad address' at 0x10 of child was expected";
    assert!(problems.iter().any(|problem| problem == message), "{problems:?}");
}

#[test]
fn each_thing_too_many_is_named() {
    for line in &EXPECTED[1..] {
        let lines = [EXPECTED.as_slice(), &[line]].concat();
        assert_eq!(judge(&lines).len(), 1, "{line}");
    }
    let lines = [EXPECTED.as_slice(), &["boo"]].concat();
    assert_eq!(judge(&lines), ["unexpected line 'boo'; no more lines were expected"]);
}

#[test]
fn another_order_or_another_end_is_named() {
    let mut lines = EXPECTED;
    lines.swap(1, 3);
    assert!(judge(&lines)[0].contains("expected was 'first 1'"));

    for (wrong, message) in [
        ("exited with status 1", "exited with status 1, but exit with status 0 of twin was expected"),
        ("stopped: out of quota at 0x10 (rip 0x0)", "was stopped: out of quota at 0x10"),
    ] {
        let line = format!("cairn: CPU 1: thread 17 (twin) {wrong}");
        let mut lines = EXPECTED;
        lines[4] = &line;
        let problems = judge(&lines);
        assert!(problems.len() == 1 && problems[0].contains(message), "{problems:?}");
    }
    for line in
        ["cairn: CPU 0: thread 17 (twin) exited with status 0", "cairn: CPU 1: thread 17 (once) exited with status 0"]
    {
        let mut lines = EXPECTED;
        lines[4] = line;
        assert_eq!(judge(&lines).len(), 1, "{line}");
    }
    let mut lines = EXPECTED;
    lines[2] = "cairn: CPU 1: thread 138 (child) stopped: bad address at 0x11 (rip 0x40000000)";
    assert_eq!(judge(&lines).len(), 1);
}

#[test]
fn programs_that_cannot_run_together() {
    let error = |manifest: &str| Plan::new([&program("test", manifest)], Machine::without_guests(1)).unwrap_err();
    let start = "[[start]]\nend = { exited = 0 }\n";
    assert_eq!(error(&format!("{start}quota = 1\ncount = 9")), plan::PlanError::TooMany { cpu: 0 });
    let quota = "quota = { base = 4294967295, instance = 1 }\ncount = 2";
    let program_name = "test".to_owned();
    let expected = plan::PlanError::Quota { program: program_name.clone(), cpu: 0 };
    assert_eq!(error(&format!("{start}{quota}")), expected);
    for (path, can_be) in [("[]", false), ("[8]", false), ("[0, 0, 0]", false), ("[7, 7]", true)] {
        let descendants = format!("descendants = [{{ path = {path}, end = {{ exited = 0 }} }}]");
        let text = format!("{start}quota = 1\n{descendants}");
        assert_eq!(Plan::new([&program("test", &text)], Machine::without_guests(1)).is_ok(), can_be, "{path}");
    }
    let same = format!("{start}quota = 1\nlines = [\"same\"]\n");
    let line = "same".to_owned();
    let expected = plan::PlanError::Ambiguous { program: program_name, cpu: 0, line };
    assert_eq!(error(&format!("{same}{same}")), expected);
}

#[test]
fn the_programs_of_this_tree_can_run_together_on_any_number_of_cpus() {
    let programs = programs::build().expect("the programs build");
    for cpus in 1..=8 {
        let plan = Plan::new(programs::usual(&programs), Machine::without_guests(cpus)).expect("they can");
        assert_eq!(plan.pages.len(), cpus as usize);
    }
    // The same lines, checked by themselves.
    for program in &programs {
        Plan::new([program], Machine::without_guests(8)).expect("it can");
        Plan::new([program], Machine::with_guests(8)).expect("it can");
    }
}
