//! The console's lines at the end of a program. If the program was stopped, they also show its registers and flags, the
//! pages that it used, and its call stack.
use crate::system::System;
use abi::report::{End, Ended};
use core::fmt;
use domain::{Domain, Map};
use elf::ElfBytes;
use elf::abi::STT_FUNC;
use elf::endian::AnyEndian;
use layer::core::constants::{ADR_HIGH, ADR_LOW, PAGE_SIZE, slot};
use layer::core::state::Cpu;
use layer::objects::page_table::pt_read;
use rustc_demangle::demangle;

/// Registers, and the slots in which they are saved.
const REGISTERS: [(&str, u32); 16] = [
    ("rax", slot::EAX),
    ("rbx", slot::EBX),
    ("rcx", slot::ECX),
    ("rdx", slot::EDX),
    ("rsi", slot::ESI),
    ("rdi", slot::EDI),
    ("rbp", slot::EBP),
    ("rsp", slot::ESP),
    ("r8", slot::R10 - 2),
    ("r9", slot::R10 - 1),
    ("r10", slot::R10),
    ("r11", slot::R10 + 1),
    ("r12", slot::R10 + 2),
    ("r13", slot::R10 + 3),
    ("r14", slot::R10 + 4),
    ("r15", slot::R10 + 5),
];
/// Registers shown in one line.
const IN_A_LINE: usize = 4;
/// The flag with which some processors mark an instruction that must be restarted after an exception. The flag
/// is not the program's.
const RESUME: u64 = 1 << 16;
/// Maximum number of calls shown.
const CALLS: usize = 16;

/// Prints the end of the program that a CPU runs, in lines that begin with `cairn: `.
///
/// The call stack follows the frame pointers, which may have any value. Only the program's own pages are read.
pub struct Report<'a, 'm, M: System> {
    /// The CPU that runs this code; the program is that of its running thread.
    pub cpu: &'a Cpu<'m, M>,
    /// The program's name.
    pub name: &'a str,
    /// Its ELF file, for the names of functions.
    pub file: &'a [u8],
    /// How it ended.
    pub end: End,
}

impl<M: System + Domain<Word = u32, Wide = u64>> fmt::Display for Report<'_, '_, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = &self.cpu.own;
        write!(formatter, "{}", Ended { cpu: own.cpu, thread: own.cur, name: self.name, end: self.end })?;
        match self.end {
            End::Exited { .. } | End::Killed => Ok(()),
            End::Stopped { .. } => self.trace(formatter),
        }
    }
}

impl<M: System + Domain<Word = u32, Wide = u64>> Report<'_, '_, M> {
    /// Writes registers, flags, usage and call stack of the program at its last entry into the kernel.
    fn trace(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in REGISTERS.chunks(IN_A_LINE) {
            write!(formatter, "\ncairn:  ")?;
            for (name, slot) in line {
                write!(formatter, " {name:<3} {:#018x}", self.register(*slot))?;
            }
        }
        let own = &self.cpu.own;
        let (flags, account) = (self.register(slot::EFLAGS) & !RESUME, own.ac.get([own.cur]));
        write!(formatter, "\ncairn:   rflags {flags:#x}, {} of {} pages used", account.usage, account.quota)?;
        write!(formatter, "\ncairn:   in ")?;
        self.name(formatter, self.register(slot::EIP))?;
        let mut frame = self.register(slot::EBP);
        for _ in 0..CALLS {
            let (Some(next), Some(back)) = (self.word(frame), frame.checked_add(8).and_then(|at| self.word(at))) else {
                break;
            };
            if back == 0 {
                break;
            }
            write!(formatter, "\ncairn:   called from ")?;
            self.name(formatter, back)?;
            // The stack grows downwards, so each frame must be above the one before.
            if next <= frame {
                break;
            }
            frame = next;
        }
        Ok(())
    }

    fn register(&self, slot: u32) -> u64 {
        self.cpu.own.uctxt.get([self.cpu.own.cur, slot]).value
    }

    /// The word at a virtual address of the program, if it has a page there.
    fn word(&self, address: u64) -> Option<u64> {
        let address = u32::try_from(address).ok().filter(|va| (ADR_LOW..ADR_HIGH).contains(va) && va % 8 == 0)?;
        let frame = pt_read(self.cpu, self.cpu.own.cur, address).ok().filter(|entry| *entry != 0)? / PAGE_SIZE;
        let byte = |k| u64::from(self.cpu.own.hp.get([frame, address % PAGE_SIZE + k]).value);
        Some((0..8).rev().fold(0, |word, k| word << 8 | byte(k)))
    }

    /// Writes the function that contains an address.
    fn name(&self, formatter: &mut fmt::Formatter<'_>, address: u64) -> fmt::Result {
        match symbol(self.file, address) {
            Some((name, offset)) => write!(formatter, "{:#}+{offset:#x}", demangle(name)),
            None => write!(formatter, "{address:#x}"),
        }
    }
}

/// The function of an ELF file that contains an address, and the offset in it. A name with control characters is
/// ignored: with it, the maker of the file could end the kernel's line.
fn symbol(file: &[u8], address: u64) -> Option<(&str, u64)> {
    let (symbols, names) = ElfBytes::<AnyEndian>::minimal_parse(file).ok()?.symbol_table().ok()??;
    let holds = |start: u64, size: u64| address.checked_sub(start).filter(|offset| *offset < size);
    let functions = symbols.iter().filter(|symbol| symbol.st_symtype() == STT_FUNC);
    let (function, offset) = functions
        .into_iter()
        .find_map(|function| Some((function.st_name, holds(function.st_value, function.st_size)?)))?;
    let name = names.get(function as usize).ok()?;
    (!name.contains(char::is_control)).then_some((name, offset))
}
