//! Segment registers (SDM 1, 5.1.12), and what asks about selectors (SDM 1, 5.20).

use crate::calls;
use crate::decode::row::Method;
use crate::fault::vector;
use crate::mmu::SYSTEM;
use crate::state::bits::eflags;
use crate::state::{self, mode, number};
use crate::tx::Tx;
use emu_ir::{Label, Mem, STATUS_ZERO, Ty, Val};

impl Tx<'_> {
    /// Whether segments are those of real or virtual 8086 mode.
    pub fn is_8086(&self) -> bool {
        self.mode & mode::PROTECTED == 0 || self.mode & mode::VIRTUAL != 0
    }
    /// What real and virtual 8086 mode do not have is #UD there: whether it was raised.
    pub fn only_protected(&mut self) -> bool {
        let refused = self.is_8086();
        if refused {
            self.undefined();
        }
        refused
    }
    /// What is for level 0 alone is #GP(0) above it: whether it was raised.
    pub fn only_level_0(&mut self) -> bool {
        let refused = mode::cpl(self.mode) != 0;
        if refused {
            self.fault(vector::GP, 0);
        }
        refused
    }
    /// The segment register that operand `n` is. `None`: there is none of the number.
    fn segment(&self, n: usize) -> Option<u8> {
        let found = match self.insn.row.operands.get(n)?.method {
            Method::Segment(n) => n,
            _ => self.insn.modrm >> 3 & 7,
        };
        (found < 6).then_some(found)
    }
    /// Loads a segment register; the block is to end then.
    fn load_segment(&mut self, n: u8, selector: Val) {
        let number = self.imm(Ty::I8, n.into());
        self.begin_leaving();
        self.b.call(Ty::I32, calls::LOAD_SEGMENT, &[number, selector]);
    }
    /// The same, of an instruction that does no more than `finish`; where nothing changes by it, the block goes on.
    fn load_alone(&mut self, n: u8, selector: Val, finish: impl Fn(&mut Self)) {
        let kept = self.if_kept(n, selector);
        self.load_segment(n, selector);
        finish(self);
        self.leave_loaded(n);
        if let Some(kept) = kept {
            self.b.place(kept);
            self.position();
            self.ended = false;
            finish(self);
        }
    }
    /// Where to go on if the selector is the register's, and what it names still is what the register was loaded with: kernels
    /// load the same segments again and again.
    fn if_kept(&mut self, n: u8, selector: Val) -> Option<Label> {
        let elsewhere = mode::CODE64 | mode::SHADOW | mode::RESUME | mode::STEP | mode::CPL;
        if self.is_8086() || n == number::SS || self.mode & elsewhere != 0 {
            return None;
        }
        let ((its, loaded), (limit, base)) = (state::loaded(n), state::GDTR);
        let (kept, changes) = (self.b.label(), self.b.label());
        let selector = self.b.zext(Ty::I32, selector);
        let its = self.b.get(its);
        let other = self.b.ne(its, selector);
        self.b.br_if(other, changes);
        let seven = self.imm(Ty::I32, 7);
        let last = self.b.or(selector, seven);
        let (last, limit) = (self.b.zext(Ty::I64, last), self.b.get(limit));
        let outside = self.b.ult(limit, last);
        self.b.br_if(outside, changes);
        let first = self.plus(last, -7);
        let base = self.b.get(base);
        let at = self.b.add(base, first);
        let at = self.mask(at, 0xffff_ffff);
        let descriptor = self.b.load(Ty::I64, at, Mem::new(3, SYSTEM));
        let loaded = self.b.get(loaded);
        let same = self.b.eq(descriptor, loaded);
        self.b.br_if(same, kept);
        self.b.place(changes);
        self.position();
        Some(kept)
    }
    /// After that.
    fn leave_loaded(&mut self, n: u8) {
        if n == number::SS {
            return self.finish_in_shadow();
        }
        self.finish_leaving();
    }
    /// Sets ZF alone.
    fn set_zero(&mut self, zero: Val) {
        let before = self.status();
        let status = self.set_flags(before, &[(STATUS_ZERO, zero)]);
        self.set_status(status);
    }
}

/// MOV from a segment register: of 16 bits in memory.
pub fn mov_from_segment(t: &mut Tx) {
    let Some(n) = t.segment(1) else { return t.undefined() };
    let selector = t.b.get(state::selector(n));
    let value = t.b.zext(t.ty(0), selector);
    t.write(0, value);
}
/// MOV to a segment register.
pub fn mov_to_segment(t: &mut Tx) {
    let Some(n) = t.segment(0).filter(|&n| n != number::CS) else {
        return t.undefined();
    };
    let selector = t.read(1);
    t.load_alone(n, selector, |_| {});
}
/// PUSH of a segment register.
pub fn push_segment(t: &mut Tx) {
    let Some(n) = t.segment(0) else { return t.undefined() };
    let selector = t.b.get(state::selector(n));
    let value = t.b.zext(t.size(), selector);
    t.push(value);
}
/// POP of a segment register.
pub fn pop_segment(t: &mut Tx) {
    let Some(n) = t.segment(0) else { return t.undefined() };
    let (value, sp) = t.peek(t.size());
    let selector = t.b.trunc(Ty::I16, value);
    t.load_alone(n, selector, |t| t.set_sp(sp));
}

impl Tx<'_> {
    /// The far pointer in memory: its offset and its selector.
    pub fn far_pointer(&mut self) -> (Val, Val) {
        let ty = self.size();
        let at = self.locate(ty.bytes() + 2, false);
        let offset = self.load(ty, at);
        let above = self.plus(at, ty.bytes().into());
        let above = if self.is_64() {
            above
        } else {
            self.mask(above, 0xffff_ffff)
        };
        (offset, self.load(Ty::I16, above))
    }
}
fn load_far(t: &mut Tx, n: u8) {
    let (offset, selector) = t.far_pointer();
    t.load_segment(n, selector);
    t.set_reg(t.insn.reg(), offset);
    // LSS makes no shadow: both parts of the stack are loaded (SDM 2, LDS).
    t.finish_leaving();
}
/// LDS.
pub fn lds(t: &mut Tx) {
    load_far(t, number::DS);
}
/// LES.
pub fn les(t: &mut Tx) {
    load_far(t, number::ES);
}
/// LFS.
pub fn lfs(t: &mut Tx) {
    load_far(t, number::FS);
}
/// LGS.
pub fn lgs(t: &mut Tx) {
    load_far(t, number::GS);
}
/// LSS.
pub fn lss(t: &mut Tx) {
    load_far(t, number::SS);
}

/// What a descriptor has, where it may be asked for.
fn ask(t: &mut Tx, helper: u16) {
    if t.only_protected() {
        return;
    }
    let selector = t.read(1);
    let found = t.b.call(Ty::I64, helper, &[selector]);
    let (is_there, n) = (t.bit(found, 32), t.insn.reg());
    let new = t.mask(found, 0xffff_ffff);
    if t.size() == Ty::I16 {
        let (new, old) = (t.b.trunc(Ty::I16, new), t.reg(n, Ty::I16));
        let value = t.b.select(is_there, new, old);
        t.set_reg(n, value);
    } else {
        // What is not there changes nothing, not even the upper half.
        let old = t.reg(n, Ty::I64);
        let value = t.b.select(is_there, new, old);
        t.set_reg(n, value);
    }
    t.set_zero(is_there);
}
/// LAR.
pub fn lar(t: &mut Tx) {
    ask(t, calls::LAR);
}
/// LSL.
pub fn lsl(t: &mut Tx) {
    ask(t, calls::LSL);
}
fn verify(t: &mut Tx, helper: u16) {
    if t.only_protected() {
        return;
    }
    let selector = t.read(0);
    let zero = t.b.call(Ty::I8, helper, &[selector]);
    t.set_zero(zero);
}
/// VERR.
pub fn verr(t: &mut Tx) {
    verify(t, calls::VERR);
}
/// VERW.
pub fn verw(t: &mut Tx) {
    verify(t, calls::VERW);
}
/// ARPL: the destination is written only where it changes.
pub fn arpl(t: &mut Tx) {
    if t.only_protected() {
        return;
    }
    let (old, by) = (t.read(0), t.read(1));
    let (low, level) = (t.mask(old, 3), t.mask(by, 3));
    let (raised, done) = (t.b.ult(low, level), t.b.label());
    let kept = t.not(raised);
    t.b.br_if(kept, done);
    let rest = t.mask(old, 0xfffc);
    let new = t.b.or(rest, level);
    t.write(0, new);
    t.b.place(done);
    t.position();
    t.set_zero(raised);
}

/// SLDT and STR: of 16 bits in memory.
fn store_selector(t: &mut Tx, slot: emu_ir::Slot) {
    if t.only_protected() {
        return;
    }
    t.check_may_store();
    let selector = t.b.get(slot);
    let value = t.b.zext(t.ty(0), selector);
    t.write(0, value);
}
/// SLDT.
pub fn sldt(t: &mut Tx) {
    store_selector(t, state::LDTR);
}
/// STR.
pub fn str(t: &mut Tx) {
    store_selector(t, state::TR);
}
fn load_selector(t: &mut Tx, helper: u16) {
    if t.only_protected() || t.only_level_0() {
        return;
    }
    let selector = t.read(0);
    t.b.call(Ty::I32, helper, &[selector]);
}
/// LLDT.
pub fn lldt(t: &mut Tx) {
    load_selector(t, calls::LLDT);
}
/// LTR.
pub fn ltr(t: &mut Tx) {
    load_selector(t, calls::LTR);
}

/// The type of a table's base in memory.
fn base(t: &Tx) -> Ty {
    if t.is_64() { Ty::I64 } else { Ty::I32 }
}
/// SGDT and SIDT: all of the base is stored, whatever the operand size.
fn store_table(t: &mut Tx, (limit, address): (emu_ir::Slot, emu_ir::Slot)) {
    t.check_may_store();
    let ty = base(t);
    let at = t.locate(2 + ty.bytes(), true);
    let (next, last) = (t.plus(at, 2), t.plus(at, 1 + i64::from(ty.bytes())));
    t.load_to_write(Ty::I8, last);
    let (limit, address) = (t.b.get(limit), t.b.get(address));
    let (limit, address) = (t.b.trunc(Ty::I16, limit), t.b.trunc(ty, address));
    t.store(at, limit);
    t.store(next, address);
}
/// SGDT.
pub fn sgdt(t: &mut Tx) {
    store_table(t, state::GDTR);
}
/// SIDT.
pub fn sidt(t: &mut Tx) {
    store_table(t, state::IDTR);
}
fn load_table(t: &mut Tx, helper: u16) {
    if t.only_level_0() {
        return;
    }
    let ty = base(t);
    let at = t.locate(2 + ty.bytes(), false);
    let limit = t.load(Ty::I16, at);
    let next = t.plus(at, 2);
    let address = t.load(ty, next);
    let size = t.imm(Ty::I8, t.insn.operand_size.into());
    t.b.call(Ty::I32, helper, &[limit, address, size]);
}
/// LGDT.
pub fn lgdt(t: &mut Tx) {
    load_table(t, calls::LGDT);
}
/// LIDT.
pub fn lidt(t: &mut Tx) {
    load_table(t, calls::LIDT);
}

impl Tx<'_> {
    /// What CR4.UMIP keeps from programs is #GP(0).
    pub fn check_may_store(&mut self) {
        if mode::cpl(self.mode) != 0 {
            self.check_cr4(crate::state::bits::cr4::UMIP, false, vector::GP);
        }
    }
    /// A bit of CR4 is as it has to be, or an exception is raised.
    pub fn check_cr4(&mut self, bit: u64, set: bool, vector: u8) {
        let cr4 = self.b.get(state::CR4);
        let bit = self.bit(cr4, bit.trailing_zeros());
        if set {
            self.fault_unless(bit, vector, 0);
        } else {
            self.fault_if(bit, vector, 0);
        }
    }
    /// EFLAGS, with the status flags.
    pub fn eflags(&mut self) -> Val {
        let (status, others) = (self.status(), self.b.get(state::EFLAGS));
        let status = self.b.zext(Ty::I32, status);
        let (low, over) = (self.shr(status, 8), self.mask(status, 1));
        let low = self.mask(low, (eflags::STATUS & !eflags::OF).into());
        let over = self.shl(over, eflags::OF.trailing_zeros());
        let flags = self.b.or(low, over);
        let flags = self.b.or(flags, others);
        let fixed = self.imm(Ty::I32, eflags::FIXED.into());
        self.b.or(flags, fixed)
    }
}
