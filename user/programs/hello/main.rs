//! Says hello, and checks what a program relies on before its first line: its initialised and zeroed data, its
//! arguments, its stack, its heap, floating point, and the order of strings. The heap's pages must be zero, and its
//! freed bytes must be used again.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use user::{args, image, memory, println, program, sys};

program!(main);

/// This variable lies in `.data`.
static INITIALISED: AtomicU32 = AtomicU32::new(0xCA12);
/// This variable lies in `.bss`, on a page that has no bytes in the file.
static ZEROED: [AtomicU32; 2048] = [const { AtomicU32::new(0) }; 2048];

fn main() -> Result<u32, abi::Error> {
    let cpu = sys::who_am_i()?.cpu;
    println!("hello from CPU {cpu}");
    args().for_each(|argument| println!("hello {cpu}: I was told `{argument}`"));
    // `black_box` keeps the compiler from computing the result itself.
    let e = exponential(core::hint::black_box(1.0));
    let failures = [
        ("data", INITIALISED.swap(0, Ordering::Relaxed) != 0xCA12),
        ("bss", ZEROED.iter().any(|word| word.swap(1, Ordering::Relaxed) != 0)),
        ("names", image::number("hello") != Some(0)),
        ("puts", !prints_to_the_end_of_the_page(cpu)?),
        ("exponential", e != core::f64::consts::E),
        ("strings", !orders_strings()),
        ("heap", !uses_freed_bytes_again()),
    ];
    for (name, _) in failures.iter().filter(|(_, failed)| *failed) {
        println!("hello {cpu}: FAILED: {name}");
    }
    println!("hello {cpu}: e is about {:.6}, and that is all", exponential(1.0));
    Ok(failures.iter().filter(|(_, failed)| *failed).count() as u32)
}

/// Prints two lines from one buffer on two pages: each call writes the bytes of one page.
fn prints_to_the_end_of_the_page(cpu: u32) -> Result<bool, abi::Error> {
    let Some(pages) = memory::take(2) else {
        return Ok(false);
    };
    let first = b"hello ?: the end of a page\n";
    let second = b"hello ?: and the beginning of the next\n";
    let start = pages.len() / 2 - first.len();
    if pages[start..].iter().any(|&byte| byte != 0) {
        return Ok(false);
    }
    pages[start..][..first.len()].copy_from_slice(first);
    pages[start + first.len()..][..second.len()].copy_from_slice(second);
    let text = &mut pages[start..][..first.len() + second.len()];
    let digit = b'0' + (cpu % 10) as u8;
    text.iter_mut().filter(|byte| **byte == b'?').for_each(|byte| *byte = digit);
    Ok(sys::puts(text)? == first.len() && sys::puts(&text[first.len()..])? == second.len())
}

/// e to the power of `x`, by its series, with the smallest terms first.
fn exponential(x: f64) -> f64 {
    (1..20).rev().fold(1.0, |sum, n| 1.0 + sum * x / f64::from(n))
}

/// Whether strings sort, and are found in a map, in the order of their bytes.
fn orders_strings() -> bool {
    /// The strings in order. The letter with an accent has bytes above 0x7F.
    const ORDERED: [&str; 8] = ["", "Zoe", "a", "aa", "ab", "b", "ba", "\u{e9}t\u{e9}"];
    // `black_box` keeps the compiler from sorting at compile time.
    let mut words: Vec<String> = core::hint::black_box(ORDERED).iter().rev().map(|&word| word.into()).collect();
    let places: BTreeMap<String, usize> = words.iter().cloned().zip((0..words.len()).rev()).collect();
    words.sort_unstable();
    let sorted = words.iter().eq(&ORDERED);
    sorted && places.keys().eq(&ORDERED) && (0..).zip(ORDERED).all(|(place, word)| places.get(word) == Some(&place))
}

/// Allocates and frees more bytes than the program's quota has. Small allocations in between ensure that a freed range
/// is not always the last one. If freed bytes were not used again, the kernel would stop the program.
fn uses_freed_bytes_again() -> bool {
    const BYTES: usize = 8 * abi::PAGE_SIZE as usize;
    const ROUNDS: u8 = 12;
    let mut kept = Vec::new();
    for round in 0..ROUNDS {
        let large = core::hint::black_box(vec![round; BYTES]);
        kept.push(Box::new(round));
        if large[0] != round || large[BYTES - 1] != round {
            return false;
        }
    }
    kept.iter().map(|round| **round).eq(0..ROUNDS)
}
