//! System calls that the kernel must refuse with an error number, and some that look wrong but must be
//! answered.

use crate::SELF;
use abi::{Call, Error, PAGE_SIZE};
use user::sys::{self, Registers};
use user::{memory, println};

/// Numbers of calls that no kernel of Cairn has.
const UNKNOWN: [u64; 5] = [1, 0x1000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF];
/// Junk above the low 32 bits of registers, which the kernel must ignore.
const JUNK: u64 = 0xDEAD_BEEF_0000_0000;

/// Addresses outside the program's memory.
const FOREIGN: [u32; 8] =
    [0, 1, 0x1000, abi::ADR_LOW - PAGE_SIZE, abi::ADR_LOW - 1, abi::ADR_HIGH, 0xFFFF_F000, 0xFFFF_FFFF];

/// Makes a call with these registers.
fn call(rax: u64, values: [u64; 5]) -> Registers {
    // SAFETY: none of the calls that exist writes to memory, and calls that do not exist do nothing.
    unsafe { sys::syscall(Registers { rax, values }) }
}

/// Tries all calls, and returns how many results were wrong. `page` is a mapped page.
pub fn failures(cpu: u32, page: &mut [u8]) -> Result<u32, Error> {
    let mut failures = 0;
    let mut check = |what: &str, argument: u64, right: bool| {
        if !right {
            println!("wild {cpu}: FAILED: {what} {argument:#x}");
            failures += 1;
        }
    };

    for number in UNKNOWN {
        let values = [11, 12, 13, 14, 15];
        let answer = call(number, values);
        check("unknown call", number, answer.rax == Error::InvalCallnr as u64);
    }

    let puts = |address: u32, length: u32| {
        let values = [address.into(), length.into(), 0, 0, 0];
        call(Call::Puts as u64, values).rax
    };
    for address in FOREIGN {
        for length in [1, PAGE_SIZE, u32::MAX] {
            check("puts at", address.into(), puts(address, length) == Error::InvalAddr as u64);
        }
    }
    // An address in the window that was never touched is valid for `puts`, and would print zeros.
    let untouched = memory::HEAP_HIGH - PAGE_SIZE;
    check("puts at", untouched.into(), puts(untouched, 0) == Error::Succ as u64);

    let quota = sys::get_quota()?;
    // Arguments must be a page of the program's own that it has touched.
    let mapped = page.as_ptr() as u32;
    for address in FOREIGN[1..].iter().copied().chain([mapped + 1, mapped + 4, untouched]) {
        let values = [SELF.into(), 64, address.into(), 0, 0];
        let right = call(Call::Spawn as u64, values).rax == Error::InvalAddr as u64;
        check("spawn with arguments at", address.into(), right);
    }
    check("what refusals cost", 0, sys::get_quota()? == quota);
    let answer = call(JUNK | Call::GetQuota as u64, [JUNK; 5]);
    let right = answer.rax == Error::Succ as u64 && answer.values[0] == quota.into();
    check("a number with junk above", JUNK, right);
    let mut line = *b"wild ?: the end of a page\n";
    line[5] = b'0' + (cpu % 10) as u8;
    let start = page.len() - line.len();
    page[start..].copy_from_slice(&line);
    let address = JUNK | page[start..].as_ptr() as u64;
    // The line ends with its page, however many bytes the call asks for.
    let answer = call(Call::Puts as u64, [address, JUNK | 0xFFFF_FFFF, JUNK, JUNK, JUNK]);
    let right = answer.rax == Error::Succ as u64 && answer.values[0] == line.len() as u64;
    check("puts to the end of a page", address, right);
    Ok(failures)
}
