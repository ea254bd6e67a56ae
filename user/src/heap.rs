//! The heap behind [`alloc`](https://doc.rust-lang.org/alloc/): boxes, vectors, strings.
//!
//! Memory is handed out from low to high addresses. Freed memory is reused only if it was handed out last, since no
//! page is given back in any case. A program that needs more than its quota is stopped where it touches the page.

use core::alloc::Layout;

/// Hands out bytes of regions, which the caller provides.
#[derive(Debug)]
pub struct Bump {
    /// First free byte.
    next: usize,
    /// End of the free bytes.
    end: usize,
}

impl Bump {
    /// An allocator without a region.
    pub const EMPTY: Bump = Bump { next: 0, end: 0 };

    /// Allocates the address of `layout.size()` bytes. If the region has too few, `more` is called with the least
    /// number of bytes that are needed, and returns the bounds of a new region. `None` if it has none.
    pub fn allocate(&mut self, layout: Layout, more: impl FnOnce(usize) -> Option<(usize, usize)>) -> Option<usize> {
        if let Some(address) = self.fit(layout) {
            return Some(address);
        }
        let (start, end) = more(layout.size().checked_add(layout.align())?)?;
        if start != self.end {
            self.next = start;
        }
        self.end = end;
        self.fit(layout)
    }

    /// Allocates from the current region, if it has enough bytes.
    fn fit(&mut self, layout: Layout) -> Option<usize> {
        let address = self.next.checked_next_multiple_of(layout.align())?;
        let next = address.checked_add(layout.size()).filter(|&next| next <= self.end)?;
        self.next = next;
        Some(address)
    }

    /// Frees bytes, if they were handed out last.
    pub fn free(&mut self, address: usize, layout: Layout) {
        if address + layout.size() == self.next {
            self.next = address;
        }
    }

    /// Resizes an allocation in place, if it was handed out last and the region has enough bytes. Returns whether it
    /// did.
    pub fn resize(&mut self, address: usize, layout: Layout, size: usize) -> bool {
        let is_last = address + layout.size() == self.next;
        match address.checked_add(size).filter(|&next| is_last && next <= self.end) {
            Some(next) => self.next = next,
            None => return false,
        }
        true
    }
}

#[cfg(all(feature = "program", target_arch = "x86_64"))]
mod global {
    use super::Bump;
    use crate::memory;
    use abi::PAGE_SIZE;
    use core::alloc::{GlobalAlloc, Layout};
    use core::cell::UnsafeCell;

    /// Pages that the heap takes at a time. Only touched pages cost anything.
    const PAGES: usize = 64;

    /// The heap of this program.
    struct Heap(UnsafeCell<Bump>);

    // SAFETY: a program is one thread, and nothing else runs in its memory.
    unsafe impl Sync for Heap {}

    #[global_allocator]
    static HEAP: Heap = Heap(UnsafeCell::new(Bump::EMPTY));

    impl Heap {
        /// The state of the allocator.
        #[expect(clippy::mut_from_ref, reason = "each caller is done with it before it calls anything else")]
        fn bump(&self) -> &mut Bump {
            // SAFETY: the reference lives within one method of the allocator, none of which calls another, and the
            // program is one thread.
            unsafe { &mut *self.0.get() }
        }
    }

    /// Takes a region of the program's memory.
    fn region(least: usize) -> Option<(usize, usize)> {
        let pages = least.div_ceil(PAGE_SIZE as usize).max(PAGES);
        let bytes = memory::take(u32::try_from(pages).ok()?)?;
        let start = bytes.as_mut_ptr().expose_provenance();
        Some((start, start + bytes.len()))
    }

    // SAFETY: `Bump` hands out disjoint ranges of regions that nothing else uses, aligned as the layout says. `resize`
    // only succeeds for the last range and within its region, so the bytes behind it are free.
    unsafe impl GlobalAlloc for Heap {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let address = self.bump().allocate(layout, region);
            address.map_or(core::ptr::null_mut(), core::ptr::with_exposed_provenance_mut)
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            self.bump().free(pointer.addr(), layout);
        }

        unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            if self.bump().resize(pointer.addr(), layout, size) {
                return pointer;
            }
            // SAFETY: the caller's obligations: `size` with this alignment is a layout, and not 0.
            let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
            if !new.is_null() {
                // SAFETY: both are valid for so many bytes, and the new range overlaps no other.
                unsafe { new.copy_from_nonoverlapping(pointer, layout.size().min(size)) };
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::Bump;
    use core::alloc::Layout;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// An action of a program on the heap.
    #[derive(Clone, Debug)]
    enum Act {
        /// Allocate so many bytes, aligned to this power of two.
        Allocate(usize, u32),
        /// Free this one of the current allocations.
        Free(prop::sample::Index),
        /// Resize this one to so many bytes.
        Resize(prop::sample::Index, usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        let index = any::<prop::sample::Index>;
        prop_oneof![
            3 => (1usize..600, 0u32..13).prop_map(|(size, align)| Act::Allocate(size, align)),
            2 => index().prop_map(Act::Free),
            2 => (index(), 1usize..600).prop_map(|(index, size)| Act::Resize(index, size)),
        ]
    }

    proptest! {
        // Allocations never overlap, and lie in the regions of the heap, in whatever order they are freed.
        #[test]
        fn nobody_is_given_what_somebody_has(acts in proptest::collection::vec(act(), 0..60), gaps in any::<u64>()) {
            let (mut bump, mut regions, mut live) = (Bump::EMPTY, Vec::new(), Vec::<(usize, Layout)>::new());
            let mut taken = 0x1000;
            for (turn, act) in acts.into_iter().enumerate() {
                match act {
                    Act::Allocate(size, align) => {
                        let layout = layout(size, 1 << align);
                        let more = |least: usize| {
                            let start = taken + (gaps >> (turn % 64) & 1) as usize * 0x1000;
                            taken = start + least.next_multiple_of(0x1000);
                            regions.push(start..taken);
                            Some((start, taken))
                        };
                        let address = bump.allocate(layout, more);
                        live.push((address.expect("there is always more"), layout));
                    }
                    Act::Free(index) if !live.is_empty() => {
                        let index = index.index(live.len());
                        let (address, layout) = live.swap_remove(index);
                        bump.free(address, layout);
                    }
                    Act::Resize(index, size) if !live.is_empty() => {
                        let index = index.index(live.len());
                        let (address, held) = &mut live[index];
                        if bump.resize(*address, *held, size) {
                            *held = layout(size, held.align());
                        }
                    }
                    _ => {}
                }
                for (at, (address, layout)) in live.iter().enumerate() {
                    let end = address + layout.size();
                    prop_assert!(address.is_multiple_of(layout.align()));
                    prop_assert!((*address..end).all(|byte| regions.iter().any(|region| region.contains(&byte))));
                    prop_assert!(live[..at].iter().all(|(other, held)| end <= *other || other + held.size() <= *address));
                }
            }
        }
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn ranges_are_aligned_and_disjoint() {
        let mut bump = Bump::EMPTY;
        let mut taken = 0x1000;
        let mut end = 0;
        for (size, align) in [(1, 1), (8, 8), (3, 2), (0, 16), (5000, 4096), (1, 64), (7, 1), (1 << 20, 8)] {
            let more = |least: usize| {
                // Every second region does not directly follow the one before.
                let start = taken;
                taken += least + 0x1000 + (least & 0x1000);
                Some((start, start + least))
            };
            let address = bump.allocate(layout(size, align), more).unwrap();
            assert!(address >= end && address.is_multiple_of(align), "{size} bytes at {address:#x}");
            end = address + size;
        }
    }

    #[test]
    fn regions_that_follow_upon_each_other_are_one() {
        let mut bump = Bump::EMPTY;
        assert_eq!(bump.allocate(layout(8, 8), |_| Some((0x1000, 0x1010))), Some(0x1000));
        assert_eq!(bump.allocate(layout(16, 8), |_| Some((0x1010, 0x2000))), Some(0x1008));
    }

    #[test]
    fn the_last_range_comes_back_and_can_be_resized() {
        let mut bump = Bump::EMPTY;
        let first = bump.allocate(layout(8, 8), |_| Some((0x1000, 0x1100))).unwrap();
        let second = bump.allocate(layout(8, 8), |_| None).unwrap();
        assert!(!bump.resize(first, layout(8, 8), 16), "something follows");
        assert!(bump.resize(second, layout(8, 8), 0xF8) && !bump.resize(second, layout(0xF8, 8), 0xF9));
        bump.free(second, layout(0xF8, 8));
        assert_eq!(bump.allocate(layout(8, 8), |_| None), Some(second));
        bump.free(first, layout(8, 8));
        assert_eq!(bump.allocate(layout(8, 8), |_| None), Some(second + 8));
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        let mut bump = Bump::EMPTY;
        assert_eq!(bump.allocate(layout(8, 8), |_| None), None);
        assert_eq!(bump.allocate(layout(isize::MAX as usize - 7, 8), |_| Some((0, 64))), None);
    }
}
