//! Bit by bit: three registers, and modified immediates (Arm ARM DDI 0487, C4.1, "Advanced SIMD three same", "Advanced SIMD
//! modified immediate").

use super::super::features::Feature;
use super::super::fp::arithmetic::expanded as float;
use super::super::state;
use super::super::tx::Tx;
use super::operands::{accumulate, same, set, ty};
use crate::vector::choose;
use crate::vector::immediate::{bytes, expanded};
use emu_ir::{Builder, Lane, Val, insns};

insns! {
    /// Three registers.
    LOGIC: Tx;
    "0q 0 01110 00 1 mmmmm 00011 1 nnnnn ddddd" => and(q, m, n, d)
    "0q 0 01110 01 1 mmmmm 00011 1 nnnnn ddddd" => bic_reg(q, m, n, d)
    "0q 0 01110 10 1 mmmmm 00011 1 nnnnn ddddd" => orr_reg(q, m, n, d)
    "0q 0 01110 11 1 mmmmm 00011 1 nnnnn ddddd" => orn(q, m, n, d)
    "0q 1 01110 00 1 mmmmm 00011 1 nnnnn ddddd" => eor(q, m, n, d)
    "0q 1 01110 01 1 mmmmm 00011 1 nnnnn ddddd" => bsl(q, m, n, d)
    "0q 1 01110 10 1 mmmmm 00011 1 nnnnn ddddd" => bit(q, m, n, d)
    "0q 1 01110 11 1 mmmmm 00011 1 nnnnn ddddd" => bif(q, m, n, d)
}

insns! {
    /// `c` is cmode, `i` the immediate's eight bits.
    IMMEDIATE: Tx;
    "0q 0 0111100000 iii 0cc0 01 iiiii ddddd" => movi(q, i, (c << 1), d)
    "0q 0 0111100000 iii 0cc1 01 iiiii ddddd" => orr_imm(q, i, (c << 1), d)
    "0q 0 0111100000 iii 10c0 01 iiiii ddddd" => movi(q, i, (c << 1 | 8), d)
    "0q 0 0111100000 iii 10c1 01 iiiii ddddd" => orr_imm(q, i, (c << 1 | 8), d)
    "0q 0 0111100000 iii 110c 01 iiiii ddddd" => movi(q, i, (c | 12), d)
    "0q 0 0111100000 iii 1110 01 iiiii ddddd" => movi(q, i, {14}, d)
    "0q 0 0111100000 iii 1111 01 iiiii ddddd" => fmov_vector(q, i, d)
    "0q 1 0111100000 iii 0cc0 01 iiiii ddddd" => mvni(q, i, (c << 1), d)
    "0q 1 0111100000 iii 0cc1 01 iiiii ddddd" => bic_imm(q, i, (c << 1), d)
    "0q 1 0111100000 iii 10c0 01 iiiii ddddd" => mvni(q, i, (c << 1 | 8), d)
    "0q 1 0111100000 iii 10c1 01 iiiii ddddd" => bic_imm(q, i, (c << 1 | 8), d)
    "0q 1 0111100000 iii 110c 01 iiiii ddddd" => mvni(q, i, (c | 12), d)
    "0q 1 0111100000 iii 1110 01 iiiii ddddd" => movi_bytes(q, i, d)
    "01 1 0111100000 iii 1111 01 iiiii ddddd" => fmov_doubles(i, d)
}

insns! {
    /// Of half precision.
    HALVES: Tx, needs Feature::Fp16;
    "0q 0 0111100000 iii 1111 11 iiiii ddddd" => fmov_halves(q, i, d)
}

fn bitwise(t: &mut Tx, q: u32, r: [u32; 3], f: impl FnOnce(&mut Builder, Val, Val) -> Val) -> Option<()> {
    same(t, [q, 0, 0], r, |t, _, x, y| f(t.b, x, y))
}
/// `f(d, n, m)`.
fn chosen(t: &mut Tx, q: u32, r: [u32; 3], f: impl FnOnce(&mut Builder, Val, Val, Val) -> Val) -> Option<()> {
    accumulate(t, [q, 0, 0], r, |t, _, c, x, y| f(t.b, c, x, y))
}

/// AND (vector).
fn and(t: &mut Tx, q: u32, m: u32, n: u32, d: u32) -> Option<()> {
    bitwise(t, q, [m, n, d], Builder::and)
}
/// BIC (vector, register).
fn bic_reg(t: &mut Tx, q: u32, m: u32, n: u32, d: u32) -> Option<()> {
    bitwise(t, q, [m, n, d], Builder::and_not)
}
/// ORR (vector, register); MOV (vector) where both operands are the same.
fn orr_reg(t: &mut Tx, q: u32, m: u32, n: u32, d: u32) -> Option<()> {
    bitwise(t, q, [m, n, d], |b, x, y| if n == m { x } else { b.or(x, y) })
}
/// ORN (vector).
fn orn(t: &mut Tx, q: u32, m: u32, n: u32, d: u32) -> Option<()> {
    bitwise(t, q, [m, n, d], |b, x, y| {
        let y = b.not(y);
        b.or(x, y)
    })
}
/// EOR (vector).
fn eor(t: &mut Tx, q: u32, m: u32, n: u32, d: u32) -> Option<()> {
    bitwise(t, q, [m, n, d], Builder::xor)
}
/// BSL: the destination chooses.
fn bsl(t: &mut Tx, q: u32, m: u32, n: u32, d: u32) -> Option<()> {
    chosen(t, q, [m, n, d], choose)
}
/// BIT: insert where `m` is set.
fn bit(t: &mut Tx, q: u32, m: u32, n: u32, d: u32) -> Option<()> {
    chosen(t, q, [m, n, d], |b, c, x, y| choose(b, y, x, c))
}
/// BIF: insert where `m` is clear.
fn bif(t: &mut Tx, q: u32, m: u32, n: u32, d: u32) -> Option<()> {
    chosen(t, q, [m, n, d], |b, c, x, y| choose(b, y, c, x))
}

fn set_bits(t: &mut Tx, q: u32, d: u32, v: u128) {
    let v = t.b.vec(ty(q), v);
    set(t, q, Lane::I64, d, v);
}
/// MOVI.
fn movi(t: &mut Tx, q: u32, i: u32, c: u32, d: u32) {
    set_bits(t, q, d, expanded(c, i));
}
/// MVNI.
fn mvni(t: &mut Tx, q: u32, i: u32, c: u32, d: u32) {
    set_bits(t, q, d, !expanded(c, i));
}
/// MOVI of 64 bits: each bit of the immediate is a byte.
fn movi_bytes(t: &mut Tx, q: u32, i: u32, d: u32) {
    set_bits(t, q, d, bytes(i));
}
/// FMOV (vector, immediate), single precision.
fn fmov_vector(t: &mut Tx, q: u32, i: u32, d: u32) {
    set_bits(t, q, d, expanded(15, i));
}
/// FMOV (vector, immediate), double precision.
fn fmov_doubles(t: &mut Tx, i: u32, d: u32) {
    set_bits(t, 1, d, u128::from(float(1, i)) * 0x1_0000_0000_0000_0001);
}

/// FMOV (vector, immediate), half precision.
fn fmov_halves(t: &mut Tx, q: u32, i: u32, d: u32) {
    let v = crate::vector::every(t.b, ty(q), Lane::I16, float(2, i));
    set(t, q, Lane::I16, d, v);
}

fn with_immediate(t: &mut Tx, q: u32, i: u32, c: u32, d: u32, f: fn(&mut Builder, Val, Val) -> Val) {
    let (old, v) = (t.b.get(state::v(d, ty(q))), t.b.vec(ty(q), expanded(c, i)));
    let v = f(t.b, old, v);
    set(t, q, Lane::I64, d, v);
}
/// ORR (vector, immediate).
fn orr_imm(t: &mut Tx, q: u32, i: u32, c: u32, d: u32) {
    with_immediate(t, q, i, c, d, Builder::or);
}
/// BIC (vector, immediate).
fn bic_imm(t: &mut Tx, q: u32, i: u32, c: u32, d: u32) {
    with_immediate(t, q, i, c, d, Builder::and_not);
}
