//! One counter of an 8254: its six modes, counted in whole pulses of its clock.
//!
//! Nothing runs between accesses: a counter is brought to the present pulse when somebody looks
//! ([`advance`](Channel::advance)), and says at which pulse its output changes next.

use crate::bus::misuse::{self, Misuse};
use serde::{Deserialize, Serialize};

/// Control word, but for the number of the counter.
mod control {
    pub const BCD: u8 = 1 << 0;
    pub const ALL: u8 = 0x3f;
}

/// What of a count is read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    /// The lower byte; the other is 0.
    Low,
    /// The upper byte; the other is 0.
    High,
    /// The lower one, then the upper one.
    Both,
}

/// The data sheet's "Mode definitions".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// 0: interrupt on terminal count.
    TerminalCount,
    /// 1: hardware retriggerable one-shot.
    OneShot,
    /// 2: rate generator.
    Rate,
    /// 3: square wave.
    Square,
    /// 4: software triggered strobe.
    Strobe,
    /// 5: hardware triggered strobe.
    TriggeredStrobe,
}

/// A counter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// RW, M and BCD of its control word.
    pub control: u8,
    /// The count register, as it was written.
    count: u16,
    /// The first byte of a count of two.
    #[serde(deserialize_with = "Option::deserialize")]
    first: Option<u8>,
    /// The next read is of the upper byte.
    reads_high: bool,
    /// The latched count.
    #[serde(deserialize_with = "Option::deserialize")]
    latched: Option<u16>,
    /// The latched status.
    #[serde(deserialize_with = "Option::deserialize")]
    status: Option<u8>,
    /// The count that was written last has not gone into the counting element.
    null: bool,
    /// A count has been written since the control word.
    written: bool,
    pub gate: bool,
    pub out: bool,
    /// The counting element after the pulse `at`, up to 65,536, which it shows as 0.
    pub element: u32,
    /// The pulse that it has been brought to.
    at: u64,
    /// The pulse that loads the counting element.
    #[serde(deserialize_with = "Option::deserialize")]
    load_at: Option<u64>,
    /// The counting element has been loaded since the control word.
    counting: bool,
    /// Modes 0, 1, 4 and 5: the terminal count is still to come.
    armed: bool,
    /// OUT is low for one pulse.
    strobes: bool,
    /// Mode 3: the count of this half of the wave is odd.
    odd: bool,
}

impl Channel {
    /// A counter after power-on, where the data sheet leaves open what it does: in mode 0, without a count.
    pub fn new(gate: bool) -> Channel {
        Channel {
            control: 0x30,
            count: 0,
            first: None,
            reads_high: false,
            latched: None,
            status: None,
            null: true,
            written: false,
            gate,
            out: false,
            element: 0,
            at: 0,
            load_at: None,
            counting: false,
            armed: false,
            strobes: false,
            odd: false,
        }
    }

    fn bytes(&self) -> Bytes {
        match self.control >> 4 & 3 {
            1 => Bytes::Low,
            2 => Bytes::High,
            _ => Bytes::Both,
        }
    }

    fn mode(&self) -> Mode {
        match self.control >> 1 & 7 {
            0 => Mode::TerminalCount,
            1 => Mode::OneShot,
            2 | 6 => Mode::Rate,
            3 | 7 => Mode::Square,
            4 => Mode::Strobe,
            _ => Mode::TriggeredStrobe,
        }
    }

    /// Counts that there are: the counting element starts over after as many.
    fn modulus(&self) -> u32 {
        if self.control & control::BCD != 0 {
            10_000
        } else {
            0x1_0000
        }
    }

    /// The count to begin with: 0 is the largest.
    fn initial(&self) -> u32 {
        let count = match self.control & control::BCD != 0 {
            true => [12, 8, 4, 0]
                .iter()
                .fold(0, |sum, shift| 10 * sum + u32::from(self.count >> shift & 0xf)),
            false => self.count.into(),
        };
        match count % self.modulus() {
            0 => self.modulus(),
            count => count,
        }
    }

    /// The counting element as it is read.
    fn value(&self) -> u16 {
        let value = self.element % self.modulus();
        match self.control & control::BCD != 0 {
            true => [1000, 100, 10, 1]
                .iter()
                .fold(0, |sum, one| sum << 4 | (value / one % 10) as u16),
            false => value as u16,
        }
    }

    /// Whether the pulses count.
    fn counts(&self) -> bool {
        self.counting && (self.gate || matches!(self.mode(), Mode::OneShot | Mode::TriggeredStrobe))
    }

    /// Mode 3: pulses to the end of this half. With an odd count the first half is one longer.
    fn half(&self) -> u64 {
        u64::from(self.element / 2) + u64::from(self.odd && self.out)
    }

    /// Brings the counter to the pulse `to`. Whether OUT has risen on the way.
    pub fn advance(&mut self, to: u64) -> bool {
        let mut rose = false;
        if let Some(load) = self.load_at.filter(|&load| load <= to) {
            rose |= self.run(load.saturating_sub(1));
            let was = self.out;
            self.load();
            self.at = self.at.max(load);
            rose |= self.out && !was;
        }
        rose | self.run(to)
    }

    /// The pulses up to `to` count, if any do.
    fn run(&mut self, to: u64) -> bool {
        let pulses = to.saturating_sub(self.at);
        if pulses == 0 {
            return false;
        }
        self.at = to;
        let ended = std::mem::take(&mut self.strobes);
        self.out |= ended;
        ended
            | match self.mode() {
                _ if !self.counts() => false,
                Mode::Rate => self.run_rate(pulses),
                Mode::Square => self.run_square(pulses),
                _ => self.run_down(pulses),
            }
    }

    /// Modes 0, 1, 4 and 5: down to the terminal count, and on from the largest.
    fn run_down(&mut self, pulses: u64) -> bool {
        let (element, modulus) = (u64::from(self.element), u64::from(self.modulus()));
        self.element = ((element + modulus - pulses % modulus) % modulus) as u32;
        if !self.armed || pulses < element {
            return false;
        }
        self.armed = false;
        match self.mode() {
            Mode::Strobe | Mode::TriggeredStrobe if pulses == element => {
                self.out = false;
                self.strobes = true;
                false
            }
            _ => {
                self.out = true;
                true
            }
        }
    }

    /// Mode 2: OUT is low while the counting element is 1; the next pulse loads it again.
    fn run_rate(&mut self, pulses: u64) -> bool {
        let element = u64::from(self.element);
        let again = pulses >= element;
        if again {
            let Some(period) = self.reload() else { return true };
            self.element = period - ((pulses - element) % u64::from(period)) as u32;
        } else {
            self.element -= pulses as u32;
        }
        self.out = self.element != 1;
        again
    }

    /// Mode 3: the counting element goes down by 2, and is loaded again for each half.
    fn run_square(&mut self, mut pulses: u64) -> bool {
        let mut rose = false;
        if pulses >= self.half() {
            pulses -= self.half();
            self.out = !self.out;
            rose |= self.out;
            let Some(period) = self.reload() else { return rose };
            // What whole waves do to OUT is done by their last two halves.
            if pulses >= u64::from(period) {
                pulses %= u64::from(period);
                rose = true;
            }
            while pulses >= self.half() {
                pulses -= self.half();
                self.out = !self.out;
                rose |= self.out;
                self.element = period & !1;
            }
        }
        self.element = self.element.saturating_sub(2 * pulses as u32);
        rose
    }

    /// The counting element is loaded from the count register, in modes 2 and 3 again and again. None if it then stands
    /// still: for a count of 1, which the data sheet forbids in these modes.
    fn reload(&mut self) -> Option<u32> {
        let count = self.initial();
        self.null = false;
        self.odd = count & 1 != 0;
        self.element = match self.mode() {
            Mode::Square => count & !1,
            _ => count,
        };
        self.counting = count > 1 || !matches!(self.mode(), Mode::Rate | Mode::Square);
        self.out |= !self.counting;
        self.counting.then_some(count)
    }

    /// The pulse after a count or a trigger.
    fn load(&mut self) {
        self.load_at = None;
        self.strobes = false;
        self.armed = true;
        self.out = !matches!(self.mode(), Mode::TerminalCount | Mode::OneShot);
        self.reload();
    }

    /// The pulse at which OUT changes next, as far as it does by itself. Of a pulse that is low for one clock only, the
    /// end.
    pub fn next_change(&self) -> Option<u64> {
        let mut then = self.clone();
        if let Some(load) = self.load_at {
            if self.mode() == Mode::OneShot {
                return Some(load);
            }
            then.advance(load);
        }
        let element = u64::from(then.element);
        let left = match then.mode() {
            _ if then.strobes => 1,
            _ if !then.counts() => return None,
            Mode::Rate => element,
            Mode::Square => then.half(),
            _ if !then.armed => return None,
            Mode::TerminalCount | Mode::OneShot => element,
            Mode::Strobe | Mode::TriggeredStrobe => element + 1,
        };
        Some(then.at.saturating_add(left.max(1)))
    }

    /// GATE has this level after the pulse `now`, to which the counter was brought.
    pub fn set_gate(&mut self, gate: bool, now: u64) {
        if std::mem::replace(&mut self.gate, gate) == gate {
            return;
        }
        match self.mode() {
            Mode::TerminalCount | Mode::Strobe => {}
            Mode::Rate | Mode::Square if !gate => self.out = true,
            _ if gate && self.written => self.load_at = Some(now.saturating_add(1)),
            _ => {}
        }
    }

    /// A control word for this counter, other than a command to latch its count.
    pub fn write_control(&mut self, value: u8) {
        *self = Channel {
            control: value & control::ALL,
            count: self.count,
            element: self.element,
            at: self.at,
            ..Channel::new(self.gate)
        };
        self.out = self.mode() != Mode::TerminalCount;
    }

    /// A byte of a count, after the pulse `now`, to which the counter was brought.
    pub fn write_count(&mut self, byte: u8, now: u64) {
        let byte = u16::from(byte);
        self.count = match (self.bytes(), self.first.take()) {
            (Bytes::Low, _) => byte,
            (Bytes::High, _) => byte << 8,
            (Bytes::Both, Some(first)) => byte << 8 | u16::from(first),
            (Bytes::Both, None) => {
                self.first = Some(byte as u8);
                if self.mode() == Mode::TerminalCount {
                    self.out = false;
                    self.counting = false;
                    self.load_at = None;
                }
                return;
            }
        };
        self.written = true;
        self.null = true;
        let next = now.saturating_add(1);
        match self.mode() {
            Mode::TerminalCount => {
                self.out = false;
                self.load_at = Some(next);
            }
            Mode::Strobe => self.load_at = Some(next),
            Mode::Rate | Mode::Square => {
                if !self.counting {
                    self.load_at = Some(next);
                }
                if self.initial() == 1 {
                    let what = Misuse::BadValue("count of 1 in mode 2 or 3 (OUT stays high)");
                    misuse::report(super::MODEL, what, 0, 1);
                }
            }
            Mode::OneShot | Mode::TriggeredStrobe => {}
        }
    }

    /// Latches the count until it is read, if it is not latched already.
    pub fn latch_count(&mut self) {
        self.latched.get_or_insert(self.value());
    }

    /// Latches the status until it is read, if it is not latched already.
    pub fn latch_status(&mut self) {
        let status = u8::from(self.out) << 7 | u8::from(self.null) << 6 | self.control;
        self.status.get_or_insert(status);
    }

    /// Reads: the latched status, the latched count, or the counting element.
    pub fn read(&mut self) -> u8 {
        if let Some(status) = self.status.take() {
            return status;
        }
        let [low, high] = self.latched.unwrap_or_else(|| self.value()).to_le_bytes();
        let is_low = match self.bytes() {
            Bytes::Low => true,
            Bytes::High => false,
            Bytes::Both => {
                self.reads_high = !self.reads_high;
                self.reads_high
            }
        };
        if !self.reads_high {
            self.latched = None;
        }
        if is_low { low } else { high }
    }
}
