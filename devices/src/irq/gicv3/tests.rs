mod kept;
mod messages;
mod routing;

use super::*;
use crate::bus::{Access, Device, GuestMemory, Ram, RamWindow, RegMap, fuzz};
use emu_ir::testing::until;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

const TIMER: u32 = 27;
/// INTID of the SPI most tests use.
const ID: u32 = 42;
/// Where guest memory is, and how much.
const RAM: u64 = 0x4000_0000;
const RAM_SIZE: u64 = 4 << 20;

/// Levels of the CPUs' inputs.
struct Inputs(Mutex<Vec<(bool, bool)>>);

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
    gic: Shared<GicV3>,
    inputs: Arc<Inputs>,
    memory: Arc<RamWindow>,
}

impl Bench {
    fn of(affinities: &[u32]) -> Bench {
        let wiring = Wiring::new();
        let inputs = Arc::new(Inputs(Mutex::new(vec![(false, false); affinities.len()])));
        let gic = GicV3::new(&wiring, affinities, inputs.clone());
        wiring.connect(vec![gic.controller()]);
        let memory = Arc::new(RamWindow::new(RAM, Arc::new(Ram::new(RAM_SIZE).unwrap()), None));
        gic.with(|gic| gic.attach(memory.clone()));
        Bench { gic, inputs, memory }
    }

    /// CPUs with the affinities of a cluster.
    fn new(cpus: u32) -> Bench {
        Bench::of(&(0..cpus).collect::<Vec<_>>())
    }

    /// Both groups forwarded, no priority masked, group 1 taken; `ID` in group 1, enabled at priority 0x80 for
    /// CPU 0.
    fn ready(cpus: u32) -> Bench {
        let b = Bench::new(cpus);
        b.set(Reg::GICD_CTLR, 0, 3);
        for cpu in 0..cpus as usize {
            b.icc_set(cpu, Icc::Pmr, 0xff);
            b.icc_set(cpu, Icc::Igrpen1, 1);
        }
        b.enable(ID, 0x80);
        b
    }

    fn enable(&self, id: u32, priority: u8) {
        let group = self.get(Reg::GICD_IGROUPR, id as usize / 32);
        self.set(Reg::GICD_IGROUPR, id as usize / 32, group | 1 << (id % 32));
        self.gic.write(Access::new(0x400 + u64::from(id), 1), priority.into());
        self.set(Reg::GICD_ISENABLER, id as usize / 32, 1 << (id % 32));
    }

    /// A private interrupt, in group 1.
    fn enable_private(&self, cpu: usize, id: u32, priority: u8) {
        let group = self.get_of(cpu, Reg::GICR_IGROUPR0, 0);
        self.set_of(cpu, Reg::GICR_IGROUPR0, 0, group | 1 << id);
        let at = Self::address(Reg::GICR_IPRIORITYR, cpu, 0) + u64::from(id);
        self.gic.write(Access::new(at, 1), priority.into());
        self.set_of(cpu, Reg::GICR_ISENABLER0, 0, 1 << id);
    }

    fn address(reg: Reg, cpu: usize, n: usize) -> u64 {
        let row = Reg::TABLE.iter().find(|row| row.reg == reg).unwrap();
        row.offset + u64::from(row.size) * n as u64 + REDISTRIBUTOR_SIZE * cpu as u64
    }

    fn get(&self, reg: Reg, n: usize) -> u32 {
        self.get_of(0, reg, n)
    }

    fn set(&self, reg: Reg, n: usize, value: u32) {
        self.set_of(0, reg, n, value);
    }

    fn get_of(&self, cpu: usize, reg: Reg, n: usize) -> u32 {
        self.gic.read(Access::new(Self::address(reg, cpu, n), 4)) as u32
    }

    fn set_of(&self, cpu: usize, reg: Reg, n: usize, value: u32) {
        self.gic.write(Access::new(Self::address(reg, cpu, n), 4), value.into());
    }

    fn get_long(&self, cpu: usize, reg: Reg, n: usize) -> u64 {
        self.gic.read(Access::new(Self::address(reg, cpu, n), 8))
    }

    fn set_long(&self, cpu: usize, reg: Reg, n: usize, value: u64) {
        self.gic.write(Access::new(Self::address(reg, cpu, n), 8), value);
    }

    fn route(&self, id: u32, route: u64) {
        self.set_long(0, Reg::GICD_IROUTER, id as usize - 32, route);
    }

    fn icc(&self, cpu: usize, reg: Icc) -> u64 {
        self.gic.with(|gic| gic.icc_read(cpu, reg))
    }

    fn icc_set(&self, cpu: usize, reg: Icc, value: u64) {
        self.gic.with(|gic| gic.icc_write(cpu, reg, value));
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

    /// The CPUs whose IRQ is high.
    fn interrupted(&self) -> Vec<usize> {
        let inputs = self.inputs.0.lock().unwrap();
        (0..inputs.len()).filter(|cpu| inputs[*cpu].0).collect()
    }

    fn ack(&self, cpu: usize) -> u32 {
        self.icc(cpu, Icc::Iar1) as u32
    }

    fn eoi(&self, cpu: usize, id: u32) {
        self.icc_set(cpu, Icc::Eoir1, id.into());
    }
}

#[test]
fn it_says_what_it_is() {
    let b = Bench::of(&[0, 1, 0x100, 0x0203_0405]);

    assert_eq!(b.get(Reg::GICD_TYPER, 0), 1 << 26 | 1 << 24 | 15 << 19 | 1 << 17 | 8);
    assert_eq!(
        b.get(Reg::GICD_CTLR, 0),
        0x50,
        "affinity routing and one Security state"
    );
    for id in [Reg::GICD_ID, Reg::GICR_ID, Reg::GITS_ID] {
        assert_eq!(b.get(id, 6), 0x3b, "PIDR2");
    }
    assert_eq!(b.get_long(0, Reg::GICR_TYPER, 0), 0x21);
    assert_eq!(b.get_long(2, Reg::GICR_TYPER, 0), 0x100 << 32 | 2 << 8 | 0x21);
    assert_eq!(b.get_long(3, Reg::GICR_TYPER, 0), 0x0203_0405 << 32 | 3 << 8 | 0x31);
    let upper = Access::new(Bench::address(Reg::GICR_TYPER, 3, 0) + 4, 4);
    assert_eq!(b.gic.read(upper), 0x0203_0405);
    assert_eq!(b.get_long(4, Reg::GICR_TYPER, 0), 0, "behind the last");
    assert_eq!(b.get_of(0, Reg::GICR_ICFGR, 0), 0xaaaa_aaaa);
}

#[test]
fn priorities_have_as_many_bits_as_it_says() {
    let b = Bench::new(1);

    b.icc_set(0, Icc::Pmr, 0xff);
    b.set(Reg::GICD_IPRIORITYR, 8, !0);
    b.set(Reg::GICR_IPRIORITYR, 0, !0);
    b.icc_set(0, Icc::Bpr0, 0);
    b.icc_set(0, Icc::Bpr1, 0);

    let bits = (b.icc(0, Icc::Ctlr) >> 8 & 7) + 1;
    let mask = 0xff & 0xff << (8 - bits);
    assert_eq!(b.icc(0, Icc::Pmr), mask);
    assert_eq!(u64::from(b.get(Reg::GICD_IPRIORITYR, 8)), mask * 0x0101_0101);
    assert_eq!(u64::from(b.get(Reg::GICR_IPRIORITYR, 0)), mask * 0x0101_0101);
    assert_eq!((b.icc(0, Icc::Bpr0), b.icc(0, Icc::Bpr1)), (2, 3));
}

#[test]
fn a_level_interrupt_lives_from_line_to_end() {
    let b = Bench::ready(1);
    let line = b.line(ID);
    assert_eq!(b.ack(0), SPURIOUS);

    line.drive(true);
    assert!(b.irq(0));
    assert_eq!(b.get(Reg::GICD_ISPENDR, 1), 1 << 10);
    b.set(Reg::GICD_ICPENDR, 1, 1 << 10);
    assert!(b.irq(0), "a high level stays pending");
    assert_eq!(b.ack(0), ID);
    assert!(!b.irq(0));
    let state = [Reg::GICD_ISACTIVER, Reg::GICD_ISPENDR].map(|reg| b.get(reg, 1));
    assert_eq!(state, [1 << 10; 2], "active and pending");
    assert_eq!(b.icc(0, Icc::Rpr), 0x80);

    b.eoi(0, ID);
    assert!(b.irq(0), "the line is still high");
    line.drive(false);
    assert!(!b.irq(0));
    assert_eq!((b.icc(0, Icc::Rpr), b.ack(0)), (0xff, SPURIOUS));
    assert_eq!(b.get(Reg::GICD_ISPENDR, 1), 0, "nothing sticks");
}

#[test]
fn what_software_made_pending_outlives_the_line_and_is_taken_once() {
    let b = Bench::ready(1);
    let line = b.line(ID);
    line.drive(true);
    b.set(Reg::GICD_ISPENDR, 1, 1 << 10);
    line.drive(false);

    assert!(b.irq(0));
    assert_eq!(b.ack(0), ID);
    b.eoi(0, ID);
    assert!(!b.irq(0));
}

#[test]
fn an_edge_is_latched_and_taken_once() {
    let b = Bench::ready(1);
    b.set(Reg::GICD_ICFGR, 2, 2 << (2 * (ID - 32)));
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
fn what_is_pending_waits_for_whatever_lets_it_through() {
    let b = Bench::ready(2);
    b.set(Reg::GICD_ICFGR, 2, 2 << (2 * (ID - 32)));
    let bit = 1 << (ID % 32);
    b.set(Reg::GICD_ICENABLER, 1, bit);
    b.line(ID).drive(true);
    b.line(ID).drive(false);
    assert_eq!((b.get(Reg::GICD_ISPENDR, 1), b.irq(0)), (bit, false));

    b.set(Reg::GICD_ISENABLER, 1, bit);
    assert!(b.irq(0));
    /// What stops it and what lets it go on.
    type Gate = (fn(&Bench), fn(&Bench));
    let gates: [Gate; 8] = [
        (|b| b.icc_set(0, Icc::Pmr, 0x80), |b| b.icc_set(0, Icc::Pmr, 0x88)),
        (|b| b.icc_set(0, Icc::Igrpen1, 0), |b| b.icc_set(0, Icc::Igrpen1, 1)),
        (|b| b.set(Reg::GICD_CTLR, 0, 1), |b| b.set(Reg::GICD_CTLR, 0, 2)),
        (
            |b| b.set(Reg::GICD_IGROUPR, 1, 0),
            |b| b.set(Reg::GICD_IGROUPR, 1, 1 << (ID % 32)),
        ),
        (|b| b.route(ID, 1), |b| b.route(ID, 0)),
        (
            |b| b.gic.write(Access::new(0x400 + u64::from(ID), 1), 0xff),
            |b| b.gic.write(Access::new(0x400 + u64::from(ID), 1), 0x80),
        ),
        (
            |b| b.set(Reg::GICD_ISACTIVER, 1, 1 << (ID % 32)),
            |b| b.set(Reg::GICD_ICACTIVER, 1, 1 << (ID % 32)),
        ),
        (|b| b.set(Reg::GICR_WAKER, 0, 2), |b| b.set(Reg::GICR_WAKER, 0, 0)),
    ];
    for (n, (stop, go)) in gates.into_iter().enumerate() {
        stop(&b);
        assert!(!b.irq(0), "gate {n} does not stop it");
        assert_eq!(b.ack(0), SPURIOUS, "gate {n}");
        go(&b);
        assert!(b.irq(0), "gate {n} does not let it go on");
    }
    assert_eq!(b.ack(0), ID);
}

#[test]
fn a_group_that_is_not_let_through_hides_nothing_of_the_other() {
    const FIRST: u32 = 50;
    for by_distributor in [true, false] {
        let let_through = |b: &Bench, groups: u32| {
            if by_distributor {
                b.set(Reg::GICD_CTLR, 0, groups);
            } else {
                b.icc_set(0, Icc::Igrpen0, u64::from(groups & 1));
                b.icc_set(0, Icc::Igrpen1, u64::from(groups >> 1));
            }
        };
        for (group0, group1) in [(FIRST, ID), (ID, FIRST)] {
            let b = Bench::ready(1);
            b.icc_set(0, Icc::Igrpen0, 1);
            b.enable(FIRST, 0x40);
            b.set(Reg::GICD_IGROUPR, 1, 1 << (group1 % 32));
            [FIRST, ID].iter().for_each(|&id| b.line(id).drive(true));

            let_through(&b, 1);
            assert_eq!((b.irq(0), b.fiq(0)), (false, true), "group 0 alone, {group0}");
            let pending = [Icc::Hppir0, Icc::Hppir1].map(|reg| b.icc(0, reg) as u32);
            assert_eq!(pending, [group0, SPURIOUS]);
            let_through(&b, 2);
            assert_eq!((b.irq(0), b.fiq(0)), (true, false), "group 1 alone, {group1}");
            let pending = [Icc::Hppir0, Icc::Hppir1].map(|reg| b.icc(0, reg) as u32);
            assert_eq!(pending, [SPURIOUS, group1]);
            let_through(&b, 0);
            assert_eq!((b.irq(0), b.fiq(0)), (false, false));
            let_through(&b, 3);
            assert_eq!((b.irq(0), b.fiq(0)), (FIRST == group1, FIRST == group0), "the first");
        }
    }
}

#[test]
fn it_says_to_whom_interrupts_may_come() {
    let b = Bench::new(2);
    let may = || [0, 1, 2].map(|cpu| b.gic.with(|gic| gic.may_interrupt(cpu)));
    b.set(Reg::GICD_CTLR, 0, 2);
    b.icc_set(0, Icc::Pmr, 0xff);
    b.icc_set(0, Icc::Igrpen1, 1);
    assert_eq!(may(), [false; 3], "none is enabled");

    b.set_of(0, Reg::GICR_ISENABLER0, 0, 1 << TIMER);
    b.set_of(1, Reg::GICR_ISENABLER0, 0, 1 << TIMER);
    assert_eq!(may(), [false; 3], "of group 0");
    b.set_of(0, Reg::GICR_IGROUPR0, 0, 1 << TIMER);
    assert_eq!(may(), [true, false, false]);
    b.icc_set(0, Icc::Pmr, 0);
    assert_eq!(may(), [false; 3]);
    b.icc_set(0, Icc::Pmr, 0xff);
    b.set(Reg::GICR_WAKER, 0, 2);
    assert_eq!(may(), [false; 3]);
    b.enable(ID, 0x80);
    b.icc_set(1, Icc::Pmr, 0xff);
    b.icc_set(1, Icc::Igrpen1, 1);
    assert_eq!(may(), [false, true, false]);
}

#[test]
fn inputs_that_are_not_there_are_not_connected() {
    let b = Bench::ready(2);
    for row in 1..=SPI_ROWS {
        b.set(Reg::GICD_ISENABLER, row, !0);
        b.set(Reg::GICD_IGROUPR, row, !0);
    }
    let pending = || {
        (1..=SPI_ROWS)
            .map(|row| b.get(Reg::GICD_ISPENDR, row))
            .collect::<Vec<_>>()
    };
    let private = || [0, 1].map(|cpu| b.get_of(cpu, Reg::GICR_ISPENDR0, 0));

    let lines = b.gic.with(|gic| {
        let spis = [32 * SPI_ROWS, 32 * SPI_ROWS + 1, usize::MAX / 2].map(|n| gic.spi(n));
        let ppis = [(0, 15), (0, 32), (2, 27), (1, 32), (9, 16)].map(|(cpu, id)| gic.ppi(cpu, id));
        spis.into_iter().chain(ppis).collect::<Vec<_>>()
    });
    lines.iter().for_each(|line| line.drive(true));

    assert_eq!((pending(), private()), (vec![0; SPI_ROWS], [0; 2]));
    b.line(32 * SPI_ROWS as u32 + 31).drive(true);
    b.gic.with(|gic| gic.ppi(1, 16)).drive(true);
    b.gic.with(|gic| gic.ppi(0, 31)).drive(true);
    assert_eq!(pending()[SPI_ROWS - 1], 1 << 31, "the last one is");
    assert_eq!(private(), [1 << 31, 1 << 16]);
}

#[test]
fn an_edge_of_a_private_interrupt_is_latched() {
    let b = Bench::ready(2);
    b.enable_private(1, TIMER, 0x80);
    b.enable_private(1, 28, 0x80);
    b.set_of(1, Reg::GICR_ICFGR, 1, 2 << (2 * (TIMER - 16)) | 2 << (2 * (28 - 16)));
    for id in [TIMER, 28] {
        let line = b.gic.with(|gic| gic.ppi(1, id as usize));
        line.drive(true);
        line.drive(false);
    }

    assert_eq!(b.interrupted(), [1]);
    assert_eq!([b.ack(1), b.ack(1)], [TIMER, SPURIOUS], "of one priority");
    b.eoi(1, TIMER);
    assert_eq!(b.ack(1), 28);
}

#[test]
fn only_a_higher_group_priority_preempts() {
    let b = Bench::ready(1);
    b.icc_set(0, Icc::Bpr1, 5);
    b.enable(50, 0x98);
    b.enable(51, 0x78);
    b.enable(52, 0x10);
    b.line(ID).drive(true);
    assert_eq!(b.ack(0), ID);

    b.line(50).drive(true);
    assert!(!b.irq(0), "lower");
    b.gic.write(Access::new(0x400 + 50, 1), 0x80);
    b.gic.write(Access::new(0x400 + u64::from(ID), 1), 0x98);
    assert!(!b.irq(0), "the same group priority");
    b.line(51).drive(true);
    assert!(b.irq(0));
    b.icc_set(0, Icc::Bpr1, 7);
    assert!(b.irq(0), "0x00 of group bits against 0x80");
    b.line(52).drive(true);
    assert_eq!(b.ack(0), 52, "the highest first");
    b.line(52).drive(false);
    b.eoi(0, 52);
    assert_eq!(b.icc(0, Icc::Rpr), 0x80);
    assert_eq!(b.ack(0), 51);
}

#[test]
fn the_highest_active_priority_drops_whatever_number_is_written() {
    let b = Bench::ready(1);
    b.enable(50, 0x40);
    b.line(ID).drive(true);
    assert_eq!(b.ack(0), ID);
    b.line(50).drive(true);
    assert_eq!(b.ack(0), 50);
    assert_eq!((b.icc(0, Icc::Rpr), b.icc(0, Icc::Ap1r)), (0x40, 1 << 8 | 1 << 16));

    for id in [SPURIOUS, 1020, 1021, 288, FIRST_LPI - 1, 1 << 16, 0xff_ffff] {
        b.eoi(0, id);
    }
    b.icc_set(0, Icc::Eoir0, 50);
    assert_eq!(b.icc(0, Icc::Rpr), 0x40, "nothing of that ends anything");
    b.eoi(0, ID);
    assert_eq!(b.icc(0, Icc::Rpr), 0x80);
    b.eoi(0, 50);
    assert_eq!(b.icc(0, Icc::Rpr), 0xff);
    b.eoi(0, 50);
    assert_eq!(b.icc(0, Icc::Rpr), 0xff, "nor is there more to drop");
}

#[test]
fn an_end_of_the_other_groups_drops_nothing() {
    for preempted in [Icc::Eoir0, Icc::Eoir1] {
        let b = Bench::ready(1);
        b.icc_set(0, Icc::Igrpen0, 1);
        b.enable(43, 0x40);
        // The lower priority's group is `preempted`'s.
        b.set(
            Reg::GICD_IGROUPR,
            1,
            if preempted == Icc::Eoir1 { 1 << 10 } else { 1 << 11 },
        );
        let (iar, other, eoir) = match preempted {
            Icc::Eoir1 => (Icc::Iar1, Icc::Iar0, Icc::Eoir0),
            _ => (Icc::Iar0, Icc::Iar1, Icc::Eoir1),
        };
        b.line(ID).drive(true);
        assert_eq!(b.icc(0, iar), u64::from(ID));
        b.line(43).drive(true);
        assert_eq!(b.icc(0, other), 43);
        let active = [Icc::Ap0r, Icc::Ap1r, Icc::Rpr].map(|reg| b.icc(0, reg));
        assert_eq!(active[2], 0x40);

        for id in [ID, 43] {
            b.icc_set(0, preempted, id.into());
            let now = [Icc::Ap0r, Icc::Ap1r, Icc::Rpr].map(|reg| b.icc(0, reg));
            assert_eq!(now, active, "{preempted:?} of {id}");
            assert_eq!(b.get(Reg::GICD_ISACTIVER, 1), 3 << 10, "{preempted:?} of {id}");
        }

        b.icc_set(0, eoir, 43);
        assert_eq!(b.icc(0, Icc::Rpr), 0x80);
        b.icc_set(0, preempted, ID.into());
        assert_eq!(b.icc(0, Icc::Rpr), 0xff);
    }
}

#[test]
fn split_end_of_interrupt_deactivates_later_and_anywhere() {
    let b = Bench::ready(2);
    b.icc_set(0, Icc::Dir, ID.into());
    for cpu in 0..2 {
        b.icc_set(cpu, Icc::Ctlr, 2);
    }
    b.line(ID).drive(true);

    assert_eq!(b.ack(0), ID);
    b.eoi(0, ID);
    assert_eq!(b.icc(0, Icc::Rpr), 0xff);
    assert!(!b.irq(0), "still active");
    b.icc_set(1, Icc::Dir, ID.into());
    assert!(b.irq(0));
    assert_eq!(b.ack(0), ID);
    b.icc_set(0, Icc::Ctlr, 0);
    b.icc_set(0, Icc::Dir, ID.into());
    assert_ne!(b.get(Reg::GICD_ISACTIVER, 1), 0, "no DIR without the split");
}

#[test]
fn groups_choose_the_cpu_input_and_the_register() {
    let b = Bench::ready(1);
    b.icc_set(0, Icc::Igrpen0, 1);
    b.enable(43, 0x90);
    b.set(Reg::GICD_IGROUPR, 1, 1 << 11);

    b.line(43).drive(true);
    assert_eq!((b.irq(0), b.fiq(0)), (true, false));
    assert_eq!(b.icc(0, Icc::Iar0), u64::from(SPURIOUS));
    assert_eq!(
        (b.icc(0, Icc::Hppir0), b.icc(0, Icc::Hppir1)),
        (u64::from(SPURIOUS), 43)
    );
    b.line(ID).drive(true);
    assert_eq!((b.irq(0), b.fiq(0)), (false, true));
    assert_eq!(b.ack(0), SPURIOUS);
    assert_eq!(b.icc(0, Icc::Iar0), u64::from(ID));
    assert_eq!((b.icc(0, Icc::Ap0r), b.icc(0, Icc::Ap1r)), (1 << 16, 0));
    b.line(ID).drive(false);
    b.eoi(0, ID);
    assert_eq!(b.icc(0, Icc::Rpr), 0x80, "group 1's register does not end it");
    b.icc_set(0, Icc::Eoir0, ID.into());
    assert_eq!(b.ack(0), 43);
}

#[test]
fn one_binary_point_may_serve_both_groups() {
    let b = Bench::ready(1);
    b.icc_set(0, Icc::Bpr0, 4);
    b.icc_set(0, Icc::Bpr1, 6);

    b.icc_set(0, Icc::Ctlr, 1);
    assert_eq!(b.icc(0, Icc::Bpr1), 5);
    b.icc_set(0, Icc::Bpr1, 3);
    b.icc_set(0, Icc::Ctlr, 0);

    assert_eq!(b.icc(0, Icc::Bpr1), 6, "writes were ignored");
}

/// 4.8.5: group 0 is split above bit BPR0, group 1 at bit BPR1, or as group 0 where that serves both.
#[test]
fn the_binary_point_of_its_group_splits_a_priority() {
    let rows = [
        // In group 1, CBPR, BPR0, BPR1, what runs and what comes, and whether it preempts.
        (true, false, 2, 5, 0x88, 0x80, false),
        (true, false, 2, 5, 0x88, 0x78, true),
        (true, false, 7, 3, 0x88, 0x80, true),
        (true, false, 2, 7, 0xf0, 0x88, false),
        (true, false, 7, 7, 0xf0, 0x78, true),
        (true, true, 4, 3, 0x88, 0x80, false),
        (true, true, 4, 7, 0x88, 0x78, true),
        (true, true, 2, 7, 0x88, 0x80, true),
        (false, false, 4, 3, 0x88, 0x80, false),
        (false, false, 4, 7, 0x88, 0x78, true),
        (false, true, 2, 7, 0x88, 0x80, true),
        (false, false, 3, 3, 0x88, 0x80, false),
        (false, false, 7, 3, 0x88, 0x00, false),
    ];
    for row in rows {
        let (group1, cbpr, bpr0, bpr1, runs, comes, preempts) = row;
        let b = Bench::ready(1);
        b.icc_set(0, Icc::Igrpen0, 1);
        for (reg, value) in [
            (Icc::Ctlr, 0),
            (Icc::Bpr0, bpr0),
            (Icc::Bpr1, bpr1),
            (Icc::Ctlr, cbpr.into()),
        ] {
            b.icc_set(0, reg, value);
        }
        b.enable(ID, runs);
        b.enable(50, comes);
        b.set(Reg::GICD_IGROUPR, 1, if group1 { !0 } else { 0 });
        b.line(ID).drive(true);
        let taken = b.icc(0, if group1 { Icc::Iar1 } else { Icc::Iar0 });
        assert_eq!(taken, u64::from(ID), "{row:?}");

        b.line(50).drive(true);

        let expected = (preempts && group1, preempts && !group1);
        assert_eq!((b.irq(0), b.fiq(0)), expected, "{row:?}");
    }
}

#[test]
fn what_is_deactivated_goes_to_its_cpu_again() {
    let b = Bench::ready(2);
    b.icc_set(0, Icc::Ctlr, 2);
    for id in [ID, 64 + 17] {
        b.enable(id, 0x80);
        b.route(id, 1);
        b.line(id).drive(true);
        assert_eq!(b.ack(1), id);
        b.icc_set(1, Icc::Eoir1, id.into());
        assert!(b.irq(1), "it is still high");
        assert_eq!(b.ack(1), id);
        b.route(id, 0);
        b.eoi(1, id);
        // Ended by one, and the other's from here on.
        assert_eq!(b.interrupted(), [0]);
        assert_eq!(b.ack(0), id);
        b.eoi(0, id);
        assert_eq!(b.interrupted(), [0usize; 0], "its priority has dropped, it is active");
        b.icc_set(0, Icc::Dir, id.into());
        assert_eq!(b.interrupted(), [0]);
        b.line(id).drive(false);
    }
}

#[test]
fn a_redistributor_is_awake_until_it_is_put_to_sleep() {
    let b = Bench::new(1);

    assert_eq!(b.get(Reg::GICR_WAKER, 0), 0);
    b.set(Reg::GICR_WAKER, 0, !0);
    assert_eq!(b.get(Reg::GICR_WAKER, 0), 6);
    b.set(Reg::GICR_WAKER, 0, 0);
    assert_eq!(b.get(Reg::GICR_WAKER, 0), 0);
}

#[test]
fn a_cpu_that_was_off_has_its_interface_anew() {
    let b = Bench::ready(2);
    b.route(ID, 1);
    b.line(ID).drive(true);
    assert_eq!(b.ack(1), ID);

    b.gic.with(|gic| gic.reset_interface(1));

    assert_eq!(
        (b.icc(1, Icc::Rpr), b.icc(1, Icc::Pmr), b.icc(1, Icc::Igrpen1)),
        (0xff, 0, 0)
    );
    assert_ne!(b.get(Reg::GICD_ISACTIVER, 1), 0, "the distributor's state stays");
    b.gic.with(|gic| gic.reset_interface(2));
}

#[test]
fn interrupts_survive_save_reset_load() {
    let b = Bench::ready(2);
    b.enable(50, 0x20);
    b.line(ID).drive(true);
    assert_eq!(b.ack(0), ID);
    b.line(50).drive(true);
    let saved = b.gic.save();

    b.gic.reset();
    assert!(!b.irq(0));
    assert_eq!(b.icc(0, Icc::Igrpen1), 0);
    b.gic.load(&saved).unwrap();

    assert!(b.irq(0));
    assert_eq!(b.ack(0), 50);
    b.eoi(0, 50);
    assert_eq!(b.icc(0, Icc::Rpr), 0x80);
}

#[test]
fn a_state_that_cannot_be_is_refused() {
    let b = Bench::new(2);
    let format = crate::bus::Format::first("gicv3");
    let mut states = [1, 3, 2, 2, 2, 2].map(State::of);
    let its = |cwriter: u64, creadr: u64| {
        serde_json::from_value(serde_json::json!({
            "enabled": false, "cbaser": 0, "cwriter": cwriter, "creadr": creadr, "baser": [0, 0, 0, 0, 0, 0, 0, 0]
        }))
        .unwrap()
    };
    states[2].cpus[1].interface = serde_json::from_value(serde_json::json!({
        "pmr": 0, "bpr0": 1, "bpr1": 3, "ap0r": 0, "ap1r": 0, "ctlr": 0, "groups": 0
    }))
    .unwrap();
    states[3].cpus[0].lpis = serde_json::from_value(serde_json::json!({
        "enabled": true, "propbaser": 0, "pendbaser": 0, "pending": { "42": 1 }
    }))
    .unwrap();

    states[4].its = its(0x21, 0);
    states[5].its = its(0, 0x10_0000);
    assert!(
        b.gic
            .load(&crate::bus::Saved::new(
                &format,
                &State {
                    its: its(0xf_ffe0, 0xf_ffe0),
                    ..State::of(2)
                }
            ))
            .is_ok()
    );

    for (n, state) in states.iter().enumerate() {
        assert!(b.gic.load(&crate::bus::Saved::new(&format, state)).is_err(), "{n}");
    }
}

#[test]
fn edges_from_many_threads_all_arrive() {
    const EDGES: u32 = if cfg!(miri) { 20 } else { 2_000 };
    let b = Bench::ready(1);
    b.set(Reg::GICD_ICFGR, 2, !0);
    let ids = [33, 34, 35, 36];
    ids.iter().for_each(|&id| b.enable(id, 0x80));
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
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn any_access_is_survived() {
    const ICC: [Icc; 20] = [
        Icc::Pmr,
        Icc::Iar0,
        Icc::Iar1,
        Icc::Eoir0,
        Icc::Eoir1,
        Icc::Hppir0,
        Icc::Hppir1,
        Icc::Bpr0,
        Icc::Bpr1,
        Icc::Ap0r,
        Icc::Ap1r,
        Icc::Dir,
        Icc::Rpr,
        Icc::Sgi0r,
        Icc::Sgi1r,
        Icc::Asgi1r,
        Icc::Ctlr,
        Icc::Sre,
        Icc::Igrpen0,
        Icc::Igrpen1,
    ];
    let offsets: Vec<u64> = Reg::TABLE
        .iter()
        .flat_map(|row| {
            let last = row.offset + u64::from(row.size) * (row.count - 1);
            let again = if row.offset >= REDISTRIBUTORS {
                3 * REDISTRIBUTOR_SIZE
            } else {
                0
            };
            [row.offset, last, row.offset + again]
        })
        .collect();
    for seed in 0..8 {
        let cpus = [1, 2, 5, 123][seed as usize % 4];
        let (b, other) = (Bench::ready(cpus), Bench::new(cpus));
        b.gic.with(|gic| {
            other.gic.with(|other| {
                fuzz::registers(seed, gic, other, &offsets, REDISTRIBUTORS + 0x8_0000, |gic, random| {
                    let level = random.below(2) != 0;
                    gic.spi(random.below(300) as usize).set(level);
                    gic.ppi(random.below(9) as usize, random.below(40) as usize).set(level);
                    gic.inputs_changed();
                    let reg = ICC[random.below(20) as usize];
                    gic.icc_write(random.below(130) as usize, reg, random.value());
                    gic.icc_read(random.below(130) as usize, ICC[random.below(20) as usize]);
                    gic.next();
                })
            })
        });
    }
    assert_eq!(Bench::new(1).gic.with(|gic| gic.model()), "gicv3");
}
