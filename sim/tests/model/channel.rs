//! Channels, sleep and wake-up, by sections 4.1.3, 4.1.4 and 8 of the reference.
use super::{Model, Said};
use layer::core::constants::{NUM_CHAN, NUM_CV, PAGE_SIZE};
use std::collections::{BTreeMap, VecDeque};

/// The state that all CPUs share, except for pages.
#[derive(Clone, Default, Debug)]
pub struct Shared {
    pub channels: BTreeMap<u32, Channel>,
    pub sleepers: BTreeMap<u32, VecDeque<u32>>,
    /// Woken threads, by their CPU.
    pub pending: BTreeMap<u32, VecDeque<u32>>,
}

/// A channel, by its queue id.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Channel {
    /// The holder of its lock, and the remaining events of the critical section.
    pub held: Option<(u32, u32)>,
    pub count: u32,
    pub busy: u32,
    /// The last message. `None` for an unknown byte.
    pub message: Vec<Option<u32>>,
}

/// The CPU of a thread is that of the main thread from which it descends.
fn home(mut thread: u32) -> u32 {
    while thread > 8 {
        thread = (thread - 1) / 8;
    }
    thread - 1
}

impl Model {
    /// Primitives 6, 8 and 19 to 24. The result is `Some(None)` if the call gets stuck.
    pub fn channel(&mut self, cpu: usize, name: &str, words: [u32; 4]) -> Option<Option<Said>> {
        if !self.cpus[cpu].kernel() {
            return Some(None);
        }
        let [x, y, z, _] = words;
        let me = cpu as u32;
        Some(match name {
            "thread_wakeup" => (x < NUM_CV).then(|| self.wake(cpu, x)).map(Said::Word),
            "thread_sleep" => self.sleep(cpu, x),
            "acquire_lock_CHAN" => {
                (x < NUM_CHAN && self.shared.channels.entry(x).or_default().held.is_none()).then(|| {
                    self.shared.channels.entry(x).or_default().held = Some((me, 9));
                    Said::Done
                })
            }
            "release_lock_CHAN" => self.held(me, x).filter(|channel| channel.held != Some((me, 0))).map(|channel| {
                channel.held = None;
                Said::Done
            }),
            "get_sync_chan_busy" => self.held(me, x).map(|channel| Said::Word(channel.busy)),
            "set_sync_chan_busy" => self.held(me, x).map(|channel| {
                channel.busy = y;
                Said::Done
            }),
            "ipc_send_body" => self.send(cpu, x, y, z).map(Said::Word),
            "ipc_receive_body" => self.receive(cpu, x, y, z).map(Said::Word),
            _ => return None,
        })
    }

    /// A channel whose lock the CPU holds.
    pub fn held_by(&self, cpu: u32) -> Option<u32> {
        let mine = |channel: &Channel| channel.held.is_some_and(|(holder, _)| holder == cpu);
        self.shared.channels.iter().find(|(_, channel)| mine(channel)).map(|(&q, _)| q)
    }

    fn held(&mut self, me: u32, q: u32) -> Option<&mut Channel> {
        self.shared.channels.get_mut(&q).filter(|channel| channel.held.is_some_and(|(holder, _)| holder == me))
    }

    fn wake(&mut self, cpu: usize, cv: u32) -> u32 {
        let Some(woken) = self.shared.sleepers.get_mut(&cv).and_then(VecDeque::pop_front) else { return 0 };
        if home(woken) == cpu as u32 {
            self.cpus[cpu].ready.push_back(woken);
        } else {
            self.shared.pending.entry(home(woken)).or_default().push_back(woken);
        }
        1
    }

    fn sleep(&mut self, cpu: usize, cv: u32) -> Option<Said> {
        let channel =
            self.held(cpu as u32, cv.checked_add(16)?).filter(|channel| channel.held >= Some((cpu as u32, 2)))?;
        channel.held = None;
        let one = &mut self.cpus[cpu];
        // P34: the main thread never sleeps.
        let next = one.ready.pop_front().filter(|_| one.cur != cpu as u32 + 1)?;
        self.shared.sleepers.entry(cv).or_default().push_back(one.cur);
        one.cur = next;
        Some(Said::Done)
    }

    /// The frame and permission of the running thread's page at `va`, which is the beginning of a page.
    fn page(&self, cpu: usize, va: u32) -> Option<(u32, u32)> {
        let one = &self.cpus[cpu];
        one.pages.get(&(one.cur, va / PAGE_SIZE)).copied().filter(|_| va.is_multiple_of(PAGE_SIZE))
    }

    fn send(&mut self, cpu: usize, q: u32, va: u32, n: u32) -> Option<u32> {
        self.held(cpu as u32, q).filter(|channel| channel.held != Some((cpu as u32, 0)))?;
        let (frame, _) = self.page(cpu, va)?;
        let (k, one) = (n.min(1024), &self.cpus[cpu]);
        let zeroed = one.zeroed.contains(&frame);
        let byte = |at| zeroed.then(|| one.memory.get(&(frame, at)).copied().unwrap_or(0));
        let message = (0..4 * k).map(byte).collect();
        let channel = self.held(cpu as u32, q)?;
        channel.held = channel.held.map(|(holder, budget)| (holder, budget - 1));
        (channel.message, channel.count) = (message, k);
        Some(k)
    }

    fn receive(&mut self, cpu: usize, q: u32, va: u32, n: u32) -> Option<u32> {
        let page = self.page(cpu, va);
        let channel = self.held(cpu as u32, q)?;
        let k = channel.count.min(n);
        let message = channel.message.clone();
        channel.count = 0;
        if k > 0 {
            let (frame, _) = page.filter(|&(_, perm)| perm != 5)?;
            let one = &mut self.cpus[cpu];
            for (at, byte) in (0..4 * k).zip(message) {
                one.memory.insert((frame, at), byte?);
            }
        }
        Some(k)
    }
}
