//! Stores: what would be stored is asked for first, and the unit executes the instruction once memory has it.

use crate::calls;
use crate::decode::row::Width;
use crate::tx::Tx;
use crate::x87::NOT_STORED;
use emu_ir::{Ty, Val};

/// FST.
pub fn fst(t: &mut Tx) {
    t.store_x87();
}
/// FSTP.
pub fn fstp(t: &mut Tx) {
    t.store_x87();
}
/// FIST.
pub fn fist(t: &mut Tx) {
    t.store_x87();
}
/// FISTP.
pub fn fistp(t: &mut Tx) {
    t.store_x87();
}
/// FISTTP.
pub fn fisttp(t: &mut Tx) {
    t.store_x87();
}
/// FBSTP.
pub fn fbstp(t: &mut Tx) {
    t.store_x87();
}

impl Tx<'_> {
    /// A store to memory, which may be suppressed by an exception that is not masked.
    fn store_x87(&mut self) {
        if !self.has_x87() {
            return;
        }
        self.wait_for_x87();
        let long = self.insn.row.operands.iter().any(|o| o.width == Width::T);
        let bytes = if long { 10 } else { self.ty(0).bytes() };
        if let Some((insn, form)) = self.inlined_x87() {
            return self.inline_x87_store(insn, form, long);
        }
        let at = self.locate(bytes, true);
        let executed = self.executed(false);
        let output = self.b.call(Ty::V128, calls::X87_OUTPUT, &[executed]);
        let [low, high] = [0, 1].map(|i| self.b.vget_lane(Ty::I64, output, i));
        let (suppressed, skip, done) = (self.bit(high, NOT_STORED - 64), self.b.label(), self.b.label());
        let align = self.mem(Ty::I64).align;
        self.b.br_if(suppressed, skip);
        if long {
            self.store_80(at, low, high, align);
        } else {
            let value = self.b.trunc(self.ty(0), low);
            self.store(at, value);
        }
        self.b.br(done);
        // What cannot be written faults first.
        self.b.place(skip);
        self.position();
        self.load_to_write(if long { Ty::I64 } else { self.ty(0) }, at);
        self.b.place(done);
        self.position();
        self.finish_x87(None, false);
    }
    /// Store 80 bits, aligned to so many bytes (log2): all of them or, where a page of them may not be written, none.
    pub(super) fn store_80(&mut self, at: Val, low: Val, high: Val, align: u8) {
        let (of_low, of_high) = self.mems_80(align);
        self.b.load(Ty::I64, at, of_low.to_write());
        let (above, high) = (self.plus(at, 8), self.b.trunc(Ty::I16, high));
        self.b.store(above, high, of_high);
        self.b.store(at, low, of_low);
    }
}
