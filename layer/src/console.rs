//! The console's input: primitive 55, and what the interrupt handler of the UART appends to.
//!
//! The reference keeps a list, and beside it a read position that moves as characters are read or dropped. Here the list
//! is in a ring of [`CONSOLE_BUFFER_SIZE`] entries that begins at that position, so that appending moves nothing. Of more
//! than 511 characters the oldest are dropped: `all - 511` of them, which moves the position to `rpos + all - 511`; modulo
//! 512 that is the reference's `rpos + all + 1`.
use crate::constants::*;
use crate::machine::Machine;
use crate::ring::Ring;
use crate::state::{Cpu, Own};
use crate::stuck::Stuck;
use domain::Map;

/// Appends what the UART has received; what the console has no room for any more are its oldest characters.
#[inline(always)]
#[track_caller]
pub(crate) fn append_received<M: Machine>(own: &mut Own<M>) {
    let (from, many) = (own.com1.rx.start, own.com1.rx.len);
    let at = own.console.key(own.console.len, CONSOLE_BUFFER_SIZE);
    M::copy_received(&mut own.cons_buf, at, &own.rx_buf, from, many);
    own.console = own.console.grown(many, CONSOLE_BUFFER_SIZE, CONSOLE_BUFFER_SIZE - 1);
}

/// 55 `cons_buf_read() -> character`: the oldest character that nobody has read, or −1 if there is none.
///
/// P18: that it was read is recorded nowhere.
///
/// # Errors
/// [`Stuck::NotKernelMode`], [`Stuck::NotInit`].
#[inline]
pub fn cons_buf_read<M: Machine>(cpu: &mut Cpu<'_, M>) -> Result<M::Word, Stuck> {
    cpu.require_hk()?;
    cpu.require_init()?;
    let console = cpu.own.console;
    if console.len == 0 {
        return Ok(NO_CHARACTER.into());
    }
    let character = cpu.own.cons_buf.get([console.start]).value;
    cpu.own.console = Ring { start: console.key(1.into(), CONSOLE_BUFFER_SIZE), len: console.len - 1 };
    Ok(character)
}
