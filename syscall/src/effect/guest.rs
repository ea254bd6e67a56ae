//! Modifies clauses and postconditions of a monitor's calls, and of a guest's exit.
use super::answer::RESULTS;
use super::cells::{mode, page_of, registers, switch};
use super::made::{By, Effect, Made};
use crate::continuation::Continuation;
use crate::next::Next;
use crate::system::System;
use abi::{Call, Error};
use domain::{Flag, Map, Wide, Word};
use layer::core::constants::*;
use layer::core::machine::Spec;
use layer::objects::page_table::spec::{in_window, mapped};
use layer::objects::vmx::Place::{self, Vmcs as Field, Vmx as Slot};
use layer::objects::vmx::spec::{CLAIMED, REGISTERS, RELEASED, at as value, may_write, nested, register};
use layer::objects::vmx::vmcs::Vmcs;
use layer::spec::contract::{Cells, Region};
use layer::spec::view::View;

const EAX: Place = Slot(0);
const EBX: Place = Slot(2);
const ECX: Place = Slot(4);
const EDX: Place = Slot(6);
const EIP: Place = Slot(14);
/// What `hvm_complete` sets, and the slots of its arguments with the values.
const COMPLETED: [(Place, u32); 4] = [(EAX, slot::R10), (EDX, slot::EDX), (ECX, slot::ESI), (EBX, slot::EDI)];
const QUALIFICATION: Place = Slot(28);
const LENGTH: Place = Field(Vmcs::ExitInstructionLength);
const EVENT: Place = Field(Vmcs::EntryIntrInfo);
const EVENT_ERROR: Place = Field(Vmcs::EntryExceptionError);
const TSC_OFFSET: Place = Field(Vmcs::TscOffset);
const CONTROLS: Place = Field(Vmcs::PriProcBasedCtls);

impl<M: System + Spec> Made<'_, M> {
    /// The virtual machine was the caller's.
    fn is_monitor(&self) -> bool {
        self.before.own.vm.owner == self.cur()
    }

    /// The call succeeded without a result.
    fn is_done(&self) -> bool {
        self.returns(0.into())
    }

    /// The call succeeded with this result.
    fn returns(&self, result: M::Word) -> bool {
        self.ended_with(Error::Succ) && self.left(slot::EBX) == result && self.keeps(By::Trap, &[slot::EAX, slot::EBX])
    }

    /// The call succeeded with these results.
    fn returns_all(&self, results: [M::Word; 5]) -> bool {
        self.ended_with(Error::Succ)
            && RESULTS.iter().zip(results).all(|(&slot, result)| self.left(slot) == result)
            && self.keeps_all_but(By::Trap, RESULTS.len())
    }

    /// The value is what it was.
    fn is_kept(&self, of: Place) -> bool {
        value(&self.after, of) == value(&self.before, of)
    }

    /// The value is now this word.
    fn is_now(&self, of: Place, word: M::Word) -> bool {
        value(&self.after, of) == M::Wide::from(word)
    }

    /// The address of the guest's next instruction fits 32 bits.
    fn has_next(&self) -> bool {
        match (value(&self.before, EIP).narrow(), value(&self.before, LENGTH).narrow()) {
            (Some(eip), Some(length)) => M::Nat::from(eip) + M::Nat::from(length) <= M::Nat::from(u32::MAX.into()),
            _ => false,
        }
    }

    /// The guest continues behind the instruction that made it exit.
    fn steps(&self) -> bool {
        let [eip, length] = [EIP, LENGTH].map(|of| value(&self.before, of).low());
        self.is_now(EIP, eip + length)
    }

    /// The arguments of `hvm_mmap`, if they are a page of guest memory, a page of the window, and a memory type.
    fn mapping(&self) -> Option<[M::Word; 3]> {
        let [guest, address, memtype] = [slot::EBX, slot::R10, slot::EDX].map(|slot| self.argument(By::Trap, slot));
        let is_page = guest % 4096 == 0 && guest < 0x2000_0000;
        let is_mine = in_window::<M>(address) && address % 4096 == 0;
        (is_page && is_mine && memtype < 8).then_some([guest, address, memtype])
    }
}

/// Cells of a monitor's call, besides the caller's registers.
pub(super) fn modifies<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    let asks = |call: Call| m.asks_for(call);
    if asks(Call::HvmCreate) {
        for name in RELEASED.into_iter().chain(CLAIMED) {
            may(name, Region::All, &[]);
        }
    }
    if !m.is_monitor() {
        return;
    }
    if asks(Call::HvmRunVm) {
        may("ihost", Region::All, &[]);
        for of in [Field(Vmcs::GuestRip), Slot(33), Slot(34)] {
            may_write::<M>(&mut *may, of);
        }
    }
    if asks(Call::HvmMmap) {
        page_of::<M>(m.cur(), &mut *may);
        let key = nested::<M>(m.argument(By::Trap, slot::EBX));
        may("ept", Region::All, &key);
        may("ept.defined", Region::All, &key);
        if let Some((frame, _)) = mapped(&m.after, m.cur(), m.argument(By::Trap, slot::R10)) {
            may("guest.frames", Region::All, &[frame]);
        }
    }
    if asks(Call::HvmSetSeg) {
        let segment = m.argument(By::Trap, slot::EBX);
        for of_cs in [Vmcs::GuestCsSelector, Vmcs::GuestCsAccess] {
            if segment < 8 {
                may("vmcs", Region::All, &[segment + of_cs as u32]);
                may("vmcs.kind", Region::All, &[segment + of_cs as u32]);
            }
        }
        for of_cs in [Vmcs::GuestCsBase, Vmcs::GuestCsLimit] {
            if segment < 10 {
                may("vmcs", Region::All, &[segment + of_cs as u32]);
                may("vmcs.kind", Region::All, &[segment + of_cs as u32]);
            }
        }
    }
    if asks(Call::HvmSetReg)
        && let Some(of) = register::<M>(m.argument(By::Trap, slot::EBX))
    {
        may_write::<M>(&mut *may, of);
    }
    if asks(Call::HvmInjectEvent) {
        may_write::<M>(&mut *may, EVENT);
        may_write::<M>(&mut *may, EVENT_ERROR);
    }
    if asks(Call::HvmInterceptIntWindow) {
        may_write::<M>(&mut *may, CONTROLS);
    }
    if asks(Call::HvmSetTscOffset) {
        may_write::<M>(&mut *may, TSC_OFFSET);
    }
    if asks(Call::HvmHandleRdmsr) {
        may_write::<M>(&mut *may, EAX);
        may_write::<M>(&mut *may, EDX);
    }
    if asks(Call::HvmComplete) {
        for (k, (of, _)) in (0..).zip(COMPLETED) {
            if m.argument(By::Trap, slot::EBX) > k {
                may_write::<M>(&mut *may, of);
            }
        }
    }
    if asks(Call::HvmHandleRdmsr) || asks(Call::HvmHandleWrmsr) || asks(Call::HvmComplete) {
        may_write::<M>(&mut *may, EIP);
    }
}

/// The postcondition of a monitor's call.
pub(super) fn ensures<M: System + Spec>(m: &Made<'_, M>, call: Call) -> bool {
    if !m.stays() {
        return false;
    }
    if call == Call::HvmCreate {
        return matches!(m.next, Next::ToUser(_)) && is_created(m);
    }
    if !m.is_monitor() {
        return matches!(m.next, Next::ToUser(_)) && m.is_refused(By::Trap, Error::InvalHvm);
    }
    if call == Call::HvmRunVm {
        return matches!(m.next, Next::ToGuest(_))
            && value(&m.after, Field(Vmcs::GuestRip)) == value(&m.before, EIP)
            && m.kept(By::Trap);
    }
    matches!(m.next, Next::ToUser(_)) && is_answered(m, call)
}

/// The postcondition of `hvm_create`.
fn is_created<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let can_run = m.before.own.vmxinfo.get([1.into()]).value != 0;
    let owner = m.after.own.vm.owner;
    if !can_run || m.before.own.vm.owner != 0 {
        let error = if can_run { Error::Busy } else { Error::NoGuests };
        return m.is_refused(By::Trap, error) && owner == m.before.own.vm.owner;
    }
    let frame = m.any;
    m.is_done()
        && owner == m.cur()
        && (frame >= MAX_PAGE || !m.after.ghost.guest_frames.get([frame]).defined.holds())
        // Nothing of an earlier guest is left: its registers are 0, but for EIP.
        && REGISTERS.iter().all(|&of| match of {
            Slot(14) => m.is_now(of, 0xFFF0.into()),
            Slot(_) => m.is_now(of, 0.into()),
            Field(_) => true,
        })
}

/// The postcondition of every other call, made by the monitor.
fn is_answered<M: System + Spec>(m: &Made<'_, M>, call: Call) -> bool {
    let argument = |slot: u32| m.argument(By::Trap, slot);
    let before = |of: Place| value(&m.before, of);
    let (first, second, third) = (argument(slot::EBX), argument(slot::R10), argument(slot::EDX));
    let zero = || M::Word::from(0);
    match call {
        Call::HvmGetExitinfo => {
            let q = before(QUALIFICATION).low();
            let reason = before(Field(Vmcs::ExitReason)).low() % 0x1_0000;
            if reason == 30 {
                let is = |bit: u32| q / (1 << bit) % 2;
                let width = if q % 8 > 1 { 2.into() } else { q % 8 };
                // Bit 3 says that the guest reads.
                let flags = if is(3) == 1 { zero() } else { 1.into() } + is(5) * 2 + is(4) * 4;
                m.returns_all([reason, q / 0x1_0000, width, flags, zero()])
            } else if reason == 48 {
                m.returns_all([reason, before(Field(Vmcs::GuestPhysicalAddress)).low(), q, zero(), zero()])
            } else {
                m.returns_all([reason, q, zero(), zero(), zero()])
            }
        }
        Call::HvmMmap => {
            let Some([guest, address, memtype]) = m.mapping() else { return m.is_refused(By::Trap, Error::InvalAddr) };
            match mapped(&m.after, m.cur(), address) {
                Some((frame, permission)) if permission == perm::PTU => {
                    m.is_done()
                        && m.after.own.ept.get(nested::<M>(guest)).value == frame * 4096 + memtype * 8 + 0x47
                        && m.after.ghost.ept_defined.get(nested::<M>(guest)).defined.holds()
                }
                Some(_) => m.is_refused(By::Trap, Error::InvalAddr),
                None => m.is_refused(By::Trap, Error::Mem),
            }
        }
        Call::HvmSetSeg => {
            let has =
                |of_cs: Vmcs, word: M::Word| m.after.own.vmcs.get([first + of_cs as u32]).value == M::Wide::from(word);
            if first >= 10 {
                return m.is_refused(By::Trap, Error::InvalSeg);
            }
            m.is_done()
                && has(Vmcs::GuestCsBase, third)
                && has(Vmcs::GuestCsLimit, argument(slot::ESI))
                && (first >= 8 || (has(Vmcs::GuestCsSelector, second) && has(Vmcs::GuestCsAccess, argument(slot::EDI))))
        }
        Call::HvmSetReg => match register::<M>(first) {
            Some(of) => m.is_done() && m.is_now(of, second),
            None => m.is_refused(By::Trap, Error::InvalReg),
        },
        Call::HvmGetReg => match register::<M>(first) {
            Some(of) => m.returns(before(of).low()),
            None => m.is_refused(By::Trap, Error::InvalReg),
        },
        Call::HvmGetNextEip if m.has_next() => m.returns(before(EIP).low() + before(LENGTH).low()),
        Call::HvmInjectEvent => {
            if first >= 0x800 || first % 0x100 != 0 || second >= 0x100 {
                return m.is_refused(By::Trap, Error::InvalEvent);
            }
            m.is_done()
                && if before(EVENT).low() >= 0x8000_0000 {
                    m.is_kept(EVENT) && m.is_kept(EVENT_ERROR)
                } else if argument(slot::ESI) == 1 {
                    m.is_now(EVENT, first.or(second).or(0x8000_0800.into())) && m.is_now(EVENT_ERROR, third)
                } else {
                    m.is_now(EVENT, first.or(second).or(0x8000_0000.into())) && m.is_kept(EVENT_ERROR)
                }
        }
        Call::HvmCheckIntShadow => {
            let blocks = before(Field(Vmcs::GuestInterruptibility)).low() % 4 != 0;
            m.returns(if blocks { 1.into() } else { zero() })
        }
        Call::HvmCheckPendingEvent => m.returns(if before(EVENT).low() >= 0x8000_0000 { 1.into() } else { zero() }),
        Call::HvmInterceptIntWindow => {
            let is_set = |v: &View<'_, M>| value(v, CONTROLS).low() / 4 % 2 == 1;
            m.is_done() && is_set(&m.after) == (first == 1)
        }
        Call::HvmGetTscOffset => {
            let offset = before(TSC_OFFSET);
            m.returns_all([offset.high(), offset.low(), zero(), zero(), zero()])
        }
        Call::HvmSetTscOffset => m.is_done() && value(&m.after, TSC_OFFSET) == M::Wide::join(first, second),
        Call::HvmHandleRdmsr if m.has_next() => {
            let value = M::rdmsr(before(ECX).low());
            m.is_done() && m.is_now(EAX, value.low()) && m.is_now(EDX, value.high()) && m.steps()
        }
        Call::HvmHandleWrmsr if m.has_next() => m.is_done() && m.steps(),
        Call::HvmComplete if first > 4 => m.is_refused(By::Trap, Error::InvalReg),
        Call::HvmComplete if m.has_next() => {
            let is_set = |k: u32, of: Place, from: u32| first <= k || m.is_now(of, argument(from));
            m.is_done() && m.steps() && (0..).zip(COMPLETED).all(|(k, (of, from))| is_set(k, of, from))
        }
        Call::HvmGetNextEip | Call::HvmHandleRdmsr | Call::HvmHandleWrmsr | Call::HvmComplete => {
            m.is_refused(By::Trap, Error::InvalAddr)
        }
        _ => false,
    }
}

/// `guest_exit`: modifies the guest's registers, the caller's registers, and who runs.
pub(crate) fn guest_exit<M: System + Spec>() -> Effect<M> {
    /// Slots of the exit's RIP, reason and qualification, with their fields; and of the flag that a guest has run.
    const COPIES: [(u32, Vmcs); 3] = [(14, Vmcs::GuestRip), (27, Vmcs::ExitReason), (28, Vmcs::ExitQualification)];
    Effect {
        modifies: |m, may| {
            mode::<M>(&mut *may);
            may("ihost", Region::All, &[]);
            registers::<M>(m.cur(), &mut *may);
            for slot in SAVED.into_iter().chain(COPIES.map(|(slot, _)| slot)).chain([31]) {
                may_write::<M>(&mut *may, Slot(slot));
            }
            switch(m, may);
        },
        ensures: |m| {
            let reason = value(&m.before, Field(Vmcs::ExitReason)).low() % 0x1_0000;
            let interrupted = reason == 1;
            m.ended_with(Error::Succ)
                && m.interactions.is_empty()
                && m.left(slot::EBX) == reason
                && m.left(slot::R10) == value(&m.after, EAX).low()
                && SAVED.iter().zip(m.arguments.guest).all(|(&slot, register)| value(&m.after, Slot(slot)) == register)
                && COPIES.iter().all(|&(slot, field)| value(&m.after, Slot(slot)) == value(&m.before, Field(field)))
                // The monitor's other registers are those of its call.
                && (m.any >= UCTXT_SIZE
                    || m.any == slot::EAX
                    || m.any == slot::EBX
                    || m.any == slot::R10
                    || m.register(&m.after, m.any) == m.register(&m.before, m.any))
                && match m.next {
                    Next::ToUser(_) => !interrupted && m.stays(),
                    Next::Switch(_) => interrupted && m.yields(Continuation::StartUser),
                    _ => false,
                }
        },
    }
}
