//! Theorems about the layer as a whole, rather than about one primitive.
mod allocation;
mod can_fail;
mod isolation;
mod loss;
mod rely;
mod replay;
mod stability;
mod start;
mod theorem;

use crate::state::sym::Sym;
use can_fail::facts_can_fail;
use isolation::{isolation_of_frames, isolation_of_guest_memory, isolation_of_stores};
use layer::core::geometry::Geometry;
use layer::invariant::facts;
use layer::objects::channel::pool::Channels;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Queue, Sleeping, Threads};
use loss::nothing_is_lost;
use rely::{Mail, rely_is_preorder};
use stability::{Moved, stability};
use start::{boot, init_adt};

pub(crate) use allocation::ALLOCATED;
pub use theorem::Theorem;

/// All theorems, for page tables of geometry `G`.
pub fn theorems<G: Geometry>() -> Vec<Theorem> {
    let mut theorems = vec![
        Theorem {
            name: "init_adt",
            description: "the state before sched_init satisfies the invariant",
            prove: init_adt::<G>,
        },
        Theorem {
            name: "boot",
            description: "a CPU that boots ends in kernel mode, quiescent, and continues with its main thread; it is \
             stuck only if the machine's description is not usable",
            prove: boot::<G>,
        },
        Theorem {
            name: "facts",
            description: "each clause of the invariant can be violated by some state: none is trivially true",
            prove: || facts_can_fail(&facts::<Sym<G>>().collect::<Vec<_>>()),
        },
        Theorem {
            name: "rely_AT",
            description: "the rely condition of the allocation table is reflexive and transitive",
            prove: || rely_is_preorder::<G, AllocTable<Sym<G>>>(),
        },
        Theorem {
            name: "rely_msg",
            description: "the rely condition of a pending queue is reflexive and transitive",
            prove: || rely_is_preorder::<G, Queue<Sym<G>>>(),
        },
        Theorem {
            name: "rely_tcb",
            description: "the rely condition of the threads is reflexive and transitive",
            prove: || rely_is_preorder::<G, Threads<Sym<G>>>(),
        },
        Theorem {
            name: "rely_slp",
            description: "the rely condition of a sleep queue is reflexive and transitive",
            prove: || rely_is_preorder::<G, Queue<Sym<G>, Sleeping>>(),
        },
        Theorem {
            name: "rely_syncchpool",
            description: "the rely condition of the channels is reflexive and transitive",
            prove: || rely_is_preorder::<G, Channels<Sym<G>>>(),
        },
        Theorem {
            name: "rely_mailbox",
            description: "the rely condition of the messages is reflexive and transitive",
            prove: || rely_is_preorder::<G, Mail<G>>(),
        },
        Theorem {
            name: "stable_AT",
            description: "the invariant is stable under interference on the allocation table",
            prove: || stability::<G>(Moved::Table),
        },
        Theorem {
            name: "stable_threads",
            description: "the invariant is stable under interference on the threads",
            prove: || stability::<G>(Moved::Threads),
        },
        Theorem {
            name: "stable_channels",
            description: "the invariant is stable under interference on the channels",
            prove: || stability::<G>(Moved::Channels),
        },
        Theorem {
            name: "palloc_inv_prop",
            description: "palloc returns a page that nothing maps, and changes no page map",
            prove: allocation::palloc_inv_prop::<G>,
        },
        Theorem {
            name: "nothing_is_lost",
            description: "a process without page tables is charged no page: its usage consists of its children's \
             quotas (D10)",
            prove: nothing_is_lost::<G>,
        },
        Theorem {
            name: "isolation_of_frames",
            description: "no frame is at two places of user maps, none is both mapped and a page table, or another CPU's, or \
                   the kernel's",
            prove: isolation_of_frames::<G>,
        },
        Theorem {
            name: "isolation_of_stores",
            description: "no store of a program changes a byte that another program, another CPU or the kernel can read, nor \
                   a page map",
            prove: || isolation_of_stores::<G>(false),
        },
        Theorem {
            name: "isolation_of_guests",
            description: "no store that `guest_store` admits changes a byte that another CPU or the kernel can read, nor a page \
             map; that a guest reaches no other memory is isolation_of_guest_memory",
            prove: || isolation_of_stores::<G>(true),
        },
        Theorem {
            name: "isolation_of_guest_memory",
            description: "between two kernel entries, every frame that the nested page tables of a CPU map is a data page of \
             the process that has the virtual machine, which has not ended; no other process maps it",
            prove: isolation_of_guest_memory::<G>,
        },
    ];
    theorems.extend(replay::theorems::<G>());
    theorems
}
