//! Data processing: immediate (Arm ARM DDI 0487, C4.1, "Data Processing -- Immediate").

use super::tx::{Tx, signed, width};
use emu_ir::{Ty, Val, insns};

insns! {
    /// PC-relative addressing.
    ADDRESS: Tx;
    "0 ii 10000 IIIIIIIIIIIIIIIIIII ddddd" => adr(i, d)
    "1 ii 10000 IIIIIIIIIIIIIIIIIII ddddd" => adrp(i, d)
}

insns! {
    /// Add and subtract.
    ARITHMETIC: Tx;
    "z 00 100010 h iiiiiiiiiiii nnnnn ddddd" => add_imm(z, h, i, n, d)
    "z 01 100010 h iiiiiiiiiiii nnnnn ddddd" => adds_imm(z, h, i, n, d)
    "z 10 100010 h iiiiiiiiiiii nnnnn ddddd" => sub_imm(z, h, i, n, d)
    "z 11 100010 h iiiiiiiiiiii nnnnn ddddd" => subs_imm(z, h, i, n, d)
}

insns! {
    /// Logical.
    LOGICAL: Tx;
    "0 00 100100 0 iiiiii iiiiii nnnnn ddddd" => and_imm(0, i, n, d)
    "1 00 100100 i iiiiii iiiiii nnnnn ddddd" => and_imm(1, i, n, d)
    "0 01 100100 0 iiiiii iiiiii nnnnn ddddd" => orr_imm(0, i, n, d)
    "1 01 100100 i iiiiii iiiiii nnnnn ddddd" => orr_imm(1, i, n, d)
    "0 10 100100 0 iiiiii iiiiii nnnnn ddddd" => eor_imm(0, i, n, d)
    "1 10 100100 i iiiiii iiiiii nnnnn ddddd" => eor_imm(1, i, n, d)
    "0 11 100100 0 iiiiii iiiiii nnnnn ddddd" => ands_imm(0, i, n, d)
    "1 11 100100 i iiiiii iiiiii nnnnn ddddd" => ands_imm(1, i, n, d)
}

insns! {
    /// Move wide.
    MOVE: Tx;
    "0 00 100101 0h iiiiiiiiiiiiiiii ddddd" => movn(0, h, i, d)
    "1 00 100101 hh iiiiiiiiiiiiiiii ddddd" => movn(1, h, i, d)
    "0 10 100101 0h iiiiiiiiiiiiiiii ddddd" => movz(0, h, i, d)
    "1 10 100101 hh iiiiiiiiiiiiiiii ddddd" => movz(1, h, i, d)
    "0 11 100101 0h iiiiiiiiiiiiiiii ddddd" => movk(0, h, i, d)
    "1 11 100101 hh iiiiiiiiiiiiiiii ddddd" => movk(1, h, i, d)
}

insns! {
    /// Bit fields, and extraction.
    BIT_FIELD: Tx;
    "0 00 100110 0 0rrrrr 0sssss nnnnn ddddd" => sbfm(0, r, s, n, d)
    "1 00 100110 1 rrrrrr ssssss nnnnn ddddd" => sbfm(1, r, s, n, d)
    "0 01 100110 0 0rrrrr 0sssss nnnnn ddddd" => bfm(0, r, s, n, d)
    "1 01 100110 1 rrrrrr ssssss nnnnn ddddd" => bfm(1, r, s, n, d)
    "0 10 100110 0 0rrrrr 0sssss nnnnn ddddd" => ubfm(0, r, s, n, d)
    "1 10 100110 1 rrrrrr ssssss nnnnn ddddd" => ubfm(1, r, s, n, d)
    "0 00 100111 00 mmmmm 0iiiii nnnnn ddddd" => extr(0, m, i, n, d)
    "1 00 100111 10 mmmmm iiiiii nnnnn ddddd" => extr(1, m, i, n, d)
}

/// ADR.
fn adr(t: &mut Tx, i: u32, d: u32) {
    let at = t.offset as i32 + signed(i, 21);
    let v = t.b.pc_rel(Ty::I64, at);
    t.set(d, v);
}

/// ADRP: pages of 4 KiB from that of the instruction.
fn adrp(t: &mut Tx, i: u32, d: u32) {
    let by = i64::from(signed(i, 21)) << 12;
    let v = match i32::try_from(by) {
        Ok(by) => t.b.pc_rel(Ty::I64, by),
        Err(_) => {
            let page = t.b.pc_rel(Ty::I64, 0);
            t.plus(page, by)
        }
    };
    t.set(d, v);
}

/// The operands of ADD and SUB: `i`, shifted by 12 where `h` is 1.
fn operands(t: &mut Tx, z: u32, h: u32, i: u32, n: u32) -> (Val, Val, i64) {
    let i = i << (12 * h);
    let a = t.r_sp(z, n);
    (a, t.b.imm(width(z), i.into()), i.into())
}

/// ADD (immediate).
fn add_imm(t: &mut Tx, z: u32, h: u32, i: u32, n: u32, d: u32) {
    let (a, b, by) = operands(t, z, h, i, n);
    let sum = if by == 0 { a } else { t.b.add(a, b) };
    moved(t, z, d, sum, n, by);
}
/// SUB (immediate).
fn sub_imm(t: &mut Tx, z: u32, h: u32, i: u32, n: u32, d: u32) {
    let (a, b, by) = operands(t, z, h, i, n);
    let diff = t.b.sub(a, b);
    moved(t, z, d, diff, n, -by);
}
/// Write X`d` or SP with X`n` or SP plus `by`.
fn moved(t: &mut Tx, z: u32, d: u32, v: Val, n: u32, by: i64) {
    if z == 1 {
        t.set_moved(d, v, n, by);
    } else {
        t.set_sp(d, v);
    }
}
/// ADDS (immediate).
fn adds_imm(t: &mut Tx, z: u32, h: u32, i: u32, n: u32, d: u32) {
    let (a, b, _) = operands(t, z, h, i, n);
    super::register::add_flags(t, a, b, d);
}
/// SUBS (immediate).
fn subs_imm(t: &mut Tx, z: u32, h: u32, i: u32, n: u32, d: u32) {
    let (a, b, _) = operands(t, z, h, i, n);
    super::register::sub_flags(t, a, b, d);
}

/// DecodeBitMasks for a logical immediate N:immr:imms: the value of 64 bits. `None`: reserved.
fn bit_mask(i: u32) -> Option<u64> {
    let (n, r, s) = (i >> 12, i >> 6 & 0x3f, i & 0x3f);
    let len = 31u32.checked_sub((n << 6 | !s & 0x3f).leading_zeros())?;
    let levels = (1u32 << len) - 1;
    if len < 1 || s & levels == levels {
        return None;
    }
    let (size, r, s) = (1u32 << len, r & levels, s & levels);
    let element = u64::MAX >> (64 - size);
    let ones = (1 << (s + 1)) - 1;
    let turned = if r == 0 {
        ones
    } else {
        (ones >> r | ones << (size - r)) & element
    };
    Some((0..64 / size).fold(0, |all, k| all | turned << (k * size)))
}

/// The operands of a logical operation: `i` is N:immr:imms. `None`: it is reserved, and the instruction Undefined.
fn logical(t: &mut Tx, z: u32, i: u32, n: u32) -> Option<(Val, Val)> {
    let Some(mask) = bit_mask(i) else {
        t.undefined();
        return None;
    };
    let a = t.r(z, n);
    Some((a, t.b.imm(width(z), mask)))
}

/// AND (immediate).
fn and_imm(t: &mut Tx, z: u32, i: u32, n: u32, d: u32) {
    if let Some((a, b)) = logical(t, z, i, n) {
        let v = t.b.and(a, b);
        t.set_sp(d, v);
    }
}
/// ORR (immediate).
fn orr_imm(t: &mut Tx, z: u32, i: u32, n: u32, d: u32) {
    if let Some((a, b)) = logical(t, z, i, n) {
        let v = if n == 31 { b } else { t.b.or(a, b) };
        t.set_sp(d, v);
    }
}
/// EOR (immediate).
fn eor_imm(t: &mut Tx, z: u32, i: u32, n: u32, d: u32) {
    if let Some((a, b)) = logical(t, z, i, n) {
        let v = t.b.xor(a, b);
        t.set_sp(d, v);
    }
}
/// ANDS (immediate).
fn ands_imm(t: &mut Tx, z: u32, i: u32, n: u32, d: u32) {
    if let Some((a, b)) = logical(t, z, i, n) {
        let v = t.b.and(a, b);
        t.flags.set_logical(t.b, v);
        t.set(d, v);
    }
}

/// MOVN: `i` shifted left by 16 `h`, inverted.
fn movn(t: &mut Tx, z: u32, h: u32, i: u32, d: u32) {
    let v = t.b.imm(width(z), !(u64::from(i) << (16 * h)));
    t.set(d, v);
}
/// MOVZ: `i` shifted left by 16 `h`.
fn movz(t: &mut Tx, z: u32, h: u32, i: u32, d: u32) {
    let v = t.b.imm(width(z), u64::from(i) << (16 * h));
    t.set(d, v);
}
/// MOVK: `i` shifted left by 16 `h`, other bits kept.
fn movk(t: &mut Tx, z: u32, h: u32, i: u32, d: u32) {
    let ty = width(z);
    let (old, kept) = (t.r(z, d), t.b.imm(ty, !(0xffff << (16 * h))));
    let (old, new) = (t.b.and(old, kept), t.b.imm(ty, u64::from(i) << (16 * h)));
    let v = t.b.or(old, new);
    t.set(d, v);
}

/// SBFM: a field moved down from bit `r`, or its low `s` + 1 bits up, sign-extended.
fn sbfm(t: &mut Tx, z: u32, r: u32, s: u32, n: u32, d: u32) {
    let (bits, v) = (width(z).bits(), t.r(z, n));
    let whole = match (r, s) {
        (0, 7) => Some(Ty::I8),
        (0, 15) => Some(Ty::I16),
        (0, 31) if z == 1 => Some(Ty::I32),
        _ => None,
    };
    let v = if let Some(ty) = whole {
        let low = t.b.trunc(ty, v);
        t.b.sext(width(z), low)
    } else if s >= r {
        let up = up(t, v, bits - 1 - s);
        down(t, up, bits - 1 - s + r, true)
    } else {
        let up = up(t, v, bits - 1 - s);
        down(t, up, r - s - 1, true)
    };
    t.set(d, v);
}

/// UBFM: a field moved down from bit `r`, or its low `s` + 1 bits up, zero-extended.
fn ubfm(t: &mut Tx, z: u32, r: u32, s: u32, n: u32, d: u32) {
    let v = t.r(z, n);
    let v = field(t, z, r, s, v);
    t.set(d, v);
}

/// The field of UBFM and BFM, all other bits 0.
fn field(t: &mut Tx, z: u32, r: u32, s: u32, v: Val) -> Val {
    let (ty, bits) = (width(z), width(z).bits());
    if s >= r {
        let low = down(t, v, r, false);
        masked(t, low, s - r + 1)
    } else {
        let low = if s + 1 + bits - r >= bits {
            v
        } else {
            masked(t, v, s + 1)
        };
        let by = t.b.imm(ty, (bits - r).into());
        t.b.shl(low, by)
    }
}

/// The low `count` bits of a value.
fn masked(t: &mut Tx, v: Val, count: u32) -> Val {
    let ty = t.b.ty(v);
    if count >= ty.bits() {
        return v;
    }
    let mask = t.b.imm(ty, (1 << count) - 1);
    t.b.and(v, mask)
}

/// Shifted left by a constant.
fn up(t: &mut Tx, v: Val, by: u32) -> Val {
    if by == 0 {
        return v;
    }
    let by = t.b.imm(t.b.ty(v), by.into());
    t.b.shl(v, by)
}

/// Shifted right by a constant.
fn down(t: &mut Tx, v: Val, by: u32, signed: bool) -> Val {
    if by == 0 {
        return v;
    }
    let by = t.b.imm(t.b.ty(v), by.into());
    if signed { t.b.shr_s(v, by) } else { t.b.shr_u(v, by) }
}

/// BFM: the field of UBFM put over the register's other bits.
fn bfm(t: &mut Tx, z: u32, r: u32, s: u32, n: u32, d: u32) {
    let (ty, bits) = (width(z), width(z).bits());
    let (v, old) = (t.r(z, n), t.r(z, d));
    let new = field(t, z, r, s, v);
    let (count, at) = if s >= r { (s - r + 1, 0) } else { (s + 1, bits - r) };
    let mask = if count == 64 {
        u64::MAX
    } else {
        ((1 << count) - 1) << at
    };
    let kept = t.b.imm(ty, !mask);
    let kept = t.b.and(old, kept);
    let v = t.b.or(kept, new);
    t.set(d, v);
}

/// EXTR: the register `n`:`m` from bit `i` on.
fn extr(t: &mut Tx, z: u32, m: u32, i: u32, n: u32, d: u32) {
    let (ty, bits) = (width(z), width(z).bits());
    let low = t.r(z, m);
    let v = if n == m {
        let by = t.b.imm(ty, i.into());
        t.b.rotr(low, by)
    } else if i == 0 {
        low
    } else {
        let high = t.r(z, n);
        let (low, high) = (down(t, low, i, false), up(t, high, bits - i));
        t.b.or(low, high)
    };
    t.set(d, v);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_masks_are_those_of_the_manual() {
        let cases = [
            (1, 0, 0, Some(1)),
            (1, 0, 62, Some(u64::MAX >> 1)),
            (1, 0, 63, None),
            (0, 0, 0b11_1100, Some(0x5555_5555_5555_5555)),
            (0, 1, 0b11_1100, Some(0xaaaa_aaaa_aaaa_aaaa)),
            (0, 0, 0b11_1101, None),
            (0, 0, 0b11_1110, None),
            (0, 4, 0b10_0111, Some(0xf00f_f00f_f00f_f00f)),
            (0, 8, 0b00_1111, Some(0xff00_00ff_ff00_00ff)),
        ];
        for (n, r, s, mask) in cases {
            assert_eq!(bit_mask(n << 12 | r << 6 | s), mask, "{n} {r} {s:06b}");
        }
    }
}
