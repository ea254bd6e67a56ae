//! Tests the functions that the kernel and the programs have instead of a C library against the host's C library.
#![cfg(target_arch = "x86_64")]

use proptest::prelude::*;
use std::ffi::{c_char, c_int, c_void};

abi::memory_functions!("tested_");

unsafe extern "C" {
    fn tested_memcpy(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void;
    fn tested_memmove(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void;
    fn tested_memset(to: *mut c_void, byte: c_int, count: usize) -> *mut c_void;
    fn tested_memcmp(a: *const c_void, b: *const c_void, count: usize) -> c_int;
    fn tested_bcmp(a: *const c_void, b: *const c_void, count: usize) -> c_int;
    fn tested_strlen(text: *const c_char) -> usize;
}

/// Maximum number of bytes for a call.
const MOST: usize = 70;
/// The largest offset that is tried: offsets cover every alignment within a quarter of a cache line.
const OFFSETS: usize = 16;
/// Bytes of a buffer: room on both sides, in which nothing may change.
const SIZE: usize = OFFSETS + MOST + 16;

/// A buffer at an aligned address, so that an offset is an alignment.
#[repr(align(64))]
#[derive(Clone, PartialEq, Eq, Debug)]
struct Buffer([u8; SIZE]);

impl Buffer {
    fn at(&self, offset: usize) -> *const c_void {
        self.0[offset..].as_ptr().cast()
    }

    fn at_mut(&mut self, offset: usize) -> *mut c_void {
        self.0[offset..].as_mut_ptr().cast()
    }
}

fn buffer() -> impl Strategy<Value = Buffer> {
    proptest::collection::vec(any::<u8>(), SIZE).prop_map(|bytes| Buffer(bytes.try_into().expect("so many bytes")))
}

/// Every pair of offsets with every count.
fn ranges() -> impl Iterator<Item = (usize, usize, usize)> {
    let offsets = || 0..=OFFSETS;
    offsets().flat_map(move |a| offsets().flat_map(move |b| (0..=MOST).map(move |count| (a, b, count))))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn memcpy_copies(from in buffer(), to in buffer()) {
        for (at, of, count) in ranges() {
            let (mut ours, mut theirs) = (to.clone(), to.clone());
            // SAFETY: both ranges lie in different buffers.
            let returned = unsafe { tested_memcpy(ours.at_mut(at), from.at(of), count) };
            prop_assert_eq!(returned, ours.at_mut(at));
            // SAFETY: as above.
            unsafe { libc::memcpy(theirs.at_mut(at), from.at(of), count) };
            prop_assert_eq!(ours, theirs, "{} bytes from {} to {}", count, of, at);
        }
    }

    #[test]
    fn memmove_copies_what_overlaps(bytes in buffer()) {
        for (at, of, count) in ranges() {
            let (mut ours, mut theirs) = (bytes.clone(), bytes.clone());
            // SAFETY: both ranges lie in the buffer.
            let returned = unsafe { tested_memmove(ours.at_mut(at), ours.at(of), count) };
            prop_assert_eq!(returned, ours.at_mut(at));
            // SAFETY: as above.
            unsafe { libc::memmove(theirs.at_mut(at), theirs.at(of), count) };
            prop_assert_eq!(ours, theirs, "{} bytes from {} to {}", count, of, at);
        }
    }

    // Only the low byte of the argument counts.
    #[test]
    fn memset_fills(bytes in buffer(), byte in any::<c_int>()) {
        for (at, _, count) in ranges().filter(|range| range.1 == 0) {
            let (mut ours, mut theirs) = (bytes.clone(), bytes.clone());
            // SAFETY: the range lies in the buffer.
            let returned = unsafe { tested_memset(ours.at_mut(at), byte, count) };
            prop_assert_eq!(returned, ours.at_mut(at));
            // SAFETY: as above.
            unsafe { libc::memset(theirs.at_mut(at), byte, count) };
            prop_assert_eq!(ours, theirs, "{} bytes of {} at {}", count, byte, at);
        }
    }

    #[test]
    fn memcmp_orders(a in buffer(), differs in 0..MOST, byte in any::<u8>()) {
        for (at, of, count) in ranges() {
            // The buffers are equal except for one byte, which may lie after the end of the
            // compared range.
            let mut b = Buffer([0; SIZE]);
            b.0[of..of + MOST].copy_from_slice(&a.0[at..at + MOST]);
            b.0[of + differs] = byte;
            // SAFETY: the ranges lie in the buffers.
            let (order, differ, expected) = unsafe {
                let (a, b) = (a.at(at), b.at(of));
                (tested_memcmp(a, b, count), tested_bcmp(a, b, count), libc::memcmp(a, b, count))
            };
            prop_assert_eq!(order.signum(), expected.signum(), "{} bytes at {} and {}", count, at, of);
            prop_assert_eq!(differ == 0, expected == 0);
        }
    }

    #[test]
    fn strlen_counts_to_the_first_zero(bytes in buffer(), length in 0..=MOST) {
        for at in 0..=OFFSETS {
            let mut text = bytes.clone();
            text.0[at + length] = 0;
            // SAFETY: there is a zero in the buffer at or after `at`.
            let (ours, theirs) = unsafe { (tested_strlen(text.at(at).cast()), libc::strlen(text.at(at).cast())) };
            prop_assert_eq!(ours, theirs);
        }
    }
}

#[test]
fn memcmp_compares_bytes_without_sign() {
    for a in 0..=u8::MAX {
        for b in 0..=u8::MAX {
            // SAFETY: each is one byte.
            let order = unsafe { tested_memcmp((&raw const a).cast(), (&raw const b).cast(), 1) };
            assert_eq!(order.cmp(&0), a.cmp(&b), "{a} and {b}");
        }
    }
}
