//! Load and store instructions (Arm ARM DDI 0406C, A5.2.8 to A5.2.10, A5.3, A5.5).

use crate::a32::block_transfer::*;
use crate::a32::exclusive::*;
use crate::a32::load_store::*;
use crate::tx::Tx;
use emu_ir::insns;

insns! {
    /// A5.3: words and unsigned bytes.
    WORDS: Tx;
    "---- 010 xx0x 0 nnnn dddd iiiiiiiiiiii" => str_imm(x, n, d, i)
    "---- 010 xx0x 1 nnnn dddd iiiiiiiiiiii" => ldr_imm(x, n, d, i)
    "---- 010 xx1x 0 nnnn dddd iiiiiiiiiiii" => strb_imm(x, n, d, i)
    "---- 010 xx1x 1 nnnn dddd iiiiiiiiiiii" => ldrb_imm(x, n, d, i)
    "---- 010 0u01 0 nnnn dddd iiiiiiiiiiii" => strt_imm((u << 1), n, d, i)
    "---- 010 0u01 1 nnnn dddd iiiiiiiiiiii" => ldrt_imm((u << 1), n, d, i)
    "---- 010 0u11 0 nnnn dddd iiiiiiiiiiii" => strbt_imm((u << 1), n, d, i)
    "---- 010 0u11 1 nnnn dddd iiiiiiiiiiii" => ldrbt_imm((u << 1), n, d, i)
    "---- 011 xx0x 0 nnnn dddd kkkkkkk 0 mmmm" => str_reg(x, n, d, k, m)
    "---- 011 xx0x 1 nnnn dddd kkkkkkk 0 mmmm" => ldr_reg(x, n, d, k, m)
    "---- 011 xx1x 0 nnnn dddd kkkkkkk 0 mmmm" => strb_reg(x, n, d, k, m)
    "---- 011 xx1x 1 nnnn dddd kkkkkkk 0 mmmm" => ldrb_reg(x, n, d, k, m)
    "---- 011 0u01 0 nnnn dddd kkkkkkk 0 mmmm" => strt_reg((u << 1), n, d, k, m)
    "---- 011 0u01 1 nnnn dddd kkkkkkk 0 mmmm" => ldrt_reg((u << 1), n, d, k, m)
    "---- 011 0u11 0 nnnn dddd kkkkkkk 0 mmmm" => strbt_reg((u << 1), n, d, k, m)
    "---- 011 0u11 1 nnnn dddd kkkkkkk 0 mmmm" => ldrbt_reg((u << 1), n, d, k, m)
}

insns! {
    /// A5.2.8 and A5.2.9: halfwords, signed bytes, doublewords.
    EXTRA: Tx;
    "---- 000 xx1x 0 nnnn dddd iiii 1011 iiii" => strh_imm(x, n, d, i)
    "---- 000 xx1x 1 nnnn dddd iiii 1011 iiii" => ldrh_imm(x, n, d, i)
    "---- 000 xx1x 1 nnnn dddd iiii 1101 iiii" => ldrsb_imm(x, n, d, i)
    "---- 000 xx1x 1 nnnn dddd iiii 1111 iiii" => ldrsh_imm(x, n, d, i)
    "---- 000 xx1x 0 nnnn dddd iiii 1101 iiii" => ldrd_imm(x, n, d, i)
    "---- 000 xx1x 0 nnnn dddd iiii 1111 iiii" => strd_imm(x, n, d, i)
    "---- 000 xx0x 0 nnnn dddd 0000 1011 mmmm" => strh_reg(x, n, d, 0, m)
    "---- 000 xx0x 1 nnnn dddd 0000 1011 mmmm" => ldrh_reg(x, n, d, 0, m)
    "---- 000 xx0x 1 nnnn dddd 0000 1101 mmmm" => ldrsb_reg(x, n, d, 0, m)
    "---- 000 xx0x 1 nnnn dddd 0000 1111 mmmm" => ldrsh_reg(x, n, d, 0, m)
    "---- 000 xx0x 0 nnnn dddd 0000 1101 mmmm" => ldrd_reg(x, n, d, m)
    "---- 000 xx0x 0 nnnn dddd 0000 1111 mmmm" => strd_reg(x, n, d, m)
    "---- 000 0u11 0 nnnn dddd iiii 1011 iiii" => strht_imm((u << 1), n, d, i)
    "---- 000 0u11 1 nnnn dddd iiii 1011 iiii" => ldrht_imm((u << 1), n, d, i)
    "---- 000 0u11 1 nnnn dddd iiii 1101 iiii" => ldrsbt_imm((u << 1), n, d, i)
    "---- 000 0u11 1 nnnn dddd iiii 1111 iiii" => ldrsht_imm((u << 1), n, d, i)
    "---- 000 0u01 0 nnnn dddd 0000 1011 mmmm" => strht_reg((u << 1), n, d, 0, m)
    "---- 000 0u01 1 nnnn dddd 0000 1011 mmmm" => ldrht_reg((u << 1), n, d, 0, m)
    "---- 000 0u01 1 nnnn dddd 0000 1101 mmmm" => ldrsbt_reg((u << 1), n, d, 0, m)
    "---- 000 0u01 1 nnnn dddd 0000 1111 mmmm" => ldrsht_reg((u << 1), n, d, 0, m)
}

insns! {
    /// A5.2.10: swap, and exclusive accesses.
    SYNCHRONIZATION: Tx;
    "---- 0001 0000 nnnn dddd 0000 1001 mmmm" => swp(n, d, m)
    "---- 0001 0100 nnnn dddd 0000 1001 mmmm" => swpb(n, d, m)
    "---- 0001 1000 nnnn dddd 1111 1001 ssss" => strex(n, d, s, 0)
    "---- 0001 1001 nnnn dddd 1111 1001 1111" => ldrex(n, d, 0)
    "---- 0001 1010 nnnn dddd 1111 1001 ssss" => strexd(n, d, s)
    "---- 0001 1011 nnnn dddd 1111 1001 1111" => ldrexd(n, d)
    "---- 0001 1100 nnnn dddd 1111 1001 ssss" => strexb(n, d, s)
    "---- 0001 1101 nnnn dddd 1111 1001 1111" => ldrexb(n, d)
    "---- 0001 1110 nnnn dddd 1111 1001 ssss" => strexh(n, d, s)
    "---- 0001 1111 nnnn dddd 1111 1001 1111" => ldrexh(n, d)
}

insns! {
    /// A5.5: several registers.
    BLOCKS: Tx;
    "---- 100 000 w 0 nnnn llllllllllllllll" => stmda(w, n, l)
    "---- 100 000 w 1 nnnn llllllllllllllll" => ldmda(w, n, l)
    "---- 100 010 w 0 nnnn llllllllllllllll" => stm(w, n, l)
    "---- 100 010 w 1 nnnn llllllllllllllll" => ldm(w, n, l)
    "---- 100 100 w 0 nnnn llllllllllllllll" => stmdb(w, n, l)
    "---- 100 100 w 1 nnnn llllllllllllllll" => ldmdb(w, n, l)
    "---- 100 110 w 0 nnnn llllllllllllllll" => stmib(w, n, l)
    "---- 100 110 w 1 nnnn llllllllllllllll" => ldmib(w, n, l)
    "---- 100 pp1 0 0 nnnn llllllllllllllll" => stm_user(p, n, l)
    "---- 100 pp1 0 1 nnnn 0lllllllllllllll" => ldm_user(p, n, l)
    "---- 100 pp1 w 1 nnnn 1lllllllllllllll" => ldm_exception(p, w, n, l)
}
