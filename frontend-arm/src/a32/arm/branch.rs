//! Branches, Supervisor Call, coprocessors, and the unconditional instructions (Arm ARM DDI 0406C, A5.5 to A5.7).

use crate::a32::block_transfer::{rfe, srs};
use crate::a32::branch::*;
use crate::a32::exclusive::clrex;
use crate::a32::load_store::{ldc, pld, pldw, pli, stc};
use crate::a32::system::*;
use crate::tx::Tx;
use emu_ir::insns;

insns! {
    /// A5.5 and A5.6: branches, Supervisor Call, the system coprocessors.
    BRANCH: Tx;
    "---- 1010 iiiiiiiiiiiiiiiiiiiiiiii" => b(i)
    "---- 1011 iiiiiiiiiiiiiiiiiiiiiiii" => bl(i)
    "---- 1111 ------------------------" => svc()
    "---- 1110 ---0 ---- ---- 111- ---1 ----" => mcr()
    "---- 1110 ---1 ---- ---- 111- ---1 ----" => mrc()
    "---- 110p u0w0 nnnn 0101 1110 iiiiiiii" => stc(p, u, w, n, i)
    "---- 110p u0w1 nnnn 0101 1110 iiiiiiii" => ldc(p, u, w, n, i)
    "---- 1100 0100 eeee dddd 111- ---- ----" => mcrr(e, d)
    "---- 1100 0101 eeee dddd 111- ---- ----" => mrrc(e, d)
}

insns! {
    /// A5.7: instructions without a condition.
    UNCONDITIONAL: Tx;
    "1111 0001 0000 ii c 0 0000000 aaa 0 mmmmm" => cps(i, c, a, m)
    "1111 0001 0000 0001 000000 e 0 0000 0000" => setend(e)
    "1111 0101 0111 1111 1111 0000 0001 1111" => clrex()
    "1111 0101 0111 1111 1111 0000 0100 ----" => dsb()
    "1111 0101 0111 1111 1111 0000 0101 oooo" => dmb(o)
    "1111 0101 0111 1111 1111 0000 0110 ----" => isb()
    "1111 0101 -001 ---- 1111 ---- ---- ----" => pldw()
    "1111 0101 -101 ---- 1111 ---- ---- ----" => pld()
    "1111 0100 -101 ---- 1111 ---- ---- ----" => pli()
    "1111 0100 -001 ---- ---- ---- ---- ----" => nop()
    "1111 0111 -001 ---- 1111 ---- ---0 ----" => pldw()
    "1111 0111 -101 ---- 1111 ---- ---0 ----" => pld()
    "1111 0110 -101 ---- 1111 ---- ---0 ----" => pli()
    "1111 0110 -001 ---- ---- ---- ---0 ----" => nop()
    "1111 100 pp1 w 0 1101 0000 0101 000 mmmmm" => srs(p, w, m)
    "1111 100 pp0 w 1 nnnn 0000 1010 00000000" => rfe(p, w, n)
    "1111 101 h iiiiiiiiiiiiiiiiiiiiiiii" => blx_imm(i, h)
}
