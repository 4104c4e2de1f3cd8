//! The state at reset, and the state that comes from a snapshot.

use crate::model::Model;
use crate::state::{Cpu, psr};
use crate::sys;
use bytemuck::Zeroable;

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

impl Cpu {
    /// The state that was saved somewhere, with what is redundant in it made anew, so that nobody can load a state that
    /// cannot be.
    #[must_use]
    pub fn sound(mut self) -> Cpu {
        for flag in [&mut self.n, &mut self.z, &mut self.c, &mut self.v, &mut self.q] {
            *flag &= 1;
        }
        for flag in [&mut self.fp_n, &mut self.fp_z, &mut self.fp_c, &mut self.fp_v] {
            *flag &= 1;
        }
        self.ge &= 15;
        self.fp_round &= 3;
        self.psr &= psr::M | psr::A | psr::I | psr::F;
        if !crate::psr::exists(self.psr & psr::M) {
            self.psr = self.psr & !psr::M | psr::SVC;
        }
        self.update_mode();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MODELS;

    #[test]
    fn a_state_comes_back() {
        let mut cpu = Cpu::reset(&MODELS[0]);
        (cpu.r[3], cpu.d[31], cpu.cp15.ttbr0) = (7, 1 << 63, 0x12_3456_7000);
        cpu.set_cpsr(0x9000_0012);

        let text = serde_json::to_string(&cpu).unwrap();
        let back = serde_json::from_str::<Cpu>(&text).unwrap().sound();

        assert_eq!(back, cpu);
    }

    #[test]
    fn a_strange_state_is_made_sound() {
        let mut cpu = Cpu::reset(&MODELS[0]);
        (cpu.n, cpu.psr, cpu.mode) = (0xff, 0, 0);

        let cpu = cpu.sound();

        assert_eq!((cpu.n, cpu.cpsr() & psr::M), (1, psr::SVC));
    }
}
