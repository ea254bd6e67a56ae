//! The virtual machine of a CPU, with the encodings and indices of the reference's appendices A and B.
use super::Said;
use layer::core::call::Arguments;
use sim::machine::Sim;
use sim::machine::guest::Exit;
use std::collections::BTreeMap;

#[derive(Clone, Default, Debug)]
pub struct Vm {
    /// Whether the guest runs.
    pub inside: bool,
    vmcs: BTreeMap<u32, u64>,
    vmx: BTreeMap<u32, u64>,
    /// The frames and memory types of guest pages. `None` before `vmx_init`.
    pages: Option<BTreeMap<u32, u32>>,
}

/// The slots of EAX, EBX, EDX, ESI, EDI, EBP, and of R8 to R15.
const SAVED: [u32; 14] = [0, 2, 6, 8, 10, 12, 36, 37, 38, 39, 40, 41, 42, 43];

/// The fields of each segment, by its code: selector, limit, access rights and base.
const SEGMENTS: [[u32; 4]; 10] = [
    [0x0802, 0x4802, 0x4816, 0x6808],
    [0x0806, 0x4806, 0x481A, 0x680C],
    [0x0800, 0x4800, 0x4814, 0x6806],
    [0x0808, 0x4808, 0x481C, 0x680E],
    [0x080A, 0x480A, 0x481E, 0x6810],
    [0x0804, 0x4804, 0x4818, 0x680A],
    [0x080C, 0x480C, 0x4820, 0x6812],
    [0x080E, 0x480E, 0x4822, 0x6814],
    [0, 0x4810, 0, 0x6816],
    [0, 0x4812, 0, 0x6818],
];

impl Vm {
    /// The processor writes the exit reason.
    pub fn exit(&mut self, exit: Exit) {
        self.vmcs.extend([
            (0x4402, exit.reason.into()),
            (0x6400, exit.qualification),
            (0x2400, exit.address),
            (0x440C, exit.length.into()),
            (0x681E, exit.rip),
        ]);
    }

    /// `vmx_return_from_guest`.
    pub fn leave(&mut self, a: &Arguments<Sim>) -> Option<Said> {
        let exit = [(0x681E, 14), (0x4402, 27), (0x6400, 28)];
        let exit: Vec<_> =
            exit.into_iter().map(|(field, slot)| Some((slot, self.field(field)?))).collect::<Option<_>>()?;
        let host = [34, 33].map(|slot| self.slot(slot).unwrap_or(0));
        self.vmx.extend(SAVED.into_iter().zip(a.guest));
        self.vmx.extend(exit);
        self.vmx.insert(31, 1);
        self.inside = false;
        Some(Said::Registers(host.into()))
    }

    /// The mapped pages of the guest.
    pub fn mapped(&self) -> Vec<u32> {
        self.pages.iter().flatten().map(|(gpa, _)| gpa / 4096).collect()
    }

    /// The frame at a guest-physical address.
    pub fn frame(&self, address: u32) -> Option<u32> {
        self.pages.as_ref()?.get(&(address / 4096 * 4096)).map(|entry| entry >> 12)
    }

    fn field(&self, encoding: u32) -> Option<u64> {
        self.vmcs.get(&encoding).copied()
    }

    fn slot(&self, index: u32) -> Option<u64> {
        self.vmx.get(&index).copied()
    }

    fn register(&mut self, r: u32) -> Option<(&mut BTreeMap<u32, u64>, u32)> {
        Some(match r {
            0..7 => (&mut self.vmx, 2 * r),
            7 => (&mut self.vmcs, 0x681C),
            8 => (&mut self.vmx, 14),
            9 => (&mut self.vmcs, 0x6820),
            10 => (&mut self.vmcs, 0x6800),
            11 => (&mut self.vmx, 16),
            12 => (&mut self.vmcs, 0x6802),
            13 => (&mut self.vmcs, 0x6804),
            _ => return None,
        })
    }

    /// A call in kernel mode.
    pub fn call(&mut self, name: &str, a: &Arguments<Sim>) -> Option<Said> {
        let [x, y, z, w] = a.words;
        let low = |value: u64| value as u32;
        let word = |word: u32| Some(Said::Word(word));
        let qualification = || self.slot(28).map(low);
        match name {
            "vmx_set_intercept_intwin" => {
                let controls = self.field(0x4002).map(low)?;
                self.vmcs.insert(0x4002, if x == 1 { controls | 4 } else { controls & !4 }.into());
            }
            "vmx_set_desc1" => {
                let [selector, _, _, base] = *SEGMENTS.get(x as usize)?;
                self.vmcs.extend([(selector, u64::from(y)), (base, u64::from(z))]);
            }
            "vmx_set_desc2" => {
                let [_, limit, access, _] = *SEGMENTS.get(x as usize)?;
                self.vmcs.extend([(limit, u64::from(y)), (access, u64::from(z))]);
            }
            "vmx_inject_event" => {
                if self.field(0x4016).map(low)? >> 31 == 0 {
                    self.vmcs.insert(0x4016, (1 << 31 | x | y | if w == 1 { 0x800 } else { 0 }).into());
                    if w == 1 {
                        self.vmcs.insert(0x4018, z.into());
                    }
                }
            }
            "vmx_set_tsc_offset" => drop(self.vmcs.insert(0x2010, a.wide)),
            "vmx_get_tsc_offset" => return self.field(0x2010).map(Said::Wide),
            "vmx_get_exit_reason" => return word(self.field(0x4402).map(low)? & 0xFFFF),
            "vmx_get_exit_fault_addr" => return word(self.field(0x2400).map(low)?),
            "vmx_get_exit_qualification" => return word(qualification()?),
            "vmx_check_pending_event" => return word(self.field(0x4016).map(low)? >> 31),
            "vmx_check_int_shadow" => return word(u32::from(self.field(0x4824).map(low)? & 3 != 0)),
            "vmx_get_reg" => {
                let (map, key) = self.register(x)?;
                return word(map.get(&key).copied().map(low)?);
            }
            "vmx_set_reg" => {
                let (map, key) = self.register(x)?;
                map.insert(key, y.into());
            }
            "vmx_get_next_eip" => {
                let next = self.slot(14)?.checked_add(self.field(0x440C)?)?;
                return word(u32::try_from(next).ok()?);
            }
            "vmx_get_io_width" => return word((qualification()? & 7).min(2)),
            "vmx_get_io_write" => return word(qualification()? >> 3 & 1 ^ 1),
            "vmx_get_exit_io_rep" => return word(qualification()? >> 5 & 1),
            "vmx_get_exit_io_str" => return word(qualification()? >> 4 & 1),
            "vmx_get_exit_io_port" => return word(qualification()? >> 16),
            "vmx_set_mmap" => {
                if x % 4096 != 0 || y % 4096 != 0 || z > 7 {
                    return None;
                }
                self.pages.as_mut()?.insert(x, y | 0x47 | z << 3);
                return word(0);
            }
            "vmx_run_vm" => {
                let rip = self.slot(14)?;
                let registers = SAVED.map(|slot| self.slot(slot).unwrap_or(0));
                self.vmcs.insert(0x681E, rip);
                self.vmx.extend([(33, a.guest[5]), (34, a.guest[4])]);
                self.inside = true;
                return Some(Said::Registers([registers.as_slice(), &[rip]].concat()));
            }
            "vmx_init" => {
                self.pages = Some(BTreeMap::new());
                let zeros = [0x4002, 0x4016, 0x2010, 0x4402, 0x2400, 0x4824, 0x681C, 0x6820, 0x6802, 0x440C];
                self.vmcs.extend(zeros.map(|field| (field, 0)));
                self.vmcs.extend([(0x681E, 0), (0x6400, 0), (0x6800, 0x6000_0030), (0x6804, 0x2000)]);
                self.vmx.extend([0, 2, 4, 6, 8, 10, 12, 16, 17, 18, 19, 20, 28].map(|slot| (slot, 0)));
                self.vmx.extend([(14, 0xFFF0), (26, 1), (21, 0xFFFF_0FF0)]);
            }
            _ => return None,
        }
        Some(Said::Done)
    }

    /// The differences of the layer's state from the model.
    pub fn differences(&self, own: &layer::core::state::Own<Sim>) -> Vec<String> {
        use domain::Map;
        let mut differences = Vec::new();
        for (&encoding, &value) in self.vmcs.iter().filter(|(encoding, _)| **encoding != 0) {
            let row = layer::objects::vmx::vmcs::FIELDS.iter().find(|row| row.encoding == encoding);
            let kept = row.map(|row| own.vmcs.get([row.field as u32]).value);
            if kept != Some(value) {
                differences.push(format!("vmcs {encoding:x}: {kept:x?}, the model says {value:x}"));
            }
        }
        for (&slot, &value) in &self.vmx {
            let kept = own.vmx.get([slot]).value;
            if kept != value {
                differences.push(format!("vmx {slot}: {kept:x}, the model says {value:x}"));
            }
        }
        for (&gpa, &entry) in self.pages.iter().flatten() {
            let kept = own.ept.get([gpa >> 21, gpa >> 12 & 511]).value;
            if kept != entry {
                differences.push(format!("ept {gpa:x}: {kept:x}, the model says {entry:x}"));
            }
        }
        differences
    }
}
