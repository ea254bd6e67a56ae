//! What a run has proved, as data and as a page.

pub(crate) mod document;
pub(crate) mod effects;
pub(crate) mod explained;
pub(crate) mod interface;
pub(crate) mod reference;
pub(crate) mod row;
pub(crate) mod run;
