//! The performance monitors, version 2 (Arm ARM DDI 0406C, C12): what is counted where, and when a counter overflows.
//!
//! A cycle is a nanosecond of virtual time, of the bus too. Instructions, their accesses to data and their branches are
//! counted by translated code, in blocks of their own: where a counter counts any of them in the current mode, the mode
//! word has [`mode::COUNT`](crate::state::mode::COUNT). Such blocks count [`Pmu::slack`] down before each instruction and
//! call [`due`] where none is left, so that a counter overflows, and interrupts, at the instruction that makes it.
//!
//! A CPU here has no caches and predicts no branch. So each access to data is one that fills the cache, and each branch
//! taken is one that corrects what was fetched; events of which that says nothing (TLBs, other caches, other buses) are
//! not in [`Model::events`], nor in PMCEID0, and are not counted.

use crate::cp15::{EVENTS, Pmu};
use crate::model::Model;
use crate::platform::{Arm, Timer, TimerOutput};
use crate::state::Cpu;

/// PMCR.E: the counters are enabled.
pub const E: u32 = 1 << 0;
/// PMCR.D: the cycle counter counts every 64th cycle.
pub const D: u32 = 1 << 3;
/// The cycle counter's bit in the sets of counters.
pub const CYCLE: u32 = 1 << 31;
/// PMXEVTYPER.P: does not count at PL1.
pub const NOT_PL1: u32 = 1 << 31;
/// PMXEVTYPER.U: does not count at PL0.
pub const NOT_PL0: u32 = 1 << 30;

/// Bits of [`Pmu::counting`]: translated code counts at PL0.
const AT_PL0: u32 = 1 << 0;
/// Translated code counts at PL1.
const AT_PL1: u32 = 1 << 1;
/// A counter counts at one privilege only.
const FILTERED: u32 = 1 << 2;
/// A counter counts what [`note`] is told of.
const NOTED: u32 = 1 << 3;

/// Accesses to data that an instruction makes at most, and more.
const ACCESSES: u64 = 64;
/// Instructions between two looks at the counters at most: what they count must fit into 32 bits.
const SLACK: u64 = 1 << 26;

/// What an event is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Writes of PMSWINC.
    Software,
    /// Cycles of the CPU.
    Cycles,
    /// Instructions executed, their conditions met or not.
    Instructions,
    /// Loads of data: one for each register of a load of several.
    Reads,
    /// Stores of data, likewise.
    Writes,
    /// Both.
    Accesses,
    /// Changes of the PC by instructions, other than those to the next.
    Branches,
    /// Exceptions taken.
    Exceptions,
    /// Returns from exceptions.
    Returns,
    /// Writes of CONTEXTIDR.
    ContextIds,
    /// Writes of TTBR0 and TTBR1.
    Tables,
}

/// An event's source, by its number (C12.8, and the Cortex-A15's own: DDI 0438, table 11-24).
fn source(event: u8) -> Option<Source> {
    Some(match event {
        0x00 => Source::Software,
        0x03 | 0x04 | 0x13 => Source::Accesses,
        0x08 | 0x1b => Source::Instructions,
        0x09 => Source::Exceptions,
        0x0a => Source::Returns,
        0x0b => Source::ContextIds,
        0x0c | 0x10 | 0x76 => Source::Branches,
        0x11 | 0x1d => Source::Cycles,
        0x1c => Source::Tables,
        0x40 | 0x42 | 0x66 => Source::Reads,
        0x41 | 0x43 | 0x67 => Source::Writes,
        _ => return None,
    })
}

/// PMCEID0: which of the architecture's first 32 events are counted.
pub fn pmceid0(model: &Model) -> u32 {
    let common = model.events.iter().filter(|&&event| event < 32);
    common.fold(0, |all, event| all | 1 << event)
}

/// Whether a counter with this type or filter counts at a privilege.
fn counts_at(filter: u32, user: bool) -> bool {
    filter & if user { NOT_PL0 } else { NOT_PL1 } == 0
}

/// Cycles or events until a 32-bit counter overflows.
fn left(counter: u32) -> u64 {
    (1 << 32) - u64::from(counter)
}

/// An event counter that is enabled.
struct Live {
    i: usize,
    source: Source,
    evtyper: u32,
    /// Events until it overflows.
    left: u64,
}

impl Pmu {
    /// The event counters that are enabled.
    fn live(&self, model: &Model) -> impl Iterator<Item = Live> {
        let enabled = if self.pmcr & E == 0 { 0 } else { self.cnten };
        let all = self.evtyper.into_iter().zip(self.evcntr).enumerate();
        all.filter_map(move |(i, (evtyper, counter))| {
            let event = evtyper as u8;
            let known = enabled >> i & 1 != 0 && model.events.contains(&event);
            Some(Live {
                i,
                source: source(event).filter(|_| known)?,
                evtyper,
                left: left(counter),
            })
        })
    }

    fn cycle_counter_is_live(&self) -> bool {
        self.pmcr & E != 0 && self.cnten & CYCLE != 0
    }

    fn add(&mut self, i: usize, n: u64) {
        let Some(counter) = self.evcntr.get_mut(i) else { return };
        let sum = u64::from(*counter).saturating_add(n);
        if sum >> 32 != 0 {
            self.ovsr |= 1 << i;
        }
        *counter = sum as u32;
    }

    /// Counts something that happened `n` times at a privilege.
    fn count(&mut self, model: &Model, what: Source, n: u64, user: bool) {
        let pmu = *self;
        for live in pmu.live(model) {
            if live.source == what && counts_at(live.evtyper, user) {
                self.add(live.i, n);
            }
        }
    }

    /// PMSWINC: counts on the counters of a set that count software increments.
    pub fn increment(&mut self, model: &Model, set: u32, user: bool) {
        let pmu = *self;
        for live in pmu.live(model) {
            if live.source == Source::Software && set >> live.i & 1 != 0 && counts_at(live.evtyper, user) {
                self.add(live.i, 1);
            }
        }
    }

    /// Brings the counters up to `now`; what happened since the last time happened at this privilege.
    pub fn sync(&mut self, model: &Model, now: u64, user: bool) {
        let instructions = u64::from(self.armed.wrapping_sub(self.slack));
        let [reads, writes, branches] = [self.reads, self.writes, self.branches].map(u64::from);
        (self.armed, self.reads, self.writes, self.branches) = (self.slack, 0, 0, 0);
        let cycles = now.saturating_sub(self.at);
        self.at = now;
        for (source, n) in [
            (Source::Instructions, instructions),
            (Source::Reads, reads),
            (Source::Writes, writes),
            (Source::Accesses, reads + writes),
            (Source::Branches, branches),
            (Source::Cycles, cycles),
        ] {
            if n != 0 {
                self.count(model, source, n, user);
            }
        }
        if self.cycle_counter_is_live() && counts_at(self.ccfiltr, user) {
            self.count_cycles(cycles);
        }
    }

    fn count_cycles(&mut self, cycles: u64) {
        let ticks = if self.pmcr & D != 0 {
            let all = cycles.saturating_add(self.rest.into());
            self.rest = (all % 64) as u32;
            all / 64
        } else {
            cycles
        };
        let sum = (self.ccntr & 0xffff_ffff).saturating_add(ticks);
        if sum >> 32 != 0 {
            self.ovsr |= CYCLE;
        }
        self.ccntr = sum & 0xffff_ffff;
    }

    /// What translated code is to count from now on, and for how many instructions.
    fn arm(&mut self, model: &Model) {
        let (mut counting, mut slack) = (0, SLACK);
        if self.cycle_counter_is_live() && self.ccfiltr != 0 {
            counting |= FILTERED;
        }
        for Live {
            source, evtyper, left, ..
        } in self.live(model)
        {
            if evtyper & (NOT_PL0 | NOT_PL1) != 0 {
                counting |= FILTERED;
            }
            let at_once = match source {
                Source::Software | Source::Cycles => continue,
                Source::Exceptions | Source::Returns | Source::ContextIds | Source::Tables => {
                    counting |= NOTED;
                    continue;
                }
                Source::Instructions | Source::Branches => 1,
                Source::Reads | Source::Writes | Source::Accesses => ACCESSES,
            };
            for (user, bit) in [(true, AT_PL0), (false, AT_PL1)] {
                if counts_at(evtyper, user) {
                    counting |= bit;
                }
            }
            slack = slack.min((left / at_once).max(1));
        }
        self.counting = counting;
        self.slack = slack as u32;
        self.armed = self.slack;
    }

    /// Whether translated code counts at a privilege.
    pub fn counts(&self, user: bool) -> bool {
        self.counting & if user { AT_PL0 } else { AT_PL1 } != 0
    }

    /// The overflow interrupt's line, if the guest leaves the counters and the privilege alone. Of what translated code
    /// counts, [`due`] tells.
    pub fn output(&self, model: &Model, now: u64, user: bool) -> TimerOutput {
        if self.pmcr & E == 0 {
            return TimerOutput::Low;
        }
        if self.ovsr & self.inten != 0 {
            return TimerOutput::High;
        }
        let cycles = self.cycle_counter_is_live() && self.inten & CYCLE != 0 && counts_at(self.ccfiltr, user);
        let cycles = cycles.then(|| {
            let left = left(self.ccntr as u32);
            if self.pmcr & D != 0 {
                left * 64 - u64::from(self.rest)
            } else {
                left
            }
        });
        let events = self.live(model).filter(|live| {
            live.source == Source::Cycles && self.inten >> live.i & 1 != 0 && counts_at(live.evtyper, user)
        });
        let first = events.map(|live| live.left).chain(cycles).min();
        first.map_or(TimerOutput::Low, |ns| TimerOutput::HighAt(now.saturating_add(ns)))
    }
}

/// Brings the counters up to now, changes them, and sees to all that follows.
pub fn change(arm: &mut Arm, cpu: &mut Cpu, f: impl FnOnce(&mut Pmu)) {
    let user = cpu.is_user();
    settle(arm, cpu, user, f);
}

fn settle(arm: &mut Arm, cpu: &mut Cpu, was_user: bool, f: impl FnOnce(&mut Pmu)) {
    let now = arm.platform.now_ns();
    let pmu = &mut cpu.cp15.pmu;
    pmu.sync(arm.model, now, was_user);
    f(pmu);
    pmu.arm(arm.model);
    cpu.update_mode();
    let output = cpu.cp15.pmu.output(arm.model, now, cpu.is_user());
    arm.platform.timer(Timer::Pmu, output);
}

/// Called where [`Pmu::slack`] is used up.
pub fn due(arm: &mut Arm, cpu: &mut Cpu) {
    change(arm, cpu, |_| {});
}

/// The privilege may have changed: what is counted at one only starts or stops.
pub fn turned(arm: &mut Arm, cpu: &mut Cpu, was_user: bool) {
    if cpu.cp15.pmu.counting & FILTERED != 0 && cpu.is_user() != was_user {
        settle(arm, cpu, was_user, |_| {});
    }
}

/// Something happened that translated code does not count.
pub fn note(arm: &mut Arm, cpu: &mut Cpu, what: Source, user: bool) {
    if cpu.cp15.pmu.counting & NOTED == 0 {
        return;
    }
    let before = cpu.cp15.pmu.ovsr;
    cpu.cp15.pmu.count(arm.model, what, 1, user);
    if cpu.cp15.pmu.ovsr != before {
        due(arm, cpu);
    }
}

/// An exception was taken; `called`: by an instruction that is thereby done.
pub fn exception(arm: &mut Arm, cpu: &mut Cpu, was_user: bool, called: bool) {
    let pmu = &mut cpu.cp15.pmu;
    if pmu.counting == 0 {
        return;
    }
    if called && pmu.counts(was_user) {
        pmu.slack = pmu.slack.wrapping_sub(1);
    }
    note(arm, cpu, Source::Exceptions, was_user);
    turned(arm, cpu, was_user);
}

/// An exception returned.
pub fn returned(arm: &mut Arm, cpu: &mut Cpu, was_user: bool) {
    let pmu = &mut cpu.cp15.pmu;
    if pmu.counting == 0 {
        return;
    }
    pmu.branches = pmu.branches.wrapping_add(u32::from(pmu.counts(was_user)));
    note(arm, cpu, Source::Returns, was_user);
    turned(arm, cpu, was_user);
}

const _: () = assert!(EVENTS < 31, "the event counters' bits are below the cycle counter's");
