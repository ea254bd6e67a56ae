//! The reference's test obligations (appendix D), each with its tests.
//!
//! The expected values are plain collections and numbers, taken from the reference and not from the layer's source.
mod access;
mod channels;
mod console;
mod guests;
mod machine;
mod memory;
mod modes;
mod processes;
mod replay;
mod scheduler;
mod sessions;

use std::collections::BTreeSet;
use std::path::Path;

/// All obligations: the number, the description, and the tests, by file (relative to `sim/`) and name.
const OBLIGATIONS: [(u32, &str, &[(&str, &str)]); 20] = [
    (
        1,
        "invariant preservation",
        &[
            ("tests/primitives.rs", "one_cpu_keeps_everything"),
            ("tests/primitives.rs", "eight_cpus_keep_everything"),
            ("tests/primitives.rs", "these_sequences_reach_every_primitive"),
        ],
    ),
    (
        2,
        "undefinedness is total",
        &[
            ("tests/obligations/sessions.rs", "d02_what_is_stuck_leaves_no_trace"),
            ("tests/primitives.rs", "eight_cpus_keep_everything"),
            ("src/session/tests.rs", "what_is_stuck_or_panics_changes_nothing"),
        ],
    ),
    (3, "frame rule", &[("tests/obligations/sessions.rs", "d03_d04_changes_and_events_are_those_of_the_entry")]),
    (
        4,
        "log discipline",
        &[
            ("tests/obligations/sessions.rs", "d03_d04_changes_and_events_are_those_of_the_entry"),
            ("tests/obligations/sessions.rs", "d04_the_table_has_the_ten_that_append_events"),
            ("tests/obligations/sessions.rs", "d04_a_page_that_was_not_had_is_an_event_too"),
        ],
    ),
    (
        5,
        "replay determinism",
        &[
            ("tests/obligations/replay.rs", "d05_d08_the_log_says_what_the_machine_has"),
            ("tests/log.rs", "a_log_leads_to_where_the_machine_is"),
            ("tests/log.rs", "every_prefix_of_a_log_has_a_meaning"),
        ],
    ),
    (
        6,
        "scheduler",
        &[
            ("tests/obligations/scheduler.rs", "d06_as_many_yields_as_threads_come_round"),
            ("tests/obligations/scheduler.rs", "d06_who_was_woken_runs_in_time"),
        ],
    ),
    (7, "no lost wake-up", &[("tests/obligations/scheduler.rs", "d07_no_wake_up_is_lost_in_any_order")]),
    (
        8,
        "mutual exclusion",
        &[
            ("tests/obligations/channels.rs", "d08_one_holder_within_its_budget"),
            ("tests/obligations/channels.rs", "d08_a_section_has_ten_events"),
            ("tests/obligations/replay.rs", "d05_d08_the_log_says_what_the_machine_has"),
            ("tests/obligations/replay.rs", "d08_a_log_with_two_holders_is_undefined"),
            ("tests/log.rs", "each_cpu_may_count_on_the_others"),
        ],
    ),
    (
        9,
        "allocator",
        &[
            ("tests/obligations/memory.rs", "d09_pages_are_given_out_once_and_counted"),
            ("tests/obligations/sessions.rs", "d04_a_page_that_was_not_had_is_an_event_too"),
        ],
    ),
    (
        10,
        "pt_resv cases",
        &[
            ("tests/obligations/memory.rs", "d10_every_case_of_pt_resv"),
            ("tests/obligations/memory.rs", "d10_where_something_is_exhausted"),
            ("tests/obligations/memory.rs", "d10_no_memory_though_there_is_quota"),
        ],
    ),
    (
        11,
        "translation",
        &[
            ("tests/obligations/access.rs", "d11_what_is_stored_is_loaded"),
            ("tests/obligations/access.rs", "d11_addresses_that_no_program_has_fault"),
            ("tests/obligations/access.rs", "d11_a_global_page_is_no_programs"),
        ],
    ),
    (12, "isolation", &[("tests/obligations/access.rs", "d12_no_program_changes_what_another_one_loads")]),
    (
        13,
        "messages",
        &[
            ("tests/obligations/channels.rs", "d13_a_message_arrives_as_it_was_sent"),
            ("tests/obligations/channels.rs", "d13_whoever_waits_longest_is_next"),
            ("tests/obligations/channels.rs", "d13_the_hazard_of_the_hand_off"),
        ],
    ),
    (
        14,
        "spawn",
        &[
            ("tests/obligations/processes.rs", "d14_a_tree_of_any_shape"),
            ("tests/obligations/processes.rs", "d14_eight_children_and_no_more"),
        ],
    ),
    (
        15,
        "virtual machine",
        &[
            ("tests/obligations/guests.rs", "d15_a_register_is_what_was_set"),
            ("tests/obligations/guests.rs", "d15_what_an_io_exit_says"),
            ("tests/obligations/guests.rs", "d15_no_event_takes_the_place_of_one_that_waits"),
            ("tests/obligations/guests.rs", "d15_there_and_back_again"),
        ],
    ),
    (
        16,
        "nested page tables",
        &[
            ("tests/obligations/guests.rs", "d16_what_a_guest_stores_it_loads"),
            ("tests/obligations/guests.rs", "d16_a_guest_has_what_is_mapped_and_nothing_else"),
        ],
    ),
    (
        17,
        "console",
        &[
            ("tests/obligations/console.rs", "d17_the_newest_511_in_order"),
            ("tests/console.rs", "the_ring_keeps_the_newest_511"),
            ("tests/console.rs", "a_line_feed_goes_out_with_a_carriage_return"),
            ("tests/console.rs", "a_transmitter_that_is_never_done_is_given_up"),
            ("tests/console.rs", "another_cpu_has_no_uart"),
            ("tests/primitives.rs", "the_console_does_what_the_reference_says"),
        ],
    ),
    (
        18,
        "modes",
        &[
            ("tests/obligations/modes.rs", "d18_from_boot_to_the_kernel_and_from_there_and_back"),
            ("tests/obligations/modes.rs", "d18_set_pt_never_has_a_behaviour"),
        ],
    ),
    (
        19,
        "sched_init",
        &[
            ("tests/obligations/modes.rs", "d19_the_state_after_boot"),
            ("tests/obligations/modes.rs", "d19_the_references_example"),
            ("tests/obligations/modes.rs", "d19_a_machine_with_too_little_memory_is_refused"),
        ],
    ),
    (20, "constants", &[("tests/obligations/modes.rs", "d20_queues_and_locks_have_ids_of_their_own")]),
];

/// The text of a file in this crate.
fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_obligation_has_tests_and_every_test_is_there() {
    for ((number, name, tests), expected) in OBLIGATIONS.iter().zip(1..) {
        assert_eq!(*number, expected, "{name}");
        assert!(!tests.is_empty(), "D.{number}, {name}, has no test");
        for (file, test) in *tests {
            let text = text(file);
            let at = text.find(&format!("fn {test}(")).unwrap_or_else(|| panic!("D.{number}: no {test} in {file}"));
            assert!(text[..at].trim_end().ends_with("#[test]"), "D.{number}: {test} is no test");
        }
    }
}

#[test]
fn every_test_of_an_obligation_is_listed() {
    let listed: BTreeSet<&str> = OBLIGATIONS.iter().flat_map(|(_, _, tests)| *tests).map(|(_, test)| *test).collect();
    let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/obligations")).unwrap();
    for file in files {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let tests =
            text.split("fn d").skip(1).filter_map(|rest| rest.split_once('(')).map(|(name, _)| format!("d{name}"));
        for test in tests.filter(|test| test[1..].starts_with(|digit: char| digit.is_ascii_digit())) {
            assert!(listed.contains(&*test), "{test} is not listed");
        }
    }
}
