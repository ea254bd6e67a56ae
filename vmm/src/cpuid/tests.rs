//! The answers are read by a library that others wrote, and compared with numbers.
extern crate std;
use super::*;
use proptest::prelude::*;
use raw_cpuid::{CpuId, CpuIdReader, CpuIdResult};

/// A host that has all bits.
fn all(_: u32) -> Leaf {
    Leaf { eax: !0, ebx: !0, ecx: !0, edx: !0 }
}

/// The guest's view of a host, for the library.
fn read(host: fn(u32) -> Leaf, hertz: u64) -> CpuId<impl CpuIdReader> {
    CpuId::with_cpuid_reader(move |leaf, _| {
        let Leaf { eax, ebx, ecx, edx } = answer(leaf, host, hertz);
        CpuIdResult { eax, ebx, ecx, edx }
    })
}

#[test]
fn a_library_reads_what_is_allowed() {
    let cpu = read(all, 200_000_000);
    assert_eq!(cpu.get_vendor_info().unwrap().as_str(), "GenuineIntel");
    let features = cpu.get_feature_info().unwrap();
    assert!(features.has_fpu() && features.has_tsc() && features.has_pae() && features.has_cmov());
    assert!(features.has_fxsave_fxstor() && features.has_sse2() && features.has_sse42() && features.has_popcnt());
    let hidden = [
        ("RDRAND", features.has_rdrand()),
        ("APIC", features.has_apic()),
        ("x2APIC", features.has_x2apic()),
        ("MTRR", features.has_mtrr()),
        ("MCE", features.has_mce()),
        ("MCA", features.has_mca()),
        ("PAT", features.has_pat()),
        ("HTT", features.has_htt()),
        ("MSR", features.has_msr()),
        ("SEP", features.has_sysenter_sysexit()),
        ("VMX", features.has_vmx()),
        ("XSAVE", features.has_xsave()),
        ("AVX", features.has_avx()),
        ("MONITOR", features.has_monitor_mwait()),
        ("TSC deadline", features.has_tsc_deadline()),
        ("hypervisor", features.has_hypervisor()),
    ];
    assert!(hidden.iter().all(|(_, shown)| !shown), "{hidden:?}");
    assert!(cpu.get_extended_feature_info().is_none_or(|more| !more.has_invpcid() && !more.has_rep_movsb_stosb()));
    let extended = cpu.get_extended_processor_and_feature_identifiers().unwrap();
    assert!(!extended.has_syscall_sysret() && !extended.has_64bit_mode() && !extended.has_execute_disable());
    assert!(cpu.get_advanced_power_mgmt_info().unwrap().has_invariant_tsc());
    assert_eq!(cpu.get_tsc_info().unwrap().tsc_frequency(), Some(200_000_000));
    assert_eq!(cpu.get_processor_frequency_info().unwrap().processor_base_frequency(), 200);
}

#[test]
fn the_lists_are_these_bits() {
    let leaf = answer(1, all, 1_000_000_000);
    assert_eq!(leaf, Leaf { eax: 0x0FFF_3FFF, ebx: 0x0001_0800, ecx: 0x02D8_2203, edx: 0x0788_A15F });
    for leaf in [2, 4, 5, 6, 7, 0xA, 0xB, 0xD, 0x14, 0x17, 0x4000_0000, 0x8000_0001, 0x8000_0005, 0x8000_0009, !0] {
        assert_eq!(answer(leaf, all, 1_000_000_000), Leaf::default(), "{leaf:#x}");
    }
}

#[test]
fn a_frequency_beyond_the_field_is_the_fields_end() {
    assert_eq!(answer(0x16, all, 65_535_999_999).eax, 0xFFFF);
    assert_eq!(answer(0x16, all, 65_536_000_000).eax, 0xFFFF);
}

#[test]
fn what_the_host_lacks_the_guest_lacks() {
    let none = |_| Leaf::default();
    assert_eq!(answer(1, none, 1), Leaf { ebx: 0x0001_0800, ..Leaf::default() });
}

proptest! {
    #[test]
    fn any_frequency_is_told(hertz in 1_193_182u64..20_000_000_000) {
        let leaf = answer(0x15, all, hertz);
        let told = u64::from(leaf.ecx) * u64::from(leaf.ebx) / u64::from(leaf.eax);
        prop_assert!(hertz - told < 5, "{} for {}", told, hertz);
    }
}
