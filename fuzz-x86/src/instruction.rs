//! Instructions as bytes.

use iced_x86::{Decoder, DecoderOptions, Instruction};

/// The instruction `syscall`.
pub(crate) const SYSCALL: [u8; 2] = [0x0F, 0x05];

/// The instruction `nop`.
pub(crate) const NOP: u8 = 0x90;

/// The instructions at an address, disassembled.
pub(crate) fn disassembled(bytes: &[u8], at: u64) -> String {
    let mut formatter = iced_x86::FastFormatter::new();
    let mut decoder = Decoder::with_ip(64, bytes, at, DecoderOptions::FORCE_RESERVED_NOP);
    let (mut text, mut instruction) = (String::new(), Instruction::default());
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if !text.is_empty() {
            text.push_str("; ");
        }
        formatter.format(&instruction, &mut text);
    }
    text
}
