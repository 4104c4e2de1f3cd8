//! Saturation, extension, packing, bit field and reversal instructions (Arm ARM DDI 0406C, A4.4.4 and A8.8).

use super::data_processing::shift_imm;
use crate::tx::Tx;
use emu_ir::{Ty, Val};

/// Registers named R15 are UNPREDICTABLE in this group, here Undefined.
fn any_pc(t: &mut Tx, registers: &[u32]) -> bool {
    let pc = registers.contains(&15);
    if pc {
        t.undefined();
    }
    pc
}

/// `a + b` or `a - b`, saturated to 32 signed bits, Q if so.
fn saturate(t: &mut Tx, a: Val, b: Val, sub: bool) -> Val {
    let (v, over) = if sub {
        (t.b.sub(a, b), t.b.sub_ovf(a, b))
    } else {
        (t.b.add(a, b), t.b.add_ovf(a, b))
    };
    // On overflow the first operand's sign is the result's.
    let (by, max) = (t.b.i32(31), t.b.i32(0x7fff_ffff));
    let sign = t.b.shr_s(a, by);
    let limit = t.b.xor(sign, max);
    t.set_q_if(over);
    t.b.select(over, limit, v)
}

macro_rules! saturating {
    ($( $name:ident $double:literal $sub:literal; )*) => { $(
        #[doc = concat!("The saturating ", stringify!($name), ": of `m` and `n`.")]
        pub fn $name(t: &mut Tx, n: u32, d: u32, m: u32) {
            if any_pc(t, &[n, d, m]) {
                return;
            }
            let (a, mut b) = (t.reg(m), t.reg(n));
            if $double {
                b = saturate(t, b, b, false);
            }
            let v = saturate(t, a, b, $sub);
            t.set(d, v);
        }
    )* };
}
saturating! {
    qadd false false;
    qsub false true;
    qdadd true false;
    qdsub true true;
}

/// A value clamped to `low..=high`, Q if that changes it.
fn clamp(t: &mut Tx, v: Val, low: i32, high: i32) -> Val {
    let (low, high) = (t.b.i32(low as u32), t.b.i32(high as u32));
    let (under, over) = (t.b.slt(v, low), t.b.slt(high, v));
    let raised = t.b.select(under, low, v);
    let clamped = t.b.select(over, high, raised);
    let changed = t.b.or(under, over);
    t.set_q_if(changed);
    clamped
}

/// SSAT to `i` + 1 bits, of `n` shifted by `k` (imm5, then LSL or ASR).
pub fn ssat(t: &mut Tx, i: u32, d: u32, k: u32, h: u32, n: u32) {
    if any_pc(t, &[d, n]) {
        return;
    }
    let (v, _) = shift_imm(t, n, k << 2 | h << 1, false);
    let high = ((1u64 << i) - 1) as i32;
    let v = clamp(t, v, !high, high);
    t.set(d, v);
}
/// USAT to `i` bits, of `n` shifted by `k` (imm5, then LSL or ASR).
pub fn usat(t: &mut Tx, i: u32, d: u32, k: u32, h: u32, n: u32) {
    if any_pc(t, &[d, n]) {
        return;
    }
    let (v, _) = shift_imm(t, n, k << 2 | h << 1, false);
    let v = clamp(t, v, 0, ((1u64 << i) - 1) as i32);
    t.set(d, v);
}

/// Both halves sign-extended, clamped and packed again.
fn clamp_halves(t: &mut Tx, d: u32, n: u32, low: i32, high: i32) {
    if any_pc(t, &[d, n]) {
        return;
    }
    let (v, by) = (t.reg(n), t.b.i32(16));
    let bottom = t.b.trunc(Ty::I16, v);
    let (bottom, top) = (t.b.sext(Ty::I32, bottom), t.b.shr_s(v, by));
    let (bottom, top) = (clamp(t, bottom, low, high), clamp(t, top, low, high));
    let v = pack(t, bottom, top);
    t.set(d, v);
}
/// The low halves of two values as one: bottom, top.
fn pack(t: &mut Tx, bottom: Val, top: Val) -> Val {
    let (mask, by) = (t.b.i32(0xffff), t.b.i32(16));
    let (bottom, top) = (t.b.and(bottom, mask), t.b.shl(top, by));
    t.b.or(bottom, top)
}
/// SSAT16 to `i` + 1 bits.
pub fn ssat16(t: &mut Tx, i: u32, d: u32, n: u32) {
    let high = (1 << i) - 1;
    clamp_halves(t, d, n, !high, high);
}
/// USAT16 to `i` bits.
pub fn usat16(t: &mut Tx, i: u32, d: u32, n: u32) {
    clamp_halves(t, d, n, 0, (1 << i) - 1);
}

/// PKHBT: bottom of `n`, top of `m` shifted left by `k`.
pub fn pkhbt(t: &mut Tx, n: u32, d: u32, k: u32, m: u32) {
    if any_pc(t, &[n, d, m]) {
        return;
    }
    let (top, _) = shift_imm(t, m, k << 2, false);
    let bottom = t.reg(n);
    packed(t, d, bottom, top);
}
/// PKHTB: top of `n`, bottom of `m` shifted right by `k` (0 means 32).
pub fn pkhtb(t: &mut Tx, n: u32, d: u32, k: u32, m: u32) {
    if any_pc(t, &[n, d, m]) {
        return;
    }
    let (bottom, _) = shift_imm(t, m, k << 2 | 2, false);
    let top = t.reg(n);
    packed(t, d, bottom, top);
}
fn packed(t: &mut Tx, d: u32, bottom: Val, top: Val) {
    let (low, high) = (t.b.i32(0xffff), t.b.i32(0xffff_0000));
    let (bottom, top) = (t.b.and(bottom, low), t.b.and(top, high));
    let v = t.b.or(bottom, top);
    t.set(d, v);
}

/// `m` rotated right by `r` bytes.
fn rotated(t: &mut Tx, m: u32, r: u32) -> Val {
    let v = t.reg(m);
    if r == 0 {
        return v;
    }
    let by = t.b.i32(8 * r);
    t.b.rotr(v, by)
}

/// `m` rotated by `r` bytes, then extended from `ty`.
fn extend(t: &mut Tx, m: u32, r: u32, ty: Ty, signed: bool) -> Val {
    let v = rotated(t, m, r);
    let low = t.b.trunc(ty, v);
    if signed {
        t.b.sext(Ty::I32, low)
    } else {
        t.b.zext(Ty::I32, low)
    }
}

macro_rules! extensions {
    ($( $ext:ident $acc:ident $ty:ident $signed:literal; )*) => { $(
        #[doc = concat!(stringify!($ext), ": of `m` rotated right by `r` bytes.")]
        pub fn $ext(t: &mut Tx, d: u32, r: u32, m: u32) {
            if any_pc(t, &[d, m]) {
                return;
            }
            let v = extend(t, m, r, Ty::$ty, $signed);
            t.set(d, v);
        }
        #[doc = concat!(stringify!($acc), ": added to `n`.")]
        pub fn $acc(t: &mut Tx, n: u32, d: u32, r: u32, m: u32) {
            if any_pc(t, &[d, m]) {
                return;
            }
            let (v, acc) = (extend(t, m, r, Ty::$ty, $signed), t.reg(n));
            let v = t.b.add(acc, v);
            t.set(d, v);
        }
    )* };
}
extensions! {
    sxtb sxtab I8 true;
    sxth sxtah I16 true;
    uxtb uxtab I8 false;
    uxth uxtah I16 false;
}

/// Bytes 0 and 2 of `m` rotated, each extended to a halfword; the values of the halves.
fn extend16(t: &mut Tx, m: u32, r: u32, signed: bool) -> (Val, Val) {
    let v = rotated(t, m, r);
    let by = t.b.i32(16);
    let top = t.b.shr_u(v, by);
    let mut byte = |v| {
        let low = t.b.trunc(Ty::I8, v);
        if signed {
            t.b.sext(Ty::I32, low)
        } else {
            t.b.zext(Ty::I32, low)
        }
    };
    (byte(v), byte(top))
}

fn xtb16(t: &mut Tx, d: u32, r: u32, m: u32, signed: bool) {
    if any_pc(t, &[d, m]) {
        return;
    }
    let (bottom, top) = extend16(t, m, r, signed);
    let v = pack(t, bottom, top);
    t.set(d, v);
}
fn xtab16(t: &mut Tx, [n, d, r, m]: [u32; 4], signed: bool) {
    if any_pc(t, &[d, m]) {
        return;
    }
    let (bottom, top) = extend16(t, m, r, signed);
    let (acc, by) = (t.reg(n), t.b.i32(16));
    let high = t.b.shr_u(acc, by);
    let (bottom, top) = (t.b.add(acc, bottom), t.b.add(high, top));
    let v = pack(t, bottom, top);
    t.set(d, v);
}
/// SXTB16.
pub fn sxtb16(t: &mut Tx, d: u32, r: u32, m: u32) {
    xtb16(t, d, r, m, true);
}
/// UXTB16.
pub fn uxtb16(t: &mut Tx, d: u32, r: u32, m: u32) {
    xtb16(t, d, r, m, false);
}
/// SXTAB16.
pub fn sxtab16(t: &mut Tx, n: u32, d: u32, r: u32, m: u32) {
    xtab16(t, [n, d, r, m], true);
}
/// UXTAB16.
pub fn uxtab16(t: &mut Tx, n: u32, d: u32, r: u32, m: u32) {
    xtab16(t, [n, d, r, m], false);
}

macro_rules! unary {
    ($( $(#[$doc:meta])* $name:ident |$t:ident, $v:ident| $body:expr; )*) => { $(
        $(#[$doc])*
        pub fn $name($t: &mut Tx, d: u32, m: u32) {
            if any_pc($t, &[d, m]) {
                return;
            }
            let $v = $t.reg(m);
            let v = $body;
            $t.set(d, v);
        }
    )* };
}
unary! {
    /// REV.
    rev |t, v| t.b.bswap(v);
    /// REV16.
    rev16 |t, v| { let (v, by) = (t.b.bswap(v), t.b.i32(16)); t.b.rotr(v, by) };
    /// REVSH.
    revsh |t, v| { let v = t.b.trunc(Ty::I16, v); let v = t.b.bswap(v); t.b.sext(Ty::I32, v) };
    /// RBIT.
    rbit |t, v| t.b.bit_rev(v);
    /// CLZ.
    clz |t, v| t.b.clz(v);
}

/// BFI: bits `l` to `e` of `d` from the low bits of `n`.
pub fn bfi(t: &mut Tx, e: u32, d: u32, l: u32, n: u32) {
    if any_pc(t, &[d]) {
        return;
    }
    if e < l {
        return t.undefined();
    }
    let field = (u32::MAX >> (31 - (e - l))) << l;
    let (v, by, mask) = (t.reg(n), t.b.i32(l), t.b.i32(field));
    let v = if l == 0 { v } else { t.b.shl(v, by) };
    let (old, v) = (t.reg(d), t.b.and(v, mask));
    let kept = t.b.and_not(old, mask);
    let v = t.b.or(kept, v);
    t.set(d, v);
}
/// BFC: bits `l` to `e` of `d` cleared.
pub fn bfc(t: &mut Tx, e: u32, d: u32, l: u32) {
    if any_pc(t, &[d]) {
        return;
    }
    if e < l {
        return t.undefined();
    }
    let mask = t.b.i32((u32::MAX >> (31 - (e - l))) << l);
    let old = t.reg(d);
    let v = t.b.and_not(old, mask);
    t.set(d, v);
}
/// SBFX: `w` + 1 bits from bit `l`, sign-extended.
pub fn sbfx(t: &mut Tx, w: u32, d: u32, l: u32, n: u32) {
    if any_pc(t, &[d, n]) {
        return;
    }
    if l + w > 31 {
        return t.undefined();
    }
    let (v, up, down) = (t.reg(n), t.b.i32(31 - w - l), t.b.i32(31 - w));
    let v = t.b.shl(v, up);
    let v = t.b.shr_s(v, down);
    t.set(d, v);
}
/// UBFX: `w` + 1 bits from bit `l`, zero-extended.
pub fn ubfx(t: &mut Tx, w: u32, d: u32, l: u32, n: u32) {
    if any_pc(t, &[d, n]) {
        return;
    }
    if l + w > 31 {
        return t.undefined();
    }
    let (v, down, mask) = (t.reg(n), t.b.i32(l), t.b.i32(u32::MAX >> (31 - w)));
    let v = if l == 0 { v } else { t.b.shr_u(v, down) };
    let v = t.b.and(v, mask);
    t.set(d, v);
}
