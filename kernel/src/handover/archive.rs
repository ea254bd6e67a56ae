//! The boot archive: a tar file that the boot loader puts into memory, with `boot.txt`, the image's symbols and the
//! programs.
//!
//! `tar -cf boot.tar -C DIRECTORY .` makes one. Files with short names are read. Directories are skipped. Pax headers
//! are read for their data about the file after them. Every other entry is refused, and the error names it, because a
//! program that is silently missing is harder to find.

mod pax;
#[cfg(test)]
mod tests;

use core::fmt;
use pax::{Damaged, Remarks};
use tar_no_std::{CorruptDataError, TarArchiveRef};

/// Name of the boot list in the archive: the file that says which programs to start.
pub const BOOT_LIST: &str = "boot.txt";
/// Name of a file whose presence means that a program watches the machine. Its contents do not
/// matter.
pub const WATCH: &str = "watch.txt";

/// Bytes of a header. The size of a file is rounded up to a multiple of this number.
const BLOCK: usize = 512;
/// Bytes of a file's name, at most.
const NAME: usize = 100;
/// Offset of the type of an entry in its header.
const TYPE: usize = 156;

/// Why an archive cannot be used: the fault of the program or person that built it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unusable<'a> {
    /// The name of the offending entry, as far as it can be read; empty if no single entry is to blame.
    pub entry: &'a [u8],
    /// The reason.
    pub why: Why,
}

/// What is wrong with an archive or an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Why {
    /// It is not a tar file, or it is damaged.
    #[error("{0}")]
    Corrupt(CorruptDataError),
    /// The name is longer than 100 bytes.
    #[error("its name is longer than {NAME} bytes")]
    LongName,
    /// The name is not UTF-8 text, or has control characters.
    #[error("its name is not printable text")]
    Unprintable,
    /// It is a link to another file.
    #[error("it is a link; tar --dereference --hard-dereference puts files there")]
    Link,
    /// It is a device, or a pipe.
    #[error("it is no file and no directory")]
    Special,
    /// The file is stored without its holes.
    #[error("it is stored without its holes; leave tar's --sparse out")]
    Sparse,
    /// It is larger than a header can state.
    #[error("its size is not written as octal digits, so it is too large")]
    TooLarge,
    /// An earlier file has the same name.
    #[error("there are two files of this name")]
    Twice,
    /// Its pax header cannot be read, or sets for all entries what the kernel accepts for one entry only.
    #[error("its pax header is damaged")]
    BadRemarks,
    /// The kernel does not know its type.
    #[error("its type is '{}', which is not known here", .0.escape_ascii())]
    UnknownType(u8),
}

impl fmt::Display for Unusable<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.entry.is_empty() {
            write!(formatter, "{}: ", self.entry.escape_ascii())?;
        }
        write!(formatter, "{}", self.why)
    }
}

impl core::error::Error for Unusable<'_> {}

/// The archive.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    tar: TarArchiveRef<'a>,
}

/// A file of the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct File<'a> {
    /// Its name, printable, without a `./` before it.
    pub name: &'a str,
    /// Its contents.
    pub data: &'a [u8],
}

impl<'a> Archive<'a> {
    /// Checks the archive from its first to its last header.
    ///
    /// # Errors
    /// [`Unusable`], with the first reason of [`Why`] that is found.
    pub fn new(bytes: &'a [u8]) -> Result<Archive<'a>, Unusable<'a>> {
        let tar = TarArchiveRef::new(bytes).map_err(|error| explain(bytes, error))?;
        let archive = Archive { bytes, tar };
        for entry in archive.entries() {
            let file = entry?;
            // `find` returns the first file with a name.
            if archive.find(file.name).map(<[u8]>::as_ptr) != Some(file.data.as_ptr()) {
                return Err(Unusable { entry: file.name.as_bytes(), why: Why::Twice });
            }
        }
        Ok(archive)
    }

    /// The files, in their order.
    pub fn files(&self) -> impl Iterator<Item = File<'a>> + use<'a> {
        self.entries().filter_map(Result::ok)
    }

    /// Contents of the first file of this name.
    pub fn find(&self, name: &str) -> Option<&'a [u8]> {
        self.files().find(|file| file.name == name).map(|file| file.data)
    }

    /// Contents of the first file of this name, if it is text.
    pub fn find_text(&self, name: &str) -> Option<&'a str> {
        core::str::from_utf8(self.find(name)?).ok()
    }

    /// The files, and an error for each entry that cannot be used.
    fn entries(&self) -> impl Iterator<Item = Result<File<'a>, Unusable<'a>>> + use<'a> {
        let bytes = self.bytes;
        // The data of pax headers about the entry that follows them.
        let mut remarks = Remarks::default();
        self.tar.headers().filter_map(move |(index, _)| entry(bytes, index, &mut remarks).transpose())
    }
}

/// The entry whose header is block `index`, to which the pax header before it adds `remarks`; `None` if it is not a
/// file.
fn entry<'a>(bytes: &'a [u8], index: usize, remarks: &mut Remarks<'a>) -> Result<Option<File<'a>>, Unusable<'a>> {
    let header = &bytes[index * BLOCK..][..BLOCK];
    let kind = header[TYPE];
    if matches!(kind, b'x' | b'g') {
        let unusable = |why| Unusable { entry: name_of(header), why };
        let records = payload(bytes, index).ok_or(unusable(Why::TooLarge))?;
        remarks.read(records).map_err(|Damaged| unusable(Why::BadRemarks))?;
        // A header for all entries may not set anything that the kernel reads.
        if kind == b'g' && *remarks != Remarks::default() {
            return Err(unusable(Why::BadRemarks));
        }
        return Ok(None);
    }
    let Remarks { path, size, sparse } = core::mem::take(remarks);
    let name = without_dot(path.unwrap_or(name_of(header)));
    let unusable = |why| Err(Unusable { entry: name, why });
    match kind {
        b'1' | b'2' => return unusable(Why::Link),
        b'3' | b'4' | b'6' => return unusable(Why::Special),
        b'5' => return Ok(None),
        // Before tar had a type for directories, a trailing slash marked one.
        _ if name.ends_with(b"/") => return Ok(None),
        _ => {}
    }
    if path.is_none() && has_prefix(header) || name.len() > NAME {
        return unusable(Why::LongName);
    }
    if sparse {
        return unusable(Why::Sparse);
    }
    let data = payload(bytes, index).filter(|data| size.is_none_or(|size| size == data.len() as u64));
    let Some(data) = data else { return unusable(Why::TooLarge) };
    match core::str::from_utf8(name) {
        Ok(name) if !name.is_empty() && !name.contains(char::is_control) => Ok(Some(File { name, data })),
        _ => unusable(Why::Unprintable),
    }
}

/// Why an archive that cannot be read to its end is unusable.
fn explain(bytes: &[u8], error: CorruptDataError) -> Unusable<'_> {
    use CorruptDataError::*;
    let index = match error {
        InvalidChecksum { block_index }
        | InvalidTypeFlag { block_index }
        | InvalidPayloadSize { block_index }
        | PayloadExtendsBeyondArchive { block_index } => block_index,
        EmptyArchive | InvalidBlockSize | TooShort { .. } | MissingTerminator => {
            return Unusable { entry: &[], why: Why::Corrupt(error) };
        }
    };
    let Some(header) = bytes.chunks_exact(BLOCK).nth(index) else {
        return Unusable { entry: &[], why: Why::Corrupt(error) };
    };
    let mut entry = without_dot(name_of(header));
    let why = match (error, header[TYPE]) {
        // A long name has a header of its own, which comes first; its contents are the name.
        (InvalidTypeFlag { .. }, b'L') => {
            entry = payload(bytes, index).map_or(entry, |name| without_dot(until_zero(name)));
            Why::LongName
        }
        (InvalidTypeFlag { .. }, b'K') => Why::Link,
        (InvalidTypeFlag { .. }, b'S') => Why::Sparse,
        (InvalidTypeFlag { .. }, kind) => Why::UnknownType(kind),
        // The highest bit means that the size is a binary number.
        (InvalidPayloadSize { .. }, _) if header[124] & 0x80 != 0 => Why::TooLarge,
        _ => Why::Corrupt(error),
    };
    Unusable { entry, why }
}

/// The contents of the entry whose header is block `index`, if they are complete and the size is written in octal
/// digits.
fn payload(bytes: &[u8], index: usize) -> Option<&[u8]> {
    let start = (index + 1) * BLOCK;
    let digits = bytes[index * BLOCK..][124..136].trim_ascii();
    let digits = core::str::from_utf8(until_zero(digits)).ok()?;
    let size = usize::from_str_radix(digits.trim_end(), 8).ok()?;
    bytes.get(start..start.checked_add(size)?)
}

/// The name in a header.
fn name_of(header: &[u8]) -> &[u8] {
    until_zero(&header[..NAME])
}

/// Whether a header has a prefix, which is the front part of a longer name.
fn has_prefix(header: &[u8]) -> bool {
    header[257..].starts_with(b"ustar\0") && header[345] != 0
}

/// The bytes before the first zero.
fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A name without the `./` that `tar` puts before it when it packs the directory `.`.
fn without_dot(mut name: &[u8]) -> &[u8] {
    while let Some(rest) = name.strip_prefix(b"./") {
        name = rest;
        while let Some(rest) = name.strip_prefix(b"/") {
            name = rest;
        }
    }
    name
}
