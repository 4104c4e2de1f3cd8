//! VFP's and Advanced SIMD's system registers and what they enable (Arm ARM DDI 0406C, B4.1.58 and A2.6).

use crate::features::{Feature, Features};
use crate::model::Model;
use crate::state::{Cpu, mode};
use emu_ir::{FP_DENORMAL, FP_DIVZERO, FP_INEXACT, FP_INVALID, FP_OVERFLOW, FP_UNDERFLOW, Round};

/// FPEXC.EN.
pub const FPEXC_EN: u32 = 1 << 30;
/// FPSCR.AHP.
const AHP: u32 = 1 << 26;
/// FPSCR.DN.
const DN: u32 = 1 << 25;
/// FPSCR.FZ.
const FZ: u32 = 1 << 24;
/// FPSCR.FZ16.
const FZ16: u32 = 1 << 19;
/// FPSCR.Stride and Len.
const VECTOR: u32 = 3 << 20 | 7 << 16;
/// FPSCR.QC.
const QC: u32 = 1 << 27;

/// FPSCR's (and FPSR's) cumulative flags and the engine's.
pub(crate) const FLAGS: [(u32, u32); 6] = [
    (1 << 0, FP_INVALID),
    (1 << 1, FP_DIVZERO),
    (1 << 2, FP_OVERFLOW),
    (1 << 3, FP_UNDERFLOW),
    (1 << 4, FP_INEXACT),
    (1 << 7, FP_DENORMAL),
];

/// FPSCR's (and FPCR's) RMode to the engine's rounding mode, and back: both exchange 1 and 2.
pub(crate) const fn round(mode: u32) -> u32 {
    match mode & 3 {
        0 => Round::Nearest as u32,
        1 => Round::Up as u32,
        2 => Round::Down as u32,
        _ => Round::Zero as u32,
    }
}

/// The control bits that FPSCR has but for RMode: Armv8 has no short vectors.
pub(crate) fn control(features: Features) -> u32 {
    let vector = if features.has(Feature::A32V8) { 0 } else { VECTOR };
    let halves = if features.has(Feature::Fp16) { FZ16 } else { 0 };
    AHP | DN | FZ | vector | halves
}

impl Cpu {
    /// The FPSCR.
    pub fn fpscr(&self) -> u32 {
        let bit = |v: u8, at: u32| u32::from(v & 1) << at;
        let nzcv = bit(self.fp_n, 31) | bit(self.fp_z, 30) | bit(self.fp_c, 29) | bit(self.fp_v, 28);
        let qc = if self.qc != [0; 2] { QC } else { 0 };
        let flags = FLAGS
            .iter()
            .filter(|(_, f)| self.fp_flags & f != 0)
            .fold(0, |all, (bit, _)| all | bit);
        nzcv | qc | flags | round(self.fp_round) << 22 | self.fpscr
    }

    /// Sets the FPSCR of ARMv7.
    pub fn set_fpscr(&mut self, value: u32) {
        self.set_fpscr_of(Features::BASE, value);
    }

    /// Sets the FPSCR of a CPU with these features.
    pub fn set_fpscr_of(&mut self, features: Features, value: u32) {
        self.set_fpscr_bits(control(features), value);
    }

    /// The same where the control bits that are there are known. The exception trap enables are zero: the models do not trap.
    pub(crate) fn set_fpscr_bits(&mut self, control: u32, value: u32) {
        let bit = |at: u32| (value >> at & 1) as u8;
        (self.fp_n, self.fp_z, self.fp_c, self.fp_v) = (bit(31), bit(30), bit(29), bit(28));
        self.qc = [u64::from(value & QC != 0), 0];
        self.fp_flags = FLAGS
            .iter()
            .filter(|(bit, _)| value & bit != 0)
            .fold(0, |all, (_, f)| all | f);
        self.fp_round = round(value >> 22);
        self.fpscr = value & control;
        self.update_mode();
    }

    /// VMRS: the register that the instruction's `reg` field names. `None`: Undefined.
    pub fn vfp_read(&self, model: &Model, reg: u32) -> Option<u32> {
        self.vfp_access(reg)?;
        self.vfp_look(model, reg)
    }

    /// The same whatever is enabled: for debuggers.
    pub(crate) fn vfp_look(&self, model: &Model, reg: u32) -> Option<u32> {
        match reg {
            0 => Some(model.fpsid),
            1 => Some(self.fpscr()),
            6 => Some(model.mvfr1),
            7 => Some(model.mvfr0),
            8 => Some(self.fpexc),
            _ => None,
        }
    }

    /// VMSR: as [`Cpu::vfp_read`]. Writes to the identification registers are ignored.
    pub fn vfp_write(&mut self, reg: u32, value: u32) -> Option<()> {
        self.vfp_access(reg)?;
        self.vfp_set(reg, value)
    }

    /// The same whatever is enabled: for debuggers.
    pub(crate) fn vfp_set(&mut self, reg: u32, value: u32) -> Option<()> {
        match reg {
            0 | 6 | 7 => {}
            1 => self.set_fpscr(value),
            8 => {
                self.fpexc = value & FPEXC_EN;
                self.update_mode();
            }
            _ => return None,
        }
        Some(())
    }

    /// The FPSCR needs FPEXC.EN; the others a privileged mode and CPACR only.
    fn vfp_access(&self, reg: u32) -> Option<()> {
        let enabled = self.fpexc & FPEXC_EN != 0;
        let ok = self.cp_allowed() && if reg == 1 { enabled } else { !self.is_user() };
        ok.then_some(())
    }

    /// Whether CPACR lets the current privilege use cp10 and cp11.
    fn cp_allowed(&self) -> bool {
        match self.cp15.cpacr >> 20 & 15 {
            0b1111 => true,
            0b0101 => !self.is_user(),
            _ => false,
        }
    }

    /// The bits of the mode word that come from CPACR, FPEXC and FPSCR.
    pub(crate) fn fp_mode(&self) -> u32 {
        let mut bits = 0;
        if self.cp_allowed() && self.fpexc & FPEXC_EN != 0 {
            bits |= mode::VFP;
            if self.cp15.cpacr >> 31 == 0 {
                bits |= mode::NEON;
            }
        }
        let when = |set: bool, bit: u32| if set { bit } else { 0 };
        bits | when(self.fpscr & FZ != 0, mode::FZ)
            | when(self.fpscr & FZ16 != 0, mode::FZ16)
            | when(self.fpscr & DN != 0, mode::DN)
            | when(self.fpscr & AHP != 0, mode::AHP)
            | when(self.fpscr & VECTOR != 0, mode::SHORT_VECTORS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MODELS;
    use crate::state::psr;

    fn enabled() -> Cpu {
        let mut cpu = Cpu::reset(&MODELS[0]);
        cpu.cp15.cpacr = 0x00f0_0000;
        cpu.vfp_write(8, u32::MAX).unwrap();
        cpu
    }

    #[test]
    fn fpscr_round_trip() {
        let mut cpu = enabled();
        for bit in (0..32).map(|b| 1 << b) {
            cpu.set_fpscr(bit);
            let kept = 0xfff7_009f;
            assert_eq!(cpu.fpscr(), bit & kept, "bit {bit:08x}");
        }
    }

    #[test]
    fn armv8_has_no_short_vectors_and_perhaps_a_flush_of_halves() {
        let kept = |features| {
            let mut cpu = enabled();
            cpu.set_fpscr_of(features, u32::MAX);
            (cpu.fpscr(), cpu.mode & (mode::SHORT_VECTORS | mode::FZ16))
        };
        let armv8 = Features::BASE.with(&[Feature::A32V8]);

        assert_eq!(kept(armv8), (0xffc0_009f, 0));
        assert_eq!(kept(armv8.with(&[Feature::Fp16])), (0xffc8_009f, mode::FZ16));
    }

    #[test]
    fn fpscr_reaches_the_engine_and_the_mode_word() {
        let mut cpu = enabled();
        cpu.set_fpscr(1 << 22 | 1 << 24 | 1 << 4 | 1 << 7);
        assert_eq!(cpu.fp_round, Round::Up as u32);
        assert_eq!(cpu.fp_flags, FP_INEXACT | FP_DENORMAL);
        assert_eq!(cpu.mode & (mode::FZ | mode::DN | mode::SHORT_VECTORS), mode::FZ);
        cpu.set_fpscr(1 << 25 | 1 << 16 | 2 << 22);
        assert_eq!(cpu.fp_round, Round::Down as u32);
        assert_eq!(
            cpu.mode & (mode::FZ | mode::DN | mode::SHORT_VECTORS),
            mode::DN | mode::SHORT_VECTORS
        );
    }

    #[test]
    fn system_registers_and_rights() {
        let mut cpu = enabled();
        let model = &MODELS[0];
        let rows = [
            (0, Some(0x4104_30f0)),
            (6, Some(0x1111_1111)),
            (7, Some(0x1011_0222)),
            (8, Some(1 << 30)),
            (9, None),
        ];
        for (reg, want) in rows {
            assert_eq!(cpu.vfp_read(model, reg), want, "{reg}");
        }
        assert_eq!(cpu.vfp_read(model, 1), Some(0));
        cpu.switch_mode(psr::USR);
        assert_eq!((cpu.vfp_read(model, 1), cpu.vfp_read(model, 0)), (Some(0), None));
        assert_eq!(cpu.vfp_write(8, 0), None);
        cpu.switch_mode(psr::SVC);
        cpu.vfp_write(8, 0).unwrap();
        assert_eq!((cpu.vfp_read(model, 1), cpu.vfp_read(model, 8)), (None, Some(0)));
    }
}
