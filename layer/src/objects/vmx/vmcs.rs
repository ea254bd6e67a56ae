//! The fields of a VM control structure (reference, appendix A): one table of names, encodings and default values.
//!
//! The key of the map `vmcs` is a field's index in this table. A field is one wide value, as VMREAD and VMWRITE have it
//! in long mode. The reference keeps a 64-bit field in two halves, at the encodings `e` and `e + 1`. The encoding
//! determines the width: bits 13 and 14 are 0 for 16 bits, 1 for 64, 2 for 32, 3 for the natural width.

/// The value that `vmx_init` writes to a field (A.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// None: the field keeps its value.
    Kept,
    /// This number.
    Is(u64),
    /// The capability word with this index.
    Info(u32),
    /// The bitwise or of the capability words with these indices.
    Either(u32, u32),
    /// The host's own register, as the machine reports it (P43).
    Host,
    /// A pointer: the address of an object of the host that the machine knows.
    Address,
}

/// A field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VmcsField {
    /// The field.
    pub field: Vmcs,
    /// Its encoding; for a 64-bit field, the encoding of the low half.
    pub encoding: u32,
    /// Its initial value.
    pub start: Start,
}

macro_rules! fields {
    ($($name:ident $encoding:literal $start:expr;)*) => {
        /// A field, as a key of the map `vmcs`.
        #[allow(missing_docs, reason = "each is the field that it names")]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum Vmcs { $($name),* }

        /// Every field, in the order of its key.
        pub const FIELDS: &[VmcsField] = &[$(VmcsField { field: Vmcs::$name, encoding: $encoding, start: $start }),*];
    };
}

use Start::*;

fields! {
    // Fields that a primitive reads. If A.2 gives no default, `vmx_init` writes 0 (P40).
    PriProcBasedCtls 0x4002 Info(3);
    EntryIntrInfo 0x4016 Is(0);
    TscOffset 0x2010 Is(0);
    ExitReason 0x4402 Is(0);
    ExitInstructionLength 0x440C Is(0);
    ExitQualification 0x6400 Is(0);
    GuestPhysicalAddress 0x2400 Is(0);
    GuestInterruptibility 0x4824 Is(0);
    GuestCr0 0x6800 Is(0x6000_0030);
    GuestCr3 0x6802 Is(0);
    GuestCr4 0x6804 Is(0x2000);
    GuestRsp 0x681C Is(0);
    GuestRip 0x681E Is(0);
    GuestRflags 0x6820 Is(0);
    // The guest's segments: each property of all segments, in the order of the segments' codes.
    GuestCsSelector 0x0802 Kept;
    GuestDsSelector 0x0806 Kept;
    GuestEsSelector 0x0800 Kept;
    GuestFsSelector 0x0808 Kept;
    GuestGsSelector 0x080A Kept;
    GuestSsSelector 0x0804 Kept;
    GuestLdtrSelector 0x080C Kept;
    GuestTrSelector 0x080E Kept;
    GuestCsLimit 0x4802 Kept;
    GuestDsLimit 0x4806 Kept;
    GuestEsLimit 0x4800 Kept;
    GuestFsLimit 0x4808 Kept;
    GuestGsLimit 0x480A Kept;
    GuestSsLimit 0x4804 Kept;
    GuestLdtrLimit 0x480C Kept;
    GuestTrLimit 0x480E Kept;
    GuestGdtrLimit 0x4810 Kept;
    GuestIdtrLimit 0x4812 Kept;
    GuestCsAccess 0x4816 Kept;
    GuestDsAccess 0x481A Kept;
    GuestEsAccess 0x4814 Kept;
    GuestFsAccess 0x481C Kept;
    GuestGsAccess 0x481E Kept;
    GuestSsAccess 0x4818 Kept;
    GuestLdtrAccess 0x4820 Kept;
    GuestTrAccess 0x4822 Kept;
    GuestCsBase 0x6808 Kept;
    GuestDsBase 0x680C Kept;
    GuestEsBase 0x6806 Kept;
    GuestFsBase 0x680E Kept;
    GuestGsBase 0x6810 Kept;
    GuestSsBase 0x680A Kept;
    GuestLdtrBase 0x6812 Kept;
    GuestTrBase 0x6814 Kept;
    GuestGdtrBase 0x6816 Kept;
    GuestIdtrBase 0x6818 Kept;
    // Other initial state of the guest.
    GuestDr7 0x681A Is(0x400);
    GuestPat 0x2804 Is(0x0007_0406_0007_0406);
    GuestDebugctl 0x2802 Is(0);
    GuestSysenterCs 0x482A Is(0);
    GuestSysenterEsp 0x6824 Is(0);
    GuestSysenterEip 0x6826 Is(0);
    GuestActivity 0x4826 Is(0);
    GuestPendingDebug 0x6822 Is(0);
    LinkPointer 0x2800 Is(u64::MAX);
    // Controls.
    PinBasedCtls 0x4000 Info(2);
    SecProcBasedCtls 0x401E Info(4);
    ExitCtls 0x400C Info(5);
    EntryCtls 0x4012 Info(6);
    ExceptionBitmap 0x4004 Kept;
    EntryExceptionError 0x4018 Kept;
    Vpid 0x0000 Is(1);
    Cr0Mask 0x6000 Either(7, 9);
    Cr0Shadow 0x6004 Info(7);
    Cr4Mask 0x6002 Either(11, 13);
    Cr4Shadow 0x6006 Info(11);
    IoBitmapA 0x2000 Address;
    IoBitmapB 0x2002 Address;
    MsrBitmap 0x2004 Address;
    Eptp 0x201A Address;
    // The state with which the host continues after an exit.
    HostRip 0x6C16 Address;
    HostRsp 0x6C14 Kept;
    HostCr0 0x6C00 Host;
    HostCr3 0x6C02 Host;
    HostCr4 0x6C04 Host;
    HostEsSelector 0x0C00 Host;
    HostCsSelector 0x0C02 Host;
    HostSsSelector 0x0C04 Host;
    HostDsSelector 0x0C06 Host;
    HostFsSelector 0x0C08 Host;
    HostGsSelector 0x0C0A Host;
    HostTrSelector 0x0C0C Host;
    HostFsBase 0x6C06 Host;
    HostGsBase 0x6C08 Host;
    HostTrBase 0x6C0A Address;
    HostGdtrBase 0x6C0C Address;
    HostIdtrBase 0x6C0E Address;
    HostSysenterCs 0x4C00 Host;
    HostSysenterEsp 0x6C10 Host;
    HostSysenterEip 0x6C12 Host;
    HostPat 0x2C00 Host;
    HostEfer 0x2C02 Host;
    HostPerfGlobalCtrl 0x2C04 Host;
}

/// Keys of the map `vmcs` are below this.
pub const VMCS_SIZE: u32 = FIELDS.len() as u32;

/// Segments have codes below this (reference, section 2).
pub const SEGMENTS: u32 = 10;
/// Segments with codes below this have a selector and access rights; GDTR and IDTR do not.
pub const FULL_SEGMENTS: u32 = 8;

// The distance of a segment's field from that of CS is the difference of the segments' codes.
const _: () = assert!(Vmcs::GuestTrSelector as u32 - Vmcs::GuestCsSelector as u32 == FULL_SEGMENTS - 1);
const _: () = assert!(Vmcs::GuestTrAccess as u32 - Vmcs::GuestCsAccess as u32 == FULL_SEGMENTS - 1);
const _: () = assert!(Vmcs::GuestIdtrLimit as u32 - Vmcs::GuestCsLimit as u32 == SEGMENTS - 1);
const _: () = assert!(Vmcs::GuestIdtrBase as u32 - Vmcs::GuestCsBase as u32 == SEGMENTS - 1);

// Each encoding belongs to one field, and is that of a low half.
const _: () = {
    let mut i = 0;
    while i < FIELDS.len() {
        assert!(FIELDS[i].encoding.is_multiple_of(2) && FIELDS[i].field as usize == i);
        let mut j = 0;
        while j < i {
            assert!(FIELDS[i].encoding != FIELDS[j].encoding);
            j += 1;
        }
        i += 1;
    }
};
