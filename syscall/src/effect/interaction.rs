//! What an entry does with its surroundings, besides the state.
use crate::system::{Event, Image, ImagePage, Question, Start, System};
use domain::Storage;
use layer::core::fields::PhysicalMemory;
use layer::objects::channel::pool::Channels;

/// The bytes of all frames, at one moment.
pub type Memory<M> = <M as Storage<PhysicalMemory>>::Map;

/// One interaction of an entry with its surroundings: a question to the machine with the answer, a command to the machine,
/// or a lock that the entry took.
///
/// The machines that check postconditions record the interactions of an entry in their order.
pub enum Interaction<M: System> {
    /// [`System::image`].
    Image {
        /// The image's number.
        index: M::Word,
        /// The answer.
        answer: Option<Image<M>>,
    },
    /// [`System::image_page`].
    ImagePage {
        /// The image's number.
        index: M::Word,
        /// The page's number.
        page: M::Word,
        /// The answer.
        answer: Option<ImagePage<M>>,
    },
    /// [`System::load_page`].
    LoadPage {
        /// The image's number.
        index: M::Word,
        /// The page's number.
        page: M::Word,
        /// Where the machine wrote the page.
        written: Written<M>,
    },
    /// [`System::next_start`].
    NextStart {
        /// The CPU.
        cpu: M::Word,
        /// The answer.
        answer: Option<Start<M>>,
    },
    /// [`System::has_arguments`].
    HasArguments {
        /// The CPU.
        cpu: M::Word,
        /// The answer.
        answer: M::Flag,
    },
    /// [`System::load_arguments`].
    LoadArguments {
        /// The CPU.
        cpu: M::Word,
        /// Where the machine wrote the arguments.
        written: Written<M>,
    },
    /// [`System::console_write`].
    ConsoleWrite {
        /// The frame.
        frame: M::Word,
        /// Offset of the first byte.
        offset: M::Word,
        /// Number of bytes.
        length: M::Word,
    },
    /// [`System::tell`].
    Tell {
        /// The question.
        question: Question<M>,
        /// The answer.
        answer: M::Word,
    },
    /// [`System::report`].
    Report(Event<M>),
    /// [`System::idle`].
    Idle {
        /// The CPU.
        cpu: M::Word,
    },
    /// The entry took the lock of a channel.
    Acquire {
        /// The channel.
        channel: M::Word,
        /// The channels at that moment: other CPUs may have changed them since the entry began.
        channels: Channels<M>,
    },
}

/// A frame that the machine filled.
pub struct Written<M: System> {
    /// The frame.
    pub frame: M::Word,
    /// Memory before.
    pub before: Memory<M>,
    /// Memory after.
    pub after: Memory<M>,
}
