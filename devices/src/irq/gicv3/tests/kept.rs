//! What registers keep of what is written to them.

use super::*;

#[test]
fn the_distributors_registers_keep_their_bits() {
    let b = Bench::new(2);
    for (reg, n, written, kept) in [
        (Reg::GICD_CTLR, 0, !0, 0xd3),
        (Reg::GICD_IGROUPR, 0, !0, 0),
        (Reg::GICD_IGROUPR, 1, 0x1234_5678, 0x1234_5678),
        (Reg::GICD_IGROUPR, 8, 0x8765_4321, 0x8765_4321),
        (Reg::GICD_IGROUPR, 9, !0, 0),
        (Reg::GICD_ISENABLER, 0, !0, 0),
        (Reg::GICD_ISENABLER, 9, !0, 0),
        (Reg::GICD_IPRIORITYR, 7, !0, 0),
        (Reg::GICD_IPRIORITYR, 8, 0x1020_30ff, 0x1020_30f8),
        (Reg::GICD_IPRIORITYR, 13, 0x0718_2930, 0x0018_2830),
        (Reg::GICD_IPRIORITYR, 71, 0x4050_6070, 0x4050_6070),
        (Reg::GICD_IPRIORITYR, 72, !0, 0),
        (Reg::GICD_ICFGR, 1, !0, 0),
        (Reg::GICD_ICFGR, 2, 0x8080_0a0b, 0x8080_0a0a),
        (Reg::GICD_ICFGR, 3, 0xa0a2_0800, 0xa0a2_0800),
        (Reg::GICD_ICFGR, 17, 0x0200_0008, 0x0200_0008),
        (Reg::GICD_ICFGR, 18, !0, 0),
        (Reg::GICD_STATUSR, 0, !0, 0),
        (Reg::GICD_ITARGETSR, 9, !0, 0),
        (Reg::GICD_IGRPMODR, 1, !0, 0),
        (Reg::GICD_NSACR, 2, !0, 0),
    ] {
        b.set(reg, n, written);
        assert_eq!(b.get(reg, n), kept, "{reg:?}{n}");
    }
    assert_eq!(b.get(Reg::GICD_ICFGR, 2), 0x8080_0a0a, "its row's other half");
    b.set(Reg::GICD_CTLR, 0, 0);
    assert_eq!(b.get(Reg::GICD_CTLR, 0), 0x50);
}

#[test]
fn a_redistributors_registers_keep_their_bits_and_are_its_own() {
    let b = Bench::new(2);
    for (reg, n, written, kept, at_first) in [
        (Reg::GICR_CTLR, 0, !1, 0x0300_0000, 0),
        (Reg::GICR_CTLR, 0, 1 << 25, 1 << 25, 0),
        (Reg::GICR_CTLR, 0, 0, 0, 0),
        (Reg::GICR_WAKER, 0, !0, 6, 0),
        (Reg::GICR_WAKER, 0, !2, 0, 0),
        (Reg::GICR_STATUSR, 0, !0, 0, 0),
        (Reg::GICR_IGROUPR0, 0, 0x1234_5678, 0x1234_5678, 0),
        (Reg::GICR_IPRIORITYR, 0, 0x1020_30ff, 0x1020_30f8, 0),
        (Reg::GICR_IPRIORITYR, 7, 0x0718_2930, 0x0018_2830, 0),
        (Reg::GICR_ICFGR, 0, 0, 0xaaaa_aaaa, 0xaaaa_aaaa),
        (Reg::GICR_ICFGR, 1, 0x5599_9999, 0x0088_8888, 0),
        (Reg::GICR_ICFGR, 1, 0, 0, 0),
        (Reg::GICR_IGRPMODR0, 0, !0, 0, 0),
        (Reg::GICR_NSACR, 0, !0, 0, 0),
    ] {
        b.set_of(1, reg, n, written);
        let both = [1, 0].map(|cpu| b.get_of(cpu, reg, n));
        assert_eq!(both, [kept, at_first], "{reg:?}{n}");
    }
    b.set_of(2, Reg::GICR_IGROUPR0, 0, !0);
    assert_eq!(b.get_of(2, Reg::GICR_IGROUPR0, 0), 0, "nobody's");
}

#[test]
fn routes_are_kept_as_far_as_they_name_cpus() {
    let b = Bench::new(2);

    for id in [32, 63, 64, 287] {
        b.route(id, !u64::from(id));
    }

    let route = |id: u32| b.get_long(0, Reg::GICD_IROUTER, id as usize - 32);
    for id in [32, 63, 64, 287] {
        assert_eq!(route(id), !u64::from(id) & 0xff_80ff_ffff, "{id}");
    }
    for id in [33, 62, 65, 286] {
        assert_eq!(route(id), 0, "{id}");
    }
    b.route(288, !0);
    assert_eq!(route(288), 0, "there is none");
}

#[test]
fn what_one_register_sets_another_clears_bit_by_bit() {
    for (set, clear) in [
        (Reg::GICD_ISENABLER, Reg::GICD_ICENABLER),
        (Reg::GICD_ISPENDR, Reg::GICD_ICPENDR),
        (Reg::GICD_ISACTIVER, Reg::GICD_ICACTIVER),
    ] {
        let b = Bench::new(1);
        for n in 1..=SPI_ROWS {
            b.set(set, n, 0xf000 << n);
            b.set(set, n, 0x1f00 << n);
            b.set(clear, n, 0x0300 << n);
        }
        for (n, reg) in (1..=SPI_ROWS).flat_map(|n| [(n, set), (n, clear)]) {
            assert_eq!(b.get(reg, n), 0xfc00 << n, "{reg:?}{n}");
        }
    }
    for (set, clear) in [
        (Reg::GICR_ISENABLER0, Reg::GICR_ICENABLER0),
        (Reg::GICR_ISPENDR0, Reg::GICR_ICPENDR0),
        (Reg::GICR_ISACTIVER0, Reg::GICR_ICACTIVER0),
    ] {
        let b = Bench::new(2);
        b.set_of(1, set, 0, 0xf000);
        b.set_of(1, set, 0, 0x1f00);
        b.set_of(1, clear, 0, 0x0300);
        for reg in [set, clear] {
            assert_eq!([0, 1].map(|cpu| b.get_of(cpu, reg, 0)), [0, 0xfc00], "{reg:?}");
        }
    }
}

#[test]
fn what_is_pending_is_latched_or_high() {
    let b = Bench::new(2);
    b.set(Reg::GICD_ISPENDR, 1, 3 << 10);
    b.line(42).drive(true);
    b.line(44).drive(true);
    assert_eq!(b.get(Reg::GICD_ISPENDR, 1), 0x1c00, "once or twice");
    b.set_of(1, Reg::GICR_ISPENDR0, 0, 3 << 26);
    for id in [26, 28] {
        b.gic.with(|gic| gic.ppi(1, id)).drive(true);
    }
    assert_eq!([0, 1].map(|cpu| b.get_of(cpu, Reg::GICR_ISPENDR0, 0)), [0, 0x1c00_0000]);
}

#[test]
fn every_frame_says_who_made_it() {
    let b = Bench::new(1);
    for (id, part) in [(Reg::GICD_ID, 0x92), (Reg::GICR_ID, 0x93), (Reg::GITS_ID, 0x94)] {
        let all = (0..12).map(|n| b.get(id, n)).collect::<Vec<_>>();
        assert_eq!(
            all,
            [0x44, 0, 0, 0, part, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1],
            "{id:?}"
        );
    }
    for iidr in [Reg::GICD_IIDR, Reg::GICR_IIDR, Reg::GITS_IIDR] {
        assert_eq!(b.get(iidr, 0), 0x43b, "{iidr:?}");
    }
}
