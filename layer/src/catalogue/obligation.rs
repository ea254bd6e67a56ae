//! The obligations that the reference states for this layer (section 10.1): 41 instances of 16 classes, which generate
//! 108 obligations. Each obligation, and each other theorem that the section names, is about a row of the proof table.

/// What has to be proved of an instance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Obligation {
    /// L1 to L7 hold afterwards.
    Low,
    /// H1 to H20 hold afterwards.
    High,
    /// A call that starts in kernel mode ends in kernel mode.
    Mode,
    /// If L1 to L7 hold for a bound on the blocks of memory, they hold for every larger bound.
    LowMonotone,
    /// L1 to L7 hold in the state before `sched_init`.
    LowAtFirst,
    /// H1 to H20 hold in the state before `sched_init`.
    HighAtFirst,
    /// The whole state is unchanged.
    Unchanged,
}

impl Obligation {
    /// Its name in reports.
    pub fn word(self) -> &'static str {
        match self {
            Obligation::Low => "low",
            Obligation::High => "high",
            Obligation::Mode => "mode",
            Obligation::LowMonotone => "low is monotone",
            Obligation::LowAtFirst => "low at first",
            Obligation::HighAtFirst => "high at first",
            Obligation::Unchanged => "unchanged",
        }
    }
}

/// The subject of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About {
    /// The state itself.
    State,
    /// A primitive, accessor or internal function, by its name in this layer.
    Call(&'static str),
    /// The state change of a page fault, for every accessor.
    Fault,
}

/// A class of obligations: what each of its instances has to prove.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// Its name in the reference.
    pub name: &'static str,
    /// The obligations, in the reference's order.
    pub obligations: &'static [Obligation],
    /// The premise of its instances; empty if there is none.
    pub premise: &'static str,
    /// Its instances that are not about a primitive, by their names in the reference. The rows of the
    /// [`TABLE`](super::TABLE) name the other instances.
    pub others: &'static [(&'static str, About)],
}

use About::{Fault, State};
use Obligation::{High, HighAtFirst, Low, LowAtFirst, LowMonotone, Mode, Unchanged};

const KEEPS: &[Obligation] = &[Low, High, Mode];
const KEEPS_INVARIANT: &[Obligation] = &[Low, High];

macro_rules! classes {
    ($($name:ident $obligations:tt $premise:literal [$($other:expr),*];)*) => {
        $(
            #[allow(non_upper_case_globals, missing_docs, reason = "the reference's names")]
            pub const $name: Class = Class {
                name: stringify!($name),
                obligations: classes!(@ $obligations),
                premise: $premise,
                others: &[$($other),*],
            };
        )*

        /// The classes, in the order of the reference's section 10.1.
        pub const CLASSES: &[Class] = &[$($name),*];
    };
    (@ $obligations:ident) => { $obligations };
    (@ [$($obligation:ident),*]) => { &[$($obligation),*] };
}

// A class: its obligations, the premise of its instances, and its instances that are not about a primitive.
classes! {
    CompatDataOps [] "it is the definition of the invariants" [("pbthread_data_ops", State)];
    CompatData [LowMonotone, LowAtFirst, HighAtFirst] "current_CPU_ID is below 8" [("pbthread_data_prf", State)];
    PreservesInvariants KEEPS "" [];
    PCreateInvariants KEEPS "low: its three blocks exist; here they are numbers of images and entry points" [];
    VMCSSetDefaultsInvariants KEEPS "low: its own blocks exist; here they are the machine's addresses" [];
    PrimInvariants KEEPS_INVARIANT "" [];
    ThreadScheduleInvariants KEEPS_INVARIANT
        "low: the captured registers are well typed: they have a continuation; high: any registers" [];
    ThreadTransferInvariants KEEPS_INVARIANT
        "low: the captured registers are well typed: they have a continuation; high: any registers" [];
    VMXEnterInvariants KEEPS_INVARIANT
        "low: the captured registers are well typed, as words are; high: any registers" [];
    StartUserInvariants KEEPS_INVARIANT "" [];
    StartUserInvariants2 KEEPS_INVARIANT "" [];
    ExitUserInvariants KEEPS_INVARIANT "low: the registers are words; high: any context" [];
    ExitUserInvariants2 KEEPS_INVARIANT "low: the registers are words; high: any context" [];
    VMXReturnInvariants KEEPS_INVARIANT "any registers" [];
    FlatmemStoreInvariant KEEPS_INVARIANT "high: the access stays in its page, which exec_store checks" [];
    TrapinfoSetInvariant KEEPS_INVARIANT
        "low: what is stored is well typed, as words are; high: any value" [("trapinfo_set_inv", Fault)];
}

/// The primitives that only return a value. Instead of the obligation of the instance, we prove that the whole
/// state is unchanged.
#[allow(non_upper_case_globals, reason = "as the classes of the reference")]
pub const Silent: Class = Class { name: "silent", obligations: &[Unchanged], premise: "", others: &[] };

/// The internal functions that have lemmas of their own, for arbitrary arguments.
#[allow(non_upper_case_globals, reason = "as the classes of the reference")]
pub const Internal: Class = Class { name: "internal", obligations: KEEPS, premise: "", others: &[] };

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::catalogue::{Kind, TABLE, instances};
    use std::vec::Vec;

    /// The names of the primitives with these numbers.
    fn names(numbers: &[u32]) -> Vec<&'static str> {
        let name = |&number: &u32| TABLE.iter().find(|row| row.number == number).expect("64 numbers").name;
        numbers.iter().map(name).collect()
    }

    fn calls(class: &'static Class) -> Vec<&'static str> {
        let call = |(_, about)| if let About::Call(name) = about { Some(name) } else { None };
        instances(class).filter_map(call).collect()
    }

    /// The table of section 10.1, written out again: class, number of instances, primitives by number, and number of
    /// obligations for each instance.
    const SECTION: [(&str, usize, &[u32], usize); 16] = [
        ("CompatDataOps", 1, &[], 0),
        ("CompatData", 1, &[], 3),
        (
            "PreservesInvariants",
            25,
            &[2, 3, 5, 6, 9, 11, 19, 20, 22, 23, 24, 27, 28, 29, 30, 31, 39, 46, 50, 51, 52, 53, 54, 55, 58],
            3,
        ),
        ("PCreateInvariants", 1, &[12], 3),
        ("VMCSSetDefaultsInvariants", 1, &[49], 3),
        ("PrimInvariants", 2, &[56, 57], 2),
        ("ThreadScheduleInvariants", 1, &[7], 2),
        ("ThreadTransferInvariants", 1, &[8], 2),
        ("VMXEnterInvariants", 1, &[47], 2),
        ("StartUserInvariants", 1, &[61], 2),
        ("StartUserInvariants2", 1, &[63], 2),
        ("ExitUserInvariants", 1, &[62], 2),
        ("ExitUserInvariants2", 1, &[64], 2),
        ("VMXReturnInvariants", 1, &[48], 2),
        ("FlatmemStoreInvariant", 1, &[], 2),
        ("TrapinfoSetInvariant", 1, &[], 2),
    ];

    #[test]
    fn the_instances_are_those_of_the_section() {
        assert_eq!(CLASSES.len(), SECTION.len());
        for (class, (name, count, numbers, obligations)) in CLASSES.iter().zip(SECTION) {
            assert_eq!((class.name, instances(class).count(), class.obligations.len()), (name, count, obligations));
            if !numbers.is_empty() {
                assert_eq!(calls(class), names(numbers), "{name}");
            }
        }
        let all: usize = CLASSES.iter().map(|class| instances(class).count()).sum();
        let obligations: usize = CLASSES.iter().map(|class| instances(class).count() * class.obligations.len()).sum();
        assert_eq!((all, obligations), (41, 108));
        let mut all: Vec<&str> = CLASSES.iter().flat_map(instances).map(|instance| instance.0).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 41);
    }

    #[test]
    fn a_primitive_has_an_instance_or_is_silent() {
        let silent =
            [1, 4, 10, 13, 14, 15, 16, 17, 18, 21, 25, 26, 32, 33, 34, 35, 36, 37, 38, 40, 41, 42, 43, 44, 45, 59, 60];
        assert_eq!(calls(&Silent), names(&silent));
        for row in TABLE.iter().filter(|row| row.number != 0 && !row.is_fresh()) {
            let classes = CLASSES.iter().chain([&Silent]).filter(|class| calls(class).contains(&row.name));
            assert_eq!(classes.count(), 1, "{}", row.name);
        }
    }

    #[test]
    fn kernel_mode_is_kept_by_the_plain_primitives_and_two_more() {
        let with_mode = CLASSES.iter().filter(|class| class.obligations.contains(&Mode)).flat_map(calls);
        for name in with_mode {
            assert!(TABLE.iter().any(|row| row.name == name && row.keeps_mode()), "{name}");
        }
        let kept = TABLE.iter().filter(|row| row.number != 0 && !row.is_fresh() && row.keeps_mode()).count();
        assert_eq!(kept, 52);
    }

    #[test]
    fn the_internal_functions_are_internal() {
        for name in calls(&Internal) {
            assert!(
                TABLE.iter().any(|row| row.name == name && row.kind == Kind::Internal && row.keeps_mode()),
                "{name}"
            );
        }
        assert_eq!(instances(&Internal).count(), 5);
    }
}
