//! Branch instructions (Arm ARM DDI 0406C, A4.3 and A8.8).

use crate::tx::Tx;
use emu_ir::{Hint, Ty};

/// Sign-extend the low `bits` of `v`.
fn signed(v: u32, bits: u32) -> i32 {
    ((v << (32 - bits)) as i32) >> (32 - bits)
}

/// The target `by` bytes from the PC, as an offset from the start of the page.
fn target(t: &Tx, by: i32) -> i32 {
    (t.pc() as i32).wrapping_add(by)
}

/// B of A32: `i` words.
pub fn b(t: &mut Tx, i: u32) {
    let to = target(t, signed(i, 24) << 2);
    t.goto(to, Hint::Jump);
}

/// B of T16: `i` halfwords (11 bits).
pub fn b_narrow(t: &mut Tx, i: u32) {
    let to = target(t, signed(i, 11) << 1);
    t.goto(to, Hint::Jump);
}

/// B of T32, encoding T4; `i` is S:J1:J2:imm10:imm11.
pub fn b_wide(t: &mut Tx, i: u32) {
    let to = target(t, wide_offset(i));
    t.goto(to, Hint::Jump);
}

/// The offset in bytes of B (T4) and BL, BLX: `i` is S:imm10:J1:J2:imm11 in the order of the encoding.
fn wide_offset(i: u32) -> i32 {
    let (s, j1, j2) = (i >> 23 & 1, i >> 12 & 1, i >> 11 & 1);
    let (i1, i2) = (!(j1 ^ s) & 1, !(j2 ^ s) & 1);
    let v = s << 24 | i1 << 23 | i2 << 22 | (i >> 13 & 0x3ff) << 12 | (i & 0x7ff) << 1;
    signed(v, 25)
}

/// A branch under a condition, of T16 and T32: on both ways the block ends.
fn branch_if(t: &mut Tx, c: u32, by: i32) {
    let (skip, to) = (t.b.label(), target(t, by));
    let not = t.cond(c ^ 1);
    t.b.br_if(not, skip);
    t.goto(to, Hint::Jump);
    t.b.place(skip);
    (t.ended, t.stop) = (false, true);
}

/// B of T16, conditional: `i` halfwords (8 bits).
pub fn b_cond_narrow(t: &mut Tx, c: u32, i: u32) {
    branch_if(t, c, signed(i, 8) << 1);
}

/// B of T32, encoding T3, conditional: `i` is S:imm6:J1:J2:imm11 in the order of the encoding.
pub fn b_cond_wide(t: &mut Tx, c: u32, i: u32) {
    if c >= 14 {
        return t.undefined();
    }
    let (s, j1, j2) = (i >> 19 & 1, i >> 12 & 1, i >> 11 & 1);
    let v = s << 20 | j2 << 19 | j1 << 18 | (i >> 13 & 0x3f) << 12 | (i & 0x7ff) << 1;
    branch_if(t, c, signed(v, 21));
}

/// CBZ: `i` halfwords ahead.
pub fn cbz(t: &mut Tx, i: u32, n: u32) {
    compare_and_branch(t, i, n, true);
}
/// CBNZ: `i` halfwords ahead.
pub fn cbnz(t: &mut Tx, i: u32, n: u32) {
    compare_and_branch(t, i, n, false);
}
fn compare_and_branch(t: &mut Tx, i: u32, n: u32, on_zero: bool) {
    let (skip, to) = (t.b.label(), target(t, (i << 1) as i32));
    let (v, zero) = (t.reg(n), t.b.i32(0));
    let not = if on_zero { t.b.ne(v, zero) } else { t.b.eq(v, zero) };
    t.b.br_if(not, skip);
    t.goto(to, Hint::Jump);
    t.b.place(skip);
    (t.ended, t.stop) = (false, true);
}

fn link(t: &mut Tx) {
    let back = t.return_address();
    t.set(14, back);
}

/// BL of A32: `i` words.
pub fn bl(t: &mut Tx, i: u32) {
    let to = target(t, signed(i, 24) << 2);
    link(t);
    t.goto(to, Hint::Call);
}

/// BL of T32: `i` as in [`b_wide`].
pub fn bl_wide(t: &mut Tx, i: u32) {
    let to = target(t, wide_offset(i));
    link(t);
    t.goto(to, Hint::Call);
}

/// BLX (immediate) of A32: `i` words and `h` halfwords; to Thumb code.
pub fn blx_imm(t: &mut Tx, i: u32, h: u32) {
    let to = target(t, signed(i, 24) << 2 | (h << 1) as i32);
    link(t);
    t.goto_exchange(to, Hint::Call);
}

/// BLX (immediate) of T32: `i` as in [`b_wide`]; to A32 code.
pub fn blx_wide(t: &mut Tx, i: u32) {
    if i & 1 != 0 {
        return t.undefined();
    }
    let to = target(t, wide_offset(i)) & !3;
    link(t);
    t.goto_exchange(to, Hint::Call);
}

/// BLX (register).
pub fn blx(t: &mut Tx, m: u32) {
    let to = t.reg(m);
    link(t);
    t.bx_write_pc(to, Hint::Call);
}

/// BX.
pub fn bx(t: &mut Tx, m: u32) {
    let to = t.reg(m);
    t.bx_write_pc(to, if m == 14 { Hint::Return } else { Hint::Jump });
}

/// BXJ: as BX, for Jazelle is trivial on these cores.
pub fn bxj(t: &mut Tx, m: u32) {
    bx(t, m);
}

/// TBB: a branch ahead by a byte of the table at `n` + `m`, times two.
pub fn tbb(t: &mut Tx, n: u32, m: u32) {
    let (base, index) = (t.reg(n), t.reg(m));
    let addr = t.b.add(base, index);
    let v = t.load(Ty::I32, addr, t.mem(0, 0));
    table(t, v);
}

/// TBH: a branch ahead by a halfword of the table at `n` + 2 * `m`, times two.
pub fn tbh(t: &mut Tx, n: u32, m: u32) {
    let (base, index, one) = (t.reg(n), t.reg(m), t.b.i32(1));
    let index = t.b.shl(index, one);
    let addr = t.b.add(base, index);
    let v = t.load(Ty::I32, addr, t.mem(1, 0));
    table(t, v);
}

fn table(t: &mut Tx, halfwords: emu_ir::Val) {
    let (one, pc) = (t.b.i32(1), t.reg(15));
    let by = t.b.shl(halfwords, one);
    let to = t.b.add(pc, by);
    t.branch_write_pc(to, Hint::Jump);
}
