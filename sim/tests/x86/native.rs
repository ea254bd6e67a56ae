//! Executes single instructions on the processor that runs the test.
//!
//! The arena lies below 2 GiB. So the code around the instruction reaches everything by absolute addresses, without a
//! register. Its pages are: code, registers, scratch memory.

use fuzz_x86::context::{self, State};
use fuzz_x86::generate::SCRATCH_SIZE;
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use std::cell::Cell;
use std::sync::Once;

/// Bytes of each part of the arena.
const PAGE: usize = 4096;
/// Offset of the registers.
const STATE: usize = PAGE;
/// Offset of the scratch memory.
const SCRATCH: usize = 2 * PAGE;

/// The registers of the program, and what is saved of the test's.
#[repr(C)]
struct Place {
    state: State,
    /// The test's own stack pointer while the instruction runs.
    host_rsp: u64,
}

/// How an instruction ended on the processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It completed.
    Done,
    /// It raised an exception, which the operating system reports by this signal.
    Signal(i32),
}

/// Memory to execute an instruction in.
pub struct Arena {
    base: *mut u8,
    /// The code before and after the instruction.
    before: Vec<u8>,
    after: Vec<u8>,
}

thread_local! {
    /// Where execution continues after a signal: the code after the instruction. 0 if no instruction is running.
    static RESUME: Cell<u64> = const { Cell::new(0) };
    /// The signal.
    static SIGNAL: Cell<i32> = const { Cell::new(0) };
}

/// The signals for exceptions of instructions.
const SIGNALS: [i32; 5] = [libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGBUS, libc::SIGTRAP];

/// Records the signal and leaves the instruction.
extern "C" fn handler(signal: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let resume = RESUME.get();
    if resume == 0 {
        // The signal is not ours: let it kill the test, as it would have without this handler.
        // SAFETY: resetting a handler and returning is allowed in a handler.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        return;
    }
    SIGNAL.set(signal);
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel passes the interrupted context to a handler with SA_SIGINFO, for it to change.
    unsafe { (*context).uc_mcontext.gregs[libc::REG_RIP as usize] = resume as i64 };
}

/// Installs the handler on a stack of its own, because the instruction may have any stack pointer.
fn install_handler() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: `handler` has the signature that SA_SIGINFO asks for; the structure is valid when zeroed.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            for signal in SIGNALS {
                assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
            }
        }
    });
    const SIZE: usize = 1 << 16;
    let stack = libc::stack_t {
        ss_sp: Box::leak(vec![0u8; SIZE].into_boxed_slice()).as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: SIZE,
    };
    // SAFETY: the stack is leaked, so it outlives the thread.
    let result = unsafe { libc::sigaltstack(&stack, std::ptr::null_mut()) };
    assert_eq!(result, 0);
}

impl Arena {
    /// Reserves an arena below 2 GiB.
    pub fn new() -> Arena {
        install_handler();
        let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
        // SAFETY: a fresh anonymous mapping, which nothing else uses.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), 3 * PAGE, protection, flags, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED, "no memory below 2 GiB");
        let state = base as u64 + STATE as u64;
        let (before, after) = surroundings(state).expect("the code around is well-formed");
        Arena { base: base.cast(), before, after }
    }

    /// The address of the instruction.
    pub fn code(&self) -> u64 {
        self.base as u64 + self.before.len() as u64
    }

    /// The address of the scratch memory.
    pub fn scratch_address(&self) -> u64 {
        self.base as u64 + SCRATCH as u64
    }

    /// The scratch memory.
    pub fn scratch(&mut self) -> &mut [u8] {
        // SAFETY: the page is part of the mapping and only reached through `self`.
        unsafe { std::slice::from_raw_parts_mut(self.base.add(SCRATCH), SCRATCH_SIZE) }
    }

    /// Executes an instruction with these registers, and returns the registers afterwards.
    ///
    /// # Safety
    ///
    /// The instruction must fall through to the next one or raise an exception, and may write to the scratch
    /// memory only. It must not change MXCSR, segments or the trap flag.
    pub unsafe fn execute(&mut self, instruction: &[u8], state: &State) -> (State, Outcome) {
        let length = self.before.len() + instruction.len() + self.after.len();
        assert!(length <= PAGE);
        let code = [&self.before[..], instruction, &self.after[..]].concat();
        // SAFETY: the code fits its page, the registers fit theirs, and nothing else refers to either. The
        // code around the instruction saves and restores what a call has to preserve.
        unsafe {
            std::ptr::copy_nonoverlapping(code.as_ptr(), self.base, length);
            let place = self.base.add(STATE).cast::<Place>();
            place.write(Place { state: *state, host_rsp: 0 });
            SIGNAL.set(0);
            RESUME.set(self.code() + instruction.len() as u64);
            let enter: extern "C" fn() = std::mem::transmute(self.base);
            enter();
            RESUME.set(0);
            let outcome = match SIGNAL.get() {
                0 => Outcome::Done,
                signal => Outcome::Signal(signal),
            };
            (place.read().state, outcome)
        }
    }
}

/// The code that loads the registers from `state`, and the code that stores them there.
fn surroundings(state: u64) -> Result<(Vec<u8>, Vec<u8>), IcedError> {
    const PRESERVED: [AsmRegister64; 6] = [rbx, rbp, r12, r13, r14, r15];
    let host = state + std::mem::offset_of!(Place, host_rsp) as u64;

    let mut before = CodeAssembler::new(64)?;
    for register in PRESERVED {
        before.push(register)?;
    }
    before.mov(qword_ptr(host), rsp)?;
    context::load(&mut before, state)?;

    let mut after = CodeAssembler::new(64)?;
    context::store(&mut after, state)?;
    after.mov(rsp, qword_ptr(host))?;
    for register in PRESERVED.into_iter().rev() {
        after.pop(register)?;
    }
    after.ret()?;
    // All addresses are absolute, so that the code's own address does not matter.
    Ok((before.assemble(0)?, after.assemble(0)?))
}
