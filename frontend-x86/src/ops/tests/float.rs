//! Floating point of SSE and AVX: what SDM 1 (4.8, 4.9, 10.2.3, 11.5) and SDM 2 say of NaNs, zeros, denormals and exceptions.

use super::run;
use super::simd::avx;
use super::user::{CODE, DATA, User};
use crate::fault::vector;
use crate::state::bits::{cr0, cr4};
use emu_ir::{FP_DENORMAL, FP_DIVZERO, FP_INEXACT, FP_INVALID, FP_OVERFLOW, FP_UNDERFLOW};

const MASKED: u32 = 0x1f80;
const DAZ: u32 = 1 << 6;
const FTZ: u32 = 1 << 15;
const ONE: u32 = 0x3f80_0000;
const TWO: u32 = 0x4000_0000;
const INFINITY: u32 = 0x7f80_0000;
const NAN: u32 = 0xffc0_0000;

/// XMM0, XMM1 and XMM2 with these singles, and MXCSR.
fn with(xmm: [[u32; 4]; 3], mxcsr: u32) -> impl Fn(&mut User) {
    move |user| {
        avx(user);
        user.cpu.sys.cr4 |= cr4::OSXMMEXCPT;
        user.cpu.set_mxcsr(mxcsr);
        for (to, from) in user.cpu.ymm.iter_mut().zip(xmm) {
            let [a, b, c, d] = from.map(u64::from);
            *to = [a | b << 32, c | d << 32, 5, 6];
        }
    }
}
/// XMM0 and MXCSR's flags after an instruction on the lowest singles of XMM0 and XMM1.
fn scalar(code: &[u8], a: u32, b: u32, mxcsr: u32) -> (u32, u32) {
    let user = run(code, with([[a, 7, 8, 9], [b, 0, 0, 0], [0; 4]], mxcsr));
    let [low, high, ..] = user.cpu.ymm[0];
    assert_eq!((low >> 32, high), (7, 9 << 32 | 8), "what is above it stays");
    (low as u32, user.cpu.mxcsr() & 0x3f)
}
/// The singles of XMM0 after an instruction.
fn packed(code: &[u8], xmm: [[u32; 4]; 3]) -> ([u32; 4], u32) {
    let user = run(code, with(xmm, MASKED));
    let [low, high, ..] = user.cpu.ymm[0];
    let singles = [low, low >> 32, high, high >> 32].map(|v| v as u32);
    (singles, user.cpu.mxcsr() & 0x3f)
}
fn single(f: f32) -> u32 {
    f.to_bits()
}

const ADDSS: [u8; 4] = [0xf3, 0x0f, 0x58, 0xc1];
const MULSS: [u8; 4] = [0xf3, 0x0f, 0x59, 0xc1];
const SUBSS: [u8; 4] = [0xf3, 0x0f, 0x5c, 0xc1];
const MINSS: [u8; 4] = [0xf3, 0x0f, 0x5d, 0xc1];
const DIVSS: [u8; 4] = [0xf3, 0x0f, 0x5e, 0xc1];

#[test]
fn nans_are_the_first_operands_and_the_default_one_is_negative() {
    assert_eq!(
        scalar(&ADDSS, 0x7fa0_0001, 0xffc0_0002, MASKED),
        (0x7fe0_0001, FP_INVALID)
    );
    assert_eq!(
        scalar(&ADDSS, 0xffc0_0002, 0x7fa0_0001, MASKED),
        (0xffc0_0002, FP_INVALID)
    );
    assert_eq!(scalar(&SUBSS, INFINITY, INFINITY, MASKED), (NAN, FP_INVALID));
    assert_eq!(scalar(&MINSS, ONE, 0x7fa0_0001, MASKED), (0x7fa0_0001, FP_INVALID));
    assert_eq!(scalar(&MINSS, 0, 1 << 31, MASKED), (1 << 31, 0));
}

#[test]
fn denormals_are_told_of_or_zeros_and_tiny_results_flushed() {
    assert_eq!(scalar(&MULSS, 1, ONE, MASKED), (1, FP_DENORMAL));
    assert_eq!(scalar(&MULSS, 1, ONE, MASKED | DAZ), (0, 0));
    let (least, half) = (0x0080_0000, single(0.5));
    assert_eq!(scalar(&MULSS, least, half, MASKED), (0x0040_0000, 0));
    assert_eq!(
        scalar(&MULSS, least, half, MASKED | FTZ),
        (0, FP_UNDERFLOW | FP_INEXACT)
    );
    // Nearest to a normal number is not tiny: judged after rounding.
    assert_eq!(scalar(&MULSS, 0x0080_0001, 0x3f7f_fffe, MASKED), (least, FP_INEXACT));
}

#[test]
fn conversions_that_do_not_fit_give_integer_indefinite() {
    // CVTTSS2SI EAX, XMM1; CVTSS2SI RAX, XMM1; CVTPS2DQ XMM0, XMM1.
    let of = |code: &[u8], b: u32| {
        let user = run(code, with([[0; 4], [b; 4], [0; 4]], MASKED));
        (user.cpu.regs[0], user.cpu.ymm[0][0], user.cpu.mxcsr() & 0x3f)
    };
    let big = single(4294967296.0);
    assert_eq!(of(&[0xf3, 0x0f, 0x2c, 0xc1], big), (0x8000_0000, 0, FP_INVALID));
    assert_eq!(of(&[0xf3, 0x48, 0x0f, 0x2d, 0xc1], big), (1 << 32, 0, 0));
    assert_eq!(of(&[0xf3, 0x48, 0x0f, 0x2d, 0xc1], NAN), (1 << 63, 0, FP_INVALID));
    assert_eq!(of(&[0x66, 0x0f, 0x5b, 0xc1], big).1, 0x8000_0000_8000_0000);
    assert_eq!(
        of(&[0x66, 0x0f, 0x5b, 0xc1], single(2.5)),
        (0, 0x0000_0002_0000_0002, FP_INEXACT)
    );
    assert_eq!(of(&[0xf3, 0x0f, 0x2d, 0xc1], 1).2, FP_INEXACT, "no word of denormals");
}

#[test]
fn conversions_change_the_width_of_lanes() {
    let of = |code: &[u8], low: u64, high: u64| {
        let user = run(code, move |user| {
            with([[9; 4]; 3], MASKED)(user);
            user.cpu.ymm[1] = [low, high, 3, 4];
        });
        user.cpu.ymm[0]
    };
    let (one, two) = (f64::to_bits(1.0), f64::to_bits(-2.0));
    let singles = u64::from(single(1.0)) | u64::from(single(-2.0)) << 32;
    let ints = 1 | 0xffff_fffe << 32;
    assert_eq!(of(&[0x0f, 0x5a, 0xc1], singles, 0), [one, two, 5, 6]);
    assert_eq!(of(&[0x66, 0x0f, 0x5a, 0xc1], one, two)[..2], [singles, 0]);
    assert_eq!(of(&[0xf3, 0x0f, 0xe6, 0xc1], ints, 0)[..2], [one, two]);
    assert_eq!(of(&[0xf2, 0x0f, 0xe6, 0xc1], one, two)[..2], [ints, 0]);
    // VCVTPS2PD YMM0, XMM1 and VCVTPD2DQ XMM0, YMM1.
    assert_eq!(of(&[0xc5, 0xfc, 0x5a, 0xc1], singles, singles), [one, two, one, two]);
    assert_eq!(of(&[0xc5, 0xff, 0xe6, 0xc1], one, two), [ints, 0, 0, 0]);
    // VCVTPH2PS XMM0, XMM1 and VCVTPS2PH XMM0, XMM1, 0.
    assert_eq!(of(&[0xc4, 0xe2, 0x79, 0x13, 0xc1], 0xc000_3c00, 0), [singles, 0, 0, 0]);
    assert_eq!(of(&[0xc4, 0xe3, 0x79, 0x1d, 0xc8, 0], 1, 2)[..2], [0, 0]);
}

#[test]
fn comparisons_follow_their_predicate() {
    let (less, equal, greater, nan) = ([ONE, TWO], [ONE, ONE], [TWO, ONE], [NAN, ONE]);
    let pairs = [less, equal, greater, nan];
    let [a, b] = [0, 1].map(|k| pairs.map(|pair| pair[k]));
    // VCMPPS XMM0, XMM1, XMM2, imm8: less, equal, greater, unordered; SDM 2, table 3-1.
    let holds = [
        "0100", "1000", "1100", "0001", "1011", "0111", "0011", "1110", "0101", "1001", "1101", "0000", "1010", "0110",
        "0010", "1111",
    ];
    for imm in 0..32 {
        let (found, flags) = packed(&[0xc5, 0xf0, 0xc2, 0xc2, imm], [[0; 4], a, b]);

        let signals = [1, 2, 5, 6, 9, 10, 13, 14].contains(&(imm & 15)) != (imm >= 16);
        let want = holds[usize::from(imm & 15)]
            .bytes()
            .map(|c| if c == b'1' { !0 } else { 0 });
        assert_eq!(found.to_vec(), want.collect::<Vec<u32>>(), "{imm}");
        assert_eq!(flags, if signals { FP_INVALID } else { 0 }, "{imm}");
    }
    // CMPSS XMM0, XMM1, 1.
    assert_eq!(scalar(&[0xf3, 0x0f, 0xc2, 0xc1, 1], ONE, TWO, MASKED), (!0, 0));
}

#[test]
fn ordered_comparisons_set_the_status_flags() {
    use crate::state::bits::eflags::{CF, OF, PF, STATUS, ZF};
    for (a, b, want) in [(ONE, TWO, CF), (ONE, ONE, ZF), (TWO, ONE, 0), (NAN, ONE, ZF | PF | CF)] {
        for (code, invalid) in [([0x0f, 0x2e, 0xc1], 0), ([0x0f, 0x2f, 0xc1], FP_INVALID)] {
            let user = run(&code, |user| {
                with([[a; 4], [b; 4], [0; 4]], MASKED)(user);
                user.cpu.set_eflags(OF);
            });

            assert_eq!(user.cpu.eflags() & STATUS, want);
            let flags = user.cpu.mxcsr() & 0x3f;
            assert_eq!(flags, if a == NAN { invalid } else { 0 });
        }
    }
}

#[test]
fn fused_operations_negate_all_but_nans() {
    let of = |opcode: u8, a: u32, b: u32, c: u32| {
        let user = run(
            &[0xc4, 0xe2, 0x71, opcode, 0xc2],
            with([[a, 1, 1, 1], [b; 4], [c; 4]], MASKED),
        );
        user.cpu.ymm[0][0] as u32
    };
    let [a, b, c] = [2.0, 3.0, 5.0].map(single);
    // VFMADD132SS, 213, 231; VFMSUB231SS, VFNMADD, VFNMSUB XMM0, XMM1, XMM2.
    assert_eq!(
        [0x99, 0xa9, 0xb9].map(|op| of(op, a, b, c)),
        [13.0, 11.0, 17.0].map(single)
    );
    assert_eq!(
        [0xbb, 0xbd, 0xbf].map(|op| of(op, a, b, c)),
        [13.0, -13.0, -17.0].map(single)
    );
    let (n1, n2, n3) = (0x7fc0_0001, 0x7fc0_0002, 0x7fc0_0003);
    assert_eq!([0x9f, 0xaf, 0xbf].map(|op| of(op, n1, n2, n3)), [n1, n2, n2]);
    assert_eq!(of(0xbb, n1, b, c), n1);
}

#[test]
fn lanes_alternate_and_join() {
    let [a, b] = [[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]].map(|v| v.map(single));
    let of = |code: &[u8]| packed(code, [a, b, a]).0.map(f32::from_bits);

    assert_eq!(of(&[0xf2, 0x0f, 0xd0, 0xc1]), [-9.0, 22.0, -27.0, 44.0]); // ADDSUBPS
    assert_eq!(of(&[0xf2, 0x0f, 0x7c, 0xc1]), [3.0, 7.0, 30.0, 70.0]); // HADDPS
    assert_eq!(of(&[0xf2, 0x0f, 0x7d, 0xc1]), [-1.0, -1.0, -10.0, -10.0]); // HSUBPS
    assert_eq!(of(&[0x66, 0x0f, 0x3a, 0x40, 0xc1, 0x35]), [50.0, 0.0, 50.0, 0.0]); // DPPS, 1 * 10 + 2 * 20
    assert_eq!(of(&[0xc4, 0xe2, 0x71, 0xb6, 0xc2]), [9.0, 42.0, 87.0, 164.0]); // VFMADDSUB231PS
}

#[test]
fn rounding_to_integers_is_as_the_instruction_says() {
    // ROUNDSS XMM0, XMM1, imm8: 4 is MXCSR's rounding, 8 does not tell that it is inexact.
    let round = |imm| scalar(&[0x66, 0x0f, 0x3a, 0x0a, 0xc1, imm], 0, single(2.5), MASKED | 2 << 13);
    let want = [(2.0, true), (2.0, true), (3.0, true), (2.0, true), (3.0, true)];
    for (imm, (value, inexact)) in (0..).zip(want) {
        assert_eq!(round(imm), (single(value), if inexact { FP_INEXACT } else { 0 }));
        assert_eq!(round(imm | 8), (single(value), 0));
    }
}

#[test]
fn vectors_of_256_bits_are_of_both_halves() {
    // VADDPS YMM0, YMM1, YMM2; VADDPS XMM0, XMM1, XMM2.
    let of = |code: &[u8]| {
        let user = run(code, |user| {
            avx(user);
            let both = u64::from(ONE) << 32 | u64::from(ONE);
            user.cpu.ymm[..3].copy_from_slice(&[[7; 4], [both; 4], [both; 4]]);
        });
        user.cpu.ymm[0]
    };
    let two = u64::from(TWO) << 32 | u64::from(TWO);
    assert_eq!(of(&[0xc5, 0xf4, 0x58, 0xc2]), [two; 4]);
    assert_eq!(of(&[0xc5, 0xf0, 0x58, 0xc2]), [two, two, 0, 0]);
}

#[test]
fn an_exception_that_is_not_masked_leaves_the_destination() {
    let raised = |code: &[u8], a: u32, b: u32, mxcsr: u32| {
        let user = run(code, with([[a; 4], [b; 4], [0; 4]], mxcsr));
        let stopped = user.cpu.pc == CODE;
        assert_eq!(stopped, user.fault().0 == vector::XM);
        let same = user.cpu.ymm[0][0] as u32 == a;
        (stopped, same, user.cpu.mxcsr() & 0x3f)
    };
    let unmasked = |flags: u32| MASKED & !(flags << 7);
    assert_eq!(raised(&DIVSS, ONE, 0, unmasked(FP_DIVZERO)), (true, true, FP_DIVZERO));
    assert_eq!(raised(&DIVSS, ONE, TWO, unmasked(FP_DIVZERO)), (false, false, 0));
    // Not masked, a tiny result is told of though it is exact.
    let (least, half) = (0x0080_0000, single(0.5));
    assert_eq!(
        raised(&MULSS, least, half, unmasked(FP_UNDERFLOW)),
        (true, true, FP_UNDERFLOW)
    );
    assert_eq!(raised(&MULSS, least, half, unmasked(FP_INVALID)), (false, false, 0));
    // What is found before computing is told of alone.
    let divps = [0x0f, 0x5e, 0xc1];
    let user = run(
        &divps,
        with(
            [[ONE, ONE, 0, 0], [0, 0x4040_0000, ONE, ONE], [0; 4]],
            unmasked(FP_DIVZERO),
        ),
    );
    assert_eq!((user.fault().0, user.cpu.mxcsr() & 0x3f), (vector::XM, FP_DIVZERO));
    assert_eq!(
        raised(&MULSS, 0x7f7f_ffff, TWO, unmasked(FP_OVERFLOW)),
        (true, true, FP_OVERFLOW)
    );
}

#[test]
fn an_operating_system_that_takes_no_exceptions_has_undefined_opcodes() {
    let user = run(&DIVSS, |user| {
        with([[ONE; 4], [0; 4], [0; 4]], MASKED & !(FP_DIVZERO << 7))(user);
        user.cpu.sys.cr4 &= !cr4::OSXMMEXCPT;
    });

    assert_eq!((user.fault().0, user.cpu.pc), (vector::UD, CODE));
}

#[test]
fn mxcsr_is_loaded_and_counts_from_the_next_instruction_on() {
    // LDMXCSR [RDI]; MULSS XMM0, XMM1; STMXCSR [RDI+8].
    let code = [&[0x0f, 0xae, 0x17][..], &MULSS, &[0x0f, 0xae, 0x5f, 8]].concat();
    let with_mxcsr = |mxcsr: u64| {
        run(&code, move |user| {
            with([[1; 4], [ONE; 4], [0; 4]], MASKED)(user);
            user.put(DATA, mxcsr);
            user.put(DATA + 8, 0);
        })
    };

    let daz = with_mxcsr(0x1fc0);
    let plain = with_mxcsr(0x1f81);
    let reserved = with_mxcsr(0x1_1f80);

    assert_eq!((daz.cpu.ymm[0][0] as u32, daz.get(DATA + 8)), (0, 0x1fc0));
    assert_eq!((plain.cpu.ymm[0][0] as u32, plain.get(DATA + 8)), (1, 0x1f83));
    assert_eq!((reserved.fault().0, reserved.cpu.pc), (vector::GP, CODE));
}

#[test]
fn estimates_are_as_near_as_the_manual_says() {
    let of = |code: &[u8], b: [u32; 4]| packed(code, [[0; 4], b, [0; 4]]);
    let (rcpps, rsqrtps) = ([0x0f, 0x53, 0xc1], [0x0f, 0x52, 0xc1]);

    let numbers = [3.0, 0.7, -10.0, 1e30].map(single);
    let (found, flags) = of(&rcpps, numbers);
    for (found, x) in found.into_iter().zip(numbers) {
        let product = f64::from(f32::from_bits(found)) * f64::from(f32::from_bits(x));
        assert!((product - 1.0).abs() < 1.5 / 4096.0, "{product}");
    }
    assert_eq!(flags, 0);
    let hard = [1, 1 << 31, 0x7fa0_0001, INFINITY];
    assert_eq!(of(&rcpps, hard), ([INFINITY, 0xff80_0000, 0x7fe0_0001, 0], 0));
    assert_eq!(
        of(&rsqrtps, [single(-1.0), single(4.0), 1 << 31, INFINITY]).0,
        [NAN, single(0.5), 0xff80_0000, 0]
    );
}

/// SDM 3, table 2-2: they have no vector operands, and are of SSE all the same.
#[test]
fn mxcsr_is_not_there_without_sse() {
    for code in [[0x0f, 0xae, 0x17], [0x0f, 0xae, 0x1f]] {
        let with_cr = |cr0: u64, cr4: u64| {
            let user = run(&code, move |user| {
                avx(user);
                user.put(DATA, MASKED.into());
                user.cpu.sys.cr0 |= cr0;
                user.cpu.sys.cr4 &= !cr4;
                user.cpu.settle();
            });
            (user.fault().0, user.cpu.pc == CODE)
        };
        assert_eq!(with_cr(cr0::TS, 0), (vector::NM, true));
        assert_eq!(with_cr(cr0::EM, 0), (vector::UD, true));
        assert_eq!(with_cr(0, cr4::OSFXSR), (vector::UD, true));
        assert_eq!(with_cr(0, 0), (vector::UD, false));
    }
}
