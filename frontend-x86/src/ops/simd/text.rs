//! Text: PCMPxSTRx (SDM 1, 5.11.1).

use super::elements::bits_as_lanes;
use super::immediate;
use crate::calls;
use crate::tx::{Tx, Vector, int};
use emu_ir::{Lane, Ty, Val};

const A: u8 = 0;
const C: u8 = 1;
const D: u8 = 2;

/// What the comparison gives, and the flags set to what it says.
fn compare(t: &mut Tx, explicit: bool) -> Val {
    let (a, b) = (t.vector(0).low, t.vector(1).low);
    let how = u64::from(immediate(t)) | if explicit { 0x100 } else { 0 };
    let how = t.imm(Ty::I32, how);
    let found = if explicit {
        // Lengths are signed.
        let ty = int(t.insn.operand_size.max(4));
        let [a_length, b_length] = [A, D].map(|n| {
            let length = t.low(n, ty);
            let length = t.b.sext(Ty::I64, length);
            t.b.bitcast(Ty::V64, length)
        });
        let lengths = t.b.vconcat(a_length, b_length);
        t.b.call(Ty::I64, calls::PCMPSTR, &[a, b, how, lengths])
    } else {
        t.b.call(Ty::I64, calls::PCMPSTR, &[a, b, how])
    };
    let status = t.shr(found, 32);
    let status = t.b.trunc(Ty::I16, status);
    t.set_status(status);
    found
}
/// ECX becomes the number of an element.
fn index(t: &mut Tx, explicit: bool) {
    let found = compare(t, explicit);
    let found = t.shr(found, 16);
    let found = t.b.trunc(Ty::I16, found);
    let found = t.b.zext(Ty::I32, found);
    t.set_low(C, found);
}
/// XMM0 becomes a mask of elements, or a bit for each.
fn mask(t: &mut Tx, explicit: bool) {
    let (found, how) = (compare(t, explicit), immediate(t));
    let bits = t.b.trunc(Ty::I16, found);
    let v = match (how & 0x40 != 0, how & 1 != 0) {
        (false, _) => t.v128(bits),
        (true, false) => bits_as_lanes(t, Lane::I8, bits),
        (true, true) => bits_as_lanes(t, Lane::I16, bits),
    };
    t.set_xmm(0, Vector::from(v));
}

/// PCMPESTRI.
pub fn pcmpestri(t: &mut Tx) {
    index(t, true);
}
/// PCMPISTRI.
pub fn pcmpistri(t: &mut Tx) {
    index(t, false);
}
/// PCMPESTRM.
pub fn pcmpestrm(t: &mut Tx) {
    mask(t, true);
}
/// PCMPISTRM.
pub fn pcmpistrm(t: &mut Tx) {
    mask(t, false);
}
