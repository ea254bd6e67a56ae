//! The parts of a line of JSON. Every value knows its position in the line, so that an error can give the column.
use super::error::{Wrong, near};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A string in a line.
#[derive(Clone, Debug)]
pub struct Text<'a> {
    /// The contents.
    pub content: Cow<'a, str>,
    /// The column where it begins.
    pub column: usize,
}

/// A part of a line.
pub(super) type Part<'a> = &'a RawValue;

/// The members of an object, in order.
struct Members<'a>(Vec<(Name<'a>, Part<'a>)>);

/// The name of a member. A name with escapes has no position in the line.
pub(super) struct Name<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }
            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_string())))
            }
        }
        deserializer.deserialize_str(Names)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A line that is being parsed.
#[derive(Clone, Copy)]
pub(super) struct Line<'a>(pub &'a str);

/// A text, shortened for a message.
pub(super) fn cut(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

impl<'a> Line<'a> {
    /// Sets the column of `wrong` to a part of this line. A text that is not part of the line has no column.
    pub fn at(self, part: &str, wrong: Wrong) -> Wrong {
        let start = part.as_ptr().addr().checked_sub(self.0.as_ptr().addr());
        let before = start.and_then(|start| self.0.get(..start)).filter(|before| before.len() < self.0.len());
        Wrong { column: before.map(|before| before.chars().count() + 1), ..wrong }
    }

    pub fn syntax(self, error: &serde_json::Error, expected: &str) -> Wrong {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        let before = self.0.as_bytes().get(..error.column().saturating_sub(1)).unwrap_or_default();
        let column = String::from_utf8_lossy(before).chars().count() + 1;
        Wrong::new(format!("this is no JSON: {message}")).at(column).expected(expected)
    }

    pub fn members(self, part: Part<'a>, expected: &str) -> Result<Vec<(Cow<'a, str>, Part<'a>)>, Wrong> {
        let Ok(Members(members)) = serde_json::from_str(part.get()) else {
            let wrong = Wrong::new(format!("{} is no object", cut(part.get())));
            return Err(self.at(part.get(), wrong.expected(expected)));
        };
        let members: Vec<_> = members.into_iter().map(|(Name(name), part)| (name, part)).collect();
        for (at, (name, _)) in members.iter().enumerate() {
            if members[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(
                    self.at(name, Wrong::new(format!("`{}` is there twice", cut(name))).expected("one of them"))
                );
            }
        }
        Ok(members)
    }

    pub fn list(self, part: Part<'a>) -> Option<Vec<Part<'a>>> {
        serde_json::from_str(part.get()).ok()
    }

    pub fn text(self, part: Part<'a>, expected: &str) -> Result<Text<'a>, Wrong> {
        match serde_json::from_str::<Name<'a>>(part.get()) {
            Ok(Name(content)) => {
                let column = self.at(part.get(), Wrong::new("")).column.unwrap_or(1) + 1;
                Ok(Text { content, column })
            }
            Err(_) => {
                Err(self.at(part.get(), Wrong::new(format!("{} is no string", cut(part.get()))).expected(expected)))
            }
        }
    }

    /// A number from 0 to `most`, or a string with a hexadecimal number.
    pub fn number(self, part: Part<'a>, most: u64, what: &str) -> Result<u64, Wrong> {
        let text = part.get();
        let expected = || format!("a number from 0 to {most}, or one as \"0x…\"");
        let wrong = |message: String| Err(self.at(text, Wrong::new(message).expected(expected()).of(what)));
        let value = match serde_json::from_str::<Name<'a>>(text) {
            Ok(Name(content)) => {
                let digits = content
                    .strip_prefix("0x")
                    .or_else(|| content.strip_prefix("0X"))
                    .map(|digits| digits.replace('_', ""));
                let all = |digits: &String| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                let Some(digits) = digits.filter(all) else {
                    return wrong(format!("{} is no number", cut(text)));
                };
                u64::from_str_radix(&digits, 16).ok()
            }
            Err(_) if text.starts_with('-') => return wrong(format!("{} is negative", cut(text))),
            Err(_) if !text.starts_with(|first: char| first.is_ascii_digit()) => {
                return wrong(format!("{} is no number", cut(text)));
            }
            Err(_) if text.contains(['.', 'e', 'E']) => return wrong(format!("{} is no whole number", cut(text))),
            Err(_) => text.parse().ok(),
        };
        match value {
            Some(value) if value <= most => Ok(value),
            _ => wrong(format!("{} is too large", cut(text))),
        }
    }

    /// An array of at most `most` numbers, numbered from 0.
    pub fn array(
        self,
        name: &str,
        part: Part<'a>,
        prefix: &str,
        most: usize,
        largest: u64,
        values: &mut BTreeMap<String, u64>,
    ) -> Result<(), Wrong> {
        let expected = || format!("an array of up to {most} numbers; those that are not there are 0");
        let Some(list) = self.list(part) else {
            let wrong = Wrong::new(format!("{} is no array", cut(part.get()))).of(name);
            return Err(self.at(part.get(), wrong.expected(expected())));
        };
        if let Some(extra) = list.get(most) {
            let wrong = Wrong::new(format!("{} are too many", list.len())).of(name);
            return Err(self.at(extra.get(), wrong.expected(expected())));
        }
        for (k, part) in list.into_iter().enumerate() {
            values.insert(format!("{prefix}{k}"), self.number(part, largest, &format!("{name}[{k}]"))?);
        }
        Ok(())
    }

    /// Named numbers: an array in the order of the names, or an object by the last parts of the names. Missing ones are
    /// 0.
    pub fn several(
        self,
        argument: &str,
        part: Part<'a>,
        names: &[&str],
        largest: u64,
        values: &mut BTreeMap<String, u64>,
    ) -> Result<(), Wrong> {
        let short = |name: &str| name.rsplit('.').next().unwrap_or_default().to_string();
        let shorts: Vec<String> = names.iter().map(|name| short(name)).collect();
        let expected = format!("an array or an object: {}", shorts.join(", "));
        if let Some(list) = self.list(part) {
            if let Some(extra) = list.get(names.len()) {
                let wrong = Wrong::new(format!("{} are too many", list.len())).of(argument);
                return Err(self.at(extra.get(), wrong.expected(expected)));
            }
            for (name, part) in names.iter().zip(list) {
                values.insert(name.to_string(), self.number(part, largest, name)?);
            }
            return Ok(());
        }
        for (name, part) in self.members(part, &expected).map_err(|wrong| wrong.of(argument))? {
            let Some(at) = shorts.iter().position(|short| *short == name) else {
                let wrong = Wrong::new(format!("{argument} has no `{}`", cut(&name))).of(argument).expected(expected);
                return Err(self.at(&name, wrong.near(near(&name, shorts.iter().map(String::as_str)))));
            };
            values.insert(names[at].to_string(), self.number(part, largest, names[at])?);
        }
        Ok(())
    }
}
