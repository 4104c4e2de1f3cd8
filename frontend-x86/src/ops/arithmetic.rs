//! Binary arithmetic and logic (SDM 1, 5.1.2 and 5.1.4).

use crate::fault::vector;
use crate::state::{self, reg};
use crate::tx::Tx;
use emu_ir::{Arith, Mem, Rmw, STATUS_CARRY, STATUS_OVERFLOW, STATUS_ZERO, Ty, Val};

/// ADD.
pub fn add(t: &mut Tx) {
    let b = t.read(1);
    let a = t.change(0, Some((Rmw::Add, b)), &|t, a| t.b.add(a, b));
    t.set_status_of(Arith::Add, a, b);
}
/// SUB.
pub fn sub(t: &mut Tx) {
    let b = t.read(1);
    let by = if t.insn.locked { t.b.neg(b) } else { b };
    let a = t.change(0, Some((Rmw::Add, by)), &|t, a| t.b.sub(a, b));
    t.set_status_of(Arith::Sub, a, b);
}
/// The carry flag as a boolean.
fn carry(t: &mut Tx) -> Val {
    t.cond(2)
}
/// ADC.
pub fn adc(t: &mut Tx) {
    let b = t.read(1);
    let a = t.change(0, None, &|t, a| {
        let c = carry(t);
        t.b.adc(a, b, c)
    });
    t.set_status_of(Arith::Adc, a, b);
}
/// SBB.
pub fn sbb(t: &mut Tx) {
    let b = t.read(1);
    let a = t.change(0, None, &|t, a| {
        let c = carry(t);
        t.b.sbb(a, b, c)
    });
    t.set_status_of(Arith::Sbb, a, b);
}
/// CMP.
pub fn cmp(t: &mut Tx) {
    let (a, b) = (t.read(0), t.read(1));
    t.set_status_of(Arith::Sub, a, b);
}
/// INC.
pub fn inc(t: &mut Tx) {
    let one = t.imm(t.ty(0), 1);
    let a = t.change(0, Some((Rmw::Add, one)), &|t, a| t.b.add(a, one));
    t.set_status_of(Arith::Inc, a, a);
}
/// DEC.
pub fn dec(t: &mut Tx) {
    let ty = t.ty(0);
    let (one, minus) = (t.imm(ty, 1), t.imm(ty, u64::MAX));
    let a = t.change(0, Some((Rmw::Add, minus)), &|t, a| t.b.sub(a, one));
    t.set_status_of(Arith::Dec, a, a);
}
/// NEG.
pub fn neg(t: &mut Tx) {
    let zero = t.imm(t.ty(0), 0);
    let a = t.change(0, None, &|t, a| t.b.neg(a));
    t.set_status_of(Arith::Sub, zero, a);
}

fn logic(t: &mut Tx, how: Rmw, f: fn(&mut Tx, Val, Val) -> Val) {
    let b = t.read(1);
    let a = t.change(0, Some((how, b)), &|t, a| f(t, a, b));
    let result = f(t, a, b);
    t.set_status_of(Arith::Logic, result, result);
}
/// AND.
pub fn and(t: &mut Tx) {
    logic(t, Rmw::And, |t, a, b| t.b.and(a, b));
}
/// OR.
pub fn or(t: &mut Tx) {
    logic(t, Rmw::Or, |t, a, b| t.b.or(a, b));
}
/// XOR.
pub fn xor(t: &mut Tx) {
    logic(t, Rmw::Xor, |t, a, b| t.b.xor(a, b));
}
/// NOT.
pub fn not(t: &mut Tx) {
    let ones = t.imm(t.ty(0), u64::MAX);
    t.change(0, Some((Rmw::Xor, ones)), &|t, a| t.b.not(a));
}
/// TEST.
pub fn test(t: &mut Tx) {
    let (a, b) = (t.read(0), t.read(1));
    let result = t.b.and(a, b);
    t.set_status_of(Arith::Logic, result, result);
}

/// XADD.
pub fn xadd(t: &mut Tx) {
    let b = t.read(1);
    let old = t.change(0, Some((Rmw::Add, b)), &|t, a| t.b.add(a, b));
    if t.register(0) != t.register(1) {
        t.write(1, old);
    }
    t.set_status_of(Arith::Add, old, b);
}
/// CMPXCHG. The destination is written in any case, with what it held if that is not what the accumulator holds.
pub fn cmpxchg(t: &mut Tx) {
    let (ty, new) = (t.ty(0), t.read(1));
    let accumulator = t.low(0, ty);
    if t.is_memory(0) && t.insn.locked {
        let (at, mem) = (t.place(0, true), t.mem(ty));
        let old = t.b.cas(at, accumulator, new, mem);
        let same = t.b.eq(old, accumulator);
        return compared(t, same, accumulator, old);
    }
    let old = match t.is_memory(0) {
        true => {
            let at = t.place(0, true);
            t.load_to_write(ty, at)
        }
        false => t.read(0),
    };
    let same = t.b.eq(old, accumulator);
    let value = t.b.select(same, new, old);
    if t.is_memory(0) {
        t.write(0, value);
        return compared(t, same, accumulator, old);
    }
    // A register that is not changed keeps its upper half: only the accumulator is written then.
    let n = t.register(0).unwrap_or(0);
    let before = t.b.get(reg(n & 15));
    if ty == Ty::I32 {
        let (wide, kept) = (t.b.zext(Ty::I64, new), before);
        let value = t.b.select(same, wide, kept);
        t.b.set(reg(n), value);
    } else {
        t.write(0, value);
    }
    compared(t, same, accumulator, old);
}
/// What was found goes to the accumulator, if it was not what that holds; the flags of the comparison.
fn compared(t: &mut Tx, same: Val, accumulator: Val, found: Val) {
    let whole = t.b.get(reg(0));
    let loaded = match t.b.ty(found) {
        Ty::I8 | Ty::I16 => t.b.insert(whole, found, 0),
        _ => t.b.zext(Ty::I64, found),
    };
    let whole = t.b.select(same, whole, loaded);
    t.b.set(reg(0), whole);
    t.set_status_of(Arith::Sub, accumulator, found);
}

/// The pair of 32-bit registers as 64 bits.
fn pair(t: &mut Tx, high: u8, low: u8) -> Val {
    let (high, low) = (t.reg(high, Ty::I32), t.reg(low, Ty::I32));
    let (high, low) = (t.b.zext(Ty::I64, high), t.b.zext(Ty::I64, low));
    let high = t.shl(high, 32);
    t.b.or(high, low)
}
fn set_zero_flag(t: &mut Tx, same: Val) {
    let old = t.status();
    let status = t.set_flags(old, &[(STATUS_ZERO, same)]);
    t.set_status(status);
}
const A: u8 = 0;
const C: u8 = 1;
const D: u8 = 2;
const B: u8 = 3;
/// CMPXCHG8B.
pub fn cmpxchg8b(t: &mut Tx) {
    let (old, new) = (pair(t, D, A), pair(t, C, B));
    let (at, mem) = (t.locate(8, true), t.mem(Ty::I64));
    let found = t.b.cas(at, old, new, mem);
    let same = t.b.eq(found, old);
    let (low, high) = (t.b.trunc(Ty::I32, found), t.shr(found, 32));
    let low = t.b.zext(Ty::I64, low);
    for (n, value) in [(A, low), (D, high)] {
        let before = t.b.get(reg(n));
        let value = t.b.select(same, before, value);
        t.b.set(reg(n), value);
    }
    set_zero_flag(t, same);
}
/// CMPXCHG16B: of memory that is not aligned it is #GP(0).
pub fn cmpxchg16b(t: &mut Tx) {
    let at = t.locate(16, true);
    let low = t.mask(at, 15);
    let aligned = t.is_zero(low);
    t.fault_unless(aligned, vector::GP, 0);
    let vector = |t: &mut Tx, low: u8, high: u8| {
        let (low, high) = (t.b.get(reg(low)), t.b.get(reg(high)));
        let (low, high) = (t.b.bitcast(Ty::V64, low), t.b.bitcast(Ty::V64, high));
        t.b.vconcat(low, high)
    };
    let (old, new) = (vector(t, A, D), vector(t, B, C));
    let mem = Mem {
        align: 4,
        ..Mem::new(4, 0)
    };
    let found = t.b.cas(at, old, new, mem);
    let [low, high] = [0, 1].map(|i| t.b.vget_lane(Ty::I64, found, i));
    let (a, d) = (t.b.get(reg(A)), t.b.get(reg(D)));
    let (low_differs, high_differs) = (t.b.xor(low, a), t.b.xor(high, d));
    let differs = t.b.or(low_differs, high_differs);
    let same = t.is_zero(differs);
    t.b.set(reg(A), low);
    t.b.set(reg(D), high);
    set_zero_flag(t, same);
}

/// ADCX and ADOX: an addition with one flag as its carry, which it alone sets.
fn add_by(t: &mut Tx, flag: u16) {
    let (a, b, status) = (t.read(0), t.read(1), t.b.get(state::STATUS));
    let c = t.b.cond(status, if flag == STATUS_CARRY { 2 } else { 0 });
    let (sum, carry) = (t.b.adc(a, b, c), t.b.adc_carry(a, b, c));
    t.write(0, sum);
    let status = t.set_flags(status, &[(flag, carry)]);
    t.set_status(status);
}
/// ADCX.
pub fn adcx(t: &mut Tx) {
    add_by(t, STATUS_CARRY);
}
/// ADOX.
pub fn adox(t: &mut Tx) {
    add_by(t, STATUS_OVERFLOW);
}
