//! The performance monitors, version 2 (Arm ARM DDI 0406C, C12): the cycle counter, and six event counters that count
//! cycles and software increments. A cycle is a nanosecond of virtual time; filtering by privilege is not counted by.

use super::table::Io;
use crate::cp15::{EVENTS, Pmu};
use crate::platform::{Timer, TimerOutput};

/// Event: software increment.
const SW_INCR: u32 = 0x00;
/// Event: cycle.
const CPU_CYCLES: u32 = 0x11;
/// PMCEID0: the events above.
pub(super) const PMCEID0: u32 = 1 << SW_INCR | 1 << CPU_CYCLES;
/// The cycle counter's bit in the sets of counters.
const CYCLE: u32 = 1 << 31;

/// PMCR: enable; reset event counters; reset the cycle counter; count every 64th cycle.
const E: u32 = 1 << 0;
const P: u32 = 1 << 1;
const C: u32 = 1 << 2;
const D: u32 = 1 << 3;
/// PMCR's bits that are kept: E, D, X, DP.
const KEPT: u32 = E | D | 1 << 4 | 1 << 5;

impl Pmu {
    fn counts_cycles(&self, i: usize) -> bool {
        self.evtyper[i] & 0xff == CPU_CYCLES
    }

    /// Brings the counters up to `now`.
    fn sync(&mut self, now: u64) {
        let ns = now.saturating_sub(self.at);
        self.at = now;
        if self.pmcr & E == 0 {
            return;
        }
        if self.cnten & CYCLE != 0 {
            // the remainder of a division by 64 is counted at the next turn
            let ticks = if self.pmcr & D != 0 { ns / 64 } else { ns };
            self.at -= if self.pmcr & D != 0 { ns % 64 } else { 0 };
            let sum = (self.ccntr & 0xffff_ffff).saturating_add(ticks);
            if sum >> 32 != 0 {
                self.ovsr |= CYCLE;
            }
            self.ccntr = sum & 0xffff_ffff;
        }
        for i in 0..EVENTS {
            if self.cnten >> i & 1 != 0 && self.counts_cycles(i) {
                self.add(i, ns);
            }
        }
    }

    fn add(&mut self, i: usize, n: u64) {
        let sum = u64::from(self.evcntr[i]).saturating_add(n);
        if sum >> 32 != 0 {
            self.ovsr |= 1 << i;
        }
        self.evcntr[i] = sum as u32;
    }

    /// The overflow interrupt's line, if the guest leaves the counters alone.
    pub fn output(&self, now: u64) -> TimerOutput {
        if self.pmcr & E == 0 {
            return TimerOutput::Low;
        }
        if self.ovsr & self.inten != 0 {
            return TimerOutput::High;
        }
        let live = self.cnten & self.inten;
        let cycles = (live & CYCLE != 0).then(|| {
            let left = (1 << 32) - (self.ccntr & 0xffff_ffff);
            if self.pmcr & D != 0 { left * 64 } else { left }
        });
        let events = (0..EVENTS).filter(|&i| live >> i & 1 != 0 && self.counts_cycles(i));
        let first = events
            .map(|i| (1 << 32) - u64::from(self.evcntr[i]))
            .chain(cycles)
            .min();
        first.map_or(TimerOutput::Low, |ns| TimerOutput::HighAt(now.saturating_add(ns)))
    }
}

/// How many event counters the model has.
fn events(io: &Io) -> usize {
    (io.arm.model.pmcr >> 11 & 31).min(EVENTS as u32) as usize
}

/// The set of the counters there are.
fn all(io: &Io) -> u32 {
    CYCLE | ((1 << events(io)) - 1)
}

/// The monitors, up to date.
fn synced<'a>(io: &'a mut Io) -> &'a mut Pmu {
    let now = io.arm.platform.now_ns();
    let pmu = &mut io.cpu.cp15.pmu;
    pmu.sync(now);
    pmu
}

/// Changes the monitors, and tells the platform what becomes of the interrupt.
fn change(io: &mut Io, f: impl FnOnce(&mut Pmu)) {
    let pmu = synced(io);
    f(pmu);
    let (now, pmu) = (io.arm.platform.now_ns(), io.cpu.cp15.pmu);
    io.arm.platform.timer(Timer::Pmu, pmu.output(now));
}

pub(super) fn pmcr(io: &mut Io) -> u64 {
    let pmu = io.cpu.cp15.pmu;
    (io.arm.model.pmcr | pmu.pmcr).into()
}

pub(super) fn set_pmcr(io: &mut Io, v: u64) {
    let v = v as u32;
    change(io, |pmu| {
        if v & P != 0 {
            pmu.evcntr = [0; EVENTS];
        }
        if v & C != 0 {
            pmu.ccntr = 0;
        }
        pmu.pmcr = v & KEPT;
    });
}

pub(super) fn cnten(io: &mut Io) -> u64 {
    io.cpu.cp15.pmu.cnten.into()
}

pub(super) fn set_cnten(io: &mut Io, v: u64) {
    let all = all(io);
    change(io, |pmu| pmu.cnten |= v as u32 & all);
}

pub(super) fn clear_cnten(io: &mut Io, v: u64) {
    change(io, |pmu| pmu.cnten &= !v as u32);
}

pub(super) fn inten(io: &mut Io) -> u64 {
    io.cpu.cp15.pmu.inten.into()
}

pub(super) fn set_inten(io: &mut Io, v: u64) {
    let all = all(io);
    change(io, |pmu| pmu.inten |= v as u32 & all);
}

pub(super) fn clear_inten(io: &mut Io, v: u64) {
    change(io, |pmu| pmu.inten &= !v as u32);
}

pub(super) fn ovsr(io: &mut Io) -> u64 {
    synced(io).ovsr.into()
}

pub(super) fn clear_ovsr(io: &mut Io, v: u64) {
    change(io, |pmu| pmu.ovsr &= !v as u32);
}

pub(super) fn set_ovsr(io: &mut Io, v: u64) {
    let all = all(io);
    change(io, |pmu| pmu.ovsr |= v as u32 & all);
}

pub(super) fn swinc(io: &mut Io, v: u64) {
    change(io, |pmu| {
        for i in 0..EVENTS {
            let live = pmu.pmcr & E != 0 && pmu.cnten >> i & 1 != 0;
            if live && v >> i & 1 != 0 && pmu.evtyper[i] & 0xff == SW_INCR {
                pmu.add(i, 1);
            }
        }
    });
}

pub(super) fn ccntr(io: &mut Io) -> u64 {
    synced(io).ccntr & 0xffff_ffff
}

pub(super) fn set_ccntr(io: &mut Io, v: u64) {
    change(io, |pmu| pmu.ccntr = v & 0xffff_ffff);
}

/// What PMSELR selects.
enum Selected {
    Event(usize),
    Cycle,
    Nothing,
}

fn selected(io: &Io) -> Selected {
    match io.cpu.cp15.pmu.selr as usize & 31 {
        31 => Selected::Cycle,
        i if i < events(io) => Selected::Event(i),
        _ => Selected::Nothing,
    }
}

pub(super) fn xevtyper(io: &mut Io) -> u64 {
    let pmu = &io.cpu.cp15.pmu;
    match selected(io) {
        Selected::Event(i) => pmu.evtyper[i].into(),
        Selected::Cycle => pmu.ccfiltr.into(),
        Selected::Nothing => 0,
    }
}

pub(super) fn set_xevtyper(io: &mut Io, v: u64) {
    let which = selected(io);
    change(io, |pmu| match which {
        Selected::Event(i) => pmu.evtyper[i] = v as u32 & 0xf800_00ff,
        Selected::Cycle => pmu.ccfiltr = v as u32 & 0xf800_0000,
        Selected::Nothing => {}
    });
}

pub(super) fn xevcntr(io: &mut Io) -> u64 {
    match selected(io) {
        Selected::Event(i) => synced(io).evcntr[i].into(),
        _ => 0,
    }
}

pub(super) fn set_xevcntr(io: &mut Io, v: u64) {
    if let Selected::Event(i) = selected(io) {
        change(io, |pmu| pmu.evcntr[i] = v as u32);
    }
}
