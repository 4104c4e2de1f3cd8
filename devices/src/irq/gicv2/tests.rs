use super::*;
use crate::bus::{Access, Device, fuzz};
use emu_ir::testing::until;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

const TIMER: usize = 27;
/// INTID of the SPI most tests use.
const ID: u32 = 42;

/// Levels of the CPUs' inputs.
#[derive(Default)]
struct Inputs(Mutex<[(bool, bool); MAX_CPUS]>);

impl CpuInputs for Inputs {
    fn set(&self, cpu: usize, line: CpuLine, level: bool) {
        let mut inputs = self.0.lock().unwrap();
        let input = match line {
            CpuLine::Irq => &mut inputs[cpu].0,
            CpuLine::Fiq => &mut inputs[cpu].1,
            other => panic!("a GIC has no {other:?}"),
        };
        assert_ne!(*input, level, "outputs change or stay silent");
        *input = level;
    }
}

struct Bench {
    gic: Shared<GicV2>,
    inputs: Arc<Inputs>,
}

impl Bench {
    fn new(cpus: usize) -> Bench {
        let (wiring, inputs) = (Wiring::new(), Arc::new(Inputs::default()));
        let gic = GicV2::new(&wiring, cpus, inputs.clone());
        wiring.connect(vec![gic.controller()]);
        Bench { gic, inputs }
    }

    /// Everything forwarded, no priority masked, `ID` enabled at priority 0x80 for CPU 0.
    fn ready(cpus: usize) -> Bench {
        let b = Bench::new(cpus);
        b.set(0, Reg::GICD_CTLR, 0, 1);
        for cpu in 0..cpus {
            b.set(cpu, Reg::GICC_PMR, 0, 0xff);
            b.set(cpu, Reg::GICC_CTLR, 0, 1);
        }
        b.enable(ID, 0x80, 1);
        b
    }

    fn enable(&self, id: u32, priority: u8, targets: u8) {
        self.gic.write(Access::new(0x400 + u64::from(id), 1), priority.into());
        self.gic.write(Access::new(0x800 + u64::from(id), 1), targets.into());
        self.set(0, Reg::GICD_ISENABLER, id as usize / 32, 1 << (id % 32));
    }

    fn address(reg: Reg, n: usize) -> u64 {
        let row = <Reg as crate::bus::RegMap>::TABLE
            .iter()
            .find(|row| row.reg == reg)
            .unwrap();
        row.offset + 4 * n as u64
    }

    fn get(&self, cpu: usize, reg: Reg, n: usize) -> u32 {
        self.gic.read(Access::new(Self::address(reg, n), 4).by(cpu)) as u32
    }

    fn set(&self, cpu: usize, reg: Reg, n: usize, value: u32) {
        self.gic
            .write(Access::new(Self::address(reg, n), 4).by(cpu), value.into());
    }

    fn line(&self, id: u32) -> Irq {
        self.gic.with(|gic| gic.spi(id as usize - 32))
    }

    fn irq(&self, cpu: usize) -> bool {
        self.inputs.0.lock().unwrap()[cpu].0
    }

    fn fiq(&self, cpu: usize) -> bool {
        self.inputs.0.lock().unwrap()[cpu].1
    }

    fn ack(&self, cpu: usize) -> u32 {
        self.get(cpu, Reg::GICC_IAR, 0)
    }

    fn eoi(&self, cpu: usize, id: u32) {
        self.set(cpu, Reg::GICC_EOIR, 0, id);
    }
}

#[test]
fn identification() {
    let b = Bench::new(4);

    assert_eq!(b.get(0, Reg::GICD_TYPER, 0), 8 | 3 << 5);
    assert_eq!(
        (b.get(0, Reg::GICD_IIDR, 0), b.get(0, Reg::GICC_IIDR, 0)),
        (0x43b, 0x0002_043b)
    );
    assert_eq!(b.get(0, Reg::GICD_ID, 6), 0x2b);
    assert_eq!(b.get(0, Reg::GICD_ICFGR, 0), 0xaaaa_aaaa);
    assert_eq!(b.get(0, Reg::GICD_ISENABLER, 0), 0xffff);
}

#[test]
fn registers_keep_their_bits() {
    let b = Bench::new(2);
    for (reg, n, written, kept) in [
        (Reg::GICD_CTLR, 0, !0, 3),
        (Reg::GICD_IGROUPR, 0, 0x1234_5678, 0x1234_5678),
        (Reg::GICD_IGROUPR, 8, 0x8765_4321, 0x8765_4321),
        (Reg::GICD_IGROUPR, 9, !0, 0),
        (Reg::GICD_ICFGR, 0, 0, 0xaaaa_aaaa),
        (Reg::GICD_ICFGR, 1, 0x5599_9999, 0x0088_8888),
        (Reg::GICD_ICFGR, 2, 0x8080_0a0b, 0x8080_0a0a),
        (Reg::GICD_ICFGR, 3, 0xa0a2_0800, 0xa0a2_0800),
        (Reg::GICD_ICFGR, 17, 0x0200_0008, 0x0200_0008),
        (Reg::GICC_CTLR, 0, !0, 0x3ff),
        (Reg::GICC_PMR, 0, 0x5a5, 0xa5),
        (Reg::GICC_BPR, 0, !0, 7),
        (Reg::GICC_ABPR, 0, 0x1d, 5),
        (Reg::GICC_APR, 2, 0x1234_5678, 0x1234_5678),
        (Reg::GICC_NSAPR, 3, 0x8765_4321, 0x8765_4321),
    ] {
        b.set(0, reg, n, written);
        assert_eq!(b.get(0, reg, n), kept, "{reg:?}{n}");
    }
    assert_eq!(
        b.get(0, Reg::GICD_ICFGR, 2),
        0x8080_0a0a,
        "its row's other half is not its own"
    );
    b.gic.write(Access::new(0xc00 + 4 * 3, 2), 0x8000);
    assert_eq!(b.get(0, Reg::GICD_ICFGR, 3), 0xa0a2_8000, "half of it");
    b.set(0, Reg::GICD_ICFGR, 3, 0);
    assert_eq!(b.get(0, Reg::GICD_ICFGR, 3), 0);
    b.set(0, Reg::GICC_ABPR, 0, 0);
    assert_eq!(b.get(0, Reg::GICC_ABPR, 0), 1, "the lowest there is");
    assert_eq!(b.get(1, Reg::GICC_PMR, 0), 0, "each CPU's own");
}

#[test]
fn what_one_register_sets_another_clears_bit_by_bit() {
    let b = Bench::new(1);
    for (set, clear) in [
        (Reg::GICD_ISENABLER, Reg::GICD_ICENABLER),
        (Reg::GICD_ISPENDR, Reg::GICD_ICPENDR),
        (Reg::GICD_ISACTIVER, Reg::GICD_ICACTIVER),
    ] {
        for n in 1..=SPI_ROWS {
            b.set(0, set, n, 0xf000 << n);
            b.set(0, set, n, 0x1f00 << n);
            b.set(0, clear, n, 0x0300 << n);
        }
        for (n, reg) in (1..=SPI_ROWS).flat_map(|n| [(n, set), (n, clear)]) {
            assert_eq!(b.get(0, reg, n), 0xfc00 << n, "{reg:?}{n}");
        }
    }
    b.line(32 + 18).drive(true);
    assert_eq!(b.get(0, Reg::GICD_ISPENDR, 1), 0x5f800, "latched, high, or both");
    b.line(32 + 11).drive(true);
    assert_eq!(b.get(0, Reg::GICD_ISPENDR, 1), 0x5f800, "latched, high, or both");
}

#[test]
fn a_cpu_that_is_not_there_accesses_as_the_first() {
    let b = Bench::new(2);

    b.set(2, Reg::GICC_PMR, 0, 0x55);

    assert_eq!(b.get(0, Reg::GICC_PMR, 0), 0x55);
    assert_eq!(b.get(2, Reg::GICC_PMR, 0), 0x55);
}

#[test]
fn it_says_to_whom_interrupts_may_come() {
    let b = Bench::new(2);
    let may = || [0, 1, 2].map(|cpu| b.gic.with(|gic| gic.may_interrupt(cpu)));
    b.set(0, Reg::GICD_CTLR, 0, 2);
    b.set(0, Reg::GICC_CTLR, 0, 2);
    b.set(0, Reg::GICC_PMR, 0, 0xff);
    b.set(0, Reg::GICD_ICENABLER, 0, !0);
    assert_eq!(may(), [false; 3], "none is enabled");

    b.set(0, Reg::GICD_ISENABLER, 0, 1 << 27);
    b.set(1, Reg::GICD_ISENABLER, 0, 1 << 27);
    assert_eq!(may(), [false; 3], "of group 0");
    b.set(0, Reg::GICD_IGROUPR, 0, 1 << 27);
    assert_eq!(may(), [true, false, false]);
    b.set(0, Reg::GICC_PMR, 0, 0);
    assert_eq!(may(), [false; 3]);
    b.set(0, Reg::GICD_IGROUPR, 1, 1);
    b.set(0, Reg::GICD_ISENABLER, 1, 1);
    b.set(1, Reg::GICC_CTLR, 0, 2);
    b.set(1, Reg::GICC_PMR, 0, 0xff);
    assert_eq!(may(), [false, true, false]);
}

#[test]
fn inputs_are_those_that_there_are() {
    let b = Bench::new(8);
    for id in [32, 287] {
        b.line(id).drive(true);
    }
    for (cpu, id) in [(0, 16), (5, 31), (0, 15), (0, 32), (8, 27)] {
        b.gic.with(|gic| gic.ppi(cpu, id)).drive(true);
    }
    b.gic.with(|gic| gic.spi(256)).drive(true);

    let pending = |cpu| [0, 1, 8].map(|n| b.get(cpu, Reg::GICD_ISPENDR, n));
    assert_eq!(pending(0), [1 << 16, 1, 1 << 31]);
    assert_eq!(pending(5), [1 << 31, 1, 1 << 31]);
    assert_eq!(pending(1), [0, 1, 1 << 31]);
}

#[test]
fn a_level_interrupt_lives_from_line_to_end() {
    let b = Bench::ready(1);
    let line = b.line(ID);
    assert_eq!(b.ack(0), SPURIOUS);

    line.drive(true);
    assert!(b.irq(0));
    assert_eq!(b.get(0, Reg::GICD_ISPENDR, 1), 1 << 10);
    assert_eq!(b.ack(0), ID);
    assert!(!b.irq(0));
    assert_eq!(b.get(0, Reg::GICD_ISACTIVER, 1), 1 << 10);
    assert_eq!(b.get(0, Reg::GICC_RPR, 0), 0x80);

    let state = [Reg::GICD_ISACTIVER, Reg::GICD_ISPENDR].map(|reg| b.get(0, reg, 1));
    assert_eq!(state, [1 << 10; 2], "active and pending");
    b.eoi(0, ID);
    assert!(b.irq(0), "the line is still high");
    line.drive(false);
    assert!(!b.irq(0));
    assert_eq!((b.get(0, Reg::GICC_RPR, 0), b.ack(0)), (0xff, SPURIOUS));
    assert_eq!(b.get(0, Reg::GICD_ISPENDR, 1), 0, "nothing sticks");
}

#[test]
fn what_software_made_pending_outlives_the_line_and_is_taken_once() {
    let b = Bench::ready(1);
    let line = b.line(ID);
    line.drive(true);
    b.set(0, Reg::GICD_ISPENDR, 1, 1 << 10);
    line.drive(false);

    assert!(b.irq(0));
    assert_eq!(b.ack(0), ID);
    b.eoi(0, ID);
    assert!(!b.irq(0));
}

#[test]
fn what_is_pending_waits_for_whatever_lets_it_through() {
    let b = Bench::ready(2);
    b.set(0, Reg::GICD_ICFGR, 2, 2 << (2 * (ID - 32)));
    let bit = 1 << (ID % 32);
    b.set(0, Reg::GICD_ICENABLER, 1, bit);
    b.line(ID).drive(true);
    b.line(ID).drive(false);
    assert_eq!((b.get(0, Reg::GICD_ISPENDR, 1), b.irq(0)), (bit, false));

    b.set(0, Reg::GICD_ISENABLER, 1, bit);
    assert!(b.irq(0));
    let byte = |b: &Bench, at: u64, value: u64| b.gic.write(Access::new(at + u64::from(ID), 1), value);
    /// What stops it and what lets it go on, for what of the state.
    type Gate<'a> = (&'a str, &'a dyn Fn(&Bench), &'a dyn Fn(&Bench));
    let gates: [Gate<'_>; 7] = [
        ("mask", &|b| b.set(0, Reg::GICC_PMR, 0, 0x80), &|b| {
            b.set(0, Reg::GICC_PMR, 0, 0x88)
        }),
        ("interface", &|b| b.set(0, Reg::GICC_CTLR, 0, 0), &|b| {
            b.set(0, Reg::GICC_CTLR, 0, 1)
        }),
        ("distributor", &|b| b.set(0, Reg::GICD_CTLR, 0, 0), &|b| {
            b.set(0, Reg::GICD_CTLR, 0, 1)
        }),
        ("group", &|b| b.set(0, Reg::GICD_IGROUPR, 1, bit), &|b| {
            b.set(0, Reg::GICD_IGROUPR, 1, 0)
        }),
        ("target", &|b| byte(b, 0x800, 2), &|b| byte(b, 0x800, 1)),
        ("priority", &|b| byte(b, 0x400, 0xff), &|b| byte(b, 0x400, 0x80)),
        ("active", &|b| b.set(0, Reg::GICD_ISACTIVER, 1, bit), &|b| {
            b.set(0, Reg::GICD_ICACTIVER, 1, bit)
        }),
    ];
    for (what, stop, go) in gates {
        stop(&b);
        assert!(!b.irq(0), "{what} does not stop it");
        go(&b);
        assert!(b.irq(0), "{what} does not let it go on");
    }
    assert_eq!(b.ack(0), ID);
}

#[test]
fn an_edge_is_latched_and_taken_once() {
    let b = Bench::ready(1);
    b.set(0, Reg::GICD_ICFGR, 2, 2 << (2 * (ID - 32)));
    let line = b.line(ID);

    line.drive(true);
    line.drive(false);
    assert!(b.irq(0));
    assert_eq!(b.ack(0), ID);
    line.drive(true);
    b.eoi(0, ID);

    assert_eq!(b.ack(0), ID, "an edge while active is not lost");
    b.eoi(0, ID);
    assert!(!b.irq(0), "a high line is no edge");
}

#[test]
fn software_makes_and_unmakes_pending() {
    let b = Bench::ready(1);

    b.set(0, Reg::GICD_ISPENDR, 1, 1 << 10);
    assert!(b.irq(0));
    b.set(0, Reg::GICD_ICPENDR, 1, 1 << 10);
    assert!(!b.irq(0));
    b.set(0, Reg::GICD_ISPENDR, 1, 1 << 10);
    assert_eq!(b.ack(0), ID);
    b.eoi(0, ID);
    assert!(!b.irq(0));

    b.line(ID).drive(true);
    b.set(0, Reg::GICD_ICPENDR, 1, 1 << 10);
    assert!(b.irq(0), "a high level stays pending");
    b.set(0, Reg::GICD_ISPENDR, 1, 1 << 10);
    assert!(b.irq(0), "pending twice over is pending");
}

#[test]
fn only_a_higher_group_priority_preempts() {
    let b = Bench::ready(1);
    b.set(0, Reg::GICC_BPR, 0, 3);
    b.enable(50, 0x7f, 1);
    b.enable(51, 0x80 - 0x11, 1);
    b.enable(52, 0x10, 1);
    b.set(0, Reg::GICD_IPRIORITYR, ID as usize / 4, 0x0078_0000);
    b.line(ID).drive(true);
    assert_eq!(b.ack(0), ID);
    assert_eq!(b.get(0, Reg::GICC_RPR, 0), 0x70);

    b.line(50).drive(true);
    assert!(!b.irq(0), "same group priority");
    b.line(51).drive(true);
    assert!(b.irq(0));
    b.line(52).drive(true);
    assert_eq!(b.ack(0), 52, "the highest first");
    assert_eq!(b.get(0, Reg::GICC_APR, 0), 1 << 8);
    assert_eq!(b.get(0, Reg::GICC_APR, 1), 1 << (0x70 / 2 - 32));
    b.line(52).drive(false);
    b.eoi(0, 52);
    assert_eq!(b.ack(0), 51);
}

#[test]
fn the_present_binary_point_decides_on_preemption() {
    let b = Bench::ready(1);
    b.enable(50, 0x7f, 1);
    b.line(ID).drive(true);
    b.ack(0);
    b.line(50).drive(true);
    assert!(b.irq(0));

    b.set(0, Reg::GICC_BPR, 0, 7);
    assert!(!b.irq(0), "one group of all priorities");
    b.set(0, Reg::GICC_BPR, 0, 6);
    assert!(b.irq(0));
}

#[test]
fn the_last_interrupt_is_signalled_to_its_target_alone() {
    let b = Bench::ready(2);
    b.enable(287, 0x80, 1);

    b.line(287).drive(true);

    assert_eq!([0, 1].map(|cpu| b.irq(cpu)), [true, false]);
    assert_eq!(b.ack(0), 287);
}

#[test]
fn other_interrupts_leave_sgis_of_like_numbers_alone() {
    let b = Bench::ready(1);
    b.set(0, Reg::GICD_ISENABLER, 0, 1 << TIMER);
    b.gic.write(Access::new(0x400 + 11, 1), 0xa0);
    b.enable(43, 0x80, 1);
    b.set(0, Reg::GICD_SGIR, 0, 1 << 16 | 11);
    let lines = [b.gic.with(|gic| gic.ppi(0, TIMER)), b.line(43)];

    for (line, id) in lines.iter().zip([TIMER as u32, 43]) {
        line.drive(true);
        assert_eq!(b.ack(0), id);
        line.drive(false);
        b.eoi(0, id);
        assert_eq!(b.get(0, Reg::GICD_SPENDSGIR, 2), 1 << 24);
    }
    assert_eq!(b.ack(0), 11);
}

#[test]
fn equal_priorities_go_by_id() {
    let b = Bench::ready(1);
    b.enable(40, 0x80, 1);

    b.line(ID).drive(true);
    b.line(40).drive(true);

    assert_eq!(b.get(0, Reg::GICC_HPPIR, 0), 40);
    assert_eq!(b.ack(0), 40);
}

#[test]
fn the_priority_mask_masks() {
    let b = Bench::ready(1);
    b.line(ID).drive(true);

    b.set(0, Reg::GICC_PMR, 0, 0x80);
    assert!(!b.irq(0));
    assert_eq!(b.ack(0), SPURIOUS);
    assert_eq!(b.get(0, Reg::GICC_HPPIR, 0), ID);
    b.set(0, Reg::GICC_PMR, 0, 0x81);
    assert!(b.irq(0));
}

#[test]
fn an_sgi_says_who_sent_it() {
    let b = Bench::ready(3);

    b.set(2, Reg::GICD_SGIR, 0, 2 << 16 | 5);
    b.set(0, Reg::GICD_SGIR, 0, 1 << 24 | 5);
    assert_eq!([0, 1, 2].map(|cpu| b.irq(cpu)), [false, true, true]);
    assert_eq!(b.get(1, Reg::GICD_SPENDSGIR, 1), 0x0500);

    assert_eq!(b.ack(1), 5);
    assert!(!b.irq(1), "active: the second waits");
    b.eoi(1, 5);
    assert_eq!(b.ack(1), 5 | 2 << 10);
    b.eoi(1, 5 | 2 << 10);
    assert!(!b.irq(1));
    assert_eq!(b.ack(2), 5);
}

#[test]
fn an_sgi_goes_to_a_list_all_others_or_oneself() {
    for (sender, to, receivers) in [
        (1, 0b101 << 16, [true, false, true]),
        (1, 1 << 24, [true, false, true]),
        (1, 2 << 24, [false, true, false]),
        (2, 2 << 24 | 0xff << 16, [false, false, true]),
        (1, 3 << 24 | 0xff << 16, [false; 3]),
    ] {
        let b = Bench::ready(3);
        b.set(sender, Reg::GICD_SGIR, 0, to | 15);

        assert_eq!([0, 1, 2].map(|cpu| b.irq(cpu)), receivers, "{to:#x}");
        for cpu in (0..3).filter(|&cpu| receivers[cpu]) {
            assert_eq!(b.ack(cpu), 15 | (sender as u32) << 10);
        }
    }
}

#[test]
fn sgis_are_set_and_cleared_byte_by_byte() {
    let b = Bench::ready(2);

    b.gic.write(Access::new(0xf20 + 9, 1), 0xff);
    assert_eq!(b.get(0, Reg::GICD_CPENDSGIR, 2), 0x0300);
    assert_eq!(b.get(0, Reg::GICD_ISPENDR, 0), 1 << 9);
    b.gic.write(Access::new(0xf10 + 9, 1), 1);
    b.gic.write(Access::new(0xf20 + 9, 1), 2);
    assert_eq!(b.ack(0), 9 | 1 << 10, "pending once, however often it is set");
    b.set(0, Reg::GICD_SPENDSGIR, 2, 0x0300);
    b.set(0, Reg::GICD_CPENDSGIR, 2, 0x0300);
    assert_eq!(b.get(0, Reg::GICD_ISPENDR, 0), 0);
    b.set(0, Reg::GICD_ISPENDR, 0, 0xffff);
    b.set(0, Reg::GICD_ICENABLER, 0, 0xffff);
    assert_eq!(b.get(0, Reg::GICD_ISPENDR, 0), 0);
    assert_eq!(b.get(0, Reg::GICD_ISENABLER, 0), 0xffff);
    b.set(0, Reg::GICD_SGIR, 0, 3 << 24);
    assert_eq!(b.get(0, Reg::GICD_ISPENDR, 0), 0);
}

#[test]
fn private_interrupts_are_banked() {
    let b = Bench::ready(2);
    b.set(1, Reg::GICD_ISENABLER, 0, 1 << TIMER);
    b.gic.write(Access::new(0x400 + TIMER as u64, 1).by(1), 0x40);

    b.gic.with(|gic| gic.ppi(0, TIMER)).drive(true);
    b.gic.with(|gic| gic.ppi(1, TIMER)).drive(true);

    assert_eq!((b.irq(0), b.irq(1)), (false, true));
    assert_eq!(b.get(0, Reg::GICD_IPRIORITYR, TIMER / 4), 0);
    assert_eq!(b.get(1, Reg::GICD_IPRIORITYR, TIMER / 4), 0x4000_0000);
    assert_eq!(b.ack(1), TIMER as u32);
    assert_eq!(b.get(0, Reg::GICD_ISACTIVER, 0), 0);
}

#[test]
fn a_shared_interrupt_goes_to_its_targets_and_is_taken_by_one() {
    let b = Bench::ready(3);
    b.enable(ID, 0x80, 0b110);

    b.line(ID).drive(true);

    assert_eq!([0, 1, 2].map(|cpu| b.irq(cpu)), [false, true, true]);
    assert_eq!(b.ack(2), ID);
    assert_eq!(b.ack(1), SPURIOUS);
    assert!(!b.irq(1));
}

#[test]
fn targets_are_bytes_and_fixed_for_private_ones() {
    let b = Bench::new(2);

    b.gic.write(Access::new(0x800 + 33, 1), 0xff);
    b.gic.write(Access::new(0x800 + 34, 2), 0x0102);
    b.set(0, Reg::GICD_ITARGETSR, 0, !0);

    assert_eq!(b.get(0, Reg::GICD_ITARGETSR, 8), 0x0102_0300);
    assert_eq!(b.get(1, Reg::GICD_ITARGETSR, 0), 0x0202_0202);
    assert_eq!(b.gic.read(Access::new(0x800 + 34, 1)), 2);
    let alone = Bench::new(1);
    alone.set(0, Reg::GICD_ITARGETSR, 8, !0);
    assert_eq!(
        alone.get(0, Reg::GICD_ITARGETSR, 8) | alone.get(0, Reg::GICD_ITARGETSR, 0),
        0
    );
}

#[test]
fn groups_choose_the_cpu_input_and_the_register() {
    let b = Bench::ready(1);
    b.set(0, Reg::GICD_CTLR, 0, 3);
    b.set(0, Reg::GICC_CTLR, 0, 3 | interface::ctlr::FIQ_EN);
    b.enable(43, 0x90, 1);
    b.set(0, Reg::GICD_IGROUPR, 1, 1 << 11);

    b.line(43).drive(true);
    assert_eq!((b.irq(0), b.fiq(0)), (true, false));
    assert_eq!((b.ack(0), b.get(0, Reg::GICC_HPPIR, 0)), (OTHER_GROUP, OTHER_GROUP));
    assert_eq!(b.get(0, Reg::GICC_AHPPIR, 0), 43);
    b.line(ID).drive(true);
    assert_eq!((b.irq(0), b.fiq(0)), (false, true));
    assert_eq!(b.get(0, Reg::GICC_AIAR, 0), SPURIOUS);
    assert_eq!(b.get(0, Reg::GICC_AHPPIR, 0), SPURIOUS);
    assert_eq!(b.ack(0), ID);
    b.line(ID).drive(false);
    b.eoi(0, ID);
    assert_eq!(b.get(0, Reg::GICC_AIAR, 0), 43);
    assert_eq!(b.get(0, Reg::GICC_NSAPR, 2), 1 << 8);
    b.set(0, Reg::GICC_AEOIR, 0, 43);
    assert_eq!(b.get(0, Reg::GICC_RPR, 0), 0xff);

    b.set(0, Reg::GICC_CTLR, 0, 3 | interface::ctlr::ACK_CTL);
    assert_eq!(b.ack(0), 43);
}

#[test]
fn the_binary_point_is_the_groups_or_common() {
    use interface::ctlr::{ACK_CTL, CBPR};
    // Group 0 splits below bit BPR, group 1 one bit lower, or with CBPR where group 0 does (3.3.3).
    for (group1, ctlr, running) in [
        (false, 0, 0x70),
        (false, CBPR, 0x70),
        (true, 0, 0x60),
        (true, CBPR, 0x70),
    ] {
        let b = Bench::ready(1);
        b.set(0, Reg::GICD_CTLR, 0, 3);
        b.set(0, Reg::GICC_CTLR, 0, 3 | ACK_CTL | ctlr);
        b.set(0, Reg::GICC_BPR, 0, 3);
        b.set(0, Reg::GICC_ABPR, 0, 5);
        b.enable(ID, 0x7f, 1);
        b.set(0, Reg::GICD_IGROUPR, 1, u32::from(group1) << (ID - 32));
        b.line(ID).drive(true);

        assert_eq!(b.ack(0), ID);
        assert_eq!(b.get(0, Reg::GICC_RPR, 0), running, "{group1} {ctlr:#x}");
    }
}

#[test]
fn the_running_priority_is_the_highest_of_both_groups() {
    let b = Bench::new(1);
    for (apr, nsapr, running) in [(1 << 8, 1 << 8, 0x50), (1 << 9, 1 << 8, 0x50), (1 << 8, 1 << 9, 0x50)] {
        b.set(0, Reg::GICC_APR, 1, apr);
        b.set(0, Reg::GICC_NSAPR, 1, nsapr);
        assert_eq!(b.get(0, Reg::GICC_RPR, 0), running);
    }
}

#[test]
fn a_group_that_is_off_is_not_signalled() {
    let b = Bench::ready(1);
    b.line(ID).drive(true);

    b.set(0, Reg::GICC_CTLR, 0, 2);
    assert!(!b.irq(0));
    b.set(0, Reg::GICC_CTLR, 0, 1);
    assert!(b.irq(0));
    b.set(0, Reg::GICD_CTLR, 0, 3);
    b.set(0, Reg::GICD_IGROUPR, 1, 1 << (ID - 32));
    assert!(!b.irq(0), "of the other group");
    b.set(0, Reg::GICD_IGROUPR, 1, 0);
    b.set(0, Reg::GICD_CTLR, 0, 2);
    assert!(!b.irq(0));
    assert_eq!(b.get(0, Reg::GICC_HPPIR, 0), SPURIOUS);
}

#[test]
fn split_end_of_interrupt_deactivates_later() {
    let b = Bench::ready(1);
    b.set(0, Reg::GICC_CTLR, 0, 1 | interface::ctlr::EOI_MODE);
    b.line(ID).drive(true);

    assert_eq!(b.ack(0), ID);
    b.eoi(0, ID);
    assert_eq!(b.get(0, Reg::GICC_RPR, 0), 0xff);
    assert!(!b.irq(0), "still active");
    b.set(0, Reg::GICC_DIR, 0, ID);
    assert!(b.irq(0));
}

#[test]
fn any_cpu_deactivates_a_shared_interrupt() {
    let b = Bench::ready(2);
    for cpu in 0..2 {
        b.set(cpu, Reg::GICC_CTLR, 0, 1 | interface::ctlr::EOI_MODE);
    }
    b.line(ID).drive(true);
    assert_eq!(b.ack(0), ID);
    b.eoi(0, ID);

    b.set(1, Reg::GICC_DIR, 0, ID);

    assert!(b.irq(0));
}

#[test]
fn firmware_may_end_all_there_are_when_none_is_active() {
    let b = Bench::ready(1);

    for id in 0..1024 {
        b.eoi(0, id);
    }

    assert_eq!(b.get(0, Reg::GICC_RPR, 0), 0xff);
    b.line(ID).drive(true);
    assert_eq!(b.ack(0), ID);
    assert_eq!(b.get(0, Reg::GICC_RPR, 0), 0x80);
}

#[test]
fn priorities_have_as_many_bits_in_the_mask_as_in_the_distributor() {
    let b = Bench::new(1);

    b.set(0, Reg::GICC_PMR, 0, 0xff);
    b.gic.write(Access::new(0x400 + u64::from(ID), 1), 0xff);

    let of_interrupt = b.gic.read(Access::new(0x400 + u64::from(ID), 1));
    assert_eq!(u64::from(b.get(0, Reg::GICC_PMR, 0)), of_interrupt);
}

#[test]
fn ends_of_nothing_are_ignored() {
    let b = Bench::ready(1);
    b.line(ID).drive(true);
    b.ack(0);

    for id in [SPURIOUS, OTHER_GROUP, 1020, 288] {
        b.eoi(0, id);
    }
    b.set(0, Reg::GICC_DIR, 0, ID);
    assert_eq!(b.get(0, Reg::GICD_ISACTIVER, 1), 1 << (ID - 32), "EOImode is 0");

    assert_eq!(b.get(0, Reg::GICC_RPR, 0), 0x80);
}

#[test]
fn interrupts_survive_save_reset_load() {
    let b = Bench::ready(1);
    b.enable(50, 0x20, 1);
    b.line(ID).drive(true);
    b.ack(0);
    b.line(50).drive(true);
    let saved = b.gic.save();

    b.gic.reset();
    assert!(!b.irq(0));
    b.gic.load(&saved).unwrap();

    assert!(b.irq(0));
    assert_eq!(b.ack(0), 50);
    b.eoi(0, 50);
    assert_eq!(b.get(0, Reg::GICC_RPR, 0), 0x80);
}

#[test]
fn edges_from_many_threads_all_arrive() {
    const EDGES: u32 = if cfg!(miri) { 20 } else { 2_000 };
    let b = Bench::ready(1);
    b.set(0, Reg::GICD_ICFGR, 2, !0);
    let ids = [33, 34, 35, 36];
    ids.iter().for_each(|&id| b.enable(id, 0x80, 1));
    let taken: [AtomicU32; 4] = Default::default();

    std::thread::scope(|scope| {
        for (&id, taken) in ids.iter().zip(&taken) {
            let line = b.line(id);
            // A device: the next edge comes when the last one has been served.
            scope.spawn(move || {
                for edge in 0..EDGES {
                    line.drive(true);
                    line.drive(false);
                    until("it is served", || taken.load(Ordering::Acquire) != edge);
                }
            });
        }
        for _ in 0..EDGES * ids.len() as u32 {
            until("an edge arrives", || b.irq(0));
            let id = b.ack(0);
            b.eoi(0, id);
            taken[id as usize - 33].fetch_add(1, Ordering::Release);
        }
    });

    assert!(!b.irq(0));
    assert_eq!(b.ack(0), SPURIOUS);
}

#[test]
fn a_state_that_cannot_be_is_refused() {
    type Change = fn(&mut State);
    let cases: [(bool, Change); 11] = [
        (true, |s| s.interface[7].bpr = 7),
        (false, |s| s.interface[7].bpr = 8),
        (true, |s| s.interface[0].abpr = 7),
        (false, |s| s.interface[0].abpr = 0),
        (false, |s| s.interface[0].abpr = 8),
        (true, |s| s.interface[0].pmr = 0xff),
        (false, |s| s.interface[0].pmr = 0x100),
        (false, |s| s.private[0].latched = 1),
        (false, |s| s.sgi[0][3] = 1),
        (false, |s| (s.private[0].latched, s.sgi[0][3]) = (1 << 4, 1)),
        (true, |s| {
            (s.private[0].latched, s.sgi[0][3], s.sgi[0][14]) = (1 << 20 | 1 << 14 | 1 << 3, 1, 6)
        }),
    ];
    for (n, (can_be, change)) in cases.into_iter().enumerate() {
        let mut state = State::default();
        change(&mut state);
        let saved = crate::bus::Saved::new(&crate::bus::Format::first("gicv2"), &state);
        assert_eq!(Bench::new(1).gic.load(&saved).is_ok(), can_be, "case {n}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn any_access_is_survived() {
    let offsets: Vec<u64> = <Reg as crate::bus::RegMap>::TABLE
        .iter()
        .flat_map(|row| [row.offset, row.offset + 4 * (row.count - 1), row.offset + 4])
        .collect();
    for seed in 0..8 {
        let (b, other) = (Bench::ready(1 + seed as usize), Bench::new(1 + seed as usize));
        b.gic.with(|gic| {
            other.gic.with(|other| {
                fuzz::registers(seed, gic, other, &offsets, 0x1_2000, |gic, random| {
                    let level = random.below(2) != 0;
                    gic.spi(random.below(300) as usize).set(level);
                    gic.ppi(random.below(9) as usize, random.below(40) as usize).set(level);
                    gic.inputs_changed();
                })
            })
        });
    }
    assert_eq!(Bench::new(1).gic.with(|gic| gic.model()), "gicv2");
}
