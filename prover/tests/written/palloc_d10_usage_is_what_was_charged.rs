//! A counterexample to `palloc`: D10 usage is what was charged.
//!
//! Written by `cargo cairn prove --emit-test`: it fails as long as the bug exists. Its place is `sim/tests/`.
use layer::spec::fact::Class;
use sim::counterexample::witness::Witness;

/// The differences of the state from the one after boot, the arguments, and the machine's answers.
#[rustfmt::skip]
pub fn witness() -> Witness {
    Witness::boot(0)
    .argument("n", 1)
}

#[test]
fn palloc_d10_usage_is_what_was_charged() {
    let ending = witness().call("palloc", Class::Derived).expect("the state admits the call");
    assert!(ending.broken.is_empty(), "{ending:#?}");
}
