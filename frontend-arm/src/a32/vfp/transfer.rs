//! Transfers between core registers and VFP or Advanced SIMD registers (Arm ARM DDI 0406C, A7.8 and A7.9).

use super::operands::{enabled, require, single};
use crate::calls;
use crate::flags::FlagSource;
use crate::fpstatus;
use crate::state::{self, FP_NZCV, mode};
use crate::tx::Tx;
use emu_ir::{Lane, Leave, Slot, Ty, insns};

insns! {
    /// VMOV with core registers, VDUP, VMRS, VMSR.
    TRANSFER: Tx;
    "---- 1110 0000 nnnn tttt 1010 N001 0000" => vmov_to_single(t, n)
    "---- 1110 0001 nnnn tttt 1010 N001 0000" => vmov_from_single(t, n)
    "---- 1100 0100 uuuu tttt 1010 00m1 mmmm" => vmov_to_two_singles(t, u, m)
    "---- 1100 0101 uuuu tttt 1010 00m1 mmmm" => vmov_from_two_singles(t, u, m)
    "---- 1100 0100 uuuu tttt 1011 00m1 mmmm" => vmov_to_double(t, u, m)
    "---- 1100 0101 uuuu tttt 1011 00m1 mmmm" => vmov_from_double(t, u, m)
    "---- 1110 0oo0 dddd tttt 1011 Doo1 0000" => vmov_to_lane(o, t, d)
    "---- 1110 uoo1 nnnn tttt 1011 Noo1 0000" => vmov_from_lane(u, o, t, n)
    "---- 1110 1bq0 dddd tttt 1011 D0e1 0000" => vdup_core((b << 1), e, q, t, d)
    "---- 1110 1111 rrrr tttt 1010 0001 0000" => vmrs(r, t)
    "---- 1110 1110 rrrr tttt 1010 0001 0000" => vmsr(r, t)
}

/// A register as an integer.
fn int(r: Slot) -> Slot {
    Slot {
        ty: if r.ty.bytes() == 8 { Ty::I64 } else { Ty::I32 },
        ..r
    }
}

/// Enabled, and no operand is the pc (UNPREDICTABLE, here Undefined).
fn core(t: &mut Tx, regs: &[u32]) -> Option<()> {
    enabled(t)?;
    require(t, !regs.contains(&15))
}

/// VMOV Sn, Rt.
fn vmov_to_single(t: &mut Tx, rt: u32, n: u32) -> Option<()> {
    core(t, &[rt])?;
    let v = t.reg(rt);
    t.b.set(int(single(n)), v);
    Some(())
}

/// VMOV Rt, Sn.
fn vmov_from_single(t: &mut Tx, rt: u32, n: u32) -> Option<()> {
    core(t, &[rt])?;
    let v = t.b.get(int(single(n)));
    t.set(rt, v);
    Some(())
}

/// Sm and the one after it; after S31 there is none: UNPREDICTABLE, here Undefined.
fn two_singles(t: &mut Tx, m: u32) -> Option<[Slot; 2]> {
    let m = (m & 15) << 1 | m >> 4;
    require(t, m != 31)?;
    Some([int(state::s(m)), int(state::s(m + 1))])
}

/// VMOV Sm, Sm1, Rt, Rt2.
fn vmov_to_two_singles(t: &mut Tx, rt: u32, rt2: u32, m: u32) -> Option<()> {
    core(t, &[rt, rt2])?;
    let [lo, hi] = two_singles(t, m)?;
    let (a, b) = (t.reg(rt), t.reg(rt2));
    t.b.set(lo, a);
    t.b.set(hi, b);
    Some(())
}

/// VMOV Rt, Rt2, Sm, Sm1.
fn vmov_from_two_singles(t: &mut Tx, rt: u32, rt2: u32, m: u32) -> Option<()> {
    core(t, &[rt, rt2])?;
    require(t, rt != rt2)?;
    let [lo, hi] = two_singles(t, m)?;
    let (a, b) = (t.b.get(lo), t.b.get(hi));
    t.set(rt, a);
    t.set(rt2, b);
    Some(())
}

/// The words of Dm.
fn words(m: u32) -> [Slot; 2] {
    let low = Slot {
        ty: Ty::I32,
        ..state::d(m)
    };
    [low, low.nth(1)]
}

/// VMOV Dm, Rt, Rt2.
fn vmov_to_double(t: &mut Tx, rt: u32, rt2: u32, m: u32) -> Option<()> {
    core(t, &[rt, rt2])?;
    let (a, b) = (t.reg(rt), t.reg(rt2));
    let (a, b) = (t.b.zext(Ty::I64, a), t.b.zext(Ty::I64, b));
    let by = t.b.imm(Ty::I64, 32);
    let high = t.b.shl(b, by);
    let v = t.b.or(high, a);
    t.b.set(int(state::d(m)), v);
    Some(())
}

/// VMOV Rt, Rt2, Dm.
fn vmov_from_double(t: &mut Tx, rt: u32, rt2: u32, m: u32) -> Option<()> {
    core(t, &[rt, rt2])?;
    require(t, rt != rt2)?;
    let [lo, hi] = words(m);
    let (a, b) = (t.b.get(lo), t.b.get(hi));
    t.set(rt, a);
    t.set(rt2, b);
    Some(())
}

/// The lane of Dn that opc1:opc2 names, 8 and 16-bit ones being Advanced SIMD's.
fn lane(t: &mut Tx, o: u32, n: u32) -> Option<Slot> {
    enabled(t)?;
    let (ty, index) = match o {
        0b1000.. => (Ty::I8, o & 7),
        _ if o & 1 == 1 => (Ty::I16, o >> 1 & 3),
        _ => (Ty::I32, o >> 2 & 1),
    };
    require(t, o & 0b1011 != 0b0010)?;
    require(t, ty == Ty::I32 || t.floating(mode::NEON) != 0)?;
    Some(Slot { ty, ..state::d(n) }.nth(index))
}

/// VMOV Dd\[x\], Rt.
fn vmov_to_lane(t: &mut Tx, o: u32, rt: u32, d: u32) -> Option<()> {
    let slot = lane(t, o, d)?;
    core(t, &[rt])?;
    let v = t.reg(rt);
    let v = t.b.trunc(slot.ty, v);
    t.b.set(slot, v);
    Some(())
}

/// VMOV Rt, Dn\[x\]; zero-extended if `u` = 1.
fn vmov_from_lane(t: &mut Tx, u: u32, o: u32, rt: u32, n: u32) -> Option<()> {
    let slot = lane(t, o, n)?;
    require(t, u == 0 || slot.ty != Ty::I32)?;
    core(t, &[rt])?;
    let v = t.b.get(slot);
    let v = if u == 1 {
        t.b.zext(Ty::I32, v)
    } else {
        t.b.sext(Ty::I32, v)
    };
    t.set(rt, v);
    Some(())
}

/// VDUP of a core register; `b` + `e` is the size: words, halfwords, bytes.
fn vdup_core(t: &mut Tx, b: u32, e: u32, q: u32, rt: u32, d: u32) -> Option<()> {
    core(t, &[rt])?;
    require(t, t.floating(mode::NEON) != 0 && b + e != 3 && (q == 0 || d & 1 == 0))?;
    let lane = Lane::int(2 - (b + e));
    let v = t.reg(rt);
    let v = t.b.trunc(lane.scalar(), v);
    let slot = if q == 1 { state::qv(d >> 1) } else { state::dv(d) };
    let v = t.b.vdup(slot.ty, lane, v);
    t.b.set(slot, v);
    Some(())
}

/// VMRS: of the FPSCR's condition flags alone (Rt = 15), the FPSCR, and the system's registers.
fn vmrs(t: &mut Tx, r: u32, rt: u32) -> Option<()> {
    match (r, rt) {
        (1, 15) => {
            enabled(t)?;
            for (to, from) in [state::N, state::Z, state::C, state::V].into_iter().zip(FP_NZCV) {
                let v = t.b.get(from);
                t.b.set(to, v);
            }
            t.flags_written(FlagSource::Slots);
        }
        (1, _) => {
            enabled(t)?;
            let v = t.b.call(Ty::I32, calls::FPSCR_READ, &[]);
            t.set(rt, v);
        }
        _ => {
            require(t, !t.user() && rt != 15)?;
            let number = t.b.i32(r);
            let v = t.b.call(Ty::I32, calls::VFP_READ, &[number]);
            t.set(rt, v);
        }
    }
    Some(())
}

/// VMSR: what follows is translated anew, for the mode word may have changed.
fn vmsr(t: &mut Tx, r: u32, rt: u32) -> Option<()> {
    if r == 1 {
        core(t, &[rt])?;
        let v = t.reg(rt);
        let control = t.b.i32(fpstatus::control(t.model.features));
        t.b.call(Ty::I32, calls::FPSCR_WRITE, &[v, control]);
    } else {
        require(t, !t.user() && rt != 15)?;
        let (number, v) = (t.b.i32(r), t.reg(rt));
        t.b.call(Ty::I32, calls::VFP_WRITE, &[number, v]);
    }
    t.exit_after_mode_change(Leave::Resume);
    Some(())
}
