//! Exception entry (Arm ARM DDI 0406C, B1.8 and B1.9).

use crate::cp15::sctlr;
use crate::fault::{Class, Status, abort, status_of};
use crate::platform::{FIQ, IRQ};
use crate::state::{Cpu, mode, psr};
use emu_ir::Fault;

/// An exception's vector: offset from the base, mode, the masks it sets, and what LR is ahead of the pc in ARM and
/// Thumb state (tables B1-3, B1-4 and B1-6).
struct Vector {
    offset: u32,
    mode: u32,
    masks: u32,
    ahead: [u32; 2],
}

const RESET: Vector = Vector {
    offset: 0x00,
    mode: psr::SVC,
    masks: psr::A | psr::I | psr::F,
    ahead: [0, 0],
};
const UNDEF: Vector = Vector {
    offset: 0x04,
    mode: psr::UND,
    masks: psr::I,
    ahead: [4, 2],
};
const SUPERVISOR: Vector = Vector {
    offset: 0x08,
    mode: psr::SVC,
    masks: psr::I,
    ahead: [4, 2],
};
const PREFETCH: Vector = Vector {
    offset: 0x0c,
    mode: psr::ABT,
    masks: psr::A | psr::I,
    ahead: [4, 4],
};
const DATA: Vector = Vector {
    offset: 0x10,
    mode: psr::ABT,
    masks: psr::A | psr::I,
    ahead: [8, 8],
};
const INTERRUPT: Vector = Vector {
    offset: 0x18,
    mode: psr::IRQ,
    masks: psr::A | psr::I,
    ahead: [4, 4],
};
const FAST: Vector = Vector {
    offset: 0x1c,
    mode: psr::FIQ,
    masks: psr::A | psr::I | psr::F,
    ahead: [4, 4],
};

impl Cpu {
    /// Enters the exception for a fault of the instruction at the pc.
    pub fn raise(&mut self, fault: Fault) {
        match fault {
            Fault::Guest { class, addr, info } => self.raise_guest(class, addr as u32, Status::from_bits(info)),
            Fault::Bus { addr, access } => self.raise(abort(addr as u32, access, Status::EXTERNAL)),
            Fault::Alignment { addr, access } => self.raise(abort(addr as u32, access, Status::ALIGNMENT)),
        }
    }

    fn raise_guest(&mut self, class: u32, addr: u32, status: Status) {
        const SVC: u32 = Class::Svc as u32;
        const PREFETCH_ABORT: u32 = Class::PrefetchAbort as u32;
        const DATA_ABORT: u32 = Class::DataAbort as u32;
        const BREAKPOINT: u32 = Class::Breakpoint as u32;
        const WATCHPOINT: u32 = Class::Watchpoint as u32;
        const BKPT: u32 = Class::Bkpt as u32;
        const VECTOR_CATCH: u32 = Class::VectorCatch as u32;
        // DBGDSCR.MOE (C11.11.20): the method of entry.
        let entry = match class {
            BREAKPOINT => Some(0b0001),
            BKPT => Some(0b0011),
            VECTOR_CATCH => Some(0b0101),
            WATCHPOINT => Some(0b1010),
            _ => None,
        };
        if let Some(entry) = entry {
            self.cp15.dbgdscr = self.cp15.dbgdscr & !0x3c | entry << 2;
        }
        match class {
            SVC => {
                self.advance_it();
                self.enter(&SUPERVISOR);
            }
            PREFETCH_ABORT | BREAKPOINT | BKPT | VECTOR_CATCH => {
                self.cp15.ifsr = status_of(self, status.domain(0));
                self.cp15.ifar = addr;
                self.enter(&PREFETCH);
            }
            DATA_ABORT | WATCHPOINT => {
                self.cp15.dfsr = status_of(self, status);
                self.cp15.dfar = addr;
                self.enter(&DATA);
            }
            _ => self.enter(&UNDEF),
        }
    }

    /// Enters the exception of the most urgent unmasked interrupt line; whether one was taken.
    pub fn interrupt(&mut self, pending: u32) -> bool {
        if pending & FIQ != 0 && self.psr & psr::F == 0 {
            self.enter(&FAST);
        } else if pending & IRQ != 0 && self.psr & psr::I == 0 {
            self.enter(&INTERRUPT);
        } else {
            return false;
        }
        true
    }

    /// Takes the Reset exception: what [`Cpu::reset`] ends with.
    pub(crate) fn enter_reset(&mut self) {
        self.enter(&RESET);
        (self.r[14], self.banks[3].spsr) = (0, 0);
    }

    fn enter(&mut self, v: &Vector) {
        let status = self.cpsr();
        let thumb = self.mode & mode::T != 0;
        let [in_arm, in_thumb] = v.ahead;
        let back = self.r[15].wrapping_add(if thumb { in_thumb } else { in_arm });
        self.switch_mode(v.mode);
        self.set_spsr(status);
        self.r[14] = back;
        self.psr |= v.masks;
        let control = self.cp15.sctlr;
        self.mode &= !(mode::T | mode::E | mode::IT);
        if control & sctlr::TE != 0 {
            self.mode |= mode::T;
        }
        if control & sctlr::EE != 0 {
            self.mode |= mode::E;
        }
        self.excl_armed = 0;
        self.r[15] = self.vectors().wrapping_add(v.offset);
    }
    /// The address of the first exception vector.
    pub(crate) fn vectors(&self) -> u32 {
        if self.cp15.sctlr & sctlr::V != 0 {
            0xffff_0000
        } else {
            self.cp15.vbar
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cp15::ttbcr;
    use crate::fault::{UNDEFINED, bkpt_fault, svc_fault};
    use crate::model::MODELS;
    use emu_ir::Access;

    /// A CPU in User mode with interrupts enabled, about to execute at 0x8000.
    fn user(thumb: bool) -> Cpu {
        let mut cpu = Cpu::reset(&MODELS[0]);
        cpu.set_cpsr(0x6000_0010 | if thumb { psr::T } else { 0 });
        cpu.r[15] = 0x8000;
        cpu.cp15.vbar = 0x4000;
        (cpu.excl_armed, cpu.r[13], cpu.r[14]) = (1, 0x111, 0x222);
        cpu
    }

    const fn data_abort(access: Access) -> Fault {
        Fault::Alignment { addr: 0x1235, access }
    }

    /// Each exception: vector, mode, masks set, LR in ARM and in Thumb state.
    #[test]
    fn entry() {
        type Row = (&'static str, fn(&mut Cpu), u32, u32, u32, [u32; 2]);
        let rows: [Row; 8] = [
            (
                "undefined",
                |c| c.raise(UNDEFINED),
                0x4004,
                psr::UND,
                psr::I,
                [0x8004, 0x8002],
            ),
            (
                "svc",
                |c| c.raise(svc_fault()),
                0x4008,
                psr::SVC,
                psr::I,
                [0x8004, 0x8002],
            ),
            (
                "bkpt",
                |c| c.raise(bkpt_fault()),
                0x400c,
                psr::ABT,
                psr::A | psr::I,
                [0x8004; 2],
            ),
            (
                "prefetch abort",
                |c| {
                    c.raise(Fault::Bus {
                        addr: 0x8000,
                        access: Access::Execute,
                    })
                },
                0x400c,
                psr::ABT,
                psr::A | psr::I,
                [0x8004; 2],
            ),
            (
                "data abort",
                |c| c.raise(data_abort(Access::Read)),
                0x4010,
                psr::ABT,
                psr::A | psr::I,
                [0x8008; 2],
            ),
            (
                "irq",
                |c| assert!(c.interrupt(IRQ)),
                0x4018,
                psr::IRQ,
                psr::A | psr::I,
                [0x8004; 2],
            ),
            (
                "fiq",
                |c| assert!(c.interrupt(IRQ | FIQ)),
                0x401c,
                psr::FIQ,
                psr::A | psr::I | psr::F,
                [0x8004; 2],
            ),
            (
                "garbage",
                |c| {
                    c.raise(Fault::Guest {
                        class: 99,
                        addr: 0,
                        info: !0,
                    })
                },
                0x4004,
                psr::UND,
                psr::I,
                [0x8004, 0x8002],
            ),
        ];
        for (what, take, vector, m, masks, lr) in rows {
            for thumb in [false, true] {
                let mut cpu = user(thumb);
                let before = cpu.cpsr();

                take(&mut cpu);

                assert_eq!(cpu.r[15], vector, "{what}");
                assert_eq!(cpu.cpsr() & 0x3ff, m | masks, "{what}");
                assert_eq!(cpu.r[14], lr[usize::from(thumb)], "{what}");
                assert_eq!(cpu.spsr(), Some(before), "{what}");
                assert_eq!((cpu.excl_armed, cpu.mode & mode::USER), (0, 0), "{what}");
                cpu.switch_mode(psr::USR);
                assert_eq!((cpu.r[13], cpu.r[14]), (0x111, 0x222), "{what}");
            }
        }
    }

    #[test]
    fn control_bits_choose_vectors_and_state() {
        let mut cpu = user(false);
        cpu.cp15.sctlr |= sctlr::V | sctlr::TE | sctlr::EE;

        cpu.raise(UNDEFINED);

        assert_eq!(cpu.r[15], 0xffff_0004);
        assert_eq!(cpu.mode & (mode::T | mode::E), mode::T | mode::E);
        assert_eq!(cpu.spsr().map(|s| s & (psr::T | psr::E)), Some(0));
    }

    #[test]
    fn masked_interrupts_wait() {
        let mut cpu = user(false);
        cpu.psr |= psr::I;
        assert!(!cpu.interrupt(IRQ));
        assert!(cpu.interrupt(IRQ | FIQ));
        assert!(!cpu.interrupt(IRQ | FIQ));
        assert!(!user(false).interrupt(0));
    }

    #[test]
    fn svc_returns_to_the_next_instruction_of_the_it_block() {
        let mut cpu = user(true);
        cpu.set_it(0b0000_1010);
        let mut other = cpu;

        cpu.raise(svc_fault());
        other.raise(UNDEFINED);

        assert_eq!(
            cpu.spsr().map(|s| s >> 25 & 3 | (s >> 10 & 0x3f) << 2),
            Some(0b0001_0100)
        );
        assert_eq!(
            other.spsr().map(|s| s >> 25 & 3 | (s >> 10 & 0x3f) << 2),
            Some(0b0000_1010)
        );
        assert_eq!(cpu.it(), 0);
    }

    #[test]
    fn statuses_of_faults_without_a_walk() {
        let rows = [
            (data_abort(Access::Read), 0x001, 0x221),
            (data_abort(Access::Write), 0x801, 0xa21),
            (
                Fault::Bus {
                    addr: 0x1235,
                    access: Access::Read,
                },
                0x008,
                0x210,
            ),
            (
                Fault::Bus {
                    addr: 0x1235,
                    access: Access::Write,
                },
                0x808,
                0xa10,
            ),
        ];
        for (fault, short, long) in rows {
            for (control, want) in [(0, short), (ttbcr::EAE, long)] {
                let mut cpu = user(false);
                cpu.cp15.ttbcr = control;
                cpu.raise(fault);
                assert_eq!((cpu.cp15.dfsr, cpu.cp15.dfar), (want, 0x1235), "{fault:?}");
            }
        }
        for (control, want) in [(0, 0x002), (ttbcr::EAE, 0x222)] {
            let mut cpu = user(false);
            cpu.cp15.ttbcr = control;
            cpu.raise(bkpt_fault());
            assert_eq!(cpu.cp15.ifsr, want, "BKPT");
        }
    }

    #[test]
    fn reset() {
        let cpu = Cpu::reset(&MODELS[0]);
        assert_eq!((cpu.cpsr(), cpu.r[15]), (0x1d3, 0));
        assert_eq!(cpu.cp15.sctlr, 0x00c5_0078);
    }
}
