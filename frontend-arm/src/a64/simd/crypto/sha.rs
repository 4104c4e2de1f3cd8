//! SHA-1 and SHA-256 (FIPS 180-4).

use super::super::super::calls;
use super::super::super::features::Feature;
use super::super::super::fp;
use super::super::super::state;
use super::super::super::tx::Tx;
use super::{get, helped, set};
use crate::vector::crypto::sha::schedule_sha1;
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
/// SHA1SU0.
fn sha1su0(t: &mut Tx, m: u32, n: u32, d: u32) {
    let words = [d, n, m].map(|r| get(t, r));
    let v = schedule_sha1(t.b, words);
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
