//! What Armv8 adds to the core of T32 and T16 (Arm ARM DDI 0487, F3.1 and F3.2).

use crate::a32::crc32::*;
use crate::a32::exclusive::*;
use crate::a32::system::{hlt, sb, setpan};
use crate::features::Feature;
use crate::tx::Tx;
use emu_ir::insns;

insns! {
    /// Load-acquire and store-release.
    ORDERED: Tx, needs Feature::A32V8;
    "1110 1000 1100 nnnn tttt 1111 1000 1111" => stlb(n, t)
    "1110 1000 1100 nnnn tttt 1111 1001 1111" => stlh(n, t)
    "1110 1000 1100 nnnn tttt 1111 1010 1111" => stl(n, t)
    "1110 1000 1101 nnnn tttt 1111 1000 1111" => ldab(n, t)
    "1110 1000 1101 nnnn tttt 1111 1001 1111" => ldah(n, t)
    "1110 1000 1101 nnnn tttt 1111 1010 1111" => lda(n, t)
    "1110 1000 1100 nnnn ssss 1111 1100 dddd" => stlexb(n, d, s)
    "1110 1000 1100 nnnn ssss 1111 1101 dddd" => stlexh(n, d, s)
    "1110 1000 1100 nnnn ssss 1111 1110 dddd" => stlex(n, d, s)
    "1110 1000 1100 nnnn ssss eeee 1111 dddd" => stlexd_pair(n, d, s, e)
    "1110 1000 1101 nnnn dddd 1111 1100 1111" => ldaexb(n, d)
    "1110 1000 1101 nnnn dddd 1111 1101 1111" => ldaexh(n, d)
    "1110 1000 1101 nnnn dddd 1111 1110 1111" => ldaex(n, d)
    "1110 1000 1101 nnnn dddd eeee 1111 1111" => ldaexd_pair(n, d, e)
}

insns! {
    /// Exceptions, of T16.
    HALT: Tx, needs Feature::A32V8;
    "1011 1010 10 ------" => hlt()
}

insns! {
    /// By the size of the data.
    CRC32: Tx, needs Feature::Crc32;
    "1111 1010 1100 nnnn 1111 dddd 1000 mmmm" => crc32b(n, d, m)
    "1111 1010 1100 nnnn 1111 dddd 1001 mmmm" => crc32h(n, d, m)
    "1111 1010 1100 nnnn 1111 dddd 1010 mmmm" => crc32w(n, d, m)
    "1111 1010 1101 nnnn 1111 dddd 1000 mmmm" => crc32cb(n, d, m)
    "1111 1010 1101 nnnn 1111 dddd 1001 mmmm" => crc32ch(n, d, m)
    "1111 1010 1101 nnnn 1111 dddd 1010 mmmm" => crc32cw(n, d, m)
}

insns! {
    /// FEAT_SB.
    SB: Tx, needs Feature::Sb;
    "1111 0011 1011 1111 1000 1111 0111 0000" => sb()
}

insns! {
    /// FEAT_PAN, of T16.
    PAN: Tx, needs Feature::Pan;
    "1011 0110 0001 ----" => setpan()
}
