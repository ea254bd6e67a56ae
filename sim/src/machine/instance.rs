//! The implementation of the layer's machine for the hosted machine.
use super::Sim;
use super::interactions::{is_recording, record};
use super::lock::{LockArray, SharedChannels, SharedLinks};
use super::log::Kept;
use super::sparse::Sparse;
use super::{platform, scoped, tlb};
use abi::boot::Words;
use abi::report::End;
use domain::{Map, Present};
use layer::core::call::{Call, FromAnswer};
use layer::core::constants::*;
use layer::core::fields::{Byte, Cell, PhysicalMemory, Received, Slot, UserContexts};
use layer::core::machine::{Machine, Object, Spec};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::console::uart::SerialEvent;
use std::cell::RefCell;
use syscall::effect::{Interaction, Written};
use syscall::system::{Event, Image, ImagePage, Question, Start, System};
use syscall::unchecked::Unchecked;

impl Machine for Sim {
    type Ghost<T: 'static> = Present<T>;
    type Log = Kept;
    type Lock<T: Object<Self>> = LockArray<T>;
    type Links = SharedLinks;
    type Channels = SharedChannels;
    type Registers = [u64; UCTXT_SIZE as usize];

    fn ghost<T: 'static>(make: impl FnOnce() -> T) -> Present<T> {
        Present(make())
    }
    fn ghosts<T: 'static, U: 'static>(ghost: &mut Present<T>, other: &Present<U>, change: impl FnOnce(&mut T, &U)) {
        change(&mut ghost.0, &other.0);
    }
    fn log((): ()) -> Kept {
        Kept::default()
    }
    fn store_registers(contexts: &mut Sparse<UserContexts>, thread: u32, registers: Self::Registers) {
        for (k, value) in (0..).zip(registers) {
            contexts.set([thread, k], Slot { value });
        }
    }
    fn real_vmxinfo(index: u32) -> u32 {
        platform::current().vmxinfo[index as usize]
    }
    fn vmcs_host(field: u32) -> u64 {
        platform::current().vmcs_host[field as usize]
    }
    fn rdmsr(register: u32) -> u64 {
        platform::current().msr.get(&register).copied().unwrap_or(0)
    }
    fn has_serial(cpu: u32) -> bool {
        platform::current().serial.owner == Some(cpu)
    }
    fn serial_event(index: u32) -> SerialEvent<Sim> {
        platform::current().serial.event(index)
    }
    fn serial_bytes(rx_buf: &mut Sparse<Received>, at: u32, index: u32, count: u32) {
        for k in 0..count {
            rx_buf.set([(at + k) % SERIAL_HW_BUF_SIZE], Cell { value: Self::serial_byte(index, k) });
        }
    }
    fn serial_sent(index: u32) -> u32 {
        platform::current().serial.sent(index)
    }
    fn serial_send(character: u32) {
        platform::current().print(&[character as u8]);
    }
    fn usable(frame: u32) -> bool {
        platform::current().memory.is_usable(frame)
    }
    fn unmapped(cpu: &Cpu<'_, Sim>, va: u32) {
        if !platform::current().forgets_flushes {
            tlb::invalidate(cpu, va);
        }
    }

    fn call<R>(
        cpu: &mut Cpu<'_, Sim>,
        call: impl FnOnce() -> Call<Sim>,
        _give: FromAnswer<Sim, R>,
        run: impl FnOnce(&mut Cpu<'_, Sim>) -> Result<R, Stuck>,
    ) -> Result<R, Stuck> {
        AT_CALLS.with_borrow_mut(|watcher| {
            if let Some(before) = watcher {
                before(cpu, &call());
            }
        });
        run(cpu)
    }
}

/// A callback for calls of primitives, with the state at the call.
type Watcher = Box<dyn FnMut(&Cpu<'_, Sim>, &Call<Sim>)>;

thread_local! {
    static AT_CALLS: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// Runs `work`. Runs `before` before each primitive that `work` calls on this thread
/// ([`Machine::call`]).
pub fn at_calls<R>(before: impl FnMut(&Cpu<'_, Sim>, &Call<Sim>) + 'static, work: impl FnOnce() -> R) -> R {
    scoped::with(&AT_CALLS, Box::new(before), work)
}

impl Spec for Sim {
    fn present<T: 'static>(ghost: &Present<T>) -> &T {
        &ghost.0
    }
    fn register(registers: &Self::Registers, slot: u32) -> u64 {
        registers[slot as usize]
    }
    fn serial_byte(index: u32, k: u32) -> u32 {
        platform::current().serial.byte(index, k)
    }
}

impl System for Sim {
    fn image(index: u32) -> Option<Image<Sim>> {
        let answer = image(index);
        record(|| Interaction::Image { index, answer });
        answer
    }
    fn image_page(index: u32, page: u32) -> Option<ImagePage<Sim>> {
        let answer = image_page(index, page);
        record(|| Interaction::ImagePage { index, page, answer });
        answer
    }
    fn load_page(memory: &mut Sparse<PhysicalMemory>, frame: u32, index: u32, page: u32) {
        let fill = |memory: &mut _| load_page(memory, frame, index, page);
        recorded_fill(memory, frame, fill, |written| Interaction::LoadPage { index, page, written });
    }
    fn next_start(cpu: u32) -> Option<Start<Sim>> {
        let answer = next_start(cpu);
        record(|| Interaction::NextStart { cpu, answer });
        answer
    }
    fn has_arguments(cpu: u32) -> bool {
        let platform = platform::current();
        let answer = match &platform.answers {
            Some(answers) => answers.has_arguments(),
            None => !platform.arguments(cpu).is_empty(),
        };
        record(|| Interaction::HasArguments { cpu, answer });
        answer
    }
    fn load_arguments(memory: &mut Sparse<PhysicalMemory>, frame: u32, cpu: u32) {
        let fill = |memory: &mut _| load_arguments(memory, frame, cpu);
        recorded_fill(memory, frame, fill, |written| Interaction::LoadArguments { cpu, written });
    }
    fn console_write(cpu: &Cpu<'_, Sim>, frame: u32, offset: u32, length: u32) {
        record(|| Interaction::ConsoleWrite { frame, offset, length });
        let byte = |at| cpu.own.hp.get([frame, at]).value as u8;
        let bytes: Vec<u8> = (offset..offset + length).map(byte).collect();
        platform::current().print(&bytes);
    }
    fn tell(question: Question<Sim>) -> Unchecked<u32> {
        let platform = platform::current();
        let answer = match (&platform.answers, question) {
            (Some(answers), _) => answers.word(),
            (None, Question::Image { thread }) => Unchecked::new(platform.image_of(thread).unwrap_or(u32::MAX)),
            (None, Question::Uptime) => Unchecked::new(platform::uptime()),
        };
        record(|| Interaction::Tell { question, answer: answer.any() });
        answer
    }
    fn report(cpu: &Cpu<'_, Sim>, event: Event<Sim>) {
        record(|| Interaction::Report(event));
        let (platform, me) = (platform::current(), cpu.own.cpu);
        match event {
            Event::Started { child, image } => platform.started(child, image),
            Event::NotStarted { image, error } => platform.not_started(me, image, error),
            Event::Exited { status } => platform.ended(cpu, End::Exited { status }),
            Event::Killed { child } => platform.killed(cpu.own.cpu, child),
            Event::Stopped { reason, address, rip } => platform.ended(cpu, End::Stopped { reason, address, rip }),
        }
    }

    // An idle CPU runs its main thread again and again, and gets fewer turns.
    fn idle(cpu: u32) {
        record(|| Interaction::Idle { cpu });
        platform::current().idle();
    }
}

/// Fills `frame`, and records it as the interaction that `of` makes.
fn recorded_fill(
    memory: &mut Sparse<PhysicalMemory>,
    frame: u32,
    fill: impl FnOnce(&mut Sparse<PhysicalMemory>),
    of: impl FnOnce(Written<Sim>) -> Interaction<Sim>,
) {
    let before = is_recording().then(|| memory.clone());
    fill(memory);
    if let Some(before) = before {
        record(|| of(Written { frame, before, after: memory.clone() }));
    }
}

/// The answer to [`System::image`].
fn image(index: u32) -> Option<Image<Sim>> {
    let platform = platform::current();
    if let Some(answers) = &platform.answers {
        return answers.image();
    }
    let image = &platform.archive.get(index as usize)?.image;
    Some(Image {
        entry: Unchecked::new(image.entry().into()),
        frames: Unchecked::new(image.frames()),
        has_room: image.has_room_for_arguments(),
    })
}

/// The answer to [`System::image_page`].
fn image_page(index: u32, page: u32) -> Option<ImagePage<Sim>> {
    let platform = platform::current();
    if let Some(answers) = &platform.answers {
        return answers.image_page();
    }
    let page = platform.archive.get(index as usize)?.image.page(page)?;
    Some(ImagePage { address: Unchecked::new(page.address), writable: page.writable })
}

/// Does [`System::load_page`].
fn load_page(memory: &mut Sparse<PhysicalMemory>, frame: u32, index: u32, page: u32) {
    let platform = platform::current();
    if let Some(answers) = &platform.answers {
        return answers.load_page(memory, frame);
    }
    let Some(program) = platform.archive.get(index as usize) else { return };
    let Some(page) = program.image.page(page) else { return };
    for (offset, &byte) in (page.offset as u32..).zip(&program.file[page.file]) {
        memory.set([frame, offset], Byte { value: byte.into() });
    }
}

/// The answer to [`System::next_start`].
fn next_start(cpu: u32) -> Option<Start<Sim>> {
    let platform = platform::current();
    if let Some(answers) = &platform.answers {
        return answers.next_start();
    }
    let start = platform.next_start(cpu)?;
    Some(Start { image: Unchecked::new(start.image), quota: Unchecked::new(start.quota) })
}

/// Does [`System::load_arguments`].
fn load_arguments(memory: &mut Sparse<PhysicalMemory>, frame: u32, cpu: u32) {
    let platform = platform::current();
    if let Some(answers) = &platform.answers {
        return answers.load_page(memory, frame);
    }
    let arguments = platform.arguments(cpu);
    let laid_out = abi::arguments::write(Words::of(&arguments).iter(), |at, bytes| {
        for (offset, &byte) in (at as u32..).zip(bytes) {
            memory.set([frame, offset], Byte { value: byte.into() });
        }
    });
    laid_out.expect("the boot list was read");
}
