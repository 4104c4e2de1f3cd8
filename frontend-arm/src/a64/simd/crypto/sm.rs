//! SM3 (GB/T 32905) and SM4 (GB/T 32907).

use super::super::super::calls;
use super::super::super::features::Feature;
use super::super::super::state;
use super::super::super::tx::Tx;
use super::{get, helped, set};
use emu_ir::{Lane, Ty, insns};

insns! {
    /// SM3; `i` is a lane.
    SM3: Tx, needs Feature::Sm3;
    "11001110 011 mmmmm 1 1 00 00 nnnnn ddddd" => sm3partw1(m, n, d)
    "11001110 011 mmmmm 1 1 00 01 nnnnn ddddd" => sm3partw2(m, n, d)
    "11001110 010 mmmmm 0 aaaaa nnnnn ddddd" => sm3ss1(m, a, n, d)
    "11001110 010 mmmmm 10 ii 00 nnnnn ddddd" => sm3tt1a(m, i, n, d)
    "11001110 010 mmmmm 10 ii 01 nnnnn ddddd" => sm3tt1b(m, i, n, d)
    "11001110 010 mmmmm 10 ii 10 nnnnn ddddd" => sm3tt2a(m, i, n, d)
    "11001110 010 mmmmm 10 ii 11 nnnnn ddddd" => sm3tt2b(m, i, n, d)
}

insns! {
    /// SM4.
    SM4: Tx, needs Feature::Sm4;
    "11001110 110 00000 100001 nnnnn ddddd" => sm4e(n, d)
    "11001110 011 mmmmm 1 1 00 10 nnnnn ddddd" => sm4ekey(m, n, d)
}

/// SM3PARTW1.
fn sm3partw1(t: &mut Tx, m: u32, n: u32, d: u32) {
    helped(t, calls::SM3PARTW1, d, [d, n, m]);
}
/// SM3PARTW2.
fn sm3partw2(t: &mut Tx, m: u32, n: u32, d: u32) {
    helped(t, calls::SM3PARTW2, d, [d, n, m]);
}
/// SM3SS1: of the highest words, the highest alone.
fn sm3ss1(t: &mut Tx, m: u32, a: u32, n: u32, d: u32) {
    let [x, y, z] = [n, m, a].map(|r| t.b.get(state::v(r, Ty::I32).nth(3)));
    let (twelve, seven) = (t.b.i32(32 - 12), t.b.i32(32 - 7));
    let v = t.b.rotr(x, twelve);
    let v = t.b.add(v, y);
    let v = t.b.add(v, z);
    let v = t.b.rotr(v, seven);
    let none = t.b.vec(Ty::V128, 0);
    let v = t.b.vset_lane(none, v, 3);
    set(t, d, v);
}

/// Rounds by a helper, with word `i` of the schedule.
fn round(t: &mut Tx, helper: u16, [m, i, n, d]: [u32; 4]) {
    let (x, y) = (get(t, d), get(t, n));
    let w = t.b.get(super::super::operands::lane_slot(m, Lane::I32, i));
    let v = t.b.call(Ty::V128, helper, &[x, y, w]);
    set(t, d, v);
}
/// SM3TT1A.
fn sm3tt1a(t: &mut Tx, m: u32, i: u32, n: u32, d: u32) {
    round(t, calls::SM3TT1A, [m, i, n, d]);
}
/// SM3TT1B.
fn sm3tt1b(t: &mut Tx, m: u32, i: u32, n: u32, d: u32) {
    round(t, calls::SM3TT1B, [m, i, n, d]);
}
/// SM3TT2A.
fn sm3tt2a(t: &mut Tx, m: u32, i: u32, n: u32, d: u32) {
    round(t, calls::SM3TT2A, [m, i, n, d]);
}
/// SM3TT2B.
fn sm3tt2b(t: &mut Tx, m: u32, i: u32, n: u32, d: u32) {
    round(t, calls::SM3TT2B, [m, i, n, d]);
}
/// SM4E.
fn sm4e(t: &mut Tx, n: u32, d: u32) {
    helped(t, calls::SM4E, d, [d, n]);
}
/// SM4EKEY.
fn sm4ekey(t: &mut Tx, m: u32, n: u32, d: u32) {
    helped(t, calls::SM4EKEY, d, [n, m]);
}
