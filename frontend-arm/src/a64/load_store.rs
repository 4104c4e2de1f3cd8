//! Loads and stores of one general-purpose register, and prefetch (Arm ARM DDI 0487, C4.1, "Loads and Stores").
//!
//! An argument `z` is 1 where the register is X, 0 where it is W.

use super::features::Feature;
use super::register::extended;
use super::state::mode;
use super::tx::{Tx, signed, width};
use emu_ir::{Fence, Mem, Ty, Val, insns};

insns! {
    /// Load register, literal.
    LITERAL: Tx;
    "0z 011 0 00 iiiiiiiiiiiiiiiiiii ttttt" => ldr_literal(z, i, t)
    "10 011 0 00 iiiiiiiiiiiiiiiiiii ttttt" => ldrsw_literal(i, t)
    "11 011 0 00 ------------------- -----" => prfm()
}

insns! {
    /// An offset that is unsigned and scaled.
    UNSIGNED: Tx;
    "00 111 0 01 00 iiiiiiiiiiii nnnnn ttttt" => strb_imm(0, i, n, t)
    "00 111 0 01 01 iiiiiiiiiiii nnnnn ttttt" => ldrb_imm(0, i, n, t)
    "00 111 0 01 10 iiiiiiiiiiii nnnnn ttttt" => ldrsb_imm(1, i, n, t)
    "00 111 0 01 11 iiiiiiiiiiii nnnnn ttttt" => ldrsb_imm(0, i, n, t)
    "01 111 0 01 00 iiiiiiiiiiii nnnnn ttttt" => strh_imm(0, i, n, t)
    "01 111 0 01 01 iiiiiiiiiiii nnnnn ttttt" => ldrh_imm(0, i, n, t)
    "01 111 0 01 10 iiiiiiiiiiii nnnnn ttttt" => ldrsh_imm(1, i, n, t)
    "01 111 0 01 11 iiiiiiiiiiii nnnnn ttttt" => ldrsh_imm(0, i, n, t)
    "1z 111 0 01 00 iiiiiiiiiiii nnnnn ttttt" => str_imm(z, i, n, t)
    "1z 111 0 01 01 iiiiiiiiiiii nnnnn ttttt" => ldr_imm(z, i, n, t)
    "10 111 0 01 10 iiiiiiiiiiii nnnnn ttttt" => ldrsw_imm(1, i, n, t)
    "11 111 0 01 10 ------------ ----- -----" => prfm()
}

insns! {
    /// An offset that is signed and unscaled.
    UNSCALED: Tx;
    "00 111 0 00 00 0 iiiiiiiii 00 nnnnn ttttt" => sturb(0, i, n, t)
    "00 111 0 00 01 0 iiiiiiiii 00 nnnnn ttttt" => ldurb(0, i, n, t)
    "00 111 0 00 10 0 iiiiiiiii 00 nnnnn ttttt" => ldursb(1, i, n, t)
    "00 111 0 00 11 0 iiiiiiiii 00 nnnnn ttttt" => ldursb(0, i, n, t)
    "01 111 0 00 00 0 iiiiiiiii 00 nnnnn ttttt" => sturh(0, i, n, t)
    "01 111 0 00 01 0 iiiiiiiii 00 nnnnn ttttt" => ldurh(0, i, n, t)
    "01 111 0 00 10 0 iiiiiiiii 00 nnnnn ttttt" => ldursh(1, i, n, t)
    "01 111 0 00 11 0 iiiiiiiii 00 nnnnn ttttt" => ldursh(0, i, n, t)
    "1z 111 0 00 00 0 iiiiiiiii 00 nnnnn ttttt" => stur(z, i, n, t)
    "1z 111 0 00 01 0 iiiiiiiii 00 nnnnn ttttt" => ldur(z, i, n, t)
    "10 111 0 00 10 0 iiiiiiiii 00 nnnnn ttttt" => ldursw(1, i, n, t)
    "11 111 0 00 10 0 --------- 00 ----- -----" => prfum()
}

insns! {
    /// The base moved after the access.
    POST_INDEXED: Tx;
    "00 111 0 00 00 0 iiiiiiiii 01 nnnnn ttttt" => strb_post(0, i, n, t)
    "00 111 0 00 01 0 iiiiiiiii 01 nnnnn ttttt" => ldrb_post(0, i, n, t)
    "00 111 0 00 10 0 iiiiiiiii 01 nnnnn ttttt" => ldrsb_post(1, i, n, t)
    "00 111 0 00 11 0 iiiiiiiii 01 nnnnn ttttt" => ldrsb_post(0, i, n, t)
    "01 111 0 00 00 0 iiiiiiiii 01 nnnnn ttttt" => strh_post(0, i, n, t)
    "01 111 0 00 01 0 iiiiiiiii 01 nnnnn ttttt" => ldrh_post(0, i, n, t)
    "01 111 0 00 10 0 iiiiiiiii 01 nnnnn ttttt" => ldrsh_post(1, i, n, t)
    "01 111 0 00 11 0 iiiiiiiii 01 nnnnn ttttt" => ldrsh_post(0, i, n, t)
    "1z 111 0 00 00 0 iiiiiiiii 01 nnnnn ttttt" => str_post(z, i, n, t)
    "1z 111 0 00 01 0 iiiiiiiii 01 nnnnn ttttt" => ldr_post(z, i, n, t)
    "10 111 0 00 10 0 iiiiiiiii 01 nnnnn ttttt" => ldrsw_post(1, i, n, t)
}

insns! {
    /// Unprivileged.
    UNPRIVILEGED: Tx;
    "00 111 0 00 00 0 iiiiiiiii 10 nnnnn ttttt" => sttrb(0, i, n, t)
    "00 111 0 00 01 0 iiiiiiiii 10 nnnnn ttttt" => ldtrb(0, i, n, t)
    "00 111 0 00 10 0 iiiiiiiii 10 nnnnn ttttt" => ldtrsb(1, i, n, t)
    "00 111 0 00 11 0 iiiiiiiii 10 nnnnn ttttt" => ldtrsb(0, i, n, t)
    "01 111 0 00 00 0 iiiiiiiii 10 nnnnn ttttt" => sttrh(0, i, n, t)
    "01 111 0 00 01 0 iiiiiiiii 10 nnnnn ttttt" => ldtrh(0, i, n, t)
    "01 111 0 00 10 0 iiiiiiiii 10 nnnnn ttttt" => ldtrsh(1, i, n, t)
    "01 111 0 00 11 0 iiiiiiiii 10 nnnnn ttttt" => ldtrsh(0, i, n, t)
    "1z 111 0 00 00 0 iiiiiiiii 10 nnnnn ttttt" => sttr(z, i, n, t)
    "1z 111 0 00 01 0 iiiiiiiii 10 nnnnn ttttt" => ldtr(z, i, n, t)
    "10 111 0 00 10 0 iiiiiiiii 10 nnnnn ttttt" => ldtrsw(1, i, n, t)
}

insns! {
    /// The base moved before the access.
    PRE_INDEXED: Tx;
    "00 111 0 00 00 0 iiiiiiiii 11 nnnnn ttttt" => strb_pre(0, i, n, t)
    "00 111 0 00 01 0 iiiiiiiii 11 nnnnn ttttt" => ldrb_pre(0, i, n, t)
    "00 111 0 00 10 0 iiiiiiiii 11 nnnnn ttttt" => ldrsb_pre(1, i, n, t)
    "00 111 0 00 11 0 iiiiiiiii 11 nnnnn ttttt" => ldrsb_pre(0, i, n, t)
    "01 111 0 00 00 0 iiiiiiiii 11 nnnnn ttttt" => strh_pre(0, i, n, t)
    "01 111 0 00 01 0 iiiiiiiii 11 nnnnn ttttt" => ldrh_pre(0, i, n, t)
    "01 111 0 00 10 0 iiiiiiiii 11 nnnnn ttttt" => ldrsh_pre(1, i, n, t)
    "01 111 0 00 11 0 iiiiiiiii 11 nnnnn ttttt" => ldrsh_pre(0, i, n, t)
    "1z 111 0 00 00 0 iiiiiiiii 11 nnnnn ttttt" => str_pre(z, i, n, t)
    "1z 111 0 00 01 0 iiiiiiiii 11 nnnnn ttttt" => ldr_pre(z, i, n, t)
    "10 111 0 00 10 0 iiiiiiiii 11 nnnnn ttttt" => ldrsw_pre(1, i, n, t)
}

insns! {
    /// An offset in a register, extended by `o` and scaled where `s` is 1.
    REGISTER: Tx;
    "00 111 0 00 00 1 mmmmm o1o s 10 nnnnn ttttt" => strb_reg(0, m, o, s, n, t)
    "00 111 0 00 01 1 mmmmm o1o s 10 nnnnn ttttt" => ldrb_reg(0, m, o, s, n, t)
    "00 111 0 00 10 1 mmmmm o1o s 10 nnnnn ttttt" => ldrsb_reg(1, m, o, s, n, t)
    "00 111 0 00 11 1 mmmmm o1o s 10 nnnnn ttttt" => ldrsb_reg(0, m, o, s, n, t)
    "01 111 0 00 00 1 mmmmm o1o s 10 nnnnn ttttt" => strh_reg(0, m, o, s, n, t)
    "01 111 0 00 01 1 mmmmm o1o s 10 nnnnn ttttt" => ldrh_reg(0, m, o, s, n, t)
    "01 111 0 00 10 1 mmmmm o1o s 10 nnnnn ttttt" => ldrsh_reg(1, m, o, s, n, t)
    "01 111 0 00 11 1 mmmmm o1o s 10 nnnnn ttttt" => ldrsh_reg(0, m, o, s, n, t)
    "1z 111 0 00 00 1 mmmmm o1o s 10 nnnnn ttttt" => str_reg(z, m, o, s, n, t)
    "1z 111 0 00 01 1 mmmmm o1o s 10 nnnnn ttttt" => ldr_reg(z, m, o, s, n, t)
    "10 111 0 00 10 1 mmmmm o1o s 10 nnnnn ttttt" => ldrsw_reg(1, m, o, s, n, t)
    "11 111 0 00 10 1 ----- -1- - 10 ----- -----" => prfm()
}

insns! {
    /// FEAT_LRCPC2: ordered, the offset signed and unscaled.
    ORDERED: Tx, needs Feature::Lrcpc2;
    "00 011001 00 0 iiiiiiiii 00 nnnnn ttttt" => stlurb(0, i, n, t)
    "00 011001 01 0 iiiiiiiii 00 nnnnn ttttt" => ldapurb(0, i, n, t)
    "00 011001 10 0 iiiiiiiii 00 nnnnn ttttt" => ldapursb(1, i, n, t)
    "00 011001 11 0 iiiiiiiii 00 nnnnn ttttt" => ldapursb(0, i, n, t)
    "01 011001 00 0 iiiiiiiii 00 nnnnn ttttt" => stlurh(0, i, n, t)
    "01 011001 01 0 iiiiiiiii 00 nnnnn ttttt" => ldapurh(0, i, n, t)
    "01 011001 10 0 iiiiiiiii 00 nnnnn ttttt" => ldapursh(1, i, n, t)
    "01 011001 11 0 iiiiiiiii 00 nnnnn ttttt" => ldapursh(0, i, n, t)
    "1z 011001 00 0 iiiiiiiii 00 nnnnn ttttt" => stlur(z, i, n, t)
    "1z 011001 01 0 iiiiiiiii 00 nnnnn ttttt" => ldapur(z, i, n, t)
    "10 011001 10 0 iiiiiiiii 00 nnnnn ttttt" => ldapursw(1, i, n, t)
}

/// What is accessed.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// 1 for an X register.
    pub z: u32,
    /// log2 of the bytes.
    pub size: u8,
    /// Extended by its sign.
    pub signed: bool,
}

impl Kind {
    /// How it is accessed, as a plain access of this size is.
    fn mem(self, plain: Mem) -> Mem {
        Mem {
            signed: self.signed,
            ..plain
        }
    }
    /// The type to load: of what is not sign-extended all of the X register.
    fn ty(self) -> Ty {
        if self.signed { width(self.z) } else { Ty::I64 }
    }
}

const BYTE: fn(u32) -> u8 = |_| 0;
const HALF: fn(u32) -> u8 = |_| 1;
const WORD: fn(u32) -> u8 = |_| 2;
const BY_Z: fn(u32) -> u8 = |z| 2 + (z & 1) as u8;

fn load(t: &mut Tx, kind: Kind, addr: Val, mem: Mem, r: u32) {
    let v = t.b.load(kind.ty(), addr, kind.mem(mem));
    t.set(r, v);
}

fn store(t: &mut Tx, _: Kind, addr: Val, mem: Mem, r: u32) {
    let v = t.x(r);
    t.b.store(addr, v, mem);
}

/// Moves a register from or to memory.
pub(super) type Access = fn(&mut Tx, Kind, Val, Mem, u32);

/// At the base plus `by` bytes.
pub(super) fn offset(t: &mut Tx, access: Access, kind: Kind, by: i64, n: u32, r: u32) {
    let base = t.base(n);
    let (addr, mem) = (t.plus(base, by), t.mem(kind.size));
    access(t, kind, addr, mem, r);
}

/// With the base moved by `by` bytes, before the access or after it.
pub(super) fn indexed(t: &mut Tx, access: Access, kind: Kind, (by, before): (i64, bool), n: u32, r: u32) {
    let base = t.base(n);
    let (moved, mem) = (t.plus(base, by), t.mem(kind.size));
    access(t, kind, if before { moved } else { base }, mem, r);
    t.set_moved(n, moved, n, by);
}

/// As EL0 accesses memory.
fn unprivileged(t: &mut Tx, access: Access, kind: Kind, by: i64, n: u32, r: u32) {
    let base = t.base(n);
    let mem = Mem {
        idx: u8::from(t.mode & mode::UNPRIVILEGED != 0),
        ..t.mem(kind.size)
    };
    let addr = t.plus(base, by);
    access(t, kind, addr, mem, r);
}

/// At the base plus register `m`, of which `o` are the two telling bits of the extension.
pub(super) fn indexed_by(t: &mut Tx, access: Access, kind: Kind, [m, o, s]: [u32; 3], n: u32, r: u32) {
    let option = (o & 2) << 1 | 2 | o & 1;
    let base = t.base(n);
    let index = extended(t, 1, m, option, s * u32::from(kind.size));
    let (addr, mem) = (t.b.add(base, index), t.mem(kind.size));
    access(t, kind, addr, mem, r);
}

macro_rules! accesses {
    ($( $how:ident $imm:ident $unscaled:ident $post:ident $pre:ident $tr:ident $reg:ident $size:ident $signed:literal
        $doc:literal; )*) => { $(
        #[doc = concat!($doc, " (immediate), unsigned offset.")]
        fn $imm(t: &mut Tx, z: u32, i: u32, n: u32, r: u32) {
            let kind = Kind { z, size: $size(z), signed: $signed };
            offset(t, $how, kind, i64::from(i) << kind.size, n, r);
        }
        #[doc = concat!($doc, " (immediate), unscaled offset.")]
        fn $unscaled(t: &mut Tx, z: u32, i: u32, n: u32, r: u32) {
            offset(t, $how, Kind { z, size: $size(z), signed: $signed }, signed(i, 9).into(), n, r);
        }
        #[doc = concat!($doc, " (immediate), post-indexed.")]
        fn $post(t: &mut Tx, z: u32, i: u32, n: u32, r: u32) {
            indexed(t, $how, Kind { z, size: $size(z), signed: $signed }, (signed(i, 9).into(), false), n, r);
        }
        #[doc = concat!($doc, " (immediate), pre-indexed.")]
        fn $pre(t: &mut Tx, z: u32, i: u32, n: u32, r: u32) {
            indexed(t, $how, Kind { z, size: $size(z), signed: $signed }, (signed(i, 9).into(), true), n, r);
        }
        #[doc = concat!($doc, ", unprivileged.")]
        fn $tr(t: &mut Tx, z: u32, i: u32, n: u32, r: u32) {
            unprivileged(t, $how, Kind { z, size: $size(z), signed: $signed }, signed(i, 9).into(), n, r);
        }
        #[doc = concat!($doc, " (register).")]
        fn $reg(t: &mut Tx, z: u32, m: u32, o: u32, s: u32, n: u32, r: u32) {
            indexed_by(t, $how, Kind { z, size: $size(z), signed: $signed }, [m, o, s], n, r);
        }
    )* };
}
accesses! {
    store strb_imm sturb strb_post strb_pre sttrb strb_reg BYTE false "STRB";
    load ldrb_imm ldurb ldrb_post ldrb_pre ldtrb ldrb_reg BYTE false "LDRB";
    load ldrsb_imm ldursb ldrsb_post ldrsb_pre ldtrsb ldrsb_reg BYTE true "LDRSB";
    store strh_imm sturh strh_post strh_pre sttrh strh_reg HALF false "STRH";
    load ldrh_imm ldurh ldrh_post ldrh_pre ldtrh ldrh_reg HALF false "LDRH";
    load ldrsh_imm ldursh ldrsh_post ldrsh_pre ldtrsh ldrsh_reg HALF true "LDRSH";
    store str_imm stur str_post str_pre sttr str_reg BY_Z false "STR";
    load ldr_imm ldur ldr_post ldr_pre ldtr ldr_reg BY_Z false "LDR";
    load ldrsw_imm ldursw ldrsw_post ldrsw_pre ldtrsw ldrsw_reg WORD true "LDRSW";
}

/// The address of a literal, `i` words from the instruction.
pub(super) fn literal(t: &mut Tx, i: u32) -> Val {
    let at = (t.offset as i32).wrapping_add(signed(i, 19) << 2);
    t.b.pc_rel(Ty::I64, at)
}
/// LDR (literal).
fn ldr_literal(t: &mut Tx, z: u32, i: u32, r: u32) {
    let (addr, kind) = (
        literal(t, i),
        Kind {
            z,
            size: BY_Z(z),
            signed: false,
        },
    );
    let mem = t.mem(kind.size);
    load(t, kind, addr, mem, r);
}
/// LDRSW (literal).
fn ldrsw_literal(t: &mut Tx, i: u32, r: u32) {
    let (addr, kind) = (
        literal(t, i),
        Kind {
            z: 1,
            size: 2,
            signed: true,
        },
    );
    let mem = t.mem(kind.size);
    load(t, kind, addr, mem, r);
}

/// PRFM: no effect on the architectural state.
fn prfm(_: &mut Tx) {}
/// PRFUM: as PRFM.
fn prfum(_: &mut Tx) {}

/// A load that what follows comes after.
fn load_acquire(t: &mut Tx, kind: Kind, addr: Val, mem: Mem, r: u32) {
    load(t, kind, addr, mem, r);
    t.b.barrier(Fence::Light);
}
/// A store that comes after what is before it, and before every later load-acquire.
fn store_release(t: &mut Tx, kind: Kind, addr: Val, mem: Mem, r: u32) {
    store(t, kind, addr, mem, r);
    t.b.barrier(Fence::Full);
}

macro_rules! ordered {
    ($( $how:ident $name:ident $size:ident $signed:literal $doc:literal; )*) => { $(
        #[doc = concat!($doc, ".")]
        fn $name(t: &mut Tx, z: u32, i: u32, n: u32, r: u32) {
            let kind = Kind { z, size: $size(z), signed: $signed };
            let base = t.base(n);
            let (addr, mem) = (t.plus(base, signed(i, 9).into()), t.mem_ordered(kind.size));
            $how(t, kind, addr, mem, r);
        }
    )* };
}
ordered! {
    store_release stlurb BYTE false "STLURB";
    load_acquire ldapurb BYTE false "LDAPURB";
    load_acquire ldapursb BYTE true "LDAPURSB";
    store_release stlurh HALF false "STLURH";
    load_acquire ldapurh HALF false "LDAPURH";
    load_acquire ldapursh HALF true "LDAPURSH";
    store_release stlur BY_Z false "STLUR";
    load_acquire ldapur BY_Z false "LDAPUR";
    load_acquire ldapursw WORD true "LDAPURSW";
}
