//! PSTATE, FPCR and FPSR, and the mode word that follows from them (Arm ARM DDI 0487, D1.4, A1.5, C5.2).

use super::aarch32::pstate::USER;
use super::pauth::field::{is_usual, layout};
use super::state::{Cpu, mode, psr, sctlr};
use crate::fpstatus::{FLAGS, round};
use crate::pmu::LC;
use crate::timer::FREQUENCY;

/// FPCR.AHP.
const AHP: u32 = 1 << 26;
/// FPCR.DN.
const DN: u32 = 1 << 25;
/// FPCR.FZ.
const FZ: u32 = 1 << 24;
/// FPCR.FZ16.
const FZ16: u32 = 1 << 19;
/// FPCR.Stride and Len, which AArch32 has.
const VECTOR: u32 = 3 << 20 | 7 << 16;
/// FPSR.QC.
const QC: u32 = 1 << 27;

impl Cpu {
    /// A CPU after reset, at EL1, its highest exception level.
    pub fn reset() -> Cpu {
        let mut cpu = <Cpu as bytemuck::Zeroable>::zeroed();
        cpu.psr = psr::DAIF | 1 << psr::EL_SHIFT | psr::SP;
        cpu.sys.sctlr = sctlr::ONES | sctlr::SPAN | sctlr::CP15BEN;
        cpu.sys.cntfrq = FREQUENCY.into();
        cpu.sys.oslock = 1;
        cpu.sys.pmu.pmcr = LC;
        cpu.update_layout();
        cpu.update_mode();
        cpu
    }

    /// The exception level: 0 or 1.
    pub fn el(&self) -> u32 {
        (self.psr & psr::EL) >> psr::EL_SHIFT
    }
    /// N, Z, C and V in bits 31 to 28.
    pub fn nzcv(&self) -> u32 {
        [self.n, self.z, self.c, self.v]
            .into_iter()
            .fold(0, |all, flag| all << 1 | u32::from(flag & 1))
            << psr::V_SHIFT
    }
    /// Sets N, Z, C and V from bits 31 to 28.
    pub fn set_nzcv(&mut self, value: u32) {
        let bit = |at: u32| (value >> at & 1) as u8;
        (self.n, self.z, self.c, self.v) = (bit(31), bit(30), bit(29), bit(28));
    }
    /// PSTATE as SPSR_ELx holds it.
    pub fn pstate(&self) -> u32 {
        if self.is_aarch32() {
            return self.pstate_32();
        }
        self.psr | self.nzcv() | self.btype() << psr::BTYPE_SHIFT
    }
    /// PSTATE.BTYPE.
    pub fn btype(&self) -> u32 {
        (self.mode & mode::BTYPE) >> mode::BTYPE_SHIFT
    }
    /// Sets PSTATE but for the condition flags, with what follows: stack pointer and mode word.
    pub fn set_psr(&mut self, value: u32) {
        let [old, new] = [self.psr, value].map(stack);
        if old != new {
            let current = self.x[31];
            if let Some(kept) = self.sp.get_mut(old) {
                *kept = current;
            }
            self.x[31] = self.sp.get(new).copied().unwrap_or(current);
        }
        self.psr = value & !psr::BTYPE;
        if value & psr::M != USER {
            let btype = (value & psr::BTYPE) >> psr::BTYPE_SHIFT;
            self.mode = self.mode & !mode::BTYPE | btype << mode::BTYPE_SHIFT;
        }
        self.update_mode();
    }
    /// SP_EL0.
    pub fn sp_el0(&self) -> u64 {
        if stack(self.psr) == 0 { self.x[31] } else { self.sp[0] }
    }
    /// Sets SP_EL0.
    pub fn set_sp_el0(&mut self, value: u64) {
        if stack(self.psr) == 0 {
            self.x[31] = value;
        } else {
            self.sp[0] = value;
        }
    }

    /// Whether CPACR_EL1.FPEN lets the current exception level use floating point.
    pub fn fp_enabled(&self) -> bool {
        match self.sys.cpacr >> 20 & 3 {
            0b11 => true,
            0b01 => self.el() > 0,
            _ => false,
        }
    }
    /// Whether the current exception level may use DC ZVA.
    pub fn zva_allowed(&self) -> bool {
        self.el() > 0 || self.sys.sctlr & sctlr::DZE != 0
    }
    /// FPCR.
    pub fn fpcr_read(&self) -> u32 {
        self.fpcr | round(self.fp_round) << 22
    }
    /// Sets FPCR. Its exception trap enables are zero: the models do not trap.
    pub fn fpcr_write(&mut self, value: u32) {
        self.fpcr = value & (AHP | DN | FZ | FZ16 | VECTOR);
        self.fp_round = round(value >> 22);
        self.update_mode();
    }
    /// FPSR.
    pub fn fpsr(&self) -> u32 {
        let flags = FLAGS.iter().filter(|(_, f)| self.fp_flags & f != 0);
        let qc = if self.qc != [0; 2] { QC } else { 0 };
        flags.fold(qc, |all, (bit, _)| all | bit)
    }
    /// Sets FPSR.
    pub fn set_fpsr(&mut self, value: u32) {
        let flags = FLAGS.iter().filter(|(bit, _)| value & bit != 0);
        self.fp_flags = flags.fold(0, |all, (_, f)| all | f);
        self.qc = [u64::from(value & QC != 0), 0];
    }

    /// The state that was saved somewhere, with what is redundant in it made anew, so that nobody can load a state that
    /// cannot be.
    #[must_use]
    pub fn sound(mut self) -> Cpu {
        for flag in [&mut self.n, &mut self.z, &mut self.c, &mut self.v] {
            *flag &= 1;
        }
        self.fp_round &= 3;
        self.fpcr &= AHP | DN | FZ | FZ16 | VECTOR;
        self.psr &= psr::ALL;
        self.aarch32.q &= 1;
        self.aarch32.ge &= 15;
        self.aarch32.fp_nzcv = self.aarch32.fp_nzcv.map(|flag| flag & 1);
        self.aarch32.reserved = Default::default();
        if !matches!(self.psr & psr::M, 0b00000 | 0b00100 | 0b00101 | USER) {
            self.psr = self.psr & !psr::M | 0b00101;
        }
        self.reserved2 = [0; Cpu::TAIL];
        self.update_layout();
        self.update_mode();
        self
    }

    /// Brings up to date what follows from TCR_EL1, but for the mode word.
    pub fn update_layout(&mut self) {
        self.sys.pac = layout(self.sys.tcr);
    }

    /// Brings the mode word up to date: see [`mode`].
    pub fn update_mode(&mut self) {
        if self.psr & psr::M == USER {
            self.mode = self.mode_32();
            return;
        }
        let (el, control) = (self.el(), self.sys.sctlr);
        let (endian, stack) = match el {
            0 => (sctlr::E0E, sctlr::SA0),
            _ => (sctlr::EE, sctlr::SA),
        };
        let when = |set: bool, bit: u32| if set { bit } else { 0 };
        self.mode = el
            | self.mode & mode::BTYPE
            | self.guard_bits()
            | when(control & endian != 0, mode::E)
            | when(control & sctlr::A != 0 || control & sctlr::M == 0, mode::ALIGN)
            | when(control & sctlr::M == 0, mode::DEVICE)
            | when(control & stack != 0, mode::SP_ALIGN)
            | when(self.fp_enabled(), mode::FP)
            | when(self.fpcr & FZ != 0, mode::FZ)
            | when(self.fpcr & FZ16 != 0, mode::FZ16)
            | when(self.fpcr & DN != 0, mode::DN)
            | when(self.fpcr & AHP != 0, mode::AHP)
            | when(el == 1 && self.psr & psr::UAO == 0, mode::UNPRIVILEGED)
            | when(self.psr & psr::SP != 0, mode::SPX)
            | when(self.psr & psr::IL != 0, mode::IL)
            | when(self.steps(), mode::STEP)
            | when(control & sctlr::NAA != 0, mode::UNALIGNED_ORDERED)
            | when(control & sctlr::ENIA != 0, mode::IA)
            | when(control & sctlr::ENIB != 0, mode::IB)
            | when(control & sctlr::ENDA != 0, mode::DA)
            | when(control & sctlr::ENDB != 0, mode::DB)
            | when(is_usual(self.sys.tcr), mode::USUAL)
            | when(self.sys.pmu.counts(el == 0), mode::COUNT);
    }
}

/// Which stack pointer is in use.
fn stack(psr: u32) -> usize {
    let el = (psr & psr::EL) >> psr::EL_SHIFT;
    if psr & psr::SP == 0 { 0 } else { el as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stack_pointers_change_with_what_is_selected() {
        let mut cpu = Cpu::reset();
        cpu.x[31] = 0x1000;
        cpu.set_sp_el0(0x2000);

        cpu.set_psr(cpu.psr & !psr::SP);
        assert_eq!((cpu.x[31], cpu.sp[1]), (0x2000, 0x1000));
        cpu.set_sp_el0(0x3000);
        cpu.set_psr(cpu.psr | psr::SP);

        assert_eq!((cpu.x[31], cpu.sp_el0()), (0x1000, 0x3000));
    }

    #[test]
    fn fpcr_and_fpsr_keep_their_bits_and_reach_the_mode_word() {
        let mut cpu = Cpu::reset();
        for bit in (0..32).map(|b| 1 << b) {
            cpu.fpcr_write(bit);
            cpu.set_fpsr(bit);
            assert_eq!(cpu.fpcr_read(), bit & 0x07ff_0000, "{bit:#x}");
            assert_eq!(cpu.fpsr(), bit & 0x0800_009f, "{bit:#x}");
        }
        cpu.fpcr_write(FZ | DN);
        assert_eq!(cpu.mode & (mode::FZ | mode::DN | mode::AHP), mode::FZ | mode::DN);
    }
}
