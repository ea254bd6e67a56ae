//! The programs of the boot archive, and the boot list that says which of them to start.
use super::archive::{Archive, BOOT_LIST, File, WATCH};
use super::symbols;
use abi::boot::Words;
use syscall::image::{Malformed, ParsedImage};

/// A program of the boot archive.
#[derive(Clone, Debug)]
pub struct Program<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its ELF file.
    pub file: &'a [u8],
    /// The contents of the file, parsed.
    pub image: ParsedImage,
}

/// Why an archive cannot be run: the fault of the program or person that built it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem<'a> {
    /// A program cannot be loaded.
    #[error("program {0}: {1}")]
    Malformed(&'a str, Malformed),
    /// A line of the boot list cannot be read.
    #[error("{0}")]
    Line(abi::boot::BootListError<'a>),
    /// A line names a CPU that the machine does not have.
    #[error("boot list, line {line}: there is no CPU {cpu}")]
    NoCpu {
        /// The line's number.
        line: u32,
        /// The CPU.
        cpu: u32,
    },
    /// A line names a program that is not in the archive.
    #[error("boot list, line {line}: there is no program {name}")]
    NoProgram {
        /// The line's number.
        line: u32,
        /// The name.
        name: &'a str,
    },
}

/// The archive's programs, in its order: a program's index is its image number. These files are not programs: the boot
/// list, the symbols, and the file that requests a watched machine.
pub fn programs<'a>(archive: &Archive<'a>) -> impl Iterator<Item = Result<Program<'a>, Problem<'a>>> {
    let files = archive.files().filter(|file| ![BOOT_LIST, WATCH, symbols::FILE].contains(&file.name));
    files.map(|File { name, data }| match ParsedImage::parse(data) {
        Ok(image) => Ok(Program { name, file: data, image }),
        Err(malformed) => Err(Problem::Malformed(name, malformed)),
    })
}

/// A line of the boot list that can be carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Start<'a> {
    /// The CPU whose main thread starts the program.
    pub cpu: u32,
    /// The program's image number.
    pub image: u32,
    /// Pages that the program gets.
    pub quota: u32,
    /// Its arguments.
    pub arguments: Words<'a>,
}

/// The lines of a boot list, for a machine with these programs and `cpus` CPUs.
pub fn starts<'a>(
    list: &'a str,
    programs: &[Program],
    cpus: u32,
) -> impl Iterator<Item = Result<Start<'a>, Problem<'a>>> {
    abi::boot::parse(list).map(move |line| {
        let abi::boot::Start { cpu, image: name, quota, arguments, line } = line.map_err(Problem::Line)?;
        if cpu >= cpus {
            return Err(Problem::NoCpu { line, cpu });
        }
        let image = programs.iter().position(|program| program.name == name);
        let image = image.ok_or(Problem::NoProgram { line, name })? as u32;
        Ok(Start { cpu, image, quota, arguments })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// An ELF file for x86-64 with one segment, a page at 1 GiB.
    fn elf() -> Vec<u8> {
        let mut file = std::vec![0x7F, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let base = u64::from(abi::ADR_LOW);
        file.extend([2u16, 62].iter().flat_map(|half| half.to_le_bytes()));
        file.extend(1u32.to_le_bytes());
        file.extend([base, 64, 0].iter().flat_map(|wide| wide.to_le_bytes()));
        file.extend(0u32.to_le_bytes());
        file.extend([64u16, 56, 1, 64, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
        file.extend([1u32, 5].iter().flat_map(|word| word.to_le_bytes()));
        file.extend([0, base, base, 64, 64, 1].iter().flat_map(|wide: &u64| wide.to_le_bytes()));
        file
    }

    fn archive(files: &[(&str, &[u8])]) -> &'static [u8] {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, data) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *data).expect("writing to memory");
        }
        builder.into_inner().expect("writing to memory").leak()
    }

    #[test]
    fn image_numbers_count_programs_only() {
        let (elf, list) = (elf(), "1 b 7\n0 a 5 # first\n");
        let bytes = archive(&[(BOOT_LIST, list.as_bytes()), (symbols::FILE, b""), ("a", &elf), ("b", &elf)]);
        let archive = Archive::new(bytes).expect("a tar file");
        let programs: Vec<_> = programs(&archive).collect::<Result<_, _>>().expect("programs");
        assert!(programs.iter().map(|program| program.name).eq(["a", "b"]));
        let lines = |cpus| starts(list, &programs, cpus).collect::<Result<Vec<_>, _>>();
        let arguments = Words::default();
        let first = Start { cpu: 1, image: 1, quota: 7, arguments };
        assert_eq!(lines(2), Ok(std::vec![first, Start { cpu: 0, image: 0, quota: 5, arguments }]));
        assert_eq!(lines(1), Err(Problem::NoCpu { line: 1, cpu: 1 }));
        let unknown = starts("0 c 5", &programs, 1).next();
        assert_eq!(unknown, Some(Err(Problem::NoProgram { line: 1, name: "c" })));
    }

    #[test]
    fn what_is_no_program_is_named() {
        let archive = Archive::new(archive(&[("bad", b"text")])).expect("a tar file");
        let problem = programs(&archive).next().expect("a file").expect_err("no program");
        assert_eq!(std::format!("{problem}"), "program bad: not an ELF file");
    }
}
