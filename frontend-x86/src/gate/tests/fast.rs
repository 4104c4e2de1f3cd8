//! SYSENTER, SYSEXIT, SYSCALL, SYSRET, SWAPGS.

use super::super::*;
use crate::fault::{UD, gp};
use crate::machine_for_tests::{Bench, shown};
use crate::state::bits::{efer, eflags};
use emu_ir::Fault;

const NEXT: u64 = 0x7fff_0000_0236;
const FLAT: u16 = 0xc00 | Attributes::P | Attributes::S;
const CODE: u16 = FLAT | Attributes::CODE | Attributes::READABLE;
const DATA: u16 = FLAT | Attributes::WRITABLE;
const CODE64: u16 = CODE ^ Attributes::DB ^ Attributes::L;

fn segments(b: &Bench) -> [(u16, u64, u16); 2] {
    [number::CS, number::SS].map(|n| shown(b.cpu.segment(n)))
}

/// G17: registers; no descriptor is read, as the table is garbage.
#[test]
fn syscall_and_sysret_need_no_descriptors() {
    let mut b = Bench::long(3);
    b.cpu.sys.gdtr.limit = 0;
    b.cpu.sys.star = 0x0023_0010 << 32 | 0x1111;
    b.cpu.sys.lstar = 0xffff_8000_0000_1000;
    b.cpu.sys.fmask = (eflags::IF | eflags::TF | eflags::CF).into();
    b.cpu.set_eflags(eflags::IF | eflags::CF | eflags::ZF | eflags::AC);
    let flags = u64::from(b.cpu.eflags());

    syscall(&mut b.cpu, &b.model, NEXT).unwrap();

    let c = &b.cpu;
    assert_eq!(
        (c.pc, c.regs[1], c.regs[11], c.cpl()),
        (0xffff_8000_0000_1000, NEXT, flags, 0)
    );
    assert_eq!(c.eflags(), eflags::ZF | eflags::AC | eflags::FIXED);
    assert_eq!(segments(&b), [(0x10, 0, CODE64), (0x18, 0, DATA)]);

    b.cpu.regs[11] = u64::MAX;
    sysret(&mut b.cpu, &b.model, 8).unwrap();

    assert_eq!((b.cpu.pc, b.cpu.cpl(), b.cpu.eflags()), (NEXT, 3, 0x3c_7fd7));
    assert_eq!(segments(&b), [(0x33, 0, CODE64 | 0x60), (0x2b, 0, DATA | 0x60)]);
}

#[test]
fn sysret_goes_to_compatibility_mode_with_the_other_selector() {
    let mut b = Bench::long(0);
    b.cpu.sys.star = 0x0023_0010 << 32;
    b.cpu.regs[1] = 0x1_2345_6789;
    b.cpu.regs[11] = 0x246;

    sysret(&mut b.cpu, &b.model, 4).unwrap();

    assert_eq!((b.cpu.rip(), b.cpu.cpl()), (0x2345_6789, 3));
    assert_eq!(segments(&b), [(0x23, 0, CODE | 0x60), (0x2b, 0, DATA | 0x60)]);
}

#[test]
fn syscall_and_sysret_are_there_where_the_manuals_say() {
    type Case = (fn(&mut Bench), Result<(), Fault>, Result<(), Fault>);
    let cases: [Case; 5] = [
        (|_| {}, Ok(()), Ok(())),
        (|b| b.cpu.sys.efer &= !efer::SCE, Err(UD), Err(UD)),
        (|b| b.cpu.regs[1] = 1 << 60, Ok(()), Err(gp(0))),
        (|b| b.cpu.settle_at(3), Ok(()), Err(gp(0))),
        (
            |b| {
                b.cpu.segment_mut(number::CS).attributes ^= Attributes::L | Attributes::DB;
                b.cpu.settle();
            },
            Err(UD),
            Err(UD),
        ),
    ];
    for (n, (change, call, ret)) in cases.into_iter().enumerate() {
        let mut b = Bench::long(0);
        change(&mut b);
        let mut cpu = b.cpu;

        assert_eq!(sysret(&mut cpu, &b.model, 8), ret, "{n}");
        assert_eq!(syscall(&mut b.cpu, &b.model, NEXT), call, "{n}");
    }
    let mut b = Bench::protected(3);
    b.cpu.sys.efer = efer::SCE;
    assert_eq!(syscall(&mut b.cpu, &b.model, 0x400), Err(UD));
}

/// APM 3, SYSCALL: AMD's have it in legacy and compatibility mode.
#[test]
fn amd_has_syscall_outside_of_64_bit_mode() {
    let mut b = Bench::protected(3);
    b.model.amd = true;
    b.cpu.sys.efer = efer::SCE;
    b.cpu.sys.star = 0x0023_0010 << 32 | 0xc000_1111;
    b.cpu.set_eflags(eflags::IF | eflags::ZF);

    syscall(&mut b.cpu, &b.model, 0x400).unwrap();

    assert_eq!((b.cpu.rip(), b.cpu.regs[1], b.cpu.cpl()), (0xc000_1111, 0x400, 0));
    assert_eq!(b.cpu.eflags(), eflags::ZF | eflags::FIXED);
    sysret(&mut b.cpu, &b.model, 4).unwrap();
    assert_eq!(
        (b.cpu.rip(), b.cpu.eflags()),
        (0x400, eflags::IF | eflags::ZF | eflags::FIXED)
    );
    assert_eq!(segments(&b), [(0x23, 0, CODE | 0x60), (0x2b, 0, DATA | 0x60)]);

    let mut b = Bench::long(3);
    b.model.amd = true;
    b.cpu.sys.cstar = 0x9999;
    b.cpu.segment_mut(number::CS).attributes ^= Attributes::L | Attributes::DB;
    b.cpu.settle();
    syscall(&mut b.cpu, &b.model, 0x400).unwrap();
    assert_eq!((b.cpu.pc, b.cpu.mode & mode::CODE64 != 0), (0x9999, true));
}

#[test]
fn sysenter_and_sysexit() {
    for (mut b, code, wide) in [(Bench::protected(3), CODE, false), (Bench::long(3), CODE64, true)] {
        b.cpu.sys.sysenter_cs = 0x41;
        b.cpu.sys.sysenter_esp = 0x7fff_0000_5000;
        b.cpu.sys.sysenter_eip = 0x7fff_0000_6000;
        b.cpu.set_eflags(eflags::IF | eflags::CF);
        let mask = if wide { u64::MAX } else { 0xffff_ffff };

        sysenter(&mut b.cpu, &b.model).unwrap();

        let at = (b.cpu.rip(), b.cpu.regs[RSP], b.cpu.cpl());
        assert_eq!(at, (0x7fff_0000_6000 & mask, 0x7fff_0000_5000 & mask, 0));
        assert_eq!(segments(&b), [(0x40, 0, code), (0x48, 0, DATA)]);
        assert_eq!(b.cpu.eflags(), eflags::CF | eflags::FIXED);

        (b.cpu.regs[1], b.cpu.regs[2]) = (0x7fff_0000_7000, 0x7fff_0000_8000);
        let mut other = b.cpu;
        sysexit(&mut other, &b.model, 4).unwrap();
        assert_eq!((other.rip(), other.regs[RSP], other.cpl()), (0x8000, 0x7000, 3));
        assert_eq!(shown(other.segment(number::CS)), (0x53, 0, CODE | 0x60));
        assert_eq!(shown(other.segment(number::SS)), (0x5b, 0, DATA | 0x60));
        if wide {
            sysexit(&mut b.cpu, &b.model, 8).unwrap();
            assert_eq!((b.cpu.pc, b.cpu.regs[RSP]), (0x7fff_0000_8000, 0x7fff_0000_7000));
            assert_eq!(segments(&b), [(0x63, 0, CODE64 | 0x60), (0x6b, 0, DATA | 0x60)]);
        }
    }
}

/// G41: IA32_SYSENTER_CS without a selector.
#[test]
fn sysenter_needs_a_selector_and_protected_mode() {
    let mut b = Bench::protected(0);
    b.cpu.sys.sysenter_cs = 3;
    assert_eq!(sysenter(&mut b.cpu, &b.model), Err(gp(0)));
    assert_eq!(sysexit(&mut b.cpu, &b.model, 4), Err(gp(0)));
    let mut b = Bench::real();
    b.cpu.sys.sysenter_cs = 8;
    assert_eq!(sysenter(&mut b.cpu, &b.model), Err(gp(0)));
    let mut b = Bench::protected(3);
    b.cpu.sys.sysenter_cs = 8;
    assert_eq!(sysexit(&mut b.cpu, &b.model, 4), Err(gp(0)));
    let mut b = Bench::long(0);
    b.cpu.sys.sysenter_cs = 8;
    b.cpu.regs[1] = 1 << 60;
    assert_eq!(sysexit(&mut b.cpu, &b.model, 8), Err(gp(0)));
    b.model.amd = true;
    assert_eq!(sysenter(&mut b.cpu, &b.model), Err(UD));
}

/// G17: only in 64-bit mode at level 0.
#[test]
fn swapgs_exchanges_the_bases() {
    let mut b = Bench::long(0);
    b.cpu.segment_mut(number::GS).base = 1;
    b.cpu.sys.kernel_gs_base = 2;

    swapgs(&mut b.cpu).unwrap();

    assert_eq!((b.cpu.segment(number::GS).base, b.cpu.sys.kernel_gs_base), (2, 1));
    assert_eq!(swapgs(&mut Bench::long(3).cpu), Err(gp(0)));
    assert_eq!(swapgs(&mut Bench::protected(0).cpu), Err(UD));
}
