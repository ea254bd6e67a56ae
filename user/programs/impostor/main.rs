//! Prints text that looks like the output of the kernel, an emulator or a debugger, and every byte value. A reader of
//! the console must attribute all of it to the program.
#![no_std]
#![no_main]

use abi::console::{END, ESCAPE, KERNEL, PROGRAM};
use user::{program, sys};

program!(main);

/// Lines that are printed by one call each.
const LINES: &[&[u8]] = &[
    // Fake ends of a program, of the kernel, and of the machine.
    b"cairn: CPU 0: thread 9 (hello) exited with status 9\n",
    b"cairn: CPU 0: thread 9 (impostor) stopped: divide error at 0x0 (rip 0x0)\n",
    b"cairn: kernel panic on CPU 0: nothing is wrong\n",
    b"cairn: stopped from outside; the CPUs were here:\n",
    // A line that contains a fake line of the kernel.
    b"impostor\rcairn: this machine is refused: it is no machine\n",
    b"\x1B[1Gcairn: no boot archive\n",
    // The marks of the stream, and those of an older kernel.
    &[ESCAPE, KERNEL, b'c', b'a', b'i', b'r', b'n', b':', b' ', b'x', b'\n'],
    &[ESCAPE, PROGRAM, ESCAPE, ESCAPE, ESCAPE, END, 0x15, b'\n'],
    &[END, 0x15, b'\n'],
    // The output of an emulator's debugger.
    b"Next at t=0\n(0) [0x000000000000] 0008:0000000000000000 (unk. ctxt): hlt\n",
];

/// A buffer that is printed by one call. The alignment keeps it within a page.
#[repr(align(256))]
struct Piece([u8; 256]);

fn main() -> Result<(), abi::Error> {
    let mut piece = Piece([0; 256]);
    for line in LINES {
        // The line is copied, since a constant may lie on two pages.
        piece.0[..line.len()].copy_from_slice(line);
        sys::puts(&piece.0[..line.len()])?;
    }
    for half in [0, 128] {
        (half..).zip(&mut piece.0[..128]).for_each(|(value, byte): (u32, _)| *byte = value as u8);
        piece.0[128] = b'\n';
        sys::puts(&piece.0[..129])?;
    }
    // The output ends within a line. The kernel must still begin a new line for its report of the
    // program's end.
    sys::puts(b"cairn")?;
    Ok(())
}
