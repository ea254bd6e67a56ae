//! Tests the shell on the hosted machine: types a script, and compares the console.
use programs::{Program, Transcript};
use sim::machine::platform::Memory;
use sim::machine::turns::Limit;
use sim::run::config::{Checking, Config, TIME_SLICE};
use sim::run::report::{End, Report};

/// Types `input` into a shell on a machine with `cpus` CPUs.
fn typed(input: &str, cpus: u32, checking: Checking) -> (Report, String) {
    let built = programs::build().expect("the programs build");
    let program =
        |program: &Program| sim::run::config::Program { name: program.name.to_owned(), elf: program.elf.clone() };
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
        forgets_flushes: false,
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

/// The lines of `mem` about the shell's pages.
fn shells_pages(console: &str) -> Vec<&str> {
    console.lines().filter(|line| line.starts_with("shell: ")).collect()
}

#[test]
fn after_a_thousand_runs_everything_is_as_before() {
    let script = "run spin\r\x03run -q 48 counter\rps\rmem\rrepeat 1000 run -q 48 counter\rps\rmem\rhalt\r";
    let (report, console) = typed(script, 2, Checking::Never);
    assert_eq!(report.end, End::PowerOff, "{console}");
    assert_eq!(console.matches("counter (73) exited with status 0\n").count(), 1001, "{console}");
    let [before, after] = shells_pages(&console)[..] else { panic!("mem was asked twice\n{console}") };
    assert_eq!(before, after);
    let mut tables = console.split("THREAD CPU").skip(1).map(|table| table.split("> ").next());
    assert_eq!(tables.next(), tables.next(), "ps");
}

#[test]
fn eight_programs_at_a_time_and_no_more() {
    let script = "run spin &\r".repeat(9) + &(73..81).map(|thread| format!("kill {thread}\r")).collect::<String>();
    let (report, console) = typed(&(script + "wait\rrun spin &\rkill 73\rhalt\r"), 2, Checking::Never);
    assert_eq!(report.end, End::PowerOff, "{console}");
    assert_eq!(console.matches("refused: no quota, no child or no thread number is left").count(), 1, "{console}");
    for thread in 73..81 {
        assert!(console.contains(&format!("thread {thread} runs spin\n")), "{thread}\n{console}");
        assert!(console.contains(&format!("\nspin ({thread}) was killed\n")), "{thread}\n{console}");
    }
    assert_eq!(console.matches("thread 73 runs spin\n").count(), 2, "{console}");
}

#[test]
fn an_interrupt_stops_waiting_and_repeating_but_nothing_in_the_background() {
    let script = "run spin &\rwait 73\r\x03repeat 9 run -q 2048 reuse waits\r\x03ps\rkill 73\rwait\rhalt\r";
    let (report, console) = typed(script, 1, Checking::Never);
    assert_eq!(report.end, End::PowerOff, "{console}");
    assert_eq!(console.matches("reuse (74) was killed\n").count(), 1, "{console}");
    let (_, table) = console.split_once("THREAD CPU").expect("ps was asked");
    assert!(table.contains(" spin ") && !table.contains("  reuse "), "{console}");
}
