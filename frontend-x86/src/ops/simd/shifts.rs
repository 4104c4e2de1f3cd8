//! Shifts (SDM 1, 5.4.6, 5.6.3, 5.14).

use super::{immediate, one, two};
use crate::decode::row::Method;
use crate::tx::Tx;
use emu_ir::{Lane, Ty, Val};

two! {
    vpsllvd |t, a, b| t.b.vshl_v(Lane::I32, a, b);
    vpsllvq |t, a, b| t.b.vshl_v(Lane::I64, a, b);
    vpsrlvd |t, a, b| t.b.vshr_uv(Lane::I32, a, b);
    vpsrlvq |t, a, b| t.b.vshr_uv(Lane::I64, a, b);
    vpsravd |t, a, b| t.b.vshr_sv(Lane::I32, a, b);
}

/// By a number, which is in range, and by lanes.
struct How {
    by: fn(&mut Tx, Lane, Val, u8) -> Val,
    by_lanes: fn(&mut Tx, Lane, Val, Val) -> Val,
    /// Counts of the width and above do what this does.
    most: fn(Lane) -> Option<u8>,
}
const LEFT: How = How {
    by: |t, e, v, n| t.b.vshl(e, v, n),
    by_lanes: |t, e, v, n| t.b.vshl_v(e, v, n),
    most: |_| None,
};
const RIGHT: How = How {
    by: |t, e, v, n| t.b.vshr_u(e, v, n),
    by_lanes: |t, e, v, n| t.b.vshr_uv(e, v, n),
    most: |_| None,
};
const ARITHMETIC: How = How {
    by: |t, e, v, n| t.b.vshr_s(e, v, n),
    by_lanes: |t, e, v, n| t.b.vshr_sv(e, v, n),
    most: |e| Some(e.bits() as u8),
};

macro_rules! shifts {
    ($( $name:ident $how:ident $e:ident; )*) => {
        $( pub fn $name(t: &mut Tx) { shift(t, &$how, Lane::$e); } )*
    };
}
shifts! {
    psllw LEFT I16;
    pslld LEFT I32;
    psllq LEFT I64;
    psrlw RIGHT I16;
    psrld RIGHT I32;
    psrlq RIGHT I64;
    psraw ARITHMETIC I16;
    psrad ARITHMETIC I32;
}

/// All lanes by the same: a number in the instruction, or the low 64 bits of the second operand.
fn shift(t: &mut Tx, how: &How, e: Lane) {
    let by_number = t.insn.row.operands.iter().any(|o| o.method == Method::I);
    if !by_number {
        let (first, second) = t.sources();
        let (a, count) = (t.vector(first), t.vector(second).low);
        let count = lanes(t, e, count);
        let v = a.map(|v| (how.by_lanes)(t, e, v, count));
        return t.set_vector(0, v);
    }
    let from = usize::from(t.mmx(0).is_none());
    let (v, n) = (t.vector(from), immediate(t));
    let n = if u32::from(n) < e.bits() {
        Some(n)
    } else {
        (how.most)(e)
    };
    let v = v.map(|v| match n {
        Some(n) => (how.by)(t, e, v, n),
        None => t.b.vec(t.b.ty(v), 0),
    });
    t.set_vector(0, v);
}
/// Lanes that are all the low 64 bits of a vector, or what is out of range as that is.
fn lanes(t: &mut Tx, e: Lane, count: Val) -> Val {
    let ty = t.b.ty(count);
    let mut n = t.b.vget_lane(Ty::I64, count, 0);
    if e != Lane::I64 {
        let most = t.imm(Ty::I64, e.bits().into());
        let above = t.b.ult(most, n);
        n = t.b.select(above, most, n);
    }
    let n = t.b.trunc(e.scalar(), n);
    t.b.vdup(ty, e, n)
}

/// Of whole vectors, by bytes.
fn shift_bytes(t: &mut Tx, v: Val, left: bool) -> Val {
    let n = immediate(t).min(16);
    let pattern = std::array::from_fn(|k| {
        let at = if left {
            (k as u8).checked_sub(n)
        } else {
            Some(k as u8 + n)
        };
        at.filter(|at| *at < 16).unwrap_or(u8::MAX)
    });
    t.b.vperm(v, v, pattern)
}
one! {
    pslldq |t, a| shift_bytes(t, a, true);
    psrldq |t, a| shift_bytes(t, a, false);
}
