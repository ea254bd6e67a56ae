//! The layer of another kernel, proved with the same tools: a table of open files with reference
//! counts.
//!
//! `cargo run --example open_files` proves four operations for all tables and all arguments, with the embedded solver.
//! Then it makes every operator of their code wrong, one at a time, and prints a counterexample for each operation.
use domain::{Map, Nat, Storage};
use smt::solver::Solver;
use symbolic::engine::{engine, with_engine};
use symbolic::facts::Trigger;
use symbolic::mutant::{Mutant, Mutation};
use symbolic::operation::{Fact, Operation};
use symbolic::origin::Origin;
use symbolic::proof::Outcome;
use symbolic::terms::Terms;
use symbolic::word::{SymNat, SymWord};

// 1. The state: two maps. `references` counts the uses of a file by all processes.
const FILES: u32 = 64;
const PROCESSES: u32 = 4;
const MOST: u32 = 255;

domain::data! {
    /// An open file. It is free if no process has a reference to it.
    pub struct File { /** References of all processes together. */ references: Word }
    /// The references of one process to one file.
    pub struct Use { /** How often it was opened or received, and not closed. */ times: Word }
}

domain::fields! {
    /// The files.
    Files "files" [FILES] => File;
    /// Which process uses which file.
    Uses "uses" [FILES, PROCESSES] => Use;
}

/// The table, over a domain that stores the two fields: terms here, words and arrays in a kernel.
pub struct Table<D: Storage<Files> + Storage<Uses>> {
    files: <D as Storage<Files>>::Map,
    uses: <D as Storage<Uses>>::Map,
}

// 2. The operations: ordinary Rust.

impl<D: Storage<Files> + Storage<Uses>> Table<D> {
    /// Opens a free file for `process`.
    fn open(&mut self, process: D::Word) -> Result<D::Word, &'static str> {
        if process >= PROCESSES {
            return Err("no such process");
        }
        let free = self.files.first(0.into(), FILES.into(), |file| file.references == 0);
        let Some(file) = free else { return Err("every file is in use") };
        self.files.set([file], File { references: 1.into() });
        self.uses.set([file, process], Use { times: 1.into() });
        Ok(file)
    }

    /// Gives the process `to` a reference to a file that the process `from` uses.
    fn share(&mut self, file: D::Word, from: D::Word, to: D::Word) -> Result<D::Word, &'static str> {
        self.check(file, from)?;
        if to >= PROCESSES {
            return Err("no such process");
        }
        if self.files.get([file]).references >= MOST {
            return Err("too many references");
        }
        self.files.update([file], |file| file.references += 1);
        self.uses.update([file, to], |by| by.times += 1);
        Ok(file)
    }

    /// Closes one reference of `process`. Returns the number of references that are left.
    fn close(&mut self, file: D::Word, process: D::Word) -> Result<D::Word, &'static str> {
        self.check(file, process)?;
        self.files.update([file], |file| file.references -= 1);
        self.uses.update([file, process], |by| by.times -= 1);
        Ok(self.files.get([file]).references)
    }

    /// Reads a file.
    fn read(&self, file: D::Word, process: D::Word) -> Result<D::Word, &'static str> {
        self.check(file, process).map(|()| file)
    }

    /// Fails if the process does not use the file.
    fn check(&self, file: D::Word, process: D::Word) -> Result<(), &'static str> {
        let is_used = file < FILES && process < PROCESSES && self.uses.get([file, process]).times > 0;
        if is_used { Ok(()) } else { Err("the process does not use this file") }
    }
}

// 3. The invariant, and the postcondition of each operation.

type Symbolic = Table<Terms>;

impl Clone for Symbolic {
    fn clone(&self) -> Self {
        Table { files: self.files.clone(), uses: self.uses.clone() }
    }
}

impl Symbolic {
    fn references(&self, file: SymWord) -> SymWord {
        self.files.get([file]).references
    }
    fn times(&self, file: SymWord, process: SymWord) -> SymWord {
        self.uses.get([file, process]).times
    }
}

/// Both facts are instantiated when a file, or a process's use of a file, is read.
fn of_a_file(table: &Symbolic) -> Vec<Trigger> {
    let maps = [table.files.sources(), table.uses.sources()].concat();
    vec![Trigger { maps, keys: vec![Some(0)] }]
}

fn invariant() -> Vec<Fact<Symbolic>> {
    let bounds = &[FILES as u64];
    let counted = |table: &Symbolic, key: &[SymWord]| {
        let uses = (0..PROCESSES).map(|process| SymNat::from(table.times(key[0], process.into())));
        uses.fold(SymNat::zero(), |sum, times| sum + times) == SymNat::from(table.references(key[0]))
    };
    let bounded = |table: &Symbolic, key: &[SymWord]| table.references(key[0]) <= MOST;
    vec![
        Fact { name: "references are counted", bounds, triggers: of_a_file, holds: counted },
        Fact { name: "references are bounded", bounds, triggers: of_a_file, holds: bounded },
    ]
}

/// The operations, with their contracts.
pub fn operations() -> Vec<Operation<Symbolic>> {
    vec![
        Operation {
            name: "open",
            arguments: &["process"],
            run: |table, a| table.open(a[0]),
            ensures: |before, after, _, file| before.references(file) == 0 && after.references(file) == 1,
            modifies: |a, file, _, key| key[0] == file && (key.len() == 1 || key[1] == a[0]),
        },
        Operation {
            name: "share",
            arguments: &["file", "from", "to"],
            run: |table, a| table.share(a[0], a[1], a[2]),
            ensures: |before, after, a, _| {
                before.times(a[0], a[1]) > 0 && after.references(a[0]) == before.references(a[0]) + 1
            },
            modifies: |a, _, _, key| key[0] == a[0] && (key.len() == 1 || key[1] == a[2]),
        },
        Operation {
            name: "close",
            arguments: &["file", "process"],
            run: |table, a| table.close(a[0], a[1]),
            ensures: |before, after, a, left| left + 1 == before.references(a[0]) && left == after.references(a[0]),
            modifies: |a, _, _, key| key[0] == a[0] && (key.len() == 1 || key[1] == a[1]),
        },
        Operation {
            name: "read",
            arguments: &["file", "process"],
            run: |table, a| table.read(a[0], a[1]),
            // No process reads a file that is free.
            ensures: |before, _, a, _| before.references(a[0]) > 0,
            modifies: |_, _, _, _| false,
        },
    ]
}

// 4. The button.

/// Proves `operation`, with or without a mutant of its code. Also returns the mutants, if `mutation` records them.
pub fn prove(operation: &Operation<Symbolic>, mutation: Mutation) -> (Outcome, Vec<Mutant>) {
    with_engine(Solver::embedded(10_000), || {
        engine(|e| {
            e.settings.is_code = |file| file.ends_with("open_files.rs");
            e.settings.mutation = mutation;
        });
        let unknown = || Table { files: Terms::at(Origin::START), uses: Terms::at(Origin::START) };
        let outcome = operation.prove(unknown, &invariant());
        (outcome, engine(|e| e.settings.mutation.mutants(|_| true)))
    })
}

fn main() {
    for operation in operations() {
        let (outcome, mutants) = prove(&operation, Mutation::recording());
        println!("{}: {} paths, proved: {}", operation.name, outcome.counts.paths, outcome.clauses.join("; "));
        outcome.failures.iter().for_each(|failure| println!("  FAILED: {}", failure.clause));
        let fails = |mutant: &Mutant| {
            let failure = prove(&operation, Mutation::planted(*mutant, 10_000)).0.failures.into_iter().next();
            if failure.is_none() {
                println!("  {mutant} survives: no clause fails");
            }
            failure.map(|failure| (*mutant, failure))
        };
        let found: Vec<_> = mutants.iter().filter_map(fails).collect();
        if let Some((mutant, failure)) = found.iter().find(|(_, failure)| failure.clause == invariant()[0].name) {
            println!("  {mutant} is killed: \"{}\" fails", failure.clause);
            failure.path.iter().for_each(|decision| println!("    {decision}"));
            failure.state.iter().for_each(|(name, value)| println!("    {name} = {value}"));
        }
        println!("  {} of {} mutants are found", found.len(), mutants.len());
    }
}
