//! The hardware's answers to the layer.
use super::locks::Locks;
use super::metal::{Metal, Saved};
use super::platform::{Place, platform};
use super::serial;
use super::user_contexts::UserContexts;
use crate::devices::console;
use crate::guest::{host, msrs};
use crate::storage::channels::Pool;
use crate::storage::links::Links;
use crate::storage::{NoLog, Of};
use domain::{Erased, Map, Storage};
use layer::core::constants::SERIAL_HW_BUF_SIZE;
use layer::core::fields::{Cell, Received};
use layer::core::machine::{Machine, Object};
use layer::core::state::Cpu;
use layer::objects::console::uart::SerialEvent;

impl Machine for Metal {
    type Ghost<T: 'static> = Erased;
    type Log = NoLog;
    type Lock<T: Object<Self>> = Locks<T>;
    type Links = Links;
    type Channels = Pool;
    type Registers = Saved;

    fn ghost<T: 'static>(_: impl FnOnce() -> T) -> Erased {
        Erased
    }
    fn ghosts<T: 'static, U: 'static>(_: &mut Erased, _: &Erased, _: impl FnOnce(&mut T, &U)) {}
    fn log(_: Place) -> NoLog {
        NoLog
    }
    // The stubs have already saved the registers into this memory.
    fn store_registers(_: &mut Of<UserContexts>, _: u32, _: Saved) {}
    fn real_vmxinfo(index: u32) -> u32 {
        host::capability(index)
    }
    fn vmcs_host(field: u32) -> u64 {
        host::field(field)
    }
    fn rdmsr(register: u32) -> u64 {
        msrs::read(register)
    }
    fn has_serial(cpu: u32) -> bool {
        console::has_serial(cpu)
    }
    fn serial_event(index: u32) -> SerialEvent<Metal> {
        serial::event(index)
    }
    fn serial_bytes(rx_buf: &mut <Metal as Storage<Received>>::Map, at: u32, _: u32, count: u32) {
        for (k, byte) in (0..count).zip(serial::bytes()) {
            let key = [(at + k) % SERIAL_HW_BUF_SIZE];
            Map::<Metal, Received>::set(rx_buf, key, Cell { value: byte.into() });
        }
    }
    // The console waits until the device has room, so the transmitter has always finished.
    fn serial_sent(_: u32) -> u32 {
        1
    }
    fn serial_send(character: u32) {
        console::lock().print(&[character as u8]);
    }
    fn unmapped(_: &Cpu<'_, Metal>, va: u32) {
        x86_64::instructions::tlb::flush(x86_64::VirtAddr::new(va.into()));
    }
    fn usable(frame: u32) -> bool {
        platform().memory.is_ram(frame)
    }
}
