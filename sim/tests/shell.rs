//! The shell on the hosted machine: a script is typed, and the console has to show what it should.
use programs::{Program, Transcript};
use sim::baton::Limit;
use sim::board::Memory;
use sim::run::{Checking, Config, End, Report, TIME_SLICE};

/// Types `input` to a shell on a machine with `cpus` CPUs.
fn typed(input: &str, cpus: u32, checking: Checking) -> (Report, String) {
    let built = programs::build().expect("the programs build");
    let program = |program: &Program| sim::run::Program { name: program.name.to_owned(), elf: program.elf.clone() };
    let config = Config {
        programs: built.iter().map(program).collect(),
        boot_list: programs::SHELL_BOOT_LIST,
        cpus,
        seed: 1,
        time_slice: TIME_SLICE,
        memory: Memory::default(),
        input: input.as_bytes().to_vec(),
        limit: Limit { work: Some(100_000_000), until: None },
        checking,
    };
    let mut console = Vec::new();
    let report = sim::run(config, |bytes| console.extend_from_slice(bytes)).expect("a good configuration");
    (report, Transcript::of(&console))
}

#[test]
fn every_command_does_what_help_says() {
    let (report, console) = typed(&programs::session::script().concat(), 1, Checking::AtEnd);
    assert_eq!((&report.end, &report.violations[..]), (&End::PowerOff, &[][..]), "{console}");
    assert_eq!(programs::session::problems(&console), [""; 0], "{console}");
}

#[test]
fn a_shell_starts_64_programs_and_no_more() {
    // The same line again and again: what is typed at once must fit in the console's buffer.
    let script = "run hello 40 &\r".to_owned() + &"\x1B[A\r".repeat(64) + "halt\r";
    let (report, console) = typed(&script, 2, Checking::Never);
    assert_eq!(report.end, End::PowerOff, "{console}");
    for left in 0..64 {
        assert!(console.contains(&format!(" runs hello; {left} children are left\n")), "{left}\n{console}");
    }
    assert_eq!(console.matches("refused: no quota, no child or no thread number is left").count(), 1, "{console}");
}
