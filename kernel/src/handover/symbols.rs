//! The image's symbols, for reports. The command line takes them from the linked image and puts them into the boot
//! archive as the file [`FILE`]: one line for each function, `address size name`, both numbers in hexadecimal, in the
//! order of the addresses.

/// Name of the file in the boot archive.
pub const FILE: &str = "symbols";

/// The function that contains an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Symbol<'a> {
    /// Its name, demangled.
    pub name: &'a str,
    /// Bytes from the function's start.
    pub offset: u64,
}

/// The table.
#[derive(Clone, Copy, Debug)]
pub struct Symbols<'a> {
    text: &'a str,
}

impl<'a> Symbols<'a> {
    /// A table with this text. Lines of another form are skipped.
    pub const fn new(text: &'a str) -> Symbols<'a> {
        Symbols { text }
    }

    /// The function that contains `address`. The search is linear: it runs once for each line of a report.
    pub fn find(&self, address: u64) -> Option<Symbol<'a>> {
        self.text.lines().filter_map(parse).find_map(|(start, size, name)| {
            let offset = address.checked_sub(start)?;
            (offset < size).then_some(Symbol { name, offset })
        })
    }
}

fn parse(line: &str) -> Option<(u64, u64, &str)> {
    let (start, rest) = line.split_once(' ')?;
    let (size, name) = rest.split_once(' ')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(size, 16).ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Symbols = Symbols::new(
        "ffffffff80001000 20 kernel::first\n\
         nonsense\n\
         ffffffff80001020 10 <a as b<c>>::second\n\
         ffffffff80002000 1 last\n",
    );

    #[test]
    fn finds_the_function_around_an_address() {
        let name = |address| TABLE.find(address).map(|symbol| (symbol.name, symbol.offset));
        assert_eq!(name(0xffff_ffff_8000_1000), Some(("kernel::first", 0)));
        assert_eq!(name(0xffff_ffff_8000_101f), Some(("kernel::first", 0x1f)));
        assert_eq!(name(0xffff_ffff_8000_1020), Some(("<a as b<c>>::second", 0)));
        assert_eq!(name(0xffff_ffff_8000_1030), None);
        assert_eq!(name(0xffff_ffff_8000_2001), None);
        assert_eq!(name(0), None);
        assert_eq!(Symbols::new("").find(1), None);
    }
}
