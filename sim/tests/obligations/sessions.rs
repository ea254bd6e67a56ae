//! D.2, D.3 and D.4: a stuck call changes nothing, a successful call changes what it reports, and its events are the
//! listed ones.
use layer::core::constants::{ADR_LOW, KERN_LOW, PAGE_SIZE};
use proptest::prelude::*;
use serde_json::{Value, json};
use sim::session::Session;
use std::collections::{BTreeMap, BTreeSet};

/// A call: the CPU, the name and the arguments. Some arguments are chosen by number.
#[derive(Clone, Debug)]
pub struct Call {
    pub cpu: u32,
    pub name: &'static str,
    pub args: Value,
}

/// The fields that each primitive may change, from its entry in the reference, and the events that it logs.
///
/// A name includes the field's parts: `AC` includes `AC.charged`. If ghost state follows another field, it is listed
/// with that field.
const EFFECTS: &[(&str, &[&str], &[&str])] = &[
    ("vmxinfo_get", &[], &[]),
    ("palloc", &["AT", "AC", "pperm", "LAT"], &["PALLOC"]),
    ("pt_read", &[], &[]),
    ("pt_resv", &["AT", "AC", "pperm", "LAT", "ptpool", "pt", "HP"], &["PALLOC"]),
    ("thread_wakeup", &["tcb", "msg", "rdy", "slp"], &["WAKE", "WAKE_DIFF"]),
    ("thread_yield", &["cid", "kctxt", "tcb", "msg", "rdy"], &["YIELD"]),
    ("thread_sleep", &["cid", "kctxt", "tcb", "rdy", "slp", "lock", "section", "syncchpool"], &["SLEEP"]),
    ("uctx_get", &[], &[]),
    ("uctx_set", &["uctxt"], &[]),
    ("proc_create", &["AC", "kctxt", "uctxt", "tcb", "rdy"], &["SPAWN"]),
    ("container_get_nchildren", &[], &[]),
    ("container_get_quota", &[], &[]),
    ("container_get_usage", &[], &[]),
    ("container_can_consume", &[], &[]),
    ("get_CPU_ID", &[], &[]),
    ("get_curid", &[], &[]),
    ("acquire_lock_CHAN", &["lock", "section", "syncchpool"], &["WAIT", "GET"]),
    ("release_lock_CHAN", &["lock", "section", "syncchpool"], &["RELEASE"]),
    ("get_sync_chan_busy", &[], &[]),
    ("set_sync_chan_busy", &["syncchpool"], &[]),
    ("ipc_send_body", &["syncchpool", "mailbox"], &["BUFFER"]),
    ("ipc_receive_body", &["syncchpool", "HP"], &[]),
    ("rdmsr", &[], &[]),
    ("wrmsr", &[], &[]),
    ("vmx_set_intercept_intwin", &["vmcs"], &[]),
    ("vmx_set_desc1", &["vmcs"], &[]),
    ("vmx_set_desc2", &["vmcs"], &[]),
    ("vmx_inject_event", &["vmcs"], &[]),
    ("vmx_get_exit_reason", &[], &[]),
    ("vmx_check_pending_event", &[], &[]),
    ("vmx_get_reg", &[], &[]),
    ("vmx_set_reg", &["vmcs", "vmx"], &[]),
    ("vmx_set_mmap", &["ept"], &[]),
    ("vmx_run_vm", &["vmcs", "vmx", "ihost"], &[]),
    ("vmx_return_from_guest", &["vmx", "ihost"], &[]),
    ("vmx_init", &["ept", "eptdir", "vmcs", "vmx"], &[]),
    ("cli", &["intr_flag"], &[]),
    ("sti", &["intr_flag"], &[]),
    ("serial_intr_disable", &["com1", "rx_buf", "console", "cons_buf", "ioapic"], &[]),
    ("serial_intr_enable", &["com1", "rx_buf", "console", "cons_buf", "ioapic"], &[]),
    ("serial_putc", &["com1"], &[]),
    ("cons_buf_read", &["console"], &[]),
    ("host_in", &["ihost"], &[]),
    ("host_out", &["ihost"], &[]),
    ("proc_create_postinit", &[], &[]),
    ("trap_get", &[], &[]),
    ("trap_set", &[], &[]),
    ("proc_start_user", &["ikern", "ipt", "PT"], &[]),
    ("proc_exit_user", &["ikern", "ipt", "PT", "uctxt"], &[]),
    ("set_pt", &[], &[]),
    ("sched_init", &[], &[]),
    ("exec_load", &["ti"], &[]),
    ("exec_store", &["ti", "HP"], &[]),
    ("guest_load", &[], &[]),
    ("guest_store", &["HP"], &[]),
];

pub fn call() -> impl Strategy<Value = Call> {
    // Calls that keep a machine running are made more often.
    let often = ["pt_resv", "proc_create", "thread_yield", "acquire_lock_CHAN", "release_lock_CHAN", "ipc_send_body"];
    let modes = ["proc_start_user", "proc_exit_user", "exec_store", "exec_load", "host_in", "vmx_return_from_guest"];
    let all: Vec<&'static str> = EFFECTS.iter().map(|(name, ..)| *name).collect();
    let name = prop_oneof![
        3 => prop::sample::select(often.to_vec()),
        2 => prop::sample::select(modes.to_vec()),
        4 => prop::sample::select(all)
    ];
    (0..2u32, name, any::<[u8; 4]>()).prop_map(|(cpu, name, dice)| {
        let [a, b, c, d] = dice.map(u64::from);
        let pick = |from: &[u64], by: u64| from[by as usize % from.len()];
        let page = pick(&[0, 0, 1, 511, 512], a) + u64::from(KERN_LOW);
        let va = page * u64::from(PAGE_SIZE) + if b % 8 == 0 { b } else { 0 };
        let thread = pick(&[u64::from(cpu) + 1, 9, 17, 0, b], c);
        // Two condition variables, and an invalid one.
        let cv = if d % 16 == 0 { 1024 } else { d % 2 };
        let args = match name {
            "vmxinfo_get" => json!([b % 20]),
            "palloc" | "container_get_nchildren" | "container_get_quota" | "container_get_usage" | "set_pt" => {
                json!([thread])
            }
            "container_can_consume" => json!([thread, b]),
            "pt_read" => json!([thread, va]),
            "pt_resv" => json!([thread, va, pick(&[7, 7, 5, 2], d)]),
            "thread_wakeup" | "thread_sleep" => json!([cv]),
            "acquire_lock_CHAN" | "release_lock_CHAN" | "get_sync_chan_busy" => json!([cv + 16]),
            "set_sync_chan_busy" => json!([cv + 16, b]),
            "ipc_send_body" | "ipc_receive_body" => json!([cv + 16, va, pick(&[0, 1, 1024, 4000], a)]),
            "uctx_get" => json!([thread, b % 27]),
            "uctx_set" => json!([thread, b % 27, c]),
            "proc_create" => json!([0, va, d % 20]),
            "rdmsr" | "vmx_set_intercept_intwin" | "vmx_get_reg" => json!([b % 16]),
            "wrmsr" | "vmx_set_reg" => json!([b % 16, c]),
            "vmx_set_desc1" | "vmx_set_desc2" => json!([b % 12, c, d]),
            "vmx_inject_event" => json!([b % 8 << 8, c, d, a % 3]),
            "vmx_set_mmap" => json!([page % 3 * 4096, va, d % 9]),
            "vmx_init" | "sched_init" | "serial_putc" | "proc_create_postinit" => json!([b]),
            "exec_load" | "guest_load" => json!([pick(&[1, 2, 4, 8], d), va]),
            "exec_store" | "guest_store" => json!([pick(&[1, 2, 4, 8], d), va, [1]]),
            _ => json!([]),
        };
        Call { cpu, name, args }
    })
}

pub fn ask(session: &mut Session, line: &Value) -> Value {
    let answer = session.line(line.to_string().as_bytes()).expect("an answer");
    serde_json::from_str(&answer).expect("JSON")
}

pub fn make(session: &mut Session, call: &Call) -> Value {
    ask(session, &json!({"cpu": call.cpu, "call": call.name, "args": call.args}))
}

pub fn booted() -> Session {
    let mut session = Session::new();
    ask(&mut session, &json!({"machine": {"memory": "1025MiB", "cpus": 2, "booted": true}}));
    session
}

/// Whether the call would wait for a lock that the other CPU holds.
pub fn would_wait(call: &Call, held: &BTreeMap<u64, u32>) -> bool {
    call.name == "acquire_lock_CHAN" && held.contains_key(&call.args[0].as_u64().unwrap_or(0))
}

/// Records the effect of a call on locks.
pub fn note(call: &Call, held: &mut BTreeMap<u64, u32>) {
    let q = call.args[0].as_u64().unwrap_or(0);
    match call.name {
        "acquire_lock_CHAN" => drop(held.insert(q, call.cpu)),
        "release_lock_CHAN" => drop(held.remove(&q)),
        "thread_sleep" => drop(held.remove(&(q + 16))),
        _ => {}
    }
}

/// The field of a change: `AC` of `AC[2].usage`.
fn field(change: &Value) -> &str {
    let name = change["field"].as_str().expect("a name");
    name.split(['[', '.']).next().unwrap_or(name)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d02_what_is_stuck_leaves_no_trace(calls in prop::collection::vec(call(), 1..60)) {
        // One machine gets all calls, and a second one only those that are not stuck. Their answers must be the same.
        let (mut all, mut defined) = (booted(), booted());
        let mut held = BTreeMap::new();
        for call in &calls {
            if would_wait(call, &held) {
                continue;
            }
            let answer = make(&mut all, call);
            if answer.get("stuck").is_some() {
                prop_assert!(answer.get("changed").is_none() && answer.get("events").is_none());
                continue;
            }
            prop_assert!(answer.get("result").is_some(), "{} of {:?}", answer, call);
            note(call, &mut held);
            prop_assert_eq!(make(&mut defined, call), answer, "{:?}", call);
        }
        let check = json!({"check": true});
        prop_assert_eq!(ask(&mut all, &check), ask(&mut defined, &check));
    }

    #[test]
    fn d03_d04_changes_and_events_are_those_of_the_entry(calls in prop::collection::vec(call(), 1..60)) {
        let mut session = booted();
        let mut held = BTreeMap::new();
        for call in calls.iter().filter(|call| call.name != "sched_init") {
            if would_wait(call, &held) {
                continue;
            }
            let answer = make(&mut session, call);
            if answer.get("stuck").is_some() {
                continue;
            }
            note(call, &mut held);
            let &(_, fields, events) = EFFECTS.iter().find(|(name, ..)| *name == call.name).expect("it is in the table");
            for change in answer["changed"].as_array().expect("a list") {
                prop_assert!(fields.contains(&field(change)), "{:?} changes {}", call, change);
            }
            let appended: Vec<&Value> = answer["events"].as_array().expect("a list").iter().collect();
            let names: Vec<&str> = appended.iter().map(|event| event["event"].as_str().expect("a name")).collect();
            prop_assert!(names.iter().all(|name| events.contains(name)), "{:?} appends {:?}", call, names);
            prop_assert!(appended.iter().all(|event| event["by"] == call.cpu), "{:?}", appended);
            let expected = match call.name {
                "acquire_lock_CHAN" => 2..=2,
                // The second event is about the page table, or about another CPU's queue.
                "pt_resv" | "thread_wakeup" => 1..=2,
                _ => events.len()..=events.len(),
            };
            prop_assert!(expected.contains(&names.len()), "{:?} appends {:?}", call, names);
            prop_assert!(call.name != "acquire_lock_CHAN" || names == ["WAIT", "GET"]);
        }
    }
}

#[test]
fn d04_a_page_that_was_not_had_is_an_event_too() {
    let mut session = booted();
    let child = ask(&mut session, &json!({"call": "proc_create", "args": [0, 0, 1]}))["result"].clone();
    let pages = |session: &mut Session, call: &str, args: Value| -> Vec<Value> {
        let answer = ask(session, &json!({"call": call, "args": args}));
        answer["events"].as_array().expect("a list").iter().map(|event| event["page"].clone()).collect()
    };
    assert_eq!(pages(&mut session, "pt_resv", json!([child, ADR_LOW, 7])), [json!(KERN_LOW), json!(0)]);
    assert_eq!(pages(&mut session, "pt_resv", json!([child, ADR_LOW, 7])), [json!(0)]);
    assert_eq!(pages(&mut session, "palloc", json!([child])), [json!(0)]);
}

#[test]
fn d04_the_table_has_the_ten_that_append_events() {
    let appends: BTreeSet<&str> =
        EFFECTS.iter().filter(|(_, _, events)| !events.is_empty()).map(|(name, ..)| *name).collect();
    // sched_init, the tenth in the list, clears the log.
    let expected = [
        "palloc",
        "pt_resv",
        "proc_create",
        "thread_wakeup",
        "thread_yield",
        "thread_sleep",
        "acquire_lock_CHAN",
        "release_lock_CHAN",
        "ipc_send_body",
    ];
    assert_eq!(appends, expected.into());
}
