//! String instructions (SDM 1, 7.3.9): an element at a time, so that the registers always say how far it is. With a repeat
//! prefix the instruction goes on with itself, and whoever waits for the CPU gets it in between.

use crate::decode::insn::Repeat;
use crate::state::bits::eflags;
use crate::state::{self, number};
use crate::tx::Tx;
use emu_ir::{Arith, Hint, Ty, Val};

const A: u8 = 0;
const C: u8 = 1;
const SI: u8 = 6;
const DI: u8 = 7;

/// The type of elements: a byte, or of the operand size.
fn element(t: &Tx) -> Ty {
    if t.insn.opcode & 1 == 0 { Ty::I8 } else { t.size() }
}
/// Where an element is: at DS:rSI, or another segment.
pub(super) fn source(t: &mut Tx, ty: Ty) -> Val {
    let segment = t.insn.segment.map_or(number::DS, |segment| segment as u8);
    let offset = index(t, SI);
    t.linear(segment, offset, ty.bytes(), false)
}
/// Where an element is: at ES:rDI.
pub(super) fn destination(t: &mut Tx, ty: Ty, write: bool) -> Val {
    let offset = index(t, DI);
    t.linear(number::ES, offset, ty.bytes(), write)
}
fn index(t: &mut Tx, n: u8) -> Val {
    t.low(n, t.address_size())
}
/// The registers move on, by the direction flag.
pub(super) fn advance(t: &mut Tx, ty: Ty, registers: &[u8]) {
    let flags = t.b.get(state::EFLAGS);
    let down = t.mask(flags, eflags::DF.into());
    let up = t.is_zero(down);
    let bytes = i64::from(ty.bytes());
    let address = t.address_size();
    let (forward, back) = (t.imm(address, bytes as u64), t.imm(address, -bytes as u64));
    let by = t.b.select(up, forward, back);
    for &n in registers {
        let old = index(t, n);
        let new = t.b.add(old, by);
        t.set_reg(n, new);
    }
}
/// Do it once, or as often as rCX says; `again`: whether it goes on after an element, if not always.
fn repeat(t: &mut Tx, once: impl Fn(&mut Tx), again: Option<u8>) {
    if iterate(t, once, again) {
        t.goto_next();
    }
}
/// The same, but for what follows the last element. Whether it may be more than one.
pub(super) fn iterate(t: &mut Tx, once: impl Fn(&mut Tx), again: Option<u8>) -> bool {
    if t.insn.repeat.is_none() {
        once(t);
        return false;
    }
    let ty = t.address_size();
    let count = index(t, C);
    let (none, done) = (t.is_zero(count), t.b.label());
    t.b.br_if(none, done);
    once(t);
    let count = index(t, C);
    let less = t.plus(count, -1);
    t.set_reg(C, less);
    let zero = t.imm(ty, 0);
    let mut more = t.b.ne(less, zero);
    if let Some(cc) = again {
        let holds = t.cond(cc);
        more = t.b.and(more, holds);
    }
    let last = t.not(more);
    t.b.br_if(last, done);
    t.same_again();
    t.ended = false;
    t.b.place(done);
    t.position();
    true
}

impl Tx<'_> {
    /// Go on at this instruction.
    fn same_again(&mut self) {
        self.leave_to(self.offset.into(), Hint::Jump);
    }
}
/// Whether comparisons go on while elements are equal.
fn while_equal(t: &Tx) -> u8 {
    if t.insn.repeat == Some(Repeat::Repne) { 5 } else { 4 }
}

/// MOVS.
pub fn movs(t: &mut Tx) {
    let ty = element(t);
    let once = |t: &mut Tx| {
        let from = source(t, ty);
        let v = t.load(ty, from);
        let to = destination(t, ty, true);
        t.store(to, v);
        advance(t, ty, &[SI, DI]);
    };
    repeat(t, once, None);
}
/// STOS.
pub fn stos(t: &mut Tx) {
    let ty = element(t);
    let once = |t: &mut Tx| {
        let (to, v) = (destination(t, ty, true), t.low(A, ty));
        t.store(to, v);
        advance(t, ty, &[DI]);
    };
    repeat(t, once, None);
}
/// LODS.
pub fn lods(t: &mut Tx) {
    let ty = element(t);
    let once = |t: &mut Tx| {
        let from = source(t, ty);
        let v = t.load(ty, from);
        advance(t, ty, &[SI]);
        t.set_low(A, v);
    };
    repeat(t, once, None);
}
/// CMPS.
pub fn cmps(t: &mut Tx) {
    let ty = element(t);
    let once = |t: &mut Tx| {
        let from = source(t, ty);
        let a = t.load(ty, from);
        let to = destination(t, ty, false);
        let b = t.load(ty, to);
        advance(t, ty, &[SI, DI]);
        t.set_status_of(Arith::Sub, a, b);
    };
    let again = while_equal(t);
    repeat(t, once, Some(again));
}
/// SCAS.
pub fn scas(t: &mut Tx) {
    let ty = element(t);
    let once = |t: &mut Tx| {
        let to = destination(t, ty, false);
        let b = t.load(ty, to);
        let a = t.low(A, ty);
        advance(t, ty, &[DI]);
        t.set_status_of(Arith::Sub, a, b);
    };
    let again = while_equal(t);
    repeat(t, once, Some(again));
}
