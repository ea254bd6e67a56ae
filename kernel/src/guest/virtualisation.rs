//! Which virtualisation a processor has, or what it lacks.

/// The processor's virtualisation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Virtualisation {
    /// Intel's, with nested page tables and all that [`Missing`] names.
    VtX,
    /// AMD's, with nested page tables.
    Svm,
}

impl Virtualisation {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Virtualisation::VtX => "VT-x",
            Virtualisation::Svm => "SVM",
        }
    }
}

/// Why a CPU runs no guests (the machine's fault).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Missing {
    /// The processor has neither kind.
    #[error("the processor has neither VT-x nor SVM")]
    Both,
    /// The firmware has turned VT-x off, and has locked that.
    #[error("the firmware has turned VT-x off")]
    VtXIsOff,
    /// The firmware has turned SVM off.
    #[error("the firmware has turned SVM off")]
    SvmIsOff,
    /// VT-x without registers that say which controls can be 0 (`IA32_VMX_TRUE_…`).
    #[error("VT-x has no true controls")]
    TrueControls,
    /// VT-x without a control that guests need.
    #[error("VT-x has no control: {0}")]
    Control(&'static str),
    /// VT-x without a kind of nested page tables that guests need.
    #[error("VT-x has no nested page tables of this kind: {0}")]
    Nested(&'static str),
    /// SVM without nested page tables.
    #[error("SVM has no nested page tables")]
    NestedPaging,
    /// `vmxon` has failed.
    #[error("VT-x does not turn on")]
    Refused,
    /// The CPU has another kind than the first CPU.
    #[error("the CPUs have different virtualisation")]
    Different,
}
