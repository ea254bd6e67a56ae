//! Interrupts.
//!
//! Read [`interrupt`] first: what each interrupt does. [`apic`] is the controller of each CPU, [`io_apic`] that of the
//! devices, and [`timer`] ends time slices.

pub mod apic;
pub mod cause;
pub mod interrupt;
pub mod io_apic;
pub mod timer;
