//! The hardware around the CPUs: memory, boot archive and console. It also counts the running programs, and switches
//! the machine off when none is left.
//!
//! The layer asks its machine through functions without a receiver. Therefore each thread that runs part of a machine
//! first makes that machine its [current](make_current) one, in a thread-local value.
use super::Sim;
use super::serial::SerialInput;
use super::sparse::Sparse;
use super::turns::{Stop, TurnScheduler};
use abi::Error;
use abi::console::{Encoder, Speaker};
use abi::report::End;
use layer::core::constants::{MAX_PAGE, TOTAL_CPU, VMXINFO_SIZE};
use layer::core::fields::PhysicalMemory;
use layer::core::state::Cpu;
use layer::objects::vmx::vmcs::VMCS_SIZE;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use syscall::image::ParsedImage;
use syscall::system::{self, Image, ImagePage};
use syscall::trace::Report;
use syscall::unchecked::Unchecked;

/// Physical memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Memory {
    /// The number of 4 KiB frames of the machine, up to [`MAX_PAGE`].
    pub frames: u32,
    /// The frames that are usable memory.
    pub usable: Vec<Range<u32>>,
}

impl Memory {
    /// Usable memory in all of the first `frames` frames.
    pub fn all(frames: u32) -> Self {
        Memory { frames, usable: Vec::from([Range { start: 0, end: frames }]) }
    }

    /// Whether `frame` is usable.
    pub fn is_usable(&self, frame: u32) -> bool {
        self.usable.iter().any(|range| range.contains(&frame))
    }
}

impl Default for Memory {
    /// 2 GiB, half of it below the user area.
    fn default() -> Self {
        Memory::all(MAX_PAGE / 2)
    }
}

/// A program of the boot archive.
#[derive(Clone, Debug)]
pub struct Archived {
    /// The name of the program.
    pub name: String,
    /// The contents of its ELF file.
    pub file: Vec<u8>,
    /// The parsed file.
    pub image: ParsedImage,
}

/// A line of the boot list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// The CPU.
    pub cpu: u32,
    /// The image number: the index in the boot archive.
    pub image: u32,
    /// The quota, in pages.
    pub quota: u32,
    /// The arguments, as in the boot list.
    pub arguments: String,
}

/// The end of a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgramEnd {
    /// The CPU of the program.
    pub cpu: u32,
    /// The thread number.
    pub thread: u32,
    /// The image number: the index in the boot archive.
    pub image: u32,
    /// How the program ended.
    pub end: End,
}

/// Receives the output on the console, as the stream that [`abi::console`] describes.
pub type Console<'a> = dyn FnMut(&[u8]) + Send + 'a;

/// Answers to the kernel's questions about programs, in the order of the questions.
pub trait Answers: Send + Sync {
    /// An image of the boot archive.
    fn image(&self) -> Option<Image<Sim>>;
    /// A page of an image.
    fn image_page(&self) -> Option<ImagePage<Sim>>;
    /// Copies a page of an image, or the arguments of a program, into `frame`.
    fn load_page(&self, memory: &mut Sparse<PhysicalMemory>, frame: u32);
    /// A line of the boot list.
    fn next_start(&self) -> Option<system::Start<Sim>>;
    /// Whether that line has arguments.
    fn has_arguments(&self) -> bool;
    /// A word that a program has requested.
    fn word(&self) -> Unchecked<u32>;
}

/// The hardware of one machine.
pub struct Platform {
    /// The memory.
    pub memory: Memory,
    /// The boot archive.
    pub archive: Vec<Archived>,
    /// The VMX capability words.
    pub vmxinfo: [u32; VMXINFO_SIZE as usize],
    /// The expected host-state fields of a VM control structure.
    pub vmcs_host: [u64; VMCS_SIZE as usize],
    /// The model-specific registers that are not 0.
    pub msr: BTreeMap<u32, u64>,
    /// The input of the UART.
    pub serial: SerialInput,
    /// Other answers, used instead of the boot archive and the boot list.
    pub answers: Option<Box<dyn Answers>>,
    /// A planted bug: the kernel does not invalidate the translations of pages that it unmaps.
    pub forgets_flushes: bool,
    state: Mutex<State>,
    /// The number of logged events.
    stamps: AtomicU64,
}

struct State {
    /// How often a CPU had nothing to do.
    idles: u64,
    console: Box<Console<'static>>,
    encoder: Encoder,
    /// The remaining lines of the boot list, by CPU.
    starts: Vec<VecDeque<Start>>,
    /// The arguments of each CPU's last line.
    arguments: Vec<String>,
    /// The CPUs that have requested a line after the end of their list.
    listed: [bool; TOTAL_CPU as usize],
    /// The number of CPUs that have not done so.
    starting: u32,
    /// The images of threads that were started and have not ended.
    live: BTreeMap<u32, u32>,
    ends: Vec<ProgramEnd>,
    refused: u32,
}

impl Platform {
    /// A machine with `cpus` CPUs. Each CPU starts its lines of `starts`.
    pub fn new(
        memory: Memory,
        archive: Vec<Archived>,
        cpus: u32,
        starts: &[Start],
        console: Box<Console<'static>>,
    ) -> Self {
        let of = |cpu| starts.iter().filter(|start| start.cpu == cpu).cloned().collect();
        Platform {
            memory,
            archive,
            vmxinfo: [0; VMXINFO_SIZE as usize],
            vmcs_host: [0; VMCS_SIZE as usize],
            msr: BTreeMap::new(),
            serial: SerialInput::default(),
            answers: None,
            forgets_flushes: false,
            state: Mutex::new(State {
                idles: 0,
                console,
                encoder: Encoder::new(),
                starts: (0..TOTAL_CPU).map(of).collect(),
                arguments: vec![String::new(); TOTAL_CPU as usize],
                listed: Default::default(),
                starting: cpus,
                live: BTreeMap::new(),
                ends: Vec::new(),
                refused: 0,
            }),
            stamps: AtomicU64::new(0),
        }
    }

    /// The stamp of the next event.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamps.fetch_add(1, Ordering::Relaxed)
    }

    /// A machine with this memory, without programs, whose output is dropped.
    pub fn bare(memory: Memory) -> Self {
        Platform::new(memory, Vec::new(), TOTAL_CPU, &[], Box::new(|_| ()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of an image, or a placeholder if there is no such image.
    pub fn name(&self, image: u32) -> &str {
        self.archive.get(image as usize).map_or("?", |program| &program.name)
    }

    /// The image of a thread, until it ends.
    pub fn image_of(&self, thread: u32) -> Option<u32> {
        self.state().live.get(&thread).copied()
    }

    /// How programs have ended so far, in order.
    pub fn ends(&self) -> Vec<ProgramEnd> {
        self.state().ends.clone()
    }

    /// The number of lines of the boot list that were refused.
    pub fn refused(&self) -> u32 {
        self.state().refused
    }

    /// How often a CPU has reported that it had nothing to do.
    pub fn idles(&self) -> u64 {
        self.state().idles
    }

    /// Writes a program's output to the console.
    pub fn print(&self, bytes: &[u8]) {
        self.say(Speaker::Program, bytes);
    }

    /// Writes a line of the kernel to the console.
    pub fn write_line(&self, line: &str) {
        self.say(Speaker::Kernel, format!("{line}\n").as_bytes());
    }

    fn say(&self, speaker: Speaker, bytes: &[u8]) {
        let mut state = self.state();
        let mut stream = Vec::with_capacity(bytes.len());
        state.encoder.write(speaker, bytes, |bytes| stream.extend(bytes));
        (state.console)(&stream);
    }

    /// The next line of the boot list for a CPU.
    pub(crate) fn next_start(&self, cpu: u32) -> Option<Start> {
        let mut state = self.state();
        let start = state.starts[cpu as usize].pop_front();
        state.arguments[cpu as usize] = start.as_ref().map(|start| start.arguments.clone()).unwrap_or_default();
        if start.is_none() && !std::mem::replace(&mut state.listed[cpu as usize], true) {
            state.starting -= 1;
            state.switch_off_when_done();
        }
        start
    }

    /// The arguments of a CPU's last line.
    pub(crate) fn arguments(&self, cpu: u32) -> String {
        self.state().arguments[cpu as usize].clone()
    }

    /// Records that a CPU had nothing to do.
    pub(crate) fn idle(&self) {
        self.state().idles += 1;
    }

    /// Records that a thread was started.
    pub(crate) fn started(&self, thread: u32, image: u32) {
        self.state().live.insert(thread, image);
    }

    /// Records that a line of the boot list was refused.
    pub(crate) fn not_started(&self, cpu: u32, image: u32, error: Error) {
        self.write_line(&abi::refused::Refused { cpu, name: self.name(image), error }.to_string());
        self.state().refused += 1;
    }

    /// Records that the program of the running thread on `layer`'s CPU has ended.
    pub(crate) fn ended(&self, layer: &Cpu<'_, Sim>, end: End) {
        let (cpu, thread) = (layer.own.cpu, layer.own.cur);
        let Some(image) = self.state().live.remove(&thread) else { return };
        let file = self.archive.get(image as usize).map_or(&[][..], |program| &program.file);
        self.write_line(&Report { cpu: layer, name: self.name(image), file, end }.to_string());
        let mut state = self.state();
        state.ends.push(ProgramEnd { cpu, thread, image, end });
        state.switch_off_when_done();
    }
}

impl Platform {
    /// Records that the program of `thread` was killed.
    pub(crate) fn killed(&self, cpu: u32, thread: u32) {
        let Some(image) = self.state().live.remove(&thread) else { return };
        let end = End::Killed;
        self.write_line(&abi::report::Ended { cpu, thread, name: self.name(image), end }.to_string());
        let mut state = self.state();
        state.ends.push(ProgramEnd { cpu, thread, image, end });
        state.switch_off_when_done();
    }
}

impl State {
    /// Switches the machine off if nothing runs and no line of the boot list is left.
    fn switch_off_when_done(&self) {
        if self.starting == 0
            && self.live.is_empty()
            && let Some(turns) = turns()
        {
            turns.stop(Stop::PowerOff);
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// The machine to which a thread belongs.
#[derive(Clone)]
struct Current {
    platform: Arc<Platform>,
    turns: Option<Arc<TurnScheduler>>,
}

/// Makes the machine of `platform` the current one of this thread. With a turn scheduler, the thread is one of several
/// CPUs.
pub fn make_current(platform: Arc<Platform>, turns: Option<Arc<TurnScheduler>>) {
    CURRENT.set(Some(Current { platform, turns }));
}

/// Leaves this thread without a current machine.
pub fn leave() {
    CURRENT.set(None);
}

/// The platform of this thread's machine. If there is none: a new platform with 2 GiB and no
/// programs.
pub fn current() -> Arc<Platform> {
    CURRENT.with_borrow_mut(|current| {
        let new = || Current { platform: Arc::new(Platform::bare(Memory::default())), turns: None };
        Arc::clone(&current.get_or_insert_with(new).platform)
    })
}

/// The uptime of this thread's machine in milliseconds: a million instructions or kernel steps count as a second.
pub(crate) fn uptime() -> u32 {
    turns().map_or(0, |turns| (turns.work() / 1000) as u32)
}

/// The turn scheduler of this thread's machine, if it has other CPUs.
pub(crate) fn turns() -> Option<Arc<TurnScheduler>> {
    CURRENT.with_borrow(|current| current.as_ref()?.turns.clone())
}
