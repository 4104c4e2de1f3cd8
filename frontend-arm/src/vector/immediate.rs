//! Modified immediates: eight bits, and what becomes of them.

/// AdvSIMDExpandImm of cmode and the eight bits for op = 0, in both doublewords.
pub fn expanded(c: u32, i: u32) -> u128 {
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

/// Each of the eight bits as a byte, in both doublewords.
pub fn bytes(i: u32) -> u128 {
    let bytes = std::array::from_fn(|k| if i >> (k & 7) & 1 == 1 { 0xff } else { 0 });
    u128::from_le_bytes(bytes)
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
        assert_eq!(bytes(0x81) as u64, 0xff00_0000_0000_00ff);
    }
}
