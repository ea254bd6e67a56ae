//! The serial line against one that others wrote: QEMU's, as `uart-of-qemu.txt` has recorded it.
use vmm::uart::Uart;

/// The cause of a timed-out FIFO, which QEMU also reports for one that has reached its level.
const TIMEOUT: u8 = 0x08;

#[test]
fn the_recorded_accesses_give_the_same_values() {
    let text = include_str!("uart-of-qemu.txt");
    let accesses = text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| line.split(' '));
    let mut uart = Uart::default();
    let mut reads = 0;
    for (number, access) in accesses.enumerate() {
        let (register, value) = access.split_once(['<', '>']).expect("an access has a sign");
        let (register, value) = (register.parse().unwrap(), u8::from_str_radix(value, 16).unwrap());
        if access.contains('<') {
            // What goes out does not come back.
            let _ = uart.write(register, value);
            continue;
        }
        let ignored = if register == 2 { TIMEOUT } else { 0 };
        assert_eq!(uart.read(register) & !ignored, value & !ignored, "access {number}: {access}");
        reads += 1;
    }
    assert!(reads > 300, "{reads}");
}
