//! SHA-1 and SHA-256 (FIPS 180-4).

use super::{vector, words};
use crate::vector::int::extract;
use emu_ir::{Builder, Val};

const fn choose(x: u32, y: u32, z: u32) -> u32 {
    (y ^ z) & x ^ z
}
const fn parity(x: u32, y: u32, z: u32) -> u32 {
    x ^ y ^ z
}
const fn majority(x: u32, y: u32, z: u32) -> u32 {
    x & y | (x | y) & z
}

/// Four rounds of SHA-1 on a, b, c, d and e, with four words of the schedule.
fn sha1_rounds(args: &[u128; 4], f: fn(u32, u32, u32) -> u32) -> u128 {
    let ([mut a, mut b, mut c, mut d], mut e) = (words(args[0]), args[1] as u32);
    for w in words(args[2]) {
        let sum = e
            .wrapping_add(a.rotate_left(5))
            .wrapping_add(f(b, c, d))
            .wrapping_add(w);
        (a, b, c, d, e) = (sum, a, b.rotate_left(30), c, d);
    }
    vector([a, b, c, d])
}
/// SHA1C: arguments a to d, e, words of the schedule.
pub fn sha1_choose(a: &[u128; 4]) -> u128 {
    sha1_rounds(a, choose)
}
/// SHA1P.
pub fn sha1_parity(a: &[u128; 4]) -> u128 {
    sha1_rounds(a, parity)
}
/// SHA1M.
pub fn sha1_majority(a: &[u128; 4]) -> u128 {
    sha1_rounds(a, majority)
}
/// SHA1SU0, as operations: of twelve words in a row, those that are 0, 2 and 8 from each of the first four.
pub fn schedule_sha1(b: &mut Builder, [x, y, z]: [Val; 3]) -> Val {
    let middle = extract(b, x, y, 8);
    let v = b.xor(middle, x);
    b.xor(v, z)
}
/// SHA1SU1.
pub fn sha1_schedule(a: &[u128; 4]) -> u128 {
    let [w, x, y, z] = words(a[0] ^ a[1] >> 32);
    let last = z.rotate_left(1) ^ w.rotate_left(2);
    vector([w.rotate_left(1), x.rotate_left(1), y.rotate_left(1), last])
}

/// Four rounds of SHA-256 on a to d and e to h, with four words of the schedule: both halves.
fn sha256_rounds(args: &[u128; 4]) -> [u128; 2] {
    let ([mut a, mut b, mut c, mut d], [mut e, mut f, mut g, mut h]) = (words(args[0]), words(args[1]));
    for w in words(args[2]) {
        let big1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let big0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let sum = h.wrapping_add(big1).wrapping_add(choose(e, f, g)).wrapping_add(w);
        let first = sum.wrapping_add(big0).wrapping_add(majority(a, b, c));
        (a, b, c, d, e, f, g, h) = (first, a, b, c, d.wrapping_add(sum), e, f, g);
    }
    [vector([a, b, c, d]), vector([e, f, g, h])]
}
/// SHA256H: arguments a to d, e to h, words of the schedule; the first half.
pub fn sha256_first(a: &[u128; 4]) -> u128 {
    sha256_rounds(a)[0]
}
/// SHA256H2: as SHA256H; the second half.
pub fn sha256_second(a: &[u128; 4]) -> u128 {
    sha256_rounds(a)[1]
}
/// SHA256SU0.
pub fn sha256_schedule0(a: &[u128; 4]) -> u128 {
    let next = words(a[0] >> 32 | a[1] << 96).map(|x| x.rotate_right(7) ^ x.rotate_right(18) ^ x >> 3);
    sums([words(a[0]), next])
}
/// SHA256SU1: the last two words need the first two.
pub fn sha256_schedule1(a: &[u128; 4]) -> u128 {
    let small = |x: u32| x.rotate_right(17) ^ x.rotate_right(19) ^ x >> 10;
    let [p, q, r, s] = words(sums([words(a[0]), words(a[1] >> 32 | a[2] << 96)]));
    let [_, _, y, z] = words(a[2]);
    let (p, q) = (p.wrapping_add(small(y)), q.wrapping_add(small(z)));
    vector([p, q, r.wrapping_add(small(p)), s.wrapping_add(small(q))])
}
fn sums([x, y]: [[u32; 4]; 2]) -> u128 {
    let mut sum = x;
    sum.iter_mut().zip(y).for_each(|(a, b)| *a = a.wrapping_add(b));
    vector(sum)
}
