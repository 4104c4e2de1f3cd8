//! 32-bit Thumb instructions: branches and miscellaneous control (Arm ARM DDI 0406C, A6.3.4).

use crate::a32::branch::*;
use crate::a32::exclusive::clrex;
use crate::a32::system::*;
use crate::tx::Tx;
use emu_ir::insns;

insns! {
    /// All of them.
    BRANCH: Tx;
    "11110 i cccc iiiiii 10 i 0 i iiiiiiiiiii" => b_cond_wide(c, i)
    "11110 i iiiiiiiiii 10 i 1 i iiiiiiiiiii" => b_wide(i)
    "11110 i iiiiiiiiii 11 i 1 i iiiiiiiiiii" => bl_wide(i)
    "11110 i iiiiiiiiii 11 i 0 i iiiiiiiiiii" => blx_wide(i)
    "1111 0011 1000 nnnn 1000 mmmm 0000 0000" => msr_reg(m, n)
    "1111 0011 1001 nnnn 1000 mmmm 0000 0000" => msr_spsr_reg(m, n)
    "1111 0011 100r nnnn 1000 ssss 001m 0000" => msr_banked(r, m, s, n)
    "1111 0011 1010 1111 1000 0 ii c aaa mmmmm" => cps(i, c, a, m)
    "1111 0011 1010 1111 1000 0 00 0 --- -----" => nop()
    "1111 0011 1010 1111 1000 0 00 0 000 00001" => yield_()
    "1111 0011 1010 1111 1000 0 00 0 000 00010" => wfe()
    "1111 0011 1010 1111 1000 0 00 0 000 00011" => wfi()
    "1111 0011 1010 1111 1000 0 00 0 000 00100" => sev()
    "1111 0011 1010 1111 1000 0 00 0 000 00101" => sevl()
    "1111 0011 1010 1111 1000 0 00 0 111 1----" => dbg()
    "1111 0011 1011 1111 1000 1111 0010 1111" => clrex()
    "1111 0011 1011 1111 1000 1111 0100 ----" => dsb()
    "1111 0011 1011 1111 1000 1111 0101 oooo" => dmb(o)
    "1111 0011 1011 1111 1000 1111 0110 ----" => isb()
    "1111 0011 1100 mmmm 1000 1111 0000 0000" => bxj(m)
    "1111 0011 1101 1110 1000 1111 iiiiiiii" => subs_pc_lr(i)
    "1111 0011 1110 1111 1000 dddd 0000 0000" => mrs(d)
    "1111 0011 1111 1111 1000 dddd 0000 0000" => mrs_spsr(d)
    "1111 0011 111r ssss 1000 dddd 001m 0000" => mrs_banked(r, m, s, d)
    "1111 0111 1110 iiii 1000 iiiiiiiiiiii" => hvc(i)
    "1111 0111 1111 ---- 1000 ------------" => smc(0)
    "1111 0111 1111 ---- 1010 ------------" => udf()
}
