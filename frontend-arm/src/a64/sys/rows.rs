//! The registers and system instructions: one row each, by op0 and CRn (Arm ARM DDI 0487, C5.3 to C5.5, D19).

use super::super::aarch32::MODEL as AARCH32;
use super::super::features::{Feature, Features};
use super::super::id::Id;
use super::super::model::Model;
use super::super::state::{self, Sys, psr, sctlr, tcr};
use super::monitors::{self, CR, ER, SW};
use super::table::{Act, After, At, Gate, Io, R, Reg, W};
use super::timer::{physical, virt};
use super::{debug, maintenance, timer};
use crate::platform::{FIQ, IRQ, Icc, affinity};
use crate::pmu::Source;
use crate::timer::{PL0PCTEN, PL0PTEN, PL0VCTEN, PL0VTEN};
use std::mem::offset_of;

/// Rights: at EL0, at EL1.
type Rights = (u8, u8);
const RO: Rights = (0, R);
const RW: Rights = (0, R | W);
const WO: Rights = (0, W);
/// EL0 reads, EL1 writes too.
const UR: Rights = (R, R | W);
/// Everyone reads, no one writes.
const URO: Rights = (R, R);
const URW: Rights = (R | W, R | W);
const UWO: Rights = (W, W);

const fn reg(name: &'static str, (op0, op1, crn, crm, op2): (u8, u8, u8, u8, u8), rights: Rights, act: Act) -> Reg {
    let at = At {
        op0,
        op1,
        crn,
        crm: (crm, crm),
        op2: (op2, op2),
    };
    Reg {
        name,
        at,
        user: rights.0,
        kernel: rights.1,
        gate: Gate::None,
        needs: Feature::Base,
        event: None,
        act,
    }
}

impl Reg {
    /// At EL0 it depends on something else.
    const fn when(self, gate: Gate) -> Reg {
        Reg { gate, ..self }
    }
    /// It is there with a feature.
    const fn needs(self, needs: Feature) -> Reg {
        Reg { needs, ..self }
    }
    /// Writes are an event of the performance monitors.
    const fn counted(self, event: Source) -> Reg {
        Reg {
            event: Some(event),
            ..self
        }
    }
    /// Answers up to this CRm and op2.
    const fn to(self, crm: u8, op2: u8) -> Reg {
        let at = At {
            crm: (self.at.crm.0, crm),
            op2: (self.at.op2.0, op2),
            ..self.at
        };
        Reg { at, ..self }
    }
}

/// Reads as zero, ignores writes; an instruction that does nothing here.
const NOTHING: Act = Act::Const(0);

const fn model(f: fn(&Model) -> u64) -> Act {
    Act::Model(f)
}
/// Eight bytes without consequences, all of which can be written.
macro_rules! long {
    ($field:ident) => {
        field!($field, |_| u64::MAX, Nothing)
    };
    ($field:ident, $mask:expr) => {
        field!($field, |_| $mask, Nothing)
    };
}
/// Eight bytes: the bits that can be written, and what a change brings about.
macro_rules! field {
    ($field:ident, $mask:expr, $after:ident) => {
        Act::Field {
            slot: state::sys(offset_of!(Sys, $field)),
            mask: $mask,
            after: After::$after,
        }
    };
}
/// Half of a key of pointer authentication.
const fn key(which: usize, half: usize) -> Act {
    Act::Field {
        slot: state::sys(offset_of!(Sys, keys) + 16 * which + 8 * half),
        mask: |_| u64::MAX,
        after: After::Nothing,
    }
}
const fn both(get: fn(&mut Io) -> u64, put: fn(&mut Io, u64)) -> Act {
    Act::Fn { get, put }
}
const fn read(get: fn(&mut Io) -> u64) -> Act {
    Act::Fn { get, put: |_, _| {} }
}
const fn write(put: fn(&mut Io, u64)) -> Act {
    Act::Fn { get: |_| 0, put }
}
/// A field of PSTATE.
macro_rules! pstate {
    ($bits:expr) => {
        both(
            |io| (io.cpu.psr & $bits).into(),
            |io, v| {
                let psr = io.cpu.psr & !$bits | v as u32 & $bits;
                io.cpu.set_psr(psr);
                io.env.context_changed();
            },
        )
    };
}

/// Of the performance monitors, what PMUSERENR_EL0.EN alone opens.
const PMU: Gate = Gate::Pmu(0, 0);
const UCI: Gate = Gate::Sctlr(sctlr::UCI);

/// Bits of a register that features add to what every CPU has.
fn with(features: Features, base: u64, more: &[(Feature, u64)]) -> u64 {
    let there = more.iter().filter(|row| features.has(row.0));
    there.fold(base, |all, row| all | row.1)
}

fn sctlr_mask(features: Features) -> u64 {
    let more = [
        (Feature::Pan, sctlr::SPAN),
        (Feature::Pan3, sctlr::EPAN),
        (Feature::Ssbs, sctlr::DSSBS),
        (Feature::Lse2, sctlr::NAA),
        (Feature::Bti, sctlr::BT0 | sctlr::BT1),
        (Feature::PAuth, sctlr::ENIA | sctlr::ENIB | sctlr::ENDA | sctlr::ENDB),
    ];
    with(features, sctlr::WRITABLE, &more)
}

fn tcr_mask(features: Features) -> u64 {
    let more = [
        (Feature::Haf, tcr::HA),
        (Feature::Hafdbs, tcr::HD),
        (Feature::Hpds, tcr::HPD0 | tcr::HPD1),
        (Feature::E0pd, tcr::E0PD0 | tcr::E0PD1),
        (Feature::PAuth, tcr::TBID0 | tcr::TBID1),
    ];
    with(features, tcr::WRITABLE, &more)
}

/// Every register and instruction there is.
#[rustfmt::skip]
pub(super) const ROWS: &[Reg] = &[
    // ---- identification
    reg("MIDR_EL1", (3, 0, 0, 0, 0), RO, model(|m| m.midr.into())),
    reg("MPIDR_EL1", (3, 0, 0, 0, 5), RO, read(mpidr)),
    reg("REVIDR_EL1", (3, 0, 0, 0, 6), RO, model(|m| m.revidr.into())),
    reg("ID_PFR0_EL1", (3, 0, 0, 1, 0), RO, Act::Id(Id::A32Pfr0)),
    reg("ID_PFR1_EL1", (3, 0, 0, 1, 1), RO, Act::Id(Id::A32Pfr1)),
    reg("ID_DFR0_EL1", (3, 0, 0, 1, 2), RO, Act::Id(Id::A32Dfr0)),
    reg("ID_AFR0_EL1", (3, 0, 0, 1, 3), RO, Act::Const(AARCH32.id_afr0 as u64)),
    reg("ID_MMFR0_EL1", (3, 0, 0, 1, 4), RO, Act::Const(AARCH32.id_mmfr[0] as u64)),
    reg("ID_MMFR1_EL1", (3, 0, 0, 1, 5), RO, Act::Const(AARCH32.id_mmfr[1] as u64)),
    reg("ID_MMFR2_EL1", (3, 0, 0, 1, 6), RO, Act::Const(AARCH32.id_mmfr[2] as u64)),
    reg("ID_MMFR3_EL1", (3, 0, 0, 1, 7), RO, Act::Const(AARCH32.id_mmfr[3] as u64)),
    reg("ID_ISAR0_EL1", (3, 0, 0, 2, 0), RO, Act::Const(AARCH32.id_isar[0] as u64)),
    reg("ID_ISAR1_EL1", (3, 0, 0, 2, 1), RO, Act::Const(AARCH32.id_isar[1] as u64)),
    reg("ID_ISAR2_EL1", (3, 0, 0, 2, 2), RO, Act::Const(AARCH32.id_isar[2] as u64)),
    reg("ID_ISAR3_EL1", (3, 0, 0, 2, 3), RO, Act::Const(AARCH32.id_isar[3] as u64)),
    reg("ID_ISAR4_EL1", (3, 0, 0, 2, 4), RO, Act::Const(AARCH32.id_isar[4] as u64)),
    reg("ID_ISAR5_EL1", (3, 0, 0, 2, 5), RO, Act::Id(Id::A32Isar5)),
    reg("ID_MMFR4_EL1", (3, 0, 0, 2, 6), RO, NOTHING),
    reg("ID_ISAR6_EL1", (3, 0, 0, 2, 7), RO, Act::Id(Id::A32Isar6)),
    reg("MVFR0_EL1", (3, 0, 0, 3, 0), RO, Act::Const(AARCH32.mvfr0 as u64)),
    reg("MVFR1_EL1", (3, 0, 0, 3, 1), RO, Act::Id(Id::Mvfr1)),
    reg("MVFR2_EL1", (3, 0, 0, 3, 2), RO, Act::Id(Id::Mvfr2)),
    reg("ID (reserved)", (3, 0, 0, 3, 3), RO, NOTHING),
    reg("ID_PFR2_EL1", (3, 0, 0, 3, 4), RO, Act::Id(Id::A32Pfr2)),
    reg("ID (reserved)", (3, 0, 0, 3, 5), RO, NOTHING).to(3, 7),
    reg("ID_AA64PFR0_EL1", (3, 0, 0, 4, 0), RO, Act::Id(Id::Pfr0)),
    reg("ID_AA64PFR1_EL1", (3, 0, 0, 4, 1), RO, Act::Id(Id::Pfr1)),
    reg("ID (reserved)", (3, 0, 0, 4, 2), RO, NOTHING).to(4, 7),
    reg("ID_AA64DFR0_EL1", (3, 0, 0, 5, 0), RO, Act::Id(Id::Dfr0)),
    reg("ID (reserved)", (3, 0, 0, 5, 1), RO, NOTHING).to(5, 7),
    reg("ID_AA64ISAR0_EL1", (3, 0, 0, 6, 0), RO, Act::Id(Id::Isar0)),
    reg("ID_AA64ISAR1_EL1", (3, 0, 0, 6, 1), RO, Act::Id(Id::Isar1)),
    reg("ID (reserved)", (3, 0, 0, 6, 2), RO, NOTHING).to(6, 7),
    reg("ID_AA64MMFR0_EL1", (3, 0, 0, 7, 0), RO, Act::Id(Id::Mmfr0)),
    reg("ID_AA64MMFR1_EL1", (3, 0, 0, 7, 1), RO, Act::Id(Id::Mmfr1)),
    reg("ID_AA64MMFR2_EL1", (3, 0, 0, 7, 2), RO, Act::Id(Id::Mmfr2)),
    reg("ID (reserved)", (3, 0, 0, 7, 3), RO, NOTHING).to(7, 7),
    reg("CCSIDR_EL1", (3, 1, 0, 0, 0), RO, read(ccsidr)),
    reg("CLIDR_EL1", (3, 1, 0, 0, 1), RO, model(|m| m.clidr.into())),
    reg("AIDR_EL1", (3, 1, 0, 0, 7), RO, NOTHING),
    reg("CSSELR_EL1", (3, 2, 0, 0, 0), RW, long!(csselr, 0xf)),
    reg("CTR_EL0", (3, 3, 0, 0, 1), URO, model(|m| m.ctr.into())).when(Gate::Sctlr(sctlr::UCT)),
    reg("DCZID_EL0", (3, 3, 0, 0, 7), URO, read(dczid)),
    // ---- system control, translation
    reg("SCTLR_EL1", (3, 0, 1, 0, 0), RW, field!(sctlr, sctlr_mask, Mode)),
    reg("ACTLR_EL1", (3, 0, 1, 0, 1), RW, long!(actlr)),
    reg("CPACR_EL1", (3, 0, 1, 0, 2), RW, field!(cpacr, |_| 3 << 20, Mode)),
    reg("TTBR0_EL1", (3, 0, 2, 0, 0), RW, field!(ttbr0, |_| u64::MAX, Context)).counted(Source::Tables),
    reg("TTBR1_EL1", (3, 0, 2, 0, 1), RW, field!(ttbr1, |_| u64::MAX, Context)).counted(Source::Tables),
    reg("TCR_EL1", (3, 0, 2, 0, 2), RW, field!(tcr, tcr_mask, Layout)),
    reg("MAIR_EL1", (3, 0, 10, 2, 0), RW, field!(mair, |_| u64::MAX, Context)),
    reg("AMAIR_EL1", (3, 0, 10, 3, 0), RW, long!(amair)),
    reg("LORSA_EL1", (3, 0, 10, 4, 0), RW, NOTHING).needs(Feature::Lor),
    reg("LOREA_EL1", (3, 0, 10, 4, 1), RW, NOTHING).needs(Feature::Lor),
    reg("LORN_EL1", (3, 0, 10, 4, 2), RW, NOTHING).needs(Feature::Lor),
    reg("LORC_EL1", (3, 0, 10, 4, 3), RW, NOTHING).needs(Feature::Lor),
    reg("LORID_EL1", (3, 0, 10, 4, 7), RO, NOTHING).needs(Feature::Lor),
    reg("CONTEXTIDR_EL1", (3, 0, 13, 0, 1), RW, long!(contextidr, 0xffff_ffff)).counted(Source::ContextIds),
    // ---- keys of pointer authentication
    reg("APIAKeyLo_EL1", (3, 0, 2, 1, 0), RW, key(0, 0)).needs(Feature::PAuth),
    reg("APIAKeyHi_EL1", (3, 0, 2, 1, 1), RW, key(0, 1)).needs(Feature::PAuth),
    reg("APIBKeyLo_EL1", (3, 0, 2, 1, 2), RW, key(1, 0)).needs(Feature::PAuth),
    reg("APIBKeyHi_EL1", (3, 0, 2, 1, 3), RW, key(1, 1)).needs(Feature::PAuth),
    reg("APDAKeyLo_EL1", (3, 0, 2, 2, 0), RW, key(2, 0)).needs(Feature::PAuth),
    reg("APDAKeyHi_EL1", (3, 0, 2, 2, 1), RW, key(2, 1)).needs(Feature::PAuth),
    reg("APDBKeyLo_EL1", (3, 0, 2, 2, 2), RW, key(3, 0)).needs(Feature::PAuth),
    reg("APDBKeyHi_EL1", (3, 0, 2, 2, 3), RW, key(3, 1)).needs(Feature::PAuth),
    reg("APGAKeyLo_EL1", (3, 0, 2, 3, 0), RW, key(4, 0)).needs(Feature::PAuth),
    reg("APGAKeyHi_EL1", (3, 0, 2, 3, 1), RW, key(4, 1)).needs(Feature::PAuth),
    // ---- exceptions
    reg("SPSR_EL1", (3, 0, 4, 0, 0), RW, long!(spsr)),
    reg("ELR_EL1", (3, 0, 4, 0, 1), RW, long!(elr)),
    reg("SP_EL0", (3, 0, 4, 1, 0), RW, both(|io| io.cpu.sp_el0(), |io, v| io.cpu.set_sp_el0(v))),
    reg("SPSel", (3, 0, 4, 2, 0), RW, pstate!(psr::SP)),
    reg("CurrentEL", (3, 0, 4, 2, 2), RO, read(|io| (io.cpu.psr & psr::EL).into())),
    reg("PAN", (3, 0, 4, 2, 3), RW, pstate!(psr::PAN)).needs(Feature::Pan),
    reg("UAO", (3, 0, 4, 2, 4), RW, pstate!(psr::UAO)).needs(Feature::Uao),
    reg("AFSR0_EL1", (3, 0, 5, 1, 0), RW, long!(afsr0)),
    reg("AFSR1_EL1", (3, 0, 5, 1, 1), RW, long!(afsr1)),
    reg("ESR_EL1", (3, 0, 5, 2, 0), RW, long!(esr)),
    reg("FAR_EL1", (3, 0, 6, 0, 0), RW, long!(far)),
    reg("PAR_EL1", (3, 0, 7, 4, 0), RW, long!(par)),
    reg("VBAR_EL1", (3, 0, 12, 0, 0), RW, long!(vbar, !0x7ff)),
    reg("RVBAR_EL1", (3, 0, 12, 0, 1), RO, NOTHING),
    reg("ISR_EL1", (3, 0, 12, 1, 0), RO, read(isr)),
    reg("NZCV", (3, 3, 4, 2, 0), URW, both(|io| io.cpu.nzcv().into(), |io, v| io.cpu.set_nzcv(v as u32))),
    reg("DAIF", (3, 3, 4, 2, 1), URW, pstate!(psr::DAIF)).when(Gate::Sctlr(sctlr::UMA)),
    reg("DIT", (3, 3, 4, 2, 5), URW, pstate!(psr::DIT)).needs(Feature::Dit),
    reg("SSBS", (3, 3, 4, 2, 6), URW, pstate!(psr::SSBS)).needs(Feature::Ssbs),
    reg("FPCR", (3, 3, 4, 4, 0), URW, both(|io| io.cpu.fpcr_read().into(), |io, v| io.cpu.fpcr_write(v as u32))).when(Gate::Fp),
    reg("FPSR", (3, 3, 4, 4, 1), URW, both(|io| io.cpu.fpsr().into(), |io, v| io.cpu.set_fpsr(v as u32))).when(Gate::Fp),
    // ---- reliability: there are no records of errors
    reg("ERRIDR_EL1", (3, 0, 5, 3, 0), RO, NOTHING).needs(Feature::Ras),
    reg("ERRSELR_EL1", (3, 0, 5, 3, 1), RW, NOTHING).needs(Feature::Ras),
    reg("ERXFR_EL1", (3, 0, 5, 4, 0), RO, NOTHING).needs(Feature::Ras),
    reg("ERXCTLR_EL1", (3, 0, 5, 4, 1), RW, NOTHING).needs(Feature::Ras),
    reg("ERXSTATUS_EL1", (3, 0, 5, 4, 2), RW, NOTHING).needs(Feature::Ras),
    reg("ERXADDR_EL1", (3, 0, 5, 4, 3), RW, NOTHING).needs(Feature::Ras),
    reg("ERXMISC0_EL1", (3, 0, 5, 5, 0), RW, NOTHING).needs(Feature::Ras),
    reg("ERXMISC1_EL1", (3, 0, 5, 5, 1), RW, NOTHING).needs(Feature::Ras),
    reg("DISR_EL1", (3, 0, 12, 1, 1), RW, long!(disr, 0x81ff_ffff)).needs(Feature::Ras),
    // ---- random numbers
    reg("RNDR", (3, 3, 2, 4, 0), URO, read(rndr)).needs(Feature::Rng),
    reg("RNDRRS", (3, 3, 2, 4, 1), URO, read(rndr)).needs(Feature::Rng),
    // ---- threads
    reg("TPIDR_EL1", (3, 0, 13, 0, 4), RW, long!(tpidr)),
    reg("TPIDR_EL0", (3, 3, 13, 0, 2), URW, long!(tpidr_el0)),
    reg("TPIDRRO_EL0", (3, 3, 13, 0, 3), UR, long!(tpidrro_el0)),
    // ---- generic timers
    reg("CNTKCTL_EL1", (3, 0, 14, 1, 0), RW, long!(cntkctl, 0x3ff)),
    reg("CNTFRQ_EL0", (3, 3, 14, 0, 0), UR, long!(cntfrq, 0xffff_ffff)).when(Gate::Timer(PL0PCTEN | PL0VCTEN)),
    reg("CNTPCT_EL0", (3, 3, 14, 0, 1), URO, read(timer::counter)).when(Gate::Timer(PL0PCTEN)),
    reg("CNTVCT_EL0", (3, 3, 14, 0, 2), URO, read(timer::counter)).when(Gate::Timer(PL0VCTEN)),
    reg("CNTP_TVAL_EL0", (3, 3, 14, 2, 0), URW, both(physical::tval, physical::set_tval)).when(Gate::Timer(PL0PTEN)),
    reg("CNTP_CTL_EL0", (3, 3, 14, 2, 1), URW, both(physical::ctl, physical::set_ctl)).when(Gate::Timer(PL0PTEN)),
    reg("CNTP_CVAL_EL0", (3, 3, 14, 2, 2), URW, both(physical::cval, physical::set_cval)).when(Gate::Timer(PL0PTEN)),
    reg("CNTV_TVAL_EL0", (3, 3, 14, 3, 0), URW, both(virt::tval, virt::set_tval)).when(Gate::Timer(PL0VTEN)),
    reg("CNTV_CTL_EL0", (3, 3, 14, 3, 1), URW, both(virt::ctl, virt::set_ctl)).when(Gate::Timer(PL0VTEN)),
    reg("CNTV_CVAL_EL0", (3, 3, 14, 3, 2), URW, both(virt::cval, virt::set_cval)).when(Gate::Timer(PL0VTEN)),
    // ---- the interrupt controller's CPU interface (IHI 0069, 12.2)
    reg("ICC_PMR_EL1", (3, 0, 4, 6, 0), RW, Act::Icc(Icc::Pmr)).needs(Feature::Gic),
    reg("ICC_IAR0_EL1", (3, 0, 12, 8, 0), RO, Act::Icc(Icc::Iar0)).needs(Feature::Gic),
    reg("ICC_EOIR0_EL1", (3, 0, 12, 8, 1), WO, Act::Icc(Icc::Eoir0)).needs(Feature::Gic),
    reg("ICC_HPPIR0_EL1", (3, 0, 12, 8, 2), RO, Act::Icc(Icc::Hppir0)).needs(Feature::Gic),
    reg("ICC_BPR0_EL1", (3, 0, 12, 8, 3), RW, Act::Icc(Icc::Bpr0)).needs(Feature::Gic),
    reg("ICC_AP0R0_EL1", (3, 0, 12, 8, 4), RW, Act::Icc(Icc::Ap0r)).needs(Feature::Gic),
    reg("ICC_AP1R0_EL1", (3, 0, 12, 9, 0), RW, Act::Icc(Icc::Ap1r)).needs(Feature::Gic),
    reg("ICC_DIR_EL1", (3, 0, 12, 11, 1), WO, Act::Icc(Icc::Dir)).needs(Feature::Gic),
    reg("ICC_RPR_EL1", (3, 0, 12, 11, 3), RO, Act::Icc(Icc::Rpr)).needs(Feature::Gic),
    reg("ICC_IAR1_EL1", (3, 0, 12, 12, 0), RO, Act::Icc(Icc::Iar1)).needs(Feature::Gic),
    reg("ICC_EOIR1_EL1", (3, 0, 12, 12, 1), WO, Act::Icc(Icc::Eoir1)).needs(Feature::Gic),
    reg("ICC_HPPIR1_EL1", (3, 0, 12, 12, 2), RO, Act::Icc(Icc::Hppir1)).needs(Feature::Gic),
    reg("ICC_BPR1_EL1", (3, 0, 12, 12, 3), RW, Act::Icc(Icc::Bpr1)).needs(Feature::Gic),
    reg("ICC_CTLR_EL1", (3, 0, 12, 12, 4), RW, Act::Icc(Icc::Ctlr)).needs(Feature::Gic),
    reg("ICC_SRE_EL1", (3, 0, 12, 12, 5), RW, Act::Icc(Icc::Sre)).needs(Feature::Gic),
    reg("ICC_IGRPEN0_EL1", (3, 0, 12, 12, 6), RW, Act::Icc(Icc::Igrpen0)).needs(Feature::Gic),
    reg("ICC_IGRPEN1_EL1", (3, 0, 12, 12, 7), RW, Act::Icc(Icc::Igrpen1)).needs(Feature::Gic),
    reg("ICC_SGI1R_EL1", (3, 0, 12, 11, 5), WO, Act::Icc(Icc::Sgi1r)).needs(Feature::Gic),
    reg("ICC_ASGI1R_EL1", (3, 0, 12, 11, 6), WO, Act::Icc(Icc::Asgi1r)).needs(Feature::Gic),
    reg("ICC_SGI0R_EL1", (3, 0, 12, 11, 7), WO, Act::Icc(Icc::Sgi0r)).needs(Feature::Gic),
    // ---- performance monitors
    reg("PMINTENSET_EL1", (3, 0, 9, 14, 1), RW, both(monitors::inten, monitors::set_inten)).needs(Feature::Pmu),
    reg("PMINTENCLR_EL1", (3, 0, 9, 14, 2), RW, both(monitors::inten, monitors::clear_inten)).needs(Feature::Pmu),
    reg("PMCR_EL0", (3, 3, 9, 12, 0), URW, both(monitors::pmcr, monitors::set_pmcr)).when(PMU).needs(Feature::Pmu),
    reg("PMCNTENSET_EL0", (3, 3, 9, 12, 1), URW, both(monitors::cnten, monitors::set_cnten)).when(PMU).needs(Feature::Pmu),
    reg("PMCNTENCLR_EL0", (3, 3, 9, 12, 2), URW, both(monitors::cnten, monitors::clear_cnten)).when(PMU).needs(Feature::Pmu),
    reg("PMOVSCLR_EL0", (3, 3, 9, 12, 3), URW, both(monitors::ovsr, monitors::clear_ovsr)).when(PMU).needs(Feature::Pmu),
    reg("PMSWINC_EL0", (3, 3, 9, 12, 4), UWO, write(monitors::swinc)).when(Gate::Pmu(0, SW)).needs(Feature::Pmu),
    reg("PMSELR_EL0", (3, 3, 9, 12, 5), URW, both(monitors::selr, monitors::set_selr)).when(Gate::Pmu(ER, ER)).needs(Feature::Pmu),
    reg("PMCEID0_EL0", (3, 3, 9, 12, 6), URO, read(monitors::ceid0)).when(PMU).needs(Feature::Pmu),
    reg("PMCEID1_EL0", (3, 3, 9, 12, 7), URO, read(monitors::ceid1)).when(PMU).needs(Feature::Pmu),
    reg("PMCCNTR_EL0", (3, 3, 9, 13, 0), URW, both(monitors::ccntr, monitors::set_ccntr)).when(Gate::Pmu(CR, 0)).needs(Feature::Pmu),
    reg("PMXEVTYPER_EL0", (3, 3, 9, 13, 1), URW, both(monitors::xevtyper, monitors::set_xevtyper)).when(PMU).needs(Feature::Pmu),
    reg("PMXEVCNTR_EL0", (3, 3, 9, 13, 2), URW, both(monitors::xevcntr, monitors::set_xevcntr)).when(Gate::Pmu(ER, 0)).needs(Feature::Pmu),
    reg("PMUSERENR_EL0", (3, 3, 9, 14, 0), UR, both(monitors::userenr, monitors::set_userenr)).needs(Feature::Pmu),
    reg("PMOVSSET_EL0", (3, 3, 9, 14, 3), URW, both(monitors::ovsr, monitors::set_ovsr)).when(PMU).needs(Feature::Pmu),
    reg("PMEVCNTR<n>_EL0", (3, 3, 14, 8, 0), URW, both(monitors::evcntr, monitors::set_evcntr)).to(8, 5).when(Gate::Pmu(ER, 0)).needs(Feature::Pmu),
    reg("PMEVTYPER<n>_EL0", (3, 3, 14, 12, 0), URW, both(monitors::evtyper, monitors::set_evtyper)).to(12, 5).when(PMU).needs(Feature::Pmu),
    reg("PMCCFILTR_EL0", (3, 3, 14, 15, 7), URW, both(monitors::evtyper, monitors::set_evtyper)).when(PMU).needs(Feature::Pmu),
    // ---- debug
    reg("OSDTRRX_EL1", (2, 0, 0, 0, 2), RW, NOTHING),
    reg("DBGBVR<n>_EL1", (2, 0, 0, 0, 4), RW, both(debug::bvr, debug::set_bvr)).to(5, 4),
    reg("DBGBCR<n>_EL1", (2, 0, 0, 0, 5), RW, both(debug::bcr, debug::set_bcr)).to(5, 5),
    reg("DBGWVR<n>_EL1", (2, 0, 0, 0, 6), RW, both(debug::wvr, debug::set_wvr)).to(3, 6),
    reg("DBGWCR<n>_EL1", (2, 0, 0, 0, 7), RW, both(debug::wcr, debug::set_wcr)).to(3, 7),
    reg("MDCCINT_EL1", (2, 0, 0, 2, 0), RW, long!(mdccint, 3 << 29)),
    reg("MDSCR_EL1", (2, 0, 0, 2, 2), RW, both(debug::mdscr, debug::set_mdscr)),
    reg("OSDTRTX_EL1", (2, 0, 0, 3, 2), RW, NOTHING),
    reg("OSECCR_EL1", (2, 0, 0, 6, 2), RW, NOTHING),
    reg("MDRAR_EL1", (2, 0, 1, 0, 0), RO, NOTHING),
    reg("OSLAR_EL1", (2, 0, 1, 0, 4), WO, write(debug::set_oslar)),
    reg("OSLSR_EL1", (2, 0, 1, 1, 4), RO, read(debug::oslsr)),
    reg("OSDLR_EL1", (2, 0, 1, 3, 4), RW, field!(osdlr, |_| 1, Traps)),
    reg("DBGPRCR_EL1", (2, 0, 1, 4, 4), RW, long!(dbgprcr, 1)),
    reg("DBGCLAIMSET_EL1", (2, 0, 7, 8, 6), RW, both(|_| 0xff, debug::claim)),
    reg("DBGCLAIMCLR_EL1", (2, 0, 7, 9, 6), RW, both(debug::claimed, debug::unclaim)),
    reg("DBGAUTHSTATUS_EL1", (2, 0, 7, 14, 6), RO, Act::Const(0xaa)),
    reg("MDCCSR_EL0", (2, 3, 0, 1, 0), URO, NOTHING).when(Gate::DebugChannel),
    reg("DBGDTR_EL0", (2, 3, 0, 4, 0), URW, NOTHING).when(Gate::DebugChannel),
    reg("DBGDTRRX_EL0", (2, 3, 0, 5, 0), URW, NOTHING).when(Gate::DebugChannel),
    // ---- caches: memory has none, and code is never stale
    reg("IC IALLUIS", (1, 0, 7, 1, 0), WO, NOTHING),
    reg("IC IALLU", (1, 0, 7, 5, 0), WO, NOTHING),
    reg("IC IVAU", (1, 3, 7, 5, 1), UWO, NOTHING).when(UCI),
    reg("DC IVAC", (1, 0, 7, 6, 1), WO, write(maintenance::dc_ivac)),
    reg("DC ISW", (1, 0, 7, 6, 2), WO, NOTHING),
    reg("DC CSW", (1, 0, 7, 10, 2), WO, NOTHING),
    reg("DC CISW", (1, 0, 7, 14, 2), WO, NOTHING),
    reg("DC CVAC", (1, 3, 7, 10, 1), UWO, write(maintenance::dc)).when(UCI),
    reg("DC CVAU", (1, 3, 7, 11, 1), UWO, write(maintenance::dc)).when(UCI),
    reg("DC CVAP", (1, 3, 7, 12, 1), UWO, write(maintenance::dc)).when(UCI).needs(Feature::Dpb),
    reg("DC CVADP", (1, 3, 7, 13, 1), UWO, write(maintenance::dc)).when(UCI).needs(Feature::Dpb2),
    reg("DC CIVAC", (1, 3, 7, 14, 1), UWO, write(maintenance::dc)).when(UCI),
    // ---- address translation
    reg("AT S1E1, S1E0", (1, 0, 7, 8, 0), WO, write(maintenance::at)).to(8, 3),
    reg("AT S1E1RP, S1E1WP", (1, 0, 7, 9, 0), WO, write(maintenance::at)).to(9, 1).needs(Feature::Pan2),
    // ---- TLBs
    reg("TLBI VMALLE1OS", (1, 0, 8, 1, 0), WO, write(maintenance::tlbi_all)).needs(Feature::TlbiOs),
    reg("TLBI VAE1OS", (1, 0, 8, 1, 1), WO, write(maintenance::tlbi_va)).needs(Feature::TlbiOs),
    reg("TLBI ASIDE1OS", (1, 0, 8, 1, 2), WO, write(maintenance::tlbi_asid)).needs(Feature::TlbiOs),
    reg("TLBI VAAE1OS", (1, 0, 8, 1, 3), WO, write(maintenance::tlbi_va)).needs(Feature::TlbiOs),
    reg("TLBI VALE1OS", (1, 0, 8, 1, 5), WO, write(maintenance::tlbi_va)).needs(Feature::TlbiOs),
    reg("TLBI VAALE1OS", (1, 0, 8, 1, 7), WO, write(maintenance::tlbi_va)).needs(Feature::TlbiOs),
    reg("TLBI RVAE1IS", (1, 0, 8, 2, 1), WO, write(maintenance::tlbi_range)).needs(Feature::TlbiRange),
    reg("TLBI RVAAE1IS", (1, 0, 8, 2, 3), WO, write(maintenance::tlbi_range)).needs(Feature::TlbiRange),
    reg("TLBI RVALE1IS", (1, 0, 8, 2, 5), WO, write(maintenance::tlbi_range)).needs(Feature::TlbiRange),
    reg("TLBI RVAALE1IS", (1, 0, 8, 2, 7), WO, write(maintenance::tlbi_range)).needs(Feature::TlbiRange),
    reg("TLBI VMALLE1IS", (1, 0, 8, 3, 0), WO, write(maintenance::tlbi_all)),
    reg("TLBI VAE1IS", (1, 0, 8, 3, 1), WO, write(maintenance::tlbi_va)),
    reg("TLBI ASIDE1IS", (1, 0, 8, 3, 2), WO, write(maintenance::tlbi_asid)),
    reg("TLBI VAAE1IS", (1, 0, 8, 3, 3), WO, write(maintenance::tlbi_va)),
    reg("TLBI VALE1IS", (1, 0, 8, 3, 5), WO, write(maintenance::tlbi_va)),
    reg("TLBI VAALE1IS", (1, 0, 8, 3, 7), WO, write(maintenance::tlbi_va)),
    reg("TLBI RVAE1OS", (1, 0, 8, 5, 1), WO, write(maintenance::tlbi_range)).needs(Feature::TlbiRange),
    reg("TLBI RVAAE1OS", (1, 0, 8, 5, 3), WO, write(maintenance::tlbi_range)).needs(Feature::TlbiRange),
    reg("TLBI RVALE1OS", (1, 0, 8, 5, 5), WO, write(maintenance::tlbi_range)).needs(Feature::TlbiRange),
    reg("TLBI RVAALE1OS", (1, 0, 8, 5, 7), WO, write(maintenance::tlbi_range)).needs(Feature::TlbiRange),
    reg("TLBI RVAE1", (1, 0, 8, 6, 1), WO, write(maintenance::tlbi_range)).needs(Feature::TlbiRange),
    reg("TLBI RVAAE1", (1, 0, 8, 6, 3), WO, write(maintenance::tlbi_range)).needs(Feature::TlbiRange),
    reg("TLBI RVALE1", (1, 0, 8, 6, 5), WO, write(maintenance::tlbi_range)).needs(Feature::TlbiRange),
    reg("TLBI RVAALE1", (1, 0, 8, 6, 7), WO, write(maintenance::tlbi_range)).needs(Feature::TlbiRange),
    reg("TLBI VMALLE1", (1, 0, 8, 7, 0), WO, write(maintenance::tlbi_all)),
    reg("TLBI VAE1", (1, 0, 8, 7, 1), WO, write(maintenance::tlbi_va)),
    reg("TLBI ASIDE1", (1, 0, 8, 7, 2), WO, write(maintenance::tlbi_asid)),
    reg("TLBI VAAE1", (1, 0, 8, 7, 3), WO, write(maintenance::tlbi_va)),
    reg("TLBI VALE1", (1, 0, 8, 7, 5), WO, write(maintenance::tlbi_va)),
    reg("TLBI VAALE1", (1, 0, 8, 7, 7), WO, write(maintenance::tlbi_va)),
];

/// The affinities; bit 31 is always set.
fn mpidr(io: &mut Io) -> u64 {
    u64::from(affinity(io.guest.platform.cpu_index())) | 1 << 31
}

/// The cache that CSSELR_EL1 selects: level 1 data, level 1 instruction, level 2.
fn ccsidr(io: &mut Io) -> u64 {
    let caches = &io.guest.model.ccsidr;
    caches.get(io.cpu.sys.csselr as usize).copied().unwrap_or(0).into()
}

/// A random number of the host's, which it seeds anew as it likes; the flags say whether there was one.
fn rndr(io: &mut Io) -> u64 {
    const Z: u32 = 1 << 30;
    let number = io.guest.platform.random();
    io.cpu.set_nzcv(if number.is_some() { 0 } else { Z });
    number.unwrap_or(0)
}

/// Blocks of 64 bytes; DZP says that DC ZVA is not allowed.
fn dczid(io: &mut Io) -> u64 {
    4 | u64::from(!io.cpu.zva_allowed()) << 4
}

fn isr(io: &mut Io) -> u64 {
    let pending = io.guest.platform.pending();
    let when = |line: u32, bit: u32| if pending & line != 0 { bit } else { 0 };
    (when(IRQ, psr::I) | when(FIQ, psr::F)).into()
}
