//! FXSAVE and FXRSTOR, and the areas that XSAVE's begin with: SDM 1, 10.5.

use crate::calls;
use crate::fault::vector;
use crate::features::Features;
use crate::state::bits::{efer, mxcsr};
use crate::state::{self, mode};
use crate::tx::Tx;
use crate::x87::{Piece, Pointer};
use emu_ir::{Ty, Val};

/// Bytes of FXSAVE's area.
const AREA: u32 = 512;
/// Where MXCSR is in it, ST(0) and XMM0.
const MXCSR_AT: i64 = 24;
const ST_AT: i64 = 32;
const XMM_AT: i64 = 160;
/// What EFER.FFXSR is there with.
const FAST: Features = Features::of(&["fxsr-opt"]);

/// What an area has of the x87.
pub(super) struct X87Area {
    control: Val,
    operand: Val,
    sts: [Val; 8],
}

impl Tx<'_> {
    /// The linear address of an area of so many bytes, aligned to so many; else #GP.
    pub(super) fn area(&mut self, bytes: u32, align: u64, write: bool) -> Val {
        let at = self.locate(bytes, write);
        let low = self.mask(at, align - 1);
        let aligned = self.is_zero(low);
        self.fault_unless(aligned, vector::GP, 0);
        at
    }
    /// See that so many bytes, which are no more than a page, may be written, before any is.
    pub(in crate::ops) fn probe_area(&mut self, at: Val, bytes: u32) {
        self.load_to_write(Ty::I8, at);
        let last = self.plus(at, i64::from(bytes) - 1);
        let page = self.mask(last, !0xfff);
        let before = self.b.ult(page, at);
        let second = self.b.select(before, at, page);
        self.load_to_write(Ty::I8, second);
    }
    /// How many vector registers there are.
    fn vectors(&self) -> u8 {
        if self.is_64() { 16 } else { 8 }
    }
    fn pointers(&mut self, piece: Piece) -> Val {
        let pointer = match self.has_selectors() {
            _ if self.insn.rex.w => Pointer::Offset,
            true => Pointer::Far,
            false => Pointer::Near,
        };
        self.imm(Ty::I32, piece.pack(pointer))
    }
    /// Store what is the x87's.
    pub(super) fn store_x87_area(&mut self, at: Val) {
        let (control, operand) = (self.pointers(Piece::Control), self.pointers(Piece::Operand));
        let control = self.b.call(Ty::V128, calls::X87_AREA, &[control]);
        self.store(at, control);
        let operand = self.b.call(Ty::I64, calls::X87_AREA, &[operand]);
        let to = self.plus(at, 16);
        self.store(to, operand);
        for i in 0..8 {
            let number = self.imm(Ty::I32, i);
            let st = self.b.call(Ty::V128, calls::X87_REGISTER, &[number]);
            let to = self.plus(at, ST_AT + 16 * i as i64);
            self.store(to, st);
        }
    }
    /// Load it from memory.
    pub(super) fn load_x87_area(&mut self, at: Val) -> X87Area {
        let control = self.load(Ty::V128, at);
        let from = self.plus(at, 16);
        let operand = self.load(Ty::I64, from);
        let sts: [Val; 8] = std::array::from_fn(|i| {
            let from = self.plus(at, ST_AT + 16 * i as i64);
            self.load(Ty::V128, from)
        });
        X87Area { control, operand, sts }
    }
    /// Load it into the unit.
    pub(super) fn set_x87_area(&mut self, area: X87Area) {
        for (piece, value) in [(Piece::Control, area.control), (Piece::Operand, area.operand)] {
            let piece = self.pointers(piece);
            self.b.call(Ty::I32, calls::X87_LOAD_AREA, &[piece, value]);
        }
        for (i, st) in area.sts.into_iter().enumerate() {
            let number = self.imm(Ty::I32, i as u64);
            self.b.call(Ty::I32, calls::X87_SET_REGISTER, &[number, st]);
        }
    }
    /// Store MXCSR and its mask.
    pub(super) fn store_mxcsr_area(&mut self, at: Val) {
        let value = self.b.call(Ty::I32, calls::STMXCSR, &[]);
        let to = self.plus(at, MXCSR_AT);
        self.store(to, value);
        let (all, to) = (self.imm(Ty::I32, mxcsr::ALL.into()), self.plus(at, MXCSR_AT + 4));
        self.store(to, all);
    }
    /// MXCSR in an area.
    pub(super) fn mxcsr_of_area(&mut self, at: Val) -> Val {
        let from = self.plus(at, MXCSR_AT);
        self.load(Ty::I32, from)
    }
    /// A reserved bit of MXCSR is #GP.
    pub(super) fn check_mxcsr(&mut self, value: Val) {
        let reserved = self.mask(value, (!mxcsr::ALL).into());
        let valid = self.is_zero(reserved);
        self.fault_unless(valid, vector::GP, 0);
    }
    /// Store XMM registers.
    pub(super) fn store_xmm_area(&mut self, at: Val) {
        for n in 0..self.vectors() {
            let (xmm, to) = (
                self.b.get(state::xmm(n, Ty::V128)),
                self.plus(at, XMM_AT + 16 * i64::from(n)),
            );
            self.store(to, xmm);
        }
    }
    /// Load XMM registers.
    pub(super) fn load_xmm_area(&mut self, at: Val) {
        let all: Vec<Val> = (0..self.vectors())
            .map(|n| {
                let from = self.plus(at, XMM_AT + 16 * i64::from(n));
                self.load(Ty::V128, from)
            })
            .collect();
        for (n, &v) in all.iter().enumerate() {
            self.b.set(state::xmm(n as u8, Ty::V128), v);
        }
    }
    /// Do it with XMM registers, unless EFER.FFXSR keeps FXSAVE and FXRSTOR of level 0 from them (APM 2, 3.1.7).
    fn unless_fast(&mut self, f: impl FnOnce(&mut Self)) {
        let may_be = self.features.has(FAST) && self.is_64() && mode::cpl(self.mode) == 0;
        if !may_be {
            return f(self);
        }
        let efer = self.b.get(state::EFER);
        let fast = self.bit(efer, efer::FFXSR.trailing_zeros());
        let slow = self.not(fast);
        self.where_true(slow, f);
    }
    /// XMM registers become 0.
    pub(super) fn clear_xmm(&mut self) {
        let zero = self.b.vec(Ty::V128, 0);
        for n in 0..self.vectors() {
            self.b.set(state::xmm(n, Ty::V128), zero);
        }
    }
    /// Store the upper halves of YMM registers.
    pub(super) fn store_ymm(&mut self, at: Val) {
        for n in 0..self.vectors() {
            let (high, to) = (self.b.get(state::ymm_high(n)), self.plus(at, 16 * i64::from(n)));
            self.store(to, high);
        }
    }
    /// Load them.
    pub(super) fn load_ymm(&mut self, at: Val) {
        for n in 0..self.vectors() {
            let from = self.plus(at, 16 * i64::from(n));
            let high = self.load(Ty::V128, from);
            self.b.set(state::ymm_high(n), high);
        }
    }
    /// They become 0.
    pub(super) fn clear_ymm(&mut self) {
        let zero = self.b.vec(Ty::V128, 0);
        for n in 0..self.vectors() {
            self.b.set(state::ymm_high(n), zero);
        }
    }
}

/// FXSAVE.
pub fn fxsave(t: &mut Tx) {
    if !t.has_x87() {
        return;
    }
    let at = t.area(AREA, 16, true);
    t.probe_area(at, AREA);
    t.store_x87_area(at);
    if t.mode & mode::OSFXSR != 0 {
        t.store_mxcsr_area(at);
        t.unless_fast(|t| t.store_xmm_area(at));
    }
}
/// FXRSTOR.
pub fn fxrstor(t: &mut Tx) {
    if !t.has_x87() {
        return;
    }
    let at = t.area(AREA, 16, false);
    let x87 = t.load_x87_area(at);
    if t.mode & mode::OSFXSR == 0 {
        t.begin_leaving();
        t.set_x87_area(x87);
        return t.finish_leaving();
    }
    let value = t.mxcsr_of_area(at);
    t.check_mxcsr(value);
    t.unless_fast(|t| t.load_xmm_area(at));
    t.begin_leaving();
    t.set_x87_area(x87);
    t.b.call(Ty::I32, calls::LDMXCSR, &[value]);
    t.finish_leaving();
}
