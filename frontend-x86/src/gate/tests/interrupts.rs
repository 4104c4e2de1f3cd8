//! Delivery through the IDT, and through the vectors of real mode.

use super::super::*;
use super::transfers::gate;
use crate::fault::{self, Event, gp, np, ss, ts};
use crate::machine_for_tests::{Bench, IDT, INNER, STACK, TSS, descriptor, sel};
use crate::segment::kind;
use crate::state::bits::{cr4, eflags};
use crate::state::of;
use emu_ir::Fault;

const RIP: u64 = 0x234;

fn event(fault: Fault) -> Event {
    Event::of_fault(&crate::machine_for_tests::Bench::real().cpu, fault).unwrap()
}
fn take(b: &mut Bench, event: Event) -> Result<(), Fault> {
    let (cpu, mut m) = b.parts();
    let done = deliver(&mut m, cpu, event);
    if done.is_ok() {
        m.commit();
    }
    done
}
/// Puts a gate into the IDT.
fn vector(b: &mut Bench, n: u64, gate: u64) {
    let size = if crate::segment::is_long(&b.cpu) { 16 } else { 8 };
    b.engine.ram.put(IDT + n * size, 8, gate);
}
const HANDLER: u64 = 0x5678;
fn to(b: &mut Bench, n: u64, kind: u16, selector: u16, level: u16) {
    vector(b, n, gate(kind, selector, HANDLER, level, 0));
}
const fn code(s: u16) -> u32 {
    code_of(s)
}

#[test]
fn what_holds_for_one_instruction_is_over_in_a_handler() {
    const ONE: u64 = mode::SHADOW | mode::X87_CALLS;
    let mut b = Bench::protected(0);
    b.cpu.mode |= ONE;
    to(&mut b, 13, kind::INT32, sel::CODE0, 0);

    take(&mut b, event(gp(0x1230))).unwrap();

    assert_eq!((b.cpu.mode & ONE, b.cpu.rip()), (0, HANDLER));
}

/// SDM 3, figure 6-4: a frame on the same stack.
#[test]
fn a_handler_of_the_same_level_finds_flags_cs_and_eip() {
    for (kind, size) in [(kind::INT32, 4), (kind::TRAP32, 4), (kind::INT16, 2), (kind::TRAP16, 2)] {
        let mut b = Bench::protected(0);
        b.cpu.set_eflags(eflags::IF | eflags::TF | eflags::CF | eflags::AC);
        to(&mut b, 13, kind, sel::CODE0, 0);

        take(&mut b, event(gp(0x1230))).unwrap();

        let mask = if size == 2 { 0xffff } else { u64::MAX };
        let flags = eflags::IF | eflags::TF | eflags::CF | eflags::AC | eflags::RF | eflags::FIXED;
        let top = STACK - 4 * u64::from(size);
        assert_eq!(
            b.stacked(top, size, 4),
            [0x1230, RIP, sel::CODE0.into(), u64::from(flags) & mask]
        );
        assert_eq!((b.cpu.regs[RSP], b.cpu.rip()), (top, HANDLER));
        let interrupts = if kind & 1 != 0 { eflags::IF } else { 0 };
        assert_eq!(
            b.cpu.eflags(),
            eflags::CF | eflags::AC | eflags::FIXED | interrupts,
            "G40: TF is off"
        );
    }
}

#[test]
fn a_handler_of_an_inner_level_has_the_stack_of_the_tss() {
    let mut b = Bench::protected(3);
    to(&mut b, 32, kind::INT32, sel::CODE0, 0);

    take(&mut b, Event::external(32)).unwrap();

    let top = INNER - 20;
    let frame = [RIP, u64::from(sel::CODE3 | 3), 2, STACK, u64::from(sel::DATA3 | 3)];
    assert_eq!(b.stacked(top, 4, 5), frame);
    assert_eq!((b.cpu.regs[RSP], b.cpu.cpl()), (top, 0));
    assert_eq!(b.cpu.segment(number::SS).selector, sel::DATA0);
}

#[test]
fn conforming_code_handles_at_the_level_it_finds() {
    let mut b = Bench::protected(3);
    to(&mut b, 32, kind::INT32, sel::CONFORMING, 0);

    take(&mut b, Event::external(32)).unwrap();

    assert_eq!((b.cpu.cpl(), b.cpu.regs[RSP]), (3, STACK - 12));
    assert_eq!(b.cpu.segment(number::CS).selector, sel::CONFORMING | 3);
}

/// G36: gates' levels are for INT n, INT3 and INTO alone; the return address of these is after them.
#[test]
fn software_interrupts_need_a_gate_of_their_level() {
    for (first, level, fine, after) in [
        (fault::int(32), 0, false, 0),
        (fault::int(32), 3, true, 2),
        (fault::INT3, 0, false, 0),
        (fault::INT3, 3, true, 2),
        (fault::INTO, 0, false, 0),
        (fault::INT1, 0, true, 2),
        (fault::UD, 0, true, 0),
    ] {
        let mut b = Bench::protected(3);
        let event = event(first);
        let n = u64::from(event.vector);
        to(&mut b, n, kind::INT32, sel::CODE0, level);
        b.cpu.of = 2 | of::STACK;

        let done = take(&mut b, event);

        if fine {
            assert_eq!(b.stacked(INNER - 20, 4, 1), [RIP + after], "{first:?}");
        } else {
            assert_eq!(done, Err(gp((n as u32) << 3 | 2)), "{first:?}");
        }
    }
}

/// SDM 2, INT n: what is wrong with a gate or with what it names, with EXT where it is not the program's.
#[test]
fn errors_of_delivery_name_the_vector_or_the_selector() {
    type Case = (fn(&mut Bench), u32, bool);
    const N: u64 = 33;
    const VECTOR: u32 = (N as u32) << 3 | 2;
    const CASES: [Case; 12] = [
        (|b| b.cpu.sys.idtr.limit = N * 8 + 6, VECTOR, true),
        (|b| to(b, N, kind::CALL32, sel::CODE0, 3), VECTOR, true),
        (|b| to(b, N, kind::LDT, sel::CODE0, 3), VECTOR, true),
        (
            |b| vector(b, N, gate(kind::INT32, sel::CODE0, 0, 3, 0) & !(1 << 47)),
            VECTOR,
            false,
        ),
        (|b| to(b, N, kind::INT32, 0, 3), 0, true),
        (|b| to(b, N, kind::INT32, 0x300, 3), 0x300, true),
        (|b| to(b, N, kind::INT32, sel::DATA0, 3), code(sel::DATA0), true),
        (
            |b| to(b, N, kind::INT32, sel::ABSENT_CODE, 3),
            code(sel::ABSENT_CODE),
            false,
        ),
        (|b| to(b, N, kind::TASK, sel::TSS, 3), code(sel::TSS), true),
        (|b| to(b, N, kind::TASK, sel::TSS2 | 4, 3), code(sel::TSS2 | 4), true),
        (|b| to(b, N, kind::TASK, sel::CODE0, 3), code(sel::CODE0), true),
        (|b| b.describe(sel::CODE0, descriptor(0, 0xf, 0x49a)), 0, true),
    ];
    for (n, (change, code, is_gp)) in CASES.into_iter().enumerate() {
        for (event, ext) in [(Event::external(N as u8), 1), (event(fault::int(N as u8)), 0)] {
            let mut b = Bench::protected(3);
            to(&mut b, N, kind::INT32, sel::CODE0, 3);
            change(&mut b);
            let before = b.cpu;

            let expected = if is_gp { gp(code | ext) } else { np(code | ext) };
            assert_eq!(take(&mut b, event), Err(expected), "{n}");
            assert_eq!(b.cpu, before);
        }
    }
}

#[test]
fn a_handler_has_no_less_privilege() {
    let mut b = Bench::protected(0);
    to(&mut b, 32, kind::INT32, sel::CODE3, 3);

    assert_eq!(take(&mut b, Event::external(32)), Err(gp(code(sel::CODE3) | 1)));
}

/// G36: inner stacks are #TS, with EXT.
#[test]
fn errors_of_the_inner_stack() {
    for (selector, limit, expected) in [
        (sel::DATA3 | 3, 0x67, ts(code(sel::DATA3) | 1)),
        (0, 0x67, ts(1)),
        (sel::ABSENT, 0x67, ss(code(sel::ABSENT) | 1)),
        (sel::DATA0, 7, ts(code(sel::TSS) | 1)),
        (sel::FREE, 0x67, ss(code(sel::FREE) | 1)),
    ] {
        let mut b = Bench::protected(3);
        to(&mut b, 32, kind::INT32, sel::CODE0, 0);
        b.describe(sel::FREE, descriptor(0, INNER - 5, 0x492));
        b.engine.ram.put(TSS + 8, 2, selector.into());
        b.cpu.sys.tr.limit = limit;

        assert_eq!(take(&mut b, Event::external(32)), Err(expected), "{selector:#x}");
    }
    let mut b = Bench::protected(0);
    to(&mut b, 32, kind::INT32, sel::CODE0, 0);
    b.cpu.segment_mut(number::SS).limit = 0xfff;
    assert_eq!(take(&mut b, Event::external(32)), Err(ss(1)));
}

/// G36, SDM 3, 6.14.2: aligned, SS:RSP always.
#[test]
fn frames_of_64_bit_mode() {
    for (cpl, ist, from) in [
        (0, 0, STACK - 0x18),
        (3, 0, INNER - 0x18),
        (0, 2, 0xb000),
        (3, 2, 0xb000),
    ] {
        let mut b = Bench::long(cpl);
        b.cpu.regs[RSP] = STACK - 0x18;
        b.engine.ram.put(TSS + 4, 8, INNER - 0x18);
        b.engine.ram.put(TSS + 0x2c, 8, 0xb007);
        vector(&mut b, 14, gate(kind::INT32, sel::CODE64, HANDLER, 0, ist));
        b.engine.ram.put(IDT + 14 * 16 + 8, 8, 0x12);
        let before = b.cpu;

        take(&mut b, event(fault::page(0x999, 6))).unwrap();

        let top = (from & !15) - 48;
        let [cs, ss] = [number::CS, number::SS].map(|n| u64::from(before.segment(n).selector));
        let flags = u64::from(eflags::RF | eflags::FIXED);
        assert_eq!(b.stacked(top, 8, 6), [6, RIP, cs, flags, STACK - 0x18, ss]);
        assert_eq!((b.cpu.pc, b.cpu.regs[RSP]), (0x12_0000_5678, top));
        let ss = if cpl == 0 { sel::DATA0 } else { 0 };
        assert_eq!(b.cpu.segment(number::SS).selector, ss);
    }
}

#[test]
fn long_mode_has_gates_of_64_bits_to_64_bit_code() {
    for (kind, selector, expected) in [
        (kind::INT16, sel::CODE64, gp(32 << 3 | 3)),
        (kind::TASK, sel::CODE64, gp(32 << 3 | 3)),
        (kind::INT32, sel::CODE0, gp(code(sel::CODE0) | 1)),
    ] {
        let mut b = Bench::long(0);
        to(&mut b, 32, kind, selector, 0);

        assert_eq!(take(&mut b, Event::external(32)), Err(expected));
    }
    let mut b = Bench::long(0);
    to(&mut b, 32, kind::INT32, sel::CODE64, 0);
    b.engine.ram.put(IDT + 32 * 16 + 8, 8, 0x8000);
    assert_eq!(take(&mut b, Event::external(32)), Err(gp(1)));
    b.engine.ram.put(IDT + 32 * 16 + 8, 8, 0);
    b.cpu.regs[RSP] = 0x0000_8000_0000_0020;
    assert_eq!(take(&mut b, Event::external(32)), Err(ss(1)));
    b.cpu.sys.idtr.limit = 32 * 16 + 14;
    assert_eq!(take(&mut b, Event::external(32)), Err(gp(32 << 3 | 3)));
}

/// From compatibility mode the frame is 64-bit mode's as well.
#[test]
fn an_interrupt_of_compatibility_mode_goes_to_64_bit_mode() {
    let mut b = Bench::long(3);
    *b.cpu.segment_mut(number::CS) = crate::state::Descriptor(b.described(sel::CODE3)).segment(sel::CODE3 | 3);
    b.cpu.settle();
    to(&mut b, 32, kind::INT32, sel::CODE64, 0);

    take(&mut b, Event::external(32)).unwrap();

    assert_eq!(b.stacked(INNER - 40, 8, 2), [RIP, u64::from(sel::CODE3 | 3)]);
    assert_ne!(b.cpu.mode & mode::CODE64, 0);
}

/// SDM 3, 21.1.4: real mode's vectors.
#[test]
fn real_mode_pushes_three_words() {
    let mut b = Bench::real();
    b.cpu.set_eflags(eflags::IF | eflags::TF | eflags::CF | eflags::AC);
    b.engine.ram.put(13 * 4, 4, 0x2000_1234);

    take(&mut b, event(gp(0x18))).unwrap();

    assert_eq!(b.stacked(STACK - 6, 2, 3), [RIP, 0x100, 0x303]);
    assert_eq!((b.cpu.pc, b.cpu.regs[RSP]), (0x2_1234, STACK - 6));
    assert_eq!(b.cpu.eflags(), eflags::CF | eflags::FIXED);
    b.cpu.sys.idtr.limit = 13 * 4 + 2;
    assert_eq!(take(&mut b, event(gp(0))), Err(gp(13 << 3 | 3)));
}

/// SDM 3, figure 21-4.
#[test]
fn the_monitor_gets_all_segments_of_virtual_8086_mode() {
    let mut b = Bench::virtual_8086(0);
    for (n, selector) in [(number::ES, 1), (number::DS, 2), (number::FS, 3), (number::GS, 4)] {
        *b.cpu.segment_mut(n) = crate::segment::virtual_8086(selector);
    }
    to(&mut b, 13, kind::INT32, sel::CODE0, 0);

    take(&mut b, event(gp(0))).unwrap();

    let flags = u64::from(eflags::VM | eflags::RF | eflags::FIXED);
    assert_eq!(
        b.stacked(INNER - 40, 4, 10),
        [0, RIP, 0x100, flags, STACK, 0, 1, 2, 3, 4]
    );
    assert_eq!(b.cpu.mode & mode::VIRTUAL, 0);
    for n in [number::ES, number::DS, number::FS, number::GS] {
        assert!(!b.cpu.segment(n).is_usable());
    }
    assert_eq!((b.cpu.cpl(), b.cpu.eflags()), (0, eflags::FIXED));
}

#[test]
fn the_monitor_is_at_level_0() {
    for (selector, code) in [
        (sel::CONFORMING, sel::CONFORMING),
        (sel::CODE1, sel::CODE1),
        (sel::CODE3, sel::CODE3),
    ] {
        let mut b = Bench::virtual_8086(3);
        to(&mut b, 32, kind::INT32, selector, 3);

        assert_eq!(take(&mut b, Event::external(32)), Err(gp(code_of(code) | 1)));
    }
}

/// SDM 3, table 21-2: VME's redirection of INT n.
#[test]
fn software_interrupts_of_virtual_8086_mode() {
    const MAP: u64 = 0x88;
    enum To {
        Program(u32),
        Monitor,
        Fault,
    }
    for (iopl, vme, bit, to_whom) in [
        (3, false, false, To::Monitor),
        (0, false, false, To::Fault),
        (3, true, true, To::Monitor),
        (0, true, true, To::Fault),
        (3, true, false, To::Program(eflags::IOPL | eflags::IF)),
        (0, true, false, To::Program(eflags::IOPL | eflags::IF)),
    ] {
        let mut b = Bench::virtual_8086(iopl);
        b.cpu.sys.tr.limit = 0xff;
        b.cpu.sys.cr4 = if vme { cr4::VME } else { 0 };
        b.cpu.eflags |= if iopl == 3 { eflags::IF } else { eflags::VIF };
        b.cpu.of = 2;
        b.engine.ram.put(TSS + 0x66, 2, MAP);
        b.engine
            .ram
            .put(TSS + MAP - 32 + 0x21 / 8, 1, if bit { 2 } else { !2 & 0xff });
        b.engine.ram.put(0x21 * 4, 4, 0x2000_1234);
        to(&mut b, 0x21, kind::INT32, sel::CODE0, 3);

        let done = take(&mut b, event(fault::int(0x21)));

        match to_whom {
            To::Program(flags) => {
                assert_eq!(
                    b.stacked(STACK - 6, 2, 3),
                    [RIP + 2, 0x100, u64::from(flags | eflags::FIXED)]
                );
                assert_eq!((b.cpu.pc, b.cpu.cpl()), (0x2_1234, 3));
                assert_eq!(b.cpu.eflags() & (eflags::IF | eflags::VIF), 0);
                assert_eq!(b.cpu.eflags() & eflags::IOPL, iopl << eflags::IOPL_SHIFT);
            }
            To::Monitor => assert_eq!((b.cpu.rip(), b.cpu.cpl()), (HANDLER, 0)),
            To::Fault => assert_eq!(done, Err(gp(0))),
        }
    }
}

/// INT3 and INTO are not redirected, nor stopped by IOPL.
#[test]
fn breakpoints_of_virtual_8086_mode_go_to_the_monitor() {
    let mut b = Bench::virtual_8086(0);
    b.cpu.sys.cr4 = cr4::VME;
    to(&mut b, 3, kind::INT32, sel::CODE0, 3);

    take(&mut b, event(fault::INT3)).unwrap();

    assert_eq!(b.cpu.rip(), HANDLER);
}

#[test]
fn a_handler_is_in_no_shadow() {
    let mut b = Bench::protected(0);
    b.cpu.mode |= mode::SHADOW;
    to(&mut b, 2, kind::INT32, sel::CODE0, 0);

    take(&mut b, Event::external(2)).unwrap();

    assert_eq!(b.cpu.mode & mode::SHADOW, 0);
}
