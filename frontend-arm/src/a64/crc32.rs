//! CRC-32 (FEAT_CRC32; Arm ARM DDI 0487, C4.1, "Data-processing (2 source)").

use super::calls;
use super::features::Feature;
use super::tx::Tx;
use emu_ir::{Ty, insns};

insns! {
    /// By the size of the data.
    CRC32: Tx, needs Feature::Crc32;
    "0 0011010110 mmmmm 0100 00 nnnnn ddddd" => crc32b(m, n, d)
    "0 0011010110 mmmmm 0100 01 nnnnn ddddd" => crc32h(m, n, d)
    "0 0011010110 mmmmm 0100 10 nnnnn ddddd" => crc32w(m, n, d)
    "1 0011010110 mmmmm 0100 11 nnnnn ddddd" => crc32x(m, n, d)
    "0 0011010110 mmmmm 0101 00 nnnnn ddddd" => crc32cb(m, n, d)
    "0 0011010110 mmmmm 0101 01 nnnnn ddddd" => crc32ch(m, n, d)
    "0 0011010110 mmmmm 0101 10 nnnnn ddddd" => crc32cw(m, n, d)
    "1 0011010110 mmmmm 0101 11 nnnnn ddddd" => crc32cx(m, n, d)
}

/// Goes on from the checksum in `n` with the low `1 << log2` bytes of `m`.
fn checksum(t: &mut Tx, helper: u16, log2: u32, [m, n, d]: [u32; 3]) {
    let (sum, data) = (t.r(0, n), t.r(u32::from(log2 == 3), m));
    let bytes = t.b.i32(1 << log2);
    let v = t.b.call(Ty::I32, helper, &[sum, data, bytes]);
    t.set(d, v);
}

macro_rules! checksums {
    ($( $name:ident $helper:ident $log2:literal $doc:literal; )*) => { $(
        #[doc = $doc]
        fn $name(t: &mut Tx, m: u32, n: u32, d: u32) {
            checksum(t, calls::$helper, $log2, [m, n, d]);
        }
    )* };
}
checksums! {
    crc32b CRC32 0 "CRC32B.";
    crc32h CRC32 1 "CRC32H.";
    crc32w CRC32 2 "CRC32W.";
    crc32x CRC32 3 "CRC32X.";
    crc32cb CRC32C 0 "CRC32CB.";
    crc32ch CRC32C 1 "CRC32CH.";
    crc32cw CRC32C 2 "CRC32CW.";
    crc32cx CRC32C 3 "CRC32CX.";
}
