//! VT-x on a CPU: turns it on, holds the fields of its VMCS, and enters guests.

use super::controls::{self, Allowed};
use super::instructions::{Failed, invept, invvpid, vmclear, vmptrld, vmread, vmread_known, vmwrite, vmxon};
use crate::cpu::{descriptors, vectors};
use crate::guest::exit::{BAD_CONTROLS, Event, Exit, reason};
use crate::guest::host;
use crate::guest::page::Page;
use crate::guest::registers::Registers;
use crate::guest::switch::vtx_switch;
use crate::guest::virtualisation::Missing;
use crate::irq::timer;
use core::arch::asm;
use layer::objects::vmx::vmcs::{FIELDS, VMCS_SIZE, Vmcs};
use x86_64::instructions::tables::{lgdt, lidt, sgdt, sidt};
use x86_64::registers::control::{Cr0, Cr2, Cr4, Cr4Flags};
use x86_64::registers::model_specific::Msr;
use x86_64::structures::DescriptorTablePointer;

/// `IA32_FEATURE_CONTROL`, and its bits: it is locked; `vmxon` works outside of SMX operation.
const FEATURE_CONTROL: u32 = 0x3A;
const LOCKED: u64 = 1;
const VMXON_WORKS: u64 = 1 << 2;

/// Capability registers: the revision and what others there are; the bits of CR0 and CR4 that must be 1 and can be 1;
/// secondary controls; nested page tables; and the other controls.
const BASIC: u32 = 0x480;
const CR0_MUST: u32 = 0x486;
const CR0_MAY: u32 = 0x487;
const CR4_MUST: u32 = 0x488;
const CR4_MAY: u32 = 0x489;
const SECONDARY: u32 = 0x48B;
const NESTED: u32 = 0x48C;
const TRUE_CONTROLS: [u32; 4] = [0x48D, 0x48E, 0x48F, 0x490];
/// The bit of [`BASIC`] that says that [`TRUE_CONTROLS`] exist.
const HAS_TRUE_CONTROLS: u64 = 1 << 55;
/// The bits of CR0 that an unrestricted guest can clear: PG and PE.
const UNRESTRICTED: u64 = 1 << 31 | 1;

/// Bits of [`NESTED`] that are needed.
const NESTED_NEEDED: [(u32, &str); 6] = [
    (6, "four levels"),
    (14, "tables in write-back memory"),
    (20, "INVEPT"),
    (26, "INVEPT of all"),
    (32, "INVVPID"),
    (42, "INVVPID of all"),
];

/// Encodings of the fields that an entry and an exit use.
const ENTRY_LENGTH: u32 = 0x401A;
const INSTRUCTION_ERROR: u32 = 0x4400;
const EXIT_REASON: u32 = 0x4402;
const EXIT_EVENT: u32 = 0x4404;
const VECTORING: u32 = 0x4408;
const VECTORING_ERROR: u32 = 0x440A;
const EXIT_LENGTH: u32 = 0x440C;
const EXIT_QUALIFICATION: u32 = 0x6400;
const GUEST_PHYSICAL: u32 = 0x2400;
const ENTRY_EVENT: u32 = 0x4016;
const ENTRY_ERROR: u32 = 0x4018;
const GUEST_RIP: u32 = 0x681E;
const INTERRUPTIBILITY: u32 = 0x4824;
/// The bits of [`INTERRUPTIBILITY`] that say that the guest is directly behind STI or MOV SS.
const BLOCKED: u64 = 3;
const HOST_CR3: u32 = 0x6C02;
const PREEMPTION_TIMER: u32 = 0x482E;
/// The reason of an exit because this timer has run out.
const PREEMPTED: u32 = 52;
/// The register whose low 5 bits say by how many bits the timer is slower than the time-stamp counter.
const MISCELLANEOUS: u32 = 0x485;
/// What a new virtual machine has in the other fields that the layer does not know: the bitmap of exceptions that exit,
/// masks of page faults, CR3 targets, lists of model-specific registers, length of an injected instruction, EFER, and the
/// directory pointers of PAE paging.
const RESET: [(u32, u64); 13] = [
    (0x4004, 1 << vectors::MACHINE_CHECK),
    (0x4006, 0),
    (0x4008, 0),
    (0x400A, 0),
    (0x400E, 0),
    (0x4010, 0),
    (0x4014, 0),
    (ENTRY_LENGTH, 0),
    (0x2806, 0),
    (0x280A, 0),
    (0x280C, 0),
    (0x280E, 0),
    (0x2810, 0),
];

/// The value of one of VT-x's own registers, on a processor with VT-x.
fn capabilities(register: u32) -> u64 {
    // SAFETY: the caller has checked that the processor has VT-x, and so this register; reading has no effect.
    unsafe { Msr::new(register).read() }
}

/// What the CPU that runs this, which has VT-x, allows in each word of controls.
pub fn check() -> Result<[Allowed; 5], Missing> {
    let control = capabilities(FEATURE_CONTROL);
    if control & LOCKED != 0 && control & VMXON_WORKS == 0 {
        return Err(Missing::VtXIsOff);
    }
    if capabilities(BASIC) & HAS_TRUE_CONTROLS == 0 {
        return Err(Missing::TrueControls);
    }
    let [pin, primary, exit, entry] = TRUE_CONTROLS.map(|register| Allowed::of(capabilities(register)));
    // The register for secondary controls exists only if they do.
    controls::check(&[pin, primary, Allowed::of(!0 << 32), exit, entry])?;
    let allowed = [pin, primary, Allowed::of(capabilities(SECONDARY)), exit, entry];
    controls::check(&allowed)?;
    let nested = capabilities(NESTED);
    match NESTED_NEEDED.iter().find(|(bit, _)| nested >> bit & 1 == 0) {
        Some((_, name)) => Err(Missing::Nested(name)),
        None => Ok(allowed),
    }
}

/// Capability word `index`, of those that VT-x's registers determine.
pub fn capability(index: u32) -> u32 {
    let bits = match index {
        2..=6 => {
            let word = index as usize - 2;
            check().map_or(0, |allowed| allowed[word].adjust(controls::WANTED[word]).into())
        }
        7 | 8 => capabilities(CR0_MUST) & !UNRESTRICTED,
        9 | 10 => !capabilities(CR0_MAY),
        11 | 12 => capabilities(CR4_MUST),
        13 => !capabilities(CR4_MAY),
        _ => 0,
    };
    match index {
        8 | 10 | 12 => (bits >> 32) as u32,
        _ => bits as u32,
    }
}

/// Where a field of the layer's is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Not in the VMCS: the processor has no such field, or only the processor can write it.
    Elsewhere,
    /// In the VMCS.
    Vmcs,
    /// In the VMCS: the word of controls with this index.
    Controls(u8),
}

/// VT-x on a CPU.
#[derive(Debug)]
pub struct VtX {
    region: &'static Page,
    vmcs: &'static Page,
    allowed: [Allowed; 5],
    /// The place of each field, by key.
    places: [Place; VMCS_SIZE as usize],
    /// Whether the VMCS has entered a guest, so that the next entry resumes it.
    launched: bool,
    /// The host's descriptor tables, whose limits an exit raises to 64 KiB.
    tables: Option<[DescriptorTablePointer; 2]>,
    /// RIP at the last exit.
    stopped_at: u64,
    on: bool,
}

impl VtX {
    /// Number of pages that it needs.
    pub const PAGES: usize = 2;

    /// VT-x, not yet turned on, with these pages.
    pub fn new([region, vmcs]: [&'static Page; Self::PAGES]) -> VtX {
        let places = [Place::Elsewhere; VMCS_SIZE as usize];
        VtX {
            region,
            vmcs,
            allowed: [Allowed::default(); 5],
            places,
            launched: false,
            tables: None,
            stopped_at: 0,
            on: false,
        }
    }

    /// Turns VT-x on for the CPU that runs this, with its VMCS as the current one, for good.
    pub fn turn_on(&mut self) -> Result<(), Missing> {
        self.allowed = check()?;
        if capabilities(FEATURE_CONTROL) & LOCKED == 0 {
            // SAFETY: the register exists with VT-x, and is not locked.
            unsafe { Msr::new(FEATURE_CONTROL).write(LOCKED | VMXON_WORKS) };
        }
        let revision = capabilities(BASIC) as u32 & 0x7fff_ffff;
        self.region.set_word(0, revision);
        self.vmcs.set_word(0, revision);
        let fixed = |value: u64, must, may| (value | capabilities(must)) & capabilities(may);
        let (region, vmcs) = (self.region.physical(), self.vmcs.physical());
        // SAFETY: VT-x only demands bits of CR0 and CR4 that the kernel has set anyway, and VMXE. Both pages are this
        // CPU's own.
        let done = unsafe {
            Cr0::write_raw(fixed(Cr0::read_raw(), CR0_MUST, CR0_MAY));
            Cr4::write_raw(fixed(Cr4::read_raw() | Cr4Flags::VIRTUAL_MACHINE_EXTENSIONS.bits(), CR4_MUST, CR4_MAY));
            vmxon(region).and_then(|()| vmclear(vmcs)).and_then(|()| vmptrld(vmcs))
        };
        done.map_err(|Failed| Missing::Refused)?;
        self.on = true;
        self.tables = Some([sgdt(), sidt()]);
        // A guest exits after a whole time slice at the latest, even if no interrupt makes it: Bochs 2.7 holds interrupts
        // back from a guest that is entered with its interrupts off. On a processor without this timer there is no such
        // field.
        let slice = timer::slice() >> (capabilities(MISCELLANEOUS) & 0x1f);
        set(PREEMPTION_TIMER, slice.min(u32::MAX.into()));
        for (place, row) in self.places.iter_mut().zip(FIELDS) {
            // SAFETY: VT-x is on.
            let is_there = unsafe { vmread(row.encoding) }.is_some();
            *place = match row.field {
                Vmcs::ExitReason
                | Vmcs::ExitInstructionLength
                | Vmcs::ExitQualification
                | Vmcs::GuestPhysicalAddress => Place::Elsewhere,
                Vmcs::PinBasedCtls => Place::Controls(0),
                Vmcs::PriProcBasedCtls => Place::Controls(1),
                Vmcs::SecProcBasedCtls => Place::Controls(2),
                Vmcs::ExitCtls => Place::Controls(3),
                Vmcs::EntryCtls => Place::Controls(4),
                _ if is_there => Place::Vmcs,
                _ => Place::Elsewhere,
            };
        }
        Ok(())
    }

    /// Physical address of the region of `vmxon`.
    pub fn region(&self) -> u64 {
        self.region.physical()
    }

    /// The value of the field with key `key`, or `None` if the VMCS does not hold it.
    #[inline]
    pub fn load(&self, key: u32) -> Option<u64> {
        match self.places[key as usize] {
            Place::Elsewhere => None,
            // SAFETY: fields have a place in the VMCS only once VT-x is on.
            Place::Vmcs | Place::Controls(_) => unsafe { vmread(FIELDS[key as usize].encoding) },
        }
    }

    /// Stores the field with key `key`; controls are adjusted to what the processor allows. Returns false if the VMCS
    /// does not hold it.
    pub fn store(&mut self, key: u32, value: u64) -> bool {
        let value = match self.places[key as usize] {
            Place::Elsewhere => return false,
            Place::Vmcs => value,
            Place::Controls(word) => {
                let (word, wanted) = (usize::from(word), value as u32);
                // Whatever the layer stores, a control that keeps the guest from the host stays on.
                self.allowed[word].adjust(wanted | controls::WANTED[word]).into()
            }
        };
        // SAFETY: VT-x is on, as above. The controls keep the guest from the host whatever its own registers hold, and
        // the host's fields have the values of `host::field`.
        unsafe { vmwrite(FIELDS[key as usize].encoding, value) }.is_ok()
    }

    /// Restores what an exit changes although it belongs to the host: the limits of the descriptor tables, and the
    /// selectors of the program that runs, which VT-x would refuse as the host's.
    fn restore(&self, [ds, es, fs, gs]: [u16; 4]) {
        let Some([segments, gates]) = &self.tables else { return };
        // SAFETY: these are the tables and the selectors that were in use before. Loading GS clears the program's base,
        // which `swapgs` has put in place of the kernel's, and which is 0; an NMI in between does not rely on GS.
        unsafe {
            lgdt(segments);
            lidt(gates);
            asm!(
                "mov ds, {0:x}", "mov es, {1:x}", "mov fs, {2:x}", "swapgs", "mov gs, {3:x}", "swapgs",
                in(reg) ds, in(reg) es, in(reg) fs, in(reg) gs, options(nostack, preserves_flags),
            );
        }
        debug_assert_eq!(sgdt().limit, descriptors::LIMIT, "nothing lies behind the segments");
    }

    /// Gives a new virtual machine its values in the fields that the layer does not know.
    fn reset(&self) {
        for (encoding, value) in RESET {
            // A processor without one of these fields needs none.
            set(encoding, value);
        }
    }

    /// Enters the guest with these registers, and returns when it has exited. `fresh`: the virtual machine is new;
    /// `flush`: translations may be stale.
    pub fn enter(&mut self, registers: &mut Registers, fresh: bool, flush: bool) -> Exit {
        if !self.on {
            return Exit::refused(0);
        }
        if fresh {
            self.reset();
        } else if get(GUEST_RIP) != self.stopped_at {
            let state = get(INTERRUPTIBILITY);
            if state & BLOCKED != 0 {
                set(INTERRUPTIBILITY, state & !BLOCKED);
            }
        }
        if flush {
            // SAFETY: VT-x is on, with both instructions (`NESTED_NEEDED`).
            unsafe {
                invept();
                invvpid();
            }
        }
        // The program that the host runs may be another one than at `vmx_init`.
        set(HOST_CR3, host::cr3());
        let selectors = selectors();
        registers.load_breakpoints();
        // SAFETY: nothing in the host depends on these registers: CR2 belongs to faults, of which there is none here.
        unsafe {
            asm!("mov cr2, {}", in(reg) registers.cr2, options(nomem, nostack, preserves_flags));
            asm!("mov dr6, {}", in(reg) registers.dr6, options(nomem, nostack, preserves_flags));
        }
        // SAFETY: the VMCS is current; `vmx_init` has stored the host's registers from `host::field`, and `store` keeps
        // the controls. The machine enters no guest before `vmx_init`.
        let failed = unsafe { vtx_switch(registers, self.launched.into()) };
        self.restore(selectors);
        registers.cr2 = Cr2::read_raw();
        // SAFETY: it only reads a register.
        unsafe { asm!("mov {}, dr6", out(reg) registers.dr6, options(nomem, nostack, preserves_flags)) };
        registers.save_breakpoints();
        match failed {
            0 => {}
            2 => return Exit::refused(BAD_CONTROLS | get(INSTRUCTION_ERROR)),
            _ => return Exit::refused(BAD_CONTROLS),
        }
        let exit = exit();
        self.launched |= exit.has_run();
        self.stopped_at = get(GUEST_RIP);
        if let Some(Event { info, error, length }) = exit.event {
            set(ENTRY_EVENT, info.into());
            set(ENTRY_ERROR, error.into());
            set(ENTRY_LENGTH, length.into());
        }
        exit
    }
}

/// What the VMCS says about the exit.
fn exit() -> Exit {
    let length = get(EXIT_LENGTH);
    let vectoring = get(VECTORING) as u32;
    let event = (vectoring & Event::VALID != 0).then(|| Event {
        // Bit 12 is undefined here, and must be 0 for an injection.
        info: vectoring & 0x8000_0FFF,
        error: get(VECTORING_ERROR) as u32,
        length: length as u32,
    });
    let reason = match get(EXIT_REASON) as u32 {
        PREEMPTED => reason::INTERRUPT,
        reason => reason,
    };
    let for_host = (reason == reason::EXCEPTION)
        .then(|| get(EXIT_EVENT) as u8)
        .filter(|vector| [vectors::NMI, vectors::MACHINE_CHECK].contains(vector));
    Exit { reason, qualification: get(EXIT_QUALIFICATION), length, address: get(GUEST_PHYSICAL), event, for_host }
}

/// The value of a field that every processor with VT-x has, once VT-x is on.
fn get(encoding: u32) -> u64 {
    // SAFETY: the callers are entered only once VT-x is on, with its VMCS.
    unsafe { vmread_known(encoding) }
}

/// Stores such a field.
fn set(encoding: u32, value: u64) {
    // SAFETY: as in `get`. The fields that are stored here are the guest's own, or have the host's own value.
    let _ = unsafe { vmwrite(encoding, value) };
}

/// The selectors DS, ES, FS and GS of the program that runs.
fn selectors() -> [u16; 4] {
    let (ds, es, fs, gs): (u16, u16, u16, u16);
    // SAFETY: it only reads registers.
    unsafe {
        asm!("mov {0:x}, ds", "mov {1:x}, es", "mov {2:x}, fs", "mov {3:x}, gs",
            out(reg) ds, out(reg) es, out(reg) fs, out(reg) gs, options(nomem, nostack, preserves_flags));
    }
    [ds, es, fs, gs]
}
