//! The performance monitors' registers (Arm ARM DDI 0406C, C12.9): what they do is in [`registers`].

use super::table::Io;
use crate::cp15::Pmu;
use crate::platform::{Arm, Platform};
use crate::pmu::{self, Monitored, Monitors};
use crate::state::Cpu;

impl Monitored for Cpu {
    fn pmu(&mut self) -> &mut Pmu {
        &mut self.cp15.pmu
    }
    fn is_user(&self) -> bool {
        Cpu::is_user(self)
    }
    fn update_mode(&mut self) {
        Cpu::update_mode(self);
    }
}

impl Monitors for Arm {
    type Cpu = Cpu;
    const WIDE: bool = false;
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

pmu::rows!(arm);
