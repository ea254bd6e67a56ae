//! A machine with scripted answers: the boot archive and boot list of a counterexample.
use crate::machine::Sim;
use crate::machine::platform::Answers;
use crate::machine::sparse::Sparse;
use crate::state::values::{NoSuch, Values};
use domain::Map;
use layer::core::constants::PAGE_SIZE;
use layer::core::fields::{Byte, PhysicalMemory};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use syscall::system::{Image, ImagePage, Start};
use syscall::unchecked::Unchecked;

/// The names of the values in answers, with their greatest values. A missing value counts as 0.
const NAMES: [(&str, u64); 12] = [
    ("has_image", 1),
    ("image.entry", u64::MAX),
    ("image.frames", u32::MAX as u64),
    ("image.has_room", 1),
    ("has_page", 1),
    ("page.address", u32::MAX as u64),
    ("page.writable", 1),
    ("has_start", 1),
    ("start.image", u32::MAX as u64),
    ("start.quota", u32::MAX as u64),
    ("has_arguments", 1),
    ("information", u32::MAX as u64),
];

/// The name of the bytes of a page in an answer. The key is the offset.
pub const BYTES: &str = "page.bytes";

/// The answers in the order of the questions. After them, all values are 0.
#[derive(Debug)]
pub struct ScriptedAnswers(Mutex<VecDeque<Values>>);

impl ScriptedAnswers {
    /// A script of these answers.
    pub fn new(answers: &[Values]) -> Self {
        ScriptedAnswers(Mutex::new(answers.iter().cloned().collect()))
    }

    /// Checks that the answers are valid.
    ///
    /// # Errors
    /// If an answer has a name that no question uses, or a value that is out of range.
    pub fn check(answers: &[Values]) -> Result<(), NoSuch> {
        let can_be = |name: &str, value: u64| NAMES.iter().any(|&(other, most)| other == name && value <= most);
        for answer in answers {
            if let Some((name, value)) = answer.scalars.iter().find(|(name, value)| !can_be(name, **value)) {
                return Err(NoSuch(format!("{name} = {value}")));
            }
            for (cell, &value) in &answer.cells {
                let is_byte = cell.field == BYTES && matches!(cell.key[..], [offset] if offset < PAGE_SIZE);
                if !is_byte || value > u8::MAX.into() {
                    return Err(NoSuch(format!("{}{:?} = {value}", cell.field, cell.key)));
                }
            }
        }
        Ok(())
    }

    /// The answer to the next question.
    fn next(&self) -> Values {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or_default()
    }
}

impl Answers for ScriptedAnswers {
    fn image(&self) -> Option<Image<Sim>> {
        let answer = self.next();
        (answer.value("has_image") != 0).then(|| Image {
            entry: Unchecked::new(answer.value("image.entry")),
            frames: Unchecked::new(answer.value("image.frames") as u32),
            has_room: answer.value("image.has_room") != 0,
        })
    }

    fn image_page(&self) -> Option<ImagePage<Sim>> {
        let answer = self.next();
        (answer.value("has_page") != 0).then(|| ImagePage {
            address: Unchecked::new(answer.value("page.address") as u32),
            writable: answer.value("page.writable") != 0,
        })
    }

    fn load_page(&self, memory: &mut Sparse<PhysicalMemory>, frame: u32) {
        for (cell, &value) in &self.next().cells {
            memory.set([frame, cell.key[0]], Byte { value: value as u32 });
        }
    }

    fn next_start(&self) -> Option<Start<Sim>> {
        let answer = self.next();
        (answer.value("has_start") != 0).then(|| Start {
            image: Unchecked::new(answer.value("start.image") as u32),
            quota: Unchecked::new(answer.value("start.quota") as u32),
        })
    }

    fn has_arguments(&self) -> bool {
        self.next().value("has_arguments") != 0
    }

    fn word(&self) -> Unchecked<u32> {
        Unchecked::new(self.next().value("information") as u32)
    }
}

impl Values {
    fn value(&self, name: &str) -> u64 {
        self.scalars.get(name).copied().unwrap_or(0)
    }
}
