//! A simple model of the layer in plain collections. It is written from the reference, and not from the layer's source.
//! For each call it gives the result, or reports that the call gets stuck.
mod channel;
mod serial;
mod vm;

use layer::core::call::{Access, Arguments};
use layer::core::constants::*;
use serial::Uart;
use sim::machine::serial::SerialInput;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use vm::Vm;

/// The model's result of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// The call gets stuck.
    Stuck,
    /// The call succeeds; the model does not know its result.
    Done,
    /// The result is a word.
    Word(u32),
    /// The result is a wide word.
    Wide(u64),
    /// The result is these registers.
    Registers(Vec<u64>),
    /// A load returns these bytes.
    Loaded(Vec<u32>),
    /// The store is done.
    Stored,
    /// The access faults.
    Fault,
}

#[derive(Clone, Copy, Default, Debug)]
struct Container {
    quota: u32,
    usage: u32,
    children: u32,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Model {
    /// Free frames.
    free: BTreeSet<u32>,
    frames: u32,
    pub cpus: Vec<One>,
    pub shared: channel::Shared,
}

/// One CPU.
#[derive(Clone, Debug)]
pub struct One {
    me: u32,
    pub cur: u32,
    pub ready: VecDeque<u32>,
    user: bool,
    containers: BTreeMap<u32, Container>,
    /// The frame and permission of each mapped page, by thread and page number.
    pages: BTreeMap<(u32, u32), (u32, u32)>,
    /// The threads and 2 MiB regions with a page table.
    tables: BTreeSet<(u32, u32)>,
    /// The frames that the CPU uses for data.
    pub data: Vec<u32>,
    /// The bytes that are not 0, by frame and offset, in frames that were zeroed.
    memory: BTreeMap<(u32, u32), u32>,
    zeroed: BTreeSet<u32>,
    fault: (u64, u64),
    contexts: BTreeMap<(u32, u32), u64>,
    pub vm: Vm,
    pub uart: Uart,
}

const PAGES_OF_A_TABLE: u32 = 512;

impl Model {
    /// The machine after `sched_init` on all CPUs.
    pub fn boot(frames: u32, usable: impl Fn(u32) -> bool, script: &SerialInput) -> Self {
        let free: BTreeSet<u32> = (KERN_LOW..KERN_HIGH.min(frames)).filter(|&frame| usable(frame)).collect();
        let share = free.len() as u32 / TOTAL_CPU;
        let machine = Container { quota: free.len() as u32, usage: TOTAL_CPU * share, children: TOTAL_CPU };
        let mut containers: BTreeMap<_, _> =
            (1..=TOTAL_CPU).map(|root| (root, Container { quota: share, ..Default::default() })).collect();
        containers.insert(0, machine);
        let one = |me| One {
            me,
            cur: me + 1,
            ready: VecDeque::new(),
            user: false,
            containers: containers.clone(),
            pages: BTreeMap::new(),
            tables: BTreeSet::new(),
            data: Vec::new(),
            memory: BTreeMap::new(),
            zeroed: BTreeSet::new(),
            fault: (0, 0),
            contexts: BTreeMap::new(),
            vm: Vm::default(),
            uart: Uart::boot(script, me),
        };
        Model { free, frames, cpus: (0..TOTAL_CPU).map(one).collect(), shared: channel::Shared::default() }
    }

    /// Makes a call on a CPU, and returns its result. `None` if the model does not know the primitive.
    pub fn call(&mut self, cpu: u32, name: &str, a: &Arguments<sim::machine::Sim>) -> Option<Said> {
        let before = self.clone();
        let said = self.answer(cpu as usize, name, a);
        if !matches!(said, Some(Some(_))) {
            *self = before;
        }
        said.map(|said| said.unwrap_or(Said::Stuck))
    }

    /// Like `call`, with `Some(None)` if the call gets stuck.
    fn answer(&mut self, cpu: usize, name: &str, a: &Arguments<sim::machine::Sim>) -> Option<Option<Said>> {
        let [x, y, z, w] = a.words;
        let one = &mut self.cpus[cpu];
        let kernel = one.kernel();
        Some(match name {
            "palloc" => self.palloc(cpu, x).map(Said::Word),
            "set_pt" => None,
            "pt_read" => (kernel && one.is_mine(x) && in_window(y))
                .then(|| one.pages.get(&(x, y / PAGE_SIZE)).map_or(0, |&(frame, perm)| frame * PAGE_SIZE + perm))
                .map(Said::Word),
            "pt_resv" => self.pt_resv(cpu, x, y, z).map(Said::Word),
            "ptInsert" => self.insert(cpu, x, y, z, w, true).map(Said::Word),
            "ptInsertPTE" => self.insert_entry(cpu, x, y, z, w).map(|()| Said::Done),
            "ptAllocPDE" => {
                let absent = !one.tables.contains(&(x, y / PAGE_SIZE / PAGES_OF_A_TABLE));
                (one.may_map(x, y) && absent).then(|| self.table(cpu, x, y)).flatten().map(Said::Word)
            }
            "thread_yield" => kernel.then(|| {
                // A woken thread joins first.
                one.ready.extend(self.shared.pending.get_mut(&one.me).and_then(VecDeque::pop_front));
                one.ready.push_back(one.cur);
                one.cur = one.ready.pop_front().unwrap();
                Said::Done
            }),
            "uctx_get" => {
                let value = one.contexts.get(&(x, y)).copied();
                value
                    .filter(|_| kernel && one.is_mine(x) && ![2, 3, 12].contains(&y))
                    .map(|value| Said::Word(value as u32))
            }
            "uctx_set" => (kernel && one.is_mine(x) && y < UCTXT_SIZE && ![2, 3, 12].contains(&y)).then(|| {
                one.contexts.insert((x, y), z.into());
                Said::Done
            }),
            "proc_create" => one.create(y).map(Said::Word),
            "container_get_nchildren" => one.container(x).map(|container| Said::Word(container.children)),
            "container_get_quota" => one.container(x).map(|container| Said::Word(container.quota)),
            "container_get_usage" => one.container(x).map(|container| Said::Word(container.usage)),
            "container_can_consume" => {
                one.container(x).map(|container| Said::Word(u32::from(y <= container.quota - container.usage)))
            }
            "get_CPU_ID" => kernel.then_some(Said::Word(one.me)),
            "get_curid" => kernel.then_some(Said::Word(one.cur)),
            "cli" | "sti" => kernel.then(|| {
                one.uart.interrupts = name == "sti";
                Said::Done
            }),
            "proc_create_postinit" => kernel.then_some(Said::Done),
            "serial_intr_disable" => kernel.then(|| one.uart.disable()).flatten().map(|()| Said::Done),
            "serial_intr_enable" => kernel.then(|| one.uart.enable()).flatten().map(|()| Said::Done),
            "serial_putc" => kernel.then(|| one.uart.putc(x)).flatten().map(Said::Word),
            "cons_buf_read" => kernel.then(|| Said::Word(one.uart.read())),
            "rdmsr" => kernel.then_some(Said::Wide(0)),
            "wrmsr" => kernel.then_some(Said::Word(0)),
            "host_in" => std::mem::take(&mut one.vm.inside).then_some(Said::Done),
            "host_out" => kernel.then(|| {
                one.vm.inside = true;
                Said::Done
            }),
            "vmx_return_from_guest" => one.vm.inside.then(|| one.vm.leave(a)).flatten(),
            name if name.starts_with("vmx_") => kernel.then(|| one.vm.call(name, a)).flatten(),
            "vmxinfo_get" => kernel.then_some(Said::Word(0)),
            "sched_init" => None,
            "trap_get" => Some(Said::Wide(one.fault.0)),
            "trap_set" => Some(Said::Wide(one.fault.1)),
            "proc_start_user" | "proc_start_user2" => kernel.then(|| {
                one.user = true;
                Said::Done
            }),
            "proc_exit_user" | "proc_exit_user2" => one.user.then(|| {
                one.user = false;
                one.contexts.extend((0..UCTXT_SIZE).map(|slot| ((one.cur, slot), a.registers[slot as usize])));
                Said::Done
            }),
            "exec_load" => one.access(a, None),
            "exec_store" => one.access(a, Some(a.bytes)),
            "guest_load" => one.guest_access(a, None),
            "guest_store" => one.guest_access(a, Some(a.bytes)),
            _ => return self.channel(cpu, name, a.words),
        })
    }

    fn palloc(&mut self, cpu: usize, n: u32) -> Option<u32> {
        let one = &mut self.cpus[cpu];
        one.container(n)?;
        let container = one.containers.get_mut(&n)?;
        if container.usage == container.quota {
            return Some(0);
        }
        let Some(frame) = self.free.pop_first() else { return Some(0) };
        container.usage += 1;
        one.data.push(frame);
        Some(frame)
    }

    fn pt_resv(&mut self, cpu: usize, n: u32, va: u32, perm: u32) -> Option<u32> {
        let page = self.palloc(cpu, n)?;
        if page == 0 {
            return Some(MAGIC_NUMBER);
        }
        let one = &mut self.cpus[cpu];
        one.memory.retain(|&(frame, _), _| frame != page);
        one.zeroed.insert(page);
        self.insert(cpu, n, va, page, perm, false)
    }

    fn insert(&mut self, cpu: usize, n: u32, va: u32, page: u32, perm: u32, check_page: bool) -> Option<u32> {
        let one = &self.cpus[cpu];
        let permitted = [1, 3, 5, 7, 259].contains(&perm);
        if !one.may_map(n, va) || !permitted || (check_page && (page == 0 || page >= self.frames)) {
            return None;
        }
        let new = !one.tables.contains(&(n, va / PAGE_SIZE / PAGES_OF_A_TABLE));
        let frame = if new { self.table(cpu, n, va)? } else { 0 };
        if new && frame == 0 {
            return Some(MAGIC_NUMBER);
        }
        self.insert_entry(cpu, n, va, page, perm)?;
        Some(frame)
    }

    /// Makes a missing page table.
    fn table(&mut self, cpu: usize, n: u32, va: u32) -> Option<u32> {
        let frame = self.palloc(cpu, n)?;
        if frame != 0 {
            let one = &mut self.cpus[cpu];
            one.data.retain(|&data| data != frame);
            one.tables.insert((n, va / PAGE_SIZE / PAGES_OF_A_TABLE));
        }
        Some(frame)
    }

    fn insert_entry(&mut self, cpu: usize, n: u32, va: u32, page: u32, perm: u32) -> Option<()> {
        let one = &mut self.cpus[cpu];
        let place = (n, va / PAGE_SIZE);
        let has_table = one.tables.contains(&(n, va / PAGE_SIZE / PAGES_OF_A_TABLE));
        if !one.may_map(n, va) || !has_table || one.pages.contains_key(&place) || !one.data.contains(&page) {
            return None;
        }
        one.pages.insert(place, (page, perm));
        Some(())
    }
}

fn in_window(va: u32) -> bool {
    (ADR_LOW..ADR_HIGH).contains(&va)
}

impl One {
    fn kernel(&self) -> bool {
        !self.user && !self.vm.inside
    }

    /// The threads of this CPU.
    pub fn threads(&self) -> Vec<u32> {
        self.containers.keys().copied().filter(|&thread| self.is_mine(thread)).collect()
    }

    /// The data frames that are known to have been zeroed.
    pub fn zeroed(&self) -> Vec<u32> {
        self.data.iter().copied().filter(|frame| self.zeroed.contains(frame)).collect()
    }

    /// The mapped pages of the running thread.
    pub fn mapped(&self) -> Vec<u32> {
        self.pages.keys().filter(|(thread, _)| *thread == self.cur).map(|&(_, page)| page).collect()
    }

    fn is_mine(&self, thread: u32) -> bool {
        self.containers.contains_key(&thread) && (thread == self.me + 1 || thread > TOTAL_CPU)
    }

    fn container(&self, i: u32) -> Option<Container> {
        self.containers.get(&i).copied().filter(|_| self.kernel())
    }

    fn may_map(&self, n: u32, va: u32) -> bool {
        self.kernel() && n > 0 && self.is_mine(n) && in_window(va)
    }

    fn create(&mut self, quota: u32) -> Option<u32> {
        let parent = self.container(self.cur)?;
        let child = 8 * self.cur + 1 + parent.children;
        if parent.children == 8 || child >= NUM_PROC || quota > parent.quota - parent.usage {
            return None;
        }
        let after = Container { usage: parent.usage + quota, children: parent.children + 1, ..parent };
        self.containers.insert(self.cur, after);
        self.containers.insert(child, Container { quota, ..Default::default() });
        self.ready.push_back(child);
        let slots = [(8, 0x23), (9, 0x23), (13, 0x1B), (14, 0x200), (15, 0xF000_0000), (16, 0x23)];
        self.contexts.extend((0..UCTXT_SIZE).map(|slot| ((child, slot), 0)));
        self.contexts.extend(slots.map(|(slot, value)| ((child, slot), value)));
        Some(child)
    }

    /// A load, or a store of `bytes`.
    fn access(&mut self, a: &Arguments<sim::machine::Sim>, bytes: Option<[u32; 8]>) -> Option<Said> {
        let (address, size) = (a.wide, a.chunk as u32);
        if !self.user {
            return None;
        }
        let short = u32::try_from(address).ok();
        if short.is_some_and(|va| va % size != 0) {
            return None;
        }
        let page = short.and_then(|va| self.pages.get(&(self.cur, va / PAGE_SIZE)));
        let allowed = match bytes {
            None => [7, 5].as_slice(),
            Some(_) => &[7],
        };
        match page {
            Some(&(frame, perm)) if allowed.contains(&perm) => Some(self.move_bytes(frame, a, bytes)),
            _ => {
                self.fault = (address, a.place);
                Some(Said::Fault)
            }
        }
    }

    /// A load or store by the guest.
    fn guest_access(&mut self, a: &Arguments<sim::machine::Sim>, bytes: Option<[u32; 8]>) -> Option<Said> {
        let address = u32::try_from(a.wide).ok().filter(|address| self.vm.inside && address % a.chunk as u32 == 0)?;
        let frame = self.vm.frame(address)?;
        (bytes.is_none() || self.data.contains(&frame)).then(|| self.move_bytes(frame, a, bytes))
    }

    /// Loads from a frame, or stores to it.
    fn move_bytes(&mut self, frame: u32, a: &Arguments<sim::machine::Sim>, bytes: Option<[u32; 8]>) -> Said {
        let places = (0..a.chunk as u32).map(|k| (frame, (a.wide % 4096) as u32 + k));
        let Some(bytes) = bytes else {
            // The contents of a frame that was never zeroed are unknown.
            return Said::Loaded(if self.zeroed.contains(&frame) {
                places.map(|place| self.memory.get(&place).copied().unwrap_or_default()).collect()
            } else {
                Vec::new()
            });
        };
        self.memory.extend(places.zip(bytes));
        Said::Stored
    }
}

/// Whether an access ended as in the model.
pub fn agree(access: &Access<[u32; 8]>, said: &Said) -> bool {
    match (access, said) {
        (Access::Done(bytes), Said::Loaded(expected)) => bytes.starts_with(expected),
        (Access::Fault, Said::Fault) => true,
        _ => false,
    }
}
