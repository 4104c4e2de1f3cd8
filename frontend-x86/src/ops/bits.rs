//! Bits and bytes (SDM 1, 5.1.6), BMI1 and BMI2 (5.1.16).

use crate::calls;
use crate::tx::{Change, Tx};
use emu_ir::{Arith, Rmw, STATUS_CARRY, STATUS_FIXED, STATUS_PARITY, STATUS_ZERO, Ty, Val};

/// The bit's number within operand 0. Where that is in memory and the number in a register, the operand is as many of its
/// kind further as the number says, and is located here (SDM 2, BT; 3.1.1.9 "BIT").
fn bit_number(t: &mut Tx, write: bool) -> Val {
    let ty = t.ty(0);
    let by_register = t.register(1).is_some();
    let n = if by_register {
        t.read(1)
    } else {
        t.imm(ty, t.insn.immediate)
    };
    if by_register && t.is_memory(0) {
        let address = t.address_size();
        let (log2, offset) = (ty.bits().trailing_zeros(), t.effective_address());
        let wide = t.b.sext(Ty::I64, n);
        let by = t.imm(Ty::I64, log2.into());
        let units = t.b.shr_s(wide, by);
        let bytes = t.shl(units, log2 - 3);
        let bytes = t.b.trunc(address, bytes);
        let offset = t.b.add(offset, bytes);
        t.place_at(offset, ty.bytes(), write);
    }
    t.mask(n, u64::from(ty.bits()) - 1)
}
/// `a >> n` in 64 bits.
fn shifted(t: &mut Tx, a: Val, n: Val) -> Val {
    let (a, n) = (t.b.zext(Ty::I64, a), t.b.zext(Ty::I64, n));
    t.b.shr_u(a, n)
}
fn set_carry_to_bit(t: &mut Tx, a: Val, n: Val) {
    let at = shifted(t, a, n);
    let (carry, before) = (t.low_bit(at), t.status());
    let status = t.set_flags(before, &[(STATUS_CARRY, carry)]);
    t.set_status(status);
}
/// BT.
pub fn bt(t: &mut Tx) {
    let n = bit_number(t, false);
    let a = t.read(0);
    set_carry_to_bit(t, a, n);
}
/// The bit alone, or all but it.
fn change_bit(t: &mut Tx, how: Rmw, others: bool, f: fn(&mut Tx, Val, Val) -> Val) {
    let n = bit_number(t, true);
    let ty = t.ty(0);
    let (one, wide) = (t.imm(Ty::I64, 1), t.b.zext(Ty::I64, n));
    let bit = t.b.shl(one, wide);
    let bit = t.b.trunc(ty, bit);
    let bits = if others { t.b.not(bit) } else { bit };
    let change: Change = &|t, a| f(t, a, bits);
    let a = t.change(0, Some((how, bits)), change);
    set_carry_to_bit(t, a, n);
}
/// BTS.
pub fn bts(t: &mut Tx) {
    change_bit(t, Rmw::Or, false, |t, a, bits| t.b.or(a, bits));
}
/// BTR.
pub fn btr(t: &mut Tx) {
    change_bit(t, Rmw::And, true, |t, a, bits| t.b.and(a, bits));
}
/// BTC.
pub fn btc(t: &mut Tx) {
    change_bit(t, Rmw::Xor, false, |t, a, bits| t.b.xor(a, bits));
}

/// An operand in the type that bits are counted in.
fn counted(t: &mut Tx, n: usize) -> Val {
    let v = t.read(n);
    match t.b.ty(v) {
        Ty::I16 => t.b.zext(Ty::I32, v),
        _ => v,
    }
}
/// BSF and BSR: of 0 the destination stays, all of it (APM 3, BSF); the flags that the manual leaves undefined are those of
/// the source.
fn scan(t: &mut Tx, f: fn(&mut Tx, Val) -> Val) {
    let ty = t.ty(0);
    let source = t.read(1);
    let a = counted(t, 1);
    let found = f(t, a);
    let register = crate::state::reg(t.register(0).unwrap_or(0));
    let whole = t.b.get(register);
    let found = t.b.trunc(ty, found);
    let new = match ty {
        Ty::I16 => t.b.insert(whole, found, 0),
        _ => t.b.zext(Ty::I64, found),
    };
    let none = t.is_zero(source);
    let value = t.b.select(none, whole, new);
    t.b.set(register, value);
    t.set_status_of(Arith::Logic, source, source);
}
/// BSF.
pub fn bsf(t: &mut Tx) {
    scan(t, |t, a| t.b.ctz(a));
}
/// BSR.
pub fn bsr(t: &mut Tx) {
    scan(t, |t, a| {
        let ty = t.b.ty(a);
        let (zeros, most) = (t.b.clz(a), t.imm(ty, u64::from(ty.bits()) - 1));
        t.b.sub(most, zeros)
    });
}
/// The flags of a count or field: all others are clear, undefined ones too as on Intel's processors.
fn set_alone(t: &mut Tx, flags: &[(u16, Val)]) {
    let none = t.imm(Ty::I16, STATUS_FIXED.into());
    let status = t.set_flags(none, flags);
    t.set_status(status);
}
/// TZCNT and LZCNT: CF says that the source is 0, ZF that the result is.
fn count_zeros(t: &mut Tx, f: fn(&mut Tx, Val, Ty) -> Val) {
    let (ty, source) = (t.ty(0), t.read(1));
    let a = counted(t, 1);
    let count = f(t, a, ty);
    let count = t.b.trunc(ty, count);
    t.write(0, count);
    let (none, zero) = (t.is_zero(source), t.is_zero(count));
    set_alone(t, &[(STATUS_CARRY, none), (STATUS_ZERO, zero)]);
}
/// TZCNT.
pub fn tzcnt(t: &mut Tx) {
    count_zeros(t, |t, a, ty| {
        let a = match ty {
            Ty::I16 => {
                let end = t.imm(Ty::I32, 1 << 16);
                t.b.or(a, end)
            }
            _ => a,
        };
        t.b.ctz(a)
    });
}
/// LZCNT.
pub fn lzcnt(t: &mut Tx) {
    count_zeros(t, |t, a, ty| {
        let zeros = t.b.clz(a);
        t.plus(zeros, if ty == Ty::I16 { -16 } else { 0 })
    });
}
/// POPCNT.
pub fn popcnt(t: &mut Tx) {
    let (ty, source) = (t.ty(0), t.read(1));
    let a = counted(t, 1);
    let count = t.b.popcnt(a);
    let count = t.b.trunc(ty, count);
    t.write(0, count);
    let zero = t.is_zero(source);
    set_alone(t, &[(STATUS_ZERO, zero)]);
}

/// The flags of a result, with a carry. That of parity is undefined, and clear on Intel's processors.
fn set_flags_with_carry(t: &mut Tx, result: Val, carry: Val) {
    let plain = t.b.status(Arith::Logic, result, result, result);
    let even = t.b.bool(false);
    let status = t.set_flags(plain, &[(STATUS_CARRY, carry), (STATUS_PARITY, even)]);
    t.set_status(status);
}
/// ANDN.
pub fn andn(t: &mut Tx) {
    let (a, b) = (t.read(1), t.read(2));
    let result = t.b.and_not(b, a);
    t.write(0, result);
    let carry = t.b.bool(false);
    set_flags_with_carry(t, result, carry);
}
/// Of the lowest set bit; CF says that there is none, or with `some` that there is one.
fn lowest(t: &mut Tx, some: bool, f: fn(&mut Tx, Val, Val) -> Val) {
    let a = t.read(1);
    let less = t.plus(a, -1);
    let result = f(t, a, less);
    t.write(0, result);
    let none = t.is_zero(a);
    let flip = t.b.bool(some);
    let carry = t.b.xor(none, flip);
    set_flags_with_carry(t, result, carry);
}
/// BLSI.
pub fn blsi(t: &mut Tx) {
    lowest(t, true, |t, a, less| t.b.and_not(a, less));
}
/// BLSMSK.
pub fn blsmsk(t: &mut Tx) {
    lowest(t, false, |t, a, less| t.b.xor(a, less));
}
/// BLSR.
pub fn blsr(t: &mut Tx) {
    lowest(t, false, |t, a, less| t.b.and(a, less));
}
/// BZHI.
pub fn bzhi(t: &mut Tx) {
    let ty = t.ty(0);
    let (a, n) = (t.read(1), t.read(2));
    let n = t.mask(n, 0xff);
    let (ones, width) = (t.imm(ty, u64::MAX), t.imm(ty, ty.bits().into()));
    let kept = t.b.shl(ones, n);
    let result = t.b.and_not(a, kept);
    t.write(0, result);
    let carry = t.b.ule(width, n);
    set_flags_with_carry(t, result, carry);
}
/// BEXTR.
pub fn bextr(t: &mut Tx) {
    let ty = t.ty(0);
    let (a, how) = (t.read(1), t.read(2));
    let start = t.mask(how, 0xff);
    let length = t.shr(how, 8);
    let length = t.mask(length, 0xff);
    let ones = t.imm(ty, u64::MAX);
    let (from, above) = (t.b.shr_u(a, start), t.b.shl(ones, length));
    let result = t.b.and_not(from, above);
    t.write(0, result);
    let zero = t.is_zero(result);
    set_alone(t, &[(STATUS_ZERO, zero)]);
}
fn by_mask(t: &mut Tx, helper: u16) {
    let ty = t.ty(0);
    let (a, mask) = (t.read(1), t.read(2));
    let (a, mask) = (t.b.zext(Ty::I64, a), t.b.zext(Ty::I64, mask));
    let result = t.b.call(Ty::I64, helper, &[a, mask]);
    let result = t.b.trunc(ty, result);
    t.write(0, result);
}
/// PEXT.
pub fn pext(t: &mut Tx) {
    by_mask(t, calls::PEXT);
}
/// PDEP.
pub fn pdep(t: &mut Tx) {
    by_mask(t, calls::PDEP);
}
