//! The performance monitors' registers (Arm ARM DDI 0487, D19.4): what they do is in [`registers`].

use super::super::model::A64;
use super::super::state::Cpu;
use super::table::Io;
use crate::cp15::Pmu;
use crate::platform::Platform;
use crate::pmu::{self, Monitored, Monitors, registers};

/// PMUSERENR_EL0: programs may use everything; write PMSWINC_EL0; read PMCCNTR_EL0; read event counters, and select.
pub(super) const EN: u32 = 1 << 0;
pub(super) const SW: u32 = 1 << 1;
pub(super) const CR: u32 = 1 << 2;
pub(super) const ER: u32 = 1 << 3;

impl Monitored for Cpu {
    fn pmu(&mut self) -> &mut Pmu {
        &mut self.sys.pmu
    }
    fn is_user(&self) -> bool {
        self.el() == 0
    }
    fn update_mode(&mut self) {
        Cpu::update_mode(self);
    }
}

impl Monitors for A64 {
    type Cpu = Cpu;
    const WIDE: bool = true;
    fn events(&self) -> &'static [u8] {
        self.model.events
    }
    fn identity(&self) -> u32 {
        self.model.pmcr
    }
    fn platform(&mut self) -> &mut dyn Platform {
        &mut *self.platform
    }
}

pmu::rows!(guest);

/// The number of a counter by CRm and op2.
fn number(io: &Io) -> u32 {
    io.which() & 0x1f
}

pub(super) fn evcntr(io: &mut Io) -> u64 {
    let n = number(io);
    registers::evcntr(io.guest, io.cpu, n)
}

pub(super) fn set_evcntr(io: &mut Io, v: u64) {
    let n = number(io);
    registers::set_evcntr(io.guest, io.cpu, n, v);
}

pub(super) fn evtyper(io: &mut Io) -> u64 {
    let n = number(io);
    registers::evtyper(io.guest, io.cpu, n)
}

pub(super) fn set_evtyper(io: &mut Io, v: u64) {
    let n = number(io);
    registers::set_evtyper(io.guest, io.cpu, n, v);
}
