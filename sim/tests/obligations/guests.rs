//! D.15 and D.16: the virtual machine of a CPU and its memory.
use crate::machine::{Processor, assert_invariant, boot, memory};
use layer::core::call::{Access, Bytes, Chunk};
use layer::core::constants::*;
use layer::core::stuck::Stuck;
use layer::objects::memory::{guest_load, guest_store};
use layer::objects::page_alloc::palloc;
use layer::objects::page_table::{pt_read, pt_resv};
use layer::objects::vmx::ept::vmx_set_mmap;
use layer::objects::vmx::*;
use proptest::prelude::*;
use sim::machine::Sim;
use sim::machine::guest::{self, EPT_VIOLATION, Exit, VIOLATED_BY_LOAD, VIOLATED_BY_STORE, vm_exit};
use std::collections::BTreeMap;

/// The codes of registers (reference, section 2).
const EDI: u32 = 5;
const EBP: u32 = 6;
const EIP: u32 = 8;
/// The codes of the six registers that an entry loads and an exit saves, in the order of [`SAVED`].
const SIX: [u32; 6] = [0, 1, 3, 4, EDI, EBP];

/// This many CPUs, each with a virtual machine.
fn with_guests(cpus: u32) -> Vec<Processor> {
    let mut cpus = boot(memory(400), cpus);
    cpus.iter_mut().for_each(|cpu| vmx_init(cpu, 0).unwrap());
    cpus
}

/// Enters the guest. RDI and RBP of the host have these values.
fn enter(cpu: &mut Processor, rdi: u64, rbp: u64) -> ToGuest<Sim> {
    vmx_run_vm(cpu, rdi, rbp).expect("the guest has an EIP")
}

/// The guest exits with these registers.
fn leave(cpu: &mut Processor, guest: [u64; 14]) -> ToHost<Sim> {
    vmx_return_from_guest(cpu, guest).expect("it is in the guest")
}

/// An exit of which only the qualification matters.
fn exit(qualification: u64) -> Exit {
    Exit { reason: 30, qualification, address: 0, length: 2, rip: 0x1000 }
}

fn registers(cpu: &Processor) -> Vec<u32> {
    (0..14).map(|r| vmx_get_reg(cpu, r).expect("after vmx_init each is an integer")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d15_a_register_is_what_was_set(sets in prop::collection::vec((0..2usize, 0..14u32, any::<u32>()), 1..60)) {
        // Two CPUs, whose guests are independent.
        let mut cpus = with_guests(2);
        let mut expected = [registers(&cpus[0]), registers(&cpus[1])];
        for (me, r, value) in sets {
            prop_assert_eq!(vmx_set_reg(&mut cpus[me], r, value), Ok(()));
            expected[me][r as usize] = value;
            prop_assert_eq!([registers(&cpus[0]), registers(&cpus[1])], expected.clone());
        }
        for r in [14, 15, u32::MAX] {
            prop_assert_eq!(vmx_set_reg(&mut cpus[0], r, 1), Err(Stuck::BadRegister));
            prop_assert_eq!(vmx_get_reg(&cpus[0], r), Err(Stuck::BadRegister));
        }
        assert_invariant(&cpus);
    }

    #[test]
    fn d15_what_an_io_exit_says(port in any::<u16>()) {
        let mut cpus = with_guests(1);
        let cpu = &mut cpus[0];
        for low in 0..64u64 {
            let _guest = enter(cpu, 0, 0);
            vm_exit(cpu, exit(u64::from(port) << 16 | low)).unwrap();
            let _host = leave(cpu, [0; 14]);
            let said = [
                vmx_get_exit_io_port(cpu),
                vmx_get_io_width(cpu),
                vmx_get_io_write(cpu),
                vmx_get_exit_io_str(cpu),
                vmx_get_exit_io_rep(cpu),
            ];
            // Size minus 1, direction (1 is in), string, REP, as in the processor's manual.
            let width = match low & 7 { 0 => 0, 1 => 1, _ => 2 };
            let bit = |at: u32| (low >> at & 1) as u32;
            prop_assert_eq!(said, [u32::from(port), width, 1 - bit(3), bit(4), bit(5)].map(Ok), "of {:06b}", low);
            prop_assert_eq!((vmx_get_exit_reason(cpu), vmx_get_next_eip(cpu)), (Ok(30), Ok(0x1002)));
        }
    }

    #[test]
    fn d15_no_event_takes_the_place_of_one_that_waits(events in prop::collection::vec((0..8u32, 0..256u32, any::<u32>(), 0..3u32), 1..8)) {
        let mut cpus = with_guests(1);
        let cpu = &mut cpus[0];
        let field = |cpu: &Processor, encoding: u32| {
            let row = layer::objects::vmx::vmcs::FIELDS.iter().find(|row| row.encoding == encoding).unwrap();
            domain::Map::get(&cpu.own.vmcs, [row.field as u32]).value
        };
        let mut waits = None;
        for (kind, vector, code, with_code) in events {
            prop_assert_eq!(vmx_check_pending_event(cpu), Ok(u32::from(waits.is_some())));
            prop_assert_eq!(vmx_inject_event(cpu, kind << 8, vector, code, with_code), Ok(()));
            let has_code = if with_code == 1 { 0x800 } else { 0 };
            let (info, error) = *waits.get_or_insert((1 << 31 | kind << 8 | vector | has_code, (with_code == 1).then_some(code)));
            prop_assert_eq!(field(cpu, 0x4016), u64::from(info));
            if let Some(error) = error {
                prop_assert_eq!(field(cpu, 0x4018), u64::from(error));
            }
        }
        assert_invariant(&cpus);
    }

    #[test]
    fn d15_there_and_back_again(host in any::<[u64; 2]>(), guest in any::<[u64; 14]>(), eip in any::<u32>(), set in any::<[u32; 6]>()) {
        let mut cpus = with_guests(2);
        let untouched = registers(&cpus[1]);
        let cpu = &mut cpus[0];
        vmx_set_reg(cpu, EIP, eip).unwrap();
        for (r, value) in SIX.into_iter().zip(set) {
            vmx_set_reg(cpu, r, value).unwrap();
        }
        let to = enter(cpu, host[0], host[1]);
        prop_assert_eq!(to.rip, u64::from(eip));
        prop_assert_eq!(&to.registers[..6], &set.map(u64::from)[..]);
        // While the guest runs, no call of the kernel is possible.
        prop_assert_eq!(vmx_get_reg(cpu, 0), Err(Stuck::NotPaging));
        vm_exit(cpu, exit(7)).unwrap();
        let back = leave(cpu, guest);
        prop_assert_eq!([back.rdi, back.rbp], host);
        prop_assert_eq!(SIX.map(|r| vmx_get_reg(cpu, r).unwrap()), std::array::from_fn(|at| guest[at] as u32));
        prop_assert_eq!(vmx_get_reg(cpu, EIP), Ok(0x1000));
        // The next entry restores the whole registers, including R8 to R15.
        let again = enter(cpu, 0, 0);
        prop_assert_eq!((again.registers, again.rip), (guest, 0x1000));
        prop_assert_eq!(registers(&cpus[1]), untouched, "the other CPU's guest is another one");
    }

    #[test]
    fn d16_what_a_guest_stores_it_loads(
        maps in prop::collection::vec((0..6usize, 0..6usize, 0..8u32), 1..8),
        accesses in prop::collection::vec((0..8usize, 0..PAGE_SIZE, 0..4usize, any::<[u8; 8]>()), 1..40),
    ) {
        /// Guest-physical pages: the first ones, the boundary of a table, and the last one.
        const GUEST: [u32; 8] = [0, 1, 511, 512, 0x4_0000, 0xF_FFFF, 7, 0x8_0000];
        let mut cpus = with_guests(1);
        let cpu = &mut cpus[0];
        let frames: Vec<u32> = (0..6).map(|k| {
            pt_resv(cpu, 1, ADR_LOW + k * PAGE_SIZE, perm::PTU).unwrap();
            pt_read(cpu, 1, ADR_LOW + k * PAGE_SIZE).unwrap() / PAGE_SIZE
        }).collect();
        let mut mapped = BTreeMap::new();
        for (page, frame, kind) in maps {
            // With any memory type, and over an earlier mapping.
            prop_assert_eq!(vmx_set_mmap(cpu, GUEST[page] * PAGE_SIZE, frames[frame] * PAGE_SIZE, kind), Ok(0));
            mapped.insert(page, frames[frame]);
        }
        let mut bytes: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for (page, offset, chunk, values) in accesses {
            let _guest = enter(cpu, 0, 0);
            let (chunk, values) = (Chunk::ALL[chunk], values.map(u32::from));
            let (at, size) = (u64::from(GUEST[page] * PAGE_SIZE + offset), chunk as u32);
            let stored = guest::store(cpu, chunk, at, values, 0x77);
            match (offset % size, mapped.get(&page)) {
                (0, Some(&frame)) => {
                    prop_assert!(matches!(stored, Ok(Access::Done(()))), "{:?}", stored);
                    bytes.extend((offset..offset + size).map(|at| (frame, at)).zip(values));
                    let Ok(Access::Done(loaded)) = guest::load(cpu, chunk, at, 0x77) else { panic!("nothing at {at:x}") };
                    prop_assert_eq!(&loaded[..size as usize], &values[..size as usize]);
                    // All bytes of the page, wherever it is mapped.
                    for (&page, frame) in &mapped {
                        let Ok(there) = guest_load(cpu, Chunk::Eight, u64::from(GUEST[page] * PAGE_SIZE + offset / 8 * 8)) else { panic!() };
                        let expected: Bytes<Sim> = std::array::from_fn(|k| bytes.get(&(*frame, offset / 8 * 8 + k as u32)).copied().unwrap_or(0));
                        prop_assert_eq!(there, expected);
                    }
                    vm_exit(cpu, exit(0)).unwrap();
                }
                (0, None) => {
                    // The guest has exited, as the processor reports.
                    prop_assert!(matches!(stored, Ok(Access::Fault)), "{:?}", stored);
                    let _host = leave(cpu, [0; 14]);
                    prop_assert_eq!((vmx_get_exit_reason(cpu), vmx_get_exit_qualification(cpu)), (Ok(EPT_VIOLATION), Ok(VIOLATED_BY_STORE as u32)));
                    prop_assert_eq!((vmx_get_exit_fault_addr(cpu), vmx_get_reg(cpu, EIP)), (Ok(at as u32), Ok(0x77)));
                    let _guest = enter(cpu, 0, 0);
                    prop_assert!(matches!(guest::load(cpu, chunk, at, 0x78), Ok(Access::Fault)));
                    let _host = leave(cpu, [0; 14]);
                    prop_assert_eq!(vmx_get_exit_qualification(cpu), Ok(VIOLATED_BY_LOAD as u32));
                    continue;
                }
                _ => {
                    prop_assert!(matches!(stored, Err(Stuck::Misaligned)), "{:?}", stored);
                    vm_exit(cpu, exit(0)).unwrap();
                }
            }
            let _host = leave(cpu, [0; 14]);
        }
        assert_invariant(&cpus);
    }
}

#[test]
fn d16_a_guest_has_what_is_mapped_and_nothing_else() {
    let mut cpus = boot(memory(400), 2);
    let cpu = &mut cpus[0];
    // Before `vmx_init` there is no guest, and no guest memory.
    assert_eq!(vmx_set_mmap(cpu, 0, ADR_LOW, 6), Err(Stuck::NoTable));
    vmx_init(cpu, 0).unwrap();
    assert_eq!(guest_load(cpu, Chunk::One, 0), Err(Stuck::NotGuestMode));
    assert_eq!(guest_store(cpu, Chunk::One, 0, [0; 8]), Err(Stuck::NotGuestMode));
    let mine = palloc(cpu, 1).unwrap();
    for (gpa, hpa) in [(0, mine), (1, KERN_LOW - 1), (2, mine + 1)] {
        assert_eq!(vmx_set_mmap(cpu, gpa * PAGE_SIZE, hpa * PAGE_SIZE, 0), Ok(0));
    }
    for (gpa, hpa, kind, stuck) in [
        (1, ADR_LOW, 0, Stuck::Misaligned),
        (0, ADR_LOW + 1, 0, Stuck::Misaligned),
        (0, ADR_LOW, 8, Stuck::BadMemoryType),
    ] {
        assert_eq!(vmx_set_mmap(cpu, gpa, hpa, kind), Err(stuck));
    }
    let _guest = enter(cpu, 0, 0);
    assert_eq!(guest_store(cpu, Chunk::Four, 4, [1, 2, 3, 4, 0, 0, 0, 0]), Ok(()));
    assert_eq!(guest_load(cpu, Chunk::Two, 6).map(|bytes| bytes[..2].to_vec()), Ok(vec![3, 4]));
    // A frame of the kernel, and a free frame.
    for gpa in [1, 2] {
        assert_eq!(guest_store(cpu, Chunk::One, u64::from(gpa * PAGE_SIZE), [9; 8]), Err(Stuck::FrameNotOwned));
    }
    for at in [3 << 12, u64::from(u32::MAX), 1 << 32, u64::MAX] {
        assert_eq!(guest_load(cpu, Chunk::One, at), Err(Stuck::NotMapped), "{at:x}");
        assert_eq!(guest_store(cpu, Chunk::One, at, [9; 8]), Err(Stuck::NotMapped), "{at:x}");
    }
    // The memory of this guest is not mapped in the other CPU's guest.
    let other = &mut cpus[1];
    vmx_init(other, 0).unwrap();
    let _guest = enter(other, 0, 0);
    assert_eq!(guest_load(other, Chunk::One, 0), Err(Stuck::NotMapped));
    assert_invariant(&cpus);
}
