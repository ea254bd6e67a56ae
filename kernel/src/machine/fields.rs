//! The storage of each field; the documentation of [`machine`](super) has the table.
use super::lines::Lines;
use super::metal::Metal;
use super::platform::Place;
use super::user_contexts::UserContexts;
use crate::guest::fields::{Fields, find, pages};
use crate::guest::nested::{LEAVES, Leaf, Nested, Upper};
use crate::guest::page::Page;
use crate::mm::direct_map::direct_map;
use crate::storage::channels::{Blocks, Mail};
use crate::storage::directories::Directories;
use crate::storage::frames::Window;
use crate::storage::frames::{PageTables, Physical};
use crate::storage::links::Links;
use crate::storage::{Allocation, Array, FreeFrames, Of, zero};
use core::sync::atomic::AtomicU32;
use domain::{Data, Field, Storage};
use layer::core::constants::*;
use layer::core::fields::*;
use layer::objects::vmx::vmcs::VMCS_SIZE;

crate::arrays!(Metal, array);
crate::erased_fields!(Metal);

impl Storage<Frames> for Metal {
    type Map = Of<Allocation<Metal>>;
    fn at(place: Place) -> Self::Map {
        let free = &mut place.platform.keep_each(1, "free frames", |_| FreeFrames::NONE)[0];
        Of(Allocation::new(array::<Frames, _, _>(place), free))
    }
}

/// An array for a field, in memory of its own.
fn array<F: Field<Metal, Key = [u32; 1], Val = V>, V: Data<Metal>, const N: usize>(place: Place) -> Array<V, N> {
    Array::new(place.platform.keep_each(N, F::NAME, |_| zero::<Metal, _>()))
}

impl Storage<IoApicLines> for Metal {
    type Map = Of<Lines<Metal>>;
    fn at(place: Place) -> Self::Map {
        Of(Lines::new(place, array::<IoApicLines, _, _>(place)))
    }
}

impl Storage<NextLinks> for Metal {
    type Map = Of<Links>;
    fn at(place: Place) -> Of<Links> {
        let name = <NextLinks as Field<Metal>>::NAME;
        let words = || &place.platform.keep_each(1, name, |_| [const { AtomicU32::new(0) }; NUM_PROC as usize])[0];
        Of(Links::new(words(), words()))
    }
}

impl Storage<SyncChannels> for Metal {
    type Map = Of<Blocks>;
    fn at(place: Place) -> Of<Blocks> {
        let name = <SyncChannels as Field<Metal>>::NAME;
        let blocks = place.platform.keep_each(NUM_CHAN as usize, name, |_| [0; 4]);
        // SAFETY: primitives 19 to 24 access only the blocks of channels whose locks their CPU holds; this is proved.
        // Code that reads all of them does so while the other CPUs wait.
        Of(unsafe { Blocks::new(blocks) })
    }
}

impl Storage<Mailboxes> for Metal {
    type Map = Of<Mail>;
    fn at(place: Place) -> Of<Mail> {
        let name = <Mailboxes as Field<Metal>>::NAME;
        let mailboxes = place.platform.keep_each(NUM_CHAN as usize, name, |_| [0; PAGE_SIZE as usize]);
        // SAFETY: as for the control blocks.
        Of(unsafe { Mail::new(mailboxes) })
    }
}

impl Storage<layer::core::fields::UserContexts> for Metal {
    type Map = Of<UserContexts>;
    fn at(place: Place) -> Of<UserContexts> {
        Of(UserContexts::new(place))
    }
}

impl Storage<layer::core::fields::Directories> for Metal {
    type Map = Of<Directories>;
    fn at(place: Place) -> Of<Directories> {
        // SAFETY: boot has set the spaces up, in kernel memory of their own.
        Of(unsafe { Directories::new(direct_map(), place.platform.spaces, place.cpu) })
    }
}

impl Storage<VmcsFields> for Metal {
    type Map = Of<Fields>;
    fn at(place: Place) -> Of<Fields> {
        let (kind, name) = (find(), <VmcsFields as Field<Metal>>::NAME);
        let kept = place.platform.keep_each(kind.map_or(0, pages), name, |_| Page::zero());
        let beside = &mut place.platform.keep_each(1, name, |_| [0; VMCS_SIZE as usize])[0];
        Of(Fields::new(kind, kept, beside))
    }
}

impl Storage<EptEntries> for Metal {
    type Map = Of<Option<Nested>>;
    fn at(place: Place) -> Of<Option<Nested>> {
        let name = <EptEntries as Field<Metal>>::NAME;
        Of(find().ok().map(|kind| {
            let upper = &place.platform.keep_each(1, name, |_| Upper::empty())[0];
            Nested::new(kind, upper, place.platform.keep_each(LEAVES, name, |_| Leaf::uninit()))
        }))
    }
}

/// The window of the users' frames.
fn users(place: Place) -> Window {
    // SAFETY: the direct map has all of memory, and the kernel keeps nothing in users' frames. It is proved which CPU
    // accesses which frame. A program that has a frame mapped does not run while its CPU executes the kernel.
    unsafe { Window::new(direct_map(), place.platform.user_frames()) }
}

impl Storage<layer::core::fields::PageTables> for Metal {
    type Map = Of<PageTables>;
    fn at(place: Place) -> Of<PageTables> {
        Of(PageTables::new(users(place)))
    }
}

impl Storage<PhysicalMemory> for Metal {
    type Map = Of<Physical>;
    fn at(place: Place) -> Of<Physical> {
        Of(Physical::new(users(place)))
    }
}
