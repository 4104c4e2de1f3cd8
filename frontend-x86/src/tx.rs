//! The translation context: what an instruction's meaning is written with.
//!
//! An instruction that faults leaves no trace: what it writes to registers and flags comes after its last access to memory.

mod floating;
mod vectors;

pub use vectors::Vector;

use crate::calls;
use crate::decode::insn::{Insn, Segment};
use crate::decode::row::{Method, Operand, Width, flag};
use crate::fault::vector;
use crate::features::Features;
use crate::state::{self, mode, number, of};
use emu_ir::{Arith, Builder, Hint, Label, Leave, Mem, Rmw, Ty, Val};

/// Bytes in a page of code.
const PAGE: i32 = 0x1000;
/// In these modes each instruction is a block, after which something is done.
const LOOKED_AFTER: u64 = mode::STEP | mode::RESUME;

/// One block's translation.
pub struct Tx<'a> {
    /// Where IR goes.
    pub b: &'a mut Builder,
    /// The mode word, see [`mode`]: the mode slot holds it until the block ends or an instruction changes it.
    pub mode: u64,
    /// What the CPU has.
    pub features: Features,
    /// The current instruction.
    pub insn: Insn,
    /// The current instruction's offset from the start of the page.
    pub offset: u32,
    /// The block has ended: the last operation left it on every path.
    pub ended: bool,
    /// No instruction shall follow the current one in the block, though a path may lead there.
    pub stop: bool,
    /// The instruction's memory operand, once it was asked for.
    pub(crate) place: Option<Place>,
    /// Instructions of the x87 that are executed by calls where translated code cannot go on: a label, the offset from the start
    /// of the page, and what [`emu_ir::Guest::restore`] is told.
    pub(crate) left: Vec<(Label, u32, u32)>,
    /// MXCSR.RC, where the instruction has put another in its place.
    saved_round: Option<Val>,
}

/// A memory operand.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Its offset in the segment.
    pub offset: Val,
    /// Its linear address.
    pub at: Val,
    /// The segment lets it be written.
    pub written: bool,
}

/// The integer type of so many bytes: 1, 2, 4 or 8.
pub const fn int(bytes: u8) -> Ty {
    match bytes {
        1 => Ty::I8,
        2 => Ty::I16,
        4 => Ty::I32,
        _ => Ty::I64,
    }
}

/// How a value is changed.
pub type Change<'f> = &'f dyn Fn(&mut Tx, Val) -> Val;

// What kind of code it is.
impl Tx<'_> {
    /// 64-bit mode.
    pub fn is_64(&self) -> bool {
        self.mode & mode::CODE64 != 0
    }
    /// Whether offsets in a segment are linear addresses.
    pub fn is_flat(&self, segment: u8) -> bool {
        self.mode >> (mode::FLAT_SHIFT + u32::from(segment)) & 1 != 0
    }
    /// The type of the stack pointer.
    pub fn stack(&self) -> Ty {
        match self.mode & (mode::CODE64 | mode::STACK32) {
            0 => Ty::I16,
            mode::STACK32 => Ty::I32,
            _ => Ty::I64,
        }
    }
    /// The type of operands of the operand size.
    pub fn size(&self) -> Ty {
        int(self.insn.operand_size)
    }
    /// The type of addresses.
    pub fn address_size(&self) -> Ty {
        int(self.insn.address_size)
    }
    /// The next instruction's offset from the start of the page.
    pub fn next(&self) -> u32 {
        self.offset + u32::from(self.insn.length)
    }
}

// Registers and numbers.
impl Tx<'_> {
    /// A constant.
    pub fn imm(&mut self, ty: Ty, v: u64) -> Val {
        self.b.imm(ty, v)
    }
    /// Register `n`, of a type; of a byte with no REX, 4 to 7 are AH, CH, DH and BH.
    pub fn reg(&mut self, n: u8, ty: Ty) -> Val {
        if self.is_high(n, ty) {
            let (whole, eight) = (self.b.get(state::reg(n - 4)), self.imm(Ty::I64, 8));
            let high = self.b.shr_u(whole, eight);
            return self.b.trunc(ty, high);
        }
        self.low(n, ty)
    }
    /// Write register `n`: 32 bits are zero-extended, what is above fewer stays.
    pub fn set_reg(&mut self, n: u8, v: Val) {
        if self.is_high(n, self.b.ty(v)) {
            return self.set_high(n - 4, v);
        }
        self.set_low(n, v);
    }
    /// The low bits of register `n`: of 0 it is AL, AX, EAX or RAX.
    pub fn low(&mut self, n: u8, ty: Ty) -> Val {
        let whole = self.b.get(state::reg(n));
        self.b.trunc(ty, whole)
    }
    /// Write the low bits of register `n`, as [`Tx::set_reg`] does.
    pub fn set_low(&mut self, n: u8, v: Val) {
        let slot = state::reg(n);
        let whole = match self.b.ty(v) {
            Ty::I8 | Ty::I16 => {
                let old = self.b.get(slot);
                self.b.insert(old, v, 0)
            }
            _ => self.b.zext(Ty::I64, v),
        };
        self.b.set(slot, whole);
    }
    /// Write bits 15:8 of register `n`: of 0 it is AH.
    pub fn set_high(&mut self, n: u8, v: Val) {
        let old = self.b.get(state::reg(n));
        let whole = self.b.insert(old, v, 8);
        self.b.set(state::reg(n), whole);
    }
    fn is_high(&self, n: u8, ty: Ty) -> bool {
        ty == Ty::I8 && !self.insn.rex.present && (4..8).contains(&n)
    }
    /// `v + by`.
    pub fn plus(&mut self, v: Val, by: i64) -> Val {
        if by == 0 {
            return v;
        }
        let by = self.b.imm(self.b.ty(v), by as u64);
        self.b.add(v, by)
    }
    /// `v << by`, `by` below the width.
    pub fn shl(&mut self, v: Val, by: u32) -> Val {
        let by = self.b.imm(self.b.ty(v), by.into());
        self.b.shl(v, by)
    }
    /// `v >> by`, logical.
    pub fn shr(&mut self, v: Val, by: u32) -> Val {
        let by = self.b.imm(self.b.ty(v), by.into());
        self.b.shr_u(v, by)
    }
    /// `v & mask`.
    pub fn mask(&mut self, v: Val, mask: u64) -> Val {
        let mask = self.b.imm(self.b.ty(v), mask);
        self.b.and(v, mask)
    }
    /// Whether an int is zero.
    pub fn is_zero(&mut self, v: Val) -> Val {
        let zero = self.b.imm(self.b.ty(v), 0);
        self.b.eq(v, zero)
    }
    /// An int's lowest bit as a boolean.
    pub fn low_bit(&mut self, v: Val) -> Val {
        let low = self.mask(v, 1);
        match self.b.ty(low) {
            Ty::I8 => low,
            _ => self.b.trunc(Ty::I8, low),
        }
    }
    /// An int's bit `k` as a boolean.
    pub fn bit(&mut self, v: Val, k: u32) -> Val {
        let wide = self.b.zext(Ty::I64, v);
        let v = self.shr(wide, k);
        self.low_bit(v)
    }
    /// A boolean's opposite.
    pub fn not(&mut self, v: Val) -> Val {
        let one = self.b.bool(true);
        self.b.xor(v, one)
    }
}

// Operands.
impl Tx<'_> {
    fn operand(&self, n: usize) -> Operand {
        let none = Operand {
            method: Method::None,
            width: Width::None,
        };
        self.insn.row.operands.get(n).copied().unwrap_or(none)
    }
    /// Control and debug registers, and what is moved to and from them, have no other width than 64 bits in 64-bit mode.
    fn moves_control(&self) -> bool {
        let operands = self.insn.row.operands;
        operands.iter().any(|o| matches!(o.method, Method::C | Method::D))
    }
    /// The type of operand `n`, an integer.
    pub fn ty(&self, n: usize) -> Ty {
        let operand = self.operand(n);
        let register = self.insn.modrm >= 0xc0;
        let bytes = match operand.width {
            Width::B => 1,
            Width::W => 2,
            Width::D => 4,
            Width::Q => 8,
            Width::Z => self.insn.operand_size.min(4),
            Width::Y if self.insn.operand_size == 8 => 8,
            Width::Y if self.is_64() && self.moves_control() => 8,
            Width::Y => 4,
            Width::Vw if register => self.insn.operand_size,
            Width::Vw => 2,
            Width::Db if register => 4,
            Width::Db => 1,
            Width::Dw if register => 4,
            Width::Dw => 2,
            _ => self.insn.operand_size,
        };
        int(bytes)
    }
    /// Whether operand `n` is in memory.
    pub fn is_memory(&self, n: usize) -> bool {
        match self.operand(n).method {
            Method::E | Method::Q | Method::W => self.insn.modrm < 0xc0,
            Method::M | Method::O | Method::X | Method::Y => true,
            _ => false,
        }
    }
    /// The register that operand `n` is, if it is a general one.
    pub fn register(&self, n: usize) -> Option<u8> {
        let insn = &self.insn;
        match self.operand(n).method {
            Method::G => Some(insn.reg()),
            Method::E if insn.modrm >= 0xc0 => Some(insn.rm()),
            Method::R => Some(insn.rm()),
            Method::Z => Some(insn.low()),
            Method::B => insn.vex.map(|vex| vex.vvvv),
            Method::Register(n) => Some(n),
            _ => None,
        }
    }
    /// Operand `n`, an integer.
    pub fn read(&mut self, n: usize) -> Val {
        let ty = self.ty(n);
        if let Some(register) = self.register(n) {
            return match self.operand(n).method {
                // AL, CL, AX and the others are never AH.
                Method::Register(_) => self.low(register, ty),
                _ => self.reg(register, ty),
            };
        }
        match self.operand(n).method {
            Method::I | Method::J => self.immediate(n),
            Method::One => self.imm(Ty::I8, 1),
            _ => {
                let at = self.place(n, false);
                self.load(ty, at)
            }
        }
    }
    fn immediate(&mut self, n: usize) -> Val {
        let ty = match self.operand(n).width {
            Width::Bs => self.size(),
            Width::Z => self.size(),
            _ => self.ty(n),
        };
        self.imm(ty, self.insn.immediate)
    }
    /// Write operand `n`, an integer of its type.
    pub fn write(&mut self, n: usize, v: Val) {
        match self.register(n) {
            Some(register) => match self.operand(n).method {
                Method::Register(_) => self.set_low(register, v),
                _ => self.set_reg(register, v),
            },
            None => {
                let at = self.place(n, true);
                self.store(at, v);
            }
        }
    }
    /// Change operand `n`: what it was. In memory it is read with the intent to write; under LOCK the change is made at once, by
    /// `how` and its operand where there is such an operation.
    pub fn change(&mut self, n: usize, how: Option<(Rmw, Val)>, change: Change) -> Val {
        if !self.is_memory(n) {
            let old = self.read(n);
            let new = change(self, old);
            self.write(n, new);
            return old;
        }
        let (ty, at) = (self.ty(n), self.place(n, true));
        match how {
            _ if !self.insn.locked => {
                let old = self.load_to_write(ty, at);
                let new = change(self, old);
                self.store(at, new);
                old
            }
            Some((how, by)) => {
                let mem = self.mem(ty);
                self.b.rmw(how, at, by, mem)
            }
            None => {
                let old = self.load_to_write(ty, at);
                let new = change(self, old);
                self.exchange(at, old, new);
                old
            }
        }
    }
    /// Put `new` into memory where `old` still is; else the instruction starts again.
    fn exchange(&mut self, at: Val, old: Val, new: Val) {
        let mem = self.mem(self.b.ty(new));
        let found = self.b.cas(at, old, new, mem);
        let (same, label) = (self.b.eq(found, old), self.b.label());
        self.b.br_if(same, label);
        self.b.goto(self.offset as i32, self.mode, Hint::Jump, false);
        self.b.place(label);
        self.position();
    }
}

// Memory.
impl Tx<'_> {
    /// How an access of a type goes.
    pub fn mem(&self, ty: Ty) -> Mem {
        let size = ty.bytes().trailing_zeros() as u8;
        let checked = self.mode & mode::ALIGN != 0;
        Mem {
            align: if checked { size } else { 0 },
            ..Mem::new(size, 0)
        }
    }
    /// Load from a linear address.
    pub fn load(&mut self, ty: Ty, at: Val) -> Val {
        let mem = self.mem(ty);
        self.b.load(ty, at, mem)
    }
    /// The same of what is to be written next: its faults are those of a write.
    pub fn load_to_write(&mut self, ty: Ty, at: Val) -> Val {
        let mem = self.mem(ty).to_write();
        self.b.load(ty, at, mem)
    }
    /// Store to a linear address.
    pub fn store(&mut self, at: Val, v: Val) {
        let mem = self.mem(self.b.ty(v));
        self.b.store(at, v, mem);
    }
    /// The linear address of operand `n`, which is in memory and is to be written or read.
    pub fn place(&mut self, n: usize, write: bool) -> Val {
        self.place_bytes(self.ty(n).bytes(), write)
    }
    /// The same of so many bytes. Where it was read it need not be writable: it is looked at again then, at the same offset.
    pub(crate) fn place_bytes(&mut self, bytes: u32, write: bool) -> Val {
        let offset = match self.place {
            Some(place) if place.written || !write => return place.at,
            Some(place) => place.offset,
            None => self.effective_address(),
        };
        self.place_at(offset, bytes, write)
    }
    /// The memory operand is at this offset.
    pub(crate) fn place_at(&mut self, offset: Val, bytes: u32, written: bool) -> Val {
        let at = self.linear(self.segment_of_memory(), offset, bytes, written);
        self.place = Some(Place { offset, at, written });
        at
    }
    /// The segment that the memory operand is in.
    fn segment_of_memory(&self) -> u8 {
        self.insn.memory.map_or(Segment::Ds, |m| m.segment) as u8
    }
    /// The linear address of the memory operand, of so many bytes.
    pub fn locate(&mut self, bytes: u32, write: bool) -> Val {
        let offset = self.effective_address();
        self.linear(self.segment_of_memory(), offset, bytes, write)
    }
    /// The effective address of the memory operand: its offset in the segment, of the address size.
    pub fn effective_address(&mut self) -> Val {
        let ty = self.address_size();
        let Some(memory) = self.insn.memory else {
            return self.imm(ty, 0);
        };
        // Of 16 bits it is computed in more.
        let wide = if ty == Ty::I16 { Ty::I64 } else { ty };
        let base = match memory.base {
            Some(n) => Some(self.reg(n, wide)),
            None if memory.relative => {
                let base = self.b.pc_rel(Ty::I64, self.next() as i32);
                Some(self.b.trunc(wide, base))
            }
            None => None,
        };
        let index = memory.index.map(|n| {
            let index = self.reg(n, wide);
            match memory.scale {
                0 => index,
                scale => self.shl(index, scale.into()),
            }
        });
        let sum = match (base, index) {
            (Some(base), Some(index)) => self.b.add(base, index),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return self.imm(ty, memory.displacement as u64),
        };
        let sum = self.plus(sum, memory.displacement);
        self.b.trunc(ty, sum)
    }
    /// The linear address of `bytes` at an offset in a segment, all of which must be inside (SDM 3, 5.3 "Limit Checking").
    pub fn linear(&mut self, segment: u8, offset: Val, bytes: u32, write: bool) -> Val {
        let offset = self.b.zext(Ty::I64, offset);
        let data_of_code = segment == number::CS && !self.is_64();
        if self.is_flat(segment) && !data_of_code {
            return offset;
        }
        let base = self.b.get(state::base(segment));
        if self.is_64() {
            return self.b.add(base, offset);
        }
        self.check_bounds(segment, offset, bytes, write);
        self.wrap(base, offset)
    }
    /// The sum of base and offset, of 32 bits.
    fn wrap(&mut self, base: Val, offset: Val) -> Val {
        let sum = self.b.add(base, offset);
        let sum = self.b.trunc(Ty::I32, sum);
        self.b.zext(Ty::I64, sum)
    }
    fn check_bounds(&mut self, segment: u8, offset: Val, bytes: u32, write: bool) {
        let (first, last) = state::bounds(segment, write);
        let (first, last) = (self.b.get(first), self.b.get(last));
        let (first, last) = (self.b.zext(Ty::I64, first), self.b.zext(Ty::I64, last));
        let end = self.plus(offset, i64::from(bytes) - 1);
        let (below, above) = (self.b.ult(offset, first), self.b.ult(last, end));
        let outside = self.b.or(below, above);
        let vector = if segment == number::SS { vector::SS } else { vector::GP };
        self.fault_if(outside, vector, 0);
    }
}

// The status flags.
impl Tx<'_> {
    /// The status flags.
    pub fn status(&mut self) -> Val {
        self.b.get(state::STATUS)
    }
    /// Set them, all of them.
    pub fn set_status(&mut self, status: Val) {
        self.b.set(state::STATUS, status);
    }
    /// Set them to those of arithmetic.
    pub fn set_status_of(&mut self, how: Arith, a: Val, b: Val) {
        let before = if how.takes_status() { self.status() } else { a };
        let status = self.b.status(how, a, b, before);
        self.set_status(status);
    }
    /// Set some of them, by booleans and the bits that they are.
    pub fn set_flags(&mut self, old: Val, flags: &[(u16, Val)]) -> Val {
        let changed = flags.iter().fold(0, |all, flag| all | flag.0);
        let old = self.b.zext(Ty::I32, old);
        let mut new = self.mask(old, u64::from(!changed));
        for &(bit, set) in flags {
            let set = self.b.zext(Ty::I32, set);
            let set = self.shl(set, bit.trailing_zeros());
            new = self.b.or(new, set);
        }
        self.b.trunc(Ty::I16, new)
    }
    /// Whether a condition, 0 to 15, holds.
    pub fn cond(&mut self, cc: u8) -> Val {
        let status = self.status();
        self.b.cond(status, cc)
    }
}

// Where control goes.
impl Tx<'_> {
    /// Says again, after a label, which instruction this is.
    pub fn position(&mut self) {
        self.position_as(self.aux());
    }
    /// From here on faults are of the stack, whatever memory operand there is; whether that was said just now.
    pub fn position_on_stack(&mut self) -> bool {
        let aux = self.aux();
        let other = aux & of::STACK == 0;
        if other {
            self.position_as(aux | of::STACK);
        }
        other
    }
    fn position_as(&mut self, aux: u32) {
        let again = self.b.block.guest_insns;
        self.b.insn(self.offset as u16, aux);
        self.b.block.guest_insns = again;
    }
    /// What [`emu_ir::Guest::restore`] is told of the instruction: bits of [`of`].
    pub fn aux(&self) -> u32 {
        // Without a memory operand, what has 64 bits by default in 64-bit mode accesses the stack, if anything.
        let implied = self.insn.row.flags & (flag::D64 | flag::F64) != 0;
        let stack = self.insn.memory.map_or(implied, |m| m.segment == Segment::Ss);
        let aligned = self.is_aligned();
        u32::from(self.insn.length) | if stack { of::STACK } else { 0 } | if aligned { of::ALIGNED } else { 0 }
    }
    /// The linear address of the next instruction.
    pub fn next_pc(&mut self) -> Val {
        self.pc_at(self.next().into())
    }
    /// Whether an offset from the start of the page may be that of an address that 32-bit code does not have: it goes on at the
    /// other end of its 4 GiB.
    pub(crate) fn may_wrap(&self, to: i64) -> bool {
        !self.is_64() && !(0..i64::from(PAGE)).contains(&to)
    }
    /// The linear address at an offset from the start of the page.
    fn pc_at(&mut self, to: i64) -> Val {
        let pc = match i32::try_from(to) {
            Ok(to) => self.b.pc_rel(Ty::I64, to),
            Err(_) => {
                let page = self.b.pc_rel(Ty::I64, 0);
                self.plus(page, to)
            }
        };
        if self.may_wrap(to) {
            self.mask(pc, 0xffff_ffff)
        } else {
            pc
        }
    }
    /// rIP of the next instruction, 64 bits.
    pub fn next_ip(&mut self) -> Val {
        let pc = self.next_pc();
        if self.is_64() {
            return pc;
        }
        if self.is_flat(number::CS) {
            return self.mask(pc, 0xffff_ffff);
        }
        let base = self.b.get(state::base(number::CS));
        let ip = self.b.sub(pc, base);
        self.mask(ip, 0xffff_ffff)
    }
    /// Raise an exception if a boolean is 1.
    pub fn fault_if(&mut self, condition: Val, vector: u8, info: u32) {
        let holds = self.not(condition);
        self.fault_unless(holds, vector, info);
    }
    /// Raise an exception if a boolean is 0.
    pub fn fault_unless(&mut self, condition: Val, vector: u8, info: u32) {
        let go = self.b.label();
        self.b.br_if(condition, go);
        self.fault(vector, info);
        self.ended = false;
        self.b.place(go);
        self.position();
    }
    /// Raise an exception.
    pub fn fault(&mut self, vector: u8, info: u32) {
        let (vector, info) = (self.imm(Ty::I32, vector.into()), self.imm(Ty::I32, info.into()));
        self.call_and_leave(calls::RAISE, &[vector, info]);
    }
    /// Raise #UD.
    pub fn undefined(&mut self) {
        self.fault(vector::UD, 0);
    }
    /// Call a helper that ends the path, having raised an exception or set pc and mode.
    pub fn call_and_leave(&mut self, helper: u16, args: &[Val]) {
        self.b.call(Ty::I32, helper, args);
        self.b.exit(Leave::Resume);
        self.ended = true;
    }
    /// Go on at the next instruction in a new block.
    pub fn goto_next(&mut self) {
        self.leave_to(self.next().into(), Hint::Jump);
    }
    /// Go on at an offset from the start of the page.
    pub(crate) fn leave_to(&mut self, to: i64, hint: Hint) {
        match i32::try_from(to) {
            Ok(to) if self.mode & LOOKED_AFTER == 0 && !self.may_wrap(to.into()) => {
                let mode = self.leave_shadow();
                self.b.goto(to, mode, hint, mode != self.mode);
                self.ended = true;
            }
            _ => {
                let pc = self.pc_at(to);
                self.leave_at(pc, hint);
            }
        }
    }
    /// Go on at a linear address.
    fn leave_at(&mut self, pc: Val, hint: Hint) {
        self.leave_shadow();
        if self.mode & LOOKED_AFTER != 0 {
            self.b.set(state::PC, pc);
            self.look_after();
            self.b.exit(Leave::Sync);
            self.ended = true;
            return;
        }
        if self.mode & mode::SHADOW != 0 {
            self.b.set(state::PC, pc);
            self.b.exit(Leave::Sync);
        } else {
            self.b.goto_val(pc, hint);
        }
        self.ended = true;
    }
    /// What is done after each instruction in some modes.
    pub(crate) fn look_after(&mut self) {
        for (bit, helper) in [(mode::RESUME, calls::RESUMED), (mode::STEP, calls::STEPPED)] {
            if self.mode & bit != 0 {
                self.b.call(Ty::I32, helper, &[]);
            }
        }
    }
    /// The interrupt shadow ends with the instruction that is in it, as does what else holds for one: the mode afterwards.
    pub(crate) fn leave_shadow(&mut self) -> u64 {
        const ONE: u64 = mode::SHADOW | mode::X87_CALLS;
        if self.mode & ONE == 0 {
            return self.mode;
        }
        let mode = self.mode & !ONE;
        let word = self.imm(Ty::I64, mode);
        self.b.set(state::MODE, word);
        mode
    }
    /// A near jump by a distance from the next instruction; what else is done of it once it can no longer fault.
    pub fn jump_by(&mut self, distance: i64, hint: Hint, then: impl FnOnce(&mut Self)) {
        let wide = self.insn.operand_size == 8 || self.insn.operand_size == 4 && self.is_flat(number::CS);
        if wide {
            then(self);
            return self.leave_to(i64::from(self.next()) + distance, hint);
        }
        let ip = self.next_ip();
        let ip = self.plus(ip, distance);
        self.jump_to(ip, hint, then);
    }
    /// A near jump to an offset in CS, 64 bits of which those of the operand size count; and what else is done of it.
    pub fn jump_to(&mut self, ip: Val, hint: Hint, then: impl FnOnce(&mut Self)) {
        let pc = self.target(ip);
        then(self);
        self.leave_at(pc, hint);
    }
    /// The linear address of an offset in CS that is jumped to, which must be inside: SDM 2, JMP.
    pub fn target(&mut self, ip: Val) -> Val {
        let ip = match self.insn.operand_size {
            8 => ip,
            4 => self.mask(ip, 0xffff_ffff),
            _ => self.mask(ip, 0xffff),
        };
        if self.is_64() {
            self.check_canonical(ip);
            return ip;
        }
        if self.is_flat(number::CS) {
            return ip;
        }
        let limit = self.b.get(state::CODE_LIMIT);
        let limit = self.b.zext(Ty::I64, limit);
        let outside = self.b.ult(limit, ip);
        self.fault_if(outside, vector::GP, 0);
        let base = self.b.get(state::base(number::CS));
        self.wrap(base, ip)
    }
    /// An address of code that is not canonical is #GP(0) of the jump.
    pub(crate) fn check_canonical(&mut self, ip: Val) {
        let unused = 64 - if self.mode & mode::LA57 != 0 { 57 } else { 48 };
        let by = self.imm(Ty::I64, unused);
        let shifted = self.b.shl(ip, by);
        let extended = self.b.shr_s(shifted, by);
        let other = self.b.ne(extended, ip);
        self.fault_if(other, vector::GP, 0);
    }
}

impl<'a> Tx<'a> {
    /// For the instruction at `offset`, which is still to be set.
    pub fn new(b: &'a mut Builder, features: Features, mode: u64, offset: u32) -> Self {
        Tx {
            b,
            mode,
            features,
            insn: Insn::nothing(0),
            offset,
            ended: false,
            stop: false,
            place: None,
            left: Vec::new(),
            saved_round: None,
        }
    }
}
