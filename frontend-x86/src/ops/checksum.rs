//! CRC32 (SDM 2): the polynomial 11EDC6F41, bits reflected.

use crate::calls;
use crate::tx::Tx;
use emu_ir::Ty;

/// CRC32.
pub fn crc32(t: &mut Tx) {
    let (sum, data) = (t.reg(t.insn.reg(), Ty::I32), t.read(1));
    let bytes = t.imm(Ty::I32, t.b.ty(data).bytes().into());
    let data = t.b.zext(Ty::I64, data);
    let value = t.b.call(Ty::I32, calls::CRC32, &[sum, data, bytes]);
    t.set_reg(t.insn.reg(), value);
}
