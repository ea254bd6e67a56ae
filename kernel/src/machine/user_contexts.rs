//! User contexts: the array that the trap stubs save registers in.
use super::Place;
use crate::cpu::context::{self, SLOTS, UserContext};
use crate::storage::{Entries, fill_each};
use core::ops::Range;
use domain::Domain;
use layer::core::constants::{NUM_PROC, UCTXT_SIZE, slot};
use layer::core::fields::Slot;

// The layer and the stubs use the same numbers for the slots.
const _: () = assert!(SLOTS == UCTXT_SIZE as usize);
const _: () = assert!(context::Slot::Eip as u32 == slot::EIP && context::Slot::Esp as u32 == slot::ESP);
const _: () = assert!(context::Slot::Eax as u32 == slot::EAX && context::Slot::R10 as u32 == slot::R10);
const _: () = assert!(context::Slot::Eflags as u32 == slot::EFLAGS && context::Slot::Ebx as u32 == slot::EBX);

/// The user contexts of a CPU's threads: 25 words for each thread, and floating-point state, which is not part of the
/// layer's state. They are a slice of kernel memory that belongs to this CPU.
///
/// Different keys are different words of the slice. The stubs write the row of the program that they interrupt, and
/// only while no other code of the CPU runs; they get its address from [`UserContexts::row`].
pub struct UserContexts {
    rows: *mut UserContext,
}

// SAFETY: only this map uses the memory, whichever CPU has the map.
unsafe impl Send for UserContexts {}

impl UserContexts {
    pub(super) fn new(place: Place) -> Self {
        let rows = place.platform.keep_each(NUM_PROC as usize, "uctxt", |_| UserContext::new());
        UserContexts { rows: rows.as_mut_ptr() }
    }

    /// Address of the registers of `thread`.
    ///
    /// # Panics
    /// When there is no such thread.
    #[inline(always)]
    pub fn row(&self, thread: u32) -> *mut UserContext {
        assert!(thread < NUM_PROC, "there is no thread {thread}");
        // SAFETY: there are `NUM_PROC` rows.
        unsafe { self.rows.add(thread as usize) }
    }

    #[inline(always)]
    fn slot(&self, [thread, slot]: [u32; 2]) -> *mut u64 {
        let row = self.row(thread);
        assert!(slot < UCTXT_SIZE, "there is no slot {slot}");
        // SAFETY: the row is valid, and has that slot.
        unsafe { (&raw mut (*row).slots).cast::<u64>().add(slot as usize) }
    }
}

impl<D: Domain<Wide = u64>> Entries<[u32; 2], Slot<D>> for UserContexts {
    fn keys(&self) -> [Range<u32>; 2] {
        [0..NUM_PROC, 0..UCTXT_SIZE]
    }

    #[inline(always)]
    fn load(&self, key: [u32; 2]) -> Slot<D> {
        // SAFETY: `slot` returns the address of a word of the slice, which only the CPU that runs this
        // accesses.
        Slot { value: unsafe { self.slot(key).read() } }
    }

    // A thread that begins with all registers 0 gets none of the previous thread's values, not even the state outside
    // the slots.
    fn fill(&mut self, row: &[u32], value: Slot<D>) {
        if let &[thread] = row {
            // SAFETY: as in `load`, for the whole row.
            unsafe { self.row(thread).write(UserContext::new()) };
        }
        fill_each(self, row, value);
    }

    #[inline(always)]
    fn store(&mut self, key: [u32; 2], value: Slot<D>) {
        // SAFETY: as in `load`.
        unsafe { self.slot(key).write(value.value) }
    }
}
