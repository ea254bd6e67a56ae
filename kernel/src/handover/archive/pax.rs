//! Pax headers: additional data about the entry that follows.

/// The contents of a pax header are damaged.
#[derive(Debug)]
pub(super) struct Damaged;

/// The parts of a pax header that matter here; others, such as times, are ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Remarks<'a> {
    /// The entry's name, if it does not fit the header or is not ASCII.
    pub path: Option<&'a [u8]>,
    /// The entry's size.
    pub size: Option<u64>,
    /// Whether the file is stored without its holes.
    pub sparse: bool,
}

impl<'a> Remarks<'a> {
    /// Reads the contents of a pax header. They are records `LENGTH KEY=VALUE`, each with a line feed; the length
    /// includes the line feed.
    ///
    /// # Errors
    /// [`Damaged`] if they are none.
    pub fn read(&mut self, mut records: &'a [u8]) -> Result<(), Damaged> {
        while !records.is_empty() {
            let (key, value, rest) = record(records).ok_or(Damaged)?;
            records = rest;
            match key {
                b"path" | b"GNU.sparse.name" => self.path = Some(value),
                b"size" => self.size = Some(number(value).ok_or(Damaged)?),
                _ => {}
            }
            self.sparse |= key.starts_with(b"GNU.sparse.");
        }
        Ok(())
    }
}

/// The key and the value of the first record, and the records that follow it.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().position(|&byte| byte == b' ')?;
    let length = usize::try_from(number(&records[..space])?).ok()?;
    let (record, rest) = records.split_at_checked(length)?;
    let pair = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|&byte| byte == b'=')?;
    Some((&pair[..equals], &pair[equals + 1..], rest))
}

/// A decimal number.
fn number(digits: &[u8]) -> Option<u64> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}
