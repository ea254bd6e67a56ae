//! The kernel's machine, as the system calls see it: boot archive, console, ends of programs.
use super::Metal;
use super::program_table::{self, program_table};
use crate::devices::console;
use crate::entry::idle;
use crate::irq::timer;
use crate::storage::Of;
use crate::storage::frames::Physical;
use abi::report::End;
use layer::core::state::Cpu;
use syscall::system::{Event, Image, ImagePage, Question, Start, System};
use syscall::unchecked::Unchecked;

impl System for Metal {
    fn image(index: u32) -> Option<Image<Metal>> {
        let image = &program_table().program(index)?.image;
        Some(Image {
            entry: Unchecked::new(image.entry().into()),
            frames: Unchecked::new(image.frames()),
            has_room: image.has_room_for_arguments(),
        })
    }

    fn image_page(index: u32, page: u32) -> Option<ImagePage<Metal>> {
        let page = program_table().program(index)?.image.page(page)?;
        Some(ImagePage { address: Unchecked::new(page.address), writable: page.writable })
    }

    fn load_page(memory: &mut Of<Physical>, frame: u32, index: u32, page: u32) {
        let Some(program) = program_table().program(index) else { return };
        let Some(page) = program.image.page(page) else { return };
        memory.0.write(frame, page.offset, &program.file[page.file]);
    }

    #[inline(always)]
    fn next_start(cpu: u32) -> Option<Start<Metal>> {
        let start = program_table().next_start(cpu)?;
        Some(Start { image: Unchecked::new(start.image), quota: Unchecked::new(start.quota) })
    }

    fn has_arguments(cpu: u32) -> bool {
        !program_table().arguments(cpu).is_empty()
    }

    fn load_arguments(memory: &mut Of<Physical>, frame: u32, cpu: u32) {
        let put = |at, bytes: &[u8]| memory.0.write(frame, at, bytes);
        abi::arguments::write(program_table().arguments(cpu).iter(), put).expect("the boot list was read");
    }

    fn console_write(cpu: &Cpu<'_, Metal>, frame: u32, offset: u32, length: u32) {
        let (start, length) = (offset as usize, length as usize);
        console::lock().print(cpu.own.hp.0.bytes(frame, start..start + length));
    }

    fn tell(question: Question<Metal>) -> Unchecked<u32> {
        Unchecked::new(match question {
            Question::Image { thread } => program_table().image_of(thread),
            Question::Uptime => timer::uptime(),
        })
    }

    fn report(cpu: &Cpu<'_, Metal>, event: Event<Metal>) {
        let (table, me) = (program_table(), cpu.own.cpu);
        match event {
            Event::Started { child, image } => table.started(me, child, image),
            Event::NotStarted { image, error } => table.not_started(me, image, error),
            Event::Exited { status } => table.ended(cpu, End::Exited { status }),
            Event::Killed { child } => table.killed(me, child),
            Event::Stopped { reason, address, rip } => table.ended(cpu, End::Stopped { reason, address, rip }),
        }
    }

    fn idle(cpu: u32) {
        // Images that test how CPUs halt have no program table.
        if let Some(table) = program_table::opened() {
            table.idles(cpu);
        }
        idle::rest(cpu as usize);
    }
}
