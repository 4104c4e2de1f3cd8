//! Moves of the elements that a mask selects (SDM 1, 5.5.2, 5.6.4, 5.13), and gathers (5.14): no other memory is accessed.

use super::elements::signs;
use crate::decode::insn::{Memory, Segment};
use crate::state;
use crate::tx::{Tx, Vector};
use emu_ir::{Lane, Mem, Ty, Val};

/// Elements in memory, one behind the other: their lane, the segment that they are in, and the first's offset.
struct Elements {
    e: Lane,
    segment: u8,
    offset: Val,
}

impl Elements {
    fn bytes(&self) -> u32 {
        self.e.bits() / 8
    }
    /// The linear address of an element, whose number is an I32.
    fn at(&self, t: &mut Tx, n: Val, write: bool) -> Val {
        let ty = t.b.ty(self.offset);
        let by = t.b.zext(Ty::I64, n);
        let by = t.shl(by, self.bytes().trailing_zeros());
        let by = t.b.trunc(ty, by);
        let offset = t.b.add(self.offset, by);
        t.linear(self.segment, offset, self.bytes(), write)
    }
    /// The same of an element whose number is known.
    fn at_number(&self, t: &mut Tx, n: u32, write: bool) -> Val {
        let offset = t.plus(self.offset, (n * self.bytes()).into());
        t.linear(self.segment, offset, self.bytes(), write)
    }
}

/// How an element is accessed: it need never be aligned (SDM 2, VMASKMOV: "No AC# reported for any mask bit combinations").
fn unaligned(e: Lane) -> Mem {
    Mem::new((e.bits() / 8).trailing_zeros() as u8, 0)
}

/// Those that ModRM addresses.
fn elements(t: &mut Tx, e: Lane) -> Elements {
    let segment = t.insn.memory.map_or(Segment::Ds, |m| m.segment) as u8;
    let offset = t.effective_address();
    Elements { e, segment, offset }
}

/// Operand 0 becomes the elements that operand 1 selects, 0 where it does not.
fn load(t: &mut Tx, e: Lane) {
    let mask = t.vector(1);
    let selected = signs(t, mask, e);
    let from = elements(t, e);
    let none = t.is_zero(selected);
    let (some, done) = (t.b.label(), t.b.label());
    let any = t.not(none);
    t.b.br_if(any, some);
    let zero = t.b.vec(Ty::V128, 0);
    t.set_vector(0, zero);
    t.b.br(done);
    t.b.place(some);
    t.position();
    // What is not selected is the first that is, once more: so that each is loaded without a branch.
    let first = t.b.ctz(selected);
    let lanes = 128 / e.bits();
    let half = |t: &mut Tx, from_lane: u32, mask: Val| {
        let mut all = t.b.vec(Ty::V128, 0);
        for k in 0..lanes {
            let n = from_lane + k;
            let (is_selected, own) = (t.bit(selected, n), t.imm(Ty::I32, n.into()));
            let n = t.b.select(is_selected, own, first);
            let at = from.at(t, n, false);
            let v = t.b.load(e.scalar(), at, unaligned(e));
            all = t.b.vset_lane(all, v, k as u8);
        }
        let mask = t.b.vshr_s(e, mask, e.bits() as u8);
        t.b.and(all, mask)
    };
    let low = half(t, 0, mask.low);
    let high = mask.high.map(|mask| half(t, lanes, mask));
    t.set_vector(0, Vector { low, high });
    t.b.place(done);
    t.position();
}

/// Store the elements of a vector that a mask selects: all of them or, where one cannot be stored, none.
fn store(t: &mut Tx, to: &Elements, v: Vector, mask: Vector) {
    let e = to.e;
    let selected = signs(t, mask, e);
    let (none, done) = (t.is_zero(selected), t.b.label());
    t.b.br_if(none, done);
    let (first, leading) = (t.b.ctz(selected), t.b.clz(selected));
    let top = t.imm(Ty::I32, 31);
    let last = t.b.sub(top, leading);
    let [first, last] = [first, last].map(|n| to.at(t, n, true));
    // If both are in one page, the first tells of all.
    let (last_byte, together) = (t.plus(last, i64::from(to.bytes()) - 1), t.b.label());
    let differ = t.b.xor(first, last_byte);
    let pages = t.shr(differ, 12);
    let same = t.is_zero(pages);
    t.b.br_if(same, together);
    for at in [first, last] {
        t.b.load(e.scalar(), at, unaligned(e).to_write());
    }
    t.b.place(together);
    t.position();
    let lanes = t.b.ty(v.low).bits() / e.bits();
    let halves = [(0, Some(v.low)), (lanes, v.high)];
    for (from_lane, half) in halves.into_iter().filter_map(|(n, half)| Some((n, half?))) {
        for k in 0..lanes {
            let bit = t.bit(selected, from_lane + k);
            let (other, next) = (t.not(bit), t.b.label());
            t.b.br_if(other, next);
            let element = t.b.vget_lane(e.scalar(), half, k as u8);
            let at = to.at_number(t, from_lane + k, true);
            t.b.store(at, element, unaligned(e));
            t.b.place(next);
            t.position();
        }
    }
    t.b.place(done);
    t.position();
}

/// VMASKMOVx, VPMASKMOVx.
fn move_selected(t: &mut Tx, e: Lane) {
    if t.is_memory(0) {
        let (to, mask, v) = (elements(t, e), t.vector(1), t.vector(2));
        store(t, &to, v, mask);
    } else {
        load(t, e);
    }
}
macro_rules! moves {
    ($( $name:ident $e:ident; )*) => { $( pub fn $name(t: &mut Tx) { move_selected(t, Lane::$e); } )* };
}
moves! {
    vmaskmovps I32;
    vmaskmovpd I64;
    vpmaskmovd I32;
    vpmaskmovq I64;
}

/// MASKMOVDQU: bytes to DS:rDI.
pub fn maskmovdqu(t: &mut Tx) {
    const DI: u8 = 7;
    let offset = t.low(DI, t.address_size());
    let segment = t.insn.segment.unwrap_or(Segment::Ds) as u8;
    let (v, mask) = (t.vector(0), t.vector(1));
    let to = Elements {
        e: Lane::I8,
        segment,
        offset,
    };
    store(t, &to, v, mask);
}
/// MASKMOVQ.
pub fn maskmovq(t: &mut Tx) {
    maskmovdqu(t);
}

/// Elements `e` of the addresses that are a base and a vector's lanes `index`. What was done before an element that faults is
/// seen in the destination and in the mask, which becomes 0 element by element.
fn gather(t: &mut Tx, e: Lane, index: Lane) {
    let (Some(to), Some(mask), Some(memory)) = (t.xmm(0), t.xmm(2), t.insn.memory) else {
        return t.undefined();
    };
    let by = memory.index.unwrap_or(0);
    if to == mask || to == by || mask == by {
        return t.undefined();
    }
    let lanes = t.vector_bytes() * 8 / e.bits().max(index.bits());
    let selected = t.vector(2);
    let selected = signs(t, selected, e);
    let numbers = [state::xmm(by, Ty::V128), state::ymm_high(by)].map(|slot| t.b.get(slot));
    t.insn.memory = Some(Memory { index: None, ..memory });
    let base = t.effective_address();
    t.insn.memory = Some(memory);
    let base = t.b.zext(Ty::I64, base);
    for n in 0..lanes {
        let per_half = 128 / index.bits();
        let [low, high] = numbers;
        let number = if n < per_half { low } else { high };
        let number = t.b.vget_lane(index.scalar(), number, (n % per_half) as u8);
        let bit = t.bit(selected, n);
        let (other, next) = (t.not(bit), t.b.label());
        t.b.br_if(other, next);
        let number = t.b.sext(Ty::I64, number);
        let by = t.shl(number, memory.scale.into());
        let offset = t.b.add(base, by);
        let offset = t.b.trunc(t.address_size(), offset);
        let at = t.linear(memory.segment as u8, offset, e.bits() / 8, false);
        let v = t.b.load(e.scalar(), at, unaligned(e));
        t.b.set(state::xmm(to, e.scalar()).nth(n), v);
        t.b.place(next);
        t.position();
        let zero = t.imm(e.scalar(), 0);
        t.b.set(state::xmm(mask, e.scalar()).nth(n), zero);
    }
    let zero = t.b.vec(Ty::V128, 0);
    t.set_xmm(mask, zero.into());
    // What no element is for becomes 0.
    if lanes * e.bits() < 128 {
        let upper = t.imm(Ty::I64, 0);
        t.b.set(state::xmm(to, Ty::I64).nth(1), upper);
    }
    if lanes * e.bits() <= 128 {
        t.b.set(state::ymm_high(to), zero);
    }
}
macro_rules! gathers {
    ($( $name:ident $e:ident $index:ident; )*) => {
        $( pub fn $name(t: &mut Tx) { gather(t, Lane::$e, Lane::$index); } )*
    };
}
gathers! {
    vpgatherdd I32 I32;
    vpgatherdq I64 I32;
    vpgatherqd I32 I64;
    vpgatherqq I64 I64;
    vgatherdps I32 I32;
    vgatherdpd I64 I32;
    vgatherqps I32 I64;
    vgatherqpd I64 I64;
}
