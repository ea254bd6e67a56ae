//! The subject of a proof, as it runs on the hosted machine.
use crate::facts::assumed::Assumed;
use crate::facts::invariant_set::InvariantSet;
use layer::catalogue::Primitive;
use layer::core::call::Chunk;
use layer::spec::contract::Contract;
use sim::counterexample::call::Subject;
use sim::counterexample::entry::Entry;
use sim::counterexample::outcome::{Ending, Refused};
use sim::counterexample::witness::Witness;
use sim::machine::Sim;
use std::rc::Rc;
use syscall::next::Parent;
use syscall::table::KernelEntry;

/// The subject of a proof, as it runs on the hosted machine.
pub(crate) struct HostedCall {
    pub called: Callee,
    pub invariants: InvariantSet,
    /// The facts of the start state.
    pub start: Rc<Assumed>,
}

/// The code that is called.
#[derive(Clone, Copy)]
pub(crate) enum Callee {
    /// A primitive.
    Primitive { primitive: Primitive, contract: Contract<Sim>, chunk: Chunk },
    /// An entry of the kernel.
    Entry { row: KernelEntry<Sim>, parent: Parent },
}

impl HostedCall {
    /// Runs the call from the state of `witness`.
    pub fn call(&self, witness: &Witness) -> Result<Ending, Refused> {
        match &self.called {
            Callee::Primitive { primitive, contract, .. } => {
                Subject { primitive, contract, facts: self.invariants.most() }.call(witness)
            }
            Callee::Entry { row, .. } => Entry { row }.enter(witness),
        }
    }

    /// The argument that is fixed on all paths, unless it is 0.
    pub fn given(&self) -> Option<(&'static str, u64)> {
        match self.called {
            Callee::Primitive { chunk, .. } if chunk != Chunk::One => Some(("chunk", chunk as u64)),
            Callee::Entry { parent: Parent::Main, .. } => Some(("parent", 1)),
            _ => None,
        }
    }
}
