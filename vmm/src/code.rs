//! Machine code of guests, written in a monitor's source.

/// The bytes of a guest's program: machine code for real mode. An address in it is the
/// difference to the label `code_start` (for a program called `code`), plus the address to which it is loaded.
#[macro_export]
macro_rules! guest_code {
    ($visible:vis $name:ident, $($line:expr),+ $(,)?) => {
        ::core::arch::global_asm!(
            concat!(".pushsection .rodata.", stringify!($name)),
            ".code16",
            concat!(stringify!($name), "_start:"),
            $($line,)+
            concat!(stringify!($name), "_end:"),
            ".code64",
            ".popsection",
            concat!(".globl ", stringify!($name), "_start, ", stringify!($name), "_end"),
            // LLVM's Intel syntax has no differences of labels as operands.
            options(att_syntax),
        );
        /// The program's bytes.
        $visible fn $name() -> &'static [u8] {
            unsafe extern "C" {
                #[link_name = concat!(stringify!($name), "_start")]
                static START: u8;
                #[link_name = concat!(stringify!($name), "_end")]
                static END: u8;
            }
            let (start, end) = (&raw const START, &raw const END);
            // SAFETY: both symbols are those of the code above, in this order, in the image's constants.
            unsafe { ::core::slice::from_raw_parts(start, end.addr() - start.addr()) }
        }
    };
}
