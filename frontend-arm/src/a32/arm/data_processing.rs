//! Data processing and miscellaneous instructions (Arm ARM DDI 0406C, A5.2).

use crate::a32::branch::{blx, bx, bxj};
use crate::a32::data_processing::*;
use crate::a32::media::{clz, qadd, qdadd, qdsub, qsub};
use crate::a32::system::*;
use crate::tx::Tx;
use emu_ir::insns;

insns! {
    /// A5.2.1: register operand, shifted by a constant.
    REGISTER: Tx;
    "---- 000 0000 s nnnn dddd kkkkkkk 0 mmmm" => and_reg(s, n, d, k, m) computes d unless s
    "---- 000 0001 s nnnn dddd kkkkkkk 0 mmmm" => eor_reg(s, n, d, k, m) computes d unless s
    "---- 000 0010 s nnnn dddd kkkkkkk 0 mmmm" => sub_reg(s, n, d, k, m) computes d unless s
    "---- 000 0011 s nnnn dddd kkkkkkk 0 mmmm" => rsb_reg(s, n, d, k, m) computes d unless s
    "---- 000 0100 s nnnn dddd kkkkkkk 0 mmmm" => add_reg(s, n, d, k, m) computes d unless s
    "---- 000 0101 s nnnn dddd kkkkkkk 0 mmmm" => adc_reg(s, n, d, k, m) computes d unless s
    "---- 000 0110 s nnnn dddd kkkkkkk 0 mmmm" => sbc_reg(s, n, d, k, m) computes d unless s
    "---- 000 0111 s nnnn dddd kkkkkkk 0 mmmm" => rsc_reg(s, n, d, k, m) computes d unless s
    "---- 000 1000 1 nnnn 0000 kkkkkkk 0 mmmm" => tst_reg(n, k, m)
    "---- 000 1001 1 nnnn 0000 kkkkkkk 0 mmmm" => teq_reg(n, k, m)
    "---- 000 1010 1 nnnn 0000 kkkkkkk 0 mmmm" => cmp_reg(n, k, m)
    "---- 000 1011 1 nnnn 0000 kkkkkkk 0 mmmm" => cmn_reg(n, k, m)
    "---- 000 1100 s nnnn dddd kkkkkkk 0 mmmm" => orr_reg(s, n, d, k, m) computes d unless s
    "---- 000 1101 s 0000 dddd kkkkkkk 0 mmmm" => mov_reg(s, d, k, m) computes d unless s
    "---- 000 1110 s nnnn dddd kkkkkkk 0 mmmm" => bic_reg(s, n, d, k, m) computes d unless s
    "---- 000 1111 s 0000 dddd kkkkkkk 0 mmmm" => mvn_reg(s, d, k, m) computes d unless s
}

insns! {
    /// A5.2.2: register operand, shifted by a register.
    REGISTER_SHIFTED: Tx;
    "---- 000 0000 s nnnn dddd rrrr 0 hh 1 mmmm" => and_rsr(s, n, d, r, h, m) computes d unless s
    "---- 000 0001 s nnnn dddd rrrr 0 hh 1 mmmm" => eor_rsr(s, n, d, r, h, m) computes d unless s
    "---- 000 0010 s nnnn dddd rrrr 0 hh 1 mmmm" => sub_rsr(s, n, d, r, h, m) computes d unless s
    "---- 000 0011 s nnnn dddd rrrr 0 hh 1 mmmm" => rsb_rsr(s, n, d, r, h, m) computes d unless s
    "---- 000 0100 s nnnn dddd rrrr 0 hh 1 mmmm" => add_rsr(s, n, d, r, h, m) computes d unless s
    "---- 000 0101 s nnnn dddd rrrr 0 hh 1 mmmm" => adc_rsr(s, n, d, r, h, m) computes d unless s
    "---- 000 0110 s nnnn dddd rrrr 0 hh 1 mmmm" => sbc_rsr(s, n, d, r, h, m) computes d unless s
    "---- 000 0111 s nnnn dddd rrrr 0 hh 1 mmmm" => rsc_rsr(s, n, d, r, h, m) computes d unless s
    "---- 000 1000 1 nnnn 0000 rrrr 0 hh 1 mmmm" => tst_rsr(n, r, h, m)
    "---- 000 1001 1 nnnn 0000 rrrr 0 hh 1 mmmm" => teq_rsr(n, r, h, m)
    "---- 000 1010 1 nnnn 0000 rrrr 0 hh 1 mmmm" => cmp_rsr(n, r, h, m)
    "---- 000 1011 1 nnnn 0000 rrrr 0 hh 1 mmmm" => cmn_rsr(n, r, h, m)
    "---- 000 1100 s nnnn dddd rrrr 0 hh 1 mmmm" => orr_rsr(s, n, d, r, h, m) computes d unless s
    "---- 000 1101 s 0000 dddd rrrr 0 hh 1 mmmm" => mov_rsr(s, d, r, h, m) computes d unless s
    "---- 000 1110 s nnnn dddd rrrr 0 hh 1 mmmm" => bic_rsr(s, n, d, r, h, m) computes d unless s
    "---- 000 1111 s 0000 dddd rrrr 0 hh 1 mmmm" => mvn_rsr(s, d, r, h, m) computes d unless s
}

insns! {
    /// A5.2.3 and A5.2.4: modified and 16-bit immediates.
    IMMEDIATE: Tx;
    "---- 001 0000 s nnnn dddd iiiiiiiiiiii" => and_imm(s, n, d, i) computes d unless s
    "---- 001 0001 s nnnn dddd iiiiiiiiiiii" => eor_imm(s, n, d, i) computes d unless s
    "---- 001 0010 s nnnn dddd iiiiiiiiiiii" => sub_imm(s, n, d, i) computes d unless s
    "---- 001 0011 s nnnn dddd iiiiiiiiiiii" => rsb_imm(s, n, d, i) computes d unless s
    "---- 001 0100 s nnnn dddd iiiiiiiiiiii" => add_imm(s, n, d, i) computes d unless s
    "---- 001 0101 s nnnn dddd iiiiiiiiiiii" => adc_imm(s, n, d, i) computes d unless s
    "---- 001 0110 s nnnn dddd iiiiiiiiiiii" => sbc_imm(s, n, d, i) computes d unless s
    "---- 001 0111 s nnnn dddd iiiiiiiiiiii" => rsc_imm(s, n, d, i) computes d unless s
    "---- 001 1000 1 nnnn 0000 iiiiiiiiiiii" => tst_imm(n, i)
    "---- 001 1001 1 nnnn 0000 iiiiiiiiiiii" => teq_imm(n, i)
    "---- 001 1010 1 nnnn 0000 iiiiiiiiiiii" => cmp_imm(n, i)
    "---- 001 1011 1 nnnn 0000 iiiiiiiiiiii" => cmn_imm(n, i)
    "---- 001 1100 s nnnn dddd iiiiiiiiiiii" => orr_imm(s, n, d, i) computes d unless s
    "---- 001 1101 s 0000 dddd iiiiiiiiiiii" => mov_imm(s, d, i) computes d unless s
    "---- 001 1110 s nnnn dddd iiiiiiiiiiii" => bic_imm(s, n, d, i) computes d unless s
    "---- 001 1111 s 0000 dddd iiiiiiiiiiii" => mvn_imm(s, d, i) computes d unless s
    "---- 001 1000 0 iiii dddd iiiiiiiiiiii" => movw(d, i) computes d
    "---- 001 1010 0 iiii dddd iiiiiiiiiiii" => movt(d, i) computes d
}

insns! {
    /// A5.2.11: MSR (immediate) and hints.
    HINTS: Tx;
    "---- 00110 0 10 mmmm 1111 iiiiiiiiiiii" => msr_imm(m, i)
    "---- 00110 1 10 mmmm 1111 iiiiiiiiiiii" => msr_spsr_imm(m, i)
    "---- 00110 0 10 0000 1111 ---- --------" => nop()
    "---- 00110 0 10 0000 1111 0000 00000001" => yield_()
    "---- 00110 0 10 0000 1111 0000 00000010" => wfe()
    "---- 00110 0 10 0000 1111 0000 00000011" => wfi()
    "---- 00110 0 10 0000 1111 0000 00000100" => sev()
    "---- 00110 0 10 0000 1111 0000 00000101" => sevl()
    "---- 00110 0 10 0000 1111 0000 1111----" => dbg()
}

insns! {
    /// A5.2.12 and A5.2.6: miscellaneous, and saturating addition and subtraction.
    MISCELLANEOUS: Tx;
    "---- 00010 0 00 1111 dddd 00000000 0000" => mrs(d)
    "---- 00010 1 00 1111 dddd 00000000 0000" => mrs_spsr(d)
    "---- 00010 r 00 ssss dddd 001m 0000 0000" => mrs_banked(r, m, s, d)
    "---- 00010 0 10 mmmm 1111 00000000 nnnn" => msr_reg(m, n)
    "---- 00010 1 10 mmmm 1111 00000000 nnnn" => msr_spsr_reg(m, n)
    "---- 00010 r 10 ssss 1111 001m 0000 nnnn" => msr_banked(r, m, s, n)
    "---- 00010 01 0 1111 1111 1111 0001 mmmm" => bx(m)
    "---- 00010 11 0 1111 dddd 1111 0001 mmmm" => clz(d, m)
    "---- 00010 01 0 1111 1111 1111 0010 mmmm" => bxj(m)
    "---- 00010 01 0 1111 1111 1111 0011 mmmm" => blx(m)
    "---- 00010 00 0 nnnn dddd 0000 0101 mmmm" => qadd(n, d, m)
    "---- 00010 01 0 nnnn dddd 0000 0101 mmmm" => qsub(n, d, m)
    "---- 00010 10 0 nnnn dddd 0000 0101 mmmm" => qdadd(n, d, m)
    "---- 00010 11 0 nnnn dddd 0000 0101 mmmm" => qdsub(n, d, m)
    "---- 00010 01 0 ------------ 0111 ----" => bkpt()
    "---- 00010 10 0 iiii iiiiiiii 0111 iiii" => hvc(i)
    "---- 00010 11 0 000000000000 0111 iiii" => smc(i)
    "---- 00010 11 0 000000000000 0110 1110" => eret()
}
