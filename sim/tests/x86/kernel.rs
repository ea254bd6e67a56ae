//! A minimal kernel for these tests: one CPU and the system calls of the programs, without the
//! layer.

use super::space::{Fault, Space};
use abi::report::{End, Ended};
use abi::{Call, Error, Reason};
use elf::ElfBytes;
use elf::abi::{PF_W, PT_LOAD};
use elf::endian::LittleEndian;
use programs::Program;
use sim::x86::Gpr::{R10, Rax, Rbx, Rdi, Rdx, Rsi, Rsp};
use sim::x86::{Cpu, Registers, Step, Trap};
use std::collections::VecDeque;

struct Thread {
    number: u32,
    image: u32,
    /// Its quota in pages.
    quota: u32,
    cpu: Cpu,
    space: Space,
    children: u32,
}

/// One CPU and its programs.
pub struct Kernel<'a> {
    cpu: u32,
    programs: &'a [Program],
    ready: VecDeque<Thread>,
    console: Vec<u8>,
}

/// What happens next to the running thread.
enum Next {
    Runs,
    Yields,
    Ends(End),
}

impl<'a> Kernel<'a> {
    /// A CPU whose main thread starts the programs of the boot list.
    pub fn new(cpu: u32, programs: &'a [Program], boot_list: &str) -> Self {
        let mut kernel = Kernel { cpu, programs, ready: VecDeque::new(), console: Vec::new() };
        let mut children = 0;
        for start in abi::boot::parse(boot_list).map(|start| start.expect("the list is good")) {
            if start.cpu == cpu {
                let image = programs.iter().position(|program| program.name == start.image);
                let image = image.expect("the program exists") as u32;
                let number = abi::child(abi::main_thread(cpu), children);
                children += 1;
                let mut page = vec![0; abi::PAGE_SIZE as usize];
                let put = |at: usize, bytes: &[u8]| page[at..][..bytes.len()].copy_from_slice(bytes);
                abi::arguments::write(start.arguments.iter(), put).expect("the list is good");
                let arguments = (!start.arguments.is_empty()).then_some(&page[..]);
                let thread = kernel.load(image, number, start.quota, arguments);
                kernel.ready.push_back(thread.expect("the quota covers the image"));
            }
        }
        kernel
    }

    /// Runs until every program has ended. Returns the console's text.
    pub fn run(mut self) -> String {
        while let Some(mut thread) = self.ready.pop_front() {
            match self.turn(&mut thread) {
                Next::Ends(end) => {
                    let name = self.programs[thread.image as usize].name;
                    let ended = Ended { cpu: self.cpu, thread: thread.number, name, end };
                    self.console.extend(format!("{ended}\n").into_bytes());
                }
                _ => self.ready.push_back(thread),
            }
        }
        String::from_utf8(self.console).expect("programs print text")
    }

    /// Loads a program, with a page of arguments or without. `None` if the quota does not cover its pages and, with
    /// arguments, two more.
    fn load(&self, image: u32, number: u32, quota: u32, arguments: Option<&[u8]>) -> Option<Thread> {
        let bytes = &self.programs[image as usize].elf;
        let file = ElfBytes::<LittleEndian>::minimal_parse(bytes).expect("a program is an ELF file");
        let mut space = Space::new(quota);
        for segment in file.segments().expect("a program has segments") {
            if segment.p_type != PT_LOAD {
                continue;
            }
            let data = file.segment_data(&segment).expect("a segment lies in the file");
            let pages = segment.p_memsz.div_ceil(abi::PAGE_SIZE.into());
            for page in 0..pages {
                let offset = page * u64::from(abi::PAGE_SIZE);
                let address = segment.p_vaddr + offset;
                if !space.map(address, segment.p_flags & PF_W != 0) {
                    return None;
                }
                let rest = data.get(offset as usize..).unwrap_or_default();
                let to = space.page_mut(address).expect("just mapped");
                let count = rest.len().min(to.len());
                to[..count].copy_from_slice(&rest[..count]);
            }
        }
        if let Some(arguments) = arguments {
            let address = abi::arguments::ARGUMENTS.into();
            if space.quota < 2 || !space.map(address, false) {
                return None;
            }
            space.page_mut(address).expect("just mapped").copy_from_slice(arguments);
        }
        let mut registers = Registers { rip: file.ehdr.e_entry, ..Registers::default() };
        registers[Rsp] = abi::STACK_TOP.into();
        Some(Thread { number, image, quota, cpu: Cpu::new(registers), space, children: 0 })
    }

    /// Runs a thread until it yields or ends.
    fn turn(&mut self, thread: &mut Thread) -> Next {
        loop {
            let next = match thread.cpu.step(&mut thread.space) {
                Ok(Step::Next) => Next::Runs,
                Ok(Step::SystemCall) => self.call(thread),
                Err(Trap::Fault(fault)) => page_fault(thread, fault),
                Err(trap) => {
                    let reason = trap.reason().expect("this is no fault");
                    assert!(reason != Reason::Unimplemented, "{trap:?}");
                    stop(thread, reason, thread.cpu.registers.rip)
                }
            };
            if !matches!(next, Next::Runs) {
                return next;
            }
        }
    }

    fn call(&mut self, thread: &mut Thread) -> Next {
        let registers = &thread.cpu.registers;
        let number = registers[Rax] as u32;
        let arguments = [Rbx, R10, Rdx, Rsi, Rdi].map(|register| registers[register] as u32);
        let [first, second, ..] = arguments;
        let call = Call::ALL.iter().find(|&&call| call as u32 == number);
        let mut next = Next::Runs;
        let result = match call {
            None => Err(Error::InvalCallnr),
            Some(Call::Puts) => self.puts(thread, first, second),
            Some(Call::Putc) => {
                self.console.push(first as u8);
                Ok(0)
            }
            Some(Call::GetQuota) => Ok(thread.space.quota),
            Some(Call::Spawn) => self.spawn(thread, first, second, arguments[2]),
            Some(Call::WhoAmI) => {
                let parent = abi::parent(thread.number).expect("main threads run no programs");
                let registers = &mut thread.cpu.registers;
                (registers[R10], registers[Rdx]) = (self.cpu.into(), parent.into());
                Ok(thread.number)
            }
            Some(Call::ThreadInfo) => {
                assert_eq!(first, thread.number, "a program may ask about itself");
                let usage = thread.quota - thread.space.quota;
                let registers = &mut thread.cpu.registers;
                (registers[R10], registers[Rdx]) = (thread.image.into(), thread.quota.into());
                (registers[Rsi], registers[Rdi]) = (usage.into(), thread.children.into());
                Ok(abi::ThreadState::Running as u32)
            }
            Some(Call::Yield) => {
                next = Next::Yields;
                Ok(0)
            }
            Some(call @ (Call::Send | Call::Recv | Call::Getc | Call::Uptime | Call::Wait | Call::Kill)) => {
                panic!("there is nobody to answer {call:?}")
            }
            Some(Call::HvmCreate) => Err(Error::NoGuests),
            Some(abi::owner_calls!()) => Err(Error::InvalHvm),
            Some(Call::Exit) => return Next::Ends(End::Exited { status: first }),
        };
        let registers = &mut thread.cpu.registers;
        match result {
            Ok(value) => {
                registers[Rax] = Error::Succ as u64;
                registers[Rbx] = value.into();
            }
            Err(error) => registers[Rax] = error as u64,
        }
        next
    }

    fn puts(&mut self, thread: &mut Thread, address: u32, length: u32) -> Result<u32, Error> {
        if !(abi::ADR_LOW..abi::ADR_HIGH).contains(&address) {
            return Err(Error::InvalAddr);
        }
        if length == 0 {
            return Ok(0);
        }
        if thread.space.rest_of_page(address.into()).is_err() && !thread.space.map(address.into(), true) {
            return Err(Error::Mem);
        }
        let bytes = thread.space.rest_of_page(address.into()).map_err(|_| Error::InvalAddr)?;
        let bytes = &bytes[..bytes.len().min(length as usize)];
        self.console.extend(bytes);
        Ok(bytes.len() as u32)
    }

    fn spawn(&mut self, thread: &mut Thread, image: u32, quota: u32, arguments: u32) -> Result<u32, Error> {
        if image as usize >= self.programs.len() {
            return Err(Error::InvalId);
        }
        let is_window = (abi::ADR_LOW..abi::ADR_HIGH).contains(&arguments);
        let page = match arguments {
            0 => None,
            _ if !is_window || !arguments.is_multiple_of(abi::PAGE_SIZE) => return Err(Error::InvalAddr),
            _ => Some(thread.space.rest_of_page(arguments.into()).map_err(|_| Error::InvalAddr)?.to_vec()),
        };
        let has_numbers = abi::child(thread.number, abi::CHILDREN) <= abi::THREADS;
        if quota > thread.space.quota || thread.children == abi::CHILDREN || !has_numbers {
            return Err(Error::Mem);
        }
        let number = abi::child(thread.number, thread.children);
        let child = self.load(image, number, quota, page.as_deref()).ok_or(Error::Mem)?;
        thread.space.quota -= quota;
        thread.children += 1;
        self.ready.push_back(child);
        Ok(number)
    }
}

fn page_fault(thread: &mut Thread, Fault { address, mapped }: Fault) -> Next {
    let window = u64::from(abi::ADR_LOW)..u64::from(abi::ADR_HIGH);
    if mapped {
        stop(thread, Reason::ProtectionFault, address)
    } else if !window.contains(&address) {
        stop(thread, Reason::BadAddress, address)
    } else if !thread.space.map(address, true) {
        stop(thread, Reason::OutOfQuota, address)
    } else {
        Next::Runs
    }
}

fn stop(thread: &Thread, reason: Reason, address: u64) -> Next {
    Next::Ends(End::Stopped { reason, address, rip: thread.cpu.registers.rip })
}
