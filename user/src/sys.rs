//! System calls: the stub, and a typed function for each call.

use crate::channel::Page;
use abi::{Call, Cause, Error, PAGE_SIZE, ThreadState};
use core::arch::asm;

/// What a system call takes and gives: the registers of [`abi`]'s convention, in its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Registers {
    /// RAX: number of the call, afterwards the number of an [`Error`].
    pub rax: u64,
    /// RBX, R10, RDX, RSI, RDI: arguments, afterwards results. The kernel reads the low halves only.
    pub values: [u64; 5],
}

/// Executes `syscall` with these registers and returns what the kernel left in them.
///
/// # Safety
///
/// A call may write to memory that its arguments name: they must name memory of the caller that no Rust
/// reference forbids to change. [`Call::Recv`] is the only one that writes to any.
pub unsafe fn syscall(registers: Registers) -> Registers {
    let Registers { mut rax, values: [mut rbx, mut r10, mut rdx, mut rsi, mut rdi] } = registers;
    // SAFETY: the registers that the kernel changes are all named: those of the convention, and RCX and
    // R11, which the instruction destroys. RBX, which LLVM keeps for itself, is put back. The kernel does
    // not touch the user stack. What it may do to other memory is the caller's obligation.
    unsafe {
        asm!(
            "xchg rbx, {rbx}",
            "syscall",
            "xchg rbx, {rbx}",
            rbx = inout(reg) rbx,
            inout("rax") rax,
            inout("r10") r10,
            inout("rdx") rdx,
            inout("rsi") rsi,
            inout("rdi") rdi,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    Registers { rax, values: [rbx, r10, rdx, rsi, rdi] }
}

/// Makes one of the calls that write to no memory, and returns its first result.
fn call(call: Call, first: u32, second: u32) -> Result<u32, Error> {
    debug_assert!(call != Call::Recv, "{call:?} writes to memory");
    // SAFETY: no other call writes to the caller's memory.
    unsafe { any_call(call, [first, second, 0, 0]) }
}

/// Makes a call, and returns its first result.
///
/// # Safety
///
/// As for [`syscall`].
unsafe fn any_call(call: Call, arguments: [u32; 4]) -> Result<u32, Error> {
    // SAFETY: this function's own contract.
    unsafe { all_results(call, arguments) }.map(|results| results[0])
}

/// Makes a call, and returns all its results.
///
/// # Safety
///
/// As for [`syscall`].
unsafe fn all_results(call: Call, arguments: [u32; 4]) -> Result<[u32; 5], Error> {
    let [first, second, third, fourth] = arguments.map(u64::from);
    // SAFETY: this function's own contract.
    let answer = unsafe { syscall(Registers { rax: call as u64, values: [first, second, third, fourth, 0] }) };
    match Error::from_number(answer.rax as u32) {
        Some(Error::Succ) => Ok(answer.values.map(|value| value as u32)),
        Some(error) => Err(error),
        None => panic!("the kernel answered {call:?} with the unknown error number {}", answer.rax),
    }
}

/// Writes bytes to the console, at most to the end of the page that they begin in, and returns how many
/// bytes it wrote. What one call writes, nothing on another CPU interrupts.
///
/// # Errors
///
/// [`Error::InvalAddr`] if the bytes do not begin in the user window, [`Error::Mem`] if the quota does not allow to
/// reserve the page that they begin in, which the program has not touched yet.
pub fn puts(bytes: &[u8]) -> Result<usize, Error> {
    let address = bytes.as_ptr() as usize as u32;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    call(Call::Puts, address, length).map(|written| written as usize)
}

/// Writes one byte to the console, by way of the serial port, which one CPU has.
///
/// # Errors
///
/// [`Error::NoDevice`] on another CPU, [`Error::SendFail`] if the serial port does not transmit.
pub fn putc(byte: u8) -> Result<(), Error> {
    call(Call::Putc, byte.into(), 0).map(drop)
}

/// The oldest byte of the console's input that nobody has read, if there is one.
///
/// # Errors
///
/// [`Error::NoDevice`] on a CPU other than that which has the serial port.
pub fn getc() -> Result<Option<u8>, Error> {
    match call(Call::Getc, 0, 0) {
        Ok(byte) => Ok(Some(byte as u8)),
        Err(Error::NoChar) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Starts program `image` (see [`image::number`](crate::image::number)) on this CPU with `quota` pages out
/// of the caller's own, and returns its thread number.
///
/// # Errors
///
/// - [`Error::InvalId`]: the boot archive has no such image.
/// - [`Error::Mem`]: the caller has less than `quota` pages, or `quota` does not cover the image's own
///   pages and page tables, or the caller has started [`abi::CHILDREN`] programs before, or the numbers of
///   its children would exceed [`abi::THREADS`]. The caller's quota and children are as before.
pub fn spawn(image: u32, quota: u32) -> Result<u32, Error> {
    call(Call::Spawn, image, quota)
}

/// As [`spawn`], with a page of arguments for the program: see [`abi::arguments`]. Its quota pays for the copy that it gets.
///
/// # Errors
///
/// Those of [`spawn`], and [`Error::InvalAddr`] if `page` does not begin where a page does, or the image has a page where its
/// arguments would be.
pub fn spawn_with(image: u32, quota: u32, page: &[u8; PAGE_SIZE as usize]) -> Result<u32, Error> {
    let address = page.as_ptr().expose_provenance() as u32;
    // SAFETY: the call reads the page, and writes to no memory of the caller's.
    unsafe { any_call(Call::Spawn, [image, quota, address, 0]) }
}

/// Who a program is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Its thread's number.
    pub thread: u32,
    /// Its CPU.
    pub cpu: u32,
    /// The number of its parent's thread.
    pub parent: u32,
}

/// Who the caller is.
///
/// # Errors
///
/// None of its own: [`Error::InvalCallnr`] if the kernel has no such call.
pub fn who_am_i() -> Result<Identity, Error> {
    // SAFETY: the call writes to no memory.
    let [thread, cpu, parent, ..] = unsafe { all_results(Call::WhoAmI, [0; 4]) }?;
    Ok(Identity { thread, cpu, parent })
}

/// Lets every other ready thread of this CPU run once.
///
/// # Errors
///
/// None of its own: [`Error::InvalCallnr`] if the kernel has no such call.
pub fn yield_now() -> Result<(), Error> {
    call(Call::Yield, 0, 0).map(drop)
}

/// Sends the first `words` words of `page` by way of a channel, at most all of them, as soon as there is room there, and
/// returns how many they are.
///
/// # Errors
///
/// [`Error::InvalChid`] if there is no such channel, [`Error::Mem`] if the quota does not allow to reserve the page, which
/// the program has not touched yet.
pub fn send(channel: u32, page: &Page, words: usize) -> Result<usize, Error> {
    let words = u32::try_from(words).unwrap_or(u32::MAX);
    // SAFETY: a call that sends reads the caller's memory, and writes to none.
    let sent = unsafe { any_call(Call::Send, [channel, address(page), words, 0]) };
    sent.map(|sent| sent as usize)
}

/// Receives the first `words` words of a channel's message into `page`, and returns how many they are: the message's own,
/// if it has fewer. The rest of it is lost. Where there is no message, it waits for one if `wait` says so.
///
/// # Errors
///
/// Those of [`send`], and [`Error::Ipc`] if there is no message and it is not to wait.
pub fn receive(channel: u32, page: &mut Page, words: usize, wait: bool) -> Result<usize, Error> {
    let words = u32::try_from(words).unwrap_or(u32::MAX);
    // SAFETY: the call writes to the page at this address and nowhere else; it is borrowed for that alone.
    let received = unsafe { any_call(Call::Recv, [channel, address(page), words, wait.into()]) };
    received.map(|received| received as usize)
}

/// Where a page is.
fn address(page: *const Page) -> u32 {
    page.expose_provenance() as u32
}

/// How many pages the caller may still obtain: its quota less what it was charged for pages, page tables
/// and the quotas of its children.
///
/// # Errors
///
/// None of its own: [`Error::InvalCallnr`] if the kernel has no such call.
pub fn get_quota() -> Result<u32, Error> {
    call(Call::GetQuota, 0, 0)
}

/// What the kernel says of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ThreadInfo {
    /// What it does.
    pub state: ThreadState,
    /// What it runs, by its number in the boot archive: see [`image::NAMES`](crate::image::NAMES).
    pub image: Option<u32>,
    /// Pages that it may use.
    pub quota: u32,
    /// Pages that it uses, the quotas of its children included.
    pub usage: u32,
    /// Children that it has had at a time, at most.
    pub children: u32,
}

/// What a thread of this CPU does and has.
///
/// # Errors
///
/// [`Error::InvalId`] if this CPU has no such thread.
pub fn thread_info(thread: u32) -> Result<ThreadInfo, Error> {
    // SAFETY: the call writes to no memory.
    let [state, image, quota, usage, children] = unsafe { all_results(Call::ThreadInfo, [thread, 0, 0, 0]) }?;
    let Some(state) = ThreadState::from_number(state) else {
        panic!("thread {thread} is in the unknown state {state}")
    };
    Ok(ThreadInfo { state, image: (image != u32::MAX).then_some(image), quota, usage, children })
}

/// How a child has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Its thread number, which the next child may have.
    pub child: u32,
    /// What it passed, where it called `exit`.
    pub status: u32,
    /// Why it ended.
    pub cause: Cause,
}

/// Waits until `child` has ended, and all that descend from it. What it was given is the caller's again.
///
/// # Errors
/// [`Error::InvalId`] if it is no child of the caller's, or one that was waited for.
pub fn wait(child: u32) -> Result<Ended, Error> {
    // 0, which the kernel takes for any, is nobody's child.
    if child == 0 { Err(Error::InvalId) } else { wait_for(child, true) }
}

/// As [`wait`], but never waits: [`Error::Ipc`] if the child has not ended.
///
/// # Errors
/// Those of [`wait`], and [`Error::Ipc`].
pub fn try_wait(child: u32) -> Result<Ended, Error> {
    if child == 0 { Err(Error::InvalId) } else { wait_for(child, false) }
}

/// Waits until some child has ended.
///
/// # Errors
/// [`Error::InvalId`] if the caller has no child left.
pub fn wait_any() -> Result<Ended, Error> {
    wait_for(0, true)
}

/// As [`wait_any`], but never waits.
///
/// # Errors
/// Those of [`wait_any`], and [`Error::Ipc`] if no child has ended.
pub fn try_wait_any() -> Result<Ended, Error> {
    wait_for(0, false)
}

fn wait_for(child: u32, wait: bool) -> Result<Ended, Error> {
    // SAFETY: the call writes to no memory.
    let [child, status, cause, ..] = unsafe { all_results(Call::Wait, [child, wait.into(), 0, 0]) }?;
    let Some(cause) = Cause::from_number(cause) else { panic!("child {child} ended for the unknown cause {cause}") };
    Ok(Ended { child, status, cause })
}

/// Ends a child, wherever it is, and all that descend from it. It has ended when [`wait`] says so.
///
/// # Errors
/// [`Error::InvalId`] if it is no child of the caller's, or has ended.
pub fn kill(child: u32) -> Result<(), Error> {
    call(Call::Kill, child, 0).map(drop)
}

/// Milliseconds since the machine was switched on, modulo 2^32.
///
/// # Errors
///
/// None of its own: [`Error::InvalCallnr`] if the kernel has no such call.
pub fn uptime() -> Result<u32, Error> {
    call(Call::Uptime, 0, 0)
}

/// Ends the program; the console shows `status`, by convention 0 for success.
pub fn exit(status: u32) -> ! {
    loop {
        // A kernel that comes back has broken its promise: there is nothing to do but to ask again.
        // SAFETY: the call writes to no memory. What it answers does not matter, so that even the smallest program can
        // end without `call`, which knows how to panic.
        unsafe { syscall(Registers { rax: Call::Exit as u64, values: [status.into(), 0, 0, 0, 0] }) };
    }
}
