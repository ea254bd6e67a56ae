//! What the CPUID instruction tells a 32-bit guest: what the host has, filtered by lists of what is allowed.
//!
//! A feature is hidden if using it would need something that no device here models (APIC, MTRR, PAT, MCE), an MSR that
//! is not in [`msr`](crate::msr) (MSR, SEP, SYSCALL, NX, LM), or state that is not saved (XSAVE, AVX). RDRAND is hidden
//! so that two runs are equal, INVPCID because a VM must enable it, and ERMS because some emulators count each
//! iteration of `rep stosb`. What is not in a list is hidden.
//!
//! Leaves and bits are those of the Intel SDM, volume 2, CPUID. The vendor is always Intel: only there do kernels look
//! for the frequency of the time-stamp counter (leaves 0x15 and 0x16).

/// The four registers after CPUID.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "each is the register that it names")]
pub struct Leaf {
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
}

/// A bit of a register, and the name of the feature.
pub type Feature = (u8, &'static str);

/// The features of leaf 1, ECX, that a guest may see.
pub const LEAF_1_ECX: &[Feature] = &[
    (0, "SSE3"),
    (1, "PCLMULQDQ"),
    (9, "SSSE3"),
    (13, "CMPXCHG16B"),
    (19, "SSE4.1"),
    (20, "SSE4.2"),
    (22, "MOVBE"),
    (23, "POPCNT"),
    (25, "AES"),
];

/// The features of leaf 1, EDX, that a guest may see.
pub const LEAF_1_EDX: &[Feature] = &[
    (0, "FPU"),
    (1, "VME"),
    (2, "DE"),
    (3, "PSE"),
    (4, "TSC"),
    (6, "PAE"),
    (8, "CX8"),
    (13, "PGE"),
    (15, "CMOV"),
    (19, "CLFSH"),
    (23, "MMX"),
    (24, "FXSR"),
    (25, "SSE"),
    (26, "SSE2"),
];

/// Where a register's value comes from.
#[derive(Clone, Copy)]
enum Source {
    /// The same on all hosts.
    Is(u32),
    /// The host's bits that are set here.
    Host(u32),
}

use Source::{Host, Is};

/// The leaves that are not all 0, but for those that depend on the frequency.
const LEAVES: &[(u32, [Source; 4])] = &[
    // The highest leaf; the vendor.
    (0, [Is(FREQUENCY), Is(word(b"Genu")), Is(word(b"ntel")), Is(word(b"ineI"))]),
    // Family, model and stepping; one processor, whose cache lines have 64 bytes; features.
    (1, [Host(0x0FFF_3FFF), Is(1 << 16 | 8 << 8), Host(mask(LEAF_1_ECX)), Host(mask(LEAF_1_EDX))]),
    (0x8000_0000, [Is(0x8000_0008), Is(0), Is(0), Is(0)]),
    // The name of the processor.
    (0x8000_0002, [Host(!0); 4]),
    (0x8000_0003, [Host(!0); 4]),
    (0x8000_0004, [Host(!0); 4]),
    // The time-stamp counter has always the same frequency.
    (0x8000_0007, [Is(0), Is(0), Is(0), Is(1 << 8)]),
    // Bits of physical and linear addresses.
    (0x8000_0008, [Host(0xFFFF), Is(0), Is(0), Is(0)]),
];

/// The frequency of the time-stamp counter, as a multiple of a crystal's.
const CRYSTAL: u32 = 0x15;
/// The frequency of the processor in MHz. It is the highest leaf.
const FREQUENCY: u32 = 0x16;

/// What a guest sees in a leaf. `host` gives the host's leaf; it is asked for `leaf` only, with ECX = 0. The guest's
/// time-stamp counter has `hertz` ticks a second. No leaf that the guest sees has subleaves, so its ECX does not count.
pub fn answer(leaf: u32, host: impl FnOnce(u32) -> Leaf, hertz: u64) -> Leaf {
    match leaf {
        CRYSTAL => {
            // A crystal below 4 GHz, and a whole ratio.
            let ratio = hertz.div_ceil(u32::MAX.into()).max(1);
            Leaf { eax: 1, ebx: ratio as u32, ecx: (hertz / ratio) as u32, edx: 0 }
        }
        FREQUENCY => Leaf { eax: (hertz / 1_000_000).min(0xFFFF) as u32, ..Leaf::default() },
        _ => {
            let Some((_, sources)) = LEAVES.iter().find(|row| row.0 == leaf) else { return Leaf::default() };
            let host = host(leaf);
            let [eax, ebx, ecx, edx] = *sources;
            Leaf { eax: eax.of(host.eax), ebx: ebx.of(host.ebx), ecx: ecx.of(host.ecx), edx: edx.of(host.edx) }
        }
    }
}

impl Source {
    fn of(self, host: u32) -> u32 {
        match self {
            Is(value) => value,
            Host(bits) => host & bits,
        }
    }
}

/// Four characters as a register has them.
const fn word(text: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*text)
}

/// The bits of a list.
const fn mask(features: &[Feature]) -> u32 {
    let (mut mask, mut index) = (0, 0);
    while index < features.len() {
        mask |= 1 << features[index].0;
        index += 1;
    }
    mask
}

#[cfg(test)]
mod tests;
