//! The rules of a proof, and the symbolic machine that applies them.

pub(crate) mod call_rule;
pub(crate) mod loop_rule;
pub(crate) mod machine;
pub(crate) mod obligations;
pub(crate) mod system;
