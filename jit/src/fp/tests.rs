//! Against the host's own floating point, which rounds to nearest, and known values.

use super::*;
use crate::cases::{Random, hard_float};
use emu_ir::FP_DIVZERO;

const S: Format = Format::Single;
const D: Format = Format::Double;
const NEAREST: Env = Env {
    round: Round::Nearest,
    flush: false,
    default_nan: true,
    flag: false,
    x86: None,
};

fn operands(ty: Ty) -> Vec<u64> {
    let mut all = hard_float(ty);
    let mut random = Random::new(ty.bits() as u64);
    let f = Format::of(ty);
    for n in 0..120 {
        let bits = random.next() & (f.sign_bit() | (f.sign_bit() - 1));
        // Every other one with an exponent near that of 1.
        let near = (f.top() as u64 / 2 + random.below(9) - 4) << f.frac();
        all.push(if n % 2 == 0 {
            bits
        } else {
            bits & !((f.top() as u64) << f.frac()) | near
        });
    }
    all
}

/// The host's result, its NaN replaced by the default one.
fn single(x: f32) -> u64 {
    if x.is_nan() {
        S.default_nan()
    } else {
        x.to_bits() as u64
    }
}

fn double(x: f64) -> u64 {
    if x.is_nan() { D.default_nan() } else { x.to_bits() }
}

/// The integral numbers beside one.
fn integrals(x: f64) -> [(Round, f64); 5] {
    [
        (Round::Nearest, x.round_ties_even()),
        (Round::Down, x.floor()),
        (Round::Up, x.ceil()),
        (Round::Zero, x.trunc()),
        (Round::Away, x.round()),
    ]
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn singles_agree_with_the_host() {
    let all = operands(Ty::F32);
    for &a in &all {
        let x = f32::from_bits(a as u32);
        assert_eq!(sqrt(S, a, NEAREST).0, single(x.sqrt()), "sqrt {a:#x}");
        assert_eq!(convert(S, D, a, NEAREST).0, double(x as f64), "to double {a:#x}");
        for (round, integral) in integrals(x.into()) {
            let env = Env { round, ..NEAREST };
            let (bits, flags) = round_to_integral(S, a, Env { flag: true, ..env });
            assert_eq!(bits, single(integral as f32), "{round:?} {a:#x}");
            assert_eq!(
                flags & FP_INEXACT != 0,
                f64::from(x) != integral && !x.is_nan(),
                "{a:#x}"
            );
        }
        let zero = Env {
            round: Round::Zero,
            ..NEAREST
        };
        assert_eq!(to_signed(S, a, 32, 0, zero).0, x as i32 as u32 as u64, "to i32 {a:#x}");
        assert_eq!(to_unsigned(S, a, 64, 0, zero).0, x as u64, "to u64 {a:#x}");
        for &b in &all {
            let y = f32::from_bits(b as u32);
            let what = format!("{a:#x} {b:#x}");
            assert_eq!(add(S, a, b, NEAREST).0, single(x + y), "add {what}");
            assert_eq!(sub(S, a, b, NEAREST).0, single(x - y), "sub {what}");
            assert_eq!(mul(S, a, b, NEAREST).0, single(x * y), "mul {what}");
            assert_eq!(div(S, a, b, NEAREST).0, single(x / y), "div {what}");
            assert_eq!(compare(S, a, b, NEAREST).0, x.partial_cmp(&y), "compare {what}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn doubles_agree_with_the_host() {
    let all = operands(Ty::F64);
    for &a in &all {
        let x = f64::from_bits(a);
        assert_eq!(sqrt(D, a, NEAREST).0, double(x.sqrt()), "sqrt {a:#x}");
        assert_eq!(convert(D, S, a, NEAREST).0, single(x as f32), "to single {a:#x}");
        for (round, integral) in integrals(x) {
            let (bits, flags) = round_to_integral(D, a, Env { round, ..NEAREST });
            assert_eq!((bits, flags & FP_INEXACT), (double(integral), 0), "{round:?} {a:#x}");
        }
        let zero = Env {
            round: Round::Zero,
            ..NEAREST
        };
        assert_eq!(to_signed(D, a, 64, 0, zero).0, x as i64 as u64, "to i64 {a:#x}");
        assert_eq!(to_unsigned(D, a, 32, 0, zero).0, x as u32 as u64, "to u32 {a:#x}");
        assert_eq!(
            from_signed(D, a, 64, 0, NEAREST).0,
            double(a as i64 as f64),
            "from i64 {a:#x}"
        );
        assert_eq!(
            from_unsigned(S, a, 64, 0, NEAREST).0,
            single(a as f32),
            "from u64 {a:#x}"
        );
        for &b in &all {
            let y = f64::from_bits(b);
            let what = format!("{a:#x} {b:#x}");
            assert_eq!(add(D, a, b, NEAREST).0, double(x + y), "add {what}");
            assert_eq!(sub(D, a, b, NEAREST).0, double(x - y), "sub {what}");
            assert_eq!(mul(D, a, b, NEAREST).0, double(x * y), "mul {what}");
            assert_eq!(div(D, a, b, NEAREST).0, double(x / y), "div {what}");
            assert_eq!(compare(D, a, b, NEAREST).0, x.partial_cmp(&y), "compare {what}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn fused_agrees_with_the_host() {
    let (singles, doubles) = (operands(Ty::F32), operands(Ty::F64));
    let mut random = Random::new(3);
    for n in 0..60_000 {
        let mut pick = |all: &[u64]| all[random.below(all.len() as u64) as usize];
        let (a, b, c) = (pick(&singles), pick(&singles), pick(&singles));
        let [x, y, z] = [a, b, c].map(|v| f32::from_bits(v as u32));
        assert_eq!(
            mul_add(S, c, a, b, NEAREST).0,
            single(x.mul_add(y, z)),
            "{a:#x} {b:#x} {c:#x}"
        );
        let (a, b) = (pick(&doubles), pick(&doubles));
        let [x, y] = [a, b].map(f64::from_bits);
        // Every other time what nearly cancels the product.
        let z = if n % 2 == 0 {
            f64::from_bits(pick(&doubles))
        } else {
            -(x * y)
        };
        assert_eq!(
            mul_add(D, z.to_bits(), a, b, NEAREST).0,
            double(x.mul_add(y, z)),
            "{a:#x} {b:#x} {z:e}"
        );
    }
}

#[test]
fn tiny_results_underflow_before_rounding_or_flush() {
    // The largest number below the smallest normal that rounds up to it is tiny all the same.
    let (below_one, smallest) = (0x3f7f_ffff, 0x0080_0000);
    let (bits, flags) = mul(S, below_one, smallest, NEAREST);
    assert_eq!((bits, flags), (smallest, FP_UNDERFLOW | FP_INEXACT));

    let flush = Env { flush: true, ..NEAREST };
    assert_eq!(mul(S, below_one, smallest, flush), (0, FP_UNDERFLOW));
    assert_eq!(mul(S, 1, 0x7f7f_ffff, flush), (0, FP_DENORMAL));
    let (denormal_times_one, flags) = mul(S, 0x8000_0003, 0x3f80_0000, NEAREST);
    assert_eq!(
        (denormal_times_one, flags),
        (0x8000_0003, 0),
        "exact results do not underflow"
    );
}

#[test]
fn nans_propagate_by_order_signalling_first() {
    let keep = Env {
        default_nan: false,
        ..NEAREST
    };
    let (quiet, quiet2, signalling) = (0xffc0_1234, 0x7fc0_5678, 0x7f80_0001);
    assert_eq!(add(S, quiet, quiet2, keep), (quiet, 0));
    assert_eq!(add(S, quiet, signalling, keep), (signalling | 0x0040_0000, FP_INVALID));
    assert_eq!(sub(S, 0, quiet, keep), (quiet, 0), "a subtracted NaN keeps its sign");
    assert_eq!(mul(S, 0, 0x7f80_0000, keep), (0x7fc0_0000, FP_INVALID));
    assert_eq!(add(S, quiet, signalling, NEAREST), (0x7fc0_0000, FP_INVALID));
    let (zero, infinity) = (0, 0x7f80_0000);
    assert_eq!(mul_add(S, quiet, zero, infinity, keep), (0x7fc0_0000, FP_INVALID));
    assert_eq!(
        mul_add(S, signalling, zero, infinity, keep),
        (signalling | 0x0040_0000, FP_INVALID)
    );
    assert_eq!(
        mul_add(S, quiet, quiet2, signalling, keep),
        (signalling | 0x0040_0000, FP_INVALID)
    );
}

#[test]
fn half_precision_has_two_formats() {
    let alternative = Env { flag: true, ..NEAREST };
    let (infinity, nan, huge) = (0x7f80_0000, 0x7fc0_0000, 0x47ff_e000);
    assert_eq!(to_half(S, infinity, NEAREST), (0x7c00, 0));
    assert_eq!(to_half(S, infinity, alternative), (0x7fff, FP_INVALID));
    assert_eq!(to_half(S, nan, alternative), (0, FP_INVALID));
    assert_eq!(
        to_half(S, huge, alternative),
        (0x7fff, 0),
        "131008 is the largest there"
    );
    assert_eq!(to_half(S, huge, NEAREST), (0x7c00, FP_OVERFLOW | FP_INEXACT));
    assert_eq!(from_half(S, 0x7fff, alternative), (huge, 0));
    assert_eq!(
        from_half(S, 1, Env { flush: true, ..NEAREST }),
        (0x3380_0000, 0),
        "half precision is not flushed"
    );
}

#[test]
fn conversions_saturate_and_round_by_mode() {
    let mode = |round| Env {
        round,
        flag: true,
        ..NEAREST
    };
    let two_and_a_half = 2.5f64.to_bits();
    let expected = [
        (Round::Nearest, 2),
        (Round::Away, 3),
        (Round::Up, 3),
        (Round::Down, 2),
        (Round::Zero, 2),
    ];
    for (round, int) in expected {
        assert_eq!(
            to_signed(D, two_and_a_half, 32, 0, mode(round)),
            (int, FP_INEXACT),
            "{round:?}"
        );
    }
    assert_eq!(
        to_signed(D, two_and_a_half, 32, 0, NEAREST),
        (2, 0),
        "inexact only on demand"
    );
    assert_eq!(to_signed(D, two_and_a_half, 64, 1, NEAREST), (5, 0));
    assert_eq!(
        to_unsigned(D, (-0.75f64).to_bits(), 32, 0, mode(Round::Zero)),
        (0, FP_INEXACT)
    );
    assert_eq!(
        to_unsigned(D, (-0.75f64).to_bits(), 32, 0, mode(Round::Nearest)),
        (0, FP_INVALID)
    );
    assert_eq!(to_signed(D, f64::NAN.to_bits(), 64, 0, NEAREST), (0, FP_INVALID));
    assert_eq!(
        to_signed(D, f64::NEG_INFINITY.to_bits(), 32, 0, NEAREST),
        (0x8000_0000, FP_INVALID)
    );
    assert_eq!(from_signed(S, 1, 32, 32, NEAREST), (S.power_of_two(-32), 0));
}

#[test]
fn powers_of_two_are_exact() {
    for n in -64i32..=64 {
        let whole = (1u128 << n.unsigned_abs()) as f64;
        let x = if n < 0 { 1.0 / whole } else { whole };
        assert_eq!(S.power_of_two(n), single(x as f32), "2^{n}");
        assert_eq!(D.power_of_two(n), double(x), "2^{n}");
    }
}

#[test]
fn zeros_infinities_and_division() {
    let down = Env {
        round: Round::Down,
        ..NEAREST
    };
    let (one, minus_one) = (1f64.to_bits(), (-1f64).to_bits());
    assert_eq!(add(D, one, minus_one, NEAREST), (0, 0));
    assert_eq!(add(D, one, minus_one, down), (1 << 63, 0));
    assert_eq!(div(D, minus_one, 0, NEAREST), (f64::NEG_INFINITY.to_bits(), FP_DIVZERO));
    assert_eq!(sqrt(D, minus_one, NEAREST), (D.default_nan(), FP_INVALID));
    assert_eq!(max(D, 0, 1 << 63, NEAREST).0, 0);
    assert_eq!(min(D, 0, 1 << 63, NEAREST).0, 1 << 63);
    let largest = f64::MAX.to_bits();
    assert_eq!(add(D, largest, largest, down), (largest, FP_OVERFLOW | FP_INEXACT));
}
