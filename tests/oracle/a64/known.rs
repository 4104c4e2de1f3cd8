//! Answers that follow from the manual alone, of operands where hosts differ from it (Arm ARM DDI 0487, shared pseudocode).

use super::machine::Machine;
use super::record::{CODE, CODE_WORDS, Record, UDF};
use bytemuck::Zeroable;
use emu_jit::engine::Accel;

const IOC: u32 = 1 << 0;
const UFC: u32 = 1 << 3;
const IXC: u32 = 1 << 4;
const QC: u32 = 1 << 27;
const FZ: u32 = 1 << 24;
const DN: u32 = 1 << 25;

/// A word in every lane of a vector.
const fn words(w: u32) -> u128 {
    w as u128 * 0x1_0000_0001_0000_0001_0000_0001
}
const fn bytes(b: u8) -> u128 {
    b as u128 * 0x0101_0101_0101_0101_0101_0101_0101_0101
}
const fn pair(low: u64, high: u64) -> u128 {
    low as u128 | (high as u128) << 64
}

/// An instruction on V0 to V2, FPCR, and what V0 and FPSR are then.
type Case = (&'static str, u32, [u128; 3], u32, u128, u32);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Tininess is judged before rounding: FPRound.
    ("fmul s0, s1, s2", 0x1e22_0820, [words(7), words(0x2000_0001), words(0x1fff_fffe)], 0, 0x0080_0000, UFC | IXC),
    ("fmul s0, s1, s2", 0x1e22_0820, [words(7), words(0x2000_0001), words(0x1fff_fffe)], FZ, 0, UFC),
    ("fmul v0.4s, v1.4s, v2.4s", 0x6e22_dc20, [0, words(0x2000_0001), words(0x1fff_fffe)], 0, words(0x0080_0000), UFC | IXC),
    ("fmul v0.4s, v1.4s, v2.4s", 0x6e22_dc20, [0, words(0x2000_0001), words(0x1fff_fffe)], FZ, 0, UFC),
    // The first signalling NaN, else the first quiet one: FPProcessNaNs.
    ("fadd s0, s1, s2", 0x1e22_2820, [words(7), words(0x7fc0_0001), words(0x7f80_0002)], 0, 0x7fc0_0002, IOC),
    ("fadd v0.4s, v1.4s, v2.4s", 0x4e22_d420, [0, words(0x7fc0_0001), words(0x7f80_0002)], 0, words(0x7fc0_0002), IOC),
    ("fadd v0.4s, v1.4s, v2.4s", 0x4e22_d420, [0, words(0x7fc0_0001), words(0x7f80_0002)], DN, words(0x7fc0_0000), IOC),
    // Infinity times zero beside a quiet NaN: FPMulAdd.
    ("fmadd s0, s1, s2, s0", 0x1f02_0020, [words(0x7fc0_0123), words(0x7f80_0000), 0], 0, 0x7fc0_0000, IOC),
    ("fmla v0.4s, v1.4s, v2.4s", 0x4e22_cc20, [words(0x7fc0_0123), words(0x7f80_0000), 0], 0, words(0x7fc0_0000), IOC),
    // Zeros, and NaNs beside numbers: FPMax, FPMinNum.
    ("fmax v0.4s, v1.4s, v2.4s", 0x4e22_f420, [0, words(0x8000_0000), 0], 0, 0, 0),
    ("fmax v0.4s, v1.4s, v2.4s", 0x4e22_f420, [words(9), 0, words(0x8000_0000)], 0, 0, 0),
    ("fminnm v0.4s, v1.4s, v2.4s", 0x4ea2_c420, [0, words(0x7fc0_0000), words(0x3f80_0000)], 0, words(0x3f80_0000), 0),
    ("fminnm v0.4s, v1.4s, v2.4s", 0x4ea2_c420, [0, words(0x7f80_0001), words(0x3f80_0000)], 0, words(0x7fc0_0001), IOC),
    ("fmulx v0.4s, v1.4s, v2.4s", 0x4e22_dc20, [0, words(0xff80_0000), 0], 0, words(0xc000_0000), 0),
    // Saturation, and which exception it is: FPToFixed.
    ("fcvtzu v0.4s, v1.4s", 0x6ea1_b820, [0, words(0xbf00_0000), 0], 0, 0, IXC),
    ("fcvtzu v0.4s, v1.4s", 0x6ea1_b820, [0, words(0xbf80_0000), 0], 0, 0, IOC),
    ("fcvtzs v0.2d, v1.2d", 0x4ee1_b820, [0, pair(0x43e0 << 48, 0x7ff8 << 48), 0], 0, pair(i64::MAX as u64, 0), IOC),
    ("frintx v0.4s, v1.4s", 0x6e21_9820, [0, words(0xbe99_999a), 0], 0, words(0x8000_0000), IXC),
    ("frintz v0.4s, v1.4s", 0x4ea1_9820, [0, words(0xbe99_999a), 0], 0, words(0x8000_0000), 0),
    // Estimates and steps: FPRecipEstimate, FPRSqrtEstimate, FPRecipStepFused, FPRSqrtStepFused.
    ("frecpe v0.4s, v1.4s", 0x4ea1_d820, [0, words(0x3f80_0000), 0], 0, words(0x3f7f_8000), 0),
    ("frecpe v0.4s, v1.4s", 0x4ea1_d820, [0, words(0x3fc0_0000), 0], 0, words(0x3f2a_8000), 0),
    ("frsqrte v0.4s, v1.4s", 0x6ea1_d820, [0, words(0x3f80_0000), 0], 0, words(0x3f7f_8000), 0),
    ("frsqrte v0.4s, v1.4s", 0x6ea1_d820, [0, words(0x4000_0000), 0], 0, words(0x3f34_8000), 0),
    ("frecps v0.4s, v1.4s, v2.4s", 0x4e22_fc20, [0, 0, words(0x7f80_0000)], 0, words(0x4000_0000), 0),
    ("frsqrts v0.4s, v1.4s, v2.4s", 0x4ea2_fc20, [0, 0, words(0x7f80_0000)], 0, words(0x3fc0_0000), 0),
    // Indices past the table, whose registers go on from V31 to V0.
    ("tbl v0.16b, {v1.16b}, v2.16b", 0x4e02_0020, [words(1), words(0x3333_3377), bytes(0x10)], 0, 0, 0),
    ("tbx v0.16b, {v1.16b}, v2.16b", 0x4e02_1020, [words(1), words(0x3333_3377), bytes(0x10)], 0, words(1), 0),
    ("tbl v0.16b, {v31.16b, v0.16b}, v2.16b", 0x4e02_23e0, [bytes(0x5a), 0, bytes(0x1f)], 0, bytes(0x5a), 0),
    // Counts are signed bytes.
    ("ushl v0.2d, v1.2d, v2.2d", 0x6ee2_4420, [0, pair(6, 6), pair(64, 0x1ff)], 0, pair(0, 3), 0),
    ("ushl v0.2d, v1.2d, v2.2d", 0x6ee2_4420, [0, pair(6, 6), pair(0xc0, 1)], 0, pair(0, 12), 0),
    ("sqdmulh v0.8h, v1.8h, v2.8h", 0x4e62_b420, [0, words(0x8000), words(0x8000)], 0, words(0x7fff), QC),
    // The high halves, the key first, a source that is overwritten, and the rest of a register.
    ("pmull2 v0.1q, v1.2d, v2.2d", 0x4ee2_e020, [0, pair(0, 3), pair(0, 3)], 0, 5, 0),
    ("aese v0.16b, v1.16b", 0x4e28_4820, [bytes(0x52), bytes(0x52), 0], 0, bytes(0x63), 0),
    ("zip1 v0.4s, v0.4s, v1.4s", 0x4e81_3800, [4 << 96 | 3 << 64 | 2 << 32 | 1, words(9), 0], 0, 9 << 96 | 2 << 64 | 9 << 32 | 1, 0),
    ("fadd d0, d1, d2", 0x1e62_2820, [words(7), words(0), words(0)], 0, 0, 0),
    ("sqadd b0, b1, b2", 0x5e22_0c20, [words(7), bytes(0x7f), bytes(0x7f)], 0, 0x7f, QC),
];

#[test]
fn operands_where_hosts_differ_give_the_manuals_answers() {
    let accelerators = [Accel::Interp, Accel::Jit].map(|accel| (accel, Machine::new(accel)));
    for (accel, mut machine) in accelerators.into_iter().filter_map(|(accel, m)| Some((accel, m?))) {
        for &(text, word, operands, fpcr, result, fpsr) in CASES {
            let mut code = [UDF; CODE_WORDS];
            code[0] = word;
            let mut before = Record {
                code,
                word,
                fpcr,
                pc: CODE + 0x1000,
                ..Record::zeroed()
            };
            for (v, operand) in before.v.iter_mut().zip(operands) {
                *v = [operand as u64, (operand >> 64) as u64];
            }

            let after = machine.run(&before);

            let got = pair(after.v[0][0], after.v[0][1]);
            assert_eq!(got, result, "{accel:?}: {text} of {operands:#x?}: {got:#x}");
            assert_eq!(after.fpsr, fpsr, "{accel:?}: {text} of {operands:#x?}: FPSR");
        }
    }
}
