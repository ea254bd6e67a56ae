//! The reason of a VM exit, in the words of VT-x: the Intel SDM, volume 3, appendix C and section "Exit qualification".
//!
//! AMD's SVM has other numbers. Whoever runs guests by SVM translates them to these, so that a monitor needs one
//! vocabulary only.
use crate::ports::Size;
use core::fmt;

/// A basic exit reason.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Reason(pub u16);

/// The table of basic exit reasons: a constant, its number, and the SDM's name.
macro_rules! reasons {
    ($($constant:ident = $number:literal $name:literal,)*) => {
        #[allow(missing_docs, reason = "each is the reason that the table names")]
        impl Reason {
            $(pub const $constant: Reason = Reason($number);)*
        }

        impl Reason {
            /// The SDM's name of the reason, if the SDM has one.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

reasons! {
    EXCEPTION_OR_NMI = 0 "exception or non-maskable interrupt",
    EXTERNAL_INTERRUPT = 1 "external interrupt",
    TRIPLE_FAULT = 2 "triple fault",
    INIT = 3 "INIT signal",
    STARTUP_IPI = 4 "start-up IPI",
    IO_SMI = 5 "I/O system-management interrupt",
    OTHER_SMI = 6 "other system-management interrupt",
    INTERRUPT_WINDOW = 7 "interrupt window",
    NMI_WINDOW = 8 "NMI window",
    TASK_SWITCH = 9 "task switch",
    CPUID = 10 "CPUID",
    GETSEC = 11 "GETSEC",
    HLT = 12 "HLT",
    INVD = 13 "INVD",
    INVLPG = 14 "INVLPG",
    RDPMC = 15 "RDPMC",
    RDTSC = 16 "RDTSC",
    RSM = 17 "RSM",
    VMCALL = 18 "VMCALL",
    VMCLEAR = 19 "VMCLEAR",
    VMLAUNCH = 20 "VMLAUNCH",
    VMPTRLD = 21 "VMPTRLD",
    VMPTRST = 22 "VMPTRST",
    VMREAD = 23 "VMREAD",
    VMRESUME = 24 "VMRESUME",
    VMWRITE = 25 "VMWRITE",
    VMXOFF = 26 "VMXOFF",
    VMXON = 27 "VMXON",
    CONTROL_REGISTER = 28 "control-register access",
    DEBUG_REGISTER = 29 "MOV DR",
    IO = 30 "I/O instruction",
    RDMSR = 31 "RDMSR",
    WRMSR = 32 "WRMSR",
    INVALID_GUEST_STATE = 33 "VM-entry failure due to invalid guest state",
    MSR_LOADING = 34 "VM-entry failure due to MSR loading",
    MWAIT = 36 "MWAIT",
    MONITOR_TRAP = 37 "monitor trap flag",
    MONITOR = 39 "MONITOR",
    PAUSE = 40 "PAUSE",
    MACHINE_CHECK = 41 "VM-entry failure due to machine-check event",
    TPR = 43 "TPR below threshold",
    APIC_ACCESS = 44 "APIC access",
    VIRTUAL_EOI = 45 "virtualized EOI",
    GDTR_OR_IDTR = 46 "access to GDTR or IDTR",
    LDTR_OR_TR = 47 "access to LDTR or TR",
    EPT_VIOLATION = 48 "EPT violation",
    EPT_MISCONFIGURATION = 49 "EPT misconfiguration",
    INVEPT = 50 "INVEPT",
    RDTSCP = 51 "RDTSCP",
    PREEMPTION_TIMER = 52 "VMX-preemption timer expired",
    INVVPID = 53 "INVVPID",
    WBINVD = 54 "WBINVD or WBNOINVD",
    XSETBV = 55 "XSETBV",
    APIC_WRITE = 56 "APIC write",
    RDRAND = 57 "RDRAND",
    INVPCID = 58 "INVPCID",
    VMFUNC = 59 "VMFUNC",
    ENCLS = 60 "ENCLS",
    RDSEED = 61 "RDSEED",
    PAGE_LOG_FULL = 62 "page-modification log full",
    XSAVES = 63 "XSAVES",
    XRSTORS = 64 "XRSTORS",
    PCONFIG = 65 "PCONFIG",
    SUB_PAGE = 66 "SPP-related event",
    UMWAIT = 67 "UMWAIT",
    TPAUSE = 68 "TPAUSE",
    LOADIWKEY = 69 "LOADIWKEY",
    ENCLV = 70 "ENCLV",
    ENQCMD = 72 "ENQCMD PASID translation failure",
    ENQCMDS = 73 "ENQCMDS PASID translation failure",
    BUS_LOCK = 74 "bus lock",
    TIMEOUT = 75 "instruction timeout",
    SEAMCALL = 76 "SEAMCALL",
    TDCALL = 77 "TDCALL",
    RDMSRLIST = 78 "RDMSRLIST",
    WRMSRLIST = 79 "WRMSRLIST",
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(formatter, "{} ({name})", self.0),
            None => write!(formatter, "{} (unknown)", self.0),
        }
    }
}

/// Numbers of exits, by reason.
#[derive(Clone, Debug)]
pub struct Exits([u64; Exits::REASONS]);

impl Exits {
    /// Each reason with a name is counted by itself. All others count as the last one.
    const REASONS: usize = 81;
    /// No exits yet.
    pub const NONE: Exits = Exits([0; Exits::REASONS]);

    /// Counts an exit.
    pub fn count(&mut self, reason: Reason) {
        self.0[Exits::index(reason)] += 1;
    }

    /// The number of exits for this reason.
    pub fn of(&self, reason: Reason) -> u64 {
        self.0[Exits::index(reason)]
    }

    fn index(reason: Reason) -> usize {
        usize::from(reason.0).min(Exits::REASONS - 1)
    }

    /// The number of all exits.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// The total, and the reasons in the order of their numbers.
impl fmt::Display for Exits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} exits", self.total())?;
        let happened = (0..).map(Reason).zip(self.0).filter(|&(_, count)| count > 0);
        for (index, (reason, count)) in happened.enumerate() {
            let before = if index == 0 { " (" } else { ", " };
            write!(formatter, "{before}{count} {}", reason.name().unwrap_or("other"))?;
        }
        if self.total() > 0 { formatter.write_str(")") } else { Ok(()) }
    }
}

/// An exit, with what its qualification says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// The guest was not entered: its state does not fit.
    EntryFailure(Reason),
    /// Reason 30.
    Io(Io),
    /// Reason 28.
    ControlRegister(ControlRegister),
    /// Reason 48. The address is in fields of its own.
    EptViolation(EptViolation),
    /// Any other reason: there is no qualification, or it is not decoded here.
    Plain(Reason),
}

impl Exit {
    /// Decodes the exit-reason field and the exit qualification.
    pub fn decode(reason: u32, qualification: u64) -> Exit {
        let basic = Reason(reason as u16);
        match basic {
            _ if reason >> 31 == 1 => Exit::EntryFailure(basic),
            Reason::IO => Io::decode(qualification).map_or(Exit::Plain(basic), Exit::Io),
            Reason::CONTROL_REGISTER => Exit::ControlRegister(ControlRegister::decode(qualification)),
            Reason::EPT_VIOLATION => Exit::EptViolation(EptViolation::decode(qualification)),
            _ => Exit::Plain(basic),
        }
    }

    /// The basic reason.
    pub fn reason(&self) -> Reason {
        match self {
            Exit::EntryFailure(reason) | Exit::Plain(reason) => *reason,
            Exit::Io(_) => Reason::IO,
            Exit::ControlRegister(_) => Reason::CONTROL_REGISTER,
            Exit::EptViolation(_) => Reason::EPT_VIOLATION,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Exit::EntryFailure(_) = self {
            formatter.write_str("failed entry, ")?;
        }
        write!(formatter, "exit {}", self.reason())?;
        match self {
            Exit::EntryFailure(_) | Exit::Plain(_) => Ok(()),
            Exit::Io(io) => write!(formatter, ": {io}"),
            Exit::ControlRegister(access) => write!(formatter, ": {access}"),
            Exit::EptViolation(violation) => write!(formatter, ": {violation}"),
        }
    }
}

/// An I/O instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Io {
    /// The port.
    pub port: u16,
    /// The width.
    pub size: Size,
    /// `in` or `ins`, not `out` or `outs`.
    pub input: bool,
    /// `ins` or `outs`.
    pub string: bool,
    /// With the prefix `rep`.
    pub repeated: bool,
    /// The port is an immediate operand, not DX.
    pub immediate: bool,
}

impl Io {
    /// Decodes an exit qualification. No processor gives one with another width.
    fn decode(qualification: u64) -> Option<Io> {
        let bit = |bit: u32| qualification >> bit & 1 == 1;
        let size = match qualification & 7 {
            0 => Size::Byte,
            1 => Size::Word,
            3 => Size::Double,
            _ => return None,
        };
        let port = (qualification >> 16) as u16;
        Some(Io { port, size, input: bit(3), string: bit(4), repeated: bit(5), immediate: bit(6) })
    }
}

impl fmt::Display for Io {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Io { port, size, input, string, repeated, immediate } = *self;
        if repeated {
            formatter.write_str("rep ")?;
        }
        formatter.write_str(if input { "in" } else { "out" })?;
        if string {
            formatter.write_str("s")?;
        }
        let plural = if size == Size::Byte { "" } else { "s" };
        let operand = if immediate { "immediate" } else { "in DX" };
        write!(formatter, ", {} byte{plural}, port {port:#x} ({operand})", size as u8)
    }
}

/// The names of the general registers, by number.
const REGISTERS: [&str; 16] =
    ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"];

/// An access to a control register. General registers are numbers: 0 is RAX, then RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8
/// to R15.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ControlRegister {
    /// MOV to CR.
    Write {
        /// The control register.
        control: u8,
        /// The general register with the new value.
        from: u8,
    },
    /// MOV from CR.
    Read {
        /// The control register.
        control: u8,
        /// The general register that gets its value.
        to: u8,
    },
    /// CLTS clears CR0.TS.
    Clts,
    /// LMSW writes the low four bits of CR0.
    Lmsw {
        /// The operand.
        value: u16,
        /// The operand is in memory.
        memory: bool,
    },
}

impl ControlRegister {
    fn decode(qualification: u64) -> ControlRegister {
        let (control, general) = ((qualification & 15) as u8, (qualification >> 8 & 15) as u8);
        match qualification >> 4 & 3 {
            0 => ControlRegister::Write { control, from: general },
            1 => ControlRegister::Read { control, to: general },
            2 => ControlRegister::Clts,
            _ => ControlRegister::Lmsw { value: (qualification >> 16) as u16, memory: qualification >> 6 & 1 == 1 },
        }
    }
}

impl fmt::Display for ControlRegister {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |register: u8| REGISTERS[usize::from(register & 15)];
        match *self {
            ControlRegister::Write { control, from } => write!(formatter, "mov to CR{control} from {}", name(from)),
            ControlRegister::Read { control, to } => write!(formatter, "mov from CR{control} to {}", name(to)),
            ControlRegister::Clts => formatter.write_str("clts"),
            ControlRegister::Lmsw { value, memory } => {
                write!(formatter, "lmsw {value:#x} from {}", if memory { "memory" } else { "a register" })
            }
        }
    }
}

/// An access that the extended page tables (EPT) do not admit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EptViolation {
    /// What the access did.
    pub access: Rights,
    /// What the entries for its address admit; nothing if the address is not mapped.
    pub admitted: Rights,
    /// Where the guest-physical address comes from; `None` if not from a linear one.
    pub linear: Option<Linear>,
}

/// Reading, writing and executing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rights {
    /// Data are read.
    pub read: bool,
    /// Data are written.
    pub write: bool,
    /// An instruction is fetched.
    pub execute: bool,
}

/// How a linear address led to a violation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Linear {
    /// The guest-physical address is its translation.
    Translated,
    /// The guest-physical address is that of an entry of the guest's page tables.
    PageWalk,
}

impl EptViolation {
    fn decode(qualification: u64) -> EptViolation {
        let bit = |bit: u32| qualification >> bit & 1 == 1;
        let rights = |first: u32| Rights { read: bit(first), write: bit(first + 1), execute: bit(first + 2) };
        let linear = if bit(8) { Linear::Translated } else { Linear::PageWalk };
        EptViolation { access: rights(0), admitted: rights(3), linear: bit(7).then_some(linear) }
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [(self.read, "read"), (self.write, "write"), (self.execute, "execute")];
        let mut names = names.into_iter().filter_map(|(set, name)| set.then_some(name));
        formatter.write_str(names.next().unwrap_or("nothing"))?;
        names.try_for_each(|name| write!(formatter, "+{name}"))
    }
}

impl fmt::Display for EptViolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} where the tables admit {}", self.access, self.admitted)?;
        formatter.write_str(match self.linear {
            None => "",
            Some(Linear::Translated) => ", at a translated address",
            Some(Linear::PageWalk) => ", at an entry of the guest's tables",
        })
    }
}

#[cfg(test)]
mod tests;
