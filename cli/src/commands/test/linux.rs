//! Linux as a guest: typed at on QEMU, and with its commands in the RAM disk on Bochs, where nobody can type.

use crate::host::counts::Counts;
use crate::host::emulator::Emulator;
use crate::host::error::Error;
use crate::host::job::{Boot, Job, Ran, Typing};
use crate::host::linux;
use std::time::Duration;

/// Time limit of a guest.
const LIMIT: Duration = Duration::from_secs(240);
/// What is typed at the guest's prompt.
const COMMANDS: [&str; 2] = ["uname -a", "echo $((6*7))"];
/// What the console shows afterwards, in this order: the guest's name, the computed line, and the monitor's report.
const ANSWERS: [&str; 4] = ["Linux (none) 6.", "i686 GNU/Linux", "\n42", "linux has halted"];
/// The kernel's line about the end of the monitor.
const ENDED: &str = "(linux) exited with status 0";

/// Boots Linux on QEMU by SVM, and on Bochs by VT-x.
pub fn boot_everywhere() -> Result<Counts, Error> {
    if !linux::is_there() {
        println!("  skipped  Linux: {}", Error::NoLinux);
        return Ok(Counts::SKIPPED);
    }
    [Emulator::Qemu, Emulator::Bochs].into_iter().map(boot).sum()
}

fn boot(emulator: Emulator) -> Result<Counts, Error> {
    if !emulator.is_there() {
        println!("  skipped  {emulator}: it is not installed");
        return Ok(Counts::SKIPPED);
    }
    let typed = COMMANDS.iter().chain(&["poweroff -f"]).map(|line| format!("{line}\n"));
    let job = Job::linux(1, None, Typing::Lines(typed.collect()))?;
    let ran = job.booted(&Boot { emulator, timeout: Some(LIMIT), ..Boot::QUIET })?;
    let problem = problem(&ran);
    match &problem {
        None => println!("  passed   {emulator}: Linux answered and halted, after {:.1} s", ran.time.as_secs_f64()),
        Some(problem) => println!("  FAILED   {emulator}: {problem}\n{}", ran.console),
    }
    Ok(Counts::one(format!("Linux on {emulator}"), problem.is_none()))
}

/// What is wrong with a run, if anything is.
fn problem(ran: &Ran) -> Option<String> {
    if let Some(failure) = &ran.failure {
        return Some(failure.to_string());
    }
    let mut rest = ran.console.as_str();
    for answer in ANSWERS.into_iter().chain([ENDED]) {
        let Some((_, after)) = rest.split_once(answer) else {
            return Some(format!("the console does not show {answer:?}, or not in this order"));
        };
        rest = after;
    }
    None
}
