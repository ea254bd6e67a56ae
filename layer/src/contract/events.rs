//! The events that each primitive appends to logs. All other primitives are silent (reference, section 4.1.1).
use super::Step;
use super::page_table::mapped;
use crate::constants::*;
use crate::fields::{Pde, SyncChannel};
use crate::log::Event;
use crate::machine::Spec;
use crate::page_table::pdx;
use crate::replay::Out;
use domain::Map;

/// The events that a call has appended, oldest first, each with its result in the replay.
pub type Logged<M> = [(Event<M>, Out<M>)];

/// Whether a call of a primitive appended the events that it ensures, and no others.
pub type Events<M> = fn(&Step<'_, M>, &Logged<M>) -> bool;

/// The events that the primitive `name` ensures. That every event is tagged with the CPU of the caller is checked for
/// all primitives alike.
pub fn events<M: Spec>(name: &str) -> Events<M> {
    match name {
        "palloc" | "ptAllocPDE" => |s, log| match log {
            [one] => hands_out(s, one, s.answer.word()),
            _ => false,
        },
        "pfree" => |s, log| match log {
            [(Event::Pfree { tid, page }, _)] => *tid == s.before.own.cur && *page == s.arguments.words[1],
            _ => false,
        },
        "pt_free_pde" => |s, log| {
            let [n, va, ..] = s.arguments.words;
            match (log, s.before.own.dirs.get([n, pdx::<M>(va)])) {
                ([], Pde::Table { .. }) => s.answer.word() != 0,
                ([], _) => true,
                ([(Event::Pfree { tid, page }, _)], Pde::Table { frame }) => {
                    *tid == s.before.own.cur && *page == frame && s.answer.word() == 0
                }
                _ => false,
            }
        },
        "pt_rmv" => |s, log| match log {
            [] => s.answer.word() == 0,
            [(Event::Pfree { tid, page }, _)] => {
                *tid == s.before.own.cur && *page == s.answer.word() && s.answer.word() != 0
            }
            _ => false,
        },
        "thread_exit" => |s, log| match log {
            [(Event::Exit { tid }, Out::RunId(next))] => *tid == s.before.own.cur && *next == s.after.own.cur,
            _ => false,
        },
        "proc_recreate" => |s, log| match log {
            [(Event::Respawn { tid, child, quota }, Out::Spawned)] => {
                *tid == s.before.own.cur && *child == s.arguments.words[0] && *quota == s.arguments.words[1]
            }
            _ => false,
        },
        "ptInsert" => |s, log| match log {
            [] => s.answer.word() == 0,
            [table] => s.answer.word() != 0 && hands_out(s, table, frame_of(s)),
            _ => false,
        },
        "pt_resv" => |s, log| {
            let [n, va, ..] = s.arguments.words;
            let is_page = |page| match mapped(&s.after, n, va) {
                Some((mapped, _)) => mapped == page,
                None => false,
            };
            match log {
                // No page, or a page for which there was a page table.
                [(Event::Palloc { tid, page }, _)] => {
                    *tid == s.before.own.cur
                        && if s.answer.word() == MAGIC_NUMBER {
                            *page == 0
                        } else {
                            s.answer.word() == 0 && is_page(*page)
                        }
                }
                // The page, and a page table or 0 if none is left (P31).
                [(Event::Palloc { tid, page }, _), table] => {
                    *tid == s.before.own.cur
                        && *page != 0
                        && s.answer.word() != 0
                        && (s.answer.word() == MAGIC_NUMBER || is_page(*page))
                        && hands_out(s, table, frame_of(s))
                }
                _ => false,
            }
        },
        "pt_reserve" => |s, log| match log {
            // The page, no page table, and the release of the page.
            [
                (Event::Palloc { tid, page }, _),
                (Event::Palloc { page: table, .. }, _),
                (Event::Pfree { page: back, .. }, _),
            ] => {
                *tid == s.before.own.cur && s.answer.word() == MAGIC_NUMBER && *page != 0 && *table == 0 && page == back
            }
            _ => events("pt_resv")(s, log),
        },
        "proc_create" => |s, log| match log {
            [(Event::Spawn { tid, child, quota, sp_ofs, code }, Out::Spawned)] => {
                *tid == s.before.own.cur
                    && *child == s.answer.word()
                    && *quota == s.arguments.words[1]
                    && *sp_ofs == *child * PAGE_SIZE + (PAGE_SIZE - 4)
                    && *code == s.arguments.wide
            }
            _ => false,
        },
        "thread_wakeup" => |s, log| {
            let (cur, cv, answer) = (s.before.own.cur, s.arguments.words[0], s.answer.word());
            match log {
                [(Event::Wake { tid, cv: on }, out)] => {
                    *tid == cur
                        && *on == cv
                        && match out {
                            Out::WakeNone => answer == 0,
                            Out::WakeLocal(_) => answer == 1,
                            _ => false,
                        }
                }
                [
                    (Event::Wake { tid, cv: on }, Out::WakeRemote(first, home)),
                    (Event::WakeDiff { tid: again, cv: same, woken, cpu }, Out::Inserted),
                ] => {
                    *tid == cur
                        && *again == cur
                        && *on == cv
                        && *same == cv
                        && *woken == *first
                        && *cpu == *home
                        && answer == 1
                }
                _ => false,
            }
        },
        "thread_yield" => |s, log| match log {
            [(Event::Yield { tid }, Out::Yield { next, .. })] => *tid == s.before.own.cur && *next == s.after.own.cur,
            _ => false,
        },
        "thread_sleep" => |s, log| match log {
            [(Event::Sleep { tid, cv, to, senderpaddr, count, busy }, Out::RunId(next))] => {
                let block = SyncChannel { to: *to, senderpaddr: *senderpaddr, count: *count, busy: *busy };
                *tid == s.before.own.cur
                    && *cv == s.arguments.words[0]
                    && *next == s.after.own.cur
                    && is_control(s, *cv + SLP_Q, block)
            }
            _ => false,
        },
        "acquire_lock_CHAN" => |s, log| match log {
            [(Event::Wait { tid, channel, budget }, _), (Event::Get { tid: again, channel: same }, _)] => {
                let (cur, q) = (s.before.own.cur, s.arguments.words[0]);
                *tid == cur && *again == cur && *channel == q && *same == q && *budget == LOCK_BOUND
            }
            _ => false,
        },
        "release_lock_CHAN" => |s, log| match log {
            [(Event::Release { tid, channel, to, senderpaddr, count, busy }, _)] => {
                let block = SyncChannel { to: *to, senderpaddr: *senderpaddr, count: *count, busy: *busy };
                *tid == s.before.own.cur && *channel == s.arguments.words[0] && is_control(s, *channel, block)
            }
            _ => false,
        },
        "page_copy" => |s, log| is_message(s, log, s.arguments.words[1]),
        "ipc_send_body" => |s, log| is_message(s, log, s.answer.word()),
        _ => |_, log| log.is_empty(),
    }
}

/// The event allocates `page` for the running thread.
fn hands_out<M: Spec>(s: &Step<'_, M>, event: &(Event<M>, Out<M>), page: M::Word) -> bool {
    matches!(event.0, Event::Palloc { tid, page: p } if tid == s.before.own.cur && p == page)
}

/// The frame of the page table that a call returns; 0 for [`MAGIC_NUMBER`].
fn frame_of<M: Spec>(s: &Step<'_, M>) -> M::Word {
    if s.answer.word() == MAGIC_NUMBER { 0.into() } else { s.answer.word() }
}

/// The published control block is the one of `q` in the state after the call.
fn is_control<M: Spec>(s: &Step<'_, M>, q: M::Word, block: SyncChannel<M>) -> bool {
    let control = s.after.channels.pool.get([q]);
    control.to == block.to
        && control.senderpaddr == block.senderpaddr
        && control.count == block.count
        && control.busy == block.busy
}

/// A message of `k` words was put into the mailbox of the channel that is the first argument.
fn is_message<M: Spec>(s: &Step<'_, M>, log: &Logged<M>, k: M::Word) -> bool {
    match log {
        [(Event::Buffer { tid, channel, words }, _)] => {
            *tid == s.before.own.cur && *channel == s.arguments.words[0] && *words == k
        }
        _ => false,
    }
}
