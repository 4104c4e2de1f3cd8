//! SHA-1 and SHA-256 (FIPS 180-4).

use super::super::super::calls;
use super::super::super::features::Feature;
use super::super::super::fp;
use super::super::super::state;
use super::super::super::tx::Tx;
use super::{get, helped, set, vector, words};
use crate::vector::int::extract;
use emu_ir::{Ty, insns};

insns! {
    /// SHA-1.
    SHA1: Tx, needs Feature::Sha1;
    "01011110 00 0 mmmmm 0 000 00 nnnnn ddddd" => sha1c(m, n, d)
    "01011110 00 0 mmmmm 0 001 00 nnnnn ddddd" => sha1p(m, n, d)
    "01011110 00 0 mmmmm 0 010 00 nnnnn ddddd" => sha1m(m, n, d)
    "01011110 00 0 mmmmm 0 011 00 nnnnn ddddd" => sha1su0(m, n, d)
    "01011110 00 10100 00000 10 nnnnn ddddd" => sha1h(n, d)
    "01011110 00 10100 00001 10 nnnnn ddddd" => sha1su1(n, d)
}

insns! {
    /// SHA-256.
    SHA256: Tx, needs Feature::Sha256;
    "01011110 00 0 mmmmm 0 100 00 nnnnn ddddd" => sha256h(m, n, d)
    "01011110 00 0 mmmmm 0 101 00 nnnnn ddddd" => sha256h2(m, n, d)
    "01011110 00 0 mmmmm 0 110 00 nnnnn ddddd" => sha256su1(m, n, d)
    "01011110 00 10100 00010 10 nnnnn ddddd" => sha256su0(n, d)
}

/// SHA1C.
fn sha1c(t: &mut Tx, m: u32, n: u32, d: u32) {
    helped(t, calls::SHA1C, d, [d, n, m]);
}
/// SHA1P.
fn sha1p(t: &mut Tx, m: u32, n: u32, d: u32) {
    helped(t, calls::SHA1P, d, [d, n, m]);
}
/// SHA1M.
fn sha1m(t: &mut Tx, m: u32, n: u32, d: u32) {
    helped(t, calls::SHA1M, d, [d, n, m]);
}
/// SHA1SU0: of twelve words in a row, those that are 0, 2 and 8 from each of the first four.
fn sha1su0(t: &mut Tx, m: u32, n: u32, d: u32) {
    let (x, y, z) = (get(t, d), get(t, n), get(t, m));
    let middle = extract(t.b, x, y, 8);
    let v = t.b.xor(middle, x);
    let v = t.b.xor(v, z);
    set(t, d, v);
}
/// SHA1H: a word rotated left by 30.
fn sha1h(t: &mut Tx, n: u32, d: u32) {
    let (a, by) = (t.b.get(state::v(n, Ty::I32)), t.b.i32(2));
    let v = t.b.rotr(a, by);
    let v = t.b.zext(Ty::I64, v);
    fp::set(t, d, v);
}
/// SHA1SU1.
fn sha1su1(t: &mut Tx, n: u32, d: u32) {
    helped(t, calls::SHA1SU1, d, [d, n]);
}
/// SHA256H.
fn sha256h(t: &mut Tx, m: u32, n: u32, d: u32) {
    helped(t, calls::SHA256H, d, [d, n, m]);
}
/// SHA256H2.
fn sha256h2(t: &mut Tx, m: u32, n: u32, d: u32) {
    helped(t, calls::SHA256H2, d, [n, d, m]);
}
/// SHA256SU0.
fn sha256su0(t: &mut Tx, n: u32, d: u32) {
    helped(t, calls::SHA256SU0, d, [d, n]);
}
/// SHA256SU1.
fn sha256su1(t: &mut Tx, m: u32, n: u32, d: u32) {
    helped(t, calls::SHA256SU1, d, [d, n, m]);
}

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
