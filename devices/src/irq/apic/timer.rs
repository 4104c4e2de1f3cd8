//! The timer: SDM volume 3, sections "APIC Timer" and "TSC-Deadline Mode".
//!
//! Nothing counts: the count follows from the machine's clock. Its ticks are kept undivided, so that a period is exact.

use super::Rate;
use serde::{Deserialize, Serialize};

/// What the LVT entry has the timer do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    OneShot,
    Periodic,
    Deadline,
    /// The encoding that is left.
    Reserved,
}

impl Mode {
    pub fn of(lvt: u32) -> Mode {
        match lvt >> 17 & 3 {
            0 => Mode::OneShot,
            1 => Mode::Periodic,
            2 => Mode::Deadline,
            _ => Mode::Reserved,
        }
    }
}

/// Everything a snapshot holds of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Timer {
    /// The initial count.
    pub initial: u32,
    /// The divide configuration register.
    pub divide: u32,
    /// It counts down.
    counts: bool,
    /// The count there was at tick `since` of the undivided input.
    count: u32,
    since: u64,
    /// IA32_TSC_DEADLINE; 0 is disarmed.
    pub deadline: u64,
}

impl Timer {
    /// Ticks of the input for one of the count: bits 0, 1 and 3 of the divide configuration.
    fn divisor(&self) -> u64 {
        let encoded = self.divide >> 1 & 4 | self.divide & 3;
        1 << ((encoded + 1) % 8)
    }

    /// The count at a tick of the input.
    pub fn current(&self, tick: u64) -> u32 {
        let passed = tick.saturating_sub(self.since) / self.divisor();
        match self.counts {
            true => u64::from(self.count).saturating_sub(passed) as u32,
            false => 0,
        }
    }

    /// Writes the initial count: 0 stops, others start.
    pub fn start(&mut self, initial: u32, tick: u64) {
        self.initial = initial;
        self.counts = initial != 0;
        (self.count, self.since) = (initial, tick);
    }

    /// Writes the divide configuration; the count goes on from where it is.
    pub fn set_divide(&mut self, divide: u32, tick: u64) {
        if divide != self.divide {
            (self.count, self.since) = (self.current(tick), tick);
            self.divide = divide;
        }
    }

    /// Another mode: nothing is armed.
    pub fn disarm(&mut self) {
        let divide = self.divide;
        *self = Timer {
            divide,
            ..Timer::default()
        };
    }

    /// The tick of the input at which the count is down.
    fn end(&self) -> u64 {
        self.since
            .saturating_add(u64::from(self.count).saturating_mul(self.divisor()))
    }

    /// Whether the time has come since the last look, however often; one-shot ends with it.
    pub fn expired(&mut self, mode: Mode, tick: u64, tsc: u64) -> bool {
        match mode {
            Mode::Deadline if self.deadline != 0 && tsc >= self.deadline => {
                self.deadline = 0;
                true
            }
            Mode::OneShot if self.counts && tick >= self.end() => {
                self.counts = false;
                true
            }
            Mode::Periodic if self.counts && tick >= self.end() => {
                let period = u64::from(self.initial).max(1) * self.divisor();
                let first = self.end();
                self.since = first + (tick - first) / period * period;
                self.count = self.initial;
                true
            }
            _ => false,
        }
    }

    /// The guest time at which it expires next, in nanoseconds. `ahead`: what the CPU's TSC is ahead of the machine's,
    /// modulo 2^64; `now`: the present time.
    pub fn next(&self, mode: Mode, rates: (Rate, Rate), ahead: u64, now: u64) -> Option<u64> {
        let (input, tsc) = rates;
        match mode {
            Mode::OneShot | Mode::Periodic if self.counts => Some(input.nanoseconds(self.end())),
            Mode::Deadline if self.deadline != 0 => {
                let tick = tsc.ticks(now);
                let left = self.deadline.saturating_sub(tick.wrapping_add(ahead));
                Some(tsc.nanoseconds(tick.saturating_add(left)))
            }
            _ => None,
        }
    }
}
