//! Data-processing instructions (Arm ARM DDI 0406C, A4.4 and A8.8).

use crate::state;
use crate::tx::Tx;
use emu_ir::{Hint, Ty, Val};

/// The sixteen operations of A32's opcode field, and T32's ORN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alu {
    And,
    Eor,
    Sub,
    Rsb,
    Add,
    Adc,
    Sbc,
    Rsc,
    Tst,
    Teq,
    Cmp,
    Cmn,
    Orr,
    Mov,
    Bic,
    Mvn,
    Orn,
}

impl Alu {
    /// Takes C from the shifter.
    fn is_logical(self) -> bool {
        use Alu::*;
        matches!(self, And | Eor | Tst | Teq | Orr | Mov | Bic | Mvn | Orn)
    }
    /// Makes flags only.
    fn is_test(self) -> bool {
        matches!(self, Alu::Tst | Alu::Teq | Alu::Cmp | Alu::Cmn)
    }
}

/// A second operand with the carry out of its shifter: `None` leaves C as it is.
type Shifted = (Val, Option<Val>);

/// ARMExpandImm_C or ThumbExpandImm_C of a 12-bit modified immediate: the value and, if it was rotated, the carry.
fn expand_imm(thumb: bool, i: u32) -> (u32, Option<bool>) {
    let byte = i & 0xff;
    let rotated = |v: u32, by: u32| {
        let v = v.rotate_right(by);
        (v, Some(v >> 31 != 0))
    };
    match (thumb, i >> 8) {
        (false, 0) | (true, 0) => (byte, None),
        (false, r) => rotated(byte, 2 * r),
        (true, 1) => (byte * 0x0001_0001, None),
        (true, 2) => (byte * 0x0100_0100, None),
        (true, 3) => (byte * 0x0101_0101, None),
        (true, _) => rotated(0x80 | byte & 0x7f, i >> 7),
    }
}

/// The 12-bit modified immediate `i` as an operand.
fn imm(t: &mut Tx, i: u32) -> Shifted {
    let (v, carry) = expand_imm(t.thumb(), i);
    (t.b.i32(v), carry.map(|c| t.b.bool(c)))
}

/// `k` is imm5:type: register `m` shifted by a constant; the carry only if wanted.
pub fn shift_imm(t: &mut Tx, m: u32, k: u32, carry: bool) -> Shifted {
    let (v, by) = (t.reg(m), k >> 2);
    let count = |t: &mut Tx, n| t.b.i32(n);
    let (result, out) = match (k & 3, by) {
        (0, 0) => return (v, None),
        (0, n) => {
            let c = count(t, n);
            (t.b.shl(v, c), 32 - n)
        }
        (1, n) => {
            let c = count(t, if n == 0 { 32 } else { n });
            (t.b.shr_u(v, c), n.wrapping_sub(1) & 31)
        }
        (2, n) => {
            let c = count(t, if n == 0 { 32 } else { n });
            (t.b.shr_s(v, c), n.wrapping_sub(1) & 31)
        }
        (_, 0) => (rrx(t, v), 0),
        (_, n) => {
            let c = count(t, n);
            (t.b.rotr(v, c), n - 1)
        }
    };
    let carry = carry.then(|| t.bit(v, out));
    (result, carry)
}

/// Rotate right by one through C.
fn rrx(t: &mut Tx, v: Val) -> Val {
    let c = t.b.get(state::C);
    let (c, one, top) = (t.b.zext(Ty::I32, c), t.b.i32(1), t.b.i32(31));
    let (low, high) = (t.b.shr_u(v, one), t.b.shl(c, top));
    t.b.or(low, high)
}

/// Register `m` shifted by the low byte of register `r`, type `h`; the carry only if wanted.
fn shift_reg(t: &mut Tx, m: u32, r: u32, h: u32, carry: bool) -> Shifted {
    let (v, by, low) = (t.reg(m), t.reg(r), t.b.i32(0xff));
    let by = t.b.and(by, low);
    let result = match h {
        0 => t.b.shl(v, by),
        1 => t.b.shr_u(v, by),
        2 => t.b.shr_s(v, by),
        _ => t.b.rotr(v, by),
    };
    (result, carry.then(|| shift_reg_carry(t, v, by, h, result)))
}

/// The carry out of a shift by register: C itself if the count `by` (0 to 255) is 0.
fn shift_reg_carry(t: &mut Tx, v: Val, by: Val, h: u32, result: Val) -> Val {
    let shifted_out = match h {
        0 => {
            let (wide, count) = (t.b.zext(Ty::I64, v), t.b.zext(Ty::I64, by));
            let (wide, top) = (t.b.shl(wide, count), t.b.imm(Ty::I64, 32));
            let out = t.b.shr_u(wide, top);
            t.b.trunc(Ty::I32, out)
        }
        3 => {
            let top = t.b.i32(31);
            t.b.shr_u(result, top)
        }
        _ => {
            let one = t.b.i32(1);
            let last = t.b.sub(by, one);
            if h == 1 { t.b.shr_u(v, last) } else { t.b.shr_s(v, last) }
        }
    };
    let out = t.bit(shifted_out, 0);
    let zero = t.b.i32(0);
    let (none, c) = (t.b.eq(by, zero), t.b.get(state::C));
    t.b.select(none, c, out)
}

/// The result of an operation on its operands; arithmetic ones set the flags if asked, logical ones leave that to the
/// caller.
fn result(t: &mut Tx, op: Alu, a: Val, b: Val, s: bool) -> Val {
    match op {
        Alu::And | Alu::Tst => t.b.and(a, b),
        Alu::Eor | Alu::Teq => t.b.xor(a, b),
        Alu::Orr => t.b.or(a, b),
        Alu::Bic => t.b.and_not(a, b),
        Alu::Mov => b,
        Alu::Mvn => t.b.not(b),
        Alu::Orn => {
            let not = t.b.not(b);
            t.b.or(a, not)
        }
        Alu::Add | Alu::Cmn => add(t, a, b, s),
        Alu::Sub => subtract(t, a, b, s, true),
        Alu::Cmp => subtract(t, a, b, s, false),
        Alu::Rsb => subtract(t, b, a, s, true),
        Alu::Adc => with_carry(t, a, b, s),
        Alu::Sbc => {
            let not = t.b.not(b);
            with_carry(t, a, not, s)
        }
        Alu::Rsc => {
            let not = t.b.not(a);
            with_carry(t, b, not, s)
        }
    }
}

fn add(t: &mut Tx, a: Val, b: Val, s: bool) -> Val {
    let sum = t.b.add(a, b);
    if s {
        t.set_nz(sum);
        let (c, v) = (t.b.add_carry(a, b), t.b.add_ovf(a, b));
        t.set_cv(c, v);
    }
    sum
}

/// `a - b`; `kept` if it goes to a register.
fn subtract(t: &mut Tx, a: Val, b: Val, s: bool, kept: bool) -> Val {
    let diff = t.b.sub(a, b);
    if s {
        t.set_nzcv_sub(a, b, diff, kept);
    }
    diff
}

fn with_carry(t: &mut Tx, a: Val, b: Val, s: bool) -> Val {
    let carry = t.b.get(state::C);
    let sum = t.b.adc(a, b, carry);
    if s {
        t.set_nz(sum);
        let (c, v) = (t.b.adc_carry(a, b, carry), t.b.adc_ovf(a, b, carry));
        t.set_cv(c, v);
    }
    sum
}

/// `d = n op second`, with flags if `s`; with flags to R15 it is a return from exception.
fn alu(t: &mut Tx, op: Alu, s: u32, n: u32, d: u32, second: impl FnOnce(&mut Tx, bool) -> Shifted) {
    let returns = d == 15 && s == 1 && !op.is_test();
    let s = t.sets_flags(s) && !returns;
    let unary = matches!(op, Alu::Mov | Alu::Mvn);
    let a = if unary { None } else { Some(t.reg(n)) };
    let (b, carry) = second(t, s && op.is_logical());
    let a = a.unwrap_or(b);
    let result = result(t, op, a, b, s);
    if s && op.is_logical() {
        t.set_nz(result);
        if let Some(c) = carry {
            t.b.set(state::C, c);
        }
    }
    match d {
        _ if op.is_test() => {}
        _ if returns => super::system::exception_return(t, result),
        _ => t.set_alu(d, result, Hint::Jump),
    }
}

macro_rules! alu {
    ($( $imm:ident $reg:ident $rsr:ident $op:ident; )*) => { $(
        #[doc = concat!(stringify!($op), " (immediate): `i` is a modified immediate.")]
        pub fn $imm(t: &mut Tx, s: u32, n: u32, d: u32, i: u32) {
            alu(t, Alu::$op, s, n, d, |t, _| imm(t, i));
        }
        #[doc = concat!(stringify!($op), " (register): `k` is the constant shift, imm5:type.")]
        pub fn $reg(t: &mut Tx, s: u32, n: u32, d: u32, k: u32, m: u32) {
            alu(t, Alu::$op, s, n, d, |t, carry| shift_imm(t, m, k, carry));
        }
        #[doc = concat!(stringify!($op), " (register-shifted register): by `r`, shift type `h`.")]
        pub fn $rsr(t: &mut Tx, s: u32, n: u32, d: u32, r: u32, h: u32, m: u32) {
            alu(t, Alu::$op, s, n, d, |t, carry| shift_reg(t, m, r, h, carry));
        }
    )* };
}
alu! {
    and_imm and_reg and_rsr And;
    eor_imm eor_reg eor_rsr Eor;
    rsb_imm rsb_reg rsb_rsr Rsb;
    adc_imm adc_reg adc_rsr Adc;
    sbc_imm sbc_reg sbc_rsr Sbc;
    rsc_imm rsc_reg rsc_rsr Rsc;
    orr_imm orr_reg orr_rsr Orr;
    bic_imm bic_reg bic_rsr Bic;
}

macro_rules! sum {
    ($( $imm:ident $reg:ident $rsr:ident $wide:ident $op:ident $sign:expr; )*) => { $(
        #[doc = concat!(stringify!($op), " (immediate): `i` is a modified immediate.")]
        pub fn $imm(t: &mut Tx, s: u32, n: u32, d: u32, i: u32) {
            if n == 15 && s == 0 {
                let (by, _) = expand_imm(t.thumb(), i);
                return adr(t, d, (by as i32).wrapping_mul($sign));
            }
            alu(t, Alu::$op, s, n, d, |t, _| imm(t, i));
        }
        #[doc = concat!(stringify!($op), " (register): `k` is the constant shift, imm5:type.")]
        pub fn $reg(t: &mut Tx, s: u32, n: u32, d: u32, k: u32, m: u32) {
            alu(t, Alu::$op, s, n, d, |t, carry| shift_imm(t, m, k, carry));
        }
        #[doc = concat!(stringify!($op), " (register-shifted register): by `r`, shift type `h`.")]
        pub fn $rsr(t: &mut Tx, s: u32, n: u32, d: u32, r: u32, h: u32, m: u32) {
            alu(t, Alu::$op, s, n, d, |t, carry| shift_reg(t, m, r, h, carry));
        }
        #[doc = concat!(stringify!($op), " (immediate): `i` is the plain value.")]
        pub fn $wide(t: &mut Tx, s: u32, n: u32, d: u32, i: u32) {
            if n == 15 {
                return adr(t, d, (i as i32).wrapping_mul($sign));
            }
            alu(t, Alu::$op, s, n, d, |t, _| (t.b.i32(i), None));
        }
    )* };
}
sum! {
    add_imm add_reg add_rsr add_plain Add 1;
    sub_imm sub_reg sub_rsr sub_plain Sub -1;
}

/// ADR, and ADD and SUB of a constant to the PC: `d = Align(PC, 4) + by`.
pub fn adr(t: &mut Tx, d: u32, by: i32) {
    let at = ((t.pc() & !3) as i32).wrapping_add(by);
    let v = t.b.pc_rel(Ty::I32, at);
    t.set_alu(d, v, Hint::Jump);
}

/// MOV (immediate): `i` is a modified immediate.
pub fn mov_imm(t: &mut Tx, s: u32, d: u32, i: u32) {
    alu(t, Alu::Mov, s, 0, d, |t, _| imm(t, i));
}
/// MOV (register) and the shifts by a constant: `k` is imm5:type.
pub fn mov_reg(t: &mut Tx, s: u32, d: u32, k: u32, m: u32) {
    if (s, d, k, m) == (0, 15, 0, 14) {
        let lr = t.reg(14);
        return t.set_alu(15, lr, Hint::Return);
    }
    alu(t, Alu::Mov, s, 0, d, |t, carry| shift_imm(t, m, k, carry));
}
/// The shifts by a register: by `r`, shift type `h`.
pub fn mov_rsr(t: &mut Tx, s: u32, d: u32, r: u32, h: u32, m: u32) {
    alu(t, Alu::Mov, s, 0, d, |t, carry| shift_reg(t, m, r, h, carry));
}
/// MVN (immediate): `i` is a modified immediate.
pub fn mvn_imm(t: &mut Tx, s: u32, d: u32, i: u32) {
    alu(t, Alu::Mvn, s, 0, d, |t, _| imm(t, i));
}
/// MVN (register): `k` is the constant shift, imm5:type.
pub fn mvn_reg(t: &mut Tx, s: u32, d: u32, k: u32, m: u32) {
    alu(t, Alu::Mvn, s, 0, d, |t, carry| shift_imm(t, m, k, carry));
}
/// MVN (register-shifted register): by `r`, shift type `h`.
pub fn mvn_rsr(t: &mut Tx, s: u32, d: u32, r: u32, h: u32, m: u32) {
    alu(t, Alu::Mvn, s, 0, d, |t, carry| shift_reg(t, m, r, h, carry));
}
/// ORN (immediate), T32 only: `i` is a modified immediate.
pub fn orn_imm(t: &mut Tx, s: u32, n: u32, d: u32, i: u32) {
    alu(t, Alu::Orn, s, n, d, |t, _| imm(t, i));
}
/// ORN (register), T32 only: `k` is the constant shift, imm5:type.
pub fn orn_reg(t: &mut Tx, s: u32, n: u32, d: u32, k: u32, m: u32) {
    alu(t, Alu::Orn, s, n, d, |t, carry| shift_imm(t, m, k, carry));
}

macro_rules! test {
    ($( $imm:ident $reg:ident $rsr:ident $op:ident; )*) => { $(
        #[doc = concat!(stringify!($op), " (immediate): `i` is a modified immediate.")]
        pub fn $imm(t: &mut Tx, n: u32, i: u32) {
            alu(t, Alu::$op, 1, n, 0, |t, _| imm(t, i));
        }
        #[doc = concat!(stringify!($op), " (register): `k` is the constant shift, imm5:type.")]
        pub fn $reg(t: &mut Tx, n: u32, k: u32, m: u32) {
            alu(t, Alu::$op, 1, n, 0, |t, carry| shift_imm(t, m, k, carry));
        }
        #[doc = concat!(stringify!($op), " (register-shifted register): by `r`, shift type `h`.")]
        pub fn $rsr(t: &mut Tx, n: u32, r: u32, h: u32, m: u32) {
            alu(t, Alu::$op, 1, n, 0, |t, carry| shift_reg(t, m, r, h, carry));
        }
    )* };
}
test! {
    tst_imm tst_reg tst_rsr Tst;
    teq_imm teq_reg teq_rsr Teq;
    cmp_imm cmp_reg cmp_rsr Cmp;
    cmn_imm cmn_reg cmn_rsr Cmn;
}

/// MOVW: `d` = `i`, 16 bits.
pub fn movw(t: &mut Tx, d: u32, i: u32) {
    let v = t.b.i32(i);
    t.set_alu(d, v, Hint::Jump);
}

/// MOVT: the top half of `d` = `i`, 16 bits.
pub fn movt(t: &mut Tx, d: u32, i: u32) {
    let (old, low, high) = (t.reg(d), t.b.i32(0xffff), t.b.i32(i << 16));
    let kept = t.b.and(old, low);
    let v = t.b.or(kept, high);
    t.set_alu(d, v, Hint::Jump);
}

#[cfg(test)]
mod tests {
    use super::expand_imm;

    #[test]
    fn modified_immediates_expand_as_the_manual_tabulates() {
        let cases = [
            (false, 0x0ff, 0xff, None),
            (false, 0x4ff, 0xff00_0000, Some(true)),
            (false, 0xf01, 4, Some(false)),
            (true, 0x0ab, 0xab, None),
            (true, 0x1ab, 0x00ab_00ab, None),
            (true, 0x2ab, 0xab00_ab00, None),
            (true, 0x3ab, 0xabab_abab, None),
            (true, 0x400, 0x8000_0000, Some(true)),
            (true, 0xfff, 0x1fe, Some(false)),
        ];
        for (thumb, i, value, carry) in cases {
            assert_eq!(expand_imm(thumb, i), (value, carry), "thumb {thumb} imm12 {i:#x}");
        }
    }
}
