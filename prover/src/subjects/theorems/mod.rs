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
use isolation::{isolation_of_frames, isolation_of_stores};
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
        Theorem { name: "init_adt", says: "the state before sched_init satisfies the invariant", prove: init_adt::<G> },
        Theorem {
            name: "boot",
            says: "a CPU that boots ends in kernel mode, at rest, where its main thread goes on; it is stuck only where the \
                   machine's description is no use",
            prove: boot::<G>,
        },
        Theorem {
            name: "facts",
            says: "each clause of the invariant can be broken by some state: none is true by mistake",
            prove: || facts_can_fail(&facts::<Sym<G>>().collect::<Vec<_>>()),
        },
        Theorem {
            name: "rely_AT",
            says: "what a CPU may count on of the allocation table is reflexive and transitive",
            prove: || rely_is_preorder::<G, AllocTable<Sym<G>>>(),
        },
        Theorem {
            name: "rely_msg",
            says: "what a CPU may count on of its pending queue is reflexive and transitive",
            prove: || rely_is_preorder::<G, Queue<Sym<G>>>(),
        },
        Theorem {
            name: "rely_tcb",
            says: "what a CPU may count on of the threads is reflexive and transitive",
            prove: || rely_is_preorder::<G, Threads<Sym<G>>>(),
        },
        Theorem {
            name: "rely_slp",
            says: "what a CPU may count on of a sleep queue is reflexive and transitive",
            prove: || rely_is_preorder::<G, Queue<Sym<G>, Sleeping>>(),
        },
        Theorem {
            name: "rely_syncchpool",
            says: "what a CPU may count on of the channels is reflexive and transitive",
            prove: || rely_is_preorder::<G, Channels<Sym<G>>>(),
        },
        Theorem {
            name: "rely_mailbox",
            says: "what a CPU may count on of the messages is reflexive and transitive",
            prove: || rely_is_preorder::<G, Mail<G>>(),
        },
        Theorem {
            name: "stable_AT",
            says: "the invariant stays when others use the allocation table",
            prove: || stability::<G>(Moved::Table),
        },
        Theorem {
            name: "stable_threads",
            says: "the invariant stays when others move threads",
            prove: || stability::<G>(Moved::Threads),
        },
        Theorem {
            name: "stable_channels",
            says: "the invariant stays when others use channels",
            prove: || stability::<G>(Moved::Channels),
        },
        Theorem {
            name: "palloc_inv_prop",
            says: "what palloc gives is a page that nothing maps, and no page map is changed",
            prove: allocation::palloc_inv_prop::<G>,
        },
        Theorem {
            name: "nothing_is_lost",
            says: "a process without page tables is charged no page: what it uses is its children's quotas (D10)",
            prove: nothing_is_lost::<G>,
        },
        Theorem {
            name: "isolation_of_frames",
            says: "no frame is at two places of user maps, none is both mapped and a page table, or another CPU's, or \
                   the kernel's",
            prove: isolation_of_frames::<G>,
        },
        Theorem {
            name: "isolation_of_stores",
            says: "no store of a program changes a byte that another program, another CPU or the kernel can read, nor \
                   a page map",
            prove: || isolation_of_stores::<G>(false),
        },
        Theorem {
            name: "isolation_of_guests",
            says: "no store of a guest changes a byte that another CPU or the kernel can read, nor a page map; that its \
                   memory is that of its own thread, whoever maps it has to see to",
            prove: || isolation_of_stores::<G>(true),
        },
    ];
    theorems.extend(replay::theorems::<G>());
    theorems
}
