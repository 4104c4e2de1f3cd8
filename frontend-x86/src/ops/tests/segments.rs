//! What segments allow of translated code's own accesses.

use super::system::{A, B, DATA, HLT, SP, exception, flat, handled, long, run, with};
use crate::fault::vector;
use crate::machine_for_tests::{Around, Bench, segment, sel};
use crate::model::find;
use crate::state::bits::eflags::ZF;
use crate::state::number;
use emu_jit::engine::{Accel, Exit};

const FS: u8 = number::FS;
const BP: usize = 5;
/// Attributes: data that may be written or not, with limits that expand up or down; code that may be read or not.
const UP: u16 = 0x493;
const READ_ONLY: u16 = 0x491;
const DOWN: u16 = 0x497;
const DOWN16: u16 = 0x97;
const READABLE: u16 = 0x49b;
const EXECUTE_ONLY: u16 = 0x499;

/// G34; SDM 3, 5.3 "Limit Checking": every byte counts, and so does what is between the bounds.
#[test]
fn every_byte_of_an_access_is_inside_its_segment() {
    const DS: u8 = number::DS;
    let (gp, ss) = (Some(vector::GP), Some(vector::SS));
    // MOV AL, [..]; MOV AX, [..]; MOV [..], AL; the same in SS.
    let byte = |at: u32| [&[0xa0][..], &at.to_le_bytes()].concat();
    let word = |at: u32| [&[0x66, 0xa1][..], &at.to_le_bytes()].concat();
    let store = |at: u32| [&[0xa2][..], &at.to_le_bytes()].concat();
    let stacked = |code: Vec<u8>| [&[0x36][..], &code].concat();
    let of_code = |code: Vec<u8>| [&[0x2e][..], &code].concat();
    for (n, attributes, limit, code, want) in [
        (DS, DOWN16, 0xfff, word(0xfff), gp),
        (DS, DOWN16, 0xfff, word(0x1000), None),
        (DS, DOWN16, 0xfff, byte(0xffff), None),
        (DS, DOWN16, 0xfff, word(0xffff), gp),
        (DS, DOWN16, 0xfff, byte(0x1_0000), gp),
        (DS, DOWN, 0xfff, word(0xffff), None),
        (DS, DOWN, 0xfff, word(0xffff_ffff), gp),
        (DS, UP, 0xfff, byte(0xfff), None),
        (DS, UP, 0xfff, word(0xfff), gp),
        (DS, UP, 0xffff_fffe, byte(0xffff_ffff), gp),
        (DS, UP, 0xffff_fffe, word(0xffff_ffff), gp),
        (DS, READ_ONLY, u32::MAX, byte(DATA as u32), None),
        (DS, READ_ONLY, u32::MAX, store(DATA as u32), gp),
        (number::SS, UP, 0xfff, stacked(word(0xfff)), ss),
        (number::CS, READABLE, u32::MAX, of_code(byte(DATA as u32)), None),
        (number::CS, READABLE, u32::MAX, of_code(store(DATA as u32)), gp),
        (number::CS, EXECUTE_ONLY, u32::MAX, of_code(byte(DATA as u32)), gp),
    ] {
        let make = with(flat, |cpu| {
            let selector = cpu.segment(n).selector;
            *cpu.segment_mut(n) = segment(0, limit, selector, attributes);
        });
        // The handler has no room on a stack that is too short: then it is another vector than this one's, or a shutdown.
        let found = match n {
            number::SS => shut_down(&make, &code),
            _ => exception(&run(&make, &code)),
        };
        assert_eq!(found, want, "{attributes:x} {limit:x} {code:02x?}");
    }
}
/// #SS where the processor gives up, as the stack is not there for the exception either.
fn shut_down(make: impl Fn() -> Bench, code: &[u8]) -> Option<u8> {
    let mut v = handled(make()).engine(Accel::Jit, code, &Around::default());
    (v.run() == Exit::Stopped(emu_ir::Stop::Shutdown)).then_some(vector::SS)
}

/// An operand that was read is looked at again before it is written: ARPL [EBX], AX writes where it raises.
#[test]
fn what_may_be_read_may_not_be_written_for_that() {
    for (level, want) in [(3, (Some(vector::GP), 0x10)), (0, (None, 0x10))] {
        let make = || {
            let mut b = flat();
            b.engine.ram.put(DATA, 2, 0x10);
            (b.cpu.regs[A], b.cpu.regs[B]) = (level, DATA);
            *b.cpu.segment_mut(number::DS) = segment(0, u32::MAX, sel::DATA0, READ_ONLY);
            b.cpu.settle();
            b
        };
        let mut b = handled(make());
        let mut ram = b.engine.ram.clone();
        b.cpu.set_eflags(ZF);
        let mut v = b.engine(Accel::Jit, &[0x63, 0x03, HLT], &Around::default());

        assert_eq!(v.run(), Exit::Wait);
        assert_eq!((exception(v.state()), ram.get(DATA, 2)), want);
        assert_eq!(exception(&run(make, &[0x63, 0x03])), want.0);
    }
}

/// APM 2, 4.5.3: AMD's leave the base of FS and GS alone; SDM 2, MOV: Intel's clear it.
#[test]
fn a_null_selector_clears_the_base_by_the_maker() {
    for (model, base) in [("EPYC", 0x1234), ("max", 0)] {
        let make = || {
            let mut b = long();
            b.model = find(model).unwrap();
            b.cpu.segment_mut(FS).base = 0x1234;
            b
        };
        // XOR EAX, EAX; MOV FS, EAX
        let cpu = run(make, &[0x31, 0xc0, 0x8e, 0xe0]);

        assert_eq!((cpu.segment(FS).selector, cpu.segment(FS).base), (0, base), "{model}");
    }
}

/// G33: ENTER of 16 bits, nested, on a stack of 32: the data's width is the operands', the pointer's is the stack's.
#[test]
fn frames_of_16_bits_are_on_a_stack_of_32() {
    let make = || {
        let mut b = flat();
        b.engine.ram.put(0x1_61fe, 2, 0x1234);
        (b.cpu.regs[SP], b.cpu.regs[BP]) = (0x1_6100, 0x1_6200);
        b
    };
    let b = handled(make());
    let mut ram = b.engine.ram.clone();
    // ENTER 4, 2
    let mut v = b.engine(Accel::Jit, &[0x66, 0xc8, 4, 0, 2, HLT], &Around::default());

    assert_eq!(v.run(), Exit::Wait);
    assert_eq!((v.state().regs[SP], v.state().regs[BP]), (0x1_60f6, 0x1_60fe));
    assert_eq!(ram.get(0x1_60fa, 4), 0x1234_60fe);
    assert_eq!(ram.get(0x1_60fe, 2), 0x6200);
    assert_eq!(run(make, &[0x66, 0xc8, 4, 0, 2]).regs[SP], 0x1_60f6);
}
