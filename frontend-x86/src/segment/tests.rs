//! Selectors that registers are loaded with, against the manual's checks.

use super::*;
use crate::fault::{UD, page, pf};
use crate::machine_for_tests::{Bench, CODE, GDT, descriptor, sel};
use crate::state::bits::cr4;
use number::{DS, FS, SS};

const fn code(s: u16) -> u32 {
    code_of(s)
}

/// SDM 2, MOV: "Loads a segment register in protected mode".
#[test]
fn registers_of_data_are_loaded_with_what_can_be_read_from_this_level() {
    for (cpl, selector, expected) in [
        (0, sel::DATA0, Ok(())),
        (0, sel::DATA3 | 3, Ok(())),
        (3, sel::DATA3 | 3, Ok(())),
        (3, sel::DATA3, Ok(())),
        (0, sel::DATA0 | 1, Err(gp(code(sel::DATA0)))),
        (3, sel::DATA0 | 3, Err(gp(code(sel::DATA0)))),
        (0, sel::CODE0, Ok(())),
        (3, sel::CODE0, Err(gp(code(sel::CODE0)))),
        (3, sel::CONFORMING | 3, Ok(())),
        (0, sel::EXECUTE_ONLY, Err(gp(code(sel::EXECUTE_ONLY)))),
        (0, sel::READ_ONLY, Ok(())),
        (0, sel::TSS, Err(gp(code(sel::TSS)))),
        (0, sel::ABSENT, Err(np(code(sel::ABSENT)))),
        (0, 0x100, Err(gp(0x100))),
        (0, 0xf8 | 3, Err(gp(0xf8))),
        (0, 0x10c, Err(gp(0x10c))),
        (0, 0, Ok(())),
        (3, 3, Ok(())),
    ] {
        let mut b = Bench::protected(cpl);
        let before = b.cpu;
        let (cpu, mut m) = b.parts();

        let done = load(&mut m, cpu, DS, selector);

        assert_eq!(done, expected, "{cpl} {selector:#x}");
        if done.is_err() {
            assert_eq!(b.cpu, before);
        } else {
            assert_eq!(b.cpu.segment(DS).selector, selector);
        }
    }
}

#[test]
fn stacks_are_of_this_level() {
    for (cpl, selector, expected) in [
        (0, sel::DATA0, Ok(())),
        (1, sel::DATA1 | 1, Ok(())),
        (3, sel::DATA3 | 3, Ok(())),
        (3, sel::DATA3, Err(gp(code(sel::DATA3)))),
        (0, sel::DATA3, Err(gp(code(sel::DATA3)))),
        (0, sel::READ_ONLY, Err(gp(code(sel::READ_ONLY)))),
        (0, sel::CODE0, Err(gp(code(sel::CODE0)))),
        (0, sel::ABSENT, Err(ss(code(sel::ABSENT)))),
        (0, 0, Err(gp(0))),
        (0, 0x200, Err(gp(0x200))),
    ] {
        let mut b = Bench::protected(cpl);
        let (cpu, mut m) = b.parts();

        assert_eq!(load(&mut m, cpu, SS, selector), expected, "{cpl} {selector:#x}");
    }
}

/// G35: SDM 3, 5.4.1.1.
#[test]
fn in_64_bit_mode_ss_may_be_null_below_level_3() {
    for (cpl, selector, expected) in [(0, 0, Ok(())), (0, 1, Err(gp(0))), (3, 3, Err(gp(0)))] {
        let mut b = Bench::long(cpl);
        let (cpu, mut m) = b.parts();

        assert_eq!(load(&mut m, cpu, SS, selector), expected, "{cpl} {selector}");
    }
    let mut b = Bench::long(0);
    *b.cpu.segment_mut(number::CS) = b.cpu.segments[usize::from(DS)];
    let compatibility = Segment {
        attributes: CODE,
        ..*b.cpu.segment(number::CS)
    };
    *b.cpu.segment_mut(number::CS) = compatibility;
    b.cpu.settle();
    let (cpu, mut m) = b.parts();
    assert_eq!(load(&mut m, cpu, SS, 0), Err(gp(0)), "compatibility mode");
}

#[test]
fn a_null_selector_leaves_nothing_to_access() {
    let mut b = Bench::long(0);
    b.cpu.segment_mut(FS).base = 0x1234;
    let (cpu, mut m) = b.parts();

    load(&mut m, cpu, FS, 2).unwrap();

    let null = Segment {
        selector: 2,
        ..Segment::default()
    };
    assert_eq!(*b.cpu.segment(FS), null);
}

#[test]
fn a_descriptor_that_is_loaded_is_marked_as_accessed() {
    let mut b = Bench::protected(0);
    let before = b.described(sel::READ_ONLY);
    let (cpu, mut m) = b.parts();

    load(&mut m, cpu, DS, sel::READ_ONLY).unwrap();

    assert_eq!(b.described(sel::READ_ONLY), before | 1 << 40);
    assert!(b.cpu.segment(DS).has(Attributes::ACCESSED));
}

/// The mark is made in what is there, and by no other byte.
#[test]
fn marking_a_descriptor_keeps_what_others_write_there() {
    let mut b = Bench::protected(0);
    let access = GDT + u64::from(sel::READ_ONLY) + 5;
    b.engine.ram.raced = Some((access, 0x98 | 0x40));
    let (cpu, mut m) = b.parts();

    load(&mut m, cpu, DS, sel::READ_ONLY).unwrap();

    assert_eq!(b.engine.ram.get(access, 1), 0x98 | 0x40 | 1);
}

#[test]
fn the_local_table_counts_if_there_is_one() {
    let mut b = Bench::protected(0);
    b.describe(0xc, descriptor(0x1_2340, 0xfff, 0x092));
    let (cpu, mut m) = b.parts();
    load(&mut m, cpu, DS, 0xc).unwrap();
    assert_eq!(b.cpu.segment(DS).base, 0x1_2340);

    b.cpu.sys.ldtr = Segment::default();
    let (cpu, mut m) = b.parts();
    assert_eq!(load(&mut m, cpu, DS, 0xc), Err(gp(0xc)));
}

/// Tables are the supervisor's, and their faults are its.
#[test]
fn a_table_that_is_not_there_is_a_page_fault_of_the_supervisor() {
    let mut b = Bench::long(3);
    b.cpu.sys.gdtr.base = 0x7fff_0000;
    let (cpu, mut m) = b.parts();

    let at = 0x7fff_0000 + u64::from(sel::DATA3);
    assert_eq!(load(&mut m, cpu, DS, sel::DATA3), Err(page(at, 0)));
}

/// A table that cannot be written: the mark faults.
#[test]
fn marking_a_descriptor_is_a_write_of_the_supervisor() {
    let mut b = Bench::long(0);
    b.engine.ram.put(0x10_2000, 8, 0xe5);
    let (cpu, mut m) = b.parts();

    let at = GDT + u64::from(sel::DATA3) + 5;
    assert_eq!(load(&mut m, cpu, DS, sel::DATA3), Err(page(at, pf::P | pf::W)));
}

/// "Big real mode": the limit stays.
#[test]
fn real_mode_changes_the_base_alone() {
    let mut b = Bench::real();
    b.cpu.segment_mut(DS).limit = u32::MAX;
    let (cpu, mut m) = b.parts();

    load(&mut m, cpu, DS, 0x1234).unwrap();

    let ds = b.cpu.segment(DS);
    assert_eq!((ds.base, ds.limit, ds.selector), (0x1_2340, u32::MAX, 0x1234));
}

#[test]
fn virtual_8086_mode_sets_all_of_a_register() {
    let mut b = Bench::virtual_8086(3);
    b.cpu.segment_mut(DS).limit = u32::MAX;
    let (cpu, mut m) = b.parts();

    load(&mut m, cpu, DS, 0x1234).unwrap();

    assert_eq!(*b.cpu.segment(DS), virtual_8086(0x1234));
    assert_eq!((b.cpu.segment(DS).limit, b.cpu.segment(DS).dpl()), (0xffff, 3));
}

/// SDM 2, LAR and LSL.
#[test]
fn access_rights_and_limits_are_told_of_what_this_level_may_see() {
    for (cpl, selector, rights, limit) in [
        (0, sel::CODE0, Some(0xc0_9a00), Some(u32::MAX)),
        (3, sel::CODE0, None, None),
        (3, sel::CONFORMING, Some(0xc0_9e00), Some(u32::MAX)),
        (0, sel::DATA0 | 3, None, None),
        (0, sel::TSS, Some(0x8b00), Some(0x67)),
        (0, sel::LDT, Some(0x8200), Some(0xff)),
        (0, sel::ABSENT, Some(0xc0_1200), Some(u32::MAX)),
        (0, sel::FREE, Some(0x8c00), None),
        (0, sel::FREE2, None, None),
        (0, 0, None, None),
        (0, 0x300, None, None),
    ] {
        let mut b = Bench::protected(cpl);
        b.describe(sel::FREE, descriptor(0, 0, 0x8c));
        b.describe(sel::FREE2, descriptor(0, 0, 0x8e));
        let (cpu, mut m) = b.parts();

        assert_eq!(lar(&mut m, cpu, selector), Ok(rights), "{cpl} {selector:#x}");
        assert_eq!(lsl(&mut m, cpu, selector), Ok(limit), "{cpl} {selector:#x}");
    }
}

#[test]
fn long_mode_has_fewer_kinds_of_descriptors() {
    for (kind, rights, limit) in [
        (kind::TSS16, false, false),
        (kind::LDT, true, true),
        (kind::CALL16, false, false),
        (kind::TASK, false, false),
        (kind::TSS32, true, true),
        (kind::TSS32 | kind::BUSY, true, true),
        (kind::CALL32, true, false),
    ] {
        let mut b = Bench::long(0);
        b.describe(sel::FREE, descriptor(0, 0, 0x80 | kind));
        let (cpu, mut m) = b.parts();

        assert_eq!(lar(&mut m, cpu, sel::FREE).unwrap().is_some(), rights, "{kind}");
        assert_eq!(lsl(&mut m, cpu, sel::FREE).unwrap().is_some(), limit, "{kind}");
    }
}

#[test]
fn segments_are_verified_for_reading_and_writing() {
    for (cpl, selector, read, write) in [
        (0, sel::DATA0, true, true),
        (0, sel::READ_ONLY, true, false),
        (0, sel::CODE0, true, false),
        (0, sel::EXECUTE_ONLY, false, false),
        (3, sel::DATA0, false, false),
        (3, sel::CONFORMING, true, false),
        (0, sel::TSS, false, false),
        (0, 0, false, false),
    ] {
        let mut b = Bench::protected(cpl);
        let (cpu, mut m) = b.parts();

        assert_eq!(verr(&mut m, cpu, selector), Ok(read), "{selector:#x}");
        assert_eq!(verw(&mut m, cpu, selector), Ok(write), "{selector:#x}");
    }
}

#[test]
fn arpl_raises_and_never_lowers() {
    let cpu = Bench::protected(3).cpu;

    assert_eq!(arpl(&cpu, 0x10, 0x23), Ok((0x13, true)));
    assert_eq!(arpl(&cpu, 0x13, 0x21), Ok((0x13, false)));
    assert_eq!(arpl(&cpu, 0x12, 0x22), Ok((0x12, false)));
}

#[test]
fn real_and_virtual_8086_mode_have_no_descriptors_to_ask_about() {
    for mut b in [Bench::real(), Bench::virtual_8086(3)] {
        let (cpu, mut m) = b.parts();

        assert_eq!(lar(&mut m, cpu, 8), Err(UD));
        assert_eq!(verr(&mut m, cpu, 8), Err(UD));
        assert_eq!(arpl(cpu, 8, 9), Err(UD));
        assert_eq!(lldt(&mut m, cpu, 0), Err(UD));
        assert_eq!(ltr(&mut m, cpu, 8), Err(UD));
    }
}

/// SDM 2, LGDT.
#[test]
fn table_registers_take_as_many_bits_as_the_operand_has() {
    for (mut b, operand_size, base) in [
        (Bench::real(), 2, 0x56_7890),
        (Bench::protected(0), 2, 0x56_7890),
        (Bench::protected(0), 4, 0x3456_7890),
        (Bench::long(0), 4, 0x7f12_3456_7890),
    ] {
        lgdt(&mut b.cpu, 0x1234, 0x7f12_3456_7890, operand_size).unwrap();
        lidt(&mut b.cpu, 0x5678, 0x7f12_3456_7890, operand_size).unwrap();

        let s = &b.cpu.sys;
        assert_eq!((s.gdtr.base, s.gdtr.limit), (base, 0x1234));
        assert_eq!((s.idtr.base, s.idtr.limit), (base, 0x5678));
    }
    assert_eq!(lgdt(&mut Bench::long(0).cpu, 0, 1 << 60, 8), Err(gp(0)));
    assert_eq!(lidt(&mut Bench::protected(1).cpu, 0, 0, 4), Err(gp(0)));
}

#[test]
fn umip_keeps_table_registers_from_programs() {
    for (umip, cpl, fine) in [(true, 3, false), (true, 0, true), (false, 3, true)] {
        let mut b = Bench::protected(cpl);
        b.cpu.sys.cr4 = if umip { cr4::UMIP } else { 0 };

        assert_eq!(may_store(&b.cpu), if fine { Ok(()) } else { Err(gp(0)) });
    }
}

#[test]
fn the_task_register_takes_a_task_that_is_not_busy_and_makes_it_so() {
    for (selector, expected) in [
        (sel::TSS2, Ok(())),
        (sel::TSS, Err(gp(code(sel::TSS)))),
        (sel::CODE0, Err(gp(code(sel::CODE0)))),
        (0, Err(gp(0))),
        (sel::TSS2 | 4, Err(gp(code(sel::TSS2 | 4)))),
        (sel::FREE, Err(np(code(sel::FREE)))),
        (0x400, Err(gp(0x400))),
    ] {
        let mut b = Bench::protected(0);
        b.describe(sel::FREE, descriptor(0, 0x67, 0x09));
        let (cpu, mut m) = b.parts();

        assert_eq!(ltr(&mut m, cpu, selector), expected, "{selector:#x}");
        if expected.is_ok() {
            assert_eq!((b.described(selector) >> 40) as u8, 0x8b);
            assert_eq!((b.cpu.sys.tr.selector, b.cpu.sys.tr.attributes), (selector, 0x8b));
        }
    }
    let mut b = Bench::protected(3);
    let (cpu, mut m) = b.parts();
    assert_eq!(ltr(&mut m, cpu, sel::TSS2), Err(gp(0)));
    assert_eq!(lldt(&mut m, cpu, 0), Err(gp(0)));
}

#[test]
fn of_two_cpus_that_load_a_task_one_finds_it_busy() {
    let mut b = Bench::protected(0);
    let before = b.cpu;
    b.engine.ram.raced = Some((GDT + u64::from(sel::TSS2) + 5, 0x8b));
    let (cpu, mut m) = b.parts();

    assert_eq!(ltr(&mut m, cpu, sel::TSS2), Err(gp(code(sel::TSS2))));
    assert_eq!(b.cpu, before);
}

#[test]
fn the_local_table_is_a_descriptor_of_16_bytes_in_long_mode() {
    for (upper, expected) in [
        (0x1234, Ok(0x1234_0000_1800)),
        (1 << 40 | 0x12, Err(gp(code(sel::LDT)))),
        (0x8000, Err(gp(code(sel::LDT)))),
    ] {
        let mut b = Bench::long(0);
        b.describe(sel::LDT + 8, upper);
        let (cpu, mut m) = b.parts();

        let done = lldt(&mut m, cpu, sel::LDT);

        assert_eq!(done.map(|()| b.cpu.sys.ldtr.base), expected, "{upper:#x}");
    }
}

#[test]
fn the_local_table_is_one_or_none() {
    for (selector, expected) in [
        (sel::LDT, Ok(())),
        (0, Ok(())),
        (sel::DATA0, Err(gp(code(sel::DATA0)))),
        (sel::LDT | 4, Err(gp(code(sel::LDT | 4)))),
        (sel::FREE, Err(np(code(sel::FREE)))),
    ] {
        let mut b = Bench::protected(0);
        b.describe(sel::FREE, descriptor(0, 0x67, 0x02));
        let (cpu, mut m) = b.parts();

        assert_eq!(lldt(&mut m, cpu, selector), expected, "{selector:#x}");
        if expected.is_ok() {
            assert_eq!(b.cpu.sys.ldtr.has(Attributes::P), selector != 0);
        }
    }
}

/// What a register says of itself, that it may be loaded again, holds for every descriptor and selector; and it is said of all
/// that it holds for.
#[test]
fn what_leaves_a_register_as_it_is_is_known() {
    let mut random = emu_ir::testing::Random::new(0x5e6);
    let mut kept = 0;
    for _ in 0..20_000 {
        let accessed = u64::from(random.below(4) != 0) << 40;
        let descriptor = random.next() & !(1 << 40) | accessed | (u64::from(random.below(8) != 0) * (9 << 44));
        let selector = (random.below(8) as u16) << 3 | random.word() as u16 & 7;
        let mut b = Bench::protected(0);
        b.describe(selector, descriptor);
        let was = Descriptor(descriptor).segment(selector);
        let loaded = was.loaded();
        *b.cpu.segment_mut(number::FS) = was;
        b.cpu.settle_segment(number::FS);

        let model = b.model;
        let done = {
            let mut m = Memory::new(&model, &mut b.engine.ram);
            load(&mut m, &mut b.cpu, number::FS, selector)
        };

        let same = done.is_ok() && *b.cpu.segment(number::FS) == was && !is_null(selector) && selector & 4 == 0;
        let says = loaded.selector == u32::from(selector) && loaded.descriptor == descriptor;
        assert_eq!(says, same, "{descriptor:#x} by {selector:#x}: {done:?}");
        kept += u32::from(says);
    }
    assert!((2000..10_000).contains(&kept), "{kept}");
}
