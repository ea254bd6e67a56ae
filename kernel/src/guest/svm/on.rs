//! SVM on a CPU: turns it on, and enters guests.

use super::exits::{self, Report};
use super::vmcb::{self, at};
use crate::cpu::vectors;
use crate::guest::exit::{Event, Exit};
use crate::guest::host;
use crate::guest::page::Page;
use crate::guest::registers::Registers;
use crate::guest::switch::svm_switch;
use crate::guest::virtualisation::Missing;
use crate::guest::vtx::controls::WINDOW;
use layer::objects::vmx::vmcs::{VMCS_SIZE, Vmcs};
use raw_cpuid::CpuId;
use x86_64::registers::model_specific::{Efer, EferFlags, Msr};

/// `VM_CR`; bit 4 says that the firmware has turned SVM off.
const VM_CR: u32 = 0xC001_0114;
const IS_OFF: u64 = 1 << 4;
/// `VM_HSAVE_PA`: physical address of the page in which `vmrun` saves the host.
const HOST_SAVE: u32 = 0xC001_0117;

/// Whether the CPU that runs this, which has SVM, can run guests.
pub fn check(cpuid: &CpuId<impl raw_cpuid::CpuIdReader>) -> Result<(), Missing> {
    // SAFETY: every processor with SVM has this register, and reading it has no effect.
    if unsafe { Msr::new(VM_CR).read() } & IS_OFF != 0 {
        return Err(Missing::SvmIsOff);
    }
    let nested = cpuid.get_svm_info().is_some_and(|info| info.has_nested_paging());
    nested.then_some(()).ok_or(Missing::NestedPaging)
}

/// Events and instructions that make a guest exit: interrupts, NMI, SMI, INIT (bits 0 to 3), RDPMC (15), CPUID (18),
/// INVD (22), HLT (24), INVLPGA (26), ports (27), model-specific registers (28), task switches (29), shutdown (31).
const INTERCEPTS: u32 = 0xF | 1 << 15 | 1 << 18 | 1 << 22 | 1 << 24 | 0b1111 << 26 | 1 << 31;
/// A virtual interrupt.
const VIRTUAL_INTERRUPT: u32 = 1 << 4;
/// All instructions of SVM, RDTSCP, WBINVD, MONITOR, MWAIT, XSETBV, RDPRU: bits 0 to 7, 9 to 14.
const MORE_INTERCEPTS: u32 = 0xFF | 0b11_1111 << 9;
/// The identifier of the guest's translations; 0 is the host's.
const ASID: u32 = 1;
/// Flushes all translations at the next entry.
const FLUSH_ALL: u32 = 1;
/// The guest's interrupt flag masks virtual interrupts only.
const MASKS_VIRTUAL: u64 = 1 << 24;
/// A virtual interrupt is pending, whatever its priority.
const PENDING: u64 = 1 << 8 | 1 << 20;

/// SVM on a CPU.
#[derive(Debug)]
pub struct Svm {
    vmcb: &'static Page,
    /// The page for registers of the host that `vmrun` does not keep.
    host: &'static Page,
    /// The page for those that it keeps.
    save: &'static Page,
    /// Whether the processor reports the address of the next instruction.
    reports_next: bool,
    /// RIP at the last exit.
    stopped_at: u64,
    /// The host's EFER, without [`SVME`].
    efer: u64,
    on: bool,
}

/// The bit of EFER that turns SVM on. It is set while a guest runs. Otherwise programs would get another exception for
/// SVM's instructions than where SVM is off: general protection instead of an invalid opcode.
const SVME: u64 = EferFlags::SECURE_VIRTUAL_MACHINE_ENABLE.bits();

/// The fields of a control structure that the processor does not hold, by key.
type Beside = [u64; VMCS_SIZE as usize];

impl Svm {
    /// Number of pages that it needs.
    pub const PAGES: usize = 3;

    /// SVM, not yet turned on, with these pages.
    pub fn new([vmcb, host, save]: [&'static Page; Self::PAGES]) -> Svm {
        Svm { vmcb, host, save, reports_next: false, stopped_at: 0, efer: 0, on: false }
    }

    /// Prepares SVM for the CPU that runs this; it is on while a guest runs. `root` is the root of its nested page tables.
    pub fn turn_on(&mut self, root: u64) -> Result<(), Missing> {
        let cpuid = CpuId::new();
        check(&cpuid)?;
        self.reports_next = cpuid.get_svm_info().is_some_and(|info| info.has_nrip());
        self.efer = Efer::read_raw();
        // SAFETY: the page is this CPU's, for this use. The processor knows the register only while SVM is on.
        unsafe {
            Efer::write_raw(self.efer | SVME);
            Msr::new(HOST_SAVE).write(self.save.physical());
            Efer::write_raw(self.efer);
        }
        let vmcb = self.vmcb;
        vmcb.set_word(at::EXCEPTIONS, 1 << vectors::MACHINE_CHECK);
        vmcb.set_word(at::MORE_INTERCEPTS, MORE_INTERCEPTS);
        vmcb.set_wide(at::PORTS, host::all_ones());
        vmcb.set_wide(at::REGISTERS, host::all_ones());
        vmcb.set_word(at::ASID, ASID);
        vmcb.set_wide(at::NESTED, 1);
        vmcb.set_wide(at::NESTED_ROOT, root);
        self.on = true;
        Ok(())
    }

    /// Physical address of the control structure.
    pub fn region(&self) -> u64 {
        self.vmcb.physical()
    }

    /// The value of the field with key `key`, or `None` if SVM does not hold it.
    #[inline(always)]
    pub fn load(&self, key: u32) -> Option<u64> {
        vmcb::load(self.vmcb, key)
    }

    /// Stores the field with key `key`. Returns false if SVM does not hold it.
    #[inline(always)]
    pub fn store(&mut self, key: u32, value: u64) -> bool {
        vmcb::store(self.vmcb, key, value)
    }

    /// Enters the guest with these registers, and returns when it has exited. `beside` has the fields that the VMCB does
    /// not hold: the pending event, and whether the guest exits as soon as it can take an interrupt. `fresh`: the virtual
    /// machine is new; `flush`: translations may be stale.
    pub fn enter(&mut self, registers: &mut Registers, beside: &mut Beside, fresh: bool, flush: bool) -> Exit {
        if !self.on {
            return Exit::refused(0);
        }
        let vmcb = self.vmcb;
        if fresh {
            at::SYSTEM_CALLS.step_by(8).for_each(|register| vmcb.set_wide(register, 0));
            // A guest's own EFER must have this bit. The instructions that it allows exit.
            vmcb.set_wide(at::EFER, SVME);
        }
        if vmcb.wide(at::RIP) != self.stopped_at {
            vmcb.set_wide(at::SHADOW, vmcb.wide(at::SHADOW) & !1);
        }
        let window = beside[Vmcs::PriProcBasedCtls as usize] >> WINDOW & 1 == 1;
        vmcb.set_word(at::INTERCEPTS, if window { INTERCEPTS | VIRTUAL_INTERRUPT } else { INTERCEPTS });
        vmcb.set_wide(at::VIRTUAL_INTERRUPT, MASKS_VIRTUAL | if window { PENDING } else { 0 });
        vmcb.set_word(at::FLUSH, if flush { FLUSH_ALL } else { 0 });
        let event = Event {
            info: beside[Vmcs::EntryIntrInfo as usize] as u32,
            error: beside[Vmcs::EntryExceptionError as usize] as u32,
            length: 0,
        };
        vmcb.set_wide(at::EVENT, if event.is_valid() { exits::injected(event) } else { 0 });
        vmcb.set_word(at::CLEAN, 0);
        vmcb.set_word(at::PRIVILEGE, vmcb.word(at::PRIVILEGE) & 0xff_ffff | self.privilege() << 24);
        vmcb.set_wide(at::RAX, registers.saved[0]);
        vmcb.set_wide(at::CR2, registers.cr2);
        vmcb.set_wide(at::DR6, registers.dr6);
        registers.load_breakpoints();
        // SAFETY: `turn_on` has set the controls, and no field of the layer's reaches them: the guest exits at every
        // event and instruction above, every port, and every model-specific register. The pages are this CPU's own.
        unsafe {
            Efer::write_raw(self.efer | SVME);
            svm_switch(registers, vmcb.physical(), self.host.physical());
            Efer::write_raw(self.efer);
        }
        registers.save_breakpoints();
        registers.saved[0] = vmcb.wide(at::RAX);
        registers.cr2 = vmcb.wide(at::CR2);
        registers.dr6 = vmcb.wide(at::DR6);
        let exit = exits::translate(Report {
            code: vmcb.wide(at::EXIT_CODE),
            info_1: vmcb.wide(at::EXIT_INFO_1),
            info_2: vmcb.wide(at::EXIT_INFO_2),
            event: vmcb.wide(at::EXIT_EVENT),
            rip: vmcb.wide(at::RIP),
            next_rip: self.reports_next.then(|| vmcb.wide(at::NEXT_RIP)).filter(|&next| next != 0),
        });
        if !exit.has_run() {
            // QEMU 7.2 saves the host's registers there as if they were the guest's.
            vmcb.set_wide(at::RAX, 0);
            vmcb::clear(vmcb);
            registers.clone_from(&Registers { fpu: registers.fpu.clone(), ..Registers::RESET });
            return exit;
        }
        self.stopped_at = vmcb.wide(at::RIP);
        match exit.event {
            None => beside[Vmcs::EntryIntrInfo as usize] &= !u64::from(Event::VALID),
            Some(Event { info, error, .. }) => {
                beside[Vmcs::EntryIntrInfo as usize] = info.into();
                beside[Vmcs::EntryExceptionError as usize] = error.into();
            }
        }
        exit
    }

    /// The privilege level of the guest: 0 in real mode, 3 in virtual-8086 mode, otherwise that of the stack segment.
    fn privilege(&self) -> u32 {
        const PROTECTED: u64 = 1;
        const VIRTUAL_8086: u64 = 1 << 17;
        const STACK_SEGMENT: usize = 0x420;
        if self.vmcb.wide(at::CR0) & PROTECTED == 0 {
            0
        } else if self.vmcb.wide(at::RFLAGS) & VIRTUAL_8086 != 0 {
            3
        } else {
            self.vmcb.word(STACK_SEGMENT) >> 21 & 3
        }
    }
}
