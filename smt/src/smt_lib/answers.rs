//! Reads the answers of a solver.

/// The number in `(:rlimit number)`.
pub(super) fn parse_steps(answer: &str) -> Option<u64> {
    answer.strip_prefix("(:rlimit ")?.strip_suffix(')')?.trim().parse().ok()
}

/// The values of `((name value) (name value) …)`; names may be applications.
pub(super) fn parse_values(answer: &str) -> Option<Vec<i128>> {
    let inner = answer.trim().strip_prefix('(')?.strip_suffix(')')?;
    let mut values = Vec::new();
    let (mut depth, mut start, mut quoted) = (0usize, 0, false);
    for (at, c) in inner.char_indices() {
        match c {
            '|' => quoted = !quoted,
            '(' if !quoted => {
                if depth == 0 {
                    start = at + 1;
                }
                depth += 1;
            }
            ')' if !quoted => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    let value = inner[start..at].trim().rsplit(char::is_whitespace).next()?;
                    values.push(match value {
                        "true" => 1,
                        "false" => 0,
                        number => number.parse().ok()?,
                    });
                }
            }
            _ => {}
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_whatever_the_names_look_like() {
        let answer = "((|AC:quota (x)| 12)\n (t5 true) (|a| 18446744073709551615))";
        assert_eq!(parse_values(answer), Some(vec![12, 1, u64::MAX.into()]));
        assert_eq!(parse_values("((x (- 5)))"), None);
        assert_eq!(parse_values("nonsense"), None);
    }

    #[test]
    fn steps_are_read() {
        assert_eq!(parse_steps("(:rlimit 1234)"), Some(1234));
        assert_eq!(parse_steps("(error \"line 1\")"), None);
    }
}
