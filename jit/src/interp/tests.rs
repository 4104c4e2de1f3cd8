//! Control flow, state and faults of the interpreter.

use super::*;
use crate::cases::{BUMP, FLAGGED, MIX, PAGE_BASE, REFUSE, State, TestGuest, TestMemory, any, pinned};
use bytemuck::Zeroable;
use emu_ir::{Access, Builder, Fenv, Slot};

fn execute(b: Builder, state: &mut State, mem: &mut TestMemory) -> Result<Next, Stopped> {
    emu_ir::verify::verify(&b.block).expect("a valid block");
    run(
        &mut TestGuest,
        state,
        mem,
        &Prepared::new(b.block),
        PAGE_BASE,
        &mut Scratch::default(),
    )
}

#[test]
fn branches_skip_forward_and_goto_sets_the_wrapped_pc() {
    let mut b = Builder::new();
    let (taken, skip) = (b.bool(true), b.label());
    let one = b.i32(1);
    b.br_if(taken, skip);
    b.set(pinned(0), one);
    b.place(skip);
    b.set(pinned(1), one);
    b.goto(-8, 0, Hint::Call, true);
    let mut state = State::zeroed();

    let next = run(
        &mut TestGuest,
        &mut state,
        &mut TestMemory::default(),
        &Prepared::new(b.block),
        0,
        &mut Scratch::default(),
    );

    let addr = 0xffff_fff8;
    let (hint, poll) = (Hint::Call, true);
    assert_eq!(next, Ok(Next::Goto { addr, hint, poll }));
    assert_eq!((state.r[0], state.r[1], state.pc), (0, 1, 0xffff_fff8));
}

#[test]
fn goto_val_and_exit_treat_the_pc_as_told() {
    let mut b = Builder::new();
    let at = b.i32(0x1234);
    b.goto_val(at, Hint::Return);
    let mut state = State::zeroed();
    let next = execute(b, &mut state, &mut TestMemory::default());
    let (addr, hint) = (0x1234, Hint::Return);
    assert_eq!(next, Ok(Next::GotoVal { addr, hint }));
    assert_eq!(state.pc, 0x1234);

    let mut b = Builder::new();
    b.exit(Leave::Wait);
    assert_eq!(
        execute(b, &mut state, &mut TestMemory::default()),
        Ok(Next::Exit(Leave::Wait))
    );
    assert_eq!(state.pc, 0x1234, "an exit leaves the pc alone");
}

#[test]
fn a_fault_names_its_instruction_and_keeps_what_went_before() {
    let mut b = Builder::new();
    b.insn(0x10, 1);
    let x = b.i32(5);
    b.set(pinned(2), x);
    b.insn(0x14, 0xabc);
    let wild = b.i32(0xffff_0000);
    let y = b.load(Ty::I32, wild, Mem::new(2, 0));
    b.set(pinned(2), y);
    b.exit(Leave::Sync);
    let mut state = State::zeroed();

    let stopped = execute(b, &mut state, &mut TestMemory::default()).unwrap_err();

    let (addr, access) = (0xffff_0000, Access::Read);
    let fault = Fault::Bus { addr, access };
    let (offset, aux) = (0x14, 0xabc);
    assert_eq!(stopped, Stopped { fault, offset, aux });
    assert_eq!(state.r[2], 5);
}

#[test]
fn loads_extend_and_stores_truncate() {
    let mut b = Builder::new();
    let (at, v) = (b.i32(0x40), b.imm(Ty::I64, 0x1122_3344_5566_f788));
    b.store(at, v, Mem::new(1, 0));
    let narrow = Mem {
        signed: true,
        ..Mem::new(1, 0)
    };
    let s = b.load(Ty::I32, at, narrow);
    b.set(pinned(0), s);
    let z = b.load(Ty::I32, at, Mem::new(1, 0));
    b.set(pinned(1), z);
    let swapped = b.load(
        Ty::I16,
        at,
        Mem {
            swap: 1,
            ..Mem::new(1, 0)
        },
    );
    b.set(any(0, Ty::I16), swapped);
    b.exit(Leave::Sync);
    let mut state = State::zeroed();
    let mut mem = TestMemory::default();
    let after = mem.bytes[0x42];

    execute(b, &mut state, &mut mem).unwrap();

    assert_eq!((state.r[0], state.r[1], state.v[0][0]), (0xffff_f788, 0xf788, 0x88f7));
    assert_eq!(mem.bytes[0x42], after, "only two bytes are stored");
}

#[test]
fn helpers_get_zeros_for_absent_arguments_and_results_are_truncated() {
    let mut b = Builder::new();
    let (x, y) = (b.i32(0x101), b.imm(Ty::I64, u64::MAX));
    let sum = b.call(Ty::I8, FLAGGED, &[x, y]);
    b.set(any(0, Ty::I8), sum);
    let m = b.call(Ty::I32, MIX, &[]);
    b.set(pinned(7), m);
    let old = b.call(Ty::I32, BUMP, &[x]);
    b.set(pinned(2), old);
    let odd = b.i32(3);
    b.call(Ty::I32, REFUSE, &[odd]);
    b.exit(Leave::Sync);
    let mut state = State::zeroed();
    state.r[0] = 7;

    let stopped = execute(b, &mut state, &mut TestMemory::default()).unwrap_err();

    assert_eq!((state.v[0][0], state.fp_flags), (0, 1));
    assert_ne!(state.r[7], 0);
    assert_eq!((state.r[0], state.r[2]), (0x108, 7));
    assert_eq!(state.r[1], 3, "what a failing helper changed stays");
    let (class, addr, info) = (7, 3, 9);
    assert_eq!(stopped.fault, Fault::Guest { class, addr, info });
}

#[test]
fn the_current_rounding_mode_and_flags_live_in_their_slots() {
    let third = |round: u32| {
        let mut b = Builder::new();
        let (x, y) = (
            b.imm(Ty::F32, 1f32.to_bits() as u64),
            b.imm(Ty::F32, 3f32.to_bits() as u64),
        );
        let q = b.fdiv(x, y, Fenv::IEEE);
        b.set(
            Slot {
                ty: Ty::F32,
                ..pinned(0)
            },
            q,
        );
        b.exit(Leave::Sync);
        let mut state = State::zeroed();
        (state.fp_round, state.fp_flags) = (round, emu_ir::FP_DIVZERO);
        execute(b, &mut state, &mut TestMemory::default()).unwrap();
        (state.r[0], state.fp_flags)
    };
    let flags = emu_ir::FP_DIVZERO | emu_ir::FP_INEXACT;
    assert_eq!(third(0), (0x3eaa_aaab, flags));
    assert_eq!(third(1), (0x3eaa_aaaa, flags));
    assert_eq!(third(2), (0x3eaa_aaab, flags));
    assert_eq!(third(3), (0x3eaa_aaaa, flags));
}
