//! The translation context: what an instruction's meaning is written with.

use super::calls;
use super::features::{Feature, Features};
use super::state::{self, mode};
use crate::flags::{Flags, bit};
use emu_ir::{Builder, Fenv, Hint, Leave, Mem, Op, Pieces, Round, Slot, Ty, Val};

/// One block's translation.
pub struct Tx<'a> {
    /// Where IR goes.
    pub b: &'a mut Builder,
    /// The mode word, see [`mode`]: the mode slot holds it until the block ends or an instruction changes it.
    pub mode: u32,
    /// The current instruction.
    pub word: u32,
    /// The current instruction's offset from the start of the page.
    pub offset: u32,
    /// The condition flags.
    pub flags: Flags,
    /// The block has ended: the last operation left it on every path.
    pub ended: bool,
    /// No instruction shall follow the current one in the block, though a path may lead there.
    pub stop: bool,
    /// Of [`mode::FLOATING`], [`mode::PAUTH`] and [`mode::GUARD`], what the block depends on.
    pub depends: u32,
    /// What the CPU has.
    pub features: Features,
    /// There are other CPUs.
    pub several: bool,
    /// Its page is guarded: see [`super::guarded`].
    pub guarded: bool,
    /// SP is known to be a multiple of 16.
    sp_aligned: bool,
}

impl<'a> Tx<'a> {
    /// At the start of a block: the next instruction is at `offset`.
    pub fn new(b: &'a mut Builder, features: Features, mode: u32, offset: u32) -> Self {
        Tx {
            b,
            mode,
            word: 0,
            offset: offset.wrapping_sub(4),
            flags: Flags::new(state::NZCV),
            ended: false,
            stop: false,
            depends: 0,
            features,
            several: false,
            guarded: false,
            sp_aligned: mode & mode::SP_ALIGN == 0,
        }
    }
}

/// The type of a general-purpose register: W where `z` is 0, else X.
pub const fn width(z: u32) -> Ty {
    if z == 0 { Ty::I32 } else { Ty::I64 }
}

/// Sign-extend the low `bits` of `v`.
pub const fn signed(v: u32, bits: u32) -> i32 {
    ((v << (32 - bits)) as i32) >> (32 - bits)
}

// What instructions read and write.
impl Tx<'_> {
    /// Whether the CPU has a feature.
    pub fn has(&self, feature: Feature) -> bool {
        self.features.has(feature)
    }
    /// The exception level: 0 to 3.
    pub fn el(&self) -> u32 {
        self.mode & mode::EL
    }
    /// A 64-bit constant.
    pub fn i64(&mut self, v: u64) -> Val {
        self.b.imm(Ty::I64, v)
    }
    /// X`n`; 31 is zero.
    pub fn x(&mut self, n: u32) -> Val {
        match n {
            31 => self.i64(0),
            n => self.b.get(state::x(n)),
        }
    }
    /// X`n`; 31 is SP.
    pub fn x_sp(&mut self, n: u32) -> Val {
        self.b.get(state::x(n))
    }
    /// W`n` or, where `z` is 1, X`n`; 31 is zero.
    pub fn r(&mut self, z: u32, n: u32) -> Val {
        let v = self.x(n);
        self.b.trunc(width(z), v)
    }
    /// W`n` or, where `z` is 1, X`n`; 31 is SP.
    pub fn r_sp(&mut self, z: u32, n: u32) -> Val {
        let v = self.x_sp(n);
        self.b.trunc(width(z), v)
    }
    /// Write X`d` with an int, zero-extended; 31 takes nothing.
    pub fn set(&mut self, d: u32, v: Val) {
        if d != 31 {
            let v = self.b.zext(Ty::I64, v);
            self.b.set(state::x(d), v);
        }
    }
    /// Write X`d` with an int, zero-extended; 31 is SP.
    pub fn set_sp(&mut self, d: u32, v: Val) {
        if d == 31 {
            self.sp_aligned = self.mode & mode::SP_ALIGN == 0;
        }
        let v = self.b.zext(Ty::I64, v);
        self.b.set(state::x(d), v);
    }
    /// Write X`d`, 31 being SP, with X`n` plus `by`, of which `v` is the sum.
    pub fn set_moved(&mut self, d: u32, v: Val, n: u32, by: i64) {
        let stays = self.sp_aligned && n == 31 && by & 15 == 0;
        self.set_sp(d, v);
        self.sp_aligned |= stays;
    }
    /// An address in X`n` or SP, which must be a multiple of 16.
    pub fn base(&mut self, n: u32) -> Val {
        if n == 31 && !self.sp_aligned {
            self.check_sp();
        }
        self.x_sp(n)
    }
    /// CheckSPAlignment.
    fn check_sp(&mut self) {
        let (sp, low, zero, ok) = (self.x_sp(31), self.i64(15), self.i64(0), self.b.label());
        let low = self.b.and(sp, low);
        let aligned = self.b.eq(low, zero);
        self.b.br_if(aligned, ok);
        self.call_and_leave(calls::SP_ALIGNMENT, &[]);
        self.ended = false;
        self.b.place(ok);
        self.sp_aligned = true;
    }
    /// `v + by`.
    pub fn plus(&mut self, v: Val, by: i64) -> Val {
        if by == 0 {
            return v;
        }
        let by = self.b.imm(self.b.ty(v), by as u64);
        self.b.add(v, by)
    }
    /// Bit `k` of an int as a boolean.
    pub fn bit(&mut self, v: Val, k: u32) -> Val {
        bit(self.b, v, k)
    }
    /// Whether a condition (0 to 15) holds, as a boolean.
    pub fn cond(&mut self, cond: u32) -> Val {
        match cond {
            14 | 15 => self.b.bool(true),
            cond => self.flags.cond(self.b, cond),
        }
    }
    /// Set all flags from the low four bits of a constant.
    pub fn set_nzcv_bits(&mut self, nzcv: u32) {
        let flags = [3, 2, 1, 0].map(|k| self.b.bool(nzcv >> k & 1 != 0));
        self.flags.set_all(self.b, flags);
    }
}

// Memory.
impl Tx<'_> {
    /// Pieces of `1 << log2` bytes in the order that the mode has for data.
    pub fn pieces(&self, log2: u8) -> Pieces {
        match self.mode & mode::E {
            0 => Pieces::little(log2),
            _ => Pieces::big(log2),
        }
    }
    /// How a plain access of `1 << size` bytes goes: endianness and alignment by mode.
    pub fn mem(&self, size: u8) -> Mem {
        self.mem_of(size, size)
    }
    /// How a plain access of `1 << size` bytes in pieces of `1 << piece` goes.
    pub fn mem_of(&self, size: u8, piece: u8) -> Mem {
        let align = if self.mode & mode::ALIGN != 0 { piece } else { 0 };
        Mem {
            pieces: self.pieces(piece),
            align,
            ..Mem::new(size, 0)
        }
    }
    /// How an exclusive or atomic access of `1 << size` bytes in pieces of `1 << piece` goes: it must be aligned to its size, or
    /// with FEAT_LSE2 lie within an aligned 16 bytes (shared pseudocode, AArch64.UnalignedAccessFaults).
    pub fn mem_atomic(&self, size: u8, piece: u8) -> Mem {
        let (mem, lenient) = (
            self.mem_of(size, piece),
            self.has(Feature::Lse2) && self.mode & mode::ALIGN == 0,
        );
        Mem {
            align: size,
            pieces: if lenient { mem.pieces.lenient() } else { mem.pieces },
            ..mem
        }
    }
    /// How an ordered access goes: as an atomic one, if SCTLR_ELx.nAA does not let it be anywhere.
    pub fn mem_ordered(&self, size: u8) -> Mem {
        let anywhere = self.has(Feature::Lse2) && self.mode & mode::UNALIGNED_ORDERED != 0;
        if anywhere {
            self.mem(size)
        } else {
            self.mem_atomic(size, size)
        }
    }
    /// The environment of floating-point operations: FPCR's.
    pub fn fpcr(&self) -> Fenv {
        Fenv {
            round: Round::Current,
            flush: self.mode & mode::FZ != 0,
            default_nan: self.mode & mode::DN != 0,
            flag: false,
        }
    }
}

// What the performance monitors count.
impl Tx<'_> {
    /// Whether the block counts: see [`crate::pmu`].
    pub fn counts(&self) -> bool {
        self.mode & mode::COUNT != 0
    }
    /// Count some more, where translated code counts.
    fn count(&mut self, slot: Slot, n: u32) {
        if self.counts() && n > 0 {
            let (old, n) = (self.b.get(slot), self.b.i32(n));
            let new = self.b.add(old, n);
            self.b.set(slot, new);
        }
    }
    /// Count the current instruction before it does anything; leave the block if the counters are to be looked at first.
    pub fn count_insn(&mut self) {
        let (left, zero, go) = (self.b.get(state::PMU_SLACK), self.b.i32(0), self.b.label());
        let some = self.b.ne(left, zero);
        self.b.br_if(some, go);
        let here = self.b.pc_rel(Ty::I64, self.offset as i32);
        self.b.set(state::PC, here);
        self.b.call(Ty::I32, calls::PMU_DUE, &[]);
        self.b.exit(Leave::Sync);
        self.b.place(go);
        let one = self.b.i32(1);
        let left = self.b.sub(left, one);
        self.b.set(state::PMU_SLACK, left);
    }
    /// Count the accesses of the current instruction, whose operations start at `first`; if it ended the block, it has none.
    pub fn count_accesses(&mut self, first: usize) {
        let insts = self.b.block.insts.get(first..).unwrap_or_default();
        let of = |is: fn(&Op) -> bool| insts.iter().filter(|inst| is(&inst.op)).count() as u32;
        let reads = of(|op| matches!(op, Op::Load { .. } | Op::Rmw { .. } | Op::Swap { .. }));
        let writes = of(|op| matches!(op, Op::Store { .. } | Op::Cas { .. } | Op::Rmw { .. } | Op::Swap { .. }));
        if !self.ended {
            self.count(state::PMU_READS, reads);
            self.count(state::PMU_WRITES, writes);
        }
    }
}

// Where control goes.
impl Tx<'_> {
    /// The address of the next instruction, as an offset from the start of the page.
    pub fn next(&self) -> u32 {
        self.offset.wrapping_add(4)
    }
    /// The next instruction's address.
    pub fn return_address(&mut self) -> Val {
        self.b.pc_rel(Ty::I64, self.next() as i32)
    }
    /// Leave for the engine, going on at the next instruction.
    pub fn exit_after(&mut self, why: Leave) {
        let next = self.return_address();
        self.b.set(state::PC, next);
        self.b.exit(why);
        self.ended = true;
    }
    /// Go on at the next instruction in a new block, looking at pending interrupts first if `poll`.
    pub fn goto_next(&mut self, poll: bool) {
        self.b.goto(self.next() as i32, self.mode.into(), Hint::Jump, poll);
        self.ended = true;
    }
    /// Go on at the next instruction, whose mapping may have changed.
    pub fn refetch_next(&mut self) {
        let next = self.return_address();
        self.b.goto_val(next, Hint::Jump);
        self.ended = true;
    }
    /// Go on `by` bytes from the current instruction.
    pub fn goto(&mut self, by: i32, hint: Hint) {
        self.count(state::PMU_BRANCHES, 1);
        let to = (self.offset as i32).wrapping_add(by);
        self.b.goto(to, self.mode.into(), hint, false);
        self.ended = true;
    }
    /// Go on at an address.
    pub fn goto_val(&mut self, addr: Val, hint: Hint) {
        self.count(state::PMU_BRANCHES, 1);
        self.b.goto_val(addr, hint);
        self.ended = true;
    }
    /// Call a helper that ends the path, having raised an exception or set pc and mode.
    pub fn call_and_leave(&mut self, helper: u16, args: &[Val]) {
        self.b.call(Ty::I32, helper, args);
        self.b.exit(Leave::Resume);
        self.ended = true;
    }
    /// Take the exception of an instruction that is Undefined.
    pub fn undefined(&mut self) {
        self.call_and_leave(calls::UNDEFINED, &[]);
    }
    /// Take an exception with a class and an instruction specific syndrome.
    pub fn exception(&mut self, class: u32, iss: u32) {
        let (class, iss) = (self.b.i32(class), self.b.i32(iss));
        self.call_and_leave(calls::EXCEPTION, &[class, iss]);
    }
}
