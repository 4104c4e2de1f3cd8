//! Data processing: register (Arm ARM DDI 0487, C4.1, "Data Processing -- Register").

use super::tx::{Tx, width};
use emu_ir::{Builder, Ty, Val, insns};

insns! {
    /// Logical, shifted register.
    LOGICAL: Tx;
    "0 00 01010 hh 0 mmmmm 0kkkkk nnnnn ddddd" => and_reg(0, h, m, k, n, d)
    "1 00 01010 hh 0 mmmmm kkkkkk nnnnn ddddd" => and_reg(1, h, m, k, n, d)
    "0 00 01010 hh 1 mmmmm 0kkkkk nnnnn ddddd" => bic(0, h, m, k, n, d)
    "1 00 01010 hh 1 mmmmm kkkkkk nnnnn ddddd" => bic(1, h, m, k, n, d)
    "0 01 01010 hh 0 mmmmm 0kkkkk nnnnn ddddd" => orr_reg(0, h, m, k, n, d)
    "1 01 01010 hh 0 mmmmm kkkkkk nnnnn ddddd" => orr_reg(1, h, m, k, n, d)
    "0 01 01010 hh 1 mmmmm 0kkkkk nnnnn ddddd" => orn(0, h, m, k, n, d)
    "1 01 01010 hh 1 mmmmm kkkkkk nnnnn ddddd" => orn(1, h, m, k, n, d)
    "0 10 01010 hh 0 mmmmm 0kkkkk nnnnn ddddd" => eor_reg(0, h, m, k, n, d)
    "1 10 01010 hh 0 mmmmm kkkkkk nnnnn ddddd" => eor_reg(1, h, m, k, n, d)
    "0 10 01010 hh 1 mmmmm 0kkkkk nnnnn ddddd" => eon(0, h, m, k, n, d)
    "1 10 01010 hh 1 mmmmm kkkkkk nnnnn ddddd" => eon(1, h, m, k, n, d)
    "0 11 01010 hh 0 mmmmm 0kkkkk nnnnn ddddd" => ands_reg(0, h, m, k, n, d)
    "1 11 01010 hh 0 mmmmm kkkkkk nnnnn ddddd" => ands_reg(1, h, m, k, n, d)
    "0 11 01010 hh 1 mmmmm 0kkkkk nnnnn ddddd" => bics(0, h, m, k, n, d)
    "1 11 01010 hh 1 mmmmm kkkkkk nnnnn ddddd" => bics(1, h, m, k, n, d)
}

insns! {
    /// Add and subtract, shifted register. Shift type 3 is reserved.
    SHIFTED: Tx;
    "0 00 01011 hh 0 mmmmm 0kkkkk nnnnn ddddd" => add_reg(0, h, m, k, n, d)
    "1 00 01011 hh 0 mmmmm kkkkkk nnnnn ddddd" => add_reg(1, h, m, k, n, d)
    "0 01 01011 hh 0 mmmmm 0kkkkk nnnnn ddddd" => adds_reg(0, h, m, k, n, d)
    "1 01 01011 hh 0 mmmmm kkkkkk nnnnn ddddd" => adds_reg(1, h, m, k, n, d)
    "0 10 01011 hh 0 mmmmm 0kkkkk nnnnn ddddd" => sub_reg(0, h, m, k, n, d)
    "1 10 01011 hh 0 mmmmm kkkkkk nnnnn ddddd" => sub_reg(1, h, m, k, n, d)
    "0 11 01011 hh 0 mmmmm 0kkkkk nnnnn ddddd" => subs_reg(0, h, m, k, n, d)
    "1 11 01011 hh 0 mmmmm kkkkkk nnnnn ddddd" => subs_reg(1, h, m, k, n, d)
}

insns! {
    /// Add and subtract, extended register. Shifts above 4 are reserved.
    EXTENDED: Tx;
    "z 00 01011 00 1 mmmmm ooo kkk nnnnn ddddd" => add_extended(z, m, o, k, n, d)
    "z 01 01011 00 1 mmmmm ooo kkk nnnnn ddddd" => adds_extended(z, m, o, k, n, d)
    "z 10 01011 00 1 mmmmm ooo kkk nnnnn ddddd" => sub_extended(z, m, o, k, n, d)
    "z 11 01011 00 1 mmmmm ooo kkk nnnnn ddddd" => subs_extended(z, m, o, k, n, d)
}

insns! {
    /// Add and subtract with carry.
    CARRY: Tx;
    "z 00 11010000 mmmmm 000000 nnnnn ddddd" => adc(z, m, n, d)
    "z 01 11010000 mmmmm 000000 nnnnn ddddd" => adcs(z, m, n, d)
    "z 10 11010000 mmmmm 000000 nnnnn ddddd" => sbc(z, m, n, d)
    "z 11 11010000 mmmmm 000000 nnnnn ddddd" => sbcs(z, m, n, d)
}

insns! {
    /// Conditional compare.
    COMPARE: Tx;
    "z 01 11010010 mmmmm cccc 00 nnnnn 0 ffff" => ccmn_reg(z, m, c, n, f)
    "z 01 11010010 iiiii cccc 10 nnnnn 0 ffff" => ccmn_imm(z, i, c, n, f)
    "z 11 11010010 mmmmm cccc 00 nnnnn 0 ffff" => ccmp_reg(z, m, c, n, f)
    "z 11 11010010 iiiii cccc 10 nnnnn 0 ffff" => ccmp_imm(z, i, c, n, f)
}

insns! {
    /// Conditional select.
    SELECT: Tx;
    "z 00 11010100 mmmmm cccc 00 nnnnn ddddd" => csel(z, m, c, n, d)
    "z 00 11010100 mmmmm cccc 01 nnnnn ddddd" => csinc(z, m, c, n, d)
    "z 10 11010100 mmmmm cccc 00 nnnnn ddddd" => csinv(z, m, c, n, d)
    "z 10 11010100 mmmmm cccc 01 nnnnn ddddd" => csneg(z, m, c, n, d)
}

insns! {
    /// Two sources: division and shifts.
    TWO_SOURCES: Tx;
    "z 0011010110 mmmmm 000010 nnnnn ddddd" => udiv(z, m, n, d)
    "z 0011010110 mmmmm 000011 nnnnn ddddd" => sdiv(z, m, n, d)
    "z 0011010110 mmmmm 001000 nnnnn ddddd" => lslv(z, m, n, d)
    "z 0011010110 mmmmm 001001 nnnnn ddddd" => lsrv(z, m, n, d)
    "z 0011010110 mmmmm 001010 nnnnn ddddd" => asrv(z, m, n, d)
    "z 0011010110 mmmmm 001011 nnnnn ddddd" => rorv(z, m, n, d)
}

insns! {
    /// One source: bits and bytes.
    ONE_SOURCE: Tx;
    "z 101101011000000000000 nnnnn ddddd" => rbit(z, n, d)
    "z 101101011000000000001 nnnnn ddddd" => rev16(z, n, d)
    "0 101101011000000000010 nnnnn ddddd" => rev(0, n, d)
    "1 101101011000000000010 nnnnn ddddd" => rev32(n, d)
    "1 101101011000000000011 nnnnn ddddd" => rev(1, n, d)
    "z 101101011000000000100 nnnnn ddddd" => clz(z, n, d)
    "z 101101011000000000101 nnnnn ddddd" => cls(z, n, d)
}

insns! {
    /// Three sources: multiplication.
    THREE_SOURCES: Tx;
    "z 0011011000 mmmmm 0 aaaaa nnnnn ddddd" => madd(z, m, a, n, d)
    "z 0011011000 mmmmm 1 aaaaa nnnnn ddddd" => msub(z, m, a, n, d)
    "1 0011011001 mmmmm 0 aaaaa nnnnn ddddd" => smaddl(m, a, n, d)
    "1 0011011001 mmmmm 1 aaaaa nnnnn ddddd" => smsubl(m, a, n, d)
    "1 0011011010 mmmmm 0 ----- nnnnn ddddd" => smulh(m, n, d)
    "1 0011011101 mmmmm 0 aaaaa nnnnn ddddd" => umaddl(m, a, n, d)
    "1 0011011101 mmmmm 1 aaaaa nnnnn ddddd" => umsubl(m, a, n, d)
    "1 0011011110 mmmmm 0 ----- nnnnn ddddd" => umulh(m, n, d)
}

/// Register `m` shifted by `k`, type `h`: LSL, LSR, ASR, ROR.
fn shifted(t: &mut Tx, z: u32, h: u32, m: u32, k: u32) -> Val {
    let v = t.r(z, m);
    if k == 0 {
        return v;
    }
    let by = t.b.imm(width(z), k.into());
    match h {
        0 => t.b.shl(v, by),
        1 => t.b.shr_u(v, by),
        2 => t.b.shr_s(v, by),
        _ => t.b.rotr(v, by),
    }
}

/// Register `m`, of which `o` says how much and how it is extended, shifted left by `k`.
pub fn extended(t: &mut Tx, z: u32, m: u32, o: u32, k: u32) -> Val {
    let (ty, v) = (width(z), t.x(m));
    let from = [Ty::I8, Ty::I16, Ty::I32, Ty::I64]
        .into_iter()
        .nth(o as usize & 3)
        .unwrap_or(Ty::I64);
    let v = if from.bytes() >= ty.bytes() {
        t.b.trunc(ty, v)
    } else {
        let low = t.b.trunc(from, v);
        if o & 4 == 0 {
            t.b.zext(ty, low)
        } else {
            t.b.sext(ty, low)
        }
    };
    if k == 0 {
        return v;
    }
    let by = t.b.imm(ty, k.into());
    t.b.shl(v, by)
}

/// `a + b` to `d`, and the flags.
pub fn add_flags(t: &mut Tx, a: Val, b: Val, d: u32) {
    let sum = t.b.add(a, b);
    t.flags.set_nz(t.b, sum);
    let (c, v) = (t.b.add_carry(a, b), t.b.add_ovf(a, b));
    t.flags.set_cv(t.b, c, v);
    t.set(d, sum);
}
/// `a - b` to `d`, and the flags.
pub fn sub_flags(t: &mut Tx, a: Val, b: Val, d: u32) {
    let diff = t.b.sub(a, b);
    t.flags.set_sub(t.b, a, b, diff, d != 31);
    t.set(d, diff);
}

/// A logical operation of register `n` and the shifted register `m`.
fn logical(t: &mut Tx, z: u32, [h, m, k, n]: [u32; 4], op: impl FnOnce(&mut Builder, Val, Val) -> Val) -> Val {
    let (a, b) = (t.r(z, n), shifted(t, z, h, m, k));
    op(t.b, a, b)
}

/// AND (shifted register).
fn and_reg(t: &mut Tx, z: u32, h: u32, m: u32, k: u32, n: u32, d: u32) {
    let v = logical(t, z, [h, m, k, n], Builder::and);
    t.set(d, v);
}
/// BIC (shifted register).
fn bic(t: &mut Tx, z: u32, h: u32, m: u32, k: u32, n: u32, d: u32) {
    let v = logical(t, z, [h, m, k, n], Builder::and_not);
    t.set(d, v);
}
/// ORR (shifted register); MOV where `n` is zero.
fn orr_reg(t: &mut Tx, z: u32, h: u32, m: u32, k: u32, n: u32, d: u32) {
    let v = if n == 31 {
        shifted(t, z, h, m, k)
    } else {
        logical(t, z, [h, m, k, n], Builder::or)
    };
    t.set(d, v);
}
/// ORN (shifted register); MVN where `n` is zero.
fn orn(t: &mut Tx, z: u32, h: u32, m: u32, k: u32, n: u32, d: u32) {
    let b = shifted(t, z, h, m, k);
    let mut v = t.b.not(b);
    if n != 31 {
        let a = t.r(z, n);
        v = t.b.or(a, v);
    }
    t.set(d, v);
}
/// EOR (shifted register).
fn eor_reg(t: &mut Tx, z: u32, h: u32, m: u32, k: u32, n: u32, d: u32) {
    let v = logical(t, z, [h, m, k, n], Builder::xor);
    t.set(d, v);
}
/// EON (shifted register).
fn eon(t: &mut Tx, z: u32, h: u32, m: u32, k: u32, n: u32, d: u32) {
    let v = logical(t, z, [h, m, k, n], |b, x, y| {
        let not = b.not(y);
        b.xor(x, not)
    });
    t.set(d, v);
}
/// ANDS (shifted register).
fn ands_reg(t: &mut Tx, z: u32, h: u32, m: u32, k: u32, n: u32, d: u32) {
    let v = if n == m && k == 0 {
        t.r(z, n)
    } else {
        logical(t, z, [h, m, k, n], Builder::and)
    };
    t.flags.set_logical(t.b, v);
    t.set(d, v);
}
/// BICS (shifted register).
fn bics(t: &mut Tx, z: u32, h: u32, m: u32, k: u32, n: u32, d: u32) {
    let v = logical(t, z, [h, m, k, n], Builder::and_not);
    t.flags.set_logical(t.b, v);
    t.set(d, v);
}

/// The operands of an addition with a shifted register. `None`: the shift is reserved, and the instruction Undefined.
fn sum(t: &mut Tx, z: u32, [h, m, k, n]: [u32; 4]) -> Option<(Val, Val)> {
    if h == 3 {
        t.undefined();
        return None;
    }
    Some((t.r(z, n), shifted(t, z, h, m, k)))
}

/// ADD (shifted register).
fn add_reg(t: &mut Tx, z: u32, h: u32, m: u32, k: u32, n: u32, d: u32) {
    if let Some((a, b)) = sum(t, z, [h, m, k, n]) {
        let v = t.b.add(a, b);
        t.set(d, v);
    }
}
/// ADDS (shifted register).
fn adds_reg(t: &mut Tx, z: u32, h: u32, m: u32, k: u32, n: u32, d: u32) {
    if let Some((a, b)) = sum(t, z, [h, m, k, n]) {
        add_flags(t, a, b, d);
    }
}
/// SUB (shifted register).
fn sub_reg(t: &mut Tx, z: u32, h: u32, m: u32, k: u32, n: u32, d: u32) {
    if let Some((a, b)) = sum(t, z, [h, m, k, n]) {
        let v = t.b.sub(a, b);
        t.set(d, v);
    }
}
/// SUBS (shifted register).
fn subs_reg(t: &mut Tx, z: u32, h: u32, m: u32, k: u32, n: u32, d: u32) {
    if let Some((a, b)) = sum(t, z, [h, m, k, n]) {
        sub_flags(t, a, b, d);
    }
}

/// The operands of an addition with an extended register: `n` or SP, and `m`. `None`: the shift is reserved.
fn extended_sum(t: &mut Tx, z: u32, [m, o, k, n]: [u32; 4]) -> Option<(Val, Val)> {
    if k > 4 {
        t.undefined();
        return None;
    }
    Some((t.r_sp(z, n), extended(t, z, m, o, k)))
}

/// ADD (extended register).
fn add_extended(t: &mut Tx, z: u32, m: u32, o: u32, k: u32, n: u32, d: u32) {
    if let Some((a, b)) = extended_sum(t, z, [m, o, k, n]) {
        let v = t.b.add(a, b);
        t.set_sp(d, v);
    }
}
/// ADDS (extended register).
fn adds_extended(t: &mut Tx, z: u32, m: u32, o: u32, k: u32, n: u32, d: u32) {
    if let Some((a, b)) = extended_sum(t, z, [m, o, k, n]) {
        add_flags(t, a, b, d);
    }
}
/// SUB (extended register).
fn sub_extended(t: &mut Tx, z: u32, m: u32, o: u32, k: u32, n: u32, d: u32) {
    if let Some((a, b)) = extended_sum(t, z, [m, o, k, n]) {
        let v = t.b.sub(a, b);
        t.set_sp(d, v);
    }
}
/// SUBS (extended register).
fn subs_extended(t: &mut Tx, z: u32, m: u32, o: u32, k: u32, n: u32, d: u32) {
    if let Some((a, b)) = extended_sum(t, z, [m, o, k, n]) {
        sub_flags(t, a, b, d);
    }
}

/// `n` plus `m`, complemented where `not`, plus C, to `d`; the flags if `s`.
fn with_carry(t: &mut Tx, z: u32, [m, n, d]: [u32; 3], not: bool, s: bool) {
    let (a, mut b) = (t.r(z, n), t.r(z, m));
    if not {
        b = t.b.not(b);
    }
    let [.., c, _] = super::state::NZCV;
    let carry = t.b.get(c);
    let sum = t.b.adc(a, b, carry);
    if s {
        t.flags.set_nz(t.b, sum);
        let (c, v) = (t.b.adc_carry(a, b, carry), t.b.adc_ovf(a, b, carry));
        t.flags.set_cv(t.b, c, v);
    }
    t.set(d, sum);
}

/// ADC.
fn adc(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    with_carry(t, z, [m, n, d], false, false);
}
/// ADCS.
fn adcs(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    with_carry(t, z, [m, n, d], false, true);
}
/// SBC.
fn sbc(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    with_carry(t, z, [m, n, d], true, false);
}
/// SBCS.
fn sbcs(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    with_carry(t, z, [m, n, d], true, true);
}

/// The flags of `n` compared with `b` (its negation where `negative`) if the condition `c` holds, else `f`.
fn compare_if(t: &mut Tx, z: u32, c: u32, n: u32, f: u32, b: Val, negative: bool) {
    let a = t.r(z, n);
    if c >= 14 {
        return if negative {
            add_flags(t, a, b, 31)
        } else {
            sub_flags(t, a, b, 31)
        };
    }
    let (holds, fails) = (t.cond(c), t.cond(c ^ 1));
    let zero = t.b.imm(width(z), 0);
    let flags = if negative {
        let sum = t.b.add(a, b);
        [
            t.b.slt(sum, zero),
            t.b.eq(sum, zero),
            t.b.add_carry(a, b),
            t.b.add_ovf(a, b),
        ]
    } else {
        let diff = t.b.sub(a, b);
        [t.b.slt(diff, zero), t.b.eq(a, b), t.b.ule(b, a), t.b.sub_ovf(a, b)]
    };
    let mut at = 4;
    let flags = flags.map(|flag| {
        at -= 1;
        match f >> at & 1 {
            0 => t.b.and(flag, holds),
            _ => t.b.or(flag, fails),
        }
    });
    t.flags.set_all(t.b, flags);
}

/// CCMN (register).
fn ccmn_reg(t: &mut Tx, z: u32, m: u32, c: u32, n: u32, f: u32) {
    let b = t.r(z, m);
    compare_if(t, z, c, n, f, b, true);
}
/// CCMN (immediate).
fn ccmn_imm(t: &mut Tx, z: u32, i: u32, c: u32, n: u32, f: u32) {
    let b = t.b.imm(width(z), i.into());
    compare_if(t, z, c, n, f, b, true);
}
/// CCMP (register).
fn ccmp_reg(t: &mut Tx, z: u32, m: u32, c: u32, n: u32, f: u32) {
    let b = t.r(z, m);
    compare_if(t, z, c, n, f, b, false);
}
/// CCMP (immediate).
fn ccmp_imm(t: &mut Tx, z: u32, i: u32, c: u32, n: u32, f: u32) {
    let b = t.b.imm(width(z), i.into());
    compare_if(t, z, c, n, f, b, false);
}

/// `n` if the condition `c` holds, else what `other` makes of `m`.
fn select(t: &mut Tx, z: u32, [m, c, n, d]: [u32; 4], other: impl FnOnce(&mut Builder, Val) -> Val) {
    let (a, b) = (t.r(z, n), t.r(z, m));
    let b = other(t.b, b);
    let holds = t.cond(c);
    let v = t.b.select(holds, a, b);
    t.set(d, v);
}

/// CSEL.
fn csel(t: &mut Tx, z: u32, m: u32, c: u32, n: u32, d: u32) {
    select(t, z, [m, c, n, d], |_, v| v);
}
/// CSINC; CSET where both registers are zero.
fn csinc(t: &mut Tx, z: u32, m: u32, c: u32, n: u32, d: u32) {
    if (m, n) == (31, 31) && c < 14 {
        let fails = t.cond(c ^ 1);
        return t.set(d, fails);
    }
    select(t, z, [m, c, n, d], |b, v| {
        let one = b.imm(b.ty(v), 1);
        b.add(v, one)
    });
}
/// CSINV; CSETM where both registers are zero.
fn csinv(t: &mut Tx, z: u32, m: u32, c: u32, n: u32, d: u32) {
    if (m, n) == (31, 31) && c < 14 {
        let fails = t.cond(c ^ 1);
        let wide = t.b.zext(width(z), fails);
        let v = t.b.neg(wide);
        return t.set(d, v);
    }
    select(t, z, [m, c, n, d], Builder::not);
}
/// CSNEG.
fn csneg(t: &mut Tx, z: u32, m: u32, c: u32, n: u32, d: u32) {
    select(t, z, [m, c, n, d], Builder::neg);
}

/// `n` and `m` to `d`.
fn binary(t: &mut Tx, z: u32, [m, n, d]: [u32; 3], op: impl FnOnce(&mut Builder, Val, Val) -> Val) {
    let (a, b) = (t.r(z, n), t.r(z, m));
    let v = op(t.b, a, b);
    t.set(d, v);
}
/// UDIV.
fn udiv(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    binary(t, z, [m, n, d], Builder::div_u);
}
/// SDIV.
fn sdiv(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    binary(t, z, [m, n, d], Builder::div_s);
}
/// A shift by a register, modulo the width.
fn by_register(t: &mut Tx, z: u32, [m, n, d]: [u32; 3], op: impl FnOnce(&mut Builder, Val, Val) -> Val) {
    binary(t, z, [m, n, d], |b, v, by| {
        let low = b.imm(width(z), (width(z).bits() - 1).into());
        let by = b.and(by, low);
        op(b, v, by)
    });
}
/// LSLV.
fn lslv(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    by_register(t, z, [m, n, d], Builder::shl);
}
/// LSRV.
fn lsrv(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    by_register(t, z, [m, n, d], Builder::shr_u);
}
/// ASRV.
fn asrv(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    by_register(t, z, [m, n, d], Builder::shr_s);
}
/// RORV.
fn rorv(t: &mut Tx, z: u32, m: u32, n: u32, d: u32) {
    binary(t, z, [m, n, d], Builder::rotr);
}

/// `n` to `d`.
fn unary(t: &mut Tx, z: u32, n: u32, d: u32, op: impl FnOnce(&mut Builder, Val) -> Val) {
    let a = t.r(z, n);
    let v = op(t.b, a);
    t.set(d, v);
}
/// RBIT.
fn rbit(t: &mut Tx, z: u32, n: u32, d: u32) {
    unary(t, z, n, d, Builder::bit_rev);
}
/// Bytes reversed in groups that `low` has the lower half of, and which are twice `by` bits long.
fn swapped(b: &mut Builder, v: Val, low: u64, by: u64) -> Val {
    let ty = b.ty(v);
    let (low, by) = (b.imm(ty, low), b.imm(ty, by));
    let up = b.and(v, low);
    let up = b.shl(up, by);
    let down = b.shr_u(v, by);
    let down = b.and(down, low);
    b.or(up, down)
}
/// REV16.
fn rev16(t: &mut Tx, z: u32, n: u32, d: u32) {
    unary(t, z, n, d, |b, v| swapped(b, v, 0x00ff_00ff_00ff_00ff, 8));
}
/// REV.
fn rev(t: &mut Tx, z: u32, n: u32, d: u32) {
    unary(t, z, n, d, Builder::bswap);
}
/// REV32.
fn rev32(t: &mut Tx, n: u32, d: u32) {
    unary(t, 1, n, d, |b, v| {
        let (v, by) = (b.bswap(v), b.imm(Ty::I64, 32));
        b.rotr(v, by)
    });
}
/// CLZ.
fn clz(t: &mut Tx, z: u32, n: u32, d: u32) {
    unary(t, z, n, d, Builder::clz);
}
/// CLS: the bits after the top one that are equal to it.
fn cls(t: &mut Tx, z: u32, n: u32, d: u32) {
    unary(t, z, n, d, |b, v| {
        let ty = b.ty(v);
        let one = b.imm(ty, 1);
        let twice = b.shl(v, one);
        let differ = b.xor(v, twice);
        // Never zero, and the bits below the top one stay.
        let differ = b.or(differ, one);
        b.clz(differ)
    });
}

/// `a` plus or, where `negative`, minus a product.
fn accumulate(t: &mut Tx, z: u32, a: u32, product: Val, negative: bool) -> Val {
    match (a, negative) {
        (31, false) => product,
        (31, true) => t.b.neg(product),
        (a, _) => {
            let a = t.r(z, a);
            if negative {
                t.b.sub(a, product)
            } else {
                t.b.add(a, product)
            }
        }
    }
}
/// MADD.
fn madd(t: &mut Tx, z: u32, m: u32, a: u32, n: u32, d: u32) {
    multiply(t, z, [m, a, n, d], false);
}
/// MSUB.
fn msub(t: &mut Tx, z: u32, m: u32, a: u32, n: u32, d: u32) {
    multiply(t, z, [m, a, n, d], true);
}
fn multiply(t: &mut Tx, z: u32, [m, a, n, d]: [u32; 4], negative: bool) {
    let (x, y) = (t.r(z, n), t.r(z, m));
    let product = t.b.mul(x, y);
    let v = accumulate(t, z, a, product, negative);
    t.set(d, v);
}
/// The product of two words, as they are extended, added to or subtracted from `a`.
fn multiply_long(t: &mut Tx, [m, a, n, d]: [u32; 4], extend: fn(&mut Builder, Ty, Val) -> Val, negative: bool) {
    let (x, y) = (t.r(0, n), t.r(0, m));
    let (x, y) = (extend(t.b, Ty::I64, x), extend(t.b, Ty::I64, y));
    let product = t.b.mul(x, y);
    let v = accumulate(t, 1, a, product, negative);
    t.set(d, v);
}
/// SMADDL.
fn smaddl(t: &mut Tx, m: u32, a: u32, n: u32, d: u32) {
    multiply_long(t, [m, a, n, d], Builder::sext, false);
}
/// SMSUBL.
fn smsubl(t: &mut Tx, m: u32, a: u32, n: u32, d: u32) {
    multiply_long(t, [m, a, n, d], Builder::sext, true);
}
/// UMADDL.
fn umaddl(t: &mut Tx, m: u32, a: u32, n: u32, d: u32) {
    multiply_long(t, [m, a, n, d], Builder::zext, false);
}
/// UMSUBL.
fn umsubl(t: &mut Tx, m: u32, a: u32, n: u32, d: u32) {
    multiply_long(t, [m, a, n, d], Builder::zext, true);
}
/// SMULH.
fn smulh(t: &mut Tx, m: u32, n: u32, d: u32) {
    binary(t, 1, [m, n, d], Builder::mul_hi_s);
}
/// UMULH.
fn umulh(t: &mut Tx, m: u32, n: u32, d: u32) {
    binary(t, 1, [m, n, d], Builder::mul_hi_u);
}
