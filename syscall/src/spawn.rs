//! `spawn`: creates a child at once, and loads its image, one page in each step (reference, section 8.5).
use crate::continuation::{Continuation, is_main};
use crate::failure::Failure;
use crate::memory::{page, reserve_fresh};
use crate::next::{Load, Next, Parent};
use crate::registers::{THIRD, argument, back};
use crate::system::{Event, Image, ImagePage, System};
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
    match create(cpu, parent, image, quota) {
        Ok(child) => Ok(Next::Load(Load { parent, child, image, page: 0.into() })),
        Err(failure) => done(cpu, parent, image, Err(failure)),
    }
}

/// Creates the child, if all arguments are usable, and returns its number.
#[inline(always)]
fn create<M: System>(cpu: &mut Cpu<'_, M>, parent: Parent, image: M::Word, quota: M::Word) -> Result<M::Word, Failure> {
    let Image { entry, frames, has_room } = M::image(image).ok_or(Error::InvalId)?;
    // If a program started outside the window, it could only fault, on some processors inside the kernel.
    Address::<M>::in_window_wide(entry).ok_or(Error::InvalId)?;
    let cur = get_curid(cpu)?;
    let is_given = is_given(cpu, parent)?;
    if is_given && (!has_room.holds() || parent == Parent::Program && source(cpu)?.is_none()) {
        return Err(Error::InvalAddr.into());
    }
    let more = if is_given { ARGUMENTS_FRAMES } else { 0 };
    if container_can_consume(cpu, cur, quota)? == 0 || quota < more || frames.any() > quota - more {
        return Err(Error::Mem.into());
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
        return Err(Error::Mem.into());
    } else {
        proc_create(cpu, image, entry.any(), quota)?
    };
    proc_create_postinit(cpu, image)?;
    M::report(cpu, Event::Started { child, image });
    Ok(child)
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

/// Called for a child that has all pages of its image. Gives it its arguments, if there are any, on a page that it can
/// read and not write. Like all such pages, this page is executable.
fn give_arguments<M: System>(cpu: &mut Cpu<'_, M>, parent: Parent, child: M::Word) -> Result<(), Failure> {
    if !is_given(cpu, parent)? {
        return Ok(());
    }
    let address = Address::of_arguments();
    match parent {
        Parent::Program => {
            let from = source(cpu)?.ok_or(Error::InvalAddr)?;
            reserve_fresh(cpu, child, &address, perm::PTUR)?;
            page_copy_to(cpu, child, address.word(), from.word())?;
        }
        Parent::Main => {
            let page = reserve_fresh(cpu, child, &address, perm::PTUR)?;
            let me = get_cpu_id(cpu)?;
            M::load_arguments(&mut cpu.own.hp, page.frame, me);
        }
    }
    Ok(())
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
    let Load { parent, child, image, page } = load;
    let Some(source) = M::image_page(image, page) else {
        let given = give_arguments(cpu, parent, child);
        return done(cpu, parent, image, given.map(|()| child));
    };
    match load_page(cpu, &load, source) {
        Ok(()) => Ok(Next::Load(Load { parent, child, image, page: page + 1 })),
        Err(failure) => done(cpu, parent, image, Err(failure)),
    }
}

/// Gives the child the page `load.page` of its image, which is described by `source`.
#[inline(always)]
fn load_page<M: System>(cpu: &mut Cpu<'_, M>, load: &Load<M>, source: ImagePage<M>) -> Result<(), Failure> {
    if load.page >= WINDOW_PAGES {
        return Err(Error::InvalId.into());
    }
    let address = Address::in_window(source.address).ok_or(Error::InvalAddr)?;
    if address.offset() != 0 {
        return Err(Error::InvalAddr.into());
    }
    let permission = if source.writable.holds() { perm::PTU } else { perm::PTUR };
    let page = reserve_fresh(cpu, load.child, &address, permission)?;
    M::load_page(&mut cpu.own.hp, page.frame, load.image, load.page);
    Ok(())
}

/// The parent continues, with the child's number or the reason for the refusal.
fn done<M: System>(
    cpu: &mut Cpu<'_, M>,
    parent: Parent,
    image: M::Word,
    result: Result<M::Word, Failure>,
) -> Result<Next<M>, Stuck> {
    match parent {
        Parent::Program => back(cpu, result),
        Parent::Main => {
            match result {
                Ok(_) => {}
                Err(Failure::Refused(error)) => M::report(cpu, Event::NotStarted { image, error }),
                Err(Failure::Stuck(stuck)) => return Err(stuck),
            }
            Ok(Next::Continue(Continuation::Main))
        }
    }
}
