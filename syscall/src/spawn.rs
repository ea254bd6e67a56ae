//! `spawn`: creates a child at once, and loads its image one page a step (reference, section 8.5).
use crate::memory::{Reserved, page, reserve};
use crate::next::{Load, Next, Parent};
use crate::registers::{THIRD, argument, back};
use crate::stage::{Stage, is_main};
use crate::system::{Event, Image, System};
use crate::unchecked::{Address, Unchecked};
use abi::Error;
use domain::Flag;
use layer::core::constants::{ADR_HIGH, ADR_LOW, MAX_CHILDREN, NUM_ID, PAGE_SIZE, perm};
use layer::core::fields::process::VACANT;
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::container::{container_can_consume, container_get_nchildren};
use layer::objects::page_copy::page_copy_to;
use layer::objects::process::{proc_create, proc_create_postinit, proc_first, proc_recreate};
use layer::objects::thread::{get_cpu_id, get_curid};

/// Number of pages of the user window, and so the maximum of an image.
const WINDOW_PAGES: u32 = (ADR_HIGH - ADR_LOW) / PAGE_SIZE;

/// Creates a child of the running thread for `image`, with `quota` pages of the running thread's quota, and begins to
/// load the image.
///
/// Refusals: [`Error::InvalId`] if the boot archive has no such image or its entry point is outside the window;
/// [`Error::InvalAddr`] if the arguments are not a page that the running thread can read, or the image has a page at
/// their address; [`Error::Mem`] if the quota is more than is left or less than the image and the arguments need, and
/// if the running thread has had all its children or their numbers would be out of range. A refusal changes nothing.
///
/// # Errors
/// None for any image and quota.
#[inline(never)]
pub(crate) fn spawn<M: System>(
    cpu: &mut Cpu<'_, M>,
    parent: Parent,
    image: Unchecked<M::Word>,
    quota: Unchecked<M::Word>,
) -> Result<Next<M>, Stuck> {
    let (image, quota) = (image.any(), quota.any());
    let Some(Image { entry, frames, has_room }) = M::image(image) else {
        return done(cpu, parent, image, Err(Error::InvalId));
    };
    // If a program started outside the window, it could only fault, on some processors inside the
    // kernel.
    if Address::<M>::in_window_wide(entry).is_none() {
        return done(cpu, parent, image, Err(Error::InvalId));
    }
    let cur = get_curid(cpu)?;
    let is_given = is_given(cpu, parent)?;
    if is_given && (!has_room.holds() || parent == Parent::Program && source(cpu)?.is_none()) {
        return done(cpu, parent, image, Err(Error::InvalAddr));
    }
    let more = if is_given { ARGUMENTS_FRAMES } else { 0 };
    if container_can_consume(cpu, cur, quota)? == 0 || quota < more || frames.any() > quota - more {
        return done(cpu, parent, image, Err(Error::Mem));
    }
    let vacant = proc_first(cpu, VACANT.into())?;
    let child = if vacant != 0 {
        proc_recreate(cpu, vacant, entry.any(), quota)?;
        vacant
    } else if container_get_nchildren(cpu, cur)? >= MAX_CHILDREN
        // This check is conservative: it refuses already if the last possible child's number would
        // be out of range.
        || cur * MAX_CHILDREN + 1 + MAX_CHILDREN > NUM_ID
    {
        return done(cpu, parent, image, Err(Error::Mem));
    } else {
        proc_create(cpu, image, entry.any(), quota)?
    };
    proc_create_postinit(cpu, image)?;
    M::report(cpu, Event::Started { child, image });
    Ok(Next::Load(Load { parent, child, image, page: 0.into() }))
}

/// Frames that arguments need: their page, and a page table if the image has none there.
const ARGUMENTS_FRAMES: u32 = 2;

/// Whether the child of the running thread gets arguments.
fn is_given<M: System>(cpu: &Cpu<'_, M>, parent: Parent) -> Result<bool, Stuck> {
    Ok(match parent {
        // The main thread has no registers of a program, and makes no calls.
        Parent::Program => !is_main(cpu)? && !argument(cpu, THIRD)?.is(0),
        Parent::Main => M::has_arguments(get_cpu_id(cpu)?).holds(),
    })
}

/// The address at which the running program has laid out the arguments of a child, if it is the start of a readable
/// page.
fn source<M: System>(cpu: &Cpu<'_, M>) -> Result<Option<Address<M>>, Stuck> {
    let Some(address) = Address::in_window(argument(cpu, THIRD)?) else { return Ok(None) };
    if address.offset() != 0 {
        return Ok(None);
    }
    let page = page(cpu, get_curid(cpu)?, &address)?;
    let is_users = |permission: M::Word| permission == perm::PTU || permission == perm::PTUR;
    Ok(page.filter(|page| is_users(page.permission)).map(|_| address))
}

/// Called for a child that has all pages of its image. Gives it its arguments, if there are any, on a page that it
/// can read and not write. Like all such pages, this page is executable.
fn give_arguments<M: System>(cpu: &mut Cpu<'_, M>, load: Load<M>) -> Result<Next<M>, Stuck> {
    let Load { parent, child, image, .. } = load;
    if !is_given(cpu, parent)? {
        return done(cpu, parent, image, Ok(child));
    }
    let address = Address::of_arguments();
    match reserve(cpu, child, &address, perm::PTUR)? {
        Reserved::Fresh => {}
        Reserved::Mapped => return done(cpu, parent, image, Err(Error::InvalAddr)),
        Reserved::Exhausted => return done(cpu, parent, image, Err(Error::Mem)),
    }
    let Some(page) = page(cpu, child, &address)? else {
        return done(cpu, parent, image, Err(Error::InvalAddr));
    };
    match parent {
        Parent::Program => {
            let Some(from) = source(cpu)? else { return done(cpu, parent, image, Err(Error::InvalAddr)) };
            page_copy_to(cpu, child, address.word(), from.word())?;
        }
        Parent::Main => {
            let me = get_cpu_id(cpu)?;
            M::load_arguments(&mut cpu.own.hp, page.frame, me);
        }
    }
    done(cpu, parent, image, Ok(child))
}

/// Loads one page of an image. After the last page, gives the child its arguments and ends the loading.
///
/// A failure ends the loading with an error for the parent. The child still runs, with the pages that it has, until a
/// fault stops it; the parent may then wait for it, or kill it. A checked archive
/// ([`ParsedImage`](crate::image::ParsedImage)) causes no failure: its pages lie in the window and none occurs twice;
/// the quota covers [`Image::frames`], since a new child has used nothing; and memory lasts as long as quotas do,
/// because the quotas of all roots add up to the number of frames.
///
/// # Errors
/// None in a state in which the load is [ready](Load::ready).
pub fn load_step<M: System>(cpu: &mut Cpu<'_, M>, load: Load<M>) -> Result<Next<M>, Stuck> {
    let Load { parent, child, image, page: index } = load;
    let Some(source) = M::image_page(image, index) else {
        return give_arguments(cpu, load);
    };
    if index >= WINDOW_PAGES {
        return done(cpu, parent, image, Err(Error::InvalId));
    }
    let Some(address) = Address::in_window(source.address) else {
        return done(cpu, parent, image, Err(Error::InvalAddr));
    };
    if address.offset() != 0 {
        return done(cpu, parent, image, Err(Error::InvalAddr));
    }
    let permission = if source.writable.holds() { perm::PTU } else { perm::PTUR };
    match reserve(cpu, child, &address, permission)? {
        Reserved::Fresh => {}
        Reserved::Mapped => return done(cpu, parent, image, Err(Error::InvalAddr)),
        Reserved::Exhausted => return done(cpu, parent, image, Err(Error::Mem)),
    }
    let Some(page) = page(cpu, child, &address)? else {
        return done(cpu, parent, image, Err(Error::InvalAddr));
    };
    M::load_page(&mut cpu.own.hp, page.frame, image, index);
    Ok(Next::Load(Load { parent, child, image, page: index + 1 }))
}

/// The parent continues, with the child's number or the reason for the refusal.
fn done<M: System>(
    cpu: &mut Cpu<'_, M>,
    parent: Parent,
    image: M::Word,
    result: Result<M::Word, Error>,
) -> Result<Next<M>, Stuck> {
    match parent {
        Parent::Program => back(cpu, result),
        Parent::Main => {
            if let Err(error) = result {
                M::report(cpu, Event::NotStarted { image, error });
            }
            Ok(Next::Continue(Stage::Main))
        }
    }
}
