//! Real-time clock and CMOS RAM of a PC: Motorola MC146818 data sheet, with 128 bytes, the century at 32h and an index
//! register whose bit 7 masks NMI (ICH data sheet, "RTC index").
//!
//! It keeps running while the machine is off: it shows the wall time in UTC, and a guest that sets it shifts it from there.
//! Its registers hold what the guest has written until the next update, which counts on from there. Periodic interrupts
//! are counted in guest time.
//!
//! The crystal has 32.768 kHz: other dividers than that for it count as it. Nothing is at SQW; daylight saving (DSE) is only
//! a bit, as in the controller hubs.

mod calendar;
#[cfg(test)]
mod tests;

use crate::bus::misuse::{self, Misuse};
use crate::bus::{At, Bank, Clock, Irq, Registers, Shared, Timer, Wiring};
use calendar::{Alarm, DAY, Form};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

// A register's offset is its port less 70h.
crate::regs! {
    /// Index of the byte at DATA; bit 7 masks NMI
    0 INDEX: u8 Rw
    /// The byte
    1 DATA: u8  Rw
}

const MODEL: &str = "mc146818";
const SECOND: u64 = 1_000_000_000;
/// The crystal, in Hz.
const CRYSTAL: u128 = 32_768;
/// How long before a second begins UIP shows it, in nanoseconds: 244 us, and 1,984 us that the update itself takes.
const UIP_NS: u64 = 244_000 + 1_984_000;
/// Bit of INDEX; reset sets it.
const NMI_MASKED: u8 = 1 << 7;
/// What a port reads as that is written only.
const FLOATING: u8 = 0xff;

/// Bytes of the RAM that are registers ("Address map").
pub mod cell {
    /// Seconds.
    pub const SECONDS: u8 = 0x00;
    /// Seconds of the alarm.
    pub const SECONDS_ALARM: u8 = 0x01;
    /// Minutes.
    pub const MINUTES: u8 = 0x02;
    /// Minutes of the alarm.
    pub const MINUTES_ALARM: u8 = 0x03;
    /// Hours.
    pub const HOURS: u8 = 0x04;
    /// Hours of the alarm.
    pub const HOURS_ALARM: u8 = 0x05;
    /// Day of the week: 1 is Sunday.
    pub const DAY_OF_WEEK: u8 = 0x06;
    /// Day of the month.
    pub const DAY_OF_MONTH: u8 = 0x07;
    /// Month.
    pub const MONTH: u8 = 0x08;
    /// Year of the century.
    pub const YEAR: u8 = 0x09;
    /// Register A.
    pub const A: u8 = 0x0a;
    /// Register B.
    pub const B: u8 = 0x0b;
    /// Register C.
    pub const C: u8 = 0x0c;
    /// Register D.
    pub const D: u8 = 0x0d;
    /// The first byte that is RAM.
    pub const RAM: u8 = 0x0e;
    /// The century, where PCs have it.
    pub const CENTURY: u8 = 0x32;
}
mod a {
    /// The divider for the crystal, and the rate of 1,024 Hz.
    pub const INITIAL: u8 = 0x26;
    pub const RS: u8 = 0x0f;
    pub const DV: u8 = 0x70;
    pub const DV_32_KHZ: u8 = 0x20;
    /// Both of these: the divider is held in reset.
    pub const DV_RESET: u8 = 0x60;
    pub const UIP: u8 = 1 << 7;
}
mod b {
    pub const LONG_DAY: u8 = 1 << 1;
    pub const BINARY: u8 = 1 << 2;
    pub const SQWE: u8 = 1 << 3;
    pub const UIE: u8 = 1 << 4;
    pub const AIE: u8 = 1 << 5;
    pub const PIE: u8 = 1 << 6;
    pub const SET: u8 = 1 << 7;
}
/// Register C; the flags stand where B has their enables.
mod c {
    pub const UF: u8 = 1 << 4;
    pub const AF: u8 = 1 << 5;
    pub const PF: u8 = 1 << 6;
    pub const IRQF: u8 = 1 << 7;
    pub const FLAGS: u8 = UF | AF | PF;
}
mod d {
    /// The battery has lasted.
    pub const VRT: u8 = 1 << 7;
}

/// Everything a snapshot holds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// INDEX, as written.
    index: u8,
    /// All bytes; those of C and D are not used.
    ram: Bank<Bank<u8, 32>, 4>,
    /// The flags of register C.
    flags: u8,
    /// Nanoseconds that the seconds begin before those of wall time.
    phase: u64,
    /// The second, of wall time and `phase`, that the time in `ram` belongs to.
    updated: u64,
    /// Guest time at which the divider was started, in nanoseconds.
    started: u64,
    /// Guest time of the last look for periodic interrupts, in nanoseconds.
    looked: u64,
}

/// The clock: state plus wiring.
pub struct Mc146818 {
    state: State,
    irq: Irq,
    nmi_mask: Irq,
    clock: Clock,
    timer: Timer,
}

impl Mc146818 {
    /// A real-time clock that shows the wall time of `clock`, and drives `irq` and, while the guest masks NMI, `nmi_mask`.
    pub fn new(wiring: &Arc<Wiring>, clock: &Clock, irq: Irq, nmi_mask: Irq) -> Shared<Mc146818> {
        let rtc = Shared::new_cyclic(wiring, |this| {
            let mut rtc = Mc146818 {
                state: State::default(),
                irq,
                nmi_mask,
                clock: clock.clone(),
                timer: clock.timer(move || {
                    this.with(Mc146818::update);
                }),
            };
            rtc.state = rtc.factory_state();
            rtc
        });
        rtc.with(Mc146818::update);
        rtc
    }

    /// Sets a byte of the RAM (0Eh to 7Fh; others are ignored), as the firmware finds it.
    pub fn set_ram(&mut self, index: u8, value: u8) {
        if (cell::RAM..0x80).contains(&index) {
            self.state.set(index, value);
        }
    }

    /// A byte of the RAM, as the guest finds it.
    pub fn ram(&self, index: u8) -> u8 {
        self.state.at(index)
    }

    /// The state of a chip whose battery is new: it shows wall time.
    fn factory_state(&self) -> State {
        let mut state = State {
            index: NMI_MASKED,
            looked: self.clock.now_ns(),
            ..State::default()
        };
        state.set(cell::A, a::INITIAL);
        state.set(cell::B, b::LONG_DAY);
        state.updated = self.clock.wall_ns() / SECOND;
        // Its calendar begins on Thursday, 1970-01-01.
        for (cell, value) in [
            (cell::DAY_OF_WEEK, 5),
            (cell::DAY_OF_MONTH, 1),
            (cell::MONTH, 1),
            (cell::YEAR, 0x70),
            (cell::CENTURY, 0x19),
        ] {
            state.set(cell, value);
        }
        state.step(state.updated as i64);
        state
    }

    /// The present second, and the nanoseconds since it began.
    fn second(&self) -> (u64, u64) {
        let ns = self.clock.wall_ns().saturating_add(self.state.phase);
        (ns / SECOND, ns % SECOND)
    }

    /// Brings time and flags to the present.
    fn catch_up(&mut self) {
        let (now, (second, _)) = (self.clock.now_ns(), self.second());
        let s = &mut self.state;
        let looked = std::mem::replace(&mut s.looked, now);
        if s.period()
            .is_some_and(|period| s.ticks(now) / period > s.ticks(looked) / period)
        {
            s.flags |= c::PF;
        }
        let passed = second.wrapping_sub(s.updated) as i64;
        s.updated = second;
        if passed == 0 || !s.updates() {
            return;
        }
        // Wall time may step back: then the time does, too, and nothing has happened.
        if passed > 0 {
            s.flags |= c::UF;
            if s.alarm().is_some_and(|alarm| alarm.after(s.time_of_day()) <= passed) {
                s.flags |= c::AF;
            }
        }
        s.step(passed);
    }

    /// The guest time at which something interrupts next.
    fn due(&self) -> Option<u64> {
        let s = &self.state;
        let waits = |flag: u8| s.at(cell::B) & flag != 0 && s.flags & flag == 0;
        let periodic = s.period().filter(|_| waits(c::PF)).map(|period| {
            let next = (s.ticks(s.looked) / period + 1) * period;
            let ns = (next * u128::from(SECOND)).div_ceil(CRYSTAL);
            s.started.saturating_add(u64::try_from(ns).unwrap_or(u64::MAX))
        });
        let next_second = self.clock.now_ns().saturating_add(SECOND - self.second().1);
        let update = (s.updates() && waits(c::UF)).then_some(next_second);
        let alarm = s.alarm().filter(|_| s.updates() && waits(c::AF)).map(|alarm| {
            let seconds = alarm.after(s.time_of_day()) as u64 - 1;
            next_second.saturating_add(seconds * SECOND)
        });
        [periodic, update, alarm].into_iter().flatten().min()
    }

    fn write_a(&mut self, value: u8) {
        let ran = self.state.runs();
        self.state.set(cell::A, value & !a::UIP);
        if value & a::DV != a::DV_32_KHZ && self.state.runs() {
            let what = Misuse::BadValue("divider for another crystal (counts as that for 32.768 kHz)");
            misuse::report(MODEL, what, cell::A.into(), value.into());
        }
        // A divider that is started has its first second over after half of one.
        if !ran && self.state.runs() {
            self.state.phase = (SECOND + SECOND / 2 - self.clock.wall_ns() % SECOND) % SECOND;
            self.state.updated = self.second().0;
            self.state.started = self.clock.now_ns();
        }
    }

    fn read(&mut self, index: u8) -> u8 {
        let value = self.state.at(index);
        match index {
            cell::A if self.state.updates() && SECOND - self.second().1 <= UIP_NS => value | a::UIP,
            cell::C => {
                let interrupts = if self.state.interrupts() { c::IRQF } else { 0 };
                std::mem::take(&mut self.state.flags) | interrupts
            }
            cell::D => d::VRT,
            _ => value,
        }
    }

    fn write(&mut self, index: u8, value: u8) {
        match index {
            cell::A => self.write_a(value),
            // SET going high clears UIE.
            cell::B if value & b::SET != 0 => self.state.set(cell::B, value & !b::UIE),
            cell::C | cell::D => misuse::report(MODEL, Misuse::WriteReadOnly, index.into(), value.into()),
            _ => self.state.set(index, value),
        }
    }
}

impl State {
    fn at(&self, index: u8) -> u8 {
        self.ram[usize::from(index >> 5)][usize::from(index & 31)]
    }

    fn set(&mut self, index: u8, value: u8) {
        self.ram[usize::from(index >> 5)][usize::from(index & 31)] = value;
    }

    fn form(&self) -> Form {
        let value = self.at(cell::B);
        Form {
            binary: value & b::BINARY != 0,
            long_day: value & b::LONG_DAY != 0,
        }
    }

    /// Whether the divider runs.
    fn runs(&self) -> bool {
        self.at(cell::A) & a::DV_RESET != a::DV_RESET
    }

    /// Whether the time is updated once a second.
    fn updates(&self) -> bool {
        self.runs() && self.at(cell::B) & b::SET == 0
    }

    /// Periods of the crystal, since the divider was started, at guest time `ns`.
    fn ticks(&self, ns: u64) -> u128 {
        u128::from(ns.saturating_sub(self.started)) * CRYSTAL / u128::from(SECOND)
    }

    /// Periods of the crystal from one periodic interrupt to the next ("Periodic interrupt rates").
    fn period(&self) -> Option<u128> {
        match self.at(cell::A) & a::RS {
            _ if !self.runs() => None,
            0 => None,
            rate @ (1 | 2) => Some(1 << (rate + 6)),
            rate => Some(1 << (rate - 1)),
        }
    }

    fn alarm(&self) -> Option<Alarm> {
        let bytes = [cell::SECONDS_ALARM, cell::MINUTES_ALARM, cell::HOURS_ALARM].map(|cell| self.at(cell));
        Alarm::new(self.form(), bytes)
    }

    fn time_of_day(&self) -> i64 {
        let form = self.form();
        let [second, minute] = [cell::SECONDS, cell::MINUTES].map(|cell| form.decode(self.at(cell)));
        (form.decode_hour(self.at(cell::HOURS)) * 3600 + minute * 60 + second) % DAY
    }

    /// Moves the time on, or back.
    fn step(&mut self, seconds: i64) {
        let form = self.form();
        let total = self.time_of_day().saturating_add(seconds);
        let (days, time) = (total.div_euclid(DAY), total.rem_euclid(DAY));
        self.set(cell::SECONDS, form.encode(time % 60));
        self.set(cell::MINUTES, form.encode(time / 60 % 60));
        self.set(cell::HOURS, form.encode_hour(time / 3600));
        if days != 0 {
            self.step_date(days);
        }
    }

    fn step_date(&mut self, days: i64) {
        let form = self.form();
        let [year, month, day, century] =
            [cell::YEAR, cell::MONTH, cell::DAY_OF_MONTH, cell::CENTURY].map(|cell| form.decode(self.at(cell)));
        let before = calendar::days_to(century * 100 + year, month.clamp(1, 12), day.clamp(1, 31));
        let (new_year, month, day) = calendar::date(before.saturating_add(days));
        self.set(cell::DAY_OF_MONTH, form.encode(day));
        self.set(cell::MONTH, form.encode(month));
        self.set(cell::YEAR, form.encode(new_year));
        // Some guests have something else there: it changes with the century only.
        if new_year.div_euclid(100) != century {
            self.set(cell::CENTURY, form.encode(new_year.div_euclid(100)));
        }
        let week_day = i64::from(self.at(cell::DAY_OF_WEEK)) + days % 7;
        self.set(cell::DAY_OF_WEEK, (week_day - 1).rem_euclid(7) as u8 + 1);
    }

    fn interrupts(&self) -> bool {
        self.flags & self.at(cell::B) & c::FLAGS != 0
    }
}

impl Registers for Mc146818 {
    const MODEL: &'static str = MODEL;
    type Reg = Reg;
    type State = State;

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    /// The battery keeps all but what the chip's RESET pin clears. NMI is masked.
    fn initial(&mut self) -> State {
        self.catch_up();
        let mut state = self.state.clone();
        let enables = b::PIE | b::AIE | b::UIE | b::SQWE;
        state.set(cell::B, state.at(cell::B) & !enables);
        State {
            flags: 0,
            index: NMI_MASKED,
            ..state
        }
    }

    fn check(&self, state: &State) -> Result<(), String> {
        if state.phase >= SECOND {
            return Err(format!("seconds that begin {} ns early", state.phase));
        }
        Ok(())
    }

    fn get(&mut self, reg: Reg, _at: At) -> u64 {
        self.catch_up();
        let value = match reg {
            Reg::INDEX => FLOATING,
            Reg::DATA => self.read(self.state.index & !NMI_MASKED),
        };
        value.into()
    }

    fn put(&mut self, reg: Reg, _at: At, value: u64) {
        self.catch_up();
        let value = value as u8;
        match reg {
            Reg::INDEX => self.state.index = value,
            Reg::DATA => self.write(self.state.index & !NMI_MASKED, value),
        }
    }

    fn update(&mut self) {
        self.catch_up();
        self.timer.set(self.due());
        self.nmi_mask.set(self.state.index & NMI_MASKED != 0);
        self.irq.set(self.state.interrupts());
    }
}
