//! AES, polynomials, SHA and Galois fields (SDM 1, 5.16, 5.17, 5.18 and 5.22).

use super::{immediate, one, two};
use crate::calls;
use crate::tx::Tx;
use emu_ir::{Aes, Op, Ty, Val};

two! {
    aesenc |t, a, b| round(t, Aes::SubMix, a, b);
    aesenclast |t, a, b| round(t, Aes::Sub, a, b);
    aesdec |t, a, b| round(t, Aes::InvSubMix, a, b);
    aesdeclast |t, a, b| round(t, Aes::InvSub, a, b);
    pclmulqdq |t, a, b| {
        let by = immediate(t);
        let (a, b) = (t.b.vhalf(a, by & 1 != 0), t.b.vhalf(b, by & 16 != 0));
        t.b.push(Ty::V128, Op::VMulPoly { a, b })
    };
    sha1nexte |t, a, b| t.b.call(Ty::V128, calls::SHA1NEXTE, &[a, b]);
    sha1msg1 |t, a, b| t.b.call(Ty::V128, calls::SHA1MSG1, &[a, b]);
    sha1msg2 |t, a, b| t.b.call(Ty::V128, calls::SHA1MSG2, &[a, b]);
    sha256msg1 |t, a, b| t.b.call(Ty::V128, calls::SHA256MSG1, &[a, b]);
    sha256msg2 |t, a, b| t.b.call(Ty::V128, calls::SHA256MSG2, &[a, b]);
    sha1rnds4 |t, a, b| with_immediate(t, calls::SHA1RNDS4, a, b);
    gf2p8mulb |t, a, b| t.b.call(Ty::V128, calls::GF2P8MULB, &[a, b]);
    gf2p8affineqb |t, a, b| with_immediate(t, calls::GF2P8AFFINEQB, a, b);
    gf2p8affineinvqb |t, a, b| with_immediate(t, calls::GF2P8AFFINEINVQB, a, b);
}

one! {
    aesimc |t, a| t.b.push(Ty::V128, Op::VAes { a, part: Aes::InvMix });
    aeskeygenassist |t, a| expand_key(t, a);
}

fn with_immediate(t: &mut Tx, helper: u16, a: Val, b: Val) -> Val {
    let by = t.imm(Ty::I32, immediate(t).into());
    t.b.call(Ty::V128, helper, &[a, b, by])
}

/// A round of AES with its key.
fn round(t: &mut Tx, part: Aes, a: Val, key: Val) -> Val {
    let state = t.b.push(Ty::V128, Op::VAes { a, part });
    t.b.xor(state, key)
}

/// AESKEYGENASSIST: of the odd double words SubWord, and RotWord of it with the round's constant.
fn expand_key(t: &mut Tx, a: Val) -> Val {
    // SubBytes alone: ShiftRows, which comes with it, is undone first.
    let unshifted =
        t.b.vperm(a, a, std::array::from_fn(|k| ((k + 16 - 4 * (k & 3)) & 15) as u8));
    let part = Aes::Sub;
    let substituted = t.b.push(Ty::V128, Op::VAes { a: unshifted, part });
    let words = t.b.vperm(
        substituted,
        substituted,
        [4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12],
    );
    let constant = u128::from(immediate(t));
    let constants = t.b.vec(Ty::V128, constant << 32 | constant << 96);
    t.b.xor(words, constants)
}

/// SHA256RNDS2, whose third operand is XMM0.
pub fn sha256rnds2(t: &mut Tx) {
    let [a, b, w] = [0, 1, 2].map(|n| t.vector(n).low);
    let v = t.b.call(Ty::V128, calls::SHA256RNDS2, &[a, b, w]);
    t.set_vector(0, v);
}
