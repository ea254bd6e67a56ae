//! A session with the shell: what is typed, and what the console has to show for it, whichever machine it comes from.

/// A line that is typed, as keys, and what the console shows for it.
const SESSION: &[(&str, &[&str])] = &[
    ("help", &["run PROGRAM [QUOTA] [&]", "halt "]),
    ("nonsense", &["there is no command `nonsense`; try help"]),
    ("run nonsense", &["refused: there is no such program"]),
    // 48 pages are what tells it that it is on CPU 0.
    ("run hello 48", &["runs hello; 63 children are left", "hello from CPU 0", "(hello) exited with status 0"]),
    // The line before again.
    (
        "\x1B[A",
        &["run hello 48", "runs hello; 62 children are left", "hello from CPU 0", "(hello) exited with status 0"],
    ),
    ("run hello 1", &["refused: no quota, no child or no thread number is left"]),
    ("ps", &["THREAD", "1   0 (main) ", "shell        running ", "launcher     receiving ", "ended "]),
    // Of which a part is rubbed out.
    ("quotas\x08", &["1 (main): ", "  9 shell: ", "    73 launcher: ", "      585 -: ", " of 48 pages"]),
    ("mem", &["CPU 0: ", " pages of 4 KiB, ", " free"]),
    ("uptime", &["up "]),
    ("send 7 1 0x10 3", &["sent 3 words"]),
    ("recv 7", &["3 words: 1 16 3"]),
    ("recv 7", &["refused: there is no message"]),
    ("recv 1023", &["refused: there is no such channel"]),
    ("recv", &["the channel's number is missing; try help"]),
    ("halt", &["the machine goes off when all programs have ended", "(shell) exited with status 0"]),
];

/// The keys of the session, line by line. Each line is for the shell's next [prompt](user::command::PROMPT).
pub fn script() -> Vec<String> {
    SESSION.iter().map(|(line, _)| format!("{line}\r")).collect()
}

/// What of the session the console does not show.
pub fn problems(console: &str) -> Vec<String> {
    let mut rest = console;
    let mut problems = Vec::new();
    for (line, expected) in SESSION {
        // What a program prints and what the shell says of it come in any order.
        let mut end = 0;
        for text in *expected {
            match rest.find(text) {
                Some(at) => end = end.max(at + text.len()),
                None => problems.push(format!("after {line:?} was typed, the console does not show `{text}`")),
            }
        }
        rest = &rest[end..];
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{SESSION, problems};

    #[test]
    fn what_is_missing_or_out_of_order_is_named() {
        let lines: Vec<&str> = SESSION.iter().flat_map(|(_, expected)| *expected).copied().collect();
        assert_eq!(problems(&lines.join("\n")), [""; 0]);
        for missing in 0..lines.len() {
            // Others show the same text, but not so often in this order.
            let others = [&lines[..missing], &lines[missing + 1..]].concat();
            assert!(!problems(&others.join("\n")).is_empty(), "{}", lines[missing]);
        }
    }
}
