//! A state that comes from a file.

use super::bits::{eflags, mxcsr};
use super::{Cpu, mode};

impl Cpu {
    /// The same with what translated code relies on: parts of registers in their ranges, and all that follows from registers as
    /// it follows from them.
    pub fn sound(mut self) -> Cpu {
        self.fp_round &= 3;
        self.fp_flags &= mxcsr::FLAGS;
        self.mxcsr &= mxcsr::MASKS | mxcsr::DAZ | mxcsr::FTZ;
        self.eflags &= eflags::ALL & !eflags::STATUS;
        self.x87.top &= 7;
        self.x87.regs.iter_mut().for_each(|[_, high]| *high &= 0xffff);
        self.mode &= mode::SHADOW | mode::SMM | mode::CPL;
        self.settle();
        if self.mode & mode::CODE64 == 0 {
            self.pc &= 0xffff_ffff;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exception::reset;
    use crate::model::Model;

    #[test]
    fn a_state_of_a_cpu_is_sound() {
        let mut cpu = reset(&Model::ALL);
        cpu.mode |= mode::SHADOW;

        assert_eq!(cpu.sound(), cpu);
    }

    #[test]
    fn a_state_of_no_cpu_becomes_one() {
        let cpu = reset(&Model::ALL);
        let mut bad = cpu;
        (bad.fp_round, bad.x87.top, bad.mode) = (7, 9, !mode::CPL & !mode::SHADOW & !mode::SMM);
        (bad.eflags, bad.pc) = (!eflags::STATUS & !eflags::ALL, 1 << 40 | cpu.pc);

        let sound = bad.sound();

        assert_eq!((sound.fp_round, sound.x87.top, sound.mode), (3, 1, cpu.mode));
        assert_eq!((sound.eflags, sound.pc), (0, cpu.pc));
    }
}
