//! Completing a model of the solver to a whole state, with boot values where possible.
mod cells;
mod model;
mod strategy;
mod witness;

use crate::counterexample::call::HostedCall;
use cells::at_boot;
use domain::Field;
use layer::core::constants::{KERN_LOW, MAX_CHILDREN, MAX_PAGE};
use layer::core::fields::Frames;
use model::{Completion, Leaf};
use rustc_hash::FxHashSet;
use sim::counterexample::witness::Witness;
use sim::machine::Sim;
use sim::state::snapshot::Snapshot;
use smt::solver::Verdict;
use smt::term::{FRESH, Node, Term};
use std::collections::BTreeMap;
use std::iter;
use strategy::likely;
use symbolic::counterexample::Unconfirmed;
use symbolic::engine::engine;

pub(super) use model::Words;
pub(super) use strategy::Strategy;

/// The time limit for finding a state, in milliseconds.
const PATIENCE: u32 = 4_000;
/// The time limit for one preferred value, in milliseconds. Most take few milliseconds.
const WISH: u32 = 1_000;
/// The reason if the solver does not answer the last query.
const UNDECIDED: &str = "the solver cannot decide whether a state satisfies every fact";

/// Completes the asserted facts to a state, with the search strategy `strategy`. Keeps the choices in `last` where
/// possible, and replaces them by its own. `words` becomes the unknown words by which the state's maps are read.
pub(super) fn complete_model(
    hosted: &HostedCall,
    strategy: Strategy,
    last: &mut Vec<(Term, i128)>,
    words: &mut Words,
) -> Result<Witness, Unconfirmed> {
    engine(|e| Completion { e, hosted, strategy, last, kept: FxHashSet::default(), words }.complete())
}

impl Completion<'_> {
    fn complete(mut self) -> Result<Witness, Unconfirmed> {
        // Finding a state is worth more time than a preferred value.
        self.e.solver.limit(PATIENCE);
        match self.e.check_raw(&[]) {
            Verdict::Sat => self.e.solver.limit(WISH),
            Verdict::Unsat => return Err(Unconfirmed::NoState),
            Verdict::Unknown => return Err(Unconfirmed::Incomplete(UNDECIDED.to_string())),
        }
        let mut witness = self.machine();
        self.keep();
        let boot = witness.boot_state().or_else(|_| {
            witness.booted = false;
            witness.boot_state()
        });
        let boot = boot.map_err(|error| error.to_string())?;
        self.scalars(&boot);
        let leaves = self.cells(&boot);
        self.read(&mut witness, &boot, &leaves)?;
        for leaf in leaves {
            let Node::App(_, _, key) = self.e.arena.node(leaf.term).clone() else { continue };
            for (word, value) in key.into_iter().zip(leaf.key) {
                let terms = self.words.entry(value).or_default();
                if self.e.arena.as_number(word).is_none() && !terms.contains(&word) {
                    terms.push(word);
                }
            }
        }
        Ok(witness)
    }

    /// Keeps the values of the round before, unless the new facts forbid them. Otherwise each round could find another
    /// state that violates the same facts at other keys.
    fn keep(&mut self) {
        let last = std::mem::take(self.last);
        // Scalars come before cells. Otherwise a scalar might have to change because of a cell's old value.
        for variables in [true, false] {
            let of_kind = last.iter().filter(|(term, _)| self.is_variable(*term) == variables).copied();
            let of_kind: Vec<(Term, i128)> = of_kind.collect();
            let wishes: Vec<Term> = of_kind.into_iter().filter_map(|(term, value)| self.equals(term, value)).collect();
            self.prefer(wishes);
        }
        for (term, value) in last {
            if self.value(term) == value {
                self.kept.insert(term);
            }
        }
    }

    /// Chooses the machine and its CPU: CPU 0 with 2 GiB of memory if possible. Its free frames begin with those that
    /// the path finds.
    fn machine(&mut self) -> Witness {
        let mut witness = Witness::boot(0);
        let likes = [
            ("CPU_ID", 0),
            ("init", 1),
            ("vmx.set_up", 0),
            ("boot.nps", witness.memory.frames.into()),
            ("boot.norm", witness.norm.into()),
        ];
        for (name, value) in likes {
            let Some(term) = self.known(name) else { continue };
            let wish = self.equals(term, value);
            self.prefer(wish.into_iter().collect());
            self.fix(&[term]);
            let value = self.value(term);
            let word = u32::try_from(value).unwrap_or(u32::MAX);
            match name {
                "CPU_ID" => witness.cpu = word,
                "init" => witness.booted = value != 0,
                "vmx.set_up" => witness.set_up = value != 0,
                "boot.nps" => witness.memory.frames = word,
                _ => witness.norm = word,
            }
        }
        let searches: Vec<Option<Term>> =
            self.e.path.searches.iter().filter(|s| s.0 == <Frames as Field<Sim>>::NAME).map(|s| s.1).collect();
        let mut found = Vec::new();
        for place in searches.iter().flatten() {
            let wish = self.equals(*place, i128::from(KERN_LOW) + found.len() as i128);
            self.prefer(wish.into_iter().collect());
            self.fix(&[*place]);
            found.push(u32::try_from(self.value(*place)).unwrap_or(MAX_PAGE));
        }
        found.sort_unstable();
        let all = 0..witness.memory.frames;
        witness.memory.usable = match (searches.last(), found.first()) {
            // No free frame was left.
            (Some(None), _) => found.iter().map(|&frame| frame..frame + 1).collect(),
            (_, Some(&first)) if first > KERN_LOW => {
                let last = found[found.len() - 1];
                found.iter().map(|&frame| frame..frame + 1).chain(iter::once(last..all.end.max(last + 1))).collect()
            }
            _ => vec![all],
        };
        witness
    }

    /// Tries the values in `likes` for each leaf, one after the other, and fixes the result.
    fn lead(&mut self, leaves: &[Leaf], likes: impl Fn(&Leaf) -> Vec<i128>) {
        // The same values before and after interference, unless the path needs a change.
        let mut groups: BTreeMap<(&str, &[i128]), Vec<&Leaf>> = BTreeMap::new();
        for leaf in leaves {
            groups.entry((&leaf.name, &leaf.key)).or_default().push(leaf);
        }
        let mut same = Vec::new();
        for group in groups.values_mut() {
            group.sort_by_key(|leaf| leaf.version);
            for pair in group.windows(2) {
                same.push(self.e.arena.eq(pair[0].term, pair[1].term));
            }
        }
        self.prefer(same);
        let likes: Vec<Vec<i128>> = leaves.iter().map(likes).collect();
        for choice in 0..likes.iter().map(Vec::len).max().unwrap_or(0) {
            let mut wishes = Vec::new();
            for (leaf, likes) in leaves.iter().zip(&likes) {
                let value = self.value(leaf.term);
                if self.kept.contains(&leaf.term) || likes[..choice.min(likes.len())].contains(&value) {
                    continue;
                }
                if let Some(&like) = likes.get(choice) {
                    wishes.extend(self.equals(leaf.term, like));
                }
            }
            self.prefer(wishes);
        }
        let terms: Vec<Term> = leaves.iter().map(|leaf| leaf.term).collect();
        self.fix(&terms);
        for &term in &terms {
            let value = self.value(term);
            self.last.push((term, value));
        }
    }

    /// Chooses scalars: boot values, and 0 for arguments, where possible.
    fn scalars(&mut self, boot: &Snapshot) {
        let there = boot.scalars();
        let (strategy, cur) = (self.strategy, i128::from(boot.own.cur));
        let leaves: Vec<Leaf> = self.leaves(true).into_iter().map(|term| self.leaf(term)).collect();
        self.lead(&leaves, |leaf| match there.get(&leaf.name) {
            Some(&value) => [value.into()].into_iter().chain(likely(strategy, &leaf.name, cur)).collect(),
            // A thread or container is the running one.
            None if ["n", "i", "child"].contains(&&*leaf.name) => vec![cur, 0, cur * i128::from(MAX_CHILDREN) + 1],
            None if leaf.name.starts_with("machine.") => vec![0],
            // A key of a clause is a frame if possible, or a thread.
            None if leaf.name.contains(FRESH) => {
                likely(strategy, "page", cur).chain([cur, 0]).chain(likely(strategy, "thread", cur)).collect()
            }
            None => [0, cur].into_iter().chain(likely(strategy, &leaf.name, cur)).collect(),
        });
    }

    /// Chooses cells: boot values where possible. Cells with known keys come first.
    fn cells(&mut self, boot: &Snapshot) -> Vec<Leaf> {
        let strategy = self.strategy;
        let mut rest = self.leaves(false);
        let mut fixed: FxHashSet<Term> = FxHashSet::default();
        let mut all = Vec::new();
        while !rest.is_empty() {
            let (ready, later): (Vec<Term>, Vec<Term>) = rest.into_iter().partition(|&term| {
                let Node::App(_, _, key) = self.e.arena.node(term).clone() else { return true };
                key.into_iter().all(|word| {
                    let cells = self.e.arena.cells(word);
                    cells.iter().all(|cell| matches!(self.e.arena.node(*cell), Node::Var(..)) || fixed.contains(cell))
                })
            });
            if ready.is_empty() {
                break;
            }
            let leaves: Vec<Leaf> = ready.iter().map(|&term| self.leaf(term)).collect();
            self.lead(&leaves, |leaf| {
                let others = likely(strategy, &leaf.name, boot.own.cur.into());
                [at_boot(boot, leaf).unwrap_or(0)].into_iter().chain(others).chain([boot.own.cpu.into()]).collect()
            });
            fixed.extend(ready);
            all.extend(leaves);
            rest = later;
        }
        all
    }
}
