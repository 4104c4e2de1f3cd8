//! The APICs of x86 boards: local APICs (Intel's Software Developer's Manual, SDM, volume 3, chapter "Advanced Programmable
//! Interrupt Controller"), in xAPIC and x2APIC mode, and IOAPICs ([`ioapic`]).
//!
//! | to change | open |
//! |---|---|
//! | registers, priorities, end of interrupt, modes | `local.rs` |
//! | the local vector table, LINT0 and LINT1 | `lvt.rs` |
//! | the timer | `timer.rs` |
//! | messages: what they mean, whom they are for | `message.rs`, `name.rs` |
//! | what follows an access: messages, ends of interrupts | `bus.rs` |
//! | a CPU's calls: MSRs, CR8, acknowledge | `cpu.rs` |
//! | pins of an IOAPIC | `ioapic.rs` |
//!
//! [`LocalApics`] is what a board has: it is mapped, reset, saved and loaded like any device. A CPU has a [`LocalApic`], its
//! own, whose calls lock no other CPU's. A machine loads the devices first, then an 8259A and the IOAPICs, then this.

mod bus;
mod cpu;
pub mod ioapic;
mod local;
mod lvt;
mod message;
mod name;
mod rate;
mod registers;
mod source;
#[cfg(test)]
mod tests;
mod timer;
mod vectors;

pub use bus::ApicBus;
pub use cpu::LocalApic;
pub use message::{Delivery, Message, To};
pub use rate::Rate;
pub use source::Source;

use crate::bus::{Access, Clock, Controller, CpuInputs, Device, Each, Format, Irq, LoadError, Saved, Shared, Wiring};
use local::State;
use std::sync::Arc;

const FORMAT: Format = Format::first(bus::MODEL);

/// What a CPU's model says of its local APIC.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// The time-stamp counter, which deadlines are in.
    pub tsc: Rate,
    /// The timer's input, before it is divided.
    pub timer: Rate,
    /// There is x2APIC mode.
    pub x2apic: bool,
    /// There is TSC-deadline mode.
    pub tsc_deadline: bool,
    /// Bits of a physical address (32 to 52), which say how far IA32_APIC_BASE reaches.
    pub physical_bits: u32,
}

/// What the CPU that did it gets: #GP(0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneralProtection;

/// The local APICs of a machine.
pub struct LocalApics {
    bus: Arc<ApicBus>,
    ids: Vec<u32>,
    model: Model,
    pins: bus::Pins,
}

impl LocalApics {
    /// Local APICs of CPUs with these x2APIC ids, the first of which is the bootstrap processor; they drive `outputs`.
    ///
    /// The caller connects them behind what drives them: `wiring.connect(vec![…, apics.controller()])`.
    pub fn new(
        wiring: &Arc<Wiring>,
        clock: &Clock,
        ids: &[u32],
        model: Model,
        outputs: &Arc<dyn CpuInputs>,
    ) -> Shared<LocalApics> {
        let apics = LocalApics {
            bus: ApicBus::new(wiring, clock, ids, model, outputs),
            ids: ids.to_vec(),
            model,
            pins: bus::Pins::new(wiring),
        };
        Shared::new(wiring, apics)
    }

    /// Where IOAPICs and devices send their messages.
    pub fn bus(&self) -> Arc<ApicBus> {
        self.bus.clone()
    }

    /// The local APIC of CPU number `cpu`; past the last, one that is not there.
    pub fn cpu(&self, cpu: usize) -> LocalApic {
        LocalApic::of(&self.bus, cpu)
    }

    /// Pin LINT0 (`n` = 0) of all of them, which an 8259A drives, or LINT1 (1), NMI. Others: unconnected.
    pub fn lint(&self, n: usize) -> Irq {
        self.pins.irq(n)
    }

    /// Gives every local APIC the state that `state` makes for it.
    fn put(&self, state: impl Fn(usize, u32) -> State) {
        for (cpu, id) in self.ids.iter().enumerate() {
            self.bus.with(cpu, |local| local.replace(state(cpu, *id)));
        }
    }
}

impl Controller for LocalApics {
    fn inputs_changed(&mut self) {
        self.pins.take(&self.bus);
    }
}

/// The page of registers, of the CPU that accesses it.
impl Device for LocalApics {
    fn model(&self) -> &'static str {
        bus::MODEL
    }

    fn read(&mut self, access: Access) -> u64 {
        self.bus.read(access)
    }

    fn write(&mut self, access: Access, value: u64) {
        self.bus.write(access, value);
    }

    fn reset(&mut self) {
        self.put(State::of);
    }

    fn save(&mut self) -> Saved {
        let states = (0..self.ids.len()).filter_map(|cpu| self.bus.with(cpu, |local| local.state.clone()));
        Saved::new(&FORMAT, &states.collect::<Vec<State>>())
    }

    fn load(&mut self, saved: &Saved) -> Result<(), LoadError> {
        let states: Each<State> = saved.state(&FORMAT)?;
        if states.len() != self.ids.len() {
            return Err(FORMAT.impossible(format!("{} CPUs of {}", states.len(), self.ids.len())));
        }
        if let Some(cpu) = states.iter().position(|state| !self.model.has_base(state.base)) {
            return Err(FORMAT.impossible(format!("IA32_APIC_BASE of CPU {cpu}")));
        }
        self.put(|cpu, _| states[cpu].clone());
        Ok(())
    }
}
