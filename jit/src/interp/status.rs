//! x86's status flags (SDM 1, 3.4.3.1) and its conditions (SDM 2, Appendix B.1.4.7).

use super::int::{adc_carry, adc_ovf, mask, signed};
use emu_ir::{
    Arith, STATUS_AUXILIARY, STATUS_CARRY, STATUS_FIXED, STATUS_OVERFLOW, STATUS_PARITY, STATUS_SIGN, STATUS_ZERO, Ty,
};

/// The word with those of the flags that are set.
fn word(flags: [(u16, bool); 3]) -> u16 {
    flags
        .iter()
        .fold(0, |word, &(bit, set)| if set { word | bit } else { word })
}

/// Those that follow from a result alone.
fn of_result(ty: Ty, result: u64) -> u16 {
    let flags = word([
        (STATUS_PARITY, (result as u8).count_ones().is_multiple_of(2)),
        (STATUS_ZERO, result == 0),
        (STATUS_SIGN, signed(ty, result) < 0),
    ]);
    flags | STATUS_FIXED
}

/// Those of `a + b + carry`.
fn of_sum(ty: Ty, a: u64, b: u64, carry: u64) -> u16 {
    let sum = a.wrapping_add(b).wrapping_add(carry) & mask(ty);
    let flags = word([
        (STATUS_CARRY, adc_carry(ty, a, b, carry)),
        (STATUS_OVERFLOW, adc_ovf(ty, a, b, carry)),
        (STATUS_AUXILIARY, (a ^ b ^ sum) & 16 != 0),
    ]);
    flags | of_result(ty, sum)
}

/// Those of `a - b - borrow`: of the sum with the complement, but for carries, which are borrows.
fn of_difference(ty: Ty, a: u64, b: u64, borrow: u64) -> u16 {
    of_sum(ty, a, !b & mask(ty), 1 - borrow) ^ (STATUS_CARRY | STATUS_AUXILIARY)
}

/// Those of `a` moved to `result` by one place, with the bit that went out of it.
fn of_shift(ty: Ty, result: u64, out: bool, overflow: bool) -> u16 {
    word([(STATUS_CARRY, out), (STATUS_OVERFLOW, overflow), (0, false)]) | of_result(ty, result & mask(ty))
}

/// Those of a rotate, which leaves the others as they were.
fn of_rotate(before: u16, carry: bool, overflow: bool) -> u16 {
    let changed = word([(STATUS_CARRY, carry), (STATUS_OVERFLOW, overflow), (0, false)]);
    before & !(STATUS_CARRY | STATUS_OVERFLOW) | changed
}

/// The status flags of arithmetic.
#[inline(never)]
pub(super) fn of(how: Arith, ty: Ty, a: u64, b: u64, before: u16) -> u16 {
    let carry = u64::from(before & STATUS_CARRY != 0);
    let kept = |flags: u16| flags & !STATUS_CARRY | before & STATUS_CARRY;
    // The sign, the bit below it and the lowest.
    let [sign, next, low] = [ty.bits() - 1, ty.bits() - 2, 0].map(|k| a >> k & 1 != 0);
    match how {
        Arith::Add => of_sum(ty, a, b, 0),
        Arith::Adc => of_sum(ty, a, b, carry),
        Arith::Sub => of_difference(ty, a, b, 0),
        Arith::Sbb => of_difference(ty, a, b, carry),
        Arith::Logic => of_result(ty, a),
        Arith::Inc => kept(of_sum(ty, a, 1, 0)),
        Arith::Dec => kept(of_difference(ty, a, 1, 0)),
        Arith::Shl => of_shift(ty, a << 1, sign, sign != next),
        Arith::Shr => of_shift(ty, a >> 1, low, sign),
        Arith::Sar => of_shift(ty, (signed(ty, a) >> 1) as u64, low, false),
        Arith::Rol => of_rotate(before, sign, sign != next),
        Arith::Ror => of_rotate(before, low, low != sign),
    }
}

/// Whether a condition, 0 to 15, holds.
#[inline]
pub(super) fn holds(status: u16, cc: u8) -> bool {
    let has = |bit: u16| status & bit != 0;
    let less = has(STATUS_SIGN) != has(STATUS_OVERFLOW);
    let holds = match cc >> 1 {
        0 => has(STATUS_OVERFLOW),
        1 => has(STATUS_CARRY),
        2 => has(STATUS_ZERO),
        3 => has(STATUS_CARRY | STATUS_ZERO),
        4 => has(STATUS_SIGN),
        5 => has(STATUS_PARITY),
        6 => less,
        _ => less || has(STATUS_ZERO),
    };
    holds != (cc & 1 != 0)
}
