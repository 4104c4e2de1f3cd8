//! Which CPU gets an interrupt: SGIs, PPIs and SPIs.

use super::*;

#[test]
fn an_sgi_goes_to_the_cpus_it_lists() {
    let b = Bench::of(&[0x0000, 0x0001, 0x0011, 0x0100, 0x0001_0000, 0x0100_0000]);
    b.set(Reg::GICD_CTLR, 0, 3);
    for cpu in 0..6 {
        b.icc_set(cpu, Icc::Pmr, 0xff);
        b.icc_set(cpu, Icc::Igrpen1, 1);
        b.enable_private(cpu, 5, 0x40);
    }
    let sent = |from: usize, value: u64| {
        b.icc_set(from, Icc::Sgi1r, 5 << 24 | value);
        let cpus = b.interrupted();
        for &cpu in &cpus {
            assert_eq!(b.ack(cpu), 5);
            b.eoi(cpu, 5);
        }
        cpus
    };

    assert_eq!(sent(0, 0b11), [0, 1], "itself too");
    assert_eq!(sent(0, 1 << 44 | 0b10), [2], "range selector");
    assert_eq!(sent(0, 1 << 16 | 1), [3]);
    assert_eq!(sent(0, 1 << 32 | 1), [4], "affinity 2");
    assert_eq!(sent(0, 1 << 48 | 1), [5], "affinity 3");
    assert_eq!(sent(0, 0xfffc), [] as [usize; 0], "nobody");
    assert_eq!(sent(3, 1 << 40), [0, 1, 2, 4, 5], "all but itself");
    b.icc_set(0, Icc::Sgi0r, 5 << 24 | 0b11);
    b.icc_set(0, Icc::Asgi1r, 5 << 24 | 0b11);
    assert_eq!(b.interrupted(), [] as [usize; 0], "they have it in group 1");
}

#[test]
fn sgis_of_group_0_have_their_own_register() {
    let b = Bench::ready(2);
    b.set_of(1, Reg::GICR_ISENABLER0, 0, 1 << 3);
    b.icc_set(1, Icc::Igrpen0, 1);

    b.icc_set(0, Icc::Sgi1r, 3 << 24 | 2);
    assert!(!b.fiq(1));
    b.icc_set(0, Icc::Sgi0r, 3 << 24 | 2);

    assert!(b.fiq(1));
    assert_eq!(b.icc(1, Icc::Iar0), 3);
}

#[test]
fn redistributors_are_found_by_address_and_not_by_who_asks() {
    let b = Bench::ready(4);
    let at = Bench::address(Reg::GICR_IPRIORITYR, 3, 0) + u64::from(TIMER);

    b.gic.write(Access::new(at, 1).by(0), 0x40);
    b.enable_private(3, TIMER, 0x40);
    b.gic.with(|gic| gic.ppi(0, TIMER as usize)).drive(true);
    b.gic.with(|gic| gic.ppi(3, TIMER as usize)).drive(true);

    assert_eq!(b.gic.read(Access::new(at, 1).by(3)), 0x40);
    assert_eq!(b.get_of(0, Reg::GICR_IPRIORITYR, TIMER as usize / 4), 0);
    assert_eq!(b.get_of(0, Reg::GICR_ISPENDR0, 0), 1 << TIMER);
    assert_eq!(b.interrupted(), [3]);
    assert_eq!(b.ack(3), TIMER);
    assert_eq!(b.get_of(0, Reg::GICR_ISACTIVER0, 0), 0);
    assert_eq!(b.get(Reg::GICD_ISENABLER, 0), 0, "the distributor has none of them");
}

#[test]
fn an_spi_goes_where_its_route_says() {
    let b = Bench::of(&[0, 1, 0x0200_0100]);
    b.set(Reg::GICD_CTLR, 0, 2);
    for cpu in 0..3 {
        b.icc_set(cpu, Icc::Pmr, 0xff);
        b.icc_set(cpu, Icc::Igrpen1, 1);
    }
    b.enable(ID, 0x80);
    b.line(ID).drive(true);
    let low = Access::new(Bench::address(Reg::GICD_IROUTER, 0, ID as usize - 32), 4);

    assert_eq!(b.interrupted(), [0]);
    b.gic.write(low, 1);
    assert_eq!(b.interrupted(), [1]);
    b.route(ID, 0x02_0000_0100);
    assert_eq!(b.interrupted(), [2]);
    b.route(ID, 7);
    assert_eq!(b.interrupted(), [] as [usize; 0], "nobody");
    b.route(ID, !0);
    assert_eq!(b.get_long(0, Reg::GICD_IROUTER, ID as usize - 32), 0xff_80ff_ffff);
}

#[test]
fn an_spi_for_any_cpu_goes_to_one_that_takes_part() {
    let b = Bench::ready(4);
    for id in 40..44 {
        b.enable(id, 0x80);
        b.route(id, 1 << 31);
    }

    for id in 40..44 {
        b.line(id).drive(true);
    }
    assert_eq!(b.interrupted(), [0, 1, 2, 3], "they spread");
    for id in 41..44 {
        b.line(id).drive(false);
    }
    assert_eq!(b.interrupted(), [0]);
    b.icc_set(0, Icc::Igrpen1, 0);
    assert_eq!(b.interrupted().len(), 1);
    b.set_of(1, Reg::GICR_CTLR, 0, 1 << 25);
    b.set_of(2, Reg::GICR_WAKER, 0, 2);
    assert_eq!(b.interrupted(), [3], "group off, declined, asleep");
    assert_eq!(b.get_of(1, Reg::GICR_CTLR, 0), 1 << 25);
    b.icc_set(3, Icc::Igrpen1, 0);
    assert_eq!(b.interrupted(), [] as [usize; 0]);
    b.set_of(1, Reg::GICR_CTLR, 0, 0);
    assert_eq!(b.interrupted(), [1]);
    assert_eq!(b.ack(1), 40);
    assert_eq!(b.interrupted(), [] as [usize; 0], "taken by one");
}
