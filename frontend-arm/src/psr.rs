//! Program status registers, modes and banked registers (Arm ARM DDI 0406C, B1.3).

use crate::cp15::sctlr;
use crate::state::{Bank, Cpu, mode, psr};

/// Index into [`Cpu::banks`] of the User and System modes.
const USER_BANK: usize = 0;
/// Index into [`Cpu::banks`] of FIQ mode.
const FIQ_BANK: usize = 1;

/// The bank of a mode; `None` if there is no such mode (Monitor and Hyp mode included).
const fn bank(m: u32) -> Option<usize> {
    match m {
        psr::USR | psr::SYS => Some(USER_BANK),
        psr::FIQ => Some(FIQ_BANK),
        psr::IRQ => Some(2),
        psr::SVC => Some(3),
        psr::ABT => Some(4),
        psr::UND => Some(5),
        _ => None,
    }
}

/// ITAdvance (Arm ARM DDI 0406C, A2.5.2): CPSR.IT of the next instruction.
pub(crate) const fn it_after(it: u32) -> u32 {
    if it & 7 == 0 { 0 } else { it & 0xe0 | it << 1 & 0x1f }
}

/// The four mask bits of MSR as a mask of whole bytes.
#[expect(clippy::indexing_slicing, reason = "there are four bytes")]
const fn bytes(mask: u32) -> u32 {
    const EACH: [u32; 4] = [0xff, 0xff00, 0xff_0000, 0xff00_0000];
    let (mut all, mut i) = (0, 0);
    while i < 4 {
        if mask >> i & 1 != 0 {
            all |= EACH[i];
        }
        i += 1;
    }
    all
}

#[expect(
    clippy::indexing_slicing,
    reason = "`bank` is below BANKS, and registers have numbers of four bits"
)]
impl Cpu {
    /// Brings the mode word in step with what it is made from: CPSR.M, SCTLR, CPACR, FPEXC, FPSCR. CPSR.T, E and IT
    /// live in it and stay.
    pub fn update_mode(&mut self) {
        let mut bits = self.mode & (mode::T | mode::E | mode::IT) | self.fp_mode();
        if self.is_user() {
            bits |= mode::USER;
        }
        // With the MMU off all memory is Strongly-ordered (B3.2.1), which demands what SCTLR.A does.
        if self.cp15.sctlr & sctlr::A != 0 || self.cp15.sctlr & sctlr::M == 0 {
            bits |= mode::ALIGN;
        }
        if self.cp15.sctlr & sctlr::SW != 0 {
            bits |= mode::SWP;
        }
        if self.cp15.pmu.counts(self.is_user()) {
            bits |= mode::COUNT;
        }
        self.mode = bits;
    }

    /// CPSR.M.
    pub fn current_mode(&self) -> u32 {
        self.psr & psr::M
    }

    /// Whether the CPU is in User mode.
    pub fn is_user(&self) -> bool {
        self.current_mode() == psr::USR
    }

    /// CPSR.IT.
    pub fn it(&self) -> u32 {
        (self.mode & mode::IT) >> mode::IT_SHIFT
    }

    /// Sets CPSR.IT.
    pub fn set_it(&mut self, it: u32) {
        self.mode = self.mode & !mode::IT | (it << mode::IT_SHIFT) & mode::IT;
    }

    /// ITAdvance(): CPSR.IT of the next instruction.
    pub fn advance_it(&mut self) {
        self.set_it(it_after(self.it()));
    }

    /// The CPSR.
    pub fn cpsr(&self) -> u32 {
        let bit = |v: u8, at: u32| u32::from(v & 1) << at;
        let flags = bit(self.n, 31) | bit(self.z, 30) | bit(self.c, 29) | bit(self.v, 28) | bit(self.q, 27);
        let it = self.it();
        let t = if self.mode & mode::T != 0 { psr::T } else { 0 };
        let e = if self.mode & mode::E != 0 { psr::E } else { 0 };
        flags | (it & 3) << 25 | u32::from(self.ge & 15) << 16 | (it >> 2) << 10 | self.psr | t | e
    }

    /// Sets the whole CPSR, switching modes. A mode that does not exist leaves the mode as it is.
    pub fn set_cpsr(&mut self, value: u32) {
        let bit = |at: u32| (value >> at & 1) as u8;
        (self.n, self.z, self.c, self.v, self.q) = (bit(31), bit(30), bit(29), bit(28), bit(27));
        self.ge = (value >> 16 & 15) as u8;
        self.set_it(value >> 25 & 3 | (value >> 10 & 0x3f) << 2);
        self.mode &= !(mode::T | mode::E);
        if value & psr::T != 0 {
            self.mode |= mode::T;
        }
        if value & psr::E != 0 {
            self.mode |= mode::E;
        }
        let masks = psr::A | psr::I | psr::F;
        self.psr = self.psr & !masks | value & masks;
        self.switch_mode(value & psr::M);
    }

    /// Goes to another mode, exchanging banked registers. Does nothing if there is no such mode.
    pub fn switch_mode(&mut self, new: u32) {
        let (Some(from), Some(to)) = (bank(self.current_mode()), bank(new)) else {
            return;
        };
        if from != to {
            (self.banks[from].sp, self.banks[from].lr) = (self.r[13], self.r[14]);
            (self.r[13], self.r[14]) = (self.banks[to].sp, self.banks[to].lr);
            if from == FIQ_BANK {
                self.r8_12[1].copy_from_slice(&self.r[8..13]);
                self.r[8..13].copy_from_slice(&self.r8_12[0]);
            } else if to == FIQ_BANK {
                self.r8_12[0].copy_from_slice(&self.r[8..13]);
                self.r[8..13].copy_from_slice(&self.r8_12[1]);
            }
        }
        self.psr = self.psr & !psr::M | new;
        self.update_mode();
    }

    /// CPSRWriteByInstr(): MSR with four mask bits, or an exception return, which also sets the execution state bits.
    pub fn write_cpsr_by_instr(&mut self, value: u32, mask: u32, is_return: bool) {
        let mut writable = 0xf80f_0000 | psr::E;
        if is_return {
            writable |= 0x0600_fc00 | psr::T;
        }
        if !self.is_user() {
            writable |= psr::M | psr::A | psr::I | psr::F;
        }
        writable &= bytes(mask);
        self.set_cpsr(self.cpsr() & !writable | value & writable);
    }

    /// SPSRWriteByInstr(); `None` in User and System mode.
    pub fn write_spsr_by_instr(&mut self, value: u32, mask: u32) -> Option<()> {
        let writable = bytes(mask) & !0x00f0_0000;
        let spsr = self.spsr_mut()?;
        *spsr = *spsr & !writable | value & writable;
        Some(())
    }

    fn spsr_mut(&mut self) -> Option<&mut u32> {
        match bank(self.current_mode())? {
            USER_BANK => None,
            b => Some(&mut self.banks[b].spsr),
        }
    }

    /// The SPSR of the current mode; `None` in User and System mode.
    pub fn spsr(&self) -> Option<u32> {
        match bank(self.current_mode())? {
            USER_BANK => None,
            b => Some(self.banks[b].spsr),
        }
    }

    /// Sets the SPSR of the current mode, if it has one.
    pub fn set_spsr(&mut self, value: u32) {
        if let Some(spsr) = self.spsr_mut() {
            *spsr = value;
        }
    }

    /// User mode's copy of R`n`, 0 to 14.
    pub fn user_reg(&mut self, n: u32) -> u32 {
        *self.reg_of(psr::USR, n)
    }

    /// Sets User mode's copy of R`n`, 0 to 14.
    pub fn set_user_reg(&mut self, n: u32, value: u32) {
        *self.reg_of(psr::USR, n) = value;
    }

    /// R`n` (0 to 14) as mode `m` sees it; of the current mode if there is no mode `m`.
    pub(crate) fn reg_of(&mut self, m: u32, n: u32) -> &mut u32 {
        let n = n as usize & 15;
        let here = bank(self.current_mode()).unwrap_or(USER_BANK);
        let there = bank(m).unwrap_or(here);
        match n {
            8..=12 if (here == FIQ_BANK) != (there == FIQ_BANK) => &mut self.r8_12[(there == FIQ_BANK) as usize][n - 8],
            13 if here != there => &mut self.banks[there].sp,
            14 if here != there => &mut self.banks[there].lr,
            _ => &mut self.r[n],
        }
    }

    /// The SP of mode `m`, for SRS; `None` in User and System mode, and if there is no mode `m`.
    pub fn srs_base(&mut self, m: u32) -> Option<u32> {
        self.spsr()?;
        bank(m & psr::M)?;
        Some(*self.reg_of(m & psr::M, 13))
    }

    /// Sets the SP of mode `m`.
    pub fn set_sp_of(&mut self, m: u32, value: u32) {
        *self.reg_of(m & psr::M, 13) = value;
    }

    /// MRS (banked), `spec` being R:SYSm (B9.2.3). `None` where it is Undefined or unpredictable: User mode, registers
    /// of the current mode, and those that do not exist.
    pub fn banked_read(&mut self, spec: u32) -> Option<u32> {
        self.banked(spec).map(|reg| *reg)
    }

    /// MSR (banked); `None` as for [`Cpu::banked_read`].
    pub fn banked_write(&mut self, spec: u32, value: u32) -> Option<()> {
        let value = if spec & 0x20 != 0 { value & !0x00f0_0000 } else { value };
        *self.banked(spec)? = value;
        Some(())
    }

    fn banked(&mut self, spec: u32) -> Option<&mut u32> {
        if self.is_user() {
            return None;
        }
        let here = self.current_mode();
        let sysm = spec & 0x1f;
        let (m, n) = match sysm {
            0x00..=0x06 => (psr::USR, 8 + sysm),
            0x08..=0x0e => (psr::FIQ, sysm),
            0x10..=0x17 => {
                let m = [psr::IRQ, psr::SVC, psr::ABT, psr::UND][(sysm as usize >> 1) & 3];
                (m, if sysm & 1 == 0 { 14 } else { 13 })
            }
            _ => return None,
        };
        if spec & 0x20 != 0 {
            let has = sysm == 0x0e || sysm >= 0x10 && sysm & 1 == 0;
            let m = if sysm == 0x0e { psr::FIQ } else { m };
            return (has && m != here).then(|| &mut self.banks[bank(m).unwrap_or(USER_BANK)].spsr);
        }
        let own = match m {
            psr::USR => here == psr::SYS || n < 13 && here != psr::FIQ,
            m => m == here,
        };
        (!own).then(|| self.reg_of(m, n))
    }

    /// The SPSR of mode `m`; `None` for User and System mode, and if there is no mode `m`.
    pub(crate) fn spsr_of(&mut self, m: u32) -> Option<&mut u32> {
        match bank(m)? {
            USER_BANK => None,
            b => Some(&mut self.banks[b].spsr),
        }
    }

    /// A mode's SP, LR and SPSR wherever they are now: for debuggers. `None` if there is no such mode.
    pub fn bank_of(&mut self, m: u32) -> Option<Bank> {
        let spsr = self.banks[bank(m)?].spsr;
        Some(Bank {
            sp: *self.reg_of(m, 13),
            lr: *self.reg_of(m, 14),
            spsr,
        })
    }
}

/// Whether there is such a mode.
pub fn exists(m: u32) -> bool {
    bank(m).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MODELS;

    const MODES: [u32; 7] = [psr::USR, psr::FIQ, psr::IRQ, psr::SVC, psr::ABT, psr::UND, psr::SYS];

    /// A CPU whose every register in every mode holds `mode << 8 | n`.
    fn filled() -> Cpu {
        let mut cpu = Cpu::reset(&MODELS[0]);
        for m in [psr::USR, psr::IRQ, psr::SVC, psr::ABT, psr::UND, psr::FIQ] {
            cpu.switch_mode(m);
            for n in 0..15 {
                let own = n >= 13 || m == psr::FIQ && n >= 8;
                cpu.r[n] = if own { m << 8 | n as u32 } else { n as u32 };
            }
            cpu.set_spsr(m);
        }
        cpu
    }

    /// What R`n` is in mode `m` of [`filled`].
    fn want(m: u32, n: u32) -> u32 {
        let m = if m == psr::SYS { psr::USR } else { m };
        if n >= 13 || m == psr::FIQ && n >= 8 {
            m << 8 | n
        } else {
            n
        }
    }

    #[test]
    fn every_mode_has_its_registers() {
        let mut cpu = filled();
        for from in MODES {
            for to in MODES {
                cpu.switch_mode(from);
                cpu.switch_mode(to);
                for n in 0..15 {
                    assert_eq!(cpu.r[n as usize], want(to, n), "R{n} from {from:x} to {to:x}");
                    assert_eq!(cpu.user_reg(n), want(psr::USR, n), "user R{n} in {to:x}");
                }
                let spsr = (to != psr::USR && to != psr::SYS).then_some(to);
                assert_eq!(cpu.spsr(), spsr, "SPSR in {to:x}");
            }
        }
    }

    #[test]
    fn user_registers_are_written_from_any_mode() {
        for m in MODES {
            let mut cpu = filled();
            cpu.switch_mode(m);
            for n in 0..15 {
                cpu.set_user_reg(n, 0xabc0 | n);
            }
            cpu.switch_mode(psr::SYS);
            for n in 0..15 {
                assert_eq!(cpu.r[n as usize], 0xabc0 | n, "R{n} written in {m:x}");
            }
        }
    }

    #[test]
    fn banked_registers_by_sysm() {
        let rows = [
            (0x00, None, "R8_usr is R8"),
            (0x05, Some(want(psr::USR, 13)), "SP_usr"),
            (0x06, Some(want(psr::USR, 14)), "LR_usr"),
            (0x07, None, "none"),
            (0x08, Some(want(psr::FIQ, 8)), "R8_fiq"),
            (0x0e, Some(want(psr::FIQ, 14)), "LR_fiq"),
            (0x10, Some(want(psr::IRQ, 14)), "LR_irq"),
            (0x11, Some(want(psr::IRQ, 13)), "SP_irq"),
            (0x12, None, "LR_svc is LR"),
            (0x15, Some(want(psr::ABT, 13)), "SP_abt"),
            (0x16, Some(want(psr::UND, 14)), "LR_und"),
            (0x1c, None, "LR_mon"),
            (0x2e, Some(psr::FIQ), "SPSR_fiq"),
            (0x30, Some(psr::IRQ), "SPSR_irq"),
            (0x32, None, "SPSR_svc is SPSR"),
            (0x36, Some(psr::UND), "SPSR_und"),
            (0x3e, None, "SPSR_hyp"),
        ];
        for (spec, value, what) in rows {
            let mut cpu = filled();
            cpu.switch_mode(psr::SVC);
            assert_eq!(cpu.banked_read(spec), value, "{what}");
            assert_eq!(cpu.banked_write(spec, 5).is_some(), value.is_some(), "{what}");
            if value.is_some() {
                assert_eq!(cpu.banked_read(spec), Some(5), "{what}");
            }
            cpu.switch_mode(psr::USR);
            assert_eq!(cpu.banked_read(spec), None, "{what} in User mode");
        }
    }

    #[test]
    fn cpsr_round_trip() {
        let mut cpu = filled();
        for value in [0xf80f_ffdf, 0x0600_fc33, 0x0000_0010, 0x9007_0252, 0x2000_01d1] {
            cpu.set_cpsr(value);
            assert_eq!(cpu.cpsr(), value);
        }
        cpu.set_cpsr(0x0000_0016);
        assert_eq!(cpu.cpsr() & psr::M, psr::FIQ, "there is no Monitor mode");
    }

    #[test]
    fn msr_writes_what_it_may() {
        let cases = [
            (psr::SVC, 0b1111, false, 0xf80f_03d2),
            (psr::SVC, 0b1111, true, 0xfe0f_fff2),
            (psr::SVC, 0b1000, false, 0xf800_0013),
            (psr::SVC, 0b0001, false, 0x0000_00d2),
            (psr::USR, 0b1111, false, 0xf80f_0210),
        ];
        for (m, mask, is_return, want) in cases {
            let mut cpu = Cpu::reset(&MODELS[0]);
            cpu.set_cpsr(m);
            cpu.write_cpsr_by_instr(0xffff_fff2, mask, is_return);
            assert_eq!(cpu.cpsr(), want, "mode {m:x} mask {mask:04b}");
        }
    }

    #[test]
    fn it_advances() {
        let mut cpu = filled();
        for (before, after) in [(0b0000_1000, 0), (0b0000_0100, 0b0000_1000), (0b1101_0001, 0b1100_0010)] {
            cpu.set_it(before);
            cpu.advance_it();
            assert_eq!(cpu.it(), after, "{before:08b}");
        }
    }
}
