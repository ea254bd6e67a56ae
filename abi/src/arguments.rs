//! A program's arguments: strings on a page of its own, which its parent has filled.
//!
//! The page is at [`ARGUMENTS`] in the child, read-only. It holds 32-bit words, little-endian, followed by bytes. The
//! first word is the number of arguments, and the next words are their lengths in bytes. The bytes of all arguments
//! follow, one after the other, in UTF-8. Further bytes have no meaning. A page of zeros has no arguments.
//!
//! A parent lays the page out at any address of its own, and passes this address to `spawn`. The kernel copies the page
//! and does not read it. So a program must not trust the page's contents: [`ProgramArguments::parse`] does not.
//!
//! ```
//! let mut page = [0; abi::PAGE_SIZE as usize];
//! abi::arguments::write(["worker", "7"], |at, bytes| page[at..][..bytes.len()].copy_from_slice(bytes)).unwrap();
//! assert!(abi::arguments::ProgramArguments::parse(&page).unwrap().eq(["worker", "7"]));
//! ```

use crate::{ADR_LOW, PAGE_SIZE};
use core::fmt;

/// The address of a program's arguments: the last page of the first page table of the window, which the image needs in
/// any case. An image with a page there cannot be started with arguments.
pub const ARGUMENTS: u32 = ADR_LOW + 0x20_0000 - PAGE_SIZE;

/// Bytes of a word.
const WORD: usize = 4;

/// The arguments do not fit on a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the arguments have more than {PAGE_SIZE} bytes, with {WORD} for each and {WORD} more")
    }
}

impl core::error::Error for TooLong {}

/// Lays out a page with these arguments: `put(at, bytes)` stores `bytes` in the page from byte `at` on. All other bytes
/// of the page must be 0.
///
/// # Errors
/// [`TooLong`]; then `put` was not called.
pub fn write<'a>(
    arguments: impl IntoIterator<Item = &'a str> + Clone,
    mut put: impl FnMut(usize, &[u8]),
) -> Result<(), TooLong> {
    let mut count = 0;
    let mut size = WORD;
    for argument in arguments.clone() {
        count += 1;
        size = size.saturating_add(WORD).saturating_add(argument.len());
        if size > PAGE_SIZE as usize {
            return Err(TooLong);
        }
    }
    put(0, &(count as u32).to_le_bytes());
    let mut bytes = WORD * (1 + count);
    for (index, argument) in arguments.into_iter().enumerate() {
        put(WORD * (1 + index), &(argument.len() as u32).to_le_bytes());
        put(bytes, argument.as_bytes());
        bytes += argument.len();
    }
    Ok(())
}

/// The arguments on a page, first to last.
#[derive(Clone, Debug)]
pub struct ProgramArguments<'a> {
    lengths: &'a [u8],
    bytes: &'a str,
}

impl<'a> ProgramArguments<'a> {
    /// No arguments.
    pub const NONE: ProgramArguments<'static> = ProgramArguments { lengths: &[], bytes: "" };

    /// The arguments on a page; `None` if the page does not have this module's format.
    pub fn parse(page: &'a [u8]) -> Option<ProgramArguments<'a>> {
        let (count, rest) = page.split_first_chunk()?;
        let count = u32::from_le_bytes(*count) as usize;
        let (lengths, bytes) = rest.split_at_checked(count.checked_mul(WORD)?)?;
        let total = words(lengths).try_fold(0usize, |total, length| total.checked_add(length))?;
        let bytes = str::from_utf8(bytes.get(..total)?).ok()?;
        let mut ends = words(lengths).scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        ends.all(|end| bytes.is_char_boundary(end)).then_some(ProgramArguments { lengths, bytes })
    }
}

/// The little-endian words in some bytes.
fn words(bytes: &[u8]) -> impl Iterator<Item = usize> {
    bytes.chunks_exact(WORD).map(|word| word.iter().rev().fold(0, |value, &byte| value << 8 | usize::from(byte)))
}

impl<'a> Iterator for ProgramArguments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let length = words(self.lengths).next()?;
        let (argument, rest) = self.bytes.split_at_checked(length)?;
        (self.lengths, self.bytes) = (&self.lengths[WORD..], rest);
        Some(argument)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.lengths.len() / WORD;
        (count, Some(count))
    }
}

impl ExactSizeIterator for ProgramArguments<'_> {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    fn page(arguments: &[&str]) -> Result<Vec<u8>, TooLong> {
        let mut page = vec![0; PAGE_SIZE as usize];
        write(arguments.iter().copied(), |at, bytes| page[at..][..bytes.len()].copy_from_slice(bytes))?;
        Ok(page)
    }

    #[test]
    fn what_is_written_is_read() {
        for arguments in [&[][..], &[""], &["a", "", "bc", "\u{e9}t\u{e9}"]] {
            let page = page(arguments).unwrap();
            assert!(ProgramArguments::parse(&page).unwrap().eq(arguments.iter().copied()));
            assert_eq!(ProgramArguments::parse(&page).unwrap().len(), arguments.len());
        }
    }

    #[test]
    fn a_page_holds_a_page_and_no_more() {
        let longest = "x".repeat(PAGE_SIZE as usize - 12);
        let full = page(&["", &longest]).unwrap();
        assert!(ProgramArguments::parse(&full).unwrap().eq(["", &longest]));
        assert_eq!(page(&["y", &longest]), Err(TooLong));
        assert_eq!(page(&vec![""; PAGE_SIZE as usize / 4]), Err(TooLong));
        assert!(page(&vec![""; PAGE_SIZE as usize / 4 - 1]).is_ok());
    }

    #[test]
    fn a_page_that_is_none_has_no_arguments() {
        let words = |words: &[u32], rest: &[u8]| {
            let mut page: Vec<u8> =
                words.iter().flat_map(|word| word.to_le_bytes()).chain(rest.iter().copied()).collect();
            page.resize(PAGE_SIZE as usize, 0);
            ProgramArguments::parse(&page).map(|arguments| arguments.map(String::from).collect::<Vec<_>>())
        };
        assert_eq!(words(&[1, 2], b"ab"), Some(vec![String::from("ab")]));
        for bad in [&[1024][..], &[u32::MAX], &[1, 4089], &[1, u32::MAX], &[2, u32::MAX, 2], &[1 << 30]] {
            assert_eq!(words(bad, b"abc"), None, "{bad:?}");
        }
        assert_eq!(words(&[1, 1], b"\xFF"), None);
        // A character that spans the end of an argument.
        assert_eq!(words(&[2, 1, 1], "\u{e9}".as_bytes()), None);
        assert!(ProgramArguments::parse(&[]).is_none() && ProgramArguments::parse(&[1, 0, 0]).is_none());
    }
}
