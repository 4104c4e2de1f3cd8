//! Multiply, divide and media instructions (Arm ARM DDI 0406C, A5.2.5, A5.2.7, A5.4).

use crate::a32::media::*;
use crate::a32::multiply::*;
use crate::a32::parallel::*;
use crate::a32::system::udf;
use crate::tx::Tx;
use emu_ir::insns;

insns! {
    /// A5.2.5, A5.2.7, A5.4.4: multiplication and division.
    MULTIPLY: Tx;
    "---- 0000 000 s dddd 0000 mmmm 1001 nnnn" => mul(s, d, m, n)
    "---- 0000 001 s dddd aaaa mmmm 1001 nnnn" => mla(s, d, a, m, n)
    "---- 0000 010 0 hhhh llll mmmm 1001 nnnn" => umaal(h, l, m, n)
    "---- 0000 011 0 dddd aaaa mmmm 1001 nnnn" => mls(d, a, m, n)
    "---- 0000 100 s hhhh llll mmmm 1001 nnnn" => umull(s, h, l, m, n)
    "---- 0000 101 s hhhh llll mmmm 1001 nnnn" => umlal(s, h, l, m, n)
    "---- 0000 110 s hhhh llll mmmm 1001 nnnn" => smull(s, h, l, m, n)
    "---- 0000 111 s hhhh llll mmmm 1001 nnnn" => smlal(s, h, l, m, n)
    "---- 0001 000 0 dddd aaaa mmmm 1yx0 nnnn" => smla(d, a, m, y, x, n)
    "---- 0001 001 0 dddd aaaa mmmm 1y00 nnnn" => smlaw(d, a, m, y, n)
    "---- 0001 001 0 dddd 0000 mmmm 1y10 nnnn" => smulw(d, m, y, n)
    "---- 0001 010 0 hhhh llll mmmm 1yx0 nnnn" => smlal_half(h, l, m, y, x, n)
    "---- 0001 011 0 dddd 0000 mmmm 1yx0 nnnn" => smul(d, m, y, x, n)
    "---- 0111 0000 dddd aaaa mmmm 00x1 nnnn" => smlad(d, a, m, x, n)
    "---- 0111 0000 dddd 1111 mmmm 00x1 nnnn" => smuad(d, m, x, n)
    "---- 0111 0000 dddd aaaa mmmm 01x1 nnnn" => smlsd(d, a, m, x, n)
    "---- 0111 0000 dddd 1111 mmmm 01x1 nnnn" => smusd(d, m, x, n)
    "---- 0111 0001 dddd 1111 mmmm 0001 nnnn" => sdiv(d, m, n)
    "---- 0111 0011 dddd 1111 mmmm 0001 nnnn" => udiv(d, m, n)
    "---- 0111 0100 hhhh llll mmmm 00x1 nnnn" => smlald(h, l, m, x, n)
    "---- 0111 0100 hhhh llll mmmm 01x1 nnnn" => smlsld(h, l, m, x, n)
    "---- 0111 0101 dddd aaaa mmmm 00r1 nnnn" => smmla(d, a, m, r, n)
    "---- 0111 0101 dddd 1111 mmmm 00r1 nnnn" => smmul(d, m, r, n)
    "---- 0111 0101 dddd aaaa mmmm 11r1 nnnn" => smmls(d, a, m, r, n)
    "---- 0111 1000 dddd aaaa mmmm 0001 nnnn" => usada8(d, a, m, n)
    "---- 0111 1000 dddd 1111 mmmm 0001 nnnn" => usad8(d, m, n)
}

insns! {
    /// A5.4.1 and A5.4.2: parallel addition and subtraction.
    PARALLEL: Tx;
    "---- 01100 001 nnnn dddd 1111 0001 mmmm" => sadd16(d, m, n)
    "---- 01100 001 nnnn dddd 1111 0011 mmmm" => sasx(d, m, n)
    "---- 01100 001 nnnn dddd 1111 0101 mmmm" => ssax(d, m, n)
    "---- 01100 001 nnnn dddd 1111 0111 mmmm" => ssub16(d, m, n)
    "---- 01100 001 nnnn dddd 1111 1001 mmmm" => sadd8(d, m, n)
    "---- 01100 001 nnnn dddd 1111 1111 mmmm" => ssub8(d, m, n)
    "---- 01100 010 nnnn dddd 1111 0001 mmmm" => qadd16(d, m, n)
    "---- 01100 010 nnnn dddd 1111 0011 mmmm" => qasx(d, m, n)
    "---- 01100 010 nnnn dddd 1111 0101 mmmm" => qsax(d, m, n)
    "---- 01100 010 nnnn dddd 1111 0111 mmmm" => qsub16(d, m, n)
    "---- 01100 010 nnnn dddd 1111 1001 mmmm" => qadd8(d, m, n)
    "---- 01100 010 nnnn dddd 1111 1111 mmmm" => qsub8(d, m, n)
    "---- 01100 011 nnnn dddd 1111 0001 mmmm" => shadd16(d, m, n)
    "---- 01100 011 nnnn dddd 1111 0011 mmmm" => shasx(d, m, n)
    "---- 01100 011 nnnn dddd 1111 0101 mmmm" => shsax(d, m, n)
    "---- 01100 011 nnnn dddd 1111 0111 mmmm" => shsub16(d, m, n)
    "---- 01100 011 nnnn dddd 1111 1001 mmmm" => shadd8(d, m, n)
    "---- 01100 011 nnnn dddd 1111 1111 mmmm" => shsub8(d, m, n)
    "---- 01100 101 nnnn dddd 1111 0001 mmmm" => uadd16(d, m, n)
    "---- 01100 101 nnnn dddd 1111 0011 mmmm" => uasx(d, m, n)
    "---- 01100 101 nnnn dddd 1111 0101 mmmm" => usax(d, m, n)
    "---- 01100 101 nnnn dddd 1111 0111 mmmm" => usub16(d, m, n)
    "---- 01100 101 nnnn dddd 1111 1001 mmmm" => uadd8(d, m, n)
    "---- 01100 101 nnnn dddd 1111 1111 mmmm" => usub8(d, m, n)
    "---- 01100 110 nnnn dddd 1111 0001 mmmm" => uqadd16(d, m, n)
    "---- 01100 110 nnnn dddd 1111 0011 mmmm" => uqasx(d, m, n)
    "---- 01100 110 nnnn dddd 1111 0101 mmmm" => uqsax(d, m, n)
    "---- 01100 110 nnnn dddd 1111 0111 mmmm" => uqsub16(d, m, n)
    "---- 01100 110 nnnn dddd 1111 1001 mmmm" => uqadd8(d, m, n)
    "---- 01100 110 nnnn dddd 1111 1111 mmmm" => uqsub8(d, m, n)
    "---- 01100 111 nnnn dddd 1111 0001 mmmm" => uhadd16(d, m, n)
    "---- 01100 111 nnnn dddd 1111 0011 mmmm" => uhasx(d, m, n)
    "---- 01100 111 nnnn dddd 1111 0101 mmmm" => uhsax(d, m, n)
    "---- 01100 111 nnnn dddd 1111 0111 mmmm" => uhsub16(d, m, n)
    "---- 01100 111 nnnn dddd 1111 1001 mmmm" => uhadd8(d, m, n)
    "---- 01100 111 nnnn dddd 1111 1111 mmmm" => uhsub8(d, m, n)
}

insns! {
    /// A5.4.3 and the rest of A5.4: packing, extension, saturation, reversal, bit fields.
    PACKING: Tx;
    "---- 01101000 nnnn dddd kkkkk 001 mmmm" => pkhbt(n, d, k, m)
    "---- 01101000 nnnn dddd kkkkk 101 mmmm" => pkhtb(n, d, k, m)
    "---- 01101000 nnnn dddd rr00 0111 mmmm" => sxtab16(n, d, r, m)
    "---- 01101000 1111 dddd rr00 0111 mmmm" => sxtb16(d, r, m)
    "---- 01101000 nnnn dddd 1111 1011 mmmm" => sel(d, m, n)
    "---- 0110101 iiiii dddd kkkkk h01 nnnn" => ssat(i, d, k, h, n)
    "---- 0110111 iiiii dddd kkkkk h01 nnnn" => usat(i, d, k, h, n)
    "---- 01101010 iiii dddd 1111 0011 nnnn" => ssat16(i, d, n)
    "---- 01101110 iiii dddd 1111 0011 nnnn" => usat16(i, d, n)
    "---- 01101010 nnnn dddd rr00 0111 mmmm" => sxtab(n, d, r, m)
    "---- 01101010 1111 dddd rr00 0111 mmmm" => sxtb(d, r, m)
    "---- 01101011 nnnn dddd rr00 0111 mmmm" => sxtah(n, d, r, m)
    "---- 01101011 1111 dddd rr00 0111 mmmm" => sxth(d, r, m)
    "---- 01101100 nnnn dddd rr00 0111 mmmm" => uxtab16(n, d, r, m)
    "---- 01101100 1111 dddd rr00 0111 mmmm" => uxtb16(d, r, m)
    "---- 01101110 nnnn dddd rr00 0111 mmmm" => uxtab(n, d, r, m)
    "---- 01101110 1111 dddd rr00 0111 mmmm" => uxtb(d, r, m)
    "---- 01101111 nnnn dddd rr00 0111 mmmm" => uxtah(n, d, r, m)
    "---- 01101111 1111 dddd rr00 0111 mmmm" => uxth(d, r, m)
    "---- 01101011 1111 dddd 1111 0011 mmmm" => rev(d, m)
    "---- 01101011 1111 dddd 1111 1011 mmmm" => rev16(d, m)
    "---- 01101111 1111 dddd 1111 0011 mmmm" => rbit(d, m)
    "---- 01101111 1111 dddd 1111 1011 mmmm" => revsh(d, m)
    "---- 0111110 eeeee dddd lllll 001 nnnn" => bfi(e, d, l, n)
    "---- 0111110 eeeee dddd lllll 001 1111" => bfc(e, d, l)
    "---- 0111101 wwwww dddd lllll 101 nnnn" => sbfx(w, d, l, n)
    "---- 0111111 wwwww dddd lllll 101 nnnn" => ubfx(w, d, l, n)
    "---- 01111111 ------------ 1111 ----" => udf()
}
