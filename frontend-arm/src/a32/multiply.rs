//! Multiply, multiply-accumulate and divide instructions (Arm ARM DDI 0406C, A4.4.3 and A8.8).

use crate::state;
use crate::tx::Tx;
use emu_ir::{Ty, Val};

/// An operand sign- or zero-extended to 64 bits.
fn wide(t: &mut Tx, n: u32, signed: bool) -> Val {
    let v = t.reg(n);
    if signed {
        t.b.sext(Ty::I64, v)
    } else {
        t.b.zext(Ty::I64, v)
    }
}

/// `hi:lo` as 64 bits.
fn join(t: &mut Tx, lo: u32, hi: u32) -> Val {
    let (lo, hi, by) = (wide(t, lo, false), wide(t, hi, false), t.b.imm(Ty::I64, 32));
    let hi = t.b.shl(hi, by);
    t.b.or(lo, hi)
}

/// Write 64 bits to `hi:lo`.
fn split(t: &mut Tx, lo: u32, hi: u32, v: Val) {
    let low = t.b.trunc(Ty::I32, v);
    let high = high(t, v);
    t.set_alu(lo, low, emu_ir::Hint::Jump);
    if !t.ended {
        t.set_alu(hi, high, emu_ir::Hint::Jump);
    }
}

/// The top 32 bits of 64.
fn high(t: &mut Tx, v: Val) -> Val {
    let by = t.b.imm(Ty::I64, 32);
    let v = t.b.shr_u(v, by);
    t.b.trunc(Ty::I32, v)
}

/// Registers named R15 are UNPREDICTABLE in this group, here Undefined.
fn any_pc(t: &mut Tx, registers: &[u32]) -> bool {
    let pc = registers.contains(&15);
    if pc {
        t.undefined();
    }
    pc
}

/// MUL: `d = n * m`.
pub fn mul(t: &mut Tx, s: u32, d: u32, m: u32, n: u32) {
    if any_pc(t, &[d, m, n]) {
        return;
    }
    let (a, b) = (t.reg(n), t.reg(m));
    let v = t.b.mul(a, b);
    t.set(d, v);
    if t.sets_flags(s) {
        t.set_nz(v);
    }
}

/// MLA: `d = a + n * m`.
pub fn mla(t: &mut Tx, s: u32, d: u32, a: u32, m: u32, n: u32) {
    if any_pc(t, &[d, a, m, n]) {
        return;
    }
    let (x, y, acc) = (t.reg(n), t.reg(m), t.reg(a));
    let product = t.b.mul(x, y);
    let v = t.b.add(product, acc);
    t.set(d, v);
    if t.sets_flags(s) {
        t.set_nz(v);
    }
}

/// MLS: `d = a - n * m`.
pub fn mls(t: &mut Tx, d: u32, a: u32, m: u32, n: u32) {
    if any_pc(t, &[d, a, m, n]) {
        return;
    }
    let (x, y, acc) = (t.reg(n), t.reg(m), t.reg(a));
    let product = t.b.mul(x, y);
    let v = t.b.sub(acc, product);
    t.set(d, v);
}

/// `h:l = n * m`, plus `h:l` if `acc`; N and Z from all 64 bits if `s`.
fn long(t: &mut Tx, signed: bool, acc: bool, s: u32, [h, l, m, n]: [u32; 4]) {
    if any_pc(t, &[h, l, m, n]) {
        return;
    }
    if h == l {
        return t.undefined();
    }
    let (a, b) = (wide(t, n, signed), wide(t, m, signed));
    let mut v = t.b.mul(a, b);
    if acc {
        let old = join(t, l, h);
        v = t.b.add(v, old);
    }
    split(t, l, h, v);
    if t.sets_flags(s) {
        let zero = t.b.imm(Ty::I64, 0);
        let (negative, none) = (t.b.slt(v, zero), t.b.eq(v, zero));
        t.b.set(state::N, negative);
        t.b.set(state::Z, none);
        t.flags_written(crate::flags::FlagSource::Slots);
    }
}

macro_rules! longs {
    ($( $name:ident $signed:literal $acc:literal; )*) => { $(
        #[doc = concat!("The long multiply ", stringify!($name), ": to `h:l`.")]
        pub fn $name(t: &mut Tx, s: u32, h: u32, l: u32, m: u32, n: u32) {
            long(t, $signed, $acc, s, [h, l, m, n]);
        }
    )* };
}
longs! {
    umull false false;
    umlal false true;
    smull true false;
    smlal true true;
}

/// UMAAL: `h:l = n * m + h + l`.
pub fn umaal(t: &mut Tx, h: u32, l: u32, m: u32, n: u32) {
    if any_pc(t, &[h, l, m, n]) {
        return;
    }
    if h == l {
        return t.undefined();
    }
    let (a, b) = (wide(t, n, false), wide(t, m, false));
    let (low, high) = (wide(t, l, false), wide(t, h, false));
    let product = t.b.mul(a, b);
    let sum = t.b.add(product, low);
    let sum = t.b.add(sum, high);
    split(t, l, h, sum);
}

/// The bottom or (`top` = 1) top half of a register, sign-extended to 32 bits.
fn half(t: &mut Tx, n: u32, top: u32) -> Val {
    let v = t.reg(n);
    halfword(t, v, top)
}

fn halfword(t: &mut Tx, v: Val, top: u32) -> Val {
    if top != 0 {
        let by = t.b.i32(16);
        return t.b.shr_s(v, by);
    }
    let low = t.b.trunc(Ty::I16, v);
    t.b.sext(Ty::I32, low)
}

/// Accumulate with the Q flag: `d = v + a`.
fn accumulate_q(t: &mut Tx, d: u32, v: Val, a: u32) {
    let acc = t.reg(a);
    let (sum, over) = (t.b.add(v, acc), t.b.add_ovf(v, acc));
    t.set(d, sum);
    t.set_q_if(over);
}

/// SMULBB and its like: `y` and `x` choose the halves of `m` and `n`.
pub fn smul(t: &mut Tx, d: u32, m: u32, y: u32, x: u32, n: u32) {
    if any_pc(t, &[d, m, n]) {
        return;
    }
    let (a, b) = (half(t, n, x), half(t, m, y));
    let v = t.b.mul(a, b);
    t.set(d, v);
}

/// SMLABB and its like: `y` and `x` choose the halves of `m` and `n`.
pub fn smla(t: &mut Tx, d: u32, a: u32, m: u32, y: u32, x: u32, n: u32) {
    if any_pc(t, &[d, a, m, n]) {
        return;
    }
    let (v, by) = (half(t, n, x), half(t, m, y));
    let product = t.b.mul(v, by);
    accumulate_q(t, d, product, a);
}

/// The top 32 bits of the 48-bit product of `n` and half `y` of `m`.
fn word_by_half(t: &mut Tx, m: u32, y: u32, n: u32) -> Val {
    let (a, b) = (wide(t, n, true), half(t, m, y));
    let b = t.b.sext(Ty::I64, b);
    let (product, by) = (t.b.mul(a, b), t.b.imm(Ty::I64, 16));
    let product = t.b.shr_s(product, by);
    t.b.trunc(Ty::I32, product)
}

/// SMULWB, SMULWT.
pub fn smulw(t: &mut Tx, d: u32, m: u32, y: u32, n: u32) {
    if any_pc(t, &[d, m, n]) {
        return;
    }
    let v = word_by_half(t, m, y, n);
    t.set(d, v);
}

/// SMLAWB, SMLAWT.
pub fn smlaw(t: &mut Tx, d: u32, a: u32, m: u32, y: u32, n: u32) {
    if any_pc(t, &[d, a, m, n]) {
        return;
    }
    let v = word_by_half(t, m, y, n);
    accumulate_q(t, d, v, a);
}

/// SMLALBB and its like: `y` and `x` choose the halves of `m` and `n`.
pub fn smlal_half(t: &mut Tx, h: u32, l: u32, m: u32, y: u32, x: u32, n: u32) {
    if any_pc(t, &[h, l, m, n]) {
        return;
    }
    if h == l {
        return t.undefined();
    }
    let (a, b) = (half(t, n, x), half(t, m, y));
    let product = t.b.mul(a, b);
    let (product, acc) = (t.b.sext(Ty::I64, product), join(t, l, h));
    let sum = t.b.add(product, acc);
    split(t, l, h, sum);
}

/// Both products of halves, `m` exchanged if `x`, each exact in 32 bits, sign-extended to 64.
fn products(t: &mut Tx, m: u32, x: u32, n: u32) -> (Val, Val) {
    let (a, mut b) = (t.reg(n), t.reg(m));
    if x != 0 {
        let by = t.b.i32(16);
        b = t.b.rotr(b, by);
    }
    let mut product = |top| {
        let (a, b) = (halfword(t, a, top), halfword(t, b, top));
        let p = t.b.mul(a, b);
        t.b.sext(Ty::I64, p)
    };
    (product(0), product(1))
}

/// Sum or difference of both products.
fn dual(t: &mut Tx, sub: bool, m: u32, x: u32, n: u32) -> Val {
    let (low, high) = products(t, m, x, n);
    if sub { t.b.sub(low, high) } else { t.b.add(low, high) }
}

/// `d` = the low 32 bits of `v`; Q if that is not all of it.
fn narrow_q(t: &mut Tx, d: u32, v: Val) {
    let low = t.b.trunc(Ty::I32, v);
    let back = t.b.sext(Ty::I64, low);
    let over = t.b.ne(back, v);
    t.set(d, low);
    t.set_q_if(over);
}

macro_rules! duals {
    ($( $two:ident $three:ident $four:ident $sub:literal; )*) => { $(
        #[doc = concat!("The dual multiply ", stringify!($two), ": halves of `m` exchanged if `x`.")]
        pub fn $two(t: &mut Tx, d: u32, m: u32, x: u32, n: u32) {
            if any_pc(t, &[d, m, n]) {
                return;
            }
            let v = dual(t, $sub, m, x, n);
            narrow_q(t, d, v);
        }
        #[doc = concat!("The dual multiply ", stringify!($three), ": added to `a`.")]
        pub fn $three(t: &mut Tx, d: u32, a: u32, m: u32, x: u32, n: u32) {
            if any_pc(t, &[d, m, n]) {
                return;
            }
            let (v, acc) = (dual(t, $sub, m, x, n), wide(t, a, true));
            let v = t.b.add(v, acc);
            narrow_q(t, d, v);
        }
        #[doc = concat!("The dual multiply ", stringify!($four), ": added to `h:l`.")]
        pub fn $four(t: &mut Tx, h: u32, l: u32, m: u32, x: u32, n: u32) {
            if any_pc(t, &[h, l, m, n]) {
                return;
            }
            if h == l {
                return t.undefined();
            }
            let (v, acc) = (dual(t, $sub, m, x, n), join(t, l, h));
            let v = t.b.add(v, acc);
            split(t, l, h, v);
        }
    )* };
}
duals! {
    smuad smlad smlald false;
    smusd smlsd smlsld true;
}

/// `n * m` in 64 bits, added to or subtracted from `a` at the top, rounded if `r`; the top half to `d`.
fn most(t: &mut Tx, sub: bool, d: u32, a: Option<u32>, m: u32, r: u32, n: u32) {
    if any_pc(t, &[d, m, n]) {
        return;
    }
    let (x, y) = (wide(t, n, true), wide(t, m, true));
    let mut v = t.b.mul(x, y);
    if let Some(a) = a {
        let (acc, by) = (wide(t, a, false), t.b.imm(Ty::I64, 32));
        let acc = t.b.shl(acc, by);
        v = if sub { t.b.sub(acc, v) } else { t.b.add(acc, v) };
    }
    if r != 0 {
        let half = t.b.imm(Ty::I64, 0x8000_0000);
        v = t.b.add(v, half);
    }
    let v = high(t, v);
    t.set(d, v);
}

/// SMMUL, SMMULR.
pub fn smmul(t: &mut Tx, d: u32, m: u32, r: u32, n: u32) {
    most(t, false, d, None, m, r, n);
}
/// SMMLA, SMMLAR.
pub fn smmla(t: &mut Tx, d: u32, a: u32, m: u32, r: u32, n: u32) {
    most(t, false, d, Some(a), m, r, n);
}
/// SMMLS, SMMLSR.
pub fn smmls(t: &mut Tx, d: u32, a: u32, m: u32, r: u32, n: u32) {
    most(t, true, d, Some(a), m, r, n);
}

/// SDIV: by zero gives 0.
pub fn sdiv(t: &mut Tx, d: u32, m: u32, n: u32) {
    if any_pc(t, &[d, m, n]) {
        return;
    }
    let (a, b) = (t.reg(n), t.reg(m));
    let v = t.b.div_s(a, b);
    t.set(d, v);
}
/// UDIV: by zero gives 0.
pub fn udiv(t: &mut Tx, d: u32, m: u32, n: u32) {
    if any_pc(t, &[d, m, n]) {
        return;
    }
    let (a, b) = (t.reg(n), t.reg(m));
    let v = t.b.div_u(a, b);
    t.set(d, v);
}

/// Sum of absolute differences of the four bytes.
fn sad(t: &mut Tx, m: u32, n: u32) -> Val {
    let (a, b) = (super::parallel::vector(t, n), super::parallel::vector(t, m));
    let (high, low) = (t.b.vmax_u(emu_ir::Lane::I8, a, b), t.b.vmin_u(emu_ir::Lane::I8, a, b));
    let diff = t.b.vsub(emu_ir::Lane::I8, high, low);
    let diff = super::parallel::scalar(t, diff);
    let (mask, eight) = (t.b.i32(0x00ff_00ff), t.b.i32(8));
    let (even, odd) = (t.b.and(diff, mask), t.b.shr_u(diff, eight));
    let odd = t.b.and(odd, mask);
    let (pairs, sixteen) = (t.b.add(even, odd), t.b.i32(16));
    let (top, low) = (t.b.shr_u(pairs, sixteen), t.b.i32(0xffff));
    let sum = t.b.add(pairs, top);
    t.b.and(sum, low)
}

/// USAD8.
pub fn usad8(t: &mut Tx, d: u32, m: u32, n: u32) {
    if any_pc(t, &[d, m, n]) {
        return;
    }
    let v = sad(t, m, n);
    t.set(d, v);
}
/// USADA8.
pub fn usada8(t: &mut Tx, d: u32, a: u32, m: u32, n: u32) {
    if any_pc(t, &[d, m, n]) {
        return;
    }
    let (v, acc) = (sad(t, m, n), t.reg(a));
    let v = t.b.add(v, acc);
    t.set(d, v);
}
