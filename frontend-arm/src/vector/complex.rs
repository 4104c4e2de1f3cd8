//! Complex numbers: pairs of lanes of floats, the real part first. Rotations are in quarters of a turn.

use super::every;
use super::float::bits;
use super::int::pick;
use emu_ir::{Builder, Fenv, Lane, Val};

/// Signs to flip: of the real and of the imaginary parts.
fn signs(b: &mut Builder, like: Val, e: Lane, flip: [bool; 2]) -> Val {
    let (width, ty) = (e.bits(), b.ty(like));
    let [real, imaginary] = flip.map(|flip| u128::from(flip) << (width - 1));
    let pair = real | imaginary << width;
    match width {
        64 => b.vec(ty, pair),
        _ => every(b, ty, bits(e).wider(), pair as u64),
    }
}

/// Parts exchanged.
fn exchanged(b: &mut Builder, e: Lane, v: Val) -> Val {
    pick(b, e, v, v, |k, _| k ^ 1)
}

/// The second operand turned by one quarter or three, and added.
pub fn add_turned(b: &mut Builder, e: Lane, [x, y]: [Val; 2], quarters: u32, env: Fenv) -> Val {
    let (y, flip) = (exchanged(b, e, y), signs(b, y, e, [quarters == 1, quarters == 3]));
    let y = b.xor(y, flip);
    b.vfadd(e, x, y, env)
}

/// `c` plus the second operand, turned, times one part of the first.
pub fn multiply_add(b: &mut Builder, e: Lane, c: Val, [x, y]: [Val; 2], quarters: u32, env: Fenv) -> Val {
    let odd = quarters as usize & 1;
    let part = pick(b, e, x, x, |k, _| k & !1 | odd);
    let y = if odd == 1 { exchanged(b, e, y) } else { y };
    let flip = match quarters {
        0 => [false, false],
        1 => [true, false],
        2 => [true, true],
        _ => [false, true],
    };
    let flip = signs(b, y, e, flip);
    let y = b.xor(y, flip);
    b.vfmul_add(e, c, part, y, env)
}
