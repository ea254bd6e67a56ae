//! Runs the programs of `user/` on the hosted machine, and checks them against their manifests.
use programs::manifest::Machine;
use programs::{Check, Plan, Transcript};
use sim::machine::platform::Memory;
use sim::machine::turns::Limit;
use sim::run::config::{Checking, Config, Program, TIME_SLICE};
use sim::run::report::{End, Report};

/// Builds the programs.
fn build() -> Vec<programs::Program> {
    programs::build().expect("the programs build")
}

/// The configuration of a run with this boot list.
fn config<'a>(built: &[programs::Program], boot_list: &'a str, cpus: u32) -> Config<'a> {
    let program = |program: &programs::Program| Program { name: program.name.to_owned(), elf: program.elf.clone() };
    Config {
        programs: built.iter().map(program).collect(),
        boot_list,
        cpus,
        seed: 1,
        time_slice: TIME_SLICE,
        memory: Memory::default(),
        input: Vec::new(),
        limit: Limit { work: Some(200_000_000), until: None },
        checking: Checking::Never,
        forgets_flushes: false,
    }
}

/// Runs a configuration. Returns the report and the console's text.
fn show(config: Config<'_>) -> (Report, String) {
    let mut console = Vec::new();
    let report = sim::run(config, |bytes| console.extend_from_slice(bytes)).expect("a good configuration");
    (report, Transcript::of(&console))
}

/// Runs all programs by their manifests.
fn run(cpus: u32, seed: u64, checking: Checking) -> (Report, String, Plan) {
    let built = build();
    let plan =
        Plan::new(programs::usual(&built), Machine::without_guests(cpus)).expect("the programs can run together");
    let (report, console) = show(Config { seed, checking, ..config(&built, &plan.boot_list, cpus) });
    (report, console, plan)
}

/// The differences from the manifests.
fn problems(plan: &Plan, console: &str) -> Vec<String> {
    let mut check = Check::new(plan);
    let mut problems: Vec<_> = console.lines().filter_map(|line| check.line(line).err()).collect();
    problems.extend(check.missing());
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_program_does_what_its_manifest_says() {
    for (cpus, checking) in [(1, Checking::AtEnd), (8, Checking::Never)] {
        let (report, console, plan) = run(cpus, 1, checking);
        assert_eq!(report.end, End::PowerOff, "{:#?}\n{:#?}\n{console}", report.cpus, report.violations);
        assert_eq!(problems(&plan, &console), [""; 0], "{console}");
        assert!(console.starts_with(&format!("cairn: {cpus} CPU")));
        assert_eq!(report.refused, 0);
    }
}

/// For a stopped program, the console shows its registers and the names of the calling functions.
#[test]
fn a_stopped_program_is_explained() {
    let (_, console, _) = run(1, 1, Checking::Never);
    let lines: Vec<&str> = console.lines().skip_while(|line| !line.contains("stopped: bad address at 0x0 ")).collect();
    assert!(lines[1].starts_with("cairn:   rax 0x") && lines[4].starts_with("cairn:   r12 0x"), "{lines:#?}");
    assert!(lines[5].starts_with("cairn:   rflags 0x") && lines[5].ends_with(" pages used"), "{}", lines[5]);
    assert!(lines[6].starts_with("cairn:   in ") && lines[6].contains("::"), "{}", lines[6]);
    assert!(lines[7].starts_with("cairn:   called from wild::act+0x"), "{}", lines[7]);
    assert!(lines[8].starts_with("cairn:   called from user::start::run+0x"), "{}", lines[8]);
}

#[test]
fn the_seed_fixes_everything() {
    let runs = [5, 5, 6].map(|seed| run(8, seed, Checking::Never));
    let text = |(report, console, _): &(Report, String, Plan)| (format!("{report:?}"), console.clone());
    let [first, second, other] = runs.each_ref().map(text);
    assert!(first == second, "two runs with the same seed differ");
    assert!(first.1 != other.1, "another seed gives the same interleaving");
    for (report, console, plan) in runs {
        assert_eq!(report.end, End::PowerOff);
        assert_eq!(problems(&plan, &console), [""; 0]);
    }
}

/// Programs can be interrupted anywhere, and other programs can run meanwhile. They still work, and no message is lost.
#[test]
fn programs_are_interrupted_anywhere() {
    let built = build();
    let some = || built.iter().filter(|program| ["hog", "ping-pong"].contains(&program.name));
    let plan = Plan::new(some(), Machine::without_guests(3)).expect("the programs can run together");
    for seed in 1..4 {
        let config = Config { seed, time_slice: 60, ..config(&built, &plan.boot_list, 3) };
        let (report, console) = show(config);
        assert_eq!(report.end, End::PowerOff, "{:#?}\n{console}", report.cpus);
        assert_eq!(problems(&plan, &console), [""; 0], "{console}");
    }
}

#[test]
fn the_invariant_holds_at_every_entry() {
    let built = build();
    for list in [
        "0 hello 48\n0 counter 48\n0 counter 49\n1 hello 49\n1 tree 401\n2 hog 1002",
        "0 ping-pong 96\n1 ping-pong 97\n2 ping-pong 66",
    ] {
        let (report, console) = show(Config { checking: Checking::Every(7), ..config(&built, list, 3) });
        assert_eq!((report.end, report.violations), (End::PowerOff, vec![]), "{console}");
    }
}

#[test]
fn what_a_program_prints_is_not_taken_for_the_kernels() {
    let built = build();
    let impostor = built.iter().filter(|program| program.name == "impostor");
    let plan = Plan::new(impostor, Machine::without_guests(1)).expect("a plan");
    let (report, console) = show(config(&built, &plan.boot_list, 1));
    assert_eq!(report.end, End::PowerOff, "{console}");
    assert_eq!(problems(&plan, &console), [""; 0], "{console}");
}

#[test]
fn a_storm_abates() {
    let built = build();
    // On each of two CPUs, 8 workers and the program that starts them.
    let list = "0 storm 12288 launch 2\n1 storm 12288 launch 2";
    let (report, console) = show(Config { checking: Checking::AtEnd, ..config(&built, list, 2) });
    assert_eq!(report.end, End::PowerOff, "{console}");
    assert_eq!(report.programs.len(), 18);
    assert!(report.programs.iter().all(|program| program.end == abi::report::End::Exited { status: 0 }), "{console}");
}

#[test]
fn random_calls_are_obeyed_or_refused() {
    let built = build();
    let limit = Limit { work: Some(4_000_000), until: None };
    for seed in 0..3 {
        let list = format!("0 fuzz 8192 root {}\n1 fuzz 8192 root {}", 10 * seed, 1 + 10 * seed);
        let config = Config { limit, checking: Checking::Every(500), ..config(&built, &list, 2) };
        let (report, console) = show(config);
        // Programs that wait for messages without a sender wait for ever.
        assert!(
            matches!(report.end, End::PowerOff | End::TimeOut),
            "seed {seed}: {:?} {:?}",
            report.end,
            report.violations
        );
        assert!(console.contains("fuzz: seed") && !console.contains("fuzz: FAILED"), "seed {seed}: {console}");
    }
}

#[test]
fn a_time_out_says_what_every_cpu_was_doing() {
    let built = build();
    let limit = Limit { work: Some(50_000), until: None };
    let (report, _) = show(Config { limit, ..config(&built, "1 hog 30000", 2) });
    assert_eq!(report.end, End::TimeOut);
    assert_eq!(report.cpus[0].to_string(), "CPU 0: thread 1, the main thread");
    assert!(report.cpus[1].to_string().starts_with("CPU 1: thread 17 (hog)"), "{}", report.cpus[1]);
    let limit = Limit { work: None, until: Some(std::time::Instant::now()) };
    assert_eq!(show(Config { limit, ..config(&built, "0 hello 48", 1) }).0.end, End::TimeOut);
}

#[test]
fn a_machine_with_nothing_to_do_goes_off() {
    let built = build();
    assert_eq!(show(config(&built, "# nothing", 8)).0.end, End::PowerOff);
    let (report, console) = show(config(&built, "0 hello 1", 2));
    assert_eq!((report.end, report.refused), (End::PowerOff, 1));
    assert!(console.contains("cairn: CPU 0: hello not started: "), "{console}");
}

#[test]
fn what_is_wrong_with_a_configuration_is_named() {
    let built = build();
    let error = |config| sim::run(config, |_| ()).unwrap_err().to_string();
    assert_eq!(error(config(&built, "", 9)), "a machine has 1 to 8 CPUs, not 9");
    assert_eq!(error(config(&built, "1 hello 9", 1)), "boot list, line 1: there is no CPU 1");
    assert_eq!(error(config(&built, "\n0 hallo 9", 1)), "boot list, line 2: there is no program hallo");
    assert!(error(config(&built, "0 hello", 1)).contains("the quota is missing"));
    let programs = vec![Program { name: "odd".to_owned(), elf: vec![1, 2, 3] }];
    assert_eq!(error(Config { programs, ..config(&built, "", 1) }), "program odd: not an ELF file");
    let memory = Memory::all(5000);
    let (report, _) = show(Config { memory, ..config(&built, "", 1) });
    assert_eq!(report.end, End::Stuck { cpu: 0, stuck: layer::core::stuck::Stuck::BadMemory });
}
