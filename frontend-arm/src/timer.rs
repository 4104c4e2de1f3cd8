//! The generic timers of EL1 (PL1): the physical and the virtual one (Arm ARM DDI 0406C, B8; DDI 0487, D11). Without EL2 both
//! count the same. A state of execution says where its timers are; what they do is here.

use crate::platform::{Platform, Timer, TimerOutput};

/// Ticks per second: 62.5 MHz.
pub const FREQUENCY: u32 = 62_500_000;
/// Nanoseconds per tick.
pub const TICK_NS: u64 = 1_000_000_000 / FREQUENCY as u64;

/// CNTKCTL.PL0PCTEN (EL0PCTEN): programs may read the physical counter.
pub const PL0PCTEN: u32 = 1 << 0;
/// CNTKCTL.PL0VCTEN (EL0VCTEN): programs may read the virtual counter.
pub const PL0VCTEN: u32 = 1 << 1;
/// CNTKCTL.PL0VTEN (EL0VTEN): programs may use the virtual timer.
pub const PL0VTEN: u32 = 1 << 8;
/// CNTKCTL.PL0PTEN (EL0PTEN): programs may use the physical timer.
pub const PL0PTEN: u32 = 1 << 9;

/// CNTx_CTL.
const ENABLE: u32 = 1 << 0;
const IMASK: u32 = 1 << 1;
const ISTATUS: u32 = 1 << 2;

/// A CPU's state that has timers.
pub trait Timers {
    /// A timer's control (but for ISTATUS) and its compare value. The performance monitors are no timer: any will do.
    fn timer(&mut self, which: Timer) -> (&mut u32, &mut u64);
}

/// The counter, CNTPCT and CNTVCT.
pub fn count(platform: &dyn Platform) -> u64 {
    platform.now_ns() / TICK_NS
}

/// What a timer's output line does, if the guest leaves the timer alone.
pub fn output(timers: &mut impl Timers, platform: &dyn Platform, which: Timer) -> TimerOutput {
    let (ctl, cval) = timers.timer(which);
    if *ctl & (ENABLE | IMASK) != ENABLE {
        TimerOutput::Low
    } else if count(platform) >= *cval {
        TimerOutput::High
    } else {
        cval.checked_mul(TICK_NS).map_or(TimerOutput::Low, TimerOutput::HighAt)
    }
}

/// Tells the platform what a timer does from now on.
pub fn program(timers: &mut impl Timers, platform: &mut dyn Platform, which: Timer) {
    let output = output(timers, platform, which);
    platform.timer(which, output);
}

/// CNTx_CTL.
pub fn ctl(timers: &mut impl Timers, platform: &dyn Platform, which: Timer) -> u64 {
    let (ctl, cval) = timers.timer(which);
    let met = *ctl & ENABLE != 0 && count(platform) >= *cval;
    (*ctl | if met { ISTATUS } else { 0 }).into()
}

/// Sets CNTx_CTL.
pub fn set_ctl(timers: &mut impl Timers, platform: &mut dyn Platform, which: Timer, value: u64) {
    *timers.timer(which).0 = value as u32 & (ENABLE | IMASK);
    program(timers, platform, which);
}

/// Sets CNTx_CVAL.
pub fn set_cval(timers: &mut impl Timers, platform: &mut dyn Platform, which: Timer, value: u64) {
    *timers.timer(which).1 = value;
    program(timers, platform, which);
}

/// CNTx_TVAL.
pub fn tval(timers: &mut impl Timers, platform: &dyn Platform, which: Timer) -> u64 {
    timers.timer(which).1.wrapping_sub(count(platform)) & 0xffff_ffff
}

/// Sets CNTx_TVAL: the compare value is so many (signed) ticks from now.
pub fn set_tval(timers: &mut impl Timers, platform: &mut dyn Platform, which: Timer, value: u64) {
    let delta = i64::from(value as u32 as i32) as u64;
    let at = count(platform).wrapping_add(delta);
    set_cval(timers, platform, which, at);
}
