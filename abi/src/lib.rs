//! What a user program and the kernel agree on: system-call numbers, error numbers, the registers
//! that carry them, and the window of addresses that a program may use.
//!
//! Numbers and names are those of the reference's table of system calls (section 8.6); the calls
//! that the reference lists without a number (`putc`, `getc`) or does not have (`exit`) follow at 32.
//!
//! # Registers
//!
//! A program executes `syscall` with the call's number in RAX and its arguments in RBX, R10, RDX, RSI
//! and RDI, 32 bits each. It finds an [`Error`] number in RAX and results in RBX, R10, RDX, RSI, RDI.
//! The instruction itself destroys RCX and R11, which is why the reference's ECX travels in R10.
#![no_std]
#![forbid(unsafe_code)]

pub mod boot;
pub mod refused;
pub mod report;
pub mod watch;

pub use report::Reason;

/// Lowest user virtual address: 1 GiB (`adr_low`).
pub const ADR_LOW: u32 = 0x4000_0000;
/// First address above the user window: 3.75 GiB (`adr_high`).
pub const ADR_HIGH: u32 = 0xF000_0000;
/// Stack pointer of a program at its first instruction (`STACK_TOP`); the stack grows down from here.
pub const STACK_TOP: u32 = ADR_HIGH;
/// Bytes of a page.
pub const PAGE_SIZE: u32 = 4096;
/// Programs that one program can start, ever (`max_children`).
pub const CHILDREN: u32 = 8;
/// Threads have numbers below this (`num_proc`). The k-th child of thread t, from 0, is `8 * t + 1 + k`;
/// a thread whose eighth child would have no number cannot start any.
pub const THREADS: u32 = 1024;

/// Channels have numbers below this. A sleep queue belongs to each; that of the last one that there is, which no program
/// can name, is where programs stay that have ended (P44 of the reference).
pub const CHANNELS: u32 = 1023;
/// Words of a message, at most.
pub const MESSAGE_WORDS: u32 = 1024;

/// Number of the main thread of a CPU, which starts what [`boot`] lists.
pub const fn main_thread(cpu: u32) -> u32 {
    cpu + 1
}

/// Number of a thread's `index`-th child, from 0. Nothing is said of whether it exists.
pub const fn child(thread: u32, index: u32) -> u32 {
    CHILDREN * thread + 1 + index
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// The system calls, by number.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum Call { $($(#[$doc])* $name = $number,)* }

        impl Call {
            /// Every call, in the order of its number.
            pub const ALL: &[Call] = &[$(Call::$name,)*];
        }
    };
}

calls! {
    /// `puts(address, length) -> written`: writes bytes of the caller's memory to the console, at most
    /// to the end of the page that `address` lies in. A page that the caller has not touched yet is reserved.
    Puts = 0,
    /// `spawn(image, quota) -> child`: starts program `image` of the boot archive with `quota` pages.
    Spawn = 2,
    /// `yield()`: lets the next ready thread of this CPU run.
    Yield = 3,
    /// `send(channel, address, words) -> words`: the first words of the caller's page at `address`, at most
    /// [`MESSAGE_WORDS`], become the message of the channel, as soon as there is room for one. A page that the caller has
    /// not touched yet is reserved.
    Send = 8,
    /// `recv(channel, address, words, wait) -> words`: the first words of the channel's message go to the caller's page at
    /// `address`; the rest of it is lost. Where there is no message, the caller waits for one unless `wait` is 0. A page
    /// that the caller has not touched yet is reserved.
    Recv = 9,
    /// `get_quota() -> pages`: how many pages the caller may still obtain.
    GetQuota = 26,
    /// `putc(byte) -> byte`: writes one byte to the console, by way of the serial port of the caller's CPU.
    Putc = 32,
    /// `exit(status)`: ends the caller; never returns.
    Exit = 33,
    /// `getc() -> byte`: the oldest byte of the console's input that nobody has read, by way of the serial port of the
    /// caller's CPU.
    Getc = 34,
    /// `thread_info(thread) -> state, image, quota, usage, children`: what a thread of the caller's CPU does, by the number of a
    /// [`ThreadState`]; the number of its program in the boot archive, or `u32::MAX`; the pages that it may use and those that it
    /// uses, its children's quotas included; and how many programs it has started.
    ThreadInfo = 35,
    /// `uptime() -> milliseconds`: how long the machine has been on, modulo 2^32.
    Uptime = 36,
}

macro_rules! thread_states {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// What a thread does.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum ThreadState { $($(#[$doc])* $name = $number,)* }

        impl ThreadState {
            /// The state with this number.
            pub fn from_number(number: u32) -> Option<ThreadState> {
                match number { $($number => Some(ThreadState::$name),)* _ => None }
            }
        }
    };
}

thread_states! {
    /// Its program runs when its turn comes.
    Ready = 0,
    /// It is the main thread of its CPU, which starts programs when its turn comes.
    Main = 1,
    /// Its program has ended.
    Ended = 2,
    /// It waits until it can send a message, or does so when its turn comes.
    Sending = 3,
    /// It waits for a message, or receives it when its turn comes.
    Receiving = 4,
    /// It runs: it is the one that asks.
    Running = 5,
}

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// The result of a system call, in RAX.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum Error { $($(#[$doc])* $name = $number,)* }

        impl Error {
            /// The error with this number.
            pub fn from_number(number: u32) -> Option<Error> {
                match number { $($number => Some(Error::$name),)* _ => None }
            }
        }
    };
}

errors! {
    /// Done.
    Succ = 0,
    /// No quota, no child slot or no thread number is left.
    Mem = 1,
    /// The call would have to wait, and may not.
    Ipc = 2,
    /// There is no system call with this number.
    InvalCallnr = 3,
    /// An address outside the user window, or one where no buffer can be.
    InvalAddr = 4,
    /// There is no channel with this number.
    InvalChid = 11,
    /// There is no program with this number in the boot archive, or no thread on the caller's CPU.
    InvalId = 12,
    /// `getc`: there is nothing to read. (The reference gives this and the next the numbers 1 and 2, which others have.)
    NoChar = 32,
    /// `putc`: the serial port does not transmit.
    SendFail = 33,
    /// The caller's CPU has no serial port (P39).
    NoDevice = 34,
}
