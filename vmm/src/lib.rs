//! What a virtual machine monitor emulates for its guest: the devices of a small PC, CPUID, MSRs, and the state in
//! which Linux starts.
//!
//! The crate is arithmetic only. It executes no instruction of VT-x or SVM, and knows no kernel and no system call; it
//! allocates nothing, and nothing in it panics on what a guest does. A monitor, which is an ordinary program, brings
//! guest and devices together:
//!
//! ```text
//! before the first entry   vmlinux    segments of the kernel ──────────┐
//!                          linux      zero page, entry state ──────────┴─> guest memory
//!
//! after each exit          exit       reason and qualification, decoded
//!   in, out                ports      Devices::read, write ── pic    interrupt controllers (Intel 8259A)
//!                                          │               ├─ pit    timer (Intel 8254)
//!                                          │               ├─ uart   serial line (National 16550A)
//!                                          │               └─ cmos   clock and memory (Motorola MC146818A)
//!                                          └─> Event: a byte that the guest sends, a reset
//!   CPUID                  cpuid      the host's answer, filtered
//!   RDMSR, WRMSR           msr        a value, or #GP
//!   HLT                    ports      Devices::deadline: how long the guest may sleep
//!   anything else          report     what a person is told
//!
//! before each entry        ports      Devices::update; if interrupt_pending: acknowledge is the vector to inject
//! ```
//!
//! Time is an argument everywhere, in pulses of the devices' clock; [`clock`] converts it to and from ticks of the
//! guest's time-stamp counter. So a run is determined by its calls, and repeats.
//!
//! ```
//! use vmm::exit::{Exit, Reason};
//! use vmm::ports::{Devices, Event};
//! use vmm::{clock::Clock, msr};
//!
//! let clock = Clock::new(200_000_000).expect("faster than the devices");
//! let mut devices = Devices::new(1_735_775_948);
//!
//! // The guest executes `out dx, al` with DX = 0x3F8.
//! let (reason, qualification, eax, ticks) = (30, 0x03F8_0000, u32::from(b'A'), 1_000_000);
//! let now = clock.pulses(ticks);
//! match Exit::decode(reason, qualification) {
//!     Exit::Io(io) if !io.string && !io.input => match devices.write(io.port, io.size, eax, now) {
//!         Some(Event::Output(byte)) => assert_eq!(byte, b'A'), // print it
//!         Some(Event::Reset) => {}                             // the end of the guest
//!         None => {}
//!     },
//!     Exit::Plain(Reason::RDMSR) => match msr::read(0x1A0) {
//!         Ok(_read) => {}         // a value into EDX:EAX
//!         Err(msr::Refused) => {} // inject #GP with error code 0
//!     },
//!     _ => panic!("print a report::Report"),
//! }
//!
//! // The next entry: nothing to inject, and no timer is running.
//! devices.update(now);
//! assert!(!devices.interrupt_pending());
//! assert_eq!(devices.deadline(), None);
//! ```
#![no_std]
#![forbid(unsafe_code)]

pub mod clock;
pub mod cmos;
pub mod code;
pub mod cpuid;
pub mod exit;
pub mod linux;
pub mod msr;
pub mod pic;
pub mod pit;
pub mod ports;
pub mod report;
pub mod uart;
pub mod vmlinux;
