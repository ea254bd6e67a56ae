//! Branches of the code under proof that no proof takes to one of the sides.
//!
//! The reason is a comment in the code, above the line that it explains: `// Never false: the caller has set it.`
use crate::sources::{EXPLANATIONS, Explanation};
use std::sync::LazyLock;
use symbolic::coverage::Explained;

/// All branches that the sources explain.
pub(crate) static EXPLAINED: LazyLock<Vec<Explained>> =
    LazyLock::new(|| EXPLANATIONS.iter().filter_map(explained).collect());

/// The branch of a comment.
fn explained(explanation: &Explanation) -> Option<Explained> {
    let Explanation { file, number, line, text } = *explanation;
    let (side, reason) = text.strip_prefix("Never ")?.split_once(": ")?;
    Some(Explained { file, number, line, never: side == "true", reason: reason.trim_end_matches('.') })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::explanations_in;

    #[test]
    fn a_side_that_is_never_taken_is_explained_above_its_line() {
        let text = "// Never false: the caller has set it,\n// and nobody else.\n// Another comment.\n\na < b;\n";
        let text = text.replace("// Another comment.\n\n", "");
        let all: Vec<Explained> = explanations_in("f.rs", &text).iter().filter_map(explained).collect();
        let reason = "the caller has set it, and nobody else";
        assert_eq!(all, [Explained { file: "f.rs", number: 3, line: "a < b;", never: false, reason }]);
    }

    #[test]
    fn the_tree_has_explanations() {
        assert!(EXPLAINED.iter().any(|explained| explained.never));
    }
}
