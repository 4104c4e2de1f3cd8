//! Registers by access: rights, effects, values.

use super::*;
use crate::calls;
use crate::machine_for_tests::{Engine, arm};
use crate::model::{MODELS, Model};
use crate::platform::{FirmwareResult, IRQ, Timer, TimerOutput};
use crate::state::{mode, psr};
use emu_ir::testing::Random;
use emu_ir::{Flush, HelperFn};

/// MRC or MCR of CP`cp`, in A32 form.
fn word(write: bool, (cp, crn, opc1, crm, opc2): (u32, u32, u32, u32, u32)) -> u32 {
    0xee00_0010 | u32::from(!write) << 20 | opc1 << 21 | crn << 16 | cp << 8 | opc2 << 5 | crm
}

/// MRRC or MCRR.
fn word64(write: bool, (cp, opc1, crm): (u32, u32, u32)) -> u32 {
    0xec40_0000 | u32::from(!write) << 20 | cp << 8 | opc1 << 4 | crm
}

/// A CPU with what is around it.
struct Bench {
    arm: Arm,
    cpu: Cpu,
    engine: Engine,
    world: std::sync::Arc<std::sync::Mutex<crate::machine_for_tests::World>>,
}

impl Bench {
    fn new() -> Bench {
        let (arm, world) = arm();
        Bench {
            arm,
            cpu: Cpu::reset(&MODELS[0]),
            engine: Engine::new(),
            world,
        }
    }
    fn user() -> Bench {
        let mut bench = Bench::new();
        bench.cpu.switch_mode(psr::USR);
        bench
    }
    fn read(&mut self, at: (u32, u32, u32, u32, u32)) -> Result<u32, Fault> {
        read(&mut self.arm, &mut self.cpu, &mut self.engine, word(false, at))
    }
    fn write(&mut self, at: (u32, u32, u32, u32, u32), value: u32) -> Result<(), Fault> {
        write(&mut self.arm, &mut self.cpu, &mut self.engine, word(true, at), value)
    }
    fn read64(&mut self, at: (u32, u32, u32)) -> Result<u64, Fault> {
        read64(&mut self.arm, &mut self.cpu, &mut self.engine, word64(false, at))
    }
    fn write64(&mut self, at: (u32, u32, u32), value: u64) -> Result<(), Fault> {
        write64(&mut self.arm, &mut self.cpu, &mut self.engine, word64(true, at), value)
    }
    fn at(&mut self, ns: u64) -> &mut Bench {
        self.world.lock().unwrap().now_ns = ns;
        self
    }
    fn last_timer(&self) -> Option<(Timer, TimerOutput)> {
        self.world.lock().unwrap().timers.last().copied()
    }
}

const SCTLR: (u32, u32, u32, u32, u32) = (15, 1, 0, 0, 0);
const CPACR: (u32, u32, u32, u32, u32) = (15, 1, 0, 0, 2);
const PAR: (u32, u32, u32, u32, u32) = (15, 7, 0, 4, 0);
const CNTKCTL: (u32, u32, u32, u32, u32) = (15, 14, 0, 1, 0);
const CNTV_TVAL: (u32, u32, u32, u32, u32) = (15, 14, 0, 3, 0);
const CNTV_CTL: (u32, u32, u32, u32, u32) = (15, 14, 0, 3, 1);
const PMCR: (u32, u32, u32, u32, u32) = (15, 9, 0, 12, 0);
const PMCNTENSET: (u32, u32, u32, u32, u32) = (15, 9, 0, 12, 1);
const PMOVSR: (u32, u32, u32, u32, u32) = (15, 9, 0, 12, 3);
const PMCCNTR: (u32, u32, u32, u32, u32) = (15, 9, 0, 13, 0);
const PMUSERENR: (u32, u32, u32, u32, u32) = (15, 9, 0, 14, 0);

#[test]
fn identification() {
    let mut bench = Bench::new();
    let rows = [
        ((15, 0, 0, 0, 0), 0x414f_c0f0),
        ((15, 0, 0, 0, 5), 0x8000_0001),
        ((15, 0, 0, 1, 1), 0x0001_0001),
        ((15, 0, 0, 1, 2), 0x0201_0505),
        ((15, 0, 0, 7, 3), 0),
        ((15, 0, 1, 0, 1), 0x0a20_0023),
        ((15, 15, 4, 0, 0), 0x0800_0000),
        ((15, 14, 0, 0, 0), 62_500_000),
        ((15, 9, 1, 0, 2), 0x0180_0000),
        (SCTLR, 0x00c5_0078),
        ((14, 0, 0, 0, 0), 0x3515_f021),
    ];
    for (at, want) in rows {
        assert_eq!(bench.read(at), Ok(want), "{at:x?}");
    }
    for (level, want) in [(0, 0x701f_e00a), (1, 0x201f_e00a), (2, 0x711f_e07a), (3, 0)] {
        bench.write((15, 0, 2, 0, 0), level).unwrap();
        assert_eq!(bench.read((15, 0, 1, 0, 0)), Ok(want));
    }
}

#[test]
fn what_is_not_there_is_undefined() {
    let mut bench = Bench::new();
    // SCR, NSACR, MVBAR, the Hyp registers, the ten other coprocessors
    for at in [
        (15, 1, 0, 1, 0),
        (15, 1, 0, 1, 2),
        (15, 12, 0, 0, 1),
        (15, 1, 4, 0, 0),
        (13, 0, 0, 0, 0),
    ] {
        assert_eq!(bench.read(at), Err(UNDEFINED), "{at:x?}");
        assert_eq!(bench.write(at, 0), Err(UNDEFINED), "{at:x?}");
    }
    assert_eq!(bench.read64((15, 4, 14)), Err(UNDEFINED));
    // the ATS12NSO operations
    assert_eq!(bench.write((15, 7, 0, 8, 4), 0), Err(UNDEFINED));
    // CDP and LDC to CP15
    for raw in [0xee01_0f00, 0xed90_0f00] {
        assert_eq!(
            write(&mut bench.arm, &mut bench.cpu, &mut bench.engine, raw, 0),
            Err(UNDEFINED)
        );
    }
}

#[test]
fn reading_and_writing_only() {
    let mut bench = Bench::new();
    assert_eq!(bench.write((15, 0, 0, 0, 0), 0), Err(UNDEFINED), "MIDR");
    assert_eq!(bench.write((15, 12, 0, 1, 0), 0), Err(UNDEFINED), "ISR");
    assert_eq!(bench.read((15, 8, 0, 7, 0)), Err(UNDEFINED), "TLBIALL");
    assert_eq!(bench.read((15, 7, 0, 5, 0)), Err(UNDEFINED), "ICIALLU");
    assert_eq!(bench.write64((15, 0, 14), 0), Err(UNDEFINED), "CNTPCT");
}

/// All that User mode can read and write before the kernel opens anything, and with everything open.
#[test]
fn user_rights() {
    let allowed = |bench: &mut Bench, write: bool| {
        let mut names = Vec::new();
        for at in (0..0x8000).map(|i| (14 + (i >> 14), i >> 10 & 15, i >> 7 & 7, i >> 3 & 15, i & 7)) {
            let before = bench.cpu;
            let ok = if write {
                bench.write(at, 0).is_ok()
            } else {
                bench.read(at).is_ok()
            };
            bench.cpu = before;
            if ok {
                names.push(name_of(word(write, at)).unwrap());
            }
        }
        names.join(" ")
    };
    let mut bench = Bench::user();

    let closed = (allowed(&mut bench, false), allowed(&mut bench, true));
    (bench.cpu.cp15.cntkctl, bench.cpu.cp15.pmu.userenr) = (0x303, 1);
    let open = (allowed(&mut bench, false), allowed(&mut bench, true));

    assert_eq!(
        closed.0,
        "DBGDIDR DBGDSCRint DBGDTRint TEECR JIDR DBGDRAR TEEHBR DBGDSAR PMUSERENR TPIDRURW TPIDRURO"
    );
    assert_eq!(closed.1, "DBGDTRint TEEHBR CP15ISB CP15DSB CP15DMB TPIDRURW");
    assert_eq!(
        open.0,
        "DBGDIDR DBGDSCRint DBGDTRint TEECR JIDR DBGDRAR TEEHBR DBGDSAR PMCR PMCNTENSET PMCNTENCLR PMOVSR PMSELR \
         PMCEID0 PMCEID1 PMCCNTR PMXEVTYPER PMXEVCNTR PMUSERENR PMOVSSET TPIDRURW TPIDRURO CNTFRQ CNTP_TVAL CNTP_CTL \
         CNTV_TVAL CNTV_CTL"
    );
    assert_eq!(
        open.1,
        "DBGDTRint TEEHBR CP15ISB CP15DSB CP15DMB PMCR PMCNTENSET PMCNTENCLR PMOVSR PMSWINC PMSELR PMCCNTR PMXEVTYPER \
         PMXEVCNTR PMOVSSET TPIDRURW CNTP_TVAL CNTP_CTL CNTV_TVAL CNTV_CTL"
    );
}

#[test]
fn barriers_need_cp15ben() {
    let mut bench = Bench::new();
    assert_eq!(bench.write((15, 7, 0, 10, 4), 0), Ok(()));
    bench.write(SCTLR, 0).unwrap();
    assert_eq!(bench.write((15, 7, 0, 10, 4), 0), Err(UNDEFINED));
}

#[test]
fn accesses_must_be_aligned_while_the_mmu_is_off() {
    let mut bench = Bench::new();
    let mut aligned = |control| {
        bench.write(SCTLR, control).unwrap();
        bench.cpu.mode & mode::ALIGN != 0
    };

    let seen = [0, sctlr::M, sctlr::M | sctlr::A, sctlr::A].map(&mut aligned);

    assert_eq!(seen, [true, false, true, true]);
}

#[test]
fn control_bits_reach_the_mode_word() {
    let mut bench = Bench::new();

    bench.write(SCTLR, !sctlr::M).unwrap();
    assert_eq!(
        bench.read(SCTLR),
        Ok(0x7258_3c3e | 0x00c5_0058),
        "reserved bits keep their value"
    );
    assert_eq!(bench.cpu.mode & (mode::ALIGN | mode::SWP), mode::ALIGN | mode::SWP);
    assert_eq!(bench.engine.contexts, 1);

    bench.cpu.fpexc = crate::fpstatus::FPEXC_EN;
    for (cpacr, kernel, user) in [
        (0, 0, 0),
        (0x0050_0000, mode::VFP | mode::NEON, 0),
        (0x00f0_0000, mode::VFP | mode::NEON, mode::VFP | mode::NEON),
        (0x80f0_0000, mode::VFP, mode::VFP),
        (0x0030_0000, 0, 0),
    ] {
        bench.write(CPACR, cpacr).unwrap();
        let mut cpu = bench.cpu;
        assert_eq!(cpu.mode & (mode::VFP | mode::NEON), kernel, "CPACR {cpacr:x}");
        cpu.switch_mode(psr::USR);
        assert_eq!(cpu.mode & (mode::VFP | mode::NEON), user, "CPACR {cpacr:x}");
    }
}

#[test]
fn address_space_switches_flush_nothing() {
    let mut bench = Bench::new();
    for (at, value) in [
        ((15, 2, 0, 0, 0), 0x4000_0000),
        ((15, 3, 0, 0, 0), 0x55),
        ((15, 13, 0, 0, 1), 0x101),
    ] {
        let before = bench.engine.contexts;
        bench.write(at, value).unwrap();
        assert_eq!(bench.read(at), Ok(value));
        assert_eq!(bench.engine.contexts, before + 1, "{at:x?}");
    }
    assert!(bench.engine.flushes.is_empty());
}

#[test]
fn tlb_maintenance() {
    let page = |asid| Flush::page(0x1234_5000, asid);
    let rows = [
        ((15, 8, 0, 7, 0), Flush::ALL, false),
        ((15, 8, 0, 3, 0), Flush::ALL, true),
        ((15, 8, 0, 7, 1), page(Some(0x67)), false),
        ((15, 8, 0, 5, 1), page(Some(0x67)), false),
        ((15, 8, 0, 3, 1), page(Some(0x67)), true),
        ((15, 8, 0, 6, 2), Flush::asid(0x67), false),
        ((15, 8, 0, 3, 2), Flush::asid(0x67), true),
        ((15, 8, 0, 7, 3), page(None), false),
        ((15, 8, 0, 3, 3), page(None), true),
    ];
    for (at, what, broadcast) in rows {
        let mut bench = Bench::new();
        bench.write(at, 0x1234_5067).unwrap();
        assert_eq!(bench.engine.flushes, [(what, broadcast)], "{at:x?}");
    }
}

#[test]
fn maintenance_of_other_cpus_is_complete_after_a_barrier() {
    let mut bench = Bench::new();
    bench.write((15, 8, 0, 3, 0), 0).unwrap();
    assert_eq!(bench.engine.completed, 0);

    bench.write((15, 7, 0, 10, 4), 0).unwrap(); // CP15DSB

    assert_eq!(bench.engine.completed, 1);
    bench.write((15, 7, 0, 10, 5), 0).unwrap(); // CP15DMB
    assert_eq!(bench.engine.completed, 1);
    call(&mut bench, calls::COMPLETE, [0; 4]).unwrap();
    assert_eq!(bench.engine.completed, 2);
}

#[test]
fn address_translation_fills_the_par() {
    let mut bench = Bench::new();
    bench
        .engine
        .ram
        .put32(0x4000_0000, 0x8010_0000 | 0b111 << 12 | 0x416 | 1 << 16); // PL1 only, Normal
    bench.cpu.cp15.ttbr0 = 0x4000_0000;
    bench.cpu.cp15.dacr = 1;
    bench.cpu.cp15.sctlr |= sctlr::M;

    bench.write((15, 7, 0, 8, 0), 0x2345).unwrap();
    assert_eq!(
        bench.read(PAR),
        Ok(0x8010_2000 | 1 << 10 | 1 << 7 | 0b101 << 4 | 0b11 << 2)
    );
    bench.write((15, 7, 0, 8, 2), 0x2345).unwrap();
    assert_eq!(bench.read(PAR), Ok(0x0d << 1 | 1), "permission fault");
    bench.write((15, 7, 0, 8, 0), 0x10_0000).unwrap();
    assert_eq!(bench.read(PAR), Ok(0x05 << 1 | 1), "translation fault");

    bench.cpu.cp15.ttbr0 = 0x1000_0000;
    let fault = bench
        .write((15, 7, 0, 8, 0), 0x2345)
        .expect_err("an external abort is taken");
    bench.cpu.raise(fault);
    assert_eq!((bench.cpu.cp15.dfsr, bench.cpu.cp15.dfar), (0x280c, 0x2345));
}

#[test]
fn the_virtual_timer_counts_and_interrupts() {
    let mut bench = Bench::new();
    bench.at(1_000_000);
    assert_eq!(bench.read64((15, 1, 14)), Ok(62_500));

    bench.write(CNTV_TVAL, 100).unwrap();
    assert_eq!(bench.last_timer(), Some((Timer::Virtual, TimerOutput::Low)));
    bench.write(CNTV_CTL, 1).unwrap();
    assert_eq!(
        bench.last_timer(),
        Some((Timer::Virtual, TimerOutput::HighAt(1_001_600)))
    );
    assert_eq!(bench.read(CNTV_CTL), Ok(1));

    bench.at(1_001_600 + 16);
    assert_eq!(bench.read(CNTV_CTL), Ok(5), "the condition is met");
    assert_eq!(bench.read(CNTV_TVAL), Ok(u32::MAX));
    bench.write(CNTV_CTL, 3).unwrap();
    assert_eq!(bench.last_timer(), Some((Timer::Virtual, TimerOutput::Low)), "masked");
    bench.write(CNTV_CTL, 1).unwrap();
    assert_eq!(bench.last_timer(), Some((Timer::Virtual, TimerOutput::High)));
    bench.write64((15, 3, 14), u64::MAX).unwrap();
    assert_eq!(bench.last_timer(), Some((Timer::Virtual, TimerOutput::Low)), "never");
}

#[test]
fn user_mode_needs_cntkctl_for_each_counter() {
    for (bit, counter) in [(1, 0), (2, 1)] {
        let mut bench = Bench::new();
        bench.write(CNTKCTL, bit).unwrap();
        bench.cpu.switch_mode(psr::USR);
        assert!(bench.read64((15, counter, 14)).is_ok());
        assert!(bench.read64((15, counter ^ 1, 14)).is_err());
        assert!(bench.read((15, 14, 0, 0, 0)).is_ok(), "CNTFRQ");
        assert!(bench.read(CNTV_TVAL).is_err());
    }
}

#[test]
fn the_cycle_counter_counts_nanoseconds() {
    let mut bench = Bench::new();
    bench.at(500).write(PMCNTENSET, 1 << 31).unwrap();
    bench.write(PMCR, 1 | 4).unwrap();
    assert_eq!(bench.at(1500).read(PMCCNTR), Ok(1000));

    bench.write(PMCR, 1 | 8).unwrap();
    bench.at(1500 + 63).read(PMCCNTR).unwrap();
    assert_eq!(bench.at(1500 + 64).read(PMCCNTR), Ok(1001), "every 64th");

    bench.write(PMCR, 1).unwrap();
    bench.write(PMCCNTR, u32::MAX).unwrap();
    bench.write((15, 9, 0, 14, 1), 1 << 31).unwrap();
    assert_eq!(bench.last_timer(), Some((Timer::Pmu, TimerOutput::HighAt(1565))));
    assert_eq!(bench.at(1566).read(PMOVSR), Ok(1 << 31));
    bench.write(PMUSERENR, 0).unwrap();
    bench.write(PMOVSR, 1 << 31).unwrap();
    assert_eq!(bench.read(PMOVSR), Ok(0));
}

#[test]
fn event_counters_count_increments() {
    let mut bench = Bench::new();
    bench.write((15, 9, 0, 12, 5), 2).unwrap();
    bench.write((15, 9, 0, 13, 1), 0).unwrap();
    bench.write(PMCNTENSET, 1 << 2).unwrap();
    bench.write(PMCR, 1).unwrap();
    bench.write((15, 9, 0, 12, 4), 0b1111).unwrap();
    assert_eq!(bench.read((15, 9, 0, 13, 2)), Ok(1));
    assert_eq!(bench.read(PMCR), Ok(0x410f_3001));
}

const PMSELR: (u32, u32, u32, u32, u32) = (15, 9, 0, 12, 5);
const PMXEVTYPER: (u32, u32, u32, u32, u32) = (15, 9, 0, 13, 1);
const PMXEVCNTR: (u32, u32, u32, u32, u32) = (15, 9, 0, 13, 2);

#[test]
fn pmceid_tells_the_events_that_a_model_has() {
    let ceid = MODELS.iter().map(|model| {
        let mut bench = Bench::new();
        bench.arm.model = model;
        (bench.read((15, 9, 0, 12, 6)), bench.read((15, 9, 0, 12, 7)))
    });
    let want = [(Ok(0x380b_0f19), Ok(0)), (Ok(0x200b_1f19), Ok(0))];
    assert_eq!(ceid.collect::<Vec<_>>(), want);
}

#[test]
fn an_event_that_is_not_counted_is_told() {
    let mut bench = Bench::new();
    for event in [0x08, 0x14, 0x76, 0x77] {
        bench.write(PMXEVTYPER, event).unwrap();
    }
    assert_eq!(bench.world.lock().unwrap().uncounted, [0x14, 0x77]);
}

/// Where a register is: coprocessor, CRn, opc1, CRm, opc2.
type At = (u32, u32, u32, u32, u32);

/// The counter of an event after some writes: mode, register, value.
fn counter(event: u32, writes: &[(u32, At, u32)]) -> u32 {
    let mut bench = Bench::new();
    bench.write(PMSELR, 3).unwrap();
    bench.write(PMXEVTYPER, event).unwrap();
    bench.write(PMCNTENSET, 1 << 3).unwrap();
    bench.write(PMCR, 1).unwrap();
    bench.cpu.cp15.pmu.userenr = 1;
    for &(mode, at, value) in writes {
        bench.cpu.switch_mode(mode);
        bench.write(at, value).unwrap();
    }
    bench.read(PMXEVCNTR).unwrap()
}

#[test]
fn writes_of_registers_are_events() {
    let (contextidr, ttbr0, ttbr1) = ((15, 13, 0, 0, 1), (15, 2, 0, 0, 0), (15, 2, 0, 0, 1));
    let writes = [
        (psr::SVC, contextidr, 1),
        (psr::SVC, contextidr, 1),
        (psr::SVC, ttbr0, 0x4000),
        (psr::SVC, ttbr0, 0x4000),
        (psr::SVC, ttbr1, 0x8000),
    ];
    assert_eq!([0x0b, 0x1c, 0x14].map(|event| counter(event, &writes)), [2, 3, 0]);
}

#[test]
fn software_increments_are_filtered() {
    const PMSWINC: (u32, u32, u32, u32, u32) = (15, 9, 0, 12, 4);
    let writes = [(psr::SVC, PMSWINC, 8), (psr::USR, PMSWINC, 8), (psr::USR, PMSWINC, 4)];
    let filters = [0, 1 << 31, 1 << 30, 3 << 30];
    assert_eq!(filters.map(|filter| counter(filter, &writes)), [2, 1, 1, 0]);
}

#[test]
fn cycles_are_filtered_and_divided() {
    let mut bench = Bench::new();
    let rows = [
        (0, 1),
        (1 << 31, 1),
        (1 << 30, 1),
        (0, 1 | 1 << 3),
        (1 << 31, 1 | 1 << 3),
    ];
    let counts = rows.map(|(filter, control)| {
        bench.at(0).cpu.switch_mode(psr::SVC);
        bench.write(PMSELR, 31).unwrap();
        bench.write(PMXEVTYPER, filter).unwrap();
        bench.write(PMCNTENSET, 1 << 31).unwrap();
        bench.write(PMCR, control | 1 << 2).unwrap();
        for (now, mode) in [
            (100, psr::USR),
            (163, psr::SVC),
            (170, psr::USR),
            (300, psr::SVC),
            (400, psr::SVC),
        ] {
            let was_user = bench.at(now).cpu.is_user();
            bench.cpu.switch_mode(mode);
            pmu::turned(&mut bench.arm, &mut bench.cpu, was_user);
        }
        bench.read((15, 9, 0, 13, 0)).unwrap()
    });
    assert_eq!(counts, [400, 193, 207, 6, 3]);
}

#[test]
fn the_cycle_counter_interrupts_at_its_privilege() {
    let mut bench = Bench::new();
    bench.write(PMSELR, 31).unwrap();
    bench.write(PMXEVTYPER, 1 << 31).unwrap();
    bench.write((15, 9, 0, 13, 0), u32::MAX).unwrap();
    bench.write((15, 9, 0, 14, 1), 1 << 31).unwrap();
    bench.write(PMCNTENSET, 1 << 31).unwrap();
    bench.write(PMCR, 1).unwrap();
    assert_eq!(bench.last_timer(), Some((Timer::Pmu, TimerOutput::Low)));

    bench.at(50).cpu.switch_mode(psr::USR);
    pmu::turned(&mut bench.arm, &mut bench.cpu, false);

    assert_eq!(bench.last_timer(), Some((Timer::Pmu, TimerOutput::HighAt(51))));
}

#[test]
fn pending_lines_show_in_isr() {
    let mut bench = Bench::new();
    bench.world.lock().unwrap().pending = IRQ;
    assert_eq!(bench.read((15, 12, 0, 1, 0)), Ok(1 << 7));
}

#[test]
fn firmware_calls() {
    let mut bench = Bench::new();
    let HelperFn::State(hvc) = crate::guest::CALLS[calls::HVC as usize].f else {
        panic!()
    };
    bench.cpu.r[..4].copy_from_slice(&[0x8400_0000, 1, 2, 3]);

    assert_eq!(
        hvc(&mut bench.arm, &mut bench.cpu, &mut bench.engine, &[0, 0x104, 0, 0]),
        Err(UNDEFINED)
    );
    bench.world.lock().unwrap().answer = Some(FirmwareResult::Return([0x1_0001, 0, 0, 0]));
    assert_eq!(
        hvc(&mut bench.arm, &mut bench.cpu, &mut bench.engine, &[0, 0x104, 0, 0]),
        Ok(0)
    );
    assert_eq!(bench.cpu.r[0], 0x1_0001);
    bench.world.lock().unwrap().answer = Some(FirmwareResult::Stop(emu_ir::Stop::PowerOff));
    assert_eq!(
        hvc(&mut bench.arm, &mut bench.cpu, &mut bench.engine, &[0, 0x104, 0, 0]),
        Ok(0)
    );
    assert_eq!(
        (bench.engine.stop, bench.cpu.r[15]),
        (Some(emu_ir::Stop::PowerOff), 0x104)
    );
    bench.cpu.switch_mode(psr::USR);
    assert_eq!(
        hvc(&mut bench.arm, &mut bench.cpu, &mut bench.engine, &[0, 0x104, 0, 0]),
        Err(UNDEFINED)
    );
}

fn call(bench: &mut Bench, index: u16, args: [u128; 4]) -> Result<u128, Fault> {
    let HelperFn::State(f) = crate::guest::CALLS[index as usize].f else {
        panic!("{} takes no state", crate::guest::name(index))
    };
    f(&mut bench.arm, &mut bench.cpu, &mut bench.engine, &args)
}

/// MRS (banked) and A32's ERET belong to the Virtualization Extensions, which the models are without.
#[test]
fn banked_moves_and_eret_are_undefined() {
    let mut bench = Bench::new();
    for (index, args) in [
        (calls::BANKED_READ, [0x11, 0, 0, 0]),
        (calls::BANKED_WRITE, [0x11, 5, 0, 0]),
        (calls::ERET, [0x4000, 0, 0, 0]),
    ] {
        assert_eq!(call(&mut bench, index, args), Err(UNDEFINED));
    }
}

#[test]
fn eret_returns_from_an_exception() {
    let virtual_model = Model {
        virtualization: true,
        ..MODELS[0]
    };
    let mut bench = Bench::new();
    bench.arm.model = Box::leak(Box::new(virtual_model));
    let user_thumb = psr::USR | psr::T;
    bench.cpu.write_spsr_by_instr(user_thumb, 0b1111).unwrap();

    let result = call(&mut bench, calls::ERET, [0x4001, 0, 0, 0]);

    assert_eq!(result, Ok(0));
    assert_eq!((bench.cpu.cpsr() & 0xff, bench.cpu.r[15]), (user_thumb, 0x4000));
    assert_eq!(
        call(&mut bench, calls::ERET, [0x4001, 0, 0, 0]),
        Err(UNDEFINED),
        "in User mode"
    );
}

#[test]
fn random_accesses_never_panic_and_leave_a_state_that_can_be() {
    let mut bench = Bench::new();
    let mut random = Random::new(7);
    for _ in 0..300_000 {
        let (raw, value) = (random.next() as u32, random.next());
        // mostly CP14 and CP15
        let raw = if random.next() & 7 != 0 {
            raw & !0xf00 | 0xe00 | raw & 0x100
        } else {
            raw
        };
        let (arm, cpu, engine) = (&mut bench.arm, &mut bench.cpu, &mut bench.engine);
        let mrc = raw & 0x00ff_ffff | 0xee00_0010;
        let mrrc = raw & 0x000f_ffff | 0xec40_0000;
        let result = match random.next() & 3 {
            0 => read(arm, cpu, engine, mrc).map(|_| ()),
            1 => write(arm, cpu, engine, mrc, value as u32),
            2 => read64(arm, cpu, engine, mrrc).map(|_| ()),
            _ => write64(arm, cpu, engine, mrrc, value),
        };
        if let Err(fault) = result {
            cpu.raise(fault);
        }
        if random.next() & 15 == 0 {
            cpu.write_cpsr_by_instr(value as u32, random.next() as u32 & 15, random.next() & 1 != 0);
        }
        bench.world.lock().unwrap().now_ns = random.next() >> (random.next() & 63);
        let mut again = bench.cpu;
        again.update_mode();
        assert_eq!(again.mode, bench.cpu.mode, "the mode word is in step");
        bench.engine.flushes.clear();
        bench.world.lock().unwrap().timers.clear();
    }
}

mod gic {
    use super::*;
    use crate::platform::Icc;

    const IAR1: (u32, u32, u32, u32, u32) = (15, 12, 0, 12, 0);
    const PMR: (u32, u32, u32, u32, u32) = (15, 4, 0, 6, 0);
    const ID_PFR1: (u32, u32, u32, u32, u32) = (15, 0, 0, 1, 1);

    fn bench() -> Bench {
        let bench = Bench::new();
        bench.world.lock().unwrap().gic = Some(Vec::new());
        bench
    }

    fn send(bench: &mut Bench, opc1: u32, value: u64) -> Result<(), Fault> {
        write64(
            &mut bench.arm,
            &mut bench.cpu,
            &mut bench.engine,
            word64(true, (15, opc1, 12)),
            value,
        )
    }

    #[test]
    fn the_cpu_interface_is_the_boards() {
        let mut bench = bench();

        assert_eq!(bench.read(IAR1), Ok(Icc::Iar1 as u32));
        bench.write(PMR, 0xf0).unwrap();
        for opc1 in 0..3 {
            send(&mut bench, opc1, 1 << 40).unwrap();
        }

        let sent = [Icc::Sgi1r, Icc::Asgi1r, Icc::Sgi0r].map(|reg| (reg, 1 << 40));
        let written = bench.world.lock().unwrap().gic.clone().unwrap();
        assert_eq!((written[0], &written[1..]), ((Icc::Pmr, 0xf0), &sent[..]));
        assert_eq!(bench.read(ID_PFR1).unwrap() >> 28, 1);
        let received = read64(
            &mut bench.arm,
            &mut bench.cpu,
            &mut bench.engine,
            word64(false, (15, 0, 12)),
        );
        assert_eq!(received, Err(UNDEFINED));
        bench.cpu.switch_mode(psr::USR);
        assert_eq!(bench.read(IAR1), Err(UNDEFINED));
    }

    #[test]
    fn without_a_gicv3_they_are_undefined() {
        let mut bench = Bench::new();

        assert_eq!(
            (bench.read(IAR1), bench.write(PMR, 0)),
            (Err(UNDEFINED), Err(UNDEFINED))
        );
        assert_eq!(send(&mut bench, 0, 0), Err(UNDEFINED));
        assert_eq!(bench.read(ID_PFR1).unwrap() >> 28, 0);
    }

    #[test]
    fn a_debugger_acknowledges_nothing() {
        assert!(shown().any(|row| row.name == "ICC_PMR"));
        assert!(!shown().any(|row| row.name.starts_with("ICC_IAR")));
    }
}
