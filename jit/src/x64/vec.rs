//! Vectors, and floats as bits.

use super::Emit;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Inst, Op, Ty, Val};

impl Emit<'_> {
    /// A pure operation whose type is a float or a vector.
    pub fn vec(&mut self, v: Val, inst: Inst) {
        match inst.op {
            Op::FNeg { a } => self.sign(v, inst.ty, a, true),
            Op::FAbs { a } => self.sign(v, inst.ty, a, false),
            Op::Bitcast { a } => self.bits(v, a),
            _ => self.interpret(v, inst),
        }
    }
    fn sign(&mut self, v: Val, ty: Ty, a: Val, flip: bool) {
        let sign = if ty == Ty::F32 { 1u128 << 31 } else { 1 << 63 };
        let label = self.pool_label(if flip { sign } else { ty.mask() & !sign });
        let s = self.xreg(a);
        let d = self.xdst(v);
        if flip {
            dynasm!(self.a ; .arch x64 ; vpxor Rx(d), Rx(s), [=>label]);
        } else {
            dynasm!(self.a ; .arch x64 ; vpand Rx(d), Rx(s), [=>label]);
        }
    }
    /// Another type's bits into a vector register.
    fn bits(&mut self, v: Val, a: Val) {
        let from = self.b.ty(a);
        if from.is_int() {
            let r = self.reg(a);
            let d = self.xdst(v);
            dynasm!(self.a ; .arch x64 ; vmovq Rx(d), Rq(r));
        } else {
            let s = self.xreg(a);
            let d = self.xdst(v);
            dynasm!(self.a ; .arch x64 ; vmovdqa Rx(d), Rx(s));
        }
    }
}
