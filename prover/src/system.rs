//! The machine of the layer above, symbolically: every answer is arbitrary each time, and whatever it prints is lost.
use crate::engine::engine;
use crate::machine::Sym;
use crate::map::SymMap;
use crate::word::{SymFlag, SymWide, SymWord};
use domain::{Flag, Geometry};
use layer::fields::PhysicalMemory;
use layer::state::Cpu;
use smt::term::Range;
use syscall::system::{Event, Image, ImagePage, Start, System};
use syscall::unchecked::Unchecked;

fn word(name: &str) -> SymWord {
    SymWord(engine(|e| e.unknown(name, Range::WORD)))
}

fn flag(name: &str) -> SymFlag {
    SymFlag(engine(|e| e.unknown(name, Range::Bool)))
}

/// A word that the machine says and nobody has checked.
fn said(name: &str) -> Unchecked<SymWord> {
    Unchecked::new(word(name))
}

impl<G: Geometry> System for Sym<G> {
    #[track_caller]
    fn image(_: SymWord) -> Option<Image<Self>> {
        flag("machine.has_image").holds().then(|| Image {
            entry: Unchecked::new(SymWide(engine(|e| e.unknown("machine.image.entry", Range::WIDE)))),
            pages: said("machine.image.pages"),
            frames: said("machine.image.frames"),
        })
    }

    #[track_caller]
    fn image_page(_: SymWord, _: SymWord) -> Option<ImagePage<Self>> {
        flag("machine.has_page")
            .holds()
            .then(|| ImagePage { address: said("machine.page.address"), writable: flag("machine.page.writable") })
    }

    #[track_caller]
    fn load_page(memory: &mut SymMap<G, PhysicalMemory>, frame: SymWord, _: SymWord, _: SymWord) {
        memory.forget(&[frame]);
    }

    #[track_caller]
    fn next_start(_: SymWord) -> Option<Start<Self>> {
        flag("machine.has_start")
            .holds()
            .then(|| Start { image: said("machine.start.image"), quota: said("machine.start.quota") })
    }

    fn console_write(_: &Cpu<'_, Self>, _: SymWord, _: SymWord, _: SymWord) {}

    fn console_byte(_: SymWord) {}

    fn report(_: &Cpu<'_, Self>, _: Event<Self>) {}

    fn idle(_: SymWord) {}
}
