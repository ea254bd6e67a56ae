//! What a behaviour is, and what many of them have in common.

use crate::host::emulator::Emulator;
use crate::host::emulator::machine::{Act, Outcome, Parts};
use crate::host::image::Kind;
use kernel::devices::exit::Reason;
use std::time::Duration;

/// A behaviour, and the expected result of its image.
pub struct Behaviour {
    /// Its name.
    pub name: &'static str,
    /// The emulator that tries it.
    pub emulator: Emulator,
    /// Name of its image.
    pub image: &'static str,
    /// The checks in the image. Only images with programs have a choice.
    pub kind: Kind,
    /// Number of CPUs.
    pub cpus: u32,
    /// Names of programs that run as their manifests say and as on the hosted machine; an empty list means the usual
    /// ones, and `None` means that no programs run. The boot archive holds all programs.
    pub programs: Option<&'static [&'static str]>,
    /// Numbers of facts, or names of values of the hardware, that the checkpoints must find broken while all programs
    /// run; usually none.
    pub broken: &'static [&'static str],
    /// Whether there is a boot archive, and with it symbols.
    pub archive: bool,
    /// Number of zero bytes that are appended to the boot archive.
    pub padding: u64,
    /// The boot list. If it is not empty, the boot archive holds all programs.
    pub boot_list: &'static str,
    /// Boot options.
    pub options: &'static str,
    /// The parts of the machine.
    pub parts: Parts<'static>,
    /// The acts on the machine, each once the console shows a text, or before the machine runs where the text is empty.
    pub script: &'static [(&'static str, Act<'static>)],
    /// Time after which the run is given up.
    pub timeout: Duration,
    /// How the run must end.
    pub outcome: Outcome,
    /// Texts that the console must show, in this order.
    pub texts: &'static [&'static str],
    /// A text, and the exact number of times that the console must show it.
    pub count: Option<(&'static str, usize)>,
    /// A condition that every line must satisfy.
    pub lines: fn(&str) -> bool,
}

/// The image ends well on one CPU within the time-out.
pub const USUAL: Behaviour = Behaviour {
    name: "",
    emulator: Emulator::Qemu,
    image: "cairn",
    kind: Kind::Fast,
    cpus: 1,
    programs: None,
    broken: &[],
    archive: true,
    padding: 0,
    boot_list: "",
    options: "",
    parts: Parts::USUAL,
    script: &[],
    timeout: Duration::from_secs(60),
    outcome: Outcome::Ended(Reason::Done),
    texts: &[],
    count: None,
    lines: |_| true,
};

/// The kernel reports an exception in ring 0.
pub const FAULT: Behaviour =
    Behaviour { outcome: Outcome::Ended(Reason::KernelFault), count: Some(("cairn: page fault", 1)), ..USUAL };

/// Time-out where CPUs wait for each other on a busy host.
pub const BUSY_LIMIT: Duration = Duration::from_secs(120);

/// Time-out on Bochs, where GRUB alone takes several seconds.
pub const BOCHS_LIMIT: Duration = Duration::from_secs(180);
