//! `cairn boots`: one small image for each behaviour of the hardware half, with what is expected of it.

use crate::archive;
use crate::error::Error;
use crate::image::{self, Images};
use crate::qemu::{self, Ended, Outcome, Run};
use crate::{tools, workspace};
use kernel::exit::Reason;
use std::process::ExitCode;
use std::time::Duration;

/// Boot the images that try the kernel's hardware half, each with its expected end
#[derive(clap::Args)]
pub struct Arguments {
    /// Behaviours to try [default: all]; see --list
    behaviours: Vec<String>,
    /// Show the behaviours and end
    #[arg(long)]
    list: bool,
    /// Show the consoles
    #[arg(long)]
    show: bool,
}

/// A behaviour, and what its image must lead to.
struct Behaviour {
    name: &'static str,
    image: &'static str,
    cpus: u32,
    /// Whether there is a boot archive, and with it symbols.
    archive: bool,
    timeout: Duration,
    outcome: Outcome,
    /// Texts that the console must show, in this order.
    texts: &'static [&'static str],
    /// A text that the console must show exactly so many times.
    count: Option<(&'static str, usize)>,
    /// What every line must satisfy.
    lines: fn(&str) -> bool,
}

/// How a behaviour did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Result {
    /// As expected.
    Passed,
    /// Not so; with what was different.
    Failed(String),
    /// It cannot be tried here; with the reason.
    Skipped(String),
}

/// A behaviour that has been tried, or not.
pub struct Verdict {
    /// Its name.
    pub name: &'static str,
    /// How it did.
    pub result: Result,
}

/// The image ends well on one CPU within ten seconds.
const USUAL: Behaviour = Behaviour {
    name: "",
    image: "cairn",
    cpus: 1,
    archive: true,
    timeout: Duration::from_secs(20),
    outcome: Outcome::Ended(Reason::Done),
    texts: &[],
    count: None,
    lines: |_| true,
};

/// The kernel reports an exception in ring 0.
const FAULT: Behaviour = Behaviour {
    outcome: Outcome::Ended(Reason::KernelFault),
    count: Some(("cairn: page fault", 1)),
    ..USUAL
};

/// The kernel reports a panic, on 8 CPUs.
const PANIC: Behaviour = Behaviour {
    cpus: 8,
    outcome: Outcome::Ended(Reason::Panic),
    count: Some(("cairn: kernel panic on CPU", 1)),
    ..USUAL
};

/// Every CPU runs.
const SMP: Behaviour = Behaviour {
    image: "try-smp",
    ..USUAL
};

const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "1-cpu",
        cpus: 1,
        texts: &["cairn: 1 CPUs", "all 1 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "2-cpus",
        cpus: 2,
        texts: &["cairn: 2 CPUs", "all 2 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "3-cpus",
        cpus: 3,
        texts: &["cairn: 3 CPUs", "all 3 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "4-cpus",
        cpus: 4,
        texts: &["cairn: 4 CPUs", "all 4 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "5-cpus",
        cpus: 5,
        texts: &["cairn: 5 CPUs", "all 5 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "6-cpus",
        cpus: 6,
        texts: &["cairn: 6 CPUs", "all 6 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "7-cpus",
        cpus: 7,
        texts: &["cairn: 7 CPUs", "all 7 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "8-cpus",
        cpus: 8,
        texts: &["cairn: 8 CPUs", "all 8 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "no-archive",
        archive: false,
        texts: &["cairn: no boot archive"],
        ..USUAL
    },
    Behaviour {
        name: "console",
        image: "try-console",
        cpus: 8,
        count: Some(("abcdefghijklmnopqrstuvwxyz", 400)),
        lines: |line| line.starts_with("cairn: ") || is_whole(line),
        ..USUAL
    },
    Behaviour {
        name: "stack-overflow",
        image: "try-stack-overflow",
        texts: &[
            "store to 0xffff8080",
            "guard page below the kernel stack of CPU 0",
            "try_stack_overflow::deeper",
            "called from:",
        ],
        ..FAULT
    },
    Behaviour {
        name: "double-fault",
        image: "try-double-fault",
        texts: &[
            "cairn: double fault (vector 8) in the kernel on CPU 0",
            "rip",
            "try_double_fault::",
            "called from:",
        ],
        count: Some(("double fault (vector", 1)),
        ..FAULT
    },
    Behaviour {
        name: "write-text",
        image: "try-write-text",
        texts: &[
            "page fault (vector 14) in the kernel on CPU 0, error code 0x3",
            "store to 0xffffffff80",
            "its page forbids it",
            "try_write_text::store",
        ],
        ..FAULT
    },
    Behaviour {
        name: "write-text-alias",
        image: "try-write-text-alias",
        texts: &[
            "error code 0x3",
            "store to 0xffff80000010",
            "its page forbids it",
        ],
        ..FAULT
    },
    Behaviour {
        name: "execute-data",
        image: "try-execute-data",
        texts: &[
            "error code 0x11",
            "fetch from 0xffff8080",
            "its page forbids it",
            "called from:",
            "try_execute_data::",
        ],
        ..FAULT
    },
    Behaviour {
        name: "null",
        image: "try-null",
        texts: &[
            "error code 0x0",
            "load from 0x0: no page is there",
            "try_null::load",
            "called from:",
        ],
        ..FAULT
    },
    Behaviour {
        name: "no-symbols",
        image: "try-null",
        archive: false,
        texts: &[
            "load from 0x0: no page is there",
            "  rip 0xffffffff80",
            " ?",
            "called from:",
        ],
        count: Some(("try_null", 0)),
        ..FAULT
    },
    Behaviour {
        name: "panic-amid-output",
        image: "try-panic-amid-output",
        texts: &[
            "CPU 0 writes",
            "cairn: kernel panic on CPU 5: CPU 5 has had enough",
            "  at kernel/images/try/panic_amid_output.rs:",
            "called from:",
            "try_panic_amid_output::start",
        ],
        ..PANIC
    },
    Behaviour {
        name: "panic-everywhere",
        image: "try-panic-everywhere",
        texts: &["all together, says CPU"],
        ..PANIC
    },
    Behaviour {
        name: "panic-in-report",
        image: "try-panic-in-report",
        outcome: Outcome::Ended(Reason::ReportFault),
        texts: &["cairn: kernel panic on CPU 0: a bad message:"],
        ..USUAL
    },
    Behaviour {
        name: "ring-3",
        image: "try-ring3",
        texts: &["ring 3: all 40 cases passed"],
        ..USUAL
    },
    Behaviour {
        name: "smap",
        image: "try-smap",
        texts: &[
            "error code 0x1",
            "load from 0x40001000: its page forbids it",
            "try_smap::entry",
        ],
        ..FAULT
    },
    Behaviour {
        name: "smep",
        image: "try-smep",
        texts: &[
            "error code 0x11",
            "fetch from 0x40000000: its page forbids it",
            "try_smep::entry",
        ],
        ..FAULT
    },
    Behaviour {
        name: "hang",
        image: "try-hang",
        cpus: 3,
        timeout: Duration::from_secs(2),
        outcome: Outcome::TimedOut,
        texts: &[
            "cairn: stopped from outside; the CPUs were here:",
            "CPU 0: ring 3 at 0x40000000 ",
            ", the program of CPU 0",
            "CPU 1: kernel at 0xffffffff80",
            "try_hang::spin",
            ", the program of CPU 1",
            "CPU 2: kernel at 0xffffffff80",
        ],
        ..USUAL
    },
];

/// Whether a line of the image `try-console` is whole: it begins and ends with the same CPU's number.
fn is_whole(line: &str) -> bool {
    let number = line
        .strip_prefix("<CPU ")
        .and_then(|rest| rest.split_once(" line "))
        .map(|(number, _)| number);
    let last = line
        .strip_suffix('>')
        .and_then(|rest| rest.rsplit_once("abcdefghijklmnopqrstuvwxyz "))
        .map(|(_, number)| number);
    number.is_some() && number == last
}

/// Tries the behaviours that `wanted` accepts; tells `each` of every verdict as soon as it is known.
pub fn try_all(
    wanted: impl Fn(&str) -> bool,
    show: bool,
    mut each: impl FnMut(&Verdict),
) -> std::result::Result<Vec<Verdict>, Error> {
    let missing = tools::find(tools::QEMU).is_none();
    if !missing {
        image::build(Images::All)?;
    }
    let mut verdicts = Vec::new();
    for behaviour in BEHAVIOURS.iter().filter(|behaviour| wanted(behaviour.name)) {
        let result = if missing {
            Result::Skipped(format!(
                "{} is not installed (`cargo cairn setup`)",
                tools::QEMU
            ))
        } else {
            match try_one(behaviour, show)? {
                None => Result::Passed,
                Some(difference) => Result::Failed(difference),
            }
        };
        let verdict = Verdict {
            name: behaviour.name,
            result,
        };
        each(&verdict);
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

/// Boots a behaviour's image; `None` if all was as expected, otherwise what was different.
fn try_one(behaviour: &Behaviour, show: bool) -> std::result::Result<Option<String>, Error> {
    let image = image::path(behaviour.image);
    let archive = workspace::target()
        .join("kernel")
        .join(format!("{}.tar", behaviour.name));
    if behaviour.archive {
        archive::write(&archive, &image, "", &[])?;
    }
    let ended = qemu::run(&Run {
        image: &image,
        archive: behaviour.archive.then_some(&*archive),
        cpus: behaviour.cpus,
        timeout: Some(behaviour.timeout),
        gdb: false,
        show,
    })?;
    Ok(difference(behaviour, &ended).map(|difference| format!("{difference}\n{}", ended.console)))
}

/// What of a run is not as expected.
fn difference(expected: &Behaviour, ended: &Ended) -> Option<String> {
    if ended.outcome != expected.outcome {
        return Some(format!(
            "{}, instead of: {}",
            ended.outcome, expected.outcome
        ));
    }
    let mut rest = ended.console.as_str();
    for text in expected.texts {
        let Some((_, after)) = rest.split_once(text) else {
            return Some(format!(
                "the console does not show `{text}` where it should"
            ));
        };
        rest = after;
    }
    if let Some((text, count)) = expected.count {
        let shown = ended.console.matches(text).count();
        if shown != count {
            return Some(format!(
                "the console shows `{text}` {shown} times, instead of {count}"
            ));
        }
    }
    ended
        .console
        .lines()
        .find(|line| !(expected.lines)(line))
        .map(|line| format!("the console shows a broken line `{line}`"))
}

/// Does it.
pub fn run(arguments: &Arguments) -> std::result::Result<ExitCode, Error> {
    if arguments.list {
        BEHAVIOURS
            .iter()
            .for_each(|behaviour| println!("{}", behaviour.name));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = arguments
        .behaviours
        .iter()
        .find(|name| BEHAVIOURS.iter().all(|behaviour| behaviour.name != **name))
    {
        let known: Vec<&str> = BEHAVIOURS.iter().map(|behaviour| behaviour.name).collect();
        return Err(Error::Unknown {
            kind: "behaviour",
            name: name.clone(),
            known: known.join(", "),
        });
    }
    let wanted = |name: &str| {
        arguments.behaviours.is_empty() || arguments.behaviours.iter().any(|wanted| wanted == name)
    };
    let verdicts = try_all(wanted, arguments.show, |verdict| match &verdict.result {
        Result::Passed => println!("passed   {}", verdict.name),
        Result::Skipped(reason) => println!("skipped  {}: {reason}", verdict.name),
        Result::Failed(difference) => println!("FAILED   {}: {difference}", verdict.name),
    })?;
    let count = |test: fn(&Result) -> bool| {
        verdicts
            .iter()
            .filter(|verdict| test(&verdict.result))
            .count()
    };
    let failed = count(|result| matches!(result, Result::Failed(_)));
    println!(
        "{} passed, {failed} failed, {} skipped",
        count(|result| *result == Result::Passed),
        count(|result| matches!(result, Result::Skipped(_)))
    );
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(outcome: Outcome, console: &str) -> Ended {
        Ended {
            outcome,
            console: console.to_owned(),
            time: Duration::ZERO,
        }
    }

    #[test]
    fn differences_are_seen() {
        let expected = Behaviour {
            texts: &["a", "b"],
            count: Some(("a", 1)),
            lines: |line| line != "c",
            ..USUAL
        };
        let done = Outcome::Ended(Reason::Done);
        assert_eq!(difference(&expected, &ended(done, "a\nb\n")), None);
        for (outcome, console) in [
            (Outcome::Reset, "a\nb\n"),
            (done, "b\na\n"),
            (done, "a\n"),
            (done, "a\nb\na\n"),
            (done, "a\nb\nc\n"),
        ] {
            assert!(
                difference(&expected, &ended(outcome, console)).is_some(),
                "{outcome} {console}"
            );
        }
    }

    #[test]
    fn mixed_lines_are_not_whole() {
        assert!(is_whole("<CPU 3 line 07 abcdefghijklmnopqrstuvwxyz 3>"));
        assert!(!is_whole("<CPU 3 line 07 abcdefghijklmnopqrstuvwxyz 4>"));
        assert!(!is_whole(
            "<CPU 3 li<CPU 3 line 07 abcdefghijklmnopqrstuvwxyz 3>"
        ));
        assert!(!is_whole(""));
    }

    #[test]
    fn names_are_distinct() {
        for (index, behaviour) in BEHAVIOURS.iter().enumerate() {
            assert!(
                BEHAVIOURS[..index]
                    .iter()
                    .all(|other| other.name != behaviour.name),
                "{}",
                behaviour.name
            );
        }
    }
}
