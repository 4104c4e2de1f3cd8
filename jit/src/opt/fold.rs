//! Identities of pure operations: one step from an operation to a simpler one.

use super::values::Values;
use emu_ir::block::Inst;
use emu_ir::{Op, Rule, Ty, Val};

/// What an operation is the same as.
pub(super) enum Rewrite {
    /// Nothing simpler.
    Keep,
    /// A value there is already.
    Value(Val),
    /// Another operation.
    Inst(Inst),
}
use Rewrite::{Inst as Become, Keep, Value};

/// One step; `first`: the first operand is a constant (and not all are). Constants come second where operations commute.
pub(super) fn simplify(f: &mut Values, inst: &Inst, first: bool) -> Rewrite {
    let ty = inst.ty;
    if first && let Some(op) = commuted(f, &inst.op) {
        return Become(Inst { op, ty });
    }
    match inst.op {
        Op::Add { a, b } | Op::Sub { a, b } if is(f, b, 0) => Value(a),
        Op::Add { a, b } => add(f, ty, a, b),
        Op::Sub { a, b } | Op::Xor { a, b } if a == b => zero(f, ty),
        Op::Mul { a, b } => mul(f, ty, a, b),
        Op::And { .. } | Op::Or { .. } | Op::Xor { .. } | Op::AndNot { .. } => bitwise(f, inst),
        Op::Not { a } => match f.def(a).op {
            Op::Not { a: x } => Value(x),
            _ => Keep,
        },
        Op::Neg { a } => match f.def(a).op {
            Op::Neg { a: x } => Value(x),
            _ => Keep,
        },
        Op::Shl { .. } | Op::ShrU { .. } | Op::ShrS { .. } | Op::Rotr { .. } => shift(f, inst),
        Op::AddCarry { b, .. } | Op::AddOvf { b, .. } | Op::SubOvf { b, .. } if is(f, b, 0) => zero(f, Ty::I8),
        Op::Adc { a, b, c } if is(f, c, 0) => Become(Inst {
            op: Op::Add { a, b },
            ty,
        }),
        Op::AdcCarry { a, b, c } if is(f, c, 0) => Become(Inst {
            op: Op::AddCarry { a, b },
            ty,
        }),
        Op::AdcOvf { a, b, c } if is(f, c, 0) => Become(Inst {
            op: Op::AddOvf { a, b },
            ty,
        }),
        Op::Eq { .. } | Op::Ne { .. } | Op::Ult { .. } | Op::Ule { .. } | Op::Slt { .. } | Op::Sle { .. } => {
            compare(f, inst)
        }
        Op::Select { c, a, b } => select(f, ty, c, a, b),
        Op::Zext { .. } | Op::Sext { .. } | Op::Trunc { .. } | Op::Bitcast { .. } => represent(f, inst),
        Op::FNeg { a } => match f.def(a).op {
            Op::FNeg { a: x } => Value(x),
            _ => Keep,
        },
        Op::VConcat { .. } | Op::VHalf { .. } | Op::VGetLane { .. } => lanes(f, inst),
        Op::VAes { a, part } => match f.def(a).op {
            Op::VAes { a, part: first } => match part.after(first) {
                Some(part) => Become(Inst {
                    op: Op::VAes { a, part },
                    ty,
                }),
                None => Keep,
            },
            _ => Keep,
        },
        Op::VShl { a, n: 0, .. } | Op::VShrU { a, n: 0, .. } | Op::VShrS { a, n: 0, .. } => Value(a),
        _ => Keep,
    }
}

fn is(f: &Values, v: Val, bits: u64) -> bool {
    f.constant(v) == Some(bits)
}

/// All value bits of a type of up to 64 bits.
fn ones(ty: Ty) -> u64 {
    ty.mask() as u64
}

fn zero(f: &mut Values, ty: Ty) -> Rewrite {
    Value(f.make(ty, 0))
}

/// Whether a value is 0 or 1 by the operation that made it.
fn is_bool(f: &Values, v: Val) -> bool {
    f.def(v).op.rule() == Rule::Bool
}

/// A boolean's opposite.
fn inverted(f: &mut Values, a: Val) -> Rewrite {
    let b = f.make(Ty::I8, 1);
    Become(Inst {
        op: Op::Xor { a, b },
        ty: Ty::I8,
    })
}

/// The operation with its first operand, a constant, moved second. Of two operands that one is none; of three it may be.
fn commuted(f: &Values, op: &Op) -> Option<Op> {
    Some(match *op {
        Op::Add { a, b } => Op::Add { a: b, b: a },
        Op::Mul { a, b } => Op::Mul { a: b, b: a },
        Op::And { a, b } => Op::And { a: b, b: a },
        Op::Or { a, b } => Op::Or { a: b, b: a },
        Op::Xor { a, b } => Op::Xor { a: b, b: a },
        Op::Eq { a, b } => Op::Eq { a: b, b: a },
        Op::Ne { a, b } => Op::Ne { a: b, b: a },
        Op::AddCarry { a, b } => Op::AddCarry { a: b, b: a },
        Op::AddOvf { a, b } => Op::AddOvf { a: b, b: a },
        Op::Adc { a, b, c } if f.constant(b).is_none() => Op::Adc { a: b, b: a, c },
        Op::AdcCarry { a, b, c } if f.constant(b).is_none() => Op::AdcCarry { a: b, b: a, c },
        Op::AdcOvf { a, b, c } if f.constant(b).is_none() => Op::AdcOvf { a: b, b: a, c },
        _ => return None,
    })
}

/// An address relative to the page stays one when a constant is added; an addition takes a scale along.
fn add(f: &Values, ty: Ty, a: Val, b: Val) -> Rewrite {
    for (a, b) in [(a, b), (b, a)] {
        if let Op::Shl { a: b, b: n } = f.def(b).op
            && let Some(n @ 1..=3) = f.constant(n)
            && matches!(ty, Ty::I32 | Ty::I64)
        {
            let n = n as u8;
            let op = Op::AddShl { a, b, n };
            return Become(Inst { op, ty });
        }
    }
    let (Op::PcRel { offset }, Some(c)) = (f.def(a).op, f.constant(b)) else {
        return Keep;
    };
    let c = crate::interp::signed(ty, c);
    match i32::try_from(offset as i64 + c) {
        Ok(offset) => Become(Inst {
            op: Op::PcRel { offset },
            ty,
        }),
        Err(_) => Keep,
    }
}

fn mul(f: &mut Values, ty: Ty, a: Val, b: Val) -> Rewrite {
    match f.constant(b) {
        Some(0) => zero(f, ty),
        // By 1 it is a shift by 0.
        Some(c) if c.is_power_of_two() => {
            let b = f.make(ty, c.trailing_zeros() as u128);
            Become(Inst {
                op: Op::Shl { a, b },
                ty,
            })
        }
        _ => Keep,
    }
}

fn bitwise(f: &mut Values, inst: &Inst) -> Rewrite {
    let ty = inst.ty;
    match inst.op {
        Op::And { a, b } | Op::Or { a, b } if a == b => Value(a),
        Op::AndNot { a, b } if a == b => zero(f, ty),
        Op::And { b, .. } if is(f, b, 0) => zero(f, ty),
        Op::And { a, b } if is(f, b, ones(ty)) && ty != Ty::V128 => Value(a),
        Op::And { a, b } => match (f.def(a).op, f.constant(b)) {
            // A mask that keeps all that a zero extension leaves.
            (Op::Zext { a: x }, Some(c)) if c & ones(f.ty(x)) == ones(f.ty(x)) => Value(a),
            _ => Keep,
        },
        Op::Or { a, b } | Op::Xor { a, b } | Op::AndNot { a, b } if is(f, b, 0) => Value(a),
        Op::Or { b, .. } if is(f, b, ones(ty)) && ty != Ty::V128 => Value(b),
        Op::Xor { a, b } => match f.def(a).op {
            // Twice the same constant, as in the opposite of an opposite.
            Op::Xor { a: x, b: y } if y == b => Value(x),
            _ => Keep,
        },
        Op::AndNot { a, b } => match f.constant(b) {
            Some(c) => {
                let b = f.make(ty, !(c as u128));
                Become(Inst {
                    op: Op::And { a, b },
                    ty,
                })
            }
            None => Keep,
        },
        _ => Keep,
    }
}

fn shift(f: &mut Values, inst: &Inst) -> Rewrite {
    let (ty, width) = (inst.ty, inst.ty.bits() as u64);
    let (Op::Shl { a, b } | Op::ShrU { a, b } | Op::ShrS { a, b } | Op::Rotr { a, b }) = inst.op else {
        return Keep;
    };
    match (inst.op, f.constant(b)) {
        (_, Some(0)) => Value(a),
        (Op::Rotr { .. }, Some(n)) if n >= width => {
            let b = f.make(ty, (n % width) as u128);
            Become(Inst {
                op: Op::Rotr { a, b },
                ty,
            })
        }
        (Op::ShrS { .. }, Some(n)) if n >= width => {
            let b = f.make(ty, width as u128 - 1);
            Become(Inst {
                op: Op::ShrS { a, b },
                ty,
            })
        }
        (Op::Shl { .. } | Op::ShrU { .. }, Some(n)) if n >= width => zero(f, ty),
        _ => Keep,
    }
}

fn compare(f: &mut Values, inst: &Inst) -> Rewrite {
    let ty = inst.ty;
    match inst.op {
        Op::Eq { a, b } | Op::Ule { a, b } | Op::Sle { a, b } if a == b => Value(f.make(Ty::I8, 1)),
        Op::Ne { a, b } | Op::Ult { a, b } | Op::Slt { a, b } if a == b => zero(f, Ty::I8),
        Op::Ult { b, .. } if is(f, b, 0) => zero(f, Ty::I8),
        Op::Ult { a, .. } if is(f, a, ones(ty)) => zero(f, Ty::I8),
        Op::Ule { b, .. } if is(f, b, ones(ty)) => Value(f.make(Ty::I8, 1)),
        Op::Ule { a, .. } if is(f, a, 0) => Value(f.make(Ty::I8, 1)),
        Op::Eq { a, b } => match (f.def(a), f.constant(b)) {
            (_, Some(1)) if is_bool(f, a) => Value(a),
            (_, Some(0)) if is_bool(f, a) => inverted(f, a),
            (d, Some(c)) => equal(f, d, c, true),
            _ => Keep,
        },
        Op::Ne { a, b } => match (f.def(a), f.constant(b)) {
            (_, Some(0)) if is_bool(f, a) => Value(a),
            (_, Some(1)) if is_bool(f, a) => inverted(f, a),
            (d, Some(c)) => equal(f, d, c, false),
            _ => Keep,
        },
        _ => Keep,
    }
}

/// `d == c` (or `!=`) for what `d` was made from.
fn equal(f: &mut Values, d: Inst, c: u64, equal: bool) -> Rewrite {
    let (a, b, ty) = match d.op {
        Op::Zext { a } if c <= ones(f.ty(a)) => {
            let ty = f.ty(a);
            (a, f.make(ty, c as u128), ty)
        }
        Op::Xor { a, b } if c == 0 => (a, b, d.ty),
        _ => return Keep,
    };
    let op = if equal { Op::Eq { a, b } } else { Op::Ne { a, b } };
    Become(Inst { op, ty })
}

fn select(f: &mut Values, ty: Ty, c: Val, a: Val, b: Val) -> Rewrite {
    match f.constant(c) {
        Some(0) => return Value(b),
        Some(_) => return Value(a),
        None if a == b => return Value(a),
        None => {}
    }
    match (f.constant(a), f.constant(b)) {
        (Some(1), Some(0)) if ty == Ty::I8 => Value(c),
        (Some(1), Some(0)) if ty.is_int() => Become(Inst {
            op: Op::Zext { a: c },
            ty,
        }),
        (Some(0), Some(1)) if ty == Ty::I8 => inverted(f, c),
        _ => Keep,
    }
}

fn represent(f: &Values, inst: &Inst) -> Rewrite {
    let ty = inst.ty;
    let (Op::Zext { a } | Op::Sext { a } | Op::Trunc { a } | Op::Bitcast { a }) = inst.op else {
        return Keep;
    };
    let inner = f.def(a).op;
    match (inst.op, inner) {
        (Op::Zext { .. } | Op::Sext { .. }, Op::Zext { a: x }) => Become(Inst {
            op: Op::Zext { a: x },
            ty,
        }),
        (Op::Sext { .. }, Op::Sext { a: x }) => Become(Inst {
            op: Op::Sext { a: x },
            ty,
        }),
        (Op::Trunc { .. }, Op::Trunc { a: x }) => Become(Inst {
            op: Op::Trunc { a: x },
            ty,
        }),
        (Op::Trunc { .. }, Op::Zext { a: x } | Op::Sext { a: x }) => {
            let bits = f.ty(x).bits();
            match inner {
                _ if bits == ty.bits() => Value(x),
                _ if bits > ty.bits() => Become(Inst {
                    op: Op::Trunc { a: x },
                    ty,
                }),
                Op::Zext { .. } => Become(Inst {
                    op: Op::Zext { a: x },
                    ty,
                }),
                _ => Become(Inst {
                    op: Op::Sext { a: x },
                    ty,
                }),
            }
        }
        (Op::Bitcast { .. }, _) if f.ty(a) == ty => Value(a),
        (Op::Bitcast { .. }, Op::Bitcast { a: x }) => Become(Inst {
            op: Op::Bitcast { a: x },
            ty,
        }),
        _ => Keep,
    }
}

fn lanes(f: &Values, inst: &Inst) -> Rewrite {
    match inst.op {
        Op::VHalf { a, hi } => match f.def(a).op {
            Op::VConcat { lo, hi: high } => Value(if hi { high } else { lo }),
            _ => Keep,
        },
        Op::VConcat { lo, hi } => match (f.def(lo).op, f.def(hi).op) {
            (Op::VHalf { a, hi: false }, Op::VHalf { a: b, hi: true }) if a == b => Value(a),
            _ => Keep,
        },
        Op::VGetLane { a, i } => match f.def(a).op {
            Op::VDup { a: x, .. } if f.ty(x) == inst.ty => Value(x),
            Op::VSetLane { b: x, i: at, .. } if at == i && f.ty(x) == inst.ty => Value(x),
            _ => Keep,
        },
        _ => Keep,
    }
}
