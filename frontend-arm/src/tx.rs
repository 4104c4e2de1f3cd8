//! The translation context: what an instruction's meaning is written with.

use crate::calls;
use crate::features::Feature;
use crate::flags::{FlagSource, Flags, bit};
use crate::model::Model;
use crate::state::{self, mode};
use emu_ir::{Builder, Fenv, Hint, Lane, Leave, Mem, Pieces, Round, Slot, Ty, Val};
use std::cell::Cell;

/// One block's translation.
pub struct Tx<'a> {
    /// Where IR goes.
    pub b: &'a mut Builder,
    /// The mode word at the block's start: see [`mode`]. But for its IT bits, the mode slot holds it until the block ends
    /// or an instruction changes it; the slot's IT bits are zero within a block ([`Tx::it`] knows better).
    ///
    /// The bits of [`mode::FLOATING`] are read by [`Tx::floating`] alone.
    pub mode: u32,
    /// Which of those the block depends on.
    floating: Cell<u32>,
    /// The current instruction: A32 and T32 in 32 bits (T32's first halfword on top), T16 in 16.
    pub word: u32,
    /// The current instruction's offset from the start of the page.
    pub offset: u32,
    /// The current instruction's size in bytes: 2 or 4.
    pub size: u32,
    /// CPSR.IT before the current instruction (0 in A32).
    pub it: u8,
    /// CPSR.IT after the current instruction.
    pub it_next: u8,
    /// The condition flags.
    flags: Flags,
    /// The condition that the current instruction's register writes are under, where it is selected and not branched over.
    pub predicate: Option<Val>,
    /// The block has ended: the last operation left it on every path.
    pub ended: bool,
    /// No instruction shall follow the current one in the block, though a path may lead there.
    pub stop: bool,
    /// The CPU model's features.
    pub model: &'a Model,
    /// There are other CPUs.
    pub several: bool,
}

/// For rows: an `s` argument of 1 sets the flags, 0 does not, and this does outside IT blocks only.
pub const S_OUTSIDE_IT: u32 = 2;

impl<'a> Tx<'a> {
    /// At the start of a block: the next instruction is at `offset`, with IT state `it`.
    pub fn new(b: &'a mut Builder, model: &'a Model, mode: u32, offset: u32, it: u8) -> Self {
        Tx {
            b,
            mode,
            floating: Cell::new(0),
            word: 0,
            offset,
            size: 0,
            it,
            it_next: it,
            flags: Flags::new([state::N, state::Z, state::C, state::V]),
            predicate: None,
            ended: false,
            stop: false,
            model,
            several: false,
        }
    }
}

// What instructions read and write.
impl Tx<'_> {
    /// Whether the block is Thumb code.
    pub fn thumb(&self) -> bool {
        self.mode & mode::T != 0
    }
    /// Of the bits of [`mode::FLOATING`], the given ones: the block depends on them.
    pub fn floating(&self, bits: u32) -> u32 {
        self.floating.set(self.floating.get() | bits);
        self.mode & bits
    }
    /// The bits of the mode word that nothing in the block depends on so far.
    pub fn mode_ignored(&self) -> u32 {
        mode::FLOATING & !self.floating.get()
    }
    /// Set the mode slot to a word made from the block's, outside any IT block.
    pub fn set_mode(&mut self, word: u32) {
        self.floating(mode::FLOATING);
        let word = self.b.i32(word);
        self.b.set(state::MODE, word);
    }
    /// Whether the CPU has a feature.
    pub fn has(&self, feature: Feature) -> bool {
        self.model.features.has(feature)
    }
    /// Whether it runs in User mode.
    pub fn user(&self) -> bool {
        self.mode & mode::USER != 0
    }
    /// What R15 reads as: the instruction's address plus 8 (A32) or 4 (T32), as an offset from the start of the page.
    pub fn pc(&self) -> u32 {
        self.offset + if self.thumb() { 4 } else { 8 }
    }
    /// The slot of R`n`, 0 to 15.
    #[expect(clippy::indexing_slicing, reason = "four bits number 16 registers")]
    fn slot(n: u32) -> Slot {
        state::R[n as usize & 15]
    }
    /// A register as an operand; R15 reads as [`Tx::pc`].
    pub fn reg(&mut self, n: u32) -> Val {
        match n {
            15 => self.b.pc_rel(Ty::I32, self.pc() as i32),
            n => self.b.get(Self::slot(n)),
        }
    }
    /// Write a register other than R15.
    pub fn set(&mut self, d: u32, v: Val) {
        debug_assert!(d < 15, "R15 is written by branches");
        let slot = Self::slot(d);
        let v = match self.predicate {
            None => v,
            Some(holds) => {
                let old = self.b.get(slot);
                self.b.select(holds, v, old)
            }
        };
        self.b.set(slot, v);
    }
    /// Write a register with a data-processing result: ALUWritePC for R15 (Arm ARM DDI 0406C, A2.3.1).
    pub fn set_alu(&mut self, d: u32, v: Val, hint: Hint) {
        match d {
            15 if self.thumb() => self.branch_write_pc(v, hint),
            15 => self.bx_write_pc(v, hint),
            _ => self.set(d, v),
        }
    }
    /// Whether an `s` argument means that the flags are set.
    pub fn sets_flags(&self, s: u32) -> bool {
        s == 1 || s == S_OUTSIDE_IT && self.it == 0
    }
    /// Bit `k` of an I32 as a boolean.
    pub fn bit(&mut self, v: Val, k: u32) -> Val {
        bit(self.b, v, k)
    }
    /// Pieces of `1 << log2` bytes in the order that the mode has for data.
    pub fn pieces(&self, log2: u8) -> Pieces {
        match self.mode & mode::E {
            0 => Pieces::little(log2),
            _ => Pieces::big(log2),
        }
    }
    /// How a plain access of `1 << size` bytes to address space `idx` goes: endianness and alignment by mode.
    pub fn mem(&self, size: u8, idx: u8) -> Mem {
        let mut mem = Mem {
            pieces: self.pieces(size),
            ..Mem::new(size, idx)
        };
        if self.mode & mode::ALIGN != 0 {
            mem.align = size;
        }
        mem
    }
    /// How an access goes that must be naturally aligned whatever SCTLR.A says.
    pub fn mem_aligned(&self, size: u8) -> Mem {
        Mem {
            align: size,
            ..self.mem(size, 0)
        }
    }
    /// The environment of VFP operations: FPSCR's.
    pub fn fpscr(&self) -> Fenv {
        Fenv {
            round: Round::Current,
            flush: self.floating(mode::FZ) != 0,
            default_nan: self.floating(mode::DN) != 0,
            flag: false,
        }
    }
    /// That of VFP operations on a format: half precision has a flush of its own, FPSCR.FZ16.
    pub fn fpscr_of(&self, e: Lane) -> Fenv {
        let env = self.fpscr();
        let flush = if e == Lane::F16 {
            self.flushes_halves()
        } else {
            env.flush
        };
        Fenv { flush, ..env }
    }
    /// The environment of Advanced SIMD operations on a format: the standard one, but for FPSCR.FZ16.
    pub fn standard(&self, e: Lane) -> Fenv {
        let flush = e != Lane::F16 || self.flushes_halves();
        Fenv {
            flush,
            ..Fenv::STANDARD
        }
    }
    /// FPSCR.FZ16.
    pub fn flushes_halves(&self) -> bool {
        self.floating(mode::FZ16) != 0
    }
}

// Flags and conditions.
impl Tx<'_> {
    /// Note that the condition flags were written, and what is known about them besides the slots.
    pub fn flags_written(&mut self, source: FlagSource) {
        self.flags.written(source);
    }
    /// How many times the condition flags were written so far.
    pub fn flag_writes(&self) -> u32 {
        self.flags.writes()
    }
    /// Set N and Z from a result.
    pub fn set_nz(&mut self, value: Val) {
        self.flags.set_nz(self.b, value);
    }
    /// Set C and V.
    pub fn set_cv(&mut self, c: Val, v: Val) {
        self.flags.set_cv(self.b, c, v);
    }
    /// Set all four from `a - b`, whose difference is `diff`; `kept` if that goes to a register.
    pub fn set_nzcv_sub(&mut self, a: Val, b: Val, diff: Val, kept: bool) {
        self.flags.set_sub(self.b, a, b, diff, kept);
    }
    /// Set all four from bits 31 to 28 of a value.
    pub fn set_nzcv_bits(&mut self, v: Val) {
        for (slot, k) in [(state::N, 31), (state::Z, 30), (state::C, 29), (state::V, 28)] {
            let bit = self.bit(v, k);
            self.b.set(slot, bit);
        }
        self.flags_written(FlagSource::Slots);
    }
    /// Whether a condition (0 to 13) holds, as a boolean.
    pub fn cond(&mut self, cond: u32) -> Val {
        self.flags.cond(self.b, cond)
    }
    /// Set the sticky Q flag if `sat`.
    pub fn set_q_if(&mut self, sat: Val) {
        let q = self.b.get(state::Q);
        let q = self.b.or(q, sat);
        self.b.set(state::Q, q);
    }
}

// Memory, and what the performance monitors count.
impl Tx<'_> {
    /// Load a `ty` from memory.
    pub fn load(&mut self, ty: Ty, addr: Val, mem: Mem) -> Val {
        let v = self.b.load(ty, addr, mem);
        self.count(state::PMU_READS);
        v
    }
    /// Store the low bytes of `a`.
    pub fn store(&mut self, addr: Val, a: Val, mem: Mem) {
        self.b.store(addr, a, mem);
        self.count(state::PMU_WRITES);
    }
    /// Compare and swap: the old value.
    pub fn cas(&mut self, addr: Val, old: Val, new: Val, mem: Mem) -> Val {
        let found = self.b.cas(addr, old, new, mem);
        self.count(state::PMU_WRITES);
        found
    }
    /// Exchange: the old value.
    pub fn swap(&mut self, addr: Val, a: Val, mem: Mem) -> Val {
        let old = self.b.swap(addr, a, mem);
        self.count(state::PMU_READS);
        self.count(state::PMU_WRITES);
        old
    }
    /// Count one more, where translated code counts.
    fn count(&mut self, slot: Slot) {
        if self.counts() {
            let (n, one) = (self.b.get(slot), self.b.i32(1));
            let n = self.b.add(n, one);
            self.b.set(slot, n);
        }
    }
    /// Whether the block counts: see [`crate::pmu`].
    pub fn counts(&self) -> bool {
        self.mode & mode::COUNT != 0
    }
    /// Count the current instruction before it does anything; leave the block if the counters are to be looked at first.
    pub fn count_insn(&mut self) {
        let (left, zero, go) = (self.b.get(state::PMU_SLACK), self.b.i32(0), self.b.label());
        let some = self.b.ne(left, zero);
        self.b.br_if(some, go);
        self.sync_it(self.it);
        let here = self.b.pc_rel(Ty::I32, self.offset as i32);
        self.b.set(state::R[15], here);
        self.b.call(Ty::I32, calls::PMU_DUE, &[]);
        self.b.exit(Leave::Sync);
        self.b.place(go);
        let one = self.b.i32(1);
        let left = self.b.sub(left, one);
        self.b.set(state::PMU_SLACK, left);
    }
}

// Where control goes.
impl Tx<'_> {
    /// The address of the next instruction, as an offset from the start of the page.
    pub fn next(&self) -> u32 {
        self.offset + self.size
    }
    /// The next instruction's address as BL stores it: bit 0 tells Thumb.
    pub fn return_address(&mut self) -> Val {
        let at = self.next() + (self.mode & mode::T);
        self.b.pc_rel(Ty::I32, at as i32)
    }
    /// The mode word with the given IT bits.
    pub fn mode_with_it(&self, it: u8) -> u32 {
        self.mode & !mode::IT | (it as u32) << mode::IT_SHIFT
    }
    /// Bring the mode slot's IT bits up to date before the block ends ahead of an instruction with this IT state.
    fn sync_it(&mut self, it: u8) {
        if it != 0 {
            self.set_mode(self.mode_with_it(it));
        }
    }
    /// Leave for the engine, going on at the next instruction.
    pub fn exit_after(&mut self, why: Leave) {
        self.sync_it(self.it_next);
        self.exit_after_helper(why);
    }
    /// As [`Tx::exit_after`] where a helper may have changed the mode word.
    pub fn exit_after_mode_change(&mut self, why: Leave) {
        if self.it_next != 0 {
            let (word, it) = (
                self.b.get(state::MODE),
                self.b.i32((self.it_next as u32) << mode::IT_SHIFT),
            );
            let word = self.b.or(word, it);
            self.b.set(state::MODE, word);
        }
        self.exit_after_helper(why);
    }
    fn exit_after_helper(&mut self, why: Leave) {
        let next = self.b.pc_rel(Ty::I32, self.next() as i32);
        self.b.set(state::R[15], next);
        self.b.exit(why);
        self.ended = true;
    }
    /// Go on at the next instruction in a new block, looking at pending interrupts first if `poll`.
    pub fn goto_next(&mut self, poll: bool) {
        self.sync_it(self.it_next);
        let (next, mode) = (self.next() as i32, self.mode_with_it(self.it_next));
        self.b.goto(next, mode.into(), Hint::Jump, poll);
        self.ended = true;
    }
    /// Go on at the next instruction, whose mapping may have changed.
    pub fn refetch_next(&mut self) {
        self.sync_it(self.it_next);
        let next = self.b.pc_rel(Ty::I32, self.next() as i32);
        self.b.goto_val(next, Hint::Jump);
        self.ended = true;
    }
    /// Go on at `offset` bytes from the start of the page, in the block's mode outside any IT block.
    pub fn goto(&mut self, offset: i32, hint: Hint) {
        self.count(state::PMU_BRANCHES);
        self.b.goto(offset, (self.mode & !mode::IT).into(), hint, false);
        self.ended = true;
    }
    /// Go on at `offset` bytes from the start of the page in the other instruction set.
    pub fn goto_exchange(&mut self, offset: i32, hint: Hint) {
        self.count(state::PMU_BRANCHES);
        self.goto_mode(offset, self.mode & !mode::IT ^ mode::T, hint);
    }
    /// Go on at `offset` bytes from the start of the page in another mode.
    pub fn goto_mode(&mut self, offset: i32, mode: u32, hint: Hint) {
        self.set_mode(mode);
        self.b.goto(offset, mode.into(), hint, false);
        self.ended = true;
    }
    /// BranchWritePC: stay in the instruction set.
    pub fn branch_write_pc(&mut self, addr: Val, hint: Hint) {
        self.count(state::PMU_BRANCHES);
        let mask = self.b.i32(if self.thumb() { !1 } else { !3 });
        let addr = self.b.and(addr, mask);
        self.b.goto_val(addr, hint);
        self.ended = true;
    }
    /// BXWritePC and LoadWritePC: bit 0 of the address chooses the instruction set.
    pub fn bx_write_pc(&mut self, addr: Val, hint: Hint) {
        self.count(state::PMU_BRANCHES);
        let one = self.b.i32(mode::T);
        let thumb = self.b.and(addr, one);
        let (old, here) = (self.b.get(state::MODE), self.b.i32(self.mode & mode::T));
        let turned = self.b.xor(thumb, here);
        let word = self.b.xor(old, turned);
        self.b.set(state::MODE, word);
        let addr = self.b.and_not(addr, one);
        self.b.goto_val(addr, hint);
        self.ended = true;
    }
    /// Call a helper that ends the path, having raised an exception or set pc and mode.
    pub fn call_and_leave(&mut self, helper: u16, args: &[Val]) {
        self.b.call(Ty::I32, helper, args);
        self.b.exit(Leave::Resume);
        self.ended = true;
    }
    /// Take the Undefined Instruction exception; under a predicate, if it holds.
    pub fn undefined(&mut self) {
        let skip = self.predicate.take().map(|holds| {
            let (skip, no) = (self.b.label(), self.b.bool(false));
            let fails = self.b.eq(holds, no);
            self.b.br_if(fails, skip);
            skip
        });
        self.call_and_leave(calls::UNDEFINED, &[]);
        if let Some(skip) = skip {
            self.b.place(skip);
            (self.ended, self.stop) = (false, true);
        }
    }
}
