//! Loads and stores of one structure, to or from one lane: VLD1 to VLD4, VST1 to VST4 (Arm ARM DDI 0406C, A7.7).

use super::operands::require;
use super::structures::{Addressing, check};
use crate::state;
use crate::tx::Tx;
use emu_ir::{Lane, Slot, insns};

insns! {
    /// `k` is the number of elements less one, `s` their size, `i` index_align, `x` the index register. Size 3 is the
    /// load to all lanes.
    STRUCTURE: Tx;
    "1111 0100 1d10 nnnn dddd 0skk iiii xxxx" => vld_lane(k, s, i, n, d, x)
    "1111 0100 1d10 nnnn dddd 10kk iiii xxxx" => vld_lane(k, {2}, i, n, d, x)
    "1111 0100 1d00 nnnn dddd 0skk iiii xxxx" => vst_lane(k, s, i, n, d, x)
    "1111 0100 1d00 nnnn dddd 10kk iiii xxxx" => vst_lane(k, {2}, i, n, d, x)
}

/// What index_align means: the lane, the distance of registers, log2 of the alignment. `None`: Undefined.
fn index_align(kinds: u32, s: u32, i: u32) -> Option<(u32, u32, u32)> {
    let lane = i >> (s + 1);
    // Below the lane: nothing, or one bit of spacing (not for VLD1), then alignment.
    let apart = if s == 0 || kinds == 1 { 1 } else { 1 + (i >> s & 1) };
    let low = if s == 2 { i & 3 } else { i & 1 };
    let align = match (kinds, s) {
        (1, 0) => (i & 1 == 0).then_some(0),
        (1, 1) => (i & 2 == 0).then_some(low),
        (1, _) => match i & 7 {
            0 => Some(0),
            3 => Some(2),
            _ => None,
        },
        (2, 2) => (low < 2).then_some(low * 3),
        (2, _) => Some(low * (s + 1)),
        (3, _) => (low == 0).then_some(0),
        (_, 2) => (low < 3).then_some(if low == 0 { 0 } else { 2 + low }),
        _ => Some(low * (s + 2)),
    };
    Some((lane, apart, align?))
}

/// The lanes and the place of a transfer of `k` + 1 elements.
fn operands(t: &mut Tx, k: u32, s: u32, i: u32, [n, d, x]: [u32; 3]) -> Option<(Vec<Slot>, Addressing)> {
    let meaning = index_align(k + 1, s, i);
    require(t, meaning.is_some())?;
    let (lane, apart, align) = meaning?;
    check(t, n, d + k * apart)?;
    let ty = Lane::int(s).scalar();
    let slot = |kind| {
        Slot {
            ty,
            ..state::dv(d + kind * apart)
        }
        .nth(lane)
    };
    let place = Addressing {
        base: n,
        index: x,
        align: align as u8,
        element: s as u8,
    };
    Some(((0..=k).map(slot).collect(), place))
}

/// VLD1 to VLD4 (single structure to one lane).
fn vld_lane(t: &mut Tx, k: u32, s: u32, i: u32, n: u32, d: u32, x: u32) -> Option<()> {
    let (slots, p) = operands(t, k, s, i, [n, d, x])?;
    let mut loaded = Vec::with_capacity(4);
    for (kind, slot) in slots.iter().enumerate() {
        let at = (kind as u32) << s;
        let (addr, mem) = (p.address(t, at), p.access(t, s as u8, at));
        loaded.push(t.load(slot.ty, addr, mem));
    }
    for (slot, v) in slots.into_iter().zip(loaded) {
        t.b.set(slot, v);
    }
    p.writeback(t, (k + 1) << s);
    Some(())
}

/// VST1 to VST4 (single structure from one lane).
fn vst_lane(t: &mut Tx, k: u32, s: u32, i: u32, n: u32, d: u32, x: u32) -> Option<()> {
    let (slots, p) = operands(t, k, s, i, [n, d, x])?;
    for (kind, slot) in slots.into_iter().enumerate() {
        let at = (kind as u32) << s;
        let (addr, mem) = (p.address(t, at), p.access(t, s as u8, at));
        let v = t.b.get(slot);
        t.store(addr, v, mem);
    }
    p.writeback(t, (k + 1) << s);
    Some(())
}
