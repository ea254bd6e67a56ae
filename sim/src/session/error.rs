//! What is wrong with a line, and where.
use serde::Serialize;

/// What is wrong: an answer to a line that could not be obeyed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Wrong {
    /// What.
    pub error: String,
    /// In which column of the line, from 1; while a part of it is read, at which byte of the part, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// In which argument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<String>,
    /// What would be right there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The known name that is most like the one that is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub did_you_mean: Option<String>,
}

impl Wrong {
    /// This is wrong.
    pub fn new(error: impl Into<String>) -> Self {
        Wrong { error: error.into(), column: None, argument: None, expected: None, did_you_mean: None }
    }

    /// It is wrong there.
    pub fn at(self, column: usize) -> Self {
        Wrong { column: Some(column), ..self }
    }

    /// This would be right.
    pub fn expected(self, expected: impl Into<String>) -> Self {
        Wrong { expected: Some(expected.into()), ..self }
    }

    /// The argument that it is about.
    pub fn of(self, argument: impl Into<String>) -> Self {
        Wrong { argument: Some(argument.into()), ..self }
    }

    /// This name was perhaps meant.
    pub fn near(self, name: Option<&str>) -> Self {
        Wrong { did_you_mean: name.map(str::to_string), ..self }
    }
}

/// The name among `known` that is most like `name`, if one is.
pub fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Names are short: of longer text none is a slip of the pen.
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let likeness = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    let best = known.map(|other| (likeness(other), other)).max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 > 0.8).then_some(best.1)
}
