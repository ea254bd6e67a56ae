//! The same primitives as a programmer writes them for one machine, over memory of the same layout.
use crate::machine::{BACKED, Bench, Memory, NPS, keep, words};
use kernel::mm::layout::PAGE_SIZE;
use kernel::mm::user_space::entry::{ADDRESS, PRESENT, TABLE};
use kernel::storage::links::Words;
use kernel::sync::lock::Lock;
use layer::core::constants::{
    ADR_HIGH, ADR_LOW, KERN_LOW, MAGIC_NUMBER, MAX_PAGE, NO_THREAD, NUM_CHAN, NUM_ID, NUM_PROC, VMX_SIZE,
};
use layer::core::fields::{Container, Context, Frame, kind};
use layer::objects::vmx::vmcs::VMCS_SIZE;
use layer::objects::vmx::{Place, REGISTERS};
use std::hint::black_box;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The allocation table.
pub struct Table {
    frames: &'static mut [Frame<Bench>],
    cursor: u32,
}

/// A queue of threads.
#[derive(Clone, Copy)]
pub struct Queue {
    head: u32,
    tail: u32,
}

impl Queue {
    const EMPTY: Queue = Queue { head: NO_THREAD, tail: NO_THREAD };

    fn push(&mut self, next: &[AtomicU32], thread: u32) {
        next[thread as usize].store(NO_THREAD, Relaxed);
        if self.tail == NO_THREAD {
            self.head = thread;
        } else {
            next[self.tail as usize].store(thread, Relaxed);
        }
        self.tail = thread;
    }

    fn pop(&mut self, next: &[AtomicU32]) -> Option<u32> {
        let thread = self.head;
        if thread == NO_THREAD {
            return None;
        }
        self.head = next[thread as usize].load(Relaxed);
        if self.head == NO_THREAD {
            self.tail = NO_THREAD;
        }
        Some(thread)
    }
}

/// A CPU, and the objects that it shares.
pub struct Kernel {
    pub cur: u32,
    containers: &'static mut [Container<Bench>],
    contexts: &'static mut [Context<Bench>],
    table: &'static Lock<Table>,
    ready: Queue,
    pending: &'static Lock<Queue>,
    next: &'static Words,
    memory: Memory,
    /// The frames that are memory, which a kernel learns at boot.
    frames: Range<u32>,
    counts: &'static mut [[u32; 4]],
    mailboxes: &'static mut [u8],
    vmcs: &'static mut [u64],
    vmx: &'static mut [u64],
}

impl Kernel {
    /// A machine whose thread 1 has `quota` pages. The threads `ready` are in the ready queue.
    pub fn new(quota: u32, ready: impl IntoIterator<Item = u32>) -> Kernel {
        let frames = keep(MAX_PAGE as usize, || Frame { kind: kind::NORM, alloc: false });
        let empty = || Container { quota: 0, usage: 0, parent: 0, nchildren: 0, used: false };
        let mut kernel = Kernel {
            cur: 1,
            containers: keep(NUM_ID as usize, empty),
            contexts: keep(NUM_PROC as usize, || Context { esp: 0, ra: 0 }),
            table: Box::leak(Box::new(Lock::new(Table { frames, cursor: KERN_LOW }))),
            ready: Queue::EMPTY,
            pending: Box::leak(Box::new(Lock::new(Queue::EMPTY))),
            next: words(),
            memory: Memory::new(),
            frames: black_box(BACKED),
            counts: keep(NUM_CHAN as usize, || [0; 4]),
            mailboxes: keep((u64::from(NUM_CHAN) * PAGE_SIZE) as usize, || 0),
            vmcs: keep(VMCS_SIZE as usize, || 0),
            vmx: keep(VMX_SIZE as usize, || 0),
        };
        kernel.containers[1] = Container { quota, used: true, ..empty() };
        for thread in ready {
            kernel.ready.push(kernel.next, thread);
        }
        kernel
    }

    /// Frees `pages` pages from frame `cursor` on; thread 1 uses no others.
    pub fn free_from(&mut self, cursor: u32, pages: u32) {
        let mut table = self.table.lock();
        table.cursor = cursor;
        table.frames[cursor as usize..][..pages as usize].iter_mut().for_each(|frame| frame.alloc = false);
        self.containers[1].usage = 0;
    }

    /// Removes the page table of a thread's directory entry.
    pub fn forget(&mut self, thread: u32, region: u32) {
        // SAFETY: the entry is this machine's own.
        unsafe { self.directory_entry(thread, region << 21).write_volatile(0) }
    }

    pub fn palloc(&mut self, n: u32) -> u32 {
        let mut table = self.table.lock();
        let container = &mut self.containers[n as usize];
        assert!(container.used);
        if container.usage >= container.quota {
            return 0;
        }
        let free = |page: &u32| {
            let frame = table.frames[*page as usize];
            frame.kind == kind::NORM && !frame.alloc
        };
        let Some(page) = (table.cursor..NPS).find(free) else {
            table.cursor = NPS;
            return 0;
        };
        table.cursor = page + 1;
        table.frames[page as usize].alloc = true;
        container.usage += 1;
        page
    }

    /// The directory entry of a user's address. Other addresses are the kernel's own.
    fn directory_entry(&self, thread: u32, va: u32) -> *mut u64 {
        assert!((ADR_LOW..ADR_HIGH).contains(&va));
        let at = self.memory.spaces.directory_entry(thread.into(), (va >> 21).into()).expect("a user address");
        self.memory.map.pointer(at)
    }

    /// Address of a frame of memory.
    fn frame(&self, frame: u32) -> *mut u8 {
        assert!(self.frames.contains(&frame));
        self.memory.map.pointer(u64::from(frame) * PAGE_SIZE)
    }

    fn page_entry(&self, directory: u64, va: u32) -> *mut u64 {
        let table = self.frame(((directory & ADDRESS) / PAGE_SIZE) as u32).cast::<u64>();
        table.wrapping_add((va >> 12 & 511) as usize)
    }

    pub fn pt_resv(&mut self, thread: u32, va: u32, perm: u32) -> u32 {
        let page = self.palloc(thread);
        if page == 0 {
            return MAGIC_NUMBER;
        }
        // SAFETY: the frame was just allocated.
        unsafe { self.frame(page).write_bytes(0, PAGE_SIZE as usize) };
        let entry = self.directory_entry(thread, va);
        // SAFETY: it is an entry of this machine's directories.
        let mut directory = unsafe { entry.read_volatile() };
        let mut made = 0;
        if directory & PRESENT == 0 {
            made = self.palloc(thread);
            if made == 0 {
                return MAGIC_NUMBER;
            }
            directory = u64::from(made) * PAGE_SIZE | TABLE;
            // SAFETY: the frame was just allocated, and the entry is as above.
            unsafe {
                self.frame(made).write_bytes(0, PAGE_SIZE as usize);
                entry.write_volatile(directory);
            }
        }
        let entry = self.page_entry(directory, va);
        // SAFETY: it is an entry of the page table.
        unsafe {
            assert_eq!(entry.read_volatile() & PRESENT, 0);
            entry.write_volatile(u64::from(page) * PAGE_SIZE | u64::from(perm));
        }
        made
    }

    pub fn thread_yield(&mut self, rs: Context<Bench>) -> Context<Bench> {
        let woken = self.pending.lock().pop(self.next);
        if let Some(woken) = woken {
            self.ready.push(self.next, woken);
        }
        self.ready.push(self.next, self.cur);
        self.contexts[self.cur as usize] = rs;
        let next = self.ready.pop(self.next).expect("at least the one that yields");
        self.cur = next;
        self.contexts[next as usize]
    }

    pub fn ipc_send_body(&mut self, q: u32, va: u32, n: u32) -> u32 {
        assert!(q < NUM_CHAN);
        let k = n.min(1024);
        // SAFETY: they are entries of this machine's tables.
        let page = unsafe {
            let directory = self.directory_entry(self.cur, va).read_volatile();
            assert!(directory & PRESENT != 0 && va.is_multiple_of(PAGE_SIZE as u32));
            self.page_entry(directory, va).read_volatile()
        };
        assert!(page & PRESENT != 0);
        let from = self.frame(((page & ADDRESS) / PAGE_SIZE) as u32);
        let to = &mut self.mailboxes[(u64::from(q) * PAGE_SIZE) as usize..][..4 * k as usize];
        // SAFETY: the frame is a page of memory, which is no mailbox.
        unsafe { to.as_mut_ptr().copy_from_nonoverlapping(from, to.len()) };
        self.counts[q as usize][2] = k;
        k
    }

    pub fn vmx_set_reg(&mut self, r: u32, value: u32) {
        match REGISTERS[r as usize] {
            Place::Vmcs(field) => self.vmcs[field as usize] = value.into(),
            Place::Vmx(slot) => self.vmx[slot as usize] = value.into(),
        }
    }
}
