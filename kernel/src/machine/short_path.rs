//! The short path of one system call: the hook of the kernel's image that handles system calls.
//!
//! The layer defines what a call does. The check of the number beforehand only separates the one call that takes few
//! instructions. For this call every instruction counts. The short path does not save registers or store results that
//! only other calls need. If this module did not exist, [`any_call`] would be the hook, and no program would notice a
//! difference.
use super::Metal;
use super::metal::Saved;
use super::run::{any_call, is_stuck, own};
use crate::cpu::block::Cpu as Hardware;
use crate::sync::pending;
use abi::Call;
use domain::Map;
use layer::core::constants::slot;
use layer::core::fields::UserContexts;
use syscall::entry;
use syscall::next::Next;

/// Handles a system call.
pub(super) extern "C" fn system_call(hardware: &mut Hardware, number: u32) {
    let saved_number = |hardware| {
        let layer = own(hardware);
        Map::<Metal, UserContexts>::get(&layer.own.uctxt, [layer.own.cur, slot::EAX]).value as u32
    };
    // The saved number is the same; the comparison tells this to the compiler.
    if number != Call::GetQuota as u32 || pending::is_some() || saved_number(hardware) != number {
        return any_call(hardware);
    }
    let saved = Saved::by_stub(hardware.thread().context, own(hardware));
    match entry::system_call(own(hardware), saved) {
        Ok(Next::ToUser(_)) => {}
        Ok(_) => unreachable!("this call ends in its program"),
        Err(stuck) => is_stuck(stuck),
    }
}
