//! Guests: the processor's virtualisation, VT-x or SVM, as the layer's virtual machine has it.
//!
//! The layer speaks VT-x: its control structure has VT-x's fields, and its exits have VT-x's reasons. A processor with
//! SVM stores the same fields in a VMCB, and its exits are translated. So the layer, and everybody above it, need not
//! know which of the two the processor has. A processor with neither runs no guests, and all else works.
//!
//! Read [`virtualisation`] first: which of the two a CPU has, or what is missing. `fields` is the storage of the control
//! structure, and [`nested`] that of the nested page tables. `switch` is the way into a guest and back, with the
//! [`registers`] that it loads and saves. [`vtx`] and [`svm`] are the two kinds of processors; [`exit`] is what both
//! report. `host` has the host's own registers, and `msrs` says which model-specific registers a monitor may read.
//!
//! A guest is hostile. Every instruction that could reach a device, a model-specific register, or the host's
//! virtualisation exits, or raises an exception in the guest; [`nested`] decides which memory it reaches. An entry that
//! the processor refuses is an exit as well ([`exit::REFUSED`]).

#[cfg(feature = "image")]
mod detection;
pub mod exit;
#[cfg(feature = "image")]
pub mod fields;
#[cfg(feature = "image")]
pub mod host;
#[cfg(feature = "image")]
pub mod msrs;
pub mod nested;
pub mod page;
pub mod registers;
pub mod svm;
#[cfg(feature = "image")]
pub mod switch;
pub mod virtualisation;
pub mod vtx;
