//! The events of primitives are checked: a wrong event, a missing one, one too many and a wrong order are found, and so
//! is an event that does not describe the change of the object.
mod common;

use common::{prove, solver};
use domain::{Flag, Ghost, Map};
use layer::core::call::Answer;
use layer::core::constants::*;
use layer::core::fields::*;
use layer::core::log::{Event, Log};
use layer::core::machine::{ChannelPool, Lock, Spec};
use layer::core::state::Cpu;
use layer::core::stuck::{Stuck, require};
use layer::objects::channel::pool::Channel;
use layer::objects::{channel, page_alloc, thread};
use layer::spec::contract::Contract;
use prover::{InvariantSet, Outcome, Reason};

/// The clauses that fail, without repetition, and whether the counterexample to the first failed
/// when it was run.
fn failing(outcome: &Outcome) -> (Vec<&str>, bool) {
    let mut clauses: Vec<&str> = Vec::new();
    for failure in &outcome.failures {
        assert!(
            matches!(failure.reason, Reason::Counterexample | Reason::Spurious),
            "{}: {:?}",
            failure.clause,
            failure.reason
        );
        if !clauses.contains(&&*failure.clause) {
            clauses.push(&failure.clause);
        }
    }
    (clauses, outcome.failures.first().is_some_and(|failure| failure.confirmed))
}

macro_rules! bugs {
    ($($(#[doc = $says:literal])* $test:ident: $primitive:literal breaks $clause:literal, $run:expr;)*) => {
        mod planted {
            use super::*;
            $(pub fn $test<M: Spec>(contract: &mut Contract<M>) {
                contract.run = $run;
            })*
        }
        $($(#[doc = $says])*
        #[test]
        fn $test() {
            let outcome = prove(solver(), $primitive, InvariantSet::Derived, planted::$test, planted::$test);
            let (clauses, confirmed) = failing(&outcome);
            assert!(clauses.iter().any(|clause| clause.starts_with($clause)), "{clauses:?}");
            assert!(confirmed, "{}", outcome.failures[0].ending);
        })*
    };
}

/// `palloc` with the event that `log` returns for the page.
fn palloc<M: Spec>(
    cpu: &mut Cpu<'_, M>,
    n: M::Word,
    log: fn(M::Word, M::Word) -> Option<Event<M>>,
) -> Result<Answer<M>, Stuck> {
    cpu.require_hkpt()?;
    cpu.require_init()?;
    let own = &mut cpu.own;
    require(n < NUM_ID && own.ac.get([n]).used.holds(), Stuck::NoContainer)?;
    let container = own.ac.get([n]);
    let mut table = cpu.shared.at.lock(own.cpu, 0.into());
    let found = match container.usage < container.quota {
        true => table.frames.first(table.cursor, own.nps, Frame::is_free),
        false => None,
    };
    let (by, page) = (own.cpu, found.unwrap_or(0.into()));
    if let Some(event) = log(own.cur, page) {
        table.log.push(by, event);
    }
    if page == 0 {
        return Ok(Answer::Word(page));
    }
    table.cursor = page + 1;
    table.frames.update([page], |frame| frame.alloc = true.into());
    table.owner.update(|ghost| ghost.owners.set([page], Owner { cpu: by }));
    drop(table);
    own.ghost.update(|ghost| {
        ghost.pperm.set([page], FrameUse::Alloc);
        let seat = ghost.charged.get([n]).pages;
        ghost.lat.set([page], ReverseMap { valid: true.into(), len: 0.into(), payer: n, seat });
        ghost.seats.set([n, seat], Seat { frame: page });
        ghost.charged.set([n], Charge { pages: seat + 1 });
    });
    own.ac.update([n], |container| container.usage += 1);
    Ok(Answer::Word(page))
}

bugs! {
    /// A page is allocated, but the event reports that none was.
    another_page: "palloc" breaks "events",
        |cpu, a| palloc(cpu, a.words[0], |tid, _| Some(Event::Palloc { tid, page: 0.into() }));
    /// The event does not describe the change of the table.
    another_page_by_its_effect: "palloc" breaks "effect of each event on AT",
        |cpu, a| palloc(cpu, a.words[0], |tid, _| Some(Event::Palloc { tid, page: 0.into() }));
    no_event: "palloc" breaks "events",
        |cpu, a| palloc(cpu, a.words[0], |_, _| None);
    another_thread: "palloc" breaks "events",
        |cpu, a| palloc(cpu, a.words[0], |_, page| Some(Event::Palloc { tid: 3.into(), page }));
    one_too_many: "palloc" breaks "events", |cpu, a| {
        let page = page_alloc::palloc(cpu, a.words[0])?;
        let (me, tid) = (cpu.own.cpu, cpu.own.cur);
        cpu.own.log.push(me, Event::Palloc { tid, page: 0.into() });
        Ok(Answer::Word(page))
    };
    another_cpu: "release_lock_CHAN" breaks "events", |cpu, a| {
        let q = Channel(a.words[0]);
        let (other, tid) = ((cpu.own.cpu + 1) % TOTAL_CPU, cpu.own.cur);
        channel::release_lock_chan(cpu, q)?;
        cpu.own.log.push(other, Event::Yield { tid });
        Ok(Answer::Unit)
    };
    a_silent_call_that_logs: "get_CPU_ID" breaks "events", |cpu, _| {
        let me = thread::get_cpu_id(cpu)?;
        let tid = cpu.own.cur;
        cpu.own.log.push(me, Event::Palloc { tid, page: 0.into() });
        Ok(Answer::Word(me))
    };
    /// The two events of taking a lock in the wrong order.
    two_events_swapped: "acquire_lock_CHAN" breaks "events", |cpu, a| {
        cpu.require_hkpt()?;
        cpu.require_init()?;
        let q = Channel::<M>(a.words[0]);
        require(q.0 < NUM_CHAN, Stuck::BadChannel)?;
        let own = &mut cpu.own;
        require(own.ghost.check(|g| matches!(g.lock.get([q.lock()]), LockState::Free)), Stuck::LockHeld)?;
        cpu.shared.channels.acquire(own.cpu, q.0);
        let (by, tid) = (own.cpu, own.cur);
        cpu.shared.channels.with(|channels| {
            channels.ghost.update(|ghost| ghost.locks.update([q.0], |lock| {
                lock.holder = by;
                lock.budget = (LOCK_BOUND - 1).into();
            }));
            channels.log.push(by, Event::Get { tid, channel: q.0 });
            channels.log.push(by, Event::Wait { tid, channel: q.0, budget: LOCK_BOUND.into() });
        });
        own.ghost.update(|g| {
            g.lock.set([q.lock()], LockState::Own { pulled: true.into() });
            g.section = if g.section == NO_CHANNEL { q.0 } else { SOME_CHANNELS.into() };
        });
        Ok(Answer::Unit)
    };
    /// The event reports that the lock was released, but it was not.
    no_effect: "set_sync_chan_busy" breaks "effect of each event on syncchpool", |cpu, a| {
        let [q, v, ..] = a.words;
        channel::set_sync_chan_busy(cpu, Channel(q), v)?;
        let (by, tid) = (cpu.own.cpu, cpu.own.cur);
        cpu.shared.channels.with(|channels| {
            let SyncChannel { to, senderpaddr, count, busy } = channels.pool.get([q]);
            channels.log.push(by, Event::Release { tid, channel: q, to, senderpaddr, count, busy });
        });
        Ok(Answer::Unit)
    };
    /// The event reports that the thread yielded, but it runs on.
    nobody_else_runs: "get_curid" breaks "events", |cpu, _| {
        let tid = thread::get_curid(cpu)?;
        let me = cpu.own.cpu;
        cpu.own.log.push(me, Event::Yield { tid });
        Ok(Answer::Word(tid))
    };
}
