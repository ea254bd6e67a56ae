//! Delays, by channel 2 of the programmable interval timer: the one clock whose frequency every PC shares.

use x86_64::instructions::port::Port;

/// Ticks a second.
const FREQUENCY: u32 = 1_193_182;
const CHANNEL_2: u16 = 0x42;
const COMMAND: u16 = 0x43;
/// Channel 2, low byte then high byte, mode 0 (output rises when the count ends), binary.
const ONE_SHOT: u8 = 0b1011_0000;
/// Port B of the system controller: bit 0 gates channel 2, bit 1 the speaker, bit 5 is the output.
const CONTROL: u16 = 0x61;
const GATE: u8 = 1;
const SPEAKER: u8 = 2;
const OUTPUT: u8 = 1 << 5;

/// Waits at least `microseconds` (at most 50 000, which is what the counter can hold), or less as soon as
/// `done` says so.
///
/// # Safety
/// One CPU at a time; nothing else uses channel 2.
pub unsafe fn wait(microseconds: u32, mut done: impl FnMut() -> bool) {
    let ticks = (u64::from(microseconds.min(50_000)) * u64::from(FREQUENCY) / 1_000_000 + 1) as u16;
    let mut control = Port::<u8>::new(CONTROL);
    let mut channel = Port::<u8>::new(CHANNEL_2);
    // SAFETY: these are the timer's ports on every PC; channel 2 drives nothing but the speaker, which
    // stays off.
    unsafe {
        let before = control.read() & !(GATE | SPEAKER);
        control.write(before);
        Port::<u8>::new(COMMAND).write(ONE_SHOT);
        let [low, high] = ticks.to_le_bytes();
        channel.write(low);
        channel.write(high);
        control.write(before | GATE);
        while control.read() & OUTPUT == 0 && !done() {}
        control.write(before);
    }
}
