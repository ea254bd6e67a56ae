//! The page `docs/system-calls.md`, made from the table of system calls.
use crate::{Call, Error};
use core::fmt;

/// The page `docs/system-calls.md`.
#[derive(Clone, Copy, Debug)]
pub struct Page;

/// The registers of arguments and results.
const REGISTERS: [&str; 5] = ["RBX", "R10", "RDX", "RSI", "RDI"];

impl fmt::Display for Page {
    fn fmt(&self, page: &mut fmt::Formatter<'_>) -> fmt::Result {
        page.write_str(
            "# System calls\n\n\
            <!-- Made by `cargo cairn system-calls`: do not edit. -->\n\n\
            A program executes `syscall` with the number in RAX and arguments in RBX, R10, RDX, RSI and RDI, 32 bits each.\n\
            Afterwards an error number is in RAX and the result in RBX. Several results are in RBX, R10, RDX, RSI and RDI, in\n\
            this order; each of these five without a result is unchanged or 0. RCX and R11 are destroyed; all other\n\
            registers are unchanged. The library has a function for each call: in `user::guest` for the calls of a monitor\n\
            (11 to 25, 40 and 41), in `user::sys` for all others.\n\n\
            It is proved that a call touches, besides the caller's registers, only what its entry lists, and that no\n\
            arguments get the kernel stuck. What each description says is proved too, as one relation between the state\n\
            before, the arguments, the machine's answers, the state after, the results, and who runs next. A refused call\n\
            keeps all registers but that of the error number. The relations are in `syscall/src/effect.rs` and its folder.\n",
        )?;
        for call in Call::ALL {
            let row = call.row();
            write!(page, "\n## {} `{}(", *call as u32, row.name)?;
            for (at, argument) in row.arguments.iter().enumerate() {
                write!(page, "{}{argument}", if at == 0 { "" } else { ", " })?;
            }
            page.write_str(")")?;
            if !row.result.is_empty() {
                write!(page, " -> {}", row.result)?;
            }
            write!(page, "`\n\n{}\n", row.description)?;
            let mut lead = "\n- Arguments: ";
            for (argument, register) in row.arguments.iter().zip(REGISTERS) {
                write!(page, "{lead}`{argument}` in {register}")?;
                lead = ", ";
            }
            write!(page, "\n- Touches: {}\n", row.touches)?;
            let mut lead = "- Refused with: ";
            for error in row.errors {
                write!(page, "{lead}{error:?} ({})", *error as u32)?;
                lead = ", ";
            }
            page.write_str(if row.errors.is_empty() { "" } else { "\n" })?;
        }
        page.write_str("\n## Error numbers\n\n| number | name | meaning |\n| --- | --- | --- |\n")?;
        for error in Error::ALL {
            writeln!(page, "| {} | {error:?} | {} |", *error as u32, error.description())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::Page;
    use crate::Call;
    use std::string::ToString;

    #[test]
    fn the_page_is_up_to_date() {
        let page = include_str!("../../docs/system-calls.md");
        assert!(page == Page.to_string(), "stale: `cargo cairn system-calls > docs/system-calls.md`");
    }

    #[test]
    fn the_numbers_grow() {
        assert!(Call::ALL.is_sorted_by_key(|&call| call as u32));
    }
}
