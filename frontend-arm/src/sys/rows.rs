//! The registers: one row each, by coprocessor and CRn (Arm ARM DDI 0406C, tables B3-42 to B3-45 and C6-2; Cortex-A15
//! MPCore TRM DDI 0438, tables 4-2 to 4-17; Cortex-A7 MPCore TRM DDI 0464).

use super::table::{Act, After, At, Gate, Io, R, Reg, W};
use super::timer::{physical, virt};
use super::{maintenance, monitors, timer};
use crate::cp15::{Cp15, sctlr};
use crate::model::Model;
use crate::platform::{FIQ, IRQ, Icc, affinity};
use crate::pmu::Source;
use crate::state::psr;

/// Rights: of User mode, of privileged modes.
type Rights = (u8, u8);
const RO: Rights = (0, R);
const RW: Rights = (0, R | W);
const WO: Rights = (0, W);
/// Everyone reads, privileged modes write.
const URO: Rights = (R, R | W);
/// Everyone reads, no one writes.
const UR: Rights = (R, R);
const URW: Rights = (R | W, R | W);
const UWO: Rights = (W, W);

const fn reg(name: &'static str, (cp, crn, opc1, crm, opc2): (u8, u8, u8, u8, u8), rights: Rights, act: Act) -> Reg {
    let at = At {
        cp,
        crn,
        opc1,
        crm: (crm, crm),
        opc2: (opc2, opc2),
        wide: false,
    };
    Reg {
        name,
        at,
        user: rights.0,
        kernel: rights.1,
        gate: Gate::None,
        event: None,
        act,
    }
}

/// A 64-bit register: coprocessor, opc1, CRm.
const fn wide(name: &'static str, (cp, opc1, crm): (u8, u8, u8), rights: Rights, act: Act) -> Reg {
    let at = At {
        cp,
        crn: 0,
        opc1,
        crm: (crm, crm),
        opc2: (0, 0),
        wide: true,
    };
    Reg {
        name,
        at,
        user: rights.0,
        kernel: rights.1,
        gate: Gate::None,
        event: None,
        act,
    }
}

impl Reg {
    /// Depends on something else.
    const fn when(self, gate: Gate) -> Reg {
        Reg { gate, ..self }
    }
    /// Writes are an event of the performance monitors.
    const fn counted(self, event: Source) -> Reg {
        Reg {
            event: Some(event),
            ..self
        }
    }
    /// Answers up to this CRm and opc2.
    const fn to(self, crm: u8, opc2: u8) -> Reg {
        let At {
            crm: (c, _),
            opc2: (o, _),
            ..
        } = self.at;
        Reg {
            at: At {
                crm: (c, crm),
                opc2: (o, opc2),
                ..self.at
            },
            ..self
        }
    }
}

/// Reads as zero, ignores writes.
const NOTHING: Act = Act::Const(0);

const fn model(f: fn(&Model) -> u32) -> Act {
    Act::Model(f)
}
/// A word without consequences, zero at reset.
const fn word(field: fn(&mut Cp15) -> &mut u32, mask: u32) -> Act {
    Act::Word {
        field,
        mask,
        reset: 0,
        after: After::Nothing,
    }
}
/// A word of the mode word and the translation context.
const fn control(field: fn(&mut Cp15) -> &mut u32, mask: u32, reset: u32) -> Act {
    Act::Word {
        field,
        mask,
        reset,
        after: After::Mode,
    }
}
/// A word of the translation context.
const fn context(field: fn(&mut Cp15) -> &mut u32, mask: u32, reset: u32) -> Act {
    Act::Word {
        field,
        mask,
        reset,
        after: After::Context,
    }
}
/// A word that debug events depend on, zero at reset.
const fn events(field: fn(&mut Cp15) -> &mut u32, mask: u32) -> Act {
    Act::Word {
        field,
        mask,
        reset: 0,
        after: After::Traps,
    }
}
/// The low word of a translation table base: writing it leaves the high one.
const fn base(field: fn(&mut Cp15) -> &mut u64, mask: u64) -> Act {
    Act::Long {
        field,
        mask,
        after: After::Context,
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

const ALL: u32 = u32::MAX;

/// CNTFRQ: software's to say, 62.5 MHz at reset.
const FREQUENCY: Act = Act::Word {
    field: |c| &mut c.cntfrq,
    mask: ALL,
    reset: timer::FREQUENCY,
    after: After::Nothing,
};

/// Every register there is.
#[rustfmt::skip]
pub(super) const ROWS: &[Reg] = &[
    // ---- c0: identification
    reg("MIDR", (15, 0, 0, 0, 0), RO, model(|m| m.midr)),
    reg("CTR", (15, 0, 0, 0, 1), RO, model(|m| m.ctr)),
    reg("TCMTR", (15, 0, 0, 0, 2), RO, NOTHING),
    reg("TLBTR", (15, 0, 0, 0, 3), RO, NOTHING),
    reg("MIDR (alias)", (15, 0, 0, 0, 4), RO, model(|m| m.midr)),
    reg("MPIDR", (15, 0, 0, 0, 5), RO, read(mpidr)),
    reg("REVIDR", (15, 0, 0, 0, 6), RO, model(|m| m.revidr)),
    reg("MIDR (alias)", (15, 0, 0, 0, 7), RO, model(|m| m.midr)),
    reg("ID_PFR0", (15, 0, 0, 1, 0), RO, model(|m| m.id_pfr[0])),
    reg("ID_PFR1", (15, 0, 0, 1, 1), RO, read(id_pfr1)),
    reg("ID_DFR0", (15, 0, 0, 1, 2), RO, model(|m| m.id_dfr0)),
    reg("ID_AFR0", (15, 0, 0, 1, 3), RO, model(|m| m.id_afr0)),
    reg("ID_MMFR0", (15, 0, 0, 1, 4), RO, model(|m| m.id_mmfr[0])),
    reg("ID_MMFR1", (15, 0, 0, 1, 5), RO, model(|m| m.id_mmfr[1])),
    reg("ID_MMFR2", (15, 0, 0, 1, 6), RO, model(|m| m.id_mmfr[2])),
    reg("ID_MMFR3", (15, 0, 0, 1, 7), RO, model(|m| m.id_mmfr[3])),
    reg("ID_ISAR0", (15, 0, 0, 2, 0), RO, model(|m| m.id_isar[0])),
    reg("ID_ISAR1", (15, 0, 0, 2, 1), RO, model(|m| m.id_isar[1])),
    reg("ID_ISAR2", (15, 0, 0, 2, 2), RO, model(|m| m.id_isar[2])),
    reg("ID_ISAR3", (15, 0, 0, 2, 3), RO, model(|m| m.id_isar[3])),
    reg("ID_ISAR4", (15, 0, 0, 2, 4), RO, model(|m| m.id_isar[4])),
    reg("ID_ISAR5", (15, 0, 0, 2, 5), RO, model(|m| m.id_isar[5])),
    reg("ID (reserved)", (15, 0, 0, 2, 6), RO, NOTHING).to(2, 7),
    reg("ID (reserved)", (15, 0, 0, 3, 0), RO, NOTHING).to(7, 7),
    reg("CCSIDR", (15, 0, 1, 0, 0), RO, read(ccsidr)),
    reg("CLIDR", (15, 0, 1, 0, 1), RO, model(|m| m.clidr)),
    reg("AIDR", (15, 0, 1, 0, 7), RO, NOTHING),
    reg("CSSELR", (15, 0, 2, 0, 0), RW, word(|c| &mut c.csselr, 0xf)),
    // ---- c1: system control
    reg("SCTLR", (15, 1, 0, 0, 0), RW, control(|c| &mut c.sctlr, sctlr::WRITABLE, 0x00c5_0078)),
    reg("ACTLR", (15, 1, 0, 0, 1), RW, word(|c| &mut c.actlr, ALL)),
    reg("CPACR", (15, 1, 0, 0, 2), RW, control(|c| &mut c.cpacr, 0x80f0_0000, 0)),
    // ---- c2, c3: translation tables, domains
    reg("TTBR0", (15, 2, 0, 0, 0), RW, base(|c| &mut c.ttbr0, 0xffff_ffff)).counted(Source::Tables),
    reg("TTBR1", (15, 2, 0, 0, 1), RW, base(|c| &mut c.ttbr1, 0xffff_ffff)).counted(Source::Tables),
    reg("TTBCR", (15, 2, 0, 0, 2), RW, context(|c| &mut c.ttbcr, 0xbfc7_3fb7, 0)),
    wide("TTBR0", (15, 0, 2), RW, base(|c| &mut c.ttbr0, 0x00ff_00ff_ffff_ffff)).counted(Source::Tables),
    wide("TTBR1", (15, 1, 2), RW, base(|c| &mut c.ttbr1, 0x00ff_00ff_ffff_ffff)).counted(Source::Tables),
    reg("DACR", (15, 3, 0, 0, 0), RW, context(|c| &mut c.dacr, ALL, 0)),
    // ---- c5, c6: faults
    reg("DFSR", (15, 5, 0, 0, 0), RW, word(|c| &mut c.dfsr, 0x3fff)),
    reg("IFSR", (15, 5, 0, 0, 1), RW, word(|c| &mut c.ifsr, 0x1fff)),
    reg("ADFSR", (15, 5, 0, 1, 0), RW, word(|c| &mut c.adfsr, ALL)),
    reg("AIFSR", (15, 5, 0, 1, 1), RW, word(|c| &mut c.aifsr, ALL)),
    reg("DFAR", (15, 6, 0, 0, 0), RW, word(|c| &mut c.dfar, ALL)),
    reg("IFAR", (15, 6, 0, 0, 2), RW, word(|c| &mut c.ifar, ALL)),
    // ---- c7: caches (there are none to maintain: code in memory is watched), barriers, address translation
    reg("NOP", (15, 7, 0, 0, 4), WO, NOTHING),
    reg("ICIALLUIS", (15, 7, 0, 1, 0), WO, NOTHING),
    reg("BPIALLIS", (15, 7, 0, 1, 6), WO, NOTHING),
    reg("PAR", (15, 7, 0, 4, 0), RW, Act::Long { field: |c| &mut c.par, mask: 0xffff_ffff, after: After::Nothing, }),
    wide("PAR", (15, 0, 7), RW, Act::Long { field: |c| &mut c.par, mask: u64::MAX, after: After::Nothing, }),
    reg("ICIALLU", (15, 7, 0, 5, 0), WO, NOTHING),
    reg("ICIMVAU", (15, 7, 0, 5, 1), WO, NOTHING),
    reg("CP15ISB", (15, 7, 0, 5, 4), UWO, NOTHING).when(Gate::Barrier),
    reg("BPIALL", (15, 7, 0, 5, 6), WO, NOTHING),
    reg("BPIMVA", (15, 7, 0, 5, 7), WO, NOTHING),
    reg("DCIMVAC", (15, 7, 0, 6, 1), WO, NOTHING),
    reg("DCISW", (15, 7, 0, 6, 2), WO, NOTHING),
    reg("ATS1C", (15, 7, 0, 8, 0), WO, write(maintenance::ats1c)).to(8, 3),
    reg("DCCMVAC", (15, 7, 0, 10, 1), WO, NOTHING),
    reg("DCCSW", (15, 7, 0, 10, 2), WO, NOTHING),
    reg("CP15DSB", (15, 7, 0, 10, 4), UWO, write(maintenance::dsb)).when(Gate::Barrier),
    reg("CP15DMB", (15, 7, 0, 10, 5), UWO, NOTHING).when(Gate::Barrier),
    reg("DCCMVAU", (15, 7, 0, 11, 1), WO, NOTHING),
    reg("NOP", (15, 7, 0, 13, 1), WO, NOTHING),
    reg("DCCIMVAC", (15, 7, 0, 14, 1), WO, NOTHING),
    reg("DCCISW", (15, 7, 0, 14, 2), WO, NOTHING),
    // ---- c8: TLBs
    reg("TLBI (Inner Shareable)", (15, 8, 0, 3, 0), WO, write(maintenance::tlbi)).to(3, 3),
    reg("ITLBI", (15, 8, 0, 5, 0), WO, write(maintenance::tlbi)).to(5, 2),
    reg("DTLBI", (15, 8, 0, 6, 0), WO, write(maintenance::tlbi)).to(6, 2),
    reg("TLBI", (15, 8, 0, 7, 0), WO, write(maintenance::tlbi)).to(7, 3),
    // ---- c9: performance monitors, L2 cache
    reg("PMCR", (15, 9, 0, 12, 0), URW, both(monitors::pmcr, monitors::set_pmcr)).when(Gate::Pmu),
    reg("PMCNTENSET", (15, 9, 0, 12, 1), URW, both(monitors::cnten, monitors::set_cnten)).when(Gate::Pmu),
    reg("PMCNTENCLR", (15, 9, 0, 12, 2), URW, both(monitors::cnten, monitors::clear_cnten)).when(Gate::Pmu),
    reg("PMOVSR", (15, 9, 0, 12, 3), URW, both(monitors::ovsr, monitors::clear_ovsr)).when(Gate::Pmu),
    reg("PMSWINC", (15, 9, 0, 12, 4), UWO, write(monitors::swinc)).when(Gate::Pmu),
    reg("PMSELR", (15, 9, 0, 12, 5), URW, both(monitors::selr, monitors::set_selr)).when(Gate::Pmu),
    reg("PMCEID0", (15, 9, 0, 12, 6), UR, read(monitors::ceid0)).when(Gate::Pmu),
    reg("PMCEID1", (15, 9, 0, 12, 7), UR, read(monitors::ceid1)).when(Gate::Pmu),
    reg("PMCCNTR", (15, 9, 0, 13, 0), URW, both(monitors::ccntr, monitors::set_ccntr)).when(Gate::Pmu),
    reg("PMXEVTYPER", (15, 9, 0, 13, 1), URW, both(monitors::xevtyper, monitors::set_xevtyper)).when(Gate::Pmu),
    reg("PMXEVCNTR", (15, 9, 0, 13, 2), URW, both(monitors::xevcntr, monitors::set_xevcntr)).when(Gate::Pmu),
    reg("PMUSERENR", (15, 9, 0, 14, 0), URO, both(monitors::userenr, monitors::set_userenr)),
    reg("PMINTENSET", (15, 9, 0, 14, 1), RW, both(monitors::inten, monitors::set_inten)),
    reg("PMINTENCLR", (15, 9, 0, 14, 2), RW, both(monitors::inten, monitors::clear_inten)),
    reg("PMOVSSET", (15, 9, 0, 14, 3), URW, both(monitors::ovsr, monitors::set_ovsr)).when(Gate::Pmu),
    reg("L2CTLR", (15, 9, 1, 0, 2), RW, both(l2ctlr, |io, v| io.cpu.cp15.l2ctlr = v as u32 & 0xfc)),
    reg("L2ECTLR", (15, 9, 1, 0, 3), RW, word(|c| &mut c.l2ectlr, ALL)),
    // ---- c10: memory remapping (MAIR0 and MAIR1 with long descriptors)
    reg("PRRR", (15, 10, 0, 2, 0), RW, context(|c| &mut c.prrr, ALL, 0x0009_8aa4)),
    reg("NMRR", (15, 10, 0, 2, 1), RW, context(|c| &mut c.nmrr, ALL, 0x44e0_48e0)),
    reg("AMAIR0", (15, 10, 0, 3, 0), RW, word(|c| &mut c.amair[0], ALL)),
    reg("AMAIR1", (15, 10, 0, 3, 1), RW, word(|c| &mut c.amair[1], ALL)),
    // ---- c12: exceptions
    reg("VBAR", (15, 12, 0, 0, 0), RW, events(|c| &mut c.vbar, !0x1f)),
    reg("ISR", (15, 12, 0, 1, 0), RO, read(isr)),
    // ---- the interrupt controller's CPU interface (IHI 0069, 12.6)
    reg("ICC_PMR", (15, 4, 0, 6, 0), RW, Act::Icc(Icc::Pmr)).when(Gate::Gic),
    reg("ICC_IAR0", (15, 12, 0, 8, 0), RO, Act::Icc(Icc::Iar0)).when(Gate::Gic),
    reg("ICC_EOIR0", (15, 12, 0, 8, 1), WO, Act::Icc(Icc::Eoir0)).when(Gate::Gic),
    reg("ICC_HPPIR0", (15, 12, 0, 8, 2), RO, Act::Icc(Icc::Hppir0)).when(Gate::Gic),
    reg("ICC_BPR0", (15, 12, 0, 8, 3), RW, Act::Icc(Icc::Bpr0)).when(Gate::Gic),
    reg("ICC_AP0R0", (15, 12, 0, 8, 4), RW, Act::Icc(Icc::Ap0r)).when(Gate::Gic),
    reg("ICC_AP1R0", (15, 12, 0, 9, 0), RW, Act::Icc(Icc::Ap1r)).when(Gate::Gic),
    reg("ICC_DIR", (15, 12, 0, 11, 1), WO, Act::Icc(Icc::Dir)).when(Gate::Gic),
    reg("ICC_RPR", (15, 12, 0, 11, 3), RO, Act::Icc(Icc::Rpr)).when(Gate::Gic),
    reg("ICC_IAR1", (15, 12, 0, 12, 0), RO, Act::Icc(Icc::Iar1)).when(Gate::Gic),
    reg("ICC_EOIR1", (15, 12, 0, 12, 1), WO, Act::Icc(Icc::Eoir1)).when(Gate::Gic),
    reg("ICC_HPPIR1", (15, 12, 0, 12, 2), RO, Act::Icc(Icc::Hppir1)).when(Gate::Gic),
    reg("ICC_BPR1", (15, 12, 0, 12, 3), RW, Act::Icc(Icc::Bpr1)).when(Gate::Gic),
    reg("ICC_CTLR", (15, 12, 0, 12, 4), RW, Act::Icc(Icc::Ctlr)).when(Gate::Gic),
    reg("ICC_SRE", (15, 12, 0, 12, 5), RW, Act::Icc(Icc::Sre)).when(Gate::Gic),
    reg("ICC_IGRPEN0", (15, 12, 0, 12, 6), RW, Act::Icc(Icc::Igrpen0)).when(Gate::Gic),
    reg("ICC_IGRPEN1", (15, 12, 0, 12, 7), RW, Act::Icc(Icc::Igrpen1)).when(Gate::Gic),
    wide("ICC_SGI1R", (15, 0, 12), WO, Act::Icc(Icc::Sgi1r)).when(Gate::Gic),
    wide("ICC_ASGI1R", (15, 1, 12), WO, Act::Icc(Icc::Asgi1r)).when(Gate::Gic),
    wide("ICC_SGI0R", (15, 2, 12), WO, Act::Icc(Icc::Sgi0r)).when(Gate::Gic),
    // ---- c13: process, context and thread
    reg("FCSEIDR", (15, 13, 0, 0, 0), RW, NOTHING),
    reg("CONTEXTIDR", (15, 13, 0, 0, 1), RW, context(|c| &mut c.contextidr, ALL, 0)).counted(Source::ContextIds),
    reg("TPIDRURW", (15, 13, 0, 0, 2), URW, word(|c| &mut c.tpidrurw, ALL)),
    reg("TPIDRURO", (15, 13, 0, 0, 3), URO, word(|c| &mut c.tpidruro, ALL)),
    reg("TPIDRPRW", (15, 13, 0, 0, 4), RW, word(|c| &mut c.tpidrprw, ALL)),
    // ---- c14: generic timers
    reg("CNTFRQ", (15, 14, 0, 0, 0), URO, FREQUENCY).when(Gate::AnyCounter),
    reg("CNTKCTL", (15, 14, 0, 1, 0), RW, word(|c| &mut c.cntkctl, 0x3ff)),
    reg("CNTP_TVAL", (15, 14, 0, 2, 0), URW, both(physical::tval, physical::set_tval)).when(Gate::PhysicalTimer),
    reg("CNTP_CTL", (15, 14, 0, 2, 1), URW, both(physical::ctl, physical::set_ctl)).when(Gate::PhysicalTimer),
    reg("CNTV_TVAL", (15, 14, 0, 3, 0), URW, both(virt::tval, virt::set_tval)).when(Gate::VirtualTimer),
    reg("CNTV_CTL", (15, 14, 0, 3, 1), URW, both(virt::ctl, virt::set_ctl)).when(Gate::VirtualTimer),
    wide("CNTPCT", (15, 0, 14), UR, read(timer::counter)).when(Gate::Physical),
    wide("CNTVCT", (15, 1, 14), UR, read(timer::counter)).when(Gate::Virtual),
    wide("CNTP_CVAL", (15, 2, 14), URW, both(physical::cval, physical::set_cval)).when(Gate::PhysicalTimer),
    wide("CNTV_CVAL", (15, 3, 14), URW, both(virt::cval, virt::set_cval)).when(Gate::VirtualTimer),
    // ---- c15: implementation defined
    reg("c15", (15, 15, 0, 0, 0), RW, NOTHING).to(15, 7),
    reg("c15", (15, 15, 1, 0, 0), RW, NOTHING).to(15, 7),
    reg("c15", (15, 15, 2, 0, 0), RW, NOTHING).to(15, 7),
    reg("c15", (15, 15, 3, 0, 0), RW, NOTHING).to(15, 7),
    reg("CBAR", (15, 15, 4, 0, 0), RO, model(|m| m.cbar)),
    // ---- CP14: debug
    reg("DBGDIDR", (14, 0, 0, 0, 0), UR, model(|m| m.dbgdidr)).when(Gate::DebugUser),
    reg("DBGDSCRint", (14, 0, 0, 1, 0), UR, word(|c| &mut c.dbgdscr, 0)).when(Gate::DebugUser),
    reg("DBGDCCINT", (14, 0, 0, 2, 0), RW, NOTHING),
    reg("DBGDTRint", (14, 0, 0, 5, 0), URW, NOTHING).when(Gate::DebugUser),
    reg("DBGWFAR", (14, 0, 0, 6, 0), RW, NOTHING),
    reg("DBGVCR", (14, 0, 0, 7, 0), RW, events(|c| &mut c.dbgvcr, 0xdf)),
    reg("DBGDTRRXext", (14, 0, 0, 0, 2), RW, NOTHING),
    reg("DBGDSCRext", (14, 0, 0, 2, 2), RW, events(|c| &mut c.dbgdscr, 0x0000_f000)),
    reg("DBGDTRTXext", (14, 0, 0, 3, 2), RW, NOTHING),
    reg("DBGOSECCR", (14, 0, 0, 6, 2), RW, NOTHING),
    reg("DBGBVR", (14, 0, 0, 0, 4), RW, both(get_bvr, set_bvr)).to(5, 4),
    reg("DBGBCR", (14, 0, 0, 0, 5), RW, both(get_bcr, set_bcr)).to(5, 5),
    reg("DBGWVR", (14, 0, 0, 0, 6), RW, both(get_wvr, set_wvr)).to(3, 6),
    reg("DBGWCR", (14, 0, 0, 0, 7), RW, both(get_wcr, set_wcr)).to(3, 7),
    reg("DBGDRAR", (14, 1, 0, 0, 0), UR, NOTHING).when(Gate::DebugUser),
    wide("DBGDRAR", (14, 0, 1), UR, NOTHING).when(Gate::DebugUser),
    reg("DBGBXVR", (14, 1, 0, 4, 1), RW, both(get_bxvr, set_bxvr)).to(5, 1),
    reg("DBGOSLAR", (14, 1, 0, 0, 4), WO, write(os_lock)),
    reg("DBGOSLSR", (14, 1, 0, 1, 4), RO, read(|io| u64::from(io.cpu.cp15.dbgoslock) << 1 | 8)),
    reg("DBGOSDLR", (14, 1, 0, 3, 4), RW, events(|c| &mut c.dbgosdlr, 1)),
    reg("DBGPRCR", (14, 1, 0, 4, 4), RW, NOTHING),
    reg("DBGDSAR", (14, 2, 0, 0, 0), UR, NOTHING).when(Gate::DebugUser),
    wide("DBGDSAR", (14, 0, 2), UR, NOTHING).when(Gate::DebugUser),
    reg("DBGDEVID2", (14, 7, 0, 0, 7), RO, NOTHING),
    reg("DBGDEVID1", (14, 7, 0, 1, 7), RO, model(|m| m.dbgdevid1)),
    reg("DBGDEVID", (14, 7, 0, 2, 7), RO, model(|m| m.dbgdevid)),
    reg("DBGCLAIMSET", (14, 7, 0, 8, 6), RW, both(|_| 0xff, |io, v| io.cpu.cp15.dbgclaim |= v as u32 & 0xff)),
    reg("DBGCLAIMCLR", (14, 7, 0, 9, 6), RW, both(claimed, unclaim)),
    reg("DBGAUTHSTATUS", (14, 7, 0, 14, 6), RO, Act::Const(0xaa)),
    // ---- CP14: ThumbEE, Jazelle
    reg("TEECR", (14, 0, 6, 0, 0), URO, word(|c| &mut c.teecr, 1)),
    reg("TEEHBR", (14, 1, 6, 0, 0), URW, word(|c| &mut c.teehbr, !3)).when(Gate::ThumbEe),
    reg("JIDR", (14, 0, 7, 0, 0), UR, NOTHING),
    reg("JOSCR", (14, 1, 7, 0, 0), RW, NOTHING),
    reg("JMCR", (14, 2, 7, 0, 0), RW, NOTHING),
];

/// Written to DBGOSLAR, locks; anything else unlocks.
const OS_LOCK_KEY: u32 = 0xc5ac_ce55;

/// Multiprocessing Extensions, and the affinities.
fn mpidr(io: &mut Io) -> u64 {
    ((1 << 31) | affinity(io.arm.platform.cpu_index())).into()
}

/// What the model has, and in the highest bits that there is a GICv3's CPU interface.
fn id_pfr1(io: &mut Io) -> u64 {
    let [_, of_model] = io.arm.model.id_pfr;
    u64::from(of_model) | u64::from(io.arm.platform.gic().is_some()) << 28
}

/// The cache that CSSELR selects: level 1 data, level 1 instruction, level 2.
fn ccsidr(io: &mut Io) -> u64 {
    io.arm
        .model
        .ccsidr
        .get(io.cpu.cp15.csselr as usize)
        .copied()
        .unwrap_or(0)
        .into()
}

/// The number of CPUs in the cluster, that there is an interrupt controller, and what software wrote to the latencies.
fn l2ctlr(io: &mut Io) -> u64 {
    let cpus = io.arm.platform.cpu_count().clamp(1, 4);
    ((cpus - 1) << 24 | 1 << 23 | io.cpu.cp15.l2ctlr).into()
}

fn isr(io: &mut Io) -> u64 {
    let pending = io.arm.platform.pending();
    let when = |line: u32, bit: u32| if pending & line != 0 { bit } else { 0 };
    (when(IRQ, psr::I) | when(FIQ, psr::F)).into()
}

fn os_lock(io: &mut Io, v: u64) {
    io.cpu.cp15.dbgoslock = u32::from(v as u32 == OS_LOCK_KEY);
    io.env.traps_changed();
}

fn claimed(io: &mut Io) -> u64 {
    io.cpu.cp15.dbgclaim.into()
}

fn unclaim(io: &mut Io, v: u64) {
    io.cpu.cp15.dbgclaim &= !v as u32;
}

/// Functions of an array of debug registers, by CRm: what a write keeps.
macro_rules! array {
    ($field:ident $len:literal $get:ident $set:ident $mask:expr) => {
        #[expect(clippy::indexing_slicing, reason = "the remainder is below the length")]
        fn $get(io: &mut Io) -> u64 {
            io.cpu.cp15.$field[(io.which >> 3) as usize % $len].into()
        }
        #[expect(clippy::indexing_slicing, reason = "the remainder is below the length")]
        fn $set(io: &mut Io, v: u64) {
            io.cpu.cp15.$field[(io.which >> 3) as usize % $len] = v as u32 & $mask;
            io.env.traps_changed();
        }
    };
}
array!(dbgbvr 6 get_bvr set_bvr !3);
array!(dbgbcr 6 get_bcr set_bcr 0x1fff_c1e7);
array!(dbgwvr 4 get_wvr set_wvr !3);
array!(dbgwcr 4 get_wcr set_wcr 0x1f0f_ffff);
array!(dbgbxvr 2 get_bxvr set_bxvr u32::MAX);
