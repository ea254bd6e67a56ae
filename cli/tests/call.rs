//! Tests `cairn call` as a process: lines in, lines out.
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Output, Stdio};

fn call(input: &[u8]) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_cli"))
        .arg("call")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is built with its tests");
    process.stdin.take().expect("it is piped").write_all(input).expect("it reads to the end");
    process.wait_with_output().expect("it ends at the end of its input")
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("JSON is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

#[test]
fn a_script_is_answered_line_by_line() {
    let output = call(
        br#"# two CPUs of a small machine
{"machine":{"memory":"1028MiB","cpus":2}}
{"cpu":0,"call":"palloc","args":[1]}
{"cpu":0,"call":"sched_init","args":[0]}
{"cpu":1,"call":"sched_init","args":[0]}

{"cpu":0,"call":"palloc","args":[1]}
{"cpu":1,"call":"palloc","args":{"n":2}}
{"cpu":1,"call":"palloc","args":[1]}
{"state":"AC[1].usage","cpu":0}
{"state":"AC[1].usage","cpu":1}
{"call":"pallocc","args":[1]}
{"check":true}
"#,
    );
    assert!(output.status.success() && output.stderr.is_empty());
    let lines = lines(&output);
    assert_eq!(lines.len(), 11);
    assert_eq!(lines[0]["machine"]["frames"], 1028 * 256);
    assert_eq!(lines[1]["stuck"], "NotKernelMap");
    assert!(
        lines[2]["changed"]
            .as_array()
            .is_some_and(|changed| changed.contains(&json!({"field": "cid", "old": 0, "new": 1})))
    );
    let results: Vec<&Value> = lines[4..7].iter().map(|line| &line["result"]).collect();
    assert_eq!(results, [262_144, 262_145, 262_146]);
    assert_eq!(
        lines[5]["events"],
        json!([{"object": "AT", "row": 0, "by": 1, "event": "PALLOC", "tid": 2, "page": 262_145}])
    );
    // A page is counted in the container that uses it: each CPU has its own copy.
    assert_eq!((&lines[7]["value"], &lines[8]["value"]), (&json!(1), &json!(1)));
    assert_eq!((&lines[9]["did_you_mean"], &lines[9]["column"]), (&json!("palloc"), &json!(9)));
    let checked = lines[10]["check"].as_array().expect("a list of clauses");
    assert!(checked.len() > 50 && checked[0]["number"] == "H1" && checked[0]["holds"] == true);
}

#[test]
fn bad_input_does_not_end_it_and_is_no_failure() {
    let output = call(
        b"\xff\n{\n]\n\"\n{\"call\":1}\n{\"call\":\"\\ud800\"}\n{\"state\":\"AC[99999999999]\"}\n{\"state\":\"cid\"}",
    );
    assert!(output.status.success());
    let lines = lines(&output);
    assert_eq!(lines.len(), 8);
    assert!(lines[..7].iter().all(|line| line["error"].is_string()));
    assert_eq!(lines[7]["value"], 0);
}

#[test]
fn without_any_input_it_ends() {
    let output = call(b"");
    assert!(output.status.success() && output.stdout.is_empty());
}

#[test]
#[cfg(unix)]
fn an_input_that_cannot_be_read_is_a_failure() {
    let directory = std::fs::File::open(env!("CARGO_MANIFEST_DIR")).expect("it is there");
    let output = Command::new(env!("CARGO_BIN_EXE_cli")).arg("call").stdin(directory).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot read the standard input"));
}
