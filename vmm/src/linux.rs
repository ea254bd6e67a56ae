//! Linux's boot protocol on x86, with its 32-bit entry: the kernel's documents "The Linux/x86 Boot Protocol" and "Zero
//! Page".
//!
//! A monitor puts a kernel, a command line and an initial RAM disk into the guest's memory, describes them in the
//! [zero page](Boot::zero_page), and starts the guest in protected mode without paging. CS is [`CODE`], executable; DS,
//! ES and SS are [`DATA`], writable; all are flat and have a limit of 4 GiB. Interrupts are off. ESI is the address of
//! the zero page; EBP, EDI and EBX are 0.
//!
//! The kernel is either the protected-mode part of a bzImage, at [`Header::code`], or the vmlinux that is packed in it
//! ([`vmlinux`](crate::vmlinux)). Both need the bzImage's header.
use core::fmt;
use core::ops::Range;

/// Selector of the guest's code segment.
pub const CODE: u16 = 0x10;
/// Selector of the guest's data segments.
pub const DATA: u16 = 0x18;

/// Where a monitor has the guest's first byte of memory, in its own address space.
pub const MONITOR_BASE: u32 = 0x5000_0000;

/// The prompt of the guest's shell, with which it says that it has started.
pub const PROMPT: &str = "guest# ";

/// Bytes of the zero page.
pub const ZERO_PAGE: usize = 4096;
/// Oldest version of the protocol that is accepted: 2.06, which has the longest command line.
const OLDEST: u16 = 0x206;

/// Fields of the zero page, by offset. A bzImage has the header's at the same offsets.
const MEMORY_COUNT: usize = 0x1E8;
const SETUP_SECTORS: usize = 0x1F1;
const BOOT_FLAG: usize = 0x1FE;
const HEADER_LENGTH: usize = 0x201;
const MAGIC: usize = 0x202;
const VERSION: usize = 0x206;
const LOADER: usize = 0x210;
const LOAD_FLAGS: usize = 0x211;
const CODE_START: usize = 0x214;
const RAMDISK: usize = 0x218;
const RAMDISK_SIZE: usize = 0x21C;
const COMMAND_LINE: usize = 0x228;
const RAMDISK_LAST: usize = 0x22C;
const COMMAND_LINE_SIZE: usize = 0x238;
const PAYLOAD: usize = 0x248;
const PAYLOAD_SIZE: usize = 0x24C;
const HEADER_END: usize = 0x290;
const MEMORY: usize = 0x2D0;

/// The maximum number of ranges of memory.
const RANGES: usize = 128;
/// Bytes of a range: address, size, kind.
const RANGE: usize = 20;
/// The loader has no number of its own.
const UNDEFINED: u8 = 0xFF;
/// Load flags: the protected-mode code belongs at 1 MiB.
const HIGH: u8 = 1;
/// Bytes of a sector, and sectors of the real-mode code if the header says 0.
const SECTOR: usize = 512;
const DEFAULT_SECTORS: usize = 4;

/// Why a file is not a bzImage that can be started. The file is at fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// There is no boot sector, or no header in it.
    NotLinux,
    /// The version of its boot protocol is older than 2.06.
    TooOld(u16),
    /// It is an old zImage, whose code belongs below 1 MiB.
    NotHigh,
    /// The header ends before its fields or outside the file, or the code is not in the file.
    CutOff,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::NotLinux => formatter.write_str("not a Linux kernel (bzImage)"),
            Malformed::TooOld(version) => {
                let [minor, major] = version.to_le_bytes();
                write!(formatter, "a kernel with boot protocol {major}.{minor:02}, which is older than 2.06")
            }
            Malformed::NotHigh => formatter.write_str("a kernel that is loaded below 1 MiB (zImage)"),
            Malformed::CutOff => formatter.write_str("a kernel that is cut off"),
        }
    }
}

impl core::error::Error for Malformed {}

/// The header of a bzImage, checked.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    file: &'a [u8],
    end: usize,
    code: &'a [u8],
}

impl<'a> Header<'a> {
    /// Reads a bzImage.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn parse(file: &'a [u8]) -> Result<Header<'a>, Malformed> {
        if half(file, BOOT_FLAG) != Some(0xAA55) || file.get(MAGIC..MAGIC + 4) != Some(b"HdrS") {
            return Err(Malformed::NotLinux);
        }
        let version = half(file, VERSION).ok_or(Malformed::CutOff)?;
        if version < OLDEST {
            return Err(Malformed::TooOld(version));
        }
        let end = MAGIC + usize::from(file[HEADER_LENGTH]);
        if end < COMMAND_LINE_SIZE + 4 || end > HEADER_END || file.len() < end {
            return Err(Malformed::CutOff);
        }
        if file[LOAD_FLAGS] & HIGH == 0 {
            return Err(Malformed::NotHigh);
        }
        let sectors = match usize::from(file[SETUP_SECTORS]) {
            0 => DEFAULT_SECTORS,
            sectors => sectors,
        };
        let code = file.get((sectors + 1) * SECTOR..).filter(|code| !code.is_empty()).ok_or(Malformed::CutOff)?;
        Ok(Header { file, end, code })
    }

    /// The protected-mode code.
    pub fn code(&self) -> &'a [u8] {
        self.code
    }

    /// The kernel that the protected-mode code unpacks, as it is packed, if the header says where it is. The first bytes
    /// tell how: XZ, LZ4 and others are in use.
    pub fn payload(&self) -> Option<&'a [u8]> {
        let word = |offset: usize| (offset + 4 <= self.end).then(|| self.word(offset) as usize);
        let start = word(PAYLOAD)?;
        self.code.get(start..start.checked_add(word(PAYLOAD_SIZE)?)?)
    }

    /// The address that the protected-mode code is loaded to, and its entry point.
    pub fn code_start(&self) -> u32 {
        self.word(CODE_START)
    }

    /// The maximum number of bytes of the command line, without the 0 at its end.
    pub fn command_line_limit(&self) -> u32 {
        self.word(COMMAND_LINE_SIZE)
    }

    /// Last address at which the RAM disk may have a byte.
    pub fn ramdisk_last(&self) -> u32 {
        self.word(RAMDISK_LAST)
    }

    /// A field of the header.
    fn word(&self, offset: usize) -> u32 {
        let bytes = self.file[..self.end].get(offset..offset + 4);
        bytes.map_or(0, |bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

fn half(file: &[u8], offset: usize) -> Option<u16> {
    file.get(offset..offset + 2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
}

/// What a range of guest-physical addresses is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// RAM that the kernel may use.
    Usable = 1,
    /// Anything else.
    Reserved = 2,
}

/// A range of guest-physical addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub kind: Kind,
}

/// The memory of a PC with this many bytes of RAM: usable below 640 KiB but for the last one, and from 1 MiB on.
pub const fn pc_memory(bytes: u32) -> [Memory; 3] {
    const TOP: u64 = 0x9_FC00;
    const HIGH: u64 = 0x10_0000;
    [
        Memory { start: 0, size: TOP, kind: Kind::Usable },
        Memory { start: TOP, size: HIGH - TOP, kind: Kind::Reserved },
        Memory { start: HIGH, size: (bytes as u64).saturating_sub(HIGH), kind: Kind::Usable },
    ]
}

/// Why a guest cannot be started like that. The monitor or its configuration is at fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// More than 128 ranges of memory.
    TooManyRanges,
    /// The command line is longer than this many bytes.
    CommandLineTooLong(u32),
    /// The command line is not in one usable range of memory.
    CommandLineOutside,
    /// The RAM disk is not in one usable range of memory.
    RamdiskOutside,
    /// The RAM disk reaches above this address, and the kernel would not find it.
    RamdiskTooHigh(u32),
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::TooManyRanges => formatter.write_str("more than 128 ranges of memory"),
            Refused::CommandLineTooLong(limit) => {
                write!(formatter, "the kernel's command line is longer than {limit} bytes")
            }
            Refused::CommandLineOutside => formatter.write_str("the command line is not in the guest's memory"),
            Refused::RamdiskOutside => formatter.write_str("the RAM disk is not in the guest's memory"),
            Refused::RamdiskTooHigh(last) => write!(formatter, "the RAM disk reaches above {last:#x}"),
        }
    }
}

impl core::error::Error for Refused {}

/// What a kernel is told about its machine. Addresses are guest-physical.
#[derive(Clone, Debug)]
pub struct Boot<'a> {
    /// All memory, in the order of addresses.
    pub memory: &'a [Memory],
    /// The command line, without the 0 that follows it.
    pub command_line: Range<u32>,
    /// The initial RAM disk.
    pub ramdisk: Option<Range<u32>>,
}

impl Boot<'_> {
    /// Builds the zero page (`boot_params`) for a kernel.
    ///
    /// # Errors
    /// See [`Refused`]. The page is not changed then.
    pub fn zero_page(&self, header: &Header<'_>, page: &mut [u8; ZERO_PAGE]) -> Result<(), Refused> {
        self.check(header)?;
        page.fill(0);
        let mut put = |offset: usize, bytes: &[u8]| page[offset..offset + bytes.len()].copy_from_slice(bytes);
        put(SETUP_SECTORS, &header.file[SETUP_SECTORS..header.end]);
        put(LOADER, &[UNDEFINED]);
        put(COMMAND_LINE, &self.command_line.start.to_le_bytes());
        let ramdisk = self.ramdisk.clone().unwrap_or(0..0);
        put(RAMDISK, &ramdisk.start.to_le_bytes());
        put(RAMDISK_SIZE, &(ramdisk.end - ramdisk.start).to_le_bytes());
        put(MEMORY_COUNT, &[self.memory.len() as u8]);
        for (index, range) in self.memory.iter().enumerate() {
            let offset = MEMORY + index * RANGE;
            put(offset, &range.start.to_le_bytes());
            put(offset + 8, &range.size.to_le_bytes());
            put(offset + 16, &(range.kind as u32).to_le_bytes());
        }
        Ok(())
    }

    fn check(&self, header: &Header<'_>) -> Result<(), Refused> {
        if self.memory.len() > RANGES {
            return Err(Refused::TooManyRanges);
        }
        let Range { start, end } = self.command_line;
        // The 0 behind it is in memory as well.
        if start > end || !self.is_usable(start.into(), u64::from(end) + 1) {
            return Err(Refused::CommandLineOutside);
        }
        if end - start > header.command_line_limit() {
            return Err(Refused::CommandLineTooLong(header.command_line_limit()));
        }
        let Some(Range { start, end }) = self.ramdisk else { return Ok(()) };
        if start > end || !self.is_usable(start.into(), end.into()) {
            return Err(Refused::RamdiskOutside);
        }
        if end > start && end - 1 > header.ramdisk_last() {
            return Err(Refused::RamdiskTooHigh(header.ramdisk_last()));
        }
        Ok(())
    }

    /// Whether addresses from `start` to below `end` are in one usable range.
    fn is_usable(&self, start: u64, end: u64) -> bool {
        self.memory.iter().any(|range| {
            let holds = range.start <= start && end <= range.start.saturating_add(range.size);
            range.kind == Kind::Usable && holds
        })
    }
}

#[cfg(test)]
mod tests;
