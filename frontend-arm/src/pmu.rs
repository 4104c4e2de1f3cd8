//! The performance monitors of both states of execution (version 2: Arm ARM DDI 0406C, C12; version 3: DDI 0487, D13): what is
//! counted where, and when a counter overflows. Their registers do what [`registers`] says.
//!
//! A cycle is a nanosecond of virtual time, of the bus too. Instructions, their accesses to data and their branches are
//! counted by translated code, in blocks of their own: where a counter counts any of them in the current mode, the mode
//! word has [`mode::COUNT`](crate::state::mode::COUNT). Such blocks count [`Pmu::slack`] down before each instruction and
//! call [`due`] where none is left, so that a counter overflows, and interrupts, at the instruction that makes it.
//!
//! A CPU here has no caches and predicts no branch. So each access to data is one that fills the cache, and each branch
//! taken is one that corrects what was fetched; events of which that says nothing (TLBs, other caches, other buses) are
//! not in [`Monitors::events`], nor in PMCEID0, and are not counted.

pub mod registers;

use crate::cp15::{EVENTS, Pmu};
use crate::platform::{Platform, Timer, TimerOutput};

/// PMCR.E: the counters are enabled.
pub const E: u32 = 1 << 0;
/// PMCR.D: the cycle counter counts every 64th cycle.
pub const D: u32 = 1 << 3;
/// PMCR.LC: the cycle counter overflows at 64 bits.
pub const LC: u32 = 1 << 6;
/// The cycle counter's bit in the sets of counters.
pub const CYCLE: u32 = 1 << 31;
/// PMXEVTYPER.evtCount: the event's number.
pub const EVENT: u32 = 0xffff;
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
        0x0c | 0x10 | 0x21 | 0x76 => Source::Branches,
        0x11 | 0x1d => Source::Cycles,
        0x1c => Source::Tables,
        0x06 | 0x40 | 0x42 | 0x66 => Source::Reads,
        0x07 | 0x41 | 0x43 | 0x67 => Source::Writes,
        _ => return None,
    })
}

/// PMCEID0 (of events from 0 on) or PMCEID1 (from 32 on): which of the architecture's events are counted.
pub fn pmceid(events: &[u8], first: u8) -> u32 {
    let common = events.iter().filter(|event| (first..first + 32).contains(event));
    common.fold(0, |all, event| all | 1 << (event - first))
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
    fn live(&self, events: &[u8]) -> impl Iterator<Item = Live> {
        let enabled = if self.pmcr & E == 0 { 0 } else { self.cnten };
        let all = self.evtyper.into_iter().zip(self.evcntr).enumerate();
        all.filter_map(move |(i, (evtyper, counter))| {
            let event = (evtyper & EVENT) as u16;
            let event = u8::try_from(event).ok().filter(|event| events.contains(event))?;
            let enabled = enabled >> i & 1 != 0;
            Some(Live {
                i,
                source: source(event).filter(|_| enabled)?,
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
    fn count(&mut self, events: &[u8], what: Source, n: u64, user: bool) {
        let pmu = *self;
        for live in pmu.live(events) {
            if live.source == what && counts_at(live.evtyper, user) {
                self.add(live.i, n);
            }
        }
    }

    /// PMSWINC: counts on the counters of a set that count software increments.
    pub fn increment(&mut self, events: &[u8], set: u32, user: bool) {
        let pmu = *self;
        for live in pmu.live(events) {
            if live.source == Source::Software && set >> live.i & 1 != 0 && counts_at(live.evtyper, user) {
                self.add(live.i, 1);
            }
        }
    }

    /// Brings the counters up to `now`; what happened since the last time happened at this privilege.
    pub fn sync(&mut self, events: &[u8], now: u64, user: bool) {
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
                self.count(events, source, n, user);
            }
        }
        if self.cycle_counter_is_live() && counts_at(self.ccfiltr, user) {
            self.count_cycles(cycles);
        }
    }

    /// The bits that the cycle counter has before it overflows.
    fn cycle_mask(&self) -> u64 {
        if self.pmcr & LC != 0 { u64::MAX } else { 0xffff_ffff }
    }

    fn count_cycles(&mut self, cycles: u64) {
        let ticks = if self.pmcr & D != 0 {
            let all = cycles.saturating_add(self.rest.into());
            self.rest = (all % 64) as u32;
            all / 64
        } else {
            cycles
        };
        let mask = self.cycle_mask();
        let (sum, carry) = (self.ccntr & mask).overflowing_add(ticks);
        if carry || sum & !mask != 0 {
            self.ovsr |= CYCLE;
        }
        self.ccntr = sum & mask;
    }

    /// What translated code is to count from now on, and for how many instructions.
    fn arm(&mut self, events: &[u8]) {
        let (mut counting, mut slack) = (0, SLACK);
        if self.cycle_counter_is_live() && self.ccfiltr != 0 {
            counting |= FILTERED;
        }
        for Live {
            source, evtyper, left, ..
        } in self.live(events)
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
    pub fn output(&self, events: &[u8], now: u64, user: bool) -> TimerOutput {
        if self.pmcr & E == 0 {
            return TimerOutput::Low;
        }
        if self.ovsr & self.inten != 0 {
            return TimerOutput::High;
        }
        let cycles = self.cycle_counter_is_live() && self.inten & CYCLE != 0 && counts_at(self.ccfiltr, user);
        let cycles = cycles.then(|| {
            let left = (self.cycle_mask() - (self.ccntr & self.cycle_mask())).saturating_add(1);
            if self.pmcr & D != 0 {
                left.saturating_mul(64).saturating_sub(self.rest.into())
            } else {
                left
            }
        });
        let events = self.live(events).filter(|live| {
            live.source == Source::Cycles && self.inten >> live.i & 1 != 0 && counts_at(live.evtyper, user)
        });
        let first = events.map(|live| live.left).chain(cycles).min();
        first.map_or(TimerOutput::Low, |ns| TimerOutput::HighAt(now.saturating_add(ns)))
    }
}

/// A state of execution with performance monitors.
pub trait Monitored {
    /// The monitors.
    fn pmu(&mut self) -> &mut Pmu;
    /// Whether a program runs: at PL0, EL0.
    fn is_user(&self) -> bool;
    /// Brings the mode word up to date.
    fn update_mode(&mut self);
}

/// A CPU whose state has them.
pub trait Monitors {
    /// The state.
    type Cpu: Monitored;
    /// Version 3, in AArch64 state: the cycle counter has 64 bits, events have numbers of ten, programs more rights.
    const WIDE: bool;
    /// The events that are counted.
    fn events(&self) -> &'static [u8];
    /// PMCR's constant part: implementer, identification code and number of event counters (up to [`EVENTS`]).
    fn identity(&self) -> u32;
    /// The machine around it.
    fn platform(&mut self) -> &mut dyn Platform;
}

/// Brings the counters up to now, changes them, and sees to all that follows.
pub fn change<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, f: impl FnOnce(&mut Pmu)) {
    let user = cpu.is_user();
    settle(arm, cpu, user, f);
}

fn settle<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, was_user: bool, f: impl FnOnce(&mut Pmu)) {
    let (now, events) = (arm.platform().now_ns(), arm.events());
    let pmu = cpu.pmu();
    pmu.sync(events, now, was_user);
    f(pmu);
    pmu.arm(events);
    cpu.update_mode();
    let user = cpu.is_user();
    let output = cpu.pmu().output(events, now, user);
    arm.platform().timer(Timer::Pmu, output);
}

/// Tells the platform what the overflow interrupt does: after reset and after a state was loaded.
pub fn program<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu) {
    let (now, events, user) = (arm.platform().now_ns(), arm.events(), cpu.is_user());
    let output = cpu.pmu().output(events, now, user);
    arm.platform().timer(Timer::Pmu, output);
}

/// Called where [`Pmu::slack`] is used up.
pub fn due<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu) {
    change(arm, cpu, |_| {});
}

/// The privilege may have changed: what is counted at one only starts or stops.
pub fn turned<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, was_user: bool) {
    if cpu.pmu().counting & FILTERED != 0 && cpu.is_user() != was_user {
        settle(arm, cpu, was_user, |_| {});
    }
}

/// Something happened that translated code does not count.
pub fn note<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, what: Source, user: bool) {
    let pmu = cpu.pmu();
    if pmu.counting & NOTED == 0 {
        return;
    }
    let before = pmu.ovsr;
    pmu.count(arm.events(), what, 1, user);
    if pmu.ovsr != before {
        due(arm, cpu);
    }
}

/// An exception was taken; `called`: by an instruction that is thereby done.
pub fn exception<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, was_user: bool, called: bool) {
    let pmu = cpu.pmu();
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
pub fn returned<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, was_user: bool) {
    let pmu = cpu.pmu();
    if pmu.counting == 0 {
        return;
    }
    pmu.branches = pmu.branches.wrapping_add(u32::from(pmu.counts(was_user)));
    note(arm, cpu, Source::Returns, was_user);
    turned(arm, cpu, was_user);
}

/// Makes the functions of a register table's rows: of an access `io`, whose CPU is in the field `$arm`.
macro_rules! rows {
    ($arm:ident) => {
        $crate::pmu::rows!($arm: reads pmcr cnten inten ovsr ceid0 ceid1 ccntr selr userenr xevtyper xevcntr;
            writes set_pmcr set_cnten clear_cnten set_inten clear_inten clear_ovsr set_ovsr swinc set_ccntr set_selr
            set_userenr set_xevtyper set_xevcntr);
    };
    ($arm:ident: reads $($read:ident)*; writes $($write:ident)*) => {
        $( pub(super) fn $read(io: &mut Io) -> u64 {
            $crate::pmu::registers::$read(io.$arm, io.cpu)
        } )*
        $( pub(super) fn $write(io: &mut Io, v: u64) {
            $crate::pmu::registers::$write(io.$arm, io.cpu, v);
        } )*
    };
}
pub(crate) use rows;

const _: () = assert!(EVENTS < 31, "the event counters' bits are below the cycle counter's");
