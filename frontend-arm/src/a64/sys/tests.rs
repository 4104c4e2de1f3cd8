//! Registers by access: rights, effects, values.

use super::super::calls;
use super::super::features::Features;
use super::super::model;
use super::super::state::{mode, tcr};
use super::*;
use crate::machine_for_tests::{Engine, World, a64};
use crate::platform::{Conduit, FirmwareResult, IRQ, Timer, TimerOutput};
use emu_ir::testing::Random;
use emu_ir::{Flush, HelperFn, Which};
use std::sync::{Arc, Mutex};

/// op0, op1, CRn, CRm, op2.
type Name = (u32, u32, u32, u32, u32);

/// MRS or MSR of a register, or SYS, with X0.
fn word(read: bool, (op0, op1, crn, crm, op2): Name) -> u32 {
    0xd500_0000 | u32::from(read) << 21 | of(op0, op1, crn, crm, op2) << 5
}

/// A CPU with what is around it.
struct Bench {
    guest: A64,
    cpu: Cpu,
    engine: Engine,
    world: Arc<Mutex<World>>,
}

impl Bench {
    fn of(text: &str) -> Bench {
        let (guest, world) = a64(model::find(text).unwrap());
        Bench {
            guest,
            cpu: Cpu::reset(),
            engine: Engine::new(),
            world,
        }
    }
    fn new() -> Bench {
        Bench::of("max")
    }
    fn user() -> Bench {
        let mut bench = Bench::new();
        bench.cpu.set_psr(0);
        bench
    }
    fn read(&mut self, at: Name) -> Result<u64, Fault> {
        read(&mut self.guest, &mut self.cpu, &mut self.engine, word(true, at))
    }
    fn write(&mut self, at: Name, value: u64) -> Result<(), Fault> {
        write(&mut self.guest, &mut self.cpu, &mut self.engine, word(false, at), value)
    }
    fn at(&mut self, ns: u64) -> &mut Bench {
        self.world.lock().unwrap().now_ns = ns;
        self
    }
    fn last_timer(&self) -> Option<(Timer, TimerOutput)> {
        self.world.lock().unwrap().timers.last().copied()
    }
}

const SCTLR: Name = (3, 0, 1, 0, 0);
const CPACR: Name = (3, 0, 1, 0, 2);
const TCR: Name = (3, 0, 2, 0, 2);
const TTBR0: Name = (3, 0, 2, 0, 0);
const PAR: Name = (3, 0, 7, 4, 0);
const DAIF: Name = (3, 3, 4, 2, 1);
const FPCR: Name = (3, 3, 4, 4, 0);
const CTR: Name = (3, 3, 0, 0, 1);
const DCZID: Name = (3, 3, 0, 0, 7);
const CNTKCTL: Name = (3, 0, 14, 1, 0);
const CNTV_TVAL: Name = (3, 3, 14, 3, 0);
const CNTV_CTL: Name = (3, 3, 14, 3, 1);
const CNTV_CVAL: Name = (3, 3, 14, 3, 2);

/// All of the space for identification answers at EL1, what is reserved with zero (D19.1.1).
#[test]
fn identification_is_there_as_a_whole() {
    let mut bench = Bench::new();
    for crm in 1..8 {
        for op2 in 0..8 {
            let value = bench.read((3, 0, 0, crm, op2)).unwrap();
            let aarch32 = matches!((crm, op2), (1, 0..=2 | 4..=7) | (2, 0..=5 | 7) | (3, 0..=2 | 4));
            let known = aarch32 || matches!((crm, op2), (4, 0 | 1) | (5, 0) | (6, 0 | 1) | (7, 0..=2));
            assert_eq!(value != 0, known, "{crm} {op2}");
            assert_eq!(bench.write((3, 0, 0, crm, op2), 0), Err(UNDEFINED));
        }
    }
    assert_eq!(bench.read((3, 0, 0, 0, 5)), Ok(0x8000_0001), "MPIDR");
    for (level, want) in [(0, 0x701f_e00a), (1, 0x201f_e012), (2, 0x70ff_e07a), (3, 0)] {
        bench.write((3, 2, 0, 0, 0), level).unwrap();
        assert_eq!(bench.read((3, 1, 0, 0, 0)), Ok(want));
    }
}

/// At EL0 that is Undefined, or a trap with FEAT_IDST.
#[test]
fn programs_do_not_identify_the_cpu() {
    for (text, traps) in [("max", true), ("max,idst=off", false)] {
        let mut bench = Bench::of(text);
        bench.cpu.set_psr(0);
        for at in [(3, 0, 0, 4, 0), (3, 0, 0, 0, 0), (3, 0, 0, 7, 7), (3, 1, 0, 0, 1)] {
            let want = if traps { trap(word(true, at)) } else { UNDEFINED };
            assert_eq!(bench.read(at), Err(want), "{text} {at:?}");
            assert_eq!(bench.write(at, 0), Err(UNDEFINED), "{text} {at:?}");
        }
    }
}

/// Registers of EL2, EL3 and of features that are not there; what is only read, and only written.
#[test]
fn what_is_not_there_is_undefined() {
    let mut bench = Bench::of("cortex-a57");
    for at in [
        (3, 4, 1, 0, 0),   // SCTLR_EL2
        (3, 6, 1, 1, 0),   // SCR_EL3
        (3, 0, 4, 2, 3),   // PAN
        (3, 0, 12, 12, 0), // ICC_IAR1_EL1
        (3, 0, 1, 2, 0),   // ZCR_EL1
        (1, 0, 8, 1, 0),   // TLBI VMALLE1OS
        (1, 0, 7, 9, 0),   // AT S1E1RP
        (1, 4, 8, 7, 0),   // TLBI ALLE2
    ] {
        assert_eq!(bench.read(at), Err(UNDEFINED), "{at:?}");
        assert_eq!(bench.write(at, 0), Err(UNDEFINED), "{at:?}");
    }
    assert_eq!(bench.write((3, 0, 0, 0, 0), 0), Err(UNDEFINED), "MIDR");
    assert_eq!(bench.write((3, 0, 4, 2, 2), 0), Err(UNDEFINED), "CurrentEL");
    assert_eq!(bench.read((2, 0, 1, 0, 4)), Err(UNDEFINED), "OSLAR");
    assert_eq!(bench.read((1, 0, 8, 7, 0)), Err(UNDEFINED), "TLBI VMALLE1");
}

#[test]
fn bits_of_features_that_are_not_there_are_zero() {
    let all = |text, at: Name| {
        let mut bench = Bench::of(text);
        bench.write(at, u64::MAX).unwrap();
        bench.read(at).unwrap()
    };
    assert_eq!(all("cortex-a57", TCR), 0x77_ffff_ffbf, "with both of TBI0 and TBI1");
    assert_eq!(all("max", TCR) >> 39, 0b11 << 16 | 0b11 << 12 | 0b1111);
    let keys = sctlr::ENIA | sctlr::ENIB | sctlr::ENDA | sctlr::ENDB;
    assert_eq!(
        all("max", SCTLR) ^ all("cortex-a57", SCTLR),
        sctlr::EPAN | sctlr::DSSBS | sctlr::BT0 | sctlr::BT1 | sctlr::NAA | keys
    );
    let mut bench = Bench::of("cortex-a57");
    bench.write(SCTLR, 0).unwrap();
    assert_eq!(bench.read(SCTLR), Ok(sctlr::ONES | sctlr::SPAN));
}

#[test]
fn registers_keep_what_is_written() {
    let rows = [
        ((3, 0, 1, 0, 1), u64::MAX), // ACTLR
        (TTBR0, u64::MAX),
        ((3, 0, 2, 0, 1), u64::MAX),     // TTBR1
        ((3, 0, 10, 2, 0), u64::MAX),    // MAIR
        ((3, 0, 12, 0, 0), !0x7ff),      // VBAR
        ((3, 0, 13, 0, 1), 0xffff_ffff), // CONTEXTIDR
        ((3, 0, 13, 0, 4), u64::MAX),    // TPIDR_EL1
        ((3, 0, 4, 1, 0), u64::MAX),     // SP_EL0
        ((3, 0, 6, 0, 0), u64::MAX),     // FAR
        (CPACR, 3 << 20),
        (CNTKCTL, 0x3ff),
        ((2, 0, 0, 3, 4), u64::MAX),    // DBGBVR3
        ((2, 0, 0, 3, 5), 0x00ff_e1e7), // DBGBCR3
        ((2, 0, 0, 1, 7), 0x1f1f_ffff), // DBGWCR1
        (CNTV_CVAL, u64::MAX),
    ];
    for (at, want) in rows {
        let mut bench = Bench::new();
        bench.write(at, u64::MAX).unwrap();
        assert_eq!(bench.read(at), Ok(want), "{at:?}");
        bench.write(at, 0).unwrap();
        assert_eq!(bench.read(at), Ok(0), "{at:?}");
    }
}

#[test]
fn the_engine_hears_of_what_it_depends_on() {
    for at in [
        SCTLR,
        TCR,
        TTBR0,
        (3, 0, 2, 0, 1),
        (3, 0, 10, 2, 0),
        CPACR,
        (3, 0, 4, 2, 3),
    ] {
        let mut bench = Bench::new();
        bench.write(at, 1 << 21 | 1 << 22 | 4).unwrap();
        assert_eq!(bench.engine.contexts, 1, "{at:?}");
    }
    let mut bench = Bench::new();
    bench.write(SCTLR, sctlr::M).unwrap();
    assert_eq!(bench.cpu.mode & mode::ALIGN, 0);
    bench.write(CPACR, 3 << 20).unwrap();
    assert_ne!(bench.cpu.mode & mode::FP, 0);
}

/// What EL0 may use once the bits for it are set, each alone, and traps else.
#[test]
fn programs_use_what_is_opened_for_them() {
    type Open = fn(&mut Cpu);
    let rows: [(bool, Name, Open); 21] = [
        (true, CTR, |c| c.sys.sctlr |= sctlr::UCT),
        (false, (1, 3, 7, 5, 1), |c| c.sys.sctlr |= sctlr::UCI),
        (false, (1, 3, 7, 11, 1), |c| c.sys.sctlr |= sctlr::UCI),
        (true, DAIF, |c| c.sys.sctlr |= sctlr::UMA),
        (false, DAIF, |c| c.sys.sctlr |= sctlr::UMA),
        (true, (3, 3, 14, 0, 0), |c| c.sys.cntkctl |= 1),
        (true, (3, 3, 14, 0, 0), |c| c.sys.cntkctl |= 2),
        (true, (3, 3, 14, 0, 1), |c| c.sys.cntkctl |= 1),
        (true, (3, 3, 14, 0, 2), |c| c.sys.cntkctl |= 2),
        (false, CNTV_TVAL, |c| c.sys.cntkctl |= 1 << 8),
        (true, (3, 3, 14, 2, 1), |c| c.sys.cntkctl |= 1 << 9),
        (true, (2, 3, 0, 1, 0), |c| c.sys.mdscr &= !debug::TDCC),
        (true, (3, 3, 9, 12, 0), |c| c.sys.pmu.userenr = 1),
        (false, (3, 3, 9, 12, 1), |c| c.sys.pmu.userenr = 1),
        (false, (3, 3, 9, 12, 4), |c| c.sys.pmu.userenr = 1 << 1),
        (true, (3, 3, 9, 13, 0), |c| c.sys.pmu.userenr = 1 << 2),
        (false, (3, 3, 9, 13, 0), |c| c.sys.pmu.userenr = 1),
        (true, (3, 3, 14, 8, 3), |c| c.sys.pmu.userenr = 1 << 3),
        (false, (3, 3, 9, 12, 5), |c| c.sys.pmu.userenr = 1 << 3),
        (true, (3, 3, 9, 13, 2), |c| c.sys.pmu.userenr = 1 << 3),
        (true, (3, 3, 14, 12, 3), |c| c.sys.pmu.userenr = 1),
    ];
    for (is_read, at, open) in rows {
        let mut bench = Bench::user();
        bench.cpu.sys.mdscr = debug::TDCC;
        let access = |bench: &mut Bench| {
            if is_read {
                bench.read(at).map(|_| ())
            } else {
                bench.write(at, 0)
            }
        };
        assert_eq!(access(&mut bench), Err(trap(word(is_read, at))), "{at:?}");
        open(&mut bench.cpu);
        assert_eq!(access(&mut bench), Ok(()), "{at:?}");
    }
}

/// Everything else is Undefined at EL0, but for what is always a program's.
#[test]
fn programs_have_their_own_registers_only() {
    let own = [
        "TPIDR_EL0",
        "TPIDRRO_EL0",
        "DCZID_EL0",
        "NZCV",
        "DIT",
        "SSBS",
        "PMUSERENR_EL0",
        "RNDR",
        "RNDRRS",
    ];
    for reg in rows::ROWS.iter().filter(|reg| reg.kernel & table::R != 0) {
        let [op0, op1, crn, crm, op2] = [reg.at.op0, reg.at.op1, reg.at.crn, reg.at.crm.0, reg.at.op2.0].map(u32::from);
        let word = word(true, (op0, op1, crn, crm, op2));
        let got = Bench::user().read((op0, op1, crn, crm, op2)).map(|_| ());
        let want = match reg.gate {
            Gate::Fp => Err(exception(class::FP_ACCESS, FP_TRAP)),
            Gate::DebugChannel => Ok(()),
            Gate::None if own.contains(&reg.name) => Ok(()),
            Gate::None if !identifies(word) => Err(UNDEFINED),
            _ => Err(trap(word)),
        };
        assert_eq!(got, want, "{}", reg.name);
    }
    assert_eq!(Bench::user().write((3, 3, 13, 0, 3), 0), Err(UNDEFINED), "TPIDRRO_EL0");
}

#[test]
fn floating_points_registers_trap_as_it_does() {
    for (fpen, el1, el0) in [(0, false, false), (1, true, false), (2, false, false), (3, true, true)] {
        for (psr, open) in [(0b0101, el1), (0, el0)] {
            let mut bench = Bench::new();
            bench.cpu.sys.cpacr = fpen << 20;
            bench.cpu.set_psr(psr);
            let want = if open {
                Ok(0)
            } else {
                Err(exception(class::FP_ACCESS, FP_TRAP))
            };
            assert_eq!(bench.read(FPCR), want, "{fpen} {psr}");
        }
    }
}

#[test]
fn a_trap_says_the_instruction() {
    // MRS X5, CNTVCT_EL0
    let mut bench = Bench::user();
    let word = word(true, (3, 3, 14, 0, 2)) | 5;
    let got = read(&mut bench.guest, &mut bench.cpu, &mut bench.engine, word);
    let iss = 3 << 20 | 2 << 17 | 3 << 14 | 14 << 10 | 5 << 5 | 1;
    assert_eq!(got, Err(exception(class::SYSTEM, iss)));
}

#[test]
fn waits_trap_at_el0_unless_allowed() {
    let mut cpu = Cpu::reset();
    cpu.set_psr(0);
    assert_eq!(wait(&cpu, false, false), Err(exception(class::WFX, 0x1e0_0000)));
    assert_eq!(wait(&cpu, true, false), Err(exception(class::WFX, 0x1e0_0001)));
    cpu.sys.sctlr |= sctlr::NTWI;
    assert_eq!(
        (wait(&cpu, false, false).is_ok(), wait(&cpu, true, false).is_ok()),
        (true, false)
    );
    cpu.sys.sctlr |= sctlr::NTWE;
    assert!(wait(&cpu, true, false).is_ok());
}

#[test]
fn zeroing_of_blocks_follows_sctlr() {
    let mut bench = Bench::user();
    assert_eq!(bench.read(DCZID), Ok(0x14));
    assert_eq!(zva(&bench.cpu, 0xd50b_7420), Err(trap(0xd50b_7420)));
    bench.cpu.sys.sctlr |= sctlr::DZE;
    assert_eq!((bench.read(DCZID), zva(&bench.cpu, 0)), (Ok(4), Ok(())));
}

/// The operands of TLB maintenance: what is forgotten, and whose (C5.5).
#[test]
fn tlb_maintenance() {
    let page = |addr, asid| Which::Pages {
        first: addr,
        last: addr,
        asid,
    };
    let pages = |first, last, asid| Which::Pages { first, last, asid };
    let va = 0xffff_8000_1234_5000_u64;
    let operand = 0x1234 << 48 | va >> 12 & 0xfff_ffff_ffff;
    let rows: &[(u32, u32, u64, Which, bool)] = &[
        (7, 0, 0, Which::All, false),
        (3, 0, 0, Which::All, true),
        (1, 0, 0, Which::All, true),
        (7, 1, operand, page(va, Some(0x1234)), false),
        (3, 5, operand, page(va, Some(0x1234)), true),
        (1, 1, operand, page(va, Some(0x1234)), true),
        (7, 3, operand, page(va, None), false),
        (3, 7, operand, page(va, None), true),
        (7, 1, operand | 0xf << 44, page(va, Some(0x1234)), false), // TTL is a hint
        (7, 2, operand, Which::Asid(0x1234), false),
        (3, 2, operand, Which::Asid(0x1234), true),
        // ranges: one unit of two 4 KiB pages; 32 units of 2^16 64 KiB pages; the high half
        (
            6,
            1,
            5 << 48 | 1 << 46 | 0x10,
            pages(0x1_0000, 0x1_1fff, Some(5)),
            false,
        ),
        (
            2,
            3,
            3 << 46 | 3 << 44 | 31 << 39 | 1,
            pages(0x1_0000, 0x20_0000_ffff, None),
            true,
        ),
        (
            5,
            5,
            2 << 46 | 1 << 39 | 0x1f_ffff_fff0,
            pages(0xffff_ffff_fffc_0000, 0xffff_ffff_fffc_ffff, Some(0)),
            true,
        ),
        (
            2,
            1,
            1 << 46 | 3 << 44 | 31 << 39 | 0x1f_ffff_ffff,
            pages(!0xfff, !0, Some(0)),
            true,
        ),
        (6, 7, 0, Which::All, false), // a reserved granule
    ];
    for &(crm, op2, operand, which, broadcast) in rows {
        let mut bench = Bench::new();
        bench.cpu.sys.tcr |= tcr::AS;
        bench.write((1, 0, 8, crm, op2), operand).unwrap();
        let flush = Flush {
            regimes: 1,
            vmid: None,
            which,
        };
        assert_eq!(bench.engine.flushes, [(flush, broadcast)], "{crm} {op2} {operand:#x}");
    }
    let mut bench = Bench::new();
    bench.write((1, 0, 8, 7, 2), operand).unwrap();
    assert_eq!(
        bench.engine.flushes,
        [(
            Flush {
                regimes: 1,
                ..Flush::asid(0x34)
            },
            false
        )],
        "8 bits"
    );
}

/// AT: a translation or its fault in PAR_EL1, an external abort of the walk as an exception (C5.2, PAR_EL1).
#[test]
fn address_translation() {
    const TABLE: u64 = 0x4000_0000;
    let mut bench = Bench::new();
    let page = |at: u64, rights: u64| at | 3 | 1 << 10 | 3 << 8 | rights;
    for level in 0..3 {
        bench
            .engine
            .ram
            .put64(TABLE + 0x1000 * level, (TABLE + 0x1000 * (level + 1)) | 3);
    }
    bench.engine.ram.put64(TABLE + 0x3000, page(0x9000, 1 << 6)); // EL0 too
    bench.engine.ram.put64(TABLE + 0x3008, page(0xa000, 1 << 7)); // EL1 reads
    bench.engine.ram.put64(TABLE + 0x3010, page(0xb000, 1 << 2)); // Device
    bench.engine.ram.put64(TABLE + 8, 0x8000_0000 | 3); // nowhere
    bench.cpu.sys.sctlr |= sctlr::M;
    bench.cpu.sys.tcr = 16 | 5 << 32;
    (bench.cpu.sys.ttbr0, bench.cpu.sys.mair) = (TABLE, 0x04ff);
    let ok = |at: u64| 0xff << 56 | at | 1 << 11 | 3 << 7;
    let fault = |code: u64| code << 1 | 1 << 11 | 1;
    let rows = [
        (8, 0, 0x123, ok(0x9000)),
        (8, 1, 0, ok(0x9000)),
        (8, 2, 0, ok(0x9000)),
        (8, 0, 0x1000, ok(0xa000)),
        (8, 1, 0x1000, fault(0xf)),
        (8, 2, 0x1000, fault(0xf)),
        (8, 3, 0x1000, fault(0xf)),
        (8, 0, 0x2000, 0x04 << 56 | 0xb000 | 1 << 11 | 2 << 7),
        (8, 0, 0x3000, fault(0x7)),
        (9, 0, 0, fault(0xf)),
        (9, 1, 0x1000, fault(0xf)),
        (9, 0, 0x1000, ok(0xa000)),
    ];
    bench.cpu.set_psr(bench.cpu.psr | psr::PAN);
    for (crm, op2, va, want) in rows {
        assert_eq!(bench.write((1, 0, 7, crm, op2), va), Ok(()));
        assert_eq!(bench.read(PAR), Ok(want), "{crm} {op2} {va:#x}");
    }
    let Err(Fault::Guest { class, info, .. }) = bench.write((1, 0, 7, 8, 0), 1 << 39) else {
        panic!()
    };
    assert_eq!((class, info), (class::DATA_ABORT, 0x15 | 1 << 6 | 1 << 8));
    // DC by address: what is not mapped, and at EL0 what it may not read.
    let Err(Fault::Guest { info, .. }) = bench.write((1, 3, 7, 10, 1), 0x3000) else {
        panic!()
    };
    assert_eq!(info, 7 | 1 << 6 | 1 << 8);
    assert!(bench.write((1, 3, 7, 10, 1), 0x1000).is_ok() && bench.write((1, 0, 7, 6, 1), 0x1000).is_err());
    bench.cpu.sys.sctlr |= sctlr::UCI;
    bench.cpu.set_psr(0);
    assert!(bench.write((1, 3, 7, 11, 1), 0).is_ok() && bench.write((1, 3, 7, 11, 1), 0x1000).is_err());
}

/// The generic timer: unsigned comparison, ISTATUS whatever the mask, a level that follows every write (D11.2.4).
#[test]
fn timers() {
    let mut bench = Bench::new();
    let read = |bench: &mut Bench, at| bench.read(at).unwrap();
    bench.at(16_000).write(CNTV_CVAL, u64::MAX).unwrap();
    bench.write(CNTV_CTL, 1).unwrap();
    assert_eq!(
        (read(&mut bench, CNTV_CTL), bench.last_timer()),
        (1, Some((Timer::Virtual, TimerOutput::Low)))
    );

    bench.write(CNTV_TVAL, 100).unwrap();
    assert_eq!(bench.last_timer(), Some((Timer::Virtual, TimerOutput::HighAt(17_600))));
    assert_eq!((read(&mut bench, CNTV_CVAL), read(&mut bench, CNTV_TVAL)), (1100, 100));

    bench.at(17_600);
    assert_eq!(read(&mut bench, CNTV_CTL), 5);
    bench.write(CNTV_CTL, 7).unwrap();
    assert_eq!(
        (read(&mut bench, CNTV_CTL), bench.last_timer()),
        (7, Some((Timer::Virtual, TimerOutput::Low)))
    );
    bench.write(CNTV_CTL, 1).unwrap();
    assert_eq!(bench.last_timer(), Some((Timer::Virtual, TimerOutput::High)));
    bench.write(CNTV_TVAL, 0xffff_fffe).unwrap();
    assert_eq!((read(&mut bench, CNTV_CVAL), read(&mut bench, CNTV_CTL)), (1098, 5));
    assert_eq!(read(&mut bench, (3, 3, 14, 0, 2)), 1100);
    assert_eq!(read(&mut bench, (3, 3, 14, 0, 0)), 62_500_000);
    program_all(&mut bench.cpu, &mut bench.guest);
    let told = bench.world.lock().unwrap().timers.clone();
    let want = [
        (Timer::Physical, TimerOutput::Low),
        (Timer::Virtual, TimerOutput::High),
        (Timer::Pmu, TimerOutput::Low),
    ];
    assert_eq!(told[told.len() - 3..], want);
}

/// Both timers: ISTATUS is what is so, not what is written, and 0 where the timer is off; a later compare value lowers the line.
#[test]
fn a_timers_line_follows_every_write() {
    use TimerOutput::{High, HighAt, Low};
    for (which, op) in [(Timer::Physical, 2), (Timer::Virtual, 3)] {
        let (ctl, cval) = ((3, 3, 14, op, 1), (3, 3, 14, op, 2));
        let mut bench = Bench::new();
        bench.at(1600); // 100 ticks
        for (register, value, output, reads) in [
            (ctl, 7, Low, 7),
            (ctl, 4, Low, 0),
            (ctl, 5, High, 5),
            (cval, 101, HighAt(1616), 1),
            (ctl, 5, HighAt(1616), 1),
            (ctl, 3, Low, 3),
            (ctl, 1, HighAt(1616), 1),
            (cval, 100, High, 5),
            (cval, u64::MAX, Low, 1),
            (cval, 1 << 62, Low, 1),
            (cval, 1 << 59, HighAt(1 << 63), 1),
        ] {
            bench.write(register, value).unwrap();
            assert_eq!(bench.last_timer(), Some((which, output)), "{value:#x}");
            assert_eq!(bench.read(ctl), Ok(reads), "{value:#x}");
        }
    }
}

/// HVC and SMC where firmware listens: four registers are its answer; at EL0 they are Undefined, and it hears of nothing.
#[test]
fn firmware_is_called_from_el1_alone() {
    for (index, conduit) in [(calls::HVC, Conduit::Hvc), (calls::SMC, Conduit::Smc)] {
        let HelperFn::State(call) = calls::CALLS[index as usize].f else {
            panic!()
        };
        let mut bench = Bench::new();
        let before: [u64; 32] = std::array::from_fn(|n| 0x100 + n as u64);
        bench.cpu.x = before;
        bench.world.lock().unwrap().answer = Some(FirmwareResult::Return([u64::MAX, 1, 2, 3]));
        let Bench { guest, cpu, engine, .. } = &mut bench;
        assert_eq!(call(guest, cpu, engine, &[0x104, 0, 0, 0]), Ok(0));
        assert_eq!((&cpu.x[..4], &cpu.x[4..]), (&[u64::MAX, 1, 2, 3][..], &before[4..]));
        cpu.set_psr(0);
        assert_eq!(call(guest, cpu, engine, &[0x104, 0, 0, 0]), Err(UNDEFINED));
        let heard = bench.world.lock().unwrap().calls.clone();
        assert_eq!(heard, [(conduit, [0x100, 0x101, 0x102, 0x103], true)]);
    }
}

/// The performance monitors: counters by name and by selection, the cycle counter's 64 bits, its overflow.
#[test]
fn performance_monitors() {
    const PMCR: Name = (3, 3, 9, 12, 0);
    const PMSELR: Name = (3, 3, 9, 12, 5);
    const PMCCNTR: Name = (3, 3, 9, 13, 0);
    let mut bench = Bench::new();
    let all = |bench: &mut Bench| [(3, 3, 9, 12, 6), (3, 3, 9, 12, 7)].map(|at| bench.read(at).unwrap());
    assert_eq!(all(&mut bench), [0x380b_1fd9, 0x2]);
    assert_eq!(bench.read(PMCR), Ok(0x3040), "six counters, and LC");

    bench.write((3, 3, 14, 12, 2), 0xc000_0011).unwrap();
    bench.write((3, 3, 14, 8, 2), 0x1234).unwrap();
    bench.write(PMSELR, 2).unwrap();
    assert_eq!(bench.read((3, 3, 9, 13, 1)), Ok(0xc000_0011));
    assert_eq!(bench.read((3, 3, 9, 13, 2)), Ok(0x1234));
    bench.write((3, 3, 14, 15, 7), 1 << 31).unwrap();
    bench.write(PMSELR, 31).unwrap();
    assert_eq!(bench.read((3, 3, 9, 13, 1)), Ok(1 << 31), "PMCCFILTR");
    bench.write((3, 3, 14, 15, 7), 0).unwrap();

    bench.write(PMCCNTR, 0xffff_ffff).unwrap();
    bench.write((3, 3, 9, 12, 1), 1 << 31).unwrap();
    bench.write(PMCR, 1).unwrap();
    bench.at(1000);
    assert_eq!(bench.read(PMCCNTR), Ok(0xffff_ffff + 1000));
    assert_eq!(bench.read((3, 3, 9, 12, 3)), Ok(0));
    bench.write((3, 0, 9, 14, 1), 1 << 31).unwrap();
    bench.write(PMCCNTR, u64::MAX - 499).unwrap();
    assert_eq!(bench.last_timer(), Some((Timer::Pmu, TimerOutput::HighAt(1500))));
    bench.at(1500);
    assert_eq!(
        (bench.read(PMCCNTR), bench.read((3, 3, 9, 12, 3))),
        (Ok(0), Ok(1 << 31))
    );
    bench.write((3, 3, 9, 12, 3), 1 << 31).unwrap();
    assert!(matches!(bench.last_timer(), Some((Timer::Pmu, TimerOutput::HighAt(_)))));

    bench.write((3, 3, 14, 12, 1), 0x311).unwrap();
    assert_eq!(bench.world.lock().unwrap().uncounted, [0x311]);
    let mut none = Bench::of("max,pmu=off");
    assert_eq!(
        (none.read(PMCR), none.read((3, 0, 0, 5, 0)).unwrap() >> 8 & 15),
        (Err(UNDEFINED), 0)
    );
}

#[test]
fn pending_interrupts_show() {
    let mut bench = Bench::new();
    bench.world.lock().unwrap().pending = IRQ;
    assert_eq!(bench.read((3, 0, 12, 1, 0)), Ok(1 << 7));
}

#[test]
fn the_os_lock_keeps_debug_away() {
    let mut bench = Bench::new();
    let oslsr = (2, 0, 1, 1, 4);
    assert_eq!(bench.read(oslsr), Ok(0b1010), "locked at reset");
    bench.write((2, 0, 0, 2, 2), 1 | 1 << 13).unwrap();
    assert_eq!(bench.cpu.mode & mode::STEP, 0);
    bench.write((2, 0, 1, 0, 4), 0).unwrap();
    assert_eq!(bench.read(oslsr), Ok(0b1000));
    assert_ne!(bench.cpu.mode & mode::STEP, 0);
}

/// What translated code reads and writes in place is what the rows say.
#[test]
fn registers_in_place_are_those_of_the_rows() {
    let mut random = Random::new(3);
    let mut found = 0;
    for encoding in 0..1 << 16 {
        for (el, features) in [(0, Features::ALL), (1, Features::ALL), (1, Features::BASE)] {
            let (word, value) = (0xd520_0000 | encoding << 5, random.next());
            let mut bench = Bench::new();
            bench.guest.model.features = features;
            bench.cpu.set_psr(if el == 0 { 0 } else { 0b0101 });
            if let Some(at) = slot(features, el, word, false) {
                *bench.cpu.long(at) = value;
                let Bench { guest, cpu, engine, .. } = &mut bench;
                assert_eq!(read(guest, cpu, engine, word), Ok(value), "{word:#x}");
                found += 1;
            }
            if let Some(at) = slot(features, el, word & !(1 << 21), true) {
                let Bench { guest, cpu, engine, .. } = &mut bench;
                write(guest, cpu, engine, word & !(1 << 21), value).unwrap();
                assert_eq!(*cpu.long(at), value);
                assert_eq!(
                    (engine.contexts, cpu.mode),
                    (0, Cpu { psr: cpu.psr, ..*cpu }.sound().mode)
                );
            }
        }
    }
    assert!(found > 40, "{found}");
}

/// Any access by any word with any value is an answer or an exception.
#[test]
fn every_encoding_has_an_answer() {
    let mut random = Random::new(4);
    let mut bench = Bench::new();
    for encoding in 0..1 << 16 {
        let user = random.one_in(2);
        bench.cpu.set_psr(if user { 0 } else { 0b0101 });
        let (value, word) = (random.next(), 0xd500_0000 | encoding << 5);
        let Bench { guest, cpu, engine, .. } = &mut bench;
        let _ = read(guest, cpu, engine, word | 1 << 21);
        let _ = write(guest, cpu, engine, word, value);
        engine.flushes.clear();
    }
}

mod gic {
    use super::*;
    use crate::platform::Icc;

    const IAR1: Name = (3, 0, 12, 12, 0);
    const PMR: Name = (3, 0, 4, 6, 0);
    const SGI1R: Name = (3, 0, 12, 11, 5);

    fn bench() -> Bench {
        let mut bench = Bench::new();
        bench.guest.model.features = bench.guest.model.features.with(&[Feature::Gic]);
        bench.world.lock().unwrap().gic = Some(Vec::new());
        bench
    }

    #[test]
    fn the_cpu_interface_is_the_boards() {
        let mut bench = bench();

        assert_eq!(bench.read(IAR1), Ok(Icc::Iar1 as u64));
        bench.write(PMR, 0xf0).unwrap();
        bench.write(SGI1R, 1 << 40).unwrap();

        assert_eq!(bench.read(PMR), Ok(200 + Icc::Pmr as u64));
        let written = bench.world.lock().unwrap().gic.clone();
        assert_eq!(written, Some(vec![(Icc::Pmr, 0xf0), (Icc::Sgi1r, 1 << 40)]));
        assert_eq!(
            bench.read((3, 0, 0, 4, 0)).unwrap() >> 24 & 15,
            1,
            "ID_AA64PFR0_EL1.GIC"
        );
        assert_eq!(bench.read((3, 0, 0, 1, 1)).unwrap() >> 28, 1, "ID_PFR1_EL1.GIC");
    }

    #[test]
    fn rights_are_those_of_the_manual() {
        let mut bench = bench();

        assert_eq!(bench.read(SGI1R), Err(UNDEFINED));
        assert_eq!(bench.write(IAR1, 0), Err(UNDEFINED));
        assert_eq!(
            bench.read((3, 0, 12, 8, 5)),
            Err(UNDEFINED),
            "ICC_AP0R1_EL1, which 5 bits of priority need not"
        );
        bench.cpu.set_psr(0);
        assert_eq!(bench.read(IAR1), Err(UNDEFINED), "EL0");
    }

    #[test]
    fn without_a_gicv3_they_are_undefined() {
        let mut bench = Bench::new();

        for at in rows::ROWS
            .iter()
            .filter(|row| matches!(row.act, Act::Icc(_)))
            .map(|row| row.at)
        {
            let name = (
                at.op0.into(),
                at.op1.into(),
                at.crn.into(),
                at.crm.0.into(),
                at.op2.0.into(),
            );
            assert_eq!(bench.read(name), Err(UNDEFINED), "{name:?}");
            assert_eq!(bench.write(name, 0), Err(UNDEFINED), "{name:?}");
        }
        assert_eq!(bench.read((3, 0, 0, 4, 0)).unwrap() >> 24 & 15, 0);
    }

    #[test]
    fn a_debugger_acknowledges_nothing() {
        assert!(shown().any(|row| row.name == "ICC_PMR_EL1"));
        assert!(!shown().any(|row| row.name.starts_with("ICC_IAR")));
    }
}

/// RNDR and RNDRRS: NZCV is 0000 with a number, 0100 and zero without; at EL0 too.
#[test]
fn random_numbers_say_whether_they_are() {
    for at in [(3, 3, 2, 4, 0), (3, 3, 2, 4, 1)] {
        for mut bench in [Bench::new(), Bench::user()] {
            bench.world.lock().unwrap().random = vec![7];
            bench.cpu.set_nzcv(0xf000_0000);
            assert_eq!((bench.read(at), bench.cpu.nzcv()), (Ok(7), 0));
            assert_eq!((bench.read(at), bench.cpu.nzcv()), (Ok(0), 0x4000_0000));
            assert_eq!(bench.write(at, 0), Err(UNDEFINED));
        }
        assert_eq!(Bench::of("max,rng=off").read(at), Err(UNDEFINED));
    }
}

/// FEAT_RAS without records: ERRIDR_EL1.NUM is 0, DISR_EL1 keeps what is written.
#[test]
fn there_are_no_records_of_errors() {
    let (erridr, errselr, erxstatus, disr) = ((3, 0, 5, 3, 0), (3, 0, 5, 3, 1), (3, 0, 5, 4, 2), (3, 0, 12, 1, 1));
    let mut bench = Bench::new();
    for at in [errselr, erxstatus, disr] {
        bench.write(at, u64::MAX).unwrap();
    }
    let got = [erridr, errselr, erxstatus, disr].map(|at| bench.read(at));
    assert_eq!(got, [Ok(0), Ok(0), Ok(0), Ok(0x81ff_ffff)]);
    assert_eq!(bench.write(erridr, 0), Err(UNDEFINED));
    for mut without in [Bench::of("max,ras=off"), Bench::of("cortex-a72"), Bench::user()] {
        assert_eq!([without.read(erridr), without.read(disr)], [Err(UNDEFINED); 2]);
    }
}
