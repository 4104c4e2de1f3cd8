//! 16-bit Thumb instructions (Arm ARM DDI 0406C, A6.2).

use crate::a32::block_transfer::*;
use crate::a32::branch::*;
use crate::a32::data_processing::*;
use crate::a32::load_store::*;
use crate::a32::media::*;
use crate::a32::multiply::mul;
use crate::a32::system::*;
use crate::tx::{S_OUTSIDE_IT, Tx};
use emu_ir::insns;

insns! {
    /// All of them.
    T16: Tx;
    // A6.2.1: shift (immediate), add, subtract, move, compare.
    "000 00 kkkkk mmm ddd" => mov_reg({S_OUTSIDE_IT}, d, (k << 2), m) computes d
    "000 01 kkkkk mmm ddd" => mov_reg({S_OUTSIDE_IT}, d, (k << 2 | 1), m) computes d
    "000 10 kkkkk mmm ddd" => mov_reg({S_OUTSIDE_IT}, d, (k << 2 | 2), m) computes d
    "000 00 00000 mmm ddd" => movs(d, m) computes d
    "000 1100 mmm nnn ddd" => add_reg({S_OUTSIDE_IT}, n, d, 0, m) computes d
    "000 1101 mmm nnn ddd" => sub_reg({S_OUTSIDE_IT}, n, d, 0, m) computes d
    "000 1110 iii nnn ddd" => add_plain({S_OUTSIDE_IT}, n, d, i) computes d
    "000 1111 iii nnn ddd" => sub_plain({S_OUTSIDE_IT}, n, d, i) computes d
    "001 00 ddd iiiiiiii" => mov_imm({S_OUTSIDE_IT}, d, i) computes d
    "001 01 nnn iiiiiiii" => cmp_imm(n, i)
    "001 10 ddd iiiiiiii" => add_plain_narrow(d, i) computes d
    "001 11 ddd iiiiiiii" => sub_plain_narrow(d, i) computes d
    // A6.2.2: data processing.
    "010000 0000 mmm ddd" => and_narrow(d, m) computes d
    "010000 0001 mmm ddd" => eor_narrow(d, m) computes d
    "010000 0010 rrr ddd" => lsl_narrow(d, r) computes d
    "010000 0011 rrr ddd" => lsr_narrow(d, r) computes d
    "010000 0100 rrr ddd" => asr_narrow(d, r) computes d
    "010000 0101 mmm ddd" => adc_narrow(d, m) computes d
    "010000 0110 mmm ddd" => sbc_narrow(d, m) computes d
    "010000 0111 rrr ddd" => ror_narrow(d, r) computes d
    "010000 1000 mmm nnn" => tst_reg(n, 0, m)
    "010000 1001 nnn ddd" => rsb_imm({S_OUTSIDE_IT}, n, d, 0) computes d
    "010000 1010 mmm nnn" => cmp_reg(n, 0, m)
    "010000 1011 mmm nnn" => cmn_reg(n, 0, m)
    "010000 1100 mmm ddd" => orr_narrow(d, m) computes d
    "010000 1101 nnn ddd" => mul_narrow(d, n) computes d
    "010000 1110 mmm ddd" => bic_narrow(d, m) computes d
    "010000 1111 mmm ddd" => mvn_reg({S_OUTSIDE_IT}, d, 0, m) computes d
    // A6.2.3: special data, and branch and exchange.
    "010001 00 d mmmm ddd" => add_high(d, m) computes d
    "010001 01 n mmmm nnn" => cmp_reg(n, 0, m)
    "010001 10 d mmmm ddd" => mov_reg(0, d, 0, m) computes d
    "010001 11 0 mmmm ---" => bx(m)
    "010001 11 1 mmmm ---" => blx(m)
    // A6.2.4: load and store.
    "01001 ddd iiiiiiii" => ldr_imm({P | U}, 15, d, (i << 2))
    "0101 000 mmm nnn ddd" => str_reg({P | U}, n, d, 0, m)
    "0101 001 mmm nnn ddd" => strh_reg({P | U}, n, d, 0, m)
    "0101 010 mmm nnn ddd" => strb_reg({P | U}, n, d, 0, m)
    "0101 011 mmm nnn ddd" => ldrsb_reg({P | U}, n, d, 0, m)
    "0101 100 mmm nnn ddd" => ldr_reg({P | U}, n, d, 0, m)
    "0101 101 mmm nnn ddd" => ldrh_reg({P | U}, n, d, 0, m)
    "0101 110 mmm nnn ddd" => ldrb_reg({P | U}, n, d, 0, m)
    "0101 111 mmm nnn ddd" => ldrsh_reg({P | U}, n, d, 0, m)
    "0110 0 iiiii nnn ddd" => str_imm({P | U}, n, d, (i << 2))
    "0110 1 iiiii nnn ddd" => ldr_imm({P | U}, n, d, (i << 2))
    "0111 0 iiiii nnn ddd" => strb_imm({P | U}, n, d, i)
    "0111 1 iiiii nnn ddd" => ldrb_imm({P | U}, n, d, i)
    "1000 0 iiiii nnn ddd" => strh_imm({P | U}, n, d, (i << 1))
    "1000 1 iiiii nnn ddd" => ldrh_imm({P | U}, n, d, (i << 1))
    "1001 0 ddd iiiiiiii" => str_imm({P | U}, 13, d, (i << 2))
    "1001 1 ddd iiiiiiii" => ldr_imm({P | U}, 13, d, (i << 2))
    "10100 ddd iiiiiiii" => adr_narrow(d, i)
    "10101 ddd iiiiiiii" => add_plain(0, 13, d, (i << 2))
    // A6.2.5: miscellaneous.
    "1011 0000 0 iiiiiii" => add_plain(0, 13, 13, (i << 2))
    "1011 0000 1 iiiiiii" => sub_plain(0, 13, 13, (i << 2))
    "1011 00i1 iiiii nnn" => cbz(i, n)
    "1011 10i1 iiiii nnn" => cbnz(i, n)
    "1011 0010 00 mmm ddd" => sxth(d, 0, m)
    "1011 0010 01 mmm ddd" => sxtb(d, 0, m)
    "1011 0010 10 mmm ddd" => uxth(d, 0, m)
    "1011 0010 11 mmm ddd" => uxtb(d, 0, m)
    "1011 010 l llllllll" => push(l)
    "1011 110 l llllllll" => pop(l)
    "1011 0110 0101 e ---" => setend(e)
    "1011 0110 011 i 0 aaa" => cps((i + 2), 0, a, 0)
    "1011 1010 00 mmm ddd" => rev(d, m)
    "1011 1010 01 mmm ddd" => rev16(d, m)
    "1011 1010 11 mmm ddd" => revsh(d, m)
    "1011 1110 --------" => bkpt()
    "1011 1111 iiiiiiii" => it(i)
    "1011 1111 ----0000" => nop()
    "1011 1111 00010000" => yield_()
    "1011 1111 00100000" => wfe()
    "1011 1111 00110000" => wfi()
    "1011 1111 01000000" => sev()
    "1011 1111 01010000" => sevl()
    // A6.2.6 and the rest: several registers, branches.
    "1100 0 nnn llllllll" => stm(1, n, l)
    "1100 1 nnn llllllll" => ldm_narrow(n, l)
    "1101 cccc iiiiiiii" => b_cond_narrow(c, i)
    "1101 1110 --------" => udf()
    "1101 1111 --------" => svc()
    "11100 iiiiiiiiiii" => b_narrow(i)
}

/// LSL by 0, which is MOV (register) and sets N and Z only.
fn movs(t: &mut Tx, d: u32, m: u32) {
    mov_reg(t, S_OUTSIDE_IT, d, 0, m);
}

macro_rules! two_operands {
    ($( $name:ident $of:ident; )*) => { $(
        fn $name(t: &mut Tx, d: u32, m: u32) {
            $of(t, S_OUTSIDE_IT, d, d, 0, m);
        }
    )* };
}
two_operands! {
    and_narrow and_reg;
    eor_narrow eor_reg;
    adc_narrow adc_reg;
    sbc_narrow sbc_reg;
    orr_narrow orr_reg;
    bic_narrow bic_reg;
}

macro_rules! shifts {
    ($( $name:ident $h:literal; )*) => { $(
        fn $name(t: &mut Tx, d: u32, r: u32) {
            mov_rsr(t, S_OUTSIDE_IT, d, r, $h, d);
        }
    )* };
}
shifts! {
    lsl_narrow 0;
    lsr_narrow 1;
    asr_narrow 2;
    ror_narrow 3;
}

fn mul_narrow(t: &mut Tx, d: u32, n: u32) {
    mul(t, S_OUTSIDE_IT, d, d, n);
}
fn add_plain_narrow(t: &mut Tx, d: u32, i: u32) {
    add_plain(t, S_OUTSIDE_IT, d, d, i);
}
fn sub_plain_narrow(t: &mut Tx, d: u32, i: u32) {
    sub_plain(t, S_OUTSIDE_IT, d, d, i);
}
fn add_high(t: &mut Tx, d: u32, m: u32) {
    add_reg(t, 0, d, d, 0, m);
}
fn adr_narrow(t: &mut Tx, d: u32, i: u32) {
    adr(t, d, (i << 2) as i32);
}
/// `l` is LR and r7 to r0.
fn push(t: &mut Tx, l: u32) {
    stmdb(t, 1, 13, (l & 0x100) << 6 | l & 0xff);
}
/// `l` is PC and r7 to r0.
fn pop(t: &mut Tx, l: u32) {
    ldm(t, 1, 13, (l & 0x100) << 7 | l & 0xff);
}
/// The base is written back unless it is loaded.
fn ldm_narrow(t: &mut Tx, n: u32, l: u32) {
    ldm(t, !(l >> n) & 1, n, l);
}
