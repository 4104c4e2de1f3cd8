//! Pointer authentication (FEAT_PAuth, FEAT_PAuth2, FEAT_FPAC; Arm ARM DDI 0487, D8.10 and C6.2).
//!
//! A key that is off ([`mode::PAUTH`]) makes its instructions do nothing, which the translation knows. With the algorithm of
//! ours and FEAT_PAuth2 a code is some operations inline; else a helper computes it ([`field`]).

pub mod cipher;
pub mod field;
#[cfg(test)]
mod tests;

use super::calls;
use super::features::Feature;
use super::guarded;
use super::state::{self, Sys, mode, pac};
use super::tx::{Tx, signed};
use emu_ir::{Hint, Slot, Ty, Val, insns};
use field::Which;
use std::mem::offset_of;

insns! {
    /// In the space of hints: nothing without FEAT_PAuth. `b` is 1 for a B key, `s` for SP as the modifier, `a` to check.
    HINTS: Tx;
    "1101010100 0 00 011 0010 0000 111 11111" => xpaclri()
    "1101010100 0 00 011 0010 0001 ab0 11111" => pac_1716(a, b)
    "1101010100 0 00 011 0010 0011 abs 11111" => pac_x30(a, b, s)
}

insns! {
    /// Data processing: `a` is 1 to check a code, `k` the key.
    DATA: Tx, needs Feature::PAuth;
    "1 1 0 11010110 00001 000 akk nnnnn ddddd" => pac(a, k, n, d)
    "1 1 0 11010110 00001 001 akk 11111 ddddd" => pac_zero(a, k, d)
    "1 1 0 11010110 00001 010 00k 11111 ddddd" => xpac(k, d)
    "1 0 0 11010110 mmmmm 001100 nnnnn ddddd" => pacga(m, n, d)
}

insns! {
    /// Branches to a checked address: `b` is 1 for the B key.
    BRANCHES: Tx, needs Feature::PAuth;
    "1101011 0000 11111 00001b nnnnn 11111" => braaz(b, n)
    "1101011 0001 11111 00001b nnnnn 11111" => blraaz(b, n)
    "1101011 0010 11111 00001b 11111 11111" => retaa(b)
    "1101011 0100 11111 00001b 11111 11111" => eretaa(b)
    "1101011 1000 11111 00001b nnnnn mmmmm" => braa(b, n, m)
    "1101011 1001 11111 00001b nnnnn mmmmm" => blraa(b, n, m)
}

insns! {
    /// Loads from a checked address; `w` writes it back.
    LOADS: Tx, needs Feature::PAuth;
    "11 111 0 00 b i 1 iiiiiiiii w 1 nnnnn ttttt" => ldraa(b, i, w, n, t)
}

/// Slots of what a code is computed from.
const fn key(which: Which, half: usize) -> Slot {
    state::sys(offset_of!(Sys, keys) + 16 * which.0 as usize + 8 * half)
}
const fn layout(which: Which, i: usize) -> Slot {
    let at = if which.is_data() { pac::DATA } else { pac::CODE };
    state::sys(offset_of!(Sys, pac) + 8 * (at + i))
}

/// Of an address: all ones or zeros by its half, the bits of its code, and the rest of it.
struct Parts {
    half: Val,
    mask: Val,
    rest: Val,
}

impl Parts {
    fn of(t: &mut Tx, which: Which, address: Val) -> Parts {
        let (by, all) = (t.i64(8), t.i64(63));
        let up = t.b.shl(address, by);
        let half = t.b.shr_s(up, all);
        let (low, differs) = (t.b.get(layout(which, 0)), t.b.get(layout(which, pac::DIFFERS)));
        let differs = t.b.and(differs, half);
        let mask = t.b.xor(low, differs);
        let rest = t.b.and_not(address, mask);
        Parts { half, mask, rest }
    }
}

/// [`cipher::cheap`].
fn code(t: &mut Tx, which: Which, address: Val, modifier: Val) -> Val {
    let [low, high] = [0, 1].map(|half| t.b.get(key(which, half)));
    let [by_16, by_57, by_48] = [16, 57, 48].map(|by| t.i64(by));
    let data = t.b.shl(address, by_16);
    let mixed = t.b.xor(data, modifier);
    let mixed = t.b.xor(mixed, high);
    let product = t.b.mul(mixed, low);
    let code = t.b.shr_u(product, by_57);
    t.b.shl(code, by_48)
}

/// Whether SCTLR_EL1 has the key on.
fn is_on(t: &mut Tx, which: Which) -> bool {
    let bit = match which {
        Which::IA => mode::IA,
        Which::IB => mode::IB,
        Which::DA => mode::DA,
        _ => mode::DB,
    };
    // Not on the other keys: a kernel has them on for some programs only, and its own on always.
    t.depends |= bit;
    t.has(Feature::PAuth) && t.mode & bit != 0
}

/// Whether codes are computed inline.
fn is_inline(t: &mut Tx) -> bool {
    t.depends |= mode::USUAL;
    t.has(Feature::PAuth2) && !t.has(Feature::Qarma5) && t.mode & mode::USUAL != 0
}

/// The address with a code.
fn add(t: &mut Tx, which: Which, address: Val, modifier: Val) -> Val {
    if !is_on(t, which) {
        return address;
    }
    if is_inline(t) {
        let code = code(t, which, address, modifier);
        return t.b.xor(address, code);
    }
    let which = t.b.i32(which.0);
    t.b.call(Ty::I64, calls::PAC, &[address, modifier, which])
}

/// The address without its code, which is checked; `combined` with another instruction.
fn auth(t: &mut Tx, which: Which, address: Val, modifier: Val, combined: bool) -> Val {
    if !is_on(t, which) {
        return address;
    }
    if !is_inline(t) {
        return checked(t, which, address, modifier, combined);
    }
    let code = code(t, which, address, modifier);
    let result = t.b.xor(address, code);
    if let Some(right) = is_right(t, result, combined) {
        let done = t.b.label();
        t.b.br_if(right, done);
        checked(t, which, address, modifier, combined);
        t.b.place(done);
    }
    result
}

/// The same by the helper.
fn checked(t: &mut Tx, which: Which, address: Val, modifier: Val, combined: bool) -> Val {
    let how = t.b.i32(which.0 | u32::from(combined) << 2);
    t.b.call(Ty::I64, calls::AUTH, &[address, modifier, how])
}

/// Whether an address is certainly one, as its code was right. Those of the half that is not this exception level's own are
/// left to the helper. `None`: a wrong one is not for here.
fn is_right(t: &mut Tx, address: Val, combined: bool) -> Option<Val> {
    if !t.has(if combined { Feature::FpacCombine } else { Feature::Fpac }) {
        return None;
    }
    let by = t.i64(48);
    let upper = t.b.shr_u(address, by);
    Some(if t.el() == 0 {
        let (field, zero) = (t.b.trunc(Ty::I8, upper), t.b.imm(Ty::I8, 0));
        t.b.eq(field, zero)
    } else {
        let ones = t.i64(0xffff);
        t.b.eq(upper, ones)
    })
}

/// A code added to X`d` or, if `a` is 1, checked there.
fn put(t: &mut Tx, a: u32, which: Which, d: u32, modifier: Val) {
    if !is_on(t, which) {
        return;
    }
    let address = t.x(d);
    if a == 0 || !is_inline(t) {
        let result = match a {
            0 => add(t, which, address, modifier),
            _ => checked(t, which, address, modifier, false),
        };
        return t.set(d, result);
    }
    // As [`auth`], with nothing to be kept over the check.
    let code = code(t, which, address, modifier);
    let result = t.b.xor(address, code);
    t.set(d, result);
    if let Some(right) = is_right(t, result, false) {
        let done = t.b.label();
        t.b.br_if(right, done);
        t.set(d, address);
        let result = checked(t, which, address, modifier, false);
        t.set(d, result);
        t.b.place(done);
    }
}

/// PACIA1716, PACIB1716, AUTIA1716 and AUTIB1716.
fn pac_1716(t: &mut Tx, a: u32, b: u32) {
    let modifier = t.x(16);
    put(t, a, Which(b), 17, modifier);
}
/// PACIAZ, PACIASP, PACIBZ, PACIBSP, AUTIAZ, AUTIASP, AUTIBZ and AUTIBSP.
fn pac_x30(t: &mut Tx, a: u32, b: u32, s: u32) {
    let modifier = if s == 1 { t.x_sp(31) } else { t.i64(0) };
    put(t, a, Which(b), 30, modifier);
}
/// PACIA, PACIB, PACDA, PACDB, AUTIA, AUTIB, AUTDA and AUTDB.
fn pac(t: &mut Tx, a: u32, k: u32, n: u32, d: u32) {
    let modifier = t.x_sp(n);
    put(t, a, Which(k), d, modifier);
}
/// PACIZA, PACIZB, PACDZA, PACDZB, AUTIZA, AUTIZB, AUTDZA and AUTDZB.
fn pac_zero(t: &mut Tx, a: u32, k: u32, d: u32) {
    let modifier = t.i64(0);
    put(t, a, Which(k), d, modifier);
}
/// XPACI and XPACD.
fn xpac(t: &mut Tx, k: u32, d: u32) {
    let address = t.x(d);
    let parts = Parts::of(t, Which(k << 1), address);
    let extension = t.b.and(parts.half, parts.mask);
    let result = t.b.or(parts.rest, extension);
    t.set(d, result);
}
/// XPACLRI.
fn xpaclri(t: &mut Tx) {
    if t.has(Feature::PAuth) {
        xpac(t, 0, 30);
    }
}
/// PACGA.
fn pacga(t: &mut Tx, m: u32, n: u32, d: u32) {
    let args = [t.x(n), t.x_sp(m)];
    let code = t.b.call(Ty::I64, calls::PACGA, &args);
    t.set(d, code);
}

/// BRAAZ and BRABZ.
fn braaz(t: &mut Tx, b: u32, n: u32) {
    let zero = t.i64(0);
    branch(t, b, n, zero);
}
/// BRAA and BRAB.
fn braa(t: &mut Tx, b: u32, n: u32, m: u32) {
    let modifier = t.x_sp(m);
    branch(t, b, n, modifier);
}
fn branch(t: &mut Tx, b: u32, n: u32, modifier: Val) {
    let address = t.x(n);
    let to = auth(t, Which(b), address, modifier, true);
    guarded::jump(t, to, n);
    t.goto_val(to, Hint::Jump);
}
/// BLRAAZ and BLRABZ.
fn blraaz(t: &mut Tx, b: u32, n: u32) {
    let zero = t.i64(0);
    call(t, b, n, zero);
}
/// BLRAA and BLRAB.
fn blraa(t: &mut Tx, b: u32, n: u32, m: u32) {
    let modifier = t.x_sp(m);
    call(t, b, n, modifier);
}
fn call(t: &mut Tx, b: u32, n: u32, modifier: Val) {
    let address = t.x(n);
    let to = auth(t, Which(b), address, modifier, true);
    let back = t.return_address();
    t.set(30, back);
    guarded::call(t, to);
    t.goto_val(to, Hint::Call);
}
/// RETAA and RETAB.
fn retaa(t: &mut Tx, b: u32) {
    let (address, modifier) = (t.x(30), t.x_sp(31));
    let to = auth(t, Which(b), address, modifier, true);
    t.goto_val(to, Hint::Return);
}
/// ERETAA and ERETAB: Undefined at EL0.
fn eretaa(t: &mut Tx, b: u32) {
    let on = is_on(t, Which(b));
    let (sp, how) = (t.x_sp(31), t.b.i32(if on { b } else { 2 }));
    t.call_and_leave(calls::ERETA, &[sp, how]);
}

/// LDRAA and LDRAB: `i` doublewords from the address.
fn ldraa(t: &mut Tx, b: u32, i: u32, w: u32, n: u32, r: u32) {
    let (given, zero) = (t.x_sp(n), t.i64(0));
    let checked = auth(t, Which(2 | b), given, zero, true);
    // CheckSPAlignment.
    t.base(n);
    let by = i64::from(signed(i, 10)) << 3;
    let address = t.plus(checked, by);
    let mem = t.mem(3);
    let v = t.b.load(Ty::I64, address, mem);
    t.set(r, v);
    if w == 1 {
        t.set_sp(n, address);
    }
}
