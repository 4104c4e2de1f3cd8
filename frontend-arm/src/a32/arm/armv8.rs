//! What Armv8 adds to the core of A32 (Arm ARM DDI 0487, F4.1).

use crate::a32::crc32::*;
use crate::a32::exclusive::*;
use crate::a32::system::{hlt, sb, setpan};
use crate::features::Feature;
use crate::tx::Tx;
use emu_ir::insns;

insns! {
    /// Load-acquire and store-release.
    ORDERED: Tx, needs Feature::A32V8;
    "---- 0001 1000 nnnn 1111 1100 1001 tttt" => stl(n, t)
    "---- 0001 1001 nnnn tttt 1100 1001 1111" => lda(n, t)
    "---- 0001 1100 nnnn 1111 1100 1001 tttt" => stlb(n, t)
    "---- 0001 1101 nnnn tttt 1100 1001 1111" => ldab(n, t)
    "---- 0001 1110 nnnn 1111 1100 1001 tttt" => stlh(n, t)
    "---- 0001 1111 nnnn tttt 1100 1001 1111" => ldah(n, t)
    "---- 0001 1000 nnnn dddd 1110 1001 ssss" => stlex(n, d, s)
    "---- 0001 1001 nnnn dddd 1110 1001 1111" => ldaex(n, d)
    "---- 0001 1010 nnnn dddd 1110 1001 ssss" => stlexd(n, d, s)
    "---- 0001 1011 nnnn dddd 1110 1001 1111" => ldaexd(n, d)
    "---- 0001 1100 nnnn dddd 1110 1001 ssss" => stlexb(n, d, s)
    "---- 0001 1101 nnnn dddd 1110 1001 1111" => ldaexb(n, d)
    "---- 0001 1110 nnnn dddd 1110 1001 ssss" => stlexh(n, d, s)
    "---- 0001 1111 nnnn dddd 1110 1001 1111" => ldaexh(n, d)
}

insns! {
    /// Exceptions.
    HALT: Tx, needs Feature::A32V8;
    "---- 00010 00 0 ------------ 0111 ----" => hlt()
}

insns! {
    /// By the size of the data.
    CRC32: Tx, needs Feature::Crc32;
    "---- 00010 00 0 nnnn dddd 0000 0100 mmmm" => crc32b(n, d, m)
    "---- 00010 01 0 nnnn dddd 0000 0100 mmmm" => crc32h(n, d, m)
    "---- 00010 10 0 nnnn dddd 0000 0100 mmmm" => crc32w(n, d, m)
    "---- 00010 00 0 nnnn dddd 0010 0100 mmmm" => crc32cb(n, d, m)
    "---- 00010 01 0 nnnn dddd 0010 0100 mmmm" => crc32ch(n, d, m)
    "---- 00010 10 0 nnnn dddd 0010 0100 mmmm" => crc32cw(n, d, m)
}

insns! {
    /// FEAT_SB.
    SB: Tx, needs Feature::Sb;
    "1111 0101 0111 1111 1111 0000 0111 0000" => sb()
}

insns! {
    /// FEAT_PAN.
    PAN: Tx, needs Feature::Pan;
    "1111 0001 0001 0000 0000 00-0 0000 0000" => setpan()
}
