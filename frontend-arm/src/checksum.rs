//! The checksums of FEAT_CRC32 (Arm ARM DDI 0487, C6.2, CRC32B to CRC32CX; shared pseudocode, Poly32Mod2).

/// The checksum by a polynomial, both bit-reversed, after the low bytes of `data`.
const fn crc(table: &[u32; 256], mut sum: u32, mut data: u64, bytes: u64) -> u32 {
    let mut i = 0;
    while i < bytes && i < 8 {
        #[allow(clippy::indexing_slicing, reason = "a byte numbers 256 entries")]
        let entry = table[((sum ^ data as u32) & 0xff) as usize];
        sum = sum >> 8 ^ entry;
        data >>= 8;
        i += 1;
    }
    sum
}

/// Of each byte, its remainder by a polynomial, bit-reversed.
#[allow(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index out of range is an error"
)]
const fn table(polynomial: u32) -> [u32; 256] {
    let (mut all, mut i) = ([0; 256], 0);
    while i < 256 {
        let (mut v, mut bit) = (i as u32, 0);
        while bit < 8 {
            v = v >> 1 ^ if v & 1 != 0 { polynomial } else { 0 };
            bit += 1;
        }
        all[i] = v;
        i += 1;
    }
    all
}

static IEEE: [u32; 256] = table(0xedb8_8320);
static CASTAGNOLI: [u32; 256] = table(0x82f6_3b78);

/// CRC32: checksum, data, and how many of its bytes.
pub fn ieee(a: &[u128; 4]) -> u128 {
    crc(&IEEE, a[0] as u32, a[1] as u64, a[2] as u64).into()
}
/// CRC32C: as [`ieee`].
pub fn castagnoli(a: &[u128; 4]) -> u128 {
    crc(&CASTAGNOLI, a[0] as u32, a[1] as u64, a[2] as u64).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values() {
        let sum = |table, text: &[u8]| !text.iter().fold(!0, |sum, b| crc(table, sum, u64::from(*b), 1));

        assert_eq!(sum(&IEEE, b"123456789"), 0xcbf4_3926);
        assert_eq!(sum(&CASTAGNOLI, b"123456789"), 0xe306_9283);
    }
}
