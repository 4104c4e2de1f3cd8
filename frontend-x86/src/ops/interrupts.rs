//! Flags that privilege counts for (SDM 1, 5.1.11 and 5.20): whether interrupts are taken, EFLAGS.AC; HLT.

use super::far::operand_size;
use crate::calls;
use crate::state::bits::eflags;
use crate::state::{self, mode};
use crate::tx::Tx;
use emu_ir::{Ty, Val};

/// HLT.
pub fn hlt(t: &mut Tx) {
    if !t.only_level_0() {
        t.wait_by(calls::HALT);
    }
}

/// Whether IF is this level's without a look at IOPL.
fn is_free(t: &Tx) -> bool {
    mode::cpl(t.mode) == 0
}
fn set_interrupts(t: &mut Tx, set: u32) -> Val {
    let old = t.b.get(state::EFLAGS);
    let kept = t.mask(old, (!eflags::IF).into());
    let set = t.imm(Ty::I32, set.into());
    let new = t.b.or(kept, set);
    t.b.set(state::EFLAGS, new);
    old
}
/// CLI.
pub fn cli(t: &mut Tx) {
    if is_free(t) {
        set_interrupts(t, 0);
    } else {
        t.b.call(Ty::I32, calls::CLI, &[]);
    }
}
/// STI: where interrupts were off, they wait until the next instruction is done.
pub fn sti(t: &mut Tx) {
    let were_off = if is_free(t) {
        let old = set_interrupts(t, eflags::IF);
        let on = t.bit(old, eflags::IF.trailing_zeros());
        t.not(on)
    } else {
        t.b.call(Ty::I8, calls::STI, &[])
    };
    let off = t.b.label();
    t.b.br_if(were_off, off);
    t.goto_next();
    t.b.place(off);
    t.position();
    t.goto_next_in_shadow();
}
/// PUSHF.
pub fn pushf(t: &mut Tx) {
    let flags = if t.mode & mode::VIRTUAL != 0 {
        let size = operand_size(t);
        t.b.call(Ty::I32, calls::PUSHF, &[size])
    } else {
        let flags = t.eflags();
        t.mask(flags, (!(eflags::VM | eflags::RF)).into())
    };
    let flags = t.b.zext(Ty::I64, flags);
    let flags = t.b.trunc(t.size(), flags);
    t.push(flags);
}
/// POPF.
pub fn popf(t: &mut Tx) {
    let (flags, sp) = t.peek(t.size());
    let size = operand_size(t);
    t.begin_leaving();
    t.b.call(Ty::I32, calls::POPF, &[flags, size]);
    t.set_sp(sp);
    t.finish_leaving();
}
fn set_ac(t: &mut Tx, set: u64) {
    if mode::cpl(t.mode) != 0 {
        return t.undefined();
    }
    let set = t.imm(Ty::I8, set);
    t.leave_by(calls::SET_AC, &[set]);
}
/// CLAC.
pub fn clac(t: &mut Tx) {
    set_ac(t, 0);
}
/// STAC.
pub fn stac(t: &mut Tx) {
    set_ac(t, 1);
}
