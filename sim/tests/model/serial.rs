//! The console and its UART, from sections 3.2 and 4.3 of the reference, except for P17 and P39.
use sim::machine::Sim;
use sim::machine::serial::{SerialEvent, SerialInput};

/// The UART of a CPU, its line, and the console.
#[derive(Clone, Debug)]
pub struct Uart {
    script: SerialInput,
    exists: bool,
    /// EFLAGS.IF.
    pub interrupts: bool,
    irq: bool,
    rx: Vec<u8>,
    tx: Vec<u8>,
    l1: u32,
    l2: u32,
    open: bool,
    console: Vec<u8>,
    rpos: usize,
}

/// The last bytes of `bytes`, at most `most`.
fn last(most: usize, bytes: &[u8]) -> Vec<u8> {
    bytes[bytes.len().saturating_sub(most)..].to_vec()
}

impl Uart {
    /// The state after `sched_init` on CPU `cpu`.
    pub fn boot(script: &SerialInput, cpu: u32) -> Self {
        let exists = script.owner == Some(cpu);
        Uart {
            script: script.clone(),
            exists,
            interrupts: true,
            irq: false,
            rx: Vec::new(),
            tx: Vec::new(),
            l1: 0,
            l2: 0,
            open: exists,
            console: Vec::new(),
            rpos: 0,
        }
    }

    /// `serial_env_step`.
    fn env_step(&self) -> Uart {
        let mut next = self.clone();
        if let SerialEvent::Recv(bytes) = self.script.at(self.l1) {
            next.rx = last(12, &[&self.rx[..], bytes].concat());
            next.irq = true;
        }
        if *self.script.at(self.l2) == SerialEvent::SendComplete {
            next.tx.clear();
        }
        (next.l1, next.l2) = (self.l1 + 1, self.l2 + 1);
        next
    }

    /// `cons_intr`.
    fn interrupt(&mut self) -> Option<()> {
        if !self.exists || !self.irq {
            return None;
        }
        let all = [&self.console[..], &self.rx].concat();
        if all.len() > 511 {
            self.rpos = (self.rpos + all.len() + 1) % 512;
        }
        self.console = last(511, &all);
        self.l1 += 2 * self.rx.len() as u32 + 1;
        self.rx.clear();
        self.irq = false;
        Some(())
    }

    /// `serial_intr_disable`.
    pub fn disable(&mut self) -> Option<()> {
        self.interrupts.then_some(())?;
        let masked = !self.open;
        for _ in 0..100 {
            let next = self.env_step();
            if !next.irq {
                break;
            }
            *self = next;
            if !masked {
                self.interrupt()?;
            }
        }
        self.open = false;
        Some(())
    }

    /// `serial_intr_enable`.
    pub fn enable(&mut self) -> Option<()> {
        self.interrupts.then_some(())?;
        for _ in 0..100 {
            if !self.irq {
                break;
            }
            self.interrupt()?;
        }
        self.open = true;
        Some(())
    }

    /// `serial_putc`.
    pub fn putc(&mut self, c: u32) -> Option<u32> {
        let c = c as u8;
        if !self.exists {
            return Some(u32::MAX);
        }
        if !self.rx.is_empty() {
            return None;
        }
        if self.tx.is_empty() {
            self.l2 += 1;
        } else {
            let done = (self.l2..self.l2 + 12_800).find(|&t| *self.script.at(t) == SerialEvent::SendComplete);
            let Some(t) = done else {
                self.l2 += 12_800;
                return Some(u32::MAX);
            };
            self.l2 = 1 + t;
        }
        self.tx = if c == b'\n' { vec![10, 13] } else { vec![c] };
        Some(c.into())
    }

    /// `cons_buf_read`.
    pub fn read(&mut self) -> u32 {
        if self.console.is_empty() {
            return u32::MAX;
        }
        self.rpos = (self.rpos + 1) % 512;
        self.console.remove(0).into()
    }

    /// The differences of the layer's state from the model.
    pub fn differences(&self, own: &layer::core::state::Own<Sim>) -> Vec<String> {
        use domain::Map;
        let com1 = &own.com1;
        let character = |k| own.cons_buf.get([(own.console.start + k) % 512]).value as u8;
        let received = |k| own.rx_buf.get([(com1.rx.start + k) % 12]).value as u8;
        let theirs = Uart {
            script: self.script.clone(),
            exists: own.serial_exists,
            interrupts: own.intr_flag,
            irq: com1.irq,
            rx: (0..com1.rx.len).map(received).collect(),
            tx: com1.tx[..com1.tx_len as usize].iter().map(|&c| c as u8).collect(),
            l1: com1.l1,
            l2: com1.l2,
            open: own.lines.get([4]).enabled,
            console: (0..own.console.len).map(character).collect(),
            rpos: own.console.start as usize,
        };
        let [mine, theirs] = [self, &theirs].map(|uart| {
            let Uart { exists, interrupts, irq, rx, tx, l1, l2, open, console, rpos, .. } = uart;
            format!("{exists} {interrupts} {irq} {rx:?} {tx:?} {l1} {l2} {open} {console:?} {rpos}")
        });
        if mine == theirs { Vec::new() } else { vec![format!("console: {theirs}, the model says {mine}")] }
    }
}
