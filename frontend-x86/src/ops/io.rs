//! Input and output (SDM 1, 5.1.10).

use super::string::{advance, destination, iterate, source};
use crate::calls;
use crate::decode::row::{Method, Operand};
use crate::tx::Tx;
use emu_ir::{Ty, Val};

const A: u8 = 0;
const D: u8 = 2;
const SI: u8 = 6;
const DI: u8 = 7;

/// What is transferred at once: a byte, or as much as the operand size says, at most 32 bits.
fn element(t: &Tx) -> Ty {
    match t.insn.opcode & 1 {
        0 => Ty::I8,
        _ if t.insn.operand_size == 2 => Ty::I16,
        _ => Ty::I32,
    }
}
/// The port: in the instruction, or in DX.
fn port(t: &mut Tx) -> Val {
    let is_immediate = |operand: &Operand| operand.method == Method::I;
    if t.insn.row.operands.iter().any(is_immediate) {
        return t.imm(Ty::I16, t.insn.immediate & 0xff);
    }
    t.low(D, Ty::I16)
}
fn size(t: &mut Tx, ty: Ty) -> Val {
    t.imm(Ty::I8, ty.bytes().into())
}
fn read(t: &mut Tx, ty: Ty, port: Val) -> Val {
    let size = size(t, ty);
    let value = t.b.call(Ty::I64, calls::IN, &[port, size]);
    t.b.trunc(ty, value)
}
fn write(t: &mut Tx, ty: Ty, port: Val, value: Val) {
    let size = size(t, ty);
    t.b.call(Ty::I32, calls::OUT, &[port, size, value]);
}
/// Ports that may not be accessed are so before memory is looked at.
fn check(t: &mut Tx, ty: Ty, port: Val) {
    let size = size(t, ty);
    t.b.call(Ty::I32, calls::MAY_ACCESS_PORT, &[port, size]);
}

/// After an access: the debug registers may mean it, a device may ask for an interrupt, or for other memory, before the next
/// instruction.
fn leave(t: &mut Tx) {
    t.begin_leaving();
    t.finish_leaving();
}

/// IN.
pub fn in_(t: &mut Tx) {
    let (ty, port) = (element(t), port(t));
    let value = read(t, ty, port);
    t.set_low(A, value);
    leave(t);
}
/// OUT.
pub fn out(t: &mut Tx) {
    let (ty, port) = (element(t), port(t));
    let value = t.low(A, ty);
    write(t, ty, port, value);
    leave(t);
}
/// INS: nothing is read from the port before memory is known to take it. What is there is stored first, as a store to code, or to
/// bytes that somebody watches, may have the instruction begin again.
pub fn ins(t: &mut Tx) {
    let ty = element(t);
    let once = |t: &mut Tx| {
        let port = t.low(D, Ty::I16);
        check(t, ty, port);
        let to = destination(t, ty, true);
        let old = t.load_to_write(ty, to);
        t.store(to, old);
        let value = read(t, ty, port);
        t.store(to, value);
        advance(t, ty, &[DI]);
    };
    iterate(t, once, None);
    leave(t);
}
/// OUTS.
pub fn outs(t: &mut Tx) {
    let ty = element(t);
    let once = |t: &mut Tx| {
        let port = t.low(D, Ty::I16);
        check(t, ty, port);
        let from = source(t, ty);
        let value = t.load(ty, from);
        write(t, ty, port, value);
        advance(t, ty, &[SI]);
    };
    iterate(t, once, None);
    leave(t);
}
