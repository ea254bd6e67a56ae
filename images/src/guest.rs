//! Guests, for images that run one on every CPU: they call the layer's primitives, as a system call would.

use core::sync::atomic::{AtomicUsize, Ordering};
use kernel::cpu::block::Cpu as Hardware;
use kernel::cpu::registers::{self, time_stamp};
use kernel::cpu::running::arrived;
use kernel::devices::exit::Reason;
use kernel::devices::power;
use kernel::guest::exit::REFUSED;
use kernel::guest::virtualisation::Missing;
use kernel::image::Boot;
use kernel::machine::guest::{self, Stopped};
use kernel::machine::{Metal, processor, set_platform, shared};
use kernel::mm::layout::MAX_CPUS;
use kernel::say;
use kernel::sync::lock::Lock;
use layer::core::constants::PAGE_SIZE;
use layer::core::state::Cpu;
use layer::objects::boot::sched_init;
use layer::objects::page_alloc::palloc;
use layer::objects::vmx::ept::vmx_set_mmap;
use layer::objects::vmx::vmcs::{FULL_SEGMENTS, SEGMENTS};
use layer::objects::vmx::*;

pub use layer::core::constants::guest_register as register;

/// Codes of segments: CS, and those behind it that hold data; then the local descriptor table and the task state.
const CS: u32 = 0;
const LDTR: u32 = 6;
const TR: u32 = 7;
/// Access rights: code and data of real mode, a local descriptor table, a busy 32-bit task.
const CODE: u32 = 0x9B;
const DATA: u32 = 0x93;
const TABLE: u32 = 0x82;
const TASK: u32 = 0x8B;

/// Where a guest's code lies, and its first instruction.
pub const START: u32 = 0x7C00;
/// Memory type write-back.
const WRITE_BACK: u32 = 6;
/// The bit of EFLAGS that is always 1.
const FLAGS: u32 = 2;

static CPUS: [Lock<Option<Cpu<'static, Metal>>>; MAX_CPUS] = [const { Lock::new(None) }; MAX_CPUS];
static FINISHED: AtomicUsize = AtomicUsize::new(0);

/// The hook `prepare` of an image with guests.
pub fn prepare(boot: &mut Boot) {
    let cpus = boot.cpus.ids().len() as u32;
    let platform = set_platform(boot).expect("kernel memory suffices");
    let shared = shared(platform);
    for (cpu, place) in (0..cpus).zip(&CPUS) {
        *place.lock() = Some(processor(platform, shared, cpu));
    }
}

/// Runs `with` on every CPU that runs guests, and `without` on every other. When all have finished, it says `done` and
/// ends the machine.
pub fn each(hardware: &Hardware, done: &str, with: fn(&mut Guest), without: fn(&mut Guest, Missing)) -> ! {
    {
        let mut own = CPUS[hardware.number()].lock();
        let cpu = own.as_mut().expect("`prepare` has made it");
        let has = guest::turn_on(cpu);
        sched_init(cpu, 0).expect("the machine is as the layer wants it");
        assert_eq!(vmxinfo_get(cpu, 1).expect("kernel mode"), u32::from(has.is_ok()), "word 1 says whether it has any");
        let mut guest = Guest { cpu, least_ticks: u64::MAX };
        match has {
            Ok(_) => with(&mut guest),
            Err(missing) => without(&mut guest, missing),
        }
    }
    if FINISHED.fetch_add(1, Ordering::SeqCst) + 1 == arrived() {
        say!("{} CPUs: {done}", arrived());
        power::leave(Reason::Done)
    }
    registers::halt()
}

/// For images that only make sense on a CPU that runs guests.
pub fn needs_guests(guest: &mut Guest, missing: Missing) {
    say!("CPU {} runs no guests: {missing}", guest.number());
    power::leave(Reason::Failed)
}

/// The guest of a CPU.
pub struct Guest<'a> {
    /// The CPU.
    pub cpu: &'a mut Cpu<'static, Metal>,
    /// Ticks of the time-stamp counter of the shortest run, from entry to exit.
    pub least_ticks: u64,
}

/// A primitive whose precondition holds.
fn right<T>(result: Result<T, layer::core::stuck::Stuck>) -> T {
    result.expect("its precondition holds")
}

impl Guest<'_> {
    /// Number of its CPU.
    pub fn number(&self) -> u32 {
        self.cpu.own.cpu
    }

    /// Makes the virtual machine anew, in real mode, with `code` at [`START`] and a page of memory there.
    pub fn begin(&mut self, code: &[u8]) {
        right(vmx_init(self.cpu, 0));
        for segment in 0..SEGMENTS {
            let access = match segment {
                CS => CODE,
                LDTR => TABLE,
                TR => TASK,
                _ => DATA,
            };
            assert!(segment < FULL_SEGMENTS || access == DATA, "the others have no access rights");
            right(vmx_set_desc1(self.cpu, segment, 0, 0));
            right(vmx_set_desc2(self.cpu, segment, 0xffff, access));
        }
        self.set(register::EFLAGS, FLAGS);
        self.set(register::EIP, START);
        self.set(register::ESP, START);
        let page = self.map(START / PAGE_SIZE * PAGE_SIZE);
        self.cpu.own.hp.0.write(page, (START % PAGE_SIZE) as usize, code);
    }

    /// Maps a page of zeros at this guest-physical address. Returns its frame.
    pub fn map(&mut self, address: u32) -> u32 {
        let page = right(palloc(self.cpu, self.cpu.own.cpu + 1));
        assert!(page > 0, "a page is free");
        self.cpu.own.hp.0.write(page, 0, &[0; PAGE_SIZE as usize]);
        assert_eq!(right(vmx_set_mmap(self.cpu, address, page * PAGE_SIZE, WRITE_BACK)), 0);
        page
    }

    /// A register.
    pub fn get(&self, register: u32) -> u32 {
        right(vmx_get_reg(self.cpu, register))
    }

    /// Sets a register.
    pub fn set(&mut self, register: u32, value: u32) {
        right(vmx_set_reg(self.cpu, register, value));
    }

    /// Runs the guest until it exits, and returns the reason.
    pub fn run(&mut self) -> u32 {
        let _ = right(vmx_run_vm(self.cpu, 1, 2));
        let before = time_stamp();
        let Stopped { registers, reason } = guest::run(self.cpu);
        self.least_ticks = self.least_ticks.min(time_stamp() - before);
        let to_host = right(vmx_return_from_guest(self.cpu, registers));
        assert_eq!((to_host.rdi, to_host.rbp), (1, 2), "the host gets its registers back");
        let basic = right(vmx_get_exit_reason(self.cpu));
        assert_eq!(basic, reason & 0xffff, "and the reason is in the control structure");
        if reason == REFUSED {
            say!("CPU {}: the processor refuses the guest: {:#x}", self.number(), self.qualification());
        }
        basic
    }

    /// Runs the guest until it exits for another reason than an interrupt that the host has taken.
    pub fn run_on(&mut self) -> u32 {
        loop {
            match self.run() {
                kernel::guest::exit::reason::INTERRUPT => {}
                reason => return reason,
            }
        }
    }

    /// The qualification of the last exit.
    pub fn qualification(&self) -> u32 {
        right(vmx_get_exit_qualification(self.cpu))
    }

    /// Skips the instruction that made the guest exit.
    pub fn skip(&mut self) {
        let next = right(vmx_get_next_eip(self.cpu));
        self.set(register::EIP, next);
    }
}
