//! Tests that each clause of the invariant is checked. A bug that violates it, and no earlier clause, is reported as
//! that clause, with a counterexample that also fails on the hosted machine.
mod common;

use common::{prove, solver};
use domain::{Flag, Ghost, Map};
use layer::core::call::Answer;
use layer::core::constants::*;
use layer::core::fields::*;
use layer::core::machine::{ChannelPool, Links, Lock, Spec};
use layer::core::state::{Cpu, OwnGhost};
use layer::invariant::facts;
use layer::objects::page_table::pdx;
use layer::objects::thread;
use layer::spec::contract::Contract;
use layer::spec::fact::Class;
use prover::InvariantSet;
use sim::machine::Sim;

/// A frame that this CPU may own.
const FRAME: u32 = KERN_LOW;
/// The first child of container 1.
const FIRST_CHILD: u32 = MAX_CHILDREN + 1;
/// A thread that may be dead.
const FAR: u32 = 1000;

/// The first directory of the user window.
fn window<M: Spec>() -> M::Word {
    pdx::<M>(ADR_LOW.into())
}

/// `sched_init` has run.
fn initialised<M: Spec>(ghost: &OwnGhost<M>) -> bool {
    ghost.init.holds()
}

/// `sched_init` has not run.
fn booting<M: Spec>(ghost: &OwnGhost<M>) -> bool {
    !initialised(ghost)
}

/// The clauses of H whose bugs first violate another clause in states that do not satisfy D.
const NEED_D: &[&str] = &["H5", "H7", "H11"];

/// The invariant set for the proof of a clause: H and L for their clauses, unless a bug can violate the clause
/// alone only in states that satisfy D.
fn invariants(number: &str) -> InvariantSet {
    if number.starts_with('D') || NEED_D.contains(&number) { InvariantSet::Derived } else { InvariantSet::High }
}

/// Whether `table` is the page table of the first directory of thread 1's window.
fn is_table_of_1<M: Spec>(ghost: &OwnGhost<M>, table: M::Word) -> bool {
    matches!(ghost.pperm.get([table]), FrameUse::Hide { thread, index } if thread == 1 && index == window::<M>())
}

/// Whether entry `index` of `table`, a page table of thread 1, maps `page`. No other entry maps it.
fn is_mapped<M: Spec>(cpu: &Cpu<'_, M>, table: M::Word, page: M::Word, index: M::Word) -> bool {
    matches!(cpu.own.tables.get([table, index]), Pte::Valid { page: mapped, .. } if mapped == page)
        && cpu.own.ghost.check(|g| is_table_of_1(g, table) && g.lat.get([page]).len == 1)
}

/// For each clause, a bug that violates it at the end of `get_CPU_ID`, which itself changes nothing.
macro_rules! clauses {
    ($($test:ident: $number:literal $(as $reported:literal)? $(in $state:ident)?, $break:expr;)*) => {
        /// The bugs, with the names of their tests.
        mod bugs {
            use super::*;
            $(pub fn $test<M: Spec>(contract: &mut Contract<M>) {
                contract.run = |cpu, _| {
                    let answer = thread::get_cpu_id(cpu)?;
                    if cpu.own.ghost.check(|ghost| [$($state(ghost),)? initialised(ghost)][0]) {
                        let break_it: fn(&mut Cpu<'_, M>) = $break;
                        break_it(cpu);
                    }
                    Ok(Answer::Word(answer))
                };
                // Derived facts are not proved in other states.
                contract.assumes = |v, _| [$($state(v.ghost),)? initialised(v.ghost)][0];
            })*
        }
        $(#[test]
        fn $test() {
            let outcome = prove(solver(), "get_CPU_ID", invariants($number), bugs::$test, bugs::$test);
            let reported = [$number $(, $reported)?].last().copied().unwrap_or_default();
            let first = outcome.failures.first().unwrap_or_else(|| panic!("nothing notices that {} is broken", $number));
            let (clause, ending) = (&first.clause, &first.ending);
            assert!(clause.starts_with(&format!("{reported} ")), "{reported} is broken, {clause} is reported: {ending}");
            assert!(first.confirmed, "{clause}, {:?}: {ending}", first.reason);
        })*
        /// The clauses with a bug, in order.
        const PLANTED: &[&str] = &[$($number),*];
    };
}

#[test]
fn there_is_a_bug_for_every_clause() {
    // Primitives may break E: its bugs are planted into entries.
    let of_primitives = facts::<Sim>().filter(|fact| fact.class <= Class::Derived);
    let clauses: Vec<&str> = of_primitives.map(|fact| fact.number).collect();
    // A clause with two directions has a bug for each.
    let mut planted = PLANTED.to_vec();
    planted.dedup();
    assert_eq!(planted, clauses);
}

clauses! {
    h1: "H1", |cpu| cpu.own.nps = (KERN_LOW - 1).into();
    h2: "H2", |cpu| cpu.own.ghost.update(|g| (g.ipt, g.pg) = (false.into(), false.into()));
    h3: "H3", |cpu| cpu.own.ghost.update(|g| g.ikern = false.into());
    // The reference states this case twice: H4 is the other case of H3.
    h4: "H4" as "H3", |cpu| cpu.own.ghost.update(|g| (g.ikern, g.ipt) = (false.into(), true.into()));
    h5: "H5", |cpu| cpu.own.ghost.update(|g| (g.ihost, g.ikern, g.ipt) = (false.into(), false.into(), false.into()));
    h7: "H7", |cpu| cpu.own.ghost.update(|g| {
        g.pg = false.into();
        g.pperm.set([FRAME.into()], FrameUse::Alloc);
    });
    h8_1: "H8.1", |cpu| cpu.own.dirs.set([1.into(), 0.into()], Pde::UnPresent);
    h8_2: "H8.2", |cpu| cpu.own.ghost.update(|g| {
        g.dirs_defined.set([1.into(), window::<M>()], Defined { defined: false.into() });
    });
    h8_3: "H8.3", |cpu| cpu.own.dirs.set([1.into(), window::<M>()], Pde::Table { frame: MAX_PAGE.into() });
    h9: "H9", |cpu| cpu.own.ghost.update(|g| g.pt = 1.into());
    h10: "H10", |cpu| cpu.own.dirs.set([0.into(), window::<M>()], Pde::UnPresent);
    h11: "H11", |cpu| cpu.own.ghost.update(|g| (g.ipt, g.pt) = (false.into(), NUM_PROC.into()));
    h12: "H12", |cpu| cpu.own.ghost.update(|g| {
        g.hp_defined.set([5.into(), 6.into()], Defined { defined: true.into() });
    });
    h13: "H13", |cpu| cpu.own.ghost.update(|g| {
        g.idpde.set([7.into(), 8.into()], IdentityEntry { valid: true.into(), perm: perm::PTU.into() });
    });
    h14: "H14", |cpu| cpu.own.ac.update([3.into()], |c| c.used = false.into());
    h15: "H15", |cpu| cpu.own.console.start = CONSOLE_BUFFER_SIZE.into();
    h16: "H16", |cpu| cpu.own.console.len = CONSOLE_BUFFER_SIZE.into();
    h17: "H17", |cpu| cpu.own.cpu = TOTAL_CPU.into();
    h18: "H18", |cpu| cpu.own.cur = NUM_PROC.into();
    h19: "H19", |cpu| cpu.own.cpu = 3.into();
    h6_2: "H6.2", |cpu| cpu.own.ac.update([1.into()], |c| c.parent = 1.into());
    h6_4: "H6.4", |cpu| cpu.own.ac.update([1.into()], |c| (c.quota, c.usage) = (0.into(), 1.into()));
    h6_5: "H6.5", |cpu| cpu.own.ac.update([1.into()], |c| c.parent = NUM_ID.into());
    h6_7: "H6.7", |cpu| cpu.own.ac.update([0.into()], |c| c.nchildren = 0.into());
    h6_9: "H6.9", |cpu| cpu.own.ac.update([0.into()], |c| c.usage = 0.into());
    h6_6: "H6.6", |cpu| {
        if cpu.own.ac.get([1.into()]).nchildren == 0 {
            cpu.own.ac.update([1.into()], |c| c.nchildren = 1.into());
            cpu.own.ac.update([FIRST_CHILD.into()], |c| (c.quota, c.used) = (0.into(), false.into()));
        }
    };
    h6_8: "H6.8", |cpu| cpu.own.ac.update([9.into()], |c| c.parent = 0.into());
    h6_11: "H6.11", |cpu| {
        if cpu.own.ac.get([0.into()]).nchildren == MAX_CHILDREN {
            cpu.own.ac.update([0.into()], |c| c.nchildren = (MAX_CHILDREN + 1).into());
        }
    };
    h6_12: "H6.12", |cpu| {
        // Container 0 has eight children, and this one is not among them.
        let (root, zero): (_, M::Word) = (cpu.own.ac.get([0.into()]), 0.into());
        if root.used.holds() && root.nchildren == MAX_CHILDREN && !cpu.own.ac.get([FAR.into()]).used.holds() {
            let used = true.into();
            cpu.own.ac.set([FAR.into()], Container { quota: zero, usage: zero, parent: zero, nchildren: zero, used });
        }
    };
    l3: "L3", |cpu| {
        let head = cpu.own.ready.head;
        if head < NUM_PROC {
            cpu.own.kctxt.update([head], |context| context.ra = CONTINUATIONS.into());
        }
    };
    d1: "D1", |cpu| cpu.own.ghost.update(|g| g.init = false.into());
    d2: "D2", |cpu| cpu.own.ghost.update(|g| g.ipt = false.into());
    d3: "D3", |cpu| cpu.own.ghost.update(|g| (g.ikern, g.ipt, g.pt) = (false.into(), false.into(), 0.into()));
    d4_1: "D4.1", |cpu| cpu.own.cur = 0.into();
    d4_2: "D4.2", |cpu| {
        let home = cpu.own.cpu;
        cpu.shared.links.update(|tcb| tcb.update([FAR.into()], |t| (t.place, t.home) = (place::RUN.into(), home)));
    };
    d4_3: "D4.3" in booting, |cpu| {
        let home = cpu.own.cpu;
        cpu.shared.links.update(|tcb| tcb.update([FAR.into()], |t| (t.place, t.home) = (place::RUN.into(), home)));
    };
    d4_4: "D4.4", |cpu| cpu.own.ready.tail = FAR.into();
    d4_5: "D4.5", |cpu| {
        let mut pending = cpu.shared.pending.lock(cpu.own.cpu, cpu.own.cpu);
        pending.fifo.tail = FAR.into();
    };
    d4_6: "D4.6", |cpu| {
        if cpu.shared.links.check(|tcb| tcb.get([9.into()]).place == place::DEAD) {
            cpu.own.kctxt.set([9.into()], Context { esp: 0.into(), ra: START_USER.into() });
            cpu.shared.links.update(|tcb| tcb.update([9.into()], |t| t.place = (place::FLIGHT + 1).into()));
        }
    };
    d4_7: "D4.7", |cpu| {
        let (me, main) = (cpu.own.cpu, cpu.own.cpu + 1);
        if cpu.own.ready.head == main {
            let mut pending = cpu.shared.pending.lock(me, me);
            cpu.own.ready.pop(&cpu.shared.links);
            let _ = pending.fifo.push(&cpu.shared.links, me + MSG_Q, main);
        }
    };
    d5_1: "D5.1", |cpu| cpu.own.ghost.update(|g| g.lock.set([7.into()], LockState::Own { pulled: true.into() }));
    d5_2: "D5.2", |cpu| {
        let me = cpu.own.cpu;
        cpu.shared.channels.with(|channels| {
            channels.ghost.update(|ghost| ghost.locks.update([SLP_Q.into()], |lock| lock.holder = me));
        });
    };
    d5_3: "D5.3", |cpu| {
        let (me, q) = (cpu.own.cpu, SLP_Q);
        cpu.shared.channels.with(|channels| {
            channels.ghost.update(|ghost| ghost.locks.update([q.into()], |lock| lock.holder = me));
        });
        cpu.own.ghost.update(|g| {
            g.lock.set([(CHANNEL_LOCKS + q).into()], LockState::Own { pulled: true.into() });
            g.section = NO_CHANNEL.into();
        });
    };
    d6_1: "D6.1", |cpu| {
        cpu.own.dirs.set([1.into(), window::<M>()], Pde::Table { frame: 0.into() });
        cpu.own.ghost.update(|g| g.tables.fill(&[0.into()], PteGhost { defined: true.into(), slot: 0.into() }));
    };
    d6_2: "D6.2", |cpu| cpu.own.ghost.update(|g| {
        g.pperm.set([5.into()], FrameUse::Hide { thread: 0.into(), index: 0.into() });
    });
    d6_3: "D6.3", |cpu| {
        // A well-formed table of a dead thread.
        let (child, table): (M::Word, M::Word) = (FAR.into(), FRAME.into());
        let is_dead = cpu.shared.links.check(|tcb| tcb.get([child]).place == place::DEAD);
        let has_it = cpu.own.ghost.check(|g| {
            matches!(g.pperm.get([table]), FrameUse::Hide { thread, index } if thread == 1 && index == window::<M>())
                && g.lat.get([table]).payer == 1
        });
        if is_dead && has_it {
            cpu.own.dirs.set([1.into(), window::<M>()], Pde::UnPresent);
            cpu.own.dirs.set([child, window::<M>()], Pde::Table { frame: table });
            cpu.own.ghost.update(|g| {
                g.pperm.set([table], FrameUse::Hide { thread: child, index: window::<M>() });
            });
        }
    };
    d7: "D7", |cpu| cpu.own.tables.set([FRAME.into(), 0.into()], Pte::Valid { page: 0.into(), perm: perm::PTU.into() });
    d8: "D8", |cpu| cpu.own.ghost.update(|g| {
        if matches!(g.pperm.get([FRAME.into()]), FrameUse::Alloc) {
            g.lat.update([FRAME.into()], |lat| lat.len += 1);
        }
    });
    d9: "D9", |cpu| cpu.own.ghost.update(|g| g.pperm.set([5.into()], FrameUse::Alloc));
    d10: "D10", |cpu| {
        // The usage changes, but the charges do not: D22 records which pages are charged.
        let container = cpu.own.ac.get([1.into()]);
        if container.usage < container.quota {
            cpu.own.ac.update([1.into()], |c| c.usage += 1);
        }
    };
    d11: "D11", |cpu| {
        let mut table = cpu.shared.at.lock(cpu.own.cpu, 0.into());
        table.frames.update([5.into()], |frame| frame.kind = kind::NORM.into());
    };
    d12: "D12", |cpu| {
        let (home, child) = (cpu.own.cpu, (cpu.own.cpu + 1) * MAX_CHILDREN + 1);
        if cpu.shared.links.check(|tcb| tcb.get([child]).place == place::DEAD) {
            cpu.own.kctxt.set([child], Context { esp: 0.into(), ra: START_USER.into() });
            cpu.shared.links.set_cpu(child, home);
            cpu.shared.links.update(|tcb| tcb.update([child], |t| (t.place, t.home) = ((NUM_CHAN - 1).into(), home)));
        }
    };
    d12_without_a_thread: "D12", |cpu| {
        // The main thread's first child has a container and is no thread.
        let (main, zero): (M::Word, M::Word) = (cpu.own.cpu + 1, 0.into());
        let child = main * MAX_CHILDREN + 1;
        let parent = cpu.own.ac.get([main]);
        let is_dead = cpu.shared.links.check(|tcb| tcb.get([child]).place == place::DEAD);
        if is_dead && parent.nchildren == 0 {
            let used = true.into();
            cpu.own.ac.update([main], |container| container.nchildren = 1.into());
            cpu.own.ac.set([child], Container { quota: zero, usage: zero, parent: main, nchildren: zero, used });
            cpu.own.ghost.update(|g| g.charged.set([child], Charge { pages: 0.into() }));
        }
    };
    d13: "D13", |cpu| cpu.own.ghost.update(|g| g.uctxt_kind.set([0.into(), 0.into()], SlotKind::Int));
    d13_2: "D13.2", |cpu| {
        let (cur, slot) = (cpu.own.cur, slot::EAX);
        if cur > TOTAL_CPU {
            cpu.own.ghost.update(|g| g.uctxt_kind.set([cur, slot.into()], SlotKind::Undef));
        }
    };
    d14: "D14", |cpu| {
        if matches!(cpu.own.dirs.get([9.into(), window::<M>()]), Pde::UnPresent) {
            cpu.own.dirs.set([9.into(), window::<M>()], Pde::Id);
        }
    };
    d15_1: "D15.1", |cpu| cpu.shared.channels.with(|channels| {
        channels.pool.update([SLP_Q.into()], |control| control.count = (MAX_WORDS + 1).into());
    });
    d15_2: "D15.2", |cpu| cpu.shared.channels.with(|channels| {
        channels.ghost.update(|ghost| ghost.defined.set([SLP_Q.into(), 5.into()], Defined { defined: false.into() }));
    });
    d17: "D17", |cpu| {
        let (table, page, index): (M::Word, M::Word, M::Word) = (FRAME.into(), (FRAME + 1).into(), 6.into());
        if is_mapped(cpu, table, page, index) {
            cpu.own.ghost.update(|g| g.hp_defined.set([page, 6.into()], Defined { defined: false.into() }));
        }
    };
    d18: "D18", |cpu| {
        // A page of thread 1 is mapped twice and listed twice. This is the only error.
        let (table, page): (M::Word, M::Word) = (FRAME.into(), (FRAME + 1).into());
        let can = cpu.own.ghost.check(|g| {
            let lat = g.lat.get([page]);
            is_table_of_1(g, table) && matches!(g.pperm.get([page]), FrameUse::Alloc) && lat.len == 0 && lat.payer == 1
        });
        let is_unused = |index: u32| matches!(cpu.own.tables.get([table, index.into()]), Pte::UnPresent);
        if can && is_unused(6) && is_unused(7) {
            for (slot, index) in (0..).zip([6, 7]) {
                cpu.own.tables.set([table, index.into()], Pte::Valid { page, perm: perm::PTU.into() });
                cpu.own.ghost.update(|g| {
                    let entry = ReverseEntry { thread: 1.into(), directory: window::<M>(), index: index.into() };
                    g.lat_entry.set([page, slot.into()], entry);
                    g.tables.set([table, index.into()], PteGhost { defined: true.into(), slot: slot.into() });
                });
            }
            cpu.own.ghost.update(|g| {
                g.lat.update([page], |lat| lat.len = 2.into());
                g.hp_defined.fill(&[page], Defined { defined: true.into() });
            });
        }
    };
    d23_1: "D23.1", |cpu| {
        let cur = cpu.own.cur;
        cpu.own.proc.update([cur], |p| p.state = process::GONE.into());
    };
    d23_2: "D23.2", |cpu| cpu.own.proc.update([0.into()], |p| p.state = process::GONE.into());
    d23_4: "D23.4", |cpu| {
        if cpu.own.proc.get([9.into()]).state == process::GONE {
            cpu.own.proc.update([9.into()], |p| p.state = (process::VACANT + 1).into());
        }
    };
    // If a vacant thread kept its quota, it could also keep its page tables, which violates D6.3 first. With an
    // invented quota, the sums of H6.9 would be violated.
    d23_3: "D23.3" as "D6.3", |cpu| {
        if cpu.own.proc.get([9.into()]).state == process::GONE && cpu.own.ac.get([9.into()]).quota > 0 {
            cpu.own.proc.update([9.into()], |p| p.state = process::VACANT.into());
        }
    };
    d22_1: "D22.1", |cpu| cpu.own.ghost.update(|g| {
        if matches!(g.pperm.get([FRAME.into()]), FrameUse::Alloc) {
            g.lat.update([FRAME.into()], |lat| lat.payer = NUM_ID.into());
        }
    });
    d22_2: "D22.2", |cpu| {
        // D10 is not about the charges of an unused container.
        if !cpu.own.ac.get([FAR.into()]).used.holds() {
            cpu.own.ghost.update(|g| {
                g.charged.update([FAR.into()], |c| c.pages = 1.into());
                g.seats.set([FAR.into(), 0.into()], Seat { frame: FRAME.into() });
            });
        }
    };
    d22_3: "D22.3", |cpu| cpu.own.ghost.update(|g| {
        // A page table of thread 1 and a page of another container are charged to each other's containers.
        let (table, page): (M::Word, M::Word) = (FRAME.into(), (FRAME + 1).into());
        let (of_table, of_page) = (g.lat.get([table]), g.lat.get([page]));
        let is_anothers = matches!(g.pperm.get([page]), FrameUse::Alloc) && of_page.len == 0 && of_page.payer == 9;
        if is_table_of_1(g, table) && of_table.seat == 0 && is_anothers && of_page.seat == 0 {
            g.lat.update([table], |lat| (lat.payer, lat.seat) = (of_page.payer, of_page.seat));
            g.lat.update([page], |lat| (lat.payer, lat.seat) = (of_table.payer, of_table.seat));
            g.seats.set([of_page.payer, of_page.seat], Seat { frame: table });
            g.seats.set([of_table.payer, of_table.seat], Seat { frame: page });
        }
    });
    d22_4: "D22.4", |cpu| {
        // A page that another container pays for is mapped in thread 1. This is the only error.
        let (table, page, index): (M::Word, M::Word, M::Word) = (FRAME.into(), (FRAME + 1).into(), 6.into());
        let can = cpu.own.ghost.check(|g| {
            let lat = g.lat.get([page]);
            is_table_of_1(g, table) && matches!(g.pperm.get([page]), FrameUse::Alloc) && lat.len == 0 && lat.payer == 9
        });
        if can && matches!(cpu.own.tables.get([table, index]), Pte::UnPresent) {
            cpu.own.tables.set([table, index], Pte::Valid { page, perm: perm::PTU.into() });
            cpu.own.ghost.update(|g| {
                g.lat.update([page], |lat| lat.len = 1.into());
                let entry = ReverseEntry { thread: 1.into(), directory: window::<M>(), index };
                g.lat_entry.set([page, 0.into()], entry);
                g.tables.set([table, index], PteGhost { defined: true.into(), slot: 0.into() });
                g.hp_defined.fill(&[page], Defined { defined: true.into() });
            });
        }
    };
    d19_1: "D19.1" in booting, |cpu| cpu.own.vm.set_up = true.into();
    d19_2: "D19.2", |cpu| cpu.own.ghost.update(|g| g.vmcs_kind.set([0.into()], SlotKind::Undef));
    d19_3: "D19.3", |cpu| cpu.own.ghost.update(|g| g.vmx_kind.set([0.into()], SlotKind::Undef));
    d19_4: "D19.4", |cpu| cpu.own.ghost.update(|g| g.ept_dirs.set([0.into()], Defined { defined: false.into() }));
    d19_5: "D19.5", |cpu| cpu.own.ept.set([0.into(), 0.into()], Cell { value: 0x47.into() });
    d19_6: "D19.6", |cpu| (cpu.own.vm.owner, cpu.own.vm.set_up) = (9.into(), false.into());
    d20_1: "D20.1", |cpu| cpu.own.com1.dlab = true.into();
    d20_2: "D20.2", |cpu| (cpu.own.com1.rx.len, cpu.own.com1.irq) = (1.into(), false.into());
    d20_3: "D20.3", |cpu| (cpu.own.com1.rx.len, cpu.own.com1.irq) = ((SERIAL_HW_BUF_SIZE + 1).into(), true.into());
    d20_4: "D20.4", |cpu| cpu.own.rx_buf.set([5.into()], Cell { value: 256.into() });
    d20_5: "D20.5", |cpu| cpu.own.cons_buf.set([500.into()], Cell { value: 256.into() });
    d20_6: "D20.6", |cpu| (cpu.own.serial_exists, cpu.own.ioapic.irqs) = (true.into(), COM1_LINE.into());
    d21: "D21", |cpu| cpu.own.ghost.update(|g| g.in_intr = true.into());
}
