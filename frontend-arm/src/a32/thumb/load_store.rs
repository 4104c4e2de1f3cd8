//! 32-bit Thumb instructions: load and store (Arm ARM DDI 0406C, A6.3.5 to A6.3.10).

use crate::a32::block_transfer::*;
use crate::a32::branch::{tbb, tbh};
use crate::a32::exclusive::*;
use crate::a32::load_store::*;
use crate::a32::system::nop;
use crate::tx::Tx;
use emu_ir::insns;

insns! {
    /// A6.3.5: several registers, RFE, SRS.
    BLOCKS: Tx;
    "1110 1000 00 w 0 1101 1100 0000 000 mmmmm" => srs(2, w, m)
    "1110 1000 00 w 1 nnnn 1100 0000 0000 0000" => rfe(2, w, n)
    "1110 1000 10 w 0 nnnn llllllllllllllll" => stm(w, n, l)
    "1110 1000 10 w 1 nnnn llllllllllllllll" => ldm(w, n, l)
    "1110 1001 00 w 0 nnnn llllllllllllllll" => stmdb(w, n, l)
    "1110 1001 00 w 1 nnnn llllllllllllllll" => ldmdb(w, n, l)
    "1110 1001 10 w 0 1101 1100 0000 000 mmmmm" => srs(1, w, m)
    "1110 1001 10 w 1 nnnn 1100 0000 0000 0000" => rfe(1, w, n)
}

insns! {
    /// A6.3.6: doublewords, exclusive accesses, table branches.
    DUAL: Tx;
    "1110 1000 0100 nnnn ssss dddd iiiiiiii" => strex(n, d, s, (i << 2))
    "1110 1000 0101 nnnn dddd 1111 iiiiiiii" => ldrex(n, d, (i << 2))
    "1110 1001 x1x0 nnnn dddd eeee iiiiiiii" => strd_pair((x | P), n, d, e, (i << 2))
    "1110 1001 x1x1 nnnn dddd eeee iiiiiiii" => ldrd_pair((x | P), n, d, e, (i << 2))
    "1110 1000 u110 nnnn dddd eeee iiiiiiii" => strd_pair((u << 1 | W), n, d, e, (i << 2))
    "1110 1000 u111 nnnn dddd eeee iiiiiiii" => ldrd_pair((u << 1 | W), n, d, e, (i << 2))
    "1110 1000 1100 nnnn ssss 1111 0100 dddd" => strexb(n, d, s)
    "1110 1000 1100 nnnn ssss 1111 0101 dddd" => strexh(n, d, s)
    "1110 1000 1100 nnnn ssss eeee 0111 dddd" => strexd_pair(n, d, s, e)
    "1110 1000 1101 nnnn 1111 0000 0000 mmmm" => tbb(n, m)
    "1110 1000 1101 nnnn 1111 0000 0001 mmmm" => tbh(n, m)
    "1110 1000 1101 nnnn dddd 1111 0100 1111" => ldrexb(n, d)
    "1110 1000 1101 nnnn dddd 1111 0101 1111" => ldrexh(n, d)
    "1110 1000 1101 nnnn dddd eeee 0111 1111" => ldrexd_pair(n, d, e)
}

insns! {
    /// A6.3.10: stores.
    STORES: Tx;
    "1111 1000 1000 nnnn dddd iiiiiiiiiiii" => strb_imm({P | U}, n, d, i)
    "1111 1000 0000 nnnn dddd 11xx iiiiiiii" => strb_imm((x | P), n, d, i)
    "1111 1000 0000 nnnn dddd 10u1 iiiiiiii" => strb_imm((u << 1 | W), n, d, i)
    "1111 1000 0000 nnnn dddd 1110 iiiiiiii" => strbt_imm({P | U}, n, d, i)
    "1111 1000 0000 nnnn dddd 000000 kk mmmm" => strb_reg({P | U}, n, d, (k << 2), m)
    "1111 1000 1010 nnnn dddd iiiiiiiiiiii" => strh_imm({P | U}, n, d, i)
    "1111 1000 0010 nnnn dddd 11xx iiiiiiii" => strh_imm((x | P), n, d, i)
    "1111 1000 0010 nnnn dddd 10u1 iiiiiiii" => strh_imm((u << 1 | W), n, d, i)
    "1111 1000 0010 nnnn dddd 1110 iiiiiiii" => strht_imm({P | U}, n, d, i)
    "1111 1000 0010 nnnn dddd 000000 kk mmmm" => strh_reg({P | U}, n, d, (k << 2), m)
    "1111 1000 1100 nnnn dddd iiiiiiiiiiii" => str_imm({P | U}, n, d, i)
    "1111 1000 0100 nnnn dddd 11xx iiiiiiii" => str_imm((x | P), n, d, i)
    "1111 1000 0100 nnnn dddd 10u1 iiiiiiii" => str_imm((u << 1 | W), n, d, i)
    "1111 1000 0100 nnnn dddd 1110 iiiiiiii" => strt_imm({P | U}, n, d, i)
    "1111 1000 0100 nnnn dddd 000000 kk mmmm" => str_reg({P | U}, n, d, (k << 2), m)
}

insns! {
    /// A6.3.7 to A6.3.9: loads and memory hints, but for literals.
    LOADS: Tx;
    "1111 1000 1001 nnnn dddd iiiiiiiiiiii" => ldrb_imm({P | U}, n, d, i)
    "1111 1000 0001 nnnn dddd 11xx iiiiiiii" => ldrb_imm((x | P), n, d, i)
    "1111 1000 0001 nnnn dddd 10u1 iiiiiiii" => ldrb_imm((u << 1 | W), n, d, i)
    "1111 1000 0001 nnnn dddd 1110 iiiiiiii" => ldrbt_imm({P | U}, n, d, i)
    "1111 1000 0001 nnnn dddd 000000 kk mmmm" => ldrb_reg({P | U}, n, d, (k << 2), m)
    "1111 1000 1001 ---- 1111 ------------" => pld()
    "1111 1000 0001 ---- 1111 1100 --------" => pld()
    "1111 1000 0001 ---- 1111 000000 -- ----" => pld()
    "1111 1000 1011 nnnn dddd iiiiiiiiiiii" => ldrh_imm({P | U}, n, d, i)
    "1111 1000 0011 nnnn dddd 11xx iiiiiiii" => ldrh_imm((x | P), n, d, i)
    "1111 1000 0011 nnnn dddd 10u1 iiiiiiii" => ldrh_imm((u << 1 | W), n, d, i)
    "1111 1000 0011 nnnn dddd 1110 iiiiiiii" => ldrht_imm({P | U}, n, d, i)
    "1111 1000 0011 nnnn dddd 000000 kk mmmm" => ldrh_reg({P | U}, n, d, (k << 2), m)
    "1111 1000 1011 ---- 1111 ------------" => pldw()
    "1111 1000 0011 ---- 1111 1100 --------" => pldw()
    "1111 1000 0011 ---- 1111 000000 -- ----" => pldw()
    "1111 1000 1101 nnnn dddd iiiiiiiiiiii" => ldr_imm({P | U}, n, d, i)
    "1111 1000 0101 nnnn dddd 11xx iiiiiiii" => ldr_imm((x | P), n, d, i)
    "1111 1000 0101 nnnn dddd 10u1 iiiiiiii" => ldr_imm((u << 1 | W), n, d, i)
    "1111 1000 0101 nnnn dddd 1110 iiiiiiii" => ldrt_imm({P | U}, n, d, i)
    "1111 1000 0101 nnnn dddd 000000 kk mmmm" => ldr_reg({P | U}, n, d, (k << 2), m)
    "1111 1001 1001 nnnn dddd iiiiiiiiiiii" => ldrsb_imm({P | U}, n, d, i)
    "1111 1001 0001 nnnn dddd 11xx iiiiiiii" => ldrsb_imm((x | P), n, d, i)
    "1111 1001 0001 nnnn dddd 10u1 iiiiiiii" => ldrsb_imm((u << 1 | W), n, d, i)
    "1111 1001 0001 nnnn dddd 1110 iiiiiiii" => ldrsbt_imm({P | U}, n, d, i)
    "1111 1001 0001 nnnn dddd 000000 kk mmmm" => ldrsb_reg({P | U}, n, d, (k << 2), m)
    "1111 1001 1001 ---- 1111 ------------" => pli()
    "1111 1001 0001 ---- 1111 1100 --------" => pli()
    "1111 1001 0001 ---- 1111 000000 -- ----" => pli()
    "1111 1001 1011 nnnn dddd iiiiiiiiiiii" => ldrsh_imm({P | U}, n, d, i)
    "1111 1001 0011 nnnn dddd 11xx iiiiiiii" => ldrsh_imm((x | P), n, d, i)
    "1111 1001 0011 nnnn dddd 10u1 iiiiiiii" => ldrsh_imm((u << 1 | W), n, d, i)
    "1111 1001 0011 nnnn dddd 1110 iiiiiiii" => ldrsht_imm({P | U}, n, d, i)
    "1111 1001 0011 nnnn dddd 000000 kk mmmm" => ldrsh_reg({P | U}, n, d, (k << 2), m)
    "1111 1001 1011 ---- 1111 ------------" => nop()
    "1111 1001 0011 ---- 1111 1100 --------" => nop()
    "1111 1001 0011 ---- 1111 000000 -- ----" => nop()
}

insns! {
    /// A6.3.7 to A6.3.9: loads of literals and memory hints at the PC: where Rn is R15, they and nothing else (stores are Undefined).
    LITERALS: Tx;
    "1111 1000 u001 1111 dddd iiiiiiiiiiii" => ldrb_imm((u << 1 | P), 15, d, i)
    "1111 1000 -001 1111 1111 ------------" => pld()
    "1111 1000 u011 1111 dddd iiiiiiiiiiii" => ldrh_imm((u << 1 | P), 15, d, i)
    "1111 1000 -011 1111 1111 ------------" => pld()
    "1111 1000 u101 1111 dddd iiiiiiiiiiii" => ldr_imm((u << 1 | P), 15, d, i)
    "1111 1001 u001 1111 dddd iiiiiiiiiiii" => ldrsb_imm((u << 1 | P), 15, d, i)
    "1111 1001 -001 1111 1111 ------------" => pli()
    "1111 1001 u011 1111 dddd iiiiiiiiiiii" => ldrsh_imm((u << 1 | P), 15, d, i)
    "1111 1001 -011 1111 1111 ------------" => nop()
}
