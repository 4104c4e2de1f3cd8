//! PSTATE in AArch32 state: as SPSR_EL1 has it (Arm ARM DDI 0487, C5.2.19, "When exception taken from AArch32 state"), and the
//! mode word that follows.

use super::super::state::mode::AARCH32;
use super::super::state::{Cpu, psr, sctlr};
use super::{UPPER, mode};
use crate::psr::it_after;
use crate::state::mode as a32;

/// PSTATE.M of User mode.
pub const USER: u32 = 0x10;
/// What [`Cpu::psr`] has of it.
const KEPT: u32 = psr::M | psr::A | psr::I | psr::F | psr::IL | psr::SS | psr::PAN | psr::DIT;
/// PSTATE.SSBS.
const SSBS: u32 = 1 << 23;
/// CPSR.T.
const T: u32 = 1 << 5;
/// CPSR.E.
const E: u32 = 1 << 9;

impl Cpu {
    /// Whether it is in AArch32 state.
    pub fn is_aarch32(&self) -> bool {
        self.mode & AARCH32 != 0
    }
    /// How many bytes the instruction at the pc has that is an exception of its own accord, SVC or BKPT: in Thumb code they
    /// have two.
    pub(in super::super) fn call_size(&self) -> u64 {
        match self.mode & (AARCH32 | a32::T) {
            thumb if thumb == AARCH32 | a32::T => 2,
            _ => 4,
        }
    }
    /// ITAdvance(): PSTATE.IT is that of the next instruction.
    pub(in super::super) fn advance_it(&mut self) {
        self.set_it(it_after((self.mode & a32::IT) >> a32::IT_SHIFT));
    }

    /// Sets PSTATE.IT.
    pub(in super::super) fn set_it(&mut self, it: u32) {
        self.mode = self.mode & !a32::IT | (it << a32::IT_SHIFT) & a32::IT;
    }

    /// PSTATE as SPSR_EL1 holds it.
    pub(in super::super) fn pstate_32(&self) -> u32 {
        let it = (self.mode & a32::IT) >> a32::IT_SHIFT;
        let when = |set: u32, bit: u32| if self.mode & set != 0 { bit } else { 0 };
        let ssbs = if self.psr & psr::SSBS != 0 { SSBS } else { 0 };
        let own = u32::from(self.aarch32.q & 1) << 27 | u32::from(self.aarch32.ge & 15) << 16;
        self.nzcv()
            | own
            | (it & 3) << 25
            | (it >> 2) << 10
            | when(a32::E, E)
            | when(a32::T, T)
            | self.psr & KEPT
            | ssbs
    }
    /// Goes to User mode with the PSTATE that SPSR_EL1 holds; `kept` are the bits that the CPU has.
    pub(in super::super) fn enter_aarch32(&mut self, saved: u32, kept: u32) {
        self.set_nzcv(saved);
        self.aarch32.q = (saved >> 27 & 1) as u8;
        self.aarch32.ge = (saved >> 16 & 15) as u8;
        let it = saved >> 25 & 3 | (saved >> 10 & 0x3f) << 2;
        let when = |set: u32, bit: u32| if saved & set != 0 { bit } else { 0 };
        self.mode = AARCH32 | it << a32::IT_SHIFT | when(T, a32::T) | when(E, a32::E);
        let ssbs = when(SSBS, psr::SSBS);
        self.set_psr((saved & KEPT | ssbs) & kept);
    }
    /// The mode word. PSTATE.T, E and IT live in it and stay.
    pub(in super::super) fn mode_32(&self) -> u32 {
        let control = self.sys.sctlr;
        let when = |set: bool, bits: u32| if set { bits } else { 0 };
        let stays = when(self.is_aarch32(), self.mode & (a32::T | a32::E | a32::IT));
        stays
            | AARCH32
            | a32::USER
            | self.as_aarch32_fp() & a32::FLOATING
            | when(control & sctlr::ITD != 0, a32::ITD)
            | when(control & sctlr::SED != 0, a32::SED)
            | when(control & sctlr::A != 0 || control & sctlr::M == 0, a32::ALIGN)
            | when(self.sys.pmu.counts(true), a32::COUNT)
            | when(self.psr & psr::IL != 0, mode::IL)
            | when(self.steps(), mode::STEP)
    }
    /// The bits of FPSCR that code depends on, and whether it may use floating point.
    fn as_aarch32_fp(&self) -> u32 {
        let bit = |at: u32, to: u32| if self.fpcr >> at & 1 != 0 { to } else { 0 };
        let enabled = if self.fp_enabled() { a32::VFP | a32::NEON } else { 0 };
        enabled | bit(19, a32::FZ16) | bit(24, a32::FZ) | bit(25, a32::DN) | bit(26, a32::AHP)
    }
    /// Sets the bits of the mode word that AArch32's instructions write.
    pub(super) fn set_mode_32(&mut self, word: u32) {
        self.mode = self.mode & UPPER | word & !UPPER;
    }
}
