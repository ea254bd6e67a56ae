//! The hardware around the CPUs: memory, boot archive, console; and the count of programs that switches it off.
//!
//! A machine of the layer asks for these things by itself, without a value to ask: each thread that works for a
//! machine is therefore [seated](seat) at its board first.
use crate::baton::{Baton, Stop};
use crate::machine::Sim;
use crate::script;
use crate::serial::Script;
use abi::Error;
use abi::console::{Encoder, Speaker};
use abi::report::End;
use layer::constants::{MAX_PAGE, TOTAL_CPU, VMXINFO_SIZE};
use layer::state::Cpu;
use layer::vmcs::VMCS_SIZE;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use syscall::image::ParsedImage;
use syscall::trace::Report;

/// Physical memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Frames of 4 KiB that the machine has, up to [`MAX_PAGE`].
    pub frames: u32,
    /// Which of them are usable memory.
    pub usable: Vec<Range<u32>>,
}

impl Memory {
    /// All of the first `frames` frames.
    pub fn all(frames: u32) -> Self {
        Memory { frames, usable: Vec::from([Range { start: 0, end: frames }]) }
    }

    /// Whether `frame` is usable.
    pub fn is_usable(&self, frame: u32) -> bool {
        self.usable.iter().any(|range| range.contains(&frame))
    }
}

impl Default for Memory {
    /// 2 GiB, half of them below the user area.
    fn default() -> Self {
        Memory::all(MAX_PAGE / 2)
    }
}

/// A program of the boot archive.
#[derive(Clone, Debug)]
pub struct Archived {
    /// Its name.
    pub name: String,
    /// Its ELF file.
    pub file: Vec<u8>,
    /// What the file says.
    pub image: ParsedImage,
}

/// A line of the boot list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// The CPU.
    pub cpu: u32,
    /// The image, by its number in the boot archive.
    pub image: u32,
    /// Pages that it gets.
    pub quota: u32,
    /// Its arguments, as the boot list has them.
    pub arguments: String,
}

/// How a program ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgramEnd {
    /// The CPU that it ran on.
    pub cpu: u32,
    /// Its thread number.
    pub thread: u32,
    /// Its image, by its number in the boot archive.
    pub image: u32,
    /// How.
    pub end: End,
}

/// Receives what is written to the console: the stream that [`abi::console`] describes.
pub type Console<'a> = dyn FnMut(&[u8]) + Send + 'a;

/// The hardware of one machine.
pub struct Board {
    /// Its memory.
    pub memory: Memory,
    /// Its boot archive.
    pub archive: Vec<Archived>,
    /// Capability words of its VMX.
    pub vmxinfo: [u32; VMXINFO_SIZE as usize],
    /// What the host's part of a VM control structure is to hold, by field.
    pub vmcs_host: [u64; VMCS_SIZE as usize],
    /// Model-specific registers that are not 0.
    pub msr: BTreeMap<u32, u64>,
    /// What happens to its UART.
    pub serial: Script,
    /// What it answers instead of what is in boot archive and boot list.
    pub script: Option<script::Script>,
    /// A planted bug: the kernel forgets to flush what the processor remembers of pages that it unmaps.
    pub forgets_flushes: bool,
    state: Mutex<State>,
    /// How many events were logged.
    stamps: AtomicU64,
}

struct State {
    /// How often a CPU had nothing to do.
    idles: u64,
    console: Box<Console<'static>>,
    encoder: Encoder,
    /// What is left of the boot list, by CPU.
    starts: Vec<VecDeque<Start>>,
    /// The arguments of the line that each CPU was given last.
    arguments: Vec<String>,
    /// CPUs that have asked for more than there was.
    listed: [bool; TOTAL_CPU as usize],
    /// How many CPUs have not.
    starting: u32,
    /// Images of the threads that were started and have not ended.
    live: BTreeMap<u32, u32>,
    ends: Vec<ProgramEnd>,
    refused: u32,
}

impl Board {
    /// A machine with `cpus` CPUs, of which each CPU starts its lines of `starts`.
    pub fn new(
        memory: Memory,
        archive: Vec<Archived>,
        cpus: u32,
        starts: &[Start],
        console: Box<Console<'static>>,
    ) -> Self {
        let of = |cpu| starts.iter().filter(|start| start.cpu == cpu).cloned().collect();
        Board {
            memory,
            archive,
            vmxinfo: [0; VMXINFO_SIZE as usize],
            vmcs_host: [0; VMCS_SIZE as usize],
            msr: BTreeMap::new(),
            serial: Script::default(),
            script: None,
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

    /// A machine with this memory and nothing to run, whose console nobody reads.
    pub fn bare(memory: Memory) -> Self {
        Board::new(memory, Vec::new(), TOTAL_CPU, &[], Box::new(|_| ()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of an image, or what stands for one that is not there.
    pub fn name(&self, image: u32) -> &str {
        self.archive.get(image as usize).map_or("?", |program| &program.name)
    }

    /// The image that a thread runs, until it ends.
    pub fn image_of(&self, thread: u32) -> Option<u32> {
        self.state().live.get(&thread).copied()
    }

    /// How the programs ended that did so until now, in that order.
    pub fn ends(&self) -> Vec<ProgramEnd> {
        self.state().ends.clone()
    }

    /// How many lines of the boot list could not be obeyed.
    pub fn refused(&self) -> u32 {
        self.state().refused
    }

    /// How often a CPU said until now that it had nothing to do.
    pub fn idles(&self) -> u64 {
        self.state().idles
    }

    /// Writes what a program prints to the console.
    pub fn print(&self, bytes: &[u8]) {
        self.say(Speaker::Program, bytes);
    }

    /// Writes a line of the kernel's to the console.
    pub fn write_line(&self, line: &str) {
        self.say(Speaker::Kernel, format!("{line}\n").as_bytes());
    }

    fn say(&self, speaker: Speaker, bytes: &[u8]) {
        let mut state = self.state();
        let mut stream = Vec::with_capacity(bytes.len());
        state.encoder.write(speaker, bytes, |byte| stream.push(byte));
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

    /// The arguments of the line that a CPU was given last.
    pub(crate) fn arguments(&self, cpu: u32) -> String {
        self.state().arguments[cpu as usize].clone()
    }

    /// A CPU has nothing to do.
    pub(crate) fn idle(&self) {
        self.state().idles += 1;
    }

    /// A thread was started.
    pub(crate) fn started(&self, thread: u32, image: u32) {
        self.state().live.insert(thread, image);
    }

    /// A line of the boot list could not be obeyed.
    pub(crate) fn not_started(&self, cpu: u32, image: u32, error: Error) {
        self.write_line(&abi::refused::Refused { cpu, name: self.name(image), error }.to_string());
        self.state().refused += 1;
    }

    /// The program of the thread that `layer`'s CPU runs has ended.
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

impl Board {
    /// The program of `thread` was killed.
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
    /// Switches the machine off when nothing runs and nothing is left to start.
    fn switch_off_when_done(&self) {
        if self.starting == 0
            && self.live.is_empty()
            && let Some(baton) = baton()
        {
            baton.stop(Stop::PowerOff);
        }
    }
}

thread_local! {
    static SEAT: RefCell<Option<Seat>> = const { RefCell::new(None) };
}

/// Where a thread works.
#[derive(Clone)]
struct Seat {
    board: Arc<Board>,
    baton: Option<Arc<Baton>>,
}

/// From now on this thread works for the machine of `board`, as one of its CPUs where there is a baton.
pub fn seat(board: Arc<Board>, baton: Option<Arc<Baton>>) {
    SEAT.set(Some(Seat { board, baton }));
}

/// From now on this thread works for no machine.
pub fn stand_up() {
    SEAT.set(None);
}

/// The board of this thread's machine: one with 2 GiB and nothing to run, where none was taken.
pub fn current() -> Arc<Board> {
    SEAT.with_borrow_mut(|seat| {
        let new = || Seat { board: Arc::new(Board::bare(Memory::default())), baton: None };
        Arc::clone(&seat.get_or_insert_with(new).board)
    })
}

/// Milliseconds for which this thread's machine has been on: it does a million instructions, or steps of the kernel, a second.
pub(crate) fn uptime() -> u32 {
    baton().map_or(0, |baton| (baton.work() / 1000) as u32)
}

/// The baton of this thread's machine, if other CPUs run beside this one.
pub(crate) fn baton() -> Option<Arc<Baton>> {
    SEAT.with_borrow(|seat| seat.as_ref()?.baton.clone())
}
