//! Writes boot archives: `boot.txt`, the image's symbols, and the programs.

use crate::host::error::Error;
use kernel::handover::archive::{BOOT_LIST, WATCH};
use kernel::handover::symbols;
use object::{Object, ObjectSymbol, SymbolKind};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Writes the archive for the image at `image` to `path`: the boot list, the image's symbols, and the programs with
/// their names. If `watched`, the archive also says that somebody watches the machine.
pub fn write(
    path: &Path,
    image: &Path,
    boot_list: &str,
    programs: &[(&str, &[u8])],
    watched: bool,
) -> Result<(), Error> {
    let symbols = symbol_table(image)?;
    let mut files = vec![(BOOT_LIST, boot_list.as_bytes()), (symbols::FILE, symbols.as_bytes())];
    files.extend(watched.then_some((WATCH, &[][..])));
    files.extend(programs);

    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
    }
    let file = fs::File::create(path).map_err(Error::file("write", path))?;
    let mut builder = tar::Builder::new(file);
    for (name, data) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, data).map_err(Error::file("write", path))?;
    }
    builder.finish().map_err(Error::file("write", path))
}

/// The symbol table of a linked image, in the form that [`kernel::handover::symbols`] reads.
pub fn symbol_table(image: &Path) -> Result<String, Error> {
    let bytes = fs::read(image).map_err(Error::file("read", image))?;
    let elf =
        object::File::parse(bytes.as_slice()).map_err(|source| Error::Symbols { path: image.to_path_buf(), source })?;
    let mut functions: Vec<(u64, u64, &str)> = elf
        .symbols()
        .filter(|symbol| {
            symbol.is_definition()
                && matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Label | SymbolKind::Unknown)
        })
        .filter_map(|symbol| Some((symbol.address(), symbol.size(), symbol.name().ok()?)))
        .filter(|&(address, _, name)| address >= kernel::mm::layout::IMAGE_BASE && !name.is_empty())
        .collect();
    functions.sort_unstable();
    // Labels in assembly have no size: each extends to the next symbol. The last symbol is the linker's mark of the
    // image's end, which is left out.
    let ends: Vec<u64> = functions.iter().skip(1).map(|next| next.0).collect();
    let mut table = String::new();
    for (&(address, size, name), end) in functions.iter().zip(ends) {
        let size = if size == 0 { end - address } else { size };
        if size > 0 {
            let _ = writeln!(table, "{address:x} {size:x} {:#}", rustc_demangle::demangle(name));
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::handover::archive::Archive;
    use std::env;

    #[test]
    fn the_kernel_reads_what_is_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("new").join("boot.tar");
        let program: (&str, &[u8]) = ("hello", &[7; 1000]);
        // Any ELF file works; this one has no functions at an image's addresses.
        let image = env::current_exe().expect("this test");
        write(&path, &image, "0 hello 40\n", &[program], false).expect("an archive");
        let bytes = fs::read(&path).expect("the archive");
        let archive = Archive::new(&bytes).expect("a tar file");
        assert_eq!(archive.find_text(BOOT_LIST), Some("0 hello 40\n"));
        assert_eq!(archive.find_text(symbols::FILE), Some(""));
        assert_eq!(archive.find("hello"), Some(&[7; 1000][..]));
    }

    #[test]
    fn what_is_not_an_image_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let image = directory.path().join("image");
        fs::write(&image, "no ELF file").expect("a file");
        let error = write(&directory.path().join("boot.tar"), &image, "", &[], false).expect_err("not an image");
        assert!(matches!(error, Error::Symbols { path, .. } if path == image));
    }
}
