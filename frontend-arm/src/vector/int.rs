//! Addition, comparison, minimum, maximum, difference and counts of integer lanes.

use super::{every, shift_right, widen, zero};
use emu_ir::{Builder, Lane, Op, Ty, Val};

/// `(x + y) >> 1`, as what both have plus half of what one has.
pub fn halving_add(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> Val {
    let (both, one) = (b.and(x, y), b.xor(x, y));
    let half = shift_right(b, u, e, one, 1);
    b.vadd(e, both, half)
}

/// `(x + y + 1) >> 1`.
pub fn halving_add_rounded(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> Val {
    let (any, one) = (b.or(x, y), b.xor(x, y));
    let half = shift_right(b, u, e, one, 1);
    b.vsub(e, any, half)
}

/// `(x - y) >> 1`.
pub fn halving_subtract(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> Val {
    let (one, borrow) = (b.xor(x, y), b.and_not(y, x));
    let half = shift_right(b, u, e, one, 1);
    b.vsub(e, half, borrow)
}

/// `x > y`: all ones or zero.
pub fn greater(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> Val {
    if u == 1 { b.vgt_u(e, x, y) } else { b.vgt_s(e, x, y) }
}

/// `x >= y`: all ones or zero.
pub fn greater_or_equal(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> Val {
    let less = greater(b, u, e, y, x);
    b.not(less)
}

/// The greater of lanes of 8 to 32 bits.
pub fn max(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> Val {
    if u == 1 { b.vmax_u(e, x, y) } else { b.vmax_s(e, x, y) }
}

/// The lesser of lanes of 8 to 32 bits.
pub fn min(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> Val {
    if u == 1 { b.vmin_u(e, x, y) } else { b.vmin_s(e, x, y) }
}

/// The absolute difference: as an unsigned number it fits the lane.
pub fn difference(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> Val {
    let (hi, lo) = (max(b, u, e, x, y), min(b, u, e, x, y));
    b.vsub(e, hi, lo)
}

/// `c` plus the absolute difference.
pub fn difference_accumulated(b: &mut Builder, u: u32, e: Lane, c: Val, x: Val, y: Val) -> Val {
    let diff = difference(b, u, e, x, y);
    b.vadd(e, c, diff)
}

/// Whether any bit is set in both: all ones or zero.
pub fn test(b: &mut Builder, e: Lane, x: Val, y: Val) -> Val {
    let both = b.and(x, y);
    let none = zero(b, b.ty(x));
    let clear = b.veq(e, both, none);
    b.not(clear)
}

/// The absolute value, wrapping.
pub fn absolute(b: &mut Builder, e: Lane, a: Val) -> Val {
    if e.bits() < 64 {
        let ty = b.ty(a);
        return b.push(ty, Op::VAbs { a, e });
    }
    let sign = b.vshr_s(e, a, 63);
    let flipped = b.xor(a, sign);
    b.vsub(e, flipped, sign)
}

/// The negation, wrapping.
pub fn negated(b: &mut Builder, e: Lane, x: Val) -> Val {
    let none = zero(b, b.ty(x));
    b.vsub(e, none, x)
}

/// The even and the odd lanes of two vectors, `x`'s first.
pub fn pairs(b: &mut Builder, e: Lane, x: Val, y: Val) -> (Val, Val) {
    (unzip(b, e, x, y, false), unzip(b, e, x, y, true))
}

/// The even or the odd lanes of two vectors, `x`'s first.
pub fn unzip(b: &mut Builder, e: Lane, x: Val, y: Val, odd: bool) -> Val {
    pick(b, e, x, y, |k, _| 2 * k + usize::from(odd))
}

/// Lanes picked from two vectors: lane `k` of the result is that of `pick(k, lanes)`, `y`'s after the `lanes` of `x`.
pub fn pick(b: &mut Builder, e: Lane, x: Val, y: Val, pick: impl Fn(usize, usize) -> usize) -> Val {
    let (size, bytes) = (e.bits() as usize / 8, b.ty(x).bytes() as usize);
    let pattern = |k: usize| {
        let from = if k < bytes {
            pick(k / size, bytes / size) * size + k % size
        } else {
            0
        };
        (if from < bytes { from } else { from - bytes + 16 }) as u8
    };
    b.vperm(x, y, std::array::from_fn(pattern))
}

/// Bytes from `first` on of `y`:`x`.
pub fn extract(b: &mut Builder, x: Val, y: Val, first: usize) -> Val {
    pick(b, Lane::I8, x, y, |k, _| first + k)
}

/// Lanes of `1 << s` bytes reversed within groups of `1 << group` bytes.
pub fn reversed(b: &mut Builder, s: u32, group: u32, x: Val) -> Val {
    let flip = ((1 << group) - 1) & !((1 << s) - 1);
    b.vperm(x, x, std::array::from_fn(|k| k as u8 ^ flip))
}

/// Sums of adjacent lanes `e` at twice the width.
pub fn long_pairs(b: &mut Builder, u: u32, e: Lane, x: Val) -> Val {
    let (n, w) = (e.bits() as u8, e.wider());
    let low = b.vshl(w, x, n);
    let (low, high) = (shift_right(b, u, w, low, n), shift_right(b, u, w, x, n));
    b.vadd(w, low, high)
}

/// Leading zeros.
pub fn leading_zeros(b: &mut Builder, e: Lane, a: Val) -> Val {
    let ty = b.ty(a);
    b.push(ty, Op::VClz { a, e })
}

/// Bits below the sign that are like it: leading zeros of what differs from it, less the sign itself.
pub fn leading_signs(b: &mut Builder, e: Lane, x: Val) -> Val {
    let sign = b.vshr_s(e, x, e.bits() as u8 - 1);
    let differs = b.xor(x, sign);
    let count = leading_zeros(b, e, differs);
    let ty = b.ty(x);
    let one = every(b, ty, e, 1);
    b.vsub(e, count, one)
}

/// The absolute differences of V64 lanes at twice the width.
pub fn long_difference(b: &mut Builder, u: u32, e: Lane, x: Val, y: Val) -> Val {
    let diff = difference(b, u, e, x, y);
    b.push(Ty::V128, Op::VWidenU { a: diff, e })
}

/// `c + x * y`.
pub fn multiply_add(b: &mut Builder, e: Lane, c: Val, x: Val, y: Val) -> Val {
    let p = b.vmul(e, x, y);
    b.vadd(e, c, p)
}

/// `c - x * y`.
pub fn multiply_subtract(b: &mut Builder, e: Lane, c: Val, x: Val, y: Val) -> Val {
    let p = b.vmul(e, x, y);
    b.vsub(e, c, p)
}

/// Sums of four products of adjacent bytes, each a word: `signs` tells of each operand whether it is unsigned (1).
pub fn dot_products(b: &mut Builder, signs: [u32; 2], x: Val, y: Val) -> Val {
    let wide = b.ty(x) == Ty::V128;
    let halves = |b: &mut Builder, v| match wide {
        true => vec![b.vhalf(v, false), b.vhalf(v, true)],
        false => vec![v],
    };
    let (xs, ys) = (halves(b, x), halves(b, y));
    let sums: Vec<_> = xs
        .into_iter()
        .zip(ys)
        .map(|(x, y)| pair_products(b, signs, x, y))
        .collect();
    match sums[..] {
        [low, high] => {
            let (even, odd) = pairs(b, Lane::I32, low, high);
            b.vadd(Lane::I32, even, odd)
        }
        [sums] => {
            let (low, high) = (b.vhalf(sums, false), b.vhalf(sums, true));
            let (even, odd) = pairs(b, Lane::I32, low, high);
            b.vadd(Lane::I32, even, odd)
        }
        _ => x,
    }
}

/// Sums of two products of adjacent bytes of V64, each a word.
fn pair_products(b: &mut Builder, signs: [u32; 2], x: Val, y: Val) -> Val {
    let [u, v] = signs;
    let (x, y) = (widen(b, u, Lane::I8, x), widen(b, v, Lane::I8, y));
    let p = b.vmul(Lane::I16, x, y);
    // Only products of two unsigned bytes need the sixteenth bit.
    long_pairs(b, u & v, Lane::I16, p)
}

/// The products of two rows of eight bytes with two columns, a matrix of words row by row.
pub fn matrix_product(b: &mut Builder, signs: [u32; 2], x: Val, y: Val) -> Val {
    let [rows, columns] = [x, y].map(|v| [false, true].map(|high| b.vhalf(v, high)));
    let sums = rows.map(|row| {
        let [low, high] = columns.map(|column| pair_products(b, signs, row, column));
        let (even, odd) = pairs(b, Lane::I32, low, high);
        b.vadd(Lane::I32, even, odd)
    });
    let [low, high] = sums;
    let (even, odd) = pairs(b, Lane::I32, low, high);
    b.vadd(Lane::I32, even, odd)
}
