//! The local vector table, and the pins LINT0 and LINT1: SDM volume 3, sections "Local Vector Table" and "Local Interrupt
//! Acceptance".

use super::local::Local;
use super::message::Delivery;
use crate::bus::CpuLine;

/// The mask bit of an entry.
pub(super) const MASK: u32 = 1 << 16;
/// A level-triggered interrupt of LINT0 or LINT1 is in service; read-only.
const REMOTE_IRR: u32 = 1 << 14;
/// Level-triggered.
const LEVEL: u32 = 1 << 15;
/// The pin is active while low.
const ACTIVE_LOW: u32 = 1 << 13;
/// Delivery status, idle: read-only.
const STATUS: u32 = 1 << 12;

/// What interrupts locally, numbered as the entries are that are in a row, with CMCI behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The timer.
    Timer = 0,
    /// The thermal sensor.
    Thermal = 1,
    /// A performance counter has overflowed.
    Performance = 2,
    /// Pin LINT0.
    Lint0 = 3,
    /// Pin LINT1.
    Lint1 = 4,
    /// The APIC has found an error.
    Error = 5,
    /// Corrected machine checks have come to their limit.
    Cmci = 6,
}

impl Source {
    /// By number.
    pub(super) fn of(n: usize) -> Source {
        use Source::*;
        crate::bus::Bank([Timer, Thermal, Performance, Lint0, Lint1, Error, Cmci])[n]
    }

    /// The bits of its entry that are kept; bit 18 of the timer's is there where there is TSC-deadline mode.
    fn kept(self, tsc_deadline: bool) -> u32 {
        let more = match self {
            Source::Timer => 1 << 17 | u32::from(tsc_deadline) << 18,
            Source::Thermal | Source::Performance | Source::Cmci => 0x700,
            Source::Lint0 | Source::Lint1 => 0x700 | ACTIVE_LOW | LEVEL,
            Source::Error => 0,
        };
        MASK | 0xff | more
    }

    /// The bits of its entry that may be written in x2APIC mode: those that are read-only too.
    pub(super) fn writable(self, tsc_deadline: bool) -> u32 {
        let read_only = match self {
            Source::Lint0 | Source::Lint1 => STATUS | REMOTE_IRR,
            _ => STATUS,
        };
        self.kept(tsc_deadline) | read_only
    }
}

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
