//! The heap behind [`alloc`](https://doc.rust-lang.org/alloc/): boxes, vectors, strings.
//!
//! Freed bytes are used again. The allocator keeps the free ranges in a list, which is stored in the ranges themselves,
//! and takes the first range that fits. It writes only into allocated ranges, and at the beginning of a free one. So
//! the heap can have a large region: a page is charged only when it is first touched. No page is given back to the
//! kernel. A program that needs more than its quota is stopped where it touches the page.

use core::alloc::Layout;
use core::ptr::NonNull;
use linked_list_allocator::Heap as FreeList;

/// Allocates bytes of one region.
pub struct Heap(FreeList);

impl Heap {
    /// A heap without a region.
    pub const EMPTY: Heap = Heap(FreeList::empty());

    /// Allocates memory. A heap without a region first gets the one that `region` returns.
    ///
    /// `None` if there is no region, or if no free range of it is large enough.
    pub fn allocate(
        &mut self,
        layout: Layout,
        region: impl FnOnce() -> Option<&'static mut [u8]>,
    ) -> Option<NonNull<u8>> {
        if self.0.size() == 0 {
            let region = region()?;
            // SAFETY: the region is borrowed for ever, so nothing else uses it; the heap has no region yet.
            unsafe { self.0.init(region.as_mut_ptr(), region.len()) };
        }
        self.0.allocate_first_fit(layout).ok()
    }

    /// Frees memory.
    ///
    /// # Safety
    /// This heap has allocated `address` with this layout, and has not freed it since.
    pub unsafe fn free(&mut self, address: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's obligation.
        unsafe { self.0.deallocate(address, layout) };
    }
}

#[cfg(all(feature = "program", target_arch = "x86_64"))]
mod global {
    use super::Heap;
    use crate::memory;
    use core::alloc::{GlobalAlloc, Layout};
    use core::cell::UnsafeCell;
    use core::ptr::NonNull;

    /// The heap of this program.
    struct Global(UnsafeCell<Heap>);

    // SAFETY: a program is one thread, and nothing else runs in its memory.
    unsafe impl Sync for Global {}

    #[global_allocator]
    static HEAP: Global = Global(UnsafeCell::new(Heap::EMPTY));

    impl Global {
        /// The state of the allocator.
        #[expect(clippy::mut_from_ref, reason = "each caller is done with it before it calls anything else")]
        fn heap(&self) -> &mut Heap {
            // SAFETY: the reference lives within one method of the allocator, none of which calls another, and the
            // program is one thread.
            unsafe { &mut *self.0.get() }
        }
    }

    // SAFETY: `Heap` allocates disjoint ranges of a region that nothing else uses, aligned as the layout says.
    unsafe impl GlobalAlloc for Global {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let address = self.heap().allocate(layout, memory::heap);
            address.map_or(core::ptr::null_mut(), NonNull::as_ptr)
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            if let Some(address) = NonNull::new(pointer) {
                // SAFETY: the caller's obligation.
                unsafe { self.heap().free(address, layout) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::Heap;
    use core::alloc::Layout;
    use core::ptr::NonNull;
    use proptest::prelude::*;
    use std::boxed::Box;
    use std::vec;
    use std::vec::Vec;

    /// Bytes of the region in these tests.
    const BYTES: usize = 1 << 16;

    fn region() -> Option<&'static mut [u8]> {
        Some(Box::leak(vec![0; BYTES].into_boxed_slice()))
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// An action of a program on the heap.
    #[derive(Clone, Debug)]
    enum Act {
        /// Allocate this many bytes, aligned to this power of two.
        Allocate(usize, u32),
        /// Free the allocation with this index.
        Free(prop::sample::Index),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => (1usize..600, 0u32..13).prop_map(|(size, align)| Act::Allocate(size, align)),
            2 => any::<prop::sample::Index>().prop_map(Act::Free),
        ]
    }

    proptest! {
        // Each allocation is aligned and keeps its bytes until it is freed, in whatever order that happens.
        #[test]
        fn nobody_is_given_what_somebody_has(acts in proptest::collection::vec(act(), 0..60)) {
            let (mut heap, mut live) = (Heap::EMPTY, Vec::<(NonNull<u8>, Layout, u8)>::new());
            for (turn, act) in acts.into_iter().enumerate() {
                match act {
                    Act::Allocate(size, align) => {
                        let layout = layout(size, 1 << align);
                        if let Some(address) = heap.allocate(layout, region) {
                            prop_assert!(address.addr().get().is_multiple_of(layout.align()));
                            // SAFETY: the range was just allocated.
                            unsafe { address.write_bytes(turn as u8, size) };
                            live.push((address, layout, turn as u8));
                        }
                    }
                    Act::Free(index) if !live.is_empty() => {
                        let index = index.index(live.len());
                        let (address, layout, _) = live.swap_remove(index);
                        // SAFETY: it was allocated with this layout, and is no longer in `live`.
                        unsafe { heap.free(address, layout) };
                    }
                    Act::Free(_) => {}
                }
                for &(address, layout, byte) in &live {
                    // SAFETY: the range is allocated and was written.
                    let kept = (0..layout.size()).all(|at| unsafe { address.add(at).read() } == byte);
                    prop_assert!(kept, "{address:?}");
                }
            }
        }
    }

    #[test]
    fn freed_bytes_are_used_again() {
        let mut heap = Heap::EMPTY;
        let (large, small) = (layout(BYTES / 4, 8), layout(16, 8));
        // The small allocations stay, so that the large ones are not the last in memory.
        for round in 0..1000 {
            let address = heap.allocate(large, region).unwrap_or_else(|| panic!("round {round}"));
            heap.allocate(small, region).unwrap_or_else(|| panic!("round {round}"));
            // SAFETY: it was just allocated with this layout.
            unsafe { heap.free(address, large) };
        }
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        let mut heap = Heap::EMPTY;
        assert_eq!(heap.allocate(layout(8, 8), || None), None);
        assert_eq!(heap.allocate(layout(BYTES + 1, 8), region), None);
        assert_eq!(heap.allocate(layout(isize::MAX as usize - 7, 8), region), None);
        assert!(heap.allocate(layout(8, 8), region).is_some());
    }
}
