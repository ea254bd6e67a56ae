//! The boot archive: a ustar file that the boot loader puts into memory, with `boot.txt`, the image's
//! symbols and the programs.

use tar_no_std::{ArchiveEntry, TarArchiveRef};

/// Name of the boot list in the archive: which programs to start.
pub const BOOT_LIST: &str = "boot.txt";
/// Name of a file whose presence says that somebody watches the machine; what it holds does not matter.
pub const WATCH: &str = "watch.txt";

/// The archive is not a tar file: whoever built it is to blame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt;

/// The archive.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    tar: TarArchiveRef<'a>,
}

/// A file of the archive.
#[derive(Debug)]
pub struct File<'a>(ArchiveEntry<'a>);

impl<'a> File<'a> {
    /// Its name; empty if it is not text.
    pub fn name(&self) -> Name {
        Name(self.0.filename())
    }

    /// Its contents.
    pub fn data(&self) -> &'a [u8] {
        self.0.data()
    }
}

/// The name of a file, at most 256 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name(tar_no_std::TarFormatString<256>);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str().unwrap_or("")
    }
}

impl<'a> Archive<'a> {
    /// Checks the archive from its first to its last header.
    pub fn new(bytes: &'a [u8]) -> Result<Archive<'a>, Corrupt> {
        Ok(Archive { tar: TarArchiveRef::new(bytes).map_err(|_| Corrupt)? })
    }

    /// The files, in their order.
    pub fn files(&self) -> impl Iterator<Item = File<'a>> {
        self.tar.entries().map(File)
    }

    /// Contents of the first file of this name.
    pub fn find(&self, name: &str) -> Option<&'a [u8]> {
        self.files().find(|file| file.name().as_str() == name).map(|file| file.data())
    }

    /// Contents of the first file of this name, if it is text.
    pub fn find_text(&self, name: &str) -> Option<&'a str> {
        core::str::from_utf8(self.find(name)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn sample() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, data) in [("boot.txt", &b"program hello\n"[..]), ("hello", &[7; 1000]), ("empty", &[])] {
            let mut header = tar::Header::new_ustar();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, data).expect("writing to memory");
        }
        builder.into_inner().expect("writing to memory")
    }

    #[test]
    fn finds_files() {
        let bytes = sample();
        let archive = Archive::new(&bytes).expect("a tar file");
        assert_eq!(archive.find_text("boot.txt"), Some("program hello\n"));
        assert_eq!(archive.find("hello").map(<[u8]>::len), Some(1000));
        assert_eq!(archive.find("empty"), Some(&[][..]));
        assert_eq!(archive.find("absent"), None);
        assert_eq!(archive.files().count(), 3);
    }

    #[test]
    fn refuses_what_is_not_an_archive() {
        assert_eq!(Archive::new(&[]).err(), Some(Corrupt));
        assert_eq!(Archive::new(&[1; 2048]).err(), Some(Corrupt));
    }

    proptest! {
        #[test]
        fn never_panics_on_a_damaged_archive(damage in proptest::collection::vec((0usize..4096, any::<u8>()), 1..6)) {
            let mut bytes = sample();
            for (at, value) in damage {
                bytes[at] = value;
            }
            if let Ok(archive) = Archive::new(&bytes) {
                for file in archive.files() {
                    let _ = (file.name().as_str().len(), file.data().len());
                }
            }
        }
    }
}
