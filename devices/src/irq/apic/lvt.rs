//! The local vector table, and the pins LINT0 and LINT1: SDM volume 3, sections "Local Vector Table" and "Local Interrupt
//! Acceptance".

use super::local::Local;
use super::message::Delivery;
use super::source::{ACTIVE_LOW, LEVEL, MASK, REMOTE_IRR, Source};
use crate::bus::CpuLine;

impl Local {
    pub(super) fn is_masked(&self, source: Source) -> bool {
        self.state.lvt[source as usize] & MASK != 0
    }

    /// Software disables the APIC: every entry is masked.
    pub(super) fn mask_all(&mut self) {
        self.state.lvt.iter_mut().for_each(|entry| *entry |= MASK);
    }

    /// Writes an entry. While software has the APIC disabled, it stays masked.
    pub(super) fn set_lvt(&mut self, source: Source, value: u32) {
        let forced = if self.is_enabled() { 0 } else { MASK };
        let kept = source.kept(self.around.model.tsc_deadline);
        let in_service = self.state.lvt[source as usize] & REMOTE_IRR;
        let value = value & kept | forced;
        let in_service = if value & LEVEL != 0 { in_service } else { 0 };
        self.state.lvt[source as usize] = value | in_service;
    }

    /// One of the sources interrupts, once.
    pub(super) fn fire(&mut self, source: Source) {
        if !self.is_there() || self.is_masked(source) {
            return;
        }
        let entry = self.state.lvt[source as usize];
        if source == Source::Performance {
            self.state.lvt[source as usize] |= MASK;
        }
        let is_pin = matches!(source, Source::Lint0 | Source::Lint1);
        match Delivery::of(entry) {
            Some(Delivery::Fixed) => {
                self.accept(entry as u8, false);
            }
            Some(Delivery::Smi) => self.pulse(CpuLine::Smi),
            Some(Delivery::Nmi) => self.pulse(CpuLine::Nmi),
            Some(Delivery::Init) if is_pin => self.pulse(CpuLine::Init),
            // An external interrupt is a level. The others are reserved.
            _ => {}
        }
    }

    /// Pin LINT`n` is now at this level; `rose`: it has gone high since the last time, even if it is low again.
    pub(super) fn set_lint(&mut self, n: usize, level: bool, rose: bool) {
        let before = std::mem::replace(&mut self.wires[n], level);
        if !self.is_there() {
            // Then LINT1 is the CPU's NMI pin.
            if n == 1 && rose {
                self.pulse(CpuLine::Nmi);
            }
            return;
        }
        let source = Source::of(Source::Lint0 as usize + n);
        let fell = if level { before && rose } else { before || rose };
        let active_low = self.state.lvt[source as usize] & ACTIVE_LOW != 0;
        if (if active_low { fell } else { rose }) && !(n == 0 && self.lint0_is_level()) {
            self.fire(source);
        }
    }

    /// Whether the pin is at its active level.
    pub(super) fn lint_is_active(&self, n: usize) -> bool {
        let active_low = self.state.lvt[Source::Lint0 as usize + n] & ACTIVE_LOW != 0;
        self.wires[n] != active_low
    }

    /// Whether LINT0 is the 8259A's output.
    pub(super) fn lint0_is_external(&self) -> bool {
        let entry = self.state.lvt[Source::Lint0 as usize];
        entry & MASK == 0 && Delivery::of(entry) == Some(Delivery::ExtInt)
    }

    /// Whether LINT0 is a level-triggered interrupt with a vector; LINT1 takes edges only.
    fn lint0_is_level(&self) -> bool {
        let entry = self.state.lvt[Source::Lint0 as usize];
        entry & LEVEL != 0 && Delivery::of(entry) == Some(Delivery::Fixed)
    }

    /// Takes the interrupt of a level-triggered LINT0.
    pub(super) fn take_lint0(&mut self) {
        let entry = self.state.lvt[Source::Lint0 as usize];
        let waits = self.lint0_is_level() && entry & (MASK | REMOTE_IRR) == 0;
        if waits && self.lint_is_active(0) && self.accept(entry as u8, true) {
            self.state.lvt[Source::Lint0 as usize] |= REMOTE_IRR;
            self.state.lint0_sent = entry as u8;
        }
    }

    /// The interrupt with this vector has ended; it may be LINT0's, whatever its entry says by now.
    pub(super) fn lint0_ended(&mut self, vector: u8) {
        let entry = &mut self.state.lvt[Source::Lint0 as usize];
        if *entry & REMOTE_IRR != 0 && (self.state.lint0_sent == vector || *entry as u8 == vector) {
            *entry &= !REMOTE_IRR;
        }
    }
}
