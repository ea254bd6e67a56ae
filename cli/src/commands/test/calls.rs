//! The primitives that the booted kernel calls while ordinary programs run.

use super::CPUS;
use crate::host::calls::Calls;
use crate::host::counts::Counts;
use crate::host::emulator::Emulator;
use crate::host::error::Error;
use crate::host::image::Kind;
use crate::host::job::{Boot, Job, Typing};
use programs::manifest::Machine;
use std::time::Duration;

/// Time limit of a run.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs the usual programs, the small guests, and a session with the shell. The kernel must call every primitive at
/// least once, but for those of which the table says why the kernel never calls them; these it must not call.
pub fn count() -> Result<Counts, Error> {
    if !Emulator::Qemu.is_there() {
        println!("  skipped  {}: it is not installed", Emulator::Qemu);
        return Ok(Counts::SKIPPED);
    }
    let jobs = [
        Job::new(&[], Machine::with_guests(CPUS))?,
        Job::new(&["guests".to_owned()], Machine::with_guests(1))?,
        Job::shell(1, Typing::Lines(programs::session::script()))?,
    ];
    let (mut calls, mut problems) = (Calls::default(), Vec::new());
    for job in jobs {
        let ran = job.booted(&Boot { kind: Kind::Unoptimised, timeout: Some(LIMIT), ..Boot::QUIET })?;
        problems.extend(job.problems(&ran));
        calls += ran.calls.unwrap_or_default();
    }
    problems.extend(calls.problems());
    if problems.is_empty() {
        println!("  passed   {}", calls.summary());
    } else {
        println!("{calls}");
        problems.iter().for_each(|problem| println!("  FAILED   {problem}"));
    }
    Ok(Counts::one("the calls of primitives", problems.is_empty()))
}
