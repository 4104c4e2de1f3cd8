//! Parallel addition and subtraction, and SEL (Arm ARM DDI 0406C, A4.4.5 and A8.8).
//!
//! A register's halves or bytes are lanes of a vector whose upper half is not looked at.

use crate::state::GE;
use crate::tx::Tx;
use emu_ir::{Lane, Op, Ty, Val};

/// Register `n` as the low half of a V64.
pub fn vector(t: &mut Tx, n: u32) -> Val {
    let v = t.reg(n);
    widen(t, v)
}

fn widen(t: &mut Tx, v: Val) -> Val {
    let v = t.b.zext(Ty::I64, v);
    t.b.bitcast(Ty::V64, v)
}

/// The low half of a V64 as 32 bits.
pub fn scalar(t: &mut Tx, v: Val) -> Val {
    let v = t.b.bitcast(Ty::I64, v);
    t.b.trunc(Ty::I32, v)
}

/// What is done with the lanes, and how the results fit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Wrapping; GE from the exact results.
    Wrap,
    /// Saturating.
    Sat,
    /// Halved.
    Half,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lanes {
    Add8,
    Sub8,
    Add16,
    Sub16,
    /// Halves of the second operand exchanged; the high result is the sum.
    Asx,
    /// Halves of the second operand exchanged; the high result is the difference.
    Sax,
}

impl Lanes {
    fn lane(self) -> Lane {
        if matches!(self, Lanes::Add8 | Lanes::Sub8) {
            Lane::I8
        } else {
            Lane::I16
        }
    }
}

/// Picks lanes of a sum and of a difference, given as (type, sum, difference, bytes a lane).
fn blend(t: &mut Tx, lanes: Lanes, sum: Val, diff: Val, lane_bytes: usize) -> Val {
    let (low, high) = if lanes == Lanes::Asx { (16, 0) } else { (0, 16) };
    let mut pattern = [0xff; 16];
    for (k, p) in pattern.iter_mut().enumerate().take(2 * lane_bytes) {
        *p = k as u8 + if k < lane_bytes { low } else { high };
    }
    t.b.vperm(sum, diff, pattern)
}

/// Lanewise sum, difference, or both, of two vectors at a lane type with the given operations.
fn combine(t: &mut Tx, lanes: Lanes, a: Val, b: Val, add: LaneOp, sub: LaneOp, e: Lane) -> Val {
    match lanes {
        Lanes::Add8 | Lanes::Add16 => add(t, e, a, b),
        Lanes::Sub8 | Lanes::Sub16 => sub(t, e, a, b),
        Lanes::Asx | Lanes::Sax => {
            let (sum, diff) = (add(t, e, a, b), sub(t, e, a, b));
            blend(t, lanes, sum, diff, e.bits() as usize / 8)
        }
    }
}

type LaneOp = fn(&mut Tx, Lane, Val, Val) -> Val;

fn parallel(t: &mut Tx, signed: bool, form: Form, lanes: Lanes, [d, m, n]: [u32; 3]) {
    if [d, m, n].contains(&15) {
        return t.undefined();
    }
    let (x, mut y) = (t.reg(n), t.reg(m));
    if matches!(lanes, Lanes::Asx | Lanes::Sax) {
        let by = t.b.i32(16);
        y = t.b.rotr(y, by);
    }
    let (a, b, e) = (widen(t, x), widen(t, y), lanes.lane());
    let narrow = match form {
        Form::Sat => {
            let (add, sub): (LaneOp, LaneOp) = if signed {
                (|t, e, a, b| t.b.vqadd_s(e, a, b), |t, e, a, b| t.b.vqsub_s(e, a, b))
            } else {
                (|t, e, a, b| t.b.vqadd_u(e, a, b), |t, e, a, b| t.b.vqsub_u(e, a, b))
            };
            combine(t, lanes, a, b, add, sub, e)
        }
        Form::Wrap | Form::Half => {
            let exact = exact(t, signed, lanes, a, b, e);
            if form == Form::Wrap {
                set_ge(t, signed, lanes, exact, e);
                t.b.push(Ty::V64, Op::VNarrow { a: exact, e })
            } else {
                let halved = t.b.vshr_u(e.wider(), exact, 1);
                t.b.push(Ty::V64, Op::VNarrow { a: halved, e })
            }
        }
    };
    let v = scalar(t, narrow);
    t.set(d, v);
}

/// The exact results, in lanes of twice the width.
fn exact(t: &mut Tx, signed: bool, lanes: Lanes, a: Val, b: Val, e: Lane) -> Val {
    let mut wide = |v| {
        let op = if signed {
            Op::VWidenS { a: v, e }
        } else {
            Op::VWidenU { a: v, e }
        };
        t.b.push(Ty::V128, op)
    };
    let (a, b) = (wide(a), wide(b));
    let (add, sub): (LaneOp, LaneOp) = (|t, e, a, b| t.b.vadd(e, a, b), |t, e, a, b| t.b.vsub(e, a, b));
    combine(t, lanes, a, b, add, sub, e.wider())
}

/// GE: for each lane whether the exact result is not negative or, of unsigned sums, carries.
fn set_ge(t: &mut Tx, signed: bool, lanes: Lanes, exact: Val, e: Lane) {
    let (bits, wide) = (e.bits(), e.wider());
    // A lane sets GE if its exact result exceeds this.
    let (for_sum, for_diff) = (if signed { -1 } else { (1i64 << bits) - 1 }, -1i64);
    let limits = match lanes {
        Lanes::Add8 | Lanes::Add16 => [for_sum; 2],
        Lanes::Sub8 | Lanes::Sub16 => [for_diff; 2],
        Lanes::Asx => [for_diff, for_sum],
        Lanes::Sax => [for_sum, for_diff],
    };
    let mask = u128::from(u64::MAX >> (64 - wide.bits()));
    let limit = (0..128 / wide.bits()).fold(0u128, |v, k| {
        let limit = if k & 1 == 0 { limits[0] } else { limits[1] };
        v | (limit as u64 as u128 & mask) << (k * wide.bits())
    });
    let limit = t.b.vec(Ty::V128, limit);
    let over = t.b.push(
        Ty::V128,
        Op::VGtS {
            a: exact,
            b: limit,
            e: wide,
        },
    );
    let over = t.b.push(Ty::V64, Op::VNarrow { a: over, e });
    let over = scalar(t, over);
    // One bit of each byte, gathered at the top by a multiplication.
    let (pick, gather, by) = (t.b.i32(0x0804_0201), t.b.i32(0x0101_0101), t.b.i32(24));
    let picked = t.b.and(over, pick);
    let gathered = t.b.mul(picked, gather);
    let ge = t.b.shr_u(gathered, by);
    let ge = t.b.trunc(Ty::I8, ge);
    t.b.set(GE, ge);
}

macro_rules! parallels {
    ($( $name:ident $signed:literal $form:ident $lanes:ident; )*) => { $(
        #[doc = concat!(stringify!($name), ": `d` = `n` and `m` by lanes.")]
        pub fn $name(t: &mut Tx, d: u32, m: u32, n: u32) {
            parallel(t, $signed, Form::$form, Lanes::$lanes, [d, m, n]);
        }
    )* };
}
parallels! {
    sadd16 true Wrap Add16;   ssub16 true Wrap Sub16;   sasx true Wrap Asx;    ssax true Wrap Sax;
    sadd8 true Wrap Add8;     ssub8 true Wrap Sub8;
    uadd16 false Wrap Add16;  usub16 false Wrap Sub16;  uasx false Wrap Asx;   usax false Wrap Sax;
    uadd8 false Wrap Add8;    usub8 false Wrap Sub8;
    qadd16 true Sat Add16;    qsub16 true Sat Sub16;    qasx true Sat Asx;     qsax true Sat Sax;
    qadd8 true Sat Add8;      qsub8 true Sat Sub8;
    uqadd16 false Sat Add16;  uqsub16 false Sat Sub16;  uqasx false Sat Asx;   uqsax false Sat Sax;
    uqadd8 false Sat Add8;    uqsub8 false Sat Sub8;
    shadd16 true Half Add16;  shsub16 true Half Sub16;  shasx true Half Asx;   shsax true Half Sax;
    shadd8 true Half Add8;    shsub8 true Half Sub8;
    uhadd16 false Half Add16; uhsub16 false Half Sub16; uhasx false Half Asx;  uhsax false Half Sax;
    uhadd8 false Half Add8;   uhsub8 false Half Sub8;
}

/// SEL: each byte of `n` where its GE bit is set, else of `m`.
pub fn sel(t: &mut Tx, d: u32, m: u32, n: u32) {
    if [d, m, n].contains(&15) {
        return t.undefined();
    }
    let (a, b, ge) = (t.reg(n), t.reg(m), t.b.get(GE));
    let ge = t.b.zext(Ty::I32, ge);
    // Bit k of GE to bit 0 of byte k, then to all of the byte.
    let (spread, ones, full) = (t.b.i32(0x0020_4081), t.b.i32(0x0101_0101), t.b.i32(0xff));
    let bits = t.b.mul(ge, spread);
    let bits = t.b.and(bits, ones);
    let mask = t.b.mul(bits, full);
    let (a, b) = (t.b.and(a, mask), t.b.and_not(b, mask));
    let v = t.b.or(a, b);
    t.set(d, v);
}
