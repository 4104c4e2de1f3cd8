//! Integers: rounded doubling products accumulated, products of four bytes, matrices (Arm ARM DDI 0487, C4.1, "Advanced
//! SIMD three-register extension", "Advanced SIMD scalar three same extra", and the classes with an element).

use super::super::features::Feature;
use super::super::state::QC;
use super::super::tx::Tx;
use super::operands::{SCALAR, accumulate, element, get, require, set};
use crate::vector::int::{dot_products, matrix_product};
use crate::vector::saturate::doubled_high_accumulated;
use emu_ir::{Lane, Val, insns};

insns! {
    /// Lane by lane, and with lane `i` of `m`.
    RDM: Tx, needs Feature::Rdm;
    "0q 1 01110 ss 0 mmmmm 1 0000 1 nnnnn ddddd" => sqrdmlah(q, s, m, n, d)
    "0q 1 01110 ss 0 mmmmm 1 0001 1 nnnnn ddddd" => sqrdmlsh(q, s, m, n, d)
    "01 1 11110 ss 0 mmmmm 1 0000 1 nnnnn ddddd" => sqrdmlah({SCALAR}, s, m, n, d)
    "01 1 11110 ss 0 mmmmm 1 0001 1 nnnnn ddddd" => sqrdmlsh({SCALAR}, s, m, n, d)
    "0q 1 01111 01 ii mmmm 1101 I0 nnnnn ddddd" => sqrdmlah_element(q, 1, i, m, n, d)
    "0q 1 01111 10 i mmmmm 1101 I0 nnnnn ddddd" => sqrdmlah_element(q, 2, i, m, n, d)
    "0q 1 01111 01 ii mmmm 1111 I0 nnnnn ddddd" => sqrdmlsh_element(q, 1, i, m, n, d)
    "0q 1 01111 10 i mmmmm 1111 I0 nnnnn ddddd" => sqrdmlsh_element(q, 2, i, m, n, d)
    "01 1 11111 01 ii mmmm 1101 I0 nnnnn ddddd" => sqrdmlah_element({SCALAR}, 1, i, m, n, d)
    "01 1 11111 10 i mmmmm 1101 I0 nnnnn ddddd" => sqrdmlah_element({SCALAR}, 2, i, m, n, d)
    "01 1 11111 01 ii mmmm 1111 I0 nnnnn ddddd" => sqrdmlsh_element({SCALAR}, 1, i, m, n, d)
    "01 1 11111 10 i mmmmm 1111 I0 nnnnn ddddd" => sqrdmlsh_element({SCALAR}, 2, i, m, n, d)
}

insns! {
    /// Four bytes to a word.
    DOT: Tx, needs Feature::DotProd;
    "0q 0 01110 10 0 mmmmm 1 0010 1 nnnnn ddddd" => sdot(q, m, n, d)
    "0q 1 01110 10 0 mmmmm 1 0010 1 nnnnn ddddd" => udot(q, m, n, d)
    "0q 0 01111 10 i mmmmm 1110 I0 nnnnn ddddd" => sdot_element(q, i, m, n, d)
    "0q 1 01111 10 i mmmmm 1110 I0 nnnnn ddddd" => udot_element(q, i, m, n, d)
}

insns! {
    /// Of mixed signs, and matrices.
    MATRIX: Tx, needs Feature::I8mm;
    "0q 0 01110 10 0 mmmmm 1 0011 1 nnnnn ddddd" => usdot(q, m, n, d)
    "0q 0 01111 10 i mmmmm 1111 I0 nnnnn ddddd" => usdot_element(q, i, m, n, d)
    "0q 0 01111 00 i mmmmm 1111 I0 nnnnn ddddd" => sudot_element(q, i, m, n, d)
    "01 0 01110 10 0 mmmmm 1 0100 1 nnnnn ddddd" => smmla(m, n, d)
    "01 1 01110 10 0 mmmmm 1 0100 1 nnnnn ddddd" => ummla(m, n, d)
    "01 0 01110 10 0 mmmmm 1 0101 1 nnnnn ddddd" => usmmla(m, n, d)
}

fn rounded(t: &mut Tx, [q, s]: [u32; 2], r: [u32; 3], less: bool) -> Option<()> {
    require(t, s != 0)?;
    accumulate(t, [q, s, 2], r, |t, e, c, x, y| {
        doubled_high_accumulated(t.b, QC, e, c, [x, y], less)
    })
}
/// SQRDMLAH (vector).
fn sqrdmlah(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    rounded(t, [q, s], [m, n, d], false)
}
/// SQRDMLSH (vector).
fn sqrdmlsh(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, d: u32) -> Option<()> {
    rounded(t, [q, s], [m, n, d], true)
}
fn rounded_by_element(t: &mut Tx, [q, s, i]: [u32; 3], [m, n, d]: [u32; 3], less: bool) {
    let e = Lane::int(s);
    let (c, x, y) = (get(t, q, e, d), get(t, q, e, n), element(t, q, e, m, i));
    let v = doubled_high_accumulated(t.b, QC, e, c, [x, y], less);
    set(t, q, e, d, v);
}
/// SQRDMLAH (by element).
fn sqrdmlah_element(t: &mut Tx, q: u32, s: u32, i: u32, m: u32, n: u32, d: u32) {
    rounded_by_element(t, [q, s, i], [m, n, d], false);
}
/// SQRDMLSH (by element).
fn sqrdmlsh_element(t: &mut Tx, q: u32, s: u32, i: u32, m: u32, n: u32, d: u32) {
    rounded_by_element(t, [q, s, i], [m, n, d], true);
}

/// `d` plus the sums that `f` makes.
fn add(t: &mut Tx, q: u32, d: u32, [x, y]: [Val; 2], f: impl FnOnce(&mut Tx, Val, Val) -> Val) {
    let (sums, c) = (f(t, x, y), get(t, q, Lane::I32, d));
    let v = t.b.vadd(Lane::I32, c, sums);
    set(t, q, Lane::I32, d, v);
}

macro_rules! dots {
    ($( $name:ident $x:literal $y:literal $doc:literal; )*) => { $(
        #[doc = concat!($doc, " (vector).")]
        fn $name(t: &mut Tx, q: u32, m: u32, n: u32, d: u32) {
            let operands = [n, m].map(|r| get(t, q, Lane::I32, r));
            add(t, q, d, operands, |t, x, y| dot_products(t.b, [$x, $y], x, y));
        }
    )* };
}
macro_rules! dots_by_element {
    ($( $name:ident $x:literal $y:literal $doc:literal; )*) => { $(
        #[doc = concat!($doc, " (by element).")]
        fn $name(t: &mut Tx, q: u32, i: u32, m: u32, n: u32, d: u32) {
            let operands = [get(t, q, Lane::I32, n), element(t, q, Lane::I32, m, i)];
            add(t, q, d, operands, |t, x, y| dot_products(t.b, [$x, $y], x, y));
        }
    )* };
}
macro_rules! matrices {
    ($( $name:ident $x:literal $y:literal $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, m: u32, n: u32, d: u32) {
            let operands = [n, m].map(|r| get(t, 1, Lane::I32, r));
            add(t, 1, d, operands, |t, x, y| matrix_product(t.b, [$x, $y], x, y));
        }
    )* };
}
dots! {
    sdot 0 0 "SDOT";
    udot 1 1 "UDOT";
    usdot 1 0 "USDOT";
}
dots_by_element! {
    sdot_element 0 0 "SDOT";
    udot_element 1 1 "UDOT";
    usdot_element 1 0 "USDOT";
    sudot_element 0 1 "SUDOT";
}
matrices! {
    smmla 0 0 "SMMLA.";
    ummla 1 1 "UMMLA.";
    usmmla 1 0 "USMMLA.";
}
