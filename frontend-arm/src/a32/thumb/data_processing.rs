//! 32-bit Thumb instructions: data processing (Arm ARM DDI 0406C, A6.3.1, A6.3.3, A6.3.11 to A6.3.17).

use crate::a32::data_processing::*;
use crate::a32::media::*;
use crate::a32::multiply::*;
use crate::a32::parallel::*;
use crate::tx::Tx;
use emu_ir::insns;

insns! {
    /// A6.3.1 and A6.3.3: modified, plain and bit field immediates.
    IMMEDIATE: Tx;
    "11110 i 0 0000 s nnnn 0 iii dddd iiiiiiii" => and_imm(s, n, d, i) computes d unless s
    "11110 i 0 0001 s nnnn 0 iii dddd iiiiiiii" => bic_imm(s, n, d, i) computes d unless s
    "11110 i 0 0010 s nnnn 0 iii dddd iiiiiiii" => orr_imm(s, n, d, i) computes d unless s
    "11110 i 0 0011 s nnnn 0 iii dddd iiiiiiii" => orn_imm(s, n, d, i) computes d unless s
    "11110 i 0 0100 s nnnn 0 iii dddd iiiiiiii" => eor_imm(s, n, d, i) computes d unless s
    "11110 i 0 1000 s nnnn 0 iii dddd iiiiiiii" => add_imm(s, n, d, i) computes d unless s
    "11110 i 0 1010 s nnnn 0 iii dddd iiiiiiii" => adc_imm(s, n, d, i) computes d unless s
    "11110 i 0 1011 s nnnn 0 iii dddd iiiiiiii" => sbc_imm(s, n, d, i) computes d unless s
    "11110 i 0 1101 s nnnn 0 iii dddd iiiiiiii" => sub_imm(s, n, d, i) computes d unless s
    "11110 i 0 1110 s nnnn 0 iii dddd iiiiiiii" => rsb_imm(s, n, d, i) computes d unless s
    "11110 i 0 0000 1 nnnn 0 iii 1111 iiiiiiii" => tst_imm(n, i)
    "11110 i 0 0100 1 nnnn 0 iii 1111 iiiiiiii" => teq_imm(n, i)
    "11110 i 0 1000 1 nnnn 0 iii 1111 iiiiiiii" => cmn_imm(n, i)
    "11110 i 0 1101 1 nnnn 0 iii 1111 iiiiiiii" => cmp_imm(n, i)
    "11110 i 0 0010 s 1111 0 iii dddd iiiiiiii" => mov_imm(s, d, i) computes d unless s
    "11110 i 0 0011 s 1111 0 iii dddd iiiiiiii" => mvn_imm(s, d, i) computes d unless s
    "11110 i 1 0000 0 nnnn 0 iii dddd iiiiiiii" => add_plain(0, n, d, i) computes d
    "11110 i 1 0101 0 nnnn 0 iii dddd iiiiiiii" => sub_plain(0, n, d, i) computes d
    "11110 i 1 0010 0 hhhh 0 lll dddd llllllll" => movw_wide(d, h, i, l) computes d
    "11110 i 1 0110 0 hhhh 0 lll dddd llllllll" => movt_wide(d, h, i, l) computes d
    "11110 0 1 100 h 0 nnnn 0 kkk dddd kk 0 iiiii" => ssat(i, d, k, h, n)
    "11110 0 1 110 h 0 nnnn 0 kkk dddd kk 0 iiiii" => usat(i, d, k, h, n)
    "11110 0 1 1001 0 nnnn 0 000 dddd 00 00 iiii" => ssat16(i, d, n)
    "11110 0 1 1101 0 nnnn 0 000 dddd 00 00 iiii" => usat16(i, d, n)
    "11110 0 1 1010 0 nnnn 0 lll dddd ll 0 wwwww" => sbfx(w, d, l, n) computes d
    "11110 0 1 1110 0 nnnn 0 lll dddd ll 0 wwwww" => ubfx(w, d, l, n) computes d
    "11110 0 1 1011 0 nnnn 0 lll dddd ll 0 eeeee" => bfi(e, d, l, n) computes d
    "11110 0 1 1011 0 1111 0 lll dddd ll 0 eeeee" => bfc(e, d, l) computes d
}

insns! {
    /// A6.3.11: register operand, shifted by a constant.
    REGISTER: Tx;
    "1110101 0000 s nnnn 0 kkk dddd kkkk mmmm" => and_reg(s, n, d, k, m) computes d unless s
    "1110101 0001 s nnnn 0 kkk dddd kkkk mmmm" => bic_reg(s, n, d, k, m) computes d unless s
    "1110101 0010 s nnnn 0 kkk dddd kkkk mmmm" => orr_reg(s, n, d, k, m) computes d unless s
    "1110101 0011 s nnnn 0 kkk dddd kkkk mmmm" => orn_reg(s, n, d, k, m) computes d unless s
    "1110101 0100 s nnnn 0 kkk dddd kkkk mmmm" => eor_reg(s, n, d, k, m) computes d unless s
    "1110101 1000 s nnnn 0 kkk dddd kkkk mmmm" => add_reg(s, n, d, k, m) computes d unless s
    "1110101 1010 s nnnn 0 kkk dddd kkkk mmmm" => adc_reg(s, n, d, k, m) computes d unless s
    "1110101 1011 s nnnn 0 kkk dddd kkkk mmmm" => sbc_reg(s, n, d, k, m) computes d unless s
    "1110101 1101 s nnnn 0 kkk dddd kkkk mmmm" => sub_reg(s, n, d, k, m) computes d unless s
    "1110101 1110 s nnnn 0 kkk dddd kkkk mmmm" => rsb_reg(s, n, d, k, m) computes d unless s
    "1110101 0000 1 nnnn 0 kkk 1111 kkkk mmmm" => tst_reg(n, k, m)
    "1110101 0100 1 nnnn 0 kkk 1111 kkkk mmmm" => teq_reg(n, k, m)
    "1110101 1000 1 nnnn 0 kkk 1111 kkkk mmmm" => cmn_reg(n, k, m)
    "1110101 1101 1 nnnn 0 kkk 1111 kkkk mmmm" => cmp_reg(n, k, m)
    "1110101 0010 s 1111 0 kkk dddd kkkk mmmm" => mov_reg(s, d, k, m) computes d unless s
    "1110101 0011 s 1111 0 kkk dddd kkkk mmmm" => mvn_reg(s, d, k, m) computes d unless s
    "1110101 0110 0 nnnn 0 kkk dddd kk 00 mmmm" => pkhbt(n, d, k, m) computes d
    "1110101 0110 0 nnnn 0 kkk dddd kk 10 mmmm" => pkhtb(n, d, k, m) computes d
}

insns! {
    /// A6.3.12, A6.3.15: shifts by a register, extension, reversal, saturation.
    REGISTERS: Tx;
    "1111 1010 0 hh s nnnn 1111 dddd 0000 mmmm" => mov_rsr(s, d, m, h, n)
    "1111 1010 0000 nnnn 1111 dddd 10 rr mmmm" => sxtah(n, d, r, m)
    "1111 1010 0000 1111 1111 dddd 10 rr mmmm" => sxth(d, r, m)
    "1111 1010 0001 nnnn 1111 dddd 10 rr mmmm" => uxtah(n, d, r, m)
    "1111 1010 0001 1111 1111 dddd 10 rr mmmm" => uxth(d, r, m)
    "1111 1010 0010 nnnn 1111 dddd 10 rr mmmm" => sxtab16(n, d, r, m)
    "1111 1010 0010 1111 1111 dddd 10 rr mmmm" => sxtb16(d, r, m)
    "1111 1010 0011 nnnn 1111 dddd 10 rr mmmm" => uxtab16(n, d, r, m)
    "1111 1010 0011 1111 1111 dddd 10 rr mmmm" => uxtb16(d, r, m)
    "1111 1010 0100 nnnn 1111 dddd 10 rr mmmm" => sxtab(n, d, r, m)
    "1111 1010 0100 1111 1111 dddd 10 rr mmmm" => sxtb(d, r, m)
    "1111 1010 0101 nnnn 1111 dddd 10 rr mmmm" => uxtab(n, d, r, m)
    "1111 1010 0101 1111 1111 dddd 10 rr mmmm" => uxtb(d, r, m)
    "1111 1010 1000 nnnn 1111 dddd 1000 mmmm" => qadd(n, d, m)
    "1111 1010 1000 nnnn 1111 dddd 1001 mmmm" => qdadd(n, d, m)
    "1111 1010 1000 nnnn 1111 dddd 1010 mmmm" => qsub(n, d, m)
    "1111 1010 1000 nnnn 1111 dddd 1011 mmmm" => qdsub(n, d, m)
    "1111 1010 1001 ---- 1111 dddd 1000 mmmm" => rev(d, m)
    "1111 1010 1001 ---- 1111 dddd 1001 mmmm" => rev16(d, m)
    "1111 1010 1001 ---- 1111 dddd 1010 mmmm" => rbit(d, m)
    "1111 1010 1001 ---- 1111 dddd 1011 mmmm" => revsh(d, m)
    "1111 1010 1010 nnnn 1111 dddd 1000 mmmm" => sel(d, m, n)
    "1111 1010 1011 ---- 1111 dddd 1000 mmmm" => clz(d, m)
}

insns! {
    /// A6.3.13 and A6.3.14: parallel addition and subtraction.
    PARALLEL: Tx;
    "1111 1010 1000 nnnn 1111 dddd 0000 mmmm" => sadd8(d, m, n)
    "1111 1010 1001 nnnn 1111 dddd 0000 mmmm" => sadd16(d, m, n)
    "1111 1010 1010 nnnn 1111 dddd 0000 mmmm" => sasx(d, m, n)
    "1111 1010 1100 nnnn 1111 dddd 0000 mmmm" => ssub8(d, m, n)
    "1111 1010 1101 nnnn 1111 dddd 0000 mmmm" => ssub16(d, m, n)
    "1111 1010 1110 nnnn 1111 dddd 0000 mmmm" => ssax(d, m, n)
    "1111 1010 1000 nnnn 1111 dddd 0001 mmmm" => qadd8(d, m, n)
    "1111 1010 1001 nnnn 1111 dddd 0001 mmmm" => qadd16(d, m, n)
    "1111 1010 1010 nnnn 1111 dddd 0001 mmmm" => qasx(d, m, n)
    "1111 1010 1100 nnnn 1111 dddd 0001 mmmm" => qsub8(d, m, n)
    "1111 1010 1101 nnnn 1111 dddd 0001 mmmm" => qsub16(d, m, n)
    "1111 1010 1110 nnnn 1111 dddd 0001 mmmm" => qsax(d, m, n)
    "1111 1010 1000 nnnn 1111 dddd 0010 mmmm" => shadd8(d, m, n)
    "1111 1010 1001 nnnn 1111 dddd 0010 mmmm" => shadd16(d, m, n)
    "1111 1010 1010 nnnn 1111 dddd 0010 mmmm" => shasx(d, m, n)
    "1111 1010 1100 nnnn 1111 dddd 0010 mmmm" => shsub8(d, m, n)
    "1111 1010 1101 nnnn 1111 dddd 0010 mmmm" => shsub16(d, m, n)
    "1111 1010 1110 nnnn 1111 dddd 0010 mmmm" => shsax(d, m, n)
    "1111 1010 1000 nnnn 1111 dddd 0100 mmmm" => uadd8(d, m, n)
    "1111 1010 1001 nnnn 1111 dddd 0100 mmmm" => uadd16(d, m, n)
    "1111 1010 1010 nnnn 1111 dddd 0100 mmmm" => uasx(d, m, n)
    "1111 1010 1100 nnnn 1111 dddd 0100 mmmm" => usub8(d, m, n)
    "1111 1010 1101 nnnn 1111 dddd 0100 mmmm" => usub16(d, m, n)
    "1111 1010 1110 nnnn 1111 dddd 0100 mmmm" => usax(d, m, n)
    "1111 1010 1000 nnnn 1111 dddd 0101 mmmm" => uqadd8(d, m, n)
    "1111 1010 1001 nnnn 1111 dddd 0101 mmmm" => uqadd16(d, m, n)
    "1111 1010 1010 nnnn 1111 dddd 0101 mmmm" => uqasx(d, m, n)
    "1111 1010 1100 nnnn 1111 dddd 0101 mmmm" => uqsub8(d, m, n)
    "1111 1010 1101 nnnn 1111 dddd 0101 mmmm" => uqsub16(d, m, n)
    "1111 1010 1110 nnnn 1111 dddd 0101 mmmm" => uqsax(d, m, n)
    "1111 1010 1000 nnnn 1111 dddd 0110 mmmm" => uhadd8(d, m, n)
    "1111 1010 1001 nnnn 1111 dddd 0110 mmmm" => uhadd16(d, m, n)
    "1111 1010 1010 nnnn 1111 dddd 0110 mmmm" => uhasx(d, m, n)
    "1111 1010 1100 nnnn 1111 dddd 0110 mmmm" => uhsub8(d, m, n)
    "1111 1010 1101 nnnn 1111 dddd 0110 mmmm" => uhsub16(d, m, n)
    "1111 1010 1110 nnnn 1111 dddd 0110 mmmm" => uhsax(d, m, n)
}

insns! {
    /// A6.3.16 and A6.3.17: multiplication and division.
    MULTIPLY: Tx;
    "1111 1011 0000 nnnn aaaa dddd 0000 mmmm" => mla(0, d, a, m, n)
    "1111 1011 0000 nnnn 1111 dddd 0000 mmmm" => mul(0, d, m, n)
    "1111 1011 0000 nnnn aaaa dddd 0001 mmmm" => mls(d, a, m, n)
    "1111 1011 0001 nnnn aaaa dddd 00xy mmmm" => smla(d, a, m, y, x, n)
    "1111 1011 0001 nnnn 1111 dddd 00xy mmmm" => smul(d, m, y, x, n)
    "1111 1011 0010 nnnn aaaa dddd 000x mmmm" => smlad(d, a, m, x, n)
    "1111 1011 0010 nnnn 1111 dddd 000x mmmm" => smuad(d, m, x, n)
    "1111 1011 0011 nnnn aaaa dddd 000y mmmm" => smlaw(d, a, m, y, n)
    "1111 1011 0011 nnnn 1111 dddd 000y mmmm" => smulw(d, m, y, n)
    "1111 1011 0100 nnnn aaaa dddd 000x mmmm" => smlsd(d, a, m, x, n)
    "1111 1011 0100 nnnn 1111 dddd 000x mmmm" => smusd(d, m, x, n)
    "1111 1011 0101 nnnn aaaa dddd 000r mmmm" => smmla(d, a, m, r, n)
    "1111 1011 0101 nnnn 1111 dddd 000r mmmm" => smmul(d, m, r, n)
    "1111 1011 0110 nnnn aaaa dddd 000r mmmm" => smmls(d, a, m, r, n)
    "1111 1011 0111 nnnn aaaa dddd 0000 mmmm" => usada8(d, a, m, n)
    "1111 1011 0111 nnnn 1111 dddd 0000 mmmm" => usad8(d, m, n)
    "1111 1011 1000 nnnn llll hhhh 0000 mmmm" => smull(0, h, l, m, n)
    "1111 1011 1001 nnnn 1111 dddd 1111 mmmm" => sdiv(d, m, n)
    "1111 1011 1010 nnnn llll hhhh 0000 mmmm" => umull(0, h, l, m, n)
    "1111 1011 1011 nnnn 1111 dddd 1111 mmmm" => udiv(d, m, n)
    "1111 1011 1100 nnnn llll hhhh 0000 mmmm" => smlal(0, h, l, m, n)
    "1111 1011 1100 nnnn llll hhhh 10xy mmmm" => smlal_half(h, l, m, y, x, n)
    "1111 1011 1100 nnnn llll hhhh 110x mmmm" => smlald(h, l, m, x, n)
    "1111 1011 1101 nnnn llll hhhh 110x mmmm" => smlsld(h, l, m, x, n)
    "1111 1011 1110 nnnn llll hhhh 0000 mmmm" => umlal(0, h, l, m, n)
    "1111 1011 1110 nnnn llll hhhh 0110 mmmm" => umaal(h, l, m, n)
}

/// The 16 bits imm4:i:imm3:imm8.
fn movw_wide(t: &mut Tx, d: u32, h: u32, i: u32, l: u32) {
    movw(t, d, h << 12 | i << 11 | l);
}
/// The 16 bits imm4:i:imm3:imm8.
fn movt_wide(t: &mut Tx, d: u32, h: u32, i: u32, l: u32) {
    movt(t, d, h << 12 | i << 11 | l);
}
