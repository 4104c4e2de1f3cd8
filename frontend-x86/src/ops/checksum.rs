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
/// [`calls::CRC32`].
pub(crate) fn crc32_of(a: &[u128; 4]) -> u128 {
    let (sum, data, bytes) = (a[0] as u32, a[1] as u64, (a[2] as usize).min(8));
    let step = |sum: u32| (sum >> 1) ^ if sum & 1 != 0 { 0x82f6_3b78 } else { 0 };
    let data = data.to_le_bytes();
    let all = data.iter().take(bytes);
    let sum = all.fold(sum, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), |sum, _| step(sum)));
    sum.into()
}
