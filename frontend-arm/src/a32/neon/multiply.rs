//! Integer and polynomial multiplication of the operands' width, also by scalars (Arm ARM DDI 0406C, A7.4).

use super::calls;
use super::operands::{accumulate, enabled, lane, reg, require, same};
use crate::state;
use crate::tx::Tx;
use crate::vector::int::{multiply_add, multiply_subtract};
use emu_ir::{Lane, Slot, Ty, Val, insns};

insns! {
    /// VMUL, VMLA, VMLS.
    MULTIPLY: Tx;
    "1111 0010 0dss nnnn dddd 1001 Nqm0 mmmm" => vmla(s, q, d, n, m)
    "1111 0011 0dss nnnn dddd 1001 Nqm0 mmmm" => vmls(s, q, d, n, m)
    "1111 0010 0dss nnnn dddd 1001 Nqm1 mmmm" => vmul(s, q, d, n, m)
    "1111 0011 0dss nnnn dddd 1001 Nqm1 mmmm" => vmul_polynomial(s, q, d, n, m)
    "1111 001q 1d0s nnnn dddd 0000 N1m0 mmmm" => vmla_scalar(s, q, d, n, m)
    "1111 001q 1d10 nnnn dddd 0000 N1m0 mmmm" => vmla_scalar({2}, q, d, n, m)
    "1111 001q 1d0s nnnn dddd 0100 N1m0 mmmm" => vmls_scalar(s, q, d, n, m)
    "1111 001q 1d10 nnnn dddd 0100 N1m0 mmmm" => vmls_scalar({2}, q, d, n, m)
    "1111 001q 1d0s nnnn dddd 1000 N1m0 mmmm" => vmul_scalar(s, q, d, n, m)
    "1111 001q 1d10 nnnn dddd 1000 N1m0 mmmm" => vmul_scalar({2}, q, d, n, m)
}

/// VMLA.
fn vmla(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    accumulate(t, q, [d, n, m], |t, c, x, y| multiply_add(t.b, e, c, x, y))
}

/// VMLS.
fn vmls(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    accumulate(t, q, [d, n, m], |t, c, x, y| multiply_subtract(t.b, e, c, x, y))
}

/// VMUL.
fn vmul(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    same(t, q, [d, n, m], |t, x, y| t.b.vmul(e, x, y))
}

/// VMUL.P8.
fn vmul_polynomial(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    require(t, s == 0)?;
    same(t, q, [d, n, m], |t, x, y| {
        let ty = t.b.ty(x);
        t.b.call(ty, calls::VMUL_P8, &[x, y])
    })
}

/// The scalar of field `m` in every lane of a `ty`: halfwords lie in D0 to D7, words in D0 to D15.
pub fn scalar_operand(t: &mut Tx, e: Lane, ty: Ty, m: u32) -> Option<Val> {
    enabled(t)?;
    require(t, matches!(e.bits(), 16 | 32))?;
    let (r, index) = if e.bits() == 16 {
        (m & 7, m >> 3)
    } else {
        (m & 15, m >> 4)
    };
    let at = Slot {
        ty: e.scalar(),
        ..state::d(r)
    }
    .nth(index);
    let v = t.b.get(at);
    Some(t.b.vdup(ty, e, v))
}

/// `d = f(n, scalar)`.
pub fn scalar(
    t: &mut Tx,
    e: Lane,
    q: u32,
    [d, n, m]: [u32; 3],
    f: impl FnOnce(&mut Tx, Val, Val) -> Val,
) -> Option<()> {
    let (d, n) = (reg(t, q, d)?, reg(t, q, n)?);
    let b = scalar_operand(t, e, d.ty, m)?;
    let a = t.b.get(n);
    let r = f(t, a, b);
    t.b.set(d, r);
    Some(())
}

/// `d = f(d, n, scalar)`.
pub fn scalar_accumulate(
    t: &mut Tx,
    e: Lane,
    q: u32,
    r: [u32; 3],
    f: impl FnOnce(&mut Tx, Val, Val, Val) -> Val,
) -> Option<()> {
    let d = reg(t, q, r[0])?;
    scalar(t, e, q, r, |t, a, b| {
        let c = t.b.get(d);
        f(t, c, a, b)
    })
}

/// VMLA (by scalar).
fn vmla_scalar(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    scalar_accumulate(t, e, q, [d, n, m], |t, c, x, y| multiply_add(t.b, e, c, x, y))
}

/// VMLS (by scalar).
fn vmls_scalar(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    scalar_accumulate(t, e, q, [d, n, m], |t, c, x, y| multiply_subtract(t.b, e, c, x, y))
}

/// VMUL (by scalar).
fn vmul_scalar(t: &mut Tx, s: u32, q: u32, d: u32, n: u32, m: u32) -> Option<()> {
    let e = lane(t, s, 2)?;
    scalar(t, e, q, [d, n, m], |t, x, y| t.b.vmul(e, x, y))
}
