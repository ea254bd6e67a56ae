//! Completing a model of the solver to a whole state, with boot values where possible.
use crate::counterexample::call::HostedCall;
use crate::state::record::{Answers, Locks, MachineAnswer};
use domain::Field;
use layer::core::constants::{KERN_LOW, MAX_CHILDREN, MAX_PAGE, NUM_CHAN};
use layer::core::fields::{Frames, PhysicalMemory, bounds};
use layer::objects::queue::{Family, Sleeping};
use rustc_hash::FxHashSet;
use sim::counterexample::answers::BYTES;
use sim::counterexample::witness::Witness;
use sim::machine::Sim;
use sim::state::snapshot::Snapshot;
use sim::state::values::{Cell, OTHER_PENDING, Values};
use smt::solver::Verdict;
use smt::term::{FRESH, Node, Term};
use std::collections::BTreeMap;
use std::iter;
use symbolic::counterexample::Unconfirmed;
use symbolic::engine::{Engine, engine};

/// The time limit for finding a state, in milliseconds.
const PATIENCE: u32 = 4_000;
/// The time limit for one preferred value, in milliseconds. Most take few milliseconds.
const WISH: u32 = 1_000;
/// If this many keys of a row are known, and all have one value, the whole row gets that value.
const MANY: usize = 8;

/// The reason if the solver does not answer the last query.
const UNDECIDED: &str = "the solver does not know whether a state satisfies every fact";

/// A search strategy: the values to try where boot values are impossible. One may succeed where another one never ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    /// Live threads sleep.
    Asleep,
    /// Live threads may be in queues.
    Queued,
    /// As `Asleep`, but without keeping earlier choices.
    Forgetful,
}

impl Strategy {
    pub const ALL: [Strategy; 3] = [Strategy::Asleep, Strategy::Queued, Strategy::Forgetful];
}

/// The unknown words by which maps are read, by their values in a model.
pub(super) type Words = BTreeMap<i128, Vec<Term>>;

/// A model that is completed to a state.
struct Completion<'e> {
    e: &'e mut Engine,
    hosted: &'e HostedCall,
    strategy: Strategy,
    /// The values of the leaves in the round before, in the order in which they were fixed.
    last: &'e mut Vec<(Term, i128)>,
    /// The leaves that keep these values.
    kept: FxHashSet<Term>,
    /// The unknown words that have a value in the current model.
    words: &'e mut Words,
}

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

/// Splits the name of a leaf into its name without the version, and the version.
fn versioned(name: &str) -> (String, u32) {
    let (stem, leaf) = name.split_once(':').map_or((name, None), |(stem, leaf)| (stem, Some(leaf)));
    let (field, version) = match stem.split_once('#') {
        Some((field, version)) => (field, version.parse().unwrap_or(0)),
        None => (stem, 0),
    };
    (leaf.map_or(field.to_string(), |leaf| format!("{field}:{leaf}")), version)
}

/// A leaf of the model: its term, its name without version, its version, and its key.
struct Leaf {
    term: Term,
    name: String,
    version: u32,
    key: Vec<i128>,
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

    fn value(&mut self, term: Term) -> i128 {
        self.e.model.as_mut().map_or(0, |model| model.value(&self.e.arena, term))
    }

    /// The variable `name`, if the model has it.
    fn known(&mut self, name: &str) -> Option<Term> {
        let leaves = self.e.model.as_ref().map(|model| model.leaves()).unwrap_or_default();
        leaves
            .into_iter()
            .find(|&leaf| matches!(self.e.arena.node(leaf), Node::Var(n, _) if self.e.arena.text(*n) == name))
    }

    fn equals(&mut self, term: Term, value: i128) -> Option<Term> {
        let e = &mut *self.e;
        if e.arena.is_bool(term) {
            return Some(if value == 0 { e.arena.not(term) } else { term });
        }
        let value = e.arena.number(u64::try_from(value).ok()?);
        Some(e.arena.eq(term, value))
    }

    /// Asserts as many of `wishes` as are satisfiable together. Those that the current model satisfies come first.
    fn prefer(&mut self, wishes: Vec<Term>) {
        let e = &mut *self.e;
        let Some(mut model) = e.model.take() else { return };
        let (granted, others): (Vec<Term>, Vec<Term>) =
            wishes.into_iter().partition(|&wish| model.holds(&e.arena, wish));
        e.model = Some(model);
        for wish in granted {
            e.solver.assert(&e.arena, wish);
        }
        self.try_all(&others);
    }

    fn try_all(&mut self, wishes: &[Term]) {
        if wishes.is_empty() {
            return;
        }
        if self.e.check_raw(wishes) == Verdict::Sat {
            for &wish in wishes {
                self.e.solver.assert(&self.e.arena, wish);
            }
        } else if wishes.len() > 1 {
            let (first, second) = wishes.split_at(wishes.len() / 2);
            self.try_all(first);
            self.try_all(second);
        }
    }

    /// Fixes the terms at their values in the current model.
    fn fix(&mut self, terms: &[Term]) {
        for &term in terms {
            let value = self.value(term);
            if let Some(equal) = self.equals(term, value) {
                self.e.solver.assert(&self.e.arena, equal);
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

    /// The leaves of the model that are variables, or those that are not.
    fn leaves(&mut self, variables: bool) -> Vec<Term> {
        let leaves = self.e.model.as_ref().map(|model| model.leaves()).unwrap_or_default();
        leaves.into_iter().filter(|&leaf| self.is_variable(leaf) == variables).collect()
    }

    fn is_variable(&self, term: Term) -> bool {
        matches!(self.e.arena.node(term), Node::Var(..))
    }

    /// The leaf of a term, with its key in the current model.
    fn leaf(&mut self, term: Term) -> Leaf {
        let (name, key) = match self.e.arena.node(term) {
            Node::App(name, _, key) => (*name, key.clone()),
            Node::Var(name, _) => (*name, Vec::new()),
            _ => unreachable!("leaves are variables and applications"),
        };
        let (name, version) = versioned(self.e.arena.text(name));
        let key = key.into_iter().map(|word| self.value(word)).collect();
        Leaf { term, name, version, key }
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

    /// The answers of the machine on this path.
    fn answers(&mut self, cells: &[Leaf]) -> Result<Vec<Values>, String> {
        let said = self.e.path.data::<Answers>().0.clone();
        let mut answers = Vec::new();
        for MachineAnswer { says, page } in said {
            let mut answer = Values::default();
            for (name, term) in says {
                answer = answer.scalar(name, fits(self.value(term))?);
            }
            let page = page.map(|(frame, version)| (self.value(frame), version));
            for leaf in cells.iter().filter(|leaf| page == Some((leaf.key[0], leaf.version))) {
                if let Some(Cell { field, key, .. }) = cell_of(leaf)
                    && field == <PhysicalMemory as Field<Sim>>::NAME
                {
                    answer = answer.cell(BYTES, &key[1..], "value", fits(self.value(leaf.term))?);
                }
            }
            answer.scalars.retain(|_, value| *value != 0);
            answer.cells.retain(|_, value| *value != 0);
            answers.push(answer);
        }
        while answers.pop_if(|answer| answer.is_empty()).is_some() {}
        Ok(answers)
    }

    /// Copies the current model into `witness`.
    fn read(&mut self, witness: &mut Witness, boot: &Snapshot, cells: &[Leaf]) -> Result<(), String> {
        let there = boot.scalars();
        let taken = self.e.path.data::<Locks>().0.clone();
        let loaded: Vec<u32> =
            self.e.path.data::<Answers>().0.iter().filter_map(|said| said.page).map(|page| page.1).collect();
        let lock_of = |version: u32| taken.iter().position(|lock| lock.versions.contains(&version));
        witness.interference = vec![Values::default(); taken.len()];
        let mut scalars: Vec<Leaf> = self.leaves(true).into_iter().map(|term| self.leaf(term)).collect();
        scalars.sort_by_key(|leaf| leaf.version);
        let mut latest = BTreeMap::new();
        for leaf in &scalars {
            let value = fits(self.value(leaf.term))?;
            let name = &leaf.name;
            if name.contains(FRESH) || ["boot.nps", "boot.norm", "current_CPU_ID"].contains(&&**name) {
                continue;
            }
            if !there.contains_key(name) {
                if value != 0 {
                    witness.arguments.insert(name.clone(), value);
                }
                continue;
            }
            match (latest.insert(name, value), lock_of(leaf.version)) {
                (Some(old), _) if old == value && !is_of_a_row(name) => {}
                (Some(_), Some(lock)) => drop(witness.interference[lock].scalars.insert(name.clone(), value)),
                // The row is known when its lock is taken.
                (None, Some(lock)) if is_of_a_row(name) => {
                    witness.interference[lock].scalars.insert(name.clone(), value);
                }
                // If nothing is known of the value before, it was the same.
                _ => drop(witness.state.scalars.insert(name.clone(), value)),
            }
        }
        let mut ordered: Vec<&Leaf> = cells.iter().collect();
        ordered.sort_by_key(|leaf| leaf.version);
        let mut latest = BTreeMap::new();
        // The pages that the machine loads are in its answers.
        ordered.retain(|leaf| !loaded.contains(&leaf.version));
        for leaf in ordered {
            let Some(cell) = cell_of(leaf) else { continue };
            let value = fits(self.value(leaf.term))?;
            match (latest.insert(cell.clone(), value), lock_of(leaf.version)) {
                (Some(old), _) if old == value => {}
                (Some(_), Some(lock)) => drop(witness.interference[lock].cells.insert(cell, value)),
                _ => drop(witness.state.cells.insert(cell, value)),
            }
        }
        while witness.interference.pop_if(|values| values.is_empty()).is_some() {}
        let rows = rows(&witness.state, boot);
        witness.state = witness.state.differing(boot);
        witness.state.cells.extend(rows);
        let given = self.hosted.given();
        witness.arguments.extend(given.map(|(name, value)| (name.to_string(), value)));
        witness.answers = self.answers(cells)?;
        let any = self.e.path.free_words.clone();
        for (to, term) in witness.any.iter_mut().zip(any) {
            let value = self.e.model.as_mut().map_or(0, |model| model.value(&self.e.arena, term));
            *to = u32::try_from(value).unwrap_or(0);
        }
        Ok(())
    }
}

/// Whether `name` is a word in a row of a lock array that is not part of the state.
fn is_of_a_row(name: &str) -> bool {
    [Sleeping::NAME, OTHER_PENDING]
        .iter()
        .any(|family| name.strip_prefix(family).is_some_and(|rest| rest.starts_with('.')))
}

/// Converts the solver's number to a number of the hosted machine.
fn fits(value: i128) -> Result<u64, String> {
    u64::try_from(value).map_err(|_| "a number has more than 64 bits".to_string())
}

/// The cell of the hosted machine for a leaf, if there is one.
fn cell_of(leaf: &Leaf) -> Option<Cell> {
    let (field, name) = leaf.name.split_once(':').unwrap_or((&leaf.name, "value"));
    let key: Vec<u32> = leaf.key.iter().map(|&word| u32::try_from(word).ok()).collect::<Option<_>>()?;
    let in_bounds = match bounds::<Sim>(field) {
        Some(dims) => dims.len() == key.len() && key.iter().zip(dims).all(|(word, bound)| word < bound),
        None => sim::state::values::MACHINE.contains(&field),
    };
    in_bounds.then(|| Cell::new(field, &key, name))
}

/// The preferred values for `name` after the boot value: those that need the least of the rest of the state. Without
/// them, the solver would try many values that need more.
fn likely(strategy: Strategy, name: &str, cur: i128) -> impl Iterator<Item = i128> + use<> {
    let is = |leaves: &[&str]| leaves.iter().any(|leaf| name.ends_with(leaf));
    // The main thread never sleeps: while another thread runs, it is ready.
    let main = is(&["head", "tail", "prev"]).then_some(cur);
    let (first, many) = match () {
        // Frames that are free after boot.
        () if is(&["page", "frame"]) => (i128::from(KERN_LOW), 4),
        // The first children of the running thread. Other threads need parents and siblings.
        () if is(&["cid", "head", "tail", "thread", "prev"]) => (cur * i128::from(MAX_CHILDREN) + 1, 4),
        // The first positions of a queue. Distant positions need threads between them.
        () if is(&["lo", "hi", "seq"]) => (1, 4),
        // The running thread pays. A charge to another thread needs a frame of its own.
        () if is(&[":payer"]) => (cur, 1),
        // Each charged page needs a frame with a seat, and each child needs a thread.
        () if is(&[":pages", ":usage", ":nchildren"]) => (1, 4),
        () if is(&[":seat"]) => (0, 4),
        // Asleep, because a thread in a queue needs neighbours there.
        () if is(&[":place"]) && strategy != Strategy::Queued => (i128::from(NUM_CHAN) - 1, 1),
        () => (0, 0),
    };
    main.into_iter().chain(first..first + many)
}

/// The boot value of a leaf.
fn at_boot(boot: &Snapshot, leaf: &Leaf) -> Option<i128> {
    let cell = cell_of(leaf).filter(|cell| !sim::state::values::MACHINE.contains(&&*cell.field))?;
    boot.leaves(&cell.field, &cell.key).into_iter().find(|l| l.0 == cell.leaf).map(|l| l.1.into())
}

/// The rows with many known keys that all have one value, different from boot: a defined page of memory, or the entries
/// of a page table.
fn rows(values: &Values, boot: &Snapshot) -> BTreeMap<Cell, u64> {
    let mut known: BTreeMap<Cell, Vec<u64>> = BTreeMap::new();
    for (cell, &value) in values.cells.iter().filter(|(cell, _)| cell.key.len() == 2) {
        known.entry(Cell::new(&cell.field, &cell.key[..1], &cell.leaf)).or_default().push(value);
    }
    known.retain(|row, values| {
        let dims = bounds::<Sim>(&row.field).unwrap_or(&[]);
        let differs = |value: u64| !boot.leaves(&row.field, &[row.key[0], 0]).contains(&(&*row.leaf, value));
        dims.get(1).is_some_and(|&bound| bound != u32::MAX)
            && values.len() >= MANY
            && values.iter().all(|value| *value == values[0])
            && differs(values[0])
    });
    known.into_iter().map(|(row, values)| (row, values[0])).collect()
}
