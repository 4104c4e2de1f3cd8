//! Every operation against an expectation written another way: native arithmetic for scalars, exact wide integers for
//! lanes, bytes for what moves bytes.

mod aes;
mod half;
mod status;

use super::*;
use crate::cases::{self, Case, MEMORY, Operands, PAGE_BASE, TestGuest, TestMemory};
use emu_ir::block::Inst;
use emu_ir::{Builder, Lane, Pieces, Relation, Round};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// An operation's operands by name.
struct Row<'a> {
    case: &'a Case,
    vals: &'a [u128],
}

impl Row<'_> {
    fn u(&self, v: Val) -> u128 {
        self.vals[v.index()]
    }
    fn ty(&self, v: Val) -> Ty {
        self.case.operands[v.index()].ty()
    }
    /// Sign-extended from its own type.
    fn s(&self, v: Val) -> i128 {
        sign(self.u(v), self.ty(v).bits())
    }
    fn lanes(&self, v: Val, bits: u32) -> Vec<i128> {
        (0..self.ty(v).bits() / bits)
            .map(|i| (self.u(v) >> (i * bits) & ones(bits)) as i128)
            .collect()
    }
    fn signed_lanes(&self, v: Val, bits: u32) -> Vec<i128> {
        self.lanes(v, bits).into_iter().map(|l| sign(l as u128, bits)).collect()
    }
}

fn ones(bits: u32) -> u128 {
    u128::MAX >> (128 - bits)
}

fn sign(v: u128, bits: u32) -> i128 {
    if v >> (bits - 1) & 1 != 0 {
        (v | !ones(bits)) as i128
    } else {
        v as i128
    }
}

fn join(lanes: impl IntoIterator<Item = i128>, bits: u32) -> u128 {
    let lanes: Vec<i128> = lanes.into_iter().collect();
    lanes.iter().rev().fold(0, |v, l| v << bits | *l as u128 & ones(bits))
}

/// Scalar integer operations, in the host's own types.
macro_rules! native {
    ($name:ident $u:ty, $s:ty) => {
        fn $name(op: Op, row: &Row) -> Option<u128> {
            let u = |v: Val| row.u(v) as $u;
            let s = |v: Val| row.u(v) as $s;
            let count = |v: Val| u32::try_from(row.u(v)).unwrap_or(u32::MAX);
            let carry = |v: Val| row.u(v) != 0;
            Some(match op {
                Op::Add { a, b } => u(a).wrapping_add(u(b)) as u128,
                Op::Sub { a, b } => u(a).wrapping_sub(u(b)) as u128,
                Op::Mul { a, b } => u(a).wrapping_mul(u(b)) as u128,
                Op::MulHiU { a, b } => (row.u(a) * row.u(b)) >> <$u>::BITS,
                Op::MulHiS { a, b } => ((row.s(a) * row.s(b)) >> <$u>::BITS) as $u as u128,
                Op::DivU { a, b } => u(a).checked_div(u(b)).unwrap_or(0) as u128,
                Op::DivS { b, .. } if u(b) == 0 => 0,
                Op::DivS { a, b } => s(a).wrapping_div(s(b)) as $u as u128,
                Op::Neg { a } => u(a).wrapping_neg() as u128,
                Op::Shl { a, b } => u(a).checked_shl(count(b)).unwrap_or(0) as u128,
                Op::ShrU { a, b } => u(a).checked_shr(count(b)).unwrap_or(0) as u128,
                Op::ShrS { a, b } => s(a)
                    .checked_shr(count(b))
                    .unwrap_or(if s(a) < 0 { -1 } else { 0 }) as $u as u128,
                Op::Rotr { a, b } => u(a).rotate_right((u(b) % <$u>::BITS as $u) as u32) as u128,
                Op::Clz { a } => u(a).leading_zeros() as u128,
                Op::Ctz { a } => u(a).trailing_zeros() as u128,
                Op::Popcnt { a } => u(a).count_ones() as u128,
                Op::Bswap { a } => u(a).swap_bytes() as u128,
                Op::BitRev { a } => u(a).reverse_bits() as u128,
                Op::AddShl { a, b, n } => u(a).wrapping_add(u(b).wrapping_mul(1 << n)) as u128,
                Op::AddCarry { a, b } => u(a).overflowing_add(u(b)).1 as u128,
                Op::AddOvf { a, b } => s(a).overflowing_add(s(b)).1 as u128,
                Op::SubOvf { a, b } => s(a).overflowing_sub(s(b)).1 as u128,
                Op::Adc { a, b, c } => u(a).wrapping_add(u(b)).wrapping_add(carry(c) as $u) as u128,
                Op::Sbb { a, b, c } => u(a).wrapping_sub(u(b)).wrapping_sub(carry(c) as $u) as u128,
                Op::Status { how, a, b, c } => status::expect::<$u>(how, row, a, b, c),
                Op::AdcCarry { a, b, c } => (row.u(a) + row.u(b) + row.u(c) > <$u>::MAX as u128) as u128,
                Op::AdcOvf { a, b, c } => {
                    let sum = row.s(a) + row.s(b) + row.u(c) as i128;
                    (sum != sum as $s as i128) as u128
                }
                Op::Eq { a, b } => (u(a) == u(b)) as u128,
                Op::Ne { a, b } => (u(a) != u(b)) as u128,
                Op::Ult { a, b } => (u(a) < u(b)) as u128,
                Op::Ule { a, b } => (u(a) <= u(b)) as u128,
                Op::Slt { a, b } => (s(a) < s(b)) as u128,
                Op::Sle { a, b } => (s(a) <= s(b)) as u128,
                Op::Zext { a } => row.u(a),
                Op::Sext { a } => row.s(a) as $u as u128,
                Op::Trunc { a } => u(a) as u128,
                Op::PcRel { offset } => (PAGE_BASE as i64 + offset as i64) as $u as u128,
                _ => return None,
            })
        }
    };
}
native!(native8 u8, i8);
native!(native16 u16, i16);
native!(native32 u32, i32);
native!(native64 u64, i64);

/// Operations of any type that move or combine bits.
fn bitwise(inst: Inst, row: &Row) -> Option<u128> {
    let ty = inst.ty;
    Some(match inst.op {
        Op::Const { imm } => imm.get() as u128,
        Op::Const128 { .. } => row.case.pool(),
        Op::And { a, b } => row.u(a) & row.u(b),
        Op::Or { a, b } => row.u(a) | row.u(b),
        Op::Xor { a, b } => row.u(a) ^ row.u(b),
        Op::AndNot { a, b } => row.u(a) & (row.u(b) ^ ones(128)),
        Op::Insert { a, b, at } => {
            let hole = ones(row.ty(b).bits()) << at;
            (row.u(a) | hole) ^ hole | row.u(b) << at
        }
        Op::Cond { a, cc } => status::holds(row.u(a) as u16, cc) as u128,
        Op::Not { a } => row.u(a) ^ ones(ty.bits()),
        Op::Select { c, a, b } => [row.u(b), row.u(a)][row.u(c) as usize],
        Op::Bitcast { a } => row.u(a),
        Op::VDup { a, e } => join(vec![row.u(a) as i128; (ty.bits() / e.bits()) as usize], e.bits()),
        Op::VGetLane { a, i } => row.lanes(a, ty.bits())[i as usize] as u128,
        Op::VSetLane { a, b, i } => {
            let bits = row.ty(b).bits();
            let mut lanes = row.lanes(a, bits);
            lanes[i as usize] = row.u(b) as i128;
            join(lanes, bits)
        }
        Op::VConcat { lo, hi } => join([row.u(lo) as i128, row.u(hi) as i128], 64),
        Op::VHalf { a, hi } => row.lanes(a, 64)[hi as usize] as u128,
        Op::VPerm { a, b, .. } => {
            let mut table = row.u(a).to_le_bytes().to_vec();
            table.extend(row.u(b).to_le_bytes());
            picked(&table, row.case.pool(), ty)
        }
        Op::VLookup { a, idx } => picked(&row.u(a).to_le_bytes(), row.u(idx), ty),
        Op::VShuffle { a, idx } => {
            let table = row.u(a).to_le_bytes();
            let of = |k: i128| if k < 128 { table[k as usize % 16] } else { 0 };
            join(row.lanes(idx, 8).into_iter().map(|k| of(k).into()), 8)
        }
        Op::VSigns { a, e } => join(row.signed_lanes(a, e.bits()).iter().map(|x| (*x < 0).into()), 1),
        _ => return None,
    })
}

fn picked(table: &[u8], pattern: u128, ty: Ty) -> u128 {
    let pattern = pattern.to_le_bytes();
    let bytes = pattern[..ty.bytes() as usize]
        .iter()
        .map(|k| table.get(*k as usize).copied().unwrap_or(0) as i128);
    join(bytes, 8)
}

fn saturated(v: i128, bits: u32, signed: bool) -> i128 {
    match signed {
        true => v.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        false => v.clamp(0, (1 << bits) - 1),
    }
}

fn products(a: Vec<i128>, b: Vec<i128>) -> Vec<i128> {
    a.into_iter().zip(b).map(|(x, y)| x * y).collect()
}

fn even(lanes: &[i128]) -> Vec<i128> {
    lanes.iter().copied().step_by(2).collect()
}

/// Vectors of integers, lane by lane in 128 bits.
fn integers(inst: Inst, row: &Row) -> Option<u128> {
    let u = |a, b, e: Lane, f: fn(i128, i128) -> i128| {
        let pairs = row.lanes(a, e.bits()).into_iter().zip(row.lanes(b, e.bits()));
        join(pairs.map(|(x, y)| f(x, y)), e.bits())
    };
    let s = |a, b, e: Lane, f: fn(i128, i128) -> i128| {
        let pairs = row
            .signed_lanes(a, e.bits())
            .into_iter()
            .zip(row.signed_lanes(b, e.bits()));
        join(pairs.map(|(x, y)| f(x, y)), e.bits())
    };
    let saturating = |a, b, e: Lane, signed, f: fn(i128, i128) -> i128| {
        let of = |v| {
            if signed {
                row.signed_lanes(v, e.bits())
            } else {
                row.lanes(v, e.bits())
            }
        };
        let results = of(a)
            .into_iter()
            .zip(of(b))
            .map(|(x, y)| saturated(f(x, y), e.bits(), signed));
        join(results.collect::<Vec<_>>(), e.bits())
    };
    let truth = |holds: bool| if holds { -1 } else { 0 };
    let each = |lanes: Vec<i128>, bits, f: &dyn Fn(i128) -> i128| join(lanes.into_iter().map(f), bits);
    Some(match inst.op {
        Op::VAdd { a, b, e } => u(a, b, e, |x, y| x + y),
        Op::VSub { a, b, e } => u(a, b, e, |x, y| x - y),
        Op::VMul { a, b, e } => u(a, b, e, |x, y| x * y),
        Op::VMinS { a, b, e } => s(a, b, e, i128::min),
        Op::VMinU { a, b, e } => u(a, b, e, i128::min),
        Op::VMaxS { a, b, e } => s(a, b, e, i128::max),
        Op::VMaxU { a, b, e } => u(a, b, e, i128::max),
        Op::VQAddS { a, b, e } => saturating(a, b, e, true, |x, y| x + y),
        Op::VQAddU { a, b, e } => saturating(a, b, e, false, |x, y| x + y),
        Op::VQSubS { a, b, e } => saturating(a, b, e, true, |x, y| x - y),
        Op::VQSubU { a, b, e } => saturating(a, b, e, false, |x, y| x - y),
        Op::VEq { a, b, e } => u(a, b, e, |x, y| if x == y { -1 } else { 0 }),
        Op::VGtS { a, b, e } => s(a, b, e, |x, y| if x > y { -1 } else { 0 }),
        Op::VGtU { a, b, e } => u(a, b, e, |x, y| if x > y { -1 } else { 0 }),
        Op::VMulWideS { a, b, e } => {
            let pairs = row
                .signed_lanes(a, e.bits())
                .into_iter()
                .zip(row.signed_lanes(b, e.bits()));
            join(pairs.map(|(x, y)| x * y), 2 * e.bits())
        }
        Op::VMulWideU { a, b, e } => {
            let pairs = row.lanes(a, e.bits()).into_iter().zip(row.lanes(b, e.bits()));
            join(pairs.map(|(x, y)| x * y), 2 * e.bits())
        }
        Op::VMulHiS { a, b } => s(a, b, Lane::I16, |x, y| (x * y) >> 16),
        Op::VMulHiU { a, b } => u(a, b, Lane::I16, |x, y| (x * y) >> 16),
        Op::VMulRound { a, b } => s(a, b, Lane::I16, |x, y| (x * y + 0x4000).div_euclid(0x8000)),
        Op::VMulEvenS { a, b } => join(even(&products(row.signed_lanes(a, 32), row.signed_lanes(b, 32))), 64),
        Op::VMulEvenU { a, b } => join(even(&products(row.lanes(a, 32), row.lanes(b, 32))), 64),
        Op::VMulAdd { a, b } => {
            let all = products(row.signed_lanes(a, 16), row.signed_lanes(b, 16));
            join(all.chunks(2).map(|pair| pair.iter().sum()), 32)
        }
        Op::VMulAddUS { a, b } => {
            let all = products(row.lanes(a, 8), row.signed_lanes(b, 8));
            join(all.chunks(2).map(|pair| saturated(pair.iter().sum(), 16, true)), 16)
        }
        Op::VSumAbsDiff { a, b } => {
            let pairs: Vec<_> = row.lanes(a, 8).into_iter().zip(row.lanes(b, 8)).collect();
            let sums = pairs
                .chunks(8)
                .map(|some| some.iter().map(|(x, y)| (x - y).abs()).sum());
            join(sums, 64)
        }
        Op::VAvgU { a, b, e } => u(a, b, e, |x, y| (x + y + 1) / 2),
        Op::VPackS { a, b, e } | Op::VPackU { a, b, e } => {
            let signed = matches!(inst.op, Op::VPackS { .. });
            let wide = [a, b].map(|v| row.signed_lanes(v, 2 * e.bits())).concat();
            join(wide.into_iter().map(|x| saturated(x, e.bits(), signed)), e.bits())
        }
        Op::VMulPoly { a, b } => (0..64)
            .filter(|k| row.u(a) >> k & 1 != 0)
            .fold(0, |sum, k| sum ^ row.u(b) << k),
        Op::VAes { a, part } => aes::part(part, row.u(a)),
        Op::VAbs { a, e } => each(row.signed_lanes(a, e.bits()), e.bits(), &i128::abs),
        Op::VShl { a, n, e } => each(row.lanes(a, e.bits()), e.bits(), &|x| x << n),
        Op::VShrU { a, n, e } => each(row.lanes(a, e.bits()), e.bits(), &|x| x >> n),
        Op::VShrS { a, n, e } => each(row.signed_lanes(a, e.bits()), e.bits(), &|x| x >> n),
        Op::VShlV { a, b, e } => u(a, b, e, |x, n| if n < 64 { x << n } else { 0 }),
        Op::VShrUV { a, b, e } => u(a, b, e, |x, n| if n < 64 { x >> n } else { 0 }),
        Op::VShrSV { a, b, e } => {
            let pairs = row.signed_lanes(a, e.bits()).into_iter().zip(row.lanes(b, e.bits()));
            join(pairs.map(|(x, n)| if n < 64 { x >> n } else { truth(x < 0) }), e.bits())
        }
        Op::VWidenS { a, e } => each(row.signed_lanes(a, e.bits()), 2 * e.bits(), &|x| x),
        Op::VWidenU { a, e } => each(row.lanes(a, e.bits()), 2 * e.bits(), &|x| x),
        Op::VNarrow { a, e } => each(row.lanes(a, 2 * e.bits()), e.bits(), &|x| x),
        Op::VNarrowSS { a, e } => each(row.signed_lanes(a, 2 * e.bits()), e.bits(), &|x| {
            saturated(x, e.bits(), true)
        }),
        Op::VNarrowSU { a, e } => each(row.signed_lanes(a, 2 * e.bits()), e.bits(), &|x| {
            saturated(x, e.bits(), false)
        }),
        Op::VNarrowUU { a, e } => each(row.lanes(a, 2 * e.bits()), e.bits(), &|x| saturated(x, e.bits(), false)),
        Op::VPopcnt { a } => each(row.lanes(a, 8), 8, &|x| (0..8).map(|i| x >> i & 1).sum()),
        Op::VClz { a, e } => {
            let zeros = |x: i128| (0..e.bits()).rev().take_while(|i| x >> i & 1 == 0).count() as i128;
            each(row.lanes(a, e.bits()), e.bits(), &zeros)
        }
        _ => return None,
    })
}

/// Floating-point results where the host gives them: to nearest, nothing flushed, no NaN. `None`: this operation is not
/// one; `Some(None)`: not with these operands.
macro_rules! host_float {
    ($name:ident $f:ty, $u:ty, $other:ty, $other_bits:ty) => {
        fn $name(op: Op, row: &Row) -> Option<Option<u128>> {
            let f = |v: Val| <$f>::from_bits(row.u(v) as $u);
            let other = |v: Val| <$other>::from_bits(row.u(v) as $other_bits);
            let bits = |env: Fenv, x: $f| (usable(env) && !x.is_nan()).then_some(x.to_bits() as u128);
            let power = |frac: u8| (1u128 << frac) as $f;
            let truth = |v: bool| Some(v as u128);
            Some(match op {
                Op::FNeg { a } => Some(row.u(a) ^ 1 << (<$u>::BITS - 1)),
                Op::FAbs { a } => Some(row.u(a) & ones(<$u>::BITS - 1)),
                Op::FAdd { a, b, env } => bits(env, f(a) + f(b)),
                Op::FSub { a, b, env } => bits(env, f(a) - f(b)),
                Op::FMul { a, b, env } => bits(env, f(a) * f(b)),
                Op::FDiv { a, b, env } => bits(env, f(a) / f(b)),
                Op::FSqrt { a, env } => bits(env, f(a).sqrt()),
                Op::FRound { a, env } => bits(env, f(a).round_ties_even()),
                Op::FMulAdd { c, a, b, env } => bits(env, f(a).mul_add(f(b), f(c))),
                Op::FEq { env, .. } | Op::FLt { env, .. } | Op::FLe { env, .. } | Op::FStatus { env, .. }
                    if env.flush =>
                {
                    None
                }
                Op::FStatus { a, b, .. } => Some(status::of_order(f(a).partial_cmp(&f(b)))),
                Op::FEq { a, b, .. } => truth(f(a) == f(b)),
                Op::FLt { a, b, .. } => truth(f(a) < f(b)),
                Op::FLe { a, b, .. } => truth(f(a) <= f(b)),
                Op::FUn { a, b, .. } => truth(f(a).is_nan() || f(b).is_nan()),
                Op::FCvt { a, env } => bits(env, other(a) as $f),
                Op::SToF { a, frac, env } if row.ty(a) == Ty::I32 => bits(env, row.u(a) as i32 as $f / power(frac)),
                Op::SToF { a, frac, env } => bits(env, row.u(a) as i64 as $f / power(frac)),
                Op::UToF { a, frac, env } => bits(env, row.u(a) as u64 as $f / power(frac)),
                Op::FFromHalf { a, env } => bits(env, from_half(row.u(a) as u16, env.flag) as $f),
                _ => return None,
            })
        }
    };
}
host_float!(host_single f32, u32, f64, u64);
host_float!(host_double f64, u64, f32, u32);

fn usable(env: Fenv) -> bool {
    env.round == Round::Nearest && !env.flush
}

fn from_half(h: u16, alternative: bool) -> f64 {
    let (exp, frac) = ((h >> 10 & 31) as i32, (h & 1023) as f64);
    let size = match exp {
        0 => frac * 2f64.powi(-24),
        31 if !alternative && frac == 0.0 => f64::INFINITY,
        31 if !alternative => f64::NAN,
        _ => (frac + 1024.0) * 2f64.powi(exp - 25),
    };
    if h >> 15 != 0 { -size } else { size }
}

/// Every half precision number by the double it is: IEEE, alternative format.
static HALVES: LazyLock<[HashMap<u64, u16>; 2]> =
    LazyLock::new(|| [false, true].map(|alt| (0..=u16::MAX).map(|h| (from_half(h, alt).to_bits(), h)).collect()));

/// Conversions from float, whose instruction has the type of the result.
fn from_float(inst: Inst, row: &Row) -> Option<Option<u128>> {
    let value = |a: Val| match row.ty(a) {
        Ty::F32 => f32::from_bits(row.u(a) as u32) as f64,
        _ => f64::from_bits(row.u(a) as u64),
    };
    // Halfway cases are the same seen from a double: scaling by a power of two is exact where nothing saturates.
    let scaled = |a: Val, frac: u8| (value(a) * 2f64.powi(frac as i32)).round_ties_even();
    Some(match inst.op {
        Op::FToS { a, frac, env } => usable(env).then(|| match inst.ty {
            Ty::I32 => scaled(a, frac) as i32 as u32 as u128,
            _ => scaled(a, frac) as i64 as u64 as u128,
        }),
        Op::FToU { a, frac, env } => usable(env).then(|| match inst.ty {
            Ty::I32 => scaled(a, frac) as u32 as u128,
            _ => scaled(a, frac) as u64 as u128,
        }),
        // What goes to half precision exactly comes back.
        Op::FToHalf { a, env } => {
            let bits = HALVES[env.flag as usize].get(&value(a).to_bits()).copied();
            bits.filter(|_| !env.flush).map(|h| h as u128)
        }
        _ => return None,
    })
}

/// Lanewise floating point: the lane, and the scalar operation that each lane is.
fn lanewise(op: Op) -> Option<(Lane, Op)> {
    Some(match op {
        Op::VFAdd { a, b, e, env } => (e, Op::FAdd { a, b, env }),
        Op::VFSub { a, b, e, env } => (e, Op::FSub { a, b, env }),
        Op::VFMul { a, b, e, env } => (e, Op::FMul { a, b, env }),
        Op::VFDiv { a, b, e, env } => (e, Op::FDiv { a, b, env }),
        Op::VFSqrt { a, e, env } => (e, Op::FSqrt { a, env }),
        Op::VFRound { a, e, env } => (e, Op::FRound { a, env }),
        Op::VFEq { a, b, e, env } => (e, Op::FEq { a, b, env }),
        Op::VFGt { a, b, e, env } => (e, Op::FLt { a: b, b: a, env }),
        Op::VFGe { a, b, e, env } => (e, Op::FLe { a: b, b: a, env }),
        Op::VFMulAdd { c, a, b, env, e } => (e, Op::FMulAdd { c, a, b, env }),
        Op::VFToS { a, frac, e, env } => (e, Op::FToS { a, frac, env }),
        Op::VFToU { a, frac, e, env } => (e, Op::FToU { a, frac, env }),
        Op::VSToF { a, frac, e, env } => (e, Op::SToF { a, frac, env }),
        Op::VUToF { a, frac, e, env } => (e, Op::UToF { a, frac, env }),
        _ => return None,
    })
}

fn vector_float(inst: Inst, row: &Row) -> Option<Option<u128>> {
    if let Op::VFMax { a, b, e, env } = inst.op {
        return Some((!env.flush).then(|| extremum(row, a, b, e, true)).flatten());
    }
    if let Op::VFMin { a, b, e, env } = inst.op {
        return Some((!env.flush).then(|| extremum(row, a, b, e, false)).flatten());
    }
    if let Op::VFCmp { a, b, is, e, env } = inst.op {
        return Some((!env.flush).then(|| related(row, a, b, e, is)));
    }
    let (e, op) = lanewise(inst.op)?;
    let bits = e.bits();
    let scalar = if matches!(op, Op::FToS { .. } | Op::FToU { .. }) {
        Lane::int(bits.ilog2() - 3)
    } else {
        e
    }
    .scalar();
    let kinds = row.case.operands.iter().map(|k| match k {
        cases::Kind::Vec(_, lane @ (Lane::F32 | Lane::F64)) => cases::Kind::Float(lane.scalar()),
        _ => cases::Kind::Int(Lane::int(bits.ilog2() - 3).scalar()),
    });
    let case = Case::op(op, scalar, &kinds.collect::<Vec<_>>());
    let mut lanes = Vec::new();
    for i in 0..inst.ty.bits() / bits {
        let vals: Vec<u128> = row.vals.iter().map(|v| v >> (i * bits) & ones(bits)).collect();
        let found = match e {
            Lane::F16 => half::lane(op, &vals),
            _ => value(&case, Inst { op, ty: scalar }, &vals)?,
        };
        let Some(lane) = found else {
            return Some(None);
        };
        let truth = matches!(op, Op::FEq { .. } | Op::FLt { .. } | Op::FLe { .. });
        lanes.push(if truth { -(lane as i128) } else { lane as i128 });
    }
    Some(Some(join(lanes, bits)))
}

/// A lane as a double.
fn float(e: Lane, l: i128) -> f64 {
    match e {
        Lane::F16 => from_half(l as u16, false),
        Lane::F32 => f32::from_bits(l as u32) as f64,
        _ => f64::from_bits(l as u64),
    }
}

/// All ones in lanes that relate so.
fn related(row: &Row, a: Val, b: Val, e: Lane, is: Relation) -> u128 {
    let pairs = row.lanes(a, e.bits()).into_iter().zip(row.lanes(b, e.bits()));
    let holds = pairs.map(|(x, y)| match float(e, x).partial_cmp(&float(e, y)) {
        Some(std::cmp::Ordering::Less) => is.has(Relation::LESS),
        Some(std::cmp::Ordering::Equal) => is.has(Relation::EQUAL),
        Some(std::cmp::Ordering::Greater) => is.has(Relation::GREATER),
        None => is.has(Relation::UNORDERED),
    });
    join(holds.map(|holds| -i128::from(holds)), e.bits())
}

/// The larger or smaller lanes, unless one is a NaN.
fn extremum(row: &Row, a: Val, b: Val, e: Lane, max: bool) -> Option<u128> {
    let float = |l: i128| float(e, l);
    let pairs = row.lanes(a, e.bits()).into_iter().zip(row.lanes(b, e.bits()));
    let lanes = pairs.map(|(x, y)| match float(x).partial_cmp(&float(y))? {
        // Zeros: for the larger a negative one only if both are.
        std::cmp::Ordering::Equal => Some(if max { x & y } else { x | y }),
        order => Some(if order.is_gt() == max { x } else { y }),
    });
    Some(join(lanes.collect::<Option<Vec<_>>>()?, e.bits()))
}

/// `None`: no expectation of this operation here. `Some(None)`: not with these operands.
fn value(case: &Case, inst: Inst, vals: &[u128]) -> Option<Option<u128>> {
    let row = &Row { case, vals };
    let native = match inst.ty {
        Ty::I8 => native8(inst.op, row),
        Ty::I16 => native16(inst.op, row),
        Ty::I32 => native32(inst.op, row),
        Ty::I64 => native64(inst.op, row),
        Ty::F32 | Ty::F64 | Ty::V64 | Ty::V128 => None,
    };
    let whole = native
        .or_else(|| bitwise(inst, row))
        .or_else(|| integers(inst, row))
        .map(Some);
    let host = || match inst.ty {
        Ty::F32 => host_single(inst.op, row),
        Ty::F64 => host_double(inst.op, row),
        _ => None,
    };
    whole
        .or_else(host)
        .or_else(|| from_float(inst, row))
        .or_else(|| vector_float(inst, row))
}

/// What the interpreter makes of it.
fn interpreted(case: &Case, code: &Prepared, vals: &[u128], ty: Ty, scratch: &mut Scratch) -> u128 {
    let mut state = case.state(vals, 0);
    run(
        &mut TestGuest::default(),
        &mut state,
        &mut TestMemory::default(),
        code,
        PAGE_BASE,
        scratch,
    )
    .expect("no fault");
    peek(&state, cases::result(ty).off, ty)
}

/// Operations without a value of their own, or with one that memory or the state decides: see the other tests.
const ELSEWHERE: [&str; 21] = [
    "Get",
    "Set",
    "Load",
    "Store",
    "Cas",
    "Swap",
    "Rmw",
    "Barrier",
    "Call",
    "Insn",
    "Place",
    "Br",
    "BrIf",
    "Goto",
    "GotoVal",
    "Exit",
    "X87",
    "X87Operand",
    "X87Compare",
    "X87Output",
    "X87Need",
];

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn every_operation_meets_its_expectation() {
    let (mut met, mut scratch) = (HashSet::new(), Scratch::default());
    for case in cases::all() {
        let Some(inst) = case.inst().filter(|i| !ELSEWHERE.contains(&i.op.name())) else {
            continue;
        };
        let code = Prepared::new(case.block(Operands::Slots, &[]));
        let ty = inst.result().expect("a value");
        for vals in case.rows() {
            if let Some(expected) = value(&case, inst, &vals).unwrap_or_else(|| panic!("{inst:?} has no expectation")) {
                let got = interpreted(&case, &code, &vals, ty, &mut scratch);
                assert_eq!(got, expected, "{inst:?} of {vals:#x?}: {got:#x}, not {expected:#x}");
                met.insert(inst.op.name());
            }
        }
    }
    let missing: Vec<_> = Op::ALL
        .iter()
        .filter(|n| !met.contains(*n) && !ELSEWHERE.contains(n))
        .collect();
    assert!(missing.is_empty(), "never compared: {missing:?}");
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn every_operation_has_cases_for_all_its_types() {
    let all = cases::all();
    let missing: Vec<_> = Op::ALL.iter().filter(|n| !all.iter().any(|c| c.name == **n)).collect();
    assert!(missing.is_empty(), "no case: {missing:?}");
    for case in all {
        assert!(!case.rows().is_empty(), "{} has no operands", case.name);
        for how in Operands::ALL {
            let block = case.block(*how, &case.rows()[0]);
            assert_eq!(emu_ir::verify::verify(&block), Ok(()), "{} {how:?}", case.name);
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn accesses_move_the_bytes_they_name() {
    for case in cases::all() {
        let Some(Op::Load { mem, .. } | Op::Store { mem, .. }) = case.inst().map(|i| i.op) else {
            continue;
        };
        let ty = case.inst().map_or(Ty::I8, |i| i.ty);
        let code = Prepared::new(case.block(Operands::Slots, &[]));
        for vals in case.rows() {
            let (mut state, mut after) = (case.state(&vals, 0), TestMemory::default());
            let before = after.bytes.clone();
            let result = run(
                &mut TestGuest::default(),
                &mut state,
                &mut after,
                &code,
                PAGE_BASE,
                &mut Scratch::default(),
            );
            let (at, n) = (vals[0] as usize, mem.bytes() as usize);
            let bad = !mem.allows(at as u64) || at + n > MEMORY as usize;
            assert_eq!(result.is_err(), bad, "{:?} at {at:#x}", case.inst());
            if bad {
                assert_eq!(after.bytes, before);
                continue;
            }
            let mut moved = if case.name == "Load" {
                before[at..at + n].to_vec()
            } else {
                after.bytes[at..at + n].to_vec()
            };
            moved.chunks_mut(1 << mem.pieces.swap()).for_each(<[u8]>::reverse);
            if case.name == "Store" {
                assert_eq!(moved, vals[1].to_le_bytes()[..n], "{:?} at {at:#x}", case.inst());
                assert_eq!(
                    (&after.bytes[..at], &after.bytes[at + n..]),
                    (&before[..at], &before[at + n..])
                );
                continue;
            }
            let fill = if mem.signed && moved[n - 1] >> 7 != 0 { 0xff } else { 0 };
            moved.resize(ty.bytes() as usize, fill);
            let got = peek(&state, cases::result(ty).off, ty).to_le_bytes();
            assert_eq!(moved, got[..ty.bytes() as usize], "{:?} at {at:#x}", case.inst());
        }
    }
}

#[test]
fn atomics_return_what_was_there() {
    let execute = |b: Builder| {
        let (mut state, mut mem): (cases::State, _) = (bytemuck::Zeroable::zeroed(), TestMemory::default());
        mem.bytes[..4].copy_from_slice(&[1, 2, 3, 4]);
        let next = run(
            &mut TestGuest::default(),
            &mut state,
            &mut mem,
            &Prepared::new(b.block),
            0,
            &mut Scratch::default(),
        );
        assert_eq!(next, Ok(Next::Exit(Leave::Sync)));
        (state.r[0], [mem.bytes[0], mem.bytes[1], mem.bytes[2], mem.bytes[3]])
    };
    let compare_and_swap = |expected: u32, pieces: Pieces| {
        let mut b = Builder::new();
        let (at, old, new) = (b.i32(0), b.i32(expected), b.i32(0xaabb_ccdd));
        let held = b.cas(
            at,
            old,
            new,
            Mem {
                pieces,
                ..Mem::new(2, 0)
            },
        );
        b.set(cases::pinned(0), held);
        b.exit(Leave::Sync);
        execute(b)
    };
    assert_eq!(
        compare_and_swap(0x0403_0201, Pieces::little(2)),
        (0x0403_0201, [0xdd, 0xcc, 0xbb, 0xaa])
    );
    assert_eq!(
        compare_and_swap(0x0403_0200, Pieces::little(2)),
        (0x0403_0201, [1, 2, 3, 4])
    );
    assert_eq!(
        compare_and_swap(0x0102_0304, Pieces::big(2)),
        (0x0102_0304, [0xaa, 0xbb, 0xcc, 0xdd])
    );

    let mut b = Builder::new();
    let (at, new) = (b.i32(2), b.imm(Ty::I16, 0xbeef));
    let held = b.swap(at, new, Mem::new(1, 0));
    let held = b.zext(Ty::I32, held);
    b.barrier(Fence::Full);
    b.set(cases::pinned(0), held);
    b.exit(Leave::Sync);
    assert_eq!(execute(b), (0x0403, [1, 2, 0xef, 0xbe]));
}
