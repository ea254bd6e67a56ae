//! A program that is no solver, or that stops answering, makes `prove` fail soon, and the error
//! names it.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// A time limit for a busy machine: `prove` waits some ten seconds for each of these programs.
const SOON: Duration = Duration::from_secs(120);

/// Runs `prove palloc` with the solver of this name in `smt/tests/solvers`, with one second for each query.
fn prove(solver: &str) -> Output {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../smt/tests/solvers").join(solver);
    Command::new(env!("CARGO_BIN_EXE_cli"))
        .args(["prove", "palloc", "--no-cache", "--timeout", "1", "--solver"])
        .arg(program)
        .output()
        .expect("it starts")
}

#[test]
fn whoever_does_not_answer_is_named() {
    for (solver, says) in [
        ("mute.sh", "mute.sh` did not answer within 10.0 s"),
        ("sleeper.sh", "sleeper.sh` did not answer within 10.0 s"),
        ("reads_nothing.sh", "reads_nothing.sh` did not answer within 10.0 s"),
        ("tires.sh", "tires.sh` did not answer within "),
        ("floods.sh", "floods.sh` printed"),
        ("closes_its_input.sh", "closes_its_input.sh` did not answer within 10.0 s"),
        ("dies.sh", "dies.sh` died"),
        ("refuses.sh", "refuses.sh` answered with an error: (error \"line 1 column 10: unsupported info\")"),
        ("complains.sh", "complains.sh` answered with an error: (error \"line 1 column 2: out"),
        ("no-such-solver", "cannot start the solver"),
    ] {
        let begin = Instant::now();
        let output = prove(solver);
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(!output.status.success(), "{solver}: {text}");
        assert!(text.contains(says), "{solver}: {text}");
        assert!(begin.elapsed() < SOON, "{solver} took {:?}: {text}", begin.elapsed());
    }
}
