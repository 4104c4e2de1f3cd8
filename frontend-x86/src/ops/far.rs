//! Far control transfer and software interrupts (SDM 1, 5.1.7), system calls (SDM 1, 5.20), RSM.

use crate::calls;
use crate::decode::row::flag;
use crate::fault::{self, vector};
use crate::tx::Tx;
use emu_ir::{Fault, Ty, Val};

/// The far pointer: in memory or in the instruction. Its selector, its offset of 64 bits.
fn target(t: &mut Tx) -> (Val, Val) {
    if t.insn.row.flags & flag::MODRM == 0 {
        let selector = t.imm(Ty::I16, t.insn.second.into());
        return (selector, t.imm(Ty::I64, t.insn.immediate));
    }
    let (offset, selector) = t.far_pointer();
    (selector, t.b.zext(Ty::I64, offset))
}
pub(super) fn operand_size(t: &mut Tx) -> Val {
    t.imm(Ty::I8, t.insn.operand_size.into())
}
/// Far JMP.
pub fn jmp_far(t: &mut Tx) {
    let (selector, offset) = target(t);
    let next = t.next_ip();
    t.leave_by(calls::JMP_FAR, &[selector, offset, next]);
}
/// Far CALL.
pub fn call_far(t: &mut Tx) {
    let (selector, offset) = target(t);
    let (size, next) = (operand_size(t), t.next_ip());
    t.leave_by(calls::CALL_FAR, &[selector, offset, size, next]);
}
/// Far RET, with or without bytes to release.
pub fn ret_far(t: &mut Tx) {
    let (size, bytes) = (operand_size(t), t.imm(Ty::I16, t.insn.immediate));
    t.position_on_stack();
    t.leave_by(calls::RET_FAR, &[size, bytes]);
}
/// IRET.
pub fn iret(t: &mut Tx) {
    let (size, next) = (operand_size(t), t.next_ip());
    t.position_on_stack();
    t.leave_by(calls::IRET, &[size, next]);
}

/// Raises what the instruction is.
fn raise(t: &mut Tx, what: Fault) {
    if let Fault::Guest { class, info, .. } = what {
        t.fault(class as u8, info);
    }
}
/// INT n.
pub fn int(t: &mut Tx) {
    raise(t, fault::int(t.insn.immediate as u8));
}
/// INT3.
pub fn int3(t: &mut Tx) {
    raise(t, fault::INT3);
}
/// INT1.
pub fn int1(t: &mut Tx) {
    raise(t, fault::INT1);
}
/// INTO.
pub fn into(t: &mut Tx) {
    let (none, go) = (t.cond(1), t.b.label());
    t.b.br_if(none, go);
    raise(t, fault::INTO);
    t.ended = false;
    t.b.place(go);
    t.position();
}
/// BOUND: the index against two bounds in memory, all signed.
pub fn bound(t: &mut Tx) {
    let (index, ty) = (t.read(0), t.size());
    let at = t.locate(2 * ty.bytes(), false);
    let lower = t.load(ty, at);
    let next = t.plus(at, ty.bytes().into());
    let upper = t.load(ty, next);
    let (below, above) = (t.b.slt(index, lower), t.b.slt(upper, index));
    let outside = t.b.or(below, above);
    t.fault_if(outside, vector::BR, 0);
}

/// SYSCALL.
pub fn syscall(t: &mut Tx) {
    let next = t.next_ip();
    t.leave_stepped(calls::SYSCALL, &[next]);
}
/// SYSRET.
pub fn sysret(t: &mut Tx) {
    let size = operand_size(t);
    t.leave_by(calls::SYSRET, &[size]);
}
/// SYSENTER.
pub fn sysenter(t: &mut Tx) {
    t.leave_by(calls::SYSENTER, &[]);
}
/// SYSEXIT.
pub fn sysexit(t: &mut Tx) {
    let size = operand_size(t);
    t.leave_by(calls::SYSEXIT, &[size]);
}
/// RSM.
pub fn rsm(t: &mut Tx) {
    t.leave_by(calls::RSM, &[]);
}
