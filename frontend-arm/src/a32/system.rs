//! Status registers, exceptions, coprocessors 14 and 15, hints and barriers (Arm ARM DDI 0406C, A8.8 and B9.3).

use crate::calls;
use crate::features::Feature;
use crate::state::{self, GE, PSR, Q, mode, psr};
use crate::tx::Tx;
use emu_ir::{Fence, Hint, Label, Leave, Ty, Val};

/// SVC.
pub fn svc(t: &mut Tx) {
    t.call_and_leave(calls::SVC, &[]);
}
/// BKPT.
pub fn bkpt(t: &mut Tx) {
    t.call_and_leave(calls::BKPT, &[]);
}
/// A semihosting call: the machine's, which answers in r0.
pub fn semihosting(t: &mut Tx) {
    let next = t.next() as i32;
    let next = t.b.pc_rel(Ty::I32, next);
    t.b.call(Ty::I32, calls::SEMIHOSTING, &[next]);
    t.exit_after(Leave::Resume);
}
/// UDF, and whatever is Undefined.
pub fn udf(t: &mut Tx) {
    t.undefined();
}
/// HVC with immediate `i`.
pub fn hvc(t: &mut Tx, i: u32) {
    firmware(t, calls::HVC, i);
}
/// SMC with immediate `i`.
pub fn smc(t: &mut Tx, i: u32) {
    firmware(t, calls::SMC, i);
}
fn firmware(t: &mut Tx, helper: u16, i: u32) {
    let (i, next) = (t.b.i32(i), t.next() as i32);
    let next = t.b.pc_rel(Ty::I32, next);
    t.b.call(Ty::I32, helper, &[i, next]);
    t.exit_after(Leave::Resume);
}

/// ERET of A32, outside Hyp mode (B9.3.3): to LR. T32's is [`subs_pc_lr`].
pub fn eret(t: &mut Tx) {
    let lr = t.reg(14);
    t.call_and_leave(calls::ERET, &[lr]);
}
/// Return from exception to `pc`: CPSR from SPSR.
pub fn exception_return(t: &mut Tx, pc: Val) {
    t.call_and_leave(calls::EXCEPTION_RETURN, &[pc]);
}
/// SUBS PC, LR, #`i` of T32, which is ERET for 0.
pub fn subs_pc_lr(t: &mut Tx, i: u32) {
    let (lr, i) = (t.reg(14), t.b.i32(i));
    let pc = t.b.sub(lr, i);
    exception_return(t, pc);
}

/// MRS of the CPSR.
pub fn mrs(t: &mut Tx, d: u32) {
    let mut v = t.b.get(PSR);
    if t.mode & mode::E != 0 {
        let e = t.b.i32(psr::E);
        v = t.b.or(v, e);
    }
    for (slot, bit) in [
        (GE, 16),
        (Q, 27),
        (state::V, 28),
        (state::C, 29),
        (state::Z, 30),
        (state::N, 31),
    ] {
        let (field, by) = (t.b.get(slot), t.b.i32(bit));
        let field = t.b.zext(Ty::I32, field);
        let field = t.b.shl(field, by);
        v = t.b.or(v, field);
    }
    set(t, d, v);
}
/// MRS of the SPSR.
pub fn mrs_spsr(t: &mut Tx, d: u32) {
    let v = t.b.call(Ty::I32, calls::SPSR_READ, &[]);
    set(t, d, v);
}
/// MRS of another mode's register, named by R, M and M1: `r`, `m`, `s`.
pub fn mrs_banked(t: &mut Tx, r: u32, m: u32, s: u32, d: u32) {
    if t.user() {
        return t.undefined();
    }
    let s = t.b.i32(r << 5 | m << 4 | s);
    let v = t.b.call(Ty::I32, calls::BANKED_READ, &[s]);
    set(t, d, v);
}
/// Reads to R15 are UNPREDICTABLE, here Undefined.
fn set(t: &mut Tx, d: u32, v: Val) {
    if d == 15 { t.undefined() } else { t.set(d, v) }
}

/// MSR of the CPSR (immediate): `m` the byte mask, `i` an A32 modified immediate.
pub fn msr_imm(t: &mut Tx, m: u32, i: u32) {
    let v = t.b.i32((i & 0xff).rotate_right(i >> 8 << 1));
    write_cpsr(t, m, v);
}
/// MSR of the CPSR (register).
pub fn msr_reg(t: &mut Tx, m: u32, n: u32) {
    let v = t.reg(n);
    write_cpsr(t, m, v);
}
/// MSR of the SPSR (immediate).
pub fn msr_spsr_imm(t: &mut Tx, m: u32, i: u32) {
    let v = t.b.i32((i & 0xff).rotate_right(i >> 8 << 1));
    write_spsr(t, m, v);
}
/// MSR of the SPSR (register).
pub fn msr_spsr_reg(t: &mut Tx, m: u32, n: u32) {
    let v = t.reg(n);
    write_spsr(t, m, v);
}
/// MSR of another mode's register, named by R, M and M1: `r`, `m`, `s`.
pub fn msr_banked(t: &mut Tx, r: u32, m: u32, s: u32, n: u32) {
    if t.user() || n == 15 {
        return t.undefined();
    }
    let (s, v) = (t.b.i32(r << 5 | m << 4 | s), t.reg(n));
    t.b.call(Ty::I32, calls::BANKED_WRITE, &[s, v]);
}
fn write_spsr(t: &mut Tx, m: u32, v: Val) {
    let m = t.b.i32(m);
    t.b.call(Ty::I32, calls::SPSR_WRITE, &[v, m]);
}

/// PSTATE.SSBS and DIT of Armv8, which User mode may write, in CPSR.
const SPECULATION: [(Feature, u32); 2] = [(Feature::Ssbs, psr::SSBS), (Feature::Dit, psr::DIT)];

/// Write them from a value for the CPSR.
fn write_speculation(t: &mut Tx, v: Val) {
    let there = SPECULATION.into_iter().filter(|&(feature, _)| t.has(feature));
    let bits = there.fold(0, |all, (_, bit)| all | bit);
    if bits == 0 {
        return;
    }
    let (old, bits) = (t.b.get(PSR), t.b.i32(bits));
    let (kept, new) = (t.b.and_not(old, bits), t.b.and(v, bits));
    let new = t.b.or(kept, new);
    t.b.set(PSR, new);
}

/// The application's bits are written here; others may change the mode and unmask interrupts.
fn write_cpsr(t: &mut Tx, m: u32, v: Val) {
    // User mode can write the application bits only, and byte 1 has but E (and A) for it: E changes the mode word.
    let application = m & 0b1100;
    if application & 0b0100 != 0 {
        write_speculation(t, v);
    }
    if m & 0b0010 == 0 && (m & 0b0001 == 0 || t.user()) {
        if application & 0b1000 != 0 {
            t.set_nzcv_bits(v);
            let q = t.bit(v, 27);
            t.b.set(Q, q);
        }
        if application & 0b0100 != 0 {
            let (by, mask) = (t.b.i32(16), t.b.i32(0xf));
            let ge = t.b.shr_u(v, by);
            let ge = t.b.and(ge, mask);
            let ge = t.b.trunc(Ty::I8, ge);
            t.b.set(GE, ge);
        }
        return;
    }
    let slow = (m == 0b0001).then(|| write_masks(t, v));
    if let Some(slow) = slow {
        t.b.place(slow);
    }
    let m = t.b.i32(m);
    t.b.call(Ty::I32, calls::CPSR_WRITE, &[v, m]);
    t.flags_written(crate::flags::FlagSource::Slots);
    t.exit_after_mode_change(Leave::Resume);
}

/// Write the control byte where it leaves the mode as it is (Linux restores the interrupt mask so); the label is for where
/// it does not.
fn write_masks(t: &mut Tx, v: Val) -> Label {
    let (old, modes, zero) = (t.b.get(PSR), t.b.i32(psr::M), t.b.i32(0));
    let changed = t.b.xor(old, v);
    let changed = t.b.and(changed, modes);
    let (changes, slow) = (t.b.ne(changed, zero), t.b.label());
    t.b.br_if(changes, slow);
    let masks = t.b.i32(psr::I | psr::F);
    let (kept, new) = (t.b.and_not(old, masks), t.b.and(v, masks));
    let new = t.b.or(kept, new);
    t.b.set(PSR, new);
    t.goto_next(true);
    slow
}

/// CPS: `i` is imod, `c` whether the mode changes, `a` A:I:F, `m` the mode.
pub fn cps(t: &mut Tx, i: u32, c: u32, a: u32, m: u32) {
    if i == 1 || i == 0 && c == 0 {
        return t.undefined();
    }
    if t.user() {
        return;
    }
    if c == 0 {
        return mask(t, i == 3, a);
    }
    let args = [i, a, c, m].map(|v| t.b.i32(v));
    t.b.call(Ty::I32, calls::CPS, &args);
    t.exit_after_mode_change(Leave::Resume);
}

/// Mask or unmask asynchronous exceptions, without a change of mode.
fn mask(t: &mut Tx, masks: bool, aif: u32) {
    const { assert!(psr::F == 1 << 6 && psr::I == 1 << 7 && psr::A == 1 << 8) };
    let (old, bits) = (t.b.get(PSR), t.b.i32(aif << 6));
    let new = if masks {
        t.b.or(old, bits)
    } else {
        t.b.and_not(old, bits)
    };
    t.b.set(PSR, new);
    if !masks {
        t.goto_next(true);
    }
}

/// SETEND: `e` = 1 for big-endian.
pub fn setend(t: &mut Tx, e: u32) {
    if t.mode & mode::SED != 0 {
        return t.undefined();
    }
    let to = t.mode & !(mode::E | mode::IT) | if e != 0 { mode::E } else { 0 };
    if to == t.mode & !mode::IT {
        return;
    }
    let next = t.next() as i32;
    t.goto_mode(next, to, Hint::Jump);
}

/// The MRC of the thread pointer: its A32 word but for condition and Rt.
const TPIDRURO: u32 = 0x0e1d_0f70;
/// The MCR and MRC of the other two thread registers.
const TPIDRURW: u32 = 0x0e1d_0f50;
const TPIDRPRW: u32 = 0x0e1d_0f90;

/// ISB as a CP15 operation.
const CP15ISB: u32 = 0x0e07_0f95;

/// MRC of cp14 or cp15: to the flags if Rt is R15.
pub fn mrc(t: &mut Tx) {
    let (w, d) = (t.word, t.word >> 12 & 15);
    let slot = match w & 0x0fff_0fff {
        TPIDRURO => Some(state::TPIDRURO),
        TPIDRURW => Some(state::TPIDRURW),
        TPIDRPRW if !t.user() => Some(state::TPIDRPRW),
        _ => None,
    };
    let v = match slot {
        Some(slot) => t.b.get(slot),
        None => {
            let word = t.b.i32(w);
            t.b.call(Ty::I32, calls::COPROC_READ, &[word])
        }
    };
    if d == 15 { t.set_nzcv_bits(v) } else { t.set(d, v) }
}

/// MCR of cp14 or cp15.
pub fn mcr(t: &mut Tx) {
    let (w, d) = (t.word, t.word >> 12 & 15);
    if d == 15 {
        return t.undefined();
    }
    let (word, v) = (t.b.i32(w), t.reg(d));
    t.b.call(Ty::I32, calls::COPROC_WRITE, &[word, v]);
    if w & 0x0fff_0fff == CP15ISB {
        return t.refetch_next();
    }
    // Translation tables, domains, maintenance and thread registers: later instructions of the block are as they were
    // fetched, and data accesses see the change at once. Others may change the mode word or raise an interrupt line.
    let (coprocessor, crn) = (w >> 8 & 15, w >> 16 & 15);
    if coprocessor == 15 && matches!(crn, 2 | 3 | 7 | 8 | 13) {
        return;
    }
    t.exit_after_mode_change(Leave::Resume);
}

/// MRRC of cp14 or cp15: `d` the low word, `e` the high one.
pub fn mrrc(t: &mut Tx, e: u32, d: u32) {
    if d == 15 || e == 15 || d == e {
        return t.undefined();
    }
    let word = t.b.i32(t.word);
    let v = t.b.call(Ty::I64, calls::COPROC_READ64, &[word]);
    let (lo, by) = (t.b.trunc(Ty::I32, v), t.b.imm(Ty::I64, 32));
    let hi = t.b.shr_u(v, by);
    let hi = t.b.trunc(Ty::I32, hi);
    t.set(d, lo);
    t.set(e, hi);
}

/// MCRR of cp14 or cp15: `d` the low word, `e` the high one.
pub fn mcrr(t: &mut Tx, e: u32, d: u32) {
    if d == 15 || e == 15 {
        return t.undefined();
    }
    let (lo, hi) = (t.reg(d), t.reg(e));
    let (lo, hi, by) = (t.b.zext(Ty::I64, lo), t.b.zext(Ty::I64, hi), t.b.imm(Ty::I64, 32));
    let hi = t.b.shl(hi, by);
    let (word, v) = (t.b.i32(t.word), t.b.or(lo, hi));
    t.b.call(Ty::I32, calls::COPROC_WRITE64, &[word, v]);
    // As in `mcr`: only the timers (c14) have outputs.
    if t.word & 15 == 14 {
        t.exit_after_mode_change(Leave::Resume);
    }
}

/// DMB, DSB: `o` says which accesses.
pub fn dmb(t: &mut Tx, o: u32) {
    // ISHST, ST and their like order stores only; Armv8's ISHLD, LD and their like loads with what follows.
    let light = o & 3 == 2 || o & 3 == 1 && t.has(Feature::A32V8);
    let kind = if light { Fence::Light } else { Fence::Full };
    t.b.barrier(kind);
}
/// DSB: all accesses; completes maintenance, that of other CPUs too.
pub fn dsb(t: &mut Tx) {
    t.b.barrier(Fence::Full);
    if t.several {
        t.b.call(Ty::I32, calls::COMPLETE, &[]);
    }
}
/// ISB: later instructions see changed mappings.
pub fn isb(t: &mut Tx) {
    t.refetch_next();
}

/// NOP, SEV, DBG and hints that are not there.
pub fn nop(_: &mut Tx) {}
/// SEV: nothing waits for events (WFE gives way instead).
pub fn sev(_: &mut Tx) {}
/// SEVL of Armv8, before that a hint that is not there.
pub fn sevl(_: &mut Tx) {}
/// SB: a barrier to speculation, of which there is none.
pub fn sb(_: &mut Tx) {}
/// SETPAN: User mode cannot.
pub fn setpan(_: &mut Tx) {}
/// HLT: Undefined without a halting debugger.
pub fn hlt(t: &mut Tx) {
    t.undefined();
}
/// DBG: a hint to debug tools.
pub fn dbg(_: &mut Tx) {}
/// YIELD.
pub fn yield_(t: &mut Tx) {
    t.exit_after(Leave::Yield);
}
/// WFE: gives way; the event register is always found set.
pub fn wfe(t: &mut Tx) {
    wait_allowed(t, 1);
    t.exit_after(Leave::Yield);
}
/// WFI.
pub fn wfi(t: &mut Tx) {
    wait_allowed(t, 0);
    t.exit_after(Leave::Wait);
}
/// EL1 of Armv8 may trap them (`event` = 1 for WFE), and is told of T16.
fn wait_allowed(t: &mut Tx, event: u32) {
    if t.user() && t.has(Feature::A32V8) {
        let (event, narrow) = (t.b.i32(event), t.b.i32(u32::from(t.size == 2)));
        t.b.call(Ty::I32, calls::WAIT_ALLOWED, &[event, narrow]);
    }
}

/// IT: the state of the following instructions, `i` = firstcond:mask.
pub fn it(t: &mut Tx, i: u32) {
    t.it_next = i as u8;
}
