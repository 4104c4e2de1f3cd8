//! The checksums of FEAT_CRC32 (Arm ARM DDI 0487, C6.2, CRC32B to CRC32CX; shared pseudocode, Poly32Mod2).

/// Of each byte, its remainder by a polynomial, bit-reversed, with so many bytes of zeros after it.
type Tables = [[u32; 256]; 8];

/// The checksum by a polynomial, both bit-reversed, after the low bytes of `data`: of each its own remainder.
#[expect(
    clippy::indexing_slicing,
    reason = "a byte numbers 256 entries, eight bytes at most so many tables"
)]
fn crc(tables: &Tables, sum: u32, data: u64, bytes: u64) -> u32 {
    let bytes = bytes.min(8) as usize;
    let text = (data ^ u64::from(sum)).to_le_bytes();
    let rest = u64::from(sum) >> (8 * bytes.min(4));
    let remainders = tables[..bytes].iter().rev().zip(text);
    remainders.fold(rest as u32, |all, (table, byte)| all ^ table[usize::from(byte)])
}

#[allow(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index out of range is an error"
)]
const fn tables(polynomial: u32) -> Tables {
    let (mut all, mut i) = ([[0; 256]; 8], 0);
    while i < 256 {
        let (mut v, mut bit) = (i as u32, 0);
        while bit < 8 {
            v = v >> 1 ^ if v & 1 != 0 { polynomial } else { 0 };
            bit += 1;
        }
        all[0][i] = v;
        i += 1;
    }
    let mut zeros = 1;
    while zeros < 8 {
        i = 0;
        while i < 256 {
            let v = all[zeros - 1][i];
            all[zeros][i] = v >> 8 ^ all[0][(v & 0xff) as usize];
            i += 1;
        }
        zeros += 1;
    }
    all
}

static IEEE: Tables = tables(0xedb8_8320);
static CASTAGNOLI: Tables = tables(0x82f6_3b78);

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

    #[test]
    fn bytes_at_once_are_bytes_in_turn() {
        let (data, sum) = (0x8091_a2b3_c4d5_e6f7, 0x0123_4567);
        let in_turn = |bytes: u64| (0..bytes).fold(sum, |sum, k| crc(&IEEE, sum, data >> (8 * k), 1));

        for bytes in 0..=8 {
            assert_eq!(crc(&IEEE, sum, data, bytes), in_turn(bytes), "{bytes}");
        }
    }
}
