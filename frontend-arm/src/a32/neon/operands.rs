//! Operands of Advanced SIMD instructions, checked. What is computed of them is in [`crate::vector`].

use crate::state::{self, mode};
use crate::tx::Tx;
use emu_ir::{Lane, Slot, Val};

/// Go on if `ok`, else the instruction is Undefined.
pub(super) fn require(t: &mut Tx, ok: bool) -> Option<()> {
    if !ok {
        t.undefined();
    }
    ok.then_some(())
}

/// CheckAdvancedSIMDEnabled.
pub(super) fn enabled(t: &mut Tx) -> Option<()> {
    require(t, t.floating(mode::NEON) != 0)
}

/// The doubleword or quadword register of field `r`; enabled, and quadwords have even numbers.
pub(super) fn reg(t: &mut Tx, q: u32, r: u32) -> Option<Slot> {
    enabled(t)?;
    require(t, q == 0 || r & 1 == 0)?;
    Some(if q == 1 { state::qv(r >> 1) } else { state::dv(r) })
}

/// The lane of size field `s`, which is at most `most` (0 bytes, 1 halfwords, 2 words, 3 doublewords).
pub(super) fn lane(t: &mut Tx, s: u32, most: u32) -> Option<Lane> {
    require(t, s <= most)?;
    Some(Lane::int(s))
}

/// `d = f(n, m)`, all doublewords or quadwords.
pub(super) fn same(t: &mut Tx, q: u32, [d, n, m]: [u32; 3], f: impl FnOnce(&mut Tx, Val, Val) -> Val) -> Option<()> {
    let (d, n, m) = (reg(t, q, d)?, reg(t, q, n)?, reg(t, q, m)?);
    let (a, b) = (t.b.get(n), t.b.get(m));
    let r = f(t, a, b);
    t.b.set(d, r);
    Some(())
}

/// `d = f(d, n, m)`, all doublewords or quadwords.
pub(super) fn accumulate(
    t: &mut Tx,
    q: u32,
    [d, n, m]: [u32; 3],
    f: impl FnOnce(&mut Tx, Val, Val, Val) -> Val,
) -> Option<()> {
    let d_slot = reg(t, q, d)?;
    same(t, q, [d, n, m], |t, a, b| {
        let c = t.b.get(d_slot);
        f(t, c, a, b)
    })
}

/// `d = f(m)`, both doublewords or quadwords.
pub(super) fn two(t: &mut Tx, q: u32, [d, m]: [u32; 2], f: impl FnOnce(&mut Tx, Val) -> Val) -> Option<()> {
    convert(t, [q, q], [d, m], f)
}

/// `d = f(m)` with sizes of their own.
pub(super) fn convert(t: &mut Tx, q: [u32; 2], [d, m]: [u32; 2], f: impl FnOnce(&mut Tx, Val) -> Val) -> Option<()> {
    let (d, m) = (reg(t, q[0], d)?, reg(t, q[1], m)?);
    let a = t.b.get(m);
    let r = f(t, a);
    t.b.set(d, r);
    Some(())
}
