//! Stored answers in a file. A damaged file counts as missing.
use super::digest::{Digest, digest};
use crate::backend::Verdict;
use rustc_hash::{FxHashMap, FxHashSet};
use std::io;
use std::path::PathBuf;

/// The first bytes of a file.
const MAGIC: &[u8] = b"cairn answers 1\n";

/// A solver's answer to a query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub verdict: Verdict,
    /// Number of steps for the query.
    pub steps: u64,
    /// The values of variables and applications, by digest, if there is a model.
    pub model: Vec<(Digest, u128)>,
}

/// The answers of one proof, by the digest of the query.
pub struct Store {
    file: PathBuf,
    /// Digest of the solver's identity.
    identity: Digest,
    answers: FxHashMap<Digest, Answer>,
    /// The answers that were used or are new, in the order of their use.
    used: Vec<Digest>,
    is_used: FxHashSet<Digest>,
    has_new: bool,
}

impl Store {
    /// The answers of `identity` in `file`; none if the file belongs to another identity, is damaged or missing.
    pub fn open(file: PathBuf, identity: Digest) -> Store {
        let answers = std::fs::read(&file).ok().and_then(|bytes| read(&bytes, identity)).unwrap_or_default();
        Store { file, identity, answers, used: Vec::new(), is_used: FxHashSet::default(), has_new: false }
    }

    /// The answer to `question`, if it is stored.
    pub fn get(&mut self, question: Digest) -> Option<&Answer> {
        if self.answers.contains_key(&question) {
            self.note(question);
        }
        self.answers.get(&question)
    }

    /// Stores the answer to `question`.
    pub fn put(&mut self, question: Digest, answer: Answer) {
        self.note(question);
        self.has_new |= self.answers.insert(question, answer.clone()).is_none_or(|old| old != answer);
    }

    fn note(&mut self, question: Digest) {
        if self.is_used.insert(question) {
            self.used.push(question);
        }
    }

    /// Writes the answers that were used or are new, and only these, unless the file has exactly these already.
    pub fn save(&self) -> io::Result<()> {
        if !self.has_new && self.used.len() == self.answers.len() {
            return Ok(());
        }
        if let Some(directory) = self.file.parent() {
            std::fs::create_dir_all(directory)?;
        }
        // Until the rename, readers see the old file.
        let draft = self.file.with_extension(format!("{}.draft", std::process::id()));
        std::fs::write(&draft, self.bytes())?;
        std::fs::rename(&draft, &self.file)
    }

    fn bytes(&self) -> Vec<u8> {
        let answers: Vec<(Digest, &Answer)> =
            self.used.iter().filter_map(|question| Some((*question, self.answers.get(question)?))).collect();
        let (mut leaves, mut numbers) = (Vec::new(), FxHashMap::default());
        for (leaf, _) in answers.iter().flat_map(|(_, answer)| &answer.model) {
            numbers.entry(*leaf).or_insert_with(|| {
                leaves.push(*leaf);
                leaves.len() - 1
            });
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.identity.to_le_bytes());
        put(&mut bytes, leaves.len() as u128);
        leaves.iter().for_each(|leaf| bytes.extend(leaf.to_le_bytes()));
        put(&mut bytes, answers.len() as u128);
        for (question, Answer { verdict, steps, model }) in answers {
            bytes.extend(question.to_le_bytes());
            bytes.push(match verdict {
                Verdict::Sat => 0,
                Verdict::Unsat => 1,
                Verdict::Unknown => 2,
            });
            put(&mut bytes, (*steps).into());
            put(&mut bytes, model.len() as u128);
            for (leaf, value) in model {
                put(&mut bytes, numbers[leaf] as u128);
                put(&mut bytes, *value);
            }
        }
        let check = digest(&*bytes);
        bytes.extend(check.to_le_bytes());
        bytes
    }
}

/// Appends a number, seven bits in each byte.
fn put(bytes: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The unread part of a file.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn number(&mut self) -> Option<u128> {
        let mut number = 0;
        for shift in (0..u128::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u128::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// The number of items that follow, each of at least one byte.
    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|&count| count <= self.0.len())
    }

    fn digest(&mut self) -> Option<Digest> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(Digest::from_le_bytes(*first))
    }
}

/// The answers of `identity` in `bytes`, if the bytes are intact.
fn read(bytes: &[u8], identity: Digest) -> Option<FxHashMap<Digest, Answer>> {
    let (said, check) = bytes.split_last_chunk()?;
    if digest(said) != Digest::from_le_bytes(*check) {
        return None;
    }
    let mut rest = Rest(said.strip_prefix(MAGIC)?);
    if rest.digest()? != identity {
        return None;
    }
    let count = rest.count()?;
    let leaves = (0..count).map(|_| rest.digest()).collect::<Option<Vec<Digest>>>()?;
    let mut answers = FxHashMap::default();
    for _ in 0..rest.count()? {
        let question = rest.digest()?;
        let verdict = match rest.byte()? {
            0 => Verdict::Sat,
            1 => Verdict::Unsat,
            2 => Verdict::Unknown,
            _ => return None,
        };
        let steps = u64::try_from(rest.number()?).ok()?;
        let count = rest.count()?;
        let mut model = Vec::with_capacity(count);
        for _ in 0..count {
            let leaf = usize::try_from(rest.number()?).ok()?;
            model.push((*leaves.get(leaf)?, rest.number()?));
        }
        answers.insert(question, Answer { verdict, steps, model });
    }
    rest.0.is_empty().then_some(answers)
}
