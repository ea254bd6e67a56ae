//! Encodes and decodes entries of page tables and page directories: the layer's terms on one side, the processor's bits
//! on the other.
//!
//! The layer's permission codes are bits of the processor (P, R/W, U/S and G), so encoding loses nothing. Decoding
//! ignores the bits that the processor itself sets (accessed, dirty). The bit that forbids fetches follows from the
//! code.
use crate::mm::layout::PAGE_SIZE;
use crate::mm::user_space::entry::{ADDRESS, GLOBAL, NO_EXECUTE, PRESENT, TABLE, USER, WRITABLE};
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use domain::Domain;
use layer::core::constants::perm;
use layer::core::fields::{Pde, Pte};
use layer::objects::page_table::is_executable;

/// The bits that permission codes consist of.
const PERMISSION: u64 = PRESENT | WRITABLE | USER | GLOBAL;

// The codes consist of these bits, and every code has P.
const _: () = {
    let codes = [perm::PTP, perm::PTK, perm::PTUR, perm::PTU, perm::PTKG];
    let bits = [PRESENT, PRESENT | WRITABLE, PRESENT | USER, PRESENT | WRITABLE | USER, PRESENT | WRITABLE | GLOBAL];
    let mut index = 0;
    while index < codes.len() {
        assert!(codes[index] as u64 == bits[index]);
        index += 1;
    }
};

/// The bits of an entry without its frame, indexed by permission code, for all codes but the largest; 0 where there is
/// no such code. The bits lack [`NO_EXECUTE`] until the kernel knows that the processor can forbid fetches.
static BITS: [AtomicU64; 8] = {
    let mut bits = [const { AtomicU64::new(0) }; 8];
    let codes = [perm::PTP, perm::PTK, perm::PTUR, perm::PTU];
    let mut index = 0;
    while index < codes.len() {
        bits[codes[index] as usize] = AtomicU64::new(codes[index] as u64);
        index += 1;
    }
    bits
};

/// From now on, entries of non-executable pages forbid fetches. The processor must be able to forbid fetches.
pub fn forbid_fetches<D: Domain<Word = u32>>() {
    for (code, bits) in (0..).zip(&BITS) {
        if bits.load(Ordering::Relaxed) != 0 && !is_executable::<D>(code) {
            bits.fetch_or(NO_EXECUTE, Ordering::Relaxed);
        }
    }
}

/// The bits of the largest code; 0 for any other code that is not in [`BITS`].
#[cold]
fn global_bits(code: u32) -> u64 {
    match code {
        perm::PTKG => BITS[perm::PTK as usize].load(Ordering::Relaxed) | GLOBAL,
        _ => 0,
    }
}

/// Number of entries that [`first_of`] looks at together.
const BLOCK: u32 = 16;

/// The index of the first entry of `range` that `wanted` accepts; `read` returns the bits of an entry. Most entries are
/// 0: if `wanted` does not accept 0, one comparison skips a block of them.
#[inline(always)]
pub fn first_of(range: Range<u32>, read: impl Fn(u32) -> u64, wanted: impl Fn(u64) -> bool) -> Option<u32> {
    let is_found = |&index: &u32| wanted(read(index));
    // Often the first entry is accepted.
    let first = range.clone().next().filter(is_found);
    if first.is_some() || wanted(0) {
        return first.or_else(|| range.clone().find(is_found));
    }
    let mut index = range.start;
    while range.end.saturating_sub(index) >= BLOCK {
        if (0..BLOCK).fold(0, |all, at| all | read(index + at)) != 0
            && let Some(found) = (index..index + BLOCK).find(is_found)
        {
            return Some(found);
        }
        index += BLOCK;
    }
    (index..range.end).find(is_found)
}

/// The page frame that an entry points to.
#[inline(always)]
fn frame(bits: u64) -> u32 {
    ((bits & ADDRESS) / PAGE_SIZE) as u32
}

/// The bits of a page-table entry.
///
/// # Panics
/// If the permission is not a permission code: a bug of the layer.
#[inline(always)]
pub fn page<D: Domain<Word = u32>>(entry: Pte<D>) -> u64 {
    let Pte::Valid { page, perm } = entry else { return 0 };
    let bits = BITS.get(perm as usize).map_or_else(|| global_bits(perm), |bits| bits.load(Ordering::Relaxed));
    assert!(bits != 0, "{perm} is no page permission");
    u64::from(page) * PAGE_SIZE | bits
}

/// The page-table entry that has these bits.
#[inline(always)]
pub fn from_page<D: Domain<Word = u32>>(bits: u64) -> Pte<D> {
    if bits & PRESENT == 0 {
        return Pte::UnPresent;
    }
    Pte::Valid { page: frame(bits), perm: (bits & PERMISSION) as u32 }
}

/// The bits of a page-directory entry; `None` for the kernel's identity map, which has no entry.
#[inline(always)]
pub fn directory<D: Domain<Word = u32>>(entry: Pde<D>) -> Option<u64> {
    match entry {
        Pde::Table { frame } => Some(u64::from(frame) * PAGE_SIZE | TABLE),
        Pde::UnPresent => Some(0),
        _ => None,
    }
}

/// The page-directory entry that has these bits.
#[inline(always)]
pub fn from_directory<D: Domain<Word = u32>>(bits: u64) -> Pde<D> {
    if bits & PRESENT == 0 { Pde::UnPresent } else { Pde::Table { frame: frame(bits) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::host::Host;
    use layer::core::constants::MAX_PAGE;
    use proptest::prelude::*;

    /// Bits that the processor sets when a page is used.
    const ACCESSED_DIRTY: u64 = 0x60;
    const CODES: [u32; 5] = [1, 3, 5, 7, 259];

    proptest! {
        #[test]
        fn what_is_stored_comes_back(number in 0..MAX_PAGE, code in 0..CODES.len(), used in any::<bool>()) {
            let used = if used { ACCESSED_DIRTY } else { 0 };
            let bits = page::<Host>(Pte::Valid { page: number, perm: CODES[code] });
            let Pte::Valid { page, perm } = from_page::<Host>(bits | used) else { panic!("it is present") };
            prop_assert_eq!((page, perm), (number, CODES[code]));
            let bits = directory::<Host>(Pde::Table { frame: number }).expect("it has bits");
            let Pde::Table { frame } = from_directory::<Host>(bits | used) else { panic!("it is present") };
            prop_assert_eq!(frame, number);
        }

        #[test]
        fn the_first_of_a_row_is_found_where_a_plain_search_finds_it(
            entries in proptest::collection::vec(prop_oneof![9 => Just(0), 1 => 0u64..4], 0..100),
            from in 0..110u32,
            to in 0..100u32,
            least in 0..4u64,
            most in 0..4u64,
        ) {
            let range = from..to.min(entries.len() as u32);
            let (read, wanted) = (|index: u32| entries[index as usize], |bits| bits >= least && bits <= most);
            prop_assert_eq!(first_of(range.clone(), read, wanted), range.clone().find(|&index| wanted(read(index))));
        }
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(page::<Host>(Pte::UnPresent), 0);
        assert_eq!(directory::<Host>(Pde::UnPresent), Some(0));
        assert_eq!(directory::<Host>(Pde::Id), None);
        assert!(matches!(from_page::<Host>(0), Pte::UnPresent));
        assert!(matches!(from_directory::<Host>(0), Pde::UnPresent));
    }

    #[test]
    fn a_users_page_is_writable_or_executable() {
        forbid_fetches::<Host>();
        let bits = |perm| page::<Host>(Pte::Valid { page: 2, perm });
        assert_eq!(bits(perm::PTUR), 0x2005);
        assert_eq!(bits(perm::PTU), 0x2007 | 1 << 63);
        for code in CODES {
            assert!(bits(code) & (WRITABLE | NO_EXECUTE) != WRITABLE);
            let Pte::Valid { page, perm } = from_page::<Host>(bits(code)) else { panic!("it is present") };
            assert_eq!((page, perm), (2, code));
        }
    }

    #[test]
    #[should_panic(expected = "no page permission")]
    fn other_bits_never_reach_the_processor() {
        page::<Host>(Pte::Valid { page: 1, perm: 1 | 1 << 7 });
    }
}
