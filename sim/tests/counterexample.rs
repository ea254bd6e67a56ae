//! Runs a call or an entry from a state given as data, and checks its ending and the violated clauses.
use layer::core::constants::{KERN_LOW, perm};
use layer::spec::fact::Class;
use sim::counterexample::outcome::Refused;
use sim::counterexample::witness::{Witness, WitnessError};
use sim::state::values::Values;

#[test]
fn a_call_from_the_boot_state_breaks_nothing() {
    let ending = Witness::boot(2).argument("n", 3).call("palloc", Class::Derived).unwrap();
    assert_eq!((ending.answer.as_str(), &ending.broken[..]), (&*format!("Word({KERN_LOW})"), &[][..]));
    let reserve = Witness::boot(0).argument("n", 1).argument("va", 1 << 30).argument("perm", perm::PTU.into());
    let ending = reserve.call("pt_resv", Class::Derived).unwrap();
    assert_eq!((ending.answer.as_str(), &ending.broken[..]), (&*format!("Word({})", KERN_LOW + 1), &[][..]));
}

#[test]
fn a_state_that_breaks_the_invariant_is_refused() {
    let witness = Witness::boot(0).argument("n", 1).cell("AC", &[1], "usage", 5);
    let Err(Refused::Facts(violations)) = witness.call("palloc", Class::Derived) else { panic!("it is admitted") };
    assert_eq!(violations.iter().map(|violation| violation.number).collect::<Vec<_>>(), ["D10"]);
    // H and L do not mention charges.
    assert!(witness.call("palloc", Class::Low).is_ok());
}

#[test]
fn what_has_no_place_is_refused() {
    let none = |witness: Witness| match witness.call("palloc", Class::Low) {
        Err(Refused::Witness(WitnessError::NoSuch(name))) => name.0,
        other => panic!("{other:?}"),
    };
    assert_eq!(none(Witness::boot(0).scalar("nonsense", 1)), "nonsense");
    assert_eq!(none(Witness::boot(0).cell("AC", &[1024], "usage", 1)), "AC[1024]");
    assert_eq!(none(Witness::boot(0).argument("va", 1)), "va");
}

#[test]
fn interference_comes_where_a_lock_is_taken() {
    let taken = |frame| Values::default().cell("AT", &[frame], "alloc", 1).cell("AT.owner", &[frame], "cpu", 5);
    let witness = Witness::boot(0).argument("n", 1).interference(taken(KERN_LOW));
    let ending = witness.call("palloc", Class::Derived).unwrap();
    assert_eq!((ending.answer.as_str(), &ending.broken[..]), (&*format!("Word({})", KERN_LOW + 1), &[][..]));
    // A frame below the user area cannot be allocated.
    let Err(Refused::Interference { object, key }) =
        Witness::boot(0).interference(taken(7)).call("palloc", Class::Derived)
    else {
        panic!("it is admitted")
    };
    assert_eq!((object, key), ("AT", 7));
}

/// A running program.
fn program() -> Witness {
    Witness::boot(0).scalar("PT", 1).scalar("ikern", 0).scalar("ipt", 0)
}

#[test]
fn an_entry_from_the_boot_state_breaks_nothing() {
    let fault = program().scalar("ti.addr", 1 << 30).enter("page_fault").unwrap();
    assert_eq!((fault.answer.as_str(), &fault.broken[..]), ("ToUser(ToUser { thread: 1 })", &[][..]));
    // A page fault is impossible while the kernel runs.
    assert_eq!(Witness::boot(0).enter("page_fault").unwrap_err(), Refused::Assumes);
}

#[test]
fn the_machine_answers_what_it_is_told() {
    let start = Values::default().scalar("has_start", 1).scalar("start.image", 8).scalar("start.quota", 9);
    let image = |frames| {
        let image = Values::default().scalar("has_image", 1).scalar("image.entry", 1 << 30);
        image.scalar("image.frames", frames)
    };
    let main =
        |frames| Witness::boot(0).machine_answers(start.clone()).machine_answers(image(frames)).enter("main").unwrap();
    let loads = main(9);
    assert!(loads.answer.starts_with("Load(Load { parent: Main, child: 9, image: 8, page: 0 })"), "{loads:?}");
    assert!(loads.broken.is_empty(), "{loads:?}");
    // More than the quota.
    assert_eq!(main(10).answer, "Continue(Main)");
    let byte = |value| Values::default().cell("page.bytes", &[5], "value", value);
    let load = |bytes| {
        let page = Values::default().scalar("has_page", 1).scalar("page.address", 1 << 30);
        let witness = Witness::boot(0).argument("child", 1).argument("parent", 1);
        witness.machine_answers(page).machine_answers(bytes).enter("load")
    };
    // The main thread, which runs after the boot, is nobody's child.
    assert_eq!(load(byte(255)).unwrap_err(), Refused::Assumes);
    assert!(matches!(load(byte(256)), Err(Refused::Witness(WitnessError::NoSuch(_)))));
    let nonsense = Witness::boot(0).machine_answers(Values::default().scalar("nonsense", 1)).enter("main");
    assert!(matches!(nonsense, Err(Refused::Witness(WitnessError::NoSuch(_)))));
}
