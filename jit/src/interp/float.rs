//! Floating-point operations, by the software implementation in [`fp`].

use super::vec;
use crate::classes::{effect_ops, pure_ops};
use crate::fp::{self, Env, Format};
use emu_ir::block::Inst;
use emu_ir::{Block, Fenv, Lane, Op, Relation, STATUS_CARRY, STATUS_FIXED, STATUS_PARITY, STATUS_ZERO, Ty, Val};

/// An operation's bits and the flags it raised. `resolved` puts the current rounding mode into an environment.
#[expect(clippy::unreachable, reason = "asked for operations with this effect alone")]
pub(super) fn eval(block: &Block, inst: &Inst, vals: &[u128], resolved: impl Fn(Fenv) -> Env) -> (u128, u32) {
    let ty = inst.ty;
    let (f, bits) = (Format::of(ty), ty.bits());
    let v = |a: Val| vals[a.index()] as u64;
    let w = |a: Val| vals[a.index()];
    let from = |a: Val| Format::of(block.ty(a));
    let wide = |(r, flags): (u64, u32)| (r as u128, flags);
    let truth = |(r, flags): (bool, u32)| (r as u128, flags);
    let zip = |e, a, b, env, op: Binary| lanes(ty, e, |i| op(format(e), at(w(a), e, i), at(w(b), e, i), resolved(env)));
    let test = |e, a, b, env, op: Test| {
        lanes(ty, e, |i| {
            let (r, flags) = op(format(e), at(w(a), e, i), at(w(b), e, i), resolved(env));
            (if r { u64::MAX } else { 0 }, flags)
        })
    };
    match inst.op {
        // ---- scalar
        Op::FAdd { a, b, env } => wide(fp::add(f, v(a), v(b), resolved(env))),
        Op::FSub { a, b, env } => wide(fp::sub(f, v(a), v(b), resolved(env))),
        Op::FMul { a, b, env } => wide(fp::mul(f, v(a), v(b), resolved(env))),
        Op::FDiv { a, b, env } => wide(fp::div(f, v(a), v(b), resolved(env))),
        Op::FSqrt { a, env } => wide(fp::sqrt(f, v(a), resolved(env))),
        Op::FRound { a, env } => wide(fp::round_to_integral(f, v(a), resolved(env))),
        Op::FMulAdd { c, a, b, env } => wide(fp::mul_add(f, v(c), v(a), v(b), resolved(env))),
        Op::FEq { a, b, env } => truth(fp::eq(f, v(a), v(b), resolved(env))),
        Op::FLt { a, b, env } => truth(fp::lt(f, v(a), v(b), resolved(env))),
        Op::FLe { a, b, env } => truth(fp::le(f, v(a), v(b), resolved(env))),
        Op::FUn { a, b, env } => truth(fp::unordered(f, v(a), v(b), resolved(env))),
        Op::FStatus { a, b, env } => {
            let (is, flags) = fp::relation(f, v(a), v(b), resolved(env));
            (status(is).into(), flags)
        }
        Op::FCvt { a, env } => wide(fp::convert(from(a), f, v(a), resolved(env))),
        Op::FFromHalf { a, env } => wide(fp::from_half(f, v(a), resolved(env))),
        Op::FToHalf { a, env } => wide(fp::to_half(from(a), v(a), resolved(env))),
        Op::FToS { a, frac, env } => wide(fp::to_signed(from(a), v(a), bits, frac, resolved(env))),
        Op::FToU { a, frac, env } => wide(fp::to_unsigned(from(a), v(a), bits, frac, resolved(env))),
        Op::SToF { a, frac, env } => wide(fp::from_signed(f, v(a), block.ty(a).bits(), frac, resolved(env))),
        Op::UToF { a, frac, env } => wide(fp::from_unsigned(f, v(a), block.ty(a).bits(), frac, resolved(env))),

        // ---- vectors
        Op::VFAdd { a, b, e, env } => zip(e, a, b, env, fp::add),
        Op::VFSub { a, b, e, env } => zip(e, a, b, env, fp::sub),
        Op::VFMul { a, b, e, env } => zip(e, a, b, env, fp::mul),
        Op::VFDiv { a, b, e, env } => zip(e, a, b, env, fp::div),
        Op::VFSqrt { a, e, env } => lanes(ty, e, |i| fp::sqrt(format(e), at(w(a), e, i), resolved(env))),
        Op::VFRound { a, e, env } => lanes(ty, e, |i| {
            fp::round_to_integral(format(e), at(w(a), e, i), resolved(env))
        }),
        Op::VFMax { a, b, e, env } => zip(e, a, b, env, fp::max),
        Op::VFMin { a, b, e, env } => zip(e, a, b, env, fp::min),
        Op::VFEq { a, b, e, env } => test(e, a, b, env, fp::eq),
        Op::VFGt { a, b, e, env } => test(e, a, b, env, fp::gt),
        Op::VFGe { a, b, e, env } => test(e, a, b, env, fp::ge),
        Op::VFCmp { a, b, is, e, env } => lanes(ty, e, |i| {
            let (found, flags) = fp::relation(format(e), at(w(a), e, i), at(w(b), e, i), resolved(env));
            (if is.has(found) { u64::MAX } else { 0 }, flags)
        }),
        Op::VFMulAdd { c, a, b, env, e } => lanes(ty, e, |i| {
            fp::mul_add(format(e), at(w(c), e, i), at(w(a), e, i), at(w(b), e, i), resolved(env))
        }),
        Op::VFToS { a, frac, e, env } => lanes(ty, e, |i| {
            fp::to_signed(format(e), at(w(a), e, i), e.bits(), frac, resolved(env))
        }),
        Op::VFToU { a, frac, e, env } => lanes(ty, e, |i| {
            fp::to_unsigned(format(e), at(w(a), e, i), e.bits(), frac, resolved(env))
        }),
        Op::VSToF { a, frac, e, env } => lanes(ty, e, |i| {
            fp::from_signed(format(e), at(w(a), e, i), e.bits(), frac, resolved(env))
        }),
        Op::VUToF { a, frac, e, env } => lanes(ty, e, |i| {
            fp::from_unsigned(format(e), at(w(a), e, i), e.bits(), frac, resolved(env))
        }),

        pure_ops!() | effect_ops!() => unreachable!("{} is not floating point", inst.op.name()),
    }
}

type Binary = fn(Format, u64, u64, Env) -> (u64, u32);
type Test = fn(Format, u64, u64, Env) -> (bool, u32);

/// The status flags of a comparison.
fn status(is: Relation) -> u16 {
    STATUS_FIXED
        | match is {
            Relation::LESS => STATUS_CARRY,
            Relation::EQUAL => STATUS_ZERO,
            Relation::UNORDERED => STATUS_CARRY | STATUS_ZERO | STATUS_PARITY,
            _ => 0,
        }
}

/// The format of a float lane; an integer lane counts as the float of its width.
fn format(e: Lane) -> Format {
    match e.bits() {
        16 => Format::Half,
        32 => Format::Single,
        _ => Format::Double,
    }
}

fn at(a: u128, e: Lane, i: u32) -> u64 {
    vec::lane(a, e.bits(), i)
}

/// `f` of each lane's index, flags gathered.
fn lanes(ty: Ty, e: Lane, f: impl Fn(u32) -> (u64, u32)) -> (u128, u32) {
    let (mut out, mut all) = (0, 0);
    for i in 0..ty.bits() / e.bits() {
        let (r, flags) = f(i);
        out = vec::set_lane(out, e.bits(), i, r as u128);
        all |= flags;
    }
    (out, all)
}
