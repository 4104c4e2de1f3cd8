//! The state at reset, and the state in a snapshot.

use crate::model::Model;
use crate::state::{Cpu, psr};
use crate::sys;
use bytemuck::Zeroable;
use serde::{Deserialize, Serialize};
use std::fmt;

impl Cpu {
    /// The state after reset (Arm ARM DDI 0406C, B1.9.1): Supervisor mode, interrupts masked, at the reset vector. What
    /// loads a kernel sets r0 to r2 and the pc afterwards.
    pub fn reset(_model: &Model) -> Cpu {
        let mut cpu = Cpu::zeroed();
        cpu.psr = psr::SVC;
        sys::reset(&mut cpu.cp15);
        cpu.update_mode();
        cpu.enter_reset();
        cpu
    }
}

/// The version of [`Saved`].
pub const VERSION: u32 = 1;

/// A state in a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Saved {
    version: u32,
    cpu: Cpu,
}

/// A snapshot's state is of a version that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownVersion(pub u32);

impl fmt::Display for UnknownVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ARM CPU's state has version {}, known is {VERSION}", self.0)
    }
}

impl std::error::Error for UnknownVersion {}

impl From<Cpu> for Saved {
    fn from(cpu: Cpu) -> Saved {
        Saved { version: VERSION, cpu }
    }
}

impl TryFrom<Saved> for Cpu {
    type Error = UnknownVersion;

    /// The state, with what is redundant in it made anew, so that no snapshot can hold a state that cannot be.
    fn try_from(saved: Saved) -> Result<Cpu, UnknownVersion> {
        if saved.version != VERSION {
            return Err(UnknownVersion(saved.version));
        }
        let mut cpu = saved.cpu;
        for flag in [&mut cpu.n, &mut cpu.z, &mut cpu.c, &mut cpu.v, &mut cpu.q] {
            *flag &= 1;
        }
        for flag in [&mut cpu.fp_n, &mut cpu.fp_z, &mut cpu.fp_c, &mut cpu.fp_v] {
            *flag &= 1;
        }
        cpu.ge &= 15;
        cpu.fp_round &= 3;
        cpu.psr &= psr::M | psr::A | psr::I | psr::F;
        if !crate::psr::exists(cpu.psr & psr::M) {
            cpu.psr = cpu.psr & !psr::M | psr::SVC;
        }
        cpu.update_mode();
        Ok(cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MODELS;

    #[test]
    fn a_saved_state_comes_back() {
        let mut cpu = Cpu::reset(&MODELS[0]);
        (cpu.r[3], cpu.d[31], cpu.cp15.ttbr0) = (7, 1 << 63, 0x12_3456_7000);
        cpu.set_cpsr(0x9000_0012);

        let text = serde_json::to_string(&Saved::from(cpu)).unwrap();
        let back = Cpu::try_from(serde_json::from_str::<Saved>(&text).unwrap());

        assert_eq!(back, Ok(cpu));
    }

    #[test]
    fn a_strange_state_is_refused_or_made_sound() {
        let mut saved = Saved::from(Cpu::reset(&MODELS[0]));
        (saved.cpu.n, saved.cpu.psr, saved.cpu.mode) = (0xff, 0, 0);
        let cpu = Cpu::try_from(saved.clone()).unwrap();
        assert_eq!((cpu.n, cpu.cpsr() & psr::M), (1, psr::SVC));

        saved.version = 2;
        assert_eq!(Cpu::try_from(saved), Err(UnknownVersion(2)));
    }
}
