//! Tests of the session: calls change what they report and nothing else, and no line ends the session.
use super::difference::difference;
use super::machine::{Hosted, Nothing};
use super::{Session, words};
use crate::machine::Sim;
use crate::machine::platform::Memory;
use domain::Map;
use layer::catalogue::{Kind, Primitive, Shape, TABLE, primitives};
use layer::core::call::{Answer, Arguments};
use layer::core::constants::KERN_LOW;
use layer::core::machine::Lock;
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::spec::contract::Contract;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn ask(session: &mut Session, line: &str) -> Value {
    let answer = session.line(line.as_bytes()).unwrap_or_else(|| panic!("no answer to {line}"));
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{answer}: {error}"))
}

fn booted() -> Session {
    let mut session = Session::new();
    ask(&mut session, r#"{"machine":{"memory":"1025MiB","cpus":2,"booted":true}}"#);
    session
}

fn contract(name: &str) -> Contract<Sim> {
    primitives::<Sim>().into_iter().find(|row| row.0.name == name).expect("it is in the table").1
}

fn no_arguments() -> Arguments<Sim> {
    crate::counterexample::arguments::arguments(&TABLE[0], &BTreeMap::new()).expect("there are none")
}

/// A call that writes something, partly under a lock that it still holds at `end`.
fn writes(cpu: &mut Cpu<'_, Sim>, end: impl FnOnce() -> Result<Answer<Sim>, Stuck>) -> Result<Answer<Sim>, Stuck> {
    cpu.own.ac.update([1], |container| container.usage += 1);
    cpu.own.cur = 9;
    let mut table = cpu.shared.at.lock(0, 0);
    table.cursor += 1;
    table.frames.update([KERN_LOW], |frame| frame.alloc = true);
    end()
}

#[test]
fn what_is_stuck_or_panics_changes_nothing() {
    let mut machine = Hosted::new(Memory::default(), 2);
    assert!(machine.boot().is_ok());
    let states = |machine: &mut Hosted| [0, 1].map(|cpu| machine.state(cpu).expect("there is this CPU"));
    let stuck = Contract { run: |cpu, _| writes(cpu, || Err(Stuck::Queued)), ..contract("cli") };
    let panics = Contract { run: |cpu, _| writes(cpu, || panic!("on purpose")), ..contract("cli") };
    let before = states(&mut machine);
    assert!(matches!(machine.call(0, &stuck, &no_arguments()), Some(Err(Nothing::Stuck(Stuck::Queued)))));
    let Some(Err(Nothing::Panic(panic))) = machine.call(0, &panics, &no_arguments()) else {
        panic!("it did not panic")
    };
    assert_eq!(panic.message, "on purpose");
    assert!(panic.at.contains("tests.rs"));
    for (mut before, mut after) in before.into_iter().zip(states(&mut machine)) {
        assert_eq!(difference(&mut before, &mut after), []);
    }
    // The lock is free again.
    let mut arguments = no_arguments();
    arguments.words[0] = 1;
    assert!(matches!(machine.call(1, &contract("palloc"), &arguments), Some(Ok(_))));
}

#[test]
fn a_broken_clause_is_named_with_its_keys() {
    let mut session = booted();
    let clause = |session: &mut Session, number: &str| {
        let check = ask(session, r#"{"check":true}"#);
        let clauses = check["check"].as_array().expect("a list of clauses").clone();
        (check["broken"].clone(), clauses.into_iter().find(|clause| clause["number"] == number).expect("it is one"))
    };
    assert_eq!(clause(&mut session, "D10").0, 0);
    let usage = Contract {
        run: |cpu: &mut Cpu<'_, Sim>, _| {
            cpu.own.ac.update([2], |container| container.usage += 5);
            Ok(Answer::Unit)
        },
        ..contract("cli")
    };
    assert!(matches!(session.machine().call(1, &usage, &no_arguments()), Some(Ok(_))));
    let (broken, clause) = clause(&mut session, "D10");
    assert_eq!(broken, 1);
    assert_eq!((&clause["holds"], &clause["broken"]), (&json!(false), &json!([{"cpu":1,"keys":[[2]],"places":1}])));
}

#[test]
fn a_call_says_what_it_gave_changed_and_logged() {
    let mut session = booted();
    assert_eq!(
        ask(&mut session, r#"{"cpu":1,"call":"palloc","args":[2]}"#),
        json!({
            "cpu": 1, "call": "palloc", "result": KERN_LOW,
            "changed": [
                {"field": "AT.cursor", "old": 0, "new": KERN_LOW + 1},
                {"field": "AC[2].usage", "old": 0, "new": 1},
                {"field": format!("AT[{KERN_LOW}].alloc"), "old": false, "new": true},
                {"field": format!("AT.owner[{KERN_LOW}]"), "old": 8, "new": 1},
                {"field": format!("pperm[{KERN_LOW}]"), "old": "Undef", "new": "Alloc"},
                {"field": format!("LAT[{KERN_LOW}].payer"), "old": 0, "new": 2},
                {"field": "AC.charged[2]", "old": 0, "new": 1},
                {"field": "AC.seats[2][0]", "old": 0, "new": KERN_LOW},
            ],
            "events": [{"object": "AT", "row": 0, "by": 1, "event": "PALLOC", "tid": 2, "page": KERN_LOW}],
        })
    );
    // The frame belongs to the first CPU, so the other CPU gets the next one.
    assert_eq!(ask(&mut session, &format!(r#"{{"state":"pperm[{KERN_LOW}]"}}"#))["value"], "Undef");
    assert_eq!(ask(&mut session, r#"{"call":"palloc","args":{"n":"0x1"}}"#)["result"], KERN_LOW + 1);
    let stuck = ask(&mut session, r#"{"call":"palloc","args":[1023]}"#);
    assert_eq!((&stuck["stuck"], stuck.get("changed"), stuck.get("hint")), (&json!("NoContainer"), None, None));
    assert!(stuck["description"].as_str().is_some_and(|says| says.starts_with("The container is not in use")));
    assert_eq!(ask(&mut session, r#"{"call":"sti"}"#)["changed"], json!([]));
    assert_eq!(ask(&mut session, r#"{"call":"get_curid","args":[]}"#)["result"], 1);
}

#[test]
fn before_sched_init_a_hint_says_what_is_missing() {
    let mut session = Session::new();
    let answer = ask(&mut session, r#"{"cpu":3,"call":"get_curid"}"#);
    assert_eq!(answer["stuck"], "NotPaging");
    assert!(answer["hint"].as_str().is_some_and(|hint| hint.contains(r#""call":"sched_init""#)));
    assert_eq!(ask(&mut session, r#"{"cpu":3,"call":"sched_init","args":[0]}"#)["result"], Value::Null);
    assert_eq!(ask(&mut session, r#"{"cpu":3,"call":"get_curid"}"#)["result"], 4);
    assert_eq!(ask(&mut session, r#"{"cpu":3,"call":"sched_init","args":[0]}"#)["stuck"], "NotBoot");
}

#[test]
fn what_a_definition_changes_is_told_in_ranges() {
    let mut session = Session::new();
    let changed = ask(&mut session, r#"{"call":"sched_init","args":[0]}"#)["changed"].clone();
    let of = |field: &str| -> Vec<&Value> {
        let changed = changed.as_array().expect("a list");
        changed.iter().filter(|change| change["field"].as_str().is_some_and(|name| name.starts_with(field))).collect()
    };
    // The user area is the directory entries 512 to 1919. The kernel's map is the identity.
    assert_eq!(
        of("ptpool[1..1024][512..1920]"),
        [&json!({"field": "ptpool[1..1024][512..1920]", "old": "Id", "new": "UnPresent"})]
    );
    let quota = |field: &str| of(field)[0]["new"].as_u64();
    assert_eq!(quota("AC[1..9].quota"), quota("AC[0].quota").map(|quota| quota / 8));
    assert!(of("cid").contains(&&json!({"field": "cid", "old": 0, "new": 1})));
}

#[test]
fn arguments_that_are_no_words() {
    let mut session = booted();
    let resume = ask(&mut session, r#"{"call":"thread_yield","args":[{"ra":2,"esp":7}]}"#);
    assert_eq!(resume["result"], json!({"esp": 7, "ra": 2}));
    assert_eq!(ask(&mut session, r#"{"call":"thread_yield","args":[[8]]}"#)["result"], json!({"esp": 8, "ra": 0}));
    assert_eq!(ask(&mut session, r#"{"call":"thread_yield"}"#)["result"], json!({"esp": 0, "ra": 0}));
    let page = "0x4000_0000";
    assert!(ask(&mut session, &format!(r#"{{"call":"pt_resv","args":[1,"{page}",7]}}"#))["result"].is_u64());
    assert_eq!(ask(&mut session, r#"{"call":"proc_start_user"}"#)["result"], json!({"user": 1}));
    let store =
        format!(r#"{{"call":"exec_store","args":{{"chunk":8,"address":"{page}","value":"0x0102030405060708"}}}}"#);
    assert_eq!(ask(&mut session, &store)["result"], Value::Null);
    let load =
        |chunk: u32, offset: u32| format!(r#"{{"call":"exec_load","args":[{chunk},{}]}}"#, (1u32 << 30) + offset);
    assert_eq!(ask(&mut session, &load(2, 2))["result"], 0x0506);
    assert_eq!(ask(&mut session, &load(8, 0))["result"], 0x0102_0304_0506_0708u64);
    assert_eq!(
        ask(&mut session, &format!(r#"{{"call":"exec_store","args":[2,"{page}",[1,2]]}}"#))["changed"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(ask(&mut session, &load(2, 0))["result"], 0x0201);
    let fault = ask(&mut session, r#"{"call":"exec_load","args":[1,"0x5000_0000",77]}"#);
    assert_eq!(fault["result"], json!({"fault": true}));
    assert_eq!(ask(&mut session, r#"{"state":"ti"}"#)["value"], json!({"addr": 0x5000_0000, "ra": 77}));
    ask(&mut session, r#"{"call":"proc_exit_user","args":[[10,11,12]]}"#);
    assert_eq!(ask(&mut session, r#"{"state":"uctxt[1][0..4]"}"#)["value"], json!([10, 11, 12, 0]));
    assert_eq!(ask(&mut session, r#"{"call":"vmx_init","args":[0]}"#)["result"], Value::Null);
    ask(&mut session, r#"{"call":"vmx_set_tsc_offset","args":["0xffffffffffffffff"]}"#);
    assert_eq!(ask(&mut session, r#"{"call":"vmx_get_tsc_offset"}"#)["result"], u64::MAX);
    assert!(
        ask(&mut session, r#"{"call":"vmx_run_vm","args":{"host":{"rdi":5,"rbp":6}}}"#)["result"]["guest"].is_array()
    );
    assert_eq!(
        ask(&mut session, r#"{"call":"vmx_return_from_guest","args":[[1,2]]}"#)["result"],
        json!({"host": [5, 6]})
    );
    assert_eq!(ask(&mut session, r#"{"check":true}"#)["broken"], 0);
}

#[test]
fn places_of_the_state() {
    let mut session = booted();
    let value =
        |session: &mut Session, place: &str| ask(session, &json!({"state": place}).to_string())["value"].clone();
    assert_eq!(value(&mut session, "AC[1].parent"), 0);
    assert_eq!(value(&mut session, "AC[0..2].used"), json!([true, true]));
    assert_eq!(value(&mut session, "ptpool[1][512]"), "UnPresent");
    assert_eq!(value(&mut session, "ptpool[1,0x200]"), "UnPresent");
    assert_eq!(value(&mut session, "uctxt[1]").as_array().map(Vec::len), Some(25));
    assert_eq!(value(&mut session, "uctxt[1..3][0..2]"), json!([[0, 0], [0, 0]]));
    assert_eq!(value(&mut session, "AC.charged[1].pages"), 0);
    assert_eq!(value(&mut session, "cid"), 1);
    assert_eq!(value(&mut session, "msg[1].head"), 1024);
    assert_eq!(value(&mut session, "boot")["nps"], 1025 * 256);
    assert_eq!(value(&mut session, "console"), json!({"len": 0, "rpos": 0}));
    assert_eq!(ask(&mut session, r#"{"state":"cid","cpu":1}"#)["value"], 2);
}

#[test]
fn the_machine_is_chosen_first_or_not_at_all() {
    let mut session = Session::new();
    for wrong in [
        r#"{"machine":{"cpus":0}}"#,
        r#"{"machine":{"cpus":9}}"#,
        r#"{"machine":{"memory":"2 TiB"}}"#,
        r#"{"machine":{"memory":4097}}"#,
    ] {
        assert!(ask(&mut session, wrong)["error"].is_string(), "{wrong}");
    }
    assert!(ask(&mut session, r#"{"help":true}"#)["calls"].is_array());
    let machine = ask(&mut session, r#"{"machine":{"memory":1074790400,"cpus":1}}"#);
    assert_eq!(machine, json!({"machine": {"memory": 1_074_790_400, "frames": 262_400, "cpus": 1, "booted": false}}));
    let late = ask(&mut session, r#"{"machine":{}}"#);
    assert!(late["expected"].as_str().is_some_and(|says| says.contains("first line")));
    assert!(ask(&mut session, r#"{"cpu":1,"call":"get_curid"}"#)["error"].is_string());
    ask(&mut session, r#"{"call":"sched_init","args":[0]}"#);
    assert_eq!(ask(&mut session, r#"{"call":"palloc","args":[1]}"#)["result"], KERN_LOW);
    let small = ask(&mut Session::new(), r#"{"machine":{"memory":"64MiB","booted":true}}"#);
    assert!(small["error"].as_str().is_some_and(|says| says.contains("does not boot: BadMemory")));
}

/// The errors of invalid lines: the column, a word of the message, a word of what is expected, and the similar name.
#[test]
fn bad_lines_are_told_what_is_wrong_and_where() {
    let rows: &[(&str, Option<u64>, &str, &str, &str)] = &[
        ("nonsense", Some(2), "no JSON", "an object", ""),
        (r#"{"call":"palloc","args":[1}"#, Some(27), "no JSON", "an object", ""),
        (r#"{"call":"palloc""#, Some(16), "no JSON", "an object", ""),
        (r#"[1]"#, Some(1), "no object", "an object", ""),
        (r#"{}"#, None, "no request", "an object", ""),
        (r#"{"cal":"palloc"}"#, Some(3), "no request", "an object", "call"),
        (r#"{"call":"palloc","state":"cid"}"#, Some(26), "two requests, call and state", "one of them", ""),
        (r#"{"call":"cli","call":"sti"}"#, Some(16), "twice", "one", ""),
        (r#"{"call":"palloc","arg":[1]}"#, Some(19), "no meaning", "call, cpu, args", "args"),
        (r#"{"call":7}"#, Some(9), "no string", "palloc", ""),
        (r#"{"call":"Palloc","args":[1]}"#, Some(9), "no primitive `Palloc`", "help", "palloc"),
        (r#"{"call":"ptInsert","args":[1]}"#, Some(9), "internal function", "help", ""),
        (r#"{"é":1,"call":"pt_reserve"}"#, Some(3), "no meaning", "", ""),
        (r#"{"call":"palloc","args":[1,2]}"#, Some(28), "too many", "palloc(n)", ""),
        (r#"{"call":"palloc","args":[]}"#, Some(25), "needs n", "palloc(n)", ""),
        (r#"{"call":"palloc","args":7}"#, Some(25), "no object", "array or an object", ""),
        (r#"{"call":"palloc","args":{"m":1}}"#, Some(27), "no argument `m`", "palloc(n)", ""),
        (r#"{"call":"pt_resv","args":{"n":1,"VA":1,"perm":7}}"#, Some(34), "no argument `VA`", "va", "va"),
        (r#"{"call":"palloc","args":[-1]}"#, Some(26), "negative", "0 to 4294967295", ""),
        (r#"{"call":"palloc","args":[1.5]}"#, Some(26), "no whole number", "0 to 4294967295", ""),
        (r#"{"call":"palloc","args":[4294967296]}"#, Some(26), "too large", "0 to 4294967295", ""),
        (r#"{"call":"palloc","args":["0x1_0000_0000"]}"#, Some(26), "too large", "0x", ""),
        (r#"{"call":"palloc","args":["12"]}"#, Some(26), "no number", "0x", ""),
        (r#"{"call":"palloc","args":["0x"]}"#, Some(26), "no number", "0x", ""),
        (r#"{"call":"palloc","args":[null]}"#, Some(26), "no number", "0 to", ""),
        (r#"{"call":"palloc","args":[99999999999999999999]}"#, Some(26), "too large", "0 to", ""),
        (r#"{"call":"exec_load","args":[3,0]}"#, Some(29), "not the size", "1, 2, 4 or 8", ""),
        (r#"{"call":"exec_store","args":[1,0,256]}"#, Some(34), "too large", "255", ""),
        (r#"{"call":"exec_store","args":[2,0,[1,2,3]]}"#, Some(39), "too many", "2 numbers", ""),
        (r#"{"call":"thread_yield","args":[{"esq":1}]}"#, Some(34), "no `esq`", "esp, ra", "esp"),
        (r#"{"call":"proc_exit_user","args":[5]}"#, Some(34), "no array", "25 numbers", ""),
        (r#"{"cpu":8,"call":"cli"}"#, Some(8), "too large", "0 to 7", ""),
        (r#"{"cpu":7,"call":"cli"}"#, None, "no CPU 7", "0 to 1", ""),
        (r#"{"state":5}"#, Some(10), "no string", "AC[1]", ""),
        (r#"{"state":"acc[1]"}"#, Some(11), "no field `acc`", "AC[1]", "AC"),
        (r#"{"state":"AC[1024]"}"#, Some(14), "no key 1024", "0 to 1023", ""),
        (r#"{"state":"AC[1"}"#, Some(13), "no closing bracket", "]", ""),
        (r#"{"state":"AC[x]"}"#, Some(14), "`x` is not a key", "0 to 1023", ""),
        (r#"{"state":"AC[1][2]"}"#, Some(17), "fewer coordinates", "1 of them", ""),
        (r#"{"state":"AC[1]usage"}"#, Some(16), "follows the key", ".part", ""),
        (r#"{"state":"AC[1].usag"}"#, Some(17), "no part `usag`", "usage", "usage"),
        (r#"{"state":"pperm[1].x"}"#, Some(20), "no part `x`", "no part", ""),
        (r#"{"state":"AC[3..3]"}"#, Some(14), "no key 3..3", "range", ""),
        (r#"{"state":"HP[1..3]"}"#, Some(11), "8192 values", "fewer", ""),
        (r#"{"check":1}"#, Some(10), "check is not 1", "true", ""),
        (r#"{"machine":{"cpu":1}}"#, Some(14), "no `cpu`", "cpus", "cpus"),
    ];
    let mut session = booted();
    let mut unlike = Vec::new();
    for &(line, column, says, expected, meant) in rows {
        let answer = ask(&mut session, line);
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_string();
        let is_right = answer["column"].as_u64() == column
            && text("error").contains(says)
            && text("expected").contains(expected)
            && (meant.is_empty() || text("did_you_mean") == meant);
        if !is_right {
            unlike.push(format!("{line}: {answer}"));
        }
    }
    assert!(unlike.is_empty(), "{unlike:#?}");
    assert_eq!(session.line(b"  "), None);
    assert_eq!(session.line(b"# a comment"), None);
    assert!(session.line(b"\xff").is_some_and(|answer| answer.contains("UTF-8")));
    assert_eq!(ask(&mut session, r#"{"call":"get_curid"}"#)["result"], 1);
}

/// Boundary values and random values.
fn number() -> impl Strategy<Value = u64> {
    let interesting = vec![
        0,
        1,
        2,
        7,
        8,
        9,
        10,
        14,
        1023,
        1024,
        KERN_LOW.into(),
        1 << 30,
        (1 << 30) + 4096,
        4_026_531_840,
        u32::MAX.into(),
    ];
    prop_oneof![4 => prop::sample::select(interesting), 1 => 0..40u64, 1 => any::<u32>().prop_map(u64::from)]
}

fn argument(shape: Shape) -> BoxedStrategy<Value> {
    let list =
        |most: usize| prop::collection::vec(number().prop_map(Value::from), 0..most).prop_map(Value::from).boxed();
    match shape {
        Shape::Word | Shape::Wide => number().prop_map(Value::from).boxed(),
        Shape::Context => (number(), 0..4u64).prop_map(|(esp, ra)| json!({"esp": esp, "ra": ra})).boxed(),
        Shape::Registers => list(25),
        Shape::Guest => list(14),
        Shape::Host => list(2),
        Shape::Chunk => prop::sample::select(vec![1, 2, 4, 8]).prop_map(Value::from).boxed(),
        Shape::Bytes => (0..256u64).prop_map(Value::from).boxed(),
    }
}

fn a_call() -> impl Strategy<Value = Value> {
    let callable: Vec<&Primitive> = TABLE.iter().filter(|primitive| primitive.kind != Kind::Internal).collect();
    (0..2u32, prop::sample::select(callable)).prop_flat_map(|(cpu, primitive)| {
        let arguments: Vec<_> = primitive.arguments.iter().map(|given| argument(given.shape)).collect();
        arguments.prop_map(move |args| json!({"cpu": cpu, "call": primitive.name, "args": args}))
    })
}

/// A valid line with some changes.
fn a_bad_line() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop_oneof![
        a_call().prop_map(|call| call.to_string()),
        prop::sample::select(words()).prop_map(|word| json!({"state": word + "[1]"}).to_string()),
        Just(r#"{"machine":{"memory":"1025MiB","cpus":3}}"#.to_string()),
    ];
    (lines, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 0..4)).prop_map(
        |(line, edits)| {
            let mut line = line.into_bytes();
            for (at, byte, how) in edits {
                let at = at.index(line.len() + 1);
                match how {
                    0 => line.insert(at, byte),
                    1 if at < line.len() => line[at] = byte,
                    _ => line.truncate(at),
                }
            }
            line
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_line_ends_it(lines in prop::collection::vec(prop_oneof![a_bad_line(), prop::collection::vec(any::<u8>(), 0..60), ".{0,60}".prop_map(String::into_bytes)], 1..8)) {
        let mut session = Session::new();
        for line in lines {
            if let Some(answer) = session.line(&line) {
                let answer: Value = serde_json::from_str(&answer).expect("each answer is JSON");
                prop_assert!(answer.is_object() && answer.get("panic").is_none());
            }
        }
        // The session still works.
        let cid = ask(&mut session, r#"{"state":"cid"}"#)["value"].clone();
        prop_assert!(cid.is_u64());
    }
}

#[test]
fn a_lock_of_another_cpu_is_no_bug() {
    let mut session = booted();
    let mut call = |cpu: u32, call: &str| {
        let line = json!({"cpu": cpu, "call": call, "args": [7]});
        ask(&mut session, &line.to_string())
    };
    assert!(call(1, "acquire_lock_CHAN").get("changed").is_some());
    let answer = call(0, "acquire_lock_CHAN");
    assert_eq!(answer["waits"], json!({"channel": 7, "holder": 1}));
    assert_eq!(answer["hint"], r#"{"cpu":1,"call":"release_lock_CHAN","args":[7]}"#);
    assert!(call(1, "release_lock_CHAN").get("changed").is_some());
    assert!(call(0, "acquire_lock_CHAN").get("changed").is_some());
}

/// The changes of a field with one key, by key.
fn keys_of(changed: &Value, field: &str, leaf: &str) -> BTreeMap<u64, (Value, Value)> {
    let mut keys = BTreeMap::new();
    for change in changed.as_array().expect("a list") {
        let name = change["field"].as_str().expect("a name");
        let Some(key) = name.strip_prefix(field).and_then(|rest| rest.strip_prefix('[')) else { continue };
        let Some(key) = key.strip_suffix(&format!("]{leaf}")) else { continue };
        let (from, to) = match key.split_once("..") {
            Some((from, to)) => (from.parse().expect("a key"), to.parse().expect("a key")),
            None => (key.parse().expect("a key"), key.parse::<u64>().expect("a key") + 1),
        };
        keys.extend((from..to).map(|key| (key, (change["old"].clone(), change["new"].clone()))));
    }
    keys
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Appendix D.2, D.3: a stuck call changes nothing, a successful call changes what it reports, and the invariant
    /// holds.
    #[test]
    fn calls_change_what_they_say(calls in prop::collection::vec(a_call(), 1..25)) {
        let mut session = booted();
        let rows = |session: &mut Session, cpu: &Value| -> Vec<Value> {
            let read = |session: &mut Session, field: &str| ask(session, &json!({"cpu": cpu, "state": field}).to_string())["value"].clone();
            ["AC", "tcb", "kctxt"].map(|field| read(session, field)).into()
        };
        for call in calls {
            let cpu = call["cpu"].clone();
            let before = rows(&mut session, &cpu);
            let mut states: Vec<_> = (0..2).map(|cpu| session.machine().state(cpu).expect("it is there")).collect();
            let answer = ask(&mut session, &call.to_string());
            prop_assert!(answer.get("error").is_none() && answer.get("panic").is_none(), "{call}: {answer}");
            let after = rows(&mut session, &cpu);
            if answer.get("stuck").is_some() || answer.get("waits").is_some() {
                for (cpu, before) in (0..).zip(&mut states) {
                    let mut after = session.machine().state(cpu).expect("it is there");
                    prop_assert_eq!(difference(before, &mut after), []);
                }
                continue;
            }
            for ((field, leaf), (old, new)) in
                [("AC", ".usage"), ("tcb", ".place"), ("kctxt", ".ra")].into_iter().zip(before.iter().zip(&after))
            {
                let leaf_of = |row: &Value, key: usize| row[key][&leaf[1..]].clone();
                let expected: BTreeMap<u64, (Value, Value)> = (0..1024)
                    .map(|key| (key as u64, (leaf_of(old, key), leaf_of(new, key))))
                    .filter(|(_, (old, new))| old != new)
                    .collect();
                prop_assert_eq!(keys_of(&answer["changed"], field, leaf), expected, "{}: {}", call, answer);
            }
        }
        let check = ask(&mut session, r#"{"check":true}"#);
        prop_assert_eq!(&check["broken"], 0, "{}", check);
    }
}
