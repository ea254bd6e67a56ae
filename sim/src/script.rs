//! A machine with scripted answers: the boot archive and boot list of a counterexample.
use crate::machine::Sim;
use crate::sparse::Sparse;
use crate::witness::{Values, WitnessError};
use domain::Map;
use layer::core::constants::PAGE_SIZE;
use layer::core::fields::{Byte, PhysicalMemory};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use syscall::system::{Image, ImagePage, Start};
use syscall::unchecked::Unchecked;

/// The names of the values in answers, with their greatest values. A missing value is 0.
const SAYS: [(&str, u64); 12] = [
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
    ("told", u32::MAX as u64),
];

/// The name of the bytes of a page in an answer. The key is the offset.
pub const BYTES: &str = "page.bytes";

/// The answers in the order of the questions. After them, all values are 0.
#[derive(Debug)]
pub struct Script(Mutex<VecDeque<Values>>);

impl Script {
    /// A script of these answers.
    pub fn new(answers: &[Values]) -> Self {
        Script(Mutex::new(answers.iter().cloned().collect()))
    }

    /// Checks that the answers are valid.
    ///
    /// # Errors
    /// If an answer has a name that no question uses, or a value that is out of range.
    pub fn check(answers: &[Values]) -> Result<(), WitnessError> {
        let can_be = |name: &str, value: u64| SAYS.iter().any(|&(other, most)| other == name && value <= most);
        for answer in answers {
            if let Some((name, value)) = answer.scalars.iter().find(|(name, value)| !can_be(name, **value)) {
                return Err(WitnessError::NoSuch(format!("{name} = {value}")));
            }
            for (cell, &value) in &answer.cells {
                let is_byte = cell.field == BYTES && matches!(cell.key[..], [offset] if offset < PAGE_SIZE);
                if !is_byte || value > u8::MAX.into() {
                    return Err(WitnessError::NoSuch(format!("{}{:?} = {value}", cell.field, cell.key)));
                }
            }
        }
        Ok(())
    }

    /// The answer to the next question.
    fn next(&self) -> Values {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or_default()
    }

    /// An image of the boot archive.
    pub fn image(&self) -> Option<Image<Sim>> {
        let said = self.next();
        (said.says("has_image") != 0).then(|| Image {
            entry: Unchecked::new(said.says("image.entry")),
            frames: Unchecked::new(said.says("image.frames") as u32),
            has_room: said.says("image.has_room") != 0,
        })
    }

    /// A page of an image.
    pub fn image_page(&self) -> Option<ImagePage<Sim>> {
        let said = self.next();
        (said.says("has_page") != 0).then(|| ImagePage {
            address: Unchecked::new(said.says("page.address") as u32),
            writable: said.says("page.writable") != 0,
        })
    }

    /// Copies a page of an image into `frame`.
    pub fn load_page(&self, memory: &mut Sparse<PhysicalMemory>, frame: u32) {
        for (cell, &value) in &self.next().cells {
            memory.set([frame, cell.key[0]], Byte { value: value as u32 });
        }
    }

    /// A line of the boot list.
    pub fn next_start(&self) -> Option<Start<Sim>> {
        let said = self.next();
        (said.says("has_start") != 0).then(|| Start {
            image: Unchecked::new(said.says("start.image") as u32),
            quota: Unchecked::new(said.says("start.quota") as u32),
        })
    }

    /// Whether that line has arguments. They are answered in the same way as a page of an image.
    pub fn has_arguments(&self) -> bool {
        self.next().says("has_arguments") != 0
    }

    /// A word that a program has asked for.
    pub fn tell(&self) -> Unchecked<u32> {
        Unchecked::new(self.next().says("told") as u32)
    }
}

impl Values {
    fn says(&self, name: &str) -> u64 {
        self.scalars.get(name).copied().unwrap_or(0)
    }
}
