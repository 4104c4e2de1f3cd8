//! Branches and exception generation (Arm ARM DDI 0487, C4.1, "Branches, Exception Generating and System instructions").

use super::calls;
use super::fault::class;
use super::guarded;
use super::tx::{Tx, signed, width};
use emu_ir::{Hint, Leave, Ty, Val, insns};

insns! {
    /// Branches to an address in the encoding.
    DIRECT: Tx;
    "0101010 0 iiiiiiiiiiiiiiiiiii 0 cccc" => b_cond(i, c)
    "0 00101 iiiiiiiiiiiiiiiiiiiiiiiiii" => b(i)
    "1 00101 iiiiiiiiiiiiiiiiiiiiiiiiii" => bl(i)
    "z 011010 0 iiiiiiiiiiiiiiiiiii ttttt" => cbz(z, i, t)
    "z 011010 1 iiiiiiiiiiiiiiiiiii ttttt" => cbnz(z, i, t)
    "k 011011 0 kkkkk iiiiiiiiiiiiii ttttt" => tbz(k, i, t)
    "k 011011 1 kkkkk iiiiiiiiiiiiii ttttt" => tbnz(k, i, t)
}

insns! {
    /// Branches to an address in a register.
    INDIRECT: Tx;
    "1101011 0000 11111 000000 nnnnn 00000" => br(n)
    "1101011 0001 11111 000000 nnnnn 00000" => blr(n)
    "1101011 0010 11111 000000 nnnnn 00000" => ret(n)
    "1101011 0100 11111 000000 11111 00000" => eret()
    "1101011 0101 11111 000000 11111 00000" => drps()
}

insns! {
    /// Exception generation.
    EXCEPTIONS: Tx;
    "11010100 000 iiiiiiiiiiiiiiii 000 01" => svc(i)
    "11010100 000 ---------------- 000 10" => hvc()
    "11010100 000 ---------------- 000 11" => smc()
    "11010100 001 iiiiiiiiiiiiiiii 000 00" => brk(i)
    "11010100 010 ---------------- 000 00" => hlt()
    "11010100 101 ---------------- 000 01" => dcps1()
    "11010100 101 ---------------- 000 10" => dcps2()
    "11010100 101 ---------------- 000 11" => dcps3()
    "00000000 00000000 ---------------- " => udf()
}

/// B: `i` words.
fn b(t: &mut Tx, i: u32) {
    t.goto(signed(i, 26) << 2, Hint::Jump);
}

/// BL: `i` words.
fn bl(t: &mut Tx, i: u32) {
    let back = t.return_address();
    t.set(30, back);
    t.goto(signed(i, 26) << 2, Hint::Call);
}

/// A branch by some bytes, but where `skips`; on both ways the block ends.
fn branch_unless(t: &mut Tx, skips: Val, by: i32) {
    let skip = t.b.label();
    t.b.br_if(skips, skip);
    t.goto(by, Hint::Jump);
    t.b.place(skip);
    (t.ended, t.stop) = (false, true);
}

/// B.cond: `i` words if the condition `c` holds.
fn b_cond(t: &mut Tx, i: u32, c: u32) {
    let by = signed(i, 19) << 2;
    if c >= 14 {
        return t.goto(by, Hint::Jump);
    }
    let fails = t.cond(c ^ 1);
    branch_unless(t, fails, by);
}

/// CBZ: `i` words if `r` is zero.
fn cbz(t: &mut Tx, z: u32, i: u32, r: u32) {
    let (v, zero) = (t.r(z, r), t.b.imm(width(z), 0));
    let fails = t.b.ne(v, zero);
    branch_unless(t, fails, signed(i, 19) << 2);
}
/// CBNZ: `i` words if `r` is not zero.
fn cbnz(t: &mut Tx, z: u32, i: u32, r: u32) {
    let (v, zero) = (t.r(z, r), t.b.imm(width(z), 0));
    let fails = t.b.eq(v, zero);
    branch_unless(t, fails, signed(i, 19) << 2);
}

/// Bit `k` of `r`, alone.
fn tested(t: &mut Tx, k: u32, r: u32) -> (Val, Val) {
    let z = k >> 5;
    let (v, bit) = (t.r(z, r), t.b.imm(width(z), 1 << k));
    (t.b.and(v, bit), t.b.imm(width(z), 0))
}
/// TBZ: `i` words if bit `k` of `r` is zero.
fn tbz(t: &mut Tx, k: u32, i: u32, r: u32) {
    let (bit, zero) = tested(t, k, r);
    let fails = t.b.ne(bit, zero);
    branch_unless(t, fails, signed(i, 14) << 2);
}
/// TBNZ: `i` words if bit `k` of `r` is one.
fn tbnz(t: &mut Tx, k: u32, i: u32, r: u32) {
    let (bit, zero) = tested(t, k, r);
    let fails = t.b.eq(bit, zero);
    branch_unless(t, fails, signed(i, 14) << 2);
}

/// BR.
fn br(t: &mut Tx, n: u32) {
    let to = t.x(n);
    guarded::jump(t, to, n);
    t.goto_val(to, Hint::Jump);
}
/// BLR.
fn blr(t: &mut Tx, n: u32) {
    let (to, back) = (t.x(n), t.return_address());
    t.set(30, back);
    guarded::call(t, to);
    t.goto_val(to, Hint::Call);
}
/// RET.
fn ret(t: &mut Tx, n: u32) {
    let to = t.x(n);
    t.goto_val(to, Hint::Return);
}
/// ERET: Undefined at EL0.
fn eret(t: &mut Tx) {
    t.call_and_leave(calls::ERET, &[]);
}
/// DRPS: Undefined outside Debug state.
fn drps(t: &mut Tx) {
    t.undefined();
}

/// SVC.
fn svc(t: &mut Tx, i: u32) {
    t.exception(class::SVC, i);
}
/// HVC: a call of the machine's firmware, for which neither EL2 nor EL3 is needed.
fn hvc(t: &mut Tx) {
    firmware(t, calls::HVC);
}
/// SMC: as HVC.
fn smc(t: &mut Tx) {
    firmware(t, calls::SMC);
}
/// HLT #0xf000 as a semihosting call: the machine's, which answers in X0.
pub(super) fn semihosting(t: &mut Tx) {
    firmware(t, calls::SEMIHOSTING);
}
fn firmware(t: &mut Tx, helper: u16) {
    let next = t.return_address();
    t.b.call(Ty::I32, helper, &[next]);
    t.exit_after(Leave::Resume);
}
/// BRK.
fn brk(t: &mut Tx, i: u32) {
    t.exception(class::BRK, i);
}
/// HLT: Undefined where no halting debugger is.
fn hlt(t: &mut Tx) {
    t.undefined();
}
/// DCPS1: Undefined outside Debug state.
fn dcps1(t: &mut Tx) {
    t.undefined();
}
/// DCPS2: Undefined outside Debug state.
fn dcps2(t: &mut Tx) {
    t.undefined();
}
/// DCPS3: Undefined outside Debug state.
fn dcps3(t: &mut Tx) {
    t.undefined();
}
/// UDF: permanently Undefined.
fn udf(t: &mut Tx) {
    t.undefined();
}
