//! A vector and a lane of another: integers (Arm ARM DDI 0487, C4.1, "Advanced SIMD vector x indexed element", "Advanced
//! SIMD scalar x indexed element").

use super::super::state::QC;
use super::super::tx::Tx;
use super::different::{add, get_wide, narrow_operand, set_wide, subtract};
use super::operands::{SCALAR, element, get, set};
use crate::vector::saturate::{add_doubled, doubled_high, doubled_products, subtract_doubled};
use crate::vector::{int, products};
use emu_ir::{Lane, Val, insns};

insns! {
    /// `m` is the register, `i` its lane.
    ELEMENT: Tx;
    "0q 1 01111 01 ii mmmm 0000 I0 nnnnn ddddd" => mla_element(q, {1}, i, m, n, d)
    "0q 1 01111 10 i mmmmm 0000 I0 nnnnn ddddd" => mla_element(q, {2}, i, m, n, d)
    "0q 1 01111 01 ii mmmm 0100 I0 nnnnn ddddd" => mls_element(q, {1}, i, m, n, d)
    "0q 1 01111 10 i mmmmm 0100 I0 nnnnn ddddd" => mls_element(q, {2}, i, m, n, d)
    "0q 0 01111 01 ii mmmm 1000 I0 nnnnn ddddd" => mul_element(q, {1}, i, m, n, d)
    "0q 0 01111 10 i mmmmm 1000 I0 nnnnn ddddd" => mul_element(q, {2}, i, m, n, d)
    "0q 0 01111 01 ii mmmm 0010 I0 nnnnn ddddd" => smlal_element(q, {1}, i, m, n, d)
    "0q 0 01111 10 i mmmmm 0010 I0 nnnnn ddddd" => smlal_element(q, {2}, i, m, n, d)
    "0q 1 01111 01 ii mmmm 0010 I0 nnnnn ddddd" => umlal_element(q, {1}, i, m, n, d)
    "0q 1 01111 10 i mmmmm 0010 I0 nnnnn ddddd" => umlal_element(q, {2}, i, m, n, d)
    "0q 0 01111 01 ii mmmm 0110 I0 nnnnn ddddd" => smlsl_element(q, {1}, i, m, n, d)
    "0q 0 01111 10 i mmmmm 0110 I0 nnnnn ddddd" => smlsl_element(q, {2}, i, m, n, d)
    "0q 1 01111 01 ii mmmm 0110 I0 nnnnn ddddd" => umlsl_element(q, {1}, i, m, n, d)
    "0q 1 01111 10 i mmmmm 0110 I0 nnnnn ddddd" => umlsl_element(q, {2}, i, m, n, d)
    "0q 0 01111 01 ii mmmm 1010 I0 nnnnn ddddd" => smull_element(q, {1}, i, m, n, d)
    "0q 0 01111 10 i mmmmm 1010 I0 nnnnn ddddd" => smull_element(q, {2}, i, m, n, d)
    "0q 1 01111 01 ii mmmm 1010 I0 nnnnn ddddd" => umull_element(q, {1}, i, m, n, d)
    "0q 1 01111 10 i mmmmm 1010 I0 nnnnn ddddd" => umull_element(q, {2}, i, m, n, d)
    "0q 0 01111 01 ii mmmm 0011 I0 nnnnn ddddd" => sqdmlal_element(q, {1}, i, m, n, d)
    "0q 0 01111 10 i mmmmm 0011 I0 nnnnn ddddd" => sqdmlal_element(q, {2}, i, m, n, d)
    "0q 0 01111 01 ii mmmm 0111 I0 nnnnn ddddd" => sqdmlsl_element(q, {1}, i, m, n, d)
    "0q 0 01111 10 i mmmmm 0111 I0 nnnnn ddddd" => sqdmlsl_element(q, {2}, i, m, n, d)
    "0q 0 01111 01 ii mmmm 1011 I0 nnnnn ddddd" => sqdmull_element(q, {1}, i, m, n, d)
    "0q 0 01111 10 i mmmmm 1011 I0 nnnnn ddddd" => sqdmull_element(q, {2}, i, m, n, d)
    "0q 0 01111 01 ii mmmm 1100 I0 nnnnn ddddd" => sqdmulh_element(q, {1}, i, m, n, d)
    "0q 0 01111 10 i mmmmm 1100 I0 nnnnn ddddd" => sqdmulh_element(q, {2}, i, m, n, d)
    "0q 0 01111 01 ii mmmm 1101 I0 nnnnn ddddd" => sqrdmulh_element(q, {1}, i, m, n, d)
    "0q 0 01111 10 i mmmmm 1101 I0 nnnnn ddddd" => sqrdmulh_element(q, {2}, i, m, n, d)
}

insns! {
    /// The lowest lanes.
    SCALARS: Tx;
    "01 0 11111 01 ii mmmm 0011 I0 nnnnn ddddd" => sqdmlal_element({SCALAR}, {1}, i, m, n, d)
    "01 0 11111 10 i mmmmm 0011 I0 nnnnn ddddd" => sqdmlal_element({SCALAR}, {2}, i, m, n, d)
    "01 0 11111 01 ii mmmm 0111 I0 nnnnn ddddd" => sqdmlsl_element({SCALAR}, {1}, i, m, n, d)
    "01 0 11111 10 i mmmmm 0111 I0 nnnnn ddddd" => sqdmlsl_element({SCALAR}, {2}, i, m, n, d)
    "01 0 11111 01 ii mmmm 1011 I0 nnnnn ddddd" => sqdmull_element({SCALAR}, {1}, i, m, n, d)
    "01 0 11111 10 i mmmmm 1011 I0 nnnnn ddddd" => sqdmull_element({SCALAR}, {2}, i, m, n, d)
    "01 0 11111 01 ii mmmm 1100 I0 nnnnn ddddd" => sqdmulh_element({SCALAR}, {1}, i, m, n, d)
    "01 0 11111 10 i mmmmm 1100 I0 nnnnn ddddd" => sqdmulh_element({SCALAR}, {2}, i, m, n, d)
    "01 0 11111 01 ii mmmm 1101 I0 nnnnn ddddd" => sqrdmulh_element({SCALAR}, {1}, i, m, n, d)
    "01 0 11111 10 i mmmmm 1101 I0 nnnnn ddddd" => sqrdmulh_element({SCALAR}, {2}, i, m, n, d)
}

macro_rules! by_element {
    ($( $name:ident $f:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, s: u32, i: u32, m: u32, n: u32, d: u32) {
            let e = Lane::int(s);
            let (x, y) = (get(t, q, e, n), element(t, q, e, m, i));
            let v = $f(t, e, [q, d], x, y);
            set(t, q, e, d, v);
        }
    )* };
}
by_element! {
    mul_element |t: &mut Tx, e, _, x, y| t.b.vmul(e, x, y), "MUL (by element).";
    mla_element |t: &mut Tx, e, [q, d]: [u32; 2], x, y| {
        let c = get(t, q, e, d);
        int::multiply_add(t.b, e, c, x, y)
    }, "MLA (by element).";
    mls_element |t: &mut Tx, e, [q, d]: [u32; 2], x, y| {
        let c = get(t, q, e, d);
        int::multiply_subtract(t.b, e, c, x, y)
    }, "MLS (by element).";
    sqdmulh_element |t: &mut Tx, e, _, x, y| doubled_high(t.b, QC, e, x, y, false), "SQDMULH (by element).";
    sqrdmulh_element |t: &mut Tx, e, _, x, y| doubled_high(t.b, QC, e, x, y, true), "SQRDMULH (by element).";
}

/// `d = f(d, n, lane)`, of lanes twice as wide.
fn long(t: &mut Tx, [q, s, i]: [u32; 3], [m, n, d]: [u32; 3], f: impl FnOnce(&mut Tx, Lane, Val, Val, Val) -> Val) {
    let e = Lane::int(s);
    let x = narrow_operand(t, q, e, n);
    let y = element(t, if q == SCALAR { SCALAR } else { 0 }, e, m, i);
    let c = get_wide(t, q, e, d);
    let v = f(t, e, c, x, y);
    set_wide(t, q, e, d, v);
}

macro_rules! long_by_element {
    ($( $name:ident $f:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, s: u32, i: u32, m: u32, n: u32, d: u32) {
            long(t, [q, s, i], [m, n, d], $f);
        }
    )* };
}
long_by_element! {
    smull_element |t, e, _, x, y| products(t.b, 0, e, x, y), "SMULL (by element).";
    umull_element |t, e, _, x, y| products(t.b, 1, e, x, y), "UMULL (by element).";
    smlal_element |t, e, c, x, y| add(t, e, c, |b| products(b, 0, e, x, y)), "SMLAL (by element).";
    umlal_element |t, e, c, x, y| add(t, e, c, |b| products(b, 1, e, x, y)), "UMLAL (by element).";
    smlsl_element |t, e, c, x, y| subtract(t, e, c, |b| products(b, 0, e, x, y)), "SMLSL (by element).";
    umlsl_element |t, e, c, x, y| subtract(t, e, c, |b| products(b, 1, e, x, y)), "UMLSL (by element).";
    sqdmull_element |t, e, _, x, y| doubled_products(t.b, QC, e, x, y), "SQDMULL (by element).";
    sqdmlal_element |t, e, c, x, y| add_doubled(t.b, QC, e, c, x, y), "SQDMLAL (by element).";
    sqdmlsl_element |t, e, c, x, y| subtract_doubled(t.b, QC, e, c, x, y), "SQDMLSL (by element).";
}
