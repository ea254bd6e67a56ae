//! Boots the hosted machine without programs, one CPU after the other.
use layer::core::constants::TOTAL_CPU;
use layer::core::stuck::Stuck;
use layer::objects::boot::sched_init;
use layer::spec::fact::Class;
use sim::check::facts::check;
use sim::machine::boot::{processor, shared};
use sim::machine::platform::{self, Memory, Platform};
use sim::machine::sparse::Cells;
use std::sync::Arc;

#[test]
fn the_invariant_holds_before_and_after_boot() {
    let shared = shared();
    let mut cpus: Vec<_> = (0..TOTAL_CPU).map(|cpu| processor(&shared, cpu)).collect();
    for (current, cpu) in (0..).zip(&cpus) {
        assert_eq!(check(cpu, current, Cells::Neighbours, Class::Entry), [], "before sched_init");
    }
    for cpu in &mut cpus {
        sched_init(cpu, 0).unwrap();
        assert_eq!(sched_init(cpu, 0), Err(Stuck::NotBoot));
    }
    for (current, cpu) in (0..).zip(&cpus) {
        assert_eq!(check(cpu, current, Cells::Neighbours, Class::Entry), [], "after sched_init");
    }
}

#[test]
fn a_machine_without_a_user_area_does_not_boot() {
    platform::make_current(Arc::new(Platform::bare(Memory::all(1000))), None);
    let shared = shared();
    assert_eq!(sched_init(&mut processor(&shared, 0), 0), Err(Stuck::BadMemory));
}
