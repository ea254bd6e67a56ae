//! The storage of the control structure's fields (the layer's `vmcs`), and the run of a guest.
//!
//! A field is where the processor has it: in the VMCS, reached by VMREAD and VMWRITE, or in the VMCB. Fields that the
//! processor does not have, or that it does not let software write, are in an array beside it; so are all fields of a
//! processor without virtualisation. The processor has each field of its own at a place of its own, so different keys are
//! different memory.

use super::exit::Exit;
use super::host;
use super::nested::{Nested, Stale};
use super::page::Page;
use super::registers::Registers;
use super::svm::on::Svm;
use super::virtualisation::{Missing, Virtualisation};
use super::vtx::on::VtX;
use crate::cpu::vectors;
use crate::storage::Entries;
use core::arch::asm;
use core::ops::Range;
use domain::Domain;
use layer::core::fields::Slot;
use layer::objects::vmx::vmcs::{VMCS_SIZE, Vmcs};

/// The processor's part of the storage.
#[derive(Debug)]
enum Hardware {
    None(Missing),
    VtX(VtX),
    Svm(Svm),
}

/// The fields of a CPU's control structure, and what else its virtual machine has in the processor.
#[derive(Debug)]
pub struct Fields {
    hardware: Hardware,
    beside: &'static mut [u64; VMCS_SIZE as usize],
    /// The guest's registers that the control structure does not hold.
    pub registers: Registers,
    /// Whether the processor has refused the guest since it was set up. Its state is then unknown.
    refused: bool,
}

/// Number of pages that a processor with this virtualisation needs.
pub fn pages(kind: Virtualisation) -> usize {
    match kind {
        Virtualisation::VtX => VtX::PAGES,
        Virtualisation::Svm => Svm::PAGES,
    }
}

/// What this machine's processors have, as CPU 0 sees it.
pub fn find() -> Result<Virtualisation, Missing> {
    super::detection::find()
}

impl Fields {
    /// The fields of a CPU with this virtualisation, which is not on yet. There are as many pages as [`pages`] says.
    ///
    /// # Panics
    /// When there are more or fewer pages: a bug.
    pub fn new(
        kind: Result<Virtualisation, Missing>,
        pages: &'static [Page],
        beside: &'static mut [u64; VMCS_SIZE as usize],
    ) -> Fields {
        let hardware = match (kind, pages) {
            (Ok(Virtualisation::VtX), [region, vmcs]) => Hardware::VtX(VtX::new([region, vmcs])),
            (Ok(Virtualisation::Svm), [vmcb, host, save]) => Hardware::Svm(Svm::new([vmcb, host, save])),
            (Err(missing), []) => Hardware::None(missing),
            _ => panic!("{} pages for {kind:?}", pages.len()),
        };
        Fields { hardware, beside, registers: Registers::RESET, refused: false }
    }

    /// Turns virtualisation on for the CPU that runs this, whose fields these are, with these nested page tables. A CPU
    /// that cannot do this has its fields in memory, as one without virtualisation.
    ///
    /// # Errors
    /// What is missing.
    pub fn turn_on(&mut self, nested: Option<&Nested>) -> Result<Virtualisation, Missing> {
        let root = nested.map_or(0, Nested::root);
        let kind = find();
        let turned = match &mut self.hardware {
            Hardware::None(missing) => return Err(*missing),
            Hardware::VtX(vtx) if kind == Ok(Virtualisation::VtX) => vtx.turn_on().map(|()| vtx.region()),
            Hardware::Svm(svm) if kind == Ok(Virtualisation::Svm) => svm.turn_on(root).map(|()| svm.region()),
            _ => Err(Missing::Different),
        };
        match turned {
            Ok(region) => host::set_on(region, root),
            Err(missing) => self.hardware = Hardware::None(missing),
        }
        turned.and(kind)
    }

    // Most keys are constants. Then the place of the field is known, and this is a load or two.
    #[inline(always)]
    fn value(&self, key: u32) -> u64 {
        let held = match &self.hardware {
            Hardware::None(_) => None,
            Hardware::VtX(vtx) => vtx.load(key),
            Hardware::Svm(svm) => svm.load(key),
        };
        match held {
            // What SVM's CR4 cannot hold is beside it.
            Some(value) if key == Vmcs::GuestCr4 as u32 => value | self.beside[key as usize],
            Some(value) => value,
            None => self.beside[key as usize],
        }
    }

    #[inline(always)]
    fn set_value(&mut self, key: u32, value: u64) {
        let held = match &mut self.hardware {
            Hardware::None(_) => false,
            Hardware::VtX(vtx) => vtx.store(key, value),
            Hardware::Svm(svm) => svm.store(key, value),
        };
        if !held {
            self.beside[key as usize] = value;
        } else if key == Vmcs::GuestCr4 as u32 && matches!(self.hardware, Hardware::Svm(_)) {
            self.beside[key as usize] = value & super::svm::vmcb::VMXE;
        }
    }

    /// Runs the guest until it exits. The registers in `registers` and the fields are those with which it begins, and
    /// afterwards those with which it has stopped; the fields of the exit describe why. Returns the reason.
    ///
    /// If the guest continues at another address than it stopped at, an instruction was skipped, or the guest was made to
    /// continue elsewhere: then it is not directly behind STI or MOV SS any more. If the exit interrupted the delivery of
    /// an event, that event is pending again. A guest that was never set up, or that this CPU cannot run, is refused.
    /// One that was refused once stays refused until it is set up anew.
    pub fn run(&mut self, nested: Option<&mut Nested>) -> u32 {
        let stale = nested.map_or(Stale::Never, Nested::take_stale);
        self.refused &= stale != Stale::Fresh;
        let exit = if self.refused || stale == Stale::Never { Exit::refused(0) } else { self.enter(stale) };
        self.refused |= !exit.has_run();
        if let Some(vector) = exit.for_host {
            raise(vector);
        }
        self.record(&exit);
        exit.reason
    }

    fn enter(&mut self, stale: Stale) -> Exit {
        let (fresh, flush) = (stale == Stale::Fresh, stale != Stale::Current);
        if fresh {
            self.registers.fpu = Registers::RESET.fpu;
        }
        match &mut self.hardware {
            Hardware::None(_) => Exit::refused(0),
            Hardware::VtX(vtx) => vtx.enter(&mut self.registers, fresh, flush),
            Hardware::Svm(svm) => svm.enter(&mut self.registers, self.beside, fresh, flush),
        }
    }

    /// Stores what the exit reports. No processor lets software write these fields, so they are beside.
    fn record(&mut self, exit: &Exit) {
        self.beside[Vmcs::ExitReason as usize] = exit.reason.into();
        self.beside[Vmcs::ExitQualification as usize] = exit.qualification;
        self.beside[Vmcs::ExitInstructionLength as usize] = exit.length;
        self.beside[Vmcs::GuestPhysicalAddress as usize] = exit.address;
    }
}

/// Handles an NMI or a machine check that came while the guest ran, as if it came now. The last report names this
/// function.
#[cold]
#[inline(never)]
fn raise(vector: u8) {
    // SAFETY: the gates of both vectors lead to the last report, on stacks of their own.
    unsafe {
        match vector {
            vectors::NMI => asm!("int 2"),
            _ => asm!("int 18"),
        }
    }
}

impl<D: Domain<Word = u32, Wide = u64>> Entries<[u32; 1], Slot<D>> for Fields {
    #[allow(clippy::single_range_in_vec_init, reason = "a range a coordinate, and there is one")]
    fn keys(&self) -> [Range<u32>; 1] {
        [0..VMCS_SIZE]
    }

    #[inline(always)]
    fn load(&self, [key]: [u32; 1]) -> Slot<D> {
        Slot { value: self.value(key) }
    }

    #[inline(always)]
    fn store(&mut self, [key]: [u32; 1], Slot { value }: Slot<D>) {
        self.set_value(key, value);
    }
}
