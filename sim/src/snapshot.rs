//! Copies of a machine's state, to compare what was with what is and to go back to it.
use crate::machine::Sim;
use domain::Present;
use layer::page_alloc::{AllocGhost, AllocTable};
use layer::queue::{Fifo, Queue, Threads};
use layer::state::{Cpu, Own, OwnGhost};

/// What one CPU owns and what it shares, at a moment between two primitives. Logs are remembered by their length:
/// nothing but a return to the moment takes an event out of one.
pub struct Snapshot {
    /// What the CPU owns.
    pub own: Own<Sim>,
    /// The allocation table.
    pub at: AllocTable<Sim>,
    /// The pending queues.
    pub pending: Vec<Queue<Sim>>,
    /// Links and ghost state of the threads.
    pub threads: Threads<Sim>,
    /// Events in the logs of what the CPU owns, of the table and of the queues.
    events: Vec<usize>,
}

impl Snapshot {
    /// The state of this CPU and of what it shares.
    pub fn take(cpu: &Cpu<'_, Sim>) -> Self {
        let at = cpu.shared.at.inspect(0);
        let mut events = vec![cpu.own.log.0.len(), at.log.0.len()];
        let pending = (0..cpu.shared.pending.len()).map(|row| {
            let queue = cpu.shared.pending.inspect(row);
            events.push(queue.log.0.len());
            Queue { fifo: fifo(&queue.fifo), log: Default::default() }
        });
        let pending = pending.collect();
        let threads = cpu.shared.links.inspect();
        Snapshot {
            own: own(&cpu.own),
            at: table(&at),
            pending,
            threads: Threads { next: threads.next.clone(), tcb: threads.tcb.clone() },
            events,
        }
    }

    /// Makes the CPU and what it shares as they were.
    pub fn restore(self, cpu: &mut Cpu<'_, Sim>) {
        let Snapshot { own, at, pending, threads, events } = self;
        let mut events = events.into_iter();
        let mut cut = |mut log: crate::log::Kept| {
            log.0.truncate(events.next().unwrap_or_default());
            log
        };
        let log = cut(std::mem::take(&mut cpu.own.log));
        cpu.own = Own { log, ..own };
        let mut table = cpu.shared.at.inspect(0);
        let log = cut(std::mem::take(&mut table.log));
        *table = AllocTable { log, ..at };
        for (row, queue) in (0..).zip(pending) {
            let mut now = cpu.shared.pending.inspect(row);
            let log = cut(std::mem::take(&mut now.log));
            *now = Queue { log, ..queue };
        }
        *cpu.shared.links.inspect() = threads;
    }
}

fn fifo(of: &Fifo<Sim>) -> Fifo<Sim> {
    Fifo { head: of.head, tail: of.tail, span: of.span.clone() }
}

fn table(of: &AllocTable<Sim>) -> AllocTable<Sim> {
    AllocTable {
        frames: of.frames.clone(),
        cursor: of.cursor,
        owner: Present(AllocGhost { owners: of.owner.0.owners.clone() }),
        log: Default::default(),
    }
}

fn own(of: &Own<Sim>) -> Own<Sim> {
    let ghost = &of.ghost.0;
    Own {
        ac: of.ac.clone(),
        dirs: of.dirs.clone(),
        tables: of.tables.clone(),
        hp: of.hp.clone(),
        kctxt: of.kctxt.clone(),
        uctxt: of.uctxt.clone(),
        vmxinfo: of.vmxinfo.clone(),
        lines: of.lines.clone(),
        ready: fifo(&of.ready),
        log: Default::default(),
        ghost: Present(OwnGhost {
            pperm: ghost.pperm.clone(),
            lat: ghost.lat.clone(),
            lat_entry: ghost.lat_entry.clone(),
            dirs_defined: ghost.dirs_defined.clone(),
            tables: ghost.tables.clone(),
            idpde: ghost.idpde.clone(),
            hp_defined: ghost.hp_defined.clone(),
            uctxt_kind: ghost.uctxt_kind.clone(),
            charged: ghost.charged.clone(),
            smspool: ghost.smspool.clone(),
            ..*ghost
        }),
        ..*of
    }
}
