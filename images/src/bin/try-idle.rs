//! A token goes round all CPUs. On each CPU a thread passes it on, wakes the next CPU's thread, and sleeps. So every
//! CPU is idle most of the time, halts, and is woken. A single lost wake-up would stop the token.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering};
use kernel::cpu::block::Cpu as Hardware;
use kernel::cpu::running::arrived;
use kernel::devices::exit::Reason;
use kernel::devices::power;
use kernel::entry::idle;
use kernel::image::{Boot, Image};
use kernel::machine::{Metal, processor, set_platform, shared};
use kernel::mm::layout::MAX_CPUS;
use kernel::say;
use kernel::sync::lock::Lock;
use layer::core::constants::PAGE_SIZE;
use layer::core::fields::{Context, START_USER};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::boot::sched_init;
use layer::objects::channel::pool::Cv;
use layer::objects::channel::{acquire_lock_chan, release_lock_chan};
use layer::objects::process::proc_create;
use layer::objects::thread::{thread_sleep, thread_wakeup, thread_yield};
use syscall::system::System;

kernel::image!(Image { prepare, start, ..Image::DEFAULT });

/// How often the token goes round.
const ROUNDS: u32 = 300;

static CPUS: [Lock<Option<Cpu<'static, Metal>>>; MAX_CPUS] = [const { Lock::new(None) }; MAX_CPUS];
/// How often the token was passed on. Its CPU is this number modulo the number of CPUs. It is changed under the lock of
/// the receiver's channel.
static TOKEN: AtomicU32 = AtomicU32::new(0);

fn prepare(boot: &mut Boot) {
    let cpus = boot.cpus.ids().len() as u32;
    let platform = set_platform(boot).expect("memory");
    let shared = shared(platform);
    for (cpu, place) in (0..cpus).zip(&CPUS) {
        *place.lock() = Some(processor(platform, shared, cpu));
    }
}

fn start(hardware: &mut Hardware) -> ! {
    let mut own = CPUS[hardware.number()].lock();
    let cpu = own.as_mut().expect("`prepare` has made it");
    match run(cpu) {
        Ok(()) => end(),
        Err(stuck) => panic!("{stuck:?}"),
    }
}

/// Runs two threads in turn: the main thread, which lets others run or halts the CPU, and its child.
fn run(cpu: &mut Cpu<'static, Metal>) -> Result<(), Stuck> {
    sched_init(cpu, 0)?;
    let (me, main) = (cpu.own.cpu, cpu.own.cur);
    proc_create(cpu, 0, 0, 0)?;
    loop {
        if cpu.own.cur == main {
            let context = context(cpu);
            let _ = thread_yield(cpu, context)?;
            if cpu.own.cur == main {
                Metal::idle(me);
            }
        } else if pass(cpu)? {
            return Ok(());
        }
    }
}

/// The child passes the token on if it has it, and otherwise sleeps; returns whether all rounds are done.
fn pass(cpu: &mut Cpu<'static, Metal>) -> Result<bool, Stuck> {
    let (me, cpus) = (cpu.own.cpu, arrived() as u32);
    acquire_lock_chan(cpu, Cv(me).channel())?;
    let token = TOKEN.load(Ordering::Relaxed);
    if token % cpus != me {
        let context = context(cpu);
        let _ = thread_sleep(cpu, Cv(me), context)?;
        return Ok(false);
    }
    release_lock_chan(cpu, Cv(me).channel())?;
    if token == ROUNDS * cpus {
        return Ok(true);
    }
    let next = Cv((token + 1) % cpus);
    acquire_lock_chan(cpu, next.channel())?;
    TOKEN.store(token + 1, Ordering::Relaxed);
    thread_wakeup(cpu, next)?;
    release_lock_chan(cpu, next.channel())?;
    Ok(false)
}

/// The context with which a thread continues. The context is not used, because the number of the current
/// thread is enough.
fn context(cpu: &Cpu<'static, Metal>) -> Context<Metal> {
    Context { esp: (cpu.own.cur + 1) * PAGE_SIZE - 4, ra: START_USER }
}

fn end() -> ! {
    let awake = (0..arrived()).find(|&cpu| idle::halts(cpu) == 0);
    assert_eq!(awake, None, "a CPU has never halted");
    say!("the token went round {} CPUs {ROUNDS} times", arrived());
    power::leave(Reason::Done)
}
