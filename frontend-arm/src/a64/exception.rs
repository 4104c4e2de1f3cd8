//! Exception entry and return (Arm ARM DDI 0487, D1.3, AArch64.TakeException and AArch64.ExceptionReturn).

use super::aarch32::pstate::USER;
use super::fault::{AGAIN, CLEAN_PC, ISS, NARROW, READ_FAILS, WNR, class, syndrome};
use super::features::{Feature, Features};
use super::mmu::canonical_code;
use super::state::{Cpu, psr, sctlr, stepped};
use crate::platform::{FIQ, IRQ};
use emu_ir::Fault;

/// Offsets of vectors from the first of those for where the exception comes from.
const SYNCHRONOUS: u64 = 0;
const IRQ_VECTOR: u64 = 0x80;
const FIQ_VECTOR: u64 = 0x100;
/// ESR_ELx.IL: the instruction has 32 bits.
const IL: u64 = 1 << 25;

impl Cpu {
    /// Enter EL1, to go on at the vector at `offset` and to return to `back`.
    fn enter(&mut self, features: Features, offset: u64, back: u64) {
        let from = match (self.el(), self.psr & psr::SP) {
            (0, _) if self.is_aarch32() => 0x600,
            (0, _) => 0x400,
            (_, 0) => 0,
            _ => 0x200,
        };
        self.sys.spsr = self.pstate().into();
        self.sys.elr = back;
        let kept = self.psr & (psr::PAN | psr::DIT);
        let mut new = kept | 1 << psr::EL_SHIFT | psr::SP | psr::DAIF;
        if features.has(Feature::Pan) && self.sys.sctlr & sctlr::SPAN == 0 {
            new |= psr::PAN;
        }
        if features.has(Feature::Ssbs) && self.sys.sctlr & sctlr::DSSBS != 0 {
            new |= psr::SSBS;
        }
        self.set_psr(new);
        self.branch = 0;
        self.pc = (self.sys.vbar & !0x7ff).wrapping_add(from + offset);
    }

    /// Take the exception of a fault of the instruction at the pc.
    pub fn raise(&mut self, features: Features, fault: Fault) {
        self.pc = canonical_code(self, self.pc);
        let of = self.stepped;
        self.stepped &= !stepped::FAULT;
        if matches!(fault, CLEAN_PC | AGAIN) {
            return;
        }
        let (mut ec, mut iss, addr) = syndrome(fault);
        if ec == class::FIRST_GUARDED {
            return self.meet_guarded();
        }
        match ec {
            class::INSTRUCTION_ABORT => {
                self.note_branch();
                self.sys.far = canonical_code(self, addr);
            }
            class::PC_ALIGNMENT => self.sys.far = self.pc,
            class::DATA_ABORT | class::WATCHPOINT => self.sys.far = addr,
            _ => {}
        }
        if ec == class::DATA_ABORT && of & stepped::ATOMIC != 0 && iss & READ_FAILS != 0 {
            iss &= !WNR;
        }
        if ec == class::DATA_ABORT && of & stepped::ZVA != 0 {
            self.sys.far = self.operand(of >> stepped::ZVA_SHIFT);
        }
        if has_levels(ec) && self.el() > 0 {
            ec += 1; // from the same exception level
        }
        let size = match ec {
            class::SVC_32 | class::BKPT_32 => self.call_size(),
            _ if iss & NARROW != 0 => 2,
            _ => 4,
        };
        let length = if size == 4 { IL } else { 0 };
        self.sys.esr = u64::from(ec) << 26 | length | u64::from(iss & ISS);
        let calls = matches!(ec, class::SVC | class::SVC_32);
        if calls {
            self.psr &= !psr::SS; // SSAdvance
        }
        if ec == class::SVC_32 {
            self.advance_it();
        }
        let back = self.pc.wrapping_add(if calls { size } else { 0 });
        self.enter(features, SYNCHRONOUS, back);
    }

    /// X`n`; 31 is zero.
    fn operand(&self, n: u32) -> u64 {
        let n = n as usize & 31;
        let register = (n != 31).then(|| self.x.get(n)).flatten();
        register.copied().unwrap_or(0)
    }

    /// Take the most urgent of the pending interrupts that is not masked; whether one was.
    pub fn interrupt(&mut self, features: Features, pending: u32) -> bool {
        let vector = match pending {
            p if p & FIQ != 0 && self.psr & psr::F == 0 => FIQ_VECTOR,
            p if p & IRQ != 0 && self.psr & psr::I == 0 => IRQ_VECTOR,
            _ => return false,
        };
        self.enter(features, vector, canonical_code(self, self.pc));
        true
    }

    /// ERET: to an address (ELR_EL1's, or what that authenticates as), as SPSR_EL1 says. An illegal return (D1.3.4) sets PSTATE.IL and stays at its exception level.
    pub fn exception_return(&mut self, features: Features, to: u64) {
        let saved = self.sys.spsr as u32;
        let steps_here = self.steps_now();
        (self.excl_armed, self.stepped, self.branch) = (0, 0, 0);
        self.set_nzcv(saved);
        if saved & psr::M == USER {
            self.enter_aarch32(saved, kept(features));
            self.settle_step(steps_here);
            let aligned = if self.call_size() == 2 { !1 } else { !3 };
            self.pc = to & 0xffff_ffff & aligned;
            return;
        }
        let legal = matches!(saved & psr::M, 0b00000 | 0b00100 | 0b00101);
        let kept = kept(features);
        let new = if legal {
            saved & kept
        } else {
            // What is not changed by an illegal return.
            let stays = psr::M | psr::SSBS | psr::UAO | psr::DIT;
            (saved & !(stays | psr::BTYPE) | self.psr & stays) & kept | psr::IL
        };
        self.set_psr(new);
        self.settle_step(steps_here);
        self.pc = canonical_code(self, to);
    }
    /// DebugExceptionReturnSS: PSTATE.SS is 0 where step is not on where a return goes, or was on before.
    fn settle_step(&mut self, was_on: bool) {
        if was_on || !self.steps_now() {
            self.psr &= !psr::SS;
        }
    }
}

/// Whether an exception class says if it comes from a lower exception level.
const fn has_levels(ec: u32) -> bool {
    matches!(
        ec,
        class::INSTRUCTION_ABORT | class::DATA_ABORT | class::BREAKPOINT | class::STEP | class::WATCHPOINT
    )
}

/// The bits of an SPSR that PSTATE has on a CPU with these features.
fn kept(features: Features) -> u32 {
    let optional = [
        (Feature::Bti, psr::BTYPE),
        (Feature::Ssbs, psr::SSBS),
        (Feature::Pan, psr::PAN),
        (Feature::Uao, psr::UAO),
        (Feature::Dit, psr::DIT),
    ];
    let base = psr::M | psr::DAIF | psr::IL | psr::SS;
    let there = optional.iter().filter(|row| features.has(row.0));
    there.fold(base, |all, row| all | row.1)
}

#[cfg(test)]
mod tests {
    use super::super::fault::{WNR, abort, exception};
    use super::super::state::mode;
    use super::*;
    use emu_ir::Access;

    fn at_el0() -> Cpu {
        let mut cpu = Cpu::reset();
        cpu.sys.vbar = 0xffff_0000_0000_0800;
        (cpu.pc, cpu.sp[0]) = (0x1000, 0x7000);
        cpu.set_psr(0);
        cpu.set_nzcv(0xa000_0000);
        cpu
    }

    #[test]
    fn a_system_call_enters_el1_behind_itself() {
        let mut cpu = at_el0();

        cpu.raise(Features::ALL, exception(class::SVC, 7));

        assert_eq!((cpu.el(), cpu.pc), (1, 0xffff_0000_0000_0c00));
        assert_eq!(
            (cpu.sys.elr, cpu.sys.spsr, cpu.sys.esr),
            (0x1004, 0xa000_0000, 0x5600_0007)
        );
        assert_eq!(cpu.psr & psr::DAIF, psr::DAIF);
        assert_eq!((cpu.sp[0], cpu.mode & mode::EL), (0x7000, 1));
    }

    #[test]
    fn an_abort_tells_where_it_came_from() {
        let fault = abort(0x1234, Access::Write, 0b00_0111);
        let mut cpu = at_el0();
        cpu.raise(Features::ALL, fault);
        assert_eq!((cpu.sys.esr, cpu.sys.far), (0x9200_0000 | 7 | u64::from(WNR), 0x1234));

        cpu.raise(Features::ALL, fault);

        assert_eq!((cpu.sys.esr >> 26, cpu.pc), (0x25, 0xffff_0000_0000_0a00));
    }

    #[test]
    fn a_return_brings_back_what_was_saved() {
        let mut cpu = at_el0();
        let before = cpu;
        cpu.excl_armed = 3;
        cpu.raise(Features::ALL, exception(class::BRK, 0));

        cpu.exception_return(Features::ALL, cpu.sys.elr);

        assert_eq!(
            (cpu.pc, cpu.psr, cpu.nzcv(), cpu.x),
            (before.pc, before.psr, before.nzcv(), before.x)
        );
        assert_eq!((cpu.mode, cpu.excl_armed), (before.mode, 0));
    }

    #[test]
    fn an_illegal_return_stays_at_its_level() {
        let mut cpu = Cpu::reset();
        (cpu.sys.elr, cpu.sys.spsr) = (0x2000, 0b01001); // to EL2

        cpu.exception_return(Features::ALL, cpu.sys.elr);

        assert_eq!((cpu.el(), cpu.psr & psr::IL, cpu.pc), (1, psr::IL, 0x2000));
    }

    /// User mode in Thumb code, in an IT block, with all flags set.
    fn at_aarch32() -> Cpu {
        let mut cpu = at_el0();
        (cpu.sys.elr, cpu.sys.spsr) = (0x1_0000_2003, 0xfe0f_1c30);
        cpu.exception_return(Features::ALL, cpu.sys.elr);
        cpu
    }

    #[test]
    fn a_return_to_user_mode_goes_to_aarch32_and_comes_back_from_there() {
        let mut cpu = at_aarch32();
        cpu.x[14] = 0xffff;
        assert!(cpu.is_aarch32());
        assert_eq!((cpu.pc, cpu.el(), cpu.aarch32.ge), (0x2002, 0, 15));

        cpu.raise(Features::ALL, abort(0x1234, Access::Read, 0b00_0111));

        assert!(!cpu.is_aarch32());
        assert_eq!(
            (cpu.pc, cpu.sys.elr, cpu.sys.far),
            (0xffff_0000_0000_0e00, 0x2002, 0x1234)
        );
        assert_eq!((cpu.sys.spsr, cpu.sys.esr), (0xfe0f_1c30, 0x9200_0007));
        assert_eq!(cpu.x[14], 0xffff);
        cpu.exception_return(Features::ALL, cpu.sys.elr);
        assert_eq!((cpu.pc, cpu.pstate()), (0x2002, 0xfe0f_1c30));
    }

    #[test]
    fn a_call_from_aarch32_returns_behind_it_and_its_it_state() {
        for (spsr, pc, back, saved, esr) in [
            (0x10, 0x2000, 0x2004, 0x10, 0x4600_0007),
            (0x30, 0x2000, 0x2002, 0x30, 0x4400_0007),
            (0x0600_0c30, 0x2000, 0x2002, 0x0400_1c30, 0x4400_0007), // IT 00001111 becomes 00011110
        ] {
            let mut cpu = at_el0();
            (cpu.sys.elr, cpu.sys.spsr) = (pc, spsr);
            cpu.exception_return(Features::ALL, cpu.sys.elr);

            cpu.raise(Features::ALL, exception(class::SVC_32, 7));

            assert_eq!(
                (cpu.sys.elr, cpu.sys.spsr, cpu.sys.esr),
                (back, saved, esr),
                "{spsr:#x}"
            );
        }
    }

    #[test]
    fn masked_interrupts_are_not_taken() {
        let mut cpu = at_el0();
        cpu.set_psr(psr::I);

        assert!(!cpu.interrupt(Features::ALL, IRQ));
        assert!(cpu.interrupt(Features::ALL, IRQ | FIQ));

        assert_eq!((cpu.pc, cpu.sys.elr), (0xffff_0000_0000_0d00, 0x1000));
    }
}
