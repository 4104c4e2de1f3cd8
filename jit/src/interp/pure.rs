//! The operations that are functions of their operands alone (and of where the block's page lies).

use super::{aes, int, status, vec};
use crate::classes::{effect_ops, fp_ops};
use emu_ir::block::Inst;
use emu_ir::{Block, Lane, Op, Ty, Val};
use int::{mask, signed};

/// The value of an operation whose effect is [`Effect::Pure`](emu_ir::Effect); `vals` holds its operands.
#[expect(clippy::unreachable, reason = "asked for operations with this effect alone")]
pub(crate) fn pure(block: &Block, inst: &Inst, vals: &[u128], page_base: u64) -> u128 {
    pure_or(block, inst, vals, page_base, || {
        unreachable!("{} is not pure", inst.op.name())
    })
}

/// The same, or for other operations what `other` says: so that one look at the operation finds all there is to do.
#[inline(always)]
pub(super) fn pure_or(block: &Block, inst: &Inst, vals: &[u128], page_base: u64, other: impl FnOnce() -> u128) -> u128 {
    let ty = inst.ty;
    let w = |a: Val| vals[a.index()];
    let v = |a: Val| vals[a.index()] as u64;
    let s = |a: Val| signed(ty, v(a));
    let n: u64 = match inst.op {
        // ---- constants and state
        Op::Const { imm } => imm.get(),
        Op::Const128 { pool } => return block.pool[pool as usize],
        Op::PcRel { offset } => page_base.wrapping_add_signed(offset as i64) & mask(ty),

        // ---- integers
        Op::Add { a, b } => v(a).wrapping_add(v(b)) & mask(ty),
        Op::Sub { a, b } => v(a).wrapping_sub(v(b)) & mask(ty),
        Op::Mul { a, b } => v(a).wrapping_mul(v(b)) & mask(ty),
        Op::MulHiU { a, b } => int::mul_hi_u(ty, v(a), v(b)),
        Op::MulHiS { a, b } => int::mul_hi_s(ty, v(a), v(b)),
        Op::DivU { a, b } => v(a).checked_div(v(b)).unwrap_or(0),
        Op::DivS { a, b } => int::div_s(ty, v(a), v(b)),
        Op::And { a, b } => return w(a) & w(b),
        Op::Or { a, b } => return w(a) | w(b),
        Op::Xor { a, b } => return w(a) ^ w(b),
        Op::AndNot { a, b } => return w(a) & !w(b),
        Op::Not { a } => return !w(a) & ty.mask(),
        Op::Neg { a } => v(a).wrapping_neg() & mask(ty),
        Op::Shl { a, b } => int::shl(ty, v(a), v(b)),
        Op::ShrU { a, b } => int::shr_u(ty, v(a), v(b)),
        Op::ShrS { a, b } => int::shr_s(ty, v(a), v(b)),
        Op::Rotr { a, b } => int::rotr(ty, v(a), v(b)),
        Op::Clz { a } => int::clz(ty, v(a)),
        Op::Ctz { a } => int::ctz(ty, v(a)),
        Op::Popcnt { a } => v(a).count_ones() as u64,
        Op::Bswap { a } => int::bswap(ty, v(a)),
        Op::BitRev { a } => int::bit_rev(ty, v(a)),

        Op::AddShl { a, b, n } => v(a).wrapping_add(v(b) << n) & mask(ty),

        // ---- carries and overflows
        Op::AddCarry { a, b } => int::adc_carry(ty, v(a), v(b), 0) as u64,
        Op::AddOvf { a, b } => int::adc_ovf(ty, v(a), v(b), 0) as u64,
        Op::SubOvf { a, b } => int::sub_ovf(ty, v(a), v(b)) as u64,
        Op::Adc { a, b, c } => v(a).wrapping_add(v(b)).wrapping_add(v(c)) & mask(ty),
        Op::AdcCarry { a, b, c } => int::adc_carry(ty, v(a), v(b), v(c)) as u64,
        Op::AdcOvf { a, b, c } => int::adc_ovf(ty, v(a), v(b), v(c)) as u64,
        Op::Sbb { a, b, c } => v(a).wrapping_sub(v(b)).wrapping_sub(v(c)) & mask(ty),
        Op::Status { how, a, b, c } => status::of(how, ty, v(a), v(b), v(c) as u16).into(),
        Op::Cond { a, cc } => status::holds(v(a) as u16, cc) as u64,

        // ---- comparisons
        Op::Eq { a, b } => (v(a) == v(b)) as u64,
        Op::Ne { a, b } => (v(a) != v(b)) as u64,
        Op::Ult { a, b } => (v(a) < v(b)) as u64,
        Op::Ule { a, b } => (v(a) <= v(b)) as u64,
        Op::Slt { a, b } => (s(a) < s(b)) as u64,
        Op::Sle { a, b } => (s(a) <= s(b)) as u64,
        Op::Select { c, a, b } => return if v(c) != 0 { w(a) } else { w(b) },

        // ---- conversions of representation
        Op::Zext { a } => v(a),
        Op::Sext { a } => signed(block.ty(a), v(a)) as u64 & mask(ty),
        Op::Trunc { a } => v(a) & mask(ty),
        Op::Insert { a, b, at } => v(a) & !(mask(block.ty(b)) << at) | v(b) << at,
        Op::Bitcast { a } => return w(a),
        Op::FNeg { a } => v(a) ^ 1 << (ty.bits() - 1),
        Op::FAbs { a } => v(a) & mask(ty) >> 1,

        // ---- vectors
        Op::VAdd { a, b, e } => return vec::zip(ty, e, w(a), w(b), u64::wrapping_add),
        Op::VSub { a, b, e } => return vec::zip(ty, e, w(a), w(b), u64::wrapping_sub),
        Op::VMul { a, b, e } => return vec::zip(ty, e, w(a), w(b), u64::wrapping_mul),
        Op::VMulWideS { a, b, e } => {
            return {
                let s = |x| vec::signed(e.bits(), x);
                vec::widen(e, w(a), w(b), |x, y| s(x).wrapping_mul(s(y)) as u64)
            };
        }
        Op::VMulWideU { a, b, e } => return vec::widen(e, w(a), w(b), u64::wrapping_mul),
        Op::VAbs { a, e } => return vec::zip_s(ty, e, w(a), 0, |x, _| x.wrapping_abs()),
        Op::VMinS { a, b, e } => return vec::zip_s(ty, e, w(a), w(b), i64::min),
        Op::VMinU { a, b, e } => return vec::zip(ty, e, w(a), w(b), u64::min),
        Op::VMaxS { a, b, e } => return vec::zip_s(ty, e, w(a), w(b), i64::max),
        Op::VMaxU { a, b, e } => return vec::zip(ty, e, w(a), w(b), u64::max),
        Op::VQAddS { a, b, e } => return vec::saturating(ty, e, true, w(a), w(b), |x, y| x + y),
        Op::VQAddU { a, b, e } => return vec::saturating(ty, e, false, w(a), w(b), |x, y| x + y),
        Op::VQSubS { a, b, e } => return vec::saturating(ty, e, true, w(a), w(b), |x, y| x - y),
        Op::VQSubU { a, b, e } => return vec::saturating(ty, e, false, w(a), w(b), |x, y| x - y),
        Op::VEq { a, b, e } => return vec::test(ty, e, w(a), w(b), |x, y| x == y),
        Op::VGtS { a, b, e } => {
            return {
                let s = |x| vec::signed(e.bits(), x);
                vec::test(ty, e, w(a), w(b), |x, y| s(x) > s(y))
            };
        }
        Op::VGtU { a, b, e } => return vec::test(ty, e, w(a), w(b), |x, y| x > y),
        Op::VShl { a, n, e } => return vec::map(ty, e, w(a), |x| vec::shl(e.bits(), x, n as u64)),
        Op::VShrU { a, n, e } => return vec::map(ty, e, w(a), |x| vec::shr_u(e.bits(), x, n as u64)),
        Op::VShrS { a, n, e } => return vec::map(ty, e, w(a), |x| vec::shr_s(e.bits(), x, n as u64)),
        Op::VShlV { a, b, e } => return vec::zip(ty, e, w(a), w(b), |x, n| vec::shl(e.bits(), x, n)),
        Op::VShrUV { a, b, e } => return vec::zip(ty, e, w(a), w(b), |x, n| vec::shr_u(e.bits(), x, n)),
        Op::VShrSV { a, b, e } => return vec::zip(ty, e, w(a), w(b), |x, n| vec::shr_s(e.bits(), x, n)),
        Op::VMulHiS { a, b } => return vec::zip_s(ty, Lane::I16, w(a), w(b), |x, y| (x * y) >> 16),
        Op::VMulHiU { a, b } => return vec::zip(ty, Lane::I16, w(a), w(b), |x, y| (x * y) >> 16),
        Op::VMulRound { a, b } => return vec::zip_s(ty, Lane::I16, w(a), w(b), |x, y| (x * y + (1 << 14)) >> 15),
        Op::VMulEvenS { a, b } => {
            let s = |x| vec::signed(32, x & 0xffff_ffff);
            return vec::zip(ty, Lane::I64, w(a), w(b), |x, y| (s(x) * s(y)) as u64);
        }
        Op::VMulEvenU { a, b } => {
            return vec::zip(ty, Lane::I64, w(a), w(b), |x, y| (x & 0xffff_ffff) * (y & 0xffff_ffff));
        }
        Op::VMulAdd { a, b } => return vec::mul_add(ty, w(a), w(b)),
        Op::VMulAddUS { a, b } => return vec::mul_add_us(ty, w(a), w(b)),
        Op::VSumAbsDiff { a, b } => return vec::sum_abs_diff(ty, w(a), w(b)),
        Op::VAvgU { a, b, e } => return vec::zip(ty, e, w(a), w(b), |x, y| (x + y + 1) >> 1),
        Op::VPackS { a, b, e } => return vec::pack(ty, w(a), w(b), |half| vec::narrow_ss(e, half)),
        Op::VPackU { a, b, e } => return vec::pack(ty, w(a), w(b), |half| vec::narrow_su(e, half)),
        Op::VSigns { a, e } => vec::signs(block.ty(a), e, w(a)),
        Op::VMulPoly { a, b } => return vec::mul_poly(v(a), v(b)),
        Op::VAes { a, part } => return aes::part(part, w(a)),
        Op::VWidenS { a, e } => return vec::widen(e, w(a), 0, |x, _| vec::signed(e.bits(), x) as u64),
        Op::VWidenU { a, e } => return vec::widen(e, w(a), 0, |x, _| x),
        Op::VNarrow { a, e } => return vec::narrow(e, w(a), |x| x),
        Op::VNarrowSS { a, e } => return vec::narrow_ss(e, w(a)),
        Op::VNarrowSU { a, e } => return vec::narrow_su(e, w(a)),
        Op::VNarrowUU { a, e } => return vec::narrow_uu(e, w(a)),
        Op::VPopcnt { a } => return vec::map(ty, Lane::I8, w(a), |x| x.count_ones() as u64),
        Op::VClz { a, e } => return vec::map(ty, e, w(a), |x| (x.leading_zeros() - (64 - e.bits())) as u64),
        Op::VDup { a, e } => return vec::dup(ty, e, w(a)),
        Op::VGetLane { a, i } => return vec::lane(w(a), ty.bits(), i as u32) as u128,
        Op::VSetLane { a, b, i } => return vec::set_lane(w(a), block.ty(b).bits(), i as u32, w(b)),
        Op::VPerm { a, b, pool } => return vec::perm(ty, w(a), w(b), block.pool[pool as usize]),
        Op::VLookup { a, idx } => return vec::lookup(ty, w(a), w(idx)),
        Op::VShuffle { a, idx } => return vec::shuffle(ty, w(a), w(idx)),
        Op::VConcat { lo, hi } => return w(lo) | w(hi) << 64,
        Op::VHalf { a, hi } => return if hi { w(a) >> 64 } else { w(a) & Ty::V64.mask() },

        fp_ops!() | effect_ops!() => return other(),
    };
    n as u128
}
