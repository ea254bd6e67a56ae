//! The symbolic machine for system calls: every answer is arbitrary, and output is dropped.
use crate::state::record::{Answers, MachineAnswer};
use crate::state::sym::Sym;
use domain::Flag;
use layer::core::fields::PhysicalMemory;
use layer::core::geometry::Geometry;
use layer::core::state::Cpu;
use smt::term::{Range, Term};
use symbolic::engine::engine;
use symbolic::map::SymMap;
use symbolic::word::{SymFlag, SymWide, SymWord};
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

/// A flag of the machine's answer.
fn flag(name: &'static str) -> SymFlag {
    SymFlag(answer(name, Range::Bool))
}

/// A word of the machine's answer, which nobody has checked.
fn unchecked(name: &'static str) -> Unchecked<SymWord> {
    Unchecked::new(SymWord(answer(name, Range::WORD)))
}

impl<G: Geometry> System for Sym<G> {
    #[track_caller]
    fn image(_: SymWord) -> Option<Image<Self>> {
        asked();
        flag("has_image").holds().then(|| Image {
            entry: Unchecked::new(SymWide(answer("image.entry", Range::WIDE))),
            frames: unchecked("image.frames"),
            has_room: flag("image.has_room"),
        })
    }

    #[track_caller]
    fn image_page(_: SymWord, _: SymWord) -> Option<ImagePage<Self>> {
        asked();
        flag("has_page")
            .holds()
            .then(|| ImagePage { address: unchecked("page.address"), writable: flag("page.writable") })
    }

    #[track_caller]
    fn load_page(memory: &mut SymMap<Sym<G>, PhysicalMemory>, frame: SymWord, _: SymWord, _: SymWord) {
        let bytes = memory.forget(&[frame]);
        engine(|e| {
            e.path.data::<Answers>().0.push(MachineAnswer { values: Vec::new(), page: Some((frame.0, bytes.version)) })
        });
    }

    #[track_caller]
    fn next_start(_: SymWord) -> Option<Start<Self>> {
        asked();
        flag("has_start").holds().then(|| Start { image: unchecked("start.image"), quota: unchecked("start.quota") })
    }

    #[track_caller]
    fn has_arguments(_: SymWord) -> SymFlag {
        asked();
        flag("has_arguments")
    }

    #[track_caller]
    fn load_arguments(memory: &mut SymMap<Sym<G>, PhysicalMemory>, frame: SymWord, _: SymWord) {
        let bytes = memory.forget(&[frame]);
        engine(|e| {
            e.path.data::<Answers>().0.push(MachineAnswer { values: Vec::new(), page: Some((frame.0, bytes.version)) })
        });
    }

    fn console_write(_: &Cpu<'_, Self>, _: SymWord, _: SymWord, _: SymWord) {}

    #[track_caller]
    fn tell(_: Question<Self>) -> Unchecked<SymWord> {
        asked();
        unchecked("information")
    }

    fn report(_: &Cpu<'_, Self>, _: Event<Self>) {}

    fn idle(_: SymWord) {}
}
