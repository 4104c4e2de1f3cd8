//! The x87 unit that every host has (SDM 1, chapter 8). Helpers whose guest has such a unit, too, let it compute: what it
//! makes of numbers, modes and exceptions is what the guest is to see. See [`Env::x87`](crate::Env::x87).

use crate::{Slot, Ty};

/// An instruction of it that needs nothing but its state, the status flags, and an operand in memory of ten bytes at most.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct X87Insn {
    opcode: u8,
    form: u8,
}

/// As the manual's tables have it: the opcode, then ModRM.reg of operands in memory, else ModRM.
impl std::fmt::Debug for X87Insn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.form.checked_sub(8) {
            None => write!(f, "{:02x}/{}", self.opcode, self.form),
            Some(register) => write!(f, "{:02x} {:02x}", self.opcode, 0xc0 + register),
        }
    }
}

impl X87Insn {
    /// How many forms an opcode has: see [`X87Insn::form`].
    pub const FORMS: usize = 8 + 64;

    /// Opcode D8 to DF, and its ModRM byte (SDM 2, tables ). `None`: there is no such instruction, or it needs
    /// more than that. Those that control the unit are not among them, but for FLDCW, FINCSTP, FDECSTP, FFREE and FNOP: all
    /// wait for exceptions that are not masked.
    pub const fn new(opcode: u8, modrm: u8) -> Option<X87Insn> {
        let reg = modrm >> 3 & 7;
        let exists = match (opcode, modrm) {
            (0xd9, 0..0xc0) => matches!(reg, 0 | 2 | 3 | 5),
            (0xdb, 0..0xc0) => matches!(reg, 0..=3 | 5 | 7),
            (0xdd, 0..0xc0) => reg < 4,
            (0xd8..=0xdf, 0..0xc0) => true,
            (0xd8 | 0xdc, _) => true,
            (0xd9, _) => matches!(modrm, 0xc0..=0xd0 | 0xd8..=0xe1 | 0xe4 | 0xe5 | 0xe8..=0xee | 0xf0..),
            (0xda, _) => matches!(modrm, 0xc0..=0xdf | 0xe9),
            (0xdb, _) => matches!(modrm, 0xc0..=0xdf | 0xe8..=0xf7),
            (0xdd, _) => modrm < 0xf0,
            (0xde, _) => matches!(modrm, 0xc0..=0xd7 | 0xd9 | 0xe0..),
            (0xdf, _) => matches!(modrm, 0xc0..=0xdf | 0xe8..=0xf7),
            _ => false,
        };
        let form = if modrm < 0xc0 { reg } else { modrm - 0xc0 + 8 };
        if exists { Some(X87Insn { opcode, form }) } else { None }
    }
    /// D8 to DF.
    pub const fn opcode(self) -> u8 {
        self.opcode
    }
    /// ModRM.reg of operands in memory, and from 8 on the register forms, C0 to FF.
    pub const fn form(self) -> u8 {
        self.form
    }
    /// It has an operand in memory.
    pub const fn is_memory(self) -> bool {
        self.form < 8
    }
    /// Where it has its operands, and how many it pops: of those whose way with the stack and with condition codes is the same
    /// whatever they compute, while no exception is unmasked. (FPREM of what is no number leaves some of these alone.)
    pub const fn stack(self) -> Option<(X87Form, u8)> {
        use X87Form::*;
        if self.is_memory() {
            return match (self.opcode, self.form) {
                (0xd8 | 0xda | 0xdc | 0xde, 3) => Some((Memory, 1)),
                (0xd8 | 0xda | 0xdc | 0xde, _) => Some((Memory, 0)),
                (0xd9 | 0xdb | 0xdd | 0xdf, 0) | (0xdb | 0xdf, 5) | (0xdf, 4) => Some((Load, 0)),
                (0xd9 | 0xdb | 0xdd | 0xdf, 2) => Some((Store, 0)),
                (0xd9 | 0xdb | 0xdd | 0xdf, 3) | (0xdb | 0xdd | 0xdf, 1) | (0xdb | 0xdf, 7) | (0xdf, 6) => {
                    Some((Store, 1))
                }
                _ => None,
            };
        }
        let (row, i) = ((self.form - 8) / 8, self.form % 8);
        match (self.opcode, row) {
            (0xd8, 3) | (0xdd, 5) | (0xdf, 5 | 6) => Some((Top(i), 1)),
            (0xd8, _) | (0xda | 0xdb, 0..=3) | (0xdb, 5 | 6) | (0xdd, 4) => Some((Top(i), 0)),
            (0xda, 5) | (0xde, 3) => Some((Top(1), 2)),
            (0xdc, 0 | 1 | 4..) => Some((Other(i), 0)),
            (0xde, 0 | 1 | 4..) => Some((Other(i), 1)),
            (0xd9, 0) => Some((Copy(i), 0)),
            (0xd9, 1) => Some((Exchange(i), 0)),
            (0xdd, 2) => Some((Move(i), 0)),
            (0xdd, 3) => Some((Move(i), 1)),
            (0xd9, 5) => Some((Constant, 0)),
            (0xd9, 4..) => match (row, i) {
                (4, _) | (6, 0) | (7, 2 | 4 | 6 | 7) => Some((Alone, 0)),
                (6, 1 | 3) | (7, 1) => Some((Pair, 1)),
                (7, 5) => Some((Pair, 0)),
                (6, 4) => Some((Extract, 0)),
                _ => None,
            },
            _ => None,
        }
    }
    /// FCMOVcc: it reads the status flags.
    pub const fn is_conditional(self) -> bool {
        matches!((self.opcode, self.form), (0xda | 0xdb, 8..0x28))
    }
    /// FCOMI, FUCOMI and those that pop: they write the status flags.
    pub const fn compares_to_flags(self) -> bool {
        matches!((self.opcode, self.form), (0xdb | 0xdf, 0x30..0x40))
    }
    /// Its result is written to no register.
    pub const fn only_compares(self) -> bool {
        match (self.opcode, self.form) {
            (0xd8 | 0xda | 0xdc | 0xde, 2 | 3) | (0xd8, 0x18..0x28) => true,
            (0xda, 0x31) | (0xde, 0x21) | (0xdd, 0x28..0x38) | (0xd9, 0x2c | 0x2d) => true,
            _ => self.compares_to_flags(),
        }
    }
}

/// Where an instruction has its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum X87Form {
    /// In ST(0) and memory; its result, if any, in ST(0).
    Memory,
    /// In memory: pushed.
    Load,
    /// In ST(0): to memory.
    Store,
    /// In ST(0) alone.
    Alone,
    /// Nowhere: pushed.
    Constant,
    /// In ST(0) and ST(i): in ST(0).
    Top(u8),
    /// In ST(0) and ST(i): in ST(i).
    Other(u8),
    /// In ST(0) and ST(1): in ST(0), after what is popped.
    Pair,
    /// FXTRACT: in ST(0), and pushed.
    Extract,
    /// FLD ST(i).
    Copy(u8),
    /// FXCH.
    Exchange(u8),
    /// FST ST(i).
    Move(u8),
}

impl X87Form {
    /// Which registers must be full, and which empty, for it to find no fault of the stack: a bit each, ST(i).
    pub const fn needs(self) -> (u8, u8) {
        use X87Form::*;
        // What is pushed is ST(7) before.
        const PUSHED: u8 = 1 << 7;
        match self {
            Memory | Store | Alone | Move(_) => (1, 0),
            Load | Constant => (0, PUSHED),
            Top(i) | Other(i) | Exchange(i) => (1 | 1 << (i & 7), 0),
            Pair => (3, 0),
            Extract => (1, PUSHED),
            Copy(i) => (1 << (i & 7), PUSHED),
        }
    }
}

/// Where a guest's state has a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct X87Slots {
    /// R0 (V128), before the others, each as [`X87Unit::regs`] has it.
    pub regs: Slot,
    /// The control word (I16).
    pub control: Slot,
    /// The status word but for TOP (I16).
    pub status: Slot,
    /// TOP (I8), 0 to 7.
    pub top: Slot,
    /// Which registers are not empty (I8).
    pub full: Slot,
    /// The last instruction's opcode: the three low bits of its first byte, then ModRM (I16).
    pub opcode: Slot,
    /// The linear address of the last instruction (I64).
    pub instruction: Slot,
}

impl X87Slots {
    /// All that the operations read or write.
    pub fn all(&self) -> impl Iterator<Item = Slot> {
        let regs = self.regs;
        let others = [
            self.control,
            self.status,
            self.top,
            self.full,
            self.opcode,
            self.instruction,
        ];
        (0..8).map(move |n| regs.nth(n)).chain(others)
    }
    /// Whether they fit a state of `size` bytes.
    #[expect(
        clippy::indexing_slicing,
        reason = "below the length: a constant function has no iterators"
    )]
    pub(crate) const fn fits(&self, size: usize) -> bool {
        let words = [
            (self.control, Ty::I16),
            (self.status, Ty::I16),
            (self.top, Ty::I8),
            (self.full, Ty::I8),
            (self.opcode, Ty::I16),
            (self.instruction, Ty::I64),
        ];
        let last = self.regs.nth(7);
        let mut inside = matches!(last.ty, Ty::V128) && last.end() <= size;
        let mut i = 0;
        while i < words.len() {
            inside &= words[i].0.end() <= size && words[i].0.ty.bytes() == words[i].1.bytes() && words[i].0.ty.is_int();
            i += 1;
        }
        inside
    }
}

/// Bits of the status word.
pub mod x87_status {
    /// Exceptions, whose masks are at their places in the control word.
    pub const EXCEPTIONS: u16 = 0x3f;
    /// Where TOP is, three bits.
    pub const TOP_SHIFT: u32 = 11;
    /// Which register is on top of the stack.
    pub const TOP: u16 = 7 << TOP_SHIFT;
    /// ES and B: an exception is not masked.
    pub const SUMMARY: u16 = 1 << 7 | 1 << 15;
}

/// Its state, but for what it says of the last instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct X87Unit {
    /// R0 to R7, by their physical numbers: the significand, then sign and exponent in 16 bits.
    pub regs: [[u64; 2]; 8],
    /// The control word.
    pub control: u16,
    /// The status word.
    pub status: u16,
    /// Which registers are not empty: a bit each, by physical number.
    pub full: u8,
}

impl X87Unit {
    /// The number of the register on top of the stack.
    pub const fn top(&self) -> usize {
        ((self.status & x87_status::TOP) >> x87_status::TOP_SHIFT) as usize
    }
    /// Whether an exception is not masked, as control and status words say. Instructions wait for it.
    pub const fn is_waiting(&self) -> bool {
        self.status & !self.control & x87_status::EXCEPTIONS != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_that_are_none_are_not_made() {
        for (opcode, modrm) in [
            (0xd7, 0),
            (0xe0, 0xc0),
            (0xd9, 0x20), // FLDENV
            (0xd9, 0x08),
            (0xd9, 0xd1),
            (0xd9, 0xe2),
            (0xd9, 0xef),
            (0xda, 0xe8),
            (0xdb, 0x20),
            (0xdb, 0xe2), // FNCLEX
            (0xdb, 0xe3), // FNINIT
            (0xdd, 0x38), // FNSTSW
            (0xdd, 0xf0),
            (0xde, 0xd8),
            (0xdf, 0xe0), // FNSTSW AX
        ] {
            assert_eq!(X87Insn::new(opcode, modrm), None, "{opcode:x} {modrm:x}");
        }
        let add = X87Insn::new(0xdc, 0x47).unwrap();
        assert_eq!((add.opcode(), add.form(), add.is_memory()), (0xdc, 0, true));
        let last = X87Insn::new(0xde, 0xff).unwrap();
        assert_eq!((last.form() as usize, last.is_memory()), (X87Insn::FORMS - 1, false));
    }
}
