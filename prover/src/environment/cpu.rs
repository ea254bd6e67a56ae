//! Running code of the layer on a symbolic CPU.
use crate::environment::interference::Interference;
use crate::environment::lock::{SymChannels, SymLock};
use crate::state::parts::State;
use crate::state::sym::{Sym, SymLinks};
use layer::core::geometry::Geometry;
use layer::core::machine::ChannelPool;
use layer::core::state::{Cpu, Shared};
use std::cell::RefCell;
use std::rc::Rc;
use symbolic::mutation::running;
use symbolic::word::SymWord;

impl<G: Geometry> State<G> {
    /// Runs `call` on a CPU in this state. Returns its result and the final state.
    pub fn run<R>(
        &self,
        interference: &Rc<Interference<G>>,
        call: impl FnOnce(&mut Cpu<'_, Sym<G>>) -> R,
    ) -> (R, State<G>) {
        let start = self.snapshot();
        let at = Rc::new(RefCell::new(start.at));
        let shared = Shared {
            at: SymLock::new(SymWord::from(0), at, interference.clone()),
            pending: SymLock::new(self.own.cpu, interference.pending.clone(), interference.clone()),
            sleep: SymLock::elsewhere(interference.clone()),
            channels: SymChannels(interference.clone()),
            links: SymLinks(interference.threads.now.clone()),
            boot: self.boot,
        };
        let mut cpu = Cpu { own: start.own, shared: &shared };
        let result = running(true, || call(&mut cpu));
        let after = State::of(&cpu, self.current_cpu);
        (result, after)
    }

    /// The current state of `cpu`.
    pub fn of(cpu: &Cpu<'_, Sym<G>>, current_cpu: SymWord) -> State<G> {
        State {
            own: cpu.own.snapshot(),
            at: cpu.shared.at.left(),
            pending: cpu.shared.pending.left(),
            channels: cpu.shared.channels.with(|channels| channels.snapshot()),
            threads: cpu.shared.links.0.borrow().snapshot(),
            boot: cpu.shared.boot,
            current_cpu,
        }
    }
}
