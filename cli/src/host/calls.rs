//! Counts the calls of primitives on a booted kernel.
//!
//! The kernel does not count. Its image is not optimised ([`Kind::Unoptimised`](crate::host::image::Kind)), so each
//! primitive that it calls is a function. QEMU logs each time that one of these functions begins.

use crate::host::archive;
use crate::host::error::Error;
use layer::catalogue::{Primitive, TABLE};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::path::Path;

/// The primitives that are counted: those of the reference, and those that Cairn adds.
fn primitives() -> impl Iterator<Item = &'static Primitive> {
    TABLE.iter().filter(|row| row.number > 0)
}

/// The functions of an image that are primitives: their addresses, with the numbers of the primitives.
pub struct Functions(BTreeMap<u64, u32>);

impl Functions {
    /// Finds them in an unoptimised image. It has none for a primitive that nothing calls.
    pub fn of(image: &Path) -> Result<Functions, Error> {
        Ok(Functions::parse(&archive::symbol_table(image)?))
    }

    /// Finds them in a symbol table: `address size name` in each line.
    fn parse(symbols: &str) -> Functions {
        // A function has its primitive's name in lower case.
        let number = |name: &str| primitives().find(|row| row.name.to_lowercase() == name).map(|row| row.number);
        let function = |line: &str| {
            let (address, name) = line.split_once(' ')?;
            let (module, name) = name.split_once(' ')?.1.rsplit_once("::")?;
            let address = u64::from_str_radix(address, 16).ok()?;
            module.starts_with("layer::objects::").then(|| number(name))?.map(|number| (address, number))
        };
        Functions(symbols.lines().filter_map(function).collect())
    }

    /// Their addresses.
    pub fn addresses(&self) -> Vec<u64> {
        self.0.keys().copied().collect()
    }
}

/// How often each primitive was called, also by other primitives; by its number.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Calls(BTreeMap<u32, u64>);

impl Calls {
    /// The calls of primitives, given those of functions by their addresses.
    pub fn new(functions: &Functions, calls: &BTreeMap<u64, u64>) -> Calls {
        let mut sum = BTreeMap::new();
        for (address, number) in &functions.0 {
            *sum.entry(*number).or_default() += calls.get(address).copied().unwrap_or_default();
        }
        Calls(sum)
    }

    fn of(&self, row: &Primitive) -> u64 {
        self.0.get(&row.number).copied().unwrap_or_default()
    }

    /// How many primitives were called.
    pub fn summary(&self) -> String {
        let [reference, added] = [Primitive::is_reference, Primitive::is_fresh].map(|belongs| {
            let all: Vec<_> = primitives().filter(|row| belongs(row)).collect();
            let called = all.iter().filter(|row| self.of(row) > 0).count();
            format!("{called} of the {}", all.len())
        });
        format!("{reference} primitives of the reference were called, and {added} that Cairn adds")
    }

    /// The differences from the table: primitives that should have been called and were not, or the other way round.
    pub fn problems(&self) -> Vec<String> {
        let problem = |row: &Primitive| match (self.of(row), row.unused) {
            (0, None) => Some(format!("{} was not called, and the table does not say why", row.name)),
            (1.., Some(reason)) => Some(format!("{} was called, but the table says: {reason}", row.name)),
            _ => None,
        };
        primitives().filter_map(problem).collect()
    }
}

impl AddAssign for Calls {
    fn add_assign(&mut self, other: Calls) {
        other.0.into_iter().for_each(|(number, calls)| *self.0.entry(number).or_default() += calls);
    }
}

/// One line for each primitive.
impl fmt::Display for Calls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "     calls  primitive")?;
        for row in primitives() {
            let reason = row.unused.map(|reason| format!("  ({reason})")).unwrap_or_default();
            writeln!(formatter, "{:>10}  {:>2} {}{reason}", self.of(row), row.number, row.name)?;
        }
        formatter.write_str(&self.summary())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls of each primitive as the table wants them, but for one.
    fn calls_but_for(name: &str, calls: u64) -> Calls {
        let expected = |row: &Primitive| u64::from(row.unused.is_none());
        let calls = |row: &Primitive| if row.name == name { calls } else { expected(row) };
        Calls(primitives().map(|row| (row.number, calls(row))).collect())
    }

    #[test]
    fn functions_are_found_by_their_names() {
        let symbols = "ffffffff80148300 30 layer::objects::thread::thread_yield\n\
                       ffffffff80148340 80 layer::objects::thread::thread_yield::{{closure}}\n\
                       ffffffff80148400 80 layer::objects::channel::acquire_lock_chan\n\
                       ffffffff80148500 80 kernel::palloc\n\
                       ffffffff80148600 80 layer::objects::thread::get_cpu_id\n";
        let functions = Functions::parse(symbols);
        let addresses = [0xffff_ffff_8014_8300, 0xffff_ffff_8014_8400, 0xffff_ffff_8014_8600];
        assert_eq!(functions.0, BTreeMap::from_iter(addresses.into_iter().zip([7, 19, 17])));
        let mut calls = Calls::new(&functions, &BTreeMap::from([(addresses[0], 5), (addresses[1], 6)]));
        calls += Calls(BTreeMap::from([(7, 1), (2, 1)]));
        assert_eq!(calls.0, BTreeMap::from([(2, 1), (7, 6), (17, 0), (19, 6)]));
    }

    #[test]
    fn a_primitive_is_called_or_has_a_reason() {
        assert_eq!(calls_but_for("", 0).problems(), [""; 0]);
        let problems = calls_but_for("palloc", 0).problems();
        assert_eq!(problems, ["palloc was not called, and the table does not say why"]);
        let [problem] = &calls_but_for("set_pt", 1).problems()[..] else { panic!("one problem") };
        assert!(problem.starts_with("set_pt was called, but the table says: "), "{problem}");
    }
}
