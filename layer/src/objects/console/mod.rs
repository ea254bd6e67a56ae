//! The console's input: primitive 55, and the buffer to which the UART's interrupt handler appends.
//!
//! The reference keeps a list and a read position that moves as characters are read or dropped. Here the list is a ring
//! of [`CONSOLE_BUFFER_SIZE`] entries that begins at that position, so appending moves no entry. If there are more than
//! 511 characters, the oldest `all - 511` are dropped. This moves the position to `rpos + all - 511`, which equals the
//! reference's `rpos + all + 1` modulo 512.
pub mod serial;
pub mod spec;
pub mod uart;

use crate::core::call::{Answer, Call};
use crate::core::constants::*;
use crate::core::machine::Machine;
use crate::core::ring::Ring;
use crate::core::state::{Cpu, Own};
use crate::core::stuck::Stuck;
use domain::Map;

/// Appends the UART's received characters; if the console has no room, its oldest characters are dropped.
#[inline(always)]
#[track_caller]
pub(crate) fn append_received<M: Machine>(own: &mut Own<M>) {
    let (from, many) = (own.com1.rx.start, own.com1.rx.len);
    let at = own.console.key(own.console.len, CONSOLE_BUFFER_SIZE);
    M::copy_received(&mut own.cons_buf, at, &own.rx_buf, from, many);
    own.console = own.console.grown(many, CONSOLE_BUFFER_SIZE, CONSOLE_BUFFER_SIZE - 1);
}

/// 55 `cons_buf_read() -> character`: takes the oldest unread character; −1 if there is none.
///
/// P18: the read is not logged.
///
/// # Errors
/// [`Stuck::NotKernelMode`], [`Stuck::NotInit`].
#[inline]
pub fn cons_buf_read<M: Machine>(cpu: &mut Cpu<'_, M>) -> Result<M::Word, Stuck> {
    let call = || Call::new("cons_buf_read", []);
    M::call(cpu, call, Answer::word, |cpu| {
        cpu.require_hk()?;
        cpu.require_init()?;
        let console = cpu.own.console;
        if console.len == 0 {
            return Ok(NO_CHARACTER.into());
        }
        let character = cpu.own.cons_buf.get([console.start]).value;
        cpu.own.console = Ring { start: console.key(1.into(), CONSOLE_BUFFER_SIZE), len: console.len - 1 };
        Ok(character)
    })
}
