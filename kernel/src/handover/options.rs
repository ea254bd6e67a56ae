//! Boot options: the words of the command line that the boot loader passes on.

use crate::sync::lock::Kind;

/// The choices of the user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// `lock=ticket` or `lock=mcs`.
    pub lock: Kind,
}

/// A word that is no option (the user's fault).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no boot option {0}")]
pub struct Unknown<'a>(pub &'a str);

impl Options {
    /// Reads a command line. If an option is given twice, the last one counts.
    ///
    /// # Errors
    /// The first word that is no option.
    pub fn parse(line: &str) -> Result<Options, Unknown<'_>> {
        let mut options = Options::default();
        for word in line.split_ascii_whitespace() {
            let lock =
                word.strip_prefix("lock=").and_then(|name| Kind::ALL.into_iter().find(|kind| kind.name() == name));
            options.lock = lock.ok_or(Unknown(word))?;
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_may_be_chosen() {
        assert_eq!(Options::parse("  "), Ok(Options { lock: Kind::Ticket }));
        assert_eq!(Options::parse("lock=mcs"), Ok(Options { lock: Kind::Mcs }));
        assert_eq!(Options::parse("lock=mcs lock=ticket"), Ok(Options { lock: Kind::Ticket }));
    }

    #[test]
    fn a_word_that_is_no_option_is_named() {
        assert_eq!(Options::parse("lock=mcs lock=msc"), Err(Unknown("lock=msc")));
        assert_eq!(Options::parse("quiet lock=mcs"), Err(Unknown("quiet")));
    }
}
