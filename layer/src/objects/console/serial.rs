//! The UART: primitives 52 to 54.
//!
//! The machine determines the UART's inputs: a log of events that is fixed but unknown. The UART reads the log at two
//! indices of its own: `l1` for what it receives, and `l2` for the progress of what it sends. Both count modulo 2^32.
//! The other fields of the reference's model (port, baud rate, format) never change and belong to the machine.
use crate::core::call::{Answer, Call};
use crate::core::constants::*;
use crate::core::machine::Machine;
use crate::core::state::Cpu;
use crate::core::stuck::{Stuck, require};
use crate::objects::console::append_received;
use crate::objects::console::uart::event;
use core::ops::ControlFlow;
use domain::{Flag, Ghost, Map, Word};

/// Checks that interrupts are on and no handler executes.
#[inline(always)]
#[track_caller]
fn require_interruptible<M: Machine>(cpu: &Cpu<'_, M>) -> Result<(), Stuck> {
    cpu.require_hk()?;
    cpu.require_init()?;
    require(cpu.own.intr_flag.holds(), Stuck::NotInterruptible)?;
    require(cpu.own.ghost.check(|g| !g.in_intr.holds()), Stuck::NotInterruptible)
}

/// Whether the I/O APIC has a line for COM1.
#[inline(always)]
#[track_caller]
fn has_line<M: Machine>(cpu: &Cpu<'_, M>) -> bool {
    cpu.own.ioapic.irqs > COM1_LINE && cpu.own.ioapic.enables > COM1_LINE
}

/// Enables or masks the line of COM1.
#[inline(always)]
#[track_caller]
fn open_line<M: Machine>(cpu: &mut Cpu<'_, M>, open: bool) {
    cpu.own.lines.update([COM1_LINE.into()], |line| line.enabled = open.into());
}

/// The name of the loop of [`serial_intr_disable`].
pub(crate) const DRAIN: &str = "serial_intr_disable";

/// 52 `serial_intr_disable()`: handles the characters that have been received, and masks the line of COM1, so that no
/// handler runs until [`serial_intr_enable`].
///
/// It consumes events as long as the UART requests interrupts, at most 100. If it finds no request, it consumes
/// no event. If the line is masked already, received characters stay in the UART.
///
/// # Errors
/// [`Stuck::NotKernelMode`], [`Stuck::NotInit`], [`Stuck::NotInterruptible`]; the errors of the handler,
/// [`cons_intr`].
pub fn serial_intr_disable<M: Machine>(cpu: &mut Cpu<'_, M>) -> Result<(), Stuck> {
    M::call(
        cpu,
        || Call::new("serial_intr_disable", []),
        |_| (),
        |cpu| {
            require_interruptible(cpu)?;
            let there = has_line(cpu);
            let masked = !(there && cpu.own.lines.get([COM1_LINE.into()]).enabled.holds());
            cpu.own.ghost.update(|g| g.in_intr = true.into());
            M::bounded_loop(cpu, DRAIN, INTR_DISABLE_REC_MAX, |cpu| {
                let com1 = &cpu.own.com1;
                let asks =
                    // Equivalent mutants (flag: true): the UART requests interrupts from boot on (D20.1); H alone does
                    // not ensure this.
                    com1.irq.holds() || (M::serial_event(com1.l1).kind == event::RECV && com1.rx_int_enable.holds());
                if !asks {
                    return Ok(ControlFlow::Break(()));
                }
                serial_env_step(cpu);
                if !masked {
                    cons_intr(cpu)?;
                }
                Ok(ControlFlow::Continue(()))
            })?;
            cpu.own.ghost.update(|g| g.in_intr = false.into());
            if there {
                open_line(cpu, false);
            }
            Ok(())
        },
    )
}

/// 53 `serial_intr_enable()`: handles the characters that have been received meanwhile, and enables the line of COM1 in
/// any case (P17).
///
/// The reference repeats the handler as long as the UART requests interrupts. The handler leaves no request, so one
/// call has the same effect.
///
/// # Errors
/// [`Stuck::NotKernelMode`], [`Stuck::NotInit`], [`Stuck::NotInterruptible`], [`Stuck::BadIoApic`] if the line does not
/// exist; the errors of the handler, [`cons_intr`].
pub fn serial_intr_enable<M: Machine>(cpu: &mut Cpu<'_, M>) -> Result<(), Stuck> {
    M::call(
        cpu,
        || Call::new("serial_intr_enable", []),
        |_| (),
        |cpu| {
            require_interruptible(cpu)?;
            require(has_line(cpu), Stuck::BadIoApic)?;
            cpu.own.ghost.update(|g| g.in_intr = true.into());
            if cpu.own.com1.irq.holds() {
                cons_intr(cpu)?;
            }
            cpu.own.ghost.update(|g| g.in_intr = false.into());
            open_line(cpu, true);
            Ok(())
        },
    )
}

/// The UART takes one event at each of its indices (`serial_env_step`).
#[inline]
pub fn serial_env_step<M: Machine>(cpu: &mut Cpu<'_, M>) {
    let own = &mut cpu.own;
    let com1 = &mut own.com1;
    let (received, sent) = (M::serial_event(com1.l1), M::serial_event(com1.l2));
    // Equivalent mutants (`==`: negated, true, false): the UART is on from boot (D20.1); H alone does not ensure
    // this.
    if received.kind == event::PLUGIN {
        com1.on = true.into();
    }
    if received.kind == event::RECV {
        let at = com1.rx.key(com1.rx.len, SERIAL_HW_BUF_SIZE);
        M::serial_bytes(&mut own.rx_buf, at, com1.l1, received.count);
        com1.rx = com1.rx.grown(received.count, SERIAL_HW_BUF_SIZE, SERIAL_HW_BUF_SIZE);
        // Equivalent mutants (flag: true): the UART requests interrupts from boot on (D20.1); H alone does not ensure
        // this.
        if com1.rx_int_enable.holds() {
            com1.irq = true.into();
        }
    }
    if sent.kind == event::SEND_COMPLETE {
        com1.tx_len = 0.into();
    }
    com1.l1 = com1.l1.wrapping_add(1.into());
    com1.l2 = com1.l2.wrapping_add(1.into());
}

/// The interrupt handler of the UART (`cons_intr`): moves the received characters to the console.
///
/// P39: the handler takes all characters that the UART holds, independent of the last event and of
/// the transmitter.
///
/// # Errors
/// [`Stuck::NotKernelMode`], [`Stuck::NotInit`], [`Stuck::NoInterrupt`].
#[inline]
pub fn cons_intr<M: Machine>(cpu: &mut Cpu<'_, M>) -> Result<(), Stuck> {
    cpu.require_hk()?;
    cpu.require_init()?;
    // Equivalent mutants (flag: true): every caller of the handler has set it.
    // Never false: the caller of the handler has set it.
    require(cpu.own.ghost.check(|g| g.in_intr.holds()), Stuck::NoInterrupt)?;
    let own = &mut cpu.own;
    let is_set_up = own.serial_exists.holds() && own.com1.on.holds() && own.com1.rx_int_enable.holds();
    require(is_set_up && own.com1.irq.holds() && !own.com1.dlab.holds(), Stuck::NoInterrupt)?;
    append_received(own);
    own.com1.l1 = own.com1.l1.wrapping_add(own.com1.rx.len * 2 + 1);
    own.com1.rx.len = 0.into();
    own.com1.irq = false.into();
    Ok(())
}

/// 54 `serial_putc(c) -> c`: sends the low 8 bits of `c` once the transmitter has finished; after a line feed, it
/// also sends a carriage return. Returns these bits, or −1 if there is no UART.
///
/// P39: if the transmitter needs more than 12,800 events, it returns −1 as well, after consuming these events.
///
/// # Errors
/// [`Stuck::NotKernelMode`], [`Stuck::NotInit`], [`Stuck::SerialBusy`] if received characters have not been taken: call
/// [`serial_intr_disable`] before.
pub fn serial_putc<M: Machine>(cpu: &mut Cpu<'_, M>, c: M::Word) -> Result<M::Word, Stuck> {
    M::call(
        cpu,
        || Call::new("serial_putc", [c]),
        Answer::word,
        |cpu| {
            cpu.require_hk()?;
            cpu.require_init()?;
            let c = c % 256;
            if !cpu.own.serial_exists.holds() {
                return Ok(NO_CHARACTER.into());
            }
            let com1 = &mut cpu.own.com1;
            require(com1.on.holds() && com1.rx.len == 0 && !com1.dlab.holds(), Stuck::SerialBusy)?;
            let events = if com1.tx_len == 0 { 1.into() } else { M::serial_sent(com1.l2) };
            if events == 0 {
                com1.l2 = com1.l2.wrapping_add(NEXT_SEND_MAX_REC.into());
                return Ok(NO_CHARACTER.into());
            }
            com1.l2 = com1.l2.wrapping_add(events);
            let line_feed = c == u32::from(b'\n');
            com1.tx = [c, u32::from(b'\r').into()];
            com1.tx_len = if line_feed { 2 } else { 1 }.into();
            M::serial_send(c);
            Ok(c)
        },
    )
}
