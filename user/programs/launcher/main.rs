//! Starts programs on behalf of the shell: see [`user::launcher`].
#![no_std]
#![no_main]

use abi::Error;
use user::channel::Channel;
use user::launcher::{QUOTA, answers, requests};
use user::{program, quota, sys};

program!(main);

fn main() -> Result<(), Error> {
    let me = quota::quota_at_start()? - QUOTA;
    let (mut requests, mut answers) = (Channel::open(requests(me))?, Channel::open(answers(me))?);
    while let &[image, quota] = requests.receive()? {
        let (error, thread) = match sys::spawn(image, quota) {
            Ok(thread) => (Error::Succ, thread),
            Err(error) => (error, 0),
        };
        answers.send(&[error as u32, thread])?;
    }
    Ok(())
}
