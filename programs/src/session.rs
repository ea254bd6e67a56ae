//! A session with the shell: the keys that are typed, and what the console must show for them, on any machine.

/// Ctrl-C, and the byte that a terminal sends for the return key.
const INTERRUPT: &str = "\x03";
const RETURN: &str = "\r";

/// Each entry is a typed line, as keys, and the texts that the console must show for it. After an [`INTERRUPT`] no
/// return key is needed.
const SESSION: &[(&str, &[&str])] = &[
    // Keys that are typed together are interrupted at the first opportunity, so these come before the commands that
    // run a foreground program to its end.
    ("run spin\r\x03", &["^C", "(spin) killed", "spin (73) was killed"]),
    // A program with children: the children wait for messages, and it waits for them.
    ("run -q 2048 reuse waits\r\x03", &["^C", "(reuse) killed", "reuse (73) was killed"]),
    ("repeat 9 wait\r\x03", &["^C"]),
    ("help", &["run [-q PAGES] PROGRAM [ARGUMENT...] [&]", "halt "]),
    ("nonsense", &["there is no command `nonsense`; try help"]),
    ("run nonsense", &["refused: there is no such program"]),
    (
        "run hello a  b&",
        &[
            "hello from CPU 0",
            "I was told `a`",
            "I was told `b&`",
            "hello 0: e is about",
            "hello (73) exited with status 0",
        ],
    ),
    // The arrow key: the previous line again.
    ("\x1B[A", &["run hello a  b&", "hello from CPU 0", "hello (73) exited with status 0"]),
    ("run -q 1 hello", &["refused: no quota, no child or no thread number is left"]),
    ("run spin &", &["thread 73 runs spin"]),
    ("run -q 2048 reuse waits &", &["thread 74 runs reuse"]),
    ("run -q 48 counter &", &["thread 75 runs counter"]),
    ("wait 75", &["counter 0.0: turn 5", "counter (75) exited with status 0"]),
    ("ps", &["THREAD", "1   0 (main) ", "9   0 shell        running ", "73   0 spin ", "74   0 reuse        waiting "]),
    // A line with a character that is deleted again.
    (
        "quotas\x08",
        &["1 (main): ", "  9 shell: ", "    73 spin: ", "    74 reuse: ", "      593 reuse: ", " of 2048 pages"],
    ),
    ("kill 7", &["refused: there is no such program"]),
    ("kill 73", &[]),
    ("kill 74", &[]),
    ("wait", &["spin (73) was killed", "reuse (74) was killed"]),
    ("wait 73", &["refused: there is no such program"]),
    ("mem", &["CPU 0: ", " pages of 4 KiB, ", " free", "shell: ", " used, "]),
    ("repeat 200 run -q 48 counter", &["counter 0.0: turn 1", "counter (73) exited with status 0"]),
    ("ps", &["THREAD", "9   0 shell "]),
    // The answer must be the same as before: see `problems`.
    ("mem", &["shell: "]),
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
    let typed = |line: &str| if line.ends_with(INTERRUPT) { line.to_owned() } else { format!("{line}{RETURN}") };
    SESSION.iter().map(|(line, _)| typed(line)).collect()
}

/// The texts that the console should show in the session but does not, and an error if the shell's pages changed
/// between two answers to `mem`.
pub fn problems(console: &str) -> Vec<String> {
    // The editor asks the terminal for its width; a session has no terminal that would answer.
    let console = console.replace(&user::line::ASK.replace('\x1B', "\\u{1b}"), "");
    let mut rest = &console[..];
    let mut problems = Vec::new();
    for (line, expected) in SESSION {
        // The output of a program and the shell's line about it may come in either order.
        let mut end = 0;
        for text in *expected {
            match rest.find(text) {
                Some(at) => end = end.max(at + text.len()),
                None => problems.push(format!("after {line:?} was typed, the console does not show `{text}`")),
            }
        }
        rest = &rest[end..];
    }
    let mut pages: Vec<&str> = console.lines().filter(|line| line.starts_with("shell: ")).collect();
    pages.dedup();
    if let [before, after, ..] = pages[..] {
        problems.push(format!("pages were lost between two answers to mem: `{before}`, then `{after}`"));
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
            // Other lines show the same text, but not as often in this order.
            let others = [&lines[..missing], &lines[missing + 1..]].concat();
            assert!(!problems(&others.join("\n")).is_empty(), "{}", lines[missing]);
        }
        let leak = [&lines[..], &["shell: 20000 of them, 15 used"]].concat();
        assert_eq!(problems(&leak.join("\n")).len(), 1);
    }
}
