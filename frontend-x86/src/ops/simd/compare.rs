//! Comparison (SDM 1, 5.4.4, 5.10.9, 5.11.2): all ones where it holds, else zero.

use super::two;
use emu_ir::Lane;

two! {
    pcmpeqb |t, a, b| t.b.veq(Lane::I8, a, b);
    pcmpeqw |t, a, b| t.b.veq(Lane::I16, a, b);
    pcmpeqd |t, a, b| t.b.veq(Lane::I32, a, b);
    pcmpeqq |t, a, b| t.b.veq(Lane::I64, a, b);
    pcmpgtb |t, a, b| t.b.vgt_s(Lane::I8, a, b);
    pcmpgtw |t, a, b| t.b.vgt_s(Lane::I16, a, b);
    pcmpgtd |t, a, b| t.b.vgt_s(Lane::I32, a, b);
    pcmpgtq |t, a, b| t.b.vgt_s(Lane::I64, a, b);
}
