//! Whom messages are for, and what they do.

use super::*;

const LOGICAL: u32 = 1 << 11;
const ASSERT: u32 = 1 << 14;
const LEVEL: u32 = 1 << 15;
const VECTOR: u32 = 0x41;

/// The CPUs that have the vector requested; they forget it.
fn got(b: &Bench, cpus: usize) -> Vec<usize> {
    (0..cpus).filter(|cpu| b.take_all(*cpu) == [VECTOR as u8]).collect()
}

#[test]
fn a_physical_destination_is_one_cpu_or_all() {
    let b = Bench::of(&[0, 2, 5, 0xfe], MODEL);
    (0..4).for_each(|cpu| b.set_of(cpu, SVR, 0x1ff));
    for (id, cpus) in [
        (0x00, vec![0]),
        (0x02, vec![1]),
        (0x01, vec![]),
        (0xfe, vec![3]),
        (0xff, vec![0, 1, 2, 3]),
    ] {
        b.set_of(1, ICR_HIGH, id << 24);
        b.set_of(1, ICR, ASSERT | VECTOR);
        assert_eq!(got(&b, 4), cpus, "{id:#x}");
    }
}

#[test]
fn an_id_that_software_has_changed_is_the_one_that_counts() {
    let b = Bench::ready(2);
    b.set_of(1, ID, 0x4212_3456);
    assert_eq!(b.get_of(1, ID), 0x4200_0000);
    for (id, cpus) in [(0x42, vec![1]), (1, vec![])] {
        b.set(ICR_HIGH, id << 24);
        b.set(ICR, ASSERT | VECTOR);
        assert_eq!(got(&b, 2), cpus);
    }
}

#[test]
fn shorthands_name_who_sends() {
    for (shorthand, cpus) in [(1, vec![1]), (2, vec![0, 1, 2]), (3, vec![0, 2])] {
        let b = Bench::ready(3);
        b.set_of(1, ICR_HIGH, 0x77 << 24);
        b.set_of(1, ICR, shorthand << 18 | ASSERT | VECTOR);
        assert_eq!(got(&b, 3), cpus, "{shorthand}");
    }
}

#[test]
fn flat_and_cluster_ids_are_sets() {
    let flat = [0x01, 0x02, 0x04, 0x80];
    let cluster = [0x11, 0x12, 0x21, 0xe8];
    let (is_flat, is_cluster, is_neither) = (u32::MAX, 0x0fff_ffff, 0x7fff_ffff);
    for (format, own, ids, cpus) in [
        (is_flat, flat, 0x01, vec![0]),
        (is_flat, flat, 0x86, vec![1, 2, 3]),
        (is_flat, flat, 0x78, vec![]),
        (is_flat, flat, 0x00, vec![]),
        (is_flat, [0; 4], 0x01, vec![]),
        (is_flat, [0; 4], 0xff, vec![0, 1, 2, 3]),
        (is_cluster, cluster, 0x11, vec![0]),
        (is_cluster, cluster, 0x13, vec![0, 1]),
        (is_cluster, cluster, 0x23, vec![2]),
        (is_cluster, cluster, 0x10, vec![]),
        (is_cluster, cluster, 0x31, vec![]),
        (is_cluster, cluster, 0xe8, vec![3]),
        (is_cluster, cluster, 0xf1, vec![0, 2]),
        (is_cluster, cluster, 0xff, vec![0, 1, 2, 3]),
        (is_neither, cluster, 0x11, vec![]),
    ] {
        let b = Bench::ready(4);
        for (cpu, own) in own.into_iter().enumerate() {
            b.set_of(cpu, DFR, format);
            b.set_of(cpu, LDR, own << 24);
        }
        b.set(ICR_HIGH, ids << 24);
        b.set(ICR, LOGICAL | ASSERT | VECTOR);
        assert_eq!(got(&b, 4), cpus, "{ids:#x} with {format:#x}");
    }
}

/// CPUs in x2APIC mode, enabled.
fn x2apic(ids: &[u32]) -> Bench {
    let b = Bench::of(ids, MODEL);
    for cpu in 0..ids.len() {
        b.cpu(cpu).set_base(X2APIC).unwrap();
        b.cpu(cpu).write_msr(0x80f, 0x1ff).unwrap();
    }
    b
}

fn x2_got(b: &Bench, cpus: usize) -> Vec<usize> {
    let take = |cpu: &usize| {
        let vector = b.take(*cpu);
        b.cpu(*cpu).write_msr(0x80b, 0).unwrap();
        vector == Some(VECTOR as u8)
    };
    (0..cpus).filter(take).collect()
}

#[test]
fn x2apic_ids_have_32_bits() {
    let ids = [0, 0x13, 0xff, 0x100, 0x12_3456];
    let b = x2apic(&ids);
    let logical = |icr: u64| icr | u64::from(LOGICAL);
    for (icr, cpus) in [
        (0x13 << 32, vec![1]),
        (0xff << 32, vec![2]),
        (0x100 << 32, vec![3]),
        (0x12_3456 << 32, vec![4]),
        (0x56 << 32, vec![]),
        (0xffff_ffff << 32, vec![0, 1, 2, 3, 4]),
        (logical(0x0000_0001 << 32), vec![0]),
        (logical(0x0001_0008 << 32), vec![1]),
        (logical(0x0001_fff7 << 32), vec![]),
        (logical(0x000f_8000 << 32), vec![2]),
        (logical(0x0010_ffff << 32), vec![3]),
        (logical(0xffff_ffff << 32), vec![0, 1, 2, 3, 4]),
    ] {
        b.cpu(0).write_msr(0x830, icr | 0x41).unwrap();
        assert_eq!(x2_got(&b, 5), cpus, "{icr:#x}");
    }
    assert_eq!(b.cpu(4).read_msr(0x802), Ok(0x12_3456));
    assert_eq!(b.cpu(1).read_msr(0x80d), Ok(0x1_0008));
}

#[test]
fn eight_bits_of_destination_reach_the_first_255_in_x2apic_mode() {
    let b = x2apic(&[0, 9, 0xff, 0x100]);
    for (to, cpus) in [
        (To::field(9, false), vec![1]),
        (To::field(0xff, false), vec![0, 1, 2, 3]),
        (To::field(0x01, true), vec![0]),
        (To::field(0xff, true), vec![0, 1, 2, 3]),
        (To::wide(0xff, false), vec![2]),
    ] {
        b.send(to, VECTOR as u8, false);
        assert_eq!(x2_got(&b, 4), cpus, "{to:?}");
    }
}

#[test]
fn modes_may_be_mixed() {
    let b = Bench::ready(3);
    b.set_of(1, LDR, 0x1000_0000);
    b.cpu(0).set_base(X2APIC).unwrap();

    b.cpu(0).write_msr(0x830, 1 << 32 | u64::from(VECTOR)).unwrap();
    assert_eq!(b.take_all(1), [VECTOR as u8]);
    b.cpu(0).write_msr(0x830, 0x101 << 32 | u64::from(VECTOR)).unwrap();
    assert_eq!(
        b.interrupted(),
        NOBODY,
        "an id of eight bits is no other one's lower half"
    );
    b.cpu(0)
        .write_msr(0x830, 0x10 << 32 | u64::from(LOGICAL | VECTOR))
        .unwrap();
    assert_eq!(b.take_all(1), [VECTOR as u8]);
    b.cpu(0)
        .write_msr(0x830, 0x110 << 32 | u64::from(LOGICAL | VECTOR))
        .unwrap();
    assert_eq!(b.interrupted(), NOBODY);
    b.set_of(1, ICR_HIGH, 0);
    b.set_of(1, ICR, ASSERT | VECTOR);
    assert_eq!(b.interrupted(), [0]);
}

#[test]
fn of_255_cpus_each_is_reached() {
    let b = Bench::ready(255);
    for id in 0..255 {
        b.set(ICR_HIGH, id << 24);
        b.set(ICR, ASSERT | VECTOR);
        assert_eq!(b.interrupted(), [id as usize]);
        assert_eq!(b.take_all(id as usize), [VECTOR as u8]);
    }
    b.set(ICR, 3 << 18 | ASSERT | VECTOR);
    assert_eq!(b.interrupted(), (1..255).collect::<Vec<_>>());
}

#[test]
fn the_lowest_priority_gets_it_and_of_equals_different_ones() {
    let lowest = |b: &Bench, vector: u32| {
        b.set(ICR_HIGH, 0xff << 24);
        b.set(ICR, LOGICAL | ASSERT | 0x100 | vector);
        let got = b.interrupted();
        got.iter().for_each(|cpu| drop(b.take_all(*cpu)));
        got
    };
    let b = Bench::ready(4);
    for (cpu, task) in [0x30, 0x20, 0x10, 0x20].into_iter().enumerate() {
        b.set_of(cpu, TPR, task);
    }
    assert_eq!(lowest(&b, 0x41), [2]);
    b.interrupt(2, 0x50);
    b.take(2);
    let taken: Vec<_> = (0x40..0x44).flat_map(|vector| lowest(&b, vector)).collect();
    assert_eq!(taken, [1, 3, 1, 3], "in service counts");
    b.set_of(1, SVR, 0xff);
    b.set_of(3, SVR, 0xff);
    assert_eq!(lowest(&b, 0x41), [0], "those that are not enabled take nothing");
}

#[test]
fn nmi_smi_init_and_start_up_reach_cpus_that_software_has_not_enabled() {
    let b = Bench::new(3);
    for (mode, event) in [
        (0x200, Edge(CpuLine::Smi)),
        (0x400, Edge(CpuLine::Nmi)),
        (0x500, Edge(CpuLine::Init)),
        (0x608, StartUp(8)),
    ] {
        b.set(ICR_HIGH, 1 << 24);
        b.set(ICR, ASSERT | mode);
        assert_eq!(b.events(), [(1, event)]);
        b.set(ICR, 3 << 18 | ASSERT | mode);
        assert_eq!(b.events(), [(1, event), (2, event)]);
    }
    assert_eq!((b.errors(0), b.errors(1)), (0, 0), "a page is no vector");
}

#[test]
fn reserved_commands_and_the_end_of_init_do_nothing() {
    let b = Bench::ready(2);
    b.set(ICR_HIGH, 1 << 24);
    for (command, events) in [
        (0x300 | ASSERT | VECTOR, 0),
        (0x700 | ASSERT | VECTOR, 0),
        (0x500 | LEVEL, 0),
        (0x500 | LEVEL | ASSERT, 1),
        (0x500, 1),
    ] {
        b.set(ICR, command);
        assert_eq!((b.events().len(), b.interrupted()), (events, vec![]), "{command:#x}");
        assert_eq!(b.get(ICR), command, "idle");
    }
    b.set(ICR, LEVEL | VECTOR);
    assert_eq!(
        (b.interrupted(), b.vectors(1, TMR)),
        (vec![1], vec![]),
        "all of them are edges"
    );
}

#[test]
fn init_and_two_start_ups_are_told_in_their_order() {
    let b = Bench::new(2);
    b.set(ICR_HIGH, 1 << 24);
    for command in [0x500 | ASSERT | LEVEL, 0x500 | LEVEL, 0x608, 0x609] {
        b.set(ICR, command);
    }
    let expected = [Edge(CpuLine::Init), StartUp(8), StartUp(9)].map(|event| (1, event));
    assert_eq!(b.events(), expected);
}

#[test]
fn init_resets_all_but_place_mode_and_identification() {
    let b = Bench::ready(2);
    b.set_of(1, ID, 7 << 24);
    b.set_of(1, LVT_LINT0, 0x700);
    b.set_of(1, LDR, 1 << 24);
    b.set_of(1, DFR, 0);
    b.set_of(1, TPR, 0x10);
    b.set_of(1, LVT_TIMER, 0x40);
    b.set_of(1, INITIAL, 1000);
    b.interrupt(1, 0x50);
    b.interrupt(1, 0x60);
    b.take(1);
    b.cpu(1).set_base(0x1234_5000 | 0x800).unwrap();

    b.cpu(1).init();

    let fresh = Bench::new(2);
    assert_eq!(b.cpu(1).base(), 0x1234_5800);
    assert_eq!(b.get_of(1, ID), 7 << 24);
    for reg in (0x80..0x400).step_by(16).filter(|reg| ![0x290, 0x3f0].contains(reg)) {
        assert_eq!(b.get_of(1, reg), fresh.get_of(1, reg), "{reg:#x}");
    }
    b.clock.advance(10_000);
    assert_eq!(b.interrupted(), NOBODY);

    b.cpu(0).set_base(X2APIC).unwrap();
    b.cpu(0).init();
    assert_eq!(b.cpu(0).base(), X2APIC, "the mode stays");
    b.cpu(0).set_base(BASE).unwrap();
    b.cpu(0).init();
    assert_eq!(b.cpu(0).base(), BASE, "and so does its being off");
}

#[test]
fn devices_interrupt_by_a_store() {
    let all = vec![0, 1, 2];
    for (address, data, cpus) in [
        (0xfee0_1000, VECTOR, vec![1]),
        (0xfee0_2000, VECTOR, vec![2]),
        (0xfeef_f000, VECTOR, all.clone()),
        (0xfee0_3004, VECTOR, vec![0, 1]),
        (0xfee0_6004, VECTOR, vec![1, 2]),
        (0xfee0_600c, VECTOR, vec![1]),
        (0xfee0_6004, 0x100 | VECTOR, vec![1]),
        (0xfee0_1000, LEVEL | ASSERT | VECTOR, vec![1]),
        (0xfee0_1000, LEVEL | VECTOR, vec![]),
        (0xfee0_1000, 0x300 | VECTOR, vec![]),
        (0xfee0_1000, 0x600 | VECTOR, vec![]),
        (0xfed0_1000, VECTOR, vec![]),
        (0x1_fee0_1000, VECTOR, vec![]),
        (0xfee0_9000, VECTOR, vec![]),
    ] {
        let b = Bench::ready(3);
        (0..3).for_each(|cpu| b.set_of(cpu, LDR, 1 << (24 + cpu)));
        b.set_of(2, TPR, 0x10);
        b.bus.message(address, data);
        let level = if data & LEVEL != 0 { vec![VECTOR as u8] } else { vec![] };
        for cpu in &cpus {
            assert_eq!(b.vectors(*cpu, TMR), level);
        }
        assert_eq!(got(&b, 3), cpus, "{address:#x} {data:#x}");
    }
}

#[test]
fn a_store_may_be_another_kind_of_interrupt() {
    let b = Bench::ready(2);
    b.set_of(1, TPR, 0xff);
    for (data, event) in [(0x200, CpuLine::Smi), (0x400, CpuLine::Nmi), (0x500, CpuLine::Init)] {
        b.bus.message(0xfee0_1000, data);
        assert_eq!(b.events(), [(1, Edge(event))]);
    }
    b.bus.message(0xfee0_1000, 0x700);
    assert_eq!(b.take(1), Some(PIC_VECTOR));
    assert!(!b.irq(1), "a message announces one");
    b.set_of(1, SVR, 0xff);
    b.bus.message(0xfee0_1000, 0x700);
    assert!(!b.irq(1));
}

#[test]
fn who_has_no_apic_is_not_reached() {
    let b = Bench::ready(2);
    b.cpu(1).set_base(BASE).unwrap();
    for command in [VECTOR, 0x400, 0x500, 0x608] {
        b.set(ICR, 3 << 18 | ASSERT | command);
    }
    assert_eq!((b.events(), b.interrupted()), (vec![], vec![]));
}

#[test]
fn messages_between_threads_are_not_lost() {
    const CPUS: usize = 4;
    let b = Bench::ready(CPUS as u32);
    let rounds = if cfg!(miri) { 3 } else { 100 };
    // Each CPU starts with a message of a vector of its own, which goes round for ever.
    let first = |n: usize| 0x40 + 0x10 * n as u8;
    (0..CPUS).for_each(|cpu| b.interrupt(cpu, first(cpu)));
    let pass_on = &|cpu: usize| {
        let (apic, mut seen) = (b.cpu(cpu), [0; CPUS]);
        while seen.iter().any(|times| *times < rounds) {
            emu_ir::testing::until("a message", || b.irq(cpu));
            let vector = apic.acknowledge();
            apic.write(EOI, 4, 0);
            seen[usize::from(vector - 0x40) / 0x10] += 1;
            apic.write(ICR_HIGH, 4, ((cpu + 1) % CPUS) as u64 * 0x100_0000);
            apic.write(ICR, 4, u64::from(ASSERT) | u64::from(vector));
        }
    };
    std::thread::scope(|scope| (0..CPUS).for_each(|cpu| drop(scope.spawn(move || pass_on(cpu)))));
}
