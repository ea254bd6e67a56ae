//! What threads do, as the kernel tells programs.

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
    /// It waits until a child has ended, or looks for one when its turn comes.
    Waiting = 5,
    /// It runs: it is the one that asks.
    Running = 6,
}
