//! The VMCB (AMD APM volume 2, appendix B): where SVM keeps what VT-x has in fields.

use crate::guest::page::Page;
use layer::objects::vmx::vmcs::{FIELDS, FULL_SEGMENTS, SEGMENTS, VMCS_SIZE, Vmcs};

/// Offsets in the VMCB, in bytes.
pub mod at {
    use core::ops::Range;

    /// Intercepted exceptions, one bit a vector.
    pub const EXCEPTIONS: usize = 0x008;
    /// Intercepted events and instructions, first word.
    pub const INTERCEPTS: usize = 0x00C;
    /// The second word.
    pub const MORE_INTERCEPTS: usize = 0x010;
    /// Physical address of the bitmap of ports that exit.
    pub const PORTS: usize = 0x040;
    /// Physical address of the bitmap of model-specific registers that exit.
    pub const REGISTERS: usize = 0x048;
    /// Added to the time-stamp counter.
    pub const TSC_OFFSET: usize = 0x050;
    /// Identifier of the guest's translations.
    pub const ASID: usize = 0x058;
    /// Which translations the next entry flushes.
    pub const FLUSH: usize = 0x05C;
    /// Virtual interrupts: a pending one, its priority, and whether the guest's flag masks virtual ones only.
    pub const VIRTUAL_INTERRUPT: usize = 0x060;
    /// Bit 0: the guest is directly behind STI or MOV SS.
    pub const SHADOW: usize = 0x068;
    /// Why the guest has exited, and two words about it.
    pub const EXIT_CODE: usize = 0x070;
    /// See [`EXIT_CODE`].
    pub const EXIT_INFO_1: usize = 0x078;
    /// See [`EXIT_CODE`].
    pub const EXIT_INFO_2: usize = 0x080;
    /// The event whose delivery the exit has interrupted.
    pub const EXIT_EVENT: usize = 0x088;
    /// Bit 0: nested page tables.
    pub const NESTED: usize = 0x090;
    /// The event that the next entry delivers.
    pub const EVENT: usize = 0x0A8;
    /// Physical address of the nested page tables' root.
    pub const NESTED_ROOT: usize = 0x0B0;
    /// Which parts the processor may believe unchanged.
    pub const CLEAN: usize = 0x0C0;
    /// Address of the next instruction, where the processor reports it.
    pub const NEXT_RIP: usize = 0x0C8;
    /// The word whose uppermost byte is the privilege level.
    pub const PRIVILEGE: usize = 0x4C8;
    /// EFER.
    pub const EFER: usize = 0x4D0;
    /// CR4.
    pub const CR4: usize = 0x548;
    /// CR3.
    pub const CR3: usize = 0x550;
    /// CR0.
    pub const CR0: usize = 0x558;
    /// DR7.
    pub const DR7: usize = 0x560;
    /// DR6.
    pub const DR6: usize = 0x568;
    /// RFLAGS.
    pub const RFLAGS: usize = 0x570;
    /// RIP.
    pub const RIP: usize = 0x578;
    /// RSP.
    pub const RSP: usize = 0x5D8;
    /// RAX.
    pub const RAX: usize = 0x5F8;
    /// The registers of SYSCALL and SWAPGS: STAR, LSTAR, CSTAR, SFMASK, KERNEL_GS_BASE.
    pub const SYSTEM_CALLS: Range<usize> = 0x600..0x628;
    /// `IA32_SYSENTER_CS`, `…_ESP`, `…_EIP`.
    pub const SYSENTER_CS: usize = 0x628;
    /// See [`SYSENTER_CS`].
    pub const SYSENTER_ESP: usize = 0x630;
    /// See [`SYSENTER_CS`].
    pub const SYSENTER_EIP: usize = 0x638;
    /// CR2.
    pub const CR2: usize = 0x640;
    /// The guest's page attribute table.
    pub const PAT: usize = 0x668;
    /// `IA32_DEBUGCTL`.
    pub const DEBUGCTL: usize = 0x670;
}

/// Offsets of the segments, in the order of the layer's codes: CS, DS, ES, FS, GS, SS, LDTR, TR, GDTR, IDTR. A segment
/// has selector and attributes (16 bits each), limit (32), and base (64).
const SEGMENT: [usize; SEGMENTS as usize] = [0x410, 0x430, 0x400, 0x440, 0x450, 0x420, 0x470, 0x490, 0x460, 0x480];

/// The bit of VT-x's access rights that says that a segment cannot be used. SVM has no such bit: the segment is absent.
const UNUSABLE: u32 = 1 << 16;
const PRESENT: u32 = 1 << 7;

/// VMXE of CR4. VT-x wants it set in a guest, and SVM refuses it.
pub const VMXE: u64 = 1 << 13;

/// Where a field is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// A 64-bit word.
    Wide(usize),
    /// CR4 without VMXE, which has no place.
    Cr4,
    /// The interrupt shadow.
    Shadow,
    /// A property of a segment, by the offset of the segment.
    Selector(usize),
    Access(usize),
    Limit(usize),
    Base(usize),
}

/// The place of each field, by key; `None` if SVM has no such field.
const PLACES: [Option<Place>; VMCS_SIZE as usize] = {
    let mut places = [None; VMCS_SIZE as usize];
    let mut key = 0;
    while key < VMCS_SIZE {
        places[key as usize] = place(key);
        key += 1;
    }
    places
};

/// The entry of [`PLACES`] for `key`.
const fn place(key: u32) -> Option<Place> {
    if let Some(segment) = segment(key, Vmcs::GuestCsSelector, FULL_SEGMENTS) {
        return Some(Place::Selector(segment));
    }
    if let Some(segment) = segment(key, Vmcs::GuestCsLimit, SEGMENTS) {
        return Some(Place::Limit(segment));
    }
    if let Some(segment) = segment(key, Vmcs::GuestCsAccess, FULL_SEGMENTS) {
        return Some(Place::Access(segment));
    }
    if let Some(segment) = segment(key, Vmcs::GuestCsBase, SEGMENTS) {
        return Some(Place::Base(segment));
    }
    Some(match FIELDS[key as usize].field {
        Vmcs::TscOffset => Place::Wide(at::TSC_OFFSET),
        Vmcs::GuestInterruptibility => Place::Shadow,
        Vmcs::GuestCr0 => Place::Wide(at::CR0),
        Vmcs::GuestCr3 => Place::Wide(at::CR3),
        Vmcs::GuestCr4 => Place::Cr4,
        Vmcs::GuestRsp => Place::Wide(at::RSP),
        Vmcs::GuestRip => Place::Wide(at::RIP),
        Vmcs::GuestRflags => Place::Wide(at::RFLAGS),
        Vmcs::GuestDr7 => Place::Wide(at::DR7),
        Vmcs::GuestPat => Place::Wide(at::PAT),
        Vmcs::GuestDebugctl => Place::Wide(at::DEBUGCTL),
        Vmcs::GuestSysenterCs => Place::Wide(at::SYSENTER_CS),
        Vmcs::GuestSysenterEsp => Place::Wide(at::SYSENTER_ESP),
        Vmcs::GuestSysenterEip => Place::Wide(at::SYSENTER_EIP),
        _ => return None,
    })
}

/// The offset of the segment with key `key`, if the key is one of the `count` segments' from `first` on.
const fn segment(key: u32, first: Vmcs, count: u32) -> Option<usize> {
    match key.checked_sub(first as u32) {
        Some(segment) if segment < count => Some(SEGMENT[segment as usize]),
        _ => None,
    }
}

/// The attributes of a segment with VT-x's access rights: bits 8 to 11, which are 0, are left out.
const fn attributes(access: u32) -> u32 {
    let present = if access & UNUSABLE != 0 { access & !PRESENT } else { access };
    present & 0xff | (present >> 12 & 0xf) << 8
}

/// VT-x's access rights of a segment with these attributes.
const fn access(attributes: u32) -> u32 {
    let unusable = if attributes & PRESENT == 0 { UNUSABLE } else { 0 };
    attributes & 0xff | (attributes >> 8 & 0xf) << 12 | unusable
}

/// The value of the field with key `key`, or `None` if the VMCB does not hold it.
#[inline(always)]
pub fn load(vmcb: &Page, key: u32) -> Option<u64> {
    Some(match PLACES[key as usize]? {
        Place::Wide(at) => vmcb.wide(at),
        Place::Cr4 => vmcb.wide(at::CR4),
        Place::Shadow => vmcb.wide(at::SHADOW) & 1,
        Place::Selector(segment) => (vmcb.word(segment) & 0xffff).into(),
        Place::Access(segment) => access(vmcb.word(segment) >> 16).into(),
        Place::Limit(segment) => vmcb.word(segment + 4).into(),
        Place::Base(segment) => vmcb.wide(segment + 8),
    })
}

/// Stores the field with key `key`. Returns false if the VMCB does not hold it.
#[inline(always)]
pub fn store(vmcb: &Page, key: u32, value: u64) -> bool {
    let Some(place) = PLACES[key as usize] else { return false };
    match place {
        Place::Wide(at) => vmcb.set_wide(at, value),
        Place::Cr4 => vmcb.set_wide(at::CR4, value & !VMXE),
        Place::Shadow => vmcb.set_wide(at::SHADOW, (value & 3 != 0).into()),
        Place::Selector(segment) => vmcb.set_word(segment, vmcb.word(segment) & !0xffff | value as u32 & 0xffff),
        Place::Access(segment) => {
            vmcb.set_word(segment, vmcb.word(segment) & 0xffff | attributes(value as u32) << 16);
        }
        Place::Limit(segment) => vmcb.set_word(segment + 4, value as u32),
        Place::Base(segment) => vmcb.set_wide(segment + 8, value),
    }
    true
}

/// Sets every field that the VMCB holds to 0.
pub fn clear(vmcb: &Page) {
    (0..VMCS_SIZE).for_each(|key| _ = store(vmcb, key, 0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// A value that every kind of field can hold: access rights of a segment that is present.
    fn value(key: u32) -> u64 {
        match FIELDS[key as usize].field {
            Vmcs::GuestInterruptibility => 1,
            _ => u64::from(key % 16) << 12 | 0x80 | u64::from(key % 7),
        }
    }

    #[test]
    fn fields_are_different_memory() {
        let page = Page::zero();
        let held: Vec<u32> = (0..VMCS_SIZE).filter(|&key| store(&page, key, value(key) & !VMXE)).collect();
        assert_eq!(held.len(), 14 + 2 * (FULL_SEGMENTS + SEGMENTS) as usize);
        for &key in &held {
            assert_eq!(load(&page, key), Some(value(key) & !VMXE), "{:?}", FIELDS[key as usize].field);
        }
        assert!((0..VMCS_SIZE).all(|key| load(&page, key).is_some() == held.contains(&key)));
    }

    #[test]
    fn segments_are_where_the_manual_has_them() {
        let page = Page::zero();
        for (field, value) in [
            (Vmcs::GuestTrSelector, 0x30),
            (Vmcs::GuestTrAccess, 0x8B),
            (Vmcs::GuestTrLimit, 0x67),
            (Vmcs::GuestTrBase, 0x1_2345_6789),
            (Vmcs::GuestCsAccess, 0xA09B),
            (Vmcs::GuestLdtrAccess, 0x1_0082),
        ] {
            assert!(store(&page, field as u32, value));
        }
        assert_eq!((page.word(0x490), page.word(0x494), page.wide(0x498)), (0x8B_0030, 0x67, 0x1_2345_6789));
        assert_eq!((page.word(0x410) >> 16, page.word(0x470) >> 16), (0xA9B, 0x02));
        assert_eq!(load(&page, Vmcs::GuestLdtrAccess as u32), Some(0x1_0002));
    }
}
