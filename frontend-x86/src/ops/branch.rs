//! Near control transfer (SDM 1, 5.1.7).

use crate::decode::row::flag;
use crate::tx::Tx;
use emu_ir::{Hint, Ty, Val};

/// Jump by the distance in the instruction if a boolean is 1; in any case do what else is to be done.
fn jump_if(t: &mut Tx, taken: Val, then: impl Fn(&mut Tx)) {
    let label = t.b.label();
    t.b.br_if(taken, label);
    then(t);
    t.goto_next();
    t.b.place(label);
    t.position();
    t.jump_by(t.insn.immediate as i64, Hint::Jump, then);
}
/// Whether the target is a distance in the instruction.
fn is_relative(t: &Tx) -> bool {
    t.insn.row.flags & flag::MODRM == 0
}
/// Jcc.
pub fn jcc(t: &mut Tx) {
    let holds = t.cond(t.insn.condition());
    jump_if(t, holds, |_| {});
}
/// JMP.
pub fn jmp(t: &mut Tx) {
    if is_relative(t) {
        return t.jump_by(t.insn.immediate as i64, Hint::Jump, |_| {});
    }
    let to = t.read(0);
    let to = t.b.zext(Ty::I64, to);
    t.jump_to(to, Hint::Jump, |_| {});
}
/// CALL. Its target is known to be right before anything is pushed.
pub fn call(t: &mut Tx) {
    let back = t.next_ip();
    let back = t.b.trunc(t.size(), back);
    if is_relative(t) {
        return t.jump_by(t.insn.immediate as i64, Hint::Call, |t| t.push(back));
    }
    let to = t.read(0);
    let to = t.b.zext(Ty::I64, to);
    t.jump_to(to, Hint::Call, |t| t.push(back));
}
/// RET, with or without bytes to release.
pub fn ret(t: &mut Tx) {
    let (to, sp) = t.peek(t.size());
    let to = t.b.zext(Ty::I64, to);
    let sp = t.plus(sp, t.insn.immediate as i64);
    t.jump_to(to, Hint::Return, |t| t.set_sp(sp));
}
/// rCX less 1, of the address size, and whether that is not 0.
fn less(t: &mut Tx) -> (Val, Val) {
    let ty = t.address_size();
    let count = t.reg(1, ty);
    let less = t.plus(count, -1);
    let zero = t.imm(ty, 0);
    (less, t.b.ne(less, zero))
}
/// LOOP.
pub fn loop_(t: &mut Tx) {
    let (count, more) = less(t);
    jump_if(t, more, |t| t.set_reg(1, count));
}
fn loop_while(t: &mut Tx, cc: u8) {
    let holds = t.cond(cc);
    let (count, more) = less(t);
    let both = t.b.and(more, holds);
    jump_if(t, both, |t| t.set_reg(1, count));
}
/// LOOPE.
pub fn loope(t: &mut Tx) {
    loop_while(t, 4);
}
/// LOOPNE.
pub fn loopne(t: &mut Tx) {
    loop_while(t, 5);
}
/// JCXZ, JECXZ, JRCXZ.
pub fn jcxz(t: &mut Tx) {
    let count = t.reg(1, t.address_size());
    let zero = t.is_zero(count);
    jump_if(t, zero, |_| {});
}
/// UD2.
pub fn ud2(t: &mut Tx) {
    t.undefined();
}
/// UD1.
pub fn ud1(t: &mut Tx) {
    t.undefined();
}
/// UD0.
pub fn ud0(t: &mut Tx) {
    t.undefined();
}
