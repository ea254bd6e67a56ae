//! Tables of the threads, quotas and pages of this CPU.

use abi::{CHILDREN, Error, THREADS, ThreadState, child, main_thread};
use user::sys::{ThreadInfo, thread_info, who_am_i};
use user::{image, println};

/// The threads of this CPU, by number.
fn all() -> impl Iterator<Item = (u32, ThreadInfo)> {
    (0..THREADS).filter_map(|thread| Some((thread, process(thread)?)))
}

/// What the kernel knows about a thread, if the thread has a process. The number of a process that has ended and was
/// waited for is free.
fn process(thread: u32) -> Option<ThreadInfo> {
    // The quota of such a process has gone back to its parent.
    thread_info(thread).ok().filter(|info| info.state != ThreadState::Ended || info.quota > 0)
}

/// The main thread of this CPU, from which all others descend.
fn root() -> Result<u32, Error> {
    Ok(main_thread(who_am_i()?.cpu))
}

/// The name of the program that a thread runs.
fn program(info: &ThreadInfo) -> &'static str {
    let name = info.image.and_then(|image| image::NAMES.get(image as usize));
    name.copied().unwrap_or(if info.state == ThreadState::Main { "(main)" } else { "-" })
}

/// Prints the threads.
pub fn threads() -> Result<(), Error> {
    let root = root()?;
    let cpu = root - 1;
    println!(
        "{:>6} {:>3} {:<12} {:<9} {:>6} {:>6} {:>8}",
        "THREAD", "CPU", "PROGRAM", "STATE", "QUOTA", "USE", "CHILDREN"
    );
    for (thread, info) in all() {
        let ThreadInfo { state, quota, usage, children, .. } = info;
        let children = (0..children).filter(|&index| process(child(thread, index)).is_some()).count();
        let (program, state) = (program(&info), word(state));
        println!("{thread:>6} {cpu:>3} {program:<12} {state:<9} {quota:>6} {usage:>6} {children:>8}");
    }
    Ok(())
}

/// The word for a state.
fn word(state: ThreadState) -> &'static str {
    match state {
        ThreadState::Ready => "ready",
        ThreadState::Main => "ready",
        ThreadState::Ended => "ended",
        ThreadState::Sending => "sending",
        ThreadState::Receiving => "receiving",
        ThreadState::Waiting => "waiting",
        ThreadState::Running => "running",
    }
}

/// Prints the tree of quotas.
pub fn quotas() -> Result<(), Error> {
    // A thread, and its depth below the first.
    let mut todo = [(0, 0); THREADS as usize / CHILDREN as usize];
    todo[0] = (root()?, 0);
    let mut count = 1;
    while count > 0 {
        count -= 1;
        let (thread, depth) = todo[count];
        let Some(info) = process(thread) else { continue };
        let (program, ThreadInfo { quota, usage, children, .. }) = (program(&info), info);
        println!("{:1$}{thread} {program}: {usage} of {quota} pages", "", 2 * depth);
        // The last child is pushed first, so that the first one comes next.
        for index in (0..children).rev() {
            todo[count] = (child(thread, index), depth + 1);
            count += 1;
        }
    }
    Ok(())
}

/// Prints the pages of this CPU, and those of the shell. All programs that the shell starts get
/// their pages from the shell.
pub fn memory() -> Result<(), Error> {
    let root = root()?;
    let ThreadInfo { quota, usage, .. } = thread_info(root)?;
    let free = quota - usage;
    println!("CPU {}: {quota} pages of 4 KiB, {usage} of them given to programs, {free} free", root - 1);
    let ThreadInfo { quota, usage, .. } = thread_info(who_am_i()?.thread)?;
    println!("shell: {quota} of them, {usage} used, {} free for programs that it starts", quota - usage);
    Ok(())
}
