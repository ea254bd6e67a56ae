//! Says hello.
#![no_std]
#![no_main]

use user::{println, program};

program!(main);

fn main() {
    println!("hello");
}
