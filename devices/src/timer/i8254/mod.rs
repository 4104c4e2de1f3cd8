//! The 8254 programmable interval timer of a PC (Intel 8254 data sheet, 231164), with the port that gates its third counter
//! and shows its output (ICH data sheet, "NMI Status and Control", port 61h).
//!
//! Its clock is a twelfth of 14.31818 MHz, which is 315/22 MHz: 105/88 MHz, or 21 pulses in 17,600 ns. The number of the
//! present pulse is computed from guest time, so that no error adds up. Counter 0 is at IRQ 0; counter 1, which refreshed
//! memory once, leads nowhere; counter 2 sounds the speaker, which is not there.

mod channel;
#[cfg(test)]
mod tests;

use crate::bus::misuse::{self, Misuse};
use crate::bus::{At, Clock, Irq, Registers, Shared, Timer, Wiring};
use channel::Channel;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

// A register's offset is its port less 40h: a board maps ports 40h to 43h and 61h.
crate::regs! {
    /// Counts and latched status
    0x00 COUNTER[3]: u8 Rw
    /// Control words, and the commands that latch
    0x03 CONTROL: u8    Wo
    /// Gate and output of counter 2, the speaker
    0x21 NMI_SC: u8     Rw
}

const MODEL: &str = "i8254";
/// Pulses in [`SPAN_NS`].
const PULSES: u128 = 21;
const SPAN_NS: u128 = 17_600;
/// Pulses between requests to refresh memory, as a PC programs counter 1.
const REFRESH: u64 = 18;

/// Port 61h.
mod nmi_sc {
    pub const GATE2: u8 = 1 << 0;
    /// Also: speaker data (1), and the enables of two sources of NMI that are not there (2, 3).
    pub const WRITABLE: u8 = 0x0f;
    pub const REFRESH: u8 = 1 << 4;
    pub const OUT2: u8 = 1 << 5;
}

/// Everything a snapshot holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    counters: [Channel; 3],
    nmi_sc: u8,
}

impl Default for State {
    fn default() -> State {
        State {
            counters: [true, true, false].map(Channel::new),
            nmi_sc: 0,
        }
    }
}

/// The timer: state plus wiring.
pub struct I8254 {
    state: State,
    irq: Irq,
    clock: Clock,
    timer: Timer,
}

/// The last pulse at guest time `ns`; the first one is at 0.
fn pulse(ns: u64) -> u64 {
    (u128::from(ns) * PULSES / SPAN_NS) as u64
}

/// The guest time of a pulse, in nanoseconds, rounded up.
fn ns_of(pulse: u64) -> u64 {
    u64::try_from((u128::from(pulse) * SPAN_NS).div_ceil(PULSES)).unwrap_or(u64::MAX)
}

impl I8254 {
    /// A timer that counts the guest time of `clock` and drives `irq` with the output of counter 0.
    pub fn new(wiring: &Arc<Wiring>, clock: &Clock, irq: Irq) -> Shared<I8254> {
        Shared::new_cyclic(wiring, |this| I8254 {
            state: State::default(),
            irq,
            clock: clock.clone(),
            timer: clock.timer(move || {
                this.with(I8254::update);
            }),
        })
    }

    /// Brings all counters to the present; returns its pulse.
    fn advance(&mut self) -> u64 {
        let now = pulse(self.clock.now_ns());
        let [zero, one, two] = &mut self.state.counters;
        let rose = zero.advance(now);
        one.advance(now);
        two.advance(now);
        // The line has been low in between, if only for a pulse.
        if rose && zero.out {
            self.irq.set(false);
            self.irq.set(true);
        }
        now
    }

    fn write_control(&mut self, value: u8) {
        let select = value >> 6;
        if select == 3 {
            return self.read_back(value);
        }
        let counters = &mut self.state.counters;
        if let Some(counter) = counters.get_mut(usize::from(select)) {
            match value >> 4 & 3 {
                0 => counter.latch_count(),
                _ => counter.write_control(value),
            }
        }
    }

    /// The read-back command: latches what its low bits 4 and 5 say, of the counters of bits 1 to 3.
    fn read_back(&mut self, value: u8) {
        for (n, counter) in self.state.counters.iter_mut().enumerate() {
            if value >> (1 + n) & 1 == 0 {
                continue;
            }
            if value & 1 << 5 == 0 {
                counter.latch_count();
            }
            if value & 1 << 4 == 0 {
                counter.latch_status();
            }
        }
        if value & 1 != 0 {
            misuse::report(
                MODEL,
                Misuse::BadValue("read-back with bit 0 set (ignored)"),
                3,
                value.into(),
            );
        }
    }

    fn read_nmi_sc(&self, now: u64) -> u8 {
        let [_, _, two] = &self.state.counters;
        let refresh = if (now / REFRESH) & 1 != 0 { nmi_sc::REFRESH } else { 0 };
        let out = if two.out { nmi_sc::OUT2 } else { 0 };
        self.state.nmi_sc | refresh | out
    }
}

impl Registers for I8254 {
    const MODEL: &'static str = MODEL;
    type Reg = Reg;
    type State = State;

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let gates = [true, true, state.nmi_sc & nmi_sc::GATE2 != 0];
        for (counter, gate) in state.counters.iter().zip(gates) {
            if counter.element > 0x1_0000 || counter.control > 0x3f || counter.gate != gate {
                return Err(format!("count {}, control {:#x}", counter.element, counter.control));
            }
        }
        Ok(())
    }

    fn get(&mut self, reg: Reg, at: At) -> u64 {
        let now = self.advance();
        let value = match reg {
            Reg::COUNTER => self.state.counters.get_mut(at.n).map_or(0, Channel::read),
            Reg::CONTROL => 0,
            Reg::NMI_SC => self.read_nmi_sc(now),
        };
        value.into()
    }

    fn put(&mut self, reg: Reg, at: At, value: u64) {
        let now = self.advance();
        let value = value as u8;
        match reg {
            Reg::COUNTER => {
                if let Some(counter) = self.state.counters.get_mut(at.n) {
                    counter.write_count(value, now);
                }
            }
            Reg::CONTROL => self.write_control(value),
            Reg::NMI_SC => {
                self.state.nmi_sc = value & nmi_sc::WRITABLE;
                let [_, _, two] = &mut self.state.counters;
                two.set_gate(value & nmi_sc::GATE2 != 0, now);
            }
        }
    }

    fn update(&mut self) {
        self.advance();
        let [zero, ..] = &self.state.counters;
        self.irq.set(zero.out);
        let due = zero.next_change().map(ns_of);
        self.timer.set(due);
    }
}
