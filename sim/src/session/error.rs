//! Errors in a line of a session, and where they are.
use serde::Serialize;

/// The answer to an invalid line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Wrong {
    /// The error.
    pub error: String,
    /// The column in the line, from 1. While a part of the line is parsed: the byte in that part, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The invalid argument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<String>,
    /// What would be valid there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The known name that is most similar to an unknown one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub did_you_mean: Option<String>,
}

impl Wrong {
    /// An error with this message.
    pub fn new(error: impl Into<String>) -> Self {
        Wrong { error: error.into(), column: None, argument: None, expected: None, did_you_mean: None }
    }

    /// Sets the column.
    pub fn at(self, column: usize) -> Self {
        Wrong { column: Some(column), ..self }
    }

    /// Sets what would be valid.
    pub fn expected(self, expected: impl Into<String>) -> Self {
        Wrong { expected: Some(expected.into()), ..self }
    }

    /// Sets the invalid argument.
    pub fn of(self, argument: impl Into<String>) -> Self {
        Wrong { argument: Some(argument.into()), ..self }
    }

    /// Sets the similar name.
    pub fn near(self, name: Option<&str>) -> Self {
        Wrong { did_you_mean: name.map(str::to_string), ..self }
    }
}

/// The name among `known` that is most similar to `name`, if one is similar.
pub fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Names are short, so a longer text is not a misspelt name.
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let likeness = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    let best = known.map(|other| (likeness(other), other)).max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 > 0.8).then_some(best.1)
}
