//! One register and a modified immediate (Arm ARM DDI 0406C, A7.4.6).

use super::operands::reg;
use crate::tx::Tx;
use crate::vector::immediate::{bytes, expanded};
use emu_ir::insns;

insns! {
    /// `c` is cmode, `i` the immediate's eight bits.
    IMMEDIATE: Tx;
    "1111 001i 1d00 0iii dddd 0cc0 0q01 iiii" => vmov_imm((c << 1), i, q, d)
    "1111 001i 1d00 0iii dddd 10c0 0q01 iiii" => vmov_imm((c << 1 | 8), i, q, d)
    "1111 001i 1d00 0iii dddd 110c 0q01 iiii" => vmov_imm((c | 12), i, q, d)
    "1111 001i 1d00 0iii dddd 1110 0q01 iiii" => vmov_imm({14}, i, q, d)
    "1111 001i 1d00 0iii dddd 1111 0q01 iiii" => vmov_imm({15}, i, q, d)
    "1111 001i 1d00 0iii dddd 1110 0q11 iiii" => vmov_bits(i, q, d)
    "1111 001i 1d00 0iii dddd 0cc0 0q11 iiii" => vmvn_imm((c << 1), i, q, d)
    "1111 001i 1d00 0iii dddd 10c0 0q11 iiii" => vmvn_imm((c << 1 | 8), i, q, d)
    "1111 001i 1d00 0iii dddd 110c 0q11 iiii" => vmvn_imm((c | 12), i, q, d)
    "1111 001i 1d00 0iii dddd 0cc1 0q01 iiii" => vorr_imm((c << 1), i, q, d)
    "1111 001i 1d00 0iii dddd 10c1 0q01 iiii" => vorr_imm((c << 1 | 8), i, q, d)
    "1111 001i 1d00 0iii dddd 0cc1 0q11 iiii" => vbic_imm((c << 1), i, q, d)
    "1111 001i 1d00 0iii dddd 10c1 0q11 iiii" => vbic_imm((c << 1 | 8), i, q, d)
}

/// `d = v`.
fn set(t: &mut Tx, q: u32, d: u32, v: u128) -> Option<()> {
    let d = reg(t, q, d)?;
    let v = t.b.vec(d.ty, v);
    t.b.set(d, v);
    Some(())
}

/// VMOV (immediate).
fn vmov_imm(t: &mut Tx, c: u32, i: u32, q: u32, d: u32) -> Option<()> {
    set(t, q, d, expanded(c, i))
}

/// VMVN (immediate).
fn vmvn_imm(t: &mut Tx, c: u32, i: u32, q: u32, d: u32) -> Option<()> {
    set(t, q, d, !expanded(c, i))
}

/// VMOV.I64: each bit of the immediate is a byte.
fn vmov_bits(t: &mut Tx, i: u32, q: u32, d: u32) -> Option<()> {
    set(t, q, d, bytes(i))
}

/// VORR (immediate).
fn vorr_imm(t: &mut Tx, c: u32, i: u32, q: u32, d: u32) -> Option<()> {
    let d = reg(t, q, d)?;
    let (old, v) = (t.b.get(d), t.b.vec(d.ty, expanded(c, i)));
    let r = t.b.or(old, v);
    t.b.set(d, r);
    Some(())
}

/// VBIC (immediate).
fn vbic_imm(t: &mut Tx, c: u32, i: u32, q: u32, d: u32) -> Option<()> {
    let d = reg(t, q, d)?;
    let (old, v) = (t.b.get(d), t.b.vec(d.ty, expanded(c, i)));
    let r = t.b.and_not(old, v);
    t.b.set(d, r);
    Some(())
}
