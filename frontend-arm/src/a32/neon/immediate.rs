//! One register and a modified immediate (Arm ARM DDI 0406C, A7.4.6).

use super::operands::reg;
use crate::tx::Tx;
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

/// AdvSIMDExpandImm for op = 0, in both doublewords.
fn expanded(c: u32, i: u32) -> u128 {
    let byte = i & 0xff;
    let word = match c >> 1 {
        k @ 0..=3 => byte << (8 * k),
        k @ 4..=5 => (byte << (8 * (k - 4))) * 0x0001_0001,
        6 if c & 1 == 0 => byte << 8 | 0xff,
        6 => byte << 16 | 0xffff,
        _ if c & 1 == 0 => byte * 0x0101_0101,
        _ => float(byte),
    };
    u128::from(word) * 0x1_0000_0001_0000_0001_0000_0001
}

/// A sign, three bits of exponent and four of fraction as single precision.
fn float(byte: u32) -> u32 {
    let exponent = if byte & 0x40 != 0 { 0x1f << 2 } else { 0x20 << 2 } | byte >> 4 & 3;
    (byte & 0x80) << 24 | exponent << 23 | (byte & 15) << 19
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
    let bytes = std::array::from_fn(|k| if i >> (k & 7) & 1 == 1 { 0xff } else { 0 });
    set(t, q, d, u128::from_le_bytes(bytes))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immediates_expand_as_the_manual_tabulates() {
        let low = |c, i| expanded(c, i) as u64;
        assert_eq!(low(4, 0xab), 0x00ab_0000_00ab_0000);
        assert_eq!(low(10, 0xab), 0xab00_ab00_ab00_ab00);
        assert_eq!(low(12, 0xab), 0x0000_abff_0000_abff);
        assert_eq!(low(13, 0xab), 0x00ab_ffff_00ab_ffff);
        assert_eq!(low(14, 0xab), 0xabab_abab_abab_abab);
        assert_eq!(low(15, 0x70), u64::from(1f32.to_bits()) * 0x1_0000_0001);
        assert_eq!(low(15, 0x80), u64::from((-2f32).to_bits()) * 0x1_0000_0001);
    }
}
