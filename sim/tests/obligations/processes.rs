//! D.14: the tree of processes.
use crate::machine::{CONTEXT, assert_invariant, boot, memory, next};
use layer::core::constants::*;
use layer::core::stuck::Stuck;
use layer::objects::container::*;
use layer::objects::context::{uctx_get, uctx_set};
use layer::objects::process::proc_create;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A container, as its creator knows it.
#[derive(Clone, Copy, Default)]
struct Node {
    quota: u32,
    usage: u32,
    children: u32,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d14_a_tree_of_any_shape(steps in prop::collection::vec((0..12u32, any::<u32>(), 0..4u32), 1..160)) {
        let mut cpus = boot(memory(8 * 100), 3);
        // The last CPU, whose tree runs out of thread numbers first.
        let cpu = &mut cpus[2];
        let root = cpu.own.cur;
        let mut tree = BTreeMap::from([(root, Node { quota: 100, ..Node::default() })]);
        for (quota, code, yields) in steps {
            for _ in 0..yields {
                next(cpu);
            }
            let me = cpu.own.cur;
            let parent = tree[&me];
            // Child number k of a parent is 8 * parent + 1 + k.
            let child = 8 * me + 1 + parent.children;
            let made = proc_create(cpu, 0, code.into(), quota);
            let refused = if parent.children == 8 || child >= 1024 {
                Some(Stuck::NoChild)
            } else {
                (quota > parent.quota - parent.usage).then_some(Stuck::NoQuota)
            };
            match refused {
                Some(stuck) => prop_assert_eq!(made, Err(stuck)),
                None => {
                    prop_assert_eq!(made, Ok(child));
                    let after = Node { usage: parent.usage + quota, children: parent.children + 1, ..parent };
                    tree.extend([(me, after), (child, Node { quota, ..Node::default() })]);
                    // The context has the user's code and data selectors, the top of the stack, and interrupts enabled.
                    // The entry is an address. The reference has 0x1B as the code's selector (P45).
                    for (slot, value) in [(16, 35), (8, 35), (9, 35), (13, 0x2B), (15, 0xF000_0000), (14, 0x200)] {
                        prop_assert_eq!(uctx_get(cpu, child, slot), Ok(value), "slot {}", slot);
                    }
                    for slot in [2, 3, 12, 25] {
                        prop_assert_eq!(uctx_get(cpu, child, slot), Err(Stuck::BadSlot));
                        prop_assert_eq!(uctx_set(cpu, child, slot, 1), Err(Stuck::BadSlot));
                    }
                    prop_assert_eq!(uctx_get(cpu, child, 7), Ok(0), "the rest is 0, an addition to the reference");
                    prop_assert_eq!(domain::Map::get(&cpu.own.uctxt, [child, 12]).value, u64::from(code));
                    let context = domain::Map::get(&cpu.own.kctxt, [child]);
                    prop_assert_eq!((context.esp, context.ra), ((child + 1) * 4096 - 4, CONTEXT.ra));
                }
            }
            for (&i, node) in &tree {
                let said = (
                    container_get_quota(cpu, i),
                    container_get_usage(cpu, i),
                    container_get_nchildren(cpu, i),
                    container_can_consume(cpu, i, node.quota - node.usage),
                    container_can_consume(cpu, i, node.quota - node.usage + 1),
                );
                prop_assert_eq!(said, (Ok(node.quota), Ok(node.usage), Ok(node.children), Ok(1), Ok(0)), "of {}", i);
            }
            // The number after the last child is that of the next thread's first child.
            if !tree.contains_key(&(child + 1)) {
                prop_assert_eq!(container_get_quota(cpu, child + 1), Err(Stuck::NoContainer));
            }
        }
        assert_invariant(&cpus);
    }
}

#[test]
fn d14_eight_children_and_no_more() {
    let mut cpus = boot(memory(80), 1);
    let cpu = &mut cpus[0];
    for k in 0..MAX_CHILDREN {
        assert_eq!(proc_create(cpu, 0, 0, 1), Ok(9 + k));
    }
    assert_eq!(proc_create(cpu, 0, 0, 0), Err(Stuck::NoChild));
    assert_eq!((container_get_usage(cpu, 1), container_get_nchildren(cpu, 1)), (Ok(8), Ok(8)));
}
