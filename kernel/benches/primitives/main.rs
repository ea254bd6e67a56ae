//! The native cost of primitives, compared with code that was written by hand for the same memory.
//!
//! Times are processor times of the thread. Both sides run on one CPU of a process, with the kernel's locks. A line
//! `palloc/layer/…` and the line `palloc/by hand/…` below it do the same work.
mod by_hand;
mod cpu_time;
mod machine;

use by_hand::Kernel;
use cpu_time::{CpuTime, now};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use domain::Map;
use layer::core::constants::*;
use layer::core::fields::{Containers, Context, Directories, Frames, Pde};
use layer::core::machine::Lock;
use layer::core::state::Cpu;
use layer::objects::{channel, page_alloc, page_table, process, thread, vmx};
use machine::{Bench, NPS};
use std::hint::black_box;
use std::time::Duration;

const CONTEXT: Context<Bench> = Context { esp: 16, ra: 1 };
/// The main thread of CPU 0.
const MAIN: u32 = 1;

/// One side of a comparison.
trait Side {
    /// Its name in the results.
    const NAME: &'static str;
    /// Frees `pages` pages of the main thread from frame `cursor` on; it uses no others.
    fn free_from(&mut self, cursor: u32, pages: u32);
    /// Removes the page table of a directory entry of the main thread.
    fn forget(&mut self, region: u32);
    fn palloc(&mut self, n: u32) -> u32;
    fn pt_resv(&mut self, thread: u32, va: u32) -> u32;
    fn thread_yield(&mut self, rs: Context<Bench>) -> Context<Bench>;
    fn ipc_send_body(&mut self, q: u32, va: u32, n: u32) -> u32;
    fn vmx_set_reg(&mut self, r: u32, value: u32);
}

/// The layer.
struct Layer(Cpu<'static, Bench>);

impl Side for Layer {
    const NAME: &'static str = "layer";

    fn free_from(&mut self, cursor: u32, pages: u32) {
        let mut table = self.0.shared.at.lock(0, 0);
        table.cursor = cursor;
        for page in cursor..cursor + pages {
            Map::<Bench, Frames>::update(&mut table.frames, [page], |frame| frame.alloc = false);
        }
        Map::<Bench, Containers>::update(&mut self.0.own.ac, [MAIN], |container| container.usage = 0);
    }
    fn forget(&mut self, region: u32) {
        Map::<Bench, Directories>::set(&mut self.0.own.dirs, [MAIN, region], Pde::UnPresent);
    }
    #[inline(always)]
    fn palloc(&mut self, n: u32) -> u32 {
        page_alloc::palloc(&mut self.0, n).expect("never stuck")
    }
    #[inline(always)]
    fn pt_resv(&mut self, thread: u32, va: u32) -> u32 {
        page_table::pt_resv(&mut self.0, thread, va, perm::PTU).expect("never stuck")
    }
    #[inline(always)]
    fn thread_yield(&mut self, rs: Context<Bench>) -> Context<Bench> {
        thread::thread_yield(&mut self.0, rs).expect("never stuck").into_context()
    }
    #[inline(always)]
    fn ipc_send_body(&mut self, q: u32, va: u32, n: u32) -> u32 {
        channel::ipc_send_body(&mut self.0, channel::pool::Channel(q), va, n).expect("never stuck")
    }
    #[inline(always)]
    fn vmx_set_reg(&mut self, r: u32, value: u32) {
        vmx::vmx_set_reg(&mut self.0, r, value).expect("never stuck");
    }
}

impl Side for Kernel {
    const NAME: &'static str = "by hand";

    fn free_from(&mut self, cursor: u32, pages: u32) {
        Kernel::free_from(self, cursor, pages);
    }
    fn forget(&mut self, region: u32) {
        Kernel::forget(self, MAIN, region);
    }
    #[inline(always)]
    fn palloc(&mut self, n: u32) -> u32 {
        Kernel::palloc(self, n)
    }
    #[inline(always)]
    fn pt_resv(&mut self, thread: u32, va: u32) -> u32 {
        Kernel::pt_resv(self, thread, va, perm::PTU)
    }
    #[inline(always)]
    fn thread_yield(&mut self, rs: Context<Bench>) -> Context<Bench> {
        Kernel::thread_yield(self, rs)
    }
    #[inline(always)]
    fn ipc_send_body(&mut self, q: u32, va: u32, n: u32) -> u32 {
        Kernel::ipc_send_body(self, q, va, n)
    }
    #[inline(always)]
    fn vmx_set_reg(&mut self, r: u32, value: u32) {
        Kernel::vmx_set_reg(self, r, value);
    }
}

/// Both sides, with `threads` ready threads beside the main thread, in the same order.
fn sides(threads: usize) -> (Layer, Kernel) {
    let mut cpu = machine::boot();
    let mut made = 0;
    while made < threads {
        let left = MAX_CHILDREN - Map::<Bench, Containers>::get(&cpu.own.ac, [cpu.own.cur]).nchildren;
        for _ in 0..left.min((threads - made) as u32) {
            // A thread gets no children if their numbers would be too large.
            made += usize::from(process::proc_create(&mut cpu, 0, 0, 0).is_ok());
        }
        let _resume = thread::thread_yield(&mut cpu, CONTEXT);
    }
    while cpu.own.cur != MAIN {
        let _resume = thread::thread_yield(&mut cpu, CONTEXT);
    }
    let is_there = |&thread: &u32| thread != NO_THREAD;
    let next = |&thread: &u32| Some(cpu.shared.links.next(thread)).filter(is_there);
    let ready = std::iter::successors(Some(cpu.own.ready.head).filter(is_there), next);
    let quota = Map::<Bench, Containers>::get(&cpu.own.ac, [MAIN]).quota;
    let hand = Kernel::new(quota, ready);
    (Layer(cpu), hand)
}

/// Times `iterations` calls, in batches. `reset` makes room before each batch and is not timed.
#[inline(always)]
fn timed<S: Side, R>(
    side: &mut S,
    iterations: u64,
    batch: u32,
    reset: impl Fn(&mut S),
    call: impl Fn(&mut S, u32) -> R,
) -> Duration {
    let (mut left, mut time) = (iterations, Duration::ZERO);
    while left > 0 {
        let calls = left.min(batch.into()) as u32;
        reset(side);
        let start = now();
        for k in 0..calls {
            black_box(call(side, k));
        }
        time += now() - start;
        left -= u64::from(calls);
    }
    time
}

type Group<'a> = BenchmarkGroup<'a, CpuTime>;

/// Page allocation after `taken` pages: the cost does not depend on their number.
fn palloc(c: &mut Criterion<CpuTime>) {
    const BATCH: u32 = 1024;
    fn row<S: Side>(group: &mut Group<'_>, side: &mut S, taken: u32) {
        let first = KERN_LOW + taken;
        group.bench_function(BenchmarkId::new(S::NAME, taken), |b| {
            b.iter_custom(|n| {
                let reset = |side: &mut S| side.free_from(first, BATCH);
                timed(side, n, BATCH, reset, |side, _| side.palloc(black_box(MAIN)))
            });
        });
    }
    let (mut layer, mut hand) = sides(0);
    let mut group = c.benchmark_group("palloc");
    for taken in [1, 64, 500, NPS - KERN_LOW - BATCH] {
        layer.free_from(KERN_LOW + taken, BATCH);
        hand.free_from(KERN_LOW + taken, BATCH);
        assert_eq!([layer.palloc(MAIN), hand.palloc(MAIN)], [KERN_LOW + taken; 2]);
        row(&mut group, &mut layer, taken);
        row(&mut group, &mut hand, taken);
    }
    group.finish();
}

/// Mapping a page that is filled with zeros. Each 512th mapping needs a page table as well.
fn pt_resv(c: &mut Criterion<CpuTime>) {
    const BATCH: u32 = 1024;
    const REGIONS: std::ops::Range<u32> = ADR_LOW >> 21..(ADR_LOW >> 21) + BATCH / 512;
    fn row<S: Side>(group: &mut Group<'_>, side: &mut S) -> Vec<u32> {
        let reset = |side: &mut S| {
            side.free_from(KERN_LOW, 2 * BATCH);
            REGIONS.for_each(|region| side.forget(region));
        };
        let map = |side: &mut S, k: u32| side.pt_resv(black_box(MAIN), black_box(ADR_LOW + k * PAGE_SIZE));
        group.bench_function(S::NAME, |b| {
            b.iter_custom(|n| timed(side, n, BATCH, reset, map));
        });
        reset(side);
        (0..BATCH).map(|k| map(side, k)).collect()
    }
    let (mut layer, mut hand) = sides(0);
    let mut group = c.benchmark_group("pt_resv");
    assert_eq!(row(&mut group, &mut layer), row(&mut group, &mut hand));
    group.finish();
}

/// A yield with `ready` ready threads: the cost does not depend on their number.
fn thread_yield(c: &mut Criterion<CpuTime>) {
    fn row<S: Side>(group: &mut Group<'_>, side: &mut S, ready: usize) -> Vec<u32> {
        group.bench_function(BenchmarkId::new(S::NAME, ready), |b| {
            b.iter(|| {
                // Reads both words, as the code does that resumes a thread.
                let Context { esp, ra } = side.thread_yield(black_box(CONTEXT));
                (black_box(esp), black_box(ra))
            });
        });
        // The stack pointer shows which thread resumes.
        for k in 0..=ready as u32 {
            side.thread_yield(Context { esp: k, ra: 1 });
        }
        (0..=ready).map(|_| side.thread_yield(CONTEXT).esp).collect()
    }
    let mut group = c.benchmark_group("thread_yield");
    for ready in [1, 64, 500] {
        let (mut layer, mut hand) = sides(ready);
        assert_eq!(row(&mut group, &mut layer, ready), row(&mut group, &mut hand, ready));
    }
    group.finish();
}

/// A message of `words` words.
fn ipc_send_body(c: &mut Criterion<CpuTime>) {
    fn row<S: Side>(group: &mut Group<'_>, side: &mut S, words: u32) {
        group.throughput(Throughput::Bytes((words * WORD_SIZE).into()));
        group.bench_function(BenchmarkId::new(S::NAME, words), |b| {
            b.iter(|| side.ipc_send_body(black_box(SLP_Q), black_box(ADR_LOW), black_box(words)));
        });
    }
    let (mut layer, mut hand) = sides(0);
    assert_eq!(Side::pt_resv(&mut layer, MAIN, ADR_LOW), Side::pt_resv(&mut hand, MAIN, ADR_LOW));
    let mut group = c.benchmark_group("ipc_send_body");
    for words in [1, 64, 1024] {
        assert_eq!([layer.ipc_send_body(SLP_Q, ADR_LOW, words), hand.ipc_send_body(SLP_Q, ADR_LOW, words)], [words; 2]);
        row(&mut group, &mut layer, words);
        row(&mut group, &mut hand, words);
    }
    group.finish();
}

/// Sets each of the registers in turn.
fn vmx_set_reg(c: &mut Criterion<CpuTime>) {
    fn row<S: Side>(group: &mut Group<'_>, side: &mut S) {
        let mut r = 0;
        group.bench_function(S::NAME, |b| {
            b.iter(|| {
                r = (r + 1) % vmx::REGISTERS.len() as u32;
                side.vmx_set_reg(black_box(r), black_box(7));
            });
        });
    }
    let (mut layer, mut hand) = sides(0);
    let mut group = c.benchmark_group("vmx_set_reg");
    row(&mut group, &mut layer);
    row(&mut group, &mut hand);
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = palloc, pt_resv, thread_yield, ipc_send_body, vmx_set_reg
}
criterion_main!(benches);
