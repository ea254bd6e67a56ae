//! Expected lines with placeholders.

use serde::Deserialize;

/// An expected line of output.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Template {
    parts: Vec<Part>,
}

/// A piece of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(String),
    Cpu,
    Thread,
    Quota,
}

/// The values of the placeholders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Values {
    /// The CPU's number.
    pub cpu: u32,
    /// Thread number of the first instance on that CPU.
    pub thread: u32,
    /// Quota of the first instance on that CPU.
    pub quota: u32,
}

/// Errors of an expected line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TemplateError {
    /// A placeholder that does not exist.
    #[error("unknown placeholder {{{0}}}; there are {{cpu}}, {{thread}} and {{quota}}, and {{{{ for {{")]
    Unknown(String),
    /// A `{` without its `}`.
    #[error("a {{ that is not closed; {{{{ stands for {{ itself")]
    Open,
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(line: String) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = line.as_str();
        while let Some((text, after)) = rest.split_once('{') {
            parts.push(Part::Text(text.to_owned()));
            if let Some(after) = after.strip_prefix('{') {
                parts.push(Part::Text("{".to_owned()));
                rest = after;
                continue;
            }
            let (name, after) = after.split_once('}').ok_or(TemplateError::Open)?;
            parts.push(match name {
                "cpu" => Part::Cpu,
                "thread" => Part::Thread,
                "quota" => Part::Quota,
                _ => return Err(TemplateError::Unknown(name.to_owned())),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Template { parts })
    }
}

impl Template {
    /// The line with these values.
    pub fn fill(&self, values: Values) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Cpu => values.cpu.to_string(),
            Part::Thread => values.thread.to_string(),
            Part::Quota => values.quota.to_string(),
        };
        self.parts.iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Template, TemplateError, Values};

    fn fill(line: &str) -> Result<String, TemplateError> {
        let template = Template::try_from(line.to_owned())?;
        Ok(template.fill(Values { cpu: 3, thread: 33, quota: 64 }))
    }

    #[test]
    fn placeholders_are_replaced() {
        assert_eq!(fill("{cpu}.{thread}: {quota} }"), Ok("3.33: 64 }".to_owned()));
        assert_eq!(fill("{{cpu} {{{cpu}"), Ok("{cpu} {3".to_owned()));
        assert_eq!(fill(""), Ok(String::new()));
    }

    #[test]
    fn errors() {
        assert_eq!(fill("{cpus}"), Err(TemplateError::Unknown("cpus".to_owned())));
        assert_eq!(fill("a {cpu"), Err(TemplateError::Open));
    }
}
