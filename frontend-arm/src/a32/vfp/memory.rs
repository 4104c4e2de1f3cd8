//! VFP loads and stores (Arm ARM DDI 0406C, A7.6). Addresses are word aligned whatever SCTLR.A says.

use super::operands::{enabled, reg, require};
use crate::tx::Tx;
use emu_ir::{Mem, Slot, Ty, Val, insns};

insns! {
    /// One register, and several. VPUSH and VPOP are the forms with SP; an odd `i` of the double forms is FLDMX, FSTMX.
    MEMORY: Tx;
    "---- 1101 ud01 nnnn dddd 101z iiii iiii" => vldr(u, z, n, d, i)
    "---- 1101 ud00 nnnn dddd 101z iiii iiii" => vstr(u, z, n, d, i)
    "---- 1100 1dw1 nnnn dddd 101z iiii iiii" => vldmia(w, z, n, d, i)
    "---- 1100 1dw0 nnnn dddd 101z iiii iiii" => vstmia(w, z, n, d, i)
    "---- 1101 0d11 nnnn dddd 101z iiii iiii" => vldmdb(z, n, d, i)
    "---- 1101 0d10 nnnn dddd 101z iiii iiii" => vstmdb(z, n, d, i)
}

/// How a register goes: by words, which must be aligned; a double's in the order of the endianness.
fn access(t: &Tx, z: u32) -> Mem {
    Mem {
        align: 2,
        ..t.mem(2 + z as u8, 0)
    }
}

/// The address `offset` bytes from register `n`; the pc counts as word aligned.
pub(super) fn address(t: &mut Tx, n: u32, offset: u32) -> Val {
    if n == 15 {
        let at = (t.pc() & !3).wrapping_add(offset);
        return t.b.pc_rel(Ty::I32, at as i32);
    }
    let base = t.reg(n);
    plus(t, base, offset)
}

fn plus(t: &mut Tx, base: Val, offset: u32) -> Val {
    if offset == 0 {
        return base;
    }
    let offset = t.b.i32(offset);
    t.b.add(base, offset)
}

/// The offset of VLDR and VSTR.
fn signed(u: u32, i: u32) -> u32 {
    if u == 1 { i << 2 } else { (i << 2).wrapping_neg() }
}

/// VLDR.
fn vldr(t: &mut Tx, u: u32, z: u32, n: u32, d: u32, i: u32) -> Option<()> {
    enabled(t)?;
    let addr = address(t, n, signed(u, i));
    let (r, mem) = (reg(z, d), access(t, z));
    let v = t.load(r.ty, addr, mem);
    t.b.set(r, v);
    Some(())
}

/// VSTR. From the pc it is UNPREDICTABLE in Thumb, here Undefined.
fn vstr(t: &mut Tx, u: u32, z: u32, n: u32, d: u32, i: u32) -> Option<()> {
    enabled(t)?;
    require(t, n != 15 || !t.thumb())?;
    let addr = address(t, n, signed(u, i));
    let (v, mem) = (t.b.get(reg(z, d)), access(t, z));
    t.store(addr, v, mem);
    Some(())
}

/// VLDM (increment after), VPOP, FLDMIAX.
fn vldmia(t: &mut Tx, w: u32, z: u32, n: u32, d: u32, i: u32) -> Option<()> {
    let regs = registers(t, w, z, n, d, i)?;
    load(t, n, 0, &regs);
    writeback(t, w, n, i << 2);
    Some(())
}

/// VSTM (increment after), FSTMIAX.
fn vstmia(t: &mut Tx, w: u32, z: u32, n: u32, d: u32, i: u32) -> Option<()> {
    let regs = registers(t, w, z, n, d, i)?;
    store(t, n, 0, &regs);
    writeback(t, w, n, i << 2);
    Some(())
}

/// VLDM (decrement before), FLDMDBX.
fn vldmdb(t: &mut Tx, z: u32, n: u32, d: u32, i: u32) -> Option<()> {
    let regs = registers(t, 1, z, n, d, i)?;
    let down = (i << 2).wrapping_neg();
    load(t, n, down, &regs);
    writeback(t, 1, n, down);
    Some(())
}

/// VSTM (decrement before), VPUSH, FSTMDBX.
fn vstmdb(t: &mut Tx, z: u32, n: u32, d: u32, i: u32) -> Option<()> {
    let regs = registers(t, 1, z, n, d, i)?;
    let down = (i << 2).wrapping_neg();
    store(t, n, down, &regs);
    writeback(t, 1, n, down);
    Some(())
}

/// The registers of a multiple transfer. None at all, more than 16 doubles, past the last register, or the pc as a base
/// to be written or in Thumb: UNPREDICTABLE, here Undefined.
fn registers(t: &mut Tx, w: u32, z: u32, n: u32, d: u32, i: u32) -> Option<Vec<Slot>> {
    enabled(t)?;
    let (first, count, most) = if z == 1 {
        (d, i >> 1, 16)
    } else {
        ((d & 15) << 1 | d >> 4, i, 32)
    };
    require(t, (1..=most).contains(&count) && first + count <= 32)?;
    require(t, n != 15 || w == 0 && !t.thumb())?;
    let slot = if z == 1 { crate::state::d } else { crate::state::s };
    Some((first..first + count).map(slot).collect())
}

/// All loads come before the first register changes, so that a fault leaves all as it was.
fn load(t: &mut Tx, n: u32, offset: u32, regs: &[Slot]) {
    let Some(first) = regs.first() else { return };
    let start = address(t, n, offset);
    let (size, mem) = (first.ty.bytes(), access(t, u32::from(first.ty == Ty::F64)));
    let mut loaded = Vec::with_capacity(regs.len());
    for (k, r) in regs.iter().enumerate() {
        let addr = plus(t, start, k as u32 * size);
        loaded.push(t.load(r.ty, addr, mem));
    }
    for (r, v) in regs.iter().zip(loaded) {
        t.b.set(*r, v);
    }
}

fn store(t: &mut Tx, n: u32, offset: u32, regs: &[Slot]) {
    let Some(first) = regs.first() else { return };
    let start = address(t, n, offset);
    let (size, mem) = (first.ty.bytes(), access(t, u32::from(first.ty == Ty::F64)));
    for (k, r) in regs.iter().enumerate() {
        let addr = plus(t, start, k as u32 * size);
        let v = t.b.get(*r);
        t.store(addr, v, mem);
    }
}

fn writeback(t: &mut Tx, w: u32, n: u32, offset: u32) {
    if w == 1 {
        let base = t.reg(n);
        let base = plus(t, base, offset);
        t.set(n, base);
    }
}
