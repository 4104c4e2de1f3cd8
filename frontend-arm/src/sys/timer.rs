//! The registers of the [generic timers](crate::timer) (Arm ARM DDI 0406C, B8).

use super::table::Io;
use crate::platform::{Arm, Timer};
use crate::pmu;
use crate::state::Cpu;
use crate::timer::{self, Timers};

pub use crate::timer::{FREQUENCY, PL0PCTEN, PL0PTEN, PL0VCTEN, PL0VTEN};

impl Timers for Cpu {
    fn timer(&mut self, which: Timer) -> (&mut u32, &mut u64) {
        let c = &mut self.cp15;
        match which {
            Timer::Physical => (&mut c.cntp_ctl, &mut c.cntp_cval),
            Timer::Virtual | Timer::Pmu => (&mut c.cntv_ctl, &mut c.cntv_cval),
        }
    }
}

pub(super) fn user_may_read_counter(cpu: &Cpu, which: u32) -> bool {
    cpu.cp15.cntkctl & which != 0
}

/// Tells the platform what the timers and the performance monitors do: after reset and after a state was loaded.
pub fn program_all(cpu: &mut Cpu, arm: &mut Arm) {
    for which in [Timer::Physical, Timer::Virtual] {
        timer::program(cpu, &mut *arm.platform, which);
    }
    pmu::program(arm, cpu);
}

pub(super) fn counter(io: &mut Io) -> u64 {
    timer::count(&*io.arm.platform)
}

/// Functions of the table's rows, for one timer.
macro_rules! rows {
    ($name:ident $which:expr) => {
        pub(in crate::sys) mod $name {
            use super::*;
            pub fn ctl(io: &mut Io) -> u64 {
                timer::ctl(io.cpu, &*io.arm.platform, $which)
            }
            pub fn set_ctl(io: &mut Io, v: u64) {
                timer::set_ctl(io.cpu, &mut *io.arm.platform, $which, v);
            }
            pub fn cval(io: &mut Io) -> u64 {
                *io.cpu.timer($which).1
            }
            pub fn set_cval(io: &mut Io, v: u64) {
                timer::set_cval(io.cpu, &mut *io.arm.platform, $which, v);
            }
            pub fn tval(io: &mut Io) -> u64 {
                timer::tval(io.cpu, &*io.arm.platform, $which)
            }
            pub fn set_tval(io: &mut Io, v: u64) {
                timer::set_tval(io.cpu, &mut *io.arm.platform, $which, v);
            }
        }
    };
}
rows!(physical Timer::Physical);
rows!(virt Timer::Virtual);
