//! System management mode: there and back.

use super::*;
use crate::machine_for_tests::Bench;
use crate::mmu::{CURRENT, context};
use crate::state::bits::{cr4, eflags};

const SMBASE: u64 = 0x3_0000;

fn smi(b: &mut Bench) -> bool {
    b.cpu.sys.smbase = if b.cpu.sys.smbase == 0 {
        SMBASE
    } else {
        b.cpu.sys.smbase
    };
    let (cpu, mut m) = b.parts();
    enter(&mut m, cpu)
}
fn resume(b: &mut Bench) -> Result<(), Fault> {
    let (cpu, mut m) = b.parts();
    rsm(&mut m, cpu)
}

/// SDM 3, table 32-4.
#[test]
fn the_handler_starts_in_a_real_mode_of_4_gib() {
    let mut b = Bench::long(3);
    b.cpu.set_eflags(eflags::IF | eflags::TF);
    let outside = context(&b.cpu, CURRENT);

    assert!(smi(&mut b));

    let c = &b.cpu;
    let cs = c.segment(number::CS);
    assert_eq!(
        (cs.selector, cs.base, cs.limit, c.rip()),
        (0x3000, SMBASE, u32::MAX, 0x8000)
    );
    assert_eq!(
        (c.sys.cr0 & (cr0::PE | cr0::PG), c.sys.cr4, c.sys.efer, c.sys.dr7),
        (0, 0, 0, 0x400)
    );
    assert_eq!((c.eflags(), c.cpl()), (eflags::FIXED, 0));
    assert_eq!(c.segment(number::DS).limit, u32::MAX);
    assert_eq!(
        c.mode & (mode::SMM | mode::CODE32 | mode::CODE64 | mode::PROTECTED),
        mode::SMM
    );
    assert_ne!(c.sys.pending & pending::NMI_BLOCKED, 0);
    assert_ne!(context(c, CURRENT), outside, "G63");
    assert!(!smi(&mut b), "not within itself");
}

/// APM 2, table 10-1.
#[test]
fn the_state_is_where_the_map_says() {
    let mut b = Bench::long(3);
    b.cpu.regs = std::array::from_fn(|n| 0x1000 + n as u64);
    b.cpu.sys.gdtr.limit = 0x77;
    let before = b.cpu;

    smi(&mut b);

    for (at, size, value) in [
        (0xfe10, 2, before.segment(number::CS).selector.into()),
        (0xfe12, 2, before.segment(number::CS).attributes.into()),
        (0xfe24, 4, 0xffff_ffff),
        (0xfe64, 4, 0x77),
        (0xfe68, 8, before.sys.gdtr.base),
        (0xfe70, 2, before.sys.ldtr.selector.into()),
        (0xfe88, 8, before.sys.idtr.base),
        (0xfe98, 8, before.sys.tr.base),
        (0xfec9, 1, 0),
        (0xfed0, 8, before.sys.efer),
        (0xfefc, 4, 0x2_0064),
        (0xff00, 4, SMBASE),
        (0xff48, 8, before.sys.cr4),
        (0xff50, 8, before.sys.cr3),
        (0xff58, 8, before.sys.cr0),
        (0xff60, 8, before.sys.dr7),
        (0xff68, 8, before.sys.dr6),
        (0xff70, 8, 2),
        (0xff78, 8, 0x234),
        (0xff80, 8, 0x100f),
        (0xffd8, 8, 0x1004),
        (0xfff8, 8, 0x1000),
    ] {
        assert_eq!(b.engine.ram.get(SMBASE + at, size), value, "{at:#x}");
    }
}

/// G63: RSM brings back all, the halt too, from every mode.
#[test]
fn rsm_goes_on_where_it_was() {
    for mut b in [
        Bench::real(),
        Bench::protected(0),
        Bench::protected(3),
        Bench::virtual_8086(3),
        Bench::long(0),
        Bench::long(3),
    ] {
        for pending in [0, pending::HALTED, pending::NMI_BLOCKED] {
            b.cpu.regs = std::array::from_fn(|n| 0x1000 + n as u64);
            b.cpu.sys.pending = pending;
            b.cpu.sys.smbase = SMBASE;
            let before = b.cpu;
            smi(&mut b);
            b.cpu.regs = [7; 16];

            assert_eq!(resume(&mut b), Ok(()));

            assert_eq!(b.cpu, before);
        }
    }
}

#[test]
fn smbase_is_moved_by_what_is_written_to_the_area() {
    let mut b = Bench::protected(0);
    smi(&mut b);
    b.engine.ram.put(SMBASE + 0xff00, 4, 0x4_0000);

    resume(&mut b).unwrap();
    smi(&mut b);

    assert_eq!(b.cpu.pc, 0x4_8000);
    assert_eq!(b.engine.ram.get(0x4_0000 + 0xfefc, 4), 0x2_0064);
}

#[test]
fn rsm_is_for_system_management_mode() {
    assert_eq!(resume(&mut Bench::protected(0)), Err(UD));
}

/// SDM 3, 32.5: a state that no processor can be in shuts it down.
#[test]
fn an_impossible_state_is_a_shutdown() {
    for (at, value) in [
        (0xff58, cr0::PG),
        (0xff58, cr0::PE | cr0::NW),
        (0xff58, 1 << 32 | cr0::PE),
        (0xff48, 1 << 40),
        (0xff48, cr4::PSE),
    ] {
        let mut b = Bench::long(0);
        smi(&mut b);
        b.engine.ram.put(SMBASE + at, 8, value);
        let before = b.cpu;

        assert_eq!(resume(&mut b), Err(GIVE_UP), "{at:#x} {value:#x}");
        assert_eq!(b.cpu, before);
    }
}
