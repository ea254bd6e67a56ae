//! What emulators are known to do otherwise than the processors' manuals say, or than another vendor's processors do: such
//! instructions are not compared. docs/fuzz-x86.md has the list in words.

use iced_x86::{Instruction, OpKind};

/// Why an instruction is not compared, if it is not.
pub fn differs(instruction: &Instruction) -> Option<&'static str> {
    let kinds = (0..instruction.op_count()).map(|operand| instruction.op_kind(operand));
    for kind in kinds {
        if matches!(kind, OpKind::NearBranch16) {
            return Some(
                "a near branch with an operand-size prefix: Intel's processors ignore the prefix, AMD's do not",
            );
        }
    }
    None
}
