//! Places in the state, by name: `AC[1].usage`, `HP[262144][0..16]`, `cid`, `lapic`.
use super::difference::scalars;
use super::error::{Wrong, near};
use super::show::{self, Shown};
use crate::machine::Sim;
use crate::machine::sparse::Sparse;
use crate::state::maps::{Look, look};
use crate::state::snapshot::Snapshot;
use domain::{Data, Field, Key, Map};
use layer::core::fields::{FIELDS, bounds};
use std::ops::Range;

/// The most values that are read at once.
const MOST: u64 = 4096;

/// Reads the place named `text`.
///
/// # Errors
/// If there is no such place. The error's column is a byte of `text`.
pub fn read(state: &mut Snapshot, text: &str) -> Result<Shown, Wrong> {
    let scalars = scalars(state);
    if let Some((_, value)) = scalars.iter().find(|(name, _)| name == text) {
        return Ok(value.clone());
    }
    let end = text.find('[').unwrap_or(text.len());
    let Some(field) = FIELDS.iter().find(|field| **field == &text[..end]) else {
        return group(&scalars, text).ok_or_else(|| unknown(&scalars, text));
    };
    let dims = bounds::<Sim>(field).unwrap_or(&[]);
    let (keys, leaf) = keys(field, dims, text, end)?;
    let count: u64 = keys.iter().map(|(range, _)| u64::from(range.end - range.start)).product();
    if count > MOST {
        let example = keys.iter().map(|(range, _)| format!("[{}]", range.start)).collect::<String>();
        return Err(Wrong::new(format!("{text} has {count} values, but at most {MOST} are shown at once")).expected(
            format!("fewer keys, such as {field}{example} or a range as in {field}[{}..{}]", 0, 16.min(dims[0])),
        ));
    }
    let mut read = Read { field, keys: &keys, leaf: leaf.map(|leaf| &text[leaf..]), value: None, leaves: Vec::new() };
    look(&state.view(), &mut read);
    let Read { value, leaves, .. } = read;
    value.ok_or_else(|| {
        let name = leaf.map_or("", |leaf| &text[leaf..]);
        let wrong = Wrong::new(format!("{field} has no part `{name}`"))
            .at(leaf.unwrap_or(end))
            .near(near(name, leaves.iter().copied()));
        if leaves.is_empty() {
            wrong.expected("no part: its values have no parts")
        } else {
            wrong.expected(leaves.join(", "))
        }
    })
}

/// The scalars whose names begin with `name`.
fn group(scalars: &[(String, Shown)], name: &str) -> Option<Shown> {
    let member = |whole: &str| -> Option<String> { Some(whole.strip_prefix(name)?.strip_prefix('.')?.to_string()) };
    let members: Vec<(String, Shown)> =
        scalars.iter().filter_map(|(whole, value)| Some((member(whole)?, value.clone()))).collect();
    (!members.is_empty()).then_some(Shown::Group(members))
}

fn unknown(scalars: &[(String, Shown)], text: &str) -> Wrong {
    let end = text.find('[').unwrap_or(text.len());
    let known = scalars.iter().map(|(name, _)| &**name).chain(FIELDS.iter().copied());
    Wrong::new(format!("there is no field `{}`", &text[..end]))
        .expected("a field such as AC[1], pperm[262144] or cid; {\"help\":true} lists them")
        .near(near(&text[..end], known))
}

/// A coordinate: its values, and whether it was written as a range.
type Coordinate = (Range<u32>, bool);

/// The coordinates in `text` from `at` on, and where the name of a leaf begins after them.
fn keys(field: &str, dims: &[u32], text: &str, mut at: usize) -> Result<(Vec<Coordinate>, Option<usize>), Wrong> {
    let mut keys: Vec<Coordinate> = Vec::new();
    let mut leaf = None;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with('.') {
            leaf = Some(at + 1);
            break;
        }
        let Some(inside) = rest.strip_prefix('[') else {
            return Err(Wrong::new(format!("`{rest}` follows the key"))
                .at(at)
                .expected("[key], .part or nothing more"));
        };
        let Some(length) = inside.find(']') else {
            return Err(Wrong::new("the key has no closing bracket").at(at).expected("a `]`"));
        };
        let mut start = at + 1;
        // Both `[1][2]` and `[1,2]` are accepted.
        for word in inside[..length].split(',') {
            let Some(&bound) = dims.get(keys.len()) else {
                let expected = format!("{} of them: {}", dims.len(), "[key]".repeat(dims.len()));
                return Err(Wrong::new(format!("{field} has fewer coordinates")).at(start).expected(expected));
            };
            keys.push(coordinate(field, bound, word, start)?);
            start += word.len() + 1;
        }
        at += length + 2;
    }
    keys.extend(dims[keys.len()..].iter().map(|&bound| (0..bound, true)));
    Ok((keys, leaf))
}

fn coordinate(field: &str, bound: u32, word: &str, at: usize) -> Result<Coordinate, Wrong> {
    let expected = || format!("keys of {field} here are 0 to {}, or a range as 0..4", bound - 1);
    let number = |text: &str| -> Result<u32, Wrong> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u32::from_str_radix(hex, 16));
        digits.map_err(|_| Wrong::new(format!("`{text}` is not a key")).at(at).expected(expected()))
    };
    let range = match word.split_once("..") {
        Some((from, to)) => (number(from)?..number(to)?, true),
        None => {
            let key = number(word)?;
            (key..key.saturating_add(1), false)
        }
    };
    if range.0.is_empty() || range.0.end > bound {
        return Err(Wrong::new(format!("{field} has no key {}", word.trim())).at(at).expected(expected()));
    }
    Ok(range)
}

/// A read of one field.
struct Read<'a> {
    field: &'a str,
    keys: &'a [Coordinate],
    leaf: Option<&'a str>,
    value: Option<Shown>,
    /// The names of the leaves of its values.
    leaves: Vec<&'static str>,
}

impl Read<'_> {
    fn values<F: Field<Sim>>(&self, map: &Sparse<F>, key: &mut Vec<u32>) -> Option<Shown> {
        let Some((range, is_range)) = self.keys.get(key.len()) else {
            let value = map.get(F::Key::from_words(key));
            return match self.leaf {
                Some(leaf) => show::leaf(value, leaf),
                None => Some(show::value(value)),
            };
        };
        let mut list = Vec::new();
        for word in range.clone() {
            key.push(word);
            list.push(self.values(map, key));
            key.pop();
        }
        let list: Option<Vec<Shown>> = list.into_iter().collect();
        Some(if *is_range { Shown::List(list?) } else { list?.pop()? })
    }
}

impl Look<'_> for Read<'_> {
    fn map<F: Field<Sim>>(&mut self, map: &Sparse<F>) {
        if F::NAME == self.field {
            let first: Vec<u32> = self.keys.iter().map(|(range, _)| range.start).collect();
            self.leaves = leaf_names::<F>(map, &first);
            self.value = self.values(map, &mut Vec::new());
        }
    }
}

fn leaf_names<F: Field<Sim>>(map: &Sparse<F>, key: &[u32]) -> Vec<&'static str> {
    let value: F::Val = map.get(F::Key::from_words(key));
    if <F::Val as Data<Sim>>::VARIANTS.is_empty() { show::leaf_names(value) } else { Vec::new() }
}
