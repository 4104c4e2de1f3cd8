//! PL031 real-time clock: Arm PrimeCell Real Time Clock (PL031) Technical Reference Manual, DDI 0224.
//!
//! Counts seconds. It keeps running while the machine is off: after reset it reads as wall time (seconds since
//! 1970-01-01 UTC), and a guest that sets it shifts it from there. The counter is always enabled.

use crate::bus::{At, Clock, Irq, Registers, Shared, Timer, Wiring};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

crate::regs! {
    /// Data: the present time in seconds (3.3.1)
    0x000 RTCDR   Ro
    /// Match: the time of the alarm (3.3.2)
    0x004 RTCMR   Rw
    /// Load: sets the time (3.3.3)
    0x008 RTCLR   Rw
    /// Control: reads as enabled (3.3.4)
    0x00c RTCCR   Rw
    /// Interrupt mask (3.3.5)
    0x010 RTCIMSC Rw
    /// Raw interrupt status (3.3.6)
    0x014 RTCRIS  Ro
    /// Masked interrupt status (3.3.7)
    0x018 RTCMIS  Ro
    /// Interrupt clear (3.3.8)
    0x01c RTCICR  Wo
    /// Peripheral and PrimeCell identification (3.3.9, 3.3.10)
    0xfe0 ID[8]   Ro
}

const ID: [u8; 8] = [0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];
const SECOND: u64 = 1_000_000_000;

/// Everything a snapshot holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// Seconds that the guest's time is ahead of wall time, modulo 2^32.
    ahead: u32,
    mr: u32,
    lr: u32,
    imsc: u32,
    ris: u32,
    /// The alarm has been set and has not gone off.
    alarm: bool,
    /// The time at the last look for the alarm, while it is set.
    looked: u32,
}

/// The clock: state plus wiring.
pub struct Pl031 {
    state: State,
    irq: Irq,
    clock: Clock,
    timer: Timer,
}

impl Pl031 {
    /// A real-time clock that shows the wall time of `clock` and drives `irq`.
    pub fn new(wiring: &Arc<Wiring>, clock: &Clock, irq: Irq) -> Shared<Pl031> {
        Shared::new_cyclic(wiring, |this| Pl031 {
            state: State::default(),
            irq,
            clock: clock.clone(),
            timer: clock.timer(move || {
                this.with(Pl031::update);
            }),
        })
    }

    /// The present time, in seconds.
    fn now(&self) -> u32 {
        ((self.clock.wall_ns() / SECOND) as u32).wrapping_add(self.state.ahead)
    }

    /// Lets the alarm go off if the time has reached it since the last look, else sets the timer for it.
    fn watch_alarm(&mut self) {
        let now = self.now();
        let s = &mut self.state;
        if !s.alarm {
            return self.timer.cancel();
        }
        let passed = now.wrapping_sub(std::mem::replace(&mut s.looked, now));
        let left = s.mr.wrapping_sub(now);
        // Host time may step back: then nothing has been reached.
        let reached = left == 0 || passed <= i32::MAX as u32 && left.wrapping_neg() < passed;
        if reached {
            s.alarm = false;
            s.ris = 1;
            self.timer.cancel();
        } else {
            let in_this_second = self.clock.wall_ns() % SECOND;
            self.timer
                .arm(self.clock.now_ns() + u64::from(left) * SECOND - in_this_second);
        }
    }
}

impl Registers for Pl031 {
    const MODEL: &'static str = "pl031";
    type Reg = Reg;
    type State = State;

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn get(&mut self, reg: Reg, at: At) -> u64 {
        let value = match reg {
            Reg::RTCDR => self.now(),
            Reg::RTCMR => self.state.mr,
            Reg::RTCLR => self.state.lr,
            Reg::RTCCR => 1,
            Reg::RTCIMSC => self.state.imsc,
            Reg::RTCRIS => self.state.ris,
            Reg::RTCMIS => self.state.ris & self.state.imsc,
            Reg::ID => ID.get(at.n).copied().unwrap_or(0).into(),
            Reg::RTCICR => 0,
        };
        value.into()
    }

    fn put(&mut self, reg: Reg, _at: At, value: u64) {
        let value = value as u32;
        match reg {
            Reg::RTCMR => {
                self.state.mr = value;
                self.state.alarm = true;
                self.state.looked = self.now();
            }
            Reg::RTCLR => {
                self.state.lr = value;
                self.state.ahead = self.state.ahead.wrapping_add(value.wrapping_sub(self.now()));
                self.state.looked = value;
            }
            Reg::RTCIMSC => self.state.imsc = value & 1,
            Reg::RTCICR => self.state.ris &= !value,
            Reg::RTCDR | Reg::RTCCR | Reg::RTCRIS | Reg::RTCMIS | Reg::ID => {}
        }
    }

    fn update(&mut self) {
        self.watch_alarm();
        self.irq.set(self.state.ris & self.state.imsc != 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Access, Lines, fuzz};

    /// 2023-11-14 22:13:20.25 UTC.
    const EPOCH: u64 = 1_700_000_000;

    fn bench() -> (Shared<Pl031>, Clock, Arc<Lines>) {
        let (wiring, clock) = (Wiring::new(), Clock::manual(EPOCH * SECOND + SECOND / 4));
        let lines = Lines::new(&wiring, 1);
        (Pl031::new(&wiring, &clock, lines.irq(0)), clock, lines)
    }

    fn get(rtc: &Shared<Pl031>, offset: u64) -> u64 {
        rtc.read(Access::new(offset, 4))
    }

    fn set(rtc: &Shared<Pl031>, offset: u64, value: u64) {
        rtc.write(Access::new(offset, 4), value);
    }

    #[test]
    fn it_shows_wall_time_and_can_be_set() {
        let (rtc, clock, _) = bench();
        assert_eq!(get(&rtc, 0), EPOCH);

        set(&rtc, 0x08, 1_000);
        clock.advance(5 * SECOND);

        assert_eq!(get(&rtc, 0), 1_005);
        assert_eq!(get(&rtc, 0x08), 1_000);
    }

    #[test]
    fn the_alarm_goes_off_on_the_second() {
        let (rtc, clock, lines) = bench();
        set(&rtc, 0x10, 1);
        set(&rtc, 0x04, EPOCH + 2);

        clock.advance(SECOND * 7 / 4 - 1);
        assert!(!lines.level(0));
        clock.advance(1);
        assert!(lines.level(0));

        set(&rtc, 0x1c, 1);
        clock.advance(10 * SECOND);
        assert!(!lines.level(0));
    }

    #[test]
    fn identification_and_registers() {
        let (rtc, ..) = bench();

        let id: Vec<u64> = (0..8).map(|n| get(&rtc, 0xfe0 + 4 * n)).collect();
        assert_eq!(id, [0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
        for (offset, written, kept) in [
            (0x04, 0x1234_5678, 0x1234_5678),
            (0x0c, 0, 1),
            (0x10, 0xffff_fffe, 0),
            (0x10, 0xffff_ffff, 1),
            (0x10, 0, 0),
        ] {
            set(&rtc, offset, written);
            assert_eq!(get(&rtc, offset), kept, "{offset:#x}");
        }
    }

    #[test]
    fn the_interrupt_is_masked_and_cleared_by_its_bit() {
        let (rtc, _, lines) = bench();
        set(&rtc, 0x04, EPOCH);
        let now = || (get(&rtc, 0x14), get(&rtc, 0x18), lines.level(0));

        assert_eq!(now(), (1, 0, false));
        set(&rtc, 0x10, 1);
        assert_eq!(now(), (1, 1, true));
        set(&rtc, 0x1c, 2);
        assert_eq!(now(), (1, 1, true));
        set(&rtc, 0x1c, 1);
        assert_eq!(now(), (0, 0, false));
    }

    #[test]
    fn an_alarm_that_the_time_is_set_past_waits_for_the_next_round() {
        let (rtc, clock, lines) = bench();
        set(&rtc, 0x10, 1);
        set(&rtc, 0x04, EPOCH + 10);

        set(&rtc, 0x08, EPOCH + 20);
        clock.advance(100 * SECOND);
        assert!(!lines.level(0));
        set(&rtc, 0x08, EPOCH + 9);
        clock.advance(SECOND);

        assert!(lines.level(0));
    }

    #[test]
    fn an_alarm_for_now_is_due() {
        let (rtc, _, lines) = bench();
        set(&rtc, 0x10, 1);

        set(&rtc, 0x04, EPOCH);

        assert!(lines.level(0));
        assert_eq!(get(&rtc, 0x18), 1);
    }

    #[test]
    fn setting_the_time_moves_the_alarm() {
        let (rtc, clock, lines) = bench();
        set(&rtc, 0x10, 1);
        set(&rtc, 0x04, EPOCH + 1_000_000);

        set(&rtc, 0x08, EPOCH + 999_999);
        clock.advance(SECOND);

        assert!(lines.level(0));
    }

    #[test]
    fn alarm_and_interrupt_survive_save_reset_load() {
        let (rtc, clock, lines) = bench();
        set(&rtc, 0x10, 1);
        set(&rtc, 0x04, EPOCH + 2);
        let saved = rtc.save();

        rtc.reset();
        clock.advance(3 * SECOND);
        assert!(!lines.level(0));
        rtc.load(&saved).unwrap();

        assert!(lines.level(0), "an alarm that came due meanwhile");
    }

    #[test]
    #[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
    fn any_access_is_survived() {
        let offsets: Vec<u64> = (0..0x24).step_by(4).chain([0xfe0]).collect();
        for seed in 0..4 {
            let ((rtc, ..), (other, ..)) = (bench(), bench());
            rtc.with(|rtc| other.with(|other| fuzz::registers(seed, rtc, other, &offsets, 0x1000, |_, _| {})));
        }
    }
}
