//! The performance monitors' registers (Arm ARM DDI 0406C, C12.9; DDI 0487, D13 and D19.4): each is a function here, of the CPU
//! and its state. [`rows`](crate::pmu::rows) makes those of them that rows of a register table name.

use super::{CYCLE, D, E, LC, Monitored, Monitors, NOT_PL0, NOT_PL1, change, pmceid};
use crate::cp15::{EVENTS, Pmu};

/// PMCR: reset the event counters; reset the cycle counter.
const P: u32 = 1 << 1;
const C: u32 = 1 << 2;
/// PMCR's bits that are kept: E, D, X, DP.
const KEPT: u32 = E | D | 1 << 4 | 1 << 5;
/// What a counter's type keeps besides the event: the filters for Security and Virtualization Extensions have no meaning
/// without those.
const FILTERS: u32 = NOT_PL1 | NOT_PL0;

/// How many event counters the CPU has.
fn count<M: Monitors>(arm: &M) -> usize {
    (arm.identity() >> 11 & 31).min(EVENTS as u32) as usize
}

/// The set of the counters there are.
fn all<M: Monitors>(arm: &M) -> u32 {
    CYCLE | ((1 << count(arm)) - 1)
}

/// The monitors, up to date.
fn synced<'a, M: Monitors>(arm: &mut M, cpu: &'a mut M::Cpu) -> &'a mut Pmu {
    let (now, events, user) = (arm.platform().now_ns(), arm.events(), cpu.is_user());
    let pmu = cpu.pmu();
    pmu.sync(events, now, user);
    pmu
}

/// PMCR.
pub fn pmcr<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu) -> u64 {
    (arm.identity() | cpu.pmu().pmcr).into()
}

/// Sets PMCR.
pub fn set_pmcr<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, v: u64) {
    let v = v as u32;
    change(arm, cpu, |pmu| {
        if v & P != 0 {
            pmu.evcntr = [0; EVENTS];
        }
        if v & C != 0 {
            (pmu.ccntr, pmu.rest) = (0, 0);
        }
        pmu.pmcr = v & KEPT | if M::WIDE { LC } else { 0 };
    });
}

/// PMCNTENSET and PMCNTENCLR.
pub fn cnten<M: Monitors>(_: &mut M, cpu: &mut M::Cpu) -> u64 {
    cpu.pmu().cnten.into()
}

/// Writes PMCNTENSET.
pub fn set_cnten<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, v: u64) {
    let all = all(arm);
    change(arm, cpu, |pmu| pmu.cnten |= v as u32 & all);
}

/// Writes PMCNTENCLR.
pub fn clear_cnten<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, v: u64) {
    change(arm, cpu, |pmu| pmu.cnten &= !v as u32);
}

/// PMINTENSET and PMINTENCLR.
pub fn inten<M: Monitors>(_: &mut M, cpu: &mut M::Cpu) -> u64 {
    cpu.pmu().inten.into()
}

/// Writes PMINTENSET.
pub fn set_inten<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, v: u64) {
    let all = all(arm);
    change(arm, cpu, |pmu| pmu.inten |= v as u32 & all);
}

/// Writes PMINTENCLR.
pub fn clear_inten<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, v: u64) {
    change(arm, cpu, |pmu| pmu.inten &= !v as u32);
}

/// PMOVSR: PMOVSSET and PMOVSCLR.
pub fn ovsr<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu) -> u64 {
    synced(arm, cpu).ovsr.into()
}

/// Writes PMOVSR, PMOVSCLR.
pub fn clear_ovsr<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, v: u64) {
    change(arm, cpu, |pmu| pmu.ovsr &= !v as u32);
}

/// Writes PMOVSSET.
pub fn set_ovsr<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, v: u64) {
    let all = all(arm);
    change(arm, cpu, |pmu| pmu.ovsr |= v as u32 & all);
}

/// Writes PMSWINC.
pub fn swinc<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, v: u64) {
    let (events, user) = (arm.events(), cpu.is_user());
    change(arm, cpu, |pmu| pmu.increment(events, v as u32, user));
}

/// PMCEID0.
pub fn ceid0<M: Monitors>(arm: &mut M, _: &mut M::Cpu) -> u64 {
    pmceid(arm.events(), 0).into()
}

/// PMCEID1.
pub fn ceid1<M: Monitors>(arm: &mut M, _: &mut M::Cpu) -> u64 {
    pmceid(arm.events(), 32).into()
}

/// PMCCNTR.
pub fn ccntr<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu) -> u64 {
    let all = synced(arm, cpu).ccntr;
    if M::WIDE { all } else { all & 0xffff_ffff }
}

/// Sets PMCCNTR.
pub fn set_ccntr<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, v: u64) {
    change(arm, cpu, |pmu| pmu.ccntr = if M::WIDE { v } else { v & 0xffff_ffff });
}

/// PMSELR.
pub fn selr<M: Monitors>(_: &mut M, cpu: &mut M::Cpu) -> u64 {
    cpu.pmu().selr.into()
}

/// Sets PMSELR.
pub fn set_selr<M: Monitors>(_: &mut M, cpu: &mut M::Cpu, v: u64) {
    cpu.pmu().selr = v as u32 & 0x1f;
}

/// PMUSERENR.
pub fn userenr<M: Monitors>(_: &mut M, cpu: &mut M::Cpu) -> u64 {
    cpu.pmu().userenr.into()
}

/// Sets PMUSERENR.
pub fn set_userenr<M: Monitors>(_: &mut M, cpu: &mut M::Cpu, v: u64) {
    cpu.pmu().userenr = v as u32 & if M::WIDE { 0xf } else { 1 };
}

/// A counter by its number, as PMSELR has it.
enum Counter {
    Event(usize),
    Cycle,
    Nothing,
}

fn counter<M: Monitors>(arm: &M, number: u32) -> Counter {
    match number as usize & 31 {
        31 => Counter::Cycle,
        i if i < count(arm) => Counter::Event(i),
        _ => Counter::Nothing,
    }
}

/// Sets the word of a counter that there is.
fn set(words: &mut [u32; EVENTS], i: usize, value: u32) {
    if let Some(word) = words.get_mut(i) {
        *word = value;
    }
}

/// PMEVTYPER of a counter, or PMCCFILTR.
pub fn evtyper<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, number: u32) -> u64 {
    let pmu = cpu.pmu();
    match counter(arm, number) {
        Counter::Event(i) => pmu.evtyper.get(i).copied().unwrap_or(0).into(),
        Counter::Cycle => pmu.ccfiltr.into(),
        Counter::Nothing => 0,
    }
}

/// Sets PMEVTYPER of a counter, or PMCCFILTR.
pub fn set_evtyper<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, number: u32, v: u64) {
    let (which, numbers) = (counter(arm, number), if M::WIDE { 0x3ff } else { 0xff });
    let event = v as u32 & numbers;
    let counted = u8::try_from(event).is_ok_and(|event| arm.events().contains(&event));
    if matches!(which, Counter::Event(_)) && !counted {
        arm.platform().uncounted(event);
    }
    change(arm, cpu, |pmu| match which {
        Counter::Event(i) => set(&mut pmu.evtyper, i, v as u32 & FILTERS | event),
        Counter::Cycle => pmu.ccfiltr = v as u32 & FILTERS,
        Counter::Nothing => {}
    });
}

/// PMEVCNTR of a counter.
pub fn evcntr<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, number: u32) -> u64 {
    match counter(arm, number) {
        Counter::Event(i) => synced(arm, cpu).evcntr.get(i).copied().unwrap_or(0).into(),
        Counter::Cycle if M::WIDE => ccntr(arm, cpu),
        Counter::Cycle | Counter::Nothing => 0,
    }
}

/// Sets PMEVCNTR of a counter.
pub fn set_evcntr<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, number: u32, v: u64) {
    match counter(arm, number) {
        Counter::Event(i) => change(arm, cpu, |pmu| set(&mut pmu.evcntr, i, v as u32)),
        Counter::Cycle if M::WIDE => set_ccntr(arm, cpu, v),
        Counter::Cycle | Counter::Nothing => {}
    }
}

/// PMXEVTYPER: that of the counter that PMSELR selects.
pub fn xevtyper<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu) -> u64 {
    let selected = cpu.pmu().selr;
    evtyper(arm, cpu, selected)
}

/// Sets PMXEVTYPER.
pub fn set_xevtyper<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, v: u64) {
    let selected = cpu.pmu().selr;
    set_evtyper(arm, cpu, selected, v);
}

/// PMXEVCNTR.
pub fn xevcntr<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu) -> u64 {
    let selected = cpu.pmu().selr;
    evcntr(arm, cpu, selected)
}

/// Sets PMXEVCNTR.
pub fn set_xevcntr<M: Monitors>(arm: &mut M, cpu: &mut M::Cpu, v: u64) {
    let selected = cpu.pmu().selr;
    set_evcntr(arm, cpu, selected, v);
}
