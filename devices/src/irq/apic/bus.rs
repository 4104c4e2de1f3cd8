//! The APIC bus: all local APICs, each behind a lock of its own, and the messages between them.
//!
//! A CPU's accesses to its own APIC lock that one only; a message locks those it is for, one after the other, never two.
//! Whom it is for is seen in their [names](super::name), without locking any. What follows from an access (a message, the end
//! of an interrupt for the IOAPICs) happens once the APIC is unlocked. So the bus is a leaf: a device that is locked may
//! send.

use super::Model;
use super::local::{Acknowledged, After, Around, Local};
use super::message::{Delivery, Message, To};
use super::name::{Name, Named};
use super::registers::{Reg, esr};
use crate::bus::{Access, Clock, CpuInputs, Device, Irq, Lines, RegMap, Wiring, misuse};
use crate::irq::ExtInt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};

/// The model's name in the log, and in snapshots.
pub(super) const MODEL: &str = "local-apics";
/// Bytes of the page of registers.
const PAGE: u64 = 0x1000;

/// What an IOAPIC hears of the bus: lines 0 to 255 pulse at the end of the interrupts with these vectors, [`RENAMED`] when
/// somebody may take now what nobody took before.
pub(super) const HEARD: usize = 257;
pub(super) const RENAMED: usize = 256;

/// The bus.
pub struct ApicBus {
    locals: Vec<Mutex<Local>>,
    names: Vec<Arc<Name>>,
    pub(super) wiring: Arc<Wiring>,
    /// Of each IOAPIC.
    listeners: RwLock<Vec<Arc<Lines>>>,
    external: OnceLock<Arc<dyn ExtInt>>,
}

impl ApicBus {
    /// Local APICs with these x2APIC ids, of CPUs 0 and on.
    pub(super) fn new(
        wiring: &Arc<Wiring>,
        clock: &Clock,
        ids: &[u32],
        model: Model,
        outputs: &Arc<dyn CpuInputs>,
    ) -> Arc<ApicBus> {
        let names: Vec<Arc<Name>> = ids.iter().map(|_| Arc::new(Name::new())).collect();
        let bus = Arc::new_cyclic(|bus: &Weak<ApicBus>| {
            let local = |cpu: usize, id: u32, name: &Arc<Name>| {
                let bus = bus.clone();
                let alarm = move || {
                    if let Some(bus) = bus.upgrade() {
                        bus.with(cpu, |_| ());
                        bus.wiring.settle();
                    }
                };
                Local::new(Around {
                    cpu,
                    id,
                    model,
                    clock: clock.clone(),
                    alarm: clock.timer(alarm),
                    outputs: outputs.clone(),
                    name: name.clone(),
                })
            };
            let all = ids.iter().zip(&names).enumerate();
            ApicBus {
                locals: all.map(|(cpu, (id, name))| Mutex::new(local(cpu, *id, name))).collect(),
                names: names.clone(),
                wiring: wiring.clone(),
                listeners: RwLock::default(),
                external: OnceLock::new(),
            }
        });
        (0..ids.len()).for_each(|cpu| bus.with(cpu, |_| ()).unwrap_or(()));
        bus
    }

    /// Connects the 8259A that answers ExtINT. Once.
    pub fn connect_external(&self, external: Arc<dyn ExtInt>) {
        let _ = self.external.set(external);
    }

    /// Has an IOAPIC hear of the ends of interrupts.
    pub(super) fn listen(&self) -> Arc<Lines> {
        let heard = Lines::new(&self.wiring, HEARD);
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        listeners.push(heard.clone());
        heard
    }

    /// Where the registers of this CPU's are now.
    pub(super) fn page(&self, cpu: usize) -> Option<u64> {
        self.names.get(cpu)?.page()
    }

    pub(super) fn cpus(&self) -> usize {
        self.locals.len()
    }

    fn lock(&self, cpu: usize) -> Option<MutexGuard<'_, Local>> {
        // A panic elsewhere does not make plain state unusable.
        Some(self.locals.get(cpu)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Uses a CPU's local APIC, and does what follows once it is unlocked, but for settling the wiring. `None`: there is
    /// none.
    pub(super) fn with<R>(&self, cpu: usize, use_it: impl FnOnce(&mut Local) -> R) -> Option<R> {
        let mut local = self.lock(cpu)?;
        local.keep_time();
        let result = use_it(&mut local);
        local.drive();
        let after = std::mem::take(&mut local.after);
        drop(local);
        self.follow(after);
        Some(result)
    }

    fn follow(&self, after: After) {
        let told = after.ended.map(usize::from);
        let renamed = after.renamed.then_some(RENAMED);
        told.into_iter().chain(renamed).for_each(|line| self.tell(line));
        if let Some(message) = after.message {
            self.send(&message);
        }
    }

    fn tell(&self, line: usize) {
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
        listeners.iter().for_each(|heard| heard.pulse(line));
    }

    /// Sends a message; whether anybody took it. A locked device may call it; nothing has to settle.
    pub fn send(&self, message: &Message) -> bool {
        if message.delivery == Delivery::Lowest {
            let chosen = self.least_urgent(message);
            return chosen.is_some_and(|cpu| self.deliver(cpu, message));
        }
        let meant = self.meant(message.to).map(|(cpu, _)| cpu);
        // All of them get it, whoever took it.
        meant.filter(|cpu| self.deliver(*cpu, message)).count() != 0
    }

    fn deliver(&self, cpu: usize, message: &Message) -> bool {
        let Message {
            delivery,
            vector,
            level,
            ..
        } = *message;
        let taken = self.with(cpu, |local| local.receive(delivery, vector, level));
        taken == Some(true)
    }

    /// The CPUs that a message is for.
    fn meant(&self, to: To) -> impl Iterator<Item = (usize, Named)> {
        // The commonest of them need not look at all.
        let (first, count) = match to {
            To::Cpu(cpu) => (cpu, 1),
            _ => (0, self.names.len()),
        };
        let names = self.names.iter().map(|name| name.now()).enumerate();
        names
            .skip(first)
            .take(count)
            .filter(move |(cpu, name)| name.is_meant(*cpu, to))
    }

    /// Who takes a message that is for the one with the lowest priority: of equals, different ones by the vector.
    fn least_urgent(&self, message: &Message) -> Option<usize> {
        let can = || self.meant(message.to).filter(|(_, name)| name.is_enabled());
        let lowest = can().map(|(_, name)| name.ppr()).min()?;
        let equals: Vec<usize> = can()
            .filter(|(_, name)| name.ppr() == lowest)
            .map(|(cpu, _)| cpu)
            .collect();
        let chosen = usize::from(message.vector).checked_rem(equals.len())?;
        equals.get(chosen).copied()
    }

    /// A device's interrupt message: `data` written to `address`. A locked device may call it. What is no interrupt message is
    /// the guest's misuse.
    pub fn message(&self, address: u64, data: u32) {
        match Message::signalled(address, data) {
            Some(message) => {
                self.send(&message);
            }
            None => misuse::report(MODEL, MEANINGLESS, address & !0xfff, data.into()),
        }
    }

    /// An acknowledge cycle of this CPU's.
    pub(super) fn acknowledge(&self, cpu: usize) -> u8 {
        match self.with(cpu, Local::acknowledge) {
            Some(Acknowledged::Vector(vector)) => vector,
            Some(Acknowledged::External) => self.external.get().map_or(SPURIOUS, |one| one.acknowledge()),
            None => SPURIOUS,
        }
    }

    /// A read of the page of registers.
    pub(super) fn read(&self, access: Access) -> u64 {
        let read = self.with(access.cpu, |local| match place(local, access) {
            Some(place) => Device::read(local, place),
            None => refused(access, misuse::Misuse::ReadNothing, 0),
        });
        read.unwrap_or(0)
    }

    /// A write to the page of registers.
    pub(super) fn write(&self, access: Access, value: u64) {
        self.with(access.cpu, |local| match place(local, access) {
            Some(place) => Device::write(local, place, value),
            None => {
                refused(access, misuse::Misuse::WriteNothing, value);
            }
        });
    }
}

/// A message that means nothing.
const MEANINGLESS: misuse::Misuse =
    misuse::Misuse::BadValue("an interrupt message that means nothing (nobody gets it)");
/// What is answered where nobody does.
const SPURIOUS: u8 = 0xff;

fn refused(access: Access, why: misuse::Misuse, value: u64) -> u64 {
    misuse::report(MODEL, why, access.offset, value);
    0
}

/// Where in the table an access to the page goes; `None`: nowhere. Each sixteen bytes of the page have a register in the
/// first four, which are accessed as a whole; the rest, and the other ways, are not defined.
fn place(local: &mut Local, access: Access) -> Option<Access> {
    let Access { offset, size, cpu } = access;
    if offset >= PAGE || local.page().is_none() {
        return None;
    }
    let (number, byte) = (offset >> 4, offset & 0xf);
    let word = 4 * number;
    if Reg::find(word).is_none_or(|row| row.reg == Reg::SELF_IPI) {
        local.error(esr::ILLEGAL_ADDRESS);
        return None;
    }
    // Of eight bytes the register is the lower half.
    let size = if size == 8 && byte == 0 { 4 } else { size };
    let fits = byte + u64::from(size) <= 4;
    fits.then_some(Access {
        offset: word + byte,
        size,
        cpu,
    })
}

/// The pins LINT0 and LINT1 of all local APICs, which are wired together: an 8259A's output, and NMI.
pub(super) struct Pins {
    lines: Arc<Lines>,
    level: u32,
}

impl Pins {
    pub fn new(wiring: &Arc<Wiring>) -> Pins {
        Pins {
            lines: Lines::new(wiring, 2),
            level: 0,
        }
    }

    pub fn irq(&self, n: usize) -> Irq {
        if n < 2 { self.lines.irq(n) } else { Irq::unconnected() }
    }

    /// Tells the local APICs of what has changed.
    pub fn take(&mut self, bus: &ApicBus) {
        let (level, risen) = (self.lines.level_word(0), self.lines.take_risen_word(0));
        let changed = std::mem::replace(&mut self.level, level) ^ level | risen;
        for n in (0..2).filter(|n| changed >> n & 1 != 0) {
            let (level, rose) = (level >> n & 1 != 0, risen >> n & 1 != 0);
            (0..bus.cpus()).for_each(|cpu| bus.with(cpu, |local| local.set_lint(n, level, rose)).unwrap_or(()));
        }
    }
}
