//! Division (SDM 2, DIV and IDIV). The flags, which the manual leaves undefined, stay.

use crate::calls;
use crate::fault::vector;
use crate::state::reg;
use crate::tx::Tx;
use emu_ir::{Ty, Val};

/// DIV.
pub fn div(t: &mut Tx) {
    let divisor = t.read(0);
    let none = t.is_zero(divisor);
    t.fault_if(none, vector::DE, 0);
    let ty = t.b.ty(divisor);
    if ty == Ty::I64 {
        return long(t, divisor);
    }
    let (dividend, divisor) = (dividend(t, ty), t.b.zext(Ty::I64, divisor));
    let quotient = t.b.div_u(dividend, divisor);
    let above = t.shr(quotient, ty.bits());
    let (zero, product) = (t.imm(Ty::I64, 0), t.b.mul(quotient, divisor));
    let too_large = t.b.ne(above, zero);
    t.fault_if(too_large, vector::DE, 0);
    let remainder = t.b.sub(dividend, product);
    finish(t, ty, quotient, remainder);
}
/// IDIV.
pub fn idiv(t: &mut Tx) {
    let divisor = t.read(0);
    let none = t.is_zero(divisor);
    t.fault_if(none, vector::DE, 0);
    let ty = t.b.ty(divisor);
    if ty == Ty::I64 {
        return long_signed(t, divisor);
    }
    let wide = dividend(t, ty);
    let dividend = if ty == Ty::I32 {
        wide
    } else {
        let narrow = t.b.trunc(if ty == Ty::I8 { Ty::I16 } else { Ty::I32 }, wide);
        t.b.sext(Ty::I64, narrow)
    };
    let divisor = t.b.sext(Ty::I64, divisor);
    // The smallest number by -1 gives itself, which does not fit.
    let quotient = t.b.div_s(dividend, divisor);
    let narrow = t.b.trunc(ty, quotient);
    let again = t.b.sext(Ty::I64, narrow);
    let too_large = t.b.ne(again, quotient);
    t.fault_if(too_large, vector::DE, 0);
    let product = t.b.mul(quotient, divisor);
    let remainder = t.b.sub(dividend, product);
    finish(t, ty, quotient, remainder);
}
/// AX, DX:AX or EDX:EAX, zero-extended.
fn dividend(t: &mut Tx, ty: Ty) -> Val {
    let a = t.b.get(reg(0));
    if ty == Ty::I8 {
        return t.mask(a, 0xffff);
    }
    let mask = ty.mask() as u64;
    let d = t.b.get(reg(2));
    let (low, high) = (t.mask(a, mask), t.mask(d, mask));
    let high = t.shl(high, ty.bits());
    t.b.or(high, low)
}
fn finish(t: &mut Tx, ty: Ty, quotient: Val, remainder: Val) {
    let (quotient, remainder) = (t.b.trunc(ty, quotient), t.b.trunc(ty, remainder));
    if ty == Ty::I8 {
        t.set_low(0, quotient);
        return t.set_high(0, remainder);
    }
    t.set_reg(0, quotient);
    t.set_reg(2, remainder);
}
/// RDX:RAX by 64 bits. Mostly RDX is 0.
fn long(t: &mut Tx, divisor: Val) {
    let (low, high) = (t.b.get(reg(0)), t.b.get(reg(2)));
    let fits = t.b.ult(high, divisor);
    t.fault_unless(fits, vector::DE, 0);
    let (short, wide, done) = (t.is_zero(high), t.b.label(), t.b.label());
    let long = t.not(short);
    t.b.br_if(long, wide);
    let quotient = t.b.div_u(low, divisor);
    let product = t.b.mul(quotient, divisor);
    let remainder = t.b.sub(low, product);
    finish(t, Ty::I64, quotient, remainder);
    t.b.br(done);
    t.b.place(wide);
    t.position();
    by_helper(t, calls::DIV, [low, high, divisor]);
    t.b.place(done);
    t.position();
}
fn long_signed(t: &mut Tx, divisor: Val) {
    let (low, high) = (t.b.get(reg(0)), t.b.get(reg(2)));
    let fits = t.b.call(Ty::I8, calls::IDIV_FITS, &[low, high, divisor]);
    t.fault_unless(fits, vector::DE, 0);
    by_helper(t, calls::IDIV, [low, high, divisor]);
}
fn by_helper(t: &mut Tx, helper: u16, arguments: [Val; 3]) {
    let both = t.b.call(Ty::V128, helper, &arguments);
    let [quotient, remainder] = [0, 1].map(|i| t.b.vget_lane(Ty::I64, both, i));
    finish(t, Ty::I64, quotient, remainder);
}
