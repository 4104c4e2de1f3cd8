//! Shifts by an immediate (Arm ARM DDI 0487, C4.1, "Advanced SIMD shift by immediate", "Advanced SIMD scalar shift by
//! immediate"; conversions with fixed point are in `convert`).

use super::super::fp;
use super::super::state::{self, QC};
use super::super::tx::Tx;
use super::operands::{SCALAR, accumulate, get, half, set, set_half, two};
use crate::vector::narrow::{To, narrow};
use crate::vector::{shift, shift_right, shift_right_rounded, widen};
use emu_ir::{Lane, Ty, Val, insns};

insns! {
    /// `l` is immh:immb without its leading one, which tells the lane.
    SHIFT: Tx;
    "0q 0 011110 0001lll 00000 1 nnnnn ddddd" => sshr(q, {0}, l, n, d)
    "0q 0 011110 001llll 00000 1 nnnnn ddddd" => sshr(q, {1}, l, n, d)
    "0q 0 011110 01lllll 00000 1 nnnnn ddddd" => sshr(q, {2}, l, n, d)
    "01 0 011110 1llllll 00000 1 nnnnn ddddd" => sshr({1}, {3}, l, n, d)
    "0q 1 011110 0001lll 00000 1 nnnnn ddddd" => ushr(q, {0}, l, n, d)
    "0q 1 011110 001llll 00000 1 nnnnn ddddd" => ushr(q, {1}, l, n, d)
    "0q 1 011110 01lllll 00000 1 nnnnn ddddd" => ushr(q, {2}, l, n, d)
    "01 1 011110 1llllll 00000 1 nnnnn ddddd" => ushr({1}, {3}, l, n, d)
    "0q 0 011110 0001lll 00010 1 nnnnn ddddd" => ssra(q, {0}, l, n, d)
    "0q 0 011110 001llll 00010 1 nnnnn ddddd" => ssra(q, {1}, l, n, d)
    "0q 0 011110 01lllll 00010 1 nnnnn ddddd" => ssra(q, {2}, l, n, d)
    "01 0 011110 1llllll 00010 1 nnnnn ddddd" => ssra({1}, {3}, l, n, d)
    "0q 1 011110 0001lll 00010 1 nnnnn ddddd" => usra(q, {0}, l, n, d)
    "0q 1 011110 001llll 00010 1 nnnnn ddddd" => usra(q, {1}, l, n, d)
    "0q 1 011110 01lllll 00010 1 nnnnn ddddd" => usra(q, {2}, l, n, d)
    "01 1 011110 1llllll 00010 1 nnnnn ddddd" => usra({1}, {3}, l, n, d)
    "0q 0 011110 0001lll 00100 1 nnnnn ddddd" => srshr(q, {0}, l, n, d)
    "0q 0 011110 001llll 00100 1 nnnnn ddddd" => srshr(q, {1}, l, n, d)
    "0q 0 011110 01lllll 00100 1 nnnnn ddddd" => srshr(q, {2}, l, n, d)
    "01 0 011110 1llllll 00100 1 nnnnn ddddd" => srshr({1}, {3}, l, n, d)
    "0q 1 011110 0001lll 00100 1 nnnnn ddddd" => urshr(q, {0}, l, n, d)
    "0q 1 011110 001llll 00100 1 nnnnn ddddd" => urshr(q, {1}, l, n, d)
    "0q 1 011110 01lllll 00100 1 nnnnn ddddd" => urshr(q, {2}, l, n, d)
    "01 1 011110 1llllll 00100 1 nnnnn ddddd" => urshr({1}, {3}, l, n, d)
    "0q 0 011110 0001lll 00110 1 nnnnn ddddd" => srsra(q, {0}, l, n, d)
    "0q 0 011110 001llll 00110 1 nnnnn ddddd" => srsra(q, {1}, l, n, d)
    "0q 0 011110 01lllll 00110 1 nnnnn ddddd" => srsra(q, {2}, l, n, d)
    "01 0 011110 1llllll 00110 1 nnnnn ddddd" => srsra({1}, {3}, l, n, d)
    "0q 1 011110 0001lll 00110 1 nnnnn ddddd" => ursra(q, {0}, l, n, d)
    "0q 1 011110 001llll 00110 1 nnnnn ddddd" => ursra(q, {1}, l, n, d)
    "0q 1 011110 01lllll 00110 1 nnnnn ddddd" => ursra(q, {2}, l, n, d)
    "01 1 011110 1llllll 00110 1 nnnnn ddddd" => ursra({1}, {3}, l, n, d)
    "0q 1 011110 0001lll 01000 1 nnnnn ddddd" => sri(q, {0}, l, n, d)
    "0q 1 011110 001llll 01000 1 nnnnn ddddd" => sri(q, {1}, l, n, d)
    "0q 1 011110 01lllll 01000 1 nnnnn ddddd" => sri(q, {2}, l, n, d)
    "01 1 011110 1llllll 01000 1 nnnnn ddddd" => sri({1}, {3}, l, n, d)
    "0q 0 011110 0001lll 01010 1 nnnnn ddddd" => shl(q, {0}, l, n, d)
    "0q 0 011110 001llll 01010 1 nnnnn ddddd" => shl(q, {1}, l, n, d)
    "0q 0 011110 01lllll 01010 1 nnnnn ddddd" => shl(q, {2}, l, n, d)
    "01 0 011110 1llllll 01010 1 nnnnn ddddd" => shl({1}, {3}, l, n, d)
    "0q 1 011110 0001lll 01010 1 nnnnn ddddd" => sli(q, {0}, l, n, d)
    "0q 1 011110 001llll 01010 1 nnnnn ddddd" => sli(q, {1}, l, n, d)
    "0q 1 011110 01lllll 01010 1 nnnnn ddddd" => sli(q, {2}, l, n, d)
    "01 1 011110 1llllll 01010 1 nnnnn ddddd" => sli({1}, {3}, l, n, d)
    "0q 1 011110 0001lll 01100 1 nnnnn ddddd" => sqshlu(q, {0}, l, n, d)
    "0q 1 011110 001llll 01100 1 nnnnn ddddd" => sqshlu(q, {1}, l, n, d)
    "0q 1 011110 01lllll 01100 1 nnnnn ddddd" => sqshlu(q, {2}, l, n, d)
    "01 1 011110 1llllll 01100 1 nnnnn ddddd" => sqshlu({1}, {3}, l, n, d)
    "0q 0 011110 0001lll 01110 1 nnnnn ddddd" => sqshl_imm(q, {0}, l, n, d)
    "0q 0 011110 001llll 01110 1 nnnnn ddddd" => sqshl_imm(q, {1}, l, n, d)
    "0q 0 011110 01lllll 01110 1 nnnnn ddddd" => sqshl_imm(q, {2}, l, n, d)
    "01 0 011110 1llllll 01110 1 nnnnn ddddd" => sqshl_imm({1}, {3}, l, n, d)
    "0q 1 011110 0001lll 01110 1 nnnnn ddddd" => uqshl_imm(q, {0}, l, n, d)
    "0q 1 011110 001llll 01110 1 nnnnn ddddd" => uqshl_imm(q, {1}, l, n, d)
    "0q 1 011110 01lllll 01110 1 nnnnn ddddd" => uqshl_imm(q, {2}, l, n, d)
    "01 1 011110 1llllll 01110 1 nnnnn ddddd" => uqshl_imm({1}, {3}, l, n, d)
    "0q 0 011110 0001lll 10000 1 nnnnn ddddd" => shrn(q, {0}, l, n, d)
    "0q 0 011110 001llll 10000 1 nnnnn ddddd" => shrn(q, {1}, l, n, d)
    "0q 0 011110 01lllll 10000 1 nnnnn ddddd" => shrn(q, {2}, l, n, d)
    "0q 1 011110 0001lll 10000 1 nnnnn ddddd" => sqshrun(q, {0}, l, n, d)
    "0q 1 011110 001llll 10000 1 nnnnn ddddd" => sqshrun(q, {1}, l, n, d)
    "0q 1 011110 01lllll 10000 1 nnnnn ddddd" => sqshrun(q, {2}, l, n, d)
    "0q 0 011110 0001lll 10001 1 nnnnn ddddd" => rshrn(q, {0}, l, n, d)
    "0q 0 011110 001llll 10001 1 nnnnn ddddd" => rshrn(q, {1}, l, n, d)
    "0q 0 011110 01lllll 10001 1 nnnnn ddddd" => rshrn(q, {2}, l, n, d)
    "0q 1 011110 0001lll 10001 1 nnnnn ddddd" => sqrshrun(q, {0}, l, n, d)
    "0q 1 011110 001llll 10001 1 nnnnn ddddd" => sqrshrun(q, {1}, l, n, d)
    "0q 1 011110 01lllll 10001 1 nnnnn ddddd" => sqrshrun(q, {2}, l, n, d)
    "0q 0 011110 0001lll 10010 1 nnnnn ddddd" => sqshrn(q, {0}, l, n, d)
    "0q 0 011110 001llll 10010 1 nnnnn ddddd" => sqshrn(q, {1}, l, n, d)
    "0q 0 011110 01lllll 10010 1 nnnnn ddddd" => sqshrn(q, {2}, l, n, d)
    "0q 1 011110 0001lll 10010 1 nnnnn ddddd" => uqshrn(q, {0}, l, n, d)
    "0q 1 011110 001llll 10010 1 nnnnn ddddd" => uqshrn(q, {1}, l, n, d)
    "0q 1 011110 01lllll 10010 1 nnnnn ddddd" => uqshrn(q, {2}, l, n, d)
    "0q 0 011110 0001lll 10011 1 nnnnn ddddd" => sqrshrn(q, {0}, l, n, d)
    "0q 0 011110 001llll 10011 1 nnnnn ddddd" => sqrshrn(q, {1}, l, n, d)
    "0q 0 011110 01lllll 10011 1 nnnnn ddddd" => sqrshrn(q, {2}, l, n, d)
    "0q 1 011110 0001lll 10011 1 nnnnn ddddd" => uqrshrn(q, {0}, l, n, d)
    "0q 1 011110 001llll 10011 1 nnnnn ddddd" => uqrshrn(q, {1}, l, n, d)
    "0q 1 011110 01lllll 10011 1 nnnnn ddddd" => uqrshrn(q, {2}, l, n, d)
    "0q 0 011110 0001lll 10100 1 nnnnn ddddd" => sshll(q, {0}, l, n, d)
    "0q 0 011110 001llll 10100 1 nnnnn ddddd" => sshll(q, {1}, l, n, d)
    "0q 0 011110 01lllll 10100 1 nnnnn ddddd" => sshll(q, {2}, l, n, d)
    "0q 1 011110 0001lll 10100 1 nnnnn ddddd" => ushll(q, {0}, l, n, d)
    "0q 1 011110 001llll 10100 1 nnnnn ddddd" => ushll(q, {1}, l, n, d)
    "0q 1 011110 01lllll 10100 1 nnnnn ddddd" => ushll(q, {2}, l, n, d)
}

insns! {
    /// The lowest lanes: doublewords, but where saturating.
    SCALARS: Tx;
    "01 0 111110 1llllll 00000 1 nnnnn ddddd" => sshr({SCALAR}, {3}, l, n, d)
    "01 1 111110 1llllll 00000 1 nnnnn ddddd" => ushr({SCALAR}, {3}, l, n, d)
    "01 0 111110 1llllll 00010 1 nnnnn ddddd" => ssra({SCALAR}, {3}, l, n, d)
    "01 1 111110 1llllll 00010 1 nnnnn ddddd" => usra({SCALAR}, {3}, l, n, d)
    "01 0 111110 1llllll 00100 1 nnnnn ddddd" => srshr({SCALAR}, {3}, l, n, d)
    "01 1 111110 1llllll 00100 1 nnnnn ddddd" => urshr({SCALAR}, {3}, l, n, d)
    "01 0 111110 1llllll 00110 1 nnnnn ddddd" => srsra({SCALAR}, {3}, l, n, d)
    "01 1 111110 1llllll 00110 1 nnnnn ddddd" => ursra({SCALAR}, {3}, l, n, d)
    "01 1 111110 1llllll 01000 1 nnnnn ddddd" => sri({SCALAR}, {3}, l, n, d)
    "01 0 111110 1llllll 01010 1 nnnnn ddddd" => shl({SCALAR}, {3}, l, n, d)
    "01 1 111110 1llllll 01010 1 nnnnn ddddd" => sli({SCALAR}, {3}, l, n, d)
    "01 1 111110 0001lll 01100 1 nnnnn ddddd" => sqshlu({SCALAR}, {0}, l, n, d)
    "01 1 111110 001llll 01100 1 nnnnn ddddd" => sqshlu({SCALAR}, {1}, l, n, d)
    "01 1 111110 01lllll 01100 1 nnnnn ddddd" => sqshlu({SCALAR}, {2}, l, n, d)
    "01 1 111110 1llllll 01100 1 nnnnn ddddd" => sqshlu({SCALAR}, {3}, l, n, d)
    "01 0 111110 0001lll 01110 1 nnnnn ddddd" => sqshl_imm({SCALAR}, {0}, l, n, d)
    "01 0 111110 001llll 01110 1 nnnnn ddddd" => sqshl_imm({SCALAR}, {1}, l, n, d)
    "01 0 111110 01lllll 01110 1 nnnnn ddddd" => sqshl_imm({SCALAR}, {2}, l, n, d)
    "01 0 111110 1llllll 01110 1 nnnnn ddddd" => sqshl_imm({SCALAR}, {3}, l, n, d)
    "01 1 111110 0001lll 01110 1 nnnnn ddddd" => uqshl_imm({SCALAR}, {0}, l, n, d)
    "01 1 111110 001llll 01110 1 nnnnn ddddd" => uqshl_imm({SCALAR}, {1}, l, n, d)
    "01 1 111110 01lllll 01110 1 nnnnn ddddd" => uqshl_imm({SCALAR}, {2}, l, n, d)
    "01 1 111110 1llllll 01110 1 nnnnn ddddd" => uqshl_imm({SCALAR}, {3}, l, n, d)
    "01 1 111110 0001lll 10000 1 nnnnn ddddd" => sqshrun({SCALAR}, {0}, l, n, d)
    "01 1 111110 001llll 10000 1 nnnnn ddddd" => sqshrun({SCALAR}, {1}, l, n, d)
    "01 1 111110 01lllll 10000 1 nnnnn ddddd" => sqshrun({SCALAR}, {2}, l, n, d)
    "01 1 111110 0001lll 10001 1 nnnnn ddddd" => sqrshrun({SCALAR}, {0}, l, n, d)
    "01 1 111110 001llll 10001 1 nnnnn ddddd" => sqrshrun({SCALAR}, {1}, l, n, d)
    "01 1 111110 01lllll 10001 1 nnnnn ddddd" => sqrshrun({SCALAR}, {2}, l, n, d)
    "01 0 111110 0001lll 10010 1 nnnnn ddddd" => sqshrn({SCALAR}, {0}, l, n, d)
    "01 0 111110 001llll 10010 1 nnnnn ddddd" => sqshrn({SCALAR}, {1}, l, n, d)
    "01 0 111110 01lllll 10010 1 nnnnn ddddd" => sqshrn({SCALAR}, {2}, l, n, d)
    "01 1 111110 0001lll 10010 1 nnnnn ddddd" => uqshrn({SCALAR}, {0}, l, n, d)
    "01 1 111110 001llll 10010 1 nnnnn ddddd" => uqshrn({SCALAR}, {1}, l, n, d)
    "01 1 111110 01lllll 10010 1 nnnnn ddddd" => uqshrn({SCALAR}, {2}, l, n, d)
    "01 0 111110 0001lll 10011 1 nnnnn ddddd" => sqrshrn({SCALAR}, {0}, l, n, d)
    "01 0 111110 001llll 10011 1 nnnnn ddddd" => sqrshrn({SCALAR}, {1}, l, n, d)
    "01 0 111110 01lllll 10011 1 nnnnn ddddd" => sqrshrn({SCALAR}, {2}, l, n, d)
    "01 1 111110 0001lll 10011 1 nnnnn ddddd" => uqrshrn({SCALAR}, {0}, l, n, d)
    "01 1 111110 001llll 10011 1 nnnnn ddddd" => uqrshrn({SCALAR}, {1}, l, n, d)
    "01 1 111110 01lllll 10011 1 nnnnn ddddd" => uqrshrn({SCALAR}, {2}, l, n, d)
}

/// The count of a right shift: the width less `l`.
const fn right(e: Lane, l: u32) -> u8 {
    (e.bits() - l) as u8
}

macro_rules! shifts {
    ($( $name:ident $f:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, s: u32, l: u32, n: u32, d: u32) -> Option<()> {
            two(t, [q, s, 3], [n, d], |t, e, x| $f(t, e, x, l))
        }
    )* };
}
macro_rules! accumulating_shifts {
    ($( $name:ident $f:expr, $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, s: u32, l: u32, n: u32, d: u32) -> Option<()> {
            accumulate(t, [q, s, 3], [n, n, d], |t, e, c, x, _| $f(t, e, c, x, l))
        }
    )* };
}
shifts! {
    sshr |t: &mut Tx, e, x, l| shift_right(t.b, 0, e, x, right(e, l)), "SSHR.";
    ushr |t: &mut Tx, e, x, l| shift_right(t.b, 1, e, x, right(e, l)), "USHR.";
    srshr |t: &mut Tx, e, x, l| shift_right_rounded(t.b, 0, e, x, right(e, l)), "SRSHR.";
    urshr |t: &mut Tx, e, x, l| shift_right_rounded(t.b, 1, e, x, right(e, l)), "URSHR.";
    shl |t: &mut Tx, e, x, l| t.b.vshl(e, x, l as u8), "SHL.";
    sqshlu |t: &mut Tx, e, x, l| shift::left_saturating_to_unsigned(t.b, QC, e, x, l as u8), "SQSHLU.";
    sqshl_imm |t: &mut Tx, e, x, l| shift::left_saturating(t.b, QC, 0, e, x, l as u8), "SQSHL (immediate).";
    uqshl_imm |t: &mut Tx, e, x, l| shift::left_saturating(t.b, QC, 1, e, x, l as u8), "UQSHL (immediate).";
}
accumulating_shifts! {
    ssra |t: &mut Tx, e, c, x, l| { let x = shift_right(t.b, 0, e, x, right(e, l)); t.b.vadd(e, c, x) }, "SSRA.";
    usra |t: &mut Tx, e, c, x, l| { let x = shift_right(t.b, 1, e, x, right(e, l)); t.b.vadd(e, c, x) }, "USRA.";
    srsra |t: &mut Tx, e, c, x, l| { let x = shift_right_rounded(t.b, 0, e, x, right(e, l)); t.b.vadd(e, c, x) }, "SRSRA.";
    ursra |t: &mut Tx, e, c, x, l| { let x = shift_right_rounded(t.b, 1, e, x, right(e, l)); t.b.vadd(e, c, x) }, "URSRA.";
    sri |t: &mut Tx, e, c, x, l| shift::insert_right(t.b, e, c, x, right(e, l)), "SRI.";
    sli |t: &mut Tx, e, c, x, l| shift::insert_left(t.b, e, c, x, l as u8), "SLI.";
}

/// A narrowing shift right, to the low or (`q` = 1) high half, or of the lowest lane.
fn narrowed(t: &mut Tx, (to, round): (To, bool), [q, s, l]: [u32; 3], [n, d]: [u32; 2]) {
    let e = Lane::int(s);
    let a = if q == SCALAR {
        let (low, none) = (get(t, SCALAR, e.wider(), n), t.b.vec(Ty::V64, 0));
        t.b.vconcat(low, none)
    } else {
        t.b.get(state::v(n, Ty::V128))
    };
    let u = u32::from(matches!(to, To::Low | To::Unsigned));
    let shift = if round { shift_right_rounded } else { shift_right };
    let wide = shift(t.b, u, e.wider(), a, right(e, l));
    let v = narrow(t.b, QC, to, e, wide);
    if q == SCALAR {
        fp::set(t, d, v);
    } else {
        set_half(t, q, d, v);
    }
}

macro_rules! narrowing {
    ($( $name:ident $to:ident $round:literal $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, q: u32, s: u32, l: u32, n: u32, d: u32) {
            narrowed(t, (To::$to, $round), [q, s, l], [n, d]);
        }
    )* };
}
narrowing! {
    shrn Low false "SHRN.";
    rshrn Low true "RSHRN.";
    sqshrun SignedToUnsigned false "SQSHRUN.";
    sqrshrun SignedToUnsigned true "SQRSHRUN.";
    sqshrn Signed false "SQSHRN.";
    sqrshrn Signed true "SQRSHRN.";
    uqshrn Unsigned false "UQSHRN.";
    uqrshrn Unsigned true "UQRSHRN.";
}

/// A widening shift left, of the low or (`q` = 1) high half.
fn widened(t: &mut Tx, u: u32, [q, s, l]: [u32; 3], [n, d]: [u32; 2]) {
    let (e, x) = (Lane::int(s), half(t, q, n));
    let wide = widen(t.b, u, e, x);
    let v = shifted_left(t, e.wider(), wide, l as u8);
    set(t, 1, e, d, v);
}
fn shifted_left(t: &mut Tx, e: Lane, v: Val, n: u8) -> Val {
    if n == 0 { v } else { t.b.vshl(e, v, n) }
}
/// SSHLL.
fn sshll(t: &mut Tx, q: u32, s: u32, l: u32, n: u32, d: u32) {
    widened(t, 0, [q, s, l], [n, d]);
}
/// USHLL.
fn ushll(t: &mut Tx, q: u32, s: u32, l: u32, n: u32, d: u32) {
    widened(t, 1, [q, s, l], [n, d]);
}
