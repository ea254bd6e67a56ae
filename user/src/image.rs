//! The programs, in the order of their boot archive. The image number of [`spawn`](crate::sys::spawn) is an index into
//! this list.

// `NAMES` and `BENCH`: the lines of programs/images.txt and programs/bench-images.txt.
include!(concat!(env!("OUT_DIR"), "/names.rs"));

/// The image number of the program called `name`, or `None` if there is no such program.
///
/// ```
/// const HELLO: u32 = user::image::number("hello").unwrap();
/// assert_eq!(user::image::NAMES[HELLO as usize], "hello");
/// ```
pub const fn number(name: &str) -> Option<u32> {
    position(NAMES, name)
}

/// Like [`number`], in the bench's own archive.
pub const fn bench_number(name: &str) -> Option<u32> {
    position(BENCH, name)
}

/// The index of `name` in `names`.
const fn position(names: &[&str], name: &str) -> Option<u32> {
    let mut index = 0;
    while index < names.len() {
        if same(names[index].as_bytes(), name.as_bytes()) {
            return Some(index as u32);
        }
        index += 1;
    }
    None
}

/// `a == b`, which slices do not support in a constant.
const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{BENCH, NAMES, bench_number, number};

    #[test]
    fn each_name_has_its_own_number() {
        for (index, name) in NAMES.iter().enumerate() {
            assert_eq!(number(name), Some(index as u32), "{name}");
        }
        assert_eq!(bench_number(BENCH[1]), Some(1));
    }

    #[test]
    fn an_unknown_name_has_none() {
        assert_eq!(number(""), None);
        assert_eq!(number("hell"), None);
        assert_eq!(number("helloo"), None);
        assert_eq!(number(BENCH[0]), None);
    }
}
