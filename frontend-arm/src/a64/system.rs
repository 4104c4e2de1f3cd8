//! System instructions (Arm ARM DDI 0487, C4.1, "Branches, Exception Generating and System instructions"; C5).

use super::calls;
use super::features::Feature;
use super::state::{EXCL_ARMED, PSR, SCTLR, SP_EL0, mode, psr, sctlr};
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
    } else if let Some(v) = made(t) {
        v
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
/// The value of a register that is read often and made of little.
fn made(t: &mut Tx) -> Option<Val> {
    /// MI, EQ, CS, VS: that N, Z, C, V is set.
    const CONDITIONS: [u32; 4] = [4, 0, 2, 6];
    Some(match encoding(t.word) {
        at::NZCV => {
            let flags = CONDITIONS.map(|cond| t.flags.cond(t.b, cond));
            let zero = t.i64(0);
            let bits = (28..32).rev().zip(flags);
            bits.fold(zero, |all, (at, flag)| {
                let (flag, at) = (t.b.zext(Ty::I64, flag), t.i64(at));
                let bit = t.b.shl(flag, at);
                t.b.or(all, bit)
            })
        }
        at::DAIF if t.el() > 0 => {
            let (all, masks) = (t.b.get(PSR), t.b.i32(psr::DAIF));
            t.b.and(all, masks)
        }
        at::CURRENT_EL if t.el() > 0 => t.i64(u64::from(t.el()) << psr::EL_SHIFT),
        // Blocks of 64 bytes; DZP says that DC ZVA is not allowed.
        at::DCZID if t.el() > 0 => t.i64(4),
        at::DCZID => {
            let (control, open) = (t.b.get(SCTLR), t.i64(sctlr::DZE));
            let (closed, by) = (
                t.b.and_not(open, control),
                t.i64(sctlr::DZE.trailing_zeros() as u64 - 4),
            );
            let (dzp, size) = (t.b.shr_u(closed, by), t.i64(4));
            t.b.or(dzp, size)
        }
        _ => return None,
    })
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
        (1.., 0b000, 0b011) if t.has(Feature::Uao) => return change(t, psr::UAO, i),
        (1.., 0b000, 0b100) if t.has(Feature::Pan) => return change(t, psr::PAN, i),
        (1.., 0b000, 0b101) if (t.mode & mode::SPX != 0) == (i & 1 != 0) => return,
        (_, 0b011, 0b001) if t.has(Feature::Ssbs) => return set_field(t, psr::SSBS, i),
        (_, 0b011, 0b010) if t.has(Feature::Dit) => return set_field(t, psr::DIT, i),
        _ => {}
    }
    write_field(t);
    t.exit_after(Leave::Resume);
}
/// MSR (immediate) by the helper.
fn write_field(t: &mut Tx) {
    let word = t.word;
    let [field, i, word] = [word >> 13 & 0o70 | word >> 5 & 7, word >> 8 & 15, word].map(|v| t.b.i32(v));
    t.b.call(Ty::I32, calls::PSTATE_WRITE, &[field, i, word]);
}
/// PSTATE with a bit as in bit 0 of a number, and as it was.
fn with_bit(t: &mut Tx, bit: u32, i: u32) -> [Val; 2] {
    let (old, bit) = (t.b.get(PSR), t.b.i32(bit));
    let new = if i & 1 == 0 {
        t.b.and_not(old, bit)
    } else {
        t.b.or(old, bit)
    };
    [new, old]
}
/// Sets a bit of PSTATE that nothing follows from.
fn set_field(t: &mut Tx, bit: u32, i: u32) {
    let [new, _] = with_bit(t, bit, i);
    t.b.set(PSR, new);
}
/// Sets a bit of PSTATE that accesses to memory depend on: kernels do it around each of theirs to a program's, where it
/// is mostly set as it was.
fn change(t: &mut Tx, bit: u32, i: u32) {
    let [new, old] = with_bit(t, bit, i);
    let (same, is_same) = (t.b.label(), t.b.eq(new, old));
    t.b.br_if(is_same, same);
    write_field(t);
    t.exit_after(Leave::Resume);
    t.ended = false;
    t.b.place(same);
}
/// SYS: AT, DC, IC, TLBI and their like.
fn sys(t: &mut Tx, r: u32) {
    let needs = sys::does_nothing(t.features, t.el(), t.word);
    if needs == Some(None) {
        return;
    }
    let skip = needs.flatten().map(|bits| {
        let (control, bits, zero) = (t.b.get(SCTLR), t.i64(bits), t.i64(0));
        let set = t.b.and(control, bits);
        let (open, skip) = (t.b.ne(set, zero), t.b.label());
        t.b.br_if(open, skip);
        skip
    });
    let (word, v) = (t.b.i32(t.word), t.x(r));
    t.b.call(Ty::I32, calls::SYS_WRITE, &[word, v]);
    t.exit_after(Leave::Resume);
    if let Some(skip) = skip {
        t.ended = false;
        t.b.place(skip);
    }
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
