//! Products of polynomials over {0, 1} (Arm ARM DDI 0406C, A2.8.1).

/// PolynomialMult of two bytes: 15 bits.
fn product(a: u8, b: u8) -> u16 {
    (0..8)
        .filter(|k| a >> k & 1 == 1)
        .fold(0, |sum, k| sum ^ u16::from(b) << k)
}

/// The products of so many lanes of the first two arguments.
fn lanes(a: &[u128; 4], count: usize) -> impl Iterator<Item = (usize, u16)> {
    let pairs = a[0].to_le_bytes().into_iter().zip(a[1].to_le_bytes());
    pairs.map(|(x, y)| product(x, y)).enumerate().take(count)
}

/// VMUL.P8: the low halves of the products, lane by lane.
pub fn vmul_p8(a: &[u128; 4]) -> u128 {
    lanes(a, 16).fold(0, |all, (i, product)| all | u128::from(product as u8) << (8 * i))
}

/// VMULL.P8: the whole products of the eight low lanes.
pub fn vmull_p8(a: &[u128; 4]) -> u128 {
    lanes(a, 8).fold(0, |all, (i, product)| all | u128::from(product) << (16 * i))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_do_not_carry() {
        assert_eq!(product(3, 3), 5);
        assert_eq!(product(0xff, 0xff), 0x5555);
        assert_eq!(vmul_p8(&[0xff03, 0xff03, 0, 0]), 0x5505);
        assert_eq!(vmull_p8(&[0xff03, 0xff03, 0, 0]), 0x5555_0005);
    }
}
