//! The symbolic machine for system calls: every answer is arbitrary, and each interaction is recorded.
use crate::state::record::{Answers, Interactions, MachineAnswer};
use crate::state::sym::Sym;
use domain::Flag;
use layer::core::geometry::Geometry;
use layer::core::state::Cpu;
use smt::term::{Range, Term};
use symbolic::engine::engine;
use symbolic::mutation::running;
use symbolic::word::{SymFlag, SymWide, SymWord};
use syscall::effect::{Interaction, Memory, Written};
use syscall::system::{Event, Image, ImagePage, Question, Start, System};
use syscall::unchecked::Unchecked;

/// Begins a new answer of the machine.
fn asked() {
    engine(|e| e.path.data::<Answers>().0.push(MachineAnswer::default()));
}

/// A value of the machine's current answer: an unknown in `range`, recorded under `name`.
fn answer(name: &'static str, range: Range) -> Term {
    engine(|e| {
        let term = e.unknown(&format!("machine.{name}"), range);
        e.path.data::<Answers>().0.last_mut().expect("a question was asked").values.push((name, term));
        term
    })
}

/// Whether the machine has what was asked for. It is no branch of the code: both answers are possible, so a mutant of
/// it would change nothing.
#[track_caller]
fn has(name: &'static str) -> bool {
    let flag = flag(name);
    running(false, || flag.holds())
}

/// A flag of the machine's answer.
fn flag(name: &'static str) -> SymFlag {
    SymFlag(answer(name, Range::Bool))
}

/// A word of the machine's answer, which nobody has checked.
fn unchecked(name: &'static str) -> Unchecked<SymWord> {
    Unchecked::new(SymWord(answer(name, Range::WORD)))
}

/// The machine fills `frame` with arbitrary bytes.
#[track_caller]
fn fill<G: Geometry>(memory: &mut Memory<Sym<G>>, frame: SymWord) -> Written<Sym<G>> {
    let before = memory.clone();
    let bytes = memory.forget(&[frame]);
    engine(|e| {
        e.path.data::<Answers>().0.push(MachineAnswer { values: Vec::new(), page: Some((frame.0, bytes.version)) })
    });
    Written { frame, before, after: memory.clone() }
}

impl<G: Geometry> System for Sym<G> {
    #[track_caller]
    fn image(index: SymWord) -> Option<Image<Self>> {
        asked();
        let answer = has("has_image").then(|| Image {
            entry: Unchecked::new(SymWide(answer("image.entry", Range::WIDE))),
            frames: unchecked("image.frames"),
            has_room: flag("image.has_room"),
        });
        Interactions::record(Interaction::Image { index, answer });
        answer
    }

    #[track_caller]
    fn image_page(index: SymWord, page: SymWord) -> Option<ImagePage<Self>> {
        asked();
        let answer =
            has("has_page").then(|| ImagePage { address: unchecked("page.address"), writable: flag("page.writable") });
        Interactions::record(Interaction::ImagePage { index, page, answer });
        answer
    }

    #[track_caller]
    fn load_page(memory: &mut Memory<Self>, frame: SymWord, index: SymWord, page: SymWord) {
        let written = fill(memory, frame);
        Interactions::record(Interaction::LoadPage { index, page, written });
    }

    #[track_caller]
    fn next_start(cpu: SymWord) -> Option<Start<Self>> {
        asked();
        let answer =
            has("has_start").then(|| Start { image: unchecked("start.image"), quota: unchecked("start.quota") });
        Interactions::record(Interaction::NextStart { cpu, answer });
        answer
    }

    #[track_caller]
    fn has_arguments(cpu: SymWord) -> SymFlag {
        asked();
        let answer = flag("has_arguments");
        Interactions::<G>::record(Interaction::HasArguments { cpu, answer });
        answer
    }

    #[track_caller]
    fn load_arguments(memory: &mut Memory<Self>, frame: SymWord, cpu: SymWord) {
        let written = fill(memory, frame);
        Interactions::record(Interaction::LoadArguments { cpu, written });
    }

    fn console_write(_: &Cpu<'_, Self>, frame: SymWord, offset: SymWord, length: SymWord) {
        Interactions::<G>::record(Interaction::ConsoleWrite { frame, offset, length });
    }

    #[track_caller]
    fn tell(question: Question<Self>) -> Unchecked<SymWord> {
        asked();
        let answer = unchecked("information");
        Interactions::record(Interaction::Tell { question, answer: answer.any() });
        answer
    }

    fn report(_: &Cpu<'_, Self>, event: Event<Self>) {
        Interactions::record(Interaction::Report(event));
    }

    fn idle(cpu: SymWord) {
        Interactions::<G>::record(Interaction::Idle { cpu });
    }
}
