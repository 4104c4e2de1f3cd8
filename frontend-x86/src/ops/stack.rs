//! The stack (SDM 1, 6.2).

use crate::state::{number, reg};
use crate::tx::Tx;
use emu_ir::{Ty, Val};

const SP: u8 = 4;
const BP: u8 = 5;

impl Tx<'_> {
    /// The stack pointer, as wide as it is in this mode.
    pub fn sp(&mut self) -> Val {
        self.low(SP, self.stack())
    }
    /// Set the stack pointer.
    pub fn set_sp(&mut self, sp: Val) {
        self.set_reg(SP, sp);
    }
    /// Store below the stack pointer; where that is.
    fn store_below(&mut self, sp: Val, v: Val) -> Val {
        let bytes = self.b.ty(v).bytes();
        let sp = self.plus(sp, -i64::from(bytes));
        let at = self.linear(number::SS, sp, bytes, true);
        self.position_on_stack();
        self.store(at, v);
        sp
    }
    /// Push a value.
    pub fn push(&mut self, v: Val) {
        let sp = self.sp();
        let sp = self.store_below(sp, v);
        self.set_sp(sp);
    }
    /// What is on top of the stack, and where the stack pointer is after it.
    pub fn peek(&mut self, ty: Ty) -> (Val, Val) {
        let sp = self.sp();
        self.peek_at(sp, ty)
    }
    fn peek_at(&mut self, sp: Val, ty: Ty) -> (Val, Val) {
        let at = self.linear(number::SS, sp, ty.bytes(), false);
        let other = self.position_on_stack();
        let v = self.load(ty, at);
        if other {
            self.position();
        }
        (v, self.plus(sp, ty.bytes().into()))
    }
    /// See that so many values can be pushed, before any is: each at its place, which CR2 has if it cannot.
    fn probe(&mut self, mut sp: Val, ty: Ty, count: u32) {
        for _ in 0..count {
            sp = self.plus(sp, -i64::from(ty.bytes()));
            let at = self.linear(number::SS, sp, ty.bytes(), true);
            self.load_to_write(ty, at);
        }
    }
}

/// PUSH. Of rSP it is the value before.
pub fn push(t: &mut Tx) {
    let v = t.read(0);
    t.push(v);
}
/// POP. An address with rSP is of the one after it, and a fault leaves it as it was.
pub fn pop(t: &mut Tx) {
    let (v, sp) = t.peek(t.size());
    if t.register(0).is_some() {
        t.set_sp(sp);
        return t.write(0, v);
    }
    let before = t.b.get(reg(SP));
    t.set_sp(sp);
    let offset = t.effective_address();
    let after = t.b.get(reg(SP));
    t.b.set(reg(SP), before);
    let segment = t.insn.memory.map_or(number::DS, |m| m.segment as u8);
    let bytes = t.b.ty(v).bytes();
    let at = t.linear(segment, offset, bytes, true);
    t.store(at, v);
    t.b.set(reg(SP), after);
}
/// PUSHA and PUSHAD.
pub fn pusha(t: &mut Tx) {
    let ty = t.size();
    let mut sp = t.sp();
    t.probe(sp, ty, 8);
    for n in 0..8 {
        let v = t.low(n, ty);
        sp = t.store_below(sp, v);
    }
    t.set_sp(sp);
}
/// POPA and POPAD: rSP is not loaded.
pub fn popa(t: &mut Tx) {
    let (ty, mut sp) = (t.size(), t.sp());
    let mut values = [None; 8];
    for value in values.iter_mut().rev() {
        let (v, next) = t.peek_at(sp, ty);
        (*value, sp) = (Some(v), next);
    }
    for (n, v) in values.into_iter().enumerate() {
        if let Some(v) = v.filter(|_| n != usize::from(SP)) {
            t.set_reg(n as u8, v);
        }
    }
    t.set_sp(sp);
}
/// ENTER. Its nesting level is taken modulo 32.
pub fn enter(t: &mut Tx) {
    let (ty, stack) = (t.size(), t.stack());
    let (room, level) = (t.insn.immediate as i64 & 0xffff, u32::from(t.insn.second) & 31);
    let before = t.sp();
    t.probe(before, ty, level + 1);
    let bp = t.low(BP, ty);
    let mut sp = t.store_below(before, bp);
    let frame = sp;
    let mut from = t.low(BP, stack);
    for _ in 1..level {
        from = t.plus(from, -i64::from(ty.bytes()));
        let at = t.linear(number::SS, from, ty.bytes(), false);
        let v = t.load(ty, at);
        sp = t.store_below(sp, v);
    }
    if level > 0 {
        let value = t.b.zext(Ty::I64, frame);
        let value = t.b.trunc(ty, value);
        sp = t.store_below(sp, value);
    }
    let sp = t.plus(sp, -room);
    // Where the stack ends up must be writable, too (SDM 2, ENTER).
    let at = t.linear(number::SS, sp, ty.bytes(), true);
    t.load_to_write(ty, at);
    let frame = t.b.zext(Ty::I64, frame);
    let frame = t.b.trunc(ty, frame);
    t.set_reg(BP, frame);
    t.set_sp(sp);
}
/// LEAVE.
pub fn leave(t: &mut Tx) {
    let (ty, stack) = (t.size(), t.stack());
    let bp = t.low(BP, stack);
    let (v, sp) = t.peek_at(bp, ty);
    t.set_sp(sp);
    t.set_reg(BP, v);
}
