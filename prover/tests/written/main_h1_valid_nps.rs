//! A counterexample to `main`: H1 valid_nps.
//!
//! Written by `cargo cairn prove --emit-test`: it fails as long as the bug exists. Its place is `sim/tests/`.
use sim::counterexample::witness::Witness;

/// The differences of the state from the one after boot, the arguments, and the machine's answers.
#[rustfmt::skip]
pub fn witness() -> Witness {
    Witness::boot(0)
    .machine_answers(
        sim::state::values::Values::default()
            .scalar("has_start", 1)
            .scalar("start.image", 8)
            .scalar("start.quota", 12345)
    )
}

#[test]
fn main_h1_valid_nps() {
    let ending = witness().enter("main").expect("the state admits the call");
    assert!(ending.broken.is_empty(), "{ending:#?}");
}
