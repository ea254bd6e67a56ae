//! The host's own registers and tables, as the control structure wants them (P43), and the bitmaps of what exits.

use super::page::Page;
use super::switch::vtx_exit_address;
use super::virtualisation::Virtualisation;
use super::vtx;
use crate::cpu::block;
use crate::cpu::descriptors::{KERNEL_CODE, KERNEL_DATA, TASK_STATE};
use crate::mm::layout::{IMAGE_BASE, MAX_CPUS};
use core::arch::asm;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use layer::objects::vmx::vmcs::{FIELDS, Vmcs};
use raw_cpuid::CpuId;
use x86_64::instructions::segmentation::{CS, Segment};
use x86_64::instructions::tables::{sgdt, sidt};
use x86_64::registers::control::{Cr0, Cr4};
use x86_64::registers::model_specific::{Efer, Msr};

const SYSENTER_CS: u32 = 0x174;
const SYSENTER_ESP: u32 = 0x175;
const SYSENTER_EIP: u32 = 0x176;
const PAT: u32 = 0x277;
const PERF_GLOBAL_CTRL: u32 = 0x38F;
const FS_BASE: u32 = 0xC000_0100;
const GS_BASE: u32 = 0xC000_0101;

/// What is on for a CPU.
struct On {
    /// Physical address of the control structure's region; 0 while nothing is on.
    region: AtomicU64,
    /// Physical address of the nested page tables' root.
    root: AtomicU64,
}

static ON: [On; MAX_CPUS] = [const { On { region: AtomicU64::new(0), root: AtomicU64::new(0) } }; MAX_CPUS];

/// Records that virtualisation is on for the CPU that runs this.
pub(super) fn set_on(region: u64, root: u64) {
    let on = &ON[block::number()];
    on.root.store(root, Relaxed);
    on.region.store(region, Relaxed);
}

/// Bits that say, one for each port or model-specific register, that an access makes the guest exit: all of them. VT-x
/// takes a page for each of three bitmaps, SVM two and three consecutive ones.
#[repr(C, align(4096))]
struct Bitmap([u8; 3 * size_of::<Page>()]);

static ALL: Bitmap = Bitmap([0xff; 3 * size_of::<Page>()]);

/// Physical address of the [`Bitmap`].
pub(super) fn all_ones() -> u64 {
    ptr::from_ref(&ALL.0).addr() as u64 - IMAGE_BASE
}

/// Capability word `index` of this CPU's virtualisation (reference, section 2; P26), adjusted as `vmx_init` writes them:
/// 1 whether there is any, 2 to 6 the controls, 7 to 14 masks and the region. A processor with SVM has no masks, and the
/// controls are those of VT-x that describe what it does.
pub fn capability(index: u32) -> u32 {
    let region = ON[block::number()].region.load(Relaxed);
    if region == 0 {
        return 0;
    }
    match (index, super::detection::find()) {
        (1, _) => 1,
        (14, _) => region as u32,
        (_, Ok(Virtualisation::VtX)) => vtx::on::capability(index),
        (2..=6, Ok(Virtualisation::Svm)) => vtx::controls::WANTED[index as usize - 2],
        _ => 0,
    }
}

/// The value of the host's part of the control structure in the field with key `key`.
pub fn field(key: u32) -> u64 {
    match FIELDS[key as usize].field {
        Vmcs::HostCr0 => Cr0::read_raw(),
        Vmcs::HostCr3 => cr3(),
        Vmcs::HostCr4 => Cr4::read_raw(),
        Vmcs::HostCsSelector => KERNEL_CODE.into(),
        Vmcs::HostTrSelector => TASK_STATE.into(),
        // The switch gives the other segments back to the program, whose selectors VT-x would refuse.
        Vmcs::HostEsSelector
        | Vmcs::HostSsSelector
        | Vmcs::HostDsSelector
        | Vmcs::HostFsSelector
        | Vmcs::HostGsSelector => KERNEL_DATA.into(),
        Vmcs::HostFsBase => read(FS_BASE),
        Vmcs::HostGsBase => read(GS_BASE),
        Vmcs::HostTrBase => task_state(),
        Vmcs::HostGdtrBase => sgdt().base.as_u64(),
        Vmcs::HostIdtrBase => sidt().base.as_u64(),
        Vmcs::HostSysenterCs => read(SYSENTER_CS),
        Vmcs::HostSysenterEsp => read(SYSENTER_ESP),
        Vmcs::HostSysenterEip => read(SYSENTER_EIP),
        Vmcs::HostPat if CpuId::new().get_feature_info().is_some_and(|info| info.has_pat()) => read(PAT),
        Vmcs::HostEfer => Efer::read_raw(),
        // From version 2 on, the performance monitor has this register.
        Vmcs::HostPerfGlobalCtrl
            if CpuId::new().get_performance_monitoring_info().is_some_and(|info| info.version_id() > 1) =>
        {
            read(PERF_GLOBAL_CTRL)
        }
        Vmcs::HostRip => vtx_exit_address(),
        Vmcs::IoBitmapA | Vmcs::IoBitmapB | Vmcs::MsrBitmap => all_ones(),
        Vmcs::Eptp => match ON[block::number()].root.load(Relaxed) {
            0 => 0,
            root => root | vtx::EPT_POINTER,
        },
        _ => 0,
    }
}

/// What this CPU has now in the register that an exit loads from `field`. `None` if the field is no register of the
/// host, or if its register has another value while the kernel runs: the selectors of data, which are the program's;
/// CR3, which is that of the running thread; RSP.
pub fn register(field: Vmcs) -> Option<u64> {
    match field {
        Vmcs::HostCsSelector => Some(CS::get_reg().0.into()),
        Vmcs::HostTrSelector => Some(task_register().into()),
        Vmcs::HostCr0
        | Vmcs::HostCr4
        | Vmcs::HostFsBase
        | Vmcs::HostGsBase
        | Vmcs::HostTrBase
        | Vmcs::HostGdtrBase
        | Vmcs::HostIdtrBase
        | Vmcs::HostSysenterCs
        | Vmcs::HostSysenterEsp
        | Vmcs::HostSysenterEip
        | Vmcs::HostPat
        | Vmcs::HostEfer
        | Vmcs::HostPerfGlobalCtrl => Some(self::field(field as u32)),
        _ => None,
    }
}

/// The root of the page map in use, with its flags.
#[inline(always)]
pub(super) fn cr3() -> u64 {
    let root: u64;
    // SAFETY: it only reads a register.
    unsafe { asm!("mov {}, cr3", out(reg) root, options(nomem, nostack, preserves_flags)) };
    root
}

/// The selector of the task state in use.
fn task_register() -> u16 {
    let selector: u16;
    // SAFETY: it only reads a register.
    unsafe { asm!("str {:x}", out(reg) selector, options(nomem, nostack, preserves_flags)) };
    selector
}

/// The value of a model-specific register that the processor has.
fn read(register: u32) -> u64 {
    // SAFETY: reading these registers has no effect. Every processor with long mode has those above; `field` asks CPUID
    // about the others.
    unsafe { Msr::new(register).read() }
}

/// Address of this CPU's task state, from its descriptor.
fn task_state() -> u64 {
    let descriptor = ptr::with_exposed_provenance::<[u64; 2]>(sgdt().base.as_u64() as usize + usize::from(TASK_STATE));
    // SAFETY: the descriptor is one of this CPU's table, which is never changed.
    let [low, high] = unsafe { descriptor.read_unaligned() };
    low >> 16 & 0xff_ffff | (low >> 56) << 24 | high << 32
}
