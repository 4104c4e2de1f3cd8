//! The registers of the [generic timers](crate::timer) (Arm ARM DDI 0487, D11).

use super::super::model::A64;
use super::super::state::Cpu;
use super::table::Io;
use crate::platform::Timer;
use crate::pmu;
use crate::timer::{self, Timers};

impl Timers for Cpu {
    fn timer(&mut self, which: Timer) -> (&mut u32, &mut u64) {
        let c = &mut self.sys;
        match which {
            Timer::Physical => (&mut c.cntp_ctl, &mut c.cntp_cval),
            Timer::Virtual | Timer::Pmu => (&mut c.cntv_ctl, &mut c.cntv_cval),
        }
    }
}

/// Tells the platform what the timers and the performance monitors do: after reset and after a state was loaded.
pub fn program_all(cpu: &mut Cpu, guest: &mut A64) {
    for which in [Timer::Physical, Timer::Virtual] {
        timer::program(cpu, &mut *guest.platform, which);
    }
    pmu::program(guest, cpu);
}

pub(super) fn counter(io: &mut Io) -> u64 {
    timer::count(&*io.guest.platform)
}

/// Functions of the table's rows, for one timer.
macro_rules! rows {
    ($name:ident $which:expr) => {
        pub(in crate::a64::sys) mod $name {
            use super::*;
            pub fn ctl(io: &mut Io) -> u64 {
                timer::ctl(io.cpu, &*io.guest.platform, $which)
            }
            pub fn set_ctl(io: &mut Io, v: u64) {
                timer::set_ctl(io.cpu, &mut *io.guest.platform, $which, v);
            }
            pub fn cval(io: &mut Io) -> u64 {
                *io.cpu.timer($which).1
            }
            pub fn set_cval(io: &mut Io, v: u64) {
                timer::set_cval(io.cpu, &mut *io.guest.platform, $which, v);
            }
            pub fn tval(io: &mut Io) -> u64 {
                timer::tval(io.cpu, &*io.guest.platform, $which)
            }
            pub fn set_tval(io: &mut Io, v: u64) {
                timer::set_tval(io.cpu, &mut *io.guest.platform, $which, v);
            }
        }
    };
}
rows!(physical Timer::Physical);
rows!(virt Timer::Virtual);
