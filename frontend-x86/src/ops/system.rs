//! The system's registers (SDM 1, 5.20): control, debug and model-specific ones, bases of FS and GS; caches and translations.

use crate::calls;
use crate::fault::vector;
use crate::state::bits::cr4;
use crate::state::{self, mode, number};
use crate::tx::Tx;
use emu_ir::{Fence, Leave, STATUS_CARRY, STATUS_FIXED, Slot, Ty, Val};

const A: u8 = 0;
const C: u8 = 1;
const D: u8 = 2;

impl Tx<'_> {
    /// EDX:EAX.
    fn pair(&mut self) -> Val {
        let (low, high) = (self.low(A, Ty::I32), self.low(D, Ty::I32));
        let (low, high) = (self.b.zext(Ty::I64, low), self.b.zext(Ty::I64, high));
        let high = self.shl(high, 32);
        self.b.or(high, low)
    }
    /// EDX:EAX is set.
    fn set_pair(&mut self, v: Val) {
        let high = self.shr(v, 32);
        let low = self.b.trunc(Ty::I32, v);
        self.set_low(A, low);
        let high = self.b.trunc(Ty::I32, high);
        self.set_low(D, high);
    }
}

/// The number in ModRM.reg.
fn register(t: &mut Tx) -> Val {
    t.imm(Ty::I8, t.insn.reg().into())
}
fn read_register(t: &mut Tx, helper: u16) {
    let n = register(t);
    let value = t.b.call(Ty::I64, helper, &[n]);
    let value = t.b.trunc(t.ty(0), value);
    t.write(0, value);
}
fn write_register(t: &mut Tx, helper: u16) {
    let (n, value) = (register(t), t.read(1));
    t.leave_by(helper, &[n, value]);
}
/// MOV from a control register.
pub fn mov_from_control(t: &mut Tx) {
    read_register(t, calls::READ_CR);
}
/// MOV to a control register.
pub fn mov_to_control(t: &mut Tx) {
    write_register(t, calls::WRITE_CR);
}
/// MOV from a debug register.
pub fn mov_from_debug(t: &mut Tx) {
    read_register(t, calls::READ_DR);
}
/// MOV to a debug register.
pub fn mov_to_debug(t: &mut Tx) {
    write_register(t, calls::WRITE_DR);
}
/// SMSW: of 16 bits in memory.
pub fn smsw(t: &mut Tx) {
    t.check_may_store();
    let cr0 = t.b.get(state::CR0);
    let value = t.b.trunc(t.ty(0), cr0);
    t.write(0, value);
}
/// LMSW.
pub fn lmsw(t: &mut Tx) {
    if t.only_level_0() {
        return;
    }
    let value = t.read(0);
    t.leave_by(calls::LMSW, &[value]);
}
/// CLTS.
pub fn clts(t: &mut Tx) {
    t.leave_by(calls::CLTS, &[]);
}
/// RDMSR.
pub fn rdmsr(t: &mut Tx) {
    if t.only_level_0() {
        return;
    }
    let n = t.low(C, Ty::I32);
    let value = t.b.call(Ty::I64, calls::RDMSR, &[n]);
    t.set_pair(value);
}
/// WRMSR.
pub fn wrmsr(t: &mut Tx) {
    if t.only_level_0() {
        return;
    }
    let (n, value) = (t.low(C, Ty::I32), t.pair());
    t.leave_by(calls::WRMSR, &[n, value]);
}
/// RDTSC.
pub fn rdtsc(t: &mut Tx) {
    let value = t.b.call(Ty::I64, calls::RDTSC, &[]);
    t.set_pair(value);
}
/// RDTSCP.
pub fn rdtscp(t: &mut Tx) {
    rdtsc(t);
    let number = t.b.get(state::TSC_AUX);
    let number = t.b.trunc(Ty::I32, number);
    t.set_low(C, number);
}
/// RDPID: all of the register in 64-bit mode.
pub fn rdpid(t: &mut Tx) {
    let number = t.b.get(state::TSC_AUX);
    let number = t.b.trunc(Ty::I32, number);
    t.set_reg(t.insn.rm(), number);
}
/// RDPMC: there are no counters.
pub fn rdpmc(t: &mut Tx) {
    t.fault(vector::GP, 0);
}
/// CPUID. It serializes.
pub fn cpuid(t: &mut Tx) {
    t.b.call(Ty::I32, calls::CPUID, &[]);
}
/// XGETBV.
pub fn xgetbv(t: &mut Tx) {
    let n = t.low(C, Ty::I32);
    let value = t.b.call(Ty::I64, calls::XGETBV, &[n]);
    t.set_pair(value);
}
/// XSETBV.
pub fn xsetbv(t: &mut Tx) {
    let (n, value) = (t.low(C, Ty::I32), t.pair());
    t.leave_by(calls::XSETBV, &[n, value]);
}
/// RDPKRU.
pub fn rdpkru(t: &mut Tx) {
    let n = t.low(C, Ty::I32);
    let value = t.b.call(Ty::I64, calls::RDPKRU, &[n]);
    t.set_pair(value);
}
/// WRPKRU.
pub fn wrpkru(t: &mut Tx) {
    let (value, c, d) = (t.low(A, Ty::I32), t.low(C, Ty::I32), t.low(D, Ty::I32));
    let zero = t.b.or(c, d);
    t.leave_by(calls::WRPKRU, &[value, zero]);
}

/// SWAPGS.
pub fn swapgs(t: &mut Tx) {
    if t.only_level_0() {
        return;
    }
    let (gs, kernel) = (state::base(number::GS), state::KERNEL_GS_BASE);
    let (a, b) = (t.b.get(gs), t.b.get(kernel));
    t.b.set(gs, b);
    t.b.set(kernel, a);
}
fn read_base(t: &mut Tx, slot: Slot) {
    t.check_cr4(cr4::FSGSBASE, true, vector::UD);
    let base = t.b.get(slot);
    let base = t.b.trunc(t.ty(0), base);
    t.write(0, base);
}
fn write_base(t: &mut Tx, slot: Slot) {
    t.check_cr4(cr4::FSGSBASE, true, vector::UD);
    let base = t.read(0);
    let base = t.b.zext(Ty::I64, base);
    t.check_canonical(base);
    t.b.set(slot, base);
}
/// RDFSBASE.
pub fn rdfsbase(t: &mut Tx) {
    read_base(t, state::base(number::FS));
}
/// RDGSBASE.
pub fn rdgsbase(t: &mut Tx) {
    read_base(t, state::base(number::GS));
}
/// WRFSBASE.
pub fn wrfsbase(t: &mut Tx) {
    write_base(t, state::base(number::FS));
}
/// WRGSBASE.
pub fn wrgsbase(t: &mut Tx) {
    write_base(t, state::base(number::GS));
}

/// INVLPG. No segment keeps it from an address.
pub fn invlpg(t: &mut Tx) {
    if t.only_level_0() {
        return;
    }
    let offset = t.effective_address();
    let offset = t.b.zext(Ty::I64, offset);
    let segment = t.insn.memory.map_or(number::DS, |m| m.segment as u8);
    let address = if t.is_flat(segment) {
        offset
    } else {
        let base = t.b.get(state::base(segment));
        t.b.add(base, offset)
    };
    t.leave_by(calls::INVLPG, &[address]);
}
/// INVPCID.
pub fn invpcid(t: &mut Tx) {
    if t.only_level_0() {
        return;
    }
    let at = t.locate(16, false);
    let low = t.load(Ty::I64, at);
    let next = t.plus(at, 8);
    let (high, kind) = (t.load(Ty::I64, next), t.read(0));
    t.leave_by(calls::INVPCID, &[kind, low, high]);
}
/// INVD: there are no caches.
pub fn invd(t: &mut Tx) {
    t.only_level_0();
}
/// WBINVD.
pub fn wbinvd(t: &mut Tx) {
    t.only_level_0();
}

/// A line of a cache, which can be read: so the manual has its exceptions.
fn touch(t: &mut Tx) {
    let at = t.locate(1, false);
    t.load(Ty::I8, at);
}
/// CLFLUSH.
pub fn clflush(t: &mut Tx) {
    touch(t);
}
/// CLFLUSHOPT.
pub fn clflushopt(t: &mut Tx) {
    touch(t);
}
/// CLWB.
pub fn clwb(t: &mut Tx) {
    touch(t);
}
/// PREFETCHW.
pub fn prefetchw(_: &mut Tx) {}
/// PREFETCHNTA.
pub fn prefetchnta(_: &mut Tx) {}
/// PREFETCHT0.
pub fn prefetcht0(_: &mut Tx) {}
/// PREFETCHT1.
pub fn prefetcht1(_: &mut Tx) {}
/// PREFETCHT2.
pub fn prefetcht2(_: &mut Tx) {}
/// LFENCE.
pub fn lfence(t: &mut Tx) {
    t.b.barrier(Fence::Light);
}
/// SFENCE.
pub fn sfence(t: &mut Tx) {
    t.b.barrier(Fence::Light);
}
/// MFENCE.
pub fn mfence(t: &mut Tx) {
    t.b.barrier(Fence::Full);
}

/// PAUSE: others go first.
pub fn pause(t: &mut Tx) {
    if t.insn.rex.b {
        // XCHG R8, rAX, whose prefix has no meaning.
        const R8: u8 = 8;
        let (r8, a) = (t.reg(R8, t.size()), t.reg(A, t.size()));
        t.set_reg(R8, a);
        return t.set_reg(A, r8);
    }
    t.leave_as(Leave::Yield);
}
/// MONITOR: stores are not looked for, as MWAIT does not wait. No hint is known, so ECX is 0.
pub fn monitor(t: &mut Tx) {
    if mode::cpl(t.mode) != 0 {
        return t.undefined();
    }
    let hints = t.low(C, Ty::I32);
    let zero = t.is_zero(hints);
    t.fault_unless(zero, vector::GP, 0);
    let offset = t.low(A, t.address_size());
    let segment = t.insn.segment.map_or(number::DS, |segment| segment as u8);
    let at = t.linear(segment, offset, 1, false);
    t.load(Ty::I8, at);
}
/// MWAIT: it may end for any reason (SDM 2, MWAIT), and does at once, as others go first. Of ECX bit 0 is known: interrupts end it
/// though they are off.
pub fn mwait(t: &mut Tx) {
    if mode::cpl(t.mode) != 0 {
        return t.undefined();
    }
    let hints = t.low(C, Ty::I32);
    let others = t.mask(hints, !1 & 0xffff_ffff);
    let zero = t.is_zero(others);
    t.fault_unless(zero, vector::GP, 0);
    t.leave_as(Leave::Yield);
}
fn random(t: &mut Tx) {
    let found = t.b.call(Ty::V128, calls::RANDOM, &[]);
    let [value, there] = [0, 1].map(|i| t.b.vget_lane(Ty::I64, found, i));
    let value = t.b.trunc(t.ty(0), value);
    t.write(0, value);
    let carry = t.b.trunc(Ty::I16, there);
    let carry = t.shl(carry, STATUS_CARRY.trailing_zeros());
    let fixed = t.imm(Ty::I16, STATUS_FIXED.into());
    let status = t.b.or(carry, fixed);
    t.set_status(status);
}
/// RDRAND.
pub fn rdrand(t: &mut Tx) {
    random(t);
}
/// RDSEED.
pub fn rdseed(t: &mut Tx) {
    random(t);
}
