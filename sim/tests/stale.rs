//! Stale translations on the hosted machine: they occur if the kernel forgets to invalidate translations, and only
//! then.
use domain::Map;
use iced_x86::code_asm::*;
use layer::core::constants::*;
use layer::core::fields::{Byte, Context};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::boot::sched_init;
use layer::objects::page_alloc::palloc;
use layer::objects::page_table::{pt_free_pde, pt_read, pt_resv, pt_rmv};
use layer::objects::process::{proc_create, proc_exit_user, proc_start_user};
use layer::objects::thread::thread_yield;
use sim::machine::Sim;
use sim::machine::boot::{processor, shared};
use sim::machine::platform::{self, Memory, Platform};
use sim::machine::tlb;
use sim::machine::user::{Departure, execute};
use sim::run::config::{Checking, Config, TIME_SLICE};
use sim::run::report::End;
use sim::x86::{self, Gpr};
use std::sync::Arc;

/// The child of CPU 0's main thread, which is 1.
const CHILD: u32 = 9;
const MAIN: u32 = 1;
/// Addresses of the child: its program, a page of data, another one, and one in another region.
const CODE: u32 = ADR_LOW;
const DATA: u32 = ADR_LOW + PAGE_SIZE;
const OTHER: u32 = ADR_LOW + 2 * PAGE_SIZE;
const FAR: u32 = ADR_LOW + 0x4000_0000;

/// CPU 0 of a machine. Its child runs a program that loads RAX from RSI, stores RCX to RDI, or calls RDX.
struct Machine {
    cpu: Cpu<'static, Sim>,
    program: x86::Cpu,
    /// The addresses where loading, storing and calling begin.
    acts: [u64; 3],
}

/// Starts a new machine, whose kernel forgets to invalidate translations or does not.
fn new_machine(forgets_flushes: bool) {
    let mut platform = Platform::bare(Memory::all(KERN_LOW + 8 * 100));
    platform.forgets_flushes = forgets_flushes;
    platform::make_current(Arc::new(platform), None);
}

impl Machine {
    fn new(forgets_flushes: bool) -> Machine {
        new_machine(forgets_flushes);
        let mut cpu = processor(Box::leak(Box::new(shared())), 0);
        sched_init(&mut cpu, 0).unwrap();
        assert_eq!(proc_create(&mut cpu, 0, CODE.into(), 40), Ok(CHILD));
        let _ = thread_yield(&mut cpu, Context { esp: 0, ra: 0 }).unwrap();
        assert_eq!(cpu.own.cur, CHILD);
        let pieces = [
            |code: &mut CodeAssembler| code.mov(rax, qword_ptr(rsi)),
            |code: &mut CodeAssembler| code.mov(qword_ptr(rdi), rcx),
            |code: &mut CodeAssembler| code.call(rdx),
        ];
        let (mut bytes, mut acts) = (Vec::new(), [0; 3]);
        for (act, piece) in acts.iter_mut().zip(pieces) {
            *act = u64::from(CODE) + bytes.len() as u64;
            let mut code = CodeAssembler::new(64).unwrap();
            piece(&mut code).unwrap();
            code.syscall().unwrap();
            bytes.extend(code.assemble(*act).unwrap());
        }
        let mut machine = Machine { cpu, program: x86::Cpu::default(), acts };
        machine.map(CODE, perm::PTUR, &bytes);
        machine.map(STACK_TOP - PAGE_SIZE, perm::PTU, &[]);
        machine
    }

    /// Maps a new page that begins with these bytes. Returns its frame.
    fn map(&mut self, address: u32, permission: u32, bytes: &[u8]) -> u32 {
        assert_ne!(pt_resv(&mut self.cpu, CHILD, address, permission), Ok(MAGIC_NUMBER));
        let frame = self.frame(address);
        for (at, &byte) in (0..).zip(bytes) {
            self.cpu.own.hp.set([frame, at], Byte { value: byte.into() });
        }
        frame
    }

    fn frame(&self, address: u32) -> u32 {
        pt_read(&self.cpu, CHILD, address).unwrap() / PAGE_SIZE
    }

    /// Unmaps a page. The main thread then allocates its frame.
    fn unmap_and_keep(&mut self, address: u32) -> u32 {
        let frame = pt_rmv(&mut self.cpu, CHILD, address).unwrap();
        assert_eq!(palloc(&mut self.cpu, MAIN), Ok(frame));
        frame
    }

    /// The child performs an action and returns to the kernel.
    fn act(&mut self, act: usize) -> Result<Departure, Stuck> {
        let registers = &mut self.program.registers;
        registers.rip = self.acts[act];
        registers[Gpr::Rsp] = STACK_TOP.into();
        let _to_user = proc_start_user(&mut self.cpu).unwrap();
        let done = execute(&mut self.cpu, &mut self.program, 10);
        proc_exit_user(&mut self.cpu, [0; UCTXT_SIZE as usize]).unwrap();
        done.map(|(_, departure)| departure.expect("it enters the kernel"))
    }

    /// The child loads a word. Returns the word, or `None` if the load faulted.
    fn load(&mut self, address: u32) -> Result<Option<u64>, Stuck> {
        self.program.registers[Gpr::Rsi] = address.into();
        let departure = self.act(0)?;
        Ok((departure == Departure::SystemCall).then(|| self.program.registers[Gpr::Rax]))
    }

    /// The child stores a word. Returns whether it succeeded.
    fn store(&mut self, address: u32, value: u64) -> Result<bool, Stuck> {
        self.program.registers[Gpr::Rdi] = address.into();
        self.program.registers[Gpr::Rcx] = value;
        Ok(self.act(1)? == Departure::SystemCall)
    }

    /// The child calls a function. Returns the function's result, or `None` if the call faulted.
    fn call(&mut self, address: u32) -> Result<Option<u64>, Stuck> {
        self.program.registers[Gpr::Rdx] = address.into();
        let departure = self.act(2)?;
        Ok((departure == Departure::SystemCall).then(|| self.program.registers[Gpr::Rax]))
    }
}

/// `mov eax, value; ret`.
fn returns(value: u8) -> [u8; 6] {
    [0xB8, value, 0, 0, 0, 0xC3]
}

#[test]
fn an_unmapped_page_is_reached_only_without_a_flush() {
    for forgets in [false, true] {
        let mut machine = Machine::new(forgets);
        let frame = machine.map(DATA, perm::PTU, &[1]);
        assert_eq!(machine.load(DATA), Ok(Some(1)));
        assert_eq!(machine.unmap_and_keep(DATA), frame);
        machine.cpu.own.hp.set([frame, 0], Byte { value: 7 });
        // The result is the main thread's contents, or a fault.
        assert_eq!(machine.load(DATA), Ok(forgets.then_some(7)));
        assert_eq!(tlb::stale(0).map(|stale| (stale.frame, stale.address)), forgets.then_some((frame, DATA)));
    }
}

#[test]
fn another_page_at_the_same_address_is_reached_only_with_a_flush() {
    for forgets in [false, true] {
        let mut machine = Machine::new(forgets);
        machine.map(DATA, perm::PTU, &[1]);
        assert_eq!(machine.store(DATA, 2), Ok(true));
        machine.unmap_and_keep(DATA);
        machine.map(DATA, perm::PTU, &[3]);
        assert_eq!(machine.load(DATA), Ok(Some(if forgets { 2 } else { 3 })));
    }
}

#[test]
fn old_code_is_executed_only_without_a_flush() {
    for forgets in [false, true] {
        let mut machine = Machine::new(forgets);
        machine.map(OTHER, perm::PTUR, &returns(1));
        assert_eq!(machine.call(OTHER), Ok(Some(1)));
        machine.unmap_and_keep(OTHER);
        machine.map(OTHER, perm::PTUR, &returns(2));
        assert_eq!(machine.call(OTHER), Ok(Some(if forgets { 1 } else { 2 })));
    }
}

#[test]
fn a_store_to_a_page_that_was_freed_is_a_bug() {
    let mut machine = Machine::new(true);
    machine.map(DATA, perm::PTU, &[1]);
    assert_eq!(machine.store(DATA, 2), Ok(true));
    pt_rmv(&mut machine.cpu, CHILD, DATA).unwrap();
    assert_eq!(machine.store(DATA, 3), Err(Stuck::FrameNotOwned));
}

#[test]
fn a_page_table_that_was_freed_is_walked_only_without_a_flush() {
    for forgets in [false, true] {
        let mut machine = Machine::new(forgets);
        machine.map(FAR, perm::PTU, &[1]);
        assert_eq!(machine.load(FAR), Ok(Some(1)));
        pt_rmv(&mut machine.cpu, CHILD, FAR).unwrap();
        assert_eq!(pt_free_pde(&mut machine.cpu, CHILD, FAR), Ok(0));
        let next = machine.load(FAR + PAGE_SIZE);
        assert_eq!(next, if forgets { Err(Stuck::FrameNotTable) } else { Ok(None) });
    }
}

/// A changed permission has no effect without `invlpg`. But if it permits more than before, it may take effect after a
/// fault.
#[test]
fn a_permission_is_remembered_until_the_address_is_flushed_or_faults() {
    for forgets in [false, true] {
        let mut machine = Machine::new(forgets);
        let frame = machine.map(DATA, perm::PTU, &[1]);
        assert_eq!(machine.store(DATA, 2), Ok(true));
        pt_rmv(&mut machine.cpu, CHILD, DATA).unwrap();
        assert_eq!(machine.map(DATA, perm::PTUR, &[3]), frame);
        assert_eq!(machine.store(DATA, 4), Ok(forgets));
    }
    let mut machine = Machine::new(true);
    let frame = machine.map(DATA, perm::PTUR, &[1]);
    assert_eq!(machine.load(DATA), Ok(Some(1)));
    pt_rmv(&mut machine.cpu, CHILD, DATA).unwrap();
    assert_eq!(machine.map(DATA, perm::PTU, &[1]), frame);
    assert_eq!([machine.store(DATA, 5), machine.store(DATA, 5)], [Ok(false), Ok(true)]);
}

/// A processor may walk a page map at any time: after `invlpg`, present translations are cached again.
#[test]
fn a_page_table_needs_a_flush_of_its_own() {
    for forgets in [false, true] {
        let mut machine = Machine::new(false);
        let table = pt_resv(&mut machine.cpu, CHILD, FAR, perm::PTU).unwrap();
        assert_eq!(machine.load(FAR), Ok(Some(0)));
        pt_rmv(&mut machine.cpu, CHILD, FAR).unwrap();
        new_machine(forgets);
        assert_eq!(pt_free_pde(&mut machine.cpu, CHILD, FAR), Ok(0));
        assert_eq!(tlb::stale(0).map(|stale| (stale.frame, stale.address)), forgets.then_some((table, FAR)));
    }
}

#[test]
fn the_load_of_a_root_makes_a_processor_forget() {
    let mut machine = Machine::new(true);
    machine.map(DATA, perm::PTU, &[1]);
    assert_eq!(machine.load(DATA), Ok(Some(1)));
    tlb::load_root(0, CHILD);
    machine.unmap_and_keep(DATA);
    assert_eq!((machine.load(DATA), tlb::stale(0)), (Ok(None), None));
}

#[test]
fn a_page_that_was_absent_is_found_once_it_is_there() {
    let mut machine = Machine::new(true);
    assert_eq!(machine.load(DATA), Ok(None));
    machine.map(DATA, perm::PTU, &[1]);
    assert_eq!(machine.load(DATA), Ok(Some(1)));
}

/// No program can observe such a translation, because another page map is loaded before a frame is used again. The
/// machine still reports it.
#[test]
fn a_kernel_that_forgets_to_flush_is_found_when_a_program_ends() {
    let built = programs::build().expect("the programs build");
    for forgets_flushes in [false, true] {
        let program = |program: &programs::Program| sim::run::config::Program {
            name: program.name.to_owned(),
            elf: program.elf.clone(),
        };
        let config = Config {
            programs: built.iter().map(program).collect(),
            // The last program's end switches the machine off before its frames are freed.
            boot_list: "0 hello 48\n0 hello 48",
            cpus: 1,
            seed: 1,
            time_slice: TIME_SLICE,
            memory: Memory::default(),
            input: Vec::new(),
            limit: sim::machine::turns::Limit { work: Some(10_000_000), until: None },
            checking: Checking::AtEnd,
            forgets_flushes,
        };
        let report = sim::run(config, |_| ()).expect("a good configuration");
        let found: Vec<_> = report.violations.iter().map(|violation| violation.number).collect();
        let expected = if forgets_flushes { (End::Violated, vec!["TLB"]) } else { (End::PowerOff, vec![]) };
        assert_eq!((report.end, found), expected);
    }
}
