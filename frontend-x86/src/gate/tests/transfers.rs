//! Far JMP, CALL and RET, IRET.

use super::super::*;
use crate::fault::{gp, np, page, pf, ss, ts};
use crate::machine_for_tests::{Bench, DATA, INNER, LEVEL3, STACK, TSS, descriptor, sel, shown};
use crate::segment::{kind, virtual_8086};
use crate::state::bits::{cr4, eflags};
use crate::state::pending;
use emu_ir::Fault;

const fn code(s: u16) -> u32 {
    code_of(s)
}
const NEXT: u64 = 0x239;
const OFFSET: u64 = 0x4567;

/// A call gate.
pub fn gate(kind: u16, selector: u16, offset: u64, level: u16, count: u64) -> u64 {
    offset & 0xffff
        | u64::from(selector) << 16
        | count << 32
        | u64::from(0x80 | level << 5 | kind) << 40
        | (offset >> 16 & 0xffff) << 48
}

fn jump(b: &mut Bench, selector: u16, offset: u64) -> Result<(), Fault> {
    let (cpu, mut m) = b.parts();
    let done = jmp_far(&mut m, cpu, selector, offset, NEXT);
    if done.is_ok() {
        m.commit();
    }
    done
}
fn call(b: &mut Bench, selector: u16, size: u8) -> Result<(), Fault> {
    let (cpu, mut m) = b.parts();
    let done = call_far(&mut m, cpu, selector, OFFSET, size, NEXT);
    if done.is_ok() {
        m.commit();
    }
    done
}
fn ret(b: &mut Bench, size: u8, bytes: u16) -> Result<(), Fault> {
    let (cpu, mut m) = b.parts();
    ret_far(&mut m, cpu, size, bytes)
}
fn back(b: &mut Bench, size: u8) -> Result<(), Fault> {
    let (cpu, mut m) = b.parts();
    iret(&mut m, cpu, size, NEXT)
}
/// Puts words on the stack, the top first.
fn stack_up(b: &mut Bench, size: u8, values: &[u64]) {
    for (n, &value) in values.iter().enumerate() {
        b.engine.ram.put(STACK + n as u64 * u64::from(size), size, value);
    }
}

/// SDM 2, JMP: direct, and by what is no gate.
#[test]
fn a_far_jump_goes_to_code_of_the_same_level() {
    for (cpl, selector, expected) in [
        (0, sel::CODE0, Ok(sel::CODE0)),
        (3, sel::CODE3, Ok(sel::CODE3 | 3)),
        (3, sel::CODE3 | 3, Ok(sel::CODE3 | 3)),
        (3, sel::CONFORMING, Ok(sel::CONFORMING | 3)),
        (3, sel::CONFORMING | 3, Ok(sel::CONFORMING | 3)),
        (0, sel::CODE0 | 1, Err(gp(code(sel::CODE0)))),
        (3, sel::CODE0 | 3, Err(gp(code(sel::CODE0)))),
        (0, sel::CODE3, Err(gp(code(sel::CODE3)))),
        (0, sel::DATA0, Err(gp(code(sel::DATA0)))),
        (0, sel::LDT, Err(gp(code(sel::LDT)))),
        (0, sel::ABSENT_CODE, Err(np(code(sel::ABSENT_CODE)))),
        (0, 0, Err(gp(0))),
        (0, 0x200, Err(gp(0x200))),
    ] {
        let mut b = Bench::protected(cpl);
        let before = b.cpu;

        let done = jump(&mut b, selector, OFFSET);

        assert_eq!(
            done.map(|()| b.cpu.segment(number::CS).selector),
            expected,
            "{cpl} {selector:#x}"
        );
        if done.is_ok() {
            assert_eq!((b.cpu.rip(), b.cpu.cpl()), (OFFSET, cpl));
        } else {
            assert_eq!(b.cpu, before);
        }
    }
}

#[test]
fn a_target_is_within_its_segment() {
    let mut b = Bench::protected(0);
    b.describe(sel::FREE, descriptor(0x1_0000, 0xfff, 0x09a));

    assert_eq!(jump(&mut b, sel::FREE, 0x1000), Err(gp(0)));
    assert_eq!(jump(&mut b, sel::FREE, 0xfff), Ok(()));
    assert_eq!((b.cpu.pc, b.cpu.rip()), (0x1_0fff, 0xfff));
    assert_eq!(b.cpu.mode & mode::CODE32, 0);
}

/// Compatibility mode and 64-bit mode; L with D is nothing.
#[test]
fn long_mode_has_code_of_two_kinds() {
    let mut b = Bench::long(0);
    b.describe(sel::FREE, descriptor(0, 0xf_ffff, 0xe9a));
    assert_eq!(jump(&mut b, sel::FREE, OFFSET), Err(gp(code(sel::FREE))));
    assert_eq!(jump(&mut b, sel::CODE64, 1 << 60), Err(gp(0)));

    jump(&mut b, sel::CODE0, OFFSET).unwrap();
    assert_eq!(b.cpu.mode & (mode::CODE64 | mode::CODE32), mode::CODE32);
    jump(&mut b, sel::CODE64, OFFSET).unwrap();
    assert_eq!(b.cpu.mode & (mode::CODE64 | mode::CODE32), mode::CODE64);
}

#[test]
fn long_mode_has_no_tasks_to_go_to() {
    for kind in [kind::TSS32, kind::TASK, kind::CALL16, kind::INT32] {
        let mut b = Bench::long(0);
        b.describe(sel::FREE, descriptor(0, 0x67, 0x80 | kind));

        assert_eq!(jump(&mut b, sel::FREE, 0), Err(gp(code(sel::FREE))), "{kind}");
    }
}

/// G19: a far jump drops the base that reset leaves.
#[test]
fn in_real_mode_a_selector_is_a_base() {
    let mut b = Bench::real();
    b.cpu.segment_mut(number::CS).base = 0xffff_0000;

    jump(&mut b, 0xf000, 0xe05b).unwrap();

    assert_eq!((b.cpu.pc, b.cpu.segment(number::CS).selector), (0xf_e05b, 0xf000));
    assert_eq!(jump(&mut b, 0xf000, 0x1_0000), Err(gp(0)));
}

#[test]
fn a_far_call_pushes_where_it_came_from() {
    for (mut b, selector, size, pushed) in [
        (Bench::real(), 0x2000, 2, [NEXT, 0x100]),
        (Bench::virtual_8086(0), 0x2000, 4, [NEXT, 0x100]),
        (Bench::protected(0), sel::CODE0, 2, [NEXT, sel::CODE0.into()]),
        (Bench::protected(3), sel::CODE3, 4, [NEXT, u64::from(sel::CODE3 | 3)]),
        (Bench::long(0), sel::CODE64, 8, [NEXT, sel::CODE64.into()]),
        (Bench::long(0), sel::CODE0, 4, [NEXT, sel::CODE64.into()]),
    ] {
        call(&mut b, selector, size).unwrap();

        let top = b.cpu.regs[RSP];
        assert_eq!(top, STACK - 2 * u64::from(size));
        assert_eq!(b.stacked(top, size, 2), pushed);
        assert_eq!(b.cpu.rip(), OFFSET);
    }
}

#[test]
fn a_call_without_room_on_the_stack_has_not_happened() {
    let mut b = Bench::protected(0);
    b.cpu.segment_mut(number::SS).limit = 0x7ffb;
    let before = b.cpu;

    assert_eq!(call(&mut b, sel::CODE0, 4), Err(ss(0)));
    assert_eq!(b.cpu, before);
}

/// G34: every byte of an operand is within the limit.
#[test]
fn a_word_that_reaches_beyond_the_limit_is_outside() {
    for (limit, expected) in [(STACK as u32 + 7, Ok(())), (STACK as u32 + 6, Err(ss(0)))] {
        let mut b = Bench::protected(0);
        b.cpu.segment_mut(number::SS).limit = limit;
        stack_up(&mut b, 4, &[0x1234, sel::CODE0.into()]);

        assert_eq!(ret(&mut b, 4, 0), expected, "{limit:#x}");
    }
}

/// G34: expand-down stacks.
#[test]
fn a_stack_that_expands_down_ends_above_its_limit() {
    for (limit, fine) in [(STACK as u32 - 9, true), (STACK as u32 - 8, false)] {
        let mut b = Bench::protected(0);
        let ss = b.cpu.segment_mut(number::SS);
        ss.limit = limit;
        ss.attributes |= Attributes::EXPAND_DOWN;

        assert_eq!(call(&mut b, sel::CODE0, 4).is_ok(), fine, "{limit:#x}");
    }
}

/// A stack pointer of 16 bits wraps, and what is above stays.
#[test]
fn the_width_of_a_stack_is_its_segments() {
    let mut b = Bench::real();
    b.cpu.regs[RSP] = 0xdead_0002;

    call(&mut b, 0x2000, 2).unwrap();

    assert_eq!(b.cpu.regs[RSP], 0xdead_fffe);
    assert_eq!(b.stacked(0, 2, 1), [0x100]);
    assert_eq!(b.stacked(0xfffe, 2, 1), [NEXT]);
}

/// SDM 3, 5.8.3: who may use a call gate, and what is behind it.
#[test]
fn call_gates_check_the_caller_and_the_code() {
    for (cpl, rpl, level, target, expected) in [
        (3, 3, 3, sel::CODE0, Ok(0)),
        (3, 0, 3, sel::CONFORMING, Ok(3)),
        (3, 3, 3, sel::CODE3, Ok(3)),
        (3, 3, 3, sel::CODE1, Ok(1)),
        (3, 3, 0, sel::CODE0, Err(gp(code(sel::FREE)))),
        (0, 3, 0, sel::CODE0, Err(gp(code(sel::FREE)))),
        (0, 0, 3, sel::CODE3, Err(gp(code(sel::CODE3)))),
        (0, 0, 3, sel::DATA0, Err(gp(code(sel::DATA0)))),
        (0, 0, 3, sel::ABSENT_CODE, Err(np(code(sel::ABSENT_CODE)))),
        (0, 0, 3, 0, Err(gp(0))),
        (0, 0, 3, 0x400, Err(gp(0x400))),
    ] {
        let mut b = Bench::protected(cpl);
        b.describe(sel::FREE, gate(kind::CALL32, target, 0xabcd_1234, level, 0));
        let before = b.cpu;

        let done = call(&mut b, sel::FREE | rpl, 4);

        assert_eq!(done.map(|()| b.cpu.cpl()), expected, "{cpl} {rpl} {level} {target:#x}");
        if done.is_ok() {
            assert_eq!(b.cpu.rip(), 0xabcd_1234, "the gate's offset");
            assert_eq!(rpl_of(&b), b.cpu.cpl());
        } else {
            assert_eq!(b.cpu, before);
        }
    }
    let mut b = Bench::protected(0);
    b.describe(sel::FREE, gate(kind::CALL32, sel::CODE0, 0, 3, 0) & !(1 << 47));
    assert_eq!(call(&mut b, sel::FREE, 4), Err(np(code(sel::FREE))));
}

fn rpl_of(b: &Bench) -> u8 {
    crate::segment::rpl(b.cpu.segment(number::CS).selector)
}

#[test]
fn a_jump_through_a_gate_stays_at_its_level() {
    for (target, expected) in [
        (sel::CODE3, Ok(())),
        (sel::CONFORMING, Ok(())),
        (sel::CODE0, Err(gp(code(sel::CODE0)))),
    ] {
        let mut b = Bench::protected(3);
        b.describe(sel::FREE, gate(kind::CALL32, target, 0x1234, 3, 0));

        assert_eq!(jump(&mut b, sel::FREE, 0), expected, "{target:#x}");
        assert_eq!(b.cpu.regs[RSP], STACK);
    }
}

/// G36, SDM 3, figure 5-13: old SS:ESP, parameters, CS:EIP on the inner stack.
#[test]
fn a_call_inward_copies_parameters_to_the_stack_of_the_tss() {
    for (kind, size) in [(kind::CALL32, 4), (kind::CALL16, 2)] {
        let mut b = Bench::protected(3);
        b.describe(sel::FREE, gate(kind, sel::CODE0, 0x1234, 3, 3));
        stack_up(&mut b, size, &[11, 22, 33, 44]);

        call(&mut b, sel::FREE | 3, 4).unwrap();

        let frame = [
            NEXT,
            u64::from(sel::CODE3 | 3),
            11,
            22,
            33,
            STACK,
            u64::from(sel::DATA3 | 3),
        ];
        let top = INNER - 7 * u64::from(size);
        assert_eq!(b.cpu.regs[RSP], top);
        assert_eq!(b.stacked(top, size, 7), frame);
        assert_eq!(shown(b.cpu.segment(number::SS)), (sel::DATA0, 0, DATA));
        assert_eq!(b.cpu.cpl(), 0);
    }
}

/// G36: what is wrong with the inner stack is #TS, that it is not there #SS of its selector.
#[test]
fn inner_stacks_are_checked_as_the_tss_has_them() {
    for (selector, pointer, limit, expected) in [
        (sel::DATA3 | 3, INNER, 0x67, ts(code(sel::DATA3))),
        (sel::DATA0 | 1, INNER, 0x67, ts(code(sel::DATA0))),
        (sel::READ_ONLY, INNER, 0x67, ts(code(sel::READ_ONLY))),
        (sel::CODE0, INNER, 0x67, ts(code(sel::CODE0))),
        (sel::ABSENT, INNER, 0x67, ss(code(sel::ABSENT))),
        (0, INNER, 0x67, ts(0)),
        (0x400, INNER, 0x67, ts(0x400)),
        (sel::DATA0, INNER, 8, ts(code(sel::TSS))),
        (sel::FREE2, 0x100c, 0x67, ss(code(sel::FREE2))),
    ] {
        let mut b = Bench::protected(3);
        b.describe(sel::FREE, gate(kind::CALL32, sel::CODE0, 0x1234, 3, 0));
        b.describe(sel::FREE2, descriptor(0, 0xfff, 0x492));
        b.cpu.sys.tr.limit = limit;
        b.engine.ram.put(TSS + 4, 4, pointer);
        b.engine.ram.put(TSS + 8, 2, selector.into());
        let before = b.cpu;

        assert_eq!(call(&mut b, sel::FREE | 3, 4), Err(expected), "{selector:#x}");
        assert_eq!(b.cpu, before);
    }
}

/// G36: a TSS of 16 bits has SP alone.
#[test]
fn a_tss_of_16_bits_has_stacks_of_16_bits() {
    let mut b = Bench::protected(3);
    b.cpu.sys.tr.attributes = 0x83;
    b.describe(sel::FREE, gate(kind::CALL16, sel::CODE0, 0x1234, 3, 0));
    b.engine.ram.put(TSS + 2, 4, 0x7000 | u64::from(sel::DATA0) << 16);

    call(&mut b, sel::FREE | 3, 2).unwrap();

    assert_eq!(b.cpu.regs[RSP], 0x7000 - 8);
}

/// SDM 3, 5.8.3.1 and 5.8.5.1: 16 bytes, to 64-bit code, null SS, words of 8 bytes, nothing copied or aligned.
#[test]
fn call_gates_of_long_mode() {
    let mut b = Bench::long(3);
    b.describe(sel::FREE, gate(kind::CALL32, sel::CODE64, 0xabcd_1234, 3, 3));
    b.describe(sel::FREE + 8, 0x7f);
    b.engine.ram.put(TSS + 4, 8, INNER - 8);

    call(&mut b, sel::FREE | 3, 8).unwrap();

    let top = INNER - 8 - 32;
    let frame = [NEXT, u64::from(sel::CODE64_3 | 3), STACK, u64::from(sel::DATA3 | 3)];
    assert_eq!((b.cpu.pc, b.cpu.regs[RSP], b.cpu.cpl()), (0x7f_abcd_1234, top, 0));
    assert_eq!(b.stacked(top, 8, 4), frame);
    assert_eq!(b.cpu.segment(number::SS).selector, 0);

    for (upper, target, expected) in [
        (0x8000, sel::CODE64, gp(0)),
        (1 << 42, sel::CODE64, gp(code(sel::FREE))),
        (0, sel::CODE0, gp(code(sel::CODE0))),
    ] {
        let mut b = Bench::long(3);
        b.describe(sel::FREE, gate(kind::CALL32, target, 0x1234, 3, 0));
        b.describe(sel::FREE + 8, upper);
        assert_eq!(call(&mut b, sel::FREE | 3, 8), Err(expected), "{upper:#x} {target:#x}");
    }
}

/// The inner stack is accessed as the inner level does, not as the caller.
#[test]
fn the_inner_stack_may_be_the_supervisors_alone() {
    let mut b = Bench::long(3);
    b.describe(sel::FREE, gate(kind::CALL32, sel::CODE64, 0x1234, 3, 0));
    b.describe(sel::FREE + 8, 0);
    b.engine.ram.put(0x10_2008, 8, 0x20_00e3);
    b.engine.ram.put(TSS + 4, 8, 0x20_1000);
    assert_eq!(call(&mut b, sel::FREE | 3, 8), Ok(()));

    let mut b = Bench::long(3);
    b.engine.ram.put(0x10_2008, 8, 0x20_00e3);
    b.cpu.regs[RSP] = 0x20_1000;
    assert_eq!(
        call(&mut b, sel::CODE64_3 | 3, 8),
        Err(page(0x20_0ff8, pf::P | pf::W | pf::U))
    );
}

/// SDM 2, RET: far, to the same level.
#[test]
fn a_far_return_takes_what_a_call_pushed() {
    for (mut b, size) in [
        (Bench::real(), 2),
        (Bench::virtual_8086(3), 4),
        (Bench::protected(0), 4),
        (Bench::protected(3), 2),
        (Bench::long(0), 8),
    ] {
        let before = b.cpu;
        let cs = before.segment(number::CS).selector;
        stack_up(&mut b, size, &[0x1234, cs.into()]);

        ret(&mut b, size, 6).unwrap();

        assert_eq!(b.cpu.rip(), 0x1234);
        assert_eq!(b.cpu.regs[RSP], STACK + 2 * u64::from(size) + 6);
        assert_eq!(shown(b.cpu.segment(number::CS)), shown(before.segment(number::CS)));
        assert_eq!(b.cpu.cpl(), before.cpl());
    }
}

/// SDM 2, RET and IRET: what they go back to.
#[test]
fn returns_check_where_they_go() {
    for (cpl, selector, outer, expected) in [
        (0, sel::CODE3 | 3, sel::DATA3 | 3, Ok(3)),
        (0, sel::CONFORMING | 3, sel::DATA3 | 3, Ok(3)),
        (0, sel::CODE1 | 1, sel::DATA1 | 1, Ok(1)),
        (3, sel::CODE3 | 3, 0, Ok(3)),
        (3, sel::CODE0, 0, Err(gp(code(sel::CODE0)))),
        (0, sel::CODE3, 0, Err(gp(code(sel::CODE3)))),
        (0, sel::CODE0 | 3, sel::DATA3 | 3, Err(gp(code(sel::CODE0)))),
        (0, sel::DATA0, 0, Err(gp(code(sel::DATA0)))),
        (0, sel::ABSENT_CODE, 0, Err(np(code(sel::ABSENT_CODE)))),
        (0, 0, 0, Err(gp(0))),
        (0, 0x300, 0, Err(gp(0x300))),
        (0, sel::CODE3 | 3, 0, Err(gp(0))),
        (0, sel::CODE3 | 3, sel::DATA0, Err(gp(code(sel::DATA0)))),
        (0, sel::CODE3 | 3, sel::CODE3 | 3, Err(gp(code(sel::CODE3)))),
        (0, sel::CODE3 | 3, 0x303, Err(gp(0x300))),
        (0, sel::CODE3 | 3, sel::FREE | 3, Err(ss(code(sel::FREE)))),
    ] {
        let make = || {
            let mut b = Bench::protected(cpl);
            b.describe(sel::FREE, descriptor(0, 0xf_ffff, (DATA | LEVEL3) & !Attributes::P));
            b
        };
        let mut b = make();
        stack_up(&mut b, 4, &[0x1234, selector.into(), 0x6000, outer.into()]);
        let before = b.cpu;
        assert_eq!(
            ret(&mut b, 4, 0).map(|()| b.cpu.cpl()),
            expected,
            "RET {cpl} {selector:#x} {outer:#x}"
        );
        assert!(expected.is_ok() || b.cpu == before);

        let mut b = make();
        stack_up(&mut b, 4, &[0x1234, selector.into(), 2, 0x6000, outer.into()]);
        let before = b.cpu;
        assert_eq!(
            back(&mut b, 4).map(|()| b.cpu.cpl()),
            expected,
            "IRET {cpl} {selector:#x} {outer:#x}"
        );
        assert!(expected.is_ok() || b.cpu == before);
    }
}

#[test]
fn a_return_outward_takes_the_outer_stack_and_drops_inner_segments() {
    let mut b = Bench::protected(0);
    *b.cpu.segment_mut(number::ES) = crate::state::Descriptor(b.described(sel::DATA3)).segment(sel::DATA3 | 3);
    *b.cpu.segment_mut(number::FS) = crate::state::Descriptor(b.described(sel::CONFORMING)).segment(sel::CONFORMING);
    // As if 8 bytes of parameters were there on both stacks.
    stack_up(
        &mut b,
        4,
        &[
            0x1234,
            u64::from(sel::CODE3 | 3),
            1,
            2,
            0x6000,
            u64::from(sel::DATA3 | 3),
        ],
    );

    ret(&mut b, 4, 8).unwrap();

    assert_eq!((b.cpu.rip(), b.cpu.regs[RSP], b.cpu.cpl()), (0x1234, 0x6008, 3));
    let selectors = b.cpu.segments.map(|s| s.selector);
    let data = sel::DATA3 | 3;
    assert_eq!(selectors, [data, sel::CODE3 | 3, data, 0, sel::CONFORMING, 0]);
    assert!(!b.cpu.segment(number::DS).is_usable());
}

/// SDM 2, IRET: which flags are loaded at which level.
#[test]
fn iret_loads_the_flags_that_its_level_may() {
    const ALL: u32 = eflags::ALL & !(eflags::VM | eflags::NT);
    const PROGRAM: u32 = eflags::STATUS | eflags::TF | eflags::DF;
    const WIDE: u32 = eflags::RF | eflags::AC | eflags::ID;
    const VI: u32 = eflags::VIF | eflags::VIP;
    for (cpl, iopl, size, loaded) in [
        (0, 0, 4, PROGRAM | WIDE | VI | eflags::IF | eflags::IOPL),
        (0, 0, 2, PROGRAM | eflags::IF | eflags::IOPL),
        (3, 0, 4, PROGRAM | WIDE),
        (3, 3, 4, PROGRAM | WIDE | eflags::IF),
        (3, 3, 2, PROGRAM | eflags::IF),
    ] {
        let mut b = Bench::protected(cpl);
        b.cpu.set_eflags(iopl << eflags::IOPL_SHIFT);
        b.cpu.settle_at(cpl);
        // An instruction may be a breakpoint.
        b.cpu.sys.dr7 = 1;
        let cs = b.cpu.segment(number::CS).selector;
        stack_up(&mut b, size, &[0x1234, cs.into(), ALL.into()]);

        back(&mut b, size).unwrap();

        let kept = iopl << eflags::IOPL_SHIFT & !loaded;
        assert_eq!(b.cpu.eflags(), loaded | kept | eflags::FIXED, "{cpl} {iopl} {size}");
    }
}

/// SDM 3, 18.3.1.1: RF is for breakpoints on instructions, and without any it is not kept.
#[test]
fn iret_keeps_rf_where_an_instruction_may_be_a_breakpoint() {
    for (dr7, kept) in [(0, false), (1, true), (0x1_0001, false), (0x1_0009, true)] {
        let mut b = Bench::protected(0);
        b.cpu.sys.dr7 = dr7;
        stack_up(&mut b, 4, &[0x1234, sel::CODE0.into(), eflags::RF.into()]);

        back(&mut b, 4).unwrap();

        let is = (b.cpu.eflags & eflags::RF != 0, b.cpu.mode & mode::RESUME != 0);
        assert_eq!(is, (kept, kept), "{dr7:#x}");
    }
}

/// G36: in 64-bit mode SS:RSP are always popped.
#[test]
fn iretq_takes_a_stack_at_the_same_level_too() {
    for (ss, expected) in [
        (sel::DATA0, Ok(())),
        (0, Ok(())),
        (sel::DATA3 | 3, Err(gp(code(sel::DATA3)))),
    ] {
        let mut b = Bench::long(0);
        stack_up(&mut b, 8, &[0x1234, sel::CODE64.into(), 2, 0x6008, ss.into()]);

        assert_eq!(back(&mut b, 8), expected, "{ss:#x}");
        if expected.is_ok() {
            assert_eq!((b.cpu.regs[RSP], b.cpu.segment(number::SS).selector), (0x6008, ss));
        }
    }
}

#[test]
fn iretq_goes_to_compatibility_mode_and_to_programs() {
    for (cs, ss, expected) in [
        (sel::CODE3 | 3, sel::DATA3 | 3, Ok(mode::CODE32)),
        (sel::CODE64_3 | 3, sel::DATA3 | 3, Ok(mode::CODE64)),
        (sel::CODE64_3 | 3, 3, Err(gp(0))),
        (sel::CODE3 | 3, 0, Err(gp(0))),
    ] {
        let mut b = Bench::long(0);
        stack_up(&mut b, 8, &[0x1234, cs.into(), 2, 0x6008, ss.into()]);

        let done = back(&mut b, 8);

        assert_eq!(
            done.map(|()| b.cpu.mode & (mode::CODE32 | mode::CODE64)),
            expected,
            "{cs:#x} {ss:#x}"
        );
    }
    let mut b = Bench::long(0);
    stack_up(
        &mut b,
        8,
        &[
            1 << 62,
            u64::from(sel::CODE64_3 | 3),
            2,
            0x6008,
            u64::from(sel::DATA3 | 3),
        ],
    );
    assert_eq!(back(&mut b, 8), Err(gp(0)));
    b.cpu.set_eflags(eflags::NT);
    assert_eq!(back(&mut b, 8), Err(gp(0)), "there are no tasks");
}

/// G37: NMIs come again even where it faults; nothing is popped then.
#[test]
fn iret_unblocks_nmis_even_if_it_faults() {
    let mut b = Bench::protected(0);
    b.cpu.sys.pending = pending::NMI_BLOCKED;
    stack_up(&mut b, 4, &[0x1234, 0x300, 2]);

    assert!(back(&mut b, 4).is_err());

    assert_eq!(b.cpu.sys.pending, 0);
    assert_eq!((b.cpu.regs[RSP], b.cpu.rip()), (STACK, 0x234));
}

/// G37, SDM 3, 21.2.5: VM is loaded at level 0 alone.
#[test]
fn iret_at_level_0_goes_back_to_virtual_8086_mode() {
    let flags = u64::from(eflags::VM | eflags::IF | eflags::IOPL);
    let frame = [0x1234, 0x1000, flags, 0x5678, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000];
    let mut b = Bench::protected(0);
    stack_up(&mut b, 4, &frame);

    back(&mut b, 4).unwrap();

    let expected = [0x3000, 0x1000, 0x2000, 0x4000, 0x5000, 0x6000].map(virtual_8086);
    assert_eq!(b.cpu.segments, expected);
    assert_eq!((b.cpu.pc, b.cpu.regs[RSP], b.cpu.cpl()), (0x1_1234, 0x5678, 3));
    assert_eq!(b.cpu.eflags(), flags as u32 | eflags::FIXED);
    assert_ne!(b.cpu.mode & mode::VIRTUAL, 0);

    let mut b = Bench::protected(3);
    let inside = [0x1234, u64::from(sel::CODE3 | 3), flags];
    stack_up(&mut b, 4, &inside);
    back(&mut b, 4).unwrap();
    assert_eq!(b.cpu.eflags(), eflags::FIXED, "ignored at level 3");
}

/// SDM 2, IRET; SDM 3, 21.2.7 and 21.3.3.
#[test]
fn iret_in_virtual_8086_mode_is_the_monitors_unless_it_is_trusted() {
    const IF: u32 = eflags::IF;
    for (iopl, vme, vip, size, popped, expected) in [
        (3, false, false, 2, IF | eflags::IOPL, Ok(IF | eflags::IOPL)),
        (
            3,
            false,
            false,
            4,
            IF | eflags::AC | eflags::VIF,
            Ok(IF | eflags::AC | eflags::IOPL),
        ),
        (0, false, false, 2, 0, Err(gp(0))),
        (0, true, false, 2, IF | eflags::CF, Ok(eflags::VIF | eflags::CF)),
        (0, true, false, 4, IF, Err(gp(0))),
        (0, true, true, 2, IF, Err(gp(0))),
        (0, true, true, 2, 0, Ok(eflags::VIP)),
        (0, true, false, 2, eflags::TF, Err(gp(0))),
    ] {
        let mut b = Bench::virtual_8086(iopl);
        b.cpu.sys.cr4 = if vme { cr4::VME } else { 0 };
        b.cpu.eflags |= if vip { eflags::VIP } else { 0 };
        stack_up(&mut b, size, &[0x1234, 0x2000, popped.into()]);
        let before = b.cpu;

        let done = back(&mut b, size);

        let expected: Result<u32, _> = expected;
        assert_eq!(
            done.map(|()| b.cpu.eflags()),
            expected.map(|f| f | eflags::VM | eflags::FIXED),
            "{popped:#x}"
        );
        assert!(done.is_ok() || b.cpu == before);
    }
}

#[test]
fn iret_in_real_mode_takes_three_words() {
    let mut b = Bench::real();
    stack_up(&mut b, 2, &[0x1234, 0x2000, 0xffff]);

    back(&mut b, 2).unwrap();

    assert_eq!((b.cpu.pc, b.cpu.regs[RSP]), (0x2_1234, STACK + 6));
    assert_eq!(b.cpu.eflags(), eflags::ALL & 0xffff | eflags::FIXED);
    let mut b = Bench::real();
    // An instruction may be a breakpoint.
    b.cpu.sys.dr7 = 1;
    stack_up(&mut b, 4, &[0x1234, 0x2000, 0xffff_ffff]);
    back(&mut b, 4).unwrap();
    let kept = eflags::VM | eflags::VIF | eflags::VIP;
    assert_eq!(b.cpu.eflags(), eflags::ALL & !kept | eflags::FIXED);
}
