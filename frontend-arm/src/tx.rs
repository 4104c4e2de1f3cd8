//! The translation context: what an instruction's meaning is written with.

use crate::state::{self, mode};
use emu_ir::{Builder, Fenv, Hint, Leave, Mem, Round, Ty, Val};

/// How the flags were last set in this block, so that conditions become one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagSource {
    /// Nothing is known: conditions read the flag slots.
    Slots,
    /// `a - b`: CMP, SUBS.
    Sub {
        /// Minuend.
        a: Val,
        /// Subtrahend.
        b: Val,
    },
    /// N and Z from `value`; C and V are in the slots.
    Nz {
        /// The result.
        value: Val,
    },
}

/// One block's translation.
pub struct Tx<'a> {
    /// Where IR goes.
    pub b: &'a mut Builder,
    /// The mode word at the block's start: see [`mode`].
    pub mode: u32,
    /// The current instruction's offset from the start of the page.
    pub offset: u32,
    /// The current instruction's size in bytes: 2 or 4.
    pub size: u32,
    /// CPSR.IT before the current instruction (0 in A32).
    pub it: u8,
    /// How the flags were last set.
    pub flags: FlagSource,
    /// The block has ended: the last operation left it on every path.
    pub ended: bool,
    /// The CPU model's features.
    pub model: &'a crate::model::Model,
}

impl Tx<'_> {
    /// Whether the block is Thumb code.
    pub fn thumb(&self) -> bool {
        self.mode & mode::T != 0
    }
    /// A register as an operand; R15 reads as the instruction's address plus 8 (A32) or 4 (T32).
    pub fn reg(&mut self, n: u32) -> Val {
        match n {
            15 => {
                let ahead = if self.thumb() { 4 } else { 8 };
                self.b.pc_rel(Ty::I32, (self.offset + ahead) as i32)
            }
            n => self.b.get(state::R[n as usize & 15]),
        }
    }
    /// The address of the next instruction, as an offset from the start of the page.
    pub fn next(&self) -> u32 {
        self.offset + self.size
    }
    /// How a plain access of `1 << size` bytes to address space `idx` goes: endianness and alignment by mode.
    pub fn mem(&self, size: u8, idx: u8) -> Mem {
        let mut mem = Mem::new(size, idx);
        if self.mode & mode::E != 0 {
            mem.swap = size;
        }
        if self.mode & mode::ALIGN != 0 {
            mem.align = size;
        }
        mem
    }
    /// The environment of VFP operations: FPSCR's.
    pub fn fpscr(&self) -> Fenv {
        Fenv {
            round: Round::Current,
            flush: self.mode & mode::FZ != 0,
            default_nan: self.mode & mode::DN != 0,
            flag: false,
        }
    }
    /// Leave for the engine, going on at the next instruction.
    pub fn exit_after(&mut self, why: Leave) {
        let next = self.b.pc_rel(Ty::I32, self.next() as i32);
        self.b.set(state::R[15], next);
        self.b.exit(why);
        self.ended = true;
    }
    /// Go on at `offset` bytes from the start of the page, in the block's mode.
    pub fn goto(&mut self, offset: i32, hint: Hint) {
        self.b.goto(offset, self.mode & !mode::IT, hint, false);
        self.ended = true;
    }
}
