//! Half precision as single precision.

/// One number, a NaN with what it signals; denormals are zero if flushed.
fn single(x: u16, flush: bool) -> u32 {
    let (sign, exp, frac) = (u32::from(x >> 15) << 31, u32::from(x >> 10 & 31), u32::from(x & 0x3ff));
    match exp {
        0 if frac == 0 || flush => sign,
        0 => {
            let lead = frac.leading_zeros() - 21;
            sign | (113 - lead) << 23 | (frac << lead & 0x3ff) << 13
        }
        31 => sign | 0xff << 23 | frac << 13,
        _ => sign | (exp + 112) << 23 | frac << 13,
    }
}

/// Four numbers: arguments a V64 of them, whether denormals are flushed.
pub fn singles(a: &[u128; 4]) -> u128 {
    (0..4).fold(0, |all, i| {
        let single = single((a[0] >> (16 * i)) as u16, a[1] != 0);
        all | u128::from(single) << (32 * i)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_a_single() {
        assert_eq!(single(0x3c00, false), 1f32.to_bits());
        assert_eq!(single(0xfbff, false), (-65504f32).to_bits());
        assert_eq!(single(1, false), 2f32.powi(-24).to_bits());
        assert_eq!(single(0x83ff, false), (-1023.0 * 2f32.powi(-24)).to_bits());
        assert_eq!(single(0x83ff, true), 1 << 31);
        assert_eq!(single(0x7d55, false), 0x7faa_a000, "it still signals");
    }
}
