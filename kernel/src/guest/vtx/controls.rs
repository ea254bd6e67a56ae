//! The controls of a VMCS: what guests need, and what the processor allows (Intel SDM volume 3, sections 25.6 to 25.8 and
//! appendix A).

use crate::guest::virtualisation::Missing;

/// A control that guests need: the index of its word, its bit, and its name.
type Control = (usize, u32, &'static str);

const PIN: usize = 0;
const PRIMARY: usize = 1;
const SECONDARY: usize = 2;
const EXIT: usize = 3;
const ENTRY: usize = 4;

/// The controls that guests need. With them, everything that could reach the host exits, or there is no such instruction
/// in a guest.
const NEEDED: [Control; 24] = [
    (PIN, 0, "external-interrupt exiting"),
    (PIN, 3, "NMI exiting"),
    (PRIMARY, 3, "TSC offsetting"),
    (PRIMARY, 7, "HLT exiting"),
    (PRIMARY, 10, "MWAIT exiting"),
    (PRIMARY, 11, "RDPMC exiting"),
    (PRIMARY, 24, "unconditional I/O exiting"),
    (PRIMARY, 28, "MSR bitmaps"),
    (PRIMARY, 29, "MONITOR exiting"),
    (PRIMARY, 31, "secondary controls"),
    (SECONDARY, 1, "EPT"),
    (SECONDARY, 5, "VPID"),
    (SECONDARY, 6, "WBINVD exiting"),
    (SECONDARY, 7, "unrestricted guest"),
    (EXIT, 2, "save debug controls"),
    (EXIT, 9, "host address-space size"),
    (EXIT, 20, "save EFER"),
    (EXIT, 21, "load EFER"),
    (ENTRY, 2, "load debug controls"),
    (ENTRY, 15, "load EFER"),
    // Interrupt-window exiting must be possible. It is off until the layer turns it on.
    (PRIMARY, WINDOW, "interrupt-window exiting"),
    // These must not be forced: the guest's own page tables are its own.
    (PRIMARY, CR3_LOAD, "no CR3-load exiting"),
    (PRIMARY, CR3_STORE, "no CR3-store exiting"),
    (PRIMARY, INVLPG, "no INVLPG exiting"),
];

/// The bit of interrupt-window exiting.
pub const WINDOW: u32 = 2;
const INVLPG: u32 = 9;
const CR3_LOAD: u32 = 15;
const CR3_STORE: u32 = 16;

/// What a row of [`NEEDED`] asks of its control.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    On,
    Possible,
    Off,
}

const fn wish((word, bit, _): Control) -> Wish {
    match (word, bit) {
        (PRIMARY, WINDOW) => Wish::Possible,
        (PRIMARY, CR3_LOAD | CR3_STORE | INVLPG) => Wish::Off,
        _ => Wish::On,
    }
}

/// The bit of the preemption timer in the pin-based controls. Guests can do without it.
pub const PREEMPTION_TIMER: u32 = 6;

/// The words of controls that `vmx_init` writes, before the processor adds the bits that it forces and leaves out those
/// that it does not have: pin-based, primary, secondary, exit, entry.
pub const WANTED: [u32; 5] = {
    let mut words = [1 << PREEMPTION_TIMER, 0, 0, 0, 0];
    let mut row = 0;
    while row < NEEDED.len() {
        if matches!(wish(NEEDED[row]), Wish::On) {
            words[NEEDED[row].0] |= 1 << NEEDED[row].1;
        }
        row += 1;
    }
    words
};

/// The values that a word of controls can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Allowed {
    /// Bits that must be 1.
    must: u32,
    /// Bits that can be 1.
    may: u32,
}

impl Allowed {
    /// What a capability register allows.
    pub const fn of(register: u64) -> Allowed {
        Allowed { must: register as u32, may: (register >> 32) as u32 }
    }

    /// `value` with the bits that must be 1, and without those that must be 0.
    pub const fn adjust(self, value: u32) -> u32 {
        (value | self.must) & self.may
    }
}

/// Checks that a processor that allows these words, in the order of [`WANTED`], has every control that guests need.
pub fn check(allowed: &[Allowed; 5]) -> Result<(), Missing> {
    let missing = NEEDED.iter().find(|&&row| {
        let (word, bit, _) = row;
        let Allowed { must, may } = allowed[word];
        match wish(row) {
            Wish::On | Wish::Possible => may >> bit & 1 == 0,
            Wish::Off => must >> bit & 1 == 1,
        }
    });
    missing.map_or(Ok(()), |row| Err(Missing::Control(row.2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_have_the_bits_of_the_manual() {
        assert_eq!(WANTED, [0x49, 0xB100_0C88, 0xE2, 0x30_0204, 0x8004]);
    }

    #[test]
    fn a_missing_control_is_named() {
        let all = [Allowed::of(!0 << 32); 5];
        assert_eq!(check(&all), Ok(()));
        for row in NEEDED {
            let (word, bit, name) = row;
            let mut without = all;
            match wish(row) {
                Wish::On | Wish::Possible => without[word].may &= !(1 << bit),
                Wish::Off => without[word].must |= 1 << bit,
            }
            assert_eq!(check(&without), Err(Missing::Control(name)));
        }
    }

    #[test]
    fn a_word_is_adjusted_to_what_the_processor_allows() {
        let allowed = Allowed::of(0x16 | 0xFF << 32);
        assert_eq!([0, 9, 0x100].map(|word| allowed.adjust(word)), [0x16, 0x1F, 0x16]);
    }
}
