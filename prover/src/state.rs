//! A symbolic state: what a proof starts from, and what it ends in.
use crate::engine::engine;
use crate::machine::{Moves, Sym, SymLinks, SymLock, unknown_object};
use crate::map::Origin;
use crate::term::Range;
use crate::word::{SymFlag, SymNat, SymWide, SymWord};
use domain::{Geometry, Home};
use layer::fields::*;
use layer::invariant::View;
use layer::machine::{Machine, Spec};
use layer::page_alloc::AllocTable;
use layer::queue::{Fifo, Queue, Span, Threads};
use layer::state::{Boot, Console, Cpu, IoApic, Own, OwnGhost, Shared, TrapInfo};
use std::rc::Rc;

/// Every part of the state that one CPU sees.
pub(crate) struct State<G: Geometry> {
    pub own: Own<Sym<G>>,
    pub at: AllocTable<Sym<G>>,
    pub pending: Queue<Sym<G>>,
    pub threads: Threads<Sym<G>>,
    pub boot: Boot<Sym<G>>,
    pub current_cpu: SymWord,
}

fn word(name: &str) -> SymWord {
    SymWord(engine(|e| e.arena.var(name, Range::WORD)))
}

fn wide(name: &str) -> SymWide {
    SymWide(engine(|e| e.arena.var(name, Range::WIDE)))
}

fn nat(name: &str) -> SymNat {
    SymNat(engine(|e| e.arena.var(name, Range::Nat)))
}

fn flag(name: &str) -> SymFlag {
    SymFlag(engine(|e| e.arena.var(name, Range::Bool)))
}

const NOW: Origin = Origin { version: 0 };

fn home<G: Geometry, F: domain::Field<Sym<G>>>() -> <Sym<G> as Home<F>>::Map {
    <Sym<G> as Home<F>>::home(NOW)
}

fn boot<G: Geometry>() -> Boot<Sym<G>> {
    Boot { nps: word("boot.nps"), norm: word("boot.norm") }
}

fn io_apic<G: Geometry>() -> IoApic<Sym<G>> {
    IoApic {
        max_intr: word("ioapic.max_intr"),
        irqs: word("ioapic.irqs"),
        enables: word("ioapic.enables"),
        init: flag("ioapic.init"),
    }
}

impl<G: Geometry> State<G> {
    /// A state of which nothing is known.
    pub fn unknown() -> State<G> {
        let own = Own {
            cpu: word("CPU_ID"),
            cur: word("cid"),
            nps: word("nps"),
            intr_flag: flag("intr_flag"),
            ti: TrapInfo { addr: wide("ti.addr"), ra: wide("ti.ra") },
            console: Console { len: word("console.len"), rpos: word("console.rpos") },
            ioapic: io_apic(),
            ac: home::<G, Containers>(),
            dirs: home::<G, Directories>(),
            tables: home::<G, PageTables>(),
            hp: home::<G, PhysicalMemory>(),
            kctxt: home::<G, KernelContexts>(),
            uctxt: home::<G, UserContexts>(),
            vmxinfo: home::<G, VmxInfo>(),
            lines: home::<G, IoApicLines>(),
            ready: Fifo {
                head: word("rdy.head"),
                tail: word("rdy.tail"),
                span: Sym::<G>::ghost(|| Span { lo: nat("rdy.lo"), hi: nat("rdy.hi") }),
            },
            log: Sym::<G>::log(NOW),
            ghost: Sym::<G>::ghost(|| OwnGhost {
                pg: flag("pg"),
                ikern: flag("ikern"),
                ihost: flag("ihost"),
                ipt: flag("ipt"),
                init: flag("init"),
                in_intr: flag("in_intr"),
                pt: word("PT"),
                ..OwnGhost::homes(NOW)
            }),
        };
        State {
            own,
            at: unknown_object(NOW),
            pending: unknown_object(NOW),
            threads: Threads::homes(NOW),
            boot: boot(),
            current_cpu: word("current_CPU_ID"),
        }
    }

    /// The state of a CPU before `sched_init`, and the shared objects as they were built (`init_adt`).
    pub fn initial() -> State<G> {
        let cpu = word("current_CPU_ID");
        let boot = boot::<G>();
        State {
            own: Own::init_adt(NOW, cpu, io_apic()),
            at: AllocTable::boot(NOW, boot.nps),
            pending: layer::machine::Object::new(NOW),
            threads: Threads::boot(NOW),
            boot,
            current_cpu: cpu,
        }
    }

    /// The state as the facts read it.
    pub fn view(&self) -> View<'_, Sym<G>> {
        View {
            own: &self.own,
            ghost: Sym::<G>::present(&self.own.ghost),
            at: &self.at,
            pending: &self.pending,
            threads: &self.threads,
            boot: &self.boot,
            current_cpu: self.current_cpu,
        }
    }

    /// A copy of the state.
    pub fn snapshot(&self) -> State<G> {
        State {
            own: self.own.snapshot(),
            at: layer::machine::Object::snapshot(&self.at),
            pending: layer::machine::Object::snapshot(&self.pending),
            threads: self.threads.snapshot(),
            boot: self.boot,
            current_cpu: self.current_cpu,
        }
    }

    /// Lets `call` work on a CPU in this state, and gives its result with the state that it leaves.
    pub fn run<R>(&self, moves: &Rc<Moves<G>>, call: impl FnOnce(&mut Cpu<'_, Sym<G>>) -> R) -> (R, State<G>) {
        let start = self.snapshot();
        let shared = Shared {
            at: SymLock::new(SymWord::from(0), start.at, moves.clone()),
            pending: SymLock::new(self.own.cpu, start.pending, moves.clone()),
            links: SymLinks(moves.now.clone()),
            boot: self.boot,
        };
        let mut cpu = Cpu { own: start.own, shared: &shared };
        let result = call(&mut cpu);
        let own = cpu.own;
        let threads = moves.now.borrow().snapshot();
        let (at, pending) = (shared.at.left(), shared.pending.left());
        (result, State { own, at, pending, threads, boot: self.boot, current_cpu: self.current_cpu })
    }
}
