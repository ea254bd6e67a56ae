//! The state before `sched_init`, and the boot of a CPU.
use super::theorem::{clause, premises_hold};
use crate::environment::interference::Interference;
use crate::facts::assumed::Assumed;
use crate::proof::obligations::prove_facts;
use crate::state::parts::State;
use crate::state::sym::Sym;
use domain::{Flag, Map};
use layer::core::constants::{NUM_CV, NUM_PROC, TOTAL_CPU};
use layer::core::fields::kind;
use layer::core::geometry::Geometry;
use layer::core::machine::{Machine, Object};
use layer::core::stuck::Stuck;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Queue, Sleeping};
use layer::spec::fact::{Class, Fact};
use std::rc::Rc;
use symbolic::branch::decide;
use symbolic::origin::Origin;
use symbolic::proof::{Outcome, any, run_paths};
use symbolic::word::SymWord;
use syscall::entry;

pub(super) fn init_adt<G: Geometry>() -> Outcome {
    let mut outcome = run_paths(true, &|outcome| {
        let state = State::<G>::initial();
        if !decide(&|| state.current_cpu < TOTAL_CPU) || !premises_hold(outcome) {
            return;
        }
        prove_facts(&state, &Assumed::nothing(), |_| true, &mut outcome.clauses);
        follows_the_memory_map(outcome, &state.at, state.boot.nps);
        clause(outcome, "lock invariant of every pending queue", &[TOTAL_CPU.into(), NUM_PROC.into()], &|k| {
            state.pending.lock_invariant(k[0], &state.threads, &k[1..])
        });
        let sleepers: Queue<Sym<G>, Sleeping> = Object::new(Origin::START);
        clause(outcome, "lock invariant of every sleep queue", &[NUM_CV.into(), NUM_PROC.into()], &|k| {
            sleepers.lock_invariant(k[0], &state.threads, &k[1..])
        });
    });
    outcome.require_success();
    outcome
}

/// The allocation table at boot is that of section 6.2 of the reference: a frame is free if it is in the user area, below
/// the end of memory, and if one usable region of the machine contains it.
///
/// The rely condition of the table says that the kind of a frame never changes. So this holds for ever.
fn follows_the_memory_map<G: Geometry>(outcome: &mut Outcome, table: &AllocTable<Sym<G>>, nps: SymWord) {
    clause(outcome, "the allocation table follows the machine's memory map", &[1 << 20], &|k| {
        let (p, frame) = (k[0], table.frames.get([k[0]]));
        let kind = if p < 262_144 || p >= 983_040 || p >= nps {
            kind::KERN
        } else if Sym::<G>::usable(p).holds() {
            kind::NORM
        } else {
            kind::RESV
        };
        frame.kind == kind && !frame.alloc.holds()
    });
}

/// The code that boots a CPU, from the state before `sched_init`. It gets stuck only if the description of the machine is
/// unusable. The proof of the primitive `sched_init` shows that H, L and D hold afterwards; E is proved here.
pub(super) fn boot<G: Geometry>() -> Outcome {
    let mut outcome = run_paths(true, &|outcome| {
        let state = Rc::new(State::<G>::initial());
        if !decide(&|| state.current_cpu < TOTAL_CPU) {
            return;
        }
        let interference = Interference::new(&state, &Rc::new(Assumed::nothing()));
        let mbi = any("mbi", 1 << 32);
        let (result, after) = state.run(&interference, |cpu| entry::boot(cpu, mbi));
        match result {
            Ok(next) if premises_hold(outcome) => {
                clause(outcome, "the main thread can continue", &[], &|_| next.holds(&after.view()));
                // Those of H, L and D are proved of the primitives that it calls.
                let is_of_entries = |fact: &Fact<Sym<G>>| fact.class == Class::Entry;
                prove_facts(&after, &Assumed::nothing(), is_of_entries, &mut outcome.clauses);
            }
            Ok(_) => {}
            Err(stuck) => {
                let is_refused = matches!(stuck, Stuck::BadIoApic | Stuck::BadMemory);
                clause(outcome, "stuck only if the description is not usable", &[], &|_| is_refused);
            }
        }
    });
    outcome.require_success();
    outcome
}

#[cfg(test)]
mod tests {
    use super::super::theorem::tests::proved;
    use super::*;
    use layer::core::fields::Frame;
    use layer::core::geometry::X64;
    use symbolic::failure::Reason;

    #[test]
    fn a_table_that_frees_what_the_machine_calls_unusable_is_refuted() {
        let outcome = proved(|| {
            run_paths(true, &|outcome| {
                let mut state = State::<X64>::initial();
                let nps = state.boot.nps;
                state.at.frames.define(move |[p]| {
                    let is_kernel = p < 262_144 || p >= 983_040 || p >= nps;
                    let kind = if is_kernel { kind::KERN } else { kind::NORM };
                    Frame { kind: kind.into(), alloc: false.into() }
                });
                if premises_hold(outcome) {
                    follows_the_memory_map(outcome, &state.at, nps);
                }
            })
        });
        assert_eq!(outcome.failures[0].reason, Reason::Counterexample);
    }
}
