//! CRC-32 (FEAT_CRC32; Arm ARM DDI 0487, F5.1).

use super::neon::calls;
use crate::tx::Tx;
use emu_ir::Ty;

/// Goes on from the checksum in `n` with the low `1 << log2` bytes of `m`. R15 is UNPREDICTABLE, here Undefined.
fn checksum(t: &mut Tx, helper: u16, log2: u32, [n, d, m]: [u32; 3]) {
    if [n, d, m].contains(&15) {
        return t.undefined();
    }
    let (sum, data, bytes) = (t.reg(n), t.reg(m), t.b.i32(1 << log2));
    let v = t.b.call(Ty::I32, helper, &[sum, data, bytes]);
    t.set(d, v);
}

macro_rules! checksums {
    ($( $name:ident $helper:ident $log2:literal $doc:literal; )*) => { $(
        #[doc = $doc]
        pub fn $name(t: &mut Tx, n: u32, d: u32, m: u32) {
            checksum(t, calls::$helper, $log2, [n, d, m]);
        }
    )* };
}
checksums! {
    crc32b CRC32 0 "CRC32B.";
    crc32h CRC32 1 "CRC32H.";
    crc32w CRC32 2 "CRC32W.";
    crc32cb CRC32C 0 "CRC32CB.";
    crc32ch CRC32C 1 "CRC32CH.";
    crc32cw CRC32C 2 "CRC32CW.";
}
