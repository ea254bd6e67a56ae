//! Finds out which virtualisation the CPU that runs this has.

use super::virtualisation::{Missing, Virtualisation};
use super::{svm, vtx};
use raw_cpuid::CpuId;

/// The virtualisation of the CPU that runs this.
pub fn find() -> Result<Virtualisation, Missing> {
    let cpuid = CpuId::new();
    if cpuid.get_feature_info().is_some_and(|info| info.has_vmx()) {
        return vtx::on::check().map(|_| Virtualisation::VtX);
    }
    if cpuid.get_extended_processor_and_feature_identifiers().is_some_and(|info| info.has_svm()) {
        return svm::on::check(&cpuid).map(|()| Virtualisation::Svm);
    }
    Err(Missing::Both)
}
