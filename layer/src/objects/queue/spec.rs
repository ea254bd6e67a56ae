//! The specification of the thread queues: facts.
use crate::core::machine::{Object, Spec};
use crate::objects::queue::fifo_fact;
use crate::spec::fact::{Class, Fact};

/// The facts about queues and the threads in them.
pub(crate) fn facts<M: Spec>() -> [Fact<M>; 3] {
    [
        Fact {
            number: "D4.4",
            name: "the ready queue is a queue",
            class: Class::Derived,
            keys: &[("tcb", &[0])],
            holds: |v, k| fifo_fact(&v.own.ready, v.ready_id(), v.threads, k[0]),
        },
        Fact {
            number: "D4.5",
            name: "the pending queue is a queue",
            class: Class::Derived,
            keys: &[("tcb", &[0])],
            holds: |v, k| v.pending.lock_invariant(v.own.cpu, v.threads, k),
        },
        Fact {
            number: "D4.6",
            name: "threads are where they can be",
            class: Class::Derived,
            keys: &[("tcb", &[0])],
            holds: |v, k| v.threads.lock_invariant(k[0]),
        },
    ]
}
