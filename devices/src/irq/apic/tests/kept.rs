//! What registers are at first, what they keep of what is written to them, and which may be accessed how.

use super::*;

#[test]
fn registers_are_at_first_as_the_manual_says() {
    let b = Bench::new(2);
    for (reg, value) in [
        (ID, 1 << 24),
        (VERSION, 0x0106_0014),
        (TPR, 0),
        (PPR, 0),
        (LDR, 0),
        (DFR, u32::MAX),
        (SVR, 0xff),
        (ESR, 0),
        (ICR, 0),
        (ICR_HIGH, 0),
        (LVT_CMCI, MASKED),
        (LVT_TIMER, MASKED),
        (LVT_THERMAL, MASKED),
        (LVT_PERFORMANCE, MASKED),
        (LVT_LINT0, MASKED),
        (LVT_LINT1, MASKED),
        (LVT_ERROR, MASKED),
        (INITIAL, 0),
        (CURRENT, 0),
        (DIVIDE, 0),
    ] {
        assert_eq!(b.get_of(1, reg), value, "{reg:#x}");
    }
    let bases = [0, 1, 2].map(|cpu| b.cpu(cpu).base());
    assert_eq!(
        bases,
        [BASE | 0x900, BASE | 0x800, 0],
        "the first is the bootstrap processor"
    );
}

#[test]
fn registers_keep_their_bits_and_are_a_cpus_own() {
    let b = Bench::ready(2);
    for (reg, written, kept) in [
        (ID, !0, 0xff00_0000),
        (VERSION, 0, 0x0106_0014),
        (TPR, !0, 0xff),
        (PPR, 0, 0xff),
        (TPR, 0, 0),
        (EOI, !0, 0),
        (LDR, !0, 0xff00_0000),
        (DFR, 0, 0x0fff_ffff),
        (DFR, 0x5555_5555, 0x5fff_ffff),
        (ISR, !0, 0),
        (TMR, !0, 0),
        (IRR, !0, 0),
        (ICR_HIGH, !0, 0xff00_0000),
        (ICR_HIGH, 0, 0),
        (ICR, !0x400, 0x000c_cbff),
        (LVT_CMCI, !0, 0x0001_07ff),
        (LVT_TIMER, !0, 0x0007_00ff),
        (LVT_THERMAL, !0, 0x0001_07ff),
        (LVT_PERFORMANCE, !0, 0x0001_07ff),
        (LVT_LINT0, !0, 0x0001_a7ff),
        (LVT_LINT1, !0, 0x0001_a7ff),
        (LVT_ERROR, !0, 0x0001_00ff),
        (CURRENT, !0, 0),
        (DIVIDE, !0, 0xb),
        (SVR, !0, 0x13ff),
        (SVR, 0x1ff, 0x1ff),
        (0x90, !0, 0),
        (0xc0, !0, 0),
    ] {
        let other = b.get_of(0, reg);
        b.set_of(1, reg, written);
        assert_eq!((b.get_of(1, reg), b.get_of(0, reg)), (kept, other), "{reg:#x}");
    }
}

#[test]
fn registers_take_the_bytes_that_are_written() {
    let b = Bench::ready(1);
    let cpu = b.cpu(0);
    cpu.write(LVT_LINT0 + 1, 1, 0x07);
    assert_eq!(b.get(LVT_LINT0), 0x1_0700);
    cpu.write(LVT_LINT0, 2, 0x0431);
    assert_eq!((b.get(LVT_LINT0), cpu.read(LVT_LINT0 + 1, 1)), (0x1_0431, 4));
    cpu.write(LVT_LINT0, 8, 0x1_0000_0031);
    assert_eq!((cpu.read(LVT_LINT0, 8), cpu.read(LVT_LINT0 + 4, 4)), (0x31, 0));
    cpu.write(LVT_LINT0 + 2, 4, !0);
    assert_eq!((b.get(LVT_LINT0), cpu.read(LVT_LINT0 + 8, 8)), (0x31, 0));
}

#[test]
fn the_bus_reaches_the_page_of_the_cpu_that_accesses() {
    let b = Bench::ready(2);
    b.apics.write(Access::new(TPR, 4).by(1), 0x35);
    assert_eq!((b.get_of(0, TPR), b.get_of(1, TPR)), (0, 0x35));
    assert_eq!(b.apics.read(Access::new(TPR, 4).by(1)), 0x35);
    assert_eq!(b.apics.read(Access::new(SVR, 4).by(2)), 0, "there is no such CPU");
    b.apics.write(Access::new(ICR, 4).by(1), 0x8_4041);
    assert_eq!(b.interrupted(), [0, 1]);
}

/// Whether it reads, which bits can be written at all (`None`: none, not even zero).
type Msr = (u32, bool, Option<u64>);

#[test]
fn the_msrs_fault_as_their_table_says() {
    let table: [Msr; 25] = [
        (0x800, false, None),
        (0x802, true, None),
        (0x803, true, None),
        (0x808, true, Some(0xff)),
        (0x809, false, None),
        (0x80a, true, None),
        (0x80b, false, Some(0)),
        (0x80c, false, None),
        (0x80d, true, None),
        (0x80e, false, None),
        (0x80f, true, Some(0x13ff)),
        (0x810, true, None),
        (0x827, true, None),
        (0x828, true, Some(0)),
        (0x829, false, None),
        (0x82f, true, Some(0x1_17ff)),
        (0x830, true, Some(0xffff_ffff_000c_dfff)),
        (0x831, false, None),
        (0x832, true, Some(0x7_10ff)),
        (0x835, true, Some(0x1_f7ff)),
        (0x837, true, Some(0x1_10ff)),
        (0x838, true, Some(0xffff_ffff)),
        (0x839, true, None),
        (0x83e, true, Some(0xb)),
        (0x83f, false, Some(0xff)),
    ];
    let b = Bench::new(1);
    let cpu = b.cpu(0);
    for (msr, ..) in table {
        assert_eq!(cpu.read_msr(msr), Err(GeneralProtection), "{msr:#x} in xAPIC mode");
        assert_eq!(cpu.write_msr(msr, 0), Err(GeneralProtection), "{msr:#x} in xAPIC mode");
    }
    cpu.set_base(X2APIC).unwrap();
    for (msr, reads, bits) in table {
        assert_eq!(cpu.read_msr(msr).is_ok(), reads, "{msr:#x}");
        assert_eq!(cpu.write_msr(msr, 0).is_ok(), bits.is_some(), "{msr:#x}");
        for bit in (0..64).map(|n| 1u64 << n) {
            let fits = bits.is_some_and(|bits| bits & bit != 0);
            assert_eq!(cpu.write_msr(msr, bit).is_ok(), fits, "{msr:#x}: {bit:#x}");
        }
    }
    for msr in (0..0x800).chain(0x840..0x900).chain([0xbff, u32::MAX]) {
        assert_eq!(cpu.read_msr(msr), Err(GeneralProtection), "{msr:#x}");
        assert_eq!(cpu.write_msr(msr, 0), Err(GeneralProtection), "{msr:#x}");
    }
    assert_eq!(cpu.read_msr(0x828), Ok(0), "no place is reserved to an MSR");
}

#[test]
fn the_msrs_are_the_pages_registers() {
    let b = Bench::ready(2);
    b.set(LVT_TIMER, 0x40);
    b.set(TPR, 0x22);
    b.interrupt(0, 0x31);
    b.set(LDR, !0);
    b.set(ICR_HIGH, !0);
    let cpu = b.cpu(0);
    cpu.set_base(X2APIC).unwrap();

    for (msr, value) in [
        (0x803, 0x0106_0014),
        (0x808, 0x22),
        (0x80d, 1),
        (0x80f, 0x1ff),
        (0x821, 1 << 17),
        (0x830, 0),
        (0x832, 0x40),
    ] {
        assert_eq!(cpu.read_msr(msr), Ok(value), "{msr:#x} stays in the other mode");
    }
    assert_eq!(b.take(0), Some(0x31));
    assert_eq!((cpu.read_msr(0x811), cpu.read_msr(0x80a)), (Ok(1 << 17), Ok(0x30)));
    cpu.write_msr(0x80b, 0).unwrap();
    assert_eq!(cpu.read_msr(0x811), Ok(0));
    cpu.write_msr(0x830, 0x55_0000_4041).unwrap();
    assert_eq!(cpu.read_msr(0x830), Ok(0x55_0000_4041));
    cpu.write_msr(0x83f, 0x71).unwrap();
    assert_eq!(b.take(0), Some(0x71), "to itself");
    cpu.write_msr(0x83f, 0x01).unwrap();
    cpu.write_msr(0x828, 0).unwrap();
    assert_eq!(cpu.read_msr(0x828), Ok(0x60));
}

#[test]
fn modes_follow_each_other_as_the_figure_says() {
    let (off, on, extended, invalid) = (BASE, BASE | 0x800, X2APIC, BASE | 0x400);
    for (from, way) in [(off, vec![off]), (on, vec![on]), (extended, vec![on, extended])] {
        for (to, is_legal) in [
            (off, true),
            (on, from != extended),
            (extended, from != off),
            (invalid, false),
        ] {
            let b = Bench::new(2);
            let cpu = b.cpu(1);
            way.iter().for_each(|step| cpu.set_base(*step).unwrap());
            let result = if is_legal { Ok(()) } else { Err(GeneralProtection) };
            assert_eq!(cpu.set_base(to), result, "{from:#x} to {to:#x}");
            assert_eq!(cpu.base(), if is_legal { to } else { from });
        }
    }
}

#[test]
fn reserved_bits_of_the_base_fault() {
    let b = Bench::new(1);
    let cpu = b.cpu(0);
    for bit in 0..64 {
        let is_there = bit == 8 || bit == 10 || bit == 11 || (12..40).contains(&bit);
        let result = cpu.set_base(0x800 | 1 << bit);
        assert_eq!(result.is_ok(), is_there, "{bit}");
        // Back to where it was.
        cpu.set_base(BASE).unwrap();
        cpu.set_base(BASE | 0x800).unwrap();
    }
    let old = Bench::of(&[0], Model { x2apic: false, ..MODEL });
    assert_eq!(old.cpu(0).set_base(X2APIC), Err(GeneralProtection));
}

#[test]
fn the_page_is_where_the_base_says() {
    let b = Bench::new(1);
    let cpu = b.cpu(0);
    let mut pages = vec![cpu.page()];
    for base in [0xab_cdef_0900, BASE, BASE | 0x800, X2APIC] {
        cpu.set_base(base).unwrap();
        pages.push(cpu.page());
    }
    b.apics.reset();
    pages.push(cpu.page());
    assert_eq!(
        pages,
        [Some(BASE), Some(0xab_cdef_0000), None, Some(BASE), None, Some(BASE)]
    );
    assert_eq!(b.cpu(1).page(), None);
}

#[test]
fn an_apic_that_is_switched_off_forgets_all() {
    let b = Bench::ready(1);
    let cpu = b.cpu(0);
    b.set(ID, 9 << 24);
    b.set(LVT_TIMER, 0x40);
    b.interrupt(0, 0x31);
    assert!(b.irq(0));

    cpu.set_base(BASE | 0x100).unwrap();
    assert!(!b.irq(0));
    assert_eq!(
        (b.get(SVR), cpu.read_msr(0x80f)),
        (0, Err(GeneralProtection)),
        "nothing answers"
    );
    b.set(SVR, 0x1ff);
    cpu.set_base(BASE | 0x900).unwrap();

    let state = [ID, SVR, LVT_TIMER, IRR + 0x10].map(|reg| b.get(reg));
    assert_eq!(state, [0, 0xff, MASKED, 0]);
    assert!(!b.send(To::Cpu(0), 0x31, false));
}

#[test]
fn in_x2apic_mode_the_page_does_not_answer() {
    let b = Bench::ready(1);
    b.cpu(0).set_base(X2APIC).unwrap();
    b.set(TPR, 0x50);
    assert_eq!((b.get(SVR), b.cpu(0).read_msr(0x808)), (0, Ok(0)));
}

#[test]
fn whether_an_interrupt_may_come_is_known() {
    let b = Bench::new(2);
    let may = |cpu: usize| b.cpu(cpu).may_interrupt();
    assert_eq!([0, 1, 2].map(may), [false; 3]);
    b.set(SVR, 0x1ff);
    b.cpu(1).set_base(BASE).unwrap();
    assert_eq!([0, 1].map(may), [true; 2]);
}
