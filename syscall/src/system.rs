//! The interface between the system calls and the machine, in addition to the layer's own.
use crate::unchecked::Unchecked;
use abi::{Error, Reason};
use domain::Storage;
use layer::core::fields::PhysicalMemory;
use layer::core::machine::Machine;
use layer::core::state::Cpu;

/// A machine with a boot archive and a console.
///
/// In the prover every answer is arbitrary, so no proof trusts an answer of the machine.
pub trait System: Machine {
    /// Image `index` of the boot archive, if there is one.
    fn image(index: Self::Word) -> Option<Image<Self>>;

    /// Page `page` of image `index`, counted over all its segments; `None` after the last page, or if there is no such
    /// image.
    fn image_page(index: Self::Word, page: Self::Word) -> Option<ImagePage<Self>>;

    /// Copies the bytes of the file for page `page` of image `index` into `frame`, which is zero before; bytes that the
    /// file does not have stay zero. No other frame changes.
    fn load_page(
        memory: &mut <Self as Storage<PhysicalMemory>>::Map,
        frame: Self::Word,
        index: Self::Word,
        page: Self::Word,
    );

    /// The next program of the boot list for the main thread of CPU `cpu` to start. Each program is returned once.
    fn next_start(cpu: Self::Word) -> Option<Start<Self>>;

    /// Whether the last line of the boot list that CPU `cpu` got has arguments.
    fn has_arguments(cpu: Self::Word) -> Self::Flag;

    /// Lays out the arguments of that line in `frame`, which is zero before ([`abi::arguments`]). No other frame
    /// changes.
    fn load_arguments(memory: &mut <Self as Storage<PhysicalMemory>>::Map, frame: Self::Word, cpu: Self::Word);

    /// Writes `length` bytes of `frame`, from byte `offset` on, to the console in one piece. `offset + length` is at
    /// most the size of a page.
    fn console_write(cpu: &Cpu<'_, Self>, frame: Self::Word, offset: Self::Word, length: Self::Word);

    /// Answers a program's question that the layer cannot answer.
    fn tell(question: Question<Self>) -> Unchecked<Self::Word>;

    /// Records an event of a program of CPU `cpu`; the event is about the running thread. The machine prints the lines
    /// of [`abi::report`] and powers off when no program is left.
    fn report(cpu: &Cpu<'_, Self>, event: Event<Self>);

    /// CPU `cpu` is idle: only its main thread is ready, and the boot list has no program for it to
    /// start.
    fn idle(cpu: Self::Word);
}

/// A question of a program to the machine.
#[derive(Clone, Copy, Debug)]
pub enum Question<M: Machine> {
    /// The number of the image that a thread runs; `u32::MAX` if none.
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
    /// Frames that loading needs: the image's pages and their page tables. The stack is not counted: a program without
    /// another page is stopped when it first touches its stack.
    pub frames: Unchecked<M::Word>,
    /// Whether no page of the image is at the address of a program's arguments.
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

/// An event of a program.
#[derive(Clone, Copy, Debug)]
pub enum Event<M: Machine> {
    /// The running thread has started a child.
    Started {
        /// Its thread number.
        child: M::Word,
        /// Its image.
        image: M::Word,
    },
    /// The main thread could not start a program of the boot list.
    NotStarted {
        /// The image.
        image: M::Word,
        /// The reason.
        error: Error,
    },
    /// The running thread called `exit`.
    Exited {
        /// The exit status.
        status: M::Word,
    },
    /// The running thread has killed a child.
    Killed {
        /// Its thread number.
        child: M::Word,
    },
    /// The running thread was stopped.
    Stopped {
        /// The reason.
        reason: Reason,
        /// The address that it accessed or, if the exception has no address, `rip`.
        address: M::Wide,
        /// The address of its instruction.
        rip: M::Wide,
    },
}
