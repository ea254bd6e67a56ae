//! The text for a solver: declarations, definitions, and the assertions of the open scopes.
use crate::term::{Arena, Name, Node, Range, Term};
use rustc_hash::{FxHashMap, FxHashSet};
use std::fmt::{Arguments, Write as _};

/// The assertions of a scope; closing the scope removes them.
#[derive(Default)]
struct Scope {
    bounded: Vec<Term>,
    guards: Vec<Term>,
    leaves: usize,
    /// The text that was sent in this scope, to send it again to another process.
    text: String,
}

/// Opens a scope.
const PUSH: &str = "(push 1)\n";
/// Declarations and definitions outlive the scope in which they are made: a process gets the definition of a term once,
/// even if many scopes contain the term.
pub(super) const LOGIC: &str = "(set-option :global-declarations true)\n(set-logic ALL)\n";

/// Text of at most this number of bytes is written where it is used, instead of being defined, unless it is used more
/// than once: a definition costs a solver more than reading the text again.
const LONGEST_INLINE: usize = 120;

/// The text for a solver.
pub(super) struct Script {
    /// Text not yet sent.
    pub text: String,
    /// The names of defined terms.
    names: FxHashMap<Term, String>,
    /// Variables and functions that were declared. The same name may be declared as a number and as a truth value.
    declared: FxHashSet<(Name, bool)>,
    /// Declarations and definitions so far, to send them again to another process.
    definitions: String,
    /// Terms whose variables and applications are bounded by assertions of the open scopes.
    bounded: FxHashSet<Term>,
    /// Variables and applications in the assertions, in the order in which they were found.
    leaves: Vec<Term>,
    guards: FxHashMap<Term, String>,
    /// Number of occurrences of each term in the text that is being written.
    uses: FxHashMap<Term, u32>,
    scopes: Vec<Scope>,
    fresh: u64,
}

impl Default for Script {
    fn default() -> Script {
        Script {
            text: String::new(),
            names: FxHashMap::default(),
            declared: FxHashSet::default(),
            definitions: String::new(),
            bounded: FxHashSet::default(),
            leaves: Vec::new(),
            guards: FxHashMap::default(),
            uses: FxHashMap::default(),
            scopes: vec![Scope::default()],
            fresh: 0,
        }
    }
}

impl Script {
    /// Opens a scope.
    pub fn push(&mut self) {
        self.text.push_str(PUSH);
        self.scopes.push(Scope { leaves: self.leaves.len(), ..Scope::default() });
    }

    /// Closes `scopes` scopes, and removes their assertions.
    pub fn pop(&mut self, scopes: usize) {
        for _ in 0..scopes {
            let scope = self.scopes.pop().expect("as many scopes are closed as were opened");
            for term in scope.bounded {
                self.bounded.remove(&term);
            }
            for term in scope.guards {
                self.guards.remove(&term);
            }
            self.leaves.truncate(scope.leaves);
        }
        if scopes > 0 {
            let _ = writeln!(self.text, "(pop {scopes})");
        }
    }

    /// Asserts `term` in the innermost scope.
    pub fn assert(&mut self, arena: &Arena, term: Term) {
        let text = self.speak_of(arena, term);
        self.say(format_args!("(assert {text})"));
    }

    /// A literal that is equivalent to `term` in the open scopes.
    pub fn guard(&mut self, arena: &Arena, term: Term) -> String {
        if let Node::Not(inner) = *arena.node(term) {
            return format!("(not {})", self.guard(arena, inner));
        }
        if let Some(guard) = self.guards.get(&term) {
            return guard.clone();
        }
        let text = self.speak_of(arena, term);
        let guard = self.fresh("g");
        self.declare(format_args!("(declare-const {guard} Bool)"));
        self.say(format_args!("(assert (= {guard} {text}))"));
        self.guards.insert(term, guard.clone());
        self.scope().guards.push(term);
        guard
    }

    /// The variables and applications in the assertions of the open scopes.
    pub fn leaves(&self) -> &[Term] {
        &self.leaves
    }

    /// The name of a term that is defined.
    ///
    /// # Panics
    /// If the term is not defined.
    pub fn name(&self, term: Term) -> &str {
        &self.names[&term]
    }

    /// Appends all that was sent to the text that is not yet sent, for another process.
    pub fn again(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.text = self.whole(text);
    }

    /// `text`, followed by all definitions and the text of the open scopes.
    pub fn whole(&self, mut text: String) -> String {
        text.push_str(&self.definitions);
        for (depth, scope) in self.scopes.iter().enumerate() {
            if depth > 0 {
                text.push_str(PUSH);
            }
            text.push_str(&scope.text);
        }
        text
    }

    fn scope(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("the outermost scope is never closed")
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.fresh += 1;
        format!("{prefix}{}", self.fresh)
    }

    /// Sends `text` in the innermost scope.
    fn say(&mut self, text: Arguments) {
        let scope = self.scopes.last_mut().expect("the outermost scope is never closed");
        let from = scope.text.len();
        let _ = writeln!(scope.text, "{text}");
        self.text.push_str(&scope.text[from..]);
    }

    /// Sends a declaration or definition, which outlives all scopes.
    fn declare(&mut self, text: Arguments) {
        let from = self.definitions.len();
        let _ = writeln!(self.definitions, "{text}");
        self.text.push_str(&self.definitions[from..]);
    }

    /// The text of `term`. Defines its subterms, and bounds its variables and applications in the open scopes.
    fn speak_of(&mut self, arena: &Arena, term: Term) -> String {
        self.uses.clear();
        let leaves = self.leaves.len();
        self.visit(arena, term);
        for at in leaves..self.leaves.len() {
            let leaf = self.leaves[at];
            let name = self.text_of(arena, leaf);
            if let Node::Var(_, range) | Node::App(_, range, _) = *arena.node(leaf) {
                self.bound(&name, range);
            }
        }
        self.text_of(arena, term)
    }

    /// Counts the uses of the unnamed subterms of `term`, and collects the leaves that are not bounded yet.
    fn visit(&mut self, arena: &Arena, term: Term) {
        let node = arena.node(term);
        if matches!(node, Node::Const(_) | Node::Bool(_)) {
            return;
        }
        if let Some(uses) = self.uses.get_mut(&term) {
            *uses += 1;
            return;
        }
        let is_bounded = !self.bounded.insert(term);
        if is_bounded && self.names.contains_key(&term) {
            return;
        }
        self.uses.insert(term, 1);
        node.parts().for_each(|part| self.visit(arena, part));
        if !is_bounded {
            self.scope().bounded.push(term);
            if matches!(node, Node::Var(..) | Node::App(..)) {
                self.leaves.push(term);
            }
        }
    }

    /// The text for `term`: its name, or its definition if that is short and used once.
    fn text_of(&mut self, arena: &Arena, term: Term) -> String {
        if let Some(name) = self.names.get(&term) {
            return name.clone();
        }
        let sort = if arena.is_bool(term) { "Bool" } else { "Int" };
        let body = match arena.node(term) {
            Node::Const(value) => return value.to_string(),
            Node::Bool(value) => return value.to_string(),
            Node::Var(name, range) => {
                let symbol = self.symbol(arena, *name, *range, 0);
                self.names.insert(term, symbol.clone());
                return symbol;
            }
            Node::App(name, range, arguments) => {
                let function = self.symbol(arena, *name, *range, arguments.len());
                let arguments: Vec<String> = arguments.iter().map(|&a| self.text_of(arena, a)).collect();
                format!("({function} {})", arguments.join(" "))
            }
            &Node::Add(a, b) => self.binary(arena, "+", a, b),
            &Node::Sub(a, b) => self.binary(arena, "-", a, b),
            &Node::MulC(a, c) => format!("(* {c} {})", self.text_of(arena, a)),
            &Node::DivC(a, c) => format!("(div {} {c})", self.text_of(arena, a)),
            &Node::RemC(a, c) => format!("(mod {} {c})", self.text_of(arena, a)),
            &Node::Ite(c, a, b) => {
                let (c, a, b) = (self.text_of(arena, c), self.text_of(arena, a), self.text_of(arena, b));
                format!("(ite {c} {a} {b})")
            }
            &Node::Eq(a, b) => self.binary(arena, "=", a, b),
            &Node::Lt(a, b) => self.binary(arena, "<", a, b),
            &Node::And(a, b) => self.binary(arena, "and", a, b),
            &Node::Not(a) => format!("(not {})", self.text_of(arena, a)),
        };
        let is_leaf = matches!(arena.node(term), Node::App(..));
        let is_once = self.uses.get(&term).is_none_or(|&uses| uses == 1);
        if !is_leaf && is_once && body.len() <= LONGEST_INLINE {
            return body;
        }
        let name = self.fresh("t");
        self.declare(format_args!("(define-fun {name} () {sort} {body})"));
        self.names.insert(term, name.clone());
        name
    }

    /// The symbol of a variable, or of a function with this number of `arguments`. It is declared on first use.
    fn symbol(&mut self, arena: &Arena, name: Name, range: Range, arguments: usize) -> String {
        let is_bool = matches!(range, Range::Bool);
        let (mark, sort) = if is_bool { ("?", "Bool") } else { ("", "Int") };
        let symbol = format!("|{}{mark}|", arena.text(name));
        if self.declared.insert((name, is_bool)) {
            let domain = vec!["Int"; arguments].join(" ");
            self.declare(format_args!("(declare-fun {symbol} ({domain}) {sort})"));
        }
        symbol
    }

    fn binary(&mut self, arena: &Arena, operator: &str, a: Term, b: Term) -> String {
        let (a, b) = (self.text_of(arena, a), self.text_of(arena, b));
        format!("({operator} {a} {b})")
    }

    /// Asserts that a leaf is in its range, in this scope.
    fn bound(&mut self, name: &str, range: Range) {
        match range {
            Range::Bool => {}
            Range::UpTo(most) => self.say(format_args!("(assert (and (<= 0 {name}) (<= {name} {most})))")),
            Range::Nat => self.say(format_args!("(assert (<= 0 {name}))")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_is_defined_once_and_bounded_in_every_scope() {
        let mut script = Script::default();
        let mut arena = Arena::default();
        let (name, x) = (arena.name("f"), arena.var("x", Range::WORD));
        let cell = arena.app(name, Range::UpTo(7), vec![x]);
        let (sum, three) = (arena.add(x, cell), arena.number(3));
        let (shared, other) = (arena.lt(sum, three), arena.eq(sum, three));
        let both = arena.or(shared, other);
        for _ in 0..2 {
            script.push();
            script.assert(&arena, both);
            let said = &script.scopes.last().expect("it is open").text;
            assert_eq!(said.matches("(assert (and (<= 0 ").count(), 2, "{said}");
            assert_eq!(said.matches('+').count(), 0, "the sum has a name: {said}");
            script.pop(1);
        }
        let defined = &script.definitions;
        assert_eq!(defined.matches("(+ ").count(), 1, "{defined}");
        assert_eq!(defined.matches("(declare-fun |x| () Int)").count(), 1, "{defined}");
        assert_eq!(defined.matches("(declare-fun |f| (Int) Int)").count(), 1, "{defined}");
    }
}
