//! Where values live while a block is emitted: one forward pass, every decision local.
//!
//! A value is in a temporary register, is still the content of a pinned guest register, is a condition in the host's
//! flags, a constant, or spilled. Guest registers are at home (in their host register, or in the state) at every branch,
//! label and call.

use super::{Emit, PINS, cond, thunks::SPILLS, window::Windows};
use crate::opt::Life;
use crate::pins;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Inst, Label, Op, Slot, Ty, Val};

/// No spill slot.
const NONE: u8 = u8::MAX;

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loc {
    /// Not computed, or dead.
    Nowhere,
    /// In a temporary integer register.
    Gpr(u8),
    /// In a vector register.
    Xmm(u8),
    /// Equal to the pinned slot of this index.
    Pin(u8),
    /// The low bits of the pinned slot of this index, which is longer. See [`Emit::low`].
    Low(u8),
    /// A constant: made where it is used.
    Imm,
    /// A condition code in the host's flags.
    Flag(u8),
    /// A word of status flags, which are the host's.
    Status,
    /// In its spill slot only.
    Spill,
}

/// Where a value is, and where it also is.
#[derive(Clone, Copy, Debug)]
pub struct Home {
    pub loc: Loc,
    /// Its spill slot if it ever got one: values do not change, so it stays good.
    pub spill: u8,
    /// It is held alike as this other value, which lives as long or longer: where that is, it is.
    same: Option<Val>,
}

impl Default for Home {
    fn default() -> Home {
        Home {
            loc: Loc::Nowhere,
            spill: NONE,
            same: None,
        }
    }
}

/// An operand as an x86 instruction takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Src {
    Reg(u8),
    Imm(i32),
}

/// A register of either file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reg {
    Gpr(u8),
    Xmm(u8),
}

/// What the host's flags hold, by the comparison or arithmetic that set them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `cmp a, b` of this type.
    pub sub: Option<(Val, Val, Ty)>,
    /// `add a, b`.
    pub add: Option<(Val, Val, Ty)>,
    /// `adc a, b` with carry c.
    pub adc: Option<(Val, Val, Val, Ty)>,
    /// `sbb a, b` with borrow c.
    pub sbb: Option<(Val, Val, Val, Ty)>,
    /// Sign and zero of a value.
    pub result: Option<Val>,
    /// All of a bitwise operation with this result.
    pub logic: Option<Val>,
    /// All are this word.
    pub status: Option<Val>,
    /// `vucomis a, b` (or with the first flag `vcomis`; with the second, of flushed operands).
    pub float: Option<(Val, Val, bool, bool)>,
}

impl Emit<'_> {
    pub fn loc(&self, v: Val) -> Loc {
        self.home(self.root(v)).loc
    }
    pub fn set_loc(&mut self, v: Val, loc: Loc) {
        let v = self.root(v);
        self.home_mut(v).loc = loc;
    }
    fn home(&self, v: Val) -> &Home {
        &self.w.homes[v.index()]
    }
    fn home_mut(&mut self, v: Val) -> &mut Home {
        &mut self.w.homes[v.index()]
    }
    /// The value whose register a value shares: itself, if it has a place of its own.
    pub fn root(&self, mut v: Val) -> Val {
        while let Some(same) = self.home(v).same {
            v = same;
        }
        v
    }
    /// Let a result share the place of a value that is held alike; whether that has one.
    pub fn share(&mut self, v: Val, a: Val) -> bool {
        let a = self.root(a);
        let loc = self.loc(a);
        if !matches!(loc, Loc::Gpr(_) | Loc::Pin(_) | Loc::Spill) {
            return false;
        }
        if self.end(v) <= self.end(a) {
            self.home_mut(v).same = Some(a);
            return true;
        }
        let taken = Home {
            same: Some(v),
            ..Home::default()
        };
        *self.home_mut(v) = std::mem::replace(self.home_mut(a), taken);
        match loc {
            Loc::Gpr(r) => self.gpr[r as usize] = Some(v),
            Loc::Pin(p) => self.w.pinned[p as usize]
                .iter_mut()
                .filter(|w| **w == a)
                .for_each(|w| *w = v),
            _ => {}
        }
        true
    }
    /// One past the operation that uses a value last.
    pub fn end(&self, v: Val) -> usize {
        self.lives.vals[v.index()].end as usize
    }
    /// Whether a value is used after the current operation.
    pub fn live(&self, v: Val) -> bool {
        self.end(v) > self.i + 1
    }
    /// Whether the current operation is its last use.
    pub fn dies(&self, v: Val) -> bool {
        !self.live(v)
    }
    /// The pin index of an integer slot.
    pub fn pin(&self, slot: Slot) -> Option<u8> {
        self.lives.pins.pin(slot)
    }
    /// The operations after the current one, before `end`.
    pub fn ahead(&self, end: usize) -> impl DoubleEndedIterator<Item = &Inst> {
        let next = self.i + 1;
        let ahead = self.b.insts[next..end].iter().zip(&self.lives.vals[next..end]);
        let made = |life: &Life| life.needed() && life.hint != pins::LATER;
        ahead.filter(move |(_, life)| made(life)).map(|(inst, _)| inst)
    }

    // ---- integer registers

    /// A temporary register that nothing is in.
    pub fn spare(&self) -> Option<u8> {
        self.temps.into_iter().find(|&r| self.is_spare(r))
    }
    /// Whether nothing is in a temporary register.
    pub fn is_spare(&self, r: u8) -> bool {
        let taken = self.locked | self.windows.regs;
        taken & 1 << r == 0 && self.gpr[r as usize].is_none()
    }
    /// A free temporary register, locked until the operation ends.
    #[expect(
        clippy::expect_used,
        reason = "an operation locks four of the five temporaries at most before it asks for another; what is not free is taken"
    )]
    pub fn temp(&mut self) -> u8 {
        let free = |e: &Self, r: u8| e.locked & 1 << r == 0;
        let window = || {
            self.temps
                .into_iter()
                .find(|&r| free(self, r) && self.windows.regs & 1 << r != 0)
        };
        let r = match self.spare().or_else(window) {
            Some(r) => {
                self.evict(r);
                r
            }
            None => {
                let far = |e: &Self, r: u8| e.gpr[r as usize].map_or(0, |v| e.end(v));
                let candidates = self.temps.iter().copied().filter(|&r| free(self, r));
                let r = candidates
                    .max_by_key(|&r| far(self, r))
                    .expect("an operation locks fewer than all temporaries");
                let v = self.gpr[r as usize].expect("occupied");
                self.spill(v);
                r
            }
        };
        self.locked |= 1 << r;
        r
    }
    /// Make a particular temporary free and lock it: its value moves elsewhere.
    pub fn claim(&mut self, r: u8) {
        self.evict(r);
        self.locked |= 1 << r;
        if let Some(v) = self.gpr[r as usize] {
            let t = self.temp();
            self.mov(Ty::I64, t, r);
            self.gpr[r as usize] = None;
            self.gpr[t as usize] = Some(v);
            self.set_loc(v, Loc::Gpr(t));
            self.unlock(t);
        }
    }
    /// The rest of the operation does not need this register's value to stay there.
    pub fn unlock(&mut self, r: u8) {
        self.locked &= !(1 << r);
    }
    /// A value in an integer register (temporary, pinned or scratch), locked.
    #[expect(
        clippy::unreachable,
        reason = "the verifier wants values defined before they are used"
    )]
    pub fn reg(&mut self, v: Val) -> u8 {
        let v = self.root(v);
        let r = match self.loc(v) {
            Loc::Gpr(r) => r,
            Loc::Pin(p) => PINS[p as usize],
            Loc::Low(p) => self.part(v, p),
            Loc::Imm => {
                let t = self.temp();
                self.imm(t, self.b.constant(v).unwrap_or(0));
                t
            }
            Loc::Flag(_) | Loc::Status => {
                self.materialize(v);
                return self.reg(v);
            }
            Loc::Spill => {
                let t = self.temp();
                let at = self.spilled_at(v);
                dynasm!(self.a ; .arch x64 ; mov Rq(t), [rsp + at]);
                self.gpr[t as usize] = Some(v);
                self.set_loc(v, Loc::Gpr(t));
                t
            }
            Loc::Xmm(x) => {
                let t = self.temp();
                dynasm!(self.a ; .arch x64 ; vmovq Rq(t), Rx(x));
                t
            }
            Loc::Nowhere => unreachable!("%{} used before it is made", v.0),
        };
        self.locked |= 1 << r;
        r
    }
    /// The same for who reads no more of the register than the value has bits: above them it may hold anything.
    pub fn low(&mut self, v: Val) -> u8 {
        match self.loc(v) {
            Loc::Low(p) => PINS[p as usize],
            _ => self.reg(v),
        }
    }
    /// The low bits of a pinned register get a temporary, and what is above them is zero there. No flags change.
    fn part(&mut self, v: Val, p: u8) -> u8 {
        let t = self.temp();
        self.zero_extend(self.b.ty(v), t, PINS[p as usize]);
        self.gpr[t as usize] = Some(v);
        self.set_loc(v, Loc::Gpr(t));
        t
    }
    /// A value as the second operand of an instruction.
    pub fn src(&mut self, v: Val) -> Src {
        self.immediate(v).unwrap_or_else(|| Src::Reg(self.reg(v)))
    }
    /// The same for instructions that read no more of a register than the value has bits.
    pub fn low_src(&mut self, v: Val) -> Src {
        self.immediate(v).unwrap_or_else(|| Src::Reg(self.low(v)))
    }
    fn immediate(&self, v: Val) -> Option<Src> {
        if self.loc(v) != Loc::Imm {
            return None;
        }
        let (c, ty) = (self.b.constant(v).unwrap_or(0), self.b.ty(v));
        if ty != Ty::I64 {
            return Some(Src::Imm(c as u32 as i32));
        }
        i32::try_from(c as i64).ok().map(Src::Imm)
    }
    /// Where the current operation's integer result goes: the guest register it is made for, the register of an operand
    /// that dies here, or a fresh one. Whatever was there is saved first; operands that die here can still be read.
    pub fn dst(&mut self, v: Val, reuse: Option<Val>) -> u8 {
        let p = self.lives.vals[v.index()].hint;
        if p != pins::NONE {
            self.vacate(p);
            self.w.pinned[p as usize].push(v);
            self.set_loc(v, Loc::Pin(p));
            return PINS[p as usize];
        }
        if let Some(a) = reuse
            && let Loc::Gpr(r) = self.loc(a)
            && self.dies(self.root(a))
        {
            self.gpr[r as usize] = Some(v);
            self.set_loc(v, Loc::Gpr(r));
            return r;
        }
        let t = self.temp();
        self.gpr[t as usize] = Some(v);
        self.set_loc(v, Loc::Gpr(t));
        t
    }
    /// Give the result a fresh temporary, whatever it is made for: for sequences that write before they have read.
    pub fn fresh(&mut self, v: Val) -> u8 {
        let t = self.temp();
        self.gpr[t as usize] = Some(v);
        self.set_loc(v, Loc::Gpr(t));
        t
    }
    /// Save the live values that are the content of a pinned register about to be overwritten.
    pub fn vacate(&mut self, p: u8) {
        let mut held = std::mem::take(&mut self.w.pinned[p as usize]);
        held.retain(|&w| match self.loc(w) {
            Loc::Low(q) if q == p && self.live(w) => {
                let t = self.part(w, p);
                self.unlock(t);
                false
            }
            loc => loc == Loc::Pin(p) && self.live(w),
        });
        if let Some((&first, rest)) = held.split_first() {
            let t = self.temp();
            self.mov(Ty::I64, t, PINS[p as usize]);
            self.gpr[t as usize] = Some(first);
            self.set_loc(first, Loc::Gpr(t));
            self.unlock(t);
            for &w in rest {
                // Two values of one register: seldom, so the others go to memory.
                self.spill_from(w, PINS[p as usize]);
            }
        }
        held.clear();
        self.w.pinned[p as usize] = held;
    }
    fn spill_from(&mut self, v: Val, r: u8) {
        let at = self.spill_slot(v);
        dynasm!(self.a ; .arch x64 ; mov [rsp + at], Rq(r));
        self.set_loc(v, Loc::Spill);
    }
    fn spill_slot(&mut self, v: Val) -> i32 {
        let v = self.root(v);
        if self.w.homes[v.index()].spill == NONE {
            let free = (!self.spilled).trailing_zeros();
            if free as usize >= SPILLS {
                self.overflow = true;
                return 0;
            }
            self.spilled |= 1 << free;
            self.w.homes[v.index()].spill = free as u8;
        }
        self.w.homes[v.index()].spill as i32 * 16
    }
    /// Where a value that is spilled lies, from the stack pointer.
    pub fn spilled_at(&self, v: Val) -> i32 {
        i32::from(self.home(self.root(v)).spill) * 16
    }
    /// Put a value in its spill slot and free its register.
    pub fn spill(&mut self, v: Val) {
        let v = self.root(v);
        let known = self.w.homes[v.index()].spill != NONE;
        match self.loc(v) {
            Loc::Low(p) if !known => {
                let t = self.part(v, p);
                self.unlock(t);
                return self.spill(v);
            }
            Loc::Low(_) => {}
            Loc::Gpr(r) => {
                if !known {
                    let at = self.spill_slot(v);
                    dynasm!(self.a ; .arch x64 ; mov [rsp + at], Rq(r));
                }
                self.gpr[r as usize] = None;
            }
            Loc::Pin(p) => {
                if !known {
                    let at = self.spill_slot(v);
                    dynasm!(self.a ; .arch x64 ; mov [rsp + at], Rq(PINS[p as usize]));
                }
            }
            Loc::Xmm(x) => {
                if !known {
                    let at = self.spill_slot(v);
                    dynasm!(self.a ; .arch x64 ; vmovdqu [rsp + at], Rx(x));
                }
                self.xmm[x as usize] = None;
            }
            Loc::Flag(_) | Loc::Status => {
                self.materialize(v);
                return self.spill(v);
            }
            Loc::Nowhere | Loc::Imm | Loc::Spill => return,
        }
        self.set_loc(v, Loc::Spill);
    }

    // ---- vector registers

    /// A free vector register, locked until the operation ends.
    #[expect(
        clippy::expect_used,
        reason = "no operation locks 16 vector registers; what is not free is taken"
    )]
    pub fn xtemp(&mut self) -> u8 {
        let free = (0..16u8).find(|&x| self.xlocked & 1 << x == 0 && self.xmm[x as usize].is_none());
        let x = free.unwrap_or_else(|| {
            let far = |e: &Self, x: u8| e.xmm[x as usize].map_or(0, |v| e.end(v));
            let x = (0..16u8)
                .filter(|&x| self.xlocked & 1 << x == 0)
                .max_by_key(|&x| far(self, x));
            let x = x.expect("an operation locks fewer than all vector registers");
            let v = self.xmm[x as usize].expect("occupied");
            self.spill(v);
            x
        });
        self.xlocked |= 1 << x;
        x
    }
    /// A value in a vector register, locked.
    #[expect(
        clippy::unreachable,
        reason = "the verifier wants values defined before they are used"
    )]
    pub fn xreg(&mut self, v: Val) -> u8 {
        let v = self.root(v);
        let x = match self.loc(v) {
            Loc::Xmm(x) => x,
            Loc::Imm => {
                let x = self.xtemp();
                self.ximm(x, v);
                x
            }
            Loc::Spill => {
                let x = self.xtemp();
                let at = self.spilled_at(v);
                dynasm!(self.a ; .arch x64 ; vmovdqu Rx(x), [rsp + at]);
                self.xmm[x as usize] = Some(v);
                self.set_loc(v, Loc::Xmm(x));
                x
            }
            Loc::Gpr(_) | Loc::Pin(_) | Loc::Low(_) | Loc::Flag(_) | Loc::Status => {
                let r = self.reg(v);
                let x = self.xtemp();
                dynasm!(self.a ; .arch x64 ; vmovq Rx(x), Rq(r));
                x
            }
            Loc::Nowhere => unreachable!("%{} used before it is made", v.0),
        };
        self.xlocked |= 1 << x;
        x
    }
    /// A fresh vector register for the result.
    pub fn xdst(&mut self, v: Val) -> u8 {
        let x = self.xtemp();
        self.xmm[x as usize] = Some(v);
        self.set_loc(v, Loc::Xmm(x));
        x
    }
    /// A constant in a vector register; changes no flags.
    fn ximm(&mut self, x: u8, v: Val) {
        match self.b.insts[v.index()].op {
            Op::Const128 { pool } => {
                let label = self.pool_label(self.b.pool[pool as usize]);
                dynasm!(self.a ; .arch x64 ; vmovdqu Rx(x), [=>label]);
            }
            _ => {
                let bits = self.b.constant(v).unwrap_or(0);
                if bits == 0 {
                    dynasm!(self.a ; .arch x64 ; vpxor Rx(x), Rx(x), Rx(x));
                } else {
                    let label = self.pool_label(bits as u128);
                    dynasm!(self.a ; .arch x64 ; vmovq Rx(x), [=>label]);
                }
            }
        }
    }

    // ---- flags

    /// The host's flags are about to change: values that live in them move to registers.
    pub fn clobber(&mut self) {
        for k in 0..self.w.flags.len() {
            let v = self.w.flags[k];
            if matches!(self.loc(v), Loc::Flag(_) | Loc::Status) && self.end(v) > self.i {
                self.materialize(v);
            }
        }
        self.w.flags.clear();
        self.flags = Flags::default();
    }
    /// A condition becomes 0 or 1 in a temporary, status flags a word.
    pub fn materialize(&mut self, v: Val) {
        let cc = match self.loc(v) {
            Loc::Flag(cc) => cc,
            Loc::Status => return self.materialize_status(v),
            _ => return,
        };
        let t = self.temp();
        cond::setcc(self.a, cc, t);
        dynasm!(self.a ; .arch x64 ; movzx Rd(t), Rb(t));
        self.gpr[t as usize] = Some(v);
        self.set_loc(v, Loc::Gpr(t));
        self.unlock(t);
    }

    /// The host's status flags become a word in a temporary.
    pub fn materialize_status(&mut self, v: Val) {
        let t = if self.is_spare(0) { 0 } else { self.temp() };
        if t == 0 {
            dynasm!(self.a ; .arch x64 ; lahf ; seto al ; movzx eax, ax);
        } else {
            dynasm!(self.a ; .arch x64 ; mov Rq(t), rax ; lahf ; seto al ; movzx eax, ax ; xchg Rq(t), rax);
        }
        self.gpr[t as usize] = Some(v);
        self.set_loc(v, Loc::Gpr(t));
        self.unlock(t);
    }

    // ---- moves that change no flags

    /// Register to register.
    pub fn mov(&mut self, ty: Ty, d: u8, s: u8) {
        if d == s {
            return;
        }
        if ty == Ty::I64 {
            dynasm!(self.a ; .arch x64 ; mov Rq(d), Rq(s));
        } else {
            dynasm!(self.a ; .arch x64 ; mov Rd(d), Rd(s));
        }
    }
    /// The low bits of a register to a register, where zero is above them.
    pub fn zero_extend(&mut self, from: Ty, d: u8, s: u8) {
        match from {
            Ty::I8 => dynasm!(self.a ; .arch x64 ; movzx Rd(d), Rb(s)),
            Ty::I16 => dynasm!(self.a ; .arch x64 ; movzx Rd(d), Rw(s)),
            Ty::I64 => self.mov(from, d, s),
            _ => dynasm!(self.a ; .arch x64 ; mov Rd(d), Rd(s)),
        }
    }
    /// Constant to register.
    pub fn imm(&mut self, d: u8, c: u64) {
        if c <= u32::MAX as u64 {
            dynasm!(self.a ; .arch x64 ; mov Rd(d), c as i32);
        } else if let Ok(i) = i32::try_from(c as i64) {
            dynasm!(self.a ; .arch x64 ; mov Rq(d), i);
        } else {
            dynasm!(self.a ; .arch x64 ; mov Rq(d), QWORD c as i64);
        }
    }

    // ---- joins

    /// Before a branch to a label: what is used past that goes to memory.
    pub fn settle(&mut self, label: Label) {
        let place = self.lives.places[label.0 as usize] as usize;
        self.bury();
        for k in 0..self.w.live.len() {
            let v = self.w.live[k];
            if self.end(v) > place + 1 {
                self.spill_keep(v);
            }
        }
    }
    /// Give a value its spill slot; flags survive.
    fn spill_keep(&mut self, v: Val) {
        let v = self.root(v);
        match self.loc(v) {
            Loc::Flag(_) | Loc::Status => self.materialize(v),
            Loc::Low(p) => {
                let t = self.part(v, p);
                self.unlock(t);
            }
            _ => {}
        }
        if self.w.homes[v.index()].spill == NONE {
            let at = self.spill_slot(v);
            match self.loc(v) {
                Loc::Gpr(r) => dynasm!(self.a ; .arch x64 ; mov [rsp + at], Rq(r)),
                Loc::Pin(p) => dynasm!(self.a ; .arch x64 ; mov [rsp + at], Rq(PINS[p as usize])),
                Loc::Xmm(x) => dynasm!(self.a ; .arch x64 ; vmovdqu [rsp + at], Rx(x)),
                Loc::Nowhere | Loc::Imm | Loc::Low(_) | Loc::Flag(_) | Loc::Status | Loc::Spill => {}
            }
        }
    }
    /// At a label: whatever is still needed is in its spill slot.
    pub fn join(&mut self) {
        for &v in &self.w.live {
            let home = &mut self.w.homes[v.index()];
            if home.spill != NONE && home.loc != Loc::Nowhere {
                home.loc = Loc::Spill;
            }
        }
        self.gpr = [None; 16];
        self.xmm = [None; 16];
        self.w.pinned.iter_mut().for_each(Vec::clear);
        self.w.flags.clear();
        self.flags = Flags::default();
        self.windows = Windows::default();
    }
    /// Before a call: every live value leaves the temporaries (and with `all` the pinned registers, which the callee may
    /// change).
    pub fn spill_live(&mut self, all: bool) {
        self.windows = Windows::default();
        self.clobber();
        self.bury();
        for k in 0..self.w.live.len() {
            let v = self.w.live[k];
            if self.live(v) && (all || !matches!(self.loc(v), Loc::Pin(_) | Loc::Low(_))) {
                self.spill(v);
            }
        }
    }
    /// Dead values leave the list.
    pub fn bury(&mut self) {
        let homes = &self.w.homes;
        self.w.live.retain(|v| homes[v.index()].loc != Loc::Nowhere);
    }
    /// The operation is done: locks go, dead values free their places.
    pub fn finish(&mut self) {
        self.locked = 0;
        self.xlocked = 0;
        self.windows.age(self.i);
        while let Some((&(i, v), rest)) = self.deaths.split_last()
            && i as usize == self.i
        {
            self.deaths = rest;
            self.release(v);
        }
    }
    fn release(&mut self, v: Val) {
        let home = &mut self.w.homes[v.index()];
        match home.loc {
            Loc::Gpr(r) if self.gpr[r as usize] == Some(v) => self.gpr[r as usize] = None,
            Loc::Xmm(x) if self.xmm[x as usize] == Some(v) => self.xmm[x as usize] = None,
            _ => {}
        }
        if home.spill != NONE {
            self.spilled &= !(1 << home.spill);
        }
        *home = Home::default();
    }
}
