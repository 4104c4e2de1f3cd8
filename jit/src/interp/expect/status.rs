//! Status flags by exact numbers.

use super::{Row, sign};
use emu_ir::{
    Arith, STATUS_AUXILIARY, STATUS_CARRY, STATUS_FIXED, STATUS_OVERFLOW, STATUS_PARITY, STATUS_SIGN, STATUS_ZERO, Val,
};

/// Flags by their names.
#[derive(Default)]
struct Flags {
    c: bool,
    p: bool,
    a: bool,
    z: bool,
    s: bool,
    o: bool,
}

pub(super) fn expect<U>(how: Arith, row: &Row, a: Val, b: Val, c: Val) -> u128 {
    let bits = 8 * size_of::<U>() as u32;
    let carried = how.takes_status() && row.u(c) as u16 & STATUS_CARRY != 0;
    let (x, y) = (row.u(a) as i128, row.u(b) as i128);
    let (sign_x, sign_y) = (row.s(a), row.s(b));
    let one = i128::from(carried);
    let [carry, overflow] = moved(how, row.u(a), bits);
    let mut flags = match how {
        Arith::Add => exactly(bits, x + y, sign_x + sign_y, x % 16 + y % 16),
        Arith::Adc => exactly(bits, x + y + one, sign_x + sign_y + one, x % 16 + y % 16 + one),
        Arith::Sub => exactly(bits, x - y, sign_x - sign_y, x % 16 - y % 16),
        Arith::Sbb => exactly(bits, x - y - one, sign_x - sign_y - one, x % 16 - y % 16 - one),
        Arith::Logic => exactly(bits, x, sign_x, 0),
        Arith::Inc => exactly(bits, x + 1, sign_x + 1, x % 16 + 1),
        Arith::Dec => exactly(bits, x - 1, sign_x - 1, x % 16 - 1),
        Arith::Shl => exactly(bits, x * 2, sign_x * 2, 0),
        Arith::Shr => exactly(bits, x / 2, x / 2, 0),
        Arith::Sar => exactly(bits, sign_x.div_euclid(2), sign_x.div_euclid(2), 0),
        Arith::Rol | Arith::Ror => {
            let kept = row.u(c) as u16 & !(STATUS_CARRY | STATUS_OVERFLOW);
            return (kept | word_of(carry, overflow)).into();
        }
    };
    if matches!(how, Arith::Shl | Arith::Shr | Arith::Sar) {
        (flags.c, flags.o) = (carry, overflow);
    }
    if matches!(how, Arith::Inc | Arith::Dec) {
        flags.c = carried;
    }
    word(&flags).into()
}

/// Those of an exact result, by unsigned operands and by signed ones, and by their low four bits.
fn exactly(bits: u32, unsigned: i128, signed: i128, nibble: i128) -> Flags {
    let result = unsigned as u128 & (u128::MAX >> (128 - bits));
    Flags {
        c: result as i128 != unsigned,
        p: (0..8).filter(|k| result >> k & 1 != 0).count() % 2 == 0,
        a: !(0..16).contains(&nibble),
        z: result == 0,
        s: sign(result, bits) < 0,
        o: sign(result, bits) != signed,
    }
}

/// SDM 2, "SAL/SAR/SHL/SHR" and "RCL/RCR/ROL/ROR": CF and OF of a move by one place.
fn moved(how: Arith, a: u128, bits: u32) -> [bool; 2] {
    let msb = |v: u128| v >> (bits - 1) & 1 != 0;
    let carry = if matches!(how, Arith::Shl | Arith::Rol) {
        msb(a)
    } else {
        a & 1 != 0
    };
    let overflow = match how {
        Arith::Shl | Arith::Rol => msb(a << 1) != carry,
        Arith::Shr => msb(a),
        // The two highest bits of the result, of which one is what went out.
        Arith::Ror => carry != msb(a),
        _ => false,
    };
    [carry, overflow]
}

fn word_of(c: bool, o: bool) -> u16 {
    (u16::from(c) * STATUS_CARRY) | (u16::from(o) * STATUS_OVERFLOW)
}

fn word(f: &Flags) -> u16 {
    let all = [
        (f.c, STATUS_CARRY),
        (f.p, STATUS_PARITY),
        (f.a, STATUS_AUXILIARY),
        (f.z, STATUS_ZERO),
        (f.s, STATUS_SIGN),
        (f.o, STATUS_OVERFLOW),
    ];
    STATUS_FIXED | all.iter().filter(|flag| flag.0).map(|flag| flag.1).sum::<u16>()
}

/// SDM 2, Appendix B.1.4.7, row by row.
pub(super) fn holds(status: u16, cc: u8) -> bool {
    let [c, p, z, s, o] =
        [STATUS_CARRY, STATUS_PARITY, STATUS_ZERO, STATUS_SIGN, STATUS_OVERFLOW].map(|bit| status & bit != 0);
    let rows = [
        o,
        !o,
        c,
        !c,
        z,
        !z,
        c || z,
        !c && !z,
        s,
        !s,
        p,
        !p,
        s != o,
        s == o,
        z || s != o,
        !z && s == o,
    ];
    rows[cc as usize]
}

/// Those of a comparison of floats, as LAHF has them: SDM 2, COMISS.
pub(super) fn of_order(order: Option<std::cmp::Ordering>) -> u128 {
    match order {
        None => 0x4700,
        Some(std::cmp::Ordering::Less) => 0x0300,
        Some(std::cmp::Ordering::Equal) => 0x4200,
        Some(std::cmp::Ordering::Greater) => 0x0200,
    }
}
