//! System calls: the stub, and a typed function for each call.

use crate::memory::Page;
use abi::{Call, Cause, Error, PAGE_SIZE, ThreadState};
use core::arch::asm;

/// The registers of a system call, in the order of [`abi`]'s convention.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Registers {
    /// RAX: the number of the call; afterwards the number of an [`Error`].
    pub rax: u64,
    /// RBX, R10, RDX, RSI, RDI: arguments; afterwards results. The kernel reads the low halves only.
    pub values: [u64; 5],
}

/// Executes `syscall` with these registers and returns what the kernel left in them.
///
/// # Safety
///
/// A call may write to memory that its arguments name. That memory must be the caller's, and there must be no Rust
/// reference that forbids changing it. Only [`Call::Recv`] writes to memory.
pub unsafe fn syscall(registers: Registers) -> Registers {
    let Registers { mut rax, values: [mut rbx, mut r10, mut rdx, mut rsi, mut rdi] } = registers;
    // SAFETY: all registers that the kernel changes are named: those of the convention, and RCX and R11, which the
    // instruction destroys. RBX, which LLVM reserves for itself, is restored. The kernel does not touch the user stack.
    // Writes to other memory are the caller's obligation.
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
pub(crate) fn call(call: Call, first: u32, second: u32) -> Result<u32, Error> {
    results_of(call, [first, second, 0, 0, 0]).map(|results| results[0])
}

/// Makes one of the calls that write to no memory, and returns all its results.
pub(crate) fn results_of(call: Call, arguments: [u32; 5]) -> Result<[u32; 5], Error> {
    debug_assert!(call != Call::Recv, "{call:?} writes to memory");
    // SAFETY: no other call writes to the caller's memory. A guest that runs writes only to pages that were given to it
    // by `Guest::map`, which has a contract of its own.
    unsafe { any_call(call, arguments) }
}

/// Makes a call, and returns all its results.
///
/// # Safety
///
/// As for [`syscall`].
unsafe fn any_call(call: Call, arguments: [u32; 5]) -> Result<[u32; 5], Error> {
    // SAFETY: this function's own contract.
    results(call, unsafe { syscall(Registers { rax: call as u64, values: arguments.map(u64::from) }) })
}

/// The results in the registers that the kernel left after `call`.
fn results(call: Call, answer: Registers) -> Result<[u32; 5], Error> {
    match Error::from_number(answer.rax as u32) {
        Some(Error::Succ) => Ok(answer.values.map(|value| value as u32)),
        Some(error) => Err(error),
        None => panic!("the kernel answered {call:?} with the unknown error number {}", answer.rax),
    }
}

/// Writes bytes to the console, at most to the end of the page that they begin in, and returns how many bytes it wrote.
/// No output of another CPU comes between the bytes of one call.
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

/// Writes one byte to the console through the serial port, which one CPU has.
///
/// # Errors
///
/// [`Error::NoDevice`] on another CPU, [`Error::SendFail`] if the serial port does not transmit.
pub fn putc(byte: u8) -> Result<(), Error> {
    call(Call::Putc, byte.into(), 0).map(drop)
}

/// The oldest byte of the console's input that no program has read, if there is one.
///
/// # Errors
///
/// [`Error::NoDevice`] on every CPU but the one that has the serial port.
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

/// Like [`spawn`], with a page of arguments for the program: see [`abi::arguments`]. The program's quota pays for its
/// copy of the page.
///
/// # Errors
///
/// The errors of [`spawn`], and [`Error::InvalAddr`] if `page` is not page-aligned, or if the image has a page
/// at the address of the arguments.
pub fn spawn_with(image: u32, quota: u32, page: &[u8; PAGE_SIZE as usize]) -> Result<u32, Error> {
    let address = page.as_ptr().expose_provenance() as u32;
    results_of(Call::Spawn, [image, quota, address, 0, 0]).map(|results| results[0])
}

/// The identity of a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Its thread's number.
    pub thread: u32,
    /// Its CPU.
    pub cpu: u32,
    /// The number of its parent's thread.
    pub parent: u32,
}

/// The identity of the caller.
///
/// # Errors
///
/// No errors of its own: [`Error::InvalCallnr`] if the kernel has no such call.
pub fn who_am_i() -> Result<Identity, Error> {
    let [thread, cpu, parent, ..] = results_of(Call::WhoAmI, [0; 5])?;
    Ok(Identity { thread, cpu, parent })
}

/// Lets every other ready thread of this CPU run once.
///
/// # Errors
///
/// No errors of its own: [`Error::InvalCallnr`] if the kernel has no such call.
pub fn yield_now() -> Result<(), Error> {
    call(Call::Yield, 0, 0).map(drop)
}

/// Sends the first `words` words of `page` on a channel, at most all of them, as soon as there is room there. Returns
/// how many words were sent.
///
/// # Errors
///
/// [`Error::InvalChid`] if there is no such channel, [`Error::Mem`] if the quota does not allow to reserve the page, which
/// the program has not touched yet.
pub fn send(channel: u32, page: &Page, words: usize) -> Result<usize, Error> {
    let words = u32::try_from(words).unwrap_or(u32::MAX);
    let [sent, ..] = results_of(Call::Send, [channel, address(page), words, 0, 0])?;
    Ok(sent as usize)
}

/// Receives the first `words` words of a channel's message into `page`, and returns how many words it received; a
/// message may have fewer. The rest of the message is lost. If there is no message, the call waits for one if `wait`
/// is true.
///
/// # Errors
///
/// The errors of [`send`], and [`Error::Ipc`] if there is no message and `wait` is false.
pub fn receive(channel: u32, page: &mut Page, words: usize, wait: bool) -> Result<usize, Error> {
    let words = u32::try_from(words).unwrap_or(u32::MAX);
    // SAFETY: the call writes only to the page at this address, which is mutably borrowed for it.
    let [received, ..] = unsafe { any_call(Call::Recv, [channel, address(page), words, wait.into(), 0]) }?;
    Ok(received as usize)
}

/// Address of a page.
fn address(page: *const Page) -> u32 {
    page.expose_provenance() as u32
}

/// How many pages the caller may still obtain: its quota, less the pages, page tables and children's quotas that were
/// charged to it.
///
/// # Errors
///
/// No errors of its own: [`Error::InvalCallnr`] if the kernel has no such call.
pub fn get_quota() -> Result<u32, Error> {
    call(Call::GetQuota, 0, 0)
}

/// The kernel's information about a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ThreadInfo {
    /// Its state.
    pub state: ThreadState,
    /// The program that it runs, by its number in the boot archive: see [`image::NAMES`](crate::image::NAMES).
    pub image: Option<u32>,
    /// Pages that it may use.
    pub quota: u32,
    /// Pages that it uses, including the quotas of its children.
    pub usage: u32,
    /// The maximum number of children that it has had at a time.
    pub children: u32,
}

/// The kernel's information about a thread of this CPU.
///
/// # Errors
///
/// [`Error::InvalId`] if this CPU has no such thread.
pub fn thread_info(thread: u32) -> Result<ThreadInfo, Error> {
    let [state, image, quota, usage, children] = results_of(Call::ThreadInfo, [thread, 0, 0, 0, 0])?;
    let Some(state) = ThreadState::from_number(state) else {
        panic!("thread {thread} is in the unknown state {state}")
    };
    Ok(ThreadInfo { state, image: (image != u32::MAX).then_some(image), quota, usage, children })
}

/// The end of a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Its thread number, which the next child may get again.
    pub child: u32,
    /// The status that it passed to `exit`, if it called `exit`.
    pub status: u32,
    /// Why it ended.
    pub cause: Cause,
}

/// Waits until `child` and all its descendants have ended. The child's quota is then the caller's again.
///
/// # Errors
/// [`Error::InvalId`] if it is not a child of the caller, or was already waited for.
pub fn wait(child: u32) -> Result<Ended, Error> {
    // For the kernel, 0 means any child, and 0 is no program's child.
    if child == 0 { Err(Error::InvalId) } else { wait_for(child, true) }
}

/// Like [`wait`], but never waits.
///
/// # Errors
/// The errors of [`wait`], and [`Error::Ipc`] if the child has not ended.
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

/// Like [`wait_any`], but never waits.
///
/// # Errors
/// The errors of [`wait_any`], and [`Error::Ipc`] if no child has ended.
pub fn try_wait_any() -> Result<Ended, Error> {
    wait_for(0, false)
}

fn wait_for(child: u32, wait: bool) -> Result<Ended, Error> {
    let [child, status, cause, ..] = results_of(Call::Wait, [child, wait.into(), 0, 0, 0])?;
    let Some(cause) = Cause::from_number(cause) else { panic!("child {child} ended for the unknown cause {cause}") };
    Ok(Ended { child, status, cause })
}

/// Kills a child, whatever it does, and all its descendants. The child has ended when [`wait`]
/// returns it.
///
/// # Errors
/// [`Error::InvalId`] if it is not a child of the caller, or has ended.
pub fn kill(child: u32) -> Result<(), Error> {
    call(Call::Kill, child, 0).map(drop)
}

/// Milliseconds since the machine was switched on, modulo 2^32.
///
/// # Errors
///
/// No errors of its own: [`Error::InvalCallnr`] if the kernel has no such call.
pub fn uptime() -> Result<u32, Error> {
    call(Call::Uptime, 0, 0)
}

/// Waits until [`uptime`] changes, and returns it.
///
/// # Errors
///
/// Those of [`uptime`].
pub fn next_millisecond() -> Result<u32, Error> {
    let before = uptime()?;
    loop {
        let now = uptime()?;
        if now != before {
            return Ok(now);
        }
    }
}

/// Ends the program; the console shows `status`, by convention 0 for success.
pub fn exit(status: u32) -> ! {
    loop {
        // A kernel that returns from this call has broken its contract; the only thing left is to call again.
        // SAFETY: the call writes to no memory. The result does not matter. `call` is avoided because it contains code
        // that panics, which the smallest program does not have.
        unsafe { syscall(Registers { rax: Call::Exit as u64, values: [status.into(), 0, 0, 0, 0] }) };
    }
}
