//! Every identity of the forward pass is found: what is on its left leaves the operations of what is on its right.

use super::*;
use emu_ir::{Aes, Inst, Lane, Op};
use std::cell::RefCell;

/// An expression under construction, and what it is made of: values of every type of which nothing is known.
struct Make {
    b: RefCell<Builder>,
    /// I32.
    x: Val,
    y: Val,
    /// I64.
    w: Val,
    z: Val,
    /// I16.
    h: Val,
    /// I8.
    b8: Val,
    /// F64.
    f: Val,
    /// V64.
    d: Val,
    e: Val,
    /// V128.
    q: Val,
}

macro_rules! methods {
    ($($name:ident($($arg:ident: $ty:ty),*);)*) => {
        impl Make { $(
            fn $name(&self, $($arg: $ty),*) -> Val {
                self.b.borrow_mut().$name($($arg),*)
            }
        )* }
    };
}
methods! {
    add(a: Val, b: Val); sub(a: Val, b: Val); mul(a: Val, b: Val);
    and(a: Val, b: Val); or(a: Val, b: Val); xor(a: Val, b: Val); and_not(a: Val, b: Val);
    not(a: Val); neg(a: Val); fneg(a: Val);
    shl(a: Val, b: Val); shr_u(a: Val, b: Val); shr_s(a: Val, b: Val); rotr(a: Val, b: Val);
    add_carry(a: Val, b: Val); add_ovf(a: Val, b: Val); sub_ovf(a: Val, b: Val);
    adc(a: Val, b: Val, c: Val); adc_carry(a: Val, b: Val, c: Val); adc_ovf(a: Val, b: Val, c: Val);
    eq(a: Val, b: Val); ne(a: Val, b: Val); ult(a: Val, b: Val); ule(a: Val, b: Val); slt(a: Val, b: Val); sle(a: Val, b: Val);
    select(c: Val, a: Val, b: Val); imm(ty: Ty, bits: u64); i32(bits: u32); bool(v: bool); pc_rel(ty: Ty, offset: i32);
    zext(ty: Ty, a: Val); sext(ty: Ty, a: Val); trunc(ty: Ty, a: Val); bitcast(ty: Ty, a: Val);
    vshl(n: Lane, a: Val, by: u8); vshr_u(n: Lane, a: Val, by: u8); vshr_s(n: Lane, a: Val, by: u8);
    vconcat(lo: Val, hi: Val); vhalf(a: Val, hi: bool); vget_lane(ty: Ty, a: Val, i: u8); vdup(ty: Ty, e: Lane, a: Val);
    vset_lane(a: Val, b: Val, i: u8);
    push(ty: Ty, op: Op);
}

impl Make {
    fn new() -> Make {
        let mut b = Builder::new();
        let [x, y] = [0, 1].map(|i| b.get(pinned(i)));
        let types = [Ty::I64, Ty::I64, Ty::I16, Ty::I8, Ty::F64, Ty::V64, Ty::V64, Ty::V128];
        let mut next = 0;
        let [w, z, h, b8, f, d, e, q] = types.map(|ty| {
            next += 1;
            b.get(any(next, ty))
        });
        #[rustfmt::skip]
        let made = Make { b: RefCell::new(b), x, y, w, z, h, b8, f, d, e, q };
        made
    }
    /// A truth of which no more is known.
    fn c(&self) -> Val {
        self.ult(self.x, self.y)
    }
    fn aes(&self, part: Aes, a: Val) -> Val {
        self.push(Ty::V128, Op::VAes { a, part })
    }
    fn add_shl(&self, a: Val, b: Val, n: u8) -> Val {
        let ty = self.b.borrow().ty(a);
        self.push(ty, Op::AddShl { a, b, n })
    }
}

/// Makes an expression; its value.
type Expression = fn(&Make) -> Val;

/// The operations that are left of an expression whose value goes to a slot.
fn left_of(expression: Expression) -> String {
    let make = Make::new();
    let v = expression(&make);
    let mut b = make.b.into_inner();
    b.set(any(15, b.ty(v)), v);
    b.exit(Leave::Sync);
    let better = optimised(&b.block, &mut Scratch::default());
    Listing {
        block: &better,
        layout: &LAYOUT,
    }
    .to_string()
}

macro_rules! same {
    ($($name:ident |$m:ident| { $($from:expr => $to:expr;)* })*) => { $(
        #[test]
        #[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
        fn $name() {
            let rows: &[(&str, Expression, Expression)] =
                &[$((stringify!($from => $to), |$m| $from, |$m| $to)),*];
            for (what, from, to) in rows {
                assert_eq!(left_of(*from), left_of(*to), "{what}");
            }
        }
    )* };
}

same! {
    constants_come_second |m| {
        m.add(m.i32(5), m.x) => m.add(m.x, m.i32(5));
        m.mul(m.i32(5), m.x) => m.mul(m.x, m.i32(5));
        m.and(m.i32(5), m.x) => m.and(m.x, m.i32(5));
        m.or(m.i32(5), m.x) => m.or(m.x, m.i32(5));
        m.xor(m.i32(5), m.x) => m.xor(m.x, m.i32(5));
        m.eq(m.i32(5), m.x) => m.eq(m.x, m.i32(5));
        m.ne(m.i32(5), m.x) => m.ne(m.x, m.i32(5));
        m.add_carry(m.i32(5), m.x) => m.add_carry(m.x, m.i32(5));
        m.add_ovf(m.i32(5), m.x) => m.add_ovf(m.x, m.i32(5));
        m.adc(m.i32(5), m.x, m.b8) => m.adc(m.x, m.i32(5), m.b8);
        m.adc_carry(m.i32(5), m.x, m.b8) => m.adc_carry(m.x, m.i32(5), m.b8);
        m.adc_ovf(m.i32(5), m.x, m.b8) => m.adc_ovf(m.x, m.i32(5), m.b8);
    }
    sums_and_products |m| {
        m.add(m.x, m.i32(0)) => m.x;
        m.sub(m.x, m.i32(0)) => m.x;
        m.sub(m.x, m.x) => m.i32(0);
        m.mul(m.x, m.i32(0)) => m.i32(0);
        m.mul(m.x, m.i32(1)) => m.x;
        m.mul(m.x, m.i32(8)) => m.shl(m.x, m.i32(3));
        m.mul(m.w, m.imm(Ty::I64, 1 << 40)) => m.shl(m.w, m.imm(Ty::I64, 40));
        m.neg(m.neg(m.x)) => m.x;
        m.fneg(m.fneg(m.f)) => m.f;
        m.add(m.x, m.shl(m.y, m.i32(1))) => m.add_shl(m.x, m.y, 1);
        m.add(m.x, m.shl(m.y, m.i32(3))) => m.add_shl(m.x, m.y, 3);
        m.add(m.shl(m.x, m.i32(2)), m.y) => m.add_shl(m.y, m.x, 2);
        m.add(m.w, m.shl(m.z, m.imm(Ty::I64, 2))) => m.add_shl(m.w, m.z, 2);
        m.add(m.pc_rel(Ty::I32, 8), m.i32(4)) => m.pc_rel(Ty::I32, 12);
        m.add(m.pc_rel(Ty::I32, 8), m.i32(12u32.wrapping_neg())) => m.pc_rel(Ty::I32, -4);
        m.add(m.pc_rel(Ty::I64, 8), m.imm(Ty::I64, u64::MAX)) => m.pc_rel(Ty::I64, 7);
    }
    carries_and_overflows |m| {
        m.add_carry(m.x, m.i32(0)) => m.bool(false);
        m.add_ovf(m.x, m.i32(0)) => m.bool(false);
        m.sub_ovf(m.x, m.i32(0)) => m.bool(false);
        m.adc(m.x, m.y, m.bool(false)) => m.add(m.x, m.y);
        m.adc_carry(m.x, m.y, m.bool(false)) => m.add_carry(m.x, m.y);
        m.adc_ovf(m.x, m.y, m.bool(false)) => m.add_ovf(m.x, m.y);
    }
    bits |m| {
        m.not(m.not(m.x)) => m.x;
        m.and(m.x, m.x) => m.x;
        m.or(m.x, m.x) => m.x;
        m.xor(m.x, m.x) => m.i32(0);
        m.and_not(m.x, m.x) => m.i32(0);
        m.and(m.x, m.i32(0)) => m.i32(0);
        m.and(m.x, m.i32(u32::MAX)) => m.x;
        m.or(m.x, m.i32(0)) => m.x;
        m.or(m.x, m.i32(u32::MAX)) => m.i32(u32::MAX);
        m.xor(m.x, m.i32(0)) => m.x;
        m.and_not(m.x, m.i32(0)) => m.x;
        m.and_not(m.x, m.i32(5)) => m.and(m.x, m.i32(!5));
        m.xor(m.xor(m.x, m.i32(5)), m.i32(5)) => m.x;
        m.and(m.zext(Ty::I32, m.b8), m.i32(0xff)) => m.zext(Ty::I32, m.b8);
        m.and(m.zext(Ty::I32, m.b8), m.i32(0x5ff)) => m.zext(Ty::I32, m.b8);
        m.and(m.zext(Ty::I64, m.x), m.imm(Ty::I64, 0xffff_ffff)) => m.zext(Ty::I64, m.x);
    }
    shifts |m| {
        m.shl(m.x, m.i32(0)) => m.x;
        m.shr_u(m.x, m.i32(0)) => m.x;
        m.shr_s(m.x, m.i32(0)) => m.x;
        m.rotr(m.x, m.i32(0)) => m.x;
        m.rotr(m.x, m.i32(32)) => m.x;
        m.rotr(m.x, m.i32(67)) => m.rotr(m.x, m.i32(3));
        m.shl(m.x, m.i32(32)) => m.i32(0);
        m.shr_u(m.x, m.i32(99)) => m.i32(0);
        m.shr_s(m.x, m.i32(32)) => m.shr_s(m.x, m.i32(31));
        m.shr_s(m.x, m.i32(99)) => m.shr_s(m.x, m.i32(31));
        m.vshl(Lane::I8, m.q, 0) => m.q;
        m.vshr_u(Lane::I8, m.q, 0) => m.q;
        m.vshr_s(Lane::I8, m.q, 0) => m.q;
    }
    comparisons |m| {
        m.eq(m.x, m.x) => m.bool(true);
        m.ule(m.x, m.x) => m.bool(true);
        m.sle(m.x, m.x) => m.bool(true);
        m.ne(m.x, m.x) => m.bool(false);
        m.ult(m.x, m.x) => m.bool(false);
        m.slt(m.x, m.x) => m.bool(false);
        m.ult(m.x, m.i32(0)) => m.bool(false);
        m.ult(m.i32(u32::MAX), m.x) => m.bool(false);
        m.ule(m.x, m.i32(u32::MAX)) => m.bool(true);
        m.ule(m.i32(0), m.x) => m.bool(true);
        m.eq(m.c(), m.bool(true)) => m.c();
        m.eq(m.c(), m.bool(false)) => m.xor(m.c(), m.bool(true));
        m.ne(m.c(), m.bool(false)) => m.c();
        m.ne(m.c(), m.bool(true)) => m.xor(m.c(), m.bool(true));
        m.eq(m.zext(Ty::I32, m.b8), m.i32(0xff)) => m.eq(m.b8, m.imm(Ty::I8, 0xff));
        m.ne(m.zext(Ty::I32, m.h), m.i32(5)) => m.ne(m.h, m.imm(Ty::I16, 5));
        m.eq(m.xor(m.x, m.y), m.i32(0)) => m.eq(m.x, m.y);
        m.ne(m.xor(m.x, m.y), m.i32(0)) => m.ne(m.x, m.y);
    }
    choices |m| {
        m.select(m.bool(true), m.x, m.y) => m.x;
        m.select(m.bool(false), m.x, m.y) => m.y;
        m.select(m.b8, m.x, m.x) => m.x;
        m.select(m.b8, m.bool(true), m.bool(false)) => m.b8;
        m.select(m.b8, m.bool(false), m.bool(true)) => m.xor(m.b8, m.bool(true));
        m.select(m.b8, m.i32(1), m.i32(0)) => m.zext(Ty::I32, m.b8);
    }
    representations |m| {
        m.zext(Ty::I64, m.zext(Ty::I32, m.b8)) => m.zext(Ty::I64, m.b8);
        m.sext(Ty::I64, m.zext(Ty::I32, m.b8)) => m.zext(Ty::I64, m.b8);
        m.sext(Ty::I64, m.sext(Ty::I32, m.b8)) => m.sext(Ty::I64, m.b8);
        m.trunc(Ty::I8, m.trunc(Ty::I16, m.w)) => m.trunc(Ty::I8, m.w);
        m.trunc(Ty::I16, m.zext(Ty::I64, m.h)) => m.h;
        m.trunc(Ty::I16, m.sext(Ty::I64, m.h)) => m.h;
        m.trunc(Ty::I8, m.zext(Ty::I64, m.h)) => m.trunc(Ty::I8, m.h);
        m.trunc(Ty::I8, m.sext(Ty::I64, m.h)) => m.trunc(Ty::I8, m.h);
        m.trunc(Ty::I32, m.zext(Ty::I64, m.h)) => m.zext(Ty::I32, m.h);
        m.trunc(Ty::I32, m.sext(Ty::I64, m.h)) => m.sext(Ty::I32, m.h);
        m.bitcast(Ty::F64, m.bitcast(Ty::V64, m.f)) => m.f;
        m.bitcast(Ty::I64, m.bitcast(Ty::V64, m.f)) => m.bitcast(Ty::I64, m.f);
    }
    lanes |m| {
        m.vhalf(m.vconcat(m.d, m.e), false) => m.d;
        m.vhalf(m.vconcat(m.d, m.e), true) => m.e;
        m.vconcat(m.vhalf(m.q, false), m.vhalf(m.q, true)) => m.q;
        m.vget_lane(Ty::I32, m.vdup(Ty::V128, Lane::I32, m.x), 2) => m.x;
        m.vget_lane(Ty::I32, m.vset_lane(m.q, m.x, 2), 2) => m.x;
    }
    rounds |m| {
        m.aes(Aes::Mix, m.aes(Aes::Sub, m.q)) => m.aes(Aes::SubMix, m.q);
        m.aes(Aes::InvMix, m.aes(Aes::InvSub, m.q)) => m.aes(Aes::InvSubMix, m.q);
    }
}

#[test]
fn what_looks_like_an_identity_is_none() {
    let rows: &[(&str, Expression)] = &[
        ("a mask that takes bits", |m| m.and(m.zext(Ty::I32, m.h), m.i32(0xff))),
        ("another constant", |m| m.xor(m.xor(m.x, m.i32(5)), m.i32(6))),
        ("a byte is never that", |m| m.eq(m.zext(Ty::I32, m.b8), m.i32(0x100))),
        ("not known to be a truth", |m| m.eq(m.b8, m.bool(true))),
        ("halves the wrong way round", |m| {
            m.vconcat(m.vhalf(m.q, true), m.vhalf(m.q, false))
        }),
        ("another lane", |m| m.vget_lane(Ty::I32, m.vset_lane(m.q, m.x, 1), 2)),
        ("one half twice", |m| {
            m.vconcat(m.vhalf(m.q, false), m.vhalf(m.q, false))
        }),
        ("parts that are no round", |m| m.aes(Aes::Mix, m.aes(Aes::InvSub, m.q))),
        ("parts in another order", |m| m.aes(Aes::Sub, m.aes(Aes::Mix, m.q))),
        ("a scale that no address has", |m| m.add(m.x, m.shl(m.y, m.i32(4)))),
        ("beyond what an offset reaches", |m| {
            m.add(m.pc_rel(Ty::I32, i32::MAX), m.i32(1))
        }),
        ("signed", |m| m.sext(Ty::I64, m.trunc(Ty::I32, m.w))),
        ("a carry comes in", |m| m.adc(m.x, m.y, m.b8)),
        ("a carry comes in", |m| m.adc_carry(m.x, m.y, m.b8)),
        ("a carry comes in", |m| m.adc_ovf(m.x, m.y, m.b8)),
        ("differences that are another", |m| m.eq(m.xor(m.x, m.y), m.i32(5))),
        ("differences that are another", |m| m.ne(m.xor(m.x, m.y), m.i32(5))),
        ("a truth is a byte", |m| {
            m.select(m.b8, m.imm(Ty::F64, 1), m.imm(Ty::F64, 0))
        }),
        ("a truth is a byte", |m| m.select(m.b8, m.i32(0), m.i32(1))),
        ("halves of two", |m| {
            let other = m.vdup(Ty::V128, Lane::I32, m.x);
            m.vconcat(m.vhalf(m.q, false), m.vhalf(other, true))
        }),
    ];
    for (what, expression) in rows {
        let make = Make::new();
        let v = expression(&make);
        let mut b = make.b.into_inner();
        b.set(any(15, b.ty(v)), v);
        b.exit(Leave::Sync);

        let better = optimised(&b.block, &mut Scratch::default());

        let kind = |inst: &Inst| (std::mem::discriminant(&inst.op), inst.ty);
        let computes = |inst: &&Inst| !matches!(inst.op, Op::Const { .. } | Op::Get { .. });
        for inst in b.block.insts.iter().filter(computes) {
            let there = better.insts.iter().any(|other| kind(other) == kind(inst));
            assert!(there, "{what}: {}", left_of(*expression));
        }
    }
}
