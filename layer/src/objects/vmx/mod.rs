//! The virtual machine of a CPU: primitives 1, 25 to 45 and 49. The switches between host and guest, 47, 48, 56 and 57,
//! are in [`switch`].
//!
//! A guest's registers are whole registers of the processor (P45); primitives that return or take 32 bits use the low
//! half. Reading a value that was never written is [`Stuck::NotInt`]; after [`vmx_init`] no primitive does so (P40).
pub mod ept;
pub mod ownership;
pub mod place;
pub mod spec;
pub mod switch;
pub mod vmcs;

use crate::core::bits::{bit, with_bit};
use crate::core::constants::*;
use crate::core::fields::{Defined, Slot, SlotKind};
use crate::core::machine::Machine;
use crate::core::state::Cpu;
use crate::core::stuck::{Stuck, require};
use crate::objects::vmx::vmcs::{FIELDS, FULL_SEGMENTS, SEGMENTS, Start, Vmcs, VmcsField};
use domain::{Ghost, Map, Wide, Word};

pub use place::{Place, REGISTERS, register};
pub use switch::{ToGuest, ToHost, host_in, host_out, vmx_return_from_guest, vmx_run_vm};

use Place::{Vmcs as V, Vmx as X};
use place::{get, read, set_field, write};

/// The values that `vmx_init` writes to the VMX structure: the reset values of A.2, and 0 in the slots that 35 and 38
/// to 45 can read (P40).
const DEFAULTS: [(u32, u64); 16] = [
    (vmx_slot::RIP, 0xFFF0),
    (vmx_slot::VPID, 1),
    (vmx_slot::CR2, 0),
    (vmx_slot::DR0, 0),
    (vmx_slot::DR1, 0),
    (vmx_slot::DR2, 0),
    (vmx_slot::DR3, 0),
    (vmx_slot::DR6, 0xFFFF_0FF0),
    (vmx_slot::RAX, 0),
    (vmx_slot::RBX, 0),
    (vmx_slot::RCX, 0),
    (vmx_slot::RDX, 0),
    (vmx_slot::RSI, 0),
    (vmx_slot::RDI, 0),
    (vmx_slot::RBP, 0),
    (vmx_slot::EXIT_QUALIFICATION, 0),
];

impl VmcsField {
    /// The value that `vmx_init` writes, and its kind; `info` returns the capability words. `None` if it writes
    /// nothing.
    #[inline(always)]
    #[track_caller]
    pub fn default<M: Machine>(self, info: impl Fn(u32) -> M::Word) -> Option<(M::Wide, SlotKind<M>)> {
        let host = || M::vmcs_host((self.field as u32).into());
        match self.start {
            Start::Kept => None,
            Start::Is(value) => Some((M::Wide::constant(value), SlotKind::Int)),
            Start::Info(i) => Some((info(i).into(), SlotKind::Int)),
            Start::Either(i, j) => Some((info(i).or(info(j)).into(), SlotKind::Int)),
            Start::Host => Some((host(), SlotKind::Int)),
            Start::Address => Some((host(), SlotKind::Ptr)),
        }
    }
}

/// 1 for yes, 0 for no.
#[inline(always)]
fn word<M: Machine>(yes: bool) -> M::Word {
    u32::from(yes).into()
}

/// 1 `vmxinfo_get(i) -> u32`: capability word `i`; 0 before `sched_init` and for indices without a word.
///
/// # Errors
/// [`Stuck::NotKernelMode`].
#[inline]
pub fn vmxinfo_get<M: Machine>(cpu: &Cpu<'_, M>, i: M::Word) -> Result<M::Word, Stuck> {
    cpu.require_hk()?;
    Ok(if i < VMXINFO_SIZE { cpu.own.vmxinfo.get([i]).value } else { 0.into() })
}

/// 25 `rdmsr(r) -> u64`: the value of model-specific register `r`.
///
/// P43: the value is the machine's; the reference returns 0.
///
/// # Errors
/// [`Stuck::NotKernelMode`].
#[inline]
pub fn rdmsr<M: Machine>(cpu: &Cpu<'_, M>, r: M::Word) -> Result<M::Wide, Stuck> {
    cpu.require_hk()?;
    Ok(M::rdmsr(r))
}

/// 26 `wrmsr(r, value) -> u32`: has no effect on the state; returns 0.
///
/// # Errors
/// [`Stuck::NotKernelMode`].
#[inline]
pub fn wrmsr<M: Machine>(cpu: &mut Cpu<'_, M>, _r: M::Word, _value: M::Wide) -> Result<M::Word, Stuck> {
    cpu.require_hk()?;
    Ok(0.into())
}

/// 27 `vmx_set_intercept_intwin(enable)`: if `enable` is 1, the guest exits as soon as it can take an interrupt;
/// otherwise it does not exit for this reason.
///
/// # Errors
/// [`Stuck::NotPaging`], [`Stuck::NotInt`].
#[inline]
pub fn vmx_set_intercept_intwin<M: Machine>(cpu: &mut Cpu<'_, M>, enable: M::Word) -> Result<(), Stuck> {
    let place = V(Vmcs::PriProcBasedCtls);
    let controls = with_bit::<M>(get(cpu, place)?, INTERRUPT_WINDOW, enable == 1);
    write(cpu, place, controls.into());
    Ok(())
}

/// The bit of the primary controls that makes the guest exit when it can take an interrupt.
const INTERRUPT_WINDOW: u32 = 2;

/// 28 `vmx_set_desc1(seg, sel, base)`: sets selector and base of a guest segment (P11); for GDTR and IDTR only the
/// base.
///
/// # Errors
/// [`Stuck::NotPaging`], [`Stuck::BadSegment`].
#[inline]
pub fn vmx_set_desc1<M: Machine>(cpu: &mut Cpu<'_, M>, seg: M::Word, sel: M::Word, base: M::Word) -> Result<(), Stuck> {
    set_descriptor(cpu, seg, (Vmcs::GuestCsSelector, sel), (Vmcs::GuestCsBase, base))
}

/// 29 `vmx_set_desc2(seg, lim, ar)`: sets limit and access rights of a guest segment (P11); for GDTR and IDTR only the
/// limit.
///
/// # Errors
/// As for [`vmx_set_desc1`].
#[inline]
pub fn vmx_set_desc2<M: Machine>(cpu: &mut Cpu<'_, M>, seg: M::Word, lim: M::Word, ar: M::Word) -> Result<(), Stuck> {
    set_descriptor(cpu, seg, (Vmcs::GuestCsAccess, ar), (Vmcs::GuestCsLimit, lim))
}

/// Writes one property that only full segments have and one that all segments have. Each property is given
/// with its field of CS.
#[inline(always)]
#[track_caller]
fn set_descriptor<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    seg: M::Word,
    (of_full, full): (Vmcs, M::Word),
    (of_all, all): (Vmcs, M::Word),
) -> Result<(), Stuck> {
    cpu.require_hkp()?;
    require(seg < SEGMENTS, Stuck::BadSegment)?;
    if seg < FULL_SEGMENTS {
        set_field(cpu, seg + of_full as u32, full.into());
    }
    set_field(cpu, seg + of_all as u32, all.into());
    Ok(())
}

/// 30 `vmx_inject_event(kind, vector, errcode, ev)`: the guest takes this event when it is entered; if `ev` is 1, with
/// the error code `errcode`. If an event is already pending, the call changes nothing.
///
/// `kind` must already be shifted to its bits (8 to 10); nothing is masked.
///
/// # Errors
/// [`Stuck::NotPaging`], [`Stuck::NotInt`].
#[inline]
pub fn vmx_inject_event<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    kind: M::Word,
    vector: M::Word,
    errcode: M::Word,
    ev: M::Word,
) -> Result<(), Stuck> {
    if get(cpu, V(Vmcs::EntryIntrInfo))? >= EVENT_VALID {
        return Ok(());
    }
    if ev == 1 {
        write(cpu, V(Vmcs::EntryExceptionError), errcode.into());
    }
    write(cpu, V(Vmcs::EntryIntrInfo), event::<M>(kind, vector, ev == 1).into());
    Ok(())
}

/// The bit of an event's description that says that an event is pending.
const EVENT_VALID: u32 = 1 << 31;
/// The bit of an event's description that says that the event has an error code.
pub const EVENT_ERROR: u32 = 0x800;

/// The description of an event.
#[inline(always)]
#[track_caller]
fn event<M: Machine>(kind: M::Word, vector: M::Word, has_error: bool) -> M::Word {
    let flags = if has_error { EVENT_VALID + EVENT_ERROR } else { EVENT_VALID };
    kind.or(vector).or(flags.into())
}

/// 31 `vmx_set_tsc_offset(offset: u64)`: sets the difference of the guest's time-stamp counter to the processor's.
///
/// # Errors
/// [`Stuck::NotPaging`].
#[inline]
pub fn vmx_set_tsc_offset<M: Machine>(cpu: &mut Cpu<'_, M>, offset: M::Wide) -> Result<(), Stuck> {
    cpu.require_hkp()?;
    write(cpu, V(Vmcs::TscOffset), offset);
    Ok(())
}

/// 32 `vmx_get_tsc_offset() -> u64`: the offset that was set last.
///
/// # Errors
/// [`Stuck::NotPaging`], [`Stuck::NotInt`].
#[inline]
pub fn vmx_get_tsc_offset<M: Machine>(cpu: &Cpu<'_, M>) -> Result<M::Wide, Stuck> {
    cpu.require_hkp()?;
    read(cpu, V(Vmcs::TscOffset))
}

/// Primitives that return a word computed from one value of the virtual machine.
macro_rules! getters {
    ($($(#[$meta:meta])* $name:ident ($place:expr, $value:ident) $word:expr;)*) => {
        $(
            $(#[$meta])*
            ///
            /// # Errors
            /// [`Stuck::NotPaging`], [`Stuck::NotInt`].
            #[inline]
            pub fn $name<M: Machine>(cpu: &Cpu<'_, M>) -> Result<M::Word, Stuck> {
                let $value = get(cpu, $place)?;
                Ok($word)
            }
        )*
    };
}

getters! {
    /// 33 `vmx_get_exit_reason() -> u32`: the basic reason of the last exit.
    vmx_get_exit_reason (V(Vmcs::ExitReason), reason) reason % (1 << 16);
    /// 34 `vmx_get_exit_fault_addr() -> u32`: the guest-physical address that had no mapping, after reason 48.
    vmx_get_exit_fault_addr (V(Vmcs::GuestPhysicalAddress), address) address;
    /// 35 `vmx_get_exit_qualification() -> u32`: the qualification that the last exit saved (P12).
    vmx_get_exit_qualification (X(vmx_slot::EXIT_QUALIFICATION), qualification) qualification;
    /// 36 `vmx_check_pending_event() -> 0|1`: 1 if an event is pending for the guest.
    vmx_check_pending_event (V(Vmcs::EntryIntrInfo), event) word::<M>(event >= EVENT_VALID);
    /// 37 `vmx_check_int_shadow() -> 0|1`: 1 if the guest is directly after an STI or a MOV SS.
    vmx_check_int_shadow (V(Vmcs::GuestInterruptibility), state) word::<M>(state % 4 != 0);
    /// 41 `vmx_get_io_width() -> 0|1|2`: 0 for one byte, 1 for two, 2 for everything else.
    vmx_get_io_width (X(vmx_slot::EXIT_QUALIFICATION), qualification) (qualification % 8).min(2.into());
    /// 42 `vmx_get_io_write() -> 0|1`: 1 if the guest writes.
    vmx_get_io_write (X(vmx_slot::EXIT_QUALIFICATION), qualification) word::<M>(bit::<M>(qualification, 3) == 0);
    /// 43 `vmx_get_exit_io_rep() -> 0|1`: 1 if the instruction has a REP prefix.
    vmx_get_exit_io_rep (X(vmx_slot::EXIT_QUALIFICATION), qualification) bit::<M>(qualification, 5);
    /// 44 `vmx_get_exit_io_str() -> 0|1`: 1 if it is a string instruction.
    vmx_get_exit_io_str (X(vmx_slot::EXIT_QUALIFICATION), qualification) bit::<M>(qualification, 4);
    /// 45 `vmx_get_exit_io_port() -> u32`: the port.
    vmx_get_exit_io_port (X(vmx_slot::EXIT_QUALIFICATION), qualification) qualification / (1 << 16);
}

/// 38 `vmx_get_reg(r) -> u32`: the guest register with code `r`.
///
/// # Errors
/// [`Stuck::NotPaging`], [`Stuck::BadRegister`], [`Stuck::NotInt`].
#[inline]
pub fn vmx_get_reg<M: Machine>(cpu: &Cpu<'_, M>, r: M::Word) -> Result<M::Word, Stuck> {
    cpu.require_hkp()?;
    get(cpu, register::<M>(r).ok_or(Stuck::BadRegister)?)
}

/// 39 `vmx_set_reg(r, v)`: sets the guest register with code `r` to `v`.
///
/// # Errors
/// [`Stuck::NotPaging`], [`Stuck::BadRegister`].
#[inline]
pub fn vmx_set_reg<M: Machine>(cpu: &mut Cpu<'_, M>, r: M::Word, v: M::Word) -> Result<(), Stuck> {
    cpu.require_hkp()?;
    write(cpu, register::<M>(r).ok_or(Stuck::BadRegister)?, v.into());
    Ok(())
}

/// 40 `vmx_get_next_eip() -> u32`: the address of the instruction after the one that made the guest exit.
///
/// # Errors
/// [`Stuck::NotPaging`], [`Stuck::NotInt`], [`Stuck::TooLarge`] if the result is not a 32-bit address
/// (P35).
#[inline]
pub fn vmx_get_next_eip<M: Machine>(cpu: &Cpu<'_, M>) -> Result<M::Word, Stuck> {
    cpu.require_hkp()?;
    // Equivalent mutants (`<=`: true): if this value is too large for a word, so is the sum, which the comparison
    // below refuses as well.
    let eip = read(cpu, X(vmx_slot::RIP))?.narrow().ok_or(Stuck::TooLarge)?;
    let length = read(cpu, V(Vmcs::ExitInstructionLength))?.narrow().ok_or(Stuck::TooLarge)?;
    require(M::Word::from(u32::MAX) - length >= eip, Stuck::TooLarge)?;
    Ok(eip + length)
}

/// 80 `vmx_next_fits() -> 0|1`: 1 if the address of the instruction after the one that made the guest exit fits 32 bits,
/// so that [`vmx_get_next_eip`] has a result (P35). An addition for the layer above.
///
/// # Errors
/// [`Stuck::NotPaging`], [`Stuck::NotInt`].
#[inline]
pub fn vmx_next_fits<M: Machine>(cpu: &Cpu<'_, M>) -> Result<M::Word, Stuck> {
    cpu.require_hkp()?;
    // Equivalent mutants (`<=`: true): if this value is too large for a word, so is the sum, which the comparison
    // below refuses as well.
    let eip = read(cpu, X(vmx_slot::RIP))?.narrow();
    let length = read(cpu, V(Vmcs::ExitInstructionLength))?.narrow();
    let fits = match (eip, length) {
        (Some(eip), Some(length)) => M::Word::from(u32::MAX) - length >= eip,
        _ => false,
    };
    Ok(word::<M>(fits))
}

/// 49 `vmx_init(mbi)`: initialises the virtual machine of this CPU: empty nested page tables for 4 GiB, the default
/// control structure ([`FIELDS`]), registers as after a reset (`DEFAULTS`). The argument is ignored.
///
/// The primitive comes after `sched_init` (the reference's choice). P40: fields that 27 to 45 and 48 read and A.2
/// leaves out become 0. P43: the machine supplies the host's registers. P46: the nested tables belong to the machine,
/// so no page is allocated. The revision becomes 0, as in the artifact; the abort indicator is unchanged.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`].
pub fn vmx_init<M: Machine>(cpu: &mut Cpu<'_, M>, _mbi: M::Word) -> Result<(), Stuck> {
    cpu.require_hkpt()?;
    cpu.require_init()?;
    let own = &mut cpu.own;
    ept::unmap_all(own);
    own.ghost.update(|g| g.ept_dirs.define(|_| Defined { defined: true.into() }));
    for row in FIELDS {
        let Some((value, kind)) = row.default::<M>(|i| own.vmxinfo.get([i.into()]).value) else { continue };
        own.vmcs.set([(row.field as u32).into()], Slot { value });
        own.ghost.update(|g| g.vmcs_kind.set([(row.field as u32).into()], kind));
    }
    own.vm.revision = 0.into();
    own.vm.set_up = true.into();
    for (slot, value) in DEFAULTS {
        write(cpu, X(slot), M::Wide::constant(value));
    }
    Ok(())
}
