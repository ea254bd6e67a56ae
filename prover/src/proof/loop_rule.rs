//! The loop rule ([`symbolic::rules`]) for loops of the layer.
//!
//! A [`LoopRule`] gives the loop invariant and the fields and scalars that an iteration may write. After the havoc, the
//! loop invariant is the only knowledge of them. An iteration may write nothing else, and may take no lock.
use crate::clause;
use crate::environment::interference::Interference;
use crate::facts::assumed::Assumed;
use crate::facts::invariant_set::InvariantSet;
use crate::state::parts::State;
use crate::state::sym::Sym;
use crate::state::unknown::key_bounds;
use layer::core::fields::FIELDS;
use layer::core::geometry::Geometry;
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::invariant::facts;
use layer::spec::contract::{Iterations, LoopRule};
use std::ops::ControlFlow;
use std::panic::Location;
use std::rc::Rc;
use symbolic::engine::engine;
use symbolic::merge::goal;
use symbolic::mutation::running;
use symbolic::origin::Origin;
use symbolic::path::Write;
use symbolic::proof::{any_keys, free_words, prove_once};
use symbolic::query::{in_scope, prove};
use symbolic::rules;
use symbolic::rules::Loop;
use symbolic::word::SymWord;

#[cfg(test)]
mod tests;

/// Why counterexamples that arise after the start of a loop are not run.
const IN_LOOP: &str = "it begins in an iteration of a loop, and it is not known how the iteration is reached";

/// The number of iterations that are tried while the path of a failure is walked again.
const UNROLLED: u32 = 2;
/// Why a path with more iterations is not walked to its end.
const TOO_LONG: &str = "no failing path was found on which its loops end after at most 2 iterations";

/// One iteration of a loop. It breaks or continues.
type Iteration<'a, G> = &'a dyn Fn(&mut Cpu<'_, Sym<G>>) -> Result<ControlFlow<()>, Stuck>;

/// Applies the loop rule `rule` to a loop of at most `most` iterations.
#[track_caller]
pub(crate) fn bounded_loop<G: Geometry>(
    cpu: &mut Cpu<'_, Sym<G>>,
    rule: &LoopRule<Sym<G>>,
    most: u32,
    iteration: Iteration<'_, G>,
) -> Result<(), Stuck> {
    assert!(most > 0, "a loop has an iteration");
    let at = Location::caller();
    let interference = cpu.shared.pending.interference().clone();
    let entry = Rc::new(State::of(cpu, interference.current_cpu()));
    let any = free_words();
    #[cfg(test)]
    if crate::agreement::concrete::is_known() {
        return every_iteration(cpu, rule, most, iteration, &entry, any);
    }
    if let Some(inlining) = engine(|e| e.settings.inlining.clone()) {
        // While the path of a failure is walked again, the iterations themselves run, so that the counterexample can be
        // run.
        for _ in 0..most.min(UNROLLED) {
            if iteration(cpu)?.is_break() {
                return Ok(());
            }
        }
        if most > UNROLLED {
            inlining.abandon(TOO_LONG);
        }
        return Ok(());
    }
    engine(|e| e.settings.runner = Err(IN_LOOP));
    let (begin, assumed) = (entry.clone(), interference.latest());
    rules::bounded_loop(&mut LoopOfCpu { cpu, rule, iteration, entry, begin, any, assumed, locks: 0, at }, most)
}

/// A loop to which the rule is applied.
struct LoopOfCpu<'a, 'c, G: Geometry> {
    cpu: &'a mut Cpu<'c, Sym<G>>,
    rule: &'a LoopRule<Sym<G>>,
    iteration: Iteration<'a, G>,
    /// The state before the loop.
    entry: Rc<State<G>>,
    /// The state before the iteration.
    begin: Rc<State<G>>,
    any: [SymWord; 2],
    /// The assumptions about the state before the loop.
    assumed: Rc<Assumed>,
    /// The number of locks that were taken before the iteration.
    locks: usize,
    at: &'static Location<'static>,
}

impl<G: Geometry> LoopOfCpu<'_, '_, G> {
    /// The loop invariant apart from the facts, after `count` iterations. It is not used in proofs from H and L alone.
    fn holds(&self, state: &State<G>, count: SymWord) -> bool {
        self.assumed.invariants() == InvariantSet::High
            || (self.rule.holds)(&Iterations { entry: self.entry.view(), now: state.view(), count, any: self.any })
    }

    fn interference(&self) -> Rc<Interference<G>> {
        self.cpu.shared.pending.interference().clone()
    }

    /// The current state.
    fn now(&self) -> State<G> {
        State::of(self.cpu, self.interference().current_cpu())
    }
}

impl<G: Geometry> Loop for LoopOfCpu<'_, '_, G> {
    type Error = Stuck;

    fn name(&self) -> &'static str {
        self.rule.name
    }

    fn prove_invariant(&self, when: &str, count: SymWord) -> bool {
        let state = self.now();
        let clause = |what: &str| format!("{what}, {when} of {}", self.rule.name);
        let invariants = self.assumed.invariants();
        let wanted = facts::<Sym<G>>().filter(|f| invariants.includes(f) && self.rule.facts.contains(&f.number));
        wanted.into_iter().all(|fact| {
            in_scope(|| {
                let keys = any_keys(&key_bounds::<G>(fact.keys));
                let goal = goal(&|| (fact.holds)(&state.view(), &keys));
                prove(goal, || clause(&clause::fact(fact.number, fact.name)))
            })
        }) && prove_once(|| clause("loop invariant"), &|| self.holds(&state, count))
    }

    fn havoc(&mut self, origin: Origin, count: SymWord) {
        self.begin = Rc::new(self.entry.renewed(self.rule.writes, origin));
        running(false, || {
            self.assumed.only(&self.begin, self.rule.facts).assume();
            rules::assume(&|| self.holds(&self.begin, count));
        });
        // The loop may have made every write that an iteration may make, so these fields count as
        // written.
        engine(|e| {
            let changes = e.arena.bool(true);
            let fields = self.rule.writes.iter().filter(|name| FIELDS.contains(name));
            let at = self.at;
            e.path.writes.extend(fields.map(|&field| Write { field, key: Vec::new(), leaf: "", changes, at }));
        });
        self.cpu.own = self.begin.own.snapshot();
        self.locks = self.interference().taken.borrow().len();
    }

    fn iterate(&mut self) -> Result<ControlFlow<()>, Stuck> {
        (self.iteration)(self.cpu)
    }

    fn forbidden(&self) -> Option<String> {
        if self.interference().taken.borrow().len() > self.locks {
            return Some("takes a lock, which no iteration may".to_string());
        }
        let unlike = self.begin.unlike(&self.now());
        let name = unlike.iter().find(|name| !self.rule.writes.contains(name))?;
        Some(format!("writes {name}, which its loop rule does not name"))
    }
}

/// Used in a concrete run: runs all iterations, and checks the loop invariant before each.
#[cfg(test)]
fn every_iteration<G: Geometry>(
    cpu: &mut Cpu<'_, Sym<G>>,
    rule: &LoopRule<Sym<G>>,
    most: u32,
    iteration: Iteration<'_, G>,
    entry: &Rc<State<G>>,
    any: [SymWord; 2],
) -> Result<(), Stuck> {
    let current = cpu.shared.pending.interference().current_cpu();
    for count in 0..most {
        let (now, count) = (State::of(cpu, current), count.into());
        let holds = running(false, || {
            symbolic::merge::condition(&|| {
                (rule.holds)(&Iterations { entry: entry.view(), now: now.view(), count, any })
            })
        });
        assert_eq!(crate::agreement::concrete::value(holds), 1, "the loop invariant of {}", rule.name);
        if iteration(cpu)?.is_break() {
            break;
        }
    }
    Ok(())
}
