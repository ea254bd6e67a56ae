//! What the layer above asks of the machine, beside what the layer itself asks for.
use crate::unchecked::Unchecked;
use abi::{Error, Reason};
use domain::Home;
use layer::fields::PhysicalMemory;
use layer::machine::Machine;
use layer::state::Cpu;

/// A machine with a boot archive and a console.
///
/// The prover answers every question with an arbitrary value, so nothing that a machine says here is trusted where
/// it matters.
pub trait System: Machine {
    /// Image `index` of the boot archive, if there is one.
    fn image(index: Self::Word) -> Option<Image<Self>>;

    /// Page `page` of image `index`, counted over all its segments; `None` where the image ends, or is none.
    fn image_page(index: Self::Word, page: Self::Word) -> Option<ImagePage<Self>>;

    /// Copies what the file has of page `page` of image `index` into `frame`, which is zero before; the bytes that
    /// the file does not have stay so. No other frame changes.
    fn load_page(
        memory: &mut <Self as Home<PhysicalMemory>>::Map,
        frame: Self::Word,
        index: Self::Word,
        page: Self::Word,
    );

    /// What the main thread of CPU `cpu` is to start next, by the boot list. Each is given once.
    fn next_start(cpu: Self::Word) -> Option<Start<Self>>;

    /// Whether the line of the boot list that CPU `cpu` was given last has arguments.
    fn has_arguments(cpu: Self::Word) -> Self::Flag;

    /// Lays out these arguments in `frame`, which is zero before ([`abi::arguments`]). No other frame changes.
    fn load_arguments(memory: &mut <Self as Home<PhysicalMemory>>::Map, frame: Self::Word, cpu: Self::Word);

    /// Writes `length` bytes of `frame`, from byte `offset` on, to the console in one piece: `offset + length` is at
    /// most the size of a page.
    fn console_write(cpu: &Cpu<'_, Self>, frame: Self::Word, offset: Self::Word, length: Self::Word);

    /// Answers a question of a program that the layer cannot answer.
    fn tell(question: Question<Self>) -> Unchecked<Self::Word>;

    /// Takes note of what happened to a program of CPU `cpu`, whose running thread it concerns. The machine prints
    /// the lines of [`abi::report`] and powers off when no program is left.
    fn report(cpu: &Cpu<'_, Self>, event: Event<Self>);

    /// CPU `cpu` has nothing to run but its main thread, and that has nothing to start.
    fn idle(cpu: Self::Word);
}

/// What programs may ask of the machine.
#[derive(Clone, Copy, Debug)]
pub enum Question<M: Machine> {
    /// Which image a thread runs, by its number; `u32::MAX` if none.
    Image {
        /// The thread.
        thread: M::Word,
    },
    /// Milliseconds since the machine was switched on, modulo 2^32.
    Uptime,
}

/// An image of the boot archive.
#[derive(Clone, Copy, Debug)]
pub struct Image<M: Machine> {
    /// Address of its first instruction.
    pub entry: Unchecked<M::Wide>,
    /// Frames that loading it takes: its pages and their page tables. The stack is not among them: a program that has
    /// no more is stopped when it first touches it.
    pub frames: Unchecked<M::Word>,
    /// Whether it leaves the page free where a program's arguments are.
    pub has_room: M::Flag,
}

/// A page of an image.
#[derive(Clone, Copy, Debug)]
pub struct ImagePage<M: Machine> {
    /// Its address.
    pub address: Unchecked<M::Word>,
    /// Whether the program may write to it.
    pub writable: M::Flag,
}

/// A line of the boot list.
#[derive(Clone, Copy, Debug)]
pub struct Start<M: Machine> {
    /// The image.
    pub image: Unchecked<M::Word>,
    /// Pages that the program gets.
    pub quota: Unchecked<M::Word>,
}

/// What happened to a program.
#[derive(Clone, Copy, Debug)]
pub enum Event<M: Machine> {
    /// The running thread has started a child.
    Started {
        /// Its thread number.
        child: M::Word,
        /// Its image.
        image: M::Word,
    },
    /// The main thread could not start what the boot list says.
    NotStarted {
        /// The image.
        image: M::Word,
        /// Why not.
        error: Error,
    },
    /// The running thread called `exit`.
    Exited {
        /// What it passed.
        status: M::Word,
    },
    /// The running thread has killed a child.
    Killed {
        /// Its thread number.
        child: M::Word,
    },
    /// The running thread was stopped.
    Stopped {
        /// Why.
        reason: Reason,
        /// The address that it accessed or, where the exception names none, `rip`.
        address: M::Wide,
        /// Where it was.
        rip: M::Wide,
    },
}
