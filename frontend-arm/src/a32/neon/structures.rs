//! Loads and stores of whole structures: VLD1 to VLD4, VST1 to VST4 (multiple), and to all lanes (Arm ARM DDI 0406C,
//! A7.7). Elements are interleaved in memory; each has the endianness of data.

use super::operands::{enabled, require};
use crate::state::{self, mode};
use crate::tx::Tx;
use emu_ir::{Lane, Mem, Ty, Val, insns};

insns! {
    /// `r` registers of a kind, `i` apart; `s` the element size, `a` the alignment, `x` the index register.
    STRUCTURES: Tx;
    "1111 0100 0d10 nnnn dddd 0111 ssaa xxxx" => vld1({1}, s, a, n, d, x)
    "1111 0100 0d10 nnnn dddd 1010 ssaa xxxx" => vld1({2}, s, a, n, d, x)
    "1111 0100 0d10 nnnn dddd 0110 ssaa xxxx" => vld1({3}, s, a, n, d, x)
    "1111 0100 0d10 nnnn dddd 0010 ssaa xxxx" => vld1({4}, s, a, n, d, x)
    "1111 0100 0d10 nnnn dddd 100i ssaa xxxx" => vld2(i, s, a, n, d, x)
    "1111 0100 0d10 nnnn dddd 0011 ssaa xxxx" => vld2_quad(s, a, n, d, x)
    "1111 0100 0d10 nnnn dddd 010i ssaa xxxx" => vld3(i, s, a, n, d, x)
    "1111 0100 0d10 nnnn dddd 000i ssaa xxxx" => vld4(i, s, a, n, d, x)
    "1111 0100 0d00 nnnn dddd 0111 ssaa xxxx" => vst1({1}, s, a, n, d, x)
    "1111 0100 0d00 nnnn dddd 1010 ssaa xxxx" => vst1({2}, s, a, n, d, x)
    "1111 0100 0d00 nnnn dddd 0110 ssaa xxxx" => vst1({3}, s, a, n, d, x)
    "1111 0100 0d00 nnnn dddd 0010 ssaa xxxx" => vst1({4}, s, a, n, d, x)
    "1111 0100 0d00 nnnn dddd 100i ssaa xxxx" => vst2(i, s, a, n, d, x)
    "1111 0100 0d00 nnnn dddd 0011 ssaa xxxx" => vst2_quad(s, a, n, d, x)
    "1111 0100 0d00 nnnn dddd 010i ssaa xxxx" => vst3(i, s, a, n, d, x)
    "1111 0100 0d00 nnnn dddd 000i ssaa xxxx" => vst4(i, s, a, n, d, x)
    "1111 0100 1d10 nnnn dddd 1100 ssra xxxx" => vld1_all(r, s, a, n, d, x)
    "1111 0100 1d10 nnnn dddd 1101 ssia xxxx" => vld2_all(i, s, a, n, d, x)
    "1111 0100 1d10 nnnn dddd 1110 ssia xxxx" => vld3_all(i, s, a, n, d, x)
    "1111 0100 1d10 nnnn dddd 1111 ssia xxxx" => vld4_all(i, s, a, n, d, x)
}

/// Where structures lie: base register, index register (13: the transfer's size, 15: none), log2 of the alignment
/// demanded, log2 of an element's bytes.
#[derive(Clone, Copy)]
pub struct Addressing {
    /// Rn.
    pub base: u32,
    /// Rm.
    pub index: u32,
    /// log2 of the bytes that the address must be a multiple of.
    pub align: u8,
    /// log2 of the bytes of an element.
    pub element: u8,
}

impl Addressing {
    /// How `1 << size` bytes at offset `at` are accessed: each element is an access of its own. The first access checks the alignment for all.
    pub fn access(&self, t: &Tx, size: u8, at: u32) -> Mem {
        let mut mem = Mem {
            pieces: t.pieces(self.element),
            ..Mem::new(size, 0)
        };
        if t.mode & mode::ALIGN != 0 {
            mem.align = self.element;
        }
        if at == 0 {
            mem.align = mem.align.max(self.align);
        }
        mem
    }
    /// The address at an offset.
    pub fn address(&self, t: &mut Tx, at: u32) -> Val {
        let base = t.reg(self.base);
        if at == 0 {
            return base;
        }
        let at = t.b.i32(at);
        t.b.add(base, at)
    }
    /// Write the base back after a transfer of `bytes`.
    pub fn writeback(&self, t: &mut Tx, bytes: u32) {
        let by = match self.index {
            15 => return,
            13 => t.b.i32(bytes),
            x => t.reg(x),
        };
        let base = t.reg(self.base);
        let base = t.b.add(base, by);
        t.set(self.base, base);
    }
}

/// Enabled; a base of the pc and registers past the last are UNPREDICTABLE, here Undefined.
pub fn check(t: &mut Tx, n: u32, last: u32) -> Option<()> {
    enabled(t)?;
    require(t, n != 15 && last < 32)
}

/// The alignment field of whole structures: log2 of 1, 8, 16, 32 bytes.
fn alignment(a: u32) -> u8 {
    match a & 3 {
        0 => 0,
        a => a as u8 + 2,
    }
}

/// Load the words at consecutive addresses as V64, by pairs where there are two.
fn load_words(t: &mut Tx, p: Addressing, count: u32) -> Vec<Val> {
    let mut words = Vec::with_capacity(4);
    while words.len() < count as usize {
        let at = words.len() as u32 * 8;
        let addr = p.address(t, at);
        if count * 8 - at >= 16 {
            let mem = p.access(t, 4, at);
            let pair = t.load(Ty::V128, addr, mem);
            words.extend([t.b.vhalf(pair, false), t.b.vhalf(pair, true)]);
        } else {
            let mem = p.access(t, 3, at);
            words.push(t.load(Ty::V64, addr, mem));
        }
    }
    words
}

/// Store V64 at consecutive addresses.
fn store_words(t: &mut Tx, p: Addressing, words: &[Val]) {
    for (k, pair) in words.chunks(2).enumerate() {
        let at = k as u32 * 16;
        let addr = p.address(t, at);
        if let &[lo, hi] = pair {
            let both = t.b.vconcat(lo, hi);
            let mem = p.access(t, 4, at);
            t.store(addr, both, mem);
        } else if let &[alone] = pair {
            let mem = p.access(t, 3, at);
            t.store(addr, alone, mem);
        }
    }
}

/// Two V64 as one V128; alone, the upper half is zero.
#[expect(clippy::indexing_slicing, reason = "a pair has at least one word")]
fn joined(t: &mut Tx, pair: &[Val]) -> Val {
    let hi = match pair.get(1) {
        Some(hi) => *hi,
        None => t.b.vec(Ty::V64, 0),
    };
    t.b.vconcat(pair[0], hi)
}

/// Bytes `pick(k)` of the given words (up to four V64 in a row), as many words.
#[expect(clippy::indexing_slicing, reason = "structures of one word need no rearranging")]
fn rearranged(t: &mut Tx, words: &[Val], pick: impl Fn(usize) -> usize) -> Vec<Val> {
    let a = joined(t, &words[..2]);
    let b = if words.len() > 2 { joined(t, &words[2..]) } else { a };
    let mut out = Vec::with_capacity(4);
    for first in (0..words.len()).step_by(2) {
        let both = t.b.vperm(a, b, std::array::from_fn(|k| pick(first * 8 + k) as u8));
        out.push(t.b.vhalf(both, false));
        if first + 1 < words.len() {
            out.push(t.b.vhalf(both, true));
        }
    }
    out
}

/// From memory's order to one word for each of `words.len()` kinds of element, of `1 << element` bytes.
fn deinterleaved(t: &mut Tx, words: &[Val], element: u8) -> Vec<Val> {
    let (kinds, bytes) = (words.len(), 1 << element);
    rearranged(t, words, |k| {
        let (word, lane, byte) = (k / 8, k % 8 / bytes, k % bytes);
        (lane * kinds + word) * bytes + byte
    })
}

/// The reverse.
fn interleaved(t: &mut Tx, words: &[Val], element: u8) -> Vec<Val> {
    let (kinds, bytes) = (words.len(), 1 << element);
    rearranged(t, words, |k| {
        let (number, byte) = (k / bytes, k % bytes);
        number % kinds * 8 + number / kinds * bytes + byte
    })
}

/// VLD1 of `r` registers. Alignment to more than was transferred is Undefined.
fn vld1(t: &mut Tx, r: u32, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<()> {
    let p = place1(t, r, s, a, n, d, x)?;
    for (k, v) in load_words(t, p, r).into_iter().enumerate() {
        t.b.set(state::dv(d + k as u32), v);
    }
    p.writeback(t, r * 8);
    Some(())
}

/// VST1 of `r` registers.
fn vst1(t: &mut Tx, r: u32, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<()> {
    let p = place1(t, r, s, a, n, d, x)?;
    let words: Vec<_> = (0..r).map(|k| t.b.get(state::dv(d + k))).collect();
    store_words(t, p, &words);
    p.writeback(t, r * 8);
    Some(())
}

fn place1(t: &mut Tx, r: u32, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<Addressing> {
    check(t, n, d + r - 1)?;
    let most = match r {
        2 => 2,
        4 => 3,
        _ => 1,
    };
    require(t, a <= most)?;
    Some(Addressing {
        base: n,
        index: x,
        align: alignment(a),
        element: s as u8,
    })
}

/// Structures of `kinds` elements for `groups` registers of each kind: the registers group by group.
struct MultipleStructures {
    kinds: u32,
    groups: u32,
    apart: u32,
}

impl MultipleStructures {
    fn last(&self) -> u32 {
        (self.kinds - 1) * self.apart + self.groups - 1
    }
    fn load(&self, t: &mut Tx, p: Addressing, d: u32) {
        let words = load_words(t, p, self.kinds * self.groups);
        for (group, words) in words.chunks(self.kinds as usize).enumerate() {
            for (kind, v) in deinterleaved(t, words, p.element).into_iter().enumerate() {
                t.b.set(state::dv(d + group as u32 + kind as u32 * self.apart), v);
            }
        }
        p.writeback(t, self.kinds * self.groups * 8);
    }
    fn store(&self, t: &mut Tx, p: Addressing, d: u32) {
        let mut words = Vec::with_capacity(4);
        for group in 0..self.groups {
            let regs: Vec<_> = (0..self.kinds)
                .map(|kind| t.b.get(state::dv(d + group + kind * self.apart)))
                .collect();
            words.extend(interleaved(t, &regs, p.element));
        }
        store_words(t, p, &words);
        p.writeback(t, self.kinds * self.groups * 8);
    }
    /// What all of VLD2 to VLD4 check; `most` is the largest alignment field.
    fn place(&self, t: &mut Tx, s: u32, a: u32, [n, d, x]: [u32; 3], most: u32) -> Option<Addressing> {
        check(t, n, d + self.last())?;
        require(t, s != 3 && a <= most)?;
        Some(Addressing {
            base: n,
            index: x,
            align: alignment(a),
            element: s as u8,
        })
    }
}

/// VLD2 of two registers `i` + 1 apart.
fn vld2(t: &mut Tx, i: u32, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<()> {
    let l = layout(2, i);
    let p = l.place(t, s, a, [n, d, x], 2)?;
    l.load(t, p, d);
    Some(())
}

/// VST2 of two registers `i` + 1 apart.
fn vst2(t: &mut Tx, i: u32, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<()> {
    let l = layout(2, i);
    let p = l.place(t, s, a, [n, d, x], 2)?;
    l.store(t, p, d);
    Some(())
}

/// Two times two registers.
const QUAD: MultipleStructures = MultipleStructures {
    kinds: 2,
    groups: 2,
    apart: 2,
};

/// VLD2 of four registers.
fn vld2_quad(t: &mut Tx, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<()> {
    let p = QUAD.place(t, s, a, [n, d, x], 3)?;
    QUAD.load(t, p, d);
    Some(())
}

/// VST2 of four registers.
fn vst2_quad(t: &mut Tx, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<()> {
    let p = QUAD.place(t, s, a, [n, d, x], 3)?;
    QUAD.store(t, p, d);
    Some(())
}

/// VLD3.
fn vld3(t: &mut Tx, i: u32, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<()> {
    let l = layout(3, i);
    let p = l.place(t, s, a, [n, d, x], 1)?;
    l.load(t, p, d);
    Some(())
}

/// VST3.
fn vst3(t: &mut Tx, i: u32, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<()> {
    let l = layout(3, i);
    let p = l.place(t, s, a, [n, d, x], 1)?;
    l.store(t, p, d);
    Some(())
}

/// VLD4.
fn vld4(t: &mut Tx, i: u32, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<()> {
    let l = layout(4, i);
    let p = l.place(t, s, a, [n, d, x], 3)?;
    l.load(t, p, d);
    Some(())
}

/// VST4.
fn vst4(t: &mut Tx, i: u32, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<()> {
    let l = layout(4, i);
    let p = l.place(t, s, a, [n, d, x], 3)?;
    l.store(t, p, d);
    Some(())
}

fn layout(kinds: u32, i: u32) -> MultipleStructures {
    MultipleStructures {
        kinds,
        groups: 1,
        apart: i + 1,
    }
}

/// Load one structure of `kinds` elements to all lanes of `regs` registers each, `apart` apart.
fn load_all(t: &mut Tx, p: Addressing, d: u32, [kinds, regs, apart]: [u32; 3]) -> Option<()> {
    check(t, p.base, d + (kinds - 1) * apart + regs - 1)?;
    let (e, bytes) = (Lane::int(p.element.into()), 1 << p.element);
    let mut loaded = Vec::with_capacity(4);
    for kind in 0..kinds {
        let (addr, mem) = (p.address(t, kind * bytes), p.access(t, p.element, kind * bytes));
        loaded.push(t.load(e.scalar(), addr, mem));
    }
    for (kind, v) in loaded.into_iter().enumerate() {
        let v = t.b.vdup(Ty::V64, e, v);
        for k in 0..regs {
            t.b.set(state::dv(d + kind as u32 * apart + k), v);
        }
    }
    p.writeback(t, kinds * bytes);
    Some(())
}

fn place_all(s: u32, align: u32, n: u32, x: u32) -> Addressing {
    Addressing {
        base: n,
        index: x,
        align: align as u8,
        element: s as u8,
    }
}

/// VLD1 (to all lanes) of one or (`r` = 1) two registers.
fn vld1_all(t: &mut Tx, r: u32, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<()> {
    require(t, s != 3 && (s, a) != (0, 1))?;
    load_all(t, place_all(s, a * s, n, x), d, [1, r + 1, 1])
}

/// VLD2 (to all lanes).
fn vld2_all(t: &mut Tx, i: u32, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<()> {
    require(t, s != 3)?;
    load_all(t, place_all(s, a * (s + 1), n, x), d, [2, 1, i + 1])
}

/// VLD3 (to all lanes).
fn vld3_all(t: &mut Tx, i: u32, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<()> {
    require(t, s != 3 && a == 0)?;
    load_all(t, place_all(s, 0, n, x), d, [3, 1, i + 1])
}

/// VLD4 (to all lanes). Size 3 is words aligned to 16 bytes; words else to 8.
fn vld4_all(t: &mut Tx, i: u32, s: u32, a: u32, n: u32, d: u32, x: u32) -> Option<()> {
    require(t, (s, a) != (3, 0))?;
    let align = match s {
        3 => 4,
        2 => a * 3,
        _ => a * (s + 2),
    };
    load_all(t, place_all(s.min(2), align, n, x), d, [4, 1, i + 1])
}
