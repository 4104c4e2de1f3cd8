//! SHA-512 (FIPS 180-4).

use super::{doublewords, pair};

const fn rotations(x: u64, by: [u32; 3]) -> u64 {
    let [i, j, k] = by;
    x.rotate_right(i) ^ x.rotate_right(j) ^ x.rotate_right(k)
}

/// SHA512H: arguments words of the schedule with constants and h, g; f and g or e; e or d and c.
pub fn first(a: &[u128; 4]) -> u128 {
    let big = |x| rotations(x, [14, 18, 41]);
    let choose = |x: u64, y, z| x & y ^ !x & z;
    let ([w0, w1], [x0, x1], [y0, y1]) = (doublewords(a[0]), doublewords(a[1]), doublewords(a[2]));
    let high = choose(y1, x0, x1).wrapping_add(big(y1)).wrapping_add(w1);
    let sum = high.wrapping_add(y0);
    pair([choose(sum, y1, x0).wrapping_add(big(sum)).wrapping_add(w0), high])
}
/// SHA512H2.
pub fn second(a: &[u128; 4]) -> u128 {
    let big = |x| rotations(x, [28, 34, 39]);
    let majority = |x: u64, y, z| x & y ^ x & z ^ y & z;
    let ([w0, w1], [x0, _], [y0, y1]) = (doublewords(a[0]), doublewords(a[1]), doublewords(a[2]));
    let high = majority(x0, y1, y0).wrapping_add(big(y0)).wrapping_add(w1);
    pair([majority(high, y0, y1).wrapping_add(big(high)).wrapping_add(w0), high])
}
/// SHA512SU0.
pub fn schedule0(a: &[u128; 4]) -> u128 {
    let small = |x: u64| x.rotate_right(1) ^ x.rotate_right(8) ^ x >> 7;
    let ([w0, w1], [x0, _]) = (doublewords(a[0]), doublewords(a[1]));
    pair([w0.wrapping_add(small(w1)), w1.wrapping_add(small(x0))])
}
/// SHA512SU1.
pub fn schedule1(a: &[u128; 4]) -> u128 {
    let small = |x: u64| x.rotate_right(19) ^ x.rotate_right(61) ^ x >> 6;
    let ([w0, w1], [x0, x1], [y0, y1]) = (doublewords(a[0]), doublewords(a[1]), doublewords(a[2]));
    pair([
        w0.wrapping_add(small(x0)).wrapping_add(y0),
        w1.wrapping_add(small(x1)).wrapping_add(y1),
    ])
}
