//! Products of half precision added to single precision (Arm ARM DDI 0487, C4.1, "Advanced SIMD three same", "Advanced SIMD
//! vector x indexed element").

use super::super::calls;
use super::super::features::Feature;
use super::super::state::{self, mode};
use super::super::tx::Tx;
use super::operands::{element, get, set, ty};
use crate::vector::float::negated;
use emu_ir::{Lane, Ty, Val, insns};

insns! {
    /// Of the first or (`h` = 1) second half of the numbers that the width has.
    LONG: Tx, needs Feature::Fhm;
    "0q 0 01110 00 1 mmmmm 11101 1 nnnnn ddddd" => fmlal(q, 0, m, n, d)
    "0q 0 01110 10 1 mmmmm 11101 1 nnnnn ddddd" => fmlsl(q, 0, m, n, d)
    "0q 1 01110 00 1 mmmmm 11001 1 nnnnn ddddd" => fmlal(q, 1, m, n, d)
    "0q 1 01110 10 1 mmmmm 11001 1 nnnnn ddddd" => fmlsl(q, 1, m, n, d)
    "0q 0 01111 10 ii mmmm 0000 I0 nnnnn ddddd" => fmlal_element(q, 0, i, m, n, d)
    "0q 0 01111 10 ii mmmm 0100 I0 nnnnn ddddd" => fmlsl_element(q, 0, i, m, n, d)
    "0q 1 01111 10 ii mmmm 1000 I0 nnnnn ddddd" => fmlal_element(q, 1, i, m, n, d)
    "0q 1 01111 10 ii mmmm 1100 I0 nnnnn ddddd" => fmlsl_element(q, 1, i, m, n, d)
}

/// Half of the numbers that the width has, as singles.
fn singles(t: &mut Tx, q: u32, v: Val) -> Val {
    let flush = t.b.i32(t.mode & mode::FZ16);
    t.b.call(ty(q), calls::HALVES_AS_SINGLES, &[v, flush])
}
/// The numbers that are multiplied: of a V128 a half, of a V64 a half of its low word's size.
fn operand(t: &mut Tx, q: u32, h: u32, n: u32) -> Val {
    let v = if q == 1 {
        t.b.get(if h == 1 { state::v_high(n) } else { state::v(n, Ty::V64) })
    } else {
        let word = t.b.get(state::v(n, Ty::F32).nth(h));
        let none = t.b.vec(Ty::V64, 0);
        t.b.vset_lane(none, word, 0)
    };
    singles(t, q, v)
}
fn fused(t: &mut Tx, q: u32, d: u32, [mut x, y]: [Val; 2], negative: bool) {
    let (c, env) = (get(t, q, Lane::F32, d), t.fpcr());
    if negative {
        x = negated(t.b, Lane::F32, x);
    }
    let v = t.b.vfmul_add(Lane::F32, c, x, y, env);
    set(t, q, Lane::F32, d, v);
}

macro_rules! long {
    ($( $name:ident $element:ident $negative:literal $doc:literal; )*) => { $(
        #[doc = concat!($doc, " and ", $doc, "2 (vector).")]
        fn $name(t: &mut Tx, q: u32, h: u32, m: u32, n: u32, d: u32) {
            let factors = [n, m].map(|r| operand(t, q, h, r));
            fused(t, q, d, factors, $negative);
        }
        #[doc = concat!($doc, " and ", $doc, "2 (by element).")]
        fn $element(t: &mut Tx, q: u32, h: u32, i: u32, m: u32, n: u32, d: u32) {
            let (x, y) = (operand(t, q, h, n), element(t, 0, Lane::I16, m, i));
            let y = singles(t, q, y);
            fused(t, q, d, [x, y], $negative);
        }
    )* };
}
long! {
    fmlal fmlal_element false "FMLAL";
    fmlsl fmlsl_element true "FMLSL";
}
