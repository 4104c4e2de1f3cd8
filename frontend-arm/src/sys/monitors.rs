//! The performance monitors' registers (Arm ARM DDI 0406C, C12.9).

use super::table::Io;
use crate::cp15::{EVENTS, Pmu};
use crate::pmu::{self, CYCLE, D, E, NOT_PL0, NOT_PL1};

/// PMCR: reset the event counters; reset the cycle counter.
const P: u32 = 1 << 1;
const C: u32 = 1 << 2;
/// PMCR's bits that are kept: E, D, X, DP.
const KEPT: u32 = E | D | 1 << 4 | 1 << 5;
/// What a counter's type keeps besides the event: the filters for Security and Virtualization Extensions have no meaning
/// without those.
const FILTERS: u32 = NOT_PL1 | NOT_PL0;

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
    let (now, user) = (io.arm.platform.now_ns(), io.cpu.is_user());
    let pmu = &mut io.cpu.cp15.pmu;
    pmu.sync(io.arm.model, now, user);
    pmu
}

fn change(io: &mut Io, f: impl FnOnce(&mut Pmu)) {
    pmu::change(io.arm, io.cpu, f);
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
            (pmu.ccntr, pmu.rest) = (0, 0);
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
    let (model, user) = (io.arm.model, io.cpu.is_user());
    change(io, |pmu| pmu.increment(model, v as u32, user));
}

pub(super) fn ceid0(io: &mut Io) -> u64 {
    pmu::pmceid0(io.arm.model).into()
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

/// Sets the word of a counter that there is.
fn set(words: &mut [u32; EVENTS], i: usize, value: u32) {
    if let Some(word) = words.get_mut(i) {
        *word = value;
    }
}

pub(super) fn xevtyper(io: &mut Io) -> u64 {
    let pmu = &io.cpu.cp15.pmu;
    match selected(io) {
        Selected::Event(i) => pmu.evtyper.get(i).copied().unwrap_or(0).into(),
        Selected::Cycle => pmu.ccfiltr.into(),
        Selected::Nothing => 0,
    }
}

pub(super) fn set_xevtyper(io: &mut Io, v: u64) {
    let which = selected(io);
    if matches!(which, Selected::Event(_)) && !io.arm.model.events.contains(&(v as u8)) {
        io.arm.platform.uncounted(v as u32 & 0xff);
    }
    change(io, |pmu| match which {
        Selected::Event(i) => set(&mut pmu.evtyper, i, v as u32 & (FILTERS | 0xff)),
        Selected::Cycle => pmu.ccfiltr = v as u32 & FILTERS,
        Selected::Nothing => {}
    });
}

pub(super) fn xevcntr(io: &mut Io) -> u64 {
    match selected(io) {
        Selected::Event(i) => synced(io).evcntr.get(i).copied().unwrap_or(0).into(),
        _ => 0,
    }
}

pub(super) fn set_xevcntr(io: &mut Io, v: u64) {
    if let Selected::Event(i) = selected(io) {
        change(io, |pmu| set(&mut pmu.evcntr, i, v as u32));
    }
}
