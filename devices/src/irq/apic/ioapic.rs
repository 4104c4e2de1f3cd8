//! An IOAPIC: Intel 82093AA I/O Advanced Programmable Interrupt Controller data sheet, 290566, with the EOI register that its
//! successors have (Intel 82801, section "APIC Registers").
//!
//! 24 pins. The version is 20H, not the 82093AA's 11H: it says that the EOI register is there, which ends a level-triggered
//! interrupt of a pin by its vector. Where it is missing, an operating system has to do that by making the entry an edge's and
//! back, and local APICs that suppress EOI broadcasts, as these can, could not be used. Both ways work here.
//!
//! A message that nobody takes stays: the entry says so (delivery status) until somebody does, it is masked, or its level has
//! gone.

use super::bus::{ApicBus, HEARD};
use super::message::{Delivery, Message, To};
use crate::bus::{At, Bank, Controller, Irq, Lines, Registers, Shared, Wiring, misuse};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Pins, each with an entry.
pub const PINS: usize = 24;

crate::regs! {
    /// Which of the registers behind the window
    0x00 IOREGSEL Rw
    /// The window
    0x10 IOWIN    Rw
    /// End of interrupt: clears Remote IRR of the entries with this vector
    0x40 EOIR     Wo
}

/// The numbers of the registers behind the window.
mod index {
    pub const ID: u8 = 0;
    pub const VERSION: u8 = 1;
    pub const ARBITRATION: u8 = 2;
    /// Of the first entry, the lower half; the upper one follows.
    pub const ENTRIES: u8 = 0x10;
}

const VERSION: u32 = (PINS as u32 - 1) << 16 | 0x20;
/// The bits of the identification.
const ID: u32 = 0x0f00_0000;

/// A redirection table entry: vector in bits 0 to 7, delivery mode in 8 to 10, destination in 56 to 63.
mod entry {
    /// The destination is logical.
    pub const LOGICAL: u64 = 1 << 11;
    /// A message has not been taken yet.
    pub const STATUS: u64 = 1 << 12;
    /// The pin is active while low.
    pub const ACTIVE_LOW: u64 = 1 << 13;
    /// A local APIC has taken the level.
    pub const REMOTE_IRR: u64 = 1 << 14;
    /// Level-triggered.
    pub const LEVEL: u64 = 1 << 15;
    pub const MASK: u64 = 1 << 16;
    /// What software writes.
    pub const WRITTEN: u64 = 0xff00_0000_0001_afff;
}

/// An entry, and what is under way for its pin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Entry {
    /// The register but for delivery status.
    value: u64,
    /// There was an edge, whose message nobody has taken yet.
    edge: bool,
    /// The vector of the level that was taken.
    sent: u8,
}

impl Default for Entry {
    fn default() -> Entry {
        Entry {
            value: entry::MASK,
            edge: false,
            sent: 0,
        }
    }
}

impl Entry {
    fn has(&self, bit: u64) -> bool {
        self.value & bit != 0
    }

    fn delivery(&self) -> Option<Delivery> {
        Delivery::of(self.value as u32).filter(|delivery| *delivery != Delivery::StartUp)
    }

    /// Whether it follows its pin's level. Those without a vector are edges always.
    fn is_level(&self) -> bool {
        self.has(entry::LEVEL) && self.delivery().is_some_and(Delivery::has_vector)
    }

    /// Whether a message is to be sent, the pin being `high` or not.
    fn is_due(&self, high: bool) -> bool {
        let asks = match self.is_level() {
            true => high != self.has(entry::ACTIVE_LOW) && !self.has(entry::REMOTE_IRR),
            false => self.edge,
        };
        asks && !self.has(entry::MASK)
    }

    /// Software writes the bits in `mask`.
    fn write(&mut self, value: u64, mask: u64) {
        let mask = mask & entry::WRITTEN;
        self.value = self.value & !mask | value & mask;
        if !self.has(entry::LEVEL) {
            self.value &= !entry::REMOTE_IRR;
        }
        if self.has(entry::MASK) || self.is_level() {
            self.edge = false;
        }
    }

    /// The interrupt with this vector has ended. It may be this one's whatever the entry's vector is by now.
    fn end(&mut self, vector: u8) {
        if self.sent == vector || self.value as u8 == vector {
            self.value &= !entry::REMOTE_IRR;
        }
    }

    fn message(&self, delivery: Delivery) -> Message {
        Message {
            to: To::field((self.value >> 56) as u8, self.has(entry::LOGICAL)),
            delivery,
            vector: self.value as u8,
            level: self.is_level(),
        }
    }
}

/// Everything a snapshot holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// IOREGSEL.
    select: u8,
    id: u32,
    entries: Bank<Entry, PINS>,
}

/// The controller: state plus wiring.
pub struct IoApic {
    state: State,
    bus: Arc<ApicBus>,
    lines: Arc<Lines>,
    /// Levels of the pins as last taken in.
    inputs: u32,
    /// Ends of interrupts.
    heard: Arc<Lines>,
    /// It was loaded, and local APICs were not yet: what it sent would be lost with their states.
    waits: bool,
}

impl IoApic {
    /// An IOAPIC whose messages go over `bus`. The caller connects it, before the local APICs.
    pub fn new(wiring: &Arc<Wiring>, bus: &Arc<ApicBus>) -> Shared<IoApic> {
        let apic = IoApic {
            state: State::default(),
            bus: bus.clone(),
            lines: Lines::new(wiring, PINS),
            inputs: 0,
            heard: bus.listen(),
            waits: false,
        };
        Shared::new(wiring, apic)
    }

    /// Input pin `n`. Past the last one: unconnected.
    pub fn pin(&self, n: usize) -> Irq {
        if n < PINS {
            self.lines.irq(n)
        } else {
            Irq::unconnected()
        }
    }

    fn is_high(&self, pin: usize) -> bool {
        self.inputs >> pin & 1 != 0
    }

    /// The interrupts with this vector have ended.
    fn end(&mut self, vector: u8) {
        self.state.entries.iter_mut().for_each(|entry| entry.end(vector));
    }

    fn window(&self) -> u32 {
        let s = &self.state;
        match s.select {
            index::ID | index::ARBITRATION => s.id,
            index::VERSION => VERSION,
            select => match self.entry(select) {
                Some((pin, shift)) => {
                    let entry = &s.entries[pin];
                    let status = if entry.is_due(self.is_high(pin)) {
                        entry::STATUS
                    } else {
                        0
                    };
                    ((entry.value | status) >> shift) as u32
                }
                None => {
                    misuse::report(Self::MODEL, misuse::Misuse::ReadNothing, s.select.into(), 0);
                    0
                }
            },
        }
    }

    fn set_window(&mut self, value: u32, mask: u32) {
        let s = &mut self.state;
        let select = s.select;
        if select == index::ID {
            s.id = (s.id & !mask | value & mask) & ID;
        } else if let Some((pin, shift)) = self.entry(select) {
            self.state.entries[pin].write(u64::from(value) << shift, u64::from(mask) << shift);
        } else {
            misuse::report(Self::MODEL, misuse::Misuse::WriteReadOnly, select.into(), value.into());
        }
    }

    /// The pin whose entry a register is a half of, and where in the entry it starts.
    fn entry(&self, select: u8) -> Option<(usize, u32)> {
        let from_first = select.checked_sub(index::ENTRIES)?;
        let pin = usize::from(from_first / 2);
        (pin < PINS).then_some((pin, u32::from(from_first % 2) * 32))
    }

    /// Sends what a pin asks for.
    fn serve(&mut self, pin: usize) {
        let entry = self.state.entries[pin];
        if !entry.is_due(self.is_high(pin)) {
            return;
        }
        let taken = match entry.delivery() {
            Some(delivery) => self.bus.send(&entry.message(delivery)),
            None => {
                let what = misuse::Misuse::BadValue("an entry with a reserved delivery mode (nothing is sent)");
                misuse::report(Self::MODEL, what, pin as u64, entry.value);
                true
            }
        };
        let entry = &mut self.state.entries[pin];
        if taken && entry.is_level() {
            (entry.value, entry.sent) = (entry.value | entry::REMOTE_IRR, entry.value as u8);
        }
        entry.edge &= !taken;
    }
}

impl Controller for IoApic {
    fn inputs_changed(&mut self) {
        for word in 0..HEARD.div_ceil(32) {
            let mut ended = self.heard.take_risen_word(word);
            while ended != 0 {
                match u8::try_from(32 * word + ended.trailing_zeros() as usize) {
                    Ok(vector) => self.end(vector),
                    // Somebody may take what nobody took.
                    Err(_) => self.waits = false,
                }
                ended &= ended - 1;
            }
        }
        let (level, risen) = (self.lines.level_word(0), self.lines.take_risen_word(0));
        let before = std::mem::replace(&mut self.inputs, level);
        // What went low was high before or has risen since; what is high again was low in between.
        let fallen = !level & (before | risen) | level & before & risen;
        for (pin, entry) in self.state.entries.iter_mut().enumerate() {
            let edges = if entry.has(entry::ACTIVE_LOW) { fallen } else { risen };
            entry.edge |= edges >> pin & 1 != 0 && !entry.is_level() && !entry.has(entry::MASK);
        }
        self.update();
    }
}

impl Registers for IoApic {
    const MODEL: &'static str = "ioapic";
    type Reg = Reg;
    type State = State;

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn replaced(&mut self) {
        self.waits = true;
    }

    fn get(&mut self, reg: Reg, _: At) -> u64 {
        self.waits = false;
        match reg {
            Reg::IOREGSEL => self.state.select.into(),
            Reg::IOWIN => self.window().into(),
            Reg::EOIR => 0,
        }
    }

    fn put(&mut self, reg: Reg, at: At, value: u64) {
        self.waits = false;
        match reg {
            Reg::IOREGSEL => self.state.select = at.merge(self.state.select.into(), value) as u8,
            Reg::IOWIN => self.set_window(value as u32, at.mask as u32),
            Reg::EOIR => self.end(value as u8),
        }
    }

    fn update(&mut self) {
        if !self.waits {
            (0..PINS).for_each(|pin| self.serve(pin));
        }
    }
}
