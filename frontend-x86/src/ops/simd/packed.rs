//! Packed arithmetic (SDM 1, 5.4.3, 5.5.2, 5.6.3, 5.8, 5.10).

use super::{immediate, one, two};
use crate::calls;
use crate::tx::Tx;
use emu_ir::{Lane, Op, Ty, Val};

two! {
    paddb |t, a, b| t.b.vadd(Lane::I8, a, b);
    paddw |t, a, b| t.b.vadd(Lane::I16, a, b);
    paddd |t, a, b| t.b.vadd(Lane::I32, a, b);
    paddq |t, a, b| t.b.vadd(Lane::I64, a, b);
    psubb |t, a, b| t.b.vsub(Lane::I8, a, b);
    psubw |t, a, b| t.b.vsub(Lane::I16, a, b);
    psubd |t, a, b| t.b.vsub(Lane::I32, a, b);
    psubq |t, a, b| t.b.vsub(Lane::I64, a, b);
    paddsb |t, a, b| t.b.vqadd_s(Lane::I8, a, b);
    paddsw |t, a, b| t.b.vqadd_s(Lane::I16, a, b);
    paddusb |t, a, b| t.b.vqadd_u(Lane::I8, a, b);
    paddusw |t, a, b| t.b.vqadd_u(Lane::I16, a, b);
    psubsb |t, a, b| t.b.vqsub_s(Lane::I8, a, b);
    psubsw |t, a, b| t.b.vqsub_s(Lane::I16, a, b);
    psubusb |t, a, b| t.b.vqsub_u(Lane::I8, a, b);
    psubusw |t, a, b| t.b.vqsub_u(Lane::I16, a, b);
    pmullw |t, a, b| t.b.vmul(Lane::I16, a, b);
    pmulld |t, a, b| t.b.vmul(Lane::I32, a, b);
    pmulhw |t, a, b| t.b.vmul_hi_s(a, b);
    pmulhuw |t, a, b| t.b.vmul_hi_u(a, b);
    pmulhrsw |t, a, b| t.b.vmul_round(a, b);
    pmuldq |t, a, b| t.b.vmul_even_s(a, b);
    pmuludq |t, a, b| t.b.vmul_even_u(a, b);
    pmaddwd |t, a, b| t.b.vmul_add(a, b);
    pmaddubsw |t, a, b| t.b.vmul_add_us(a, b);
    psadbw |t, a, b| t.b.vsum_abs_diff(a, b);
    pavgb |t, a, b| t.b.vavg_u(Lane::I8, a, b);
    pavgw |t, a, b| t.b.vavg_u(Lane::I16, a, b);
    pminub |t, a, b| t.b.vmin_u(Lane::I8, a, b);
    pminuw |t, a, b| t.b.vmin_u(Lane::I16, a, b);
    pminud |t, a, b| t.b.vmin_u(Lane::I32, a, b);
    pminsb |t, a, b| t.b.vmin_s(Lane::I8, a, b);
    pminsw |t, a, b| t.b.vmin_s(Lane::I16, a, b);
    pminsd |t, a, b| t.b.vmin_s(Lane::I32, a, b);
    pmaxub |t, a, b| t.b.vmax_u(Lane::I8, a, b);
    pmaxuw |t, a, b| t.b.vmax_u(Lane::I16, a, b);
    pmaxud |t, a, b| t.b.vmax_u(Lane::I32, a, b);
    pmaxsb |t, a, b| t.b.vmax_s(Lane::I8, a, b);
    pmaxsw |t, a, b| t.b.vmax_s(Lane::I16, a, b);
    pmaxsd |t, a, b| t.b.vmax_s(Lane::I32, a, b);
    psignb |t, a, b| sign(t, Lane::I8, a, b);
    psignw |t, a, b| sign(t, Lane::I16, a, b);
    psignd |t, a, b| sign(t, Lane::I32, a, b);
    phaddw |t, a, b| neighbours(t, Lane::I16, a, b, |t, x, y| t.b.vadd(Lane::I16, x, y));
    phaddd |t, a, b| neighbours(t, Lane::I32, a, b, |t, x, y| t.b.vadd(Lane::I32, x, y));
    phaddsw |t, a, b| neighbours(t, Lane::I16, a, b, |t, x, y| t.b.vqadd_s(Lane::I16, x, y));
    phsubw |t, a, b| neighbours(t, Lane::I16, a, b, |t, x, y| t.b.vsub(Lane::I16, x, y));
    phsubd |t, a, b| neighbours(t, Lane::I32, a, b, |t, x, y| t.b.vsub(Lane::I32, x, y));
    phsubsw |t, a, b| neighbours(t, Lane::I16, a, b, |t, x, y| t.b.vqsub_s(Lane::I16, x, y));
}

one! {
    pabsb |t, a| absolute(t, Lane::I8, a);
    pabsw |t, a| absolute(t, Lane::I16, a);
    pabsd |t, a| absolute(t, Lane::I32, a);
    phminposuw |t, a| t.b.call(Ty::V128, calls::PHMINPOSUW, &[a]);
}

fn absolute(t: &mut Tx, e: Lane, a: Val) -> Val {
    let ty = t.b.ty(a);
    t.b.push(ty, Op::VAbs { a, e })
}

/// Lanes of `a`, negated where those of `b` are negative, 0 where they are 0.
fn sign(t: &mut Tx, e: Lane, a: Val, b: Val) -> Val {
    let negative = t.b.vshr_s(e, b, e.bits() as u8);
    let flipped = t.b.xor(a, negative);
    let signed = t.b.vsub(e, flipped, negative);
    let zero = t.b.vec(t.b.ty(b), 0);
    let none = t.b.veq(e, b, zero);
    t.b.and_not(signed, none)
}

/// `f` of neighbouring lanes, the even ones and the odd ones, of `a` and then of `b`.
fn neighbours(t: &mut Tx, e: Lane, a: Val, b: Val, f: impl Fn(&mut Tx, Val, Val) -> Val) -> Val {
    let (lane, whole) = (e.bits() as u8 / 8, t.b.ty(a).bytes() as u8);
    let every_second = |odd: u8| {
        std::array::from_fn(|k| {
            let at = k as u8 % (whole / 2) / lane * 2 * lane + k as u8 % lane + odd * lane;
            at + k as u8 / (whole / 2) % 2 * 16
        })
    };
    let (even, odd) = (t.b.vperm(a, b, every_second(0)), t.b.vperm(a, b, every_second(1)));
    f(t, even, odd)
}

/// MPSADBW: the immediate's bits 2:0 are of the lower half, 5:3 of the upper one.
pub fn mpsadbw(t: &mut Tx) {
    let by = immediate(t);
    t.of_halves(|t, half, a, b| {
        let by = t.imm(Ty::I32, (by >> (3 * half) & 7).into());
        t.b.call(Ty::V128, calls::MPSADBW, &[a, b, by])
    });
}
