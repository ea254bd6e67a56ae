//! The interface of the layer for readers: the reference's list of primitives, with their effects in the code and
//! their proofs.
use crate::report::effects::Effects;
use crate::report::row::ReportRow;
use crate::report::run::{Report, Summary};
use crate::sources::docs;
use layer::catalogue::{Kind, Object, Primitive, TABLE};
use serde::Serialize;

/// The interface: the primitives that the layer adds, and the other ones.
#[derive(Clone, Debug, Serialize)]
pub struct Interface {
    /// The names of the primitives that the layer adds.
    pub fresh: Vec<&'static str>,
    /// The numbered primitives, by object.
    pub passthrough: Vec<ObjectEntries>,
    /// The accessors of programs.
    pub accessors: Vec<Entry>,
    /// The accessors of guests.
    pub in_guest_mode: Vec<Entry>,
    /// The time that it took to find the effects, in seconds.
    pub effects_seconds: f64,
    /// The summary of all proofs. `None` if they were left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proofs: Option<Summary>,
}

/// The primitives of one object.
#[derive(Clone, Debug, Serialize)]
pub struct ObjectEntries {
    /// The name of the object.
    pub name: &'static str,
    /// The object in one sentence.
    pub description: &'static str,
    /// The primitives.
    pub entries: Vec<Entry>,
}

/// A primitive or accessor.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The number in the reference; 0 for an accessor.
    pub number: u32,
    /// The name in the reference.
    pub name: &'static str,
    /// The details. `None` if the layer does not have the primitive yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<Written>,
}

/// A primitive that the layer has.
#[derive(Clone, Debug, Serialize)]
pub struct Written {
    /// The kind of primitive: how it is called.
    pub kind: String,
    /// The names of the arguments.
    pub arguments: Vec<&'static str>,
    /// The result.
    pub result: &'static str,
    /// Why the booted kernel never calls it. `None` if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unused: Option<&'static str>,
    /// The description in its documentation.
    pub description: String,
    /// The preconditions in its documentation.
    pub errors: String,
    /// The effects on the state, found by running the code.
    pub effects: Effects,
    /// The result of its proofs. `None` if they were left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<ReportRow>,
}

impl Interface {
    /// Joins the effects with the results of the proofs, if any.
    pub fn new(effects: &[Effects], effects_seconds: f64, report: Option<&Report>) -> Interface {
        let entry = |number: u32, name: &'static str| {
            let row = TABLE.iter().find(|row| row.number == number && row.name == name);
            let written = row.and_then(|row| {
                let effects = effects.iter().find(|effects| effects.name == name)?.clone();
                Some(Written::new(row, effects, report.and_then(|report| report.rows().find(|row| row.name == name))))
            });
            Entry { number, name, written }
        };
        let of = |is_wanted: &dyn Fn(&Primitive) -> bool| -> Vec<Entry> {
            TABLE.iter().filter(|row| is_wanted(row)).map(|row| entry(row.number, row.name)).collect()
        };
        let passthrough = Object::ALL.iter().map(|object| ObjectEntries {
            name: object.name(),
            description: object.description(),
            entries: of(&|row| row.is_reference() && row.object == *object),
        });
        let passthrough = passthrough.filter(|object| !object.entries.is_empty());
        // A primitive that is not in the reference is listed as well.
        let added = of(&|row| row.is_fresh());
        let description = "primitives that the reference does not have";
        let added = (!added.is_empty()).then_some(ObjectEntries { name: "Fresh", description, entries: added });
        Interface {
            fresh: TABLE.iter().filter(|row| row.is_fresh()).map(|row| row.name).collect(),
            passthrough: passthrough.chain(added).collect(),
            accessors: of(&|row| row.kind == Kind::Accessor),
            in_guest_mode: of(&|row| row.kind == Kind::GuestAccessor),
            effects_seconds,
            proofs: report.map(|report| report.summary.clone()),
        }
    }

    /// All primitives: the numbered ones by object, then the accessors of programs and guests.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        let numbered = self.passthrough.iter().flat_map(|object| &object.entries);
        numbered.chain(&self.accessors).chain(&self.in_guest_mode)
    }
}

impl Written {
    fn new(row: &Primitive, effects: Effects, proof: Option<&ReportRow>) -> Written {
        let (description, errors) = docs(row.number, row.name);
        let Primitive { arguments, result, unused, .. } = *row;
        let arguments = arguments.iter().map(|argument| argument.name).collect();
        Written {
            kind: format!("{:?}", row.kind),
            arguments,
            result,
            unused,
            description,
            errors,
            effects,
            proof: proof.cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::effects::effects;
    use std::collections::BTreeSet;

    /// The reference's list (appendix C), in its order.
    const NAMES: [&str; 64] = [
        "vmxinfo_get",
        "palloc",
        "set_pt",
        "pt_read",
        "pt_resv",
        "thread_wakeup",
        "thread_yield",
        "thread_sleep",
        "sched_init",
        "uctx_get",
        "uctx_set",
        "proc_create",
        "container_get_nchildren",
        "container_get_quota",
        "container_get_usage",
        "container_can_consume",
        "get_CPU_ID",
        "get_curid",
        "acquire_lock_CHAN",
        "release_lock_CHAN",
        "get_sync_chan_busy",
        "set_sync_chan_busy",
        "ipc_send_body",
        "ipc_receive_body",
        "rdmsr",
        "wrmsr",
        "vmx_set_intercept_intwin",
        "vmx_set_desc1",
        "vmx_set_desc2",
        "vmx_inject_event",
        "vmx_set_tsc_offset",
        "vmx_get_tsc_offset",
        "vmx_get_exit_reason",
        "vmx_get_exit_fault_addr",
        "vmx_get_exit_qualification",
        "vmx_check_pending_event",
        "vmx_check_int_shadow",
        "vmx_get_reg",
        "vmx_set_reg",
        "vmx_get_next_eip",
        "vmx_get_io_width",
        "vmx_get_io_write",
        "vmx_get_exit_io_rep",
        "vmx_get_exit_io_str",
        "vmx_get_exit_io_port",
        "vmx_set_mmap",
        "vmx_run_vm",
        "vmx_return_from_guest",
        "vmx_init",
        "cli",
        "sti",
        "serial_intr_disable",
        "serial_intr_enable",
        "serial_putc",
        "cons_buf_read",
        "host_in",
        "host_out",
        "proc_create_postinit",
        "trap_get",
        "trap_set",
        "proc_start_user",
        "proc_exit_user",
        "proc_start_user2",
        "proc_exit_user2",
    ];

    #[test]
    fn the_list_is_the_references() {
        let reference = TABLE.iter().filter(|row| row.is_reference());
        let all: Vec<(u32, &str)> = reference.map(|row| (row.number, row.name)).collect();
        let expected: Vec<(u32, &str)> = (1..).zip(NAMES).collect();
        assert_eq!(all, expected);
        let of_kind = |kind| TABLE.iter().filter(move |row| row.kind == kind).map(|row| row.name);
        assert!(of_kind(Kind::Accessor).eq(["exec_load", "exec_store"]));
        assert!(of_kind(Kind::GuestAccessor).eq(["guest_load", "guest_store"]));
        let fresh = TABLE.iter().filter(|row| row.is_fresh());
        assert!((65..).zip(fresh).all(|(number, row)| row.number == number), "fresh ones are numbered in a row");
    }

    #[test]
    fn each_primitive_says_what_it_does() {
        for row in TABLE.iter().filter(|row| row.kind != Kind::Internal) {
            let (description, _) = docs(row.number, row.name);
            assert!(!description.is_empty() && !description.contains("///"), "{}: {description}", row.name);
        }
        let (description, errors) = docs(2, "palloc");
        assert!(description.starts_with("one page for container `n`"), "{description}");
        assert!(errors.contains("Stuck::NoContainer"), "{errors}");
    }

    #[test]
    fn what_is_read_and_written_is_what_the_code_does() {
        let all = effects(2);
        let of = |name: &str| all.iter().find(|effects| effects.name == name).unwrap_or_else(|| panic!("no {name}"));
        let names = |places: &crate::report::effects::Places| -> Vec<String> { places.keys().cloned().collect() };
        for effects in &all {
            assert!(effects.failures.is_empty(), "{}: {:?}", effects.name, effects.failures);
            let row = TABLE.iter().find(|row| row.name == effects.name).expect("a row of the catalogue");
            let logged = row.events.iter().map(|event| event.to_string()).collect();
            assert_eq!(effects.events, logged, "the events of {}", row.name);
        }

        let palloc = of("palloc");
        assert_eq!(
            names(&palloc.writes),
            ["AC", "AC.charged", "AC.seats", "AT", "AT.cursor", "AT.owner", "LAT", "pperm"]
        );
        assert_eq!(palloc.writes["AC"], BTreeSet::from(["usage".to_string()]));
        assert_eq!(palloc.writes["AT"], BTreeSet::from(["alloc".to_string()]));
        assert_eq!((&palloc.events, &palloc.locks), (&BTreeSet::from(["PALLOC".to_string()]), &BTreeSet::from(["AT"])));
        for read in ["AC", "AT", "AT.cursor", "CPU_ID", "cid", "ikern", "ihost", "pg", "ipt", "init", "nps"] {
            assert!(palloc.reads.contains_key(read), "palloc reads {read}: {:?}", palloc.reads);
        }
        assert!(!palloc.reads.contains_key("pperm") && !palloc.reads.contains_key("ptpool"));
        assert_eq!(palloc.stuck.keys().collect::<Vec<_>>(), ["NoContainer", "NotInit", "NotKernelMap"]);
        assert!(palloc.lost_writes.is_empty());

        let cli = of("cli");
        assert_eq!(
            (names(&cli.writes), names(&cli.reads)),
            (vec!["intr_flag".into()], vec!["ihost".into(), "ikern".into(), "init".into()])
        );
        assert_eq!(of("thread_yield").events, BTreeSet::from(["YIELD".to_string()]));
        assert!(of("thread_yield").writes.contains_key("cid") && of("thread_yield").writes.contains_key("rdy.hi"));
        // Rows that are not part of the state: a sleep queue, and another CPU's pending queue.
        let wakeup = of("thread_wakeup");
        for written in ["slp.head", "slp.tail", "msg.tail", "rdy.tail"] {
            assert!(wakeup.writes.contains_key(written), "{:?}", wakeup.writes);
        }
        assert!(wakeup.reads.contains_key("slp.head") && of("thread_sleep").reads.contains_key("slp.tail"));
        assert!(!of("thread_yield").writes.keys().any(|name| name.starts_with("slp")));
        assert_eq!(of("proc_create").events, BTreeSet::from(["SPAWN".to_string()]));
        assert!(!of("pt_resv").events.is_empty() && of("pt_resv").writes.contains_key("ptpool"));
        assert_eq!(names(&of("exec_store").writes), ["HP", "HP.defined", "ti.addr", "ti.ra"]);
        assert_eq!(names(&of("exec_load").writes), ["ti.addr", "ti.ra"]);
        assert_eq!(names(&of("guest_store").writes), ["HP", "HP.defined"]);
        assert!(of("guest_load").is_silent());
        assert_eq!(of("rdmsr").asks, BTreeSet::from(["rdmsr".to_string()]));
        // A primitive that only returns a value changes nothing (reference, section 10.1).
        let silent =
            [1, 4, 10, 13, 14, 15, 16, 17, 18, 25, 26, 32, 33, 34, 35, 36, 37, 38, 40, 41, 42, 43, 44, 45, 59, 60];
        for row in TABLE.iter().filter(|row| silent.contains(&row.number)) {
            assert!(of(row.name).is_silent(), "{}: {:?}", row.name, of(row.name).writes);
        }
    }

    #[test]
    fn what_is_missing_is_there_without_anything() {
        let nothing = Interface::new(&[], 0.0, None);
        assert_eq!(nothing.entries().filter(|entry| entry.number <= 64).count(), 68);
        assert!(nothing.entries().all(|entry| entry.written.is_none()));
    }
}
