//! Control flow, state and faults of the interpreter.

use super::*;
use crate::cases::{BUMP, FLAGGED, MIX, PAGE_BASE, REFUSE, State, TestGuest, TestMemory, any, pinned};
use bytemuck::Zeroable;
use emu_ir::{Access, Builder, Fenv, Pieces, Rmw, Slot};
use std::sync::atomic::{Ordering::SeqCst, *};

fn execute(b: Builder, state: &mut State, mem: &mut TestMemory) -> Result<Next, Stopped> {
    emu_ir::verify::verify(&b.block).expect("a valid block");
    run(
        &mut TestGuest::default(),
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
        &mut TestGuest::default(),
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
            pieces: Pieces::big(1),
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
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn atomic_read_modify_writes_leave_what_the_hosts_do() {
    macro_rules! native {
        ($atomic:ident $u:ty, $signed:ident $s:ty; $how:expr, $held:expr, $a:expr) => {{
            let (u, s) = ($atomic::new($held as $u), $signed::new($held as $s));
            match $how {
                Rmw::Add => {
                    u.fetch_add($a as $u, SeqCst);
                }
                Rmw::And => {
                    u.fetch_and($a as $u, SeqCst);
                }
                Rmw::Or => {
                    u.fetch_or($a as $u, SeqCst);
                }
                Rmw::Xor => {
                    u.fetch_xor($a as $u, SeqCst);
                }
                Rmw::MinU => {
                    u.fetch_min($a as $u, SeqCst);
                }
                Rmw::MaxU => {
                    u.fetch_max($a as $u, SeqCst);
                }
                Rmw::MinS => {
                    s.fetch_min($a as $s, SeqCst);
                }
                Rmw::MaxS => {
                    s.fetch_max($a as $s, SeqCst);
                }
            }
            match $how {
                Rmw::MinS | Rmw::MaxS => s.into_inner() as $u as u128,
                _ => u.into_inner() as u128,
            }
        }};
    }
    let hard = [
        0,
        1,
        2,
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0x8000,
        0x7fff_ffff,
        0x8000_0000,
        i64::MAX as u64,
        1 << 63,
        u64::MAX,
    ];
    for (ty, size) in [(Ty::I8, 0), (Ty::I16, 1), (Ty::I32, 2), (Ty::I64, 3)] {
        for (how, held, a) in Rmw::ALL
            .into_iter()
            .flat_map(|how| hard.into_iter().flat_map(move |held| hard.map(|a| (how, held, a))))
        {
            let (mut state, mut mem) = (State::zeroed(), TestMemory::default());
            mem.bytes[0x100..0x108].copy_from_slice(&held.to_le_bytes());
            let mut b = Builder::new();
            b.insn(0, 0);
            let (at, operand) = (b.i32(0x100), b.imm(ty, a));
            let old = b.rmw(how, at, operand, Mem::new(size, 0));
            b.set(any(0, ty), old);
            b.exit(Leave::Sync);

            execute(b, &mut state, &mut mem).unwrap();

            let expected = match ty {
                Ty::I8 => native!(AtomicU8 u8, AtomicI8 i8; how, held, a),
                Ty::I16 => native!(AtomicU16 u16, AtomicI16 i16; how, held, a),
                Ty::I32 => native!(AtomicU32 u32, AtomicI32 i32; how, held, a),
                _ => native!(AtomicU64 u64, AtomicI64 i64; how, held, a),
            };
            let all = u64::from_le_bytes(mem.bytes[0x100..0x108].try_into().unwrap());
            let what = format!("{how:?} of {held:#x} and {a:#x} as {ty:?}");
            assert_eq!(all as u128 & ty.mask(), expected, "{what}");
            assert_eq!(
                all & !(ty.mask() as u64),
                held & !(ty.mask() as u64),
                "{what}: bytes beside it"
            );
            assert_eq!(peek(&state, any(0, ty).off, ty), held as u128 & ty.mask(), "{what}");
        }
    }
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
