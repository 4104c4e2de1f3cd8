//! AES (FIPS 197), SHA-1 and SHA-256 (FIPS 180-4; Arm ARM DDI 0487, F4.1, "Advanced SIMD three registers of the same length",
//! "two registers misc").

use super::calls;
use super::operands::{reg, two};
use crate::features::Feature;
use crate::tx::Tx;
use crate::vector::crypto::sha::schedule_sha1;
use emu_ir::{Aes, Op, Ty, insns};

insns! {
    /// Rounds of AES apart.
    AES: Tx, needs Feature::Aes;
    "1111 0011 1d11 0000 dddd 0011 00m0 mmmm" => aese(d, m)
    "1111 0011 1d11 0000 dddd 0011 01m0 mmmm" => aesd(d, m)
    "1111 0011 1d11 0000 dddd 0011 10m0 mmmm" => aesmc(d, m)
    "1111 0011 1d11 0000 dddd 0011 11m0 mmmm" => aesimc(d, m)
}

insns! {
    /// SHA-1.
    SHA1: Tx, needs Feature::Sha1;
    "1111 0010 0d00 nnnn dddd 1100 N1m0 mmmm" => sha1c(d, n, m)
    "1111 0010 0d01 nnnn dddd 1100 N1m0 mmmm" => sha1p(d, n, m)
    "1111 0010 0d10 nnnn dddd 1100 N1m0 mmmm" => sha1m(d, n, m)
    "1111 0010 0d11 nnnn dddd 1100 N1m0 mmmm" => sha1su0(d, n, m)
    "1111 0011 1d11 1001 dddd 0010 11m0 mmmm" => sha1h(d, m)
    "1111 0011 1d11 1010 dddd 0011 10m0 mmmm" => sha1su1(d, m)
}

insns! {
    /// SHA-256.
    SHA256: Tx, needs Feature::Sha256;
    "1111 0011 0d00 nnnn dddd 1100 N1m0 mmmm" => sha256h(d, n, m)
    "1111 0011 0d01 nnnn dddd 1100 N1m0 mmmm" => sha256h2(d, n, m)
    "1111 0011 0d10 nnnn dddd 1100 N1m0 mmmm" => sha256su1(d, n, m)
    "1111 0011 1d11 1010 dddd 0011 11m0 mmmm" => sha256su0(d, m)
}

/// `d` = what a helper makes of quadwords.
fn helped<const N: usize>(t: &mut Tx, helper: u16, d: u32, registers: [u32; N]) -> Option<()> {
    let to = reg(t, 1, d)?;
    let mut args = Vec::with_capacity(N);
    for r in registers {
        let slot = reg(t, 1, r)?;
        args.push(t.b.get(slot));
    }
    let v = t.b.call(Ty::V128, helper, &args);
    t.b.set(to, v);
    Some(())
}
/// A part of a round, of the state with the key added.
fn keyed(t: &mut Tx, part: Aes, d: u32, m: u32) -> Option<()> {
    let to = reg(t, 1, d)?;
    two(t, 1, [d, m], |t, key| {
        let state = t.b.get(to);
        let a = t.b.xor(state, key);
        t.b.push(Ty::V128, Op::VAes { a, part })
    })
}
/// AESE: AddRoundKey, SubBytes, ShiftRows.
fn aese(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    keyed(t, Aes::Sub, d, m)
}
/// AESD: AddRoundKey, InvSubBytes, InvShiftRows.
fn aesd(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    keyed(t, Aes::InvSub, d, m)
}
/// AESMC: MixColumns.
fn aesmc(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    two(t, 1, [d, m], |t, a| t.b.push(Ty::V128, Op::VAes { a, part: Aes::Mix }))
}
/// AESIMC: InvMixColumns.
fn aesimc(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    two(t, 1, [d, m], |t, a| {
        t.b.push(Ty::V128, Op::VAes { a, part: Aes::InvMix })
    })
}
/// SHA1C.
fn sha1c(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
    helped(t, calls::SHA1C, d, [d, n, m])
}
/// SHA1P.
fn sha1p(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
    helped(t, calls::SHA1P, d, [d, n, m])
}
/// SHA1M.
fn sha1m(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
    helped(t, calls::SHA1M, d, [d, n, m])
}
/// SHA1SU0.
fn sha1su0(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
    let to = reg(t, 1, d)?;
    super::operands::same(t, 1, [d, n, m], |t, y, z| {
        let x = t.b.get(to);
        schedule_sha1(t.b, [x, y, z])
    })
}
/// SHA1H: a word rotated left by 30, the rest zero.
fn sha1h(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    two(t, 1, [d, m], |t, x| {
        let (a, by) = (t.b.vget_lane(Ty::I32, x, 0), t.b.i32(2));
        let (v, none) = (t.b.rotr(a, by), t.b.vec(Ty::V128, 0));
        t.b.vset_lane(none, v, 0)
    })
}
/// SHA1SU1.
fn sha1su1(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    helped(t, calls::SHA1SU1, d, [d, m])
}
/// SHA256H.
fn sha256h(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
    helped(t, calls::SHA256H, d, [d, n, m])
}
/// SHA256H2.
fn sha256h2(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
    helped(t, calls::SHA256H2, d, [n, d, m])
}
/// SHA256SU0.
fn sha256su0(t: &mut Tx, d: u32, m: u32) -> Option<()> {
    helped(t, calls::SHA256SU0, d, [d, m])
}
/// SHA256SU1.
fn sha256su1(t: &mut Tx, d: u32, n: u32, m: u32) -> Option<()> {
    helped(t, calls::SHA256SU1, d, [d, n, m])
}
