//! AMD's SVM. [`vmcb`] is the control structure, and [`exits`] translates what it reports. `on` turns SVM on and enters
//! guests.

pub mod exits;
#[cfg(feature = "image")]
pub mod on;
pub mod vmcb;
