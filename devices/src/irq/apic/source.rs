//! What interrupts locally, and its entry in the local vector table: SDM volume 3, section "Local Vector Table".

/// The mask bit of an entry.
pub(super) const MASK: u32 = 1 << 16;
/// A level-triggered interrupt of LINT0 or LINT1 is in service; read-only.
pub(super) const REMOTE_IRR: u32 = 1 << 14;
/// Level-triggered.
pub(super) const LEVEL: u32 = 1 << 15;
/// The pin is active while low.
pub(super) const ACTIVE_LOW: u32 = 1 << 13;
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
    pub(super) fn kept(self, tsc_deadline: bool) -> u32 {
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
