//! Load and store instructions (Arm ARM DDI 0406C, A4.6 and A8.8).

use super::data_processing::shift_imm;
use crate::calls;
use crate::features::Feature;
use crate::tx::Tx;
use emu_ir::{Hint, Mem, Ty, Val};

/// Addressing bit of an `x` argument: index before the access.
pub const P: u32 = 4;
/// Addressing bit of an `x` argument: add the offset.
pub const U: u32 = 2;
/// Addressing bit of an `x` argument: write the base back. Without [`P`] the base is always written back.
pub const W: u32 = 1;

/// What is accessed.
#[derive(Clone, Copy)]
struct Kind {
    size: u8,
    signed: bool,
}

/// The offset of an address.
#[derive(Clone, Copy)]
enum Offset {
    Imm(u32),
    /// Register `m` shifted by the constant `k`, imm5:type.
    Reg {
        m: u32,
        k: u32,
    },
}

/// The address accessed and, if the base is written back, its new value.
fn address(t: &mut Tx, x: u32, n: u32, offset: Offset) -> (Val, Option<Val>) {
    if let (15, Offset::Imm(i)) = (n, offset) {
        let by = if x & U != 0 { i as i32 } else { -(i as i32) };
        let at = (t.pc() & !3) as i32 + if x & P != 0 { by } else { 0 };
        return (t.b.pc_rel(Ty::I32, at), None);
    }
    let base = t.reg(n);
    let by = match offset {
        Offset::Imm(0) => return (base, None),
        Offset::Imm(i) => t.b.i32(i),
        Offset::Reg { m, k } => shift_imm(t, m, k, false).0,
    };
    let moved = if x & U != 0 {
        t.b.add(base, by)
    } else {
        t.b.sub(base, by)
    };
    let addr = if x & P != 0 { moved } else { base };
    let writes = (x & P == 0 || x & W != 0) && n != 15;
    (addr, writes.then_some(moved))
}

/// How it is accessed: unprivileged (LDRT and its like) through the other address space.
fn how(t: &Tx, kind: Kind, unprivileged: bool) -> Mem {
    Mem {
        signed: kind.signed,
        ..t.mem(kind.size, unprivileged as u8)
    }
}

fn load(t: &mut Tx, kind: Kind, unprivileged: bool, x: u32, n: u32, d: u32, offset: Offset) {
    if d == 15 && (kind.size != 2 || unprivileged) {
        return t.undefined();
    }
    let (addr, back) = address(t, x, n, offset);
    let mem = how(t, kind, unprivileged);
    let v = t.load(Ty::I32, addr, mem);
    if let Some(base) = back {
        t.set(n, base);
    }
    if d == 15 {
        let pops = n == 13 && back.is_some();
        t.bx_write_pc(v, if pops { Hint::Return } else { Hint::Jump });
    } else {
        t.set(d, v);
    }
}

fn store(t: &mut Tx, kind: Kind, unprivileged: bool, x: u32, n: u32, d: u32, offset: Offset) {
    let (addr, back) = address(t, x, n, offset);
    let (v, mem) = (t.reg(d), how(t, kind, unprivileged));
    t.store(addr, v, mem);
    if let Some(base) = back {
        t.set(n, base);
    }
}

macro_rules! accesses {
    ($( $how:ident $imm:ident $reg:ident $timm:ident $treg:ident $size:literal $signed:literal $doc:literal; )*) => { $(
        #[doc = concat!($doc, ", immediate or literal: `x` is P:U:W, `d` the register transferred.")]
        pub fn $imm(t: &mut Tx, x: u32, n: u32, d: u32, i: u32) {
            $how(t, Kind { size: $size, signed: $signed }, false, x, n, d, Offset::Imm(i));
        }
        #[doc = concat!($doc, ", register offset: `k` is its shift, imm5:type.")]
        pub fn $reg(t: &mut Tx, x: u32, n: u32, d: u32, k: u32, m: u32) {
            $how(t, Kind { size: $size, signed: $signed }, false, x, n, d, Offset::Reg { m, k });
        }
        #[doc = concat!($doc, ", unprivileged, immediate.")]
        pub fn $timm(t: &mut Tx, x: u32, n: u32, d: u32, i: u32) {
            $how(t, Kind { size: $size, signed: $signed }, true, x, n, d, Offset::Imm(i));
        }
        #[doc = concat!($doc, ", unprivileged, register offset.")]
        pub fn $treg(t: &mut Tx, x: u32, n: u32, d: u32, k: u32, m: u32) {
            $how(t, Kind { size: $size, signed: $signed }, true, x, n, d, Offset::Reg { m, k });
        }
    )* };
}
accesses! {
    load ldr_imm ldr_reg ldrt_imm ldrt_reg 2 false "LDR";
    load ldrb_imm ldrb_reg ldrbt_imm ldrbt_reg 0 false "LDRB";
    load ldrh_imm ldrh_reg ldrht_imm ldrht_reg 1 false "LDRH";
    load ldrsb_imm ldrsb_reg ldrsbt_imm ldrsbt_reg 0 true "LDRSB";
    load ldrsh_imm ldrsh_reg ldrsht_imm ldrsht_reg 1 true "LDRSH";
    store str_imm str_reg strt_imm strt_reg 2 false "STR";
    store strb_imm strb_reg strbt_imm strbt_reg 0 false "STRB";
    store strh_imm strh_reg strht_imm strht_reg 1 false "STRH";
}

/// The address of the second word.
fn second(t: &mut Tx, addr: Val) -> Val {
    let four = t.b.i32(4);
    t.b.add(addr, four)
}

fn load_dual(t: &mut Tx, x: u32, n: u32, d: u32, e: u32, offset: Offset) {
    let (addr, back) = address(t, x, n, offset);
    let mem = t.mem_aligned(2);
    let lo = t.load(Ty::I32, addr, mem);
    let addr = second(t, addr);
    let hi = t.load(Ty::I32, addr, mem);
    t.set(d, lo);
    t.set(e, hi);
    if let Some(base) = back {
        t.set(n, base);
    }
}

fn store_dual(t: &mut Tx, x: u32, n: u32, d: u32, e: u32, offset: Offset) {
    let (addr, back) = address(t, x, n, offset);
    let mem = t.mem_aligned(2);
    let (lo, hi) = (t.reg(d), t.reg(e));
    t.store(addr, lo, mem);
    let addr = second(t, addr);
    t.store(addr, hi, mem);
    if let Some(base) = back {
        t.set(n, base);
    }
}

/// A32 names an even register; the second is the next. An odd or last one is UNPREDICTABLE, here Undefined, as is
/// write-back without indexing.
fn pair(t: &mut Tx, x: u32, d: u32, access: impl FnOnce(&mut Tx)) {
    if d & 1 != 0 || d == 14 || x & (P | W) == W {
        t.undefined()
    } else {
        access(t)
    }
}

/// LDRD (immediate and literal): registers `d` and `d` + 1.
pub fn ldrd_imm(t: &mut Tx, x: u32, n: u32, d: u32, i: u32) {
    pair(t, x, d, |t| load_dual(t, x, n, d, d + 1, Offset::Imm(i)));
}
/// LDRD (register): registers `d` and `d` + 1.
pub fn ldrd_reg(t: &mut Tx, x: u32, n: u32, d: u32, m: u32) {
    pair(t, x, d, |t| load_dual(t, x, n, d, d + 1, Offset::Reg { m, k: 0 }));
}
/// STRD (immediate): registers `d` and `d` + 1.
pub fn strd_imm(t: &mut Tx, x: u32, n: u32, d: u32, i: u32) {
    pair(t, x, d, |t| store_dual(t, x, n, d, d + 1, Offset::Imm(i)));
}
/// STRD (register): registers `d` and `d` + 1.
pub fn strd_reg(t: &mut Tx, x: u32, n: u32, d: u32, m: u32) {
    pair(t, x, d, |t| store_dual(t, x, n, d, d + 1, Offset::Reg { m, k: 0 }));
}
/// LDRD of T32: any two registers `d` and `e` but SP (UNPREDICTABLE) and PC.
pub fn ldrd_pair(t: &mut Tx, x: u32, n: u32, d: u32, e: u32, i: u32) {
    if d == 15 || e == 15 || d == e {
        return t.undefined();
    }
    load_dual(t, x, n, d, e, Offset::Imm(i));
}
/// STRD of T32: any two registers `d` and `e`.
pub fn strd_pair(t: &mut Tx, x: u32, n: u32, d: u32, e: u32, i: u32) {
    if d == 15 || e == 15 || n == 15 {
        return t.undefined();
    }
    store_dual(t, x, n, d, e, Offset::Imm(i));
}

/// MRC and MCR of DBGDTRRXint and DBGDTRTXint: the debug communications channel.
const CHANNEL_READ: u32 = 0xee10_0e15;
const CHANNEL_WRITE: u32 = 0xee00_0e15;

/// Where LDC and STC access memory, and the base after it: with neither index nor write-back the base alone, counting up.
/// That counting down, and the PC as a base that is written back, are Undefined.
fn channel_address(t: &mut Tx, [p, u, w, n, i]: [u32; 5]) -> Option<(Val, Option<Val>)> {
    if p | u | w == 0 || n == 15 && w != 0 {
        t.undefined();
        return None;
    }
    let (addr, back) = address(t, p << 2 | u << 1 | w, n, Offset::Imm(i << 2));
    Some((addr, back.filter(|_| w != 0)))
}

/// EL1 of Armv8 may trap them, before memory is accessed, and is told what they are (Arm ARM DDI 0487, D19.2, ESR_EL1, "ISS
/// encoding for an exception from an LDC or STC instruction").
fn channel_allowed(t: &mut Tx, [p, u, w, n, i]: [u32; 5], loads: u32) {
    if t.user() && t.has(Feature::A32V8) {
        let how = u32::from(n == 15) << 2 | p << 1 | w;
        let iss = t.b.i32(i << 12 | n << 5 | u << 4 | how << 1 | loads);
        t.b.call(Ty::I32, calls::CHANNEL_ALLOWED, &[iss]);
    }
}

/// STC, of which CP14 has one form: a word of the debug communications channel (C11.11.13).
pub fn stc(t: &mut Tx, p: u32, u: u32, w: u32, n: u32, i: u32) {
    if n == 15 && t.thumb() {
        return t.undefined();
    }
    let Some((addr, back)) = channel_address(t, [p, u, w, n, i]) else {
        return;
    };
    channel_allowed(t, [p, u, w, n, i], 0);
    let word = t.b.i32(CHANNEL_READ);
    let v = t.b.call(Ty::I32, calls::COPROC_READ, &[word]);
    t.store(addr, v, t.mem_aligned(2));
    if let Some(base) = back {
        t.set(n, base);
    }
}

/// LDC, of which CP14 has one form: a word to the debug communications channel (C11.11.13).
pub fn ldc(t: &mut Tx, p: u32, u: u32, w: u32, n: u32, i: u32) {
    let Some((addr, back)) = channel_address(t, [p, u, w, n, i]) else {
        return;
    };
    channel_allowed(t, [p, u, w, n, i], 1);
    let v = t.load(Ty::I32, addr, t.mem_aligned(2));
    let word = t.b.i32(CHANNEL_WRITE);
    t.b.call(Ty::I32, calls::COPROC_WRITE, &[word, v]);
    if let Some(base) = back {
        t.set(n, base);
    }
}

/// PLD, PLDW, PLI: no effect on the architectural state.
pub fn pld(_: &mut Tx) {}
/// PLDW: no effect on the architectural state.
pub fn pldw(_: &mut Tx) {}
/// PLI: no effect on the architectural state.
pub fn pli(_: &mut Tx) {}
