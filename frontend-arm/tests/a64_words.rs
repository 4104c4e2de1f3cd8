//! What instructions of data processing do where it is easily done wrong, by the manual's pseudocode, in both accelerators.
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod pages;
mod ram;

use emu_frontend_arm::a64::Cpu;
use pages::{PLAIN, STACK, WFI, benches};

const IOC: u32 = 1 << 0;
const IXC: u32 = 1 << 4;

/// Encodings that are reserved within those of an instruction (C4.1; DecodeBitMasks).
#[test]
fn what_is_reserved_is_undefined() {
    for word in [
        0x1240_0020, // AND W, N = 1
        0x9240_fc20, // AND X, a mask of ones
        0x5320_0020, // UBFM W, immr = 32
        0x5340_0020, // UBFM W, N = 1
        0x13a0_8020, // EXTR W, imms = 32
        0x8b22_7420, // ADD (extended), a shift of 5
        0x8b62_6020, // ADD (extended), opt = 1
    ] {
        for mut bench in benches(&[word]) {
            assert_eq!(bench.run(), Err((0x0200_0000, PLAIN.into(), 0)), "{word:#x}");
        }
    }
}

/// Register 31 is SP or zero, as each instruction has it; X1 is 0x123, X2 0x40, V0 what is loaded.
#[test]
fn register_31_is_the_stack_pointer_or_zero() {
    const SP: u64 = STACK as u64;
    const X1: u64 = 0x123;
    // words, X0, X1, SP
    let rows: [(&[u32], u64, u64, u64); 12] = [
        (&[0x8b21_73ff], 7, X1, SP + X1 * 16),           // ADD SP, SP, X1, UXTX #4
        (&[0x8b21_73ff, 0xcb21_73ff], 7, X1, SP),        // SUB SP, SP, X1, UXTX #4
        (&[0x9100_403f], 7, X1, X1 + 16),                // ADD SP, X1, #16
        (&[0xcb21_63e0], SP - X1, X1, SP),               // SUB X0, SP, X1
        (&[0xab21_63ff], 7, X1, SP),                     // ADDS XZR, SP, X1
        (&[0x8b01_03e0], X1, X1, SP),                    // ADD X0, XZR, X1
        (&[0x8b01_001f], 7, X1, SP),                     // ADD XZR, X0, X1
        (&[0x927c_0c3f], 7, X1, X1 & 0xf0),              // AND SP, X1, #0xf0
        (&[0xf27c_0c3f], 7, X1, SP),                     // ANDS XZR, X1, #0xf0
        (&[0xd53b_421f], 7, X1, SP),                     // MRS XZR, NZCV
        (&[0x9100_03e1, 0x4cdf_7020], 7, SP + 16, SP),   // MOV X1, SP; LD1 {V0.16B}, [X1], #16
        (&[0x9100_03e1, 0x4cc2_7020], 7, SP + 0x40, SP), // MOV X1, SP; LD1 {V0.16B}, [X1], X2
    ];
    for (words, x0, x1, sp) in rows {
        for mut bench in benches(&[words, &[WFI]].concat()) {
            let x = &mut bench.cpu().x;
            (x[0], x[1], x[2]) = (7, X1, 0x40);
            bench.run().unwrap();
            let x = bench.cpu().x;
            assert_eq!((x[0], x[1], x[31]), (x0, x1, sp), "{words:x?}");
        }
    }
}

/// NZCV by AddWithCarry and ConditionHolds: X0 and the flags after an instruction on X1 and X2.
#[test]
fn flags_are_those_of_the_pseudocode() {
    const MIN: u64 = 1 << 63;
    // word, X1, X2, NZCV before, X0, NZCV after
    let rows = [
        (0xfa02_0020, MIN, MIN - 1, 0x0, 0, 0x7),              // SBCS X0, X1, X2
        (0xfa02_0020, 0, 0, 0x2, 0, 0x6),                      // without borrow
        (0xfa02_0020, 0, u64::MAX, 0x0, 0, 0x4),               // 0 - -1 - 1
        (0xba02_0020, u64::MAX, u64::MAX, 0x2, u64::MAX, 0xa), // ADCS X0, X1, X2
        (0xba02_0020, MIN - 1, 0, 0x2, MIN, 0x9),
        (0xfa42_1025, 1, 1, 0x4, 7, 0x5),       // CCMP X1, X2, #5, NE: not so
        (0xfa42_1025, 1, 1, 0x0, 7, 0x6),       // so
        (0xfa42_f025, 1, 1, 0x4, 7, 0x6),       // CCMP, NV is always
        (0x9a82_f020, 1, 2, 0x4, 1, 0x4),       // CSEL X0, X1, X2, NV
        (0xea02_0020, MIN, MIN, 0xf, MIN, 0x8), // ANDS X0, X1, X2
        (0xea22_0020, MIN, MIN, 0xf, 0, 0x4),   // BICS X0, X1, X2
        (0x1e22_2020, 0, 0, 0x8, 7, 0x3),       // FCMP S1, S2: a NaN
    ];
    for (word, x1, x2, before, x0, after) in rows {
        for mut bench in benches(&[word, WFI]) {
            let cpu = bench.cpu();
            cpu.set_nzcv(before << 28);
            (cpu.x[0], cpu.x[1], cpu.x[2]) = (7, x1, x2);
            cpu.q[1] = [0x7fc0_0000, 0];
            bench.run().unwrap();
            let cpu = bench.cpu();
            assert_eq!(
                (cpu.x[0], cpu.nzcv() >> 28),
                (x0, after),
                "{word:#x} of {x1:#x} {x2:#x}"
            );
        }
    }
    // B.NV over MOV X0, #1.
    for mut bench in benches(&[0x5400_004f, 0xd280_0020, WFI]) {
        bench.cpu().x[0] = 7;
        bench.run().unwrap();
        assert_eq!(bench.cpu().x[0], 7);
    }
}

/// An abort behind it in its block saves the flags that an instruction has set.
#[test]
fn an_abort_saves_the_flags_of_what_ran_before() {
    for (word, nzcv) in [
        (0xeb02_003f, 0x8), // CMP X1, X2
        (0xab02_003f, 0x0), // CMN X1, X2
        (0xea1f_003f, 0x4), // TST X1, XZR
    ] {
        for mut bench in benches(&[word, 0xf940_0083, WFI]) {
            let cpu = bench.cpu();
            cpu.set_nzcv(0xf << 28);
            (cpu.x[1], cpu.x[2], cpu.x[4]) = (1, 2, 0x1000);
            assert!(bench.run().is_err(), "LDR X3, [X4]");
            assert_eq!(bench.cpu().sys.spsr >> 28, nzcv, "{word:#x}");
        }
    }
}

/// FPMulAdd: the addend's NaN is the first, and what an instruction negates is an operand, so that its NaN's sign turns. S0 to S3
/// are the operands, S3 the addend, but for FMLS, whose addend is V0.
#[test]
fn fused_operations_take_the_first_nan_and_negate_operands() {
    const ONE: u32 = 0x3f80_0000;
    let [q1, q2, q3] = [1, 2, 3].map(|n| 0x7fc0_0000 + n);
    const MINUS: u32 = 1 << 31;
    const SIGNALLING: u32 = 0x7f80_0009;
    let [fmadd, fmsub, fnmadd, fnmsub, fmls] = [0x1f02_0c20, 0x1f02_8c20, 0x1f22_0c20, 0x1f22_8c20, 0x0ea2_cc20];
    // word, addend, first and second factor, the result
    let rows = [
        (fmadd, q1, q2, q3, q1),
        (fmadd, ONE, q2, q3, q2),
        (fmadd, ONE, ONE, q3, q3),
        (fmadd, q1, q2, SIGNALLING, SIGNALLING | 1 << 22),
        (fmsub, ONE, q2, ONE, q2 | MINUS),
        (fmsub, ONE, ONE, q3, q3),
        (fnmadd, q1, ONE, ONE, q1 | MINUS),
        (fnmadd, ONE, q2, ONE, q2 | MINUS),
        (fnmadd, ONE, ONE, q3, q3),
        (fnmsub, q1, ONE, ONE, q1 | MINUS),
        (fnmsub, ONE, q2, ONE, q2),
        (fmls, q1, q2, q3, q1),
        (fmls, ONE, q2, ONE, q2 | MINUS),
        (fmls, ONE, ONE, q3, q3),
    ];
    for (word, addend, first, second, result) in rows {
        for mut bench in benches(&[word, WFI]) {
            let q = &mut bench.cpu().q;
            for (n, value) in [addend, first, second, addend].into_iter().enumerate() {
                q[n] = [value.into(), 0];
            }
            bench.run().unwrap();
            let got = bench.cpu().q[0][0] as u32;
            assert_eq!(got, result, "{word:#x}: {addend:#x} {first:#x} {second:#x}: {got:#x}");
        }
    }
}

/// FPToFixed, as the manual has it: the integer and the flags.
fn to_fixed(value: f64, rounded: f64, (least, most): (i128, i128)) -> (i128, u32) {
    if value.is_nan() {
        return (0, IOC);
    }
    let exact = rounded as i128;
    let result = exact.clamp(least, most);
    match () {
        () if result != exact => (result, IOC),
        () if rounded != value => (result, IXC),
        () => (result, 0),
    }
}

/// FCVTNS and its like: saturated to the register, which is zero above W; NaN is 0; one exception at most.
#[test]
fn numbers_become_the_nearest_integers_there_are() {
    /// rmode and opcode, and how it rounds.
    type Form = (u32, fn(f64) -> f64);
    let forms: [Form; 5] = [
        (0 << 19, f64::round_ties_even),
        (4 << 16, f64::round),
        (1 << 19, f64::ceil),
        (2 << 19, f64::floor),
        (3 << 19, f64::trunc),
    ];
    let p = |n: i32| 2f64.powi(n);
    let values = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
        0.5,
        -0.5,
        1.5,
        2.5,
        -1.5,
        -1.0,
        -0.25,
        1e-40,
        -1e-40,
        1e30,
        -1e30,
        p(31),
        p(31) - 1.0,
        p(31) - 0.5,
        p(32),
        p(32) - 1.0,
        p(63),
        p(64),
        -p(31),
        -p(31) - 1.0,
        -p(31) - 0.5,
        -p(63),
        -p(63) - 2048.0,
        p(63) - 1024.0,
        p(64) - 2048.0,
    ];
    for (form, round) in forms {
        for (wide, unsigned, double) in [0, 1, 2, 3, 4, 5, 6, 7].map(|n: u32| (n & 1, n >> 1 & 1, n >> 2)) {
            let word = 0x1e20_0020 | wide << 31 | double << 22 | form | unsigned << 16;
            let bits = 32 + 32 * wide;
            let limits = match unsigned {
                0 => (-1i128 << (bits - 1), (1i128 << (bits - 1)) - 1),
                _ => (0, (1i128 << bits) - 1),
            };
            for mut bench in benches(&[word, WFI]) {
                let start: Cpu = *bench.cpu();
                for value in values {
                    let (held, value) = match double {
                        0 => (u64::from((value as f32).to_bits()), f64::from(value as f32)),
                        _ => (value.to_bits(), value),
                    };
                    *bench.cpu() = start;
                    bench.cpu().q[1] = [held, 0];
                    bench.run().unwrap();
                    let (integer, flags) = to_fixed(value, round(value), limits);
                    let want = integer as u64 & u64::MAX >> (64 - bits);
                    let got = (bench.cpu().x[0], bench.cpu().fpsr());
                    assert_eq!(got, (want, flags), "{word:#x} of {value:e}");
                }
            }
        }
    }
}
