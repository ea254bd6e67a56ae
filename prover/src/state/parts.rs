//! A symbolic state: the start or the end of a proof.
use crate::state::sym::Sym;
use crate::state::unknown::{is_part, make_unknown, unknown_object};
use crate::state::visit::{each, values};
use domain::{Field, Storage};
use layer::core::fields::*;
use layer::core::geometry::Geometry;
use layer::core::machine::{Machine, Object, Spec};
use layer::core::ring::Ring;
use layer::core::state::{Boot, IoApic, Lapic, Own, OwnGhost, TrapInfo, Vm};
use layer::objects::channel::pool::Channels;
use layer::objects::console::uart::Serial;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Fifo, Queue, Threads};
use layer::spec::view::View;
use smt::term::{Name, Range, Term};
use std::any::Any;
use symbolic::engine::engine;
use symbolic::origin::{Identity, Origin};
use symbolic::word::{SymFlag, SymWord};

/// All parts of the state that one CPU can access.
pub(crate) struct State<G: Geometry> {
    pub own: Own<Sym<G>>,
    pub at: AllocTable<Sym<G>>,
    pub pending: Queue<Sym<G>>,
    pub channels: Channels<Sym<G>>,
    pub threads: Threads<Sym<G>>,
    pub boot: Boot<Sym<G>>,
    pub current_cpu: SymWord,
}

fn map<G: Geometry, F: domain::Field<Sym<G>>>() -> <Sym<G> as Storage<F>>::Map {
    <Sym<G> as Storage<F>>::at(Origin::START)
}

fn word(name: &str) -> SymWord {
    SymWord(engine(|e| e.arena.var(name, Range::WORD)))
}

fn boot<G: Geometry>() -> Boot<Sym<G>> {
    Boot { nps: word("boot.nps"), norm: word("boot.norm") }
}

fn flag(name: &str) -> SymFlag {
    SymFlag(engine(|e| e.arena.var(name, Range::Bool)))
}

fn io_apic<G: Geometry>() -> IoApic<Sym<G>> {
    IoApic {
        max_intr: word("ioapic.max_intr"),
        irqs: word("ioapic.irqs"),
        enables: word("ioapic.enables"),
        init: flag("ioapic.init"),
    }
}

fn local_apic<G: Geometry>() -> Lapic<Sym<G>> {
    Lapic {
        max_lvt: word("lapic.max_lvt"),
        spurious: word("lapic.spurious"),
        lint1_mask: flag("lapic.lint1_mask"),
        error_irq: word("lapic.error_irq"),
        ..Lapic::reset()
    }
}

/// Runs `$work` for each map of the state `$state`. `$map` is the map, borrowed by `$borrow`, and `$name` its field's
/// name.
macro_rules! each_map {
    ([$($borrow:tt)*] $state:ident, |$name:ident, $map:ident| $work:expr) => {
        each_map!(@ [$($borrow)*] $state, $name, $map, $work,
            (Containers own.ac) (Directories own.dirs) (PageTables own.tables) (PhysicalMemory own.hp)
            (KernelContexts own.kctxt) (Processes own.proc) (UserContexts own.uctxt) (VmxInfo own.vmxinfo) (IoApicLines own.lines)
            (Received own.rx_buf) (ConsoleInput own.cons_buf)
            (VmcsFields own.vmcs) (VmxSlots own.vmx) (EptEntries own.ept)
            (VmcsKinds own.ghost.0.vmcs_kind) (VmxKinds own.ghost.0.vmx_kind)
            (EptDirectories own.ghost.0.ept_dirs) (EptDefined own.ghost.0.ept_defined)
            (GuestFrames own.ghost.0.guest_frames)
            (FrameUses own.ghost.0.pperm) (ReverseMaps own.ghost.0.lat) (ReverseEntries own.ghost.0.lat_entry)
            (DirectoriesDefined own.ghost.0.dirs_defined) (PageTableGhosts own.ghost.0.tables)
            (IdentityTables own.ghost.0.idpde) (DefinedMemory own.ghost.0.hp_defined)
            (UserContextKinds own.ghost.0.uctxt_kind) (Charges own.ghost.0.charged) (Seats own.ghost.0.seats)
            (SharedMemory own.ghost.0.smspool) (LockStates own.ghost.0.lock) (SyncChannels channels.pool)
            (ChannelLocks channels.ghost.0.locks) (Mailboxes channels.mailbox) (DefinedMail channels.ghost.0.defined) (Frames at.frames) (Owners at.owner.0.owners)
            (NextLinks threads.next) (ThreadGhosts threads.tcb))
    };
    (@ $borrow:tt $state:ident, $name:ident, $map:ident, $work:expr, $(($field:ident $($path:tt)*))*) => {
        $({
            let $name = <$field as Field<Sym<G>>>::NAME;
            each_map!(# $borrow $map $state $($path)*);
            $work
        })*
    };
    (# [$($borrow:tt)*] $map:ident $state:ident $($path:tt)*) => { let $map = $($borrow)* $state.$($path)*; };
}
#[cfg(test)]
pub(crate) use each_map;

impl<G: Geometry> State<G> {
    /// A state without any knowledge of it.
    pub fn unknown() -> State<G> {
        let zero = || SymWord::from(0);
        let off = || SymFlag::from(false);
        let own = Own {
            cpu: zero(),
            cur: zero(),
            nps: zero(),
            intr_flag: off(),
            ti: TrapInfo { addr: zero().into(), ra: zero().into() },
            serial_exists: off(),
            com1: Serial::boot(),
            rx_buf: map::<G, Received>(),
            console: Ring::empty(),
            cons_buf: map::<G, ConsoleInput>(),
            ioapic: IoApic { max_intr: zero(), irqs: zero(), enables: zero(), init: off() },
            lapic: Lapic::reset(),
            ac: map::<G, Containers>(),
            dirs: map::<G, Directories>(),
            tables: map::<G, PageTables>(),
            hp: map::<G, PhysicalMemory>(),
            kctxt: map::<G, KernelContexts>(),
            proc: map::<G, Processes>(),
            uctxt: map::<G, UserContexts>(),
            vmxinfo: map::<G, VmxInfo>(),
            vm: Vm { revision: zero(), abort: zero(), set_up: off(), owner: zero() },
            vmcs: map::<G, VmcsFields>(),
            vmx: map::<G, VmxSlots>(),
            ept: map::<G, EptEntries>(),
            lines: map::<G, IoApicLines>(),
            ready: Fifo::new(),
            log: Sym::<G>::log(Origin::START),
            ghost: Sym::<G>::ghost(|| OwnGhost {
                pg: off(),
                ikern: off(),
                ihost: off(),
                ipt: off(),
                init: off(),
                in_intr: off(),
                pt: zero(),
                section: zero(),
                ..OwnGhost::at(Origin::START)
            }),
        };
        let mut state = State {
            own,
            at: unknown_object(Origin::START),
            pending: unknown_object(Origin::START),
            channels: Channels::at(Origin::START),
            threads: Threads::at(Origin::START),
            boot: boot(),
            current_cpu: word("current_CPU_ID"),
        };
        state.own.words(&mut make_unknown(Origin::START, "", |_| true));
        state
    }

    /// This state after a havoc of everything in `names`. A name of a part of a shared object havocs the whole object.
    pub fn renewed(&self, names: &[&'static str], origin: Origin) -> State<G> {
        let mut state = self.snapshot();
        state.own.words(&mut make_unknown(origin, "", |name| names.contains(&name)));
        each_map!([&mut] state, |name, map| if names.contains(&name) {
            map.renew(origin)
        });
        if names.iter().any(|name| is_part(name, "AT")) {
            state.at = unknown_object(origin);
        }
        if names.iter().any(|name| is_part(name, "tcb")) {
            state.threads = Threads::at(origin);
            state.pending = unknown_object(origin);
        }
        if names.contains(&"syncchpool.lock") {
            state.channels = Channels::at(origin);
        }
        state
    }

    /// The unknown maps on which the state's maps are built, by the names of their fields.
    pub fn sources(&self) -> Vec<(&'static str, Vec<Name>)> {
        let mut sources = Vec::new();
        each_map!([&] self, |name, map| sources.push((name, map.sources())));
        sources
    }

    /// The names of the maps, and of the values outside of maps and shared objects, that may be different in
    /// `other`.
    pub fn unlike(&self, other: &State<G>) -> Vec<&'static str> {
        let mut unlike = Vec::new();
        let mut theirs = Vec::new();
        each_map!([&] other, |_name, map| theirs.push(map.identity()));
        let mut theirs = theirs.into_iter();
        each_map!([&] self, |name, map| if theirs.next() != Some(map.identity()) {
            unlike.push(name);
        });
        let scalars = scalars(self).into_iter().zip(scalars(other));
        unlike.extend(scalars.filter(|((_, one), (_, other))| one != other).map(|((name, _), _)| name));
        unlike
    }

    /// The identity of this state.
    pub fn identity(&self) -> StateIdentity {
        let mut maps = Vec::new();
        each_map!([&] self, |name, map| maps.push((name, map.identity())));
        let values = [scalars(self), values(&self.at), values(&self.pending)].concat();
        let words = [self.boot.nps, self.boot.norm, self.current_cpu].map(|word| word.0);
        StateIdentity { maps, values: values.into_iter().map(|(_, value)| value).chain(words).collect() }
    }

    /// The state of a CPU before `sched_init`, with the shared objects as they are built (`init_adt`).
    pub fn initial() -> State<G> {
        let cpu = word("current_CPU_ID");
        let boot = boot::<G>();
        State {
            own: Own::init_adt(Origin::START, cpu, io_apic(), local_apic()),
            at: AllocTable::boot(Origin::START, boot.nps),
            pending: layer::core::machine::Object::new(Origin::START),
            channels: Channels::boot(Origin::START),
            threads: Threads::boot(Origin::START),
            boot,
            current_cpu: cpu,
        }
    }

    /// The view of the state that facts use.
    pub fn view(&self) -> View<'_, Sym<G>> {
        View {
            own: &self.own,
            ghost: Sym::<G>::present(&self.own.ghost),
            at: &self.at,
            pending: &self.pending,
            channels: &self.channels,
            threads: &self.threads,
            boot: &self.boot,
            current_cpu: self.current_cpu,
        }
    }

    /// A copy of the state.
    pub fn snapshot(&self) -> State<G> {
        State {
            own: self.own.snapshot(),
            at: layer::core::machine::Object::snapshot(&self.at),
            pending: layer::core::machine::Object::snapshot(&self.pending),
            channels: self.channels.snapshot(),
            threads: self.threads.snapshot(),
            boot: self.boot,
            current_cpu: self.current_cpu,
        }
    }
}

/// The identity of a state: equal identities mean equal states.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct StateIdentity {
    /// The identities of the state's maps, by the names of their fields.
    pub maps: Vec<(&'static str, Identity)>,
    /// The values that are in no map.
    pub values: Vec<Term>,
}

/// The identity of a shared object.
pub(crate) fn object_identity<G: Geometry, T: Object<Sym<G>>>(object: &T) -> Vec<Identity> {
    let mut identity: Vec<Identity> = values(object).into_iter().map(|(_, value)| Identity::Value(value)).collect();
    let any: &dyn Any = object;
    if let Some(at) = any.downcast_ref::<AllocTable<Sym<G>>>() {
        identity.extend([at.frames.identity(), at.owner.0.owners.identity()]);
    }
    identity
}

/// The identity of the threads' links and ghost state.
pub(crate) fn threads_identity<G: Geometry>(threads: &Threads<Sym<G>>) -> Vec<Identity> {
    vec![threads.next.identity(), threads.tcb.identity()]
}

/// The identity of the channels.
pub(crate) fn channels_identity<G: Geometry>(channels: &Channels<Sym<G>>) -> Vec<Identity> {
    let ghost = &channels.ghost.0;
    vec![channels.pool.identity(), ghost.locks.identity(), channels.mailbox.identity(), ghost.defined.identity()]
}

/// The values of the state that are in no map, by name.
pub(crate) fn scalars<G: Geometry>(state: &State<G>) -> Vec<(&'static str, Term)> {
    let mut scalars = Vec::new();
    state.snapshot().own.words(&mut each(|name, _, term| scalars.push((name, *term))));
    scalars
}
