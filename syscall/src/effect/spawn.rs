//! Modifies clauses and postconditions about new processes: `spawn`, the main thread, and the load of an image.
use super::cells::{child, page_of, switch, trap};
use super::interaction::{Interaction, Written};
use super::made::{By, Effect, Made};
use crate::continuation::Continuation;
use crate::next::{Load, Next, Parent};
use crate::system::{Event, Image, Start, System};
use abi::Error;
use abi::arguments::ARGUMENTS;
use domain::{Flag, Map, Wide};
use layer::core::constants::*;
use layer::core::fields::Pde;
use layer::core::fields::process::{LIVE, VACANT};
use layer::core::geometry::Geometry;
use layer::core::machine::Spec;
use layer::objects::page_table::spec::{in_window, mapped};
use layer::objects::process::spec::initial_registers;

/// A request for a child.
struct Request<'a, M: System> {
    /// Who asks.
    parent: Parent,
    /// The image's number.
    index: M::Word,
    /// The child's quota.
    quota: M::Word,
    /// What the machine says of the image.
    image: &'a Option<Image<M>>,
    /// Whether the child gets arguments.
    is_given: bool,
}

/// The frames that a child's arguments need.
const ARGUMENTS_FRAMES: u32 = 2;
/// The number of pages of the user window.
const WINDOW_PAGES: u32 = (ADR_HIGH - ADR_LOW) / PAGE_SIZE;

impl<M: System + Spec> Made<'_, M> {
    /// The caller of `spawn` gives its child arguments. The main thread makes no calls.
    fn gives_arguments(&self, by: By) -> bool {
        !self.is_main() && self.argument(by, slot::EDX) != 0
    }

    /// The caller has a page at `address` that programs may read, and `address` is its start.
    fn is_readable_page(&self, address: M::Word) -> bool {
        in_window::<M>(address)
            && address % PAGE_SIZE == 0
            && match mapped(&self.before, self.cur(), address) {
                Some((_, permission)) => permission == perm::PTU || permission == perm::PTUR,
                None => false,
            }
    }

    /// The page of `thread` at `address`, which was missing, is mapped with this permission. It has what the machine has
    /// written to it, and zeros elsewhere.
    fn is_filled(&self, thread: M::Word, address: M::Word, permission: u32, written: &Written<M>) -> bool {
        let Written { frame, before, after } = written;
        let byte = self.any;
        mapped(&self.before, thread, address).is_none()
            && matches!(
                mapped(&self.after, thread, address),
                Some((page, with)) if page == *frame && with == permission
            )
            && (byte >= PAGE_SIZE
                || (before.get([*frame, byte]).value == 0
                    && self.after.own.hp.get([*frame, byte]).value == after.get([*frame, byte]).value))
    }

    /// The caller cannot have another child: no child is vacant, and it has had as many as it can, or the next number
    /// could be out of range.
    fn has_no_child_left(&self) -> bool {
        let nchildren = self.before.own.ac.get([self.cur()]).nchildren;
        !self.has_child_in(self.any, VACANT)
            && (nchildren >= MAX_CHILDREN || self.cur() * MAX_CHILDREN + 1 + MAX_CHILDREN > NUM_ID)
    }

    /// The error with which the request is refused is right.
    fn is_refusal(&self, request: &Request<'_, M>, error: Error) -> bool {
        let Some(image) = request.image else { return error == Error::InvalId };
        let has_entry = image.entry.any().narrow().is_some_and(in_window::<M>);
        if !has_entry {
            return error == Error::InvalId;
        }
        let is_of_program = request.parent == Parent::Program;
        let has_source = || !is_of_program || self.is_readable_page(self.argument(By::Trap, slot::EDX));
        if request.is_given && !(image.has_room.holds() && has_source()) {
            return error == Error::InvalAddr;
        }
        error == Error::Mem && (!self.has_quota_for(request, image) || self.has_no_child_left())
    }

    /// The caller has the quota for the child, and it is enough for the image and the arguments.
    fn has_quota_for(&self, request: &Request<'_, M>, image: &Image<M>) -> bool {
        let own = self.before.own.ac.get([self.cur()]);
        let arguments: M::Nat = M::Word::from(if request.is_given { ARGUMENTS_FRAMES } else { 0 }).into();
        let quota = M::Nat::from(request.quota);
        M::Nat::from(own.usage) + quota <= M::Nat::from(own.quota)
            && M::Nat::from(image.frames.any()) + arguments <= quota
    }

    /// The child of the request is ready to start at the image's entry point. It has its quota from the caller, no
    /// memory, and no register contents. It is a vacant child of the caller, or a new one.
    fn is_created(&self, request: &Request<'_, M>, child: M::Word) -> bool {
        let Some(image) = request.image else { return false };
        let cur = self.cur();
        let [own, now] = [&self.before, &self.after].map(|v| v.own.ac.get([cur]));
        let (made, process) = (self.after.own.ac.get([child]), self.after.own.proc.get([child]));
        let register = |slot: u32| self.after.own.uctxt.get([child, slot.into()]).value;
        let initial = initial_registers::<M>();
        let is_new = child == cur * MAX_CHILDREN + 1 + own.nchildren && !self.before.own.ac.get([child]).used.holds();
        self.has_quota_for(request, image)
            && (is_new || self.has_child_in(child, VACANT))
            && now.usage == own.usage + request.quota
            && made.used.holds()
            && made.quota == request.quota
            && made.usage == 0
            && made.parent == cur
            && process.state == LIVE
            && self.continues(child, Continuation::StartUser)
            && self.after.own.ready.tail == child
            && register(slot::EIP) == image.entry.any()
            && initial.iter().all(|&(slot, value)| register(slot) == M::Wide::constant(value.into()))
            && (self.any >= UCTXT_SIZE
                || self.any == slot::EIP
                || initial.iter().any(|&(slot, _)| self.any == slot)
                || self.after.own.uctxt.get([child, self.any]).value == M::Wide::constant(0))
            && (self.any >= M::Geometry::DIRS
                || !matches!(self.after.own.dirs.get([child, self.any]), Pde::Table { .. }))
    }

    /// The request was granted, and the load of the image begins.
    fn is_granted(&self, request: &Request<'_, M>, load: &Load<M>) -> bool {
        self.stays()
            && load.parent == request.parent
            && load.image == request.index
            && load.page == 0
            && self.is_created(request, load.child)
    }
}

/// The event says that `child` has been started with `image`.
fn is_started<M: System>(event: &Event<M>, load: &Load<M>) -> bool {
    matches!(event, Event::Started { child, image } if *child == load.child && *image == load.image)
}

/// The postcondition of the system call `spawn`.
pub(super) fn spawn<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let argument = |slot: u32| m.argument(By::Trap, slot);
    let [Interaction::Image { index, answer }, rest @ ..] = m.interactions else { return false };
    let request = Request {
        parent: Parent::Program,
        index: argument(slot::EBX),
        quota: argument(slot::R10),
        image: answer,
        is_given: m.gives_arguments(By::Trap),
    };
    *index == request.index
        && match (m.next, rest) {
            (Next::Load(load), [Interaction::Report(event)]) => {
                m.is_granted(&request, load) && is_started(event, load) && m.kept(By::Trap)
            }
            (Next::ToUser(_), []) => {
                let errors = [Error::InvalId, Error::InvalAddr, Error::Mem];
                m.stays() && errors.iter().any(|&error| m.is_refused(By::Trap, error) && m.is_refusal(&request, error))
            }
            _ => false,
        }
}

/// `main`: modifies a child of the main thread, or the scheduler's state.
///
/// The thread starts the next program of the boot list. If there is none, it lets others run, and says so if there are
/// no others.
pub(crate) fn main<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| match m.next {
            Next::Load(load) => child(m, load.child, may),
            Next::Switch(_) => switch(m, may),
            _ => {}
        },
        ensures: |m| {
            let [Interaction::NextStart { cpu, answer }, rest @ ..] = m.interactions else { return false };
            *cpu == m.before.own.cpu
                && match answer {
                    Some(start) => is_next_started(m, start, rest),
                    None => lets_others_run(m, rest),
                }
        },
    }
}

/// The main thread lets others run. It says that its CPU is idle if there are no others.
fn lets_others_run<M: System + Spec>(m: &Made<'_, M>, rest: &[Interaction<M>]) -> bool {
    let is_idle = match rest {
        [] => false,
        [Interaction::Idle { cpu }] => *cpu == m.before.own.cpu,
        _ => return false,
    };
    m.yields(Continuation::Main) && is_idle == m.stays()
}

/// The main thread starts the program of the boot list, or reports why it does not.
fn is_next_started<M: System + Spec>(m: &Made<'_, M>, start: &Start<M>, rest: &[Interaction<M>]) -> bool {
    let [Interaction::Image { index, answer: image }, rest @ ..] = rest else { return false };
    // The machine is asked for arguments unless the request is refused before.
    let (is_asked, is_given, rest) = match rest {
        [Interaction::HasArguments { cpu, answer }, rest @ ..] => (*cpu == m.before.own.cpu, answer.holds(), rest),
        _ => (false, false, rest),
    };
    let request = Request { parent: Parent::Main, index: start.image.any(), quota: start.quota.any(), image, is_given };
    *index == request.index
        && match (m.next, rest) {
            (Next::Load(load), [Interaction::Report(event)]) => {
                is_asked && m.is_granted(&request, load) && is_started(event, load)
            }
            (Next::Continue(Continuation::Main), [Interaction::Report(Event::NotStarted { image, error })]) => {
                m.stays() && *image == request.index && m.is_refusal(&request, *error)
            }
            _ => false,
        }
}

/// `load`: modifies a page of the child, or the parent's registers.
///
/// One step maps one page of the image, with its bytes and zeros elsewhere, or ends the load.
pub(crate) fn load<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| {
            if maps_a_page(m) {
                page_of::<M>(m.arguments.load[0], &mut *may);
            }
            if matches!(m.next, Next::ToUser(_)) {
                trap(m, may);
            }
        },
        ensures: |m| {
            let [_, image, page] = m.arguments.load;
            let [Interaction::ImagePage { index, page: number, answer }, rest @ ..] = m.interactions else {
                return false;
            };
            *index == image
                && *number == page
                && m.stays()
                && match answer {
                    Some(source) => {
                        let writable = source.writable.holds();
                        is_page_loaded(m, source.address.any(), writable, rest)
                    }
                    None => is_load_ended(m, rest),
                }
        },
    }
}

/// The step maps a page of the image or the page of the arguments, if there is memory for it.
fn maps_a_page<M: System + Spec>(m: &Made<'_, M>) -> bool {
    match m.interactions {
        [Interaction::ImagePage { answer: Some(_), .. }, ..] => true,
        [_, Interaction::HasArguments { answer, .. }, ..] => answer.holds(),
        _ => m.arguments.parent == Parent::Program && m.gives_arguments(By::Continuation),
    }
}

/// The page of the image that belongs at `address` was loaded, or the load ends with an error.
fn is_page_loaded<M: System + Spec>(
    m: &Made<'_, M>,
    address: M::Word,
    writable: bool,
    rest: &[Interaction<M>],
) -> bool {
    let [child, image, page] = m.arguments.load;
    let is_page = page < WINDOW_PAGES && in_window::<M>(address) && address % PAGE_SIZE == 0;
    let Next::Load(load) = m.next else {
        // The page has no place, or there is no memory for it.
        let error = if page >= WINDOW_PAGES {
            Error::InvalId
        } else if !is_page || mapped(&m.before, child, address).is_some() {
            Error::InvalAddr
        } else {
            Error::Mem
        };
        return is_load_failed(m, error, rest) && (error != Error::Mem || m.is_exhausted(child, address));
    };
    let permission = if writable { perm::PTU } else { perm::PTUR };
    let [Interaction::LoadPage { index, page: number, written }] = rest else { return false };
    load.parent == m.arguments.parent
        && load.child == child
        && load.image == image
        && load.page == page + 1
        && is_page
        && *index == image
        && *number == page
        && m.is_filled(child, address, permission, written)
}

/// The load ends with this error for the parent.
fn is_load_failed<M: System + Spec>(m: &Made<'_, M>, error: Error, rest: &[Interaction<M>]) -> bool {
    match (m.arguments.parent, m.next, rest) {
        (Parent::Program, Next::ToUser(_), []) => m.is_refused(By::Continuation, error),
        (
            Parent::Main,
            Next::Continue(Continuation::Main),
            [Interaction::Report(Event::NotStarted { image, error: reported })],
        ) => *image == m.arguments.load[1] && *reported == error,
        _ => false,
    }
}

/// All pages were loaded before: the child gets its arguments, if there are any, on a page that it cannot write. The
/// parent gets the child's number.
fn is_load_ended<M: System + Spec>(m: &Made<'_, M>, rest: &[Interaction<M>]) -> bool {
    let [child, ..] = m.arguments.load;
    let (byte, address) = (m.any, M::Word::from(ARGUMENTS));
    let error = || {
        if mapped(&m.before, child, address).is_some() { Error::InvalAddr } else { Error::Mem }
    };
    match m.arguments.parent {
        Parent::Program => {
            let from = m.argument(By::Continuation, slot::EDX);
            let is_done =
                m.ended_with(Error::Succ) && m.left(slot::EBX) == child && m.keeps_all_but(By::Continuation, 1);
            if !m.gives_arguments(By::Continuation) {
                return rest.is_empty() && matches!(m.next, Next::ToUser(_)) && is_done;
            }
            if !m.is_readable_page(from) {
                return is_load_failed(m, Error::InvalAddr, rest);
            }
            if !m.ended_with(Error::Succ) {
                return is_load_failed(m, error(), rest);
            }
            let (target, source) = (mapped(&m.after, child, address), mapped(&m.before, m.cur(), from));
            let (Some((frame, permission)), Some((source, _))) = (target, source) else { return false };
            rest.is_empty()
                && matches!(m.next, Next::ToUser(_))
                && is_done
                && mapped(&m.before, child, address).is_none()
                && permission == perm::PTUR
                && (byte >= PAGE_SIZE
                    || m.after.own.hp.get([frame, byte]).value == m.before.own.hp.get([source, byte]).value)
        }
        Parent::Main => {
            let [Interaction::HasArguments { cpu, answer }, rest @ ..] = rest else { return false };
            let is_mine = *cpu == m.before.own.cpu;
            let goes_on = matches!(m.next, Next::Continue(Continuation::Main));
            match rest {
                [] => is_mine && goes_on && !answer.holds(),
                [Interaction::LoadArguments { cpu, written }] => {
                    is_mine
                        && goes_on
                        && answer.holds()
                        && *cpu == m.before.own.cpu
                        && m.is_filled(child, address, perm::PTUR, written)
                }
                _ => is_mine && answer.holds() && is_load_failed(m, error(), rest),
            }
        }
    }
}
