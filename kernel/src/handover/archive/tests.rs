use super::*;
use proptest::prelude::*;
use std::path::Path;
use std::process::Command;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{env, format, fs, process};

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

/// An archive with one entry of this type, whose header `change` changes before its checksum is made.
fn one(kind: u8, change: impl FnOnce(&mut [u8; BLOCK]), data: &[u8]) -> Vec<u8> {
    let mut header = [0; BLOCK];
    header[..5].copy_from_slice(b"entry");
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
    header[TYPE] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    change(&mut header);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = [&header, data].concat();
    bytes.resize(bytes.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    bytes
}

/// The error message for an archive that cannot be used.
fn problem(bytes: &[u8]) -> String {
    Archive::new(bytes).expect_err("an archive that cannot be used").to_string()
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
    assert_eq!(problem(&[]), "archive contains no data");
    assert!(problem(&[1; 2048]).ends_with("header at block 0 has an invalid checksum"));
}

/// A directory that is removed when dropped.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = env::temp_dir().join(format!("cairn-archive-{}-{name}", process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The archive that the system's `tar` makes of a directory.
fn packed(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("tar").args(["-cf", "-"]).args(arguments).arg("-C").arg(directory).arg(".").output();
    let output = output.expect("tar is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

const FORMATS: [&str; 4] = ["--format=v7", "--format=ustar", "--format=gnu", "--format=pax"];

#[test]
fn what_tar_makes_of_a_directory_is_an_archive() {
    let directory = Directory::new("usual");
    let name = "n".repeat(NAME - 2);
    let files =
        [("boot.txt", &b"0 hello 48\n"[..]), ("hello", &[7; 1000]), ("empty", b""), ("more/x", b"y"), (&name, b"z")];
    fs::create_dir(directory.0.join("more")).expect("a directory");
    for (name, data) in files {
        fs::write(directory.0.join(name), data).expect("a file");
    }
    for format in FORMATS {
        let bytes = packed(&directory.0, &[format]);
        let archive = Archive::new(&bytes).unwrap_or_else(|unusable| panic!("{format}: {unusable}"));
        for (name, data) in files {
            assert_eq!(archive.find(name), Some(data), "{format}: {name}");
        }
        assert_eq!(archive.files().count(), files.len(), "{format}");
    }
    // If times are as exact as the file system's, every entry has a pax header of its own.
    let bytes = packed(&directory.0, &["--format=pax", "--pax-option=comment:=about"]);
    assert_eq!(Archive::new(&bytes).expect("an archive").files().count(), files.len());
}

#[test]
fn what_tar_makes_of_odd_files_is_refused_by_name() {
    let directory = Directory::new("odd");
    let name = "long".repeat(40);
    let path = directory.0.join(&name);
    fs::write(&path, "x").expect("a file");
    for format in ["--format=gnu", "--format=pax"] {
        let expected = format!("{name}: its name is longer than 100 bytes");
        assert_eq!(problem(&packed(&directory.0, &[format])), expected, "{format}");
    }
    fs::remove_file(&path).expect("a file");
    // In this format a long name needs a slash, after the name of a directory.
    let deep = directory.0.join("d".repeat(90));
    fs::create_dir(&deep).expect("a directory");
    fs::write(deep.join("f".repeat(50)), "x").expect("a file");
    assert_eq!(
        problem(&packed(&directory.0, &["--format=ustar"])),
        format!("{}: its name is longer than 100 bytes", "f".repeat(50))
    );
    fs::remove_dir_all(&deep).expect("a directory");

    fs::write(directory.0.join("hello"), "x").expect("a file");
    fs::hard_link(directory.0.join("hello"), directory.0.join("other")).expect("a link");
    for format in FORMATS {
        let problem = problem(&packed(&directory.0, &[format, "--sort=name"]));
        assert!(problem.starts_with("other: it is a link"), "{format}: {problem}");
    }
    fs::remove_file(directory.0.join("other")).expect("a link");
    std::os::unix::fs::symlink("hello", directory.0.join("also")).expect("a link");
    assert!(problem(&packed(&directory.0, &[])).starts_with("also: it is a link"));
    assert!(Archive::new(&packed(&directory.0, &["--dereference", "--hard-dereference"])).is_ok());
    fs::remove_file(directory.0.join("also")).expect("a link");

    let holes = fs::File::create(directory.0.join("holes")).expect("a file");
    holes.set_len(1 << 20).expect("a file with a hole");
    for format in ["--format=gnu", "--format=pax"] {
        let problem = problem(&packed(&directory.0, &[format, "--sparse"]));
        assert!(problem.starts_with("holes: it is stored without its holes"), "{format}: {problem}");
    }
    assert!(Archive::new(&packed(&directory.0, &[])).is_ok());
}

#[test]
fn names_beyond_ascii_are_names() {
    let directory = Directory::new("names");
    fs::write(directory.0.join("hellö"), "x").expect("a file");
    for format in FORMATS {
        let bytes = packed(&directory.0, &[format]);
        assert_eq!(Archive::new(&bytes).expect("an archive").find("hellö"), Some(&b"x"[..]), "{format}");
    }
    fs::write(directory.0.join("two\nlines"), "x").expect("a file");
    assert_eq!(problem(&packed(&directory.0, &[])), r"two\nlines: its name is not printable text");
}

#[test]
fn what_cannot_be_used_is_named() {
    let usual = |_: &mut [u8; BLOCK]| ();
    for (bytes, expected) in [
        (one(b'1', usual, b""), "entry: it is a link"),
        (one(b'2', usual, b""), "entry: it is a link"),
        (one(b'3', usual, b""), "entry: it is no file and no directory"),
        (one(b'6', usual, b""), "entry: it is no file and no directory"),
        (one(b'S', usual, b""), "entry: it is stored without its holes"),
        (one(b'K', usual, b"x"), "entry: it is a link"),
        (one(b'L', usual, b"./the/long/name\0"), "the/long/name: its name is longer than 100 bytes"),
        (one(b'V', usual, b""), "entry: its type is 'V'"),
        (one(b'\n', usual, b""), r"entry: its type is '\n'"),
        (one(b'0', |header| header[345] = b'd', b""), "entry: its name is longer than 100 bytes"),
        (one(b'0', |header| header[..6].copy_from_slice(b"\xFFntry\n"), b""), r"\xffntry\n: its name is not printable"),
        (one(b'0', |header| header[..5].fill(0), b""), "its name is not printable"),
        // A size of 8 GiB and more is a binary number.
        (
            one(b'0', |header| header[124..136].copy_from_slice(b"\x80\0\0\0\0\0\0\0\0\0\x02\0"), b""),
            "entry: its size is not",
        ),
        (
            one(b'0', |header| header[124..135].fill(b'7'), b""),
            "entry: payload described by header at block 0 extends beyond",
        ),
        (one(b'0', |header| header[124..135].fill(b'x'), b""), "entry: header at block 0 has an invalid payload size"),
        (one(b'x', usual, b"11 path=hi\n9 nonsense"), "entry: its pax header is damaged"),
        (one(b'x', usual, b"99999999999999999999 path=hi\n"), "entry: its pax header is damaged"),
        (one(b'g', usual, b"11 path=hi\n"), "entry: its pax header is damaged"),
    ] {
        let problem = problem(&bytes);
        assert!(problem.starts_with(expected), "{problem}");
    }
    assert!(Archive::new(&one(b'g', usual, b"19 comment=nothing\n")).is_ok());
    assert!(Archive::new(&one(b'7', usual, b"data")).is_ok_and(|archive| archive.find("entry") == Some(b"data")));
}

#[test]
fn what_a_pax_header_says_of_a_file_holds() {
    let with = |records: &[u8]| {
        let header = one(b'x', |_| (), records);
        [&header[..header.len() - 2 * BLOCK], &one(b'0', |_| (), b"data")].concat()
    };
    let bytes = with(b"15 path=./name\n");
    assert_eq!(Archive::new(&bytes).expect("an archive").find("name"), Some(&b"data"[..]));
    assert_eq!(problem(&with(b"10 size=5\n")), "entry: its size is not written as octal digits, so it is too large");
    assert!(Archive::new(&with(b"10 size=4\n")).is_ok());
    assert!(problem(&with(b"22 GNU.sparse.major=1\n")).starts_with("entry: it is stored without its holes"));
}

#[test]
fn two_files_of_one_name_are_refused() {
    let bytes = [&one(b'0', |_| (), b"a")[..2 * BLOCK], &one(b'0', |_| (), b"b")].concat();
    assert_eq!(problem(&bytes), "entry: there are two files of this name");
}

#[test]
fn an_archive_that_ends_early_is_refused() {
    let bytes = sample();
    let end = bytes.len() - 2 * BLOCK;
    for length in 0..end + 2 * BLOCK {
        match Archive::new(&bytes[..length]) {
            Err(Unusable { why: Why::Corrupt(_), .. }) => {}
            other => panic!("{length} bytes: {other:?}"),
        }
    }
    // The archive ends within the contents of a file.
    assert!(problem(&bytes[..4 * BLOCK]).starts_with("hello: payload"), "{}", problem(&bytes[..4 * BLOCK]));
}

/// Archives in all formats of `tar`, which the test damages.
fn originals() -> &'static [Vec<u8>] {
    static ORIGINALS: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    ORIGINALS.get_or_init(|| {
        let directory = Directory::new("damaged");
        fs::write(directory.0.join("hellö"), [7; 700]).expect("a file");
        fs::create_dir(directory.0.join("more")).expect("a directory");
        fs::write(directory.0.join("more/x"), "x").expect("a file");
        let mut originals: Vec<_> = FORMATS.iter().map(|format| packed(&directory.0, &[format, "-b2"])).collect();
        originals.extend([sample(), one(b'L', |_| (), &[b'x'; 200]), one(b'x', |_| (), b"11 path=hi\n")]);
        originals
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_damage_is_a_panic(
        original in any::<prop::sample::Index>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        mend in any::<bool>(),
    ) {
        let mut bytes = original.get(originals()).clone();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // Without this, the checksum would refuse every damaged header before its fields are read.
        if mend {
            for header in bytes.chunks_exact_mut(BLOCK).filter(|block| block[..NAME].iter().any(|&byte| byte != 0)) {
                header[148..156].fill(b' ');
                let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
                header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        match Archive::new(&bytes) {
            Ok(archive) => for file in archive.files() {
                prop_assert_eq!(archive.find(file.name), Some(file.data));
                prop_assert!(!file.name.contains(char::is_control) && file.name.len() <= NAME);
            },
            Err(unusable) => prop_assert!(!unusable.to_string().contains(char::is_control)),
        }
    }
}
