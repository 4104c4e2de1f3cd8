//! System instructions (Arm ARM DDI 0487, C4.1, "Branches, Exception Generating and System instructions"; C5).

use super::calls;
use super::features::Feature;
use super::state::{EXCL_ARMED, PSR, SP_EL0, mode, psr};
use super::sys::{self, at, encoding};
use super::tx::Tx;
use crate::flags::FlagSource;
use emu_ir::{Fence, Leave, Mem, Slot, Ty, Val, insns};

insns! {
    /// Hints: what is not here does nothing.
    HINTS: Tx;
    "1101010100 0 00 011 0010 ---- --- 11111" => hint()
    "1101010100 0 00 011 0010 0000 000 11111" => nop()
    "1101010100 0 00 011 0010 0000 001 11111" => yield_()
    "1101010100 0 00 011 0010 0000 010 11111" => wfe()
    "1101010100 0 00 011 0010 0000 011 11111" => wfi()
    "1101010100 0 00 011 0010 0000 100 11111" => sev()
    "1101010100 0 00 011 0010 0000 101 11111" => sevl()
    "1101010100 0 00 011 0010 0010 000 11111" => esb()
    "1101010100 0 00 011 0010 0010 100 11111" => csdb()
    "1101010100 0 00 011 0010 0100 ii0 11111" => bti(i)
}

insns! {
    /// Barriers. Of what DMB and DSB say only the kind of access matters here.
    BARRIERS: Tx;
    "1101010100 0 00 011 0011 ---- 010 11111" => clrex()
    "1101010100 0 00 011 0011 ---- 100 11111" => dsb()
    "1101010100 0 00 011 0011 --kk 101 11111" => dmb(k)
    "1101010100 0 00 011 0011 ---- 110 11111" => isb()
}

insns! {
    /// FEAT_SB.
    SPECULATION: Tx, needs Feature::Sb;
    "1101010100 0 00 011 0011 0000 111 11111" => sb()
}

insns! {
    /// PSTATE, system registers and system instructions.
    REGISTERS: Tx;
    "1101010100 0 00 ooo 0100 iiii ppp 11111" => msr_imm(o, i, p)
    "1101010100 0 1 --------------- ttttt" => msr(t)
    "1101010100 1 1 --------------- ttttt" => mrs(t)
    "1101010100 0 01 -------------- ttttt" => sys(t)
    "1101010100 1 01 -------------- -----" => sysl()
    "1101010100 0 01 011 0111 0100 001 ttttt" => dc_zva(t)
}

/// A hint that nothing is done for.
fn hint(_: &mut Tx) {}
/// NOP.
fn nop(_: &mut Tx) {}
/// SEV: an event is never waited for.
fn sev(_: &mut Tx) {}
/// SEVL: as SEV.
fn sevl(_: &mut Tx) {}
/// ESB: no SError is ever pending, so that none is deferred.
fn esb(_: &mut Tx) {}
/// CSDB: nothing is speculated.
fn csdb(_: &mut Tx) {}
/// BTI: a landing pad, see [`super::guarded`].
fn bti(_: &mut Tx, _kind: u32) {}
/// YIELD.
fn yield_(t: &mut Tx) {
    t.exit_after(Leave::Yield);
}
/// WFE: an event may come at any time, so that giving way is enough.
fn wfe(t: &mut Tx) {
    wait(t, true);
    t.exit_after(Leave::Yield);
}
/// WFI.
fn wfi(t: &mut Tx) {
    wait(t, false);
    t.exit_after(Leave::Wait);
}
/// At EL0, SCTLR_EL1 says whether WFE (`event`) or WFI is allowed.
fn wait(t: &mut Tx, event: bool) {
    if t.el() == 0 {
        let event = t.b.i32(event.into());
        let narrow = t.b.i32(0);
        t.b.call(Ty::I32, calls::WAIT_ALLOWED, &[event, narrow]);
    }
}

/// CLREX.
fn clrex(t: &mut Tx) {
    let zero = t.b.i32(0);
    t.b.set(EXCL_ARMED, zero);
}
/// DSB: what the CPU has done is complete, maintenance of other CPUs too.
fn dsb(t: &mut Tx) {
    t.b.barrier(Fence::Full);
    if t.several {
        t.b.call(Ty::I32, calls::COMPLETE, &[]);
    }
}
/// DMB: `k` is 1 for loads against what follows, 2 for stores against stores, else everything.
fn dmb(t: &mut Tx, k: u32) {
    let light = matches!(k, 1 | 2);
    t.b.barrier(if light { Fence::Light } else { Fence::Full });
}
/// ISB: what follows is fetched anew.
fn isb(t: &mut Tx) {
    t.refetch_next();
}
/// SB: nothing is speculated.
fn sb(_: &mut Tx) {}

/// The slot of the instruction's register, if it is read, or written, where it lies at this exception level.
fn plain(t: &Tx, write: bool) -> Option<Slot> {
    if encoding(t.word) == at::SP_EL0 {
        return (t.el() > 0 && t.mode & mode::SPX != 0).then_some(SP_EL0);
    }
    sys::slot(t.features, t.el(), t.word, write)
}

/// MRS.
fn mrs(t: &mut Tx, r: u32) {
    let v = if let Some(slot) = plain(t, false) {
        t.b.get(slot)
    } else if encoding(t.word) == at::DAIF && t.el() > 0 {
        let (all, masks) = (t.b.get(PSR), t.b.i32(psr::DAIF));
        t.b.and(all, masks)
    } else {
        let word = t.b.i32(t.word);
        let v = t.b.call(Ty::I64, calls::SYS_READ, &[word]);
        if matches!(encoding(t.word), at::RNDR | at::RNDRRS) {
            t.flags.written(FlagSource::Slots);
        }
        v
    };
    t.set(r, v);
}
/// MSR (register).
fn msr(t: &mut Tx, r: u32) {
    let v = t.x(r);
    if let Some(slot) = plain(t, true) {
        return t.b.set(slot, v);
    }
    match encoding(t.word) {
        at::NZCV => {
            let flags = [31, 30, 29, 28].map(|k| t.bit(v, k));
            t.flags.set_all(t.b, flags);
        }
        at::DAIF if t.el() > 0 => {
            let (old, others, masks) = (t.b.get(PSR), t.b.i32(!psr::DAIF), t.b.i32(psr::DAIF));
            let v = t.b.trunc(Ty::I32, v);
            let (others, v) = (t.b.and(old, others), t.b.and(v, masks));
            let new = t.b.or(others, v);
            set_masks(t, new);
        }
        _ => sys(t, r),
    }
}
/// Sets PSTATE, some of whose interrupt masks may have gone: what is pending comes before the next instruction.
fn set_masks(t: &mut Tx, psr: Val) {
    t.b.set(PSR, psr);
    t.goto_next(true);
}
/// MSR (immediate): `o`:`p` is the field of PSTATE.
fn msr_imm(t: &mut Tx, o: u32, i: u32, p: u32) {
    match (t.el(), o, p) {
        (1.., 0b011, 0b110) => {
            let (old, masks) = (t.b.get(PSR), t.b.i32(i << 6));
            let new = t.b.or(old, masks);
            return t.b.set(PSR, new);
        }
        (1.., 0b011, 0b111) => {
            let (old, kept) = (t.b.get(PSR), t.b.i32(!(i << 6)));
            let new = t.b.and(old, kept);
            return set_masks(t, new);
        }
        _ => {}
    }
    let (field, i, word) = (t.b.i32(o << 3 | p), t.b.i32(i), t.b.i32(t.word));
    t.b.call(Ty::I32, calls::PSTATE_WRITE, &[field, i, word]);
    t.exit_after(Leave::Resume);
}
/// SYS: AT, DC, IC, TLBI and their like.
fn sys(t: &mut Tx, r: u32) {
    let (word, v) = (t.b.i32(t.word), t.x(r));
    t.b.call(Ty::I32, calls::SYS_WRITE, &[word, v]);
    t.exit_after(Leave::Resume);
}
/// SYSL: none is implemented.
fn sysl(t: &mut Tx) {
    t.undefined();
}
/// DC ZVA: the 64 bytes around the address become zero (DCZID_EL0.BS is 4).
fn dc_zva(t: &mut Tx, r: u32) {
    if t.el() == 0 {
        let word = t.b.i32(t.word);
        t.b.call(Ty::I32, calls::ZVA_ALLOWED, &[word]);
    }
    let (given, line) = (t.x(r), t.i64(!63));
    if t.mode & mode::DEVICE != 0 {
        return t.call_and_leave(calls::ZVA_OF_DEVICE, &[given]);
    }
    let (addr, zero) = (t.b.and(given, line), t.b.vec(Ty::V128, 0));
    // The first is not aligned, so that it is not made in Device memory.
    for at in [1, 0, 16, 32, 48] {
        let to = t.plus(addr, at);
        t.b.store(to, zero, Mem::new(4, 0));
    }
}
