//! The state as facts and contracts read it.
use crate::core::constants::TOTAL_CPU;
use crate::core::fields::place;
use crate::core::machine::Spec;
use crate::core::state::{Boot, Own, OwnGhost};
use crate::objects::channel::pool::Channels;
use crate::objects::page_alloc::table::AllocTable;
use crate::objects::queue::{Queue, Threads};
use domain::Map;

/// All state that a fact can read, as plain references.
pub struct View<'a, M: Spec> {
    /// The CPU's own state.
    pub own: &'a Own<M>,
    /// The CPU's ghost state.
    pub ghost: &'a OwnGhost<M>,
    /// The allocation table.
    pub at: &'a AllocTable<M>,
    /// The CPU's own pending queue.
    pub pending: &'a Queue<M>,
    /// The channels.
    pub channels: &'a Channels<M>,
    /// Links and ghost state of the threads.
    pub threads: &'a Threads<M>,
    /// Constants fixed at boot.
    pub boot: &'a Boot<M>,
    /// `current_CPU_ID`.
    pub current_cpu: M::Word,
}

impl<M: Spec> View<'_, M> {
    /// The id of this CPU's ready queue (`rdy_q_id`).
    pub fn ready_id(&self) -> M::Word {
        self.own.cpu
    }

    /// The thread is alive and belongs to this CPU.
    pub fn is_mine(&self, thread: M::Word) -> bool {
        let tcb = self.threads.tcb.get([thread]);
        tcb.place != place::DEAD && tcb.home == self.own.cpu
    }

    /// The thread is this CPU's main thread, or its number is above those of the main threads.
    pub fn is_local(&self, thread: M::Word) -> bool {
        thread > TOTAL_CPU || thread == self.own.cpu + 1
    }
}
