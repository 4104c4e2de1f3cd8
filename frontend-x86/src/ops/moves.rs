//! Data transfer (SDM 1, 5.1.1).

use crate::state::reg;
use crate::tx::Tx;
use emu_ir::Ty;

/// MOV.
pub fn mov(t: &mut Tx) {
    let v = t.read(1);
    t.write(0, v);
}
/// MOVNTI: memory is in one order whatever it is cached as.
pub fn movnti(t: &mut Tx) {
    mov(t);
}
/// MOVZX.
pub fn movzx(t: &mut Tx) {
    let v = t.read(1);
    let v = t.b.zext(t.size(), v);
    t.write(0, v);
}
/// MOVSX.
pub fn movsx(t: &mut Tx) {
    let v = t.read(1);
    let v = t.b.sext(t.size(), v);
    t.write(0, v);
}
/// MOVSXD: without REX.W it is MOV of 32 bits, or with a prefix of 16.
pub fn movsxd(t: &mut Tx) {
    let v = t.read(1);
    let v = match t.size() {
        Ty::I16 => t.b.trunc(Ty::I16, v),
        ty => t.b.sext(ty, v),
    };
    t.write(0, v);
}
/// LEA.
pub fn lea(t: &mut Tx) {
    let address = t.effective_address();
    let address = t.b.zext(Ty::I64, address);
    let address = t.b.trunc(t.size(), address);
    t.write(0, address);
}
/// XCHG, which is locked with memory always.
pub fn xchg(t: &mut Tx) {
    let b = t.read(1);
    if t.is_memory(0) {
        let (at, mem) = (t.place(0, true), t.mem(t.ty(0)));
        let old = t.b.swap(at, b, mem);
        return t.write(1, old);
    }
    let a = t.read(0);
    t.write(0, b);
    t.write(1, a);
}
/// CMOVcc: memory is read whatever the condition, and a register of 32 bits is zero-extended.
pub fn cmovcc(t: &mut Tx) {
    let (new, old) = (t.read(1), t.read(0));
    let holds = t.cond(t.insn.condition());
    let value = t.b.select(holds, new, old);
    t.write(0, value);
}
/// CBW, CWDE, CDQE.
pub fn cbw(t: &mut Tx) {
    let ty = t.size();
    let half = match ty {
        Ty::I16 => Ty::I8,
        Ty::I32 => Ty::I16,
        _ => Ty::I32,
    };
    let low = t.low(0, half);
    let value = t.b.sext(ty, low);
    t.set_reg(0, value);
}
/// CWD, CDQ, CQO.
pub fn cwd(t: &mut Tx) {
    let ty = t.size();
    let (a, by) = (t.reg(0, ty), t.imm(Ty::I64, 63));
    let wide = t.b.sext(Ty::I64, a);
    let sign = t.b.shr_s(wide, by);
    let value = t.b.trunc(ty, sign);
    t.set_reg(2, value);
}
/// BSWAP; of 16 bits, which the manual leaves undefined, it gives 0.
pub fn bswap(t: &mut Tx) {
    let a = t.read(0);
    let value = match t.ty(0) {
        Ty::I16 => t.imm(Ty::I16, 0),
        _ => t.b.bswap(a),
    };
    t.write(0, value);
}
/// MOVBE.
pub fn movbe(t: &mut Tx) {
    let v = t.read(1);
    let v = t.b.bswap(v);
    t.write(0, v);
}
/// XLAT.
pub fn xlat(t: &mut Tx) {
    let ty = t.address_size();
    let (base, al) = (t.reg(3, ty), t.b.get(reg(0)));
    let al = t.mask(al, 0xff);
    let al = t.b.trunc(ty, al);
    let offset = t.b.add(base, al);
    let segment = t.insn.segment.map_or(3, |segment| segment as u8);
    let at = t.linear(segment, offset, 1, false);
    let v = t.load(Ty::I8, at);
    t.set_low(0, v);
}
/// NOP.
pub fn nop(_: &mut Tx) {}
