//! The states of threads, as the kernel reports them to programs.

macro_rules! thread_states {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// The state of a thread.
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
    /// The thread's program runs when its turn comes.
    Ready = 0,
    /// The main thread of its CPU, which starts programs when its turn comes.
    Main = 1,
    /// The thread's program has ended.
    Ended = 2,
    /// The thread waits until it can send a message, or sends it when its turn comes.
    Sending = 3,
    /// The thread waits for a message, or receives it when its turn comes.
    Receiving = 4,
    /// The thread waits until a child has ended, or looks for one when its turn comes.
    Waiting = 5,
    /// The thread runs: it is the caller.
    Running = 6,
}
