//! Fused multiplication and addition (SDM 1, 5.15 and 14.5).

use super::{flipped, signs};
use crate::tx::{Tx, Vector};
use emu_ir::{Lane, Val};

/// What is done with the product and the addend, by the opcode's low four bits: whether the product is negated, and of which
/// lanes the addend (of all: `None`), if of any.
fn negations(opcode: u8) -> (bool, Option<Option<bool>>) {
    match opcode & 15 {
        6 => (false, Some(Some(false))),
        7 => (false, Some(Some(true))),
        8 | 9 => (false, None),
        10 | 11 => (false, Some(None)),
        12 | 13 => (true, None),
        _ => (true, Some(None)),
    }
}

/// Which of its operands are multiplied, in this order, and which is added: the digits of its name.
fn order<T: Copy>(opcode: u8, [one, two, three]: [T; 3]) -> [T; 3] {
    match opcode >> 4 {
        9 => [one, three, two],
        10 => [two, one, three],
        _ => [two, three, one],
    }
}

/// Negating neither changes a NaN.
fn combined(t: &mut Tx, e: Lane, [a, b, c]: [Val; 3]) -> Val {
    let (product, addend) = negations(t.insn.opcode);
    let a = if product { flipped(t, e, a, signs(e, None)) } else { a };
    let c = match addend {
        Some(lanes) => flipped(t, e, c, signs(e, lanes)),
        None => c,
    };
    let env = t.fenv();
    t.b.vfmul_add(e, c, a, b, env)
}
fn packed(t: &mut Tx, e: Lane) {
    let [one, two, three] = [t.vector(0), t.vector(1), t.vector(2)];
    let opcode = t.insn.opcode;
    let v = t.checked(|t| {
        let low = combined(t, e, order(opcode, [one.low, two.low, three.low]));
        let highs = one.high.zip(two.high).zip(three.high);
        let high = highs.map(|((one, two), three)| combined(t, e, order(opcode, [one, two, three])));
        Vector { low, high }
    });
    t.set_vector(0, v);
}
/// Of V64s whose other lanes are zeros, where something is negated.
fn scalar(t: &mut Tx, e: Lane) {
    let ty = e.scalar();
    let operands = [t.scalar(0, ty), t.scalar(1, ty), t.scalar(2, ty)];
    let [a, b, c] = order(t.insn.opcode, operands);
    let v = t.checked(|t| {
        let (product, addend) = negations(t.insn.opcode);
        let a = if product { negated(t, e, a) } else { a };
        let c = if addend.is_some() { negated(t, e, c) } else { c };
        let env = t.fenv();
        t.b.fmul_add(c, a, b, env)
    });
    t.set_scalar(0, 0, v);
}
fn negated(t: &mut Tx, e: Lane, v: Val) -> Val {
    let wide = t.v64(v);
    let sign = super::sign(e).into();
    let wide = flipped(t, e, wide, sign);
    t.b.vget_lane(e.scalar(), wide, 0)
}

/// By opcode and W: singles or doubles, packed or scalar.
fn fused(t: &mut Tx) {
    let e = if t.insn.rex.w { Lane::F64 } else { Lane::F32 };
    let alternates = t.insn.opcode & 15 < 8;
    match t.insn.opcode & 1 != 0 && !alternates {
        true => scalar(t, e),
        false => packed(t, e),
    }
}
macro_rules! all {
    ($( $name:ident )*) => { $( pub fn $name(t: &mut Tx) { fused(t); } )* };
}
all! {
    vfmadd132ps vfmadd132pd vfmadd132ss vfmadd132sd vfmadd213ps vfmadd213pd vfmadd213ss vfmadd213sd
    vfmadd231ps vfmadd231pd vfmadd231ss vfmadd231sd
    vfmsub132ps vfmsub132pd vfmsub132ss vfmsub132sd vfmsub213ps vfmsub213pd vfmsub213ss vfmsub213sd
    vfmsub231ps vfmsub231pd vfmsub231ss vfmsub231sd
    vfnmadd132ps vfnmadd132pd vfnmadd132ss vfnmadd132sd vfnmadd213ps vfnmadd213pd vfnmadd213ss vfnmadd213sd
    vfnmadd231ps vfnmadd231pd vfnmadd231ss vfnmadd231sd
    vfnmsub132ps vfnmsub132pd vfnmsub132ss vfnmsub132sd vfnmsub213ps vfnmsub213pd vfnmsub213ss vfnmsub213sd
    vfnmsub231ps vfnmsub231pd vfnmsub231ss vfnmsub231sd
    vfmaddsub132ps vfmaddsub132pd vfmaddsub213ps vfmaddsub213pd vfmaddsub231ps vfmaddsub231pd
    vfmsubadd132ps vfmsubadd132pd vfmsubadd213ps vfmsubadd213pd vfmsubadd231ps vfmsubadd231pd
}
