//! The generic timers: the physical and the virtual one of PL1 (Arm ARM DDI 0406C, B8). Without Virtualization
//! Extensions CNTVOFF is zero: both count the same.

use super::table::Io;
use crate::platform::{Arm, Platform, Timer, TimerOutput};
use crate::state::Cpu;

/// Ticks per second: 62.5 MHz.
pub const FREQUENCY: u32 = 62_500_000;
/// Nanoseconds per tick.
pub const TICK_NS: u64 = 1_000_000_000 / FREQUENCY as u64;

/// CNTKCTL: User mode may read CNTPCT.
pub const PL0PCTEN: u32 = 1 << 0;
/// CNTKCTL: User mode may read CNTVCT.
pub const PL0VCTEN: u32 = 1 << 1;
/// CNTKCTL: User mode may use the virtual timer.
pub const PL0VTEN: u32 = 1 << 8;
/// CNTKCTL: User mode may use the physical timer.
pub const PL0PTEN: u32 = 1 << 9;

/// CNTx_CTL.
const ENABLE: u32 = 1 << 0;
const IMASK: u32 = 1 << 1;
const ISTATUS: u32 = 1 << 2;

pub(super) fn user_may_read_counter(cpu: &Cpu, which: u32) -> bool {
    cpu.cp15.cntkctl & which != 0
}

/// The counter, CNTPCT and CNTVCT.
pub fn count(platform: &dyn Platform) -> u64 {
    platform.now_ns() / TICK_NS
}

fn parts(cpu: &mut Cpu, which: Timer) -> (&mut u32, &mut u64) {
    let c = &mut cpu.cp15;
    match which {
        Timer::Physical => (&mut c.cntp_ctl, &mut c.cntp_cval),
        Timer::Virtual | Timer::Pmu => (&mut c.cntv_ctl, &mut c.cntv_cval),
    }
}

/// What a timer's output line does, if the guest leaves the timer alone.
pub fn output(cpu: &mut Cpu, platform: &dyn Platform, which: Timer) -> TimerOutput {
    let (ctl, cval) = parts(cpu, which);
    if *ctl & (ENABLE | IMASK) != ENABLE {
        TimerOutput::Low
    } else if count(platform) >= *cval {
        TimerOutput::High
    } else {
        cval.checked_mul(TICK_NS).map_or(TimerOutput::Low, TimerOutput::HighAt)
    }
}

fn program(io: &mut Io, which: Timer) {
    let output = output(io.cpu, &*io.arm.platform, which);
    io.arm.platform.timer(which, output);
}

/// Tells the platform what the timers and the performance monitors do: after reset and after a state was loaded.
pub fn program_all(cpu: &mut Cpu, arm: &mut Arm) {
    let (model, platform) = (arm.model, &mut *arm.platform);
    for which in [Timer::Physical, Timer::Virtual] {
        let output = output(cpu, platform, which);
        platform.timer(which, output);
    }
    let output = cpu.cp15.pmu.output(model, platform.now_ns(), cpu.is_user());
    platform.timer(Timer::Pmu, output);
}

pub(super) fn counter(io: &mut Io) -> u64 {
    count(&*io.arm.platform)
}

fn ctl(io: &mut Io, which: Timer) -> u64 {
    let now = counter(io);
    let (ctl, cval) = parts(io.cpu, which);
    let met = *ctl & ENABLE != 0 && now >= *cval;
    (*ctl | if met { ISTATUS } else { 0 }).into()
}

fn set_ctl(io: &mut Io, which: Timer, value: u64) {
    *parts(io.cpu, which).0 = value as u32 & (ENABLE | IMASK);
    program(io, which);
}

fn cval(io: &mut Io, which: Timer) -> u64 {
    *parts(io.cpu, which).1
}

fn set_cval(io: &mut Io, which: Timer, value: u64) {
    *parts(io.cpu, which).1 = value;
    program(io, which);
}

fn tval(io: &mut Io, which: Timer) -> u64 {
    cval(io, which).wrapping_sub(counter(io)) & 0xffff_ffff
}

fn set_tval(io: &mut Io, which: Timer, value: u64) {
    let delta = i64::from(value as u32 as i32) as u64;
    let value = counter(io).wrapping_add(delta);
    set_cval(io, which, value);
}

/// Functions of the table's rows, for one timer.
macro_rules! rows {
    ($name:ident $which:expr) => {
        pub(in crate::sys) mod $name {
            use super::*;
            pub fn ctl(io: &mut Io) -> u64 {
                super::ctl(io, $which)
            }
            pub fn set_ctl(io: &mut Io, v: u64) {
                super::set_ctl(io, $which, v)
            }
            pub fn cval(io: &mut Io) -> u64 {
                super::cval(io, $which)
            }
            pub fn set_cval(io: &mut Io, v: u64) {
                super::set_cval(io, $which, v)
            }
            pub fn tval(io: &mut Io) -> u64 {
                super::tval(io, $which)
            }
            pub fn set_tval(io: &mut Io, v: u64) {
                super::set_tval(io, $which, v)
            }
        }
    };
}
rows!(physical Timer::Physical);
rows!(virt Timer::Virtual);
