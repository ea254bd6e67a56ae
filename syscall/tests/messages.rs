//! Messages and the console's input on the hosted machine.
mod common;

use abi::{CHANNELS, Call, Error};
use common::*;
use domain::Map;
use layer::core::call::{Access, Chunk};
use layer::core::constants::*;
use layer::core::state::Cpu;
use layer::objects::memory::{exec_load, exec_store};
use sim::machine::Sim;
use sim::machine::serial::SerialInput;
use syscall::continuation::Continuation;
use syscall::entry;

const SEND: u32 = Call::Send as u32;
const RECEIVE: u32 = Call::Recv as u32;
const YIELD: u32 = Call::Yield as u32;
const QUOTA: u32 = Call::GetQuota as u32;
/// A page of data.
const DATA: u32 = ADR_LOW + PAGE_SIZE;
/// A page that the programs have not touched.
const FRESH: u32 = ADR_LOW + 10 * PAGE_SIZE;
/// The second program of CPU 0.
const SECOND: u32 = FIRST + 1;

/// The running program stores a word.
fn store(cpu: &mut Cpu<'_, Sim>, address: u32, word: u32) {
    let bytes = u64::from(word).to_le_bytes().map(u32::from);
    assert!(matches!(exec_store(cpu, Chunk::Four, address.into(), bytes, 0), Ok(Access::Done(()))));
}

/// The running program loads a word.
fn load(cpu: &mut Cpu<'_, Sim>, address: u32) -> u32 {
    match exec_load(cpu, Chunk::Four, address.into(), 0) {
        Ok(Access::Done(bytes)) => (0..4).map(|k| bytes[k] << (8 * k)).sum(),
        other => panic!("{other:?}"),
    }
}

/// The running program makes a call, after which another program runs.
fn wait<const N: usize>(cpu: &mut Cpu<'_, Sim>, number: u32, arguments: [u32; N]) {
    let thread = cpu.own.cur;
    let next = begin(cpu, number, arguments);
    assert!(drive(cpu, next));
    assert_ne!(cpu.own.cur, thread);
}

/// Lets programs yield until `thread` runs.
fn turn(cpu: &mut Cpu<'_, Sim>, thread: u32) {
    while cpu.own.cur != thread {
        let next = begin(cpu, YIELD, []);
        assert!(drive(cpu, next));
    }
}

#[test]
fn a_message_comes_as_it_was_sent() {
    let fixture = Fixture::new(&[FRAMES + 3, FRAMES + 3]);
    let mut cpu = fixture.boot();
    (0..9).for_each(|k| store(&mut cpu, DATA + 4 * k, 100 + k));
    assert_eq!(call(&mut cpu, SEND, [5, DATA, 7]), (0, 7));
    turn(&mut cpu, SECOND);
    // There is no message on another channel. A page that was never touched can be the buffer.
    assert_eq!(call(&mut cpu, RECEIVE, [6, FRESH, 1024, 0]), refused(Error::Ipc, 6));
    assert_eq!(call(&mut cpu, RECEIVE, [5, FRESH, 1024, 0]), (0, 7));
    assert_eq!(
        (0..9).map(|k| load(&mut cpu, FRESH + 4 * k)).collect::<Vec<_>>(),
        [100, 101, 102, 103, 104, 105, 106, 0, 0]
    );
    assert_eq!(call(&mut cpu, RECEIVE, [5, FRESH, 1024, 0]), refused(Error::Ipc, 5), "it is gone");
}

#[test]
fn a_receiver_waits_for_a_sender() {
    let fixture = Fixture::new(&[FRAMES + 3, FRAMES + 3]);
    let mut cpu = fixture.boot();
    wait(&mut cpu, RECEIVE, [5, DATA, 1024, 1]);
    assert_eq!(cpu.own.kctxt.get([FIRST]).ra, Continuation::Receive as u32);
    assert_eq!(cpu.own.cur, SECOND);
    // The receiver waits through any number of turns of others.
    for _ in 0..3 {
        assert_eq!(call(&mut cpu, YIELD, []), (0, 0));
    }
    store(&mut cpu, DATA, 77);
    assert_eq!(call(&mut cpu, SEND, [5, DATA, 1]), (0, 1));
    turn(&mut cpu, FIRST);
    assert_eq!(answer(&cpu, FIRST), (0, 1));
    assert_eq!(load(&mut cpu, DATA), 77);
}

#[test]
fn a_sender_waits_for_room_and_takes_what_it_has_then() {
    let fixture = Fixture::new(&[FRAMES + 3, FRAMES + 3]);
    let mut cpu = fixture.boot();
    store(&mut cpu, DATA, 1);
    assert_eq!(call(&mut cpu, SEND, [0, DATA, 2000]), (0, 1024), "of a longer message the beginning");
    wait(&mut cpu, SEND, [0, DATA, 3]);
    assert_eq!(cpu.own.kctxt.get([FIRST]).ra, Continuation::Send as u32);
    assert_eq!(call(&mut cpu, RECEIVE, [0, DATA, 2, 0]), (0, 2), "of a longer message the beginning");
    turn(&mut cpu, FIRST);
    assert_eq!(answer(&cpu, FIRST), (0, 3));
    turn(&mut cpu, SECOND);
    assert_eq!(call(&mut cpu, RECEIVE, [0, DATA, 1024, 1]), (0, 3));
}

#[test]
fn a_message_without_words_is_a_message() {
    let fixture = Fixture::new(&[FRAMES + 3, FRAMES + 3]);
    let mut cpu = fixture.boot();
    for _ in 0..3 {
        assert_eq!(call(&mut cpu, SEND, [9, DATA, 0]), (0, 0));
        assert_eq!(call(&mut cpu, RECEIVE, [9, DATA, 1024, 1]), (0, 0));
        assert_eq!(call(&mut cpu, RECEIVE, [9, DATA, 1024, 0]), refused(Error::Ipc, 9));
    }
    // A message that is received with no room for words does not stay in the channel either.
    assert_eq!(call(&mut cpu, SEND, [9, DATA, 4]), (0, 4));
    assert_eq!(call(&mut cpu, RECEIVE, [9, DATA, 0, 1]), (0, 0));
    assert_eq!(call(&mut cpu, SEND, [9, DATA, 4]), (0, 4));
}

/// Senders and receivers wait in one queue. A thread that can proceed is woken, wherever in the queue it is.
#[test]
fn whoever_can_go_on_is_woken() {
    let fixture = Fixture::new(&[FRAMES + 3; 6]);
    let mut cpu = fixture.boot();
    // Five receivers, then a sender that sends five times.
    for _ in 0..5 {
        wait(&mut cpu, RECEIVE, [3, DATA, 1024, 1]);
    }
    let sender = cpu.own.cur;
    for sent in 0..5 {
        store(&mut cpu, DATA, 10 + sent);
        let next = begin(&mut cpu, SEND, [3, DATA, 1]);
        assert!(drive(&mut cpu, next));
        turn(&mut cpu, sender);
        assert_eq!(answer(&cpu, sender), (0, 1));
    }
    let mut received = Vec::new();
    for thread in FIRST..sender {
        turn(&mut cpu, thread);
        received.push(load(&mut cpu, DATA));
    }
    received.sort_unstable();
    assert_eq!(received, [10, 11, 12, 13, 14]);
}

#[test]
fn arguments_are_checked_before_anything_is_done() {
    let fixture = Fixture::new(&[FRAMES]);
    let mut cpu = fixture.boot();
    for number in [SEND, RECEIVE] {
        for channel in [CHANNELS, CHANNELS + 1, u32::MAX] {
            assert_eq!(call(&mut cpu, number, [channel, DATA, 1, 0]), refused(Error::InvalChid, channel));
        }
        for address in [0, ADR_LOW - PAGE_SIZE, DATA + 1, DATA + 4, ADR_HIGH, u32::MAX] {
            assert_eq!(call(&mut cpu, number, [1, address, 1, 0]), refused(Error::InvalAddr, 1));
        }
        assert_eq!(call(&mut cpu, number, [1, FRESH, 1, 0]), refused(Error::Mem, 1), "there is no quota for it");
    }
    assert_eq!(call(&mut cpu, RECEIVE, [1, ADR_LOW, 1, 1]), refused(Error::InvalAddr, 1), "text is read-only");
    assert_eq!(call(&mut cpu, SEND, [1, ADR_LOW, 1]), (0, 1), "but can be sent");
    assert_eq!(call(&mut cpu, QUOTA, []), (0, 0));
}

#[test]
fn the_main_thread_never_waits() {
    let fixture = Fixture::new(&[]);
    let mut cpu = sim::machine::boot::processor(&fixture.shared, 0);
    let _ = entry::boot(&mut cpu, 0).unwrap();
    for continuation in [Continuation::Send, Continuation::Receive] {
        let next = entry::go_on(&mut cpu, continuation).unwrap();
        assert!(drive(&mut cpu, next));
        assert_eq!(answer(&cpu, 1).0, Error::Ipc as u32);
        let next = begin(&mut cpu, YIELD, []);
        assert!(!drive(&mut cpu, next) || cpu.own.cur == 1);
        let _ = layer::objects::process::proc_exit_user(&mut cpu, [0; UCTXT_SIZE as usize]);
    }
}

#[test]
fn the_console_is_read_on_the_cpu_that_has_it() {
    let fixture = Fixture::with_serial(&[FRAMES], SerialInput::of_input(b"hello, world"));
    let mut cpu = fixture.boot();
    for byte in *b"hello, world" {
        assert_eq!(call(&mut cpu, Call::Getc as u32, [0]), (0, byte.into()));
        // Output between two reads does not change the input.
        assert_eq!(call(&mut cpu, Call::Putc as u32, [byte.into()]), (0, byte.into()));
    }
    assert_eq!(call(&mut cpu, Call::Getc as u32, [3]), refused(Error::NoChar, 3));
    assert_eq!(fixture.console(), *b"hello, world");

    // A UART that receives nothing and can send only one character.
    let fixture = Fixture::with_serial(&[FRAMES], SerialInput::default());
    let mut cpu = fixture.boot();
    assert_eq!(call(&mut cpu, Call::Getc as u32, [3]), refused(Error::NoChar, 3));
    assert_eq!(call(&mut cpu, Call::Putc as u32, [97]), (0, 97));
    assert_eq!(call(&mut cpu, Call::Putc as u32, [98]), refused(Error::SendFail, 98));
    assert_eq!(fixture.console(), *b"a");

    let fixture = Fixture::with_serial(&[FRAMES], SerialInput { owner: None, ..SerialInput::default() });
    let mut cpu = fixture.boot();
    assert_eq!(call(&mut cpu, Call::Getc as u32, [7]), refused(Error::NoDevice, 7));
    assert_eq!(call(&mut cpu, Call::Putc as u32, [7]), refused(Error::NoDevice, 7));
}
