//! SHA-512 (FIPS 180-4) and what serves SHA-3 (FIPS 202).

use super::super::super::calls;
use super::super::super::features::Feature;
use super::super::super::tx::Tx;
use super::{get, helped, set};
use emu_ir::{Builder, Lane, Val, insns};

insns! {
    /// SHA-512.
    SHA512: Tx, needs Feature::Sha512;
    "11001110 011 mmmmm 1 0 00 00 nnnnn ddddd" => sha512h(m, n, d)
    "11001110 011 mmmmm 1 0 00 01 nnnnn ddddd" => sha512h2(m, n, d)
    "11001110 011 mmmmm 1 0 00 10 nnnnn ddddd" => sha512su1(m, n, d)
    "11001110 110 00000 100000 nnnnn ddddd" => sha512su0(n, d)
}

insns! {
    /// SHA-3.
    SHA3: Tx, needs Feature::Sha3;
    "11001110 011 mmmmm 1 0 00 11 nnnnn ddddd" => rax1(m, n, d)
    "11001110 000 mmmmm 0 aaaaa nnnnn ddddd" => eor3(m, a, n, d)
    "11001110 001 mmmmm 0 aaaaa nnnnn ddddd" => bcax(m, a, n, d)
    "11001110 100 mmmmm iiiiii nnnnn ddddd" => xar(m, i, n, d)
}

/// SHA512H.
fn sha512h(t: &mut Tx, m: u32, n: u32, d: u32) {
    helped(t, calls::SHA512H, d, [d, n, m]);
}
/// SHA512H2.
fn sha512h2(t: &mut Tx, m: u32, n: u32, d: u32) {
    helped(t, calls::SHA512H2, d, [d, n, m]);
}
/// SHA512SU0.
fn sha512su0(t: &mut Tx, n: u32, d: u32) {
    helped(t, calls::SHA512SU0, d, [d, n]);
}
/// SHA512SU1.
fn sha512su1(t: &mut Tx, m: u32, n: u32, d: u32) {
    helped(t, calls::SHA512SU1, d, [d, n, m]);
}

/// Doublewords rotated right by 1 to 63.
fn rotated(b: &mut Builder, v: Val, by: u8) -> Val {
    let (low, high) = (b.vshr_u(Lane::I64, v, by), b.vshl(Lane::I64, v, 64 - by));
    b.or(low, high)
}
/// RAX1.
fn rax1(t: &mut Tx, m: u32, n: u32, d: u32) {
    let (x, y) = (get(t, n), get(t, m));
    let y = rotated(t.b, y, 63);
    let v = t.b.xor(x, y);
    set(t, d, v);
}
/// EOR3.
fn eor3(t: &mut Tx, m: u32, a: u32, n: u32, d: u32) {
    let (x, y, z) = (get(t, n), get(t, m), get(t, a));
    let v = t.b.xor(x, y);
    let v = t.b.xor(v, z);
    set(t, d, v);
}
/// BCAX.
fn bcax(t: &mut Tx, m: u32, a: u32, n: u32, d: u32) {
    let (x, y, z) = (get(t, n), get(t, m), get(t, a));
    let v = t.b.and_not(y, z);
    let v = t.b.xor(x, v);
    set(t, d, v);
}
/// XAR.
fn xar(t: &mut Tx, m: u32, i: u32, n: u32, d: u32) {
    let (x, y) = (get(t, n), get(t, m));
    let mut v = t.b.xor(x, y);
    if i != 0 {
        v = rotated(t.b, v, i as u8);
    }
    set(t, d, v);
}
