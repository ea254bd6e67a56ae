//! The abstract state (reference, section 3), split by owner.
//!
//! [`Own`] is the state that one CPU owns: the reference's class *cpu*, and the entries of class *thr* of its threads.
//! [`Shared`] holds the shared objects, each behind its lock, and the constants fixed at boot.
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::machine::{Machine, Spec, Visit};
use crate::core::ring::Ring;
use crate::objects::console::uart::Serial;
use crate::objects::page_alloc::table::AllocTable;
use crate::objects::queue::{Fifo, Queue, Sleeping};
use domain::{Ghost, Map, Storage, Wide};

/// The state that one CPU owns.
pub struct Own<M: Machine> {
    /// `CPU_ID`.
    pub cpu: M::Word,
    /// `cid[CPU_ID]`: the running thread.
    pub cur: M::Word,
    /// Physical pages managed.
    pub nps: M::Word,
    /// Interrupts are enabled on this CPU. The flag is that of the programs: while the kernel executes, the processor's
    /// own flag is clear (P38).
    pub intr_flag: M::Flag,
    /// The address and the instruction of the last page fault (`ti`).
    pub ti: TrapInfo<M>,
    /// The driver has found the UART, and the UART belongs to this CPU (`drv_serial.serial_exists`).
    pub serial_exists: M::Flag,
    /// The UART (`com1`).
    pub com1: Serial<M>,
    /// The characters that the UART has received (`com1.s.rx_buf`).
    pub rx_buf: <M as Storage<Received>>::Map,
    /// Position of the console's input in its ring; the ring's start is the read position (`console.rpos`).
    pub console: Ring<M>,
    /// The console's characters that have not been read yet (`console.cons_buf`).
    pub cons_buf: <M as Storage<ConsoleInput>>::Map,
    /// The I/O APIC without its lines: their number, and the lengths of its tables (`ioapic.s`).
    pub ioapic: IoApic<M>,
    /// The local APIC (`lapic`).
    pub lapic: Lapic<M>,
    /// Resource containers: this CPU's copy. The CPU changes only the subtree of its root container.
    pub ac: <M as Storage<Containers>>::Map,
    /// Page directories of this CPU's threads (`ptpool`).
    pub dirs: <M as Storage<Directories>>::Map,
    /// Page tables, by frame (`ptpool`, second level).
    pub tables: <M as Storage<PageTables>>::Map,
    /// Physical memory (`HP`).
    pub hp: <M as Storage<PhysicalMemory>>::Map,
    /// Saved kernel contexts.
    pub kctxt: <M as Storage<KernelContexts>>::Map,
    /// Whether a thread's process is live or has ended, and its exit status and cause.
    pub proc: <M as Storage<Processes>>::Map,
    /// Saved user contexts.
    pub uctxt: <M as Storage<UserContexts>>::Map,
    /// VMX capability words.
    pub vmxinfo: <M as Storage<VmxInfo>>::Map,
    /// The VM control structure's header, and whether `vmx_init` has run.
    pub vm: Vm<M>,
    /// The VM control structure (`vmcs`).
    pub vmcs: <M as Storage<VmcsFields>>::Map,
    /// Guest state that the VM control structure does not hold (`vmx`).
    pub vmx: <M as Storage<VmxSlots>>::Map,
    /// The nested page tables' entries (`ept`).
    pub ept: <M as Storage<EptEntries>>::Map,
    /// I/O APIC lines.
    pub lines: <M as Storage<IoApicLines>>::Map,
    /// The ready queue (`rdy_q_id`).
    pub ready: Fifo<M>,
    /// The log of the events that concern only state of this CPU: `SPAWN`.
    pub log: M::Log,
    /// Ghost state.
    pub ghost: M::Ghost<OwnGhost<M>>,
}

/// The ghost state of [`Own`]: only the specification reads it.
pub struct OwnGhost<M: Machine> {
    /// CR0.PG.
    pub pg: M::Flag,
    /// Ring 0.
    pub ikern: M::Flag,
    /// VMX root operation.
    pub ihost: M::Flag,
    /// CR3 is the kernel's page map.
    pub ipt: M::Flag,
    /// `sched_init` has run.
    pub init: M::Flag,
    /// An interrupt handler is executing.
    pub in_intr: M::Flag,
    /// The page map in CR3 (`PT`), [`NO_MAP`] before boot.
    pub pt: M::Word,
    /// How this CPU uses each frame.
    pub pperm: <M as Storage<FrameUses>>::Map,
    /// Reverse map: how often each frame is mapped.
    pub lat: <M as Storage<ReverseMaps>>::Map,
    /// Reverse map: where each frame is mapped.
    pub lat_entry: <M as Storage<ReverseEntries>>::Map,
    /// Directory entries that have been written.
    pub dirs_defined: <M as Storage<DirectoriesDefined>>::Map,
    /// Ghost state of page-table entries.
    pub tables: <M as Storage<PageTableGhosts>>::Map,
    /// The identity tables.
    pub idpde: <M as Storage<IdentityTables>>::Map,
    /// Bytes of physical memory whose contents are defined for this CPU.
    pub hp_defined: <M as Storage<DefinedMemory>>::Map,
    /// Whether each slot of a user context is defined, and of which kind.
    pub uctxt_kind: <M as Storage<UserContextKinds>>::Map,
    /// Whether each field of the VM control structure is defined, and of which kind.
    pub vmcs_kind: <M as Storage<VmcsKinds>>::Map,
    /// Whether each remaining slot of the guest is defined, and of which kind.
    pub vmx_kind: <M as Storage<VmxKinds>>::Map,
    /// Directory entries of the nested page tables that have a table.
    pub ept_dirs: <M as Storage<EptDirectories>>::Map,
    /// Entries of the nested page tables that have been written.
    pub ept_defined: <M as Storage<EptDefined>>::Map,
    /// Frames that an entry of the nested page tables may map.
    pub guest_frames: <M as Storage<GuestFrames>>::Map,
    /// How many pages are charged to each container.
    pub charged: <M as Storage<Charges>>::Map,
    /// Which pages are charged to each container.
    pub seats: <M as Storage<Seats>>::Map,
    /// Offers of shared memory.
    pub smspool: <M as Storage<SharedMemory>>::Map,
    /// The locks that this CPU holds.
    pub lock: <M as Storage<LockStates>>::Map,
    /// The one channel whose lock this CPU holds; [`NO_CHANNEL`] if it holds none, [`SOME_CHANNELS`] if it may hold
    /// several. This is an addition to the reference: one word says that all channel locks are free.
    pub section: M::Word,
}

/// The last page fault.
#[derive(Clone, Copy, Debug)]
pub struct TrapInfo<M: Machine> {
    /// The faulting address.
    pub addr: M::Wide,
    /// Address of the faulting instruction. In the reference this field holds the RA register, which x86-64 does not
    /// have. The field is used to return to the program, which needs the address of the instruction.
    pub ra: M::Wide,
}

/// The virtual machine of this CPU, without its maps.
#[derive(Clone, Copy, Debug)]
pub struct Vm<M: Machine> {
    /// Revision of the control structure.
    pub revision: M::Word,
    /// Why it was aborted.
    pub abort: M::Word,
    /// `vmx_init` has run. This is an addition to the reference: if it is set, the fields that primitives read
    /// are defined (P40).
    pub set_up: M::Flag,
    /// The thread whose process the virtual machine belongs to; 0 if it belongs to none. An addition to the reference.
    pub owner: M::Word,
}

/// The I/O APIC.
#[derive(Clone, Copy, Debug)]
pub struct IoApic<M: Machine> {
    /// Number of the last line.
    pub max_intr: M::Word,
    /// Length of the table of vectors.
    pub irqs: M::Word,
    /// Length of the table of masks.
    pub enables: M::Word,
    /// It has been set up.
    pub init: M::Flag,
}

/// The local APIC.
#[derive(Clone, Copy, Debug)]
pub struct Lapic<M: Machine> {
    /// Error status.
    pub esr: M::Word,
    /// An end of interrupt is outstanding.
    pub eoi: M::Flag,
    /// Number of the last entry of the local vector table.
    pub max_lvt: M::Word,
    /// Software enable.
    pub enable: M::Flag,
    /// Vector of spurious interrupts.
    pub spurious: M::Word,
    /// Input 0 is masked.
    pub lint0_mask: M::Flag,
    /// Input 1 is masked.
    pub lint1_mask: M::Flag,
    /// The performance counter's input is masked.
    pub pcint_mask: M::Flag,
    /// Logical destination.
    pub ldr: M::Word,
    /// Vector of errors.
    pub error_irq: M::Word,
    /// The error status has to be cleared.
    pub esr_clr_pen: M::Flag,
    /// Task priority.
    pub tpr: M::Word,
}

impl<M: Machine> Lapic<M> {
    /// The local APIC before `sched_init`. The four values that differ between machines, `max_lvt`, `spurious`,
    /// `lint1_mask` and `error_irq`, are the reference's.
    pub fn reset() -> Self {
        Lapic {
            esr: 0.into(),
            eoi: false.into(),
            max_lvt: LAPIC_MAX_LVT.into(),
            enable: false.into(),
            spurious: SPURIOUS_VECTOR.into(),
            lint0_mask: false.into(),
            lint1_mask: true.into(),
            pcint_mask: false.into(),
            ldr: 0.into(),
            error_irq: ERROR_VECTOR.into(),
            esr_clr_pen: false.into(),
            tpr: 0.into(),
        }
    }

    /// The local APIC as `sched_init` sets it up: enabled, with its inputs masked (reference, section 6.2). The
    /// vectors, and whether input 1 is masked, are as the machine describes them (P43).
    pub fn set_up(self) -> Self {
        Lapic {
            enable: true.into(),
            lint0_mask: true.into(),
            pcint_mask: true.into(),
            max_lvt: self.max_lvt,
            spurious: self.spurious,
            lint1_mask: self.lint1_mask,
            error_irq: self.error_irq,
            ..Lapic::reset()
        }
    }

    fn words(&mut self, visit: &mut dyn Visit<M>) {
        visit.word("lapic.esr", &mut self.esr);
        visit.flag("lapic.eoi", &mut self.eoi);
        visit.word("lapic.max_lvt", &mut self.max_lvt);
        visit.flag("lapic.enable", &mut self.enable);
        visit.word("lapic.spurious", &mut self.spurious);
        visit.flag("lapic.lint0_mask", &mut self.lint0_mask);
        visit.flag("lapic.lint1_mask", &mut self.lint1_mask);
        visit.flag("lapic.pcint_mask", &mut self.pcint_mask);
        visit.word("lapic.ldr", &mut self.ldr);
        visit.word("lapic.error_irq", &mut self.error_irq);
        visit.flag("lapic.esr_clr_pen", &mut self.esr_clr_pen);
        visit.word("lapic.tpr", &mut self.tpr);
    }
}

/// Constants of the machine, fixed at boot.
#[derive(Clone, Copy, Debug)]
pub struct Boot<M: Machine> {
    /// Physical pages of the machine.
    pub nps: M::Word,
    /// Pages that can be allocated; the root containers share them equally.
    pub norm: M::Word,
}

/// The shared objects, and the constants fixed at boot.
pub struct Shared<M: Machine> {
    /// The allocation table: one row.
    pub at: M::Lock<AllocTable<M>>,
    /// The pending queues: one row for each CPU.
    pub pending: M::Lock<Queue<M>>,
    /// The sleep queues: one row for each condition variable.
    pub sleep: M::Lock<Queue<M, Sleeping>>,
    /// The channels.
    pub channels: M::Channels,
    /// Links of all thread queues.
    pub links: M::Links,
    /// Constants of the machine.
    pub boot: Boot<M>,
}

/// One CPU while it executes: its own state, and the shared objects.
pub struct Cpu<'m, M: Machine> {
    /// The CPU's own state.
    pub own: Own<M>,
    /// The shared objects.
    pub shared: &'m Shared<M>,
}

impl<M: Machine> Own<M> {
    /// The state of CPU `cpu` before `sched_init` (`init_adt`; reference, section 6.1).
    ///
    /// `ioapic` and `lapic` describe the machine. The contents of the hardware's own memory (page tables, physical
    /// bytes) are left as they are. According to the ghost state, none of these contents have been written.
    pub fn init_adt(place: M::Place, cpu: M::Word, ioapic: IoApic<M>, lapic: Lapic<M>) -> Self {
        let mut ac = <M as Storage<Containers>>::at(place);
        ac.define(|_| Container {
            quota: 0.into(),
            usage: 0.into(),
            parent: 0.into(),
            nchildren: 0.into(),
            used: false.into(),
        });
        let mut proc = <M as Storage<Processes>>::at(place);
        proc.define(|_| Process { state: process::LIVE.into(), status: 0.into(), cause: 0.into() });
        let mut vmxinfo = <M as Storage<VmxInfo>>::at(place);
        vmxinfo.define(|_| Cell { value: 0.into() });
        let mut rx_buf = <M as Storage<Received>>::at(place);
        rx_buf.define(|_| Cell { value: 0.into() });
        let mut cons_buf = <M as Storage<ConsoleInput>>::at(place);
        cons_buf.define(|_| Cell { value: 0.into() });
        Own {
            cpu,
            cur: 0.into(),
            nps: 0.into(),
            intr_flag: true.into(),
            ti: TrapInfo { addr: M::Wide::constant(0), ra: M::Wide::constant(0) },
            serial_exists: M::has_serial(cpu),
            com1: Serial::boot(),
            rx_buf,
            console: Ring::empty(),
            cons_buf,
            ioapic,
            lapic,
            ac,
            dirs: <M as Storage<Directories>>::at(place),
            tables: <M as Storage<PageTables>>::at(place),
            hp: <M as Storage<PhysicalMemory>>::at(place),
            kctxt: <M as Storage<KernelContexts>>::at(place),
            proc,
            uctxt: <M as Storage<UserContexts>>::at(place),
            vmxinfo,
            vm: Vm { revision: 0.into(), abort: 0.into(), set_up: false.into(), owner: 0.into() },
            vmcs: <M as Storage<VmcsFields>>::at(place),
            vmx: <M as Storage<VmxSlots>>::at(place),
            ept: <M as Storage<EptEntries>>::at(place),
            lines: <M as Storage<IoApicLines>>::at(place),
            ready: Fifo::new(),
            log: M::log(place),
            ghost: M::ghost(|| OwnGhost::init_adt(place)),
        }
    }
}

impl<M: Spec> Own<M> {
    /// A copy of the current state.
    pub fn snapshot(&self) -> Self {
        let ghost = M::present(&self.ghost);
        Own {
            cpu: self.cpu,
            cur: self.cur,
            nps: self.nps,
            intr_flag: self.intr_flag,
            ti: self.ti,
            serial_exists: self.serial_exists,
            com1: self.com1,
            rx_buf: self.rx_buf.clone(),
            console: self.console,
            cons_buf: self.cons_buf.clone(),
            ioapic: self.ioapic,
            lapic: self.lapic,
            ac: self.ac.clone(),
            dirs: self.dirs.clone(),
            tables: self.tables.clone(),
            hp: self.hp.clone(),
            kctxt: self.kctxt.clone(),
            proc: self.proc.clone(),
            uctxt: self.uctxt.clone(),
            vmxinfo: self.vmxinfo.clone(),
            vm: self.vm,
            vmcs: self.vmcs.clone(),
            vmx: self.vmx.clone(),
            ept: self.ept.clone(),
            lines: self.lines.clone(),
            ready: self.ready.snapshot(),
            log: self.log.clone(),
            ghost: M::ghost(|| OwnGhost {
                pg: ghost.pg,
                ikern: ghost.ikern,
                ihost: ghost.ihost,
                ipt: ghost.ipt,
                init: ghost.init,
                in_intr: ghost.in_intr,
                pt: ghost.pt,
                pperm: ghost.pperm.clone(),
                lat: ghost.lat.clone(),
                lat_entry: ghost.lat_entry.clone(),
                dirs_defined: ghost.dirs_defined.clone(),
                tables: ghost.tables.clone(),
                idpde: ghost.idpde.clone(),
                hp_defined: ghost.hp_defined.clone(),
                uctxt_kind: ghost.uctxt_kind.clone(),
                vmcs_kind: ghost.vmcs_kind.clone(),
                vmx_kind: ghost.vmx_kind.clone(),
                ept_dirs: ghost.ept_dirs.clone(),
                ept_defined: ghost.ept_defined.clone(),
                guest_frames: ghost.guest_frames.clone(),
                charged: ghost.charged.clone(),
                seats: ghost.seats.clone(),
                smspool: ghost.smspool.clone(),
                lock: ghost.lock.clone(),
                section: ghost.section,
            }),
        }
    }
}

impl<M: Machine> Own<M> {
    /// Visits every value that is not in a map, by name.
    pub fn words(&mut self, visit: &mut dyn Visit<M>) {
        visit.word("CPU_ID", &mut self.cpu);
        visit.word("cid", &mut self.cur);
        visit.word("nps", &mut self.nps);
        visit.flag("intr_flag", &mut self.intr_flag);
        visit.wide("ti.addr", &mut self.ti.addr);
        visit.wide("ti.ra", &mut self.ti.ra);
        visit.word("console.len", &mut self.console.len);
        visit.word("console.rpos", &mut self.console.start);
        visit.flag("drv_serial.serial_exists", &mut self.serial_exists);
        self.com1.words(visit);
        visit.word("ioapic.max_intr", &mut self.ioapic.max_intr);
        visit.word("ioapic.irqs", &mut self.ioapic.irqs);
        visit.word("ioapic.enables", &mut self.ioapic.enables);
        visit.flag("ioapic.init", &mut self.ioapic.init);
        self.lapic.words(visit);
        visit.word("vmcs.revid", &mut self.vm.revision);
        visit.word("vmcs.abrtid", &mut self.vm.abort);
        visit.flag("vmx.set_up", &mut self.vm.set_up);
        visit.word("vmx.owner", &mut self.vm.owner);
        visit.word("rdy.head", &mut self.ready.head);
        visit.word("rdy.tail", &mut self.ready.tail);
        self.ready.span.update(|span| {
            visit.nat("rdy.lo", &mut span.lo);
            visit.nat("rdy.hi", &mut span.hi);
        });
        self.ghost.update(|ghost| {
            visit.flag("pg", &mut ghost.pg);
            visit.flag("ikern", &mut ghost.ikern);
            visit.flag("ihost", &mut ghost.ihost);
            visit.flag("ipt", &mut ghost.ipt);
            visit.flag("init", &mut ghost.init);
            visit.flag("in_intr", &mut ghost.in_intr);
            visit.word("PT", &mut ghost.pt);
            visit.word("section", &mut ghost.section);
        });
    }
}

impl<M: Machine> OwnGhost<M> {
    fn init_adt(place: M::Place) -> Self {
        let mut ghost = Self::at(place);
        ghost.pperm.define(|_| FrameUse::Undef);
        ghost.lat.define(|_| ReverseMap { valid: false.into(), len: 0.into(), payer: 0.into(), seat: 0.into() });
        ghost.dirs_defined.define(|_| Defined { defined: false.into() });
        ghost.tables.define(|_| PteGhost { defined: false.into(), slot: 0.into() });
        ghost.idpde.define(|_| IdentityEntry { valid: false.into(), perm: 0.into() });
        ghost.hp_defined.define(|_| Defined { defined: false.into() });
        ghost.uctxt_kind.define(|_| SlotKind::Undef);
        ghost.vmcs_kind.define(|_| SlotKind::Undef);
        ghost.vmx_kind.define(|_| SlotKind::Undef);
        ghost.ept_dirs.define(|_| Defined { defined: false.into() });
        ghost.ept_defined.define(|_| Defined { defined: false.into() });
        ghost.guest_frames.define(|_| Defined { defined: false.into() });
        ghost.charged.define(|_| Charge { pages: 0.into() });
        ghost.lock.define(|_| LockState::Free);
        ghost
    }

    /// Ghost state of a CPU in kernel mode; every map has the contents of its storage.
    pub fn at(place: M::Place) -> Self {
        OwnGhost {
            pg: false.into(),
            ikern: true.into(),
            ihost: true.into(),
            ipt: true.into(),
            init: false.into(),
            in_intr: false.into(),
            pt: NO_MAP.into(),
            pperm: <M as Storage<FrameUses>>::at(place),
            lat: <M as Storage<ReverseMaps>>::at(place),
            lat_entry: <M as Storage<ReverseEntries>>::at(place),
            dirs_defined: <M as Storage<DirectoriesDefined>>::at(place),
            tables: <M as Storage<PageTableGhosts>>::at(place),
            idpde: <M as Storage<IdentityTables>>::at(place),
            hp_defined: <M as Storage<DefinedMemory>>::at(place),
            uctxt_kind: <M as Storage<UserContextKinds>>::at(place),
            vmcs_kind: <M as Storage<VmcsKinds>>::at(place),
            vmx_kind: <M as Storage<VmxKinds>>::at(place),
            ept_dirs: <M as Storage<EptDirectories>>::at(place),
            ept_defined: <M as Storage<EptDefined>>::at(place),
            guest_frames: <M as Storage<GuestFrames>>::at(place),
            charged: <M as Storage<Charges>>::at(place),
            seats: <M as Storage<Seats>>::at(place),
            smspool: <M as Storage<SharedMemory>>::at(place),
            lock: <M as Storage<LockStates>>::at(place),
            section: NO_CHANNEL.into(),
        }
    }
}
